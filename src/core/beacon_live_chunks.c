/* Chunks: whose they are, and in which order. */

#include "beacon_live_int.h"

/* Readers who are in it see that it changes hands. */
static beacon_live_chunk_t *
beacon_live_chunk_open(beacon_live_writer_t *w, uint32_t chunk)
{
    beacon_live_chunk_t      *c;
    beacon_live_own_chunk_t  *own;

    c = beacon_live_chunk_at(&w->live, chunk);
    own = &w->chunk[chunk];

    own->serial |= 1;
    atomic_store_explicit(&c->serial, own->serial, memory_order_relaxed);

    /* pairs with the acquire fence in beacon_live_same() */

    atomic_thread_fence(memory_order_release);

    return c;
}

static void
beacon_live_chunk_close(beacon_live_writer_t *w, uint32_t chunk)
{
    beacon_live_own_chunk_t  *own;

    own = &w->chunk[chunk];
    own->serial = (own->serial | 1) + 1;

    BEACON_LIVE_PUBLISH(beacon_live_chunk_at(&w->live, chunk)->serial,
                        own->serial);
}

void
beacon_live_chunk_free(beacon_live_writer_t *w, uint32_t chunk)
{
    beacon_live_chunk_t      *c;
    beacon_live_own_chunk_t  *own;

    c = beacon_live_chunk_open(w, chunk);

    atomic_store_explicit(&c->committed, (uint32_t) sizeof(*c),
                          memory_order_relaxed);
    BEACON_LIVE_SET(c->site, 0);

    beacon_live_chunk_close(w, chunk);

    own = &w->chunk[chunk];
    own->site = 0;
    own->next = w->free_chunk;
    w->free_chunk = chunk;
    w->free_chunks++;
}

void
beacon_live_chunks_free(beacon_live_writer_t *w, uint32_t site)
{
    uint32_t                 chunk, next;
    beacon_live_site_t      *s;
    beacon_live_own_site_t  *own;

    own = &w->site[site];
    s = beacon_live_site_at(&w->live, site);

    BEACON_LIVE_PUBLISH(s->newest, 0);
    BEACON_LIVE_PUBLISH(s->oldest, 0);
    BEACON_LIVE_PUBLISH(s->chunks, 0);

    for (chunk = own->oldest; chunk; chunk = next) {
        next = w->chunk[chunk].next;
        beacon_live_chunk_free(w, chunk);
    }

    own->newest = 0;
    own->oldest = 0;
    own->chunks = 0;
}

/* What readers may still find: nothing, where only the end of a hit is left
   that was never committed. */
uint64_t
beacon_live_first(const beacon_live_writer_t *w, uint32_t site)
{
    uint64_t                       first;
    const beacon_live_own_site_t  *own;

    own = &w->site[site];
    first = w->chunk[own->oldest].first;

    return own->oldest && first <= own->last ? first : own->last + 1;
}

void
beacon_live_chunks_begin(beacon_live_writer_t *w,
    const beacon_live_own_site_t *site)
{
    uint32_t                  chunk;
    beacon_live_own_chunk_t  *own;

    for (chunk = site->newest; chunk; chunk = own->previous) {
        own = &w->chunk[chunk];

        if (own->first <= site->last + 1) {
            break;
        }

        own->first = site->last + 1;
        BEACON_LIVE_SET(beacon_live_chunk_at(&w->live, chunk)->first,
                        own->first);
    }
}

/* The oldest of a site is taken from it, and nobody's. */
static uint32_t
beacon_live_chunk_take(beacon_live_writer_t *w, uint32_t site)
{
    uint32_t                 chunk, next;
    beacon_live_site_t      *s;
    beacon_live_own_site_t  *own;

    own = &w->site[site];
    s = beacon_live_site_at(&w->live, site);

    chunk = own->oldest;
    next = w->chunk[chunk].next;

    own->oldest = next;
    own->chunks--;

    if (next == 0) {
        own->newest = 0;
        BEACON_LIVE_PUBLISH(s->newest, 0);
    }

    BEACON_LIVE_PUBLISH(s->first, beacon_live_first(w, site));
    BEACON_LIVE_PUBLISH(s->oldest, next);
    BEACON_LIVE_PUBLISH(s->chunks, own->chunks);

    w->chunk[chunk].site = 0;
    beacon_live_heap_less(w, site);

    return chunk;
}

/* Whence a chunk for a site comes; 0: from nowhere. */
static uint32_t
beacon_live_chunk_find(beacon_live_writer_t *w, uint32_t site, uint64_t keep,
    uint32_t least)
{
    uint32_t                       chunk, from;
    const beacon_live_own_site_t  *own;

    own = &w->site[site];
    chunk = w->free_chunk;

    if (chunk) {
        w->free_chunk = w->chunk[chunk].next;
        w->free_chunks--;
        return chunk;
    }

    if (own->chunks < own->share || own->chunks < least) {
        from = beacon_live_furthest(w);

        /* each can have two: a hit may begin in one and end in another */

        if (from == 0 && own->chunks < 2) {
            from = beacon_live_largest(w);
        }

        if (from != 0 && from != site) {
            return beacon_live_chunk_take(w, from);
        }
    }

    if (own->oldest == 0 || w->chunk[own->oldest].index >= keep) {
        return 0;
    }

    return beacon_live_chunk_take(w, site);
}


