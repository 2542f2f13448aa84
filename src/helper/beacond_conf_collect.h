/*
 * A collector's own part of beacon.json: endpoints as beacond_conf_spy.h tells,
 * and what it subscribes to; "sites" absent: all.
 *
 *     {"type":"collect","name":"collect","bind":"tcp://127.0.0.1:5557",
 *      "sites":["shop","blog"],"at":"…:14"}
 */

#ifndef BEACOND_CONF_COLLECT_H
#define BEACOND_CONF_COLLECT_H

#include "beacond_conf_spy.h"

#define BEACOND_COLLECT_SITES  1024

typedef struct {
    beacond_endpoints_t  endpoints;     /* to be disposed of */
    const json_t        *sites;         /* NULL: all */
} beacond_conf_collect_t;

/* INVALID: err has the first complaint. */
beacon_rc_t beacond_conf_collect_read(beacond_conf_collect_t *own,
    const json_t *sink, beacon_err_t *err);

#endif /* BEACOND_CONF_COLLECT_H */
