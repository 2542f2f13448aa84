/*
 * The lane table: every lane of every ring in the directory, and those that
 * only the spool knows.  An index stays a lane's until it is retired.
 */

#include "beacond_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEACOND_RETIRE_NS  (5000 * BEACOND_MS)

beacond_lane_t *
beacond_lanes_find(beacond_engine_t *engine, uint64_t epoch, uint32_t number,
    uint32_t *index)
{
    uint32_t         i;
    beacond_lane_t  *lane;

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (lane->used && lane->epoch == epoch && lane->number == number) {
            if (index != NULL) {
                *index = i;
            }

            return lane;
        }
    }

    return NULL;
}

/* One that leaves writes a last checkpoint, with all lanes. */
static beacond_sinker_t *
beacond_lanes_sink(const beacond_engine_t *engine, uint32_t i)
{
    return i < engine->nsinks ? engine->sinks[i]
                              : engine->leaving[i - engine->nsinks];
}

/* NULL: the table is full. */
beacond_lane_t *
beacond_lanes_add(beacond_engine_t *engine, uint64_t epoch, uint32_t number)
{
    uint32_t          i, k;
    beacond_lane_t   *lane;
    beacond_stand_t  *stand;

    for (i = 0; i < BEACOND_LANES; i++) {
        if (!engine->lanes[i].used) {
            break;
        }
    }

    if (i == BEACOND_LANES) {
        return NULL;
    }

    if (i >= engine->nlanes) {
        engine->nlanes = i + 1;
    }

    lane = &engine->lanes[i];
    memset(lane, 0, sizeof(beacond_lane_t));
    lane->used = true;
    lane->epoch = epoch;
    lane->number = number;

    for (k = 0; k < engine->nsinks + engine->nleaving; k++) {
        stand = &beacond_lanes_sink(engine, k)->stands[i];
        beacond_ranges_dispose(&stand->acked);
        memset(stand, 0, sizeof(beacond_stand_t));
    }

    return lane;
}

/* A lane of a ring just attached: all start where its reclaim is. */
static void
beacond_lanes_attach_one(beacond_engine_t *engine, beacon_ring_t *ring,
    uint32_t number)
{
    uint32_t           i, index;
    beacond_lane_t    *lane;
    beacond_stand_t   *stand;

    lane = beacond_lanes_add(engine, ring->epoch, number);
    index = (uint32_t) (lane - engine->lanes);

    beacon_lane_reclaimed(ring, number, &lane->reclaim);
    beacon_lane_tail(ring, number, &lane->tail);
    lane->ring = ring;
    lane->reader = lane->spool_from = lane->reclaim;

    for (i = 0; i < engine->nsinks + engine->nleaving; i++) {
        stand = &beacond_lanes_sink(engine, i)->stands[index];
        stand->taken = stand->free_to = lane->reclaim;
        beacond_ranges_init(&stand->acked, &lane->reclaim);
    }
}

static uint32_t
beacond_lanes_free(const beacond_engine_t *engine)
{
    uint32_t  i, n = 0;

    for (i = 0; i < BEACOND_LANES; i++) {
        n += !engine->lanes[i].used;
    }

    return n;
}

/* 1: some process holds a lock somewhere in the file, whatever its layout. */
static int
beacond_lanes_locked(const char *dir, uint64_t epoch)
{
    int           fd, rc;
    char          path[PATH_MAX];
    struct flock  lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    snprintf(path, sizeof(path), "%s/ring.%016llx", dir,
             (unsigned long long) epoch);

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno != ELOOP;
    }

    rc = fcntl(fd, F_OFD_GETLK, &lock);
    close(fd);

    return rc != 0 || lock.l_type != F_UNLCK;
}

/* A ring that cannot be used: away with it, if nobody uses it. */
static void
beacond_lanes_aside(beacond_engine_t *engine, uint64_t epoch, beacon_rc_t rc,
    const beacon_err_t *err)
{
    if (rc == BEACON_INVALID
        && (epoch == engine->conf->epoch
            || beacond_lanes_locked(engine->conf->dir, epoch)))
    {
        return;
    }

    if (beacon_ring_set_aside(engine->conf->dir, epoch) != BEACON_OK) {
        return;
    }

    engine->set_aside++;
    engine->dirty = true;
    beacond_log(BEACOND_ERROR, "ring.%016llx set aside: %s",
                (unsigned long long) epoch, err->text);
}

