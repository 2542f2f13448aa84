/*
 * What is given back before somebody has it: hits of which a sink that resumes
 * has not done all, and hits that the readers are too late for.  Their sites
 * are read before the space is given up, nothing else of them: a few hundred
 * instructions a hit, in pieces that the mutex may be held for.
 */

#include "beacond_parts.h"

#include <string.h>

#define BEACOND_PASS_BYTES  (128 * 1024)        /* of records, a piece */

static bool
beacond_pass_wants(const beacond_sinker_t *sinker)
{
    return sinker->made && sinker->sink.ops->passing != NULL;
}

/* One that is where the readers are hears of what they miss. */
static bool
beacond_pass_misses(const beacond_sinker_t *sinker)
{
    return !sinker->sink.ops->durable && sinker->mode == BEACOND_ALIVE
           && !sinker->quit && sinker->sink.ops->missed != NULL;
}

static bool
beacond_pass_earlier(beacon_cursor_t *from, const beacon_cursor_t *at)
{
    if (at->offset >= from->offset) {
        return false;
    }

    *from = *at;

    return true;
}

/* From where on, before "to", somebody wants to know; false: nobody does. */
static bool
beacond_pass_from(const beacond_engine_t *engine, uint32_t index,
    const beacon_cursor_t *to, beacon_cursor_t *from)
{
    bool                     wanted = false;
    uint32_t                 i;
    const beacond_lane_t    *lane = &engine->lanes[index];
    const beacond_stand_t   *stand;
    const beacond_sinker_t  *sinker;

    *from = *to;

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];
        stand = &sinker->stands[index];

        if (beacond_pass_wants(sinker) && stand->sure.ordinal < to->ordinal) {
            wanted |= beacond_pass_earlier(from, &stand->sure);
        }

        if (beacond_pass_misses(sinker)
            && lane->reader.ordinal < to->ordinal)
        {
            wanted |= beacond_pass_earlier(from, &lane->reader);
        }
    }

    if (from->offset < lane->reclaim.offset) {
        *from = lane->reclaim;
    }

    return wanted && from->ordinal < to->ordinal;
}

/* A hit with nothing but its site. */
static void
beacond_pass_add(beacond_batch_t *batch, const beacon_record_t *record,
    beacon_str_t site)
{
    beacond_hit_t   *hit = &batch->hits[batch->nhits];
    beacond_line_t  *line = &batch->lines[batch->nlines];

    memset(hit, 0, sizeof(beacond_hit_t));
    memset(line, 0, sizeof(beacond_line_t));
    hit->offset = record->offset;
    hit->ordinal = record->ordinal;
    hit->time_ns = record->time_ns;
    hit->length = record->length;
    hit->lines = line->hit = batch->nhits;
    hit->nlines = 1;
    line->offset = (uint32_t) batch->lines_len;
    line->line.len = (uint32_t) site.len;
    line->line.site_len = (uint16_t) site.len;
    memcpy(batch->arena + batch->lines_len, site.data, site.len);

    batch->lines_len += site.len;
    batch->spans[0].last = batch->nhits++;
    batch->spans[0].hits++;
    batch->nlines++;
}

/* From the span's beginning to its end, which is moved back where that is too
   much at once. */
static void
beacond_pass_read(beacond_batch_t *batch, const beacond_lane_t *lane)
{
    uint64_t          lost, limit;
    beacon_rc_t       rc = BEACON_OK;
    beacon_hit_t      hit;
    beacond_span_t   *span = &batch->spans[0];
    beacon_cursor_t   at = span->from;
    beacon_record_t   record;

    limit = at.offset + BEACOND_PASS_BYTES;

    while (rc != BEACON_AGAIN && rc != BEACON_INVALID
           && at.offset < span->to.offset)
    {
        if (at.offset >= limit || batch->nhits == BEACOND_BATCH_HITS) {
            span->to = at;
            break;
        }

        rc = beacon_lane_read(lane->ring, lane->number, &at, &record, &lost);

        if (rc == BEACON_OK && record.type == BEACON_RECORD_HIT
            && record.offset < span->to.offset
            && beacon_hit_parse(record.payload, &hit) == BEACON_OK)
        {
            beacond_pass_add(batch, &record, hit.strings[BEACON_HIT_SITE]);
        }
    }
}

static void
beacond_pass_tell(beacond_engine_t *engine, uint32_t index,
    const beacond_batch_t *batch)
{
    uint32_t                i;
    beacond_sinker_t       *sinker;
    const beacond_span_t   *span = &batch->spans[0];
    const beacond_stand_t  *stand;

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];
        stand = &sinker->stands[index];

        if (beacond_pass_wants(sinker)
            && stand->sure.ordinal < span->to.ordinal)
        {
            sinker->sink.ops->passing(&sinker->sink, batch,
                                      stand->sure.ordinal);
        }

        if (beacond_pass_misses(sinker)
            && engine->lanes[index].reader.ordinal < span->to.ordinal)
        {
            beacond_sinker_missed(sinker, batch);
        }
    }
}

bool
beacond_pass(beacond_engine_t *engine, uint32_t index, beacon_cursor_t *to)
{
    bool                   more;
    beacond_span_t        *span;
    beacond_batch_t       *batch;
    beacon_cursor_t        from;
    const beacond_lane_t  *lane = &engine->lanes[index];

    if (!beacond_pass_from(engine, index, to, &from)) {
        return false;
    }

    batch = beacond_pool_get(&engine->passing);

    if (batch == NULL) {
        return false;
    }

    batch->nspans = 1;
    span = &batch->spans[0];
    memset(span, 0, sizeof(beacond_span_t));
    span->epoch = lane->epoch;
    span->number = lane->number;
    span->lane = index;
    span->from = from;
    span->to = *to;

    /* what the readers have, and what not, apart */

    if (from.offset < lane->reader.offset
        && lane->reader.offset < to->offset)
    {
        span->to = lane->reader;
    }

    beacond_pass_read(batch, lane);
    beacond_pass_tell(engine, index, batch);

    more = span->to.offset < to->offset;
    *to = span->to;
    beacond_batch_unref(batch);

    return more;
}
