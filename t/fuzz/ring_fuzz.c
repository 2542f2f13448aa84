/*
 * The ring's reader, with bytes that no producer of ours wrote.  The first
 * byte of an input says what the rest is:
 *
 *     0    one record, for beacon_record_check()
 *     1    the control page of a file to attach
 *     2..  pokes into a lane of good records, { what, u16 where, bytes }:
 *          into the lane's header, or its bytes; what & 4 corrects the CRC of
 *          the record poked into, so that what comes behind it is reached
 */

#include "beacon_crc32c.h"
#include "beacon_ring.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE  BEACON_LANE_MIN
#define HITS  20

static char            dir[300];
static char            name[400];
static int             file;
static uint64_t        epoch;
static beacon_ring_t  *ring;
static uint8_t         whole[3 * BEACON_PAGE + SIZE];
static uint64_t        offsets[HITS];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(cond)                                                            \
    do {                                                                      \
        if (!(cond)) {                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);        \
            abort();                                                          \
        }                                                                     \
    } while (0)

static void
leave(void)
{
    (void) unlink(name);
    (void) rmdir(dir);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    int                      i;
    uint8_t                 *payload;
    beacon_producer_t        p;
    beacon_ring_geometry_t   geometry = {
        .lane_size = SIZE, .lanes = 1, .start = SIZE - 2000, .prefix = "p",
        .conf = "c", .uid = (uid_t) -1, .gid = (gid_t) -1
    };

    (void) argc;
    (void) argv;

    /* in the current directory, which is removed even after a crash */

    (void) snprintf(dir, sizeof(dir), "./beacon-test.XXXXXX");

    must(mkdtemp(dir) != NULL);
    must(beacon_ring_create(dir, &geometry, &epoch, NULL) == BEACON_OK);
    (void) snprintf(name, sizeof(name), "%s/ring.%016llx", dir,
                    (unsigned long long) epoch);
    (void) atexit(leave);

    file = open(name, O_RDWR);
    must(file != -1);
    must(beacon_ring_attach(dir, epoch, 1, &ring, NULL) == BEACON_OK);
    must(beacon_lane_claim(ring, &p) == BEACON_OK);

    for (i = 0; i < HITS; i++) {

        if (i == HITS / 2) {
            p.lane->drops += 3;
        }

        must(beacon_lane_reserve(&p, (size_t) i * 20, &payload) == BEACON_OK);
        memset(payload, i, (size_t) i * 20);
        offsets[i] = beacon_lane_commit(&p, 1, 1);
    }

    beacon_lane_release(&p);
    memcpy(whole, ring->map, sizeof(whole));

    return 0;
}

static void
in_map(const beacon_record_t *record)
{
    must(record->raw >= ring->map
         && record->payload.data + record->payload.len
            <= ring->map + sizeof(whole) - BEACON_PAGE);
    must(record->type == BEACON_RECORD_HIT
         || record->type == BEACON_RECORD_GAP);
}

/* All that worker and helper do with a lane. */
static void
use(void)
{
    int                steps;
    uint8_t           *payload;
    uint64_t           lost;
    beacon_rc_t        rc;
    beacon_cursor_t    cursor, tail;
    beacon_record_t    record;
    beacon_producer_t  p;

    beacon_lane_reclaimed(ring, 0, &cursor);
    beacon_lane_tail(ring, 0, &tail);

    for (steps = 0; steps < 5000; steps++) {
        rc = beacon_lane_read(ring, 0, &cursor, &record, &lost);

        if (rc == BEACON_OK) {
            in_map(&record);

        } else if (rc != BEACON_CORRUPT) {
            break;
        }
    }

    must(steps < 5000);
    must(rc == BEACON_INVALID || cursor.offset == tail.offset);

    if (beacon_lane_claim(ring, &p) == BEACON_OK) {

        for (steps = 0; steps < 3; steps++) {
            if (beacon_lane_reserve(&p, 5000, &payload) == BEACON_OK) {
                must(payload >= ring->map + 2 * BEACON_PAGE
                     && payload + 5000
                        <= ring->map + 2 * BEACON_PAGE + SIZE);
                memset(payload, 1, 5000);
                (void) beacon_lane_commit(&p, 1, 1);
            }
        }

        beacon_lane_release(&p);
    }

    (void) beacon_lane_reclaim(ring, 0, &cursor);
    beacon_lane_reclaimed(ring, 0, &cursor);
}

