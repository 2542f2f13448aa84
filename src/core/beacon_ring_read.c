/*
 * The consumer's side of a lane.  Every byte is read as if a stranger had
 * written it: positions and lengths are checked against the sizes that attach
 * has checked, a header is loaded once, and a record counts only if its CRC
 * is right.
 */

#include "beacon_ring_lock.h"
#include "beacon_crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* A lane as its reader sees it. */
typedef struct {
    const uint8_t  *bytes;
    uint64_t        size;
    uint64_t        mask;
    uint64_t        tail;       /* read no further */
} beacon_lane_view_t;


/* One record. */

/*
 * A header of a HIT or GAP that stands at raw, with avail bytes from there
 * on.  OK or CORRUPT; the offset is the caller's to check.
 */
static inline beacon_rc_t
beacon_record_parse(const beacon_record_header_t *header, const uint8_t *raw,
    uint64_t avail, beacon_record_t *record)
{
    if (header->length > avail
        || header->length != beacon_record_length(header->payload_len)
        || (header->type != BEACON_RECORD_HIT
            && header->type != BEACON_RECORD_GAP))
    {
        return BEACON_CORRUPT;
    }

    if (beacon_crc32c_record(raw, BEACON_RECORD_HEADER + header->payload_len)
        != header->crc)
    {
        return BEACON_CORRUPT;
    }

    record->type = header->type;
    record->version = header->version;
    record->schema = header->schema;
    record->offset = header->offset;
    record->ordinal = header->ordinal;
    record->time_ns = header->time_ns;
    record->length = header->length;
    record->payload.len = header->payload_len;
    record->payload.data = raw + BEACON_RECORD_HEADER;
    record->raw = raw;
    record->gap = 0;

    if (header->type == BEACON_RECORD_GAP) {

        if (header->payload_len != sizeof(record->gap)) {
            return BEACON_CORRUPT;
        }

        memcpy(&record->gap, record->payload.data, sizeof(record->gap));
    }

    return BEACON_OK;
}

beacon_rc_t
beacon_record_check(const uint8_t *raw, size_t avail, beacon_record_t *record)
{
    beacon_record_header_t  header;

    if (avail < BEACON_RECORD_MIN) {
        return BEACON_CORRUPT;
    }

    memcpy(&header, raw, BEACON_RECORD_HEADER);

    return beacon_record_parse(&header, raw, avail, record);
}

/*
 * Loads a header in the mapping once: what is checked is what is used, even
 * if someone writes to it meanwhile.
 */
static inline void
beacon_record_load(const uint8_t *raw, beacon_record_header_t *header)
{
    unsigned         i;
    uint64_t         words[BEACON_RECORD_MIN / 8];
    const uint64_t  *from;

    from = (const uint64_t *) (const void *) raw;

    for (i = 0; i < BEACON_RECORD_MIN / 8; i++) {
        words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }

    memcpy(header, words, BEACON_RECORD_HEADER);
}


/* One lane. */

/*
 * The record at *position, or the first behind a wrap; moves *position to
 * where it starts, not behind it.  AGAIN: the tail.  CORRUPT: not a record.
 */
static inline beacon_rc_t
beacon_lane_at(const beacon_lane_view_t *view, uint64_t *position,
    beacon_record_t *record)
{
    uint64_t                 rest, left;
    const uint8_t           *raw;
    beacon_record_header_t   header;

    for ( ;; ) {
        left = view->tail - *position;

        if (left == 0) {
            return BEACON_AGAIN;
        }

        rest = view->size - (*position & view->mask);
        raw = view->bytes + (*position & view->mask);

        if (rest < BEACON_RECORD_MIN && rest <= left) {
            *position += rest;
            continue;
        }

        if (left < BEACON_RECORD_MIN || rest < BEACON_RECORD_MIN) {
            return BEACON_CORRUPT;
        }

        beacon_record_load(raw, &header);

        if (header.offset != *position) {
            return BEACON_CORRUPT;
        }

        if (header.type == BEACON_RECORD_PAD) {

            if (header.length != rest || rest > left) {
                return BEACON_CORRUPT;
            }

            *position += rest;
            continue;
        }

        return beacon_record_parse(&header, raw, rest < left ? rest : left,
                                   record);
    }
}

