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
    beacond_lanes_judge(engine, lane);
    lane->reader = lane->spool_from = lane->reclaim;

    for (i = 0; i < engine->nsinks + engine->nleaving; i++) {
        stand = &beacond_lanes_sink(engine, i)->stands[index];
        stand->taken = stand->free_to = stand->joined = lane->reclaim;
        beacond_ranges_init(&stand->acked, &lane->reclaim);
    }
}

uint32_t
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

        if (!lane->used || lane->ring == NULL || lane->gone) {
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
