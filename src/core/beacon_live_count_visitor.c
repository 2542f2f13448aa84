/*
 * A site's visitors: each is counted in the step of the newest hit, so that
 * those of the steps of a window are all who hit in it.  One who is put out by
 * others stays counted there until the step is an hour old; who comes back
 * within that is counted twice.
 */

#include "beacon_live_counts.h"

/* What is rare stays out of the way of what is not. */
static uint32_t beacon_live_visitor_add(beacon_live_writer_t *w,
    const beacon_live_count_t *count, uint32_t hash, uint32_t step)
    __attribute__((noinline));


/* ---- the site's list, newest first; readers see "older" */

static void
beacon_live_visitors_older(beacon_live_writer_t *w, uint32_t site,
    uint32_t index, uint32_t older)
{
    beacon_live_counts_t  *counts;

    counts = w->counts;

    if (index) {
        counts->visitors.own[index].older = older;
        BEACON_LIVE_SET(counts->visitor[index].older, older);

    } else {
        counts->sites[site].visitors = older;
        BEACON_LIVE_SET(beacon_live_site_at(&w->live, site)->visitors, older);
    }
}

void
beacon_live_visitors_push(beacon_live_writer_t *w, uint32_t site,
    uint32_t index)
{
    uint32_t               head;
    beacon_live_counts_t  *counts;

    counts = w->counts;
    head = counts->sites[site].visitors;

    if (head) {
        counts->visitors.own[head].newer = index;
    }

    counts->visitors.own[index].newer = 0;
    beacon_live_visitors_older(w, site, index, head);
    beacon_live_visitors_older(w, site, 0, index);
}

static void
beacon_live_visitors_unlink(beacon_live_writer_t *w, uint32_t index)
{
    beacon_live_own_t     *own;
    beacon_live_counts_t  *counts;

    counts = w->counts;
    own = &counts->visitors.own[index];
    beacon_live_visitors_older(w, own->site, own->newer, own->older);

    if (own->older) {
        counts->visitors.own[own->older].newer = own->newer;
    }
}

/* One who is not there yet goes to the front: as the two above. */
static inline void
beacon_live_visitors_front(beacon_live_writer_t *w, beacon_live_site_t *site,
    uint32_t number, uint32_t index)
{
    beacon_live_own_t         *own, *all;
    beacon_live_counts_t      *counts;
    beacon_live_own_counts_t  *list;

    counts = w->counts;
    all = counts->visitors.own;
    own = &all[index];
    list = &counts->sites[number];

    all[own->newer].older = own->older;
    BEACON_LIVE_SET(counts->visitor[own->newer].older, own->older);

    if (own->older) {
        all[own->older].newer = own->newer;
    }

    all[list->visitors].newer = index;
    own->older = list->visitors;
    own->newer = 0;
    list->visitors = index;
    BEACON_LIVE_SET(counts->visitor[index].older, own->older);
    BEACON_LIVE_SET(site->visitors, index);
}


/* ---- slots */

/* The visitor's slot; 0: not known. */
static inline uint32_t
beacon_live_visitor_find(const beacon_live_writer_t *w, uint32_t site,
    uint32_t hash, beacon_str_t id)
{
    uint32_t                      at, index;
    const beacon_live_own_t      *own;
    const beacon_live_counts_t   *counts;
    const beacon_live_visitor_t  *slot;

    counts = w->counts;
    at = hash;

    while ((index = beacon_live_table_next(&w->visitors, hash, &at)) != 0) {
        own = &counts->visitors.own[index];
        slot = &counts->visitor[index];

        if (own->site == site && own->len == id.len
            && beacon_live_equal(slot->text, id.data, id.len))
        {
            return index;
        }
    }

    return 0;
}

/* A slot for a new one, whose bytes are saved. */
static uint32_t
beacon_live_visitor_take(beacon_live_writer_t *w)
{
    uint32_t                index;
    beacon_live_pool_t     *pool;
    beacon_live_counts_t   *counts;
    beacon_live_visitor_t  *slot;

    counts = w->counts;
    pool = &counts->visitors;
    index = pool->free;

    if (index) {
        pool->free = pool->own[index].earlier;
        slot = &counts->visitor[index];
        (void) beacon_live_undo_save(w, &slot->site, sizeof(slot->site));
        w->stats.visitors++;

        return index;
    }

    index = pool->earliest;
    slot = &counts->visitor[index];
    (void) beacon_live_undo_save(w, slot, sizeof(*slot));

    beacon_live_visitors_unlink(w, index);
    beacon_live_pool_unlink(pool, index);
    beacon_live_table_remove(&w->visitors, pool->own[index].hash, index);
    w->stats.evicted_visitors++;

    return index;
}

