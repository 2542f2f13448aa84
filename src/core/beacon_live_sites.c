/* Sites: slots, names, and who has to go. */

#include "beacon_live_int.h"

/* Slots. */

beacon_live_site_t *
beacon_live_tenant_open(beacon_live_writer_t *w, uint32_t site)
{
    beacon_live_site_t  *s;

    s = beacon_live_site_at(&w->live, site);
    w->site[site].tenant |= 1;

    atomic_store_explicit(&s->tenant, w->site[site].tenant,
                          memory_order_relaxed);

    /* pairs with the acquire fence of who reads a name */

    atomic_thread_fence(memory_order_release);
    BEACON_LIVE_POINT("live.site_take");

    return s;
}

void
beacon_live_tenant_close(beacon_live_writer_t *w, uint32_t site)
{
    w->site[site].tenant = (w->site[site].tenant | 1) + 1;

    BEACON_LIVE_PUBLISH(beacon_live_site_at(&w->live, site)->tenant,
                        w->site[site].tenant);
}

static uint32_t
beacon_live_name_hash(const beacon_live_writer_t *w, beacon_str_t name)
{
    return (uint32_t) beacon_live_hash(w->live.is.seed, 0, name);
}

uint32_t
beacon_live_site_find(const beacon_live_writer_t *w, beacon_str_t name)
{
    uint32_t                       hash, at, site;
    const beacon_live_own_site_t  *own;

    hash = beacon_live_name_hash(w, name);
    at = hash;

    while ((site = beacon_live_table_next(&w->sites, hash, &at)) != 0) {
        own = &w->site[site];

        if (own->name_len == name.len
            && beacon_live_equal(own->name, name.data, name.len))
        {
            return site;
        }
    }

    return 0;
}

void
beacon_live_site_make(beacon_live_writer_t *w, uint32_t site, beacon_str_t name)
{
    beacon_live_site_t      *s;
    beacon_live_own_site_t  *own;

    own = &w->site[site];
    own->hash = beacon_live_name_hash(w, name);
    own->name_len = (uint32_t) name.len;
    memcpy(own->name, name.data, name.len);

    /* what a cursor of a site that went can say at most is below it */

    own->start = w->base ? w->base + 1 : 0;
    own->last = own->start;
    own->index = 0;
    own->bytes = 0;
    own->weight = 0;
    own->share = 1;

    s = beacon_live_tenant_open(w, site);

    beacon_live_begin(&s->serial);

    BEACON_LIVE_PUBLISH(s->start, own->start);
    BEACON_LIVE_PUBLISH(s->last, own->last);
    BEACON_LIVE_PUBLISH(s->first, own->last + 1);
    BEACON_LIVE_PUBLISH(s->share, own->share);
    BEACON_LIVE_SET(s->hits, 0);
    BEACON_LIVE_SET(s->last_ms, 0);
    beacon_live_counts_site(w, site);

    beacon_live_end(&s->serial);

    beacon_live_copy(s->name, own->name, name.len);
    BEACON_LIVE_SET(s->hash, own->hash);
    BEACON_LIVE_SET(s->name_len, own->name_len);

    beacon_live_tenant_close(w, site);
    BEACON_LIVE_POINT("live.site_made");

    beacon_live_table_add(&w->sites, own->hash, site);
    beacon_live_heap_add(w, site);

    if (site != BEACON_LIVE_OVERFLOW) {
        w->stats.sites++;
        beacon_live_lru_push(w->listed, site);
    }
}

static void
beacon_live_site_evict(beacon_live_writer_t *w, uint32_t site)
{
    beacon_live_site_t      *s;
    beacon_live_own_site_t  *own;

    own = &w->site[site];

    if (own->last > w->base) {
        w->base = own->last;
        atomic_store_explicit(&w->head->base, w->base, memory_order_relaxed);
    }

    beacon_live_in_order();
    BEACON_LIVE_POINT("live.evict");

    s = beacon_live_tenant_open(w, site);

    beacon_live_table_remove(&w->sites, own->hash, site);
    beacon_live_heap_remove(w, site);
    beacon_live_lru_unlink(w->listed, site);

    beacon_live_counts_forget(w, site);
    beacon_live_chunks_free(w, site);

    own->name_len = 0;
    BEACON_LIVE_SET(s->name_len, 0);

    beacon_live_tenant_close(w, site);
    BEACON_LIVE_POINT("live.evicted");

    w->stats.sites--;
    w->stats.evicted_sites++;
}

beacon_live_own_site_t *
beacon_live_site_found(beacon_live_writer_t *w, beacon_str_t name,
    beacon_live_own_site_t **near)
{
    uint32_t  site;

    site = beacon_live_site_find(w, name);

    if (site) {
        *near = &w->site[site];
        return *near;
    }

    beacon_live_put_end(w);             /* of a site that has to go, too */

    if (name.len <= BEACON_SITE_MAX) {
        site = w->free_site;

        if (site) {
            w->free_site = w->listed[site].earlier;

        } else {
            site = beacon_live_lru_earliest(w->listed);

            if (site && w->clock - w->site[site].hit_at
                        < (uint64_t) w->present * 1000)
            {
                site = 0;
            }

            if (site) {
                beacon_live_site_evict(w, site);
            }
        }
    }

    if (site) {
        beacon_live_site_make(w, site, name);
        return &w->site[site];
    }

    w->stats.overflow++;

    return &w->site[BEACON_LIVE_OVERFLOW];
}
