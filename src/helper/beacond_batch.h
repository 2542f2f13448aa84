/*
 * A batch: hits that a reader took from its lanes, merged by time, and their
 * rendered lines.  Immutable once offered; shared by the sinks; reference
 * counted; self-contained: it points nowhere into the ring, whose bytes may be
 * given back (spooled) while a slow sink still holds the batch.
 *
 * The number of batches is bounded (beacond_pool_t): a reader without a free
 * batch waits; nothing grows.
 */

#ifndef BEACOND_BATCH_H
#define BEACOND_BATCH_H

#include "beacon_render.h"
#include "beacon_ring.h"

#include <stdatomic.h>

#define BEACOND_BATCH_HITS   1024
#define BEACOND_BATCH_LANES  64
#define BEACOND_BATCH_ARENA  (1024 * 1024)      /* first size; a hit that needs
                                                   more makes its batch grow,
                                                   for that batch only */

/* One line of a hit. */
typedef struct {
    uint32_t       offset;      /* in the arena */
    uint32_t       values;      /* in the arena: template values, each a length
                                   byte and its bytes, in the order that the
                                   engine bound (none: unused) */
    beacon_line_t  line;
    uint32_t       hit;         /* index in hits[] */
} beacond_line_t;

/* One record. */
typedef struct {
    uint64_t  offset;           /* in its lane; with the lane's epoch: the id */
    uint64_t  ordinal;
    uint64_t  time_ns;
    uint32_t  length;           /* in its lane */
    uint32_t  span;             /* index in spans[] */
    uint32_t  flags;            /* bit i: flag i of the engine's flag table */
    uint32_t  lines;            /* its first line's index in lines[] */
    uint32_t  nlines;
} beacond_hit_t;

/* What the batch covers of one lane: all hits from "from" up to "to". */
typedef struct {
    uint32_t         lane;      /* index in the engine's lane table */
    uint32_t         hits;
    beacon_cursor_t  from;
    beacon_cursor_t  to;        /* to.ordinal - from.ordinal - hits: lost to
                                   corruption, in the books as lost */
} beacond_span_t;

typedef struct beacond_pool_s  beacond_pool_t;

typedef struct {
    _Atomic uint32_t  refs;
    uint32_t          nhits;
    uint32_t          nlines;
    uint32_t          nspans;
    beacond_hit_t    *hits;
    beacond_line_t   *lines;
    beacond_span_t    spans[BEACOND_BATCH_LANES];
    uint8_t          *arena;    /* lines stand one after the other, in order,
                                   from arena[0]: arena[0 .. lines_len) can go
                                   out in one write */
    size_t            lines_len;
    size_t            arena_size;
    uint64_t          journal;  /* read from the spool: its position behind the
                                   last hit; 0: read from the ring */
    beacond_pool_t   *pool;
} beacond_batch_t;

void beacond_batch_ref(beacond_batch_t *batch);
void beacond_batch_unref(beacond_batch_t *batch);       /* back to its pool */

#endif /* BEACOND_BATCH_H */
