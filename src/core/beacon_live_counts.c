/*
 * The aggregates at open: what the slots say is taken where it can be, and all
 * else made anew.  A slot that says what cannot be is free.
 */

#include "beacon_live_counts.h"

#include <stdlib.h>

/* What slots are sorted by. */
typedef struct {
    uint64_t  at;
    uint32_t  site;
    uint32_t  index;
} beacon_live_order_t;

static int
beacon_live_order_cmp(const void *one, const void *two)
{
    const beacon_live_order_t  *a, *b;

    a = one;
    b = two;

    if (a->site != b->site) {
        return a->site < b->site ? -1 : 1;
    }

    return a->at < b->at ? -1 : a->at > b->at;
}

/* Whose slot it may be: a site that is there. */
static int
beacon_live_counts_owner(const beacon_live_writer_t *w, uint32_t site)
{
    return site != 0 && site < w->live.is.sites_max
           && w->site[site].name_len != 0;
}

static void
beacon_live_counts_salt(beacon_live_writer_t *w, uint32_t site)
{
    unsigned                   kind;
    beacon_live_own_counts_t  *own;

    own = &((beacon_live_counts_t *) w->counts)->sites[site];
    own->visitor_salt = beacon_live_salted(w->live.is.seed, site);

    for (kind = 0; kind < BEACON_LIVE_KINDS; kind++) {
        own->key_salts[kind] =
            beacon_live_salted(w->live.is.seed,
                               beacon_live_key_salt(site, kind));
    }
}

/* Steps and lists of sites; a site's list is empty for now. */
static void
beacon_live_counts_sites(beacon_live_writer_t *w)
{
    uint32_t              index;
    beacon_live_site_t   *site;
    beacon_live_counts_t *counts;

    counts = w->counts;

    for (index = 1; index < w->live.is.sites_max; index++) {
        w->site[index].counts = &counts->sites[index];

        if (w->site[index].name_len == 0) {
            continue;
        }

        beacon_live_counts_salt(w, index);
        site = beacon_live_site_at(&w->live, index);
        counts->sites[index].step = site->step;
        counts->sites[index].running = site->step % BEACON_LIVE_STEPS;
        counts->sites[index].base = site->base;
    }
}

/* The step that a slot says; one that its site has not seen: an hour ago. */
static uint32_t
beacon_live_counts_step(const beacon_live_counts_t *counts, uint32_t site,
    uint32_t step)
{
    uint32_t  running;

    running = counts->sites[site].step;

    return (running - step < UINT32_MAX / 2) ? step
                                             : running - BEACON_LIVE_STEPS;
}

static int
beacon_live_counts_visitor(beacon_live_writer_t *w, uint32_t index)
{
    beacon_str_t            parts[BEACON_LIVE_PERSON_PARTS];
    beacon_live_own_t      *own;
    beacon_live_counts_t   *counts;
    beacon_live_visitor_t  *slot;

    counts = w->counts;
    own = &counts->visitors.own[index];
    slot = &counts->visitor[index];

    if (slot->serial & 1) {
        beacon_live_end(&slot->serial);
    }

    if (slot->site == 0) {
        return 0;
    }

    if (!beacon_live_counts_owner(w, slot->site)
        || !beacon_live_person_parts(slot, parts)
        || parts[BEACON_LIVE_PERSON_ID].len > BEACON_LIVE_ID_MAX
        || beacon_live_hash(w->live.is.seed, slot->site,
                            parts[BEACON_LIVE_PERSON_ID])
           != slot->hash)
    {
        w->stats.repaired += !beacon_live_was_going(w, slot->site);
        BEACON_LIVE_SET(slot->site, 0);
        return 0;
    }

    own->site = slot->site;
    own->hash = slot->hash;
    own->step = beacon_live_counts_step(counts, slot->site, slot->step);
    own->page = (uint16_t) (parts[BEACON_LIVE_PERSON_PAGE].data - slot->text);

    return 1;
}

