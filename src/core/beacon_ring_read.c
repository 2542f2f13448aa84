/*
 * The consumer's side of a lane.  Every byte is read as if a stranger had
 * written it: positions and lengths are checked against the sizes that attach
 * has checked, a header is loaded once, and a record counts only if its CRC
 * is right.
 */

#include "beacon_ring_internal.h"
#include "beacon_crc32c.h"

#include <string.h>

/* One record. */

/*
 * A record's header, loaded once: what is checked is what is used, even if
 * someone writes to it meanwhile.
 */
typedef struct {
    uint32_t  length;
    uint16_t  type;
    uint16_t  version;
    uint64_t  offset;
    uint64_t  ordinal;
    uint64_t  time_ns;
    uint32_t  schema;
    uint32_t  crc;
    uint32_t  payload_len;
} beacon_record_head_t;

static inline void
beacon_record_words(uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
    uint64_t w4, uint32_t payload_len, beacon_record_head_t *head)
{
    head->length = (uint32_t) (w0 >> BEACON_WORD_FIRST);
    head->type = (uint16_t) (w0 >> BEACON_WORD_TYPE);
    head->version = (uint16_t) (w0 >> BEACON_WORD_VERSION);
    head->offset = w1;
    head->ordinal = w2;
    head->time_ns = w3;
    head->schema = (uint32_t) (w4 >> BEACON_WORD_FIRST);
    head->crc = (uint32_t) (w4 >> BEACON_WORD_SECOND);
    head->payload_len = payload_len;
}

/* From a place in a lane: a multiple of 8. */
static inline void
beacon_record_load(const uint8_t *raw, beacon_record_head_t *head)
{
    const uint32_t  *payload_len;
    const uint64_t  *words;

    words = (const uint64_t *) (const void *) raw;
    payload_len = (const uint32_t *) (const void *) (words + 5);

    beacon_record_words(__atomic_load_n(&words[0], __ATOMIC_RELAXED),
                        __atomic_load_n(&words[1], __ATOMIC_RELAXED),
                        __atomic_load_n(&words[2], __ATOMIC_RELAXED),
                        __atomic_load_n(&words[3], __ATOMIC_RELAXED),
                        __atomic_load_n(&words[4], __ATOMIC_RELAXED),
                        __atomic_load_n(payload_len, __ATOMIC_RELAXED),
                        head);
}

/*
 * A HIT or GAP that stands at raw, with avail bytes from there on.  OK or
 * CORRUPT; the offset is the caller's to check.
 */
static inline beacon_rc_t
beacon_record_parse(const beacon_record_head_t *head, const uint8_t *raw,
    uint64_t avail, beacon_record_t *record)
{
    if (head->length > avail
        || head->length != beacon_record_length(head->payload_len)
        || (head->type != BEACON_RECORD_HIT
            && head->type != BEACON_RECORD_GAP))
    {
        return BEACON_CORRUPT;
    }

    record->type = head->type;
    record->version = head->version;
    record->schema = head->schema;
    record->offset = head->offset;
    record->ordinal = head->ordinal;
    record->time_ns = head->time_ns;
    record->length = head->length;
    record->payload.len = head->payload_len;
    record->payload.data = raw + BEACON_RECORD_HEADER;
    record->raw = raw;
    record->gap = 0;

    if (head->type == BEACON_RECORD_GAP) {

        if (head->payload_len != sizeof(record->gap)) {
            return BEACON_CORRUPT;
        }

        memcpy(&record->gap, record->payload.data, sizeof(record->gap));
    }

    return beacon_crc32c_record(raw, BEACON_RECORD_HEADER + head->payload_len)
           == head->crc ? BEACON_OK : BEACON_CORRUPT;
}

beacon_rc_t
beacon_record_check(const uint8_t *raw, size_t avail, beacon_record_t *record)
{
    uint64_t              words[BEACON_RECORD_MIN / 8];
    uint32_t              payload_len;
    beacon_record_head_t  head;

    if (avail < BEACON_RECORD_MIN) {
        return BEACON_CORRUPT;
    }

    memcpy(words, raw, sizeof(words));
    memcpy(&payload_len, &words[5], sizeof(payload_len));

    beacon_record_words(words[0], words[1], words[2], words[3], words[4],
                        payload_len, &head);

    return beacon_record_parse(&head, raw, avail, record);
}


