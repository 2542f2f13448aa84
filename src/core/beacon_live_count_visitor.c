/*
 * A site's visitors: each is counted in the step of the newest hit, so that
 * those of the steps of a window are all who hit in it.  One who is put out by
 * others stays counted there until the step is an hour old; who comes back
 * within that is counted twice.
 */

#include "beacon_live_counts.h"

/* What is rare stays out of the way of what is not. */
static uint32_t beacon_live_visitor_add(beacon_live_writer_t *w,
    const beacon_live_count_t *count, uint64_t hash, uint32_t step)
    __attribute__((noinline));
static void beacon_live_visitor_step(beacon_live_writer_t *w,
    uint32_t site, uint32_t index, uint32_t step)
    __attribute__((noinline));


/* ---- the site's list, newest first */

beacon_live_front_t
beacon_live_visitors_front(const beacon_live_writer_t *w, uint32_t site)
{
    return (beacon_live_front_t) {
        &((beacon_live_counts_t *) w->counts)->sites[site].visitors,
        &beacon_live_site_at(&w->live, site)->visitors
    };
}

/* One who is not there yet goes to the front: unlinked and pushed, in one. */
static inline void
beacon_live_visitors_first(beacon_live_counts_t *counts,
    beacon_live_own_counts_t *list, beacon_live_site_t *site, uint32_t index)
{
    uint32_t            newer, older, first;
    beacon_live_own_t  *own;

    own = counts->visitors.own;
    newer = own[index].newer;
    older = own[index].older;
    first = list->visitors;

    own[newer].older = older;
    BEACON_LIVE_SET(counts->visitor[newer].older, older);

    if (older) {
        own[older].newer = newer;
    }

    own[first].newer = index;
    own[index].older = first;
    own[index].newer = 0;
    list->visitors = index;
    BEACON_LIVE_SET(counts->visitor[index].older, first);
    BEACON_LIVE_SET(site->visitors, index);
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

static uint32_t
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
    BEACON_LIVE_SET(slot->site, count->site);
    BEACON_LIVE_SET(slot->first_ms, count->put->time_ms);
    BEACON_LIVE_SET(slot->last_ms, count->put->time_ms);
    BEACON_LIVE_SET(slot->seq, count->seq);
    BEACON_LIVE_SET(slot->chunk, count->chunk);
    BEACON_LIVE_SET(slot->offset, count->offset);
    BEACON_LIVE_SET(slot->hits, 1);
    BEACON_LIVE_SET(slot->step, step);
    own->page = beacon_live_person_new(slot, count);
    beacon_live_end(&slot->serial);

    own->hash = hash;
    own->site = count->site;
    own->step = step;

    beacon_live_list_push(&counts->visitors,
                          beacon_live_visitors_front(w, count->site), index);
    beacon_live_lru_push(counts->visitors.links, index);
    beacon_live_table_add(&w->visitors, (uint32_t) hash, index);

    return index;
}


/* ---- counting */

/* Is counted in another step than before. */
static void
beacon_live_visitor_step(beacon_live_writer_t *w, uint32_t site,
    uint32_t index, uint32_t step)
{
    beacon_live_own_t   *own;
    beacon_live_pool_t  *pool;
    beacon_live_left_t  *left;

    pool = &((beacon_live_counts_t *) w->counts)->visitors;
    own = &pool->own[index];

    if (step - own->step < BEACON_LIVE_STEPS) {
        left = &w->left[w->lefts++];
        left->site = site;
        left->step = own->step % BEACON_LIVE_STEPS;
    }

    own->step = step;
    beacon_live_lru_unlink(pool->links, index);
    beacon_live_lru_push(pool->links, index);
}

/* 1: but for his page, nothing is to be said of him that was not. */
static inline int
beacon_live_visitor_same(const beacon_live_visitor_t *slot, uint32_t page,
    const beacon_live_count_t *count)
{
    beacon_str_t     country, flags;
    const uint8_t   *end;
    const uint16_t  *lens;

    lens = slot->lens;
    flags = beacon_live_shown(count->put, BEACON_SHORT_FLAGS);
    country = beacon_live_shown(count->put, BEACON_SHORT_COUNTRY);
    end = slot->text + page;

    if (flags.len != lens[BEACON_LIVE_PERSON_FLAGS]
        || (flags.len && !beacon_live_equal(end - flags.len, flags.data,
                                            flags.len)))
    {
        return 0;
    }

    end -= flags.len;

    return (lens[BEACON_LIVE_PERSON_ENTRY]
            || count->put->shown->texts[BEACON_SHORT_PAGE].len == 0)
           && (country.len == 0
               || (country.len == lens[BEACON_LIVE_PERSON_COUNTRY]
                   && beacon_live_equal(end - country.len, country.data,
                                        country.len)));
}

