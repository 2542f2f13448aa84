/* Opening a spool, at start and when a reload brings one; closing. */

#include "beacond_parts.h"
#include "beacond_spool_last.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_STUCK     (1000 * BEACOND_MS)

/* Lanes that a spool brings and the table has not. */
typedef struct {
    beacond_engine_t      *engine;
    uint32_t               n;
    beacond_spool_lane_t   lanes[BEACOND_LANES];
} beacond_spooler_new_t;

static void
beacond_spooler_count(void *data, const beacond_spool_lane_t *held)
{
    uint32_t                i;
    beacond_spooler_new_t  *new = data;

    if (beacond_lanes_find(new->engine, held->epoch, held->lane, NULL) != NULL)
    {
        return;
    }

    for (i = 0; i < new->n && i < BEACOND_LANES; i++) {
        if (new->lanes[i].epoch == held->epoch
            && new->lanes[i].lane == held->lane)
        {
            return;
        }
    }

    if (i < BEACOND_LANES) {
        new->lanes[i] = *held;
    }

    new->n++;
}

/* Has the table room for all of its lanes? */
static beacon_rc_t
beacond_spooler_fits(beacond_engine_t *engine, beacond_spool_t *spool,
    beacon_err_t *err)
{
    bool                    fits;
    beacond_spooler_new_t  *new;

    new = malloc(sizeof(beacond_spooler_new_t));

    if (new == NULL) {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    new->engine = engine;
    new->n = 0;

    pthread_mutex_lock(&engine->mutex);
    beacond_spool_each(spool, beacond_spooler_count, new);
    fits = new->n <= beacond_lanes_free(engine);
    pthread_mutex_unlock(&engine->mutex);

    free(new);

    if (!fits) {
        beacon_err(err, "the spool %s holds more lanes than there is room "
                   "for: with those of the rings %d", spool->dir,
                   BEACOND_LANES);
        return BEACON_INVALID;
    }

    return BEACON_OK;
}

/* What the spool holds of a lane, segment by segment. */
static void
beacond_spooler_found(void *data, const beacond_spool_lane_t *held)
{
    beacond_lane_t    *lane;
    beacond_engine_t  *engine = data;

    lane = beacond_lanes_find(engine, held->epoch, held->lane, NULL);

    if (lane == NULL) {
        lane = beacond_lanes_add(engine, held->epoch, held->lane);
        lane->floor = lane->spool_from = held->from;
    }

    if (lane->ring == NULL) {
        if (held->to.ordinal > lane->tail.ordinal) {
            lane->tail = lane->reader = lane->reclaim = held->to;
        }

        lane->spooled = lane->tail;
        return;
    }

    if (held->to.ordinal > lane->tail.ordinal
        || held->to.ordinal <= lane->spooled.ordinal)
    {
        return;
    }

    lane->spooled = held->to;

    if (held->from.ordinal < lane->spool_from.ordinal) {
        lane->spool_from = held->from;
    }
}

/*
 * A reload has brought a spool that holds hits, of rings that are no more.
 * They enter "accepted" again; a sink that runs has done what is before its
 * cursor, and goes behind for the rest.
 */

/* Where a sink stands in a lane that only the spool knows: as it says; at the
   beginning, unless its cursors are there and tell that the sink is newer. */
static beacon_cursor_t
beacond_spooler_place(const beacond_sinker_t *sinker,
    const beacond_lane_t *lane)
{
    json_t           *sink;
    beacon_cursor_t   at = lane->floor;
    const json_t     *cursors = sinker->engine->cursors;

    if (!sinker->sink.ops->durable) {
        return lane->tail;
    }

    sink = json_object_get(json_object_get(cursors, "sinks"), sinker->name);

    if (!beacond_load_find(json_object_get(sink, "lanes"), lane, &at, NULL)) {
        return cursors != NULL && sink == NULL ? lane->tail : lane->floor;
    }

    return at.ordinal < lane->floor.ordinal ? lane->floor
           : at.ordinal > lane->tail.ordinal ? lane->tail : at;
}

static void
beacond_spooler_meet(beacond_sinker_t *sinker, uint32_t index)
{
    beacon_cursor_t        at;
    beacond_lane_t        *lane = &sinker->engine->lanes[index];
    beacond_stand_t       *stand = &sinker->stands[index];

    at = lane->tail;

    if (sinker->mode != BEACOND_STARTING) {
        at = beacond_spooler_place(sinker, lane);
        sinker->before += at.ordinal - lane->floor.ordinal;
        sinker->done += at.ordinal - lane->floor.ordinal;
    }

    stand->taken = stand->free_to = at;
    stand->ahead = 0;
    beacond_ranges_dispose(&stand->acked);
    beacond_ranges_init(&stand->acked, &at);

    if (at.ordinal < lane->tail.ordinal) {
        beacond_sinker_behind(sinker);
    }
}

static void
beacond_spooler_join(beacond_engine_t *engine, const bool *had)
{
    uint32_t  i, k;

    for (i = 0; i < engine->nlanes; i++) {
        if (!engine->lanes[i].used || had[i]) {
            continue;
        }

        engine->accepted_base -= engine->lanes[i].floor.ordinal;

        for (k = 0; k < engine->nsinks; k++) {
            beacond_spooler_meet(engine->sinks[k], i);
        }
    }

    engine->dirty = true;
}

/* Leaving one. */

static beacond_puller_t *
beacond_spooler_puller(beacond_engine_t *engine, uint32_t i)
{
    return i < engine->nsinks ? &engine->sinks[i]->puller
                              : &engine->leaving[i - engine->nsinks]->puller;
}

/* Is some sink reading it just now? */
static bool
beacond_spooler_read(beacond_engine_t *engine)
{
    uint32_t                 i;
    const beacond_puller_t  *puller;

    for (i = 0; i < engine->nsinks + engine->nleaving; i++) {
        puller = beacond_spooler_puller(engine, i);

        if (puller->busy && !puller->building) {
            return true;
        }
    }

    return false;
}

/*
 * Who waited for its thread, or for who reads it, would wait for its disk.
 * Sinks that want to read it wait from here on; the mutex is held.
 */
static bool
beacond_spooler_stuck(beacond_engine_t *engine)
{
    uint64_t  now = beacond_clock_ns(), until = now + BEACOND_STUCK;

    if (engine->spool_ns != 0 && now - engine->spool_ns > BEACOND_STUCK) {
        return true;
    }

    engine->spool_leaving = true;

    while (beacond_spooler_read(engine) && now < until) {
        beacond_cond_wait(&engine->work, &engine->mutex, 5 * BEACOND_MS);
        now = beacond_clock_ns();
    }

    return beacond_spooler_read(engine);
}

/* Has it hits, or files of sinks?  Then it stays. */
static beacon_rc_t
beacond_spooler_empty(beacond_engine_t *engine, beacon_err_t *err)
{
    if (engine->spool == NULL || (beacond_spool_used(engine->spool) == 0
                                  && beacond_spool_taken(engine->spool) == 0))
    {
        return BEACON_OK;
    }

    beacon_err(err, "the spool %s holds hits: it can be left only when it is "
               "empty", engine->spool->dir);

    return BEACON_INVALID;
}

/* Until the spool there is, if there is one, is gone, nobody reads it or takes
   of it, and its thread has ended. */
static beacon_rc_t
beacond_spooler_leave(beacond_engine_t *engine, beacon_err_t *err)
{
    bool         stuck;
    beacon_rc_t  rc;

    if (engine->spool == NULL) {
        return BEACON_OK;
    }

    pthread_mutex_lock(&engine->mutex);
    stuck = beacond_spooler_stuck(engine);
    engine->spool_leaving = !stuck;
    pthread_mutex_unlock(&engine->mutex);

    if (stuck) {
        beacon_err(err, "the spool %s is stuck: it can be left only when it "
                   "is not", engine->spool->dir);
        return BEACON_INVALID;
    }

    /* its thread may have been about to write */

    beacond_spooler_stop(engine);
    rc = beacond_spooler_empty(engine, err);

    if (rc != BEACON_OK) {
        pthread_mutex_lock(&engine->mutex);
        engine->spool_leaving = false;
        pthread_mutex_unlock(&engine->mutex);
        (void) beacond_spooler_start(engine);
    }

    return rc;
}

/* From one spool to another, either of which may be none; the mutex is held.
   Whoever has a file of the old one open closes it before he reads again. */
static void
beacond_spooler_change(beacond_engine_t *engine, beacond_spool_t *spool)
{
    uint32_t           i;
    beacond_puller_t  *puller;

    for (i = 0; i < engine->nsinks + engine->nleaving; i++) {
        puller = beacond_spooler_puller(engine, i);
        puller->journal = false;
        puller->moved = true;
        beacond_needs_anew(puller);
    }

    beacond_spooler_close(engine);
    engine->spool = spool;
    engine->spooling = engine->spool_full = engine->spool_leaving = false;
}

/* What the new one brings along: there is room for it. */
static void
beacond_spooler_enter(beacond_engine_t *engine)
{
    bool              had[BEACOND_LANES];
    uint32_t          i;
    beacond_spool_t  *spool = engine->spool;

    for (i = 0; i < BEACOND_LANES; i++) {
        had[i] = engine->lanes[i].used;
    }

    beacond_spool_each(spool, beacond_spooler_found, engine);
    engine->corrupt += spool->corrupt;
    engine->set_aside += spool->set_aside;
    engine->cursors = beacond_spooler_load(spool->dir);

    if (engine->keeping) {
        beacond_spooler_join(engine, had);
    }
}

/*
 * At start, and at adoption: a spool in the same place stays open with its new
 * limits; one elsewhere takes its place if it is empty.
 */
beacon_rc_t
beacond_spooler_open(beacond_engine_t *engine, const beacond_conf_t *conf,
    beacon_err_t *err)
{
    beacon_rc_t       rc;
    beacond_spool_t  *spool = NULL;

    if (engine->spool != NULL && conf->spool != NULL
        && strcmp(engine->spool->dir, conf->spool) == 0)
    {
        beacond_spool_limits(engine->spool, conf->spool_size,
                             conf->spool_min_free);
        beacond_spool_last_note(conf);
        return BEACON_OK;
    }

    rc = beacond_spooler_empty(engine, err);

    if (rc == BEACON_OK && conf->spool != NULL) {
        rc = beacond_spool_open(conf->spool, conf->spool_size,
                                conf->spool_min_free, &spool, err);
    }

    if (rc == BEACON_OK && spool != NULL) {
        rc = beacond_spooler_fits(engine, spool, err);
    }

    if (rc == BEACON_OK) {
        rc = beacond_spooler_leave(engine, err);
    }

    if (rc != BEACON_OK) {
        if (spool != NULL) {
            beacond_spool_close(spool);
        }

        return rc;
    }

    beacond_schemas_spool(engine->schemas, conf->spool);
    beacond_spool_last_note(conf);

    pthread_mutex_lock(&engine->mutex);
    beacond_spooler_change(engine, spool);

    if (spool != NULL) {
        beacond_spooler_enter(engine);
    }

    pthread_mutex_unlock(&engine->mutex);

    return BEACON_OK;
}

/* No thread uses it any more. */
void
beacond_spooler_close(beacond_engine_t *engine)
{
    if (engine->spool != NULL) {
        beacond_spool_close(engine->spool);
        engine->spool = NULL;
    }

    json_decref(engine->cursors);
    engine->cursors = NULL;
    free(engine->cursors_text);
    engine->cursors_text = NULL;
}