/*
 * In skew-binary numbers (Myers) a chain of n is some whole trees, the newest
 * the smallest; a jump goes over the first of them.
 */
uint64_t
beacon_live_jump(uint64_t index)
{
    unsigned  bit;
    uint64_t  left, tree;

    tree = 0;

    for (left = index; left; left -= tree) {
        bit = 63 - (unsigned) __builtin_clzll(left + 1);
        tree = (1ULL << bit) - 1;
    }

    return index - tree;
}

/* The chunk to which this one jumps, if it is still there; or 0. */
static uint32_t
beacon_live_jumped(const beacon_live_writer_t *w,
    const beacon_live_own_chunk_t *own)
{
    const beacon_live_own_chunk_t  *to;

    to = &w->chunk[own->jump];

    return to->site == own->site && to->index == own->jump_index ? own->jump
                                                                 : 0;
}

/*
 * It is the one before, or where that one's jump's jump leads, where both went
 * over trees of one size.  What is gone stays gone: the chain loses its old end
 * only.
 */
void
beacon_live_chunk_jump(beacon_live_writer_t *w, uint32_t chunk)
{
    uint32_t                        to;
    beacon_live_own_chunk_t        *own;
    const beacon_live_own_chunk_t  *before, *over;

    own = &w->chunk[chunk];
    before = &w->chunk[own->previous];
    to = before->index + 1 == own->index ? beacon_live_jumped(w, before) : 0;
    over = &w->chunk[to];

    if (to == 0) {
        own->jump_index = beacon_live_jump(own->index);

    } else if (before->index - over->index == over->index - over->jump_index) {
        own->jump_index = over->jump_index;
        own->jump = beacon_live_jumped(w, over);
        return;

    } else {
        own->jump_index = before->index;
    }

    own->jump = before->index == own->jump_index ? own->previous : 0;
}

static void
beacon_live_chunk_link(beacon_live_writer_t *w, uint32_t site, uint32_t chunk,
    int lead)
{
    beacon_live_site_t       *s;
    beacon_live_own_site_t   *own;

    own = &w->site[site];
    s = beacon_live_site_at(&w->live, site);

    if (own->newest) {
        w->chunk[own->newest].next = chunk;

        if (lead) {
            beacon_live_chunk_lead(w, own->newest);
        }

    } else {
        own->oldest = chunk;
        BEACON_LIVE_PUBLISH(s->first, beacon_live_first(w, site));
        BEACON_LIVE_PUBLISH(s->oldest, chunk);
    }

    own->newest = chunk;
    own->chunks++;

    BEACON_LIVE_PUBLISH(s->newest, chunk);
    BEACON_LIVE_PUBLISH(s->chunks, own->chunks);

    beacon_live_heap_more(w, site);
}

uint32_t
beacon_live_chunk_add(beacon_live_writer_t *w, uint32_t site, uint64_t first,
    uint64_t keep, uint32_t least, int lead)
{
    uint32_t                  chunk;
    beacon_live_chunk_t      *c;
    beacon_live_own_site_t   *s;
    beacon_live_own_chunk_t  *own;

    chunk = beacon_live_chunk_find(w, site, keep, least);

    if (chunk == 0) {
        return 0;
    }

    s = &w->site[site];
    own = &w->chunk[chunk];

    c = beacon_live_chunk_open(w, chunk);
    BEACON_LIVE_POINT("live.chunk_odd");

    own->site = site;
    own->index = ++s->index;
    own->first = first;
    own->next = 0;
    own->previous = s->newest;
    own->committed = sizeof(beacon_live_chunk_t);

    beacon_live_chunk_jump(w, chunk);

    atomic_store_explicit(&c->committed, own->committed,
                          memory_order_relaxed);
    BEACON_LIVE_SET(c->site, site);
    BEACON_LIVE_SET(c->index, own->index);
    BEACON_LIVE_SET(c->first, first);
    atomic_store_explicit(&c->next, 0, memory_order_relaxed);
    BEACON_LIVE_SET(c->previous, own->previous);
    BEACON_LIVE_SET(c->jump, own->jump);
    BEACON_LIVE_SET(c->jump_index, own->jump_index);

    beacon_live_chunk_close(w, chunk);
    BEACON_LIVE_POINT("live.chunk_moved");

    beacon_live_chunk_link(w, site, chunk, lead);
    BEACON_LIVE_POINT("live.chunk_linked");

    return chunk;
}
