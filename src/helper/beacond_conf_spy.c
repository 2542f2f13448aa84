#include "beacond_conf_spy.h"
#include "beacon_endpoint.h"
#include "beacond_visitor.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
beacond_endpoint_check(beacond_conf_check_t *check, const char *text,
    bool bind, bool safe)
{
    beacon_str_t       s = { strlen(text), (const uint8_t *) text };
    beacon_err_t       err;
    beacon_endpoint_t  endpoint;

    if (beacon_endpoint_parse(s, bind, &endpoint, &err) != BEACON_OK) {
        beacond_conf_fail(check, "endpoint \"%.300s\": %s", text, err.text);

    } else if (!endpoint.local && !safe) {
        beacond_conf_fail(check, "endpoint \"%s\" is not loopback: it wants "
                          "\"curve=\", or \"insecure\" if everybody may read "
                          "and write there", text);
    }
}

/* A string, or an array of them; returns their number. */
static uint32_t
beacond_endpoints_list(beacond_conf_check_t *check, const json_t *object,
    const char *key, bool safe, const char **list)
{
    size_t         i, n;
    uint32_t       count = 0;
    const char    *text;
    const json_t  *value = json_object_get(object, key);

    if (value == NULL) {
        return 0;
    }

    n = json_is_array(value) ? json_array_size(value) : 1;

    if (n > BEACOND_ENDPOINTS) {
        beacond_conf_fail(check, "\"%s\" has %zu endpoints, more than %d",
                          key, n, BEACOND_ENDPOINTS);
        return 0;
    }

    for (i = 0; i < n; i++) {
        text = json_string_value(json_is_array(value)
                                 ? json_array_get(value, i) : value);
        if (text == NULL) {
            beacond_conf_fail(check, "\"%s\" must be an endpoint, or a list "
                              "of them", key);
            return 0;
        }

        beacond_endpoint_check(check, text, strcmp(key, "bind") == 0, safe);
        list[count++] = text;
    }

    return count;
}

beacon_rc_t
beacond_endpoints_read(beacond_conf_check_t *check, const json_t *object,
    beacond_endpoints_t *endpoints)
{
    bool         safe, failed = check->failed;
    const char  *curve;

    memset(endpoints, 0, sizeof(beacond_endpoints_t));
    check->failed = false;

    curve = beacond_conf_string(check, object, "curve", false);
    safe = beacond_conf_bool(check, object, "insecure") || curve != NULL;
    endpoints->nbind = beacond_endpoints_list(check, object, "bind", safe,
                                              endpoints->bind);
    endpoints->nconnect = beacond_endpoints_list(check, object, "connect",
                                                 safe, endpoints->connect);

    if (endpoints->nbind + endpoints->nconnect == 0 && !check->failed) {
        beacond_conf_fail(check, "\"bind\" or \"connect\" must be there");
    }

    if (curve != NULL) {
        endpoints->curve = beacond_curve_create(check, curve,
                                                endpoints->nbind > 0,
                                                endpoints->nconnect > 0);
    }

    if (check->failed) {
        beacond_endpoints_dispose(endpoints);
        return BEACON_INVALID;
    }

    check->failed = failed;

    return BEACON_OK;
}

void
beacond_endpoints_dispose(beacond_endpoints_t *endpoints)
{
    beacond_curve_destroy(endpoints->curve);
    endpoints->curve = NULL;
}

static void
beacond_endpoint_place(beacond_conf_check_t *check, const char *text,
    const char *ring)
{
    char        *slash, path[PATH_MAX];
    struct stat  st;

    static const char  ipc[] = "ipc://";

    if (strncmp(text, ipc, sizeof(ipc) - 1) != 0) {
        return;
    }

    snprintf(path, sizeof(path), "%s", text + sizeof(ipc) - 1);

    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
        beacond_conf_warn(check, "endpoint \"%s\": what is there is no socket",
                          text);
        return;
    }

    slash = strrchr(path, '/');
    slash[slash == path] = '\0';

    if (strcmp(path, ring) != 0 && access(path, W_OK | X_OK) == -1) {
        beacond_conf_warn(check, "endpoint \"%s\": no socket can be made in "
                          "\"%s\": %s", text, path, strerror(errno));
    }
}

void
beacond_endpoints_places(beacond_conf_check_t *check,
    const beacond_endpoints_t *endpoints, const char *ring)
{
    uint32_t  i;

    for (i = 0; i < endpoints->nbind; i++) {
        beacond_endpoint_place(check, endpoints->bind[i], ring);
    }
}

void
beacond_conf_check_spy(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf)
{
    uint8_t              key[BEACOND_VISITOR_KEY];
    const char          *file;
    beacon_err_t         err;
    beacond_endpoints_t  endpoints;

    beacond_conf_bool(check, sink, "ip");
    file = beacond_conf_string(check, sink, "key", false);

    if (file != NULL
        && beacond_visitor_key(conf->dir, file, key, &err) != BEACON_OK)
    {
        beacond_conf_fail(check, "%s", err.text);
    }

    if (beacond_endpoints_read(check, sink, &endpoints) == BEACON_OK) {
        beacond_endpoints_places(check, &endpoints, conf->dir);
        beacond_endpoints_dispose(&endpoints);
    }
}
