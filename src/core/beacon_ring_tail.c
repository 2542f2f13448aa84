/* A lane's two ends, each with the ordinal that belongs to it. */

#include "beacon_ring_internal.h"

#include <errno.h>
#include <fcntl.h>

/* Tries: each fails only if a hit was committed in between. */
#define BEACON_PAIR_TRIES  1000

beacon_rc_t
beacon_lane_pair(const beacon_lane_header_t *lane, beacon_cursor_t *tail,
    uint32_t *slot)
{
    unsigned                tries;
    uint32_t                i;
    const beacon_commit_t  *commit;

    for (tries = 0; tries < BEACON_PAIR_TRIES; tries++) {

        tail->offset = atomic_load_explicit(&lane->tail, memory_order_acquire);

        for (i = 0; i < 2; i++) {
            commit = &lane->commit[i];

            /* acquire, twice: beacon_lane_commit() */

            if (atomic_load_explicit(&commit->tail, memory_order_acquire)
                != tail->offset)
            {
                continue;
            }

            tail->ordinal = atomic_load_explicit(&commit->ordinal,
                                                 memory_order_acquire);

            if (atomic_load_explicit(&commit->tail, memory_order_relaxed)
                == tail->offset)
            {
                *slot = i;
                return BEACON_OK;
            }
        }

        if (atomic_load_explicit(&lane->tail, memory_order_relaxed)
            == tail->offset)
        {
            break;              /* nobody is writing: the slots are wrong */
        }
    }

    *slot = 1;
    tail->ordinal = 0;

    return BEACON_CORRUPT;
}

static int
beacon_lane_bounds(const beacon_ring_t *ring, uint64_t reclaim, uint64_t tail)
{
    return tail - reclaim <= ring->lane_size && ((tail | reclaim) & 7) == 0;
}

/*
 * What is at reclaim.  A helper that died between the stores of
 * reclaim_ordinal and reclaim left the first too large: the record that
 * stands there, or the tail if none does, knows better.
 */
static void
beacon_lane_start(const beacon_ring_t *ring, uint32_t lane,
    const beacon_cursor_t *tail, beacon_rc_t pair, beacon_cursor_t *cursor)
{
    const beacon_lane_header_t  *header;

    header = beacon_ring_lane(ring, lane);

    cursor->offset = atomic_load_explicit(&header->reclaim,
                                          memory_order_acquire);
    cursor->ordinal = atomic_load_explicit(&header->reclaim_ordinal,
                                           memory_order_relaxed);

    if (!beacon_lane_bounds(ring, cursor->offset, tail->offset)) {
        return;
    }

    if (cursor->offset != tail->offset) {
        beacon_lane_peek(ring, lane, tail->offset, cursor);

    } else if (pair == BEACON_OK) {
        cursor->ordinal = tail->ordinal;
    }
}

void
beacon_lane_reclaimed(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *cursor)
{
    uint32_t         slot;
    beacon_rc_t      rc;
    beacon_cursor_t  tail;

    rc = beacon_lane_pair(beacon_ring_lane(ring, lane), &tail, &slot);

    beacon_lane_start(ring, lane, &tail, rc, cursor);
}

/*
 * The slots are the owner's to repair, with its next commit.  Until then the
 * records that are still there tell the ordinal.
 */
static void
beacon_lane_count(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *tail)
{
    beacon_cursor_t  cursor;

    beacon_lane_start(ring, lane, tail, BEACON_CORRUPT, &cursor);

    if (beacon_lane_bounds(ring, cursor.offset, tail->offset)) {
        beacon_lane_walk(ring, lane, tail->offset, &cursor);
    }

    tail->ordinal = cursor.ordinal;
}

void
beacon_lane_last(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *tail, uint32_t *slot)
{
    if (beacon_lane_pair(beacon_ring_lane(ring, lane), tail, slot)
        != BEACON_OK)
    {
        beacon_lane_count(ring, lane, tail);
    }

    *slot ^= 1;
}

void
beacon_lane_tail(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *tail)
{
    uint32_t  slot;

    beacon_lane_last(ring, lane, tail, &slot);
}

beacon_rc_t
beacon_lane_reclaim(beacon_ring_t *ring, uint32_t lane,
    const beacon_cursor_t *cursor)
{
    uint64_t               tail, reclaim;
    beacon_lane_header_t  *header;

    header = beacon_ring_lane(ring, lane);

    tail = atomic_load_explicit(&header->tail, memory_order_acquire);
    reclaim = atomic_load_explicit(&header->reclaim, memory_order_relaxed);

    if (!beacon_lane_bounds(ring, reclaim, tail)
        || (cursor->offset & 7) != 0
        || cursor->offset - reclaim > tail - reclaim)
    {
        return BEACON_INVALID;
    }

    atomic_store_explicit(&header->reclaim_ordinal, cursor->ordinal,
                          memory_order_relaxed);

    /*
     * release: the reads of these bytes are done before the owner's acquire
     * load (beacon_lane_room()) lets it write there again
     */

    atomic_store_explicit(&header->reclaim, cursor->offset,
                          memory_order_release);

    return BEACON_OK;
}

beacon_rc_t
beacon_lane_punch(beacon_ring_t *ring, uint32_t lane)
{
    int                    n;
    uint64_t               tail, reclaim;
    beacon_rc_t            rc;
    beacon_lane_header_t  *header;

    rc = beacon_ring_lock(ring, lane);
    if (rc != BEACON_OK) {
        return rc;
    }

    header = beacon_ring_lane(ring, lane);

    tail = atomic_load_explicit(&header->tail, memory_order_acquire);
    reclaim = atomic_load_explicit(&header->reclaim, memory_order_relaxed);

    rc = BEACON_AGAIN;

    if (tail == reclaim) {

        do {
            n = fallocate(ring->fd, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE,
                          (off_t) (beacon_ring_lane_offset(ring, lane)
                                   + BEACON_PAGE),
                          (off_t) ring->lane_size);
        } while (n == -1 && errno == EINTR);

        rc = n == 0 ? BEACON_OK : BEACON_SYS;
    }

    beacon_ring_unlock(ring, lane);

    return rc;
}
