/*
 * Calendar arithmetic and POSIX TZ strings:
 *
 *     std offset [dst [offset] ,start[/time],end[/time]]
 *
 * with names in < > and times of up to 167 hours, as RFC 8536 allows.
 */

#include "beacon_tz_rule.h"

#include <string.h>

/* Where a parser stands; p == NULL: it has failed. */
typedef struct {
    const char  *p;
    const char  *end;
} beacon_tz_text_t;

static int64_t
beacon_tz_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar. */
static int64_t
beacon_tz_days(int64_t year, int month, int day)
{
    int64_t  era, of_era, of_year;

    /* years start in March: the leap day is the last */

    year -= month <= 2;
    era = beacon_tz_floor(year, 400);
    of_era = year - era * 400;
    of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year
           - 719468;
}

static bool
beacon_tz_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

void
beacon_tz_break(int64_t seconds, const beacon_tz_type_t *type, struct tm *tm)
{
    int64_t  days, day, era, of_era, of_year, year;

    seconds += type->offset;
    days = beacon_tz_floor(seconds, BEACON_TZ_DAY);
    seconds -= days * BEACON_TZ_DAY;

    day = days + 719468;
    era = beacon_tz_floor(day, 146097);
    day -= era * 146097;
    of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    year = of_era + era * 400;

    memset(tm, 0, sizeof(struct tm));
    tm->tm_mon = (int) ((5 * of_year + 2) / 153);       /* March is 0 */
    tm->tm_mday = (int) (of_year - (153 * tm->tm_mon + 2) / 5 + 1);
    tm->tm_mon = (tm->tm_mon + 2) % 12;
    year += tm->tm_mon < 2;
    tm->tm_year = (int) (year - 1900);
    tm->tm_yday = (int) (days - beacon_tz_days(year, 1, 1));
    tm->tm_wday = (int) (days + 4 - beacon_tz_floor(days + 4, 7) * 7);
    tm->tm_hour = (int) (seconds / 3600);
    tm->tm_min = (int) (seconds / 60 % 60);
    tm->tm_sec = (int) (seconds % 60);
    tm->tm_isdst = type->dst;
    tm->tm_gmtoff = type->offset;
    tm->tm_zone = "";
}

static bool
beacon_tz_accept(beacon_tz_text_t *t, char c)
{
    if (t->p && t->p < t->end && *t->p == c) {
        t->p++;
        return true;
    }

    return false;
}

static int
beacon_tz_number(beacon_tz_text_t *t, int min, int max)
{
    int          n = 0;
    const char  *start = t->p;

    while (t->p && t->p < t->end && *t->p >= '0' && *t->p <= '9') {
        n = n * 10 + (*t->p++ - '0');

        if (n > max) {
            t->p = NULL;
            return 0;
        }
    }

    if (t->p == start || n < min) {
        t->p = NULL;
    }

    return n;
}

