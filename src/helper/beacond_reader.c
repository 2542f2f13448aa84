/*
 * Readers: ring -> batches -> queues of live sinks.  Reader i of n has the
 * lanes whose index is i modulo n.
 */

#include "beacond_parts.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_PAUSE_MIN  BEACOND_MS
#define BEACOND_PAUSE_MAX  (20 * BEACOND_MS)
#define BEACOND_PAUSE_BLOCKED  (5 * BEACOND_MS)
#define BEACOND_HUNGRY     (100 * BEACOND_MS)

/* What a reader wants to find after a pause: enough hits that the turn, the
   sink's and the keeper's cost each of them little, and no fuller a lane. */
#define BEACOND_TURN_HITS   384
#define BEACOND_TURN_SHARE  8

/* So many batches wake a sink that gathers, or one after so long a time; less
   than half of a queue. */
#define BEACOND_GATHER      3
#define BEACOND_GATHER_NS   (40 * BEACOND_MS)

/*
 * May the readers go on?  Yes, if some sink takes what they would read, or
 * there is no durable sink at all.  A durable sink whose queue is full is left
 * behind, but only where another one waits for hits meanwhile, and not at
 * once: catching up means rendering again.
 */
static bool
beacond_readers_wanted(beacond_engine_t *engine)
{
    bool               durable = false, hungry = false, room = false;
    uint32_t           i;
    uint64_t           now;
    beacond_sinker_t  *sinker;

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];
        durable |= sinker->sink.ops->durable;

        if (sinker->mode == BEACOND_ALIVE && beacond_sinker_fits(sinker)) {
            room = true;
            hungry |= sinker->queued == 0;
        }

        room |= sinker->leaps;
        hungry |= sinker->leaps;
    }

    if (!room) {
        return !durable;
    }

    now = beacond_clock_ns();

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];

        if (sinker->mode != BEACOND_ALIVE || !sinker->sink.ops->durable
            || beacond_sinker_fits(sinker))
        {
            continue;
        }

        if (sinker->full_ns == 0) {
            sinker->full_ns = now;
        }

        if (!hungry || now - sinker->full_ns < BEACOND_HUNGRY) {
            return false;
        }

        beacond_sinker_behind(sinker);
    }

    return true;
}

static void
beacond_reader_prepare(beacond_reader_t *reader)
{
    uint32_t           i, n;
    beacond_lane_t    *lane;
    beacond_engine_t  *engine = reader->engine;
    beacond_puller_t  *puller = &reader->puller;

    static const beacon_cursor_t  no_limit = { UINT64_MAX, UINT64_MAX };

    puller->npulls = 0;
    puller->gaps = puller->corrupt = 0;

    for (n = 0; n < engine->nlanes; n++) {
        i = (n + puller->turn) % engine->nlanes;
        lane = &engine->lanes[i];

        if (i % engine->nreaders != reader->index || !lane->used
            || lane->ring == NULL || lane->broken)
        {
            continue;
        }

        if (lane->reader.offset
            == atomic_load_explicit(&beacon_ring_lane(lane->ring,
                                                      lane->number)->tail,
                                    memory_order_relaxed))
        {
            continue;
        }

        if (beacond_pull_add(puller, i, &lane->reader, &no_limit) == NULL) {
            puller->turn = i;
            break;
        }
    }

    puller->building = puller->npulls > 0;
    engine->reading |= puller->building;
}

/*
 * Is the sink to be woken for what it was just offered?  Of a stream, not for
 * each batch: that costs both threads more than what a turn has to do else.
 * The last of it may wait until the sink wakes by itself.
 */
static bool
beacond_reader_wakes(const beacond_engine_t *engine, beacond_sinker_t *sinker)
{
    uint64_t  now = beacond_clock_ns(), last = sinker->offered_ns;

    sinker->offered_ns = now;

    return !sinker->sink.ops->gathers || sinker->queued >= BEACOND_GATHER
           || now - last > BEACOND_GATHER_NS
           || engine->stopping || engine->tight || engine->hasty;
}

