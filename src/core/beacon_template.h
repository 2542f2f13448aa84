/*
 * Templates of sinks: a path or a topic from a hit's variables and its time.
 *
 *     $beacon_site  ${beacon_site}  $beacon_visitor  $beacon_id  $beacon_edge
 *     $beacon_field_NAME  $beacon_arg_NAME
 *     %Y %m %d %H %M %S %j %G %V %u %y %F %s %%  of the hit's time, in the
 *                                                sink's time zone
 *
 * A site stands as it is.  In every other value bytes outside [A-Za-z0-9_.-]
 * become '_', so does a leading dot, and it is cut at 64 bytes; an empty value
 * is "_".  So no value can name another directory.
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
 * For paths: absolute, no "." or ".." or empty component, and a fixed
 * directory before the first variable or conversion.  *dir: that directory,
 * without the slash at its end (in the template's memory).
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
 * The variables other than site and time, as written ("beacon_field_tz"):
 * number and i-th name.  Values travel with a batch in an order of the
 * caller's: beacon_template_bind() says for each variable where.
 */
uint32_t beacon_template_nvars(const beacon_template_t *tmpl);
beacon_str_t beacon_template_var(const beacon_template_t *tmpl, uint32_t i);
void beacon_template_bind(beacon_template_t *tmpl, uint32_t i,
    uint32_t index);

/*
 * The sanitized value of a variable name for a hit, into buf (64 bytes);
 * returns its length, 1..64.  schema may be NULL (lost).
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

#endif /* BEACON_TEMPLATE_H */
