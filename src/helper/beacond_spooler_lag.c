/* When to spool. */

#include "beacond_parts.h"

#define BEACOND_STALLED   (250 * BEACOND_MS)
#define BEACOND_OLD       (5000 * BEACOND_MS)
#define BEACOND_UNREADY   (1000 * BEACOND_MS)
#define BEACOND_STOPPED   (100 * BEACOND_MS)

/* Bytes of a lane that the sink has not acknowledged. */
static uint64_t
beacond_spooler_lag(const beacond_sinker_t *sinker, uint32_t index)
{
    const beacond_lane_t  *lane = &sinker->engine->lanes[index];
    const beacon_cursor_t *prefix = &sinker->stands[index].acked.prefix;

    if (prefix->ordinal == lane->tail.ordinal
        || prefix->offset > lane->tail.offset)
    {
        return 0;
    }

    return lane->tail.offset - prefix->offset;
}

/*
 * A sink that is slow in a burst is not spooled for: only one that has not
 * acknowledged anything for a while, or that lets a lane stay nearly full; or
 * that cannot read its checkpoint.
 */
static bool
beacond_spooler_lags(beacond_sinker_t *sinker, uint64_t now)
{
    uint32_t           i;
    uint64_t           lag, stalled, size;
    bool               crowded = false;
    beacond_engine_t  *engine = sinker->engine;

    if (beacond_sinker_pending(sinker) == 0) {
        sinker->progress_ns = sinker->crowded_ns = now;
        return false;
    }

    stalled = now - sinker->progress_ns;

    if (sinker->mode == BEACOND_STARTING) {
        return stalled > (engine->stopping ? BEACOND_STOPPED
                                           : BEACOND_UNREADY);
    }

    if (stalled > BEACOND_OLD
        || (engine->stopping && stalled > BEACOND_STOPPED))
    {
        return true;
    }

    for (i = 0; i < engine->nlanes; i++) {
        if (!engine->lanes[i].used || engine->lanes[i].ring == NULL) {
            continue;
        }

        lag = beacond_spooler_lag(sinker, i);
        size = engine->lanes[i].ring->lane_size;

        if (lag > size / 2 && stalled > BEACOND_STALLED) {
            return true;
        }

        crowded |= lag > size / 4 * 3;
    }

    if (!crowded) {
        sinker->crowded_ns = now;
    }

    return now - sinker->crowded_ns > BEACOND_STALLED;
}

/* Has it caught up, and does it go on? */
static bool
beacond_spooler_healthy(beacond_sinker_t *sinker, uint64_t now)
{
    uint32_t           i;
    beacond_engine_t  *engine = sinker->engine;

    if (now - sinker->progress_ns > BEACOND_UNREADY) {
        return false;
    }

    for (i = 0; i < engine->nlanes; i++) {
        if (engine->lanes[i].used && engine->lanes[i].ring != NULL
            && beacond_spooler_lag(sinker, i)
               >= engine->lanes[i].ring->lane_size / 4)
        {
            return false;
        }
    }

    return true;
}

/* Each of the two once a minute, and always the last: a sink may lag, and not,
   many times a second. */
void
beacond_spooler_tell(beacond_engine_t *engine)
{
    bool      spooling = engine->spooling;
    uint64_t  missed;

    if (spooling == engine->spooling_told
        || !beacond_log_due(&engine->spooling_limit[spooling], NULL))
    {
        return;
    }

    missed = engine->spooling_untold - spooling;        /* not this time */
    engine->spooling_told = spooling;

    if (!spooling) {
        beacond_log(BEACOND_NOTICE, "no sink lags: not spooling");
        return;
    }

    engine->spooling_untold = 0;

    if (missed > 0) {
        beacond_log(BEACOND_NOTICE, "a sink lags: spooling (so it was %llu "
                    "times more since this was told last)",
                    (unsigned long long) missed);

    } else {
        beacond_log(BEACOND_NOTICE, "a sink lags: spooling");
    }
}

void
beacond_spooler_decide(beacond_engine_t *engine)
{
    bool               lags = false, healthy = true;
    uint32_t           i;
    uint64_t           now;
    beacond_sinker_t  *sinker;

    if (engine->spool == NULL) {
        return;
    }

    pthread_mutex_lock(&engine->mutex);
    now = beacond_keeper_now(engine);

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];

        if (sinker->sink.ops->durable) {
            lags |= beacond_spooler_lags(sinker, now);
            healthy &= beacond_spooler_healthy(sinker, now);
        }
    }

    if (engine->spooling ? healthy && !lags : lags) {
        engine->spooling = lags;
        engine->spooling_time++;
        engine->spooling_untold += lags;
        engine->spool_full = false;     /* that was another time */
        pthread_cond_broadcast(&engine->rest);
    }

    beacond_spooler_tell(engine);
    pthread_mutex_unlock(&engine->mutex);
}
