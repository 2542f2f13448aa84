/*
 * Counts a hit: in its site's steps, at its visitor, and at the keys it has.
 *
 * What is counted is saved to the undo area first.  Lists and tables are not:
 * they are made anew at open, from the slots.
 */

#include "beacon_live_counts.h"

/* What is rare stays out of the way of what is not. */
static void beacon_live_count_step(beacon_live_writer_t *w,
    beacon_live_own_counts_t *own, beacon_live_site_t *site, uint32_t wall)
    __attribute__((noinline));


/* The first steps behind the running one, up to and with "step", are zeros. */
static void
beacon_live_count_zero(beacon_live_writer_t *w, beacon_live_site_t *site,
    uint32_t step, uint32_t n)
{
    uint32_t             i, at, first;
    beacon_live_step_t  *steps;

    steps = site->steps;
    first = (step - n + 1) % BEACON_LIVE_STEPS;

    if (n > BEACON_LIVE_STEPS - first) {
        beacon_live_undo_save(w, steps, sizeof(site->steps));

    } else {
        beacon_live_undo_save(w, &steps[first], n * sizeof(*steps));
    }

    for (i = 0, at = first; i < n; i++) {
        BEACON_LIVE_SET(steps[at].hits, 0);
        BEACON_LIVE_SET(steps[at].visitors, 0);
        at = (at + 1 < BEACON_LIVE_STEPS) ? at + 1 : 0;
    }
}

/* The site's running step is another than "step". */
static void
beacon_live_count_step(beacon_live_writer_t *w, beacon_live_own_counts_t *own,
    beacon_live_site_t *site, uint32_t wall)
{
    int32_t   ahead;
    uint32_t  step;

    step = wall - own->base;
    ahead = (int32_t) (step - own->step);

    if (ahead <= 0 && ahead >= -BEACON_LIVE_BACK) {
        return;
    }

    beacon_live_undo_save(w, &site->step, sizeof(site->step));
    beacon_live_begin(&site->serial);

    if (ahead < 0) {
        ahead = BEACON_LIVE_STEPS;
        step = own->step + BEACON_LIVE_STEPS;
        own->base = wall - step;
        beacon_live_undo_save(w, &site->base, sizeof(site->base));
        BEACON_LIVE_SET(site->base, own->base);
    }

    beacon_live_count_zero(w, site, step, ahead < BEACON_LIVE_STEPS
                                          ? (uint32_t) ahead
                                          : BEACON_LIVE_STEPS);
    own->step = step;
    own->running = step % BEACON_LIVE_STEPS;
    BEACON_LIVE_SET(site->step, step);
}

void
beacon_live_count(beacon_live_writer_t *w, beacon_live_count_t *count,
    uint64_t missing)
{
    uint8_t                   *at;
    beacon_live_site_t        *site;
    beacon_live_step_t        *running;
    beacon_live_counts_t      *counts;
    beacon_live_own_counts_t  *own;

    counts = w->counts;
    own = &counts->sites[count->site];
    site = &w->seen[count->site];

    beacon_live_undo_begin(w);

    if (count->now_ms - counts->wall_ms >= 1000 * BEACON_LIVE_STEP) {
        counts->wall = (uint32_t) (count->now_ms / 1000 / BEACON_LIVE_STEP);
        counts->wall_ms = (uint64_t) counts->wall * 1000 * BEACON_LIVE_STEP;
    }

    if (__builtin_expect(counts->wall - own->base != own->step, 0)) {
        beacon_live_count_step(w, own, site, counts->wall);
    }

    running = &site->steps[own->running];
    at = beacon_live_undo_add_head(w->saved, w->head);
    at = beacon_live_undo_add(at, &site->hits, 2 * sizeof(uint64_t));
    at = beacon_live_undo_add(at, running, sizeof(*running));
    beacon_live_undo_saved(w, at);

    beacon_live_begin(&site->serial);
    BEACON_LIVE_POINT("live.counting");

    beacon_live_add(&w->head->hits, 1);
    if (missing) {
        beacon_live_add(&w->head->missing, missing);
    }

    beacon_live_set_mark(w, count->put->mark);
    BEACON_LIVE_SET(site->hits, site->hits + 1);
    BEACON_LIVE_SET(site->last_ms, count->put->time_ms);
    BEACON_LIVE_SET(running->hits, running->hits + 1);

    beacon_live_count_visitor(w, count, own, site);
    beacon_live_count_keys(w, own, count->site, count->put);

    beacon_live_end(&site->serial);
    BEACON_LIVE_POINT("live.counted");
}