/* What was read is offered; the readers' positions move with it. */
static void
beacond_reader_commit(beacond_reader_t *reader, beacond_batch_t *batch)
{
    bool               hasty = false;
    uint32_t           i;
    uint64_t           bytes, share, ordinals = 0;
    beacond_lane_t    *lane;
    beacond_span_t    *span;
    beacond_engine_t  *engine = reader->engine;

    reader->puller.building = false;
    engine->gaps += reader->puller.gaps;
    engine->corrupt += reader->puller.corrupt;
    engine->dirty = true;

    for (i = 0; i < batch->nspans; i++) {
        span = &batch->spans[i];
        lane = &engine->lanes[span->lane];
        bytes = span->to.offset - span->from.offset;
        share = lane->ring->lane_size / 1024;

        if (reader->filled < bytes / share) {
            reader->filled = bytes / share;
        }

        lane->reader = span->to;
        hasty |= span->to.offset - lane->reclaim.offset > share * 128;
        ordinals += span->to.ordinal - span->from.ordinal;
    }

    if (ordinals == 0) {
        return;
    }

    for (i = 0; i < engine->nsinks; i++) {
        if (beacond_sinker_offer(engine->sinks[i], batch)
            && beacond_reader_wakes(engine, engine->sinks[i]))
        {
            reader->offered[reader->noffered++] = engine->sinks[i];
        }
    }

    if (hasty && !engine->hasty) {
        engine->hasty = true;
        pthread_cond_broadcast(&engine->rest);
    }
}

/* Mutex not held: sinks that woke while it was would have to sleep for it. */
static void
beacond_reader_tell(beacond_reader_t *reader)
{
    while (reader->noffered > 0) {
        pthread_cond_signal(&reader->offered[--reader->noffered]->cond);
    }
}

void
beacond_readers_told(beacond_engine_t *engine)
{
    while (engine->telling > 0) {
        beacond_cond_wait(&engine->work, &engine->mutex, BEACOND_MS);
    }
}

/* Returns hits read; -1: somebody else has to move first. */
static int
beacond_reader_turn(beacond_reader_t *reader)
{
    int                n;
    beacond_batch_t   *batch;
    beacond_engine_t  *engine = reader->engine;

    if (!beacond_readers_wanted(engine)) {
        return -1;
    }

    beacond_reader_prepare(reader);

    if (!reader->puller.building) {
        return 0;
    }

    batch = beacond_pool_get(&engine->pool);
    if (batch == NULL) {
        reader->puller.building = false;
        return -1;
    }

    batch->names = beacond_names_ref(engine->names);
    pthread_mutex_unlock(&engine->mutex);

    beacond_build_ring(&reader->puller, batch);
    n = (int) batch->nhits;

    pthread_mutex_lock(&engine->mutex);
    beacond_reader_commit(reader, batch);
    engine->telling++;
    pthread_mutex_unlock(&engine->mutex);

    beacond_reader_tell(reader);
    beacond_batch_unref(batch);

    pthread_mutex_lock(&engine->mutex);
    engine->telling--;

    return n;
}

/* The next pause, after one of this length that n hits came together in. */
static uint64_t
beacond_reader_pause(const beacond_reader_t *reader, uint64_t pause,
    uint64_t n)
{
    uint64_t  hits, share;

    if (n == 0) {
        pause += pause / 4;

    } else {
        hits = pause * BEACOND_TURN_HITS / n;
        share = pause * (1024 / BEACOND_TURN_SHARE)
                / (reader->filled + 1);
        pause = hits < share ? hits : share;
    }

    if (pause < BEACOND_PAUSE_MIN) {
        return BEACOND_PAUSE_MIN;
    }

    return pause < BEACOND_PAUSE_MAX ? pause : BEACOND_PAUSE_MAX;
}

