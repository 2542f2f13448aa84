/*
 * What a writer makes of a store that he finds: of sites and chunks, as they
 * say of themselves, all that leads to them.
 */

#include "beacon_live_undo.h"

#include <stdlib.h>

/* Sequences of half of what there are: no store ever gets there. */
#define BEACON_LIVE_SANE(seq)  ((seq) <= BEACON_LIVE_SEQ_MAX / 2)

/* The clock begins here, so that sites can have been hit before. */
#define BEACON_LIVE_CLOCK  (1ULL << 40)

static void
beacon_live_differs(_Atomic uint32_t *field, uint32_t n)
{
    if (*field != n) {
        BEACON_LIVE_PUBLISH(*field, n);
    }
}


/* Sites. */

static int
beacon_live_name_good(uint32_t site, beacon_str_t name)
{
    if (site == BEACON_LIVE_OVERFLOW) {
        return name.len == sizeof("_overflow") - 1
               && memcmp(name.data, "_overflow", name.len) == 0;
    }

    return beacon_site_valid(name.data, name.len);
}

/* 1: a site that can go on. */
static int
beacon_live_site_whole(beacon_live_writer_t *w, uint32_t site)
{
    beacon_str_t         name;
    beacon_live_site_t  *s;

    s = beacon_live_site_at(&w->live, site);

    if ((s->tenant & 1) || s->name_len == 0 || s->name_len > BEACON_SITE_MAX) {
        return 0;
    }

    name = (beacon_str_t) { s->name_len, s->name };

    return beacon_live_name_good(site, name)
           && s->hash == (uint32_t) beacon_live_hash(w->live.is.seed, 0, name)
           && BEACON_LIVE_SANE(s->last) && s->start <= s->last
           && beacon_live_site_find(w, name) == 0;
}

static void
beacon_live_site_load(beacon_live_writer_t *w, uint32_t site)
{
    beacon_live_site_t      *s;
    beacon_live_own_site_t  *own;

    s = beacon_live_site_at(&w->live, site);
    own = &w->site[site];

    own->start = s->start;
    own->last = s->last;
    own->hash = s->hash;
    own->name_len = s->name_len;
    memcpy(own->name, s->name, s->name_len);

    if (s->serial & 1) {
        beacon_live_end(&s->serial);
    }

    beacon_live_table_place(&w->sites, own->hash, site);
    w->stats.sites += site != BEACON_LIVE_OVERFLOW;
}

/* A slot that nobody has, or nobody is to have any more. */
static void
beacon_live_site_clear(beacon_live_writer_t *w, uint32_t site)
{
    uint64_t             last;
    beacon_live_site_t  *s;

    s = beacon_live_site_at(&w->live, site);

    if (s->name_len == 0 && (s->tenant & 1) == 0) {
        return;
    }

    w->site[site].going = s->tenant & 1;
    w->stats.repaired += (s->tenant & 1) == 0;
    last = s->last;

    if (last > w->base && BEACON_LIVE_SANE(last)) {
        w->base = last;
        BEACON_LIVE_PUBLISH(w->head->base, last);
    }

    (void) beacon_live_tenant_open(w, site);
    BEACON_LIVE_SET(s->name_len, 0);
    BEACON_LIVE_PUBLISH(s->newest, 0);
    BEACON_LIVE_PUBLISH(s->oldest, 0);
    BEACON_LIVE_PUBLISH(s->chunks, 0);
    beacon_live_tenant_close(w, site);
}

static void
beacon_live_rebuild_sites(beacon_live_writer_t *w)
{
    uint32_t  site;

    for (site = w->live.is.sites_max - 1; site > 0; site--) {
        w->site[site].tenant = beacon_live_site_at(&w->live, site)->tenant;

        if (beacon_live_site_whole(w, site)) {
            beacon_live_site_load(w, site);
            continue;
        }

        beacon_live_site_clear(w, site);

        if (site != BEACON_LIVE_OVERFLOW) {
            w->listed[site].earlier = w->free_site;
            w->free_site = site;
        }
    }
}


/* Chunks. */

/* 1: it says that it is in a site's chain. */
static int
beacon_live_chunk_load(beacon_live_writer_t *w, uint32_t chunk)
{
    beacon_live_chunk_t      *c;
    beacon_live_own_chunk_t  *own;

    c = beacon_live_chunk_at(&w->live, chunk);
    own = &w->chunk[chunk];

    own->serial = c->serial;
    own->index = c->index;
    own->first = c->first;
    own->site = c->site;
    own->committed = c->committed;

    if (own->serial & 1) {
        return 0;
    }

    if (own->site != 0 && own->site < w->live.is.sites_max
        && w->site[own->site].name_len != 0
        && own->index != 0 && own->index <= BEACON_LIVE_SEQ_MAX
        && own->first <= BEACON_LIVE_SEQ_MAX
        && own->committed >= sizeof(beacon_live_chunk_t)
        && own->committed <= BEACON_LIVE_CHUNK && own->committed % 8 == 0)
    {
        return 1;
    }

    w->stats.repaired += own->site != 0 && !beacon_live_was_going(w, own->site);

    return 0;
}