static int
beacon_live_counts_key(beacon_live_writer_t *w, uint32_t index)
{
    beacon_live_own_t     *own;
    beacon_live_key_t     *slot;
    beacon_live_counts_t  *counts;

    counts = w->counts;
    own = &counts->keys.own[index];
    slot = &counts->key[index];

    if (slot->serial & 1) {
        beacon_live_end(&slot->serial);
    }

    if (slot->site == 0) {
        return 0;
    }

    if (!beacon_live_counts_owner(w, slot->site)
        || slot->kind >= BEACON_LIVE_KINDS || slot->len == 0
        || slot->len > BEACON_LIVE_KEY_TEXT
        || !beacon_live_key_whole(&w->live, slot)
        || counts->sites[slot->site].nkeys[slot->kind]
           >= beacon_live_keys_most[slot->kind])
    {
        w->stats.repaired += !beacon_live_was_going(w, slot->site);
        BEACON_LIVE_SET(slot->site, 0);
        return 0;
    }

    own->site = slot->site;
    own->hash = slot->hash;
    own->step = beacon_live_counts_step(counts, slot->site, slot->step);
    own->weight = slot->running.hits.minute;
    own->kind = slot->kind;
    counts->sites[slot->site].nkeys[slot->kind]++;

    return 1;
}

/* In a pool's order: when it was hit, as far as that is known. */
static void
beacon_live_counts_pool(beacon_live_writer_t *w, beacon_live_pool_t *pool,
    beacon_live_table_t *table, beacon_live_order_t *order, uint32_t n)
{
    uint32_t              i, index;
    beacon_live_own_t    *own;
    beacon_live_counts_t *counts;

    counts = w->counts;

    for (i = 0; i < n; i++) {
        own = &pool->own[order[i].index];
        order[i].at = own->step + counts->sites[own->site].base;
        order[i].site = 0;
    }

    qsort(order, n, sizeof(*order), beacon_live_order_cmp);

    for (i = 0; i < n; i++) {
        index = order[i].index;
        beacon_live_lru_push(pool->links, index);
        beacon_live_table_place(table, (uint32_t) pool->own[index].hash,
                                index);
    }

    beacon_live_table_publish(table);
}

/* A site's visitors by their newest sequence. */
static void
beacon_live_counts_visitors(beacon_live_writer_t *w,
    beacon_live_order_t *order)
{
    uint32_t               i, n, index;
    beacon_live_counts_t  *counts;

    counts = w->counts;

    for (n = 0, index = 1; index < w->live.is.visitors_max; index++) {
        if (beacon_live_counts_visitor(w, index)) {
            order[n].at = counts->visitor[index].seq;
            order[n].site = counts->visitors.own[index].site;
            order[n++].index = index;
        }
    }

    qsort(order, n, sizeof(*order), beacon_live_order_cmp);

    for (i = 0; i < n; i++) {
        beacon_live_list_push(&counts->visitors,
                              beacon_live_visitors_front(w, order[i].site),
                              order[i].index);
    }

    beacon_live_counts_pool(w, &counts->visitors, &w->visitors, order, n);
    beacon_live_pool_fill(&counts->visitors, w->live.is.visitors_max);
    w->stats.visitors = n;
}

static void
beacon_live_counts_keys(beacon_live_writer_t *w, beacon_live_order_t *order)
{
    uint32_t                   n, index;
    unsigned                   kind;
    beacon_live_own_t         *own;
    beacon_live_counts_t      *counts;

    counts = w->counts;

    for (n = 0, index = 1; index < w->live.is.keys_max; index++) {
        if (beacon_live_counts_key(w, index)) {
            order[n++].index = index;
        }
    }

    /* counted above, and once more as they are put into their lists */

    for (index = 1; index < w->live.is.sites_max; index++) {
        for (kind = 0; kind < BEACON_LIVE_KINDS; kind++) {
            counts->sites[index].nkeys[kind] = 0;
        }
    }

    for (index = 1; index < w->live.is.keys_max; index++) {
        own = &counts->keys.own[index];

        if (own->site) {
            beacon_live_keys_push(w, own->site, own->kind, index);
        }
    }

    beacon_live_counts_pool(w, &counts->keys, &w->keys, order, n);
    beacon_live_pool_fill(&counts->keys, w->live.is.keys_max);
    w->stats.keys = n;
}

