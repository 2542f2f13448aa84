/*
 * Building a batch: records in the order of their time from several lanes,
 * each checked, parsed and rendered once, behind one another into the arena.
 * The hot path of the helper: nothing is allocated and no lock is taken here
 * for a hit.
 */

#include "beacond_parts.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_NO_SPAN  UINT32_MAX

beacon_rc_t
beacond_puller_init(beacond_puller_t *puller, beacond_engine_t *engine)
{
    memset(puller, 0, sizeof(beacond_puller_t));
    puller->engine = engine;
    beacond_spool_reader_init(&puller->spool, NULL);
    puller->render = beacon_render_create();

    return puller->render != NULL ? BEACON_OK : BEACON_SYS;
}

void
beacond_puller_dispose(beacond_puller_t *puller)
{
    if (puller->render != NULL) {
        beacon_render_destroy(puller->render);
    }

    free(puller->needs);
    beacond_spool_reader_dispose(&puller->spool);
}

/* NULL: no more lanes fit into a batch. */
beacond_pull_t *
beacond_pull_add(beacond_puller_t *puller, uint32_t index,
    const beacon_cursor_t *from, const beacon_cursor_t *limit)
{
    beacond_pull_t  *pull;
    beacond_lane_t  *lane = &puller->engine->lanes[index];

    if (puller->npulls == BEACOND_BATCH_LANES) {
        return NULL;
    }

    pull = &puller->pulls[puller->npulls++];
    pull->lane = index;
    pull->span = BEACOND_NO_SPAN;
    pull->epoch = lane->epoch;
    pull->number = lane->number;
    pull->have = false;
    pull->ring = lane->ring;
    pull->from = pull->done = pull->next = *from;
    pull->limit = *limit;

    return pull;
}

/* No hit before the limit is left: what was passed over goes with the span. */
static void
beacond_build_end(beacond_pull_t *pull, const beacon_cursor_t *to)
{
    if (to->ordinal >= pull->done.ordinal && to->offset > pull->done.offset) {
        pull->done = *to;
    }
}

/* Moves on to the lane's next hit, or to where there is none. */
static void
beacond_build_peek(beacond_puller_t *puller, beacond_pull_t *pull)
{
    uint64_t         lost;
    beacon_rc_t      rc;
    beacon_cursor_t  at;

    pull->have = false;

    while (pull->next.offset < pull->limit.offset) {
        at = pull->next;
        lost = 0;
        rc = beacon_lane_read(pull->ring, pull->number, &pull->next,
                              &pull->record, &lost);

        if (rc == BEACON_OK && pull->record.offset >= pull->limit.offset) {
            beacond_build_end(pull, &pull->limit);
            return;
        }

        if (rc == BEACON_OK && pull->record.ordinal < at.ordinal) {

            /* ordinals that go back: their hits were counted before */

            pull->next.ordinal = at.ordinal;
            puller->corrupt++;

        } else if (rc == BEACON_OK && pull->record.type == BEACON_RECORD_GAP) {
            puller->gaps += pull->record.gap;

        } else if (rc == BEACON_OK) {
            pull->have = true;
            return;

        } else if (rc == BEACON_CORRUPT) {
            puller->corrupt += lost ? lost : 1;

        } else {
            break;
        }
    }

    beacond_build_end(pull, pull->next.offset > pull->limit.offset
                            ? &pull->limit : &pull->next);
}

static uint64_t
beacond_build_flags(const beacon_hit_t *hit, const beacond_schema_t *schema,
    const beacon_line_t *line)
{
    uint32_t  i, bits;
    uint64_t  flags;

    flags = line->own_flags;    /* the first ones in the table */

    if (hit->flags == 0 || schema == NULL) {
        return flags;
    }

    for (bits = hit->flags; bits != 0; bits &= bits - 1) {
        i = (uint32_t) __builtin_ctz(bits);

        if (i < schema->schema.nflags
            && schema->flags[i] < BEACOND_FLAGS_MAX)
        {
            flags |= 1ULL << schema->flags[i];
        }
    }

    return flags;
}

