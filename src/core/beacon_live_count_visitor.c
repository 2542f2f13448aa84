/*
 * A site's visitors: each is counted in the step of the newest hit, so that
 * those of the steps of a window are all who hit in it.  One who is put out by
 * others stays counted there until the step is an hour old; who comes back
 * within that is counted twice.
 */

#include "beacon_live_count_hit.h"

/* ---- the site's list, newest first */

beacon_live_front_t
beacon_live_visitors_front(const beacon_live_writer_t *w, uint32_t site)
{
    return (beacon_live_front_t) {
        &((beacon_live_counts_t *) w->counts)->sites[site].visitors,
        &beacon_live_site_at(&w->live, site)->visitors
    };
}

/* ---- slots */

/* A slot for a new one, whose bytes are saved. */
static uint32_t
beacon_live_visitor_take(beacon_live_writer_t *w)
{
    uint32_t                 index;
    beacon_live_pool_t      *pool;
    beacon_live_counts_t    *counts;
    const beacon_live_own_t *own;

    counts = w->counts;
    pool = &counts->visitors;
    index = beacon_live_pool_take(pool);

    if (index) {
        beacon_live_undo_save(w, &counts->visitor[index].site,
                              sizeof(uint32_t));
        w->stats.visitors++;

        return index;
    }

    index = beacon_live_lru_earliest(pool->links);
    own = &pool->own[index];
    beacon_live_undo_save(w, &counts->visitor[index],
                          sizeof(beacon_live_visitor_t));

    beacon_live_list_unlink(pool, beacon_live_visitors_front(w, own->site),
                            index);
    beacon_live_lru_unlink(pool->links, index);
    beacon_live_table_remove(&w->visitors, (uint32_t) own->hash, index);
    w->stats.evicted_visitors++;

    return index;
}

uint32_t
beacon_live_visitor_add(beacon_live_writer_t *w,
    const beacon_live_count_t *count, uint64_t hash, uint32_t step)
{
    uint32_t                index;
    beacon_live_own_t      *own;
    beacon_live_counts_t   *counts;
    beacon_live_visitor_t  *slot;

    counts = w->counts;
    index = beacon_live_visitor_take(w);
    slot = &counts->visitor[index];
    own = &counts->visitors.own[index];

    beacon_live_begin(&slot->serial);
    BEACON_LIVE_SET(slot->hash, hash);
    BEACON_LIVE_SET(slot->site, count->own->slot);
    BEACON_LIVE_SET(slot->first_ms, count->put->time_ms);
    BEACON_LIVE_SET(slot->last_ms, count->put->time_ms);
    BEACON_LIVE_SET(slot->seq, count->seq);
    BEACON_LIVE_SET(slot->chunk, count->chunk);
    BEACON_LIVE_SET(slot->offset, count->offset);
    BEACON_LIVE_SET(slot->hits, 1);
    BEACON_LIVE_SET(slot->step, step);
    own->page = beacon_live_person_new(w, slot, count);
    beacon_live_end(&slot->serial);

    own->hash = hash;
    own->site = count->own->slot;
    own->step = step;

    beacon_live_list_push(&counts->visitors,
                          beacon_live_visitors_front(w, count->own->slot),
                          index);
    beacon_live_lru_push(counts->visitors.links, index);
    beacon_live_table_add(&w->visitors, (uint32_t) hash, index);

    return index;
}


/* ---- counting */

void
beacon_live_visitor_step(beacon_live_writer_t *w,
    const beacon_live_own_site_t *site, uint32_t index, uint32_t step)
{
    beacon_live_own_t   *own;
    beacon_live_pool_t  *pool;

    pool = &((beacon_live_counts_t *) w->counts)->visitors;
    own = &pool->own[index];

    if (step - own->step < BEACON_LIVE_STEPS) {
        w->left[w->lefts++] =
            &site->seen->steps[own->step % BEACON_LIVE_STEPS];
    }

    own->step = step;
    beacon_live_lru_unlink(pool->links, index);
    beacon_live_lru_push(pool->links, index);
}

void
beacon_live_visitors_forget(beacon_live_writer_t *w, uint32_t site)
{
    w->stats.visitors -=
        beacon_live_list_forget(&((beacon_live_counts_t *) w->counts)->visitors,
                                &w->visitors,
                                beacon_live_visitors_front(w, site));
}
