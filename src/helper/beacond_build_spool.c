/*
 * Building a batch from the spool: the journal is read on from frame to frame;
 * what the sink has, or may have from the ring, is passed over.
 */

#include "beacond_parts.h"

#include <errno.h>
#include <string.h>

static beacond_need_t *
beacond_needs_find(beacond_puller_t *puller, const beacond_frame_t *frame)
{
    uint32_t         i;
    beacond_need_t  *need;

    need = &puller->needs[puller->last_need];

    if (puller->last_need < puller->nneeds && need->epoch == frame->epoch
        && need->number == frame->lane)
    {
        return need;
    }

    for (i = 0; i < puller->nneeds; i++) {
        need = &puller->needs[i];

        if (need->epoch == frame->epoch && need->number == frame->lane) {
            puller->last_need = i;
            return need;
        }
    }

    return NULL;
}

static int
beacond_needs_wanted(void *data, const beacond_spool_lane_t *lane)
{
    uint32_t           i;
    beacond_need_t    *need;
    beacond_puller_t  *puller = data;

    for (i = 0; i < puller->nneeds; i++) {
        need = &puller->needs[i];

        if (need->epoch == lane->epoch && need->number == lane->lane
            && need->at.ordinal < lane->to.ordinal)
        {
            return 1;
        }
    }

    return 0;
}

static beacond_pull_t *
beacond_needs_pull(beacond_puller_t *puller, beacond_need_t *need)
{
    if (need->pull == NULL) {
        need->pull = beacond_pull_add(puller, need->lane, &need->at,
                                      &need->limit);
    }

    return need->pull;
}

/* What is found may be what stood before the rest: all is looked for anew. */
void
beacond_needs_anew(beacond_puller_t *puller)
{
    if (puller->sought) {
        puller->sought = false;
        memset(puller->vain, 0, sizeof(puller->vain));
    }
}

/* Read to its end in vain: once more from where it may be, then it is
   nowhere. */
static void
beacond_needs_vain(beacond_puller_t *puller)
{
    uint32_t               i;
    const beacond_need_t  *need;

    puller->journal = false;
    puller->sought = true;

    for (i = 0; i < puller->nneeds; i++) {
        need = &puller->needs[i];

        if (need->spooled && puller->vain[need->lane] < BEACOND_SPOOL_LOOKS) {
            puller->vain[need->lane]++;
        }
    }
}

/* OK: goes on; FULL: the batch ends before this frame. */
static beacon_rc_t
beacond_build_frame(beacond_puller_t *puller, beacond_batch_t *batch,
    const beacond_frame_t *frame)
{
    beacond_need_t         *need;
    beacond_pull_t         *pull;
    const beacon_record_t  *record = &frame->record;

    need = beacond_needs_find(puller, frame);

    if (need == NULL || record->ordinal < need->at.ordinal) {
        return BEACON_OK;
    }

    /* a hole that the ring can fill, and what is beyond the limit: later */

    if ((record->ordinal > need->at.ordinal && !need->spooled)
        || (record->ordinal >= need->limit.ordinal && !need->given_up))
    {
        puller->passed[need->lane] = 1;
        return BEACON_OK;
    }

    /* no hole: it was passed over then, so go back for it */

    if (record->ordinal > need->at.ordinal && puller->passed[need->lane]) {
        puller->journal = false;
        return BEACON_FULL;
    }

    pull = beacond_needs_pull(puller, need);

    if (pull == NULL) {
        return BEACON_FULL;
    }

    if (record->ordinal >= need->limit.ordinal) {

        /* up to what was given up before */

        pull->done = need->limit;
        return BEACON_FULL;
    }

    pull->record = *record;

    if (beacond_build_hit(puller, pull, batch) != BEACON_OK) {
        return BEACON_FULL;
    }

    need->at = pull->done;
    beacond_needs_anew(puller);

    return BEACON_OK;
}

/* Frames of lanes of which nothing is wanted now will be passed over. */
static void
beacond_needs_passed(beacond_puller_t *puller)
{
    uint8_t   wanted[BEACOND_LANES] = { 0 };
    uint32_t  i;

    for (i = 0; i < puller->nneeds; i++) {
        wanted[puller->needs[i].lane] = 1;
    }

    for (i = 0; i < BEACOND_LANES; i++) {
        puller->passed[i] |= !wanted[i];
    }
}

void
beacond_build_spool(beacond_puller_t *puller, beacond_batch_t *batch)
{
    uint64_t          position;
    beacon_rc_t       rc;
    beacond_frame_t   frame;
    beacond_spool_t  *spool = puller->spool.spool;

    puller->last_need = 0;
    puller->spool_error = 0;

    if (puller->moved) {
        puller->moved = false;
        beacond_spool_reader_dispose(&puller->spool);
        puller->spool.spool = spool;
    }

    if (!puller->journal) {
        beacond_spool_seek(&puller->spool,
                           beacond_spool_find(puller->spool.spool,
                                              beacond_needs_wanted, puller));
        memset(puller->passed, 0, sizeof(puller->passed));
        puller->journal = true;
    }

    beacond_needs_passed(puller);

    for ( ;; ) {
        position = puller->spool.position;
        rc = beacond_spool_next(&puller->spool, &frame);

        if (rc == BEACON_AGAIN) {
            beacond_needs_vain(puller);
            break;
        }

        if (rc != BEACON_OK) {
            puller->spool_error = errno;
            break;
        }

        if (beacond_build_frame(puller, batch, &frame) != BEACON_OK) {
            beacond_spool_seek(&puller->spool, position);
            break;
        }
    }

    if (batch->nhits > 0) {
        beacond_needs_anew(puller);
    }

    beacond_build_finish(puller, batch);
}
