/*
 * What a sink has taken and what it has acknowledged, in the engine's books.
 * pending is counted from positions and from what is in flight; done and lost
 * from acknowledgements: neither from the other.
 */

#include "beacond_parts.h"

#include <string.h>

beacond_stand_t *
beacond_sinker_stand(beacond_sinker_t *sinker, uint64_t epoch,
    uint32_t number, uint32_t index)
{
    const beacond_lane_t  *lane = &sinker->engine->lanes[index];

    if (!lane->used || lane->epoch != epoch || lane->number != number) {
        return NULL;
    }

    return &sinker->stands[index];
}

static beacond_stand_t *
beacond_sinker_stand_of(beacond_sinker_t *sinker, const beacond_span_t *span)
{
    return beacond_sinker_stand(sinker, span->epoch, span->number,
                                span->lane);
}

beacon_rc_t
beacond_sinker_settle(beacond_sinker_t *sinker, beacond_stand_t *stand,
    const beacon_cursor_t *from, const beacon_cursor_t *to, uint64_t hits)
{
    uint64_t     ordinals = to->ordinal - from->ordinal;
    beacon_rc_t  rc;

    rc = beacond_ranges_add(&stand->acked, from, to, hits);

    if (rc != BEACON_OK) {
        return rc;
    }

    sinker->inflight -= ordinals;
    sinker->done += hits;
    sinker->lost += ordinals - hits;
    sinker->progress_ns = beacond_clock_ns();
    sinker->engine->dirty = true;

    return BEACON_OK;
}

/* The batch is now the sink's.  A hole before a span is lost. */
void
beacond_sinker_take(beacond_sinker_t *sinker, const beacond_batch_t *batch)
{
    uint32_t               i;
    beacon_cursor_t        taken;
    beacond_stand_t       *stand;
    const beacond_span_t  *span;

    for (i = 0; i < batch->nspans; i++) {
        span = &batch->spans[i];
        stand = beacond_sinker_stand_of(sinker, span);

        if (stand == NULL || span->to.ordinal < stand->taken.ordinal) {
            continue;
        }

        taken = stand->taken;
        stand->taken = span->to;
        sinker->inflight += span->to.ordinal - taken.ordinal;

        if (span->from.ordinal > taken.ordinal) {
            (void) beacond_sinker_settle(sinker, stand, &taken, &span->from, 0);
        }
    }

    sinker->engine->dirty = true;
}

/*
 * What a sink that is not durable has missed, with nothing in its queue.  Most
 * is a hole before its next batch; but there may be none for long.
 */
void
beacond_sinker_miss(beacond_sinker_t *sinker)
{
    uint32_t               i;
    beacon_cursor_t        taken;
    beacond_stand_t       *stand;
    const beacond_lane_t  *lane;

    sinker->missed = false;

    for (i = 0; i < sinker->engine->nlanes; i++) {
        lane = &sinker->engine->lanes[i];
        stand = &sinker->stands[i];

        if (lane->used && stand->taken.ordinal < lane->reader.ordinal) {
            taken = stand->taken;
            stand->taken = lane->reader;
            sinker->inflight += lane->reader.ordinal - taken.ordinal;
            (void) beacond_sinker_settle(sinker, stand, &taken,
                                         &lane->reader, 0);
        }
    }
}

/* The lane goes.  What the sink has not done of it, nobody waits for: it is
   not durable. */
void
beacond_sinker_leave(beacond_sinker_t *sinker, uint32_t index)
{
    uint64_t                hits, lost, unacked;
    const beacond_lane_t   *lane = &sinker->engine->lanes[index];
    const beacond_stand_t  *stand = &sinker->stands[index];

    if (sinker->mode == BEACOND_STARTING) {
        return;
    }

    beacond_ranges_ahead(&stand->acked, &hits, &lost);
    unacked = stand->taken.ordinal - stand->acked.prefix.ordinal - hits - lost;

    sinker->inflight -= unacked;
    sinker->lost += unacked + lane->tail.ordinal - stand->taken.ordinal;
}

void
beacond_pieces(const beacond_batch_t *batch, uint32_t first, uint32_t n,
    beacond_span_t *pieces)
{
    uint32_t              i;
    beacond_span_t       *piece;
    const beacond_hit_t  *hit;

    for (i = 0; i < batch->nspans; i++) {
        pieces[i] = batch->spans[i];

        if (n < batch->nhits) {
            pieces[i].hits = 0;
        }
    }

    if (n == batch->nhits) {
        return;
    }

    for (i = first; i < first + n; i++) {
        hit = &batch->hits[i];
        piece = &pieces[hit->span];

        if (piece->hits++ == 0) {
            piece->from.ordinal = hit->ordinal - hit->missing;
            piece->from.offset = hit->offset - hit->lead;
        }

        if (i != piece->last) {
            piece->to.ordinal = hit->ordinal + 1;
            piece->to.offset = hit->offset + hit->length;

        } else {
            piece->to = batch->spans[hit->span].to;
        }
    }

    /* spans without a hit go with the batch's last one */

    for (i = 0; i < batch->nspans; i++) {
        piece = &pieces[i];

        if (piece->hits == 0
            && (batch->spans[i].hits > 0 || first + n < batch->nhits))
        {
            piece->to = piece->from;
        }
    }
}

