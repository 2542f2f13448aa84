/* What a store of a size is made of. */

#include "beacon_live_int.h"

/*
 * A region of so many bytes: how many things of this size, at most "most", fit
 * behind a table that is at most half full.  Returns its end.
 */
static uint64_t
beacon_live_region(uint64_t at, uint64_t bytes, uint64_t size, uint64_t most,
    uint32_t *things, uint32_t *slots)
{
    uint64_t  n, table;

    *things = 0;

    for (table = 64; 4 * table + 64 < bytes; table *= 2) {
        n = (bytes - 4 * table - 64) / size;
        n = n < most ? n : most;
        n = n < table / 2 ? n : table / 2;

        if (n > *things) {
            *things = (uint32_t) n;
            *slots = (uint32_t) table;
        }
    }

    return BEACON_LIVE_ITEMS(at, *slots) + *things * size;
}

void
beacon_live_geometry(beacon_live_head_t *head, uint64_t size)
{
    uint64_t  sites, rest, first;

    first = size < (128 << 20) ? size : (128 << 20);
    sites = first / 8 + (size - first) / 24;
    rest = size * 3 / 8 - sites;

    head->layout = BEACON_LIVE_LAYOUT;
    head->chunk_size = BEACON_LIVE_CHUNK;
    head->size = size;
    head->undo_at = BEACON_LIVE_PAGE;

    head->sites_at = head->undo_at + BEACON_LIVE_UNDO;
    head->visitors_at = beacon_live_region(head->sites_at, sites,
                                           sizeof(beacon_live_site_t),
                                           size * 5 / 8 / BEACON_LIVE_CHUNK
                                           / 2 - 8,
                                           &head->sites_max,
                                           &head->site_slots);
    head->keys_at = beacon_live_region(head->visitors_at, rest / 4 * 3,
                                       sizeof(beacon_live_visitor_t),
                                       UINT32_MAX, &head->visitors_max,
                                       &head->visitor_slots);
    head->chunks_at = beacon_live_region(head->keys_at, rest / 4,
                                         sizeof(beacon_live_key_t),
                                         UINT32_MAX, &head->keys_max,
                                         &head->key_slots);

    /* a chunk 0 would lie before the first */

    head->chunks_at = (head->chunks_at + BEACON_LIVE_PAGE - 1)
                      & ~(uint64_t) (BEACON_LIVE_PAGE - 1);
    head->chunks = (uint32_t) ((size - head->chunks_at) / BEACON_LIVE_CHUNK)
                   + 1;
    head->chunks_at -= BEACON_LIVE_CHUNK;
}