/* Lists that are empty, their heads published so. */
static void
beacon_live_counts_heads(beacon_live_writer_t *w)
{
    unsigned                         kind;
    uint32_t                         index;
    beacon_live_site_t              *site;
    const beacon_live_own_counts_t  *own;

    for (index = 1; index < w->live.is.sites_max; index++) {
        site = beacon_live_site_at(&w->live, index);
        own = &((beacon_live_counts_t *) w->counts)->sites[index];

        if (own->visitors == 0 && site->visitors) {
            BEACON_LIVE_SET(site->visitors, 0);
        }

        for (kind = 0; kind < BEACON_LIVE_KINDS; kind++) {
            if (own->keys[kind] == 0 && site->keys[kind]) {
                BEACON_LIVE_SET(site->keys[kind], 0);
                BEACON_LIVE_SET(site->nkeys[kind], 0);
            }
        }
    }
}

beacon_rc_t
beacon_live_counts_open(beacon_live_writer_t *w)
{
    uint32_t                   most;
    beacon_live_order_t       *order;
    beacon_live_counts_t      *counts;
    const beacon_live_head_t  *is;

    is = &w->live.is;
    most = is->visitors_max > is->keys_max ? is->visitors_max : is->keys_max;
    order = malloc(most * sizeof(*order));
    counts = calloc(1, sizeof(*counts));
    w->counts = counts;

    if (order == NULL || counts == NULL) {
        goto failed;
    }

    counts->sites = calloc(is->sites_max, sizeof(*counts->sites));
    counts->visitor = beacon_live_visitor_slot(&w->live, 1) - 1;
    counts->key = beacon_live_key_slot(&w->live, 1) - 1;

    if (counts->sites == NULL
        || beacon_live_pool_create(&counts->visitors, is->visitors_max,
                                   counts->visitor,
                                   sizeof(beacon_live_visitor_t))
           != BEACON_OK
        || beacon_live_pool_create(&counts->keys, is->keys_max, counts->key,
                                   sizeof(beacon_live_key_t))
           != BEACON_OK)
    {
        goto failed;
    }

    beacon_live_counts_sites(w);
    beacon_live_counts_visitors(w, order);
    beacon_live_counts_keys(w, order);
    beacon_live_counts_heads(w);
    free(order);

    return BEACON_OK;

failed:

    free(order);
    beacon_live_counts_close(w);

    return BEACON_SYS;
}

void
beacon_live_counts_close(beacon_live_writer_t *w)
{
    beacon_live_counts_t  *counts;

    counts = w->counts;

    if (counts == NULL) {
        return;
    }

    beacon_live_pool_destroy(&counts->visitors);
    beacon_live_pool_destroy(&counts->keys);
    free(counts->sites);
    free(counts);
    w->counts = NULL;
}

void
beacon_live_counts_forget(beacon_live_writer_t *w, uint32_t site)
{
    beacon_live_visitors_forget(w, site);
    beacon_live_keys_forget(w, site);
}

void
beacon_live_counts_site(beacon_live_writer_t *w, uint32_t index)
{
    uint32_t                   i, life;
    beacon_live_site_t        *site;
    beacon_live_own_counts_t  *own;

    site = beacon_live_site_at(&w->live, index);
    own = &((beacon_live_counts_t *) w->counts)->sites[index];
    life = own->life;
    memset(own, 0, sizeof(*own));
    own->life = life;                   /* what was noted of others is theirs */
    beacon_live_counts_salt(w, index);

    beacon_live_begin(&site->serial);
    BEACON_LIVE_SET(site->step, 0);
    BEACON_LIVE_SET(site->base, 0);

    for (i = 0; i < BEACON_LIVE_STEPS; i++) {
        BEACON_LIVE_SET(site->steps[i].hits, 0);
        BEACON_LIVE_SET(site->steps[i].visitors, 0);
    }

    beacon_live_end(&site->serial);
}
