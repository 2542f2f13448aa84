/* What the store's writer does besides hits: gaps, marks, time, what it says of
   itself. */

#include "beacon_live_counts.h"

/* So many hits are missing behind its newest. */
void
beacon_live_missed(beacon_live_writer_t *w, uint32_t site, uint64_t n,
    uint64_t mark)
{
    beacon_live_outcome_t   *outcome;
    beacon_live_own_site_t  *own;

    beacon_live_put_end(w);
    own = &w->site[site];

    if (n > BEACON_LIVE_SEQ_MAX - own->last) {
        n = BEACON_LIVE_SEQ_MAX - own->last;
    }

    if (n == 0) {
        beacon_live_set_mark(w, mark);
        return;
    }

    own->last += n;

    w->run[0].own = own;
    w->run[0].chunk = 0;

    outcome = &w->undo->outcomes[0];
    outcome->site = site;
    outcome->chunk = 0;
    outcome->step = 0;
    outcome->last = own->last;

    BEACON_LIVE_POINT("live.before_gap");
    beacon_live_undo_commit(w, 1, 0, n, mark);
    BEACON_LIVE_POINT("live.after_gap");
}

beacon_rc_t
beacon_live_gap(beacon_live_writer_t *w, beacon_str_t name, uint64_t n,
    uint64_t mark)
{
    uint32_t  site;

    beacon_live_put_end(w);
    site = beacon_live_site_find(w, name);

    if (site == 0) {
        beacon_live_set_mark(w, mark);
        return BEACON_INVALID;
    }

    beacon_live_missed(w, site, n, mark);

    return BEACON_OK;
}

uint64_t
beacon_live_mark(const beacon_live_writer_t *w)
{
    return BEACON_LIVE_GET(w->head->mark);
}

void
beacon_live_tick(beacon_live_writer_t *w, uint64_t now_ms)
{
    beacon_live_time(w, now_ms);

    if (w->clock - w->evaluated_at >= BEACON_LIVE_EVALUATE * 1000) {
        w->evaluated_at = w->clock;
        beacon_live_evaluate(w);
    }
}

void
beacon_live_set_present(beacon_live_writer_t *w, uint32_t present)
{
    w->present = present;
    atomic_store_explicit(&w->head->present, present, memory_order_relaxed);
}

void
beacon_live_stats(const beacon_live_writer_t *w, beacon_live_stats_t *stats)
{
    *stats = w->stats;

    stats->hits = atomic_load_explicit(&w->head->hits, memory_order_relaxed);
    stats->missing = atomic_load_explicit(&w->head->missing,
                                          memory_order_relaxed);
    stats->size = w->live.size;
    stats->used_bytes = (uint64_t) (w->live.is.chunks - 1 - w->free_chunks)
                        * BEACON_LIVE_CHUNK;
}