/* That a sink moves is no reason to wake. */
static void
beacond_reader_rest(beacond_engine_t *engine, uint64_t pause)
{
    uint64_t  now, until;

    now = beacond_clock_ns();
    until = now + pause;

    while (!engine->reader_quit && now < until) {
        beacond_cond_wait(&engine->nap, &engine->mutex, until - now);
        now = beacond_clock_ns();
    }
}

static void *
beacond_reader_run(void *data)
{
    int                n;
    uint64_t           pause, hits = 0;
    beacond_reader_t  *reader = data;
    beacond_engine_t  *engine = reader->engine;

    pthread_setname_np(pthread_self(), "reader");
    pause = BEACOND_PAUSE_MIN;

    pthread_mutex_lock(&engine->mutex);

    while (!engine->reader_quit) {
        (void) beacond_keeper_now(engine);      /* a reload may hold him up */
        n = beacond_reader_turn(reader);

        if (n == -1) {
            beacond_cond_wait(&engine->work, &engine->mutex,
                              BEACOND_PAUSE_BLOCKED);
            continue;
        }

        hits += (uint64_t) n;

        if (n >= BEACOND_BATCH_HITS / 2 && reader->puller.full) {
            continue;
        }

        /* Large hits fill a batch by their bytes, and there are more of them;
           but queues count batches, and sinks that only miss what is too
           much for theirs are to keep up. */

        if (engine->stopping || (n > 0 && reader->puller.full)) {
            pause = BEACOND_PAUSE_MIN;

        } else {
            pause = beacond_reader_pause(reader, pause, hits);
        }

        hits = reader->filled = 0;
        beacond_reader_rest(engine, pause);
    }

    pthread_mutex_unlock(&engine->mutex);

    return NULL;
}

beacon_rc_t
beacond_readers_start(beacond_engine_t *engine)
{
    uint32_t           i, n;
    beacond_reader_t  *readers;

    n = (uint32_t) engine->conf->threads;
    readers = calloc(n, sizeof(beacond_reader_t));

    if (readers == NULL) {
        return BEACON_SYS;
    }

    for (i = 0; i < n; i++) {
        readers[i].engine = engine;
        readers[i].index = i;

        if (beacond_puller_init(&readers[i].puller, engine) != BEACON_OK) {
            goto failed;
        }
    }

    pthread_mutex_lock(&engine->mutex);
    engine->reader_quit = false;
    engine->readers = readers;
    engine->nreaders = n;
    pthread_mutex_unlock(&engine->mutex);

    for (i = 0; i < n; i++) {
        if (pthread_create(&readers[i].thread, NULL, beacond_reader_run,
                           &readers[i]) != 0)
        {
            readers[i].engine = NULL;
        }
    }

    /* the lanes of a thread that could not be made would never be read */

    for (i = 0; i < n; i++) {
        if (readers[i].engine == NULL) {
            beacond_readers_stop(engine);
            return BEACON_SYS;
        }
    }

    return BEACON_OK;

failed:

    for (i = 0; i < n; i++) {
        beacond_puller_dispose(&readers[i].puller);
    }

    free(readers);
    return BEACON_SYS;
}

void
beacond_readers_stop(beacond_engine_t *engine)
{
    uint32_t           i, n;
    beacond_reader_t  *readers;

    pthread_mutex_lock(&engine->mutex);
    engine->reader_quit = true;
    pthread_cond_broadcast(&engine->work);
    pthread_cond_broadcast(&engine->nap);
    pthread_mutex_unlock(&engine->mutex);

    for (i = 0; i < engine->nreaders; i++) {
        if (engine->readers[i].engine != NULL) {
            pthread_join(engine->readers[i].thread, NULL);
        }
    }

    pthread_mutex_lock(&engine->mutex);
    readers = engine->readers;
    n = engine->nreaders;
    engine->readers = NULL;
    engine->nreaders = 0;
    pthread_mutex_unlock(&engine->mutex);

    for (i = 0; i < n; i++) {
        beacond_puller_dispose(&readers[i].puller);
    }

    free(readers);
}
