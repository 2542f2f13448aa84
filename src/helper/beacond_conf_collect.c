#include "beacond_conf_collect.h"

#include <string.h>

static void
beacond_conf_collect_sites(beacond_conf_check_t *check, const json_t *sink,
    beacond_conf_collect_t *own)
{
    size_t         i;
    const json_t  *site;

    own->sites = json_object_get(sink, "sites");

    if (own->sites == NULL) {
        return;
    }

    if (!json_is_array(own->sites) || json_array_size(own->sites) == 0
        || json_array_size(own->sites) > BEACOND_COLLECT_SITES)
    {
        beacond_conf_fail(check, "\"sites\" must be an array of 1 to %d "
                          "sites", BEACOND_COLLECT_SITES);
        return;
    }

    for (i = 0; i < json_array_size(own->sites); i++) {
        site = json_array_get(own->sites, i);

        if (!json_is_string(site)
            || !beacon_site_valid((const uint8_t *) json_string_value(site),
                                  json_string_length(site)))
        {
            beacond_conf_fail(check, "\"%s\" is no site",
                              json_is_string(site) ? json_string_value(site)
                                                   : "that");
        }
    }
}

static void
beacond_conf_collect(beacond_conf_check_t *check, const json_t *sink,
    beacond_conf_collect_t *own)
{
    (void) beacond_endpoints_read(check, sink, &own->endpoints);
    beacond_conf_collect_sites(check, sink, own);
}

void
beacond_conf_check_collect(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf)
{
    size_t                  i;
    beacond_conf_collect_t  own;

    beacond_conf_collect(check, sink, &own);

    if (!check->failed) {
        beacond_endpoints_places(check, &own.endpoints, conf->dir);
    }

    beacond_endpoints_dispose(&own.endpoints);

    for (i = 0; i < conf->nsinks; i++) {
        if (strcmp(conf->sinks[i].type, "live") == 0) {
            return;
        }
    }

    beacond_conf_fail(check, "a collector needs a live store");
}

/* Keeps the first complaint. */
static void
beacond_conf_collect_say(void *data, const char *at, const char *text)
{
    beacon_err_t  *err = data;

    if (err->text[0] == '\0' && strncmp(text, "warning: ", 9) != 0) {
        beacon_err(err, "%s%s%s", at, at[0] ? ": " : "", text);
    }
}

beacon_rc_t
beacond_conf_collect_read(beacond_conf_collect_t *own, const json_t *sink,
    beacon_err_t *err)
{
    beacond_conf_check_t  check = { beacond_conf_collect_say, err, "",
                                    false };

    err->text[0] = '\0';
    beacond_conf_collect(&check, sink, own);

    if (!check.failed) {
        return BEACON_OK;
    }

    beacond_endpoints_dispose(&own->endpoints);

    return BEACON_INVALID;
}
