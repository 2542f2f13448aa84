/*
 * Hits that a sink which is not durable will never be given: how many of each
 * site, and up to where in each lane, for as long as the batches before them
 * wait in the sink's queue.
 *
 * A reader adds, the sink's thread takes.  Bounded: a run of batches that were
 * missed one behind the other has so many sites at most, others count
 * together; and there are no more runs than batches in a queue, and a few.
 * Without memory for a run nothing is added: the sink finds a hole then.
 */

#ifndef BEACOND_MISSED_H
#define BEACOND_MISSED_H

#include "beacond_batch.h"
#include "beacon_counters.h"

#include <stdbool.h>

#define BEACOND_MISSED_SITES  4096
#define BEACOND_MISSED_RUNS   12

typedef struct {
    uint64_t  n;
    uint8_t   len;
    uint8_t   site[BEACON_SITE_MAX];
} beacond_missed_site_t;

static inline beacon_str_t
beacond_missed_name(const beacond_missed_site_t *site)
{
    return (beacon_str_t) { site->len, site->site };
}

/* What stands behind so many batches. */
typedef struct {
    uint64_t               turn;
    uint64_t               hits;
    uint64_t               unknown;     /* beside them: of other sites, and
                                           what is in no batch */
    uint32_t               nsites;
    uint32_t               nspans;
    uint16_t               slots[2 * BEACOND_MISSED_SITES];     /* index + 1 */
    beacond_missed_site_t  sites[BEACOND_MISSED_SITES];
    beacond_span_t         spans[BEACON_BOOKS_LANES];   /* all of it, from
                                           "from" to "to" */
} beacond_missed_run_t;

typedef struct {
    pthread_mutex_t        mutex;
    beacond_missed_run_t  *runs[BEACOND_MISSED_RUNS];   /* oldest first */
    uint32_t               nruns;
    beacond_missed_run_t  *spare;
} beacond_missed_t;

void beacond_missed_init(beacond_missed_t *missed);
void beacond_missed_dispose(beacond_missed_t *missed);

/* An empty run; beacond_missed_count(): another hit of that site in it. */
void beacond_missed_reset(beacond_missed_run_t *run, uint64_t turn);
void beacond_missed_count(beacond_missed_run_t *run, const uint8_t *name,
    size_t len);

/* The op missed(): from a reader, with the engine's mutex. */
void beacond_missed_add(beacond_missed_t *missed, const beacond_batch_t *batch,
    uint64_t turn);

/* What was missed behind at most so many batches, the oldest run first, to be
   given back; NULL: nothing. */
beacond_missed_run_t *beacond_missed_take(beacond_missed_t *missed,
    uint64_t turn);
void beacond_missed_give(beacond_missed_t *missed, beacond_missed_run_t *run);

#endif /* BEACOND_MISSED_H */
