/*
 * The keeper: attaches and retires rings, gives space back, decides what is
 * spooled and what is lost, publishes the books.  A turn every 50 ms, every
 * 100 ms where nothing happens; every 20 ms while a lane is more than an eighth
 * full, of which a reader tells; every millisecond while one is more than a
 * quarter full.
 */

#include "beacond_parts.h"
#include "beacond_sweep.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BEACOND_TURN_MIN   BEACOND_MS
#define BEACOND_TURN_HASTY (20 * BEACOND_MS)
#define BEACOND_TURN_MAX   (50 * BEACOND_MS)
#define BEACOND_TURN_IDLE  (100 * BEACOND_MS)
#define BEACOND_SCAN       (1000 * BEACOND_MS)
#define BEACOND_OWNERS     (200 * BEACOND_MS)
#define BEACOND_SWEEP      (60000 * BEACOND_MS)
#define BEACOND_BOOKS_MIN  (50 * BEACOND_MS)
#define BEACOND_BOOKS_MAX  (1000 * BEACOND_MS)
#define BEACOND_LEND       3            /* eighths of a lane; and to one that */
#define BEACOND_LEND_BEHIND  6          /*   is behind: when a helper begins */
#define BEACOND_LEND_NS    (5000 * BEACOND_MS)

/* Up to where a durable sink has no use for the ring's bytes. */
beacon_cursor_t
beacond_keeper_hold(const beacond_engine_t *engine,
    const beacond_sinker_t *sinker, uint32_t index)
{
    beacon_cursor_t         hold;
    const beacond_lane_t   *lane = &engine->lanes[index];
    const beacond_stand_t  *stand = &sinker->stands[index];

    /* one that has not loaded may want all of it, but the spool will do */

    hold = sinker->mode == BEACOND_STARTING ? lane->reclaim
                                            : stand->acked.prefix;

    if (sinker->mode != BEACOND_STARTING
        && hold.ordinal == lane->reader.ordinal
        && hold.offset < lane->reader.offset)
    {
        hold = lane->reader;    /* between is no hit */
    }

    if (hold.offset < stand->free_to.offset) {
        hold = stand->free_to;
    }

    if (hold.offset < lane->spooled.offset) {
        hold = lane->spooled;
    }

    return hold;
}

static void
beacond_keeper_pinned(const beacond_puller_t *puller, uint32_t index,
    beacon_cursor_t *target)
{
    uint32_t  i;

    for (i = 0; puller->building && i < puller->npulls; i++) {
        if (puller->pulls[i].lane == index
            && puller->pulls[i].from.offset < target->offset)
        {
            *target = puller->pulls[i].from;
        }
    }
}

/*
 * One that resumes has the ring's bytes kept for it while there is room and
 * it gets on; at a stop, too, which does not wait for it: what it has not
 * taken by then, the next helper's finds.
 */
static void
beacond_keeper_lend(const beacond_engine_t *engine, uint32_t index,
    beacon_cursor_t *target)
{
    uint32_t                 i;
    uint64_t                 used;
    const beacond_lane_t    *lane = &engine->lanes[index];
    const beacond_stand_t   *stand;
    const beacond_sinker_t  *sinker;

    used = (lane->tail.offset - lane->reclaim.offset)
           / (lane->ring->lane_size / 8);

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];
        stand = &sinker->stands[index];

        if (sinker->sink.ops->resumes
            && used < (sinker->mode == BEACOND_ALIVE ? BEACOND_LEND
                                                     : BEACOND_LEND_BEHIND)
            && stand->sure.ordinal < target->ordinal
            && stand->sure.offset < target->offset
            && beacond_clock_ns() - sinker->progress_ns < BEACOND_LEND_NS)
        {
            *target = stand->sure;
        }
    }
}

/* Up to where every durable sink has the lane, or the spool. */
beacon_cursor_t
beacond_keeper_durable(const beacond_engine_t *engine, uint32_t index)
{
    bool             durable = false;
    uint32_t         i;
    beacon_cursor_t  hold, target;

    target = engine->lanes[index].reader;

    for (i = 0; i < engine->nsinks; i++) {
        if (!engine->sinks[i]->sink.ops->durable) {
            continue;
        }

        hold = beacond_keeper_hold(engine, engine->sinks[i], index);

        if (!durable || hold.offset < target.offset) {
            target = hold;
        }

        durable = true;
    }

    return target;
}