/* The template values of a line, below those of the lines before it. */
static uint32_t
beacond_build_values(beacond_puller_t *puller, beacond_batch_t *batch,
    const beacond_schema_t *schema, beacon_str_t id)
{
    size_t        n, len = 0;
    uint8_t       block[BEACOND_NAMES_MAX * BEACOND_VALUE_SPACE];
    uint32_t      i;
    beacon_str_t  name;

    for (i = 0; i < batch->names->n; i++) {
        name.data = (const uint8_t *) batch->names->names[i];
        name.len = strlen(batch->names->names[i]);
        n = beacon_template_value(name, &puller->hit,
                                  schema ? &schema->schema : NULL, id,
                                  block + len + 1);
        block[len] = (uint8_t) n;
        len += 1 + n;
    }

    batch->values_start -= len;
    memcpy(batch->arena + batch->values_start, block, len);

    return (uint32_t) batch->values_start;
}

static const beacond_schema_t *
beacond_build_schema(beacond_puller_t *puller, uint32_t hash)
{
    if (hash != puller->hash || puller->schema == NULL) {
        puller->schema = beacond_schemas_get(puller->engine->schemas, hash);
        puller->hash = hash;
    }

    return puller->schema;
}

/* The span of a lane, begun with its first hit. */
static beacond_span_t *
beacond_build_span(beacond_pull_t *pull, beacond_batch_t *batch)
{
    beacond_span_t  *span;

    if (pull->span != BEACOND_NO_SPAN) {
        return &batch->spans[pull->span];
    }

    pull->span = batch->nspans++;
    span = &batch->spans[pull->span];
    span->epoch = pull->epoch;
    span->number = pull->number;
    span->lane = pull->lane;
    span->hits = 0;
    span->last = 0;
    span->from = pull->from;

    return span;
}

/* Puts in order what a rendered hit consists of. */
static void
beacond_build_add(beacond_puller_t *puller, beacond_pull_t *pull,
    beacond_batch_t *batch, const beacond_schema_t *schema, unsigned nlines)
{
    unsigned                i;
    beacon_str_t            id;
    beacond_hit_t          *hit = &batch->hits[batch->nhits];
    beacond_line_t         *line = &batch->lines[batch->nlines];
    beacond_span_t         *span = beacond_build_span(pull, batch);
    const beacon_record_t  *record = &pull->record;

    hit->offset = record->offset;
    hit->ordinal = record->ordinal;
    hit->time_ns = record->time_ns;
    hit->length = record->length;
    hit->missing = record->ordinal - pull->done.ordinal;
    hit->lead = record->offset > pull->done.offset
                ? (uint32_t) (record->offset - pull->done.offset) : 0;
    hit->span = pull->span;
    hit->lines = batch->nlines;
    hit->nlines = nlines;
    hit->flags = beacond_build_flags(&puller->hit, schema, &line->line);
    batch->has_flags |= hit->flags != 0;

    for (i = 0; i < nlines; i++, line++) {
        line->offset = (uint32_t) batch->lines_len;
        line->hit = batch->nhits;
        line->values = 0;

        if (batch->names != NULL) {
            id.data = batch->arena + batch->lines_len + BEACON_LINE_ID;
            id.len = line->line.id_len;
            line->values = beacond_build_values(puller, batch, schema, id);
        }

        batch->lines_len += line->line.len;
    }

    span->hits++;
    span->last = batch->nhits++;
    batch->nlines += nlines;
}

/*
 * Is there room for the hit's lines?  FULL: not behind what is in the batch;
 * SYS: not in an empty one either, however large.
 */
