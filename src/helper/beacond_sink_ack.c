/*
 * What a sink has taken and what it has acknowledged, in the engine's books.
 * pending is counted from positions and from what is in flight; done and lost
 * from acknowledgements: neither from the other.
 */

#include "beacond_parts.h"

#include <string.h>

/* NULL: the lane has been retired meanwhile. */
static beacond_stand_t *
beacond_sinker_stand(beacond_sinker_t *sinker, const beacond_span_t *span)
{
    const beacond_lane_t  *lane = &sinker->engine->lanes[span->lane];

    if (!lane->used || lane->epoch != span->epoch
        || lane->number != span->number)
    {
        return NULL;
    }

    return &sinker->stands[span->lane];
}

/* [from, to) of a lane is done with. */
static void
beacond_sinker_settle(beacond_sinker_t *sinker, beacond_stand_t *stand,
    const beacon_cursor_t *from, const beacon_cursor_t *to, uint64_t hits)
{
    uint64_t  ordinals = to->ordinal - from->ordinal;

    if (beacond_ranges_add(&stand->acked, from, to, hits) != BEACON_OK) {
        return;
    }

    sinker->inflight -= ordinals;
    sinker->done += hits;
    sinker->lost += ordinals - hits;
    sinker->progress_ns = beacond_clock_ns();
    sinker->engine->dirty = true;
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
        stand = beacond_sinker_stand(sinker, span);

        if (stand == NULL || span->to.ordinal < stand->taken.ordinal) {
            continue;
        }

        taken = stand->taken;
        stand->taken = span->to;
        sinker->inflight += span->to.ordinal - taken.ordinal;

        if (span->from.ordinal > taken.ordinal) {
            beacond_sinker_settle(sinker, stand, &taken, &span->from, 0);
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
            beacond_sinker_settle(sinker, stand, &taken, &lane->reader, 0);
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

/* The pieces of the spans that hits [first, first + n) stand for. */
static void
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
        stand = beacond_sinker_stand(sinker, span);

        if (stand != NULL) {
            beacond_sinker_settle(sinker, stand, &span->from, &span->to, 0);
        }
    }
}

static void
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

/* What of a batch is acknowledged counts once, and leaves the list with its
   last hit. */
static void
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
        stand = beacond_sinker_stand(sinker, &pieces[i]);

        if (stand != NULL && (pieces[i].hits > 0
                              || pieces[i].to.ordinal
                                 > pieces[i].from.ordinal))
        {
            beacond_sinker_settle(sinker, stand, &pieces[i].from,
                                  &pieces[i].to, pieces[i].hits);
        }
    }

    beacond_sinker_flags(sinker->flags, batch, first, n);
    beacond_sinker_unacked(sinker, batch, n);

    pthread_mutex_unlock(&engine->mutex);
}

uint64_t
beacond_sinker_pending(beacond_sinker_t *sinker)
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

/* The checkpoint: all that is acknowledged, as if "acked" were too. */

typedef struct {
    beacond_ranges_t  stands[BEACOND_LANES];
    uint64_t          flags[BEACOND_FLAGS_MAX];
    uint64_t          done;
    uint64_t          lost;
} beacond_sketch_t;

static void
beacond_sketch_ack(beacond_sinker_t *sinker, beacond_sketch_t *sketch,
    const beacond_acked_t *acked)
{
    uint32_t               i;
    beacond_span_t         pieces[BEACOND_BATCH_LANES];
    const beacond_span_t  *p;

    if (acked->n == 0 || acked->first > acked->batch->nhits
        || acked->n > acked->batch->nhits - acked->first)
    {
        return;
    }

    beacond_pieces(acked->batch, acked->first, acked->n, pieces);

    for (i = 0; i < acked->batch->nspans; i++) {
        p = &pieces[i];

        if (beacond_sinker_stand(sinker, p) == NULL
            || beacond_ranges_add(&sketch->stands[p->lane], &p->from, &p->to,
                                  p->hits) != BEACON_OK)
        {
            continue;
        }

        sketch->done += p->hits;
        sketch->lost += p->to.ordinal - p->from.ordinal - p->hits;
    }

    beacond_sinker_flags(sketch->flags, acked->batch, acked->first, acked->n);
}

