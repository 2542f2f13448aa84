/* Adoption: a running engine goes over to a new configuration. */

#include "beacond_live.h"
#include "beacond_parts.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_STOP_WAIT  (500 * BEACOND_MS)

static beacond_sinker_t *
beacond_engine_sink(beacond_engine_t *engine, const char *name)
{
    uint32_t  i;

    for (i = 0; i < engine->nsinks; i++) {
        if (strcmp(engine->sinks[i]->name, name) == 0) {
            return engine->sinks[i];
        }
    }

    return NULL;
}

/* The running sink that this object describes. */
static beacond_sinker_t *
beacond_engine_same(beacond_engine_t *engine, const beacond_conf_sink_t *conf)
{
    int                same;
    json_t            *json;
    beacond_sinker_t  *sinker;

    sinker = beacond_engine_sink(engine, conf->name);

    if (sinker == NULL) {
        return NULL;
    }

    json = beacond_conf_placeless(conf->json);
    same = json_equal(json, sinker->json);
    json_decref(json);

    return same ? sinker : NULL;
}

/* What a running sink was to be cannot be: its books tell of it. */
static void
beacond_engine_refused(beacond_engine_t *engine, const beacond_sinker_t *made)
{
    beacond_sinker_t  *sinker;

    sinker = beacond_engine_sink(engine, made->name);

    if (sinker != NULL) {
        pthread_mutex_lock(&engine->mutex);
        sinker->refused++;
        sinker->refused_ns = beacond_clock_ns();
        sinker->refused_why = made->why;
        pthread_mutex_unlock(&engine->mutex);
    }
}

/* The sinks of the new configuration that are not running as they are. */
static beacon_rc_t
beacond_engine_make(beacond_engine_t *engine, const beacond_conf_t *conf,
    beacond_sinker_t **made, beacon_err_t *err)
{
    size_t             i;
    beacond_sinker_t  *sinker;

    if (conf->nsinks > BEACON_BOOKS_SINKS) {
        beacon_err(err, "more than %d sinks", BEACON_BOOKS_SINKS);
        return BEACON_INVALID;
    }

    if (engine->nsinks + engine->nleaving > BEACON_BOOKS_SINKS) {
        beacon_err(err, "%u sinks are stuck", engine->nleaving);
        return BEACON_INVALID;
    }

    for (i = 0; i < conf->nsinks; i++) {
        sinker = beacond_engine_same(engine, &conf->sinks[i]);

        if (sinker != NULL
            && (sinker->sink.ops->again == NULL
                || !sinker->sink.ops->again(conf, conf->sinks[i].json)))
        {
            continue;
        }

        sinker = beacond_sinker_create(engine, conf, &conf->sinks[i], err);

        if (sinker == NULL) {
            return BEACON_INVALID;
        }

        made[i] = sinker;
        sinker->known = beacond_engine_sink(engine, sinker->name) != NULL;

        if (beacond_sinker_make(sinker) != BEACON_OK) {
            *err = sinker->why;
            beacond_engine_refused(engine, sinker);
            return BEACON_INVALID;
        }
    }

    return BEACON_OK;
}

/* The numbers of the old sink, for one of its name without a checkpoint. */
static void
beacond_engine_succeed(const beacond_sinker_t *old, beacond_sinker_t **made,
    size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (made[i] != NULL && strcmp(made[i]->name, old->name) == 0) {
            made[i]->before = old->before;
            made[i]->done = old->done;
        }
    }
}

/* The table in the order of the new configuration. */
static void
beacond_engine_swap(beacond_engine_t *engine, const beacond_conf_t *conf,
    beacond_sinker_t **made)
{
    size_t             i, n = 0;
    uint32_t           k;
    beacond_sinker_t  *sinks[BEACON_BOOKS_SINKS], *old[BEACON_BOOKS_SINKS];

    for (i = 0; i < conf->nsinks; i++) {
        sinks[i] = made[i] != NULL ? made[i]
                   : beacond_engine_same(engine, &conf->sinks[i]);
    }

    /* the old ones give what they know to their checkpoints first */

    for (k = 0; k < engine->nsinks; k++) {
        for (i = 0; i < conf->nsinks; i++) {
            if (sinks[i] == engine->sinks[k]) {
                break;
            }
        }

        if (i < conf->nsinks) {
            continue;
        }

        if (beacond_sinker_stop(engine->sinks[k], BEACOND_STOP_WAIT)) {
            old[n++] = engine->sinks[k];

        } else {
            engine->leaving[engine->nleaving++] = engine->sinks[k];
            beacond_log(BEACOND_WARN, "sink \"%s\" is stuck: it is left "
                        "alone", engine->sinks[k]->name);
        }

        beacond_engine_succeed(engine->sinks[k], made, conf->nsinks);
    }

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < conf->nsinks; i++) {
        if (made[i] != NULL) {
            beacond_engine_join(engine, made[i]);

        } else if (sinks[i]->mode == BEACOND_STARTING) {
            sinks[i]->reopen = true;    /* what it waits for may be there */
            pthread_cond_signal(&sinks[i]->cond);
        }

        engine->sinks[i] = sinks[i];
    }

    engine->nsinks = (uint32_t) conf->nsinks;
    engine->dirty = true;
    beacond_readers_told(engine);
    pthread_mutex_unlock(&engine->mutex);

    while (n > 0) {
        beacond_sinker_destroy(old[--n]);
    }
}

