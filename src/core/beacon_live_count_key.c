/*
 * A site's keys: pages, referrers, countries, campaigns, with their hits.
 *
 * A site has a bounded number of a kind.  Beyond it a new one takes the place
 * of the one among the next few, in turn, that has had fewest hits, as halved
 * for each five minutes without one: so what is hit again and again stays in
 * the top list while any number of others passes by, and goes when its time is
 * over.  (Who was hit least recently would be the wrong one: with thousands of
 * pages, one of a hundred hits is gone before its next.)  Who was hit in the
 * running step goes only for one that has come more often in it.
 *
 * That is within a list.  A new key of a list that is not full, where the keys
 * of all sites together fill the pool, takes the place of the one that was hit
 * least recently (by its step), whoever's it is and however many hits it had.
 */

#include "beacon_live_count_hit.h"

#define BEACON_LIVE_KEY_LOOKED   8
#define BEACON_LIVE_KEY_HALVED   30     /* steps */
#define BEACON_LIVE_KEY_HEAVIEST (1 << 20)

const uint32_t  beacon_live_keys_most[BEACON_LIVE_KINDS] = {
    256, 128, 256, 64
};

/* What is rare stays out of the way of what is not. */
static void beacon_live_key_add(beacon_live_writer_t *w, uint32_t site,
    unsigned kind, uint64_t hash, beacon_str_t text, uint32_t index,
    uint32_t hits) __attribute__((noinline));


/* ---- the site's list */

static beacon_live_front_t
beacon_live_keys_front(const beacon_live_writer_t *w, uint32_t site,
    unsigned kind)
{
    return (beacon_live_front_t) {
        &((beacon_live_counts_t *) w->counts)->sites[site].keys[kind],
        &beacon_live_site_at(&w->live, site)->keys[kind]
    };
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
    beacon_live_counts_t  *counts;

    counts = w->counts;
    beacon_live_list_push(&counts->keys, beacon_live_keys_front(w, site, kind),
                          index);
    beacon_live_keys_number(w, site, kind, counts->sites[site].nkeys[kind] + 1);
}

static void
beacon_live_keys_unlink(beacon_live_writer_t *w, uint32_t index)
{
    const beacon_live_own_t   *key;
    beacon_live_counts_t      *counts;
    beacon_live_own_counts_t  *own;

    counts = w->counts;
    key = &counts->keys.own[index];
    own = &counts->sites[key->site];

    if (own->hand[key->kind] == index) {
        own->hand[key->kind] = key->older;
    }

    beacon_live_list_unlink(&counts->keys,
                            beacon_live_keys_front(w, key->site, key->kind),
                            index);
    beacon_live_keys_number(w, key->site, key->kind,
                            own->nkeys[key->kind] - 1);
}


/* ---- slots */

/* Its hits, of which those of long ago count less. */
static inline uint32_t
beacon_live_key_weight(const beacon_live_own_t *own, uint32_t step)
{
    uint32_t  idle;

    if (__builtin_expect(own->step == step, 1)) {
        return own->weight;
    }

    idle = (step - own->step) / BEACON_LIVE_KEY_HALVED;

    return idle < 32 ? own->weight >> idle : 0;
}

/* Of the next few, the one that is least, which one hit is already; the next
   time, those behind it. */
static uint32_t
beacon_live_key_least(const beacon_live_counts_t *counts,
    beacon_live_own_counts_t *site, unsigned kind, uint32_t step)
{
    uint32_t                  i, index, weight, least, found;
    const beacon_live_own_t  *own;

    index = site->hand[kind] ? site->hand[kind] : site->keys[kind];
    least = UINT32_MAX;
    found = index;

    for (i = 0; i < BEACON_LIVE_KEY_LOOKED; i++) {
        own = &counts->keys.own[index];
        weight = beacon_live_key_weight(own, step);

        if (weight < least) {
            least = weight;
            found = index;

            if (weight <= 1) {
                break;
            }
        }

        index = own->older ? own->older : site->keys[kind];
    }

    site->hand[kind] = counts->keys.own[found].older;

    return found;
}

