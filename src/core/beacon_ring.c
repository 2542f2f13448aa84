/*
 * The producer's side of a lane.  Whatever the helper wrote is checked before
 * it is believed; nothing here waits.
 */

#include "beacon_ring_internal.h"
#include "beacon_crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACON_GAP_LENGTH  56           /* header, u64, padding */

static_assert(((BEACON_RECORD_HEADER + 8 + 7) & ~7) == BEACON_GAP_LENGTH,
              "a GAP record");


/* Claim and release. */

/* Continues at the lane's tail; 0 if the lane header makes no sense. */
static int
beacon_lane_continue(beacon_ring_t *ring, uint32_t index,
    beacon_producer_t *p)
{
    uint64_t               reclaim;
    beacon_cursor_t        tail;
    beacon_lane_header_t  *lane;

    lane = beacon_ring_lane(ring, index);

    if (lane->size != ring->lane_size || lane->mask != ring->lane_size - 1) {
        return 0;
    }

    beacon_lane_last(ring, index, &tail, &p->slot);

    reclaim = atomic_load_explicit(&lane->reclaim, memory_order_acquire);

    if (((tail.offset | reclaim) & 7) != 0
        || tail.offset - reclaim > ring->lane_size)
    {
        return 0;
    }

    p->ring = ring;
    p->lane = lane;
    p->bytes = beacon_ring_bytes(ring, index);
    p->size = ring->lane_size;
    p->mask = ring->lane_size - 1;
    p->tail = tail.offset;
    p->ordinal = tail.ordinal;
    p->cached_reclaim = reclaim;
    p->reserved = tail.offset;
    p->index = index;
    p->payload_len = 0;

    lane->cached_reclaim = reclaim;
    atomic_store_explicit(&lane->owner, (uint32_t) getpid(),
                          memory_order_relaxed);
    atomic_fetch_add_explicit(&lane->claims, 1, memory_order_relaxed);

    return 1;
}

/* Its bytes are there: only what is drained is ever punched. */
static int
beacon_lane_filled(const beacon_ring_t *ring, uint32_t index)
{
    beacon_lane_header_t  *lane;

    lane = beacon_ring_lane(ring, index);

    return atomic_load_explicit(&lane->tail, memory_order_relaxed)
           != atomic_load_explicit(&lane->reclaim, memory_order_relaxed);
}

/* A hole in a full tmpfs would be a SIGBUS at the first store.  0 or errno. */
static int
beacon_lane_fill(const beacon_ring_t *ring, uint32_t index)
{
    int  n;

    do {
        n = posix_fallocate(ring->fd,
                            (off_t) (beacon_ring_lane_offset(ring, index)
                                     + BEACON_PAGE),
                            (off_t) ring->lane_size);
    } while (n == EINTR);

    return n;
}

beacon_rc_t
beacon_lane_claim(beacon_ring_t *ring, beacon_producer_t *p)
{
    int          n, full;
    uint32_t     i;
    beacon_rc_t  rc;
    struct stat  st;

    memset(p, 0, sizeof(beacon_producer_t));

    for (i = 0, full = 0; i < ring->lanes; i++) {

        /* where there was no space for one there is none for another */

        if (full && !beacon_lane_filled(ring, i)) {
            continue;
        }

        rc = beacon_ring_lock(ring, i);

        if (rc == BEACON_AGAIN) {
            continue;
        }

        if (rc != BEACON_OK) {
            return rc;
        }

        /* a ring that was drained and unlinked while we owned no lane: what
           went into it would be seen by nobody */

        if (fstat(ring->fd, &st) != 0 || st.st_nlink == 0) {
            beacon_ring_unlock(ring, i);
            return BEACON_AGAIN;
        }

        n = beacon_lane_fill(ring, i);

        if (n == 0 && beacon_lane_continue(ring, i, p)) {
            return BEACON_OK;
        }

        beacon_ring_unlock(ring, i);

        if (n == ENOSPC) {
            full = 1;

        } else if (n != 0) {
            errno = n;
            return BEACON_SYS;
        }
    }

    return full ? BEACON_FULL : BEACON_AGAIN;
}

void
beacon_lane_release(beacon_producer_t *p)
{
    if (p->ring == NULL) {
        return;
    }

    atomic_store_explicit(&p->lane->owner, 0, memory_order_relaxed);
    beacon_ring_unlock(p->ring, p->index);

    p->ring = NULL;
}


/* Reserve and commit. */

/* Room for length bytes from p->tail on; looks at reclaim only if it must. */
static inline int
beacon_lane_room(beacon_producer_t *p, uint64_t length)
{
    uint64_t  reclaim;

    if (__builtin_expect(p->tail + length - p->cached_reclaim <= p->size, 1)) {
        return 1;
    }

    /* acquire: pairs with beacon_lane_reclaim(), which is done reading */

    reclaim = atomic_load_explicit(&p->lane->reclaim, memory_order_acquire);

    if (p->tail - reclaim > p->size) {
        return 0;               /* nonsense, or worse */
    }

    p->cached_reclaim = reclaim;
    p->lane->cached_reclaim = reclaim;

    return p->tail + length - reclaim <= p->size;
}

/* Where a record of this length can stand, from position on. */
static inline uint64_t
beacon_lane_place(const beacon_producer_t *p, uint64_t position,
    uint64_t length)
{
    uint64_t  rest;

    rest = p->size - (position & p->mask);

    return length <= rest ? position : position + rest;
}

/* Fills what is left before the wrap, if a record would not stand there. */
static void
beacon_lane_pad(const beacon_producer_t *p, uint64_t from, uint64_t to)
{
    if (to - from >= BEACON_RECORD_MIN) {
        beacon_record_head(p->bytes + (from & p->mask), to - from,
                           BEACON_RECORD_PAD, from, 0, 0, 0, 0);
    }
}

