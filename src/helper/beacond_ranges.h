/*
 * Which hits of a lane a sink is done with: a contiguous prefix, and intervals
 * ahead of it.  Keyed by ordinals; the offsets go along, for reclaim.  An
 * interval of more ordinals than hits contains lost ones.
 *
 * A sink that acknowledges in order never has an interval: nothing is
 * allocated for it.
 */

#ifndef BEACOND_RANGES_H
#define BEACOND_RANGES_H

#include "beacon_ring.h"

typedef struct {
    beacon_cursor_t  from;
    beacon_cursor_t  to;
    uint64_t         hits;
} beacond_range_t;

typedef struct {
    beacon_cursor_t   prefix;   /* done with all before it */
    beacond_range_t  *ahead;    /* sorted, apart from each other and prefix */
    uint32_t          n;
    uint32_t          cap;      /* from ahead on */
    uint32_t          gone;     /* places before ahead, in its memory */
} beacond_ranges_t;

/* Done with all before prefix, with nothing ahead. */
void beacond_ranges_init(beacond_ranges_t *ranges,
    const beacon_cursor_t *prefix);
void beacond_ranges_dispose(beacond_ranges_t *ranges);

/* SYS: no memory, copy is empty. */
beacon_rc_t beacond_ranges_copy(beacond_ranges_t *copy,
    const beacond_ranges_t *ranges);

/*
 * Adds [from, to), which holds so many hits.  INVALID: part of it is there
 * already, or to < from, or hits do not fit; nothing is changed.  SYS: no
 * memory; nothing is changed.
 */
beacon_rc_t beacond_ranges_add(beacond_ranges_t *ranges,
    const beacon_cursor_t *from, const beacon_cursor_t *to, uint64_t hits);

/* The interval ahead that holds this ordinal; NULL: none does. */
const beacond_range_t *beacond_ranges_find(const beacond_ranges_t *ranges,
    uint64_t ordinal);

/* Where the first interval at or after ordinal starts; UINT64_MAX: none. */
uint64_t beacond_ranges_next(const beacond_ranges_t *ranges,
    uint64_t ordinal);

/* Of the intervals ahead: hits, and ordinals without a hit. */
void beacond_ranges_ahead(const beacond_ranges_t *ranges, uint64_t *hits,
    uint64_t *lost);

#endif /* BEACOND_RANGES_H */
