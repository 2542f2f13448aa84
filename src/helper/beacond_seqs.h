/*
 * A feed's numbers, by edge and site: beacon_spy.h tells what they mean.
 *
 * So many sites are kept.  One more takes the place of one that has not been
 * hit for long; then all that come new have another feed, so that a site whose
 * number was forgotten does not begin at 1 in a feed that has counted it
 * before.
 *
 * A table has a lock, which nobody holds for longer than it takes to number a
 * batch: the sink's thread numbers what it sends, a reader what the sink
 * misses.
 */

#ifndef BEACOND_SEQS_H
#define BEACOND_SEQS_H

#include "beacon.h"

#include <pthread.h>

#define BEACOND_SEQS_EDGES  8           /* a reload may change the name */

typedef struct {
    uint64_t  feed;
    uint64_t  seq;                      /* the last that was given */
    uint32_t  hash;
    uint32_t  next;                     /* of its chain; index + 1 */
    uint32_t  last;                     /* second of its last hit */
    uint8_t   edge;
    uint8_t   recent;
    uint8_t   len;
    uint8_t   site[BEACON_SITE_MAX];
} beacond_seq_t;

typedef struct {
    beacon_str_t  name;
    uint8_t       text[256];
} beacond_seq_edge_t;

typedef struct {
    pthread_mutex_t      mutex;
    beacond_seq_t       *seqs;
    uint32_t            *chains;        /* index + 1; 0: empty */
    uint32_t             max;           /* a power of two */
    uint32_t             used;
    uint32_t             hand;          /* of the clock that evicts */
    uint32_t             seed;
    uint64_t             feed;          /* of those that come new */
    uint64_t             evicted;
    uint32_t             now;           /* second; who numbers sets it */
    beacond_seq_t       *last;          /* what was asked for last */
    uint32_t             nedges;
    beacond_seq_edge_t   edges[BEACOND_SEQS_EDGES];
} beacond_seqs_t;

/* feed and seed: random.  SYS: no memory. */
beacon_rc_t beacond_seqs_init(beacond_seqs_t *seqs, uint32_t max,
    uint64_t feed, uint32_t seed);
void beacond_seqs_dispose(beacond_seqs_t *seqs);

/* One hit more of this site; locked.  Good until the next call. */
const beacond_seq_t *beacond_seqs_next(beacond_seqs_t *seqs,
    beacon_str_t edge, beacon_str_t site);

/* So many more of the site that was asked for last. */
static inline void
beacond_seqs_more(beacond_seqs_t *seqs, uint32_t n)
{
    beacond_seq_t  *seq = seqs->last;

    seq->recent |= n > 0;
    seq->seq += n;
}

/* How many have a number; takes the lock. */
uint32_t beacond_seqs_used(beacond_seqs_t *seqs);

#endif /* BEACOND_SEQS_H */
