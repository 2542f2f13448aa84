/*
 * What each hit counts, in line: its visitor and its keys.  What is rare of
 * that is called, beacon_live_count_visitor.c and _key.c: a call in the way of
 * all hits would cost more than many a thing that it does.
 */

#ifndef BEACON_LIVE_COUNT_HIT_H
#define BEACON_LIVE_COUNT_HIT_H

#include "beacon_live_counts.h"

/* ---- beacon_live_count_visitor.c */

/* A new one; his slot. */
uint32_t beacon_live_visitor_add(beacon_live_writer_t *w,
    const beacon_live_count_t *count, uint64_t hash, uint32_t step);

/* Is counted in another step than before. */
void beacon_live_visitor_step(beacon_live_writer_t *w,
    const beacon_live_own_site_t *site, uint32_t index, uint32_t step);


/* ---- beacon_live_count_key.c */

/* One that its list does not have, and that has come so often in this step, is
   put there, if it may. */
void beacon_live_key_new(beacon_live_writer_t *w, uint32_t site,
    unsigned kind, uint64_t hash, beacon_str_t text, uint32_t hits);

/* What was running is put where it belongs; between it and "step" is none. */
void beacon_live_key_step(beacon_live_writer_t *w, uint32_t index,
    uint32_t step);


/* ---- the visitor */

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

/* 1: but for his page, nothing is to be said of him that was not. */
static inline int
beacon_live_visitor_same(const beacon_live_visitor_t *slot, uint32_t page,
    const beacon_live_put_t *put)
{
    beacon_str_t     country, flags;
    const uint8_t   *end;
    const uint16_t  *lens;

    lens = slot->lens;
    flags = beacon_live_shown(put, BEACON_SHORT_FLAGS);
    country = beacon_live_shown(put, BEACON_SHORT_COUNTRY);
    end = slot->text + page;

    if (flags.len != lens[BEACON_LIVE_PERSON_FLAGS]
        || (flags.len && !beacon_live_equal(end - flags.len, flags.data,
                                            flags.len)))
    {
        return 0;
    }

    end -= flags.len;

    return (lens[BEACON_LIVE_PERSON_ENTRY]
            || put->shown->texts[BEACON_SHORT_PAGE].len == 0)
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
    const beacon_live_count_t *count, const beacon_live_put_t *put,
    uint32_t step)
{
    BEACON_LIVE_SET(slot->last_ms, put->time_ms);
    BEACON_LIVE_SET(slot->seq, count->seq);
    BEACON_LIVE_SET(slot->chunk, count->chunk);
    BEACON_LIVE_SET(slot->offset, count->offset);
    BEACON_LIVE_SET(slot->hits, slot->hits + 1);
    BEACON_LIVE_SET(slot->step, step);
}

static inline void
beacon_live_visitor_again(beacon_live_writer_t *w, beacon_live_own_t *own,
    beacon_live_visitor_t *slot, const beacon_live_count_t *count,
    const beacon_live_put_t *put, uint32_t step)
{
    uint8_t            *at, *text;
    uint64_t            odd;
    beacon_str_t        page;
    beacon_live_hit_t  *head;

    head = count->head;
    BEACON_LIVE_SET(head->before_chunk, slot->chunk);
    BEACON_LIVE_SET(head->before_offset, slot->offset);
    BEACON_LIVE_SET(head->before_seq, slot->seq);

    at = beacon_live_undo_add(w->saved, &slot->last_ms,
                              offsetof(beacon_live_visitor_t, text)
                              - offsetof(beacon_live_visitor_t, last_ms));

    if (__builtin_expect(!beacon_live_visitor_same(slot, own->page, put), 0))
    {
        beacon_live_undo_saved(w, at);
        beacon_live_begin(&slot->serial);
        beacon_live_visitor_now(slot, count, put, step);
        own->page = beacon_live_person_change(w, slot, count);
        beacon_live_end(&slot->serial);

        return;
    }

    page = beacon_live_shown(put, BEACON_SHORT_PAGE);
    text = slot->text + own->page;

    if (__builtin_expect(page.len != 0, 1)) {
        at = beacon_live_undo_add_page(at, slot, own->page, &page);
    }

    beacon_live_undo_saved(w, at);
    odd = beacon_live_begin(&slot->serial);
    beacon_live_visitor_now(slot, count, put, step);

    if (__builtin_expect(page.len != 0, 1)) {
        beacon_live_copy_text(text, page.data, page.len);
        BEACON_LIVE_SET(slot->lens[BEACON_LIVE_PERSON_PAGE],
                        (uint16_t) page.len);
    }

    beacon_live_end_of(&slot->serial, odd);
}

static inline void
beacon_live_count_visitor(beacon_live_writer_t *w,
    const beacon_live_count_t *count, const beacon_live_own_site_t *site,
    const beacon_live_put_t *put, beacon_live_run_t *run)
{
    uint32_t                   index, step;
    uint64_t                   hash;
    beacon_live_own_t         *own;
    beacon_live_counts_t      *counts;
    beacon_live_own_counts_t  *list;

    counts = w->counts;
    list = site->counts;
    step = list->step;
    hash = beacon_live_hash_on(list->visitor_salt, w->live.is.seed[1],
                               beacon_live_id(w->live.is.seed, put->visitor,
                                              counts->id));
    own = beacon_live_pool_find(&counts->visitors, &w->visitors, hash, &index);

    if (own == NULL) {
        index = beacon_live_visitor_add(w, count, hash, step);
        BEACON_LIVE_SET(count->head->visitor, index);
        BEACON_LIVE_SET(count->head->before_chunk, 0);
        BEACON_LIVE_SET(count->head->before_offset, 0);
        BEACON_LIVE_SET(count->head->before_seq, 0);
        run->visitors++;
        return;
    }

    BEACON_LIVE_SET(count->head->visitor, index);
    beacon_live_visitor_again(w, own, &counts->visitor[index], count, put,
                              step);

    if (own->step != step) {
        beacon_live_visitor_step(w, site, index, step);
        run->visitors++;
    }

    if (own->newer) {
        beacon_live_visitors_first(counts, list, site->seen, index);
    }
}


