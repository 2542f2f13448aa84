#include "beacond_live.h"
#include "beacond_parts.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_CLOSE  (4000 * BEACOND_MS)

static void
beacond_engine_wake(void *data)
{
    beacond_engine_t  *engine = data;

    /* without the mutex: a wake-up missed is made up for by the time-out */

    pthread_cond_broadcast(&engine->work);
}

uint32_t
beacond_engine_live(const beacond_conf_t *conf)
{
    return BEACOND_LIVE / 2 + (uint32_t) conf->threads
           + (uint32_t) conf->nsinks * (BEACOND_UNACKED + 1);
}

/*
 * A sink joins the table; where it stands is known when it has loaded.  If
 * nothing tells, one that is there from the start takes all that is left of a
 * ring's lane, in the spool too: an earlier helper may have died, and given
 * back what it had spooled, before it had written where its sinks stood.
 */
void
beacond_engine_join(beacond_engine_t *engine, beacond_sinker_t *sinker)
{
    uint32_t                i;
    beacond_lane_t         *lane;
    beacond_stand_t        *stand;
    const beacon_cursor_t  *from;

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];
        stand = &sinker->stands[i];
        from = engine->keeping || lane->ring == NULL ? &lane->reclaim
                                                     : &lane->spool_from;
        stand->taken = stand->free_to = stand->joined = *from;
        beacond_ranges_init(&stand->acked, from);
    }

    sinker->mode = BEACOND_STARTING;
    sinker->progress_ns = sinker->crowded_ns = beacond_clock_ns();
}

static void
beacond_engine_free(beacond_engine_t *engine)
{
    uint32_t  i;

    for (i = 0; i < engine->nsinks; i++) {
        beacond_sinker_destroy(engine->sinks[i]);
    }

    for (i = 0; i < engine->nleaving; i++) {
        beacond_sinker_destroy(engine->leaving[i]);
    }

    beacond_spooler_close(engine);
    beacond_lanes_detach(engine);

    if (engine->schemas != NULL) {
        beacond_schemas_destroy(engine->schemas);
    }

    for (i = 0; i < engine->nold; i++) {
        beacond_conf_destroy(engine->old[i]);
    }

    beacond_pool_dispose(&engine->pool);
    beacond_pool_dispose(&engine->passing);
    beacond_names_unref(engine->names);
    pthread_cond_destroy(&engine->work);
    pthread_cond_destroy(&engine->rest);
    pthread_cond_destroy(&engine->nap);
    pthread_mutex_destroy(&engine->mutex);
    pthread_mutex_destroy(&engine->admin);
    free(engine->old);
    free(engine->gone);
    free(engine);
}

static beacond_engine_t *
beacond_engine_new(beacond_conf_t *conf, beacon_counters_t *counters)
{
    beacond_engine_t  *engine;

    engine = calloc(1, sizeof(beacond_engine_t));
    if (engine == NULL) {
        return NULL;
    }

    pthread_mutex_init(&engine->admin, NULL);
    pthread_mutex_init(&engine->mutex, NULL);
    beacond_cond_init(&engine->work);
    beacond_cond_init(&engine->rest);
    beacond_cond_init(&engine->nap);
    beacond_pool_init(&engine->pool, beacond_engine_live(conf),
                      beacond_engine_wake, engine);
    beacond_pool_init(&engine->passing, 1, NULL, NULL);
    engine->conf = conf;
    engine->counters = counters;
    engine->started_ns = beacond_clock_date();
    engine->schemas = beacond_schemas_create(conf->dir, conf->spool);

    if (engine->schemas == NULL) {
        beacond_engine_free(engine);
        return NULL;
    }

    return engine;
}

/* One that cannot be made now is in the table all the same: STARTING. */
static beacon_rc_t
beacond_engine_sinks(beacond_engine_t *engine, beacon_err_t *err)
{
    size_t             i;
    beacond_sinker_t  *sinker;

    for (i = 0; i < engine->conf->nsinks && i < BEACON_BOOKS_SINKS; i++) {
        sinker = beacond_sinker_create(engine, engine->conf,
                                       &engine->conf->sinks[i], err);
        if (sinker == NULL) {
            return BEACON_INVALID;
        }

        (void) beacond_sinker_make(sinker);
        beacond_engine_join(engine, sinker);
        engine->sinks[engine->nsinks++] = sinker;
    }

    return BEACON_OK;
}

/* Threads; sinks first, so that what they hold back is known. */
static beacon_rc_t
beacond_engine_run(beacond_engine_t *engine)
{
    uint32_t  i;

    for (i = 0; i < engine->nsinks; i++) {
        if (beacond_sinker_start(engine->sinks[i]) != BEACON_OK) {
            return BEACON_SYS;
        }
    }

    if (beacond_spooler_start(engine) != BEACON_OK
        || beacond_readers_start(engine) != BEACON_OK)
    {
        return BEACON_SYS;
    }

    if (pthread_create(&engine->keeper, NULL, beacond_keeper_run, engine)
        != 0)
    {
        return BEACON_SYS;
    }

    engine->keeping = true;

    return BEACON_OK;
}