/* Sinks that go on have pointers to the conf they were made with. */
static beacon_rc_t
beacond_engine_keep(beacond_engine_t *engine)
{
    uint32_t           i, k, n;
    beacond_conf_t   **old;
    beacond_sinker_t  *sinker;

    for (i = 0; i < engine->nold; /* void */ ) {
        n = engine->nsinks + engine->nleaving;

        for (k = 0; k < n; k++) {
            sinker = k < engine->nsinks ? engine->sinks[k]
                     : engine->leaving[k - engine->nsinks];

            if (sinker->sink.conf == engine->old[i]) {
                break;
            }
        }

        if (k < n) {
            i++;
            continue;
        }

        beacond_conf_destroy(engine->old[i]);
        engine->old[i] = engine->old[--engine->nold];
    }

    old = realloc(engine->old, (engine->nold + 1) * sizeof(*old));
    if (old == NULL) {
        return BEACON_SYS;
    }

    engine->old = old;

    return BEACON_OK;
}

/* Has one of this name not ended yet?  Its files are its own until then. */
static bool
beacond_adopt_leaving(const beacond_engine_t *engine, const char *name)
{
    uint32_t  i;

    for (i = 0; i < engine->nleaving; i++) {
        if (strcmp(engine->leaving[i]->name, name) == 0) {
            return true;
        }
    }

    return false;
}

/* Lets go of sinks that have ended at last, and makes the threads that wait
   for that, or could not be made before. */
void
beacond_adopt_reap(beacond_engine_t *engine)
{
    uint32_t                    i;
    beacond_sinker_t           *sinker;
    static beacond_log_limit_t  limit;

    if (engine->halting) {
        return;
    }

    for (i = engine->nleaving; i-- > 0; /* void */ ) {
        sinker = engine->leaving[i];

        if (beacond_sinker_stop(sinker, 1)) {
            engine->leaving[i] = engine->leaving[--engine->nleaving];
            beacond_log(BEACOND_NOTICE, "sink \"%s\" has ended",
                        sinker->name);
            beacond_sinker_destroy(sinker);
        }
    }

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];

        if (!sinker->running && !beacond_adopt_leaving(engine, sinker->name)
            && beacond_sinker_start(sinker) != BEACON_OK
            && beacond_log_due(&limit, NULL))
        {
            beacond_log(BEACOND_ERROR, "cannot make a thread for sink \"%s\"",
                        sinker->name);
        }
    }

    if (engine->nreaders == 0 && beacond_readers_start(engine) != BEACON_OK
        && beacond_log_due(&limit, NULL))
    {
        beacond_log(BEACOND_ERROR, "cannot make threads for readers");
    }

    if (engine->spool != NULL && !engine->spool_running
        && beacond_spooler_start(engine) != BEACON_OK
        && beacond_log_due(&limit, NULL))
    {
        beacond_log(BEACOND_ERROR, "cannot make a thread for the spool");
    }
}

static beacon_rc_t
beacond_engine_adopt(beacond_engine_t *engine, beacond_conf_t *conf,
    beacond_sinker_t **made, beacon_err_t *err)
{
    int              threads = engine->conf->threads;
    beacond_conf_t  *old = engine->conf;

    if (beacond_engine_keep(engine) != BEACON_OK
        || beacond_spooler_open(engine, conf, err) != BEACON_OK)
    {
        return BEACON_SYS;
    }

    pthread_mutex_lock(&engine->mutex);
    engine->conf = conf;
    pthread_mutex_unlock(&engine->mutex);

    beacond_engine_swap(engine, conf, made);

    pthread_mutex_lock(&engine->pool.mutex);
    engine->pool.max = beacond_engine_live(conf)
                       + engine->nleaving * (BEACOND_UNACKED + 1);
    pthread_mutex_unlock(&engine->pool.mutex);

    beacond_lanes_scan(engine);

    if (threads != conf->threads) {
        beacond_readers_stop(engine);
    }

    beacond_live_without(conf);
    beacond_adopt_reap(engine);

    engine->old[engine->nold++] = old;

    return BEACON_OK;
}

beacon_rc_t
beacond_engine_configure(beacond_engine_t *engine, beacond_conf_t *conf,
    beacon_err_t *err)
{
    size_t             i;
    beacon_rc_t        rc;
    beacond_sinker_t  *made[BEACON_BOOKS_SINKS] = { NULL };

    pthread_mutex_lock(&engine->admin);

    pthread_mutex_lock(&engine->mutex);
    engine->names_new = 0;
    pthread_mutex_unlock(&engine->mutex);

    rc = beacond_engine_make(engine, conf, made, err);

    if (rc == BEACON_OK) {
        rc = beacond_engine_adopt(engine, conf, made, err);
    }

    if (rc == BEACON_OK) {
        beacond_books_former(engine);

    } else {
        for (i = 0; i < BEACON_BOOKS_SINKS; i++) {
            if (made[i] != NULL) {
                beacond_sinker_destroy(made[i]);
            }
        }
    }

    pthread_mutex_unlock(&engine->admin);

    return rc;
}
