/* Rings and lanes that are drained: out of the table, and away. */

#include "beacond_parts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define BEACOND_RETIRE_NS  (5000 * BEACOND_MS)

/* Nothing is left in the lane for anybody. */
static int
beacond_lanes_drained(beacond_engine_t *engine, uint32_t index)
{
    uint32_t           i;
    beacond_lane_t    *lane = &engine->lanes[index];
    beacond_sinker_t  *sinker;

    if (lane->ring != NULL
        && ((lane->broken && !lane->gone)
            || lane->reclaim.offset != lane->tail.offset
            || lane->reader.ordinal != lane->tail.ordinal))
    {
        return 0;
    }

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];

        /* one that is not durable is given some time */

        if (!sinker->sink.ops->durable
            && beacond_clock_ns() - sinker->progress_ns >= BEACOND_RETIRE_NS)
        {
            continue;
        }

        if (sinker->mode == BEACOND_STARTING
            || sinker->stands[index].taken.ordinal != lane->tail.ordinal
            || sinker->stands[index].acked.prefix.ordinal
               != lane->tail.ordinal)
        {
            return 0;
        }
    }

    return 1;
}

/* Locks the whole file: nobody owns a lane, nor can claim one. */
static int
beacond_lanes_seize(beacon_ring_t *ring, short type)
{
    struct flock  lock = { .l_type = type, .l_whence = SEEK_SET };

    return fcntl(ring->fd, F_OFD_SETLK, &lock) == 0;
}

static int
beacond_lanes_pulled(beacond_engine_t *engine, const beacon_ring_t *ring)
{
    uint32_t                 i, k, n;
    const beacond_puller_t  *puller;

    n = engine->nreaders + engine->nsinks + 1;

    for (i = 0; i < n; i++) {
        puller = i < engine->nreaders ? &engine->readers[i].puller
                 : i < n - 1 ? &engine->sinks[i - engine->nreaders]->puller
                 : &engine->spool_pull;

        for (k = 0; puller->building && k < puller->npulls; k++) {
            if (puller->pulls[k].ring == ring) {
                return 1;
            }
        }
    }

    return 0;
}

static void
beacond_lanes_leave(beacond_engine_t *engine, uint32_t index)
{
    uint32_t  i;

    for (i = 0; i < engine->nsinks; i++) {
        beacond_sinker_leave(engine->sinks[i], index);
    }

    engine->accepted_base += engine->lanes[index].tail.ordinal;
    engine->lanes[index].used = false;
}

/* Takes the ring's lanes out of the table, their hits into the base.  *gone:
   some of it could not be read. */
static int
beacond_lanes_remove(beacond_engine_t *engine, beacon_ring_t *ring, bool *gone)
{
    uint32_t  i;

    pthread_mutex_lock(&engine->mutex);

    beacond_lanes_tails(engine);

    for (i = 0; i < engine->nlanes; i++) {
        if (engine->lanes[i].used && engine->lanes[i].ring == ring
            && !beacond_lanes_drained(engine, i))
        {
            break;
        }
    }

    if (i < engine->nlanes || beacond_lanes_pulled(engine, ring)) {
        pthread_mutex_unlock(&engine->mutex);
        return 0;
    }

    for (*gone = false, i = 0; i < engine->nlanes; i++) {
        if (engine->lanes[i].used && engine->lanes[i].ring == ring) {
            *gone |= engine->lanes[i].gone;
            beacond_lanes_leave(engine, i);
        }
    }

    if (!*gone) {
        engine->retired_epoch = ring->epoch;
    }

    pthread_mutex_unlock(&engine->mutex);

    return 1;
}

/* One with a lane that could not be read: the next helper must not unlink it.
   If it starts before the books are made, it finds that the ring is gone. */
static void
beacond_lanes_retire_bad(beacond_engine_t *engine, uint64_t epoch)
{
    BEACOND_POINT("engine.before_aside");

    if (beacon_ring_set_aside(engine->conf->dir, epoch) == BEACON_OK) {
        engine->set_aside++;
    }

    BEACOND_POINT("engine.after_aside");
    beacond_books_make(engine);
    beacond_log(BEACOND_ERROR, "ring.%016llx is drained and set aside",
                (unsigned long long) epoch);
}

/* The books say that the epoch is in the base before its file goes: a helper
   that starts in between only unlinks. */
static void
beacond_lanes_retire_good(beacond_engine_t *engine, uint64_t epoch)
{
    char  path[PATH_MAX];

    BEACOND_POINT("engine.before_retire");
    beacond_books_make(engine);
    BEACOND_POINT("engine.after_retire");

    snprintf(path, sizeof(path), "%s/ring.%016llx", engine->conf->dir,
             (unsigned long long) epoch);
    unlink(path);
    beacond_log(BEACOND_INFO, "ring.%016llx is drained and gone",
                (unsigned long long) epoch);
}

static void
beacond_lanes_retire_ring(beacond_engine_t *engine, uint32_t r)
{
    bool            gone;
    beacon_ring_t  *ring = engine->rings[r].ring;

    if (!beacond_lanes_seize(ring, F_WRLCK)) {
        return;
    }

    beacond_lanes_bad(engine, ring);

    if (!beacond_lanes_remove(engine, ring, &gone)) {
        beacond_lanes_seize(ring, F_UNLCK);
        return;
    }

    if (gone) {
        beacond_lanes_retire_bad(engine, ring->epoch);

    } else {
        beacond_lanes_retire_good(engine, ring->epoch);
    }

    engine->rings[r] = engine->rings[--engine->nrings];
    beacon_ring_detach(ring);
}

static void
beacond_lanes_spooled(void *data, const beacond_spool_lane_t *found)
{
    beacond_pull_t  *pull = data;

    if (found->epoch == pull->epoch && found->lane == pull->number) {
        pull->have = true;
    }
}

/* Lanes that only the spool knew, and that it has no more. */
static void
beacond_lanes_retire_spooled(beacond_engine_t *engine)
{
    uint32_t         i;
    beacond_lane_t  *lane;
    beacond_pull_t   seek;

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (!lane->used || lane->ring != NULL) {
            continue;
        }

        seek.epoch = lane->epoch;
        seek.number = lane->number;
        seek.have = false;

        if (engine->spool != NULL) {
            beacond_spool_each(engine->spool, beacond_lanes_spooled, &seek);
        }

        pthread_mutex_lock(&engine->mutex);

        if (!seek.have && beacond_lanes_drained(engine, i)) {
            beacond_lanes_leave(engine, i);
            engine->dirty = true;
        }

        pthread_mutex_unlock(&engine->mutex);
    }
}

/*
 * A ring that is empty and unowned may be one that a reload has just made, and
 * is about to hand to its workers and then to us: it is left alone for a
 * while.
 */
void
beacond_lanes_retire(beacond_engine_t *engine)
{
    uint32_t  i;
    uint64_t  now_ns;

    beacond_lanes_retire_spooled(engine);
    now_ns = beacond_clock_ns();

    for (i = engine->nrings; i-- > 0; /* void */ ) {
        if (engine->rings[i].epoch != engine->conf->epoch
            && now_ns - engine->rings[i].since_ns >= BEACOND_RETIRE_NS)
        {
            beacond_lanes_retire_ring(engine, i);
        }
    }
}