static void
beacond_engine_halt(beacond_engine_t *engine)
{
    uint32_t  i;

    pthread_mutex_lock(&engine->admin);
    engine->halting = true;
    pthread_mutex_unlock(&engine->admin);

    if (engine->nreaders > 0) {
        beacond_readers_stop(engine);
    }

    /* their last waits are one after the other else */

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nsinks; i++) {
        engine->sinks[i]->quit = true;
        pthread_cond_signal(&engine->sinks[i]->cond);
    }

    pthread_mutex_unlock(&engine->mutex);

    for (i = 0; i < engine->nsinks; i++) {
        beacond_sinker_stop(engine->sinks[i], 0);
    }

    for (i = 0; i < engine->nleaving; i++) {
        beacond_sinker_stop(engine->leaving[i], 0);
    }

    beacond_spooler_stop(engine);

    if (engine->keeping) {
        pthread_mutex_lock(&engine->mutex);
        engine->quit = true;
        pthread_cond_broadcast(&engine->rest);
        pthread_mutex_unlock(&engine->mutex);
        pthread_join(engine->keeper, NULL);
    }
}

beacond_engine_t *
beacond_engine_create(beacond_conf_t *conf, beacon_counters_t *counters,
    beacon_err_t *err)
{
    beacond_engine_t  *engine;

    engine = beacond_engine_new(conf, counters);

    if (engine == NULL) {
        beacon_err(err, "out of memory");
        return NULL;
    }

    beacond_books_start(engine);
    beacond_lanes_scan(engine);

    if (engine->attach_failed) {
        beacon_err(err, "a ring in %s cannot be attached", conf->dir);
        goto failed;
    }

    if (beacond_spooler_open(engine, conf, err) != BEACON_OK) {
        goto failed;
    }

    beacond_books_gone(engine);

    if (beacond_engine_sinks(engine, err) != BEACON_OK) {
        goto failed;
    }

    beacond_books_former(engine);
    beacond_live_without(conf);

    if (beacond_engine_run(engine) != BEACON_OK) {
        beacon_err(err, "cannot make a thread");
        beacond_engine_halt(engine);
        goto failed;
    }

    return engine;

failed:

    beacond_engine_free(engine);
    return NULL;
}

void
beacond_engine_reopen(beacond_engine_t *engine)
{
    uint32_t  i;

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nsinks; i++) {
        engine->sinks[i]->reopen = true;
        pthread_cond_signal(&engine->sinks[i]->cond);
    }

    pthread_mutex_unlock(&engine->mutex);
}

void
beacond_engine_stop(beacond_engine_t *engine, int ms)
{
    uint32_t  i;

    pthread_mutex_lock(&engine->mutex);

    if (ms >= 0 && !engine->stopping) {
        engine->stop_ns = beacond_clock_ns();
    }

    engine->stopping = ms >= 0;
    engine->closing = engine->closing && ms >= 0;

    for (i = 0; i < engine->nsinks; i++) {
        pthread_cond_signal(&engine->sinks[i]->cond);
    }

    pthread_cond_broadcast(&engine->work);
    pthread_cond_broadcast(&engine->rest);
    pthread_mutex_unlock(&engine->mutex);
}

int
beacond_engine_drained(beacond_engine_t *engine, uint64_t *left)
{
    int              owned = 0;
    uint32_t         i;
    uint64_t         n = 0;
    beacond_lane_t  *lane;
    beacon_cursor_t  at;

    pthread_mutex_lock(&engine->admin);
    pthread_mutex_lock(&engine->mutex);

    /* owners first: one that commits and leaves in between is seen by one of
       the two */

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (lane->used && lane->ring != NULL) {
            owned |= beacon_lane_owned(lane->ring, lane->number);
        }
    }

    beacond_lanes_tails(engine);

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (lane->used && lane->ring != NULL && !lane->broken) {
            at = beacond_keeper_durable(engine, i);
            n += at.offset < lane->reclaim.offset
                 ? lane->tail.ordinal - lane->reclaim.ordinal
                 : lane->tail.ordinal - at.ordinal;
        }
    }

    pthread_mutex_unlock(&engine->mutex);
    pthread_mutex_unlock(&engine->admin);

    if (left != NULL) {
        *left = n;
    }

    return !owned && n == 0;
}

bool
beacond_engine_close(beacond_engine_t *engine, bool closing)
{
    bool               begins, awaited = false;
    uint32_t           i;
    uint64_t           now = beacond_clock_ns();
    beacond_sinker_t  *sinker;

    pthread_mutex_lock(&engine->mutex);
    begins = closing && !engine->closing;
    engine->closing = closing;
    engine->closing_ns = begins ? now : engine->closing_ns;

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];

        if (begins) {
            sinker->awaited = sinker->sink.ops->awaits != NULL
                              && sinker->mode != BEACOND_STARTING;
            pthread_cond_signal(&sinker->cond);
        }

        awaited |= sinker->awaited;
    }

    awaited &= closing && now - engine->closing_ns < BEACOND_CLOSE;
    pthread_mutex_unlock(&engine->mutex);

    return !awaited;
}

bool
beacond_engine_spool_empty(beacond_engine_t *engine)
{
    bool      empty;
    uint32_t  i;

    if (engine->spool == NULL) {
        return true;
    }

    empty = beacond_spool_used(engine->spool) == 0
            && beacond_spool_taken(engine->spool) == 0;

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nsinks; i++) {
        empty &= engine->sinks[i]->mode != BEACOND_STARTING;
    }

    pthread_mutex_unlock(&engine->mutex);

    return empty;
}

void
beacond_engine_destroy(beacond_engine_t *engine)
{
    beacond_conf_t  *conf = engine->conf;

    beacond_engine_halt(engine);
    beacond_keeper_reclaim(engine);
    beacond_books_make(engine);
    beacond_engine_free(engine);
    beacond_conf_destroy(conf);
}