/* An abbreviation: letters, or anything in < >. */
static void
beacon_tz_name(beacon_tz_text_t *t)
{
    const char  *start;

    if (beacon_tz_accept(t, '<')) {
        while (t->p < t->end && *t->p != '>') {
            t->p++;
        }

        if (!beacon_tz_accept(t, '>')) {
            t->p = NULL;
        }

        return;
    }

    start = t->p;

    while (t->p && t->p < t->end
           && ((*t->p >= 'a' && *t->p <= 'z')
               || (*t->p >= 'A' && *t->p <= 'Z')))
    {
        t->p++;
    }

    if (t->p == start) {
        t->p = NULL;
    }
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int32_t
beacon_tz_time(beacon_tz_text_t *t, int hours)
{
    int32_t  sign = 1, n;

    if (beacon_tz_accept(t, '-')) {
        sign = -1;
    } else {
        (void) beacon_tz_accept(t, '+');
    }

    n = beacon_tz_number(t, 0, hours) * 3600;

    if (beacon_tz_accept(t, ':')) {
        n += beacon_tz_number(t, 0, 59) * 60;

        if (beacon_tz_accept(t, ':')) {
            n += beacon_tz_number(t, 0, 59);
        }
    }

    return sign * n;
}

/* Mm.w.d, Jn or n, and /time. */
static void
beacon_tz_day(beacon_tz_text_t *t, beacon_tz_day_t *day)
{
    if (beacon_tz_accept(t, 'M')) {
        day->kind = 'M';
        day->month = beacon_tz_number(t, 1, 12);
        t->p = beacon_tz_accept(t, '.') ? t->p : NULL;
        day->week = beacon_tz_number(t, 1, 5);
        t->p = beacon_tz_accept(t, '.') ? t->p : NULL;
        day->day = beacon_tz_number(t, 0, 6);

    } else if (beacon_tz_accept(t, 'J')) {
        day->kind = 'J';
        day->day = beacon_tz_number(t, 1, 365);

    } else {
        day->kind = 'n';
        day->day = beacon_tz_number(t, 0, 365);
    }

    day->time = beacon_tz_accept(t, '/') ? beacon_tz_time(t, 167) : 7200;
}

bool
beacon_tz_footer(beacon_tz_rule_t *rule, const char *text, size_t len)
{
    beacon_tz_text_t  t = { text, text + len };

    if (len == 0) {
        return true;
    }

    beacon_tz_name(&t);
    rule->offset[0] = -beacon_tz_time(&t, 24);
    rule->present = true;

    if (t.p == NULL || t.p == t.end) {
        return t.p != NULL;
    }

    beacon_tz_name(&t);
    rule->dst = true;
    rule->offset[1] = rule->offset[0] + 3600;

    if (t.p && t.p < t.end && *t.p != ',') {
        rule->offset[1] = -beacon_tz_time(&t, 24);
    }

    /* POSIX leaves a missing rule open; RFC 8536 files always have one */

    t.p = beacon_tz_accept(&t, ',') ? t.p : NULL;
    beacon_tz_day(&t, &rule->change[0]);
    t.p = beacon_tz_accept(&t, ',') ? t.p : NULL;
    beacon_tz_day(&t, &rule->change[1]);

    return t.p == t.end;
}

/* Seconds since 1970, in local time, of a change in a year. */
static int64_t
beacon_tz_change(const beacon_tz_day_t *day, int64_t year)
{
    int      weekday, length;
    int64_t  days, january = beacon_tz_days(year, 1, 1);

    static const uint8_t  lengths[] = { 31, 28, 31, 30, 31, 30,
                                        31, 31, 30, 31, 30, 31 };

    switch (day->kind) {
    case 'J':
        days = january + day->day - 1 + (beacon_tz_leap(year)
                                         && day->day >= 60);
        break;

    case 'n':
        days = january + day->day;
        break;

    default:
        days = beacon_tz_days(year, day->month, 1);
        weekday = (int) (days + 4 - beacon_tz_floor(days + 4, 7) * 7);
        length = lengths[day->month - 1]
                 + (day->month == 2 && beacon_tz_leap(year));
        weekday = (day->day - weekday + 7) % 7 + (day->week - 1) * 7;
        days += weekday < length ? weekday : weekday - 7;
        break;
    }

    return days * BEACON_TZ_DAY + day->time;
}

/*
 * Six changes, those of
 * the year and of its neighbours, in order; of several at one instant the last
 * counts (daylight time all year ends and starts at the same one).
 */
int64_t
beacon_tz_rule(const beacon_tz_rule_t *rule, int64_t seconds,
    beacon_tz_type_t *type)
{
    int       i, j, n = 0, dst[6] = { 0 };
    int64_t   at, year, times[6] = { 0 };
    struct tm tm;

    type->offset = rule->offset[0];
    type->dst = 0;

    if (!rule->dst) {
        return INT64_MAX;
    }

    beacon_tz_break(seconds, type, &tm);

    for (year = tm.tm_year + 1899; year <= tm.tm_year + 1901; year++) {
        for (i = 0; i < 2; i++) {
            at = beacon_tz_change(&rule->change[i], year) - rule->offset[i];

            for (j = n++; j > 0 && times[j - 1] > at; j--) {
                times[j] = times[j - 1];
                dst[j] = dst[j - 1];
            }

            times[j] = at;
            dst[j] = !i;
        }
    }

    for (i = 0; i < 5 && times[i + 1] <= seconds; i++) {
        /* the last change that is not in the future */
    }

    type->offset = rule->offset[dst[i]];
    type->dst = (uint8_t) dst[i];

    return i < 5 ? times[i + 1] : seconds + 1;
}