/* By site, then index. */
static int
beacon_live_chunk_order(const void *a, const void *b, void *writer)
{
    const beacon_live_own_chunk_t  *one, *two;

    one = &((beacon_live_writer_t *) writer)->chunk[*(const uint32_t *) a];
    two = &((beacon_live_writer_t *) writer)->chunk[*(const uint32_t *) b];

    if (one->site != two->site) {
        return one->site < two->site ? -1 : 1;
    }

    return one->index < two->index ? -1 : one->index > two->index;
}

/* One more at the new end of its site's chain. */
static void
beacon_live_chunk_chain(beacon_live_writer_t *w, uint32_t chunk)
{
    beacon_live_own_site_t   *site;
    beacon_live_own_chunk_t  *own;

    own = &w->chunk[chunk];
    site = &w->site[own->site];

    own->previous = site->newest;
    own->next = 0;

    if (site->newest) {
        w->chunk[site->newest].next = chunk;
    } else {
        site->oldest = chunk;
    }

    site->newest = chunk;
    site->index = own->index;
    site->chunks++;

    beacon_live_chunk_jump(w, chunk);
}

/*
 * Chunks of one site, by index: the longest part without a hole is its chain
 * (the newest of those); a number that is damaged costs what bears it.
 */
static void
beacon_live_rebuild_chain(beacon_live_writer_t *w, const uint32_t *order,
    uint32_t n)
{
    uint32_t  i, from, start, length;

    start = 0;
    length = 0;

    for (i = 1, from = 0; i <= n; i++) {
        if (i < n && w->chunk[order[i]].index
                     == w->chunk[order[i - 1]].index + 1)
        {
            continue;
        }

        if (i - from >= length) {
            start = from;
            length = i - from;
        }

        from = i;
    }

    for (i = 0; i < n; i++) {
        if (i >= start && i < start + length) {
            beacon_live_chunk_chain(w, order[i]);

        } else {
            w->stats.repaired++;
            beacon_live_chunk_free(w, order[i]);
        }
    }
}

/* What readers see of the links, where it is not what it must be. */
static void
beacon_live_chunk_mend(beacon_live_writer_t *w, uint32_t chunk)
{
    beacon_live_chunk_t            *c;
    const beacon_live_own_chunk_t  *own;

    c = beacon_live_chunk_at(&w->live, chunk);
    own = &w->chunk[chunk];

    beacon_live_differs(&c->next, own->next);

    if (c->previous != own->previous || c->jump_index != own->jump_index
        || c->jump != own->jump)
    {
        BEACON_LIVE_SET(c->previous, own->previous);
        BEACON_LIVE_SET(c->jump, own->jump);
        BEACON_LIVE_SET(c->jump_index, own->jump_index);
    }
}

static beacon_rc_t
beacon_live_rebuild_chunks(beacon_live_writer_t *w)
{
    uint32_t   n, i, from, chunk, *order;

    order = malloc(w->live.is.chunks * sizeof(uint32_t));

    if (order == NULL) {
        return BEACON_SYS;
    }

    n = 0;

    for (chunk = w->live.is.chunks - 1; chunk > 0; chunk--) {
        if (beacon_live_chunk_load(w, chunk)) {
            order[n++] = chunk;

        } else if (w->chunk[chunk].site == 0
                   && (w->chunk[chunk].serial & 1) == 0)
        {
            w->chunk[chunk].next = w->free_chunk;
            w->free_chunk = chunk;
            w->free_chunks++;

        } else {
            beacon_live_chunk_free(w, chunk);
        }
    }

    qsort_r(order, n, sizeof(uint32_t), beacon_live_chunk_order, w);

    for (i = 1, from = 0; i <= n; i++) {
        if (i == n || w->chunk[order[i]].site != w->chunk[order[from]].site) {
            beacon_live_rebuild_chain(w, &order[from], i - from);
            from = i;
        }
    }

    for (i = 0; i < n; i++) {
        if (w->chunk[order[i]].site) {
            beacon_live_chunk_mend(w, order[i]);
        }
    }

    free(order);

    return BEACON_OK;
}


/* Both. */

/*
 * The newest chunk, to its end: a hit may be committed that "last" does not
 * know of.  Behind damage nothing more is written to it.
 */
