/*
 * Hits whose bytes the ring gave back before the live sink had them in the
 * store: of which site each was, in <ring>/live.passed, mapped.
 *
 * The keeper notes before it gives back; the sink asks when it finds a hole in
 * a lane, now or after a SIGKILL, and tells the sites' gaps.  What the sink
 * had in hand or in its queue and does put after all, it never asks for: its
 * place in the lane is behind that.
 *
 * Bounded: BEACOND_PASSED_HITS hits, of which the oldest go, and so many sites
 * and lanes until all that is noted is of no use any more.  Who is not noted
 * is of a site that nobody knows.
 *
 * Layout: sites, lanes and hits are written before "head" and "nsites" are.
 * hits[i % BEACOND_PASSED_HITS] for tail <= i < head.  One file and one
 * mapping in a helper, whoever opens it how often; under a lock of its own.
 */

#ifndef BEACOND_PASSED_H
#define BEACOND_PASSED_H

#include "beacond_live_places.h"
#include "beacond_sink.h"

#define BEACOND_PASSED_HITS   (256 * 1024)
#define BEACOND_PASSED_SITES  4096
#define BEACOND_PASSED_NONE   UINT16_MAX        /* index: no site, no room */

/* Of create() and destroy(): opened as often as it is closed.  What cannot be
   opened notes nothing. */
void beacond_passed_open(const char *dir);
void beacond_passed_close(void);
void beacond_passed_remove(const char *dir);

/* The hits of a batch from this ordinal on; of one lane. */
void beacond_passed_note(const beacond_batch_t *batch, uint64_t ordinal);

/* Counts those of a lane from one ordinal to before another by their sites. */
void beacond_passed_count(uint64_t epoch, uint32_t lane, uint64_t from,
    uint64_t to, beacond_missed_run_t *run);

/* Lets go of hits that these places are behind; NULL: of all. */
void beacond_passed_tidy(beacond_places_t *places);

#endif /* BEACOND_PASSED_H */
