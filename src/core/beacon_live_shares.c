/*
 * Shares of the chunks: who may have how many, and who has most beyond that.
 * The sites stand in a binary heap by how far they are over.
 */

#include "beacon_live_int.h"

static int64_t
beacon_live_over(const beacon_live_writer_t *w, uint32_t site)
{
    return (int64_t) w->site[site].chunks - (int64_t) w->site[site].share;
}

static void
beacon_live_heap_put(beacon_live_writer_t *w, uint32_t place, uint32_t site)
{
    w->heap[place] = site;
    w->site[site].place = place;
}

static void
beacon_live_heap_up(beacon_live_writer_t *w, uint32_t place)
{
    uint32_t  site, above;

    for (site = w->heap[place]; place; place = above) {
        above = (place - 1) / 2;

        if (beacon_live_over(w, w->heap[above]) >= beacon_live_over(w, site)) {
            break;
        }

        beacon_live_heap_put(w, place, w->heap[above]);
    }

    beacon_live_heap_put(w, place, site);
}

static void
beacon_live_heap_down(beacon_live_writer_t *w, uint32_t place)
{
    uint32_t  site, below;

    site = w->heap[place];

    while ((below = 2 * place + 1) < w->heaped) {
        if (below + 1 < w->heaped
            && beacon_live_over(w, w->heap[below + 1])
               > beacon_live_over(w, w->heap[below]))
        {
            below++;
        }

        if (beacon_live_over(w, w->heap[below]) <= beacon_live_over(w, site)) {
            break;
        }

        beacon_live_heap_put(w, place, w->heap[below]);
        place = below;
    }

    beacon_live_heap_put(w, place, site);
}

void
beacon_live_heap_more(beacon_live_writer_t *w, uint32_t site)
{
    beacon_live_heap_up(w, w->site[site].place);
}

void
beacon_live_heap_less(beacon_live_writer_t *w, uint32_t site)
{
    beacon_live_heap_down(w, w->site[site].place);
}

void
beacon_live_heap_add(beacon_live_writer_t *w, uint32_t site)
{
    beacon_live_heap_put(w, w->heaped++, site);
    beacon_live_heap_up(w, w->site[site].place);
}

void
beacon_live_heap_remove(beacon_live_writer_t *w, uint32_t site)
{
    uint32_t  place, last;

    place = w->site[site].place;
    last = w->heap[--w->heaped];

    if (last != site) {
        beacon_live_heap_put(w, place, last);
        beacon_live_heap_more(w, last);
        beacon_live_heap_less(w, last);
    }
}

uint32_t
beacon_live_furthest(const beacon_live_writer_t *w)
{
    return w->heaped && beacon_live_over(w, w->heap[0]) > 0 ? w->heap[0] : 0;
}

/* Rare: nobody is over his share, and somebody has less than two. */
uint32_t
beacon_live_largest(const beacon_live_writer_t *w)
{
    uint32_t  i, site, most;

    for (i = 0, site = 0, most = 1; i < w->heaped; i++) {
        if (w->site[w->heap[i]].chunks > most) {
            site = w->heap[i];
            most = w->site[site].chunks;
        }
    }

    return site;
}

/* Times 256, so that what halves is not soon nothing. */
static uint64_t
beacon_live_weight(beacon_live_own_site_t *own)
{
    own->weight = own->bytes ? own->weight / 2 + (own->bytes << 8)
                  : own->weight >> 8;
    own->bytes = 0;

    return own->weight;
}

void
beacon_live_evaluate(beacon_live_writer_t *w)
{
    uint32_t                 i;
    uint64_t                 all, spare;
    beacon_live_own_site_t  *own;

    for (i = 0, all = 0; i < w->heaped; i++) {
        all += beacon_live_weight(&w->site[w->heap[i]]);
    }

    spare = w->live.is.chunks - 1;
    spare -= w->heaped < spare ? w->heaped : spare;

    for (i = 0; all && i < w->heaped; i++) {
        own = &w->site[w->heap[i]];
        own->share = 1 + (uint32_t) ((double) spare * (double) own->weight
                                     / (double) all);

        BEACON_LIVE_PUBLISH(beacon_live_site_at(&w->live, w->heap[i])->share,
                            own->share);
    }

    for (i = w->heaped / 2; i > 0; i--) {
        beacon_live_heap_down(w, i - 1);
    }

    atomic_store_explicit(&w->head->evaluated, w->head->evaluated + 1,
                          memory_order_relaxed);
}
