/*
 * What is missing of feeds, as a receiver counts it by core/beacon_spy.h's
 * rule.  So many edges and sites are remembered; of one whose place another
 * has taken, the next number sets a new base, as if it came for the first
 * time: less is counted then, never more.
 */

#ifndef BEACOND_GAPS_H
#define BEACOND_GAPS_H

#include "beacon_spy.h"

typedef struct {
    uint64_t  who;                      /* hash of edge and site; 0: nobody */
    uint64_t  feed;
    uint64_t  seq;
} beacond_gap_t;

typedef struct {
    uint8_t         key[16];
    size_t          max;                /* a power of two */
    beacond_gap_t  *gaps;
} beacond_gaps_t;

/* key: random; edges and sites may be a stranger's.  SYS: no memory. */
beacon_rc_t beacond_gaps_init(beacond_gaps_t *gaps, size_t max,
    const uint8_t key[16]);
void beacond_gaps_dispose(beacond_gaps_t *gaps);

/* A message has come: hits of its edge and site that are missing before it. */
uint64_t beacond_gaps_see(beacond_gaps_t *gaps,
    const beacon_spy_head_t *head);

#endif /* BEACOND_GAPS_H */
