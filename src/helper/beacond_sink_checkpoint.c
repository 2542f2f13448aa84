/*
 * The engine's part of a sink's checkpoint: all that is acknowledged, as if
 * what is about to be were, too.
 *
 *     {"v":1,"before":n,"done":n,"lost":n,"parked":n,"flags":{"bot":n},
 *      "lanes":[["<epoch>",lane,offset,ordinal,[ahead]],...]}
 *
 * ahead, if there is any: five numbers for each interval of hits that are done
 * with beyond the first ones.  Bytes and ordinals between the end of the one
 * before (at first: offset and ordinal) and its start, bytes and ordinals in
 * it, hits in it.  Other ordinals in it are lost.
 */

#include "beacond_parts.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_RUNS  16                /* lanes whose pieces come in turn */

typedef struct {
    beacond_ranges_t  stands[BEACOND_LANES];
    uint64_t          flags[BEACOND_FLAGS_MAX];
    uint64_t          done;
    uint64_t          lost;
    uint64_t          parked;
} beacond_sketch_t;

/* Neighbouring pieces, by what became of their hits. */
typedef struct {
    uint64_t         epoch;
    uint32_t         number;
    uint32_t         lane;
    beacon_cursor_t  from;
    beacon_cursor_t  to;
    uint64_t         hits[BEACOND_FATES];
} beacond_run_t;

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

        if (beacond_sinker_stand(sinker, p->epoch, p->number, p->lane) == NULL
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

/* Pieces of several lanes come in turn: an interval of each is being made. */
typedef struct {
    beacond_run_t  run;
    bool           open;
    bool           told;
} beacond_open_run_t;

/* Makes the piece the end of the interval; false: it is no neighbour. */
static bool
beacond_run_extend(beacond_open_run_t *open, const beacond_piece_t *p)
{
    beacond_run_t  *run = &open->run;

    if (!open->open || p->lane != run->lane || p->epoch != run->epoch
        || p->number != run->number || p->from.ordinal != run->to.ordinal)
    {
        return false;
    }

    run->hits[p->fate]++;
    run->to = p->to;

    return true;
}

static void
beacond_run_begin(beacond_open_run_t *open, const beacond_piece_t *p)
{
    beacond_run_t  *run = &open->run;

    memset(run, 0, sizeof(beacond_run_t));
    run->epoch = p->epoch;
    run->number = p->number;
    run->lane = p->lane;
    run->from = p->from;
    run->to = p->to;
    run->hits[p->fate] = 1;
    open->open = true;
}

static void
beacond_piece_flags(uint64_t *flags, const beacond_piece_t *p)
{
    uint64_t  bits;

    for (bits = p->flags; bits != 0; bits &= bits - 1) {
        flags[__builtin_ctzll(bits)]++;
    }
}

/* false: the checkpoint is to have no more intervals of this lane. */
static bool
beacond_sketch_room(beacond_sinker_t *sinker, const beacond_sketch_t *sketch,
    const beacond_piece_t *p)
{
    const beacond_ranges_t  *ranges = &sketch->stands[p->lane];

    return ranges->n < BEACOND_AHEAD_MAX
           || p->from.ordinal == ranges->prefix.ordinal
           || beacond_sinker_stand(sinker, p->epoch, p->number, p->lane)
              == NULL;          /* nobody will ask for it again */
}

static void
beacond_sketch_close(beacond_sinker_t *sinker, beacond_sketch_t *sketch,
    beacond_open_run_t *open)
{
    uint64_t              hits;
    const beacond_run_t  *run = &open->run;

    if (open->open && open->told
        && beacond_sinker_stand(sinker, run->epoch, run->number, run->lane)
           != NULL)
    {
        hits = run->hits[BEACOND_DONE] + run->hits[BEACOND_PARKED];

        if (beacond_ranges_add(&sketch->stands[run->lane], &run->from,
                               &run->to, hits) == BEACON_OK)
        {
            sketch->done += run->hits[BEACOND_DONE];
            sketch->parked += run->hits[BEACOND_PARKED];
            sketch->lost += run->to.ordinal - run->from.ordinal - hits;
        }
    }

    open->open = false;
}

static void
beacond_sketch_settled(beacond_sinker_t *sinker, beacond_sketch_t *sketch,
    beacond_settled_t *settled)
{
    size_t               i;
    beacond_piece_t     *p;
    beacond_open_run_t  *run, runs[BEACOND_RUNS];

    memset(runs, 0, sizeof(runs));

    for (i = 0; i < settled->npieces; i++) {
        p = settled->pieces[i];
        run = &runs[p->lane % BEACOND_RUNS];

        if (!beacond_run_extend(run, p)) {
            beacond_sketch_close(sinker, sketch, run);
            run->told = settled->last
                        || beacond_sketch_room(sinker, sketch, p);
            beacond_run_begin(run, p);
        }

        p->told = run->told;

        if (p->told && p->flags != 0) {
            beacond_piece_flags(sketch->flags, p);
        }
    }

    for (i = 0; i < BEACOND_RUNS; i++) {
        beacond_sketch_close(sinker, sketch, &runs[i]);
    }

    if (settled->unparked_done > sketch->parked) {
        settled->unparked_done = sketch->parked;
    }

    sketch->parked -= settled->unparked_done;
    sketch->done += settled->unparked_done;

    if (settled->unparked_lost > sketch->parked) {
        settled->unparked_lost = sketch->parked;
    }

    sketch->parked -= settled->unparked_lost;
    sketch->lost += settled->unparked_lost;
}

/* What is done ahead of a prefix and does not fit will be asked for again by
   the next helper: it counts there.  Of what is acknowledged by pieces, no more
   is taken in once there are so many: but the last helper may have left more,
   which stay. */
static void
beacond_sketch_trim(beacond_sketch_t *sketch, uint32_t i)
{
    uint64_t           hits, lost;
    beacond_ranges_t  *ranges = &sketch->stands[i];
    beacond_ranges_t   rest;

    if (ranges->n <= BEACOND_AHEAD_MAX) {
        return;
    }

    rest.ahead = ranges->ahead + BEACOND_AHEAD_MAX;
    rest.n = ranges->n - BEACOND_AHEAD_MAX;
    ranges->n = BEACOND_AHEAD_MAX;

    beacond_ranges_ahead(&rest, &hits, &lost);
    sketch->done -= hits;
    sketch->lost -= lost;
}

static void
beacond_sketch_ahead(const beacond_ranges_t *ranges, FILE *out)
{
    uint32_t                i;
    const beacond_range_t  *r;
    const beacon_cursor_t  *last = &ranges->prefix;

    for (i = 0; i < ranges->n; i++) {
        r = &ranges->ahead[i];
        fprintf(out, "%s%llu,%llu,%llu,%llu,%llu", i ? "," : ",[",
                (unsigned long long) (r->from.offset - last->offset),
                (unsigned long long) (r->from.ordinal - last->ordinal),
                (unsigned long long) (r->to.offset - r->from.offset),
                (unsigned long long) (r->to.ordinal - r->from.ordinal),
                (unsigned long long) r->hits);
        last = &r->to;
    }

    if (i > 0) {
        putc(']', out);
    }
}

static void
beacond_sketch_print(beacond_sinker_t *sinker, beacond_sketch_t *sketch,
    FILE *out)
{
    uint32_t                i, n;
    const char             *comma = "";
    beacond_engine_t       *engine = sinker->engine;
    const beacon_cursor_t  *c;

    fprintf(out, "{\"v\":1,\"before\":%llu,\"done\":%llu,\"lost\":%llu,"
            "\"parked\":%llu,\"flags\":{",
            (unsigned long long) sinker->before,
            (unsigned long long) sketch->done,
            (unsigned long long) sketch->lost,
            (unsigned long long) sketch->parked);

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
        fprintf(out, "%s[\"%016llx\",%u,%llu,%llu", comma,
                (unsigned long long) engine->lanes[i].epoch,
                engine->lanes[i].number, (unsigned long long) c->offset,
                (unsigned long long) c->ordinal);
        beacond_sketch_ahead(&sketch->stands[i], out);
        putc(']', out);
        comma = ",";
    }

    fprintf(out, "]}");
}

