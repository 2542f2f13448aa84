/*
 * A site's keys: pages, referrers, countries, campaigns, with their hits.
 *
 * A site has a bounded number of a kind.  Beyond it a new one takes the place
 * of the one among the next few, in turn, that has had fewest hits, as halved
 * for each five minutes without one: so what is hit again and again stays in
 * the top list while any number of others passes by, and goes when its time is
 * over.  (Who was hit least recently would be the wrong one: with thousands of
 * pages, one of a hundred hits is gone before its next.)
 */

#include "beacon_live_counts.h"

#define BEACON_LIVE_KEY_LOOKED   8
#define BEACON_LIVE_KEY_HALVED   30     /* steps */
#define BEACON_LIVE_KEY_HEAVIEST (1 << 20)

const uint32_t  beacon_live_keys_most[BEACON_LIVE_KINDS] = {
    256, 128, 256, 64
};

/* What is rare stays out of the way of what is not. */
static void beacon_live_key_add(beacon_live_writer_t *w, uint32_t site,
    unsigned kind, uint32_t hash, beacon_str_t text, uint32_t step)
    __attribute__((noinline));
static void beacon_live_key_step(beacon_live_writer_t *w,
    beacon_live_key_t *slot, uint32_t then, uint32_t step)
    __attribute__((noinline));


/* ---- the site's list; readers see "older" */

static void
beacon_live_keys_older(beacon_live_writer_t *w, uint32_t site, unsigned kind,
    uint32_t index, uint32_t older)
{
    beacon_live_counts_t  *counts;

    counts = w->counts;

    if (index) {
        counts->keys.own[index].older = older;
        BEACON_LIVE_SET(counts->key[index].older, older);

    } else {
        counts->sites[site].keys[kind] = older;
        BEACON_LIVE_SET(beacon_live_site_at(&w->live, site)->keys[kind], older);
    }
}

static void
beacon_live_keys_number(beacon_live_writer_t *w, uint32_t site, unsigned kind,
    uint32_t n)
{
    ((beacon_live_counts_t *) w->counts)->sites[site].nkeys[kind] = n;
    BEACON_LIVE_SET(beacon_live_site_at(&w->live, site)->nkeys[kind], n);
}

void
beacon_live_keys_push(beacon_live_writer_t *w, uint32_t site, unsigned kind,
    uint32_t index)
{
    uint32_t                   head;
    beacon_live_counts_t      *counts;
    beacon_live_own_counts_t  *own;

    counts = w->counts;
    own = &counts->sites[site];
    head = own->keys[kind];

    if (head) {
        counts->keys.own[head].newer = index;
    }

    counts->keys.own[index].newer = 0;
    beacon_live_keys_older(w, site, kind, index, head);
    beacon_live_keys_older(w, site, kind, 0, index);
    beacon_live_keys_number(w, site, kind, own->nkeys[kind] + 1);
}

static void
beacon_live_keys_unlink(beacon_live_writer_t *w, uint32_t index)
{
    beacon_live_own_t         *key;
    beacon_live_counts_t      *counts;
    beacon_live_own_counts_t  *own;

    counts = w->counts;
    key = &counts->keys.own[index];
    own = &counts->sites[key->site];

    if (own->hand[key->kind] == index) {
        own->hand[key->kind] = key->older;
    }

    beacon_live_keys_older(w, key->site, key->kind, key->newer, key->older);

    if (key->older) {
        counts->keys.own[key->older].newer = key->newer;
    }

    beacon_live_keys_number(w, key->site, key->kind,
                            own->nkeys[key->kind] - 1);
}


/* ---- slots */

static inline uint32_t
beacon_live_key_find(const beacon_live_writer_t *w, uint32_t site,
    unsigned kind, uint32_t hash, beacon_str_t text)
{
    uint32_t                     at, index;
    const beacon_live_own_t     *own;
    const beacon_live_counts_t  *counts;

    counts = w->counts;
    at = hash;

    while ((index = beacon_live_table_next(&w->keys, hash, &at)) != 0) {
        own = &counts->keys.own[index];

        if (own->site == site && own->kind == kind && own->len == text.len
            && beacon_live_equal(counts->key[index].text, text.data, text.len))
        {
            return index;
        }
    }

    return 0;
}

static uint32_t
beacon_live_key_weight(const beacon_live_own_t *own, uint32_t step)
{
    uint32_t  idle;

    idle = (step - own->step) / BEACON_LIVE_KEY_HALVED;

    return idle < 32 ? own->weight >> idle : 0;
}