/* Of a text as long as most the bytes are saved without counting them. */
#define BEACON_LIVE_KEY_SHORT  48

/* A slot for a new one, in its site's list and the pool's: this one, of the
   same list, if it is not 0.  What a text of this length is going to change
   there is saved. */
static uint32_t
beacon_live_key_take(beacon_live_writer_t *w, uint32_t site, unsigned kind,
    size_t len, uint32_t index)
{
    uint32_t               step;
    beacon_live_key_t     *slot;
    beacon_live_own_t     *key;
    beacon_live_pool_t    *pool;
    beacon_live_counts_t  *counts;

    counts = w->counts;
    pool = &counts->keys;
    step = counts->sites[site].step;

    if (index == 0 && pool->free == 0) {
        index = beacon_live_lru_earliest(pool->links);
    }

    if (index == 0) {
        index = beacon_live_pool_take(pool);
        beacon_live_undo_save(w, &counts->key[index].site, sizeof(uint32_t));
        w->stats.keys++;
        beacon_live_keys_push(w, site, kind, index);
        beacon_live_lru_push(pool->links, index);

        return index;
    }

    key = &pool->own[index];
    slot = &counts->key[index];
    beacon_live_undo_save(w, &slot->hash, offsetof(beacon_live_key_t, recent)
                                          - offsetof(beacon_live_key_t, hash));

    if (__builtin_expect(len <= BEACON_LIVE_KEY_SHORT, 1)) {
        beacon_live_undo_save(w, slot->text, BEACON_LIVE_KEY_SHORT);

    } else {
        beacon_live_undo_save(w, slot->text, len);
    }

    beacon_live_table_remove(&w->keys, (uint32_t) key->hash, index);

    /* of a site's that were hit in this step, the pool's list tells no order */

    if (key->step != step || key->site != site) {
        beacon_live_lru_unlink(pool->links, index);
        beacon_live_lru_push(pool->links, index);
    }

    if (key->site != site || key->kind != kind) {
        beacon_live_keys_unlink(w, index);
        beacon_live_keys_push(w, site, kind, index);
    }

    return index;
}

static void
beacon_live_key_add(beacon_live_writer_t *w, uint32_t site, unsigned kind,
    uint64_t hash, beacon_str_t text, uint32_t index, uint32_t hits)
{
    uint32_t                step;
    beacon_live_key_t      *slot;
    beacon_live_own_t      *own;
    beacon_live_counts_t   *counts;
    beacon_live_running_t   running;

    counts = w->counts;
    step = counts->sites[site].step;
    index = beacon_live_key_take(w, site, kind, text.len, index);
    own = &counts->keys.own[index];
    slot = &counts->key[index];
    running.hits.step = hits;
    running.hits.minute = hits;

    beacon_live_begin(&slot->serial);
    BEACON_LIVE_SET(slot->hash, hash);
    BEACON_LIVE_SET(slot->site, site);
    BEACON_LIVE_SET(slot->kind, (uint16_t) kind);
    BEACON_LIVE_SET(slot->len, (uint16_t) text.len);
    BEACON_LIVE_SET(slot->step, step);
    BEACON_LIVE_SET(slot->running.both, running.both);
    BEACON_LIVE_SET(slot->since, step);
    beacon_live_copy_text(slot->text, text.data, text.len);
    beacon_live_end(&slot->serial);

    own->hash = hash;
    own->site = site;
    own->step = step;
    own->weight = hits;
    own->kind = (uint16_t) kind;

    beacon_live_table_add(&w->keys, (uint32_t) hash, index);
}


