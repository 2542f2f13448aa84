/*
 * The spy master's sink.  What this host's workers take is not its business:
 * that is done as it comes.
 */

#include "beacond_collect.h"
#include "beacond_conf_collect.h"
#include "beacond_sink.h"
#include "beacond_zmq_guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void
beacond_scollect_free(beacond_collect_t *collect)
{
    size_t  i;

    for (i = 0; i < collect->nsites; i++) {
        free(collect->sites[i]);
    }

    if (collect->wake >= 0) {
        close(collect->wake);
    }

    beacond_endpoints_dispose(&collect->endpoints);
    beacon_json_dispose(&collect->json);
    pthread_mutex_destroy(&collect->mutex);
    free((void *) (uintptr_t) collect->acquaintance.data);
    free(collect->sites);
    free(collect);
}

/* The sites, and all of them in one text: "/shop,blog". */
static beacon_rc_t
beacond_scollect_sites(beacond_collect_t *collect, const json_t *sites)
{
    char    *text, *p;
    size_t   i, n;

    n = json_array_size(sites);
    text = p = calloc(n + 1, BEACON_SITE_MAX + 2);
    collect->sites = calloc(n + 1, sizeof(char *));

    if (text == NULL || collect->sites == NULL) {
        free(text);
        return BEACON_SYS;
    }

    *p++ = '/';

    for (i = 0; i < n; i++) {
        collect->sites[i] = strdup(json_string_value(json_array_get(sites,
                                                                    i)));
        if (collect->sites[i] == NULL) {
            break;
        }

        collect->nsites = i + 1;
        p += sprintf(p, "%s%s", i ? "," : "", collect->sites[i]);
    }

    collect->acquaintance.data = (uint8_t *) text;
    collect->acquaintance.len = (size_t) (p - text);

    return i == n ? BEACON_OK : BEACON_SYS;
}

static void
beacond_scollect_ends(beacond_collect_t *collect)
{
    uint32_t                    i;
    const beacond_endpoints_t  *endpoints = &collect->endpoints;

    for (i = 0; i < endpoints->nbind; i++) {
        collect->ends[collect->nends].endpoint = endpoints->bind[i];
        collect->ends[collect->nends++].binds = true;
    }

    for (i = 0; i < endpoints->nconnect; i++) {
        collect->ends[collect->nends++].endpoint = endpoints->connect[i];
    }
}

static beacon_rc_t
beacond_scollect_create(beacond_sink_t *sink, const json_t *conf,
    beacon_err_t *err)
{
    beacond_collect_t      *collect;
    beacond_conf_collect_t  own;

    if (beacond_conf_collect_read(&own, conf, err) != BEACON_OK) {
        return BEACON_INVALID;
    }

    collect = calloc(1, sizeof(beacond_collect_t));

    if (collect == NULL) {
        beacond_endpoints_dispose(&own.endpoints);
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    pthread_mutex_init(&collect->mutex, NULL);
    beacon_json_init(&collect->json, (uint64_t) (uintptr_t) collect);
    collect->name = sink->name;
    collect->dir = sink->conf->dir;
    collect->endpoints = own.endpoints;
    beacond_scollect_ends(collect);
    collect->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (collect->wake < 0
        || beacond_scollect_sites(collect, own.sites) != BEACON_OK)
    {
        beacon_err(err, "out of memory");
        beacond_scollect_free(collect);
        return BEACON_SYS;
    }

    sink->data = collect;

    return BEACON_OK;
}

static void
beacond_scollect_destroy(beacond_sink_t *sink)
{
    uint64_t            one = 1;
    beacond_collect_t  *collect = sink->data;

    if (collect->running) {
        while (write(collect->wake, &one, sizeof(one)) != sizeof(one)) {
            /* a signal came between */
        }

        pthread_join(collect->thread, NULL);
    }

    beacond_scollect_free(collect);
}

/* The one before it, with its endpoint, has ended. */
static beacon_rc_t
beacond_scollect_load(beacond_sink_t *sink, beacond_checkpoint_t *checkpoint)
{
    beacond_collect_t  *collect = sink->data;

    (void) checkpoint;

    if (pthread_create(&collect->thread, NULL, beacond_collect_run, collect)
        != 0)
    {
        beacon_err(&collect->why, "cannot make a thread");
        collect->errors++;
        return BEACON_AGAIN;
    }

    collect->running = true;

    return BEACON_OK;
}

static beacon_rc_t
beacond_scollect_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    beacond_sink_ack(sink, batch, 0, batch->nhits);

    return BEACON_OK;
}

static int
beacond_scollect_flush(beacond_sink_t *sink, bool force)
{
    beacond_collect_t  *collect = sink->data;

    (void) force;

    pthread_mutex_lock(&collect->mutex);
    sink->last_success_ns = collect->last_ns;
    sink->errors = collect->errors;
    pthread_mutex_unlock(&collect->mutex);

    return 50;
}

static void
beacond_scollect_status(beacond_sink_t *sink, json_t *object)
{
    size_t                      i;
    beacond_collect_t          *collect = sink->data;
    beacond_zmq_guard_stats_t   guard;

    beacond_zmq_guard_stats(&guard);
    pthread_mutex_lock(&collect->mutex);

    const struct {
        const char  *name;
        uint64_t     n;
    } members[] = {
        { "peers", collect->peers },
        { "peers_refused", collect->refused },
        { "turned_away", guard.turned_away },
        { "cut", guard.cut },
        { "received", collect->received },
        { "hits", collect->hits },
        { "repeated", collect->repeated },
        { "ignored", collect->ignored },
        { "gap", collect->gaps.all }
    };

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        json_object_set_new(object, members[i].name,
                            json_integer((json_int_t) members[i].n));
    }

    json_object_set_new(object, "gaps", beacond_lacks_json(&collect->gaps));

    if (collect->why.text[0] != '\0') {
        json_object_set_new(object, "last_error",
                            json_stringn(collect->why.text,
                                strnlen(collect->why.text, 160)));
    }

    pthread_mutex_unlock(&collect->mutex);
}

const beacond_sink_ops_t  beacond_sink_collect = {
    .type = "collect",
    .create = beacond_scollect_create,
    .destroy = beacond_scollect_destroy,
    .load = beacond_scollect_load,
    .batch = beacond_scollect_batch,
    .flush = beacond_scollect_flush,
    .status = beacond_scollect_status,
    .retry_ms = 1000
};
