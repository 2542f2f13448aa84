/* The own parts of sinks that write files: log, ids. */

#include "beacond_conf_check.h"
#include "beacon_template.h"
#include "beacon_tz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

beacon_rc_t
beacond_conf_sync(const char *text, int *ms)
{
    char  *end;
    long   n, unit;

    if (strcmp(text, "always") == 0) {
        *ms = 0;
        return BEACON_OK;
    }

    if (strcmp(text, "off") == 0) {
        *ms = BEACOND_SYNC_OFF;
        return BEACON_OK;
    }

    if (text[0] < '0' || text[0] > '9') {
        return BEACON_INVALID;
    }

    errno = 0;
    n = strtol(text, &end, 10);
    unit = (strcmp(end, "s") == 0) ? 1000 : (strcmp(end, "ms") == 0) ? 1 : 0;

    if (errno != 0 || unit == 0 || n < 1 || n > 86400000 / unit) {
        return BEACON_INVALID;
    }

    *ms = (int) (n * unit);
    return BEACON_OK;
}

static void
beacond_conf_check_timezone(beacond_conf_check_t *check, const char *name)
{
    beacon_tz_t        *tz;
    beacon_str_t        text;
    beacon_err_t        err;
    beacon_template_t  *tmpl;

    text.data = (const uint8_t *) name;
    text.len = strlen(name);

    if (beacon_template_create(text, &tmpl, &err) != BEACON_OK) {
        beacond_conf_fail(check, "timezone \"%s\": %s", name, err.text);
        return;
    }

    if (beacon_template_uses(tmpl) & BEACON_TEMPLATE_TIME) {
        beacond_conf_fail(check, "timezone \"%s\" must not vary with the "
                          "time", name);

    } else if (beacon_template_uses(tmpl) == 0) {
        if (beacon_tz_create(name, &tz, &err) == BEACON_OK) {
            beacon_tz_destroy(tz);

        } else {
            beacond_conf_fail(check, "%s", err.text);
        }
    }

    beacon_template_destroy(tmpl);
}

/* A sink's files must not lie among ours. */
static void
beacond_conf_check_dir(beacond_conf_check_t *check, const char *path,
    const char *dir, size_t len, const beacond_conf_t *conf)
{
    if (conf->dir != NULL && beacond_conf_inside(dir, len, conf->dir)) {
        beacond_conf_fail(check, "\"%s\" lies in the ring's directory", path);

    } else if (conf->spool != NULL
               && beacond_conf_inside(dir, len, conf->spool))
    {
        beacond_conf_fail(check, "\"%s\" lies in the spool's directory",
                          path);
    }
}

static void
beacond_conf_check_path(beacond_conf_check_t *check, const char *path,
    const beacond_conf_t *conf)
{
    beacon_str_t        text, dir;
    beacon_err_t        err;
    beacon_template_t  *tmpl;

    text.data = (const uint8_t *) path;
    text.len = strlen(path);

    if (beacon_template_create(text, &tmpl, &err) != BEACON_OK) {
        beacond_conf_fail(check, "\"%s\": %s", path, err.text);
        return;
    }

    if (beacon_template_path(tmpl, &dir, &err) != BEACON_OK) {
        beacond_conf_fail(check, "\"%s\": %s", path, err.text);
        beacon_template_destroy(tmpl);
        return;
    }

    beacond_conf_check_dir(check, path, (const char *) dir.data, dir.len,
                           conf);
    beacon_template_destroy(tmpl);
}

void
beacond_conf_check_log(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf)
{
    int          ms;
    const char  *text;

    text = beacond_conf_string(check, sink, "path", true);

    if (text != NULL) {
        beacond_conf_check_path(check, text, conf);
    }

    text = beacond_conf_string(check, sink, "timezone", false);

    if (text != NULL) {
        beacond_conf_check_timezone(check, text);
    }

    text = beacond_conf_string(check, sink, "sync", false);

    if (text != NULL && beacond_conf_sync(text, &ms) != BEACON_OK) {
        beacond_conf_fail(check, "sync \"%s\" must be \"always\", \"off\", or "
                          "a time such as 1s or 200ms", text);
    }

    beacond_conf_integer(check, sink, "max_files", 512, 1, 1000000);
}

void
beacond_conf_check_ids(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf)
{
    const char  *path;

    path = beacond_conf_string(check, sink, "path", true);

    if (path == NULL) {
        return;
    }

    if (!beacond_conf_plain_path(path)) {
        beacond_conf_fail(check, "\"%s\" must be an absolute path without "
                          "\".\" and \"..\"", path);
        return;
    }

    beacond_conf_check_dir(check, path, path, strlen(path), conf);
}
