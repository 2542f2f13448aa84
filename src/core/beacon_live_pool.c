/* Slots of visitors or of keys: which are free, and who was hit last. */

#include "beacon_live_counts.h"

#include <stdlib.h>

beacon_rc_t
beacon_live_pool_create(beacon_live_pool_t *pool, uint32_t max)
{
    pool->own = calloc(max, sizeof(beacon_live_own_t));
    pool->free = 0;
    pool->latest = 0;
    pool->earliest = 0;

    return pool->own != NULL ? BEACON_OK : BEACON_SYS;
}

void
beacon_live_pool_destroy(beacon_live_pool_t *pool)
{
    free(pool->own);
    pool->own = NULL;
}

void
beacon_live_pool_push(beacon_live_pool_t *pool, uint32_t index)
{
    beacon_live_own_t  *own;

    own = &pool->own[index];
    own->later = 0;
    own->earlier = pool->latest;

    if (pool->latest) {
        pool->own[pool->latest].later = index;

    } else {
        pool->earliest = index;
    }

    pool->latest = index;
}

void
beacon_live_pool_unlink(beacon_live_pool_t *pool, uint32_t index)
{
    const beacon_live_own_t  *own;

    own = &pool->own[index];

    if (own->later) {
        pool->own[own->later].earlier = own->earlier;

    } else {
        pool->latest = own->earlier;
    }

    if (own->earlier) {
        pool->own[own->earlier].later = own->later;

    } else {
        pool->earliest = own->later;
    }
}

void
beacon_live_pool_free(beacon_live_pool_t *pool, uint32_t index)
{
    pool->own[index].site = 0;
    pool->own[index].earlier = pool->free;
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
