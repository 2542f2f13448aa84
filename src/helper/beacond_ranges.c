#include "beacond_ranges.h"

#include <stdlib.h>
#include <string.h>

void
beacond_ranges_init(beacond_ranges_t *ranges, const beacon_cursor_t *prefix)
{
    memset(ranges, 0, sizeof(beacond_ranges_t));
    ranges->prefix = *prefix;
}

void
beacond_ranges_dispose(beacond_ranges_t *ranges)
{
    free(ranges->ahead - ranges->gone);
    memset(ranges, 0, sizeof(beacond_ranges_t));
}

beacon_rc_t
beacond_ranges_copy(beacond_ranges_t *copy, const beacond_ranges_t *ranges)
{
    beacond_ranges_init(copy, &ranges->prefix);

    if (ranges->n == 0) {
        return BEACON_OK;
    }

    copy->ahead = malloc(ranges->n * sizeof(beacond_range_t));
    if (copy->ahead == NULL) {
        return BEACON_SYS;
    }

    memcpy(copy->ahead, ranges->ahead, ranges->n * sizeof(beacond_range_t));
    copy->n = copy->cap = ranges->n;

    return BEACON_OK;
}

/* The first interval that ends behind ordinal. */
static uint32_t
beacond_ranges_search(const beacond_ranges_t *ranges, uint64_t ordinal)
{
    uint32_t  lo, hi, mid;

    lo = 0;
    hi = ranges->n;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if (ranges->ahead[mid].to.ordinal <= ordinal) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    return lo;
}

/* Takes up intervals that the prefix has reached. */
static void
beacond_ranges_absorb(beacond_ranges_t *ranges)
{
    uint32_t  i;

    for (i = 0; i < ranges->n; i++) {
        if (ranges->ahead[i].from.ordinal != ranges->prefix.ordinal) {
            break;
        }

        ranges->prefix = ranges->ahead[i].to;
    }

    if (i > 0) {
        ranges->n -= i;
        ranges->cap -= i;
        ranges->gone += i;
        ranges->ahead += i;
    }
}

static beacon_rc_t
beacond_ranges_insert(beacond_ranges_t *ranges, uint32_t i,
    const beacond_range_t *range)
{
    uint32_t          cap;
    beacond_range_t  *ahead;

    if (ranges->n == ranges->cap && ranges->gone > ranges->n / 2) {
        ahead = ranges->ahead - ranges->gone;
        memmove(ahead, ranges->ahead, ranges->n * sizeof(beacond_range_t));
        ranges->ahead = ahead;
        ranges->cap += ranges->gone;
        ranges->gone = 0;
    }

    if (ranges->n == ranges->cap) {
        cap = ranges->cap ? 2 * ranges->cap : 16;
        ahead = realloc(ranges->ahead - ranges->gone,
                        (ranges->gone + cap) * sizeof(beacond_range_t));

        if (ahead == NULL) {
            return BEACON_SYS;
        }

        ranges->ahead = ahead + ranges->gone;
        ranges->cap = cap;
    }

    memmove(ranges->ahead + i + 1, ranges->ahead + i,
            (ranges->n - i) * sizeof(beacond_range_t));
    ranges->ahead[i] = *range;
    ranges->n++;

    return BEACON_OK;
}

/* Ahead of the prefix: joins its neighbours where they touch. */
static beacon_rc_t
beacond_ranges_join(beacond_ranges_t *ranges, uint32_t i,
    const beacond_range_t *range)
{
    int               left, right;
    beacond_range_t  *r = ranges->ahead;

    left = i > 0 && r[i - 1].to.ordinal == range->from.ordinal;
    right = i < ranges->n && r[i].from.ordinal == range->to.ordinal;

    if (left && right) {
        r[i - 1].to = r[i].to;
        r[i - 1].hits += range->hits + r[i].hits;
        ranges->n--;
        memmove(r + i, r + i + 1, (ranges->n - i) * sizeof(beacond_range_t));
        return BEACON_OK;
    }

    if (left) {
        r[i - 1].to = range->to;
        r[i - 1].hits += range->hits;
        return BEACON_OK;
    }

    if (right) {
        r[i].from = range->from;
        r[i].hits += range->hits;
        return BEACON_OK;
    }

    return beacond_ranges_insert(ranges, i, range);
}

beacon_rc_t
beacond_ranges_add(beacond_ranges_t *ranges, const beacon_cursor_t *from,
    const beacon_cursor_t *to, uint64_t hits)
{
    uint32_t         i;
    beacond_range_t  range;

    if (to->ordinal < from->ordinal || to->offset < from->offset
        || hits > to->ordinal - from->ordinal
        || from->ordinal < ranges->prefix.ordinal)
    {
        return BEACON_INVALID;
    }

    if (to->ordinal == from->ordinal) {

        /* no hit: only the prefix has a use for the offset */

        if (from->ordinal == ranges->prefix.ordinal
            && to->offset > ranges->prefix.offset)
        {
            ranges->prefix.offset = to->offset;
        }

        return BEACON_OK;
    }

    i = beacond_ranges_search(ranges, from->ordinal);

    if (i < ranges->n && ranges->ahead[i].from.ordinal < to->ordinal) {
        return BEACON_INVALID;
    }

    if (from->ordinal == ranges->prefix.ordinal) {
        ranges->prefix = *to;
        beacond_ranges_absorb(ranges);
        return BEACON_OK;
    }

    range.from = *from;
    range.to = *to;
    range.hits = hits;

    return beacond_ranges_join(ranges, i, &range);
}

const beacond_range_t *
beacond_ranges_find(const beacond_ranges_t *ranges, uint64_t ordinal)
{
    uint32_t  i;

    i = beacond_ranges_search(ranges, ordinal);

    if (i < ranges->n && ranges->ahead[i].from.ordinal <= ordinal) {
        return &ranges->ahead[i];
    }

    return NULL;
}

uint64_t
beacond_ranges_next(const beacond_ranges_t *ranges, uint64_t ordinal)
{
    uint32_t  i;

    i = beacond_ranges_search(ranges, ordinal);

    if (i == ranges->n) {
        return UINT64_MAX;
    }

    return ranges->ahead[i].from.ordinal;
}

void
beacond_ranges_ahead(const beacond_ranges_t *ranges, uint64_t *hits,
    uint64_t *lost)
{
    uint32_t                i;
    const beacond_range_t  *r;

    *hits = *lost = 0;

    for (i = 0; i < ranges->n; i++) {
        r = &ranges->ahead[i];
        *hits += r->hits;
        *lost += r->to.ordinal - r->from.ordinal - r->hits;
    }
}
