/*
 * Runs: hits that are committed in one, of any sites.  What the head and the
 * sites say of them is changed once, and readers are told of them once.
 */

#include "beacon_live_counts.h"

/* It was hit now. */
static inline void
beacon_live_site_hit(beacon_live_writer_t *w, beacon_live_own_site_t *own)
{
    uint32_t  site;

    site = own->slot;
    own->hit_at = w->clock;

    if (site != BEACON_LIVE_OVERFLOW
        && site != beacon_live_lru_latest(w->listed))
    {
        beacon_live_lru_unlink(w->listed, site);
        beacon_live_lru_push(w->listed, site);
    }
}

beacon_live_run_t *
beacon_live_run_join(beacon_live_writer_t *w, beacon_live_own_site_t *own)
{
    beacon_live_run_t           *run;
    const beacon_live_counts_t  *counts;

    counts = w->counts;

    if (counts->wall - own->counts->base != own->counts->step) {
        beacon_live_count_step(w, own->slot);
    }

    run = &w->run[w->runs++];
    run->own = own;
    run->hits = 0;
    run->visitors = 0;
    own->run = run;
    beacon_live_site_hit(w, own);

    return run;
}

/* Visitors are counted less where they were. */
static void
beacon_live_run_left(beacon_live_writer_t *w)
{
    uint32_t             i;
    uint8_t             *at;
    beacon_live_step_t  *step;

    for (at = w->saved, i = 0; i < w->lefts; i++) {
        at = beacon_live_undo_add(at, w->left[i], sizeof(*step));
    }

    beacon_live_undo_saved(w, at);

    for (i = 0; i < w->lefts; i++) {
        step = w->left[i];
        BEACON_LIVE_SET(step->visitors, step->visitors
                                        - (step->visitors != 0));
    }

    w->lefts = 0;
}

/* What a site is to be, with its hits and the visitors that they count in its
   running step. */
static inline void
beacon_live_run_outcome(const beacon_live_writer_t *w, beacon_live_run_t *run,
    beacon_live_outcome_t *outcome)
{
    const beacon_live_site_t        *site;
    const beacon_live_step_t        *now;
    beacon_live_own_site_t          *own;
    const beacon_live_own_chunk_t   *chunk;

    own = run->own;
    own->run = NULL;
    chunk = &w->chunk[own->newest];
    site = own->seen;
    run->chunk = own->newest;
    run->step = own->counts->running;
    now = &site->steps[run->step];

    outcome->last = own->last;
    outcome->hits = site->hits + run->hits;
    outcome->last_ms = run->last_ms;
    outcome->serial = chunk->serial;
    outcome->chunk = run->chunk;
    outcome->committed = chunk->committed;
    outcome->site = own->slot;
    outcome->step = run->step;
    outcome->now.hits = now->hits + run->hits;
    outcome->now.visitors = now->visitors + run->visitors;
}

void
beacon_live_put_end(beacon_live_writer_t *w)
{
    uint32_t  i, sites;
    uint64_t  hits, missing, mark;

    sites = w->runs;

    if (sites == 0) {
        return;
    }

    /* under the seqlocks of all sites, so that who goes from one step to
       another is in one of them whenever somebody looks */

    for (i = 0; i < sites; i++) {
        beacon_live_run_outcome(w, &w->run[i], &w->undo->outcomes[i]);
        beacon_live_begin(&w->run[i].own->seen->serial);
    }

    if (w->lefts) {
        beacon_live_run_left(w);
    }

    BEACON_LIVE_POINT("live.counted");

    hits = w->hits;
    missing = w->missing;
    mark = w->mark;
    w->runs = 0;
    w->hits = 0;
    w->missing = 0;
    w->mark = 0;

    beacon_live_undo_commit(w, sites, hits, missing, mark);
}