/* Either list may be empty. */
static beacon_rc_t
beacond_sketch_make(beacond_sinker_t *sinker, const beacond_acked_t *acked,
    size_t nacked, beacond_settled_t *settled, FILE *out)
{
    size_t             k;
    uint32_t           i, n;
    beacon_rc_t        rc = BEACON_OK;
    beacond_sketch_t  *sketch;
    beacond_engine_t  *engine = sinker->engine;

    sketch = calloc(1, sizeof(beacond_sketch_t));

    if (sketch == NULL) {
        return BEACON_SYS;
    }

    pthread_mutex_lock(&engine->mutex);

    n = engine->nlanes;
    sketch->done = sinker->done;
    sketch->lost = sinker->lost;
    sketch->parked = sinker->parked;
    memcpy(sketch->flags, sinker->flags, sizeof(sketch->flags));

    for (i = 0; i < n && rc == BEACON_OK; i++) {
        rc = beacond_ranges_copy(&sketch->stands[i],
                                 &sinker->stands[i].acked);
    }

    for (k = 0; k < nacked && rc == BEACON_OK; k++) {
        beacond_sketch_ack(sinker, sketch, &acked[k]);
    }

    if (settled != NULL && rc == BEACON_OK) {
        beacond_sketch_settled(sinker, sketch, settled);
    }

    for (i = 0; i < n && settled == NULL; i++) {
        beacond_sketch_trim(sketch, i);
    }

    beacond_sketch_print(sinker, sketch, out);

    pthread_mutex_unlock(&engine->mutex);

    for (i = 0; i < n; i++) {
        beacond_ranges_dispose(&sketch->stands[i]);
    }

    free(sketch);

    return rc;
}