/* Of the next few, the one that is least; the next time, those behind it. */
static uint32_t
beacon_live_key_least(const beacon_live_counts_t *counts,
    beacon_live_own_counts_t *site, unsigned kind, uint32_t step)
{
    uint32_t  i, index, weight, least, found;

    index = site->hand[kind] ? site->hand[kind] : site->keys[kind];
    least = UINT32_MAX;
    found = index;

    for (i = 0; i < BEACON_LIVE_KEY_LOOKED; i++) {
        weight = beacon_live_key_weight(&counts->keys.own[index], step);

        if (weight < least) {
            least = weight;
            found = index;
        }

        index = counts->keys.own[index].older;

        if (index == 0) {
            index = site->keys[kind];
        }
    }

    site->hand[kind] = counts->keys.own[found].older;

    return found;
}

/* A slot for a new one, in its site's list; its bytes are saved. */
static uint32_t
beacon_live_key_take(beacon_live_writer_t *w, uint32_t site, unsigned kind,
    uint32_t step)
{
    uint32_t                   index;
    beacon_live_key_t         *slot;
    beacon_live_pool_t        *pool;
    beacon_live_counts_t      *counts;
    beacon_live_own_counts_t  *own;

    counts = w->counts;
    pool = &counts->keys;
    own = &counts->sites[site];

    if (own->nkeys[kind] < beacon_live_keys_most[kind] && pool->free) {
        index = pool->free;
        pool->free = pool->own[index].earlier;
        slot = &counts->key[index];
        (void) beacon_live_undo_save(w, &slot->site, sizeof(slot->site));
        w->stats.keys++;
        beacon_live_keys_push(w, site, kind, index);

        return index;
    }

    index = (own->nkeys[kind] < beacon_live_keys_most[kind])
            ? pool->earliest
            : beacon_live_key_least(counts, own, kind, step);
    slot = &counts->key[index];
    (void) beacon_live_undo_save(w, slot, sizeof(*slot));

    beacon_live_pool_unlink(pool, index);
    beacon_live_table_remove(&w->keys, pool->own[index].hash, index);

    if (pool->own[index].site != site || pool->own[index].kind != kind) {
        beacon_live_keys_unlink(w, index);
        beacon_live_keys_push(w, site, kind, index);
    }

    return index;
}

static void
beacon_live_key_add(beacon_live_writer_t *w, uint32_t site, unsigned kind,
    uint32_t hash, beacon_str_t text, uint32_t step)
{
    uint32_t               index;
    beacon_live_key_t     *slot;
    beacon_live_own_t     *own;
    beacon_live_pool_t    *pool;
    beacon_live_counts_t  *counts;

    counts = w->counts;
    index = beacon_live_key_take(w, site, kind, step);
    pool = &counts->keys;
    own = &pool->own[index];
    slot = &counts->key[index];

    beacon_live_begin(&slot->serial);
    BEACON_LIVE_SET(slot->site, site);
    BEACON_LIVE_SET(slot->hash, hash);
    BEACON_LIVE_SET(slot->kind, (uint16_t) kind);
    BEACON_LIVE_SET(slot->len, (uint16_t) text.len);
    BEACON_LIVE_SET(slot->step, step);
    BEACON_LIVE_SET(slot->step_hits, 1);
    BEACON_LIVE_SET(slot->minute_hits, 1);

    beacon_live_zero(slot->recent, sizeof(slot->recent)
                                   + sizeof(slot->minutes));
    beacon_live_copy(slot->text, text.data, text.len);
    beacon_live_end(&slot->serial);

    own->site = site;
    own->hash = hash;
    own->step = step;
    own->weight = 1;
    own->kind = (uint16_t) kind;
    own->len = (uint16_t) text.len;

    beacon_live_pool_push(pool, index);
    beacon_live_table_add(&w->keys, hash, index);
}


/* ---- counting */

/* counts[] of the numbers before "at" become those before "to". */
static void
beacon_live_key_move(uint32_t *counts, uint32_t size, uint32_t at, uint32_t to,
    uint32_t running)
{
    uint32_t  i, n, slot;

    n = to - at;
    n = (n < size) ? n : size;
    slot = at % size;

    for (i = 0; i < n; i++) {
        BEACON_LIVE_SET(counts[slot], i == 0 && n < size ? running : 0);
        slot = (slot + 1 < size) ? slot + 1 : 0;
    }
}

