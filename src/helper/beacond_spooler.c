/*
 * The spool's thread: copies records from the ring while the keeper says so,
 * lets go of what every durable sink has, keeps cursors.json.
 */

#include "beacond_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_CHUNK     (256 * 1024)
#define BEACOND_RETRY     (250 * BEACOND_MS)
#define BEACOND_IDLE      (100 * BEACOND_MS)
#define BEACOND_BUSY      (2 * BEACOND_MS)
#define BEACOND_TIDY      (250 * BEACOND_MS)
#define BEACOND_SYNC      (1000 * BEACOND_MS)
#define BEACOND_SCHEMAS   8             /* of a chunk's records */

typedef struct {
    uint32_t  n;
    uint32_t  hashes[BEACOND_SCHEMAS];
} beacond_spooler_schemas_t;

static beacond_log_limit_t  beacond_spool_full_limit;
static beacond_log_limit_t  beacond_spool_error_limit;

/* Copying. */

/* Where to go on in a lane, pinned, and for which time of spooling that is;
   false: nothing is there. */
static bool
beacond_spooler_pin(beacond_engine_t *engine, uint32_t index, uint64_t *time)
{
    bool                           more;
    beacon_cursor_t                from;
    beacond_lane_t                *lane = &engine->lanes[index];
    beacond_puller_t              *puller = &engine->spool_pull;
    static const beacon_cursor_t   no_limit = { UINT64_MAX, UINT64_MAX };

    pthread_mutex_lock(&engine->mutex);

    engine->spool_ns = beacond_clock_ns();
    *time = engine->spooling_time;
    from = lane->reclaim;

    if (from.offset < lane->spooled.offset) {
        from = lane->spooled;
    }

    more = engine->spooling && lane->used && lane->ring != NULL
           && !lane->broken && from.ordinal < lane->tail.ordinal;

    puller->npulls = 0;
    puller->building = more
                       && beacond_pull_add(puller, index, &from, &no_limit);

    pthread_mutex_unlock(&engine->mutex);

    return more;
}

/* All is in the buffer: whatever the write takes, the ring is free of us. */
static void
beacond_spooler_unpin(beacond_engine_t *engine)
{
    pthread_mutex_lock(&engine->mutex);
    engine->spool_pull.building = false;
    engine->spool_ns = beacond_clock_ns();
    pthread_mutex_unlock(&engine->mutex);
}

/*
 * false: the time that the write was for is over, and another may have begun.
 * That it was refused is no reason then to lose a hit now.
 */
static bool
beacond_spooler_wrote(beacond_engine_t *engine, beacon_rc_t rc, uint64_t time)
{
    bool             now;
    beacond_lane_t  *lane;
    beacond_pull_t  *pull = &engine->spool_pull.pulls[0];

    pthread_mutex_lock(&engine->mutex);

    lane = &engine->lanes[pull->lane];

    if (rc == BEACON_OK && lane->used && lane->epoch == pull->epoch
        && lane->number == pull->number)
    {
        lane->spooled = pull->done;
    }

    now = time == engine->spooling_time;

    if (now) {
        engine->spool_full = rc != BEACON_OK;
    }

    engine->spool_ns = beacond_clock_ns();
    pthread_mutex_unlock(&engine->mutex);

    return now;
}

static void
beacond_spooler_failed(beacond_engine_t *engine, beacon_rc_t rc, int error)
{
    if (rc == BEACON_FULL) {
        if (beacond_log_due(&beacond_spool_full_limit, NULL)) {
            beacond_log(BEACOND_ERROR, "the spool %s is full",
                        engine->spool->dir);
        }

    } else if (beacond_log_due(&beacond_spool_error_limit, NULL)) {
        beacond_log(BEACOND_ERROR, "cannot write to the spool %s: %s",
                    engine->spool->dir, strerror(error));
    }
}

/* Notes the schema of a record; false: no room for another. */
static bool
beacond_spooler_schema(beacond_spooler_schemas_t *schemas, uint32_t hash)
{
    uint32_t  i;

    for (i = 0; i < schemas->n; i++) {
        if (schemas->hashes[i] == hash) {
            return true;
        }
    }

    if (i == BEACOND_SCHEMAS) {
        return false;
    }

    schemas->hashes[schemas->n++] = hash;

    return true;
}

/* From the ring into the buffer: nothing here may block, the ring is pinned. */
static beacon_rc_t
beacond_spooler_gather(beacond_engine_t *engine,
    beacond_spooler_schemas_t *schemas)
{
    uint64_t          lost;
    beacon_rc_t       rc = BEACON_OK, got;
    beacond_pull_t   *pull = &engine->spool_pull.pulls[0];

    while (rc == BEACON_OK && engine->spool->len < BEACOND_CHUNK) {
        got = beacon_lane_read(pull->ring, pull->number, &pull->next,
                               &pull->record, &lost);

        if (got == BEACON_AGAIN || got == BEACON_INVALID) {
            break;
        }

        if (got == BEACON_OK && pull->record.type == BEACON_RECORD_HIT) {
            if (!beacond_spooler_schema(schemas, pull->record.schema)) {
                break;
            }

            rc = beacond_spool_append(engine->spool, pull->epoch,
                                      pull->number, &pull->record);
        }

        pull->done = pull->next;
    }

    return rc;
}

/* A chunk of a lane.  AGAIN: nothing more is there, or what was refused was of
   another time. */
