/*
 * Days, and the rule behind a zone's last transition: what beacon_tz.c needs
 * of the calendar.
 */

#ifndef BEACON_TZ_RULE_H
#define BEACON_TZ_RULE_H

#include "beacon.h"

#include <stdbool.h>
#include <time.h>

#define BEACON_TZ_DAY  86400

typedef struct {
    int32_t  offset;            /* seconds east of UTC */
    uint8_t  dst;
} beacon_tz_type_t;

/* A day of each year and the local time of the change on it. */
typedef struct {
    char     kind;              /* 'M'; 'J': 1..365, 29 Feb never counted;
                                   'n': 0..365 */
    int      day;               /* J and n; weekday of M */
    int      month;
    int      week;
    int32_t  time;              /* seconds, -167 to 167 hours */
} beacon_tz_day_t;

typedef struct {
    bool             present;
    bool             dst;
    int32_t          offset[2]; /* standard, daylight; east of UTC */
    beacon_tz_day_t  change[2]; /* to daylight, to standard */
} beacon_tz_rule_t;

/* Breaks down a UNIX time at a type's offset. */
void beacon_tz_break(int64_t seconds, const beacon_tz_type_t *type,
    struct tm *tm);

/* Parses a POSIX TZ string, as in the footer of a zone's file; "": no rule. */
bool beacon_tz_footer(beacon_tz_rule_t *rule, const char *text, size_t len);

/* The rule's type at a time; returns when it changes next. */
int64_t beacon_tz_rule(const beacon_tz_rule_t *rule, int64_t seconds,
    beacon_tz_type_t *type);

#endif /* BEACON_TZ_RULE_H */
