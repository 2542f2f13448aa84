/*
 * Within the ring: an attached ring with what only its own files touch, and
 * the locks of lanes.
 */

#ifndef BEACON_RING_LOCK_H
#define BEACON_RING_LOCK_H

#include "beacon_ring.h"

#include <stdatomic.h>

typedef struct {
    beacon_ring_t    ring;      /* first: callers hold a pointer to it */

    /*
     * 1: the lane is claimed or punched through this mapping.  The kernel
     * can't tell: a lock never conflicts with its own file description.
     */
    _Atomic uint8_t  mine[BEACON_LANES_MAX];
} beacon_ring_mapping_t;

/*
 * The lane's lock, without waiting.  AGAIN: held, by this mapping or another.
 * SYS: errno.
 */
beacon_rc_t beacon_ring_lock(beacon_ring_t *ring, uint32_t lane);
void beacon_ring_unlock(beacon_ring_t *ring, uint32_t lane);

/* 1: any lock from byte "start" on, "len" bytes (0: to the end), is held
   through another file description than fd's; 0: none, or unknown. */
int beacon_ring_locked(int fd, uint64_t start, uint64_t len);

/* Where the lane's header page stands in the file. */
static inline uint64_t
beacon_ring_lane_offset(const beacon_ring_t *ring, uint32_t lane)
{
    return BEACON_PAGE + (uint64_t) lane * (BEACON_PAGE + ring->lane_size);
}

/* What stands in a position's place. */
static inline uint8_t *
beacon_ring_bytes(const beacon_ring_t *ring, uint32_t lane)
{
    return ring->map + beacon_ring_lane_offset(ring, lane) + BEACON_PAGE;
}

/* Fewer bytes than this before the wrap are skipped without a PAD. */
#define BEACON_RECORD_MIN  48

static inline uint64_t
beacon_record_length(uint64_t payload_len)
{
    return (BEACON_RECORD_HEADER + payload_len + 7) & ~7ULL;
}

static_assert(((BEACON_RECORD_HEADER + 7) & ~7) == BEACON_RECORD_MIN,
              "the shortest record");

/*
 * Finds the commit slot whose tail is T, T being the lane's tail: OK,
 * *tail = {T, ordinal} and *slot.  CORRUPT: neither is; *tail = {T, 0}.
 */
beacon_rc_t beacon_lane_pair(const beacon_lane_header_t *lane,
    beacon_cursor_t *tail, uint32_t *slot);

/* As beacon_lane_tail(), and the slot that does not hold the tail. */
void beacon_lane_last(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *tail, uint32_t *slot);

#endif /* BEACON_RING_LOCK_H */