static beacon_rc_t
beacond_spooler_copy(beacond_engine_t *engine, uint32_t index)
{
    int                         error;
    bool                        now;
    uint32_t                    i;
    uint64_t                    time;
    beacon_rc_t                 rc;
    beacond_pull_t             *pull = &engine->spool_pull.pulls[0];
    beacond_spooler_schemas_t   schemas = { 0 };

    if (!beacond_spooler_pin(engine, index, &time)) {
        return BEACON_AGAIN;
    }

    rc = beacond_spooler_gather(engine, &schemas);
    beacond_spooler_unpin(engine);

    for (i = 0; i < schemas.n && rc == BEACON_OK; i++) {
        rc = beacond_schemas_copy(engine->schemas, schemas.hashes[i]);
    }

    if (rc == BEACON_OK) {
        rc = beacond_spool_write(engine->spool);

    } else {
        engine->spool->len = engine->spool->npending = 0;
    }

    error = errno;
    now = beacond_spooler_wrote(engine, rc, time);

    if (rc != BEACON_OK) {
        beacond_spooler_failed(engine, rc, error);
        return now ? rc : BEACON_AGAIN;
    }

    return pull->done.offset == pull->from.offset ? BEACON_AGAIN : BEACON_OK;
}

/* Letting go. */

static int
beacond_spooler_needed(void *data, const beacond_spool_lane_t *held)
{
    int                needed = 0;
    uint32_t           i, index;
    beacond_engine_t  *engine = data;
    beacond_sinker_t  *se;

    pthread_mutex_lock(&engine->mutex);

    if (beacond_lanes_find(engine, held->epoch, held->lane, &index) != NULL) {
        for (i = 0; i < engine->nsinks; i++) {
            se = engine->sinks[i];
            needed |= se->sink.ops->durable
                      && (se->mode == BEACOND_STARTING
                          || se->stands[index].acked.prefix.ordinal
                             < held->to.ordinal);
        }
    }

    pthread_mutex_unlock(&engine->mutex);

    return needed;
}

static void
beacond_spooler_tidy(beacond_engine_t *engine)
{
    bool  spooling;

    if (beacond_spool_used(engine->spool) == 0) {
        return;
    }

    if (beacond_spooler_save(engine) != BEACON_OK) {
        return;
    }

    pthread_mutex_lock(&engine->mutex);
    spooling = engine->spooling;
    pthread_mutex_unlock(&engine->mutex);

    if (!spooling
        || beacond_spool_used(engine->spool) > engine->spool->segment_size)
    {
        beacond_spool_drop(engine->spool, false, beacond_spooler_needed,
                           engine);
    }
}

/* The thread. */

static beacon_rc_t
beacond_spooler_round(beacond_engine_t *engine)
{
    bool         more = false;
    uint32_t     i, n;
    beacon_rc_t  rc;

    pthread_mutex_lock(&engine->mutex);
    n = engine->nlanes;
    pthread_mutex_unlock(&engine->mutex);

    for (i = 0; i < n; i++) {
        rc = beacond_spooler_copy(engine, i);

        if (rc != BEACON_OK && rc != BEACON_AGAIN) {
            return rc;
        }

        more |= rc == BEACON_OK;
    }

    return more ? BEACON_OK : BEACON_AGAIN;
}

static void *
beacond_spooler_run(void *data)
{
    uint64_t           now, wait, tidy = 0, sync = 0;
    beacon_rc_t        rc;
    beacond_engine_t  *engine = data;

    pthread_setname_np(pthread_self(), "spool");
    pthread_mutex_lock(&engine->mutex);

    while (!engine->spool_quit) {
        wait = BEACOND_IDLE;
        engine->spool_ns = beacond_clock_ns();

        if (engine->spooling) {
            pthread_mutex_unlock(&engine->mutex);
            rc = beacond_spooler_round(engine);
            pthread_mutex_lock(&engine->mutex);
            wait = rc == BEACON_OK ? 0
                   : rc == BEACON_AGAIN ? BEACOND_BUSY : BEACOND_RETRY;
        }

        pthread_mutex_unlock(&engine->mutex);
        now = beacond_clock_ns();

        if (now - tidy >= BEACOND_TIDY) {
            tidy = now;
            beacond_spooler_tidy(engine);
        }

        if (now - sync >= BEACOND_SYNC) {
            sync = now;
            (void) beacond_spool_sync(engine->spool);
        }

        pthread_mutex_lock(&engine->mutex);
        engine->spool_ns = 0;

        /* it may have been told to copy while it did something else */

        if (wait > 0 && !engine->spool_quit
            && (wait != BEACOND_IDLE || !engine->spooling))
        {
            beacond_cond_wait(&engine->rest, &engine->mutex, wait);
        }
    }

    pthread_mutex_unlock(&engine->mutex);

    return NULL;
}

/* Start and stop. */

beacon_rc_t
beacond_spooler_start(beacond_engine_t *engine)
{
    engine->spool_pull.engine = engine;

    if (engine->spool == NULL) {
        return BEACON_OK;
    }

    engine->spool_quit = false;

    if (pthread_create(&engine->spooler, NULL, beacond_spooler_run, engine)
        != 0)
    {
        return BEACON_SYS;
    }

    engine->spool_running = true;

    return BEACON_OK;
}

void
beacond_spooler_stop(beacond_engine_t *engine)
{
    if (!engine->spool_running) {
        return;
    }

    pthread_mutex_lock(&engine->mutex);
    engine->spool_quit = true;
    pthread_cond_broadcast(&engine->rest);
    pthread_mutex_unlock(&engine->mutex);
    pthread_join(engine->spooler, NULL);
    engine->spool_running = false;

    if (beacond_spool_used(engine->spool) > 0) {
        (void) beacond_spooler_save(engine);
    }
}