static beacon_cursor_t
beacond_keeper_target(beacond_engine_t *engine, uint32_t index)
{
    uint32_t         i;
    beacon_cursor_t  target = beacond_keeper_durable(engine, index);

    beacond_keeper_lend(engine, index, &target);

    for (i = 0; i < engine->nreaders; i++) {
        beacond_keeper_pinned(&engine->readers[i].puller, index, &target);
    }

    for (i = 0; i < engine->nsinks; i++) {
        beacond_keeper_pinned(&engine->sinks[i]->puller, index, &target);
    }

    beacond_keeper_pinned(&engine->spool_pull, index, &target);

    return target;
}

/* The readers go where the lane begins now: live sinks do not go along. */
void
beacond_keeper_overtake(beacond_engine_t *engine, beacond_lane_t *lane)
{
    bool      hits;
    uint32_t  i;

    hits = lane->reader.ordinal != lane->reclaim.ordinal;
    lane->reader = lane->reclaim;

    for (i = 0; hits && i < engine->nsinks; i++) {
        if (engine->sinks[i]->sink.ops->durable) {
            beacond_sinker_behind(engine->sinks[i]);

        } else {
            engine->sinks[i]->missed = true;
        }
    }
}

/* One that has nothing to do gets on. */
static void
beacond_keeper_idle(beacond_engine_t *engine)
{
    uint32_t           i;
    beacond_sinker_t  *sinker;

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];

        if (sinker->sink.ops->resumes && sinker->mode == BEACOND_ALIVE
            && sinker->inflight == 0 && sinker->queued == 0)
        {
            sinker->progress_ns = beacond_clock_ns();
        }
    }
}

/* false: for now there is no more. */
static bool
beacond_keeper_give(beacond_engine_t *engine, uint32_t index)
{
    bool              more;
    beacond_lane_t   *lane = &engine->lanes[index];
    beacon_cursor_t   target = beacond_keeper_target(engine, index);

    if (target.offset <= lane->reclaim.offset) {
        return false;
    }

    more = beacond_pass(engine, index, &target);
    BEACOND_POINT("engine.before_reclaim");

    if (beacon_lane_reclaim(lane->ring, lane->number, &target) != BEACON_OK) {
        return false;
    }

    BEACOND_POINT("engine.after_reclaim");

    lane->reclaim = target;
    engine->dirty = true;

    if (lane->reader.offset < target.offset) {
        beacond_keeper_overtake(engine, lane);
    }

    return more;
}

void
beacond_keeper_reclaim(beacond_engine_t *engine)
{
    uint32_t               i;
    const beacond_lane_t  *lane;

    pthread_mutex_lock(&engine->mutex);
    beacond_keeper_idle(engine);

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (!lane->used || lane->ring == NULL || lane->broken) {
            continue;
        }

        while (beacond_keeper_give(engine, i)) {
            pthread_mutex_unlock(&engine->mutex);       /* others' turn */
            pthread_mutex_lock(&engine->mutex);
        }
    }

    pthread_mutex_unlock(&engine->mutex);
}

/* Work for once a second. */

static void
beacond_keeper_oldest(beacond_engine_t *engine)
{
    uint64_t          lost;
    uint32_t          i;
    beacond_lane_t   *lane;
    beacon_cursor_t   at;
    beacon_record_t   record;

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (!lane->used || lane->ring == NULL || lane->broken) {
            continue;
        }

        /* nobody else reclaims: what is read stays */

        at = lane->reclaim;
        lane->oldest_ns = 0;

        if (at.ordinal != lane->tail.ordinal
            && beacon_lane_read(lane->ring, lane->number, &at, &record, &lost)
               == BEACON_OK)
        {
            lane->oldest_ns = record.time_ns;
        }
    }

    pthread_mutex_unlock(&engine->mutex);
}

bool
beacond_keeper_in_use(beacond_engine_t *engine, uint32_t index)
{
    uint32_t         i;
    beacon_cursor_t  end = { UINT64_MAX, 0 };

    for (i = 0; i < engine->nreaders; i++) {
        beacond_keeper_pinned(&engine->readers[i].puller, index, &end);
    }

    for (i = 0; i < engine->nsinks; i++) {
        beacond_keeper_pinned(&engine->sinks[i]->puller, index, &end);
    }

    beacond_keeper_pinned(&engine->spool_pull, index, &end);

    return end.offset != UINT64_MAX;
}

static void
beacond_keeper_punch(beacond_engine_t *engine)
{
    uint32_t         i;
    beacond_lane_t  *lane;

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (lane->used && lane->ring != NULL && !lane->broken && !lane->owned
            && lane->tail.offset != lane->punched
            && lane->tail.offset == lane->reclaim.offset
            && !beacond_keeper_in_use(engine, i)
            && beacon_lane_punch(lane->ring, lane->number) == BEACON_OK)
        {
            lane->punched = lane->tail.offset;
        }
    }

    pthread_mutex_unlock(&engine->mutex);
}