static void
beacon_live_rebuild_last(beacon_live_writer_t *w, beacon_live_own_site_t *site)
{
    uint32_t                  offset;
    beacon_rc_t               rc;
    beacon_live_hit_t         hit;
    beacon_live_own_chunk_t  *own;
    beacon_live_fragment_t    fragment;

    own = &w->chunk[site->newest];

    for (offset = sizeof(beacon_live_chunk_t); /* void */;
         offset += fragment.length)
    {
        rc = beacon_live_fragment_see(&w->live, site->newest, offset,
                                      &fragment);

        if (rc == BEACON_OK) {
            rc = beacon_live_fragment_read(&w->live, site->newest, own->serial,
                                           offset, &fragment, &hit, w->text);
        }

        if (rc != BEACON_OK) {
            break;
        }

        if (fragment.last && fragment.seq > site->last
            && BEACON_LIVE_SANE(fragment.seq))
        {
            site->last = fragment.seq;
        }
    }

    if (rc == BEACON_CORRUPT) {
        w->stats.repaired++;
        own->committed = BEACON_LIVE_CHUNK;
    }
}

static void
beacon_live_rebuild_site(beacon_live_writer_t *w, uint32_t site)
{
    uint64_t                 first;
    beacon_live_site_t      *s;
    beacon_live_own_site_t  *own;

    s = beacon_live_site_at(&w->live, site);
    own = &w->site[site];

    if (own->newest) {
        beacon_live_rebuild_last(w, own);
        beacon_live_chunks_begin(w, own);
    }

    first = beacon_live_first(w, site);
    own->share = own->chunks ? own->chunks : 1;
    own->weight = (uint64_t) own->chunks * BEACON_LIVE_CHUNK << 8;

    if (s->last != own->last || s->first != first) {
        BEACON_LIVE_PUBLISH(s->first, first);
        BEACON_LIVE_PUBLISH(s->last, own->last);
    }

    beacon_live_differs(&s->oldest, own->oldest);
    beacon_live_differs(&s->newest, own->newest);
    beacon_live_differs(&s->chunks, own->chunks);
    beacon_live_differs(&s->share, own->share);

    if (s->hits > own->last - own->start) {
        w->stats.repaired++;
        BEACON_LIVE_SET(s->hits, own->last - own->start);
    }
}

static int
beacon_live_site_order(const void *a, const void *b, void *writer)
{
    const beacon_live_site_t  *one, *two;
    beacon_live_writer_t      *w;

    w = writer;
    one = beacon_live_site_at(&w->live, *(const uint32_t *) a);
    two = beacon_live_site_at(&w->live, *(const uint32_t *) b);

    return one->last_ms < two->last_ms ? -1 : one->last_ms > two->last_ms;
}

/* The list by last hit, as old as their hits are beside each other. */
static beacon_rc_t
beacon_live_rebuild_list(beacon_live_writer_t *w)
{
    uint32_t   n, i, site, *order;
    uint64_t   newest, age;

    order = malloc(w->live.is.sites_max * sizeof(uint32_t));

    if (order == NULL) {
        return BEACON_SYS;
    }

    for (site = 1, n = 0; site < w->live.is.sites_max; site++) {
        if (w->site[site].name_len) {
            beacon_live_heap_add(w, site);

            if (site != BEACON_LIVE_OVERFLOW) {
                order[n++] = site;
            }
        }
    }

    qsort_r(order, n, sizeof(uint32_t), beacon_live_site_order, w);

    newest = n ? beacon_live_site_at(&w->live, order[n - 1])->last_ms : 0;

    for (i = 0; i < n; i++) {
        age = newest - beacon_live_site_at(&w->live, order[i])->last_ms;
        w->site[order[i]].hit_at = age < w->clock ? w->clock - age : 0;
        beacon_live_lru_push(w->listed, order[i]);
    }

    free(order);

    return BEACON_OK;
}

beacon_rc_t
beacon_live_rebuild(beacon_live_writer_t *w)
{
    uint32_t     site;
    beacon_rc_t  rc;

    (void) beacon_live_undo_restore(w);

    w->base = w->head->base;
    w->clock = BEACON_LIVE_CLOCK;
    w->evaluated_at = w->clock;

    if (!BEACON_LIVE_SANE(w->base)) {
        return BEACON_CORRUPT;
    }

    beacon_live_rebuild_sites(w);

    rc = beacon_live_rebuild_chunks(w);
    if (rc != BEACON_OK) {
        return rc;
    }

    for (site = 1; site < w->live.is.sites_max; site++) {
        if (w->site[site].name_len) {
            beacon_live_rebuild_site(w, site);
        }
    }

    rc = beacon_live_rebuild_list(w);
    if (rc != BEACON_OK) {
        return rc;
    }

    BEACON_LIVE_POINT("live.rebuilt");
    beacon_live_table_publish(&w->sites);

    rc = beacon_live_counts_open(w);

    if (rc == BEACON_OK && w->site[BEACON_LIVE_OVERFLOW].name_len == 0) {
        beacon_live_site_make(w, BEACON_LIVE_OVERFLOW,
                              beacon_string("_overflow"));
    }

    return rc;
}