/*
 * The first good record from *position on, 8 bytes at a time, before the
 * view's tail; "bad" is where the last good one ended.  As whoever sends
 * requests can put a whole record into a payload, its ordinal has to be
 * possible too.  OK and *position; AGAIN: none.
 */
static beacon_rc_t
beacon_lane_resync(const beacon_lane_view_t *view, const beacon_cursor_t *bad,
    uint64_t *position, beacon_record_t *record)
{
    uint64_t                 at, rest, left;
    const uint8_t           *raw;
    beacon_record_header_t   header;

    for (at = *position; (left = view->tail - at) >= BEACON_RECORD_MIN;
         at += 8)
    {

        rest = view->size - (at & view->mask);

        if (rest < BEACON_RECORD_MIN) {
            continue;
        }

        raw = view->bytes + (at & view->mask);

        if (__atomic_load_n((const uint64_t *) (const void *) (raw
                                + offsetof(beacon_record_header_t, offset)),
                            __ATOMIC_RELAXED)
            != at)
        {
            continue;
        }

        beacon_record_load(raw, &header);

        if (header.offset == at
            && header.ordinal - bad->ordinal
               <= (at - bad->offset) / BEACON_RECORD_MIN
            && beacon_record_parse(&header, raw, rest < left ? rest : left,
                                   record)
               == BEACON_OK)
        {
            *position = at;
            return BEACON_OK;
        }
    }

    *position = view->tail;

    return BEACON_AGAIN;
}

/*
 * The next record, with resynchronization up to the view's tail.  CORRUPT:
 * the ordinals tell *lost; where nothing good follows, *lost is 0 and the
 * cursor stands at the tail with its ordinal as it was.
 */
static inline beacon_rc_t
beacon_lane_next(const beacon_lane_view_t *view, beacon_cursor_t *cursor,
    beacon_record_t *record, uint64_t *lost)
{
    uint64_t     position;
    beacon_rc_t  rc;

    position = cursor->offset;
    rc = beacon_lane_at(view, &position, record);
    cursor->offset = position;

    if (__builtin_expect(rc == BEACON_OK
                         && record->ordinal <= cursor->ordinal, 1))
    {
        /* smaller: a lane whose commit slots were once lost counts again */

        cursor->offset += record->length;
        cursor->ordinal = record->ordinal
                          + (record->type == BEACON_RECORD_HIT);
        return BEACON_OK;
    }

    if (rc == BEACON_AGAIN) {
        return BEACON_AGAIN;
    }

    *lost = 0;

    if (rc == BEACON_CORRUPT) {
        rc = beacon_lane_resync(view, cursor, &position, record);
        cursor->offset = position;
    }

    if (rc == BEACON_OK) {
        *lost = record->ordinal - cursor->ordinal;
        cursor->ordinal = record->ordinal;
    }

    return BEACON_CORRUPT;
}

static inline void
beacon_lane_view(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
    beacon_lane_view_t *view)
{
    view->bytes = beacon_ring_bytes(ring, lane);
    view->size = ring->lane_size;
    view->mask = ring->lane_size - 1;
    view->tail = tail;
}

/*
 * Corruption reached the tail, so the ordinal that belongs to the tail tells
 * what was lost.  The lane may have grown meanwhile: then there is more to
 * look through, which ends as the cursor keeps the lane from growing by more
 * than its size.
 */
static void
beacon_lane_lost(const beacon_ring_t *ring, uint32_t lane,
    beacon_lane_view_t *view, const beacon_cursor_t *bad,
    beacon_cursor_t *cursor, uint64_t *lost)
{
    uint32_t         slot;
    beacon_rc_t      rc;
    beacon_cursor_t  tail;
    beacon_record_t  record;

    for ( ;; ) {
        rc = beacon_lane_pair(beacon_ring_lane(ring, lane), &tail, &slot);

        if (tail.offset == view->tail
            || tail.offset - bad->offset > view->size)
        {
            break;
        }

        view->tail = tail.offset;

        if (beacon_lane_resync(view, bad, &cursor->offset, &record)
            == BEACON_OK)
        {
            *lost = record.ordinal - cursor->ordinal;
            cursor->ordinal = record.ordinal;
            return;
        }
    }

    if (rc == BEACON_OK && tail.offset == view->tail
        && tail.ordinal - bad->ordinal
           <= (tail.offset - bad->offset) / BEACON_RECORD_MIN)
    {
        *lost = tail.ordinal - cursor->ordinal;
        cursor->ordinal = tail.ordinal;
    }
}

