/*
 * Who was last: a list of things by their index, latest and earliest first.
 * Index 0, which is nobody's, is between its two ends, so that nothing is at an
 * end and nothing need be asked.
 */

#ifndef BEACON_LIVE_LRU_H
#define BEACON_LIVE_LRU_H

#include <stdint.h>

typedef struct {
    uint32_t  later;
    uint32_t  earlier;
} beacon_live_links_t;

static inline uint32_t
beacon_live_lru_latest(const beacon_live_links_t *list)
{
    return list[0].earlier;
}

static inline uint32_t
beacon_live_lru_earliest(const beacon_live_links_t *list)
{
    return list[0].later;
}

/* As the latest of all; and no more in the list. */
static inline void
beacon_live_lru_push(beacon_live_links_t *list, uint32_t index)
{
    uint32_t  latest;

    latest = list[0].earlier;
    list[index].later = 0;
    list[index].earlier = latest;
    list[latest].later = index;
    list[0].earlier = index;
}

static inline void
beacon_live_lru_unlink(beacon_live_links_t *list, uint32_t index)
{
    beacon_live_links_t  links;

    links = list[index];
    list[links.later].earlier = links.earlier;
    list[links.earlier].later = links.later;
}

#endif /* BEACON_LIVE_LRU_H */
