/* Loss, where there is no room left for what a sink lacks. */

#include "beacond_parts.h"

#define BEACOND_UNREADY  (5000 * BEACOND_MS)
#define BEACOND_FRESH    (250 * BEACOND_MS)     /* for one that has begun */
#define BEACOND_ASLEEP   (1000 * BEACOND_MS)    /* a turn is much shorter */

/* The furthest that another durable sink has acknowledged. */
static beacon_cursor_t
beacond_keeper_best(beacond_engine_t *engine, const beacond_sinker_t *but,
    uint32_t index)
{
    uint32_t                i;
    beacon_cursor_t         best = { 0, 0 };
    const beacond_sinker_t *sinker;

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];

        if (sinker != but && sinker->sink.ops->durable
            && sinker->mode != BEACOND_STARTING
            && sinker->stands[index].acked.prefix.offset > best.offset)
        {
            best = sinker->stands[index].acked.prefix;
        }
    }

    return best;
}

static void
beacond_keeper_told(beacond_sinker_t *sinker, const beacond_lane_t *lane,
    const beacon_cursor_t *from, const beacon_cursor_t *to)
{
    uint64_t  lost = sinker->loss_told;

    if (beacond_log_due(&sinker->loss_limit, NULL)) {
        sinker->loss_told = 0;
        beacond_log(BEACOND_ERROR, "sink \"%s\" lost %llu hits for want of "
                    "room, the last from %016llx-%x-%llx to before "
                    "%016llx-%x-%llx", sinker->name,
                    (unsigned long long) lost,
                    (unsigned long long) lane->epoch, lane->number,
                    (unsigned long long) from->offset,
                    (unsigned long long) lane->epoch, lane->number,
                    (unsigned long long) to->offset);
    }
}

/* Where what the sink may lose of a lane begins: behind what it has, or the
   spool has for it. */
static beacon_cursor_t
beacond_keeper_lacks(const beacond_lane_t *lane, const beacond_stand_t *stand)
{
    beacon_cursor_t         from = stand->taken;
    const beacond_range_t  *range;

    if (from.offset < lane->spooled.offset) {
        from = lane->spooled;
    }

    if (from.offset < stand->acked.prefix.offset) {
        from = stand->acked.prefix;
    }

    range = beacond_ranges_find(&stand->acked, from.ordinal);

    return range != NULL ? range->to : from;
}

/*
 * The sink loses what it has not taken and the spool does not have, as far as
 * another has it, or up to what it is done with already, as its checkpoint
 * says; false: there is nothing more.  What it has in hand, it keeps: that is
 * in batches.  One that has not loaded finds a hole then, and counts that
 * itself.
 */
static bool
beacond_keeper_lose(beacond_engine_t *engine, beacond_sinker_t *sinker,
    uint32_t index)
{
    uint64_t          n, next;
    beacon_cursor_t   from, to;
    beacond_lane_t   *lane = &engine->lanes[index];
    beacond_stand_t  *stand = &sinker->stands[index];

    to = beacond_keeper_best(engine, sinker, index);
    from = beacond_keeper_lacks(lane, stand);
    next = beacond_ranges_next(&stand->acked, from.ordinal);

    if (next < to.ordinal) {
        to = beacond_ranges_find(&stand->acked, next)->from;
    }

    if (to.offset <= from.offset || to.ordinal <= from.ordinal
        || beacond_keeper_hold(engine, sinker, index).offset >= to.offset)
    {
        return false;
    }

    if (sinker->mode == BEACOND_STARTING) {
        if (from.offset < stand->free_to.offset) {
            from = stand->free_to;
        }

        n = to.ordinal - from.ordinal;

    } else {
        beacond_sinker_behind(sinker);

        if (beacond_ranges_add(&stand->acked, &from, &to, 0) != BEACON_OK) {
            return false;
        }

        n = to.ordinal - from.ordinal;
        stand->ahead += n;
        sinker->lost += n;
        sinker->puller.voided = sinker->puller.busy;
    }

    stand->free_to = to;
    sinker->loss_told += n;
    engine->dirty = true;
    beacond_keeper_told(sinker, lane, &from, &to);

    return true;
}

/*
 * One that builds a batch is not to lose what will be in it, and done in a
 * moment; but not where it reads from a spool that is stuck: that batch is
 * then built in vain.  Nor one that has just begun, on a ring that filled while
 * there was no helper; what it has not been shown yet, it may have.
 */
static bool
beacond_keeper_loses(const beacond_sinker_t *sinker, uint64_t now)
{
    const beacond_puller_t  *puller = &sinker->puller;

    if (!sinker->sink.ops->durable || puller->building
        || (puller->busy && now - puller->busy_ns < BEACOND_UNREADY))
    {
        return false;
    }

    if (sinker->mode == BEACOND_STARTING) {
        return now - sinker->progress_ns > BEACOND_UNREADY;
    }

    return now - sinker->fresh_ns > (sinker->showing ? BEACOND_UNREADY
                                                     : BEACOND_FRESH);
}

/*
 * Nobody could do anything meanwhile, so nobody was slow or stuck: all have the
 * time anew that they have before they lose or are spooled for.
 */
static void
beacond_keeper_awake(beacond_engine_t *engine, uint64_t now)
{
    uint32_t           i;
    beacond_sinker_t  *sinker;

    if (engine->spool_ns != 0) {
        engine->spool_ns = now;
    }

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];
        sinker->progress_ns = sinker->crowded_ns = sinker->fresh_ns = now;
        sinker->puller.busy_ns = now;
    }
}

uint64_t
beacond_keeper_now(beacond_engine_t *engine)
{
    uint64_t  now = beacond_clock_ns();

    if (now - engine->looked_ns > BEACOND_ASLEEP) {
        beacond_keeper_awake(engine, now);
    }

    engine->looked_ns = now;

    return now;
}

/* Is there a spool that takes hits?  One whose thread is stuck does not. */
static bool
beacond_keeper_spools(const beacond_engine_t *engine, uint64_t now)
{
    return engine->spool != NULL && !engine->spool_full
           && (engine->spool_ns == 0
               || now - engine->spool_ns < BEACOND_UNREADY);
}

void
beacond_keeper_losses(beacond_engine_t *engine)
{
    uint32_t           i, k;
    uint64_t           now;
    beacond_lane_t    *lane;
    beacond_sinker_t  *sinker;

    pthread_mutex_lock(&engine->mutex);
    now = beacond_keeper_now(engine);

    for (i = 0; i < engine->nlanes; i++) {
        if (beacond_keeper_spools(engine, now)) {
            break;
        }

        lane = &engine->lanes[i];

        if (!lane->used || lane->ring == NULL || lane->broken
            || lane->tail.offset - lane->reclaim.offset
               < lane->ring->lane_size / 8 * 7)
        {
            continue;
        }

        for (k = 0; k < engine->nsinks; k++) {
            sinker = engine->sinks[k];

            while (beacond_keeper_loses(sinker, now)
                   && beacond_keeper_lose(engine, sinker, i))
            {
                /* up to the next that it has */
            }
        }
    }

    pthread_mutex_unlock(&engine->mutex);
}