/* The header's crc is written last, over what stands there. */
static inline void
beacon_record_seal(uint8_t *at, uint32_t payload_len)
{
    uint32_t  crc;

    crc = beacon_crc32c_record(at, BEACON_RECORD_HEADER + payload_len);

    memcpy(at + offsetof(beacon_record_header_t, crc), &crc, sizeof(crc));
}

static void
beacon_lane_gap(const beacon_producer_t *p, uint64_t position, uint64_t gap)
{
    uint8_t  *at;

    at = p->bytes + (position & p->mask);

    memset(at + BEACON_GAP_LENGTH - 8, 0, 8);
    memcpy(at + BEACON_RECORD_HEADER, &gap, sizeof(gap));

    beacon_record_head(at, BEACON_GAP_LENGTH, BEACON_RECORD_GAP, position,
                       p->ordinal, 0, 0, sizeof(gap));
    beacon_record_seal(at, sizeof(gap));
}

/*
 * The way with a GAP or a wrap: what precedes the record is written now and
 * committed by the record's own store of tail.  1: there is room, and
 * p->reserved is where.
 */
__attribute__((noinline))
static int
beacon_lane_reserve_slow(beacon_producer_t *p, uint64_t length)
{
    uint64_t  gap, at, next;

    gap = atomic_load_explicit(&p->lane->drops, memory_order_relaxed)
          - p->lane->drops_told;

    at = p->tail;
    next = at;

    if (gap) {
        at = beacon_lane_place(p, p->tail, BEACON_GAP_LENGTH);
        next = at + BEACON_GAP_LENGTH;
    }

    p->reserved = beacon_lane_place(p, next, length);

    if (!beacon_lane_room(p, p->reserved + length - p->tail)) {
        return 0;
    }

    beacon_lane_pad(p, p->tail, at);

    if (gap) {
        beacon_lane_gap(p, at, gap);
    }

    beacon_lane_pad(p, next, p->reserved);

    return 1;
}

beacon_rc_t
beacon_lane_reserve(beacon_producer_t *p, size_t payload_len,
    uint8_t **payload)
{
    uint64_t               length;
    beacon_lane_header_t  *lane;

    if (payload_len > p->size / BEACON_RECORD_SHARE) {
        return BEACON_INVALID;
    }

    length = beacon_record_length(payload_len);

    if (length > p->size / BEACON_RECORD_SHARE) {
        return BEACON_INVALID;
    }

    lane = p->lane;

    if (length <= p->size - (p->tail & p->mask)
        && atomic_load_explicit(&lane->drops, memory_order_relaxed)
           == lane->drops_told
        && beacon_lane_room(p, length))
    {
        p->reserved = p->tail;

    } else if (!beacon_lane_reserve_slow(p, length)) {
        atomic_store_explicit(&lane->drops,
            atomic_load_explicit(&lane->drops, memory_order_relaxed) + 1,
            memory_order_relaxed);
        return BEACON_FULL;
    }

    p->payload_len = (uint32_t) payload_len;
    *payload = p->bytes + (p->reserved & p->mask) + BEACON_RECORD_HEADER;

    /* the padding, which no crc covers, says nothing of earlier laps */

    memset(*payload - BEACON_RECORD_HEADER + length - 8, 0, 8);

    return BEACON_OK;
}

uint64_t
beacon_lane_commit(beacon_producer_t *p, uint64_t time_ns, uint32_t schema)
{
    uint8_t               *at;
    uint64_t               drops, length;
    beacon_commit_t       *commit;
    beacon_lane_header_t  *lane;

    lane = p->lane;
    at = p->bytes + (p->reserved & p->mask);
    length = beacon_record_length(p->payload_len);

    beacon_record_head(at, length, BEACON_RECORD_HIT, p->reserved, p->ordinal,
                       time_ns, schema, p->payload_len);
    beacon_record_seal(at, p->payload_len);

    p->tail = p->reserved + length;
    p->ordinal++;

    /*
     * Both release, for beacon_lane_pair()'s acquire loads: who sees the
     * slot's new tail sees that the lane's has moved on from the one it held;
     * who sees its new ordinal sees its new tail.
     */

    commit = &lane->commit[p->slot];
    p->slot ^= 1;

    atomic_store_explicit(&commit->tail, p->tail, memory_order_release);
    atomic_store_explicit(&commit->ordinal, p->ordinal, memory_order_release);

    /* the commit; pairs with the acquire loads of tail in the reader */

    atomic_store_explicit(&lane->tail, p->tail, memory_order_release);

    drops = atomic_load_explicit(&lane->drops, memory_order_relaxed);

    if (__builtin_expect(lane->drops_told != drops, 0)) {
        lane->drops_told = drops;
    }

    return p->reserved;
}


/* Ids. */

static size_t
beacon_id_hex(uint8_t *dst, uint64_t n, unsigned digits)
{
    unsigned  i;

    for (i = digits; i > 0; i--) {
        dst[i - 1] = (uint8_t) "0123456789abcdef"[n & 15];
        n >>= 4;
    }

    return digits;
}

static unsigned
beacon_id_digits(uint64_t n)
{
    return n ? (unsigned) (67 - __builtin_clzll(n)) / 4 : 1;
}

size_t
beacon_id_format(uint8_t *dst, uint64_t epoch, uint32_t lane, uint64_t offset)
{
    uint8_t  *p;

    p = dst;
    p += beacon_id_hex(p, epoch, BEACON_EPOCH_LEN);
    *p++ = '-';
    p += beacon_id_hex(p, lane, beacon_id_digits(lane));
    *p++ = '-';
    p += beacon_id_hex(p, offset, beacon_id_digits(offset));

    return (size_t) (p - dst);
}