/* Of a page as long as most the bytes are saved without counting them. */
#define BEACON_LIVE_VISITOR_MOST  64

/* His page changes alone: how much of it there is room for, and what stands
   there is saved, too. */
static inline uint8_t *
beacon_live_undo_add_page(uint8_t *at, const beacon_live_visitor_t *slot,
    uint32_t where, beacon_str_t *page)
{
    size_t  room;

    room = BEACON_LIVE_VISITOR_TEXT - where;

    if (__builtin_expect(page->len > room, 0)) {
        page->len = beacon_line_cut(*page, room);
    }

    if (__builtin_expect(page->len <= BEACON_LIVE_VISITOR_MOST
                         && room >= BEACON_LIVE_VISITOR_MOST, 1))
    {
        return beacon_live_undo_add(at, slot->text + where,
                                    BEACON_LIVE_VISITOR_MOST);
    }

    return beacon_live_undo_add(at, slot->text + where, page->len);
}

/* All that changes each time stands together, and is saved. */
static inline void
beacon_live_visitor_now(beacon_live_visitor_t *slot,
    const beacon_live_count_t *count, uint32_t step)
{
    BEACON_LIVE_SET(slot->last_ms, count->put->time_ms);
    BEACON_LIVE_SET(slot->seq, count->seq);
    BEACON_LIVE_SET(slot->chunk, count->chunk);
    BEACON_LIVE_SET(slot->offset, count->offset);
    BEACON_LIVE_SET(slot->hits, slot->hits + 1);
    BEACON_LIVE_SET(slot->step, step);
}

static inline void
beacon_live_visitor_again(beacon_live_writer_t *w, beacon_live_own_t *own,
    beacon_live_visitor_t *slot, beacon_live_count_t *count, uint32_t step)
{
    uint8_t       *at, *text;
    beacon_str_t   page;

    count->before_chunk = slot->chunk;
    count->before_offset = slot->offset;
    count->before_seq = slot->seq;

    at = beacon_live_undo_add(w->saved, &slot->last_ms,
                              offsetof(beacon_live_visitor_t, text)
                              - offsetof(beacon_live_visitor_t, last_ms));

    if (__builtin_expect(!beacon_live_visitor_same(slot, own->page, count), 0))
    {
        beacon_live_undo_saved(w, at);
        beacon_live_begin(&slot->serial);
        beacon_live_visitor_now(slot, count, step);
        own->page = beacon_live_person_change(w, slot, count);
        beacon_live_end(&slot->serial);

        return;
    }

    page = beacon_live_shown(count->put, BEACON_SHORT_PAGE);
    text = slot->text + own->page;

    if (__builtin_expect(page.len != 0, 1)) {
        at = beacon_live_undo_add_page(at, slot, own->page, &page);
    }

    beacon_live_undo_saved(w, at);
    beacon_live_begin(&slot->serial);
    beacon_live_visitor_now(slot, count, step);

    if (__builtin_expect(page.len != 0, 1)) {
        beacon_live_copy_text(text, page.data, page.len);
        BEACON_LIVE_SET(slot->lens[BEACON_LIVE_PERSON_PAGE],
                        (uint16_t) page.len);
    }

    beacon_live_end(&slot->serial);
}

void
beacon_live_count_visitor(beacon_live_writer_t *w, beacon_live_count_t *count,
    beacon_live_own_counts_t *list, beacon_live_run_t *run)
{
    uint32_t               index, step;
    uint64_t               hash;
    beacon_live_own_t     *own;
    beacon_live_counts_t  *counts;

    counts = w->counts;
    step = list->step;
    count->id = beacon_live_id(w->live.is.seed, count->put->visitor,
                               counts->id);
    hash = beacon_live_hash_on(list->visitor_salt, w->live.is.seed[1],
                               count->id);
    index = beacon_live_pool_find(&counts->visitors, &w->visitors, hash);

    if (index == 0) {
        count->visitor = beacon_live_visitor_add(w, count, hash, step);
        count->before_chunk = 0;
        count->before_offset = 0;
        count->before_seq = 0;
        run->visitors++;
        return;
    }

    count->visitor = index;
    own = &counts->visitors.own[index];
    beacon_live_visitor_again(w, own, &counts->visitor[index], count, step);

    if (own->step != step) {
        beacon_live_visitor_step(w, count->site, index, step);
        run->visitors++;
    }

    if (own->newer) {
        beacon_live_visitors_first(counts, list, &w->seen[count->site], index);
    }
}

void
beacon_live_visitors_forget(beacon_live_writer_t *w, uint32_t site)
{
    w->stats.visitors -=
        beacon_live_list_forget(&((beacon_live_counts_t *) w->counts)->visitors,
                                &w->visitors,
                                beacon_live_visitors_front(w, site));
}
