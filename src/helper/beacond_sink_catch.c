/*
 * A sink that is behind: batches of its own, from where it stands up to where
 * the readers are, from the ring, or from the spool where the ring's bytes are
 * given back.
 */

#include "beacond_parts.h"

#include <stdlib.h>
#include <string.h>

/* Over what was given up as lost before, or what the last helper's checkpoint
   tells is done with: it is in the books already. */
static void
beacond_sinker_jump(beacond_stand_t *stand)
{
    const beacond_range_t  *range;
    const beacon_cursor_t  *to = NULL;

    if (stand->ahead == 0) {
        return;
    }

    if (stand->acked.prefix.ordinal > stand->taken.ordinal) {
        to = &stand->acked.prefix;

    } else {
        range = beacond_ranges_find(&stand->acked, stand->taken.ordinal);
        to = range ? &range->to : NULL;
    }

    if (to != NULL) {
        stand->ahead -= to->ordinal - stand->taken.ordinal;
        stand->taken = *to;
    }
}

/*
 * Not before it is beyond all that it must not get again: live batches hold
 * whatever is there.  If the readers have not come so far, they may go on for
 * its sake alone.
 */
bool
beacond_sinker_caught_up(beacond_sinker_t *sinker)
{
    bool              leaps = false;
    uint32_t          i;
    beacond_lane_t   *lane;
    beacond_stand_t  *stand;

    for (i = 0; i < sinker->engine->nlanes; i++) {
        lane = &sinker->engine->lanes[i];
        stand = &sinker->stands[i];

        if (!lane->used) {
            continue;
        }

        beacond_sinker_jump(stand);

        if (stand->taken.ordinal < lane->reader.ordinal) {
            sinker->leaps = false;
            return false;
        }

        leaps |= stand->taken.ordinal > lane->reader.ordinal
                 || stand->ahead > 0;
    }

    sinker->leaps = leaps;

    if (leaps) {
        pthread_cond_broadcast(&sinker->engine->work);
        return false;
    }

    for (i = 0; i < sinker->engine->nlanes; i++) {
        if (sinker->engine->lanes[i].used) {
            sinker->stands[i].taken = sinker->engine->lanes[i].reader;
        }
    }

    return true;
}

/*
 * What is wanted of a lane: from *at, up to the readers' position, or to what
 * was given up before that.
 */
static bool
beacond_catch_need(beacond_sinker_t *sinker, uint32_t i,
    const beacon_cursor_t *at, beacond_need_t *need)
{
    uint64_t          next;
    beacond_lane_t   *lane = &sinker->engine->lanes[i];
    beacond_stand_t  *stand = &sinker->stands[i];

    need->lane = i;
    need->epoch = lane->epoch;
    need->number = lane->number;
    need->pull = NULL;
    need->given_up = false;
    need->limit = at != NULL ? lane->tail : lane->reader;

    if (at == NULL) {
        beacond_sinker_jump(stand);
        need->at = stand->taken;
        next = beacond_ranges_next(&stand->acked, need->at.ordinal);

        if (next < need->limit.ordinal) {
            need->limit = beacond_ranges_find(&stand->acked, next)->from;
            need->given_up = true;
        }

    } else {
        need->at = at[i];
    }

    need->spooled = need->at.ordinal < lane->reclaim.ordinal;

    return need->at.ordinal < need->limit.ordinal;
}

/* Sets the puller up; the mutex is held.  false: nothing is wanted. */
static bool
beacond_catch_prepare(beacond_sinker_t *sinker, const beacon_cursor_t *at)
{
    bool               spool = false, look = false;
    uint32_t           i;
    beacond_need_t    *need;
    beacond_pull_t    *pull;
    beacond_engine_t  *engine = sinker->engine;
    beacond_puller_t  *puller = &sinker->puller;

    puller->npulls = 0;
    puller->nneeds = 0;

    for (i = 0; i < engine->nlanes; i++) {
        need = &puller->needs[puller->nneeds];

        if (engine->lanes[i].used
            && beacond_catch_need(sinker, i, at, need))
        {
            puller->nneeds++;
            spool |= need->spooled;
            look |= need->spooled && puller->vain[i] < BEACOND_SPOOL_LOOKS;
        }
    }

    if (spool && engine->spool_leaving) {
        return false;
    }

    if (look && engine->spool != NULL) {
        puller->spool.spool = engine->spool;
        return true;
    }

    puller->journal = false;
    beacond_needs_anew(puller);

    for (i = 0; i < puller->nneeds; i++) {
        need = &puller->needs[i];
        pull = beacond_pull_add(puller, need->lane, &need->at,
                                &need->limit);

        if (pull == NULL) {
            break;
        }

        /* a hole, if neither ring nor spool has what comes next; or only
           bytes that are no hit */

        if (need->at.offset < engine->lanes[need->lane].reclaim.offset) {
            pull->next = engine->lanes[need->lane].reclaim;
        }
    }

    return puller->npulls > 0;
}

/*
 * Called and returns with the mutex held.  at: instead of the sink's own
 * position, for a first look that takes nothing; moved on.  NULL: nothing to
 * build now.
 */
beacond_batch_t *
beacond_sinker_build(beacond_sinker_t *sinker, beacon_cursor_t *at)
{
    bool               journal;
    uint32_t           i;
    beacond_batch_t   *batch;
    beacond_engine_t  *engine = sinker->engine;
    beacond_puller_t  *puller = &sinker->puller;

    if (!beacond_catch_prepare(sinker, at)) {
        return NULL;
    }

    batch = beacond_pool_get(&sinker->pool);
    if (batch == NULL) {
        return NULL;
    }

    journal = puller->npulls == 0;
    puller->building = !journal;
    puller->busy = true;
    puller->busy_ns = beacond_clock_ns();
    batch->names = beacond_names_ref(engine->names);
    pthread_mutex_unlock(&engine->mutex);

    if (journal) {
        beacond_build_spool(puller, batch);

    } else {
        beacond_build_ring(puller, batch);
    }

    pthread_mutex_lock(&engine->mutex);
    puller->building = puller->busy = false;

    if (puller->voided && at == NULL) {
        puller->journal = false;        /* some of it is lost: once more */
        batch->nspans = 0;
    }

    puller->voided = false;

    if (at == NULL) {
        beacond_sinker_take(sinker, batch);
    }

    for (i = 0; at != NULL && i < batch->nspans; i++) {
        at[batch->spans[i].lane] = batch->spans[i].to;
    }

    if (batch->nspans > 0) {
        return batch;
    }

    pthread_mutex_unlock(&engine->mutex);
    beacond_batch_unref(batch);
    pthread_mutex_lock(&engine->mutex);

    return NULL;
}