beacon_rc_t
beacon_lane_read(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *cursor, beacon_record_t *record, uint64_t *lost)
{
    uint64_t                     tail, reclaim;
    beacon_rc_t                  rc;
    beacon_cursor_t              bad;
    beacon_lane_view_t           view;
    const beacon_lane_header_t  *header;

    header = beacon_ring_lane(ring, lane);

    /* acquire: pairs with the commit, so the record's bytes are there */

    tail = atomic_load_explicit(&header->tail, memory_order_acquire);

    /*
     * Nobody reclaims behind a reader: reclaim <= cursor <= tail
     * <= reclaim + size.  Differences are right across 2^64.
     */

    reclaim = atomic_load_explicit(&header->reclaim, memory_order_relaxed);

    if (tail - reclaim > ring->lane_size
        || cursor->offset - reclaim > tail - reclaim
        || ((tail | reclaim | cursor->offset) & 7) != 0)
    {
        return BEACON_INVALID;
    }

    beacon_lane_view(ring, lane, tail, &view);
    bad = *cursor;

    rc = beacon_lane_next(&view, cursor, record, lost);

    if (__builtin_expect(rc == BEACON_CORRUPT, 0)
        && cursor->offset == view.tail)
    {
        beacon_lane_lost(ring, lane, &view, &bad, cursor, lost);
    }

    return rc;
}


/* Tail and reclaim, each with its ordinal. */

/* Tries: each fails only if a hit was committed in between. */
#define BEACON_PAIR_TRIES  1000

beacon_rc_t
beacon_lane_pair(const beacon_lane_header_t *lane, beacon_cursor_t *tail,
    uint32_t *slot)
{
    unsigned                tries;
    uint32_t                i;
    const beacon_commit_t  *commit;

    for (tries = 0; tries < BEACON_PAIR_TRIES; tries++) {

        tail->offset = atomic_load_explicit(&lane->tail, memory_order_acquire);

        for (i = 0; i < 2; i++) {
            commit = &lane->commit[i];

            /* acquire, twice: beacon_lane_commit() */

            if (atomic_load_explicit(&commit->tail, memory_order_acquire)
                != tail->offset)
            {
                continue;
            }

            tail->ordinal = atomic_load_explicit(&commit->ordinal,
                                                 memory_order_acquire);

            if (atomic_load_explicit(&commit->tail, memory_order_relaxed)
                == tail->offset)
            {
                *slot = i;
                return BEACON_OK;
            }
        }

        if (atomic_load_explicit(&lane->tail, memory_order_relaxed)
            == tail->offset)
        {
            break;              /* nobody is writing: the slots are wrong */
        }
    }

    *slot = 1;
    tail->ordinal = 0;

    return BEACON_CORRUPT;
}

/* The first record's word on reclaim's ordinal, if there is one. */
static void
beacon_lane_first(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
    beacon_cursor_t *cursor)
{
    uint64_t            position;
    beacon_record_t     record;
    beacon_lane_view_t  view;

    beacon_lane_view(ring, lane, tail, &view);
    position = cursor->offset;

    if (beacon_lane_at(&view, &position, &record) == BEACON_OK) {
        cursor->ordinal = record.ordinal;
    }
}

static int
beacon_lane_bounds(const beacon_ring_t *ring, uint64_t reclaim, uint64_t tail)
{
    return tail - reclaim <= ring->lane_size && ((tail | reclaim) & 7) == 0;
}

/*
 * What is at reclaim.  A helper that died between the stores of
 * reclaim_ordinal and reclaim left the first too large: the record that
 * stands there, or the tail if none does, knows better.
 */
