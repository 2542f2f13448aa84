/*
 * The steps that hits are counted in.
 *
 * What is counted is saved to the undo area first.  Lists and tables are not:
 * they are made anew at open, from the slots.
 */

#include "beacon_live_counts.h"

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

void
beacon_live_count_step(beacon_live_writer_t *w, uint32_t index)
{
    int32_t                    ahead;
    uint32_t                   wall, step;
    beacon_live_site_t        *site;
    beacon_live_own_counts_t  *own;

    wall = ((beacon_live_counts_t *) w->counts)->wall;
    own = &((beacon_live_counts_t *) w->counts)->sites[index];
    site = &w->seen[index];
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
    beacon_live_end(&site->serial);
}

void
beacon_live_count_wall(beacon_live_writer_t *w)
{
    beacon_live_counts_t  *counts;

    beacon_live_put_end(w);
    counts = w->counts;
    counts->wall = (uint32_t) (w->now_ms / 1000 / BEACON_LIVE_STEP);
    counts->wall_ms = (uint64_t) counts->wall * 1000 * BEACON_LIVE_STEP;
}