/* Spans without a hit in a batch that is given to no sink. */
void
beacond_sinker_ack_all(beacond_sinker_t *sinker, const beacond_batch_t *batch)
{
    uint32_t               i;
    beacond_stand_t       *stand;
    const beacond_span_t  *span;

    for (i = 0; i < batch->nspans; i++) {
        span = &batch->spans[i];
        stand = beacond_sinker_stand_of(sinker, span);

        if (stand != NULL) {
            (void) beacond_sinker_settle(sinker, stand, &span->from,
                                         &span->to, 0);
        }
    }
}

void
beacond_sinker_flags(uint64_t *flags, const beacond_batch_t *batch,
    uint32_t first, uint32_t n)
{
    uint32_t  i;
    uint64_t  bits;

    if (!batch->has_flags) {
        return;
    }

    for (i = first; i < first + n; i++) {
        for (bits = batch->hits[i].flags; bits != 0; bits &= bits - 1) {
            flags[__builtin_ctzll(bits)]++;
        }
    }
}

void
beacond_sinker_unacked(beacond_sinker_t *sinker, const beacond_batch_t *batch,
    uint32_t n)
{
    uint32_t            i;
    beacond_unacked_t  *unacked;

    for (i = 0; i < sinker->nunacked; i++) {
        unacked = &sinker->unacked[i];

        if (unacked->batch != batch) {
            continue;
        }

        unacked->left -= n < unacked->left ? n : unacked->left;

        if (unacked->left == 0) {
            sinker->window -= batch->lines_len;
            *unacked = sinker->unacked[--sinker->nunacked];
            pthread_cond_signal(&sinker->cond);
        }

        return;
    }
}

void
beacond_sink_ack(beacond_sink_t *sink, const beacond_batch_t *batch,
    uint32_t first, uint32_t n)
{
    uint32_t           i;
    beacond_span_t     pieces[BEACOND_BATCH_LANES];
    beacond_stand_t   *stand;
    beacond_sinker_t  *sinker = beacond_sinker(sink);
    beacond_engine_t  *engine = sinker->engine;

    if (n == 0 || first > batch->nhits || n > batch->nhits - first) {
        return;
    }

    beacond_pieces(batch, first, n, pieces);

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < batch->nspans; i++) {
        stand = beacond_sinker_stand_of(sinker, &pieces[i]);

        if (stand != NULL && (pieces[i].hits > 0
                              || pieces[i].to.ordinal
                                 > pieces[i].from.ordinal))
        {
            (void) beacond_sinker_settle(sinker, stand, &pieces[i].from,
                                  &pieces[i].to, pieces[i].hits);
        }
    }

    beacond_sinker_flags(sinker->flags, batch, first, n);
    beacond_sinker_unacked(sinker, batch, n);

    pthread_mutex_unlock(&engine->mutex);
}

/* Without what is parked: nobody waits for that. */
uint64_t
beacond_sinker_pending(const beacond_sinker_t *sinker)
{
    uint32_t                i;
    uint64_t                n;
    const beacond_lane_t   *lane;
    const beacond_stand_t  *stand;

    n = sinker->inflight;

    for (i = 0; i < sinker->engine->nlanes; i++) {
        lane = &sinker->engine->lanes[i];
        stand = &sinker->stands[i];

        if (lane->used) {
            n += lane->tail.ordinal - stand->taken.ordinal - stand->ahead;
        }
    }

    return n;
}

/* A sink that acknowledges by places. */

void
beacond_sink_piece(const beacond_batch_t *batch, uint32_t i,
    beacond_piece_t *piece)
{
    const beacond_hit_t   *hit = &batch->hits[i];
    const beacond_span_t  *span = &batch->spans[hit->span];

    piece->epoch = span->epoch;
    piece->number = span->number;
    piece->lane = span->lane;
    piece->fate = BEACOND_DONE;
    piece->told = false;
    piece->flags = hit->flags;
    piece->from.ordinal = hit->ordinal - hit->missing;
    piece->from.offset = hit->offset - hit->lead;

    if (i == span->last) {
        piece->to = span->to;

    } else {
        piece->to.ordinal = hit->ordinal + 1;
        piece->to.offset = hit->offset + hit->length;
    }
}

void
beacond_sink_release(beacond_sink_t *sink, const beacond_batch_t *batch)
{
    uint32_t               i;
    beacond_stand_t       *stand;
    beacond_sinker_t      *sinker = beacond_sinker(sink);
    const beacond_span_t  *span;

    pthread_mutex_lock(&sinker->engine->mutex);

    for (i = 0; i < batch->nspans; i++) {
        span = &batch->spans[i];
        stand = span->hits == 0
                ? beacond_sinker_stand(sinker, span->epoch, span->number,
                                       span->lane) : NULL;

        if (stand != NULL) {
            (void) beacond_sinker_settle(sinker, stand, &span->from,
                                         &span->to, 0);
        }
    }

    beacond_sinker_unacked(sinker, batch, batch->nhits);

    pthread_mutex_unlock(&sinker->engine->mutex);
}