void
beacon_live_key_new(beacon_live_writer_t *w, uint32_t site, unsigned kind,
    uint64_t hash, beacon_str_t text, uint32_t hits)
{
    uint32_t                   index, most;
    beacon_live_counts_t      *counts;
    beacon_live_own_counts_t  *list;

    counts = w->counts;
    list = &counts->sites[site];

    if (list->nkeys[kind] < beacon_live_keys_most[kind]) {
        beacon_live_key_add(w, site, kind, hash, text, 0, 1);
        return;
    }

    index = beacon_live_key_least(counts, list, kind, list->step);
    most = counts->keys.own[index].step == list->step
           ? BEACON_LIVE_GET(counts->key[index].running.hits.step) : 0;

    if (hits > most) {
        beacon_live_key_add(w, site, kind, hash, text, index, hits);

    } else {
        list->busy[kind] = list->step;
        list->most[kind] = most;
    }
}


/* ---- counting */

/* counts[] of the numbers before "at" become those before "to". */
static void
beacon_live_key_move(beacon_live_writer_t *w, uint32_t *counts, uint32_t size,
    uint32_t at, uint32_t to, uint32_t running)
{
    uint32_t  i, n, slot;

    n = to - at;
    n = (n < size) ? n : size;
    slot = at % size;

    if (n == 1) {
        beacon_live_undo_save(w, &counts[slot], sizeof(*counts));
        BEACON_LIVE_SET(counts[slot], running);
        return;
    }

    beacon_live_undo_save(w, counts, size * sizeof(*counts));

    for (i = 0; i < n; i++) {
        BEACON_LIVE_SET(counts[slot], i == 0 && n < size ? running : 0);
        slot = (slot + 1 < size) ? slot + 1 : 0;
    }
}

void
beacon_live_key_step(beacon_live_writer_t *w, uint32_t index, uint32_t step)
{
    uint32_t                then, minute, weight;
    beacon_live_key_t      *slot;
    beacon_live_own_t      *own;
    beacon_live_pool_t     *pool;
    beacon_live_running_t   running;

    pool = &((beacon_live_counts_t *) w->counts)->keys;
    own = &pool->own[index];
    slot = &((beacon_live_counts_t *) w->counts)->key[index];
    then = own->step;
    minute = step / BEACON_LIVE_MINUTE;
    running.both = BEACON_LIVE_GET(slot->running.both);
    weight = beacon_live_key_weight(own, step);

    beacon_live_undo_save(w, &slot->step,
                          sizeof(slot->step) + sizeof(slot->running));
    beacon_live_begin(&slot->serial);
    beacon_live_key_move(w, slot->recent, BEACON_LIVE_RECENT, then, step,
                         running.hits.step);
    running.hits.step = 0;

    if (minute != then / BEACON_LIVE_MINUTE) {
        beacon_live_key_move(w, slot->minutes, BEACON_LIVE_MINUTES + 1,
                             then / BEACON_LIVE_MINUTE, minute,
                             running.hits.minute);
        running.hits.minute = 0;
    }

    BEACON_LIVE_SET(slot->running.both, running.both);
    BEACON_LIVE_SET(slot->step, step);
    beacon_live_end(&slot->serial);

    own->weight = weight < BEACON_LIVE_KEY_HEAVIEST
                  ? weight : BEACON_LIVE_KEY_HEAVIEST;
    own->step = step;
    beacon_live_lru_unlink(pool->links, index);
    beacon_live_lru_push(pool->links, index);
}

void
beacon_live_keys_forget(beacon_live_writer_t *w, uint32_t site)
{
    unsigned               kind;
    beacon_live_counts_t  *counts;

    counts = w->counts;
    counts->sites[site].life++;

    for (kind = 0; kind < BEACON_LIVE_KINDS; kind++) {
        w->stats.keys -= beacon_live_list_forget(&counts->keys, &w->keys,
                                                 beacon_live_keys_front(w, site,
                                                                        kind));
        counts->sites[site].hand[kind] = 0;
        counts->sites[site].busy[kind] = counts->sites[site].step - 1;
        beacon_live_keys_number(w, site, kind, 0);
    }
}