static inline beacon_rc_t
beacond_build_room(beacond_puller_t *puller, const beacon_schema_t *names,
    size_t payload_len, beacond_batch_t *batch)
{
    size_t  room, bound, values;

    room = batch->values_start - batch->lines_len;
    values = 64 + (batch->names != NULL ? batch->names->n : 0)
                  * BEACOND_VALUE_SPACE;

    if (beacon_render_bound_fast(payload_len) + values <= room) {
        return BEACON_OK;
    }

    bound = beacon_render_bound(&puller->hit, names) + values;

    if (bound <= room) {
        return BEACON_OK;
    }

    if (batch->nhits > 0) {
        return BEACON_FULL;
    }

    return (bound <= UINT32_MAX) ? beacond_batch_grow(batch, bound)
                                 : BEACON_SYS;
}

/*
 * Takes pull->record into the batch.  FULL: no room in it; nothing is changed.
 * A record that is no hit, or cannot be rendered, is passed over: the span
 * then lacks its ordinal.
 */
beacon_rc_t
beacond_build_hit(beacond_puller_t *puller, beacond_pull_t *pull,
    beacond_batch_t *batch)
{
    unsigned                 nlines;
    beacon_rc_t              rc;
    const beacon_record_t   *record = &pull->record;
    const beacond_schema_t  *schema;
    const beacon_schema_t   *names;

    if (batch->nhits == BEACOND_BATCH_HITS) {
        return BEACON_FULL;
    }

    if (beacon_hit_parse(record->payload, &puller->hit) != BEACON_OK) {
        puller->corrupt++;
        goto done;
    }

    schema = beacond_build_schema(puller, record->schema);
    names = schema != NULL ? &schema->schema : NULL;

    rc = beacond_build_room(puller, names, record->payload.len, batch);

    if (rc == BEACON_FULL) {
        return rc;
    }

    if (rc != BEACON_OK) {
        puller->corrupt++;
        goto done;
    }

    nlines = beacon_render(puller->render, record, &puller->hit, names,
                           pull->epoch, pull->number,
                           batch->arena + batch->lines_len,
                           &batch->lines[batch->nlines].line);

    if (nlines == 0) {
        puller->corrupt++;
        goto done;
    }

    beacond_build_add(puller, pull, batch, schema, nlines);

done:

    pull->done.offset = record->offset + record->length;
    pull->done.ordinal = record->ordinal + 1;

    return BEACON_OK;
}

/*
 * From the ring: pulls say which lanes, from where, up to where.  Oldest
 * first; order within a lane is the lane's.
 */
void
beacond_build_ring(beacond_puller_t *puller, beacond_batch_t *batch)
{
    uint32_t         i;
    beacond_pull_t  *pull, *first;

    puller->full = false;

    for (i = 0; i < puller->npulls; i++) {
        beacond_build_peek(puller, &puller->pulls[i]);
    }

    for ( ;; ) {
        first = NULL;

        for (i = 0; i < puller->npulls; i++) {
            pull = &puller->pulls[i];

            if (pull->have && (first == NULL || pull->record.time_ns
                                                < first->record.time_ns))
            {
                first = pull;
            }
        }

        if (first == NULL) {
            break;
        }

        if (beacond_build_hit(puller, first, batch) != BEACON_OK) {
            puller->full = true;
            break;
        }

        beacond_build_peek(puller, first);
    }

    beacond_build_finish(puller, batch);
}

/* Closes the spans, and makes those of lanes where only something else than a
   hit was found. */
void
beacond_build_finish(beacond_puller_t *puller, beacond_batch_t *batch)
{
    uint32_t         i;
    beacond_pull_t  *pull;

    for (i = 0; i < puller->npulls; i++) {
        pull = &puller->pulls[i];

        if (pull->span == BEACOND_NO_SPAN
            && pull->done.offset == pull->from.offset
            && pull->done.ordinal == pull->from.ordinal)
        {
            continue;
        }

        beacond_build_span(pull, batch)->to = pull->done;
    }
}