/* What is done ahead of a prefix will be asked for again by the next helper:
   it counts there. */
static void
beacond_sketch_prefix(beacond_sketch_t *sketch, uint32_t i)
{
    uint64_t  hits, lost;

    beacond_ranges_ahead(&sketch->stands[i], &hits, &lost);
    sketch->done -= hits;
    sketch->lost -= lost;
}

static void
beacond_sketch_print(beacond_sinker_t *sinker, beacond_sketch_t *sketch,
    FILE *out)
{
    uint32_t                i, n;
    const char             *comma = "";
    beacond_engine_t       *engine = sinker->engine;
    const beacon_cursor_t  *c;

    for (i = 0; i < engine->nlanes; i++) {
        beacond_sketch_prefix(sketch, i);
    }

    fprintf(out, "{\"v\":1,\"before\":%llu,\"done\":%llu,\"lost\":%llu,"
            "\"flags\":{", (unsigned long long) sinker->before,
            (unsigned long long) sketch->done,
            (unsigned long long) sketch->lost);

    n = beacond_schemas_nflags(engine->schemas);

    for (i = 0; i < n; i++) {
        fprintf(out, "%s\"%s\":%llu", i ? "," : "",
                beacond_schemas_flag(engine->schemas, i),
                (unsigned long long) sketch->flags[i]);
    }

    fprintf(out, "},\"lanes\":[");

    for (i = 0; i < engine->nlanes; i++) {
        if (!engine->lanes[i].used) {
            continue;
        }

        c = &sketch->stands[i].prefix;
        fprintf(out, "%s[\"%016llx\",%u,%llu,%llu]", comma,
                (unsigned long long) engine->lanes[i].epoch,
                engine->lanes[i].number, (unsigned long long) c->offset,
                (unsigned long long) c->ordinal);
        comma = ",";
    }

    fprintf(out, "]}");
}

beacon_rc_t
beacond_sink_checkpoint(beacond_sink_t *sink, const beacond_acked_t *acked,
    size_t nacked, beacond_checkpoint_t *checkpoint)
{
    FILE              *out;
    size_t             k;
    uint32_t           i, n;
    beacon_rc_t        rc = BEACON_OK;
    beacond_sketch_t  *sketch;
    beacond_sinker_t  *sinker = beacond_sinker(sink);
    beacond_engine_t  *engine = sinker->engine;

    checkpoint->text = NULL;
    sketch = calloc(1, sizeof(beacond_sketch_t));
    out = open_memstream(&checkpoint->text, &checkpoint->len);

    if (sketch == NULL || out == NULL) {
        rc = BEACON_SYS;
        goto done;
    }

    pthread_mutex_lock(&engine->mutex);

    n = engine->nlanes;
    sketch->done = sinker->done;
    sketch->lost = sinker->lost;
    memcpy(sketch->flags, sinker->flags, sizeof(sketch->flags));

    for (i = 0; i < n && rc == BEACON_OK; i++) {
        rc = beacond_ranges_copy(&sketch->stands[i],
                                 &sinker->stands[i].acked);
    }

    for (k = 0; k < nacked && rc == BEACON_OK; k++) {
        beacond_sketch_ack(sinker, sketch, &acked[k]);
    }

    beacond_sketch_print(sinker, sketch, out);

    pthread_mutex_unlock(&engine->mutex);

    for (i = 0; i < n; i++) {
        beacond_ranges_dispose(&sketch->stands[i]);
    }

done:

    if (out != NULL && (fclose(out) != 0 || checkpoint->text == NULL)) {
        rc = BEACON_SYS;
    }

    if (rc != BEACON_OK) {
        free(checkpoint->text);
        checkpoint->text = NULL;
    }

    free(sketch);
    return rc;
}
