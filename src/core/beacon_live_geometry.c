/* What a store of a size is made of. */

#include "beacon_live_int.h"

static uint32_t
beacon_live_slots(uint64_t things)
{
    uint32_t  slots;

    for (slots = 64; slots < 2 * things; slots *= 2) { /* void */ }

    return slots;
}

/*
 * A region of so many bytes: how many things of this size fit behind a table
 * for them.  Returns its end.
 */
static uint64_t
beacon_live_region(uint64_t at, uint64_t bytes, uint64_t size, uint64_t most,
    uint32_t *things, uint32_t *slots)
{
    uint64_t  n;

    for (n = bytes / size; n > 2; n--) {
        if (BEACON_LIVE_ITEMS(at, beacon_live_slots(n)) + n * size
            <= at + bytes)
        {
            break;
        }
    }

    n = n < most ? n : most;
    *things = (uint32_t) n;
    *slots = beacon_live_slots(n);

    return BEACON_LIVE_ITEMS(at, *slots) + n * size;
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
                                       UINT32_MAX / 4, &head->visitors_max,
                                       &head->visitor_slots);
    head->chunks_at = beacon_live_region(head->keys_at, rest / 4,
                                         sizeof(beacon_live_key_t),
                                         UINT32_MAX / 4, &head->keys_max,
                                         &head->key_slots);

    /* a chunk 0 would lie before the first */

    head->chunks_at = (head->chunks_at + BEACON_LIVE_PAGE - 1)
                      & ~(uint64_t) (BEACON_LIVE_PAGE - 1);
    head->chunks = (uint32_t) ((size - head->chunks_at) / BEACON_LIVE_CHUNK)
                   + 1;
    head->chunks_at -= BEACON_LIVE_CHUNK;
}
