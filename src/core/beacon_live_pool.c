/* Slots of visitors or of keys: which are free, who was hit last, and the lists
   of sites. */

#include "beacon_live_counts.h"

#include <stdlib.h>

beacon_rc_t
beacon_live_pool_create(beacon_live_pool_t *pool, uint32_t max,
    void *slots, size_t size)
{
    pool->own = calloc(max, sizeof(beacon_live_own_t));
    pool->links = calloc(max, sizeof(beacon_live_links_t));
    pool->free = 0;
    pool->slots = slots;
    pool->size = size;

    if (pool->own == NULL || pool->links == NULL) {
        return BEACON_SYS;
    }

    pool->own[0].hash = BEACON_LIVE_NOBODY;

    return BEACON_OK;
}

void
beacon_live_pool_destroy(beacon_live_pool_t *pool)
{
    free(pool->own);
    free(pool->links);
    pool->own = NULL;
    pool->links = NULL;
}

uint32_t
beacon_live_pool_take(beacon_live_pool_t *pool)
{
    uint32_t  index;

    index = pool->free;

    if (index) {
        pool->free = pool->links[index].earlier;
    }

    return index;
}

void
beacon_live_pool_free(beacon_live_pool_t *pool, uint32_t index)
{
    pool->own[index].site = 0;
    pool->links[index].earlier = pool->free;
    pool->free = index;
}

void
beacon_live_pool_fill(beacon_live_pool_t *pool, uint32_t max)
{
    uint32_t  index;

    for (index = max - 1; index > 0; index--) {
        if (pool->own[index].site == 0) {
            beacon_live_pool_free(pool, index);
        }
    }
}


/* The lists of sites; readers see "older". */

static void
beacon_live_list_older(const beacon_live_pool_t *pool, uint32_t index,
    uint32_t older)
{
    pool->own[index].older = older;
    BEACON_LIVE_SET(beacon_live_pool_slot(pool, index)->older, older);
}

static void
beacon_live_list_front(beacon_live_front_t front, uint32_t index)
{
    *front.own = index;
    BEACON_LIVE_SET(*front.seen, index);
}

void
beacon_live_list_push(const beacon_live_pool_t *pool,
    beacon_live_front_t front, uint32_t index)
{
    uint32_t  first;

    first = *front.own;

    if (first) {
        pool->own[first].newer = index;
    }

    pool->own[index].newer = 0;
    beacon_live_list_older(pool, index, first);
    beacon_live_list_front(front, index);
}

void
beacon_live_list_unlink(const beacon_live_pool_t *pool,
    beacon_live_front_t front, uint32_t index)
{
    const beacon_live_own_t  *own;

    own = &pool->own[index];

    if (own->newer) {
        beacon_live_list_older(pool, own->newer, own->older);

    } else {
        beacon_live_list_front(front, own->older);
    }

    if (own->older) {
        pool->own[own->older].newer = own->newer;
    }
}

uint32_t
beacon_live_list_forget(beacon_live_pool_t *pool, beacon_live_table_t *table,
    beacon_live_front_t front)
{
    uint32_t             n, index, next;
    beacon_live_own_t   *own;
    beacon_live_slot_t  *slot;

    n = 0;

    for (index = *front.own; index; index = next) {
        own = &pool->own[index];
        next = own->older;

        beacon_live_table_remove(table, (uint32_t) own->hash, index);
        slot = beacon_live_pool_slot(pool, index);
        beacon_live_begin(&slot->serial);
        BEACON_LIVE_SET(slot->site, 0);
        beacon_live_end(&slot->serial);

        beacon_live_lru_unlink(pool->links, index);
        beacon_live_pool_free(pool, index);
        n++;
    }

    beacon_live_list_front(front, 0);

    return n;
}