static beacon_rc_t
beacond_sketch(beacond_sink_t *sink, const beacond_acked_t *acked,
    size_t nacked, beacond_settled_t *settled,
    beacond_checkpoint_t *checkpoint)
{
    FILE         *out;
    beacon_rc_t   rc;

    checkpoint->text = NULL;
    out = open_memstream(&checkpoint->text, &checkpoint->len);

    if (out == NULL) {
        return BEACON_SYS;
    }

    rc = beacond_sketch_make(beacond_sinker(sink), acked, nacked, settled,
                             out);

    if (fclose(out) != 0 || checkpoint->text == NULL) {
        rc = BEACON_SYS;
    }

    if (rc != BEACON_OK) {
        free(checkpoint->text);
        checkpoint->text = NULL;
    }

    return rc;
}

beacon_rc_t
beacond_sink_checkpoint(beacond_sink_t *sink, const beacond_acked_t *acked,
    size_t nacked, beacond_checkpoint_t *checkpoint)
{
    return beacond_sketch(sink, acked, nacked, NULL, checkpoint);
}

/* A sink that acknowledges by pieces. */

beacon_rc_t
beacond_sink_tell(beacond_sink_t *sink, beacond_settled_t *settled,
    beacond_checkpoint_t *checkpoint)
{
    return beacond_sketch(sink, NULL, 0, settled, checkpoint);
}

static void
beacond_settle_close(beacond_sinker_t *sinker, beacond_open_run_t *open)
{
    uint64_t              parked;
    beacond_stand_t      *stand;
    const beacond_run_t  *run = &open->run;

    if (!open->open) {
        return;
    }

    open->open = false;
    parked = run->hits[BEACOND_PARKED];
    stand = beacond_sinker_stand(sinker, run->epoch, run->number, run->lane);

    if (stand != NULL
        && beacond_sinker_settle(sinker, stand, &run->from, &run->to,
                                 run->hits[BEACOND_DONE] + parked)
           == BEACON_OK)
    {
        sinker->done -= parked;
        sinker->parked += parked;
    }
}

void
beacond_sink_settle(beacond_sink_t *sink, const beacond_settled_t *settled)
{
    size_t               i;
    uint64_t             n;
    beacond_piece_t     *p;
    beacond_sinker_t    *sinker = beacond_sinker(sink);
    beacond_open_run_t  *run, runs[BEACOND_RUNS];

    memset(runs, 0, sizeof(runs));
    pthread_mutex_lock(&sinker->engine->mutex);

    for (i = 0; i < settled->npieces; i++) {
        p = settled->pieces[i];
        run = &runs[p->lane % BEACOND_RUNS];

        if (!p->told) {
            continue;
        }

        if (!beacond_run_extend(run, p)) {
            beacond_settle_close(sinker, run);
            beacond_run_begin(run, p);
        }

        if (p->flags != 0) {
            beacond_piece_flags(sinker->flags, p);
        }
    }

    for (i = 0; i < BEACOND_RUNS; i++) {
        beacond_settle_close(sinker, &runs[i]);
    }

    n = settled->unparked_done + settled->unparked_lost;

    if (n > 0 && n <= sinker->parked) {
        sinker->parked -= n;
        sinker->done += settled->unparked_done;
        sinker->lost += settled->unparked_lost;
        sinker->engine->dirty = true;
    }

    pthread_mutex_unlock(&sinker->engine->mutex);
}