/* One lane. */

/*
 * The record at *position, or the first behind a wrap; moves *position to
 * where it starts, not behind it.  AGAIN: the tail.  CORRUPT: not a record.
 */
static inline beacon_rc_t
beacon_lane_at(const uint8_t *bytes, uint64_t size, uint64_t tail,
    uint64_t *position, beacon_record_t *record)
{
    uint64_t               place, rest, left;
    beacon_record_head_t   head;

    for ( ;; ) {
        left = tail - *position;
        place = *position & (size - 1);
        rest = size - place;

        if (__builtin_expect(left < BEACON_RECORD_MIN
                             || rest < BEACON_RECORD_MIN, 0))
        {
            if (left == 0) {
                return BEACON_AGAIN;
            }

            if (rest >= BEACON_RECORD_MIN || rest > left) {
                return BEACON_CORRUPT;
            }

            *position += rest;
            continue;
        }

        beacon_record_load(bytes + place, &head);

        if (head.offset != *position) {
            return BEACON_CORRUPT;
        }

        if (__builtin_expect(head.type != BEACON_RECORD_PAD, 1)) {
            return beacon_record_parse(&head, bytes + place,
                                       rest < left ? rest : left, record);
        }

        if (head.length != rest || rest > left) {
            return BEACON_CORRUPT;
        }

        *position += rest;
    }
}

/*
 * The first good record from *position on, 8 bytes at a time, before tail;
 * "bad" is where the last good one ended.  As whoever sends requests can put
 * a whole record into a payload, its ordinal has to be possible too.  OK and
 * *position; AGAIN: none, *position is tail.
 */
static beacon_rc_t
beacon_lane_resync(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
    const beacon_cursor_t *bad, uint64_t *position, beacon_record_t *record)
{
    uint64_t               at, place, rest, left;
    const uint8_t         *bytes, *raw;
    beacon_record_head_t   head;

    bytes = beacon_ring_bytes(ring, lane);

    for (at = *position; (left = tail - at) >= BEACON_RECORD_MIN; at += 8) {

        place = at & (ring->lane_size - 1);
        rest = ring->lane_size - place;

        if (rest < BEACON_RECORD_MIN) {
            continue;
        }

        raw = bytes + place;

        if (__atomic_load_n((const uint64_t *) (const void *) (raw
                                + offsetof(beacon_record_header_t, offset)),
                            __ATOMIC_RELAXED)
            != at)
        {
            continue;
        }

        beacon_record_load(raw, &head);

        if (head.offset == at
            && head.ordinal - bad->ordinal
               <= (at - bad->offset) / BEACON_RECORD_MIN
            && beacon_record_parse(&head, raw, rest < left ? rest : left,
                                   record)
               == BEACON_OK)
        {
            *position = at;
            return BEACON_OK;
        }
    }

    *position = tail;

    return BEACON_AGAIN;
}

/*
 * Corruption reached the tail, so the ordinal that belongs to the tail tells
 * what was lost.  The lane may have grown meanwhile: then there is more to
 * look through, which ends as the cursor keeps the lane from growing by more
 * than its size.
 */
