/*
 * Templates of sinks: a path or a topic from a hit's variables and its time.
 *
 *     $beacon_site  ${beacon_site}  $beacon_visitor  $beacon_id  $beacon_edge
 *     $beacon_field_NAME  $beacon_arg_NAME (of the query, decoded)
 *     %Y %m %d %H %M %S %j %G %V %u %y %F %s %%  of the hit's time, in the
 *                                                sink's time zone
 *
 * A site stands as it is.  In every other value bytes outside [A-Za-z0-9_.-]
 * become '_', so does a leading dot, and it is cut at 64 bytes; an empty value
 * is "_".  So no value can name another directory.  This is done where the
 * text is made, in beacon_template_eval(), whatever the values went through
 * before; a site that is none (shared memory is a stranger's) is treated like
 * any other value.
 */

#ifndef BEACON_TEMPLATE_H
#define BEACON_TEMPLATE_H

#include "beacon.h"
#include "beacon_hit.h"
#include "beacon_schema.h"

#include <time.h>

typedef struct beacon_template_s  beacon_template_t;

#define BEACON_TEMPLATE_VALUE_MAX  64

/* INVALID: err says which variable or conversion is unknown.  SYS: memory. */
beacon_rc_t beacon_template_create(beacon_str_t text,
    beacon_template_t **tmpl, beacon_err_t *err);
void beacon_template_destroy(beacon_template_t *tmpl);

/*
 * For paths: absolute, no "." or ".." or empty component, none that could
 * grow beyond NAME_MAX (nor all of it beyond PATH_MAX), and a fixed directory,
 * not "/", before the first variable or conversion.  *dir: that directory,
 * without the slash at its end (in the template's memory, not terminated).
 */
beacon_rc_t beacon_template_path(const beacon_template_t *tmpl,
    beacon_str_t *dir, beacon_err_t *err);

/* What varies in it. */
enum {
    BEACON_TEMPLATE_SITE = 1 << 0,
    BEACON_TEMPLATE_TIME = 1 << 1,      /* any % conversion */
    BEACON_TEMPLATE_OTHER = 1 << 2
};
unsigned beacon_template_uses(const beacon_template_t *tmpl);

/*
 * How often its time text can change, in seconds of local time: 0 (never), 1,
 * 60, 3600 or 86400, counted from local midnight.
 */
uint32_t beacon_template_period(const beacon_template_t *tmpl);

/*
 * The variables other than site and time, as written ("beacon_field_tz"):
 * number and i-th name.  Values travel with a batch in an order of the
 * caller's: beacon_template_bind() says for each variable where.
 */
uint32_t beacon_template_nvars(const beacon_template_t *tmpl);
beacon_str_t beacon_template_var(const beacon_template_t *tmpl, uint32_t i);
void beacon_template_bind(beacon_template_t *tmpl, uint32_t i,
    uint32_t index);
uint32_t beacon_template_index(const beacon_template_t *tmpl, uint32_t i);

/*
 * The value of a variable for a hit, cut at 64 bytes, into buf; returns its
 * length, 0..64.  Not sanitized yet: a time zone's name has a slash in it.
 * schema may be NULL (lost): fields are then empty.
 */
size_t beacon_template_value(beacon_str_t name, const beacon_hit_t *hit,
    const beacon_schema_t *schema, beacon_str_t id, uint8_t *buf);

/*
 * Evaluates at a hit's time, broken down in the sink's zone (beacon_tz.h), into
 * dst (no NUL).  values[] as bound; site overrides the hit's
 * own ("_overflow").  Returns the length; 0: it does not fit cap.
 */
size_t beacon_template_eval(const beacon_template_t *tmpl, beacon_str_t site,
    const beacon_str_t *values, const struct tm *tm, int64_t unix_seconds,
    char *dst, size_t cap);

/*
 * The same with values as they are: for a name that is looked up and checked
 * there (a time zone's), never for a path or a topic.
 */
size_t beacon_template_text(const beacon_template_t *tmpl, beacon_str_t site,
    const beacon_str_t *values, char *dst, size_t cap);

#endif /* BEACON_TEMPLATE_H */