/* What was running is put where it belongs; between it and "step" is none. */
static void
beacon_live_key_step(beacon_live_writer_t *w, beacon_live_key_t *slot,
    uint32_t then, uint32_t step)
{
    uint32_t  minute;

    (void) beacon_live_undo_save(w, &slot->step,
                                 offsetof(beacon_live_key_t, text)
                                 - offsetof(beacon_live_key_t, step));

    beacon_live_key_move(slot->recent, BEACON_LIVE_RECENT, then, step,
                         slot->step_hits);
    minute = step / BEACON_LIVE_MINUTE;

    if (minute != then / BEACON_LIVE_MINUTE) {
        beacon_live_key_move(slot->minutes, BEACON_LIVE_MINUTES + 1,
                             then / BEACON_LIVE_MINUTE, minute,
                             slot->minute_hits);
        BEACON_LIVE_SET(slot->minute_hits, 0);
    }

    BEACON_LIVE_SET(slot->step_hits, 0);
    BEACON_LIVE_SET(slot->step, step);
}

static inline void
beacon_live_count_key(beacon_live_writer_t *w, beacon_live_counts_t *counts,
    uint32_t site, unsigned kind, beacon_str_t text, uint32_t step)
{
    uint32_t             index, hash;
    beacon_live_key_t   *slot;
    beacon_live_own_t   *own;

    if (text.len > BEACON_LIVE_KEY_TEXT) {
        text.len = beacon_line_cut(text, BEACON_LIVE_KEY_TEXT);
    }

    hash = beacon_live_hash(w->live.is.seed, beacon_live_key_salt(site, kind),
                            text);
    index = beacon_live_key_find(w, site, kind, hash, text);

    if (index == 0) {
        beacon_live_key_add(w, site, kind, hash, text, step);
        return;
    }

    own = &counts->keys.own[index];
    slot = &counts->key[index];

    if (own->step == step) {
        (void) beacon_live_undo_save(w, &slot->step_hits,
                                     2 * sizeof(slot->step_hits));
        beacon_live_begin(&slot->serial);

    } else {
        beacon_live_begin(&slot->serial);
        beacon_live_key_step(w, slot, own->step, step);
        own->weight = beacon_live_key_weight(own, step);
        own->step = step;
        beacon_live_pool_unlink(&counts->keys, index);
        beacon_live_pool_push(&counts->keys, index);
    }

    BEACON_LIVE_SET(slot->step_hits, slot->step_hits + 1);
    BEACON_LIVE_SET(slot->minute_hits, slot->minute_hits + 1);
    beacon_live_end(&slot->serial);

    own->weight += own->weight < BEACON_LIVE_KEY_HEAVIEST;
}

/* A page of the site itself; beside the pixel's host, a path stands alone. */
static inline int
beacon_live_own_referrer(const beacon_line_view_t *view)
{
    beacon_str_t  host;

    host = view->referrer_host;

    return host.len
           ? host.len == view->page_host.len
             && memcmp(host.data, view->page_host.data, host.len) == 0
           : view->page_host.len == 0 && view->referrer.data[0] == '/';
}

void
beacon_live_count_keys(beacon_live_writer_t *w, uint32_t site,
    const beacon_line_view_t *view, uint32_t step)
{
    unsigned             kind;
    const beacon_str_t  *texts[BEACON_LIVE_KINDS];

    texts[BEACON_LIVE_PAGE_KEY] = &view->page;
    texts[BEACON_LIVE_REFERRER_KEY] = &view->referrer;
    texts[BEACON_LIVE_COUNTRY_KEY] = &view->country;
    texts[BEACON_LIVE_CAMPAIGN_KEY] = &view->campaign;

    for (kind = 0; kind < BEACON_LIVE_KINDS; kind++) {
        if (texts[kind]->len
            && (kind != BEACON_LIVE_REFERRER_KEY
                || !beacon_live_own_referrer(view)))
        {
            beacon_live_count_key(w, w->counts, site, kind, *texts[kind],
                                  step);
        }
    }
}

void
beacon_live_keys_forget(beacon_live_writer_t *w, uint32_t site)
{
    unsigned               kind;
    uint32_t               index, next;
    beacon_live_key_t     *slot;
    beacon_live_own_t     *own;
    beacon_live_counts_t  *counts;

    counts = w->counts;

    for (kind = 0; kind < BEACON_LIVE_KINDS; kind++) {
        for (index = counts->sites[site].keys[kind]; index; index = next) {
            own = &counts->keys.own[index];
            slot = &counts->key[index];
            next = own->older;

            beacon_live_table_remove(&w->keys, own->hash, index);
            beacon_live_begin(&slot->serial);
            BEACON_LIVE_SET(slot->site, 0);
            beacon_live_end(&slot->serial);

            beacon_live_pool_unlink(&counts->keys, index);
            beacon_live_pool_free(&counts->keys, index);
            w->stats.keys--;
        }

        counts->sites[site].hand[kind] = 0;
        beacon_live_keys_older(w, site, kind, 0, 0);
        beacon_live_keys_number(w, site, kind, 0);
    }
}