__attribute__((noinline, cold))
static void
beacon_lane_lost(const beacon_ring_t *ring, uint32_t lane,
    const beacon_cursor_t *bad, beacon_cursor_t *cursor, uint64_t *lost)
{
    uint32_t         slot;
    beacon_rc_t      rc;
    beacon_cursor_t  tail;
    beacon_record_t  record;

    for ( ;; ) {
        rc = beacon_lane_pair(beacon_ring_lane(ring, lane), &tail, &slot);

        /* a tail that went back is a stranger's: no distance to walk */

        if (tail.offset == cursor->offset
            || tail.offset - bad->offset > ring->lane_size
            || tail.offset - bad->offset < cursor->offset - bad->offset
            || (tail.offset & 7) != 0)
        {
            break;
        }

        if (beacon_lane_resync(ring, lane, tail.offset, bad, &cursor->offset,
                               &record)
            == BEACON_OK)
        {
            *lost = record.ordinal - cursor->ordinal;
            cursor->ordinal = record.ordinal;
            return;
        }
    }

    if (rc == BEACON_OK && tail.offset == cursor->offset
        && tail.ordinal - bad->ordinal
           <= (tail.offset - bad->offset) / BEACON_RECORD_MIN)
    {
        *lost = tail.ordinal - cursor->ordinal;
        cursor->ordinal = tail.ordinal;
    }
}

/*
 * A bad record at position, or a hole before a good one.  CORRUPT, and the
 * ordinals tell *lost.  lost NULL: tail may not be the lane's, so where
 * nothing good follows the cursor's ordinal stays as it was.
 */
__attribute__((noinline, cold))
static beacon_rc_t
beacon_lane_bad(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
    uint64_t position, beacon_rc_t rc, beacon_cursor_t *cursor,
    beacon_record_t *record, uint64_t *lost)
{
    beacon_cursor_t  bad;

    bad.offset = position;
    bad.ordinal = cursor->ordinal;

    if (lost != NULL) {
        *lost = 0;
    }

    if (rc == BEACON_CORRUPT) {
        rc = beacon_lane_resync(ring, lane, tail, &bad, &position, record);
    }

    cursor->offset = position;

    if (rc == BEACON_OK) {
        cursor->ordinal = record->ordinal;

        if (lost != NULL) {
            *lost = record->ordinal - bad.ordinal;
        }

    } else if (lost != NULL) {
        beacon_lane_lost(ring, lane, &bad, cursor, lost);
    }

    return BEACON_CORRUPT;
}

/* The next record, with resynchronization up to tail. */
static inline beacon_rc_t
beacon_lane_next(const beacon_ring_t *ring, uint32_t lane,
    const uint8_t *bytes, uint64_t tail, beacon_cursor_t *cursor,
    beacon_record_t *record, uint64_t *lost)
{
    uint64_t     position;
    beacon_rc_t  rc;

    position = cursor->offset;
    rc = beacon_lane_at(bytes, ring->lane_size, tail, &position, record);

    if (__builtin_expect(rc == BEACON_OK
                         && record->ordinal <= cursor->ordinal, 1))
    {
        /* smaller: a lane whose commit slots were once lost counts again */

        cursor->offset = position + record->length;
        cursor->ordinal = record->ordinal
                          + (record->type == BEACON_RECORD_HIT);
        return BEACON_OK;
    }

    if (rc == BEACON_AGAIN) {
        cursor->offset = position;
        return BEACON_AGAIN;
    }

    return beacon_lane_bad(ring, lane, tail, position, rc, cursor, record,
                           lost);
}

beacon_rc_t
beacon_lane_read(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *cursor, beacon_record_t *record, uint64_t *lost)
{
    uint64_t                     tail, reclaim;
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

    return beacon_lane_next(ring, lane,
                            (const uint8_t *) header + BEACON_PAGE, tail,
                            cursor, record, lost);
}


/* Without the lane's own tail. */

void
beacon_lane_peek(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
    beacon_cursor_t *cursor)
{
    uint64_t         position;
    beacon_record_t  record;

    position = cursor->offset;

    if (beacon_lane_at(beacon_ring_bytes(ring, lane), ring->lane_size, tail,
                       &position, &record)
        == BEACON_OK)
    {
        cursor->ordinal = record.ordinal;
    }
}

void
beacon_lane_walk(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
    beacon_cursor_t *cursor)
{
    beacon_record_t  record;

    while (beacon_lane_next(ring, lane, beacon_ring_bytes(ring, lane), tail,
                            cursor, &record, NULL)
           != BEACON_AGAIN)
    {
        /* each step moves the cursor towards the tail */
    }
}