static void
beacon_lane_start(const beacon_ring_t *ring, uint32_t lane,
    const beacon_cursor_t *tail, beacon_rc_t pair, beacon_cursor_t *cursor)
{
    const beacon_lane_header_t  *header;

    header = beacon_ring_lane(ring, lane);

    cursor->offset = atomic_load_explicit(&header->reclaim,
                                          memory_order_acquire);
    cursor->ordinal = atomic_load_explicit(&header->reclaim_ordinal,
                                           memory_order_relaxed);

    if (!beacon_lane_bounds(ring, cursor->offset, tail->offset)) {
        return;
    }

    if (cursor->offset != tail->offset) {
        beacon_lane_first(ring, lane, tail->offset, cursor);

    } else if (pair == BEACON_OK) {
        cursor->ordinal = tail->ordinal;
    }
}

void
beacon_lane_reclaimed(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *cursor)
{
    uint32_t         slot;
    beacon_rc_t      rc;
    beacon_cursor_t  tail;

    rc = beacon_lane_pair(beacon_ring_lane(ring, lane), &tail, &slot);

    beacon_lane_start(ring, lane, &tail, rc, cursor);
}

/*
 * The slots are the owner's to repair, with its next commit.  Until then the
 * records that are still there tell the ordinal.
 */
static void
beacon_lane_count(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *tail)
{
    uint64_t            lost;
    beacon_cursor_t     cursor;
    beacon_record_t     record;
    beacon_lane_view_t  view;

    beacon_lane_start(ring, lane, tail, BEACON_CORRUPT, &cursor);

    if (beacon_lane_bounds(ring, cursor.offset, tail->offset)) {

        beacon_lane_view(ring, lane, tail->offset, &view);

        while (beacon_lane_next(&view, &cursor, &record, &lost)
               != BEACON_AGAIN)
        {
            /* each step moves the cursor towards the tail */
        }
    }

    tail->ordinal = cursor.ordinal;
}

void
beacon_lane_last(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *tail, uint32_t *slot)
{
    if (beacon_lane_pair(beacon_ring_lane(ring, lane), tail, slot)
        != BEACON_OK)
    {
        beacon_lane_count(ring, lane, tail);
    }

    *slot ^= 1;
}

void
beacon_lane_tail(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *tail)
{
    uint32_t  slot;

    beacon_lane_last(ring, lane, tail, &slot);
}

beacon_rc_t
beacon_lane_reclaim(beacon_ring_t *ring, uint32_t lane,
    const beacon_cursor_t *cursor)
{
    uint64_t               tail, reclaim;
    beacon_lane_header_t  *header;

    header = beacon_ring_lane(ring, lane);

    tail = atomic_load_explicit(&header->tail, memory_order_acquire);
    reclaim = atomic_load_explicit(&header->reclaim, memory_order_relaxed);

    if (!beacon_lane_bounds(ring, reclaim, tail)
        || (cursor->offset & 7) != 0
        || cursor->offset - reclaim > tail - reclaim)
    {
        return BEACON_INVALID;
    }

    atomic_store_explicit(&header->reclaim_ordinal, cursor->ordinal,
                          memory_order_relaxed);

    /*
     * release: the reads of these bytes are done before the owner's acquire
     * load (beacon_lane_room()) lets it write there again
     */

    atomic_store_explicit(&header->reclaim, cursor->offset,
                          memory_order_release);

    return BEACON_OK;
}

beacon_rc_t
beacon_lane_punch(beacon_ring_t *ring, uint32_t lane)
{
    int                    n;
    uint64_t               tail, reclaim;
    beacon_rc_t            rc;
    beacon_lane_header_t  *header;

    rc = beacon_ring_lock(ring, lane);
    if (rc != BEACON_OK) {
        return rc;
    }

    header = beacon_ring_lane(ring, lane);

    tail = atomic_load_explicit(&header->tail, memory_order_acquire);
    reclaim = atomic_load_explicit(&header->reclaim, memory_order_relaxed);

    rc = BEACON_AGAIN;

    if (tail == reclaim) {

        do {
            n = fallocate(ring->fd, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE,
                          (off_t) (beacon_ring_lane_offset(ring, lane)
                                   + BEACON_PAGE),
                          (off_t) ring->lane_size);
        } while (n == -1 && errno == EINTR);

        rc = n == 0 ? BEACON_OK : BEACON_SYS;
    }

    beacon_ring_unlock(ring, lane);

    return rc;
}
