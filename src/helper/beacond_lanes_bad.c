/*
 * A lane whose header makes no sense.  While it has an owner, its next commit
 * may put it right.  Without one nobody claims it any more, and nothing in it
 * can be believed: it is given up.  Then it counts as empty, and ends, at an
 * offset that no lane reaches, with the last ordinal that was heard of; who
 * stands before that has the spool, and loses what that has not, as at any
 * other hole.  Its ring is set aside when it is drained, not unlinked.
 */

#include "beacond_parts.h"

#define BEACOND_LANE_END    (UINT64_MAX / 4)    /* a JSON integer, too */
#define BEACOND_RECORD_MIN  48                  /* bytes */

static bool
beacond_lane_sane(const beacon_ring_t *ring, const beacon_cursor_t *reclaim,
    const beacon_cursor_t *tail)
{
    uint64_t  bytes = tail->offset - reclaim->offset;

    return bytes <= ring->lane_size && tail->ordinal >= reclaim->ordinal
           && ((tail->offset | reclaim->offset) & 7) == 0
           && tail->ordinal - reclaim->ordinal <= bytes;
}

static uint64_t
beacond_lane_counted(const beacond_engine_t *engine,
    const beacond_lane_t *lane)
{
    uint32_t                    i;
    const beacon_books_lane_t  *old;

    for (i = 0; i < engine->prev.nlanes; i++) {
        old = &engine->prev.lanes[i];

        if (old->epoch == lane->epoch && old->lane == lane->number) {
            return old->ordinal;
        }
    }

    return lane->tail.ordinal;
}

/* One that was committed since the last books is in a slot, unless that is
   as wrong as the rest. */
static uint64_t
beacond_lane_committed(const beacond_lane_t *lane, uint64_t counted)
{
    int                          i;
    uint64_t                     ordinal, last = counted;
    const beacon_lane_header_t  *header;

    header = beacon_ring_lane(lane->ring, lane->number);

    for (i = 0; i < 2; i++) {
        ordinal = atomic_load_explicit(&header->commit[i].ordinal,
                                       memory_order_relaxed);

        if (ordinal > last && ordinal - counted <= lane->ring->lane_size
                                                   / BEACOND_RECORD_MIN)
        {
            last = ordinal;
        }
    }

    return last;
}

static void
beacond_lane_give_up(beacond_engine_t *engine, beacond_lane_t *lane,
    uint64_t counted)
{
    lane->gone = lane->broken = true;
    lane->tail.offset = BEACOND_LANE_END;
    lane->tail.ordinal = beacond_lane_committed(lane, counted);
    lane->reclaim = lane->tail;
    engine->corrupt++;
    engine->dirty = true;

    beacond_log(BEACOND_ERROR, "the header of lane %u of ring.%016llx is "
                "corrupt: what was not read of it is lost", lane->number,
                (unsigned long long) lane->epoch);
}

void
beacond_lanes_judge(beacond_engine_t *engine, beacond_lane_t *lane)
{
    if (beacond_lane_sane(lane->ring, &lane->reclaim, &lane->tail)) {
        return;
    }

    if (!beacon_lane_owned(lane->ring, lane->number)) {
        beacond_lane_give_up(engine, lane, beacond_lane_counted(engine, lane));
        return;
    }

    lane->tail = lane->reclaim;
}

void
beacond_lanes_raise(beacond_engine_t *engine, beacond_lane_t *lane,
    uint64_t ordinal)
{
    lane->tail.ordinal = lane->reclaim.ordinal = ordinal;
    beacond_keeper_overtake(engine, lane);
}

void
beacond_lanes_bad(beacond_engine_t *engine, const beacon_ring_t *seized)
{
    uint32_t          i;
    beacon_cursor_t   reclaim, tail;
    beacond_lane_t   *lane;

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (!lane->used || lane->ring == NULL || !lane->broken || lane->gone
            || (seized != NULL && lane->ring != seized))
        {
            continue;
        }

        beacon_lane_reclaimed(lane->ring, lane->number, &reclaim);
        beacon_lane_tail(lane->ring, lane->number, &tail);

        if (seized != NULL
            || (!beacond_lane_sane(lane->ring, &reclaim, &tail)
                && !beacon_lane_owned(lane->ring, lane->number)
                && !beacond_keeper_in_use(engine, i)))
        {
            beacond_lane_give_up(engine, lane, lane->tail.ordinal);
            beacond_keeper_overtake(engine, lane);
        }
    }

    pthread_mutex_unlock(&engine->mutex);
}