static void
beacond_keeper_rss(beacond_engine_t *engine)
{
    FILE                *file;
    unsigned long long   size, rss;

    file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return;
    }

    if (fscanf(file, "%llu %llu", &size, &rss) == 2) {
        engine->rss = rss * (uint64_t) sysconf(_SC_PAGESIZE);
    }

    fclose(file);
}

static void
beacond_keeper_slow(beacond_engine_t *engine, uint64_t now)
{
    beacond_adopt_reap(engine);
    beacond_lanes_scan(engine);
    beacond_lanes_bad(engine, NULL);
    beacond_lanes_retire(engine);
    beacond_keeper_oldest(engine);
    beacond_keeper_punch(engine);
    beacond_keeper_rss(engine);

    if (now - engine->sweep_ns >= BEACOND_SWEEP) {
        engine->sweep_ns = now;
        beacond_sweep_ring(engine->conf->dir);
    }
}

static void
beacond_keeper_owners(beacond_engine_t *engine)
{
    uint32_t         i;
    beacond_lane_t  *lane;

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (lane->used && lane->ring != NULL) {
            lane->owned = beacon_lane_owned(lane->ring, lane->number);
        }
    }

    pthread_mutex_unlock(&engine->mutex);
}

/* In which eighth the fullest lane's end stands; 0: all are empty. */
static uint64_t
beacond_keeper_fill(const beacond_engine_t *engine)
{
    uint32_t               i;
    uint64_t               used, eighth, fill = 0;
    const beacond_lane_t  *lane;

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (!lane->used || lane->ring == NULL) {
            continue;
        }

        used = lane->tail.offset - lane->reclaim.offset;
        eighth = used > 0 ? (used - 1) / (lane->ring->lane_size / 8) + 1 : 0;

        if (fill < eighth) {
            fill = eighth;
        }
    }

    return fill;
}

/* One turn; returns when the next one is due, if nobody is in haste. */
static uint64_t
beacond_keeper_turn(beacond_engine_t *engine)
{
    bool      dirty;
    uint64_t  fill, idle, now = beacond_clock_ns();

    pthread_mutex_lock(&engine->admin);

    pthread_mutex_lock(&engine->mutex);
    engine->hasty = false;          /* but for what readers tell meanwhile */
    (void) beacond_keeper_now(engine);
    beacond_lanes_tails(engine);
    pthread_mutex_unlock(&engine->mutex);

    beacond_keeper_reclaim(engine);
    beacond_spooler_decide(engine);
    beacond_keeper_losses(engine);

    if (now - engine->owners_ns >= BEACOND_OWNERS) {
        engine->owners_ns = now;
        beacond_keeper_owners(engine);
    }

    if (now - engine->slow_ns >= BEACOND_SCAN) {
        engine->slow_ns = now;
        beacond_keeper_slow(engine, now);
    }

    pthread_mutex_lock(&engine->mutex);
    fill = beacond_keeper_fill(engine);
    engine->tight = fill > 4;       /* sinks do not wait to fill buffers */
    engine->hasty |= fill > 1;
    dirty = engine->dirty;
    idle = fill > 2 ? BEACOND_TURN_MIN
           : dirty || fill > 0 ? BEACOND_TURN_MAX : BEACOND_TURN_IDLE;
    pthread_mutex_unlock(&engine->mutex);

    if ((dirty && now - engine->books_ns >= BEACOND_BOOKS_MIN)
        || now - engine->books_ns >= BEACOND_BOOKS_MAX)
    {
        engine->books_ns = now;
        beacond_books_make(engine);
    }

    pthread_mutex_unlock(&engine->admin);

    return idle;
}

void *
beacond_keeper_run(void *data)
{
    uint64_t           idle;
    beacond_engine_t  *engine = data;

    pthread_setname_np(pthread_self(), "keeper");

    for ( ;; ) {
        idle = beacond_keeper_turn(engine);

        pthread_mutex_lock(&engine->mutex);

        if (engine->quit) {
            break;
        }

        if (engine->stopping) {
            idle = BEACOND_TURN_MIN;

        } else if (engine->hasty && idle > BEACOND_TURN_HASTY) {
            idle = BEACOND_TURN_HASTY;
        }

        beacond_cond_wait(&engine->rest, &engine->mutex, idle);
        pthread_mutex_unlock(&engine->mutex);
    }

    pthread_mutex_unlock(&engine->mutex);

    return NULL;
}
