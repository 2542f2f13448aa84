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
#include "beacond_names.h"

#include <pthread.h>
#include <stdatomic.h>

#define BEACOND_BATCH_HITS   512
#define BEACOND_BATCH_LANES  64
#define BEACOND_BATCH_ARENA  (512 * 1024)       /* a hit that needs more makes
                                                   its batch grow, for that
                                                   batch only */

/* One line of a hit. */
typedef struct {
    uint32_t       offset;      /* in the arena */
    uint32_t       values;      /* in the arena: template values, each a length
                                   byte and its bytes, in the order that the
                                   engine bound (none: unused) */
    beacon_line_t  line;
    uint32_t       hit;         /* index in hits[] */
} beacond_line_t;

/*
 * One record.  It stands for the piece of its lane that ends with it (for the
 * span's last hit: with the span) and starts where the span's previous hit
 * ended; so the hits of a span tile it, and what was lost to corruption or
 * lies between as PAD and GAP is acknowledged with the hit behind it.
 */
typedef struct {
    uint64_t  offset;           /* in its lane; with the lane's epoch: the id */
    uint64_t  ordinal;
    uint64_t  time_ns;
    uint64_t  flags;            /* bit i: flag i of the engine's flag table */
    uint64_t  missing;          /* hits lost between the previous one and it */
    uint32_t  lead;             /* bytes between the previous one and it */
    uint32_t  length;           /* in its lane */
    uint32_t  span;             /* index in spans[] */
    uint32_t  lines;            /* its first line's index in lines[] */
    uint32_t  nlines;
} beacond_hit_t;

/* What the batch covers of one lane: all hits from "from" up to "to". */
typedef struct {
    uint64_t         epoch;
    uint32_t         number;    /* of the lane, in its ring */
    uint32_t         lane;      /* index in the engine's lane table */
    uint32_t         hits;
    uint32_t         last;      /* index in hits[] of its last hit */
    beacon_cursor_t  from;
    beacon_cursor_t  to;        /* to.ordinal - from.ordinal - hits: lost to
                                   corruption, in the books as lost */
} beacond_span_t;

typedef struct beacond_pool_s  beacond_pool_t;

typedef struct beacond_batch_s  beacond_batch_t;

struct beacond_batch_s {
    _Atomic uint32_t  refs;
    uint32_t          nhits;
    uint32_t          nlines;
    uint32_t          nspans;
    beacond_hit_t    *hits;     /* [BEACOND_BATCH_HITS] */
    beacond_line_t   *lines;    /* [BEACOND_BATCH_HITS] */
    beacond_span_t    spans[BEACOND_BATCH_LANES];
    uint8_t          *arena;    /* lines stand one after the other, in order,
                                   from arena[0]: arena[0 .. lines_len) can go
                                   out in one write; values grow from its end */
    size_t            lines_len;
    size_t            values_start;
    size_t            arena_size;
    beacond_names_t  *names;    /* whose values each line has; or NULL */
    int               has_flags;        /* some hit has one */
    beacond_pool_t   *pool;
    beacond_batch_t  *next;     /* in the pool's free list */
};

void beacond_batch_ref(beacond_batch_t *batch);
void beacond_batch_unref(beacond_batch_t *batch);       /* back to its pool */

/* A batch's pool: so many at most, made when first needed. */
struct beacond_pool_s {
    pthread_mutex_t   mutex;
    beacond_batch_t  *free;
    uint32_t          made;
    uint32_t          used;
    uint32_t          max;
    void            (*freed)(void *data);       /* one came back; any thread,
                                                   no lock held; or NULL */
    void             *data;
};

void beacond_pool_init(beacond_pool_t *pool, uint32_t max,
    void (*freed)(void *data), void *data);

/* Frees the batches; all must have come back. */
void beacond_pool_dispose(beacond_pool_t *pool);

/* An empty batch with one reference; NULL: all are in use, or no memory. */
beacond_batch_t *beacond_pool_get(beacond_pool_t *pool);

/* How many are out. */
uint32_t beacond_pool_used(beacond_pool_t *pool);

/* For an empty batch only: an arena of at least size.  SYS: no memory. */
beacon_rc_t beacond_batch_grow(beacond_batch_t *batch, size_t size);

#endif /* BEACOND_BATCH_H */
