/*
 * The consumer's side of a lane.  Every byte is read as if a stranger had
 * written it: positions and lengths are checked against the sizes that attach
 * has checked, a header is loaded once, and a record counts only if its CRC
 * is right.
 */

#include "beacon_ring_internal.h"
#include "beacon_crc32c.h"

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


/* Without the lane's own tail. */

void
beacon_lane_peek(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
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

void
beacon_lane_walk(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
    beacon_cursor_t *cursor)
{
    uint64_t            lost;
    beacon_record_t     record;
    beacon_lane_view_t  view;

    beacon_lane_view(ring, lane, tail, &view);

    while (beacon_lane_next(&view, cursor, &record, &lost) != BEACON_AGAIN) {
        /* each step moves the cursor towards the tail */
    }
}