static void
beacond_lanes_attach(void *data, uint64_t epoch)
{
    uint32_t           i;
    beacon_rc_t        rc;
    beacon_err_t       err;
    beacon_ring_t     *ring;
    beacond_engine_t  *engine = data;

    for (i = 0; i < engine->nrings; i++) {
        if (engine->rings[i].epoch == epoch) {
            return;
        }
    }

    if (epoch == engine->retired_epoch || engine->nrings == BEACOND_RINGS) {
        return;
    }

    err.text[0] = '\0';
    rc = beacon_ring_attach(engine->conf->dir, epoch, 1, &ring, &err);

    if (rc == BEACON_INVALID || rc == BEACON_CORRUPT) {
        beacond_lanes_aside(engine, epoch, rc, &err);
        return;
    }

    if (rc != BEACON_OK) {
        engine->attach_failed |= rc == BEACON_SYS && errno != ENOENT;
        return;
    }

    if (ring->lanes > beacond_lanes_free(engine)) {
        beacond_log(BEACOND_ERROR, "ring.%016llx waits: the lane table is "
                    "full", (unsigned long long) epoch);
        beacon_ring_detach(ring);
        return;
    }

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < ring->lanes; i++) {
        beacond_lanes_attach_one(engine, ring, i);
    }

    engine->rings[engine->nrings].epoch = epoch;
    engine->rings[engine->nrings].since_ns = beacond_clock_ns();
    engine->rings[engine->nrings++].ring = ring;
    engine->dirty = true;

    pthread_mutex_unlock(&engine->mutex);
}

void
beacond_lanes_scan(beacond_engine_t *engine)
{
    beacon_ring_scan(engine->conf->dir, beacond_lanes_attach, engine);
}

void
beacond_lanes_detach(beacond_engine_t *engine)
{
    while (engine->nrings > 0) {
        beacon_ring_detach(engine->rings[--engine->nrings].ring);
    }
}

/* Looks at the tails.  One that cannot be is not believed: its lane is broken
   for as long as it stays so. */
void
beacond_lanes_tails(beacond_engine_t *engine)
{
    uint32_t          i;
    beacond_lane_t   *lane;
    beacon_cursor_t   tail;

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (!lane->used || lane->ring == NULL) {
            continue;
        }

        beacon_lane_tail(lane->ring, lane->number, &tail);

        lane->broken = tail.offset < lane->tail.offset
                       || tail.ordinal < lane->tail.ordinal
                       || tail.offset - lane->reclaim.offset
                          > lane->ring->lane_size
                       || tail.ordinal - lane->tail.ordinal
                          > tail.offset - lane->tail.offset;

        if (!lane->broken) {
            lane->tail = tail;
        }
    }
}

uint64_t
beacond_lanes_accepted(beacond_engine_t *engine)
{
    uint32_t  i;
    uint64_t  n;

    n = engine->accepted_base;

    for (i = 0; i < engine->nlanes; i++) {
        if (engine->lanes[i].used) {
            n += engine->lanes[i].tail.ordinal;
        }
    }

    return n;
}

/* Nothing is left in the lane for anybody. */
static int
beacond_lanes_drained(beacond_engine_t *engine, uint32_t index)
{
    uint32_t           i;
    beacond_lane_t    *lane = &engine->lanes[index];
    beacond_sinker_t  *sinker;

    if (lane->ring != NULL
        && (lane->broken || lane->reclaim.offset != lane->tail.offset
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

/* Takes the ring's lanes out of the table, their hits into the base. */
static int
beacond_lanes_remove(beacond_engine_t *engine, beacon_ring_t *ring)
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

    for (i = 0; i < engine->nlanes; i++) {
        if (engine->lanes[i].used && engine->lanes[i].ring == ring) {
            beacond_lanes_leave(engine, i);
        }
    }

    engine->retired_epoch = ring->epoch;

    pthread_mutex_unlock(&engine->mutex);

    return 1;
}

/* The books say that the epoch is in the base before its file goes: a helper
   that starts in between only unlinks. */
static void
beacond_lanes_retire_ring(beacond_engine_t *engine, uint32_t r)
{
    char            path[PATH_MAX];
    beacon_ring_t  *ring = engine->rings[r].ring;

    if (!beacond_lanes_seize(ring, F_WRLCK)) {
        return;
    }

    if (!beacond_lanes_remove(engine, ring)) {
        beacond_lanes_seize(ring, F_UNLCK);
        return;
    }

    BEACOND_POINT("engine.before_retire");
    beacond_books_make(engine);
    BEACOND_POINT("engine.after_retire");

    snprintf(path, sizeof(path), "%s/ring.%016llx", engine->conf->dir,
             (unsigned long long) ring->epoch);
    unlink(path);
    beacond_log(BEACOND_INFO, "ring.%016llx is drained and gone",
                (unsigned long long) ring->epoch);

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