static uint32_t
beacon_live_visitor_add(beacon_live_writer_t *w,
    const beacon_live_count_t *count, uint32_t hash, uint32_t step)
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
    BEACON_LIVE_SET(slot->site, count->site);
    BEACON_LIVE_SET(slot->hash, hash);
    BEACON_LIVE_SET(slot->first_ms, count->put->time_ms);
    BEACON_LIVE_SET(slot->last_ms, count->put->time_ms);
    BEACON_LIVE_SET(slot->seq, count->seq);
    BEACON_LIVE_SET(slot->chunk, count->chunk);
    BEACON_LIVE_SET(slot->offset, count->offset);
    BEACON_LIVE_SET(slot->hits, 1);
    BEACON_LIVE_SET(slot->step, step);
    beacon_live_person_new(slot, count);
    beacon_live_end(&slot->serial);

    own->site = count->site;
    own->hash = hash;
    own->step = step;
    own->len = slot->lens[BEACON_LIVE_PERSON_ID];

    beacon_live_visitors_push(w, count->site, index);
    beacon_live_pool_push(&counts->visitors, index);
    beacon_live_table_add(&w->visitors, hash, index);

    return index;
}

/* Is counted in another step than before, or in none as yet. */
static void
beacon_live_visitor_step(beacon_live_writer_t *w, beacon_live_site_t *site,
    uint32_t index, uint32_t step)
{
    beacon_live_own_t   *own;
    beacon_live_pool_t  *pool;
    beacon_live_step_t  *then;

    pool = &((beacon_live_counts_t *) w->counts)->visitors;
    own = &pool->own[index];
    then = &site->steps[own->step % BEACON_LIVE_STEPS];

    if (step - own->step < BEACON_LIVE_STEPS && then->visitors) {
        (void) beacon_live_undo_save(w, then, sizeof(*then));
        BEACON_LIVE_SET(then->visitors, then->visitors - 1);
    }

    own->step = step;
    beacon_live_pool_unlink(pool, index);
    beacon_live_pool_push(pool, index);
}

static void
beacon_live_visitor_again(beacon_live_writer_t *w,
    beacon_live_count_t *count, uint32_t index, uint32_t step)
{
    beacon_live_visitor_t  *slot;

    slot = &((beacon_live_counts_t *) w->counts)->visitor[index];
    count->before_chunk = slot->chunk;
    count->before_offset = slot->offset;
    count->before_seq = slot->seq;

    (void) beacon_live_undo_save(w, &slot->last_ms,
                                 offsetof(beacon_live_visitor_t, text)
                                 - offsetof(beacon_live_visitor_t, last_ms));

    beacon_live_begin(&slot->serial);
    BEACON_LIVE_SET(slot->last_ms, count->put->time_ms);
    BEACON_LIVE_SET(slot->seq, count->seq);
    BEACON_LIVE_SET(slot->chunk, count->chunk);
    BEACON_LIVE_SET(slot->offset, count->offset);
    BEACON_LIVE_SET(slot->hits, slot->hits + 1);
    BEACON_LIVE_SET(slot->step, step);
    beacon_live_person_again(w, slot, count);
    beacon_live_end(&slot->serial);
}

void
beacon_live_count_visitor(beacon_live_writer_t *w, beacon_live_count_t *count,
    beacon_live_site_t *site, uint32_t step)
{
    uint32_t               index, hash;
    beacon_live_step_t    *running;
    beacon_live_counts_t  *counts;

    counts = w->counts;
    count->id = beacon_live_id(w->live.is.seed, count->put->visitor,
                               counts->id);
    hash = beacon_live_hash(w->live.is.seed, count->site, count->id);
    running = &site->steps[step % BEACON_LIVE_STEPS];

    index = beacon_live_visitor_find(w, count->site, hash, count->id);

    if (index == 0) {
        count->visitor = beacon_live_visitor_add(w, count, hash, step);
        count->before_chunk = 0;
        count->before_offset = 0;
        count->before_seq = 0;
        BEACON_LIVE_SET(running->visitors, running->visitors + 1);
        return;
    }

    count->visitor = index;
    beacon_live_visitor_again(w, count, index, step);

    if (counts->visitors.own[index].step != step) {
        beacon_live_visitor_step(w, site, index, step);
        BEACON_LIVE_SET(running->visitors, running->visitors + 1);
    }

    if (counts->visitors.own[index].newer) {
        beacon_live_visitors_front(w, site, count->site, index);
    }
}

void
beacon_live_visitors_forget(beacon_live_writer_t *w, uint32_t site)
{
    uint32_t                index, next;
    beacon_live_own_t      *own;
    beacon_live_counts_t   *counts;
    beacon_live_visitor_t  *slot;

    counts = w->counts;

    for (index = counts->sites[site].visitors; index; index = next) {
        own = &counts->visitors.own[index];
        slot = &counts->visitor[index];
        next = own->older;

        beacon_live_table_remove(&w->visitors, own->hash, index);
        beacon_live_begin(&slot->serial);
        BEACON_LIVE_SET(slot->site, 0);
        beacon_live_end(&slot->serial);

        beacon_live_pool_unlink(&counts->visitors, index);
        beacon_live_pool_free(&counts->visitors, index);
        w->stats.visitors--;
    }

    beacon_live_visitors_older(w, site, 0, 0);
}