/* The CRC of the good record that the byte stands in. */
static void
seal(size_t where)
{
    int                      i;
    size_t                   at;
    uint8_t                 *record;
    beacon_record_header_t   header;

    for (i = HITS - 1; i >= 0; i--) {
        at = offsets[i] & (SIZE - 1);

        if (where - at < 1024) {
            record = ring->map + 2 * BEACON_PAGE + at;
            memcpy(&header, record, BEACON_RECORD_HEADER);

            if (header.payload_len <= SIZE - at - BEACON_RECORD_HEADER) {
                header.crc = beacon_crc32c_record(record,
                                  BEACON_RECORD_HEADER + header.payload_len);
                memcpy(record + 36, &header.crc, 4);
            }

            return;
        }
    }
}

static void
lane(const uint8_t *data, size_t size)
{
    size_t   where, len;
    uint8_t  what;

    while (size >= 4) {
        what = data[0];
        where = data[1] | (size_t) data[2] << 8;
        len = 1 + (size_t) (what >> 4);
        data += 3;
        size -= 3;

        if (len > size) {
            len = size;
        }

        if (what & 1) {
            where %= sizeof(beacon_lane_header_t);
            memcpy(ring->map + BEACON_PAGE + where, data, len);

        } else {
            /* most of the lane is empty: near the records */

            where = what & 2 ? (SIZE - 2000 + where % 7000) % SIZE : where;
            len = len > SIZE - where ? SIZE - where : len;
            memcpy(ring->map + 2 * BEACON_PAGE + where, data, len);

            if (what & 4) {
                seal(where);
            }
        }

        data += len;
        size -= len;
    }

    use();

    memcpy(ring->map, whole, sizeof(whole));
}

static void
record(const uint8_t *data, size_t size)
{
    uint8_t          *copy;
    beacon_record_t   r;

    copy = malloc(size + 64);
    must(copy != NULL);
    memcpy(copy, data, size);
    memset(copy + size, 0, 64);

    if (size >= BEACON_RECORD_HEADER) {
        uint32_t  len;

        /* half of the inputs get past the CRC */

        memcpy(&len, copy + 40, 4);

        if (data[0] & 1) {
            copy[0] &= 0xfe;

            if (len <= size - BEACON_RECORD_HEADER) {
                len = beacon_crc32c_record(copy, BEACON_RECORD_HEADER + len);
                memcpy(copy + 36, &len, 4);
            }
        }
    }

    if (beacon_record_check(copy, size, &r) == BEACON_OK) {
        must(r.length <= size && (r.length & 7) == 0
             && r.payload.len <= r.length - BEACON_RECORD_HEADER);
    }

    free(copy);
}

static void
control(const uint8_t *data, size_t size)
{
    beacon_ring_t  *other;

    if (size > sizeof(beacon_ring_control_t)) {
        size = sizeof(beacon_ring_control_t);
    }

    memcpy(ring->map, data, size);

    if (beacon_ring_attach(dir, epoch, 0, &other, NULL) == BEACON_OK) {
        must(other->map_size == sizeof(whole) && other->lanes == 1
             && other->lane_size == SIZE);
        beacon_ring_detach(other);
    }

    memcpy(ring->map, whole, BEACON_PAGE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }

    switch (data[0]) {

    case 0:
        record(data + 1, size - 1);
        break;

    case 1:
        control(data + 1, size - 1);
        break;

    default:
        lane(data + 1, size - 1);
    }

    return 0;
}