/* ---- keys */

#define BEACON_LIVE_KEY_ASKED    32     /* the list is looked at again */

static inline void beacon_live_count_key(beacon_live_writer_t *w,
    const beacon_live_own_site_t *site, unsigned kind, beacon_str_t text)
    __attribute__((always_inline));

/* A key that its list does not have has come so often in this step. */
static inline uint32_t
beacon_live_key_noted(beacon_live_counts_t *counts,
    const beacon_live_own_counts_t *list, uint64_t hash)
{
    uint64_t              when;
    beacon_live_noted_t  *noted;

    memcpy(&when, &list->step, sizeof(when));
    noted = &counts->noted[hash >> 32 & (BEACON_LIVE_NOTED - 1)];

    if (__builtin_expect(noted->hash == hash && noted->when == when, 0)) {
        return (uint32_t) ++noted->hits;
    }

    noted->hash = hash;
    noted->when = when;
    noted->hits = 1;

    return 1;
}

static_assert(offsetof(beacon_live_own_counts_t, life)
              == offsetof(beacon_live_own_counts_t, step) + sizeof(uint32_t),
              "when");

/* 1: it waits until it has come more often than who was looked at last, or
   others have come. */
static inline int
beacon_live_key_waits(beacon_live_own_counts_t *list, unsigned kind,
    uint32_t hits)
{
    return list->busy[kind] == list->step && hits <= list->most[kind]
           && ++list->asked[kind] % BEACON_LIVE_KEY_ASKED != 0;
}

static inline void
beacon_live_count_key(beacon_live_writer_t *w,
    const beacon_live_own_site_t *site, unsigned kind, beacon_str_t text)
{
    uint32_t                   index, step, hits;
    uint64_t                   hash;
    beacon_live_own_t         *own;
    beacon_live_counts_t      *counts;
    beacon_live_running_t      more, *running;
    beacon_live_own_counts_t  *list;

    if (__builtin_expect(text.len > BEACON_LIVE_KEY_TEXT, 0)) {
        text.len = beacon_line_cut(text, BEACON_LIVE_KEY_TEXT);
    }

    counts = w->counts;
    list = site->counts;
    step = list->step;
    hash = beacon_live_hash_on(list->key_salts[kind], w->live.is.seed[1],
                               text);
    own = beacon_live_pool_find(&counts->keys, &w->keys, hash, &index);

    if (own == NULL) {
        hits = beacon_live_key_noted(counts, list, hash);

        if (!beacon_live_key_waits(list, kind, hits)) {
            beacon_live_key_new(w, site->slot, kind, hash, text, hits);
        }

        return;
    }

    if (own->step != step) {
        beacon_live_key_step(w, index, step);
    }

    own->weight++;
    running = &counts->key[index].running;
    more.hits.step = 1;
    more.hits.minute = 1;
    beacon_live_undo_save(w, running, sizeof(*running));
    BEACON_LIVE_SET(running->both, running->both + more.both);
}

/* A page of the site itself; beside the pixel's host, a path stands alone. */
static inline int
beacon_live_own_referrer(const beacon_live_put_t *put, const uint8_t *referrer)
{
    beacon_line_text_t  host, own;

    host = put->shown->referrer_host;
    own = put->shown->page_host;

    return host.len
           ? host.len == own.len
             && memcmp(put->line.data + host.offset,
                       put->line.data + own.offset, host.len) == 0
           : own.len == 0 && referrer[0] == '/';
}

static inline void
beacon_live_count_keys(beacon_live_writer_t *w,
    const beacon_live_own_site_t *site, const beacon_live_put_t *put)
{
    beacon_str_t  text;

#define beacon_live_count_text(kind, text)                                    \
    beacon_live_count_key(w, site, kind, text)

    text = beacon_live_shown(put, BEACON_SHORT_PAGE);

    if (text.len) {
        beacon_live_count_text(BEACON_LIVE_PAGE_KEY, text);
    }

    text = beacon_live_shown(put, BEACON_SHORT_REFERRER);

    if (text.len && !beacon_live_own_referrer(put, text.data)) {
        beacon_live_count_text(BEACON_LIVE_REFERRER_KEY, text);
    }

    text = beacon_live_shown(put, BEACON_SHORT_COUNTRY);

    if (text.len) {
        beacon_live_count_text(BEACON_LIVE_COUNTRY_KEY, text);
    }

    text = beacon_live_text_of(put, put->shown->campaign);

    if (text.len) {
        beacon_live_count_text(BEACON_LIVE_CAMPAIGN_KEY, text);
    }

#undef beacon_live_count_text
}

#endif /* BEACON_LIVE_COUNT_HIT_H */
