/* Bytes that nobody of ours wrote. */

#include "beacon_crc32c.h"
#include "ring_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define HITS  40

static uint8_t  whole[BEACON_PAGE * 3 + SIZE];

/* HITS hits with a GAP among them and a PAD: the wrap is in the middle. */
static beacon_ring_t *
filled(beacon_cursor_t *start)
{
    uint64_t           n;
    beacon_ring_t     *ring;
    beacon_producer_t  p;

    ring = fresh(1, SIZE - 8000);
    beacon_lane_reclaimed(ring, 0, start);
    (void) beacon_lane_claim(ring, &p);

    for (n = 0; n < HITS; n++) {

        if (n == 9) {
            p.lane->drops += 2;
        }

        (void) push(&p, n);
    }

    beacon_lane_release(&p);
    memcpy(whole, ring->map, sizeof(whole));

    return ring;
}

typedef struct {
    uint64_t  hits;
    uint64_t  lost;
    uint64_t  corrupt;
    uint64_t  gaps;
    int       wrong;            /* something nobody wrote was believed */
    int       invalid;
} outcome_t;

static outcome_t
read_all(beacon_ring_t *ring, beacon_cursor_t cursor)
{
    int              i;
    uint64_t         lost;
    outcome_t        o;
    beacon_rc_t      rc;
    beacon_cursor_t  tail;
    beacon_record_t  record;

    memset(&o, 0, sizeof(o));

    for (i = 0; i < 10 * HITS; i++) {
        rc = beacon_lane_read(ring, 0, &cursor, &record, &lost);

        if (rc == BEACON_OK && record.type == BEACON_RECORD_HIT) {
            o.hits++;
            o.wrong += !is_hit(&record, record.ordinal);

        } else if (rc == BEACON_OK) {
            o.gaps += record.gap;

        } else if (rc == BEACON_CORRUPT) {
            o.corrupt++;
            o.lost += lost;

        } else {
            o.invalid = rc == BEACON_INVALID;
            break;
        }
    }

    beacon_lane_tail(ring, 0, &tail);
    o.wrong += i == 10 * HITS
               || (!o.invalid && cursor.offset != tail.offset);

    return o;
}

static void
every_byte(void)
{
    int               flip, bad, silent;
    size_t            at;
    uint8_t          *bytes;
    outcome_t         o;
    beacon_ring_t    *ring;
    beacon_cursor_t   start;

    static const uint8_t  flips[] = { 0xff, 0x01, 0x80 };

    ring = filled(&start);
    bytes = ring->map + 2 * BEACON_PAGE;
    o = read_all(ring, start);

    ok(o.hits == HITS && o.gaps == 2 && o.corrupt == 0 && o.wrong == 0,
       "the lane is right before it is corrupted");

    bad = 0;
    silent = 0;

    for (at = 0; at < SIZE; at++) {
        for (flip = 0; flip < 3; flip++) {
            bytes[at] ^= flips[flip];
            o = read_all(ring, start);
            bytes[at] ^= flips[flip];

            bad += o.wrong || o.invalid || o.hits + o.lost != HITS;
            bad += o.corrupt == 0 && (o.hits != HITS || o.gaps != 2);
            silent += o.corrupt == 0 && whole[2 * BEACON_PAGE + at] != 0;

            /* most of the lane is empty */

            if (at > HITS * 700 && at < SIZE - 8000) {
                break;
            }
        }
    }

    ok(bad == 0, "each byte of a lane, changed in three ways: nothing wrong "
       "is believed, and what is read and lost adds up");

    /* all but PAD's version: its other bytes are zeros, as is padding */

    ok(silent <= 3, "each change to a byte that was written is told");

    beacon_ring_detach(ring);
}

static void
stretches(void)
{
    int               i, bad;
    size_t            at, len, k;
    uint8_t          *bytes;
    outcome_t         o;
    beacon_ring_t    *ring;
    beacon_cursor_t   start;

    ring = filled(&start);
    bytes = ring->map + 2 * BEACON_PAGE;
    bad = 0;

    for (i = 0; i < 20000; i++) {
        at = (SIZE - 8000 + (size_t) rand() % 16000) % SIZE;
        len = (size_t) rand() % (1u << rand() % 14);

        for (k = 0; k < len; k++) {
            bytes[(at + k) % SIZE] = i % 2 ? (uint8_t) rand() : 0;
        }

        o = read_all(ring, start);
        bad += o.wrong || o.invalid || o.hits + o.lost != HITS;

        memcpy(ring->map, whole, sizeof(whole));
    }

    ok(bad == 0, "20,000 stretches of zeros or noise: read and lost add up");

    memset(bytes, 0, SIZE);
    o = read_all(ring, start);
    ok(o.hits == 0 && o.lost == HITS && o.corrupt == 1,
       "an emptied lane has lost all, in one step");

    beacon_ring_detach(ring);
}

/* Whatever stands in the lane header: no crash, and no loop without end. */
static void
lane_header(void)
{
    int                 i, bad;
    size_t              at;
    outcome_t           o;
    beacon_rc_t         rc;
    beacon_ring_t      *ring;
    beacon_cursor_t     start, cursor;
    beacon_producer_t   p;

    ring = filled(&start);
    bad = 0;

    for (at = 0; at < sizeof(beacon_lane_header_t); at++) {
        for (i = 0; i < 8; i++) {
            ring->map[BEACON_PAGE + at] ^= (uint8_t) (1 << i);

            o = read_all(ring, start);
            bad += o.hits > HITS;
            bad += o.hits != HITS && !o.invalid && o.corrupt == 0
                   && at / 64 != 1;
            beacon_lane_reclaimed(ring, 0, &cursor);
            (void) read_all(ring, cursor);

            rc = beacon_lane_claim(ring, &p);

            if (rc == BEACON_OK) {
                (void) push(&p, p.ordinal);
                (void) push(&p, p.ordinal);
                beacon_lane_release(&p);
            }

            bad += rc != BEACON_OK && rc != BEACON_AGAIN;
            (void) beacon_lane_reclaim(ring, 0, &cursor);
            (void) beacon_lane_punch(ring, 0);

            memcpy(ring->map, whole, sizeof(whole));
        }
    }

    ok(bad == 0, "each bit of the lane header flipped: no crash");

    for (i = 0, bad = 0; i < 20000; i++) {
        for (at = 0; at < sizeof(beacon_lane_header_t); at++) {
            if (rand() % 4 == 0) {
                ring->map[BEACON_PAGE + at] = (uint8_t) rand();
            }
        }

        (void) read_all(ring, start);

        if (beacon_lane_claim(ring, &p) == BEACON_OK) {
            bad += p.lane->size != SIZE || p.lane->mask != SIZE - 1
                   || (p.tail & 7) != 0
                   || p.tail - atomic_load(&p.lane->reclaim) > SIZE;
            beacon_lane_release(&p);
        }

        memcpy(ring->map, whole, sizeof(whole));
    }

    ok(bad == 0, "a lane with noise in its header is claimed only if the "
       "header is possible");

    beacon_ring_detach(ring);
}

static void
slots(void)
{
    uint64_t               lost;
    beacon_rc_t            rc;
    beacon_ring_t         *ring;
    beacon_cursor_t        start, cursor, tail;
    beacon_record_t        record;
    beacon_producer_t      p;
    beacon_lane_header_t  *lane;

    ring = filled(&start);
    lane = beacon_ring_lane(ring, 0);

    lane->commit[0].tail ^= 64;
    lane->commit[1].tail ^= 64;
    lane->commit[0].ordinal = 1;
    lane->commit[1].ordinal = UINT64_MAX;

    beacon_lane_tail(ring, 0, &tail);
    ok(tail.ordinal == HITS, "with both commit slots lost the records tell "
       "the ordinal");

    ok(beacon_lane_claim(ring, &p) == BEACON_OK && p.ordinal == HITS
       && push(&p, HITS) == BEACON_OK, "the next owner counts on from there");
    ok(read_all(ring, start).hits == HITS + 1
       && (beacon_lane_tail(ring, 0, &tail), tail.ordinal == HITS + 1),
       "and repairs the slots");

    /* a helper gave back three hits, and died before it said so */

    cursor = start;
    (void) beacon_lane_read(ring, 0, &cursor, &record, &lost);
    (void) beacon_lane_read(ring, 0, &cursor, &record, &lost);
    (void) beacon_lane_reclaim(ring, 0, &cursor);
    lane->reclaim_ordinal = 5;
    beacon_lane_reclaimed(ring, 0, &cursor);
    ok(cursor.ordinal == 2, "the first record knows the ordinal better than "
       "a helper that died while it gave space back");

    do {
        rc = beacon_lane_read(ring, 0, &cursor, &record, &lost);
    } while (rc == BEACON_OK);

    (void) beacon_lane_reclaim(ring, 0, &cursor);
    lane->reclaim_ordinal = 99;
    beacon_lane_reclaimed(ring, 0, &cursor);
    ok(cursor.ordinal == HITS + 1, "and so does the tail of an empty lane");

    cursor.offset = start.offset;
    ok(beacon_lane_read(ring, 0, &cursor, &record, &lost) == BEACON_INVALID
       && beacon_lane_reclaim(ring, 0, &cursor) == BEACON_INVALID,
       "a cursor before reclaim is refused");
    cursor.offset = p.tail + 8;
    ok(beacon_lane_read(ring, 0, &cursor, &record, &lost) == BEACON_INVALID
       && beacon_lane_reclaim(ring, 0, &cursor) == BEACON_INVALID,
       "so is one behind the tail");
    cursor.offset = p.tail - 4;
    ok(beacon_lane_reclaim(ring, 0, &cursor) == BEACON_INVALID,
       "and one that is no multiple of 8");

    lane->reclaim = p.tail + 8;
    p.cached_reclaim = p.tail - SIZE;
    ok(push(&p, 1) == BEACON_FULL, "reclaim before the tail counts as full");
    lane->reclaim = p.tail - SIZE - 8;
    ok(push(&p, 1) == BEACON_FULL, "reclaim too far behind it too");

    beacon_lane_release(&p);
    beacon_ring_detach(ring);
}

/* What a header says against what is there, with nothing else wrong. */
static void
contradictions(void)
{
    uint8_t                  raw[128];
    uint64_t                 lost;
    beacon_ring_t           *ring;
    beacon_cursor_t          start, cursor;
    beacon_record_t          record;
    beacon_lane_header_t    *lane;
    beacon_record_header_t   header;

    memset(raw, 0, sizeof(raw));
    memset(&header, 0, sizeof(header));
    header.length = BEACON_RECORD_HEADER + 4;
    header.type = BEACON_RECORD_GAP;
    header.version = BEACON_RECORD_VERSION;
    header.payload_len = 4;
    memcpy(raw, &header, BEACON_RECORD_HEADER);
    header.crc = beacon_crc32c_record(raw, BEACON_RECORD_HEADER + 4);
    memcpy(raw, &header, BEACON_RECORD_HEADER);
    ok(beacon_record_check(raw, header.length, &record) == BEACON_CORRUPT,
       "a GAP whose payload is no u64 is none");

    ring = fresh(1, SIZE - 4096);
    lane = beacon_ring_lane(ring, 0);
    beacon_lane_reclaimed(ring, 0, &start);
    memset(&header, 0, sizeof(header));
    header.length = 4096;
    header.type = BEACON_RECORD_PAD;
    header.offset = SIZE - 4096;
    memcpy(ring->map + 2 * BEACON_PAGE + SIZE - 4096, &header,
           BEACON_RECORD_HEADER);
    lane->tail = SIZE - 4000;
    cursor = start;
    ok(beacon_lane_read(ring, 0, &cursor, &record, &lost) == BEACON_CORRUPT
       && cursor.offset == lane->tail, "a PAD does not lead beyond the tail");
    beacon_ring_detach(ring);

    ring = fresh(1, SIZE - 40);
    lane = beacon_ring_lane(ring, 0);
    beacon_lane_reclaimed(ring, 0, &cursor);
    lane->tail = SIZE - 32;
    ok(beacon_lane_read(ring, 0, &cursor, &record, &lost) == BEACON_CORRUPT
       && cursor.offset == lane->tail, "nor does the end of a lap");
    beacon_ring_detach(ring);

    ring = filled(&start);
    lane = beacon_ring_lane(ring, 0);
    memset(ring->map + 2 * BEACON_PAGE, 0, SIZE);
    lane->commit[0].ordinal = 1000000;
    lane->commit[1].ordinal = 1000000;
    cursor = start;
    ok(beacon_lane_read(ring, 0, &cursor, &record, &lost) == BEACON_CORRUPT
       && lost == 0 && cursor.ordinal == start.ordinal,
       "a lane does not lose more hits than it has room for");
    beacon_ring_detach(ring);
}

/* A stranger at the tail, while the reader walks over what is corrupt. */

static pid_t
flip(beacon_lane_header_t *lane, uint64_t back)
{
    volatile int  i;
    pid_t         pid;
    uint64_t      tail;

    tail = atomic_load(&lane->tail);
    pid = fork();

    if (pid != 0) {
        return pid;
    }

    (void) alarm(90);           /* should its parent not come to kill it */

    for ( ;; ) {
        atomic_store(&lane->tail, tail - back);
        for (i = 0; i < 1000; i++) { /* void */ }
        atomic_store(&lane->tail, tail);
        for (i = 0; i < 1000; i++) { /* void */ }
    }
}

static void
backwards(void)
{
    int               i, k, bad;
    pid_t             pid;
    uint64_t          lost;
    beacon_ring_t    *ring;
    beacon_cursor_t   start, cursor;
    beacon_record_t   record;

    static const uint64_t  back[] = { 4096, 4 };

    (void) fflush(stdout);

    for (k = 0, bad = 0; k < 2; k++) {
        ring = filled(&start);
        memset(ring->map + 2 * BEACON_PAGE, 0, SIZE);
        pid = flip(beacon_ring_lane(ring, 0), back[k]);
        (void) alarm(60);

        for (i = 0; i < 1000; i++) {
            cursor = start;
            (void) beacon_lane_read(ring, 0, &cursor, &record, &lost);
            bad += (cursor.offset & 7) != 0;
        }

        (void) alarm(0);
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
        beacon_ring_detach(ring);
    }

    ok(bad == 0, "a tail that goes back while corrupt bytes are skipped does "
       "not hold the reader");
}

/* A record within a payload, with right offset and CRC. */
static void
forged(void)
{
    int                      i, bad;
    uint8_t                 *payload, *inner;
    uint64_t                 lost, ordinal;
    beacon_ring_t           *ring;
    beacon_cursor_t          cursor;
    beacon_record_t          record;
    beacon_producer_t        p;
    beacon_record_header_t   header;

    for (i = 0, bad = 0; i < 3; i++) {
        ordinal = i == 0 ? 1000 : i == 1 ? UINT64_MAX : 0;
        ring = fresh(1, 0);
        (void) beacon_lane_claim(ring, &p);
        beacon_lane_reclaimed(ring, 0, &cursor);
        (void) push(&p, 0);

        (void) beacon_lane_reserve(&p, 500, &payload);
        inner = payload - BEACON_RECORD_HEADER + 64;
        memset(payload, 'x', 500);
        memset(&header, 0, sizeof(header));
        header.length = 48;
        header.type = BEACON_RECORD_HIT;
        header.version = BEACON_RECORD_VERSION;
        header.offset = p.reserved + 64;
        header.ordinal = ordinal;
        memcpy(inner, &header, BEACON_RECORD_HEADER);
        header.crc = beacon_crc32c_record(inner, BEACON_RECORD_HEADER);
        memcpy(inner, &header, BEACON_RECORD_HEADER);
        bad += beacon_record_check(inner, 48, &record) != BEACON_OK;
        (void) beacon_lane_commit(&p, 1, 1);
        (void) push(&p, 2);

        payload[3] ^= 1;

        bad += beacon_lane_read(ring, 0, &cursor, &record, &lost) != BEACON_OK;
        bad += beacon_lane_read(ring, 0, &cursor, &record, &lost)
               != BEACON_CORRUPT || lost != 1;
        bad += beacon_lane_read(ring, 0, &cursor, &record, &lost) != BEACON_OK
               || !is_hit(&record, 2);

        beacon_lane_release(&p);
        beacon_ring_detach(ring);
    }

    ok(bad == 0, "a record inside a corrupt one's payload is not taken for "
       "one, if its ordinal cannot be");
}

static void
records(void)
{
    int               bad;
    size_t            at, avail;
    uint8_t           raw[2048], copy[2048];
    uint32_t          length, crc;
    uint64_t          lost;
    beacon_ring_t    *ring;
    beacon_cursor_t   start;
    beacon_record_t   record;

    ring = filled(&start);
    (void) beacon_lane_read(ring, 0, &start, &record, &lost);
    (void) beacon_lane_read(ring, 0, &start, &record, &lost);
    length = record.length;

    /* one byte off, as a spool may hold it */

    memset(raw, 0, sizeof(raw));
    memcpy(raw + 1, record.raw, length);

    ok(beacon_record_check(raw + 1, length, &record) == BEACON_OK
       && is_hit(&record, 1) && record.raw == raw + 1
       && record.payload.data == raw + 1 + BEACON_RECORD_HEADER,
       "a copied record is checked where it stands");

    for (bad = 0, avail = 0; avail < length; avail++) {
        bad += beacon_record_check(raw + 1, avail, &record)
               != BEACON_CORRUPT;
    }

    ok(bad == 0, "not if it is longer than what is there");

    for (bad = 0, at = 8; at < BEACON_RECORD_HEADER + hit_len(1); at++) {
        memcpy(copy, raw, sizeof(raw));
        copy[1 + at] ^= 0x10;
        bad += beacon_record_check(copy + 1, length, &record)
               != BEACON_CORRUPT;
    }

    ok(bad == 0, "not if a byte was changed");

    /* a payload of a version to come */

    memcpy(copy, raw + 1, length);
    copy[6] = 9;
    memset(copy + 36, 0, 4);
    crc = beacon_crc32c_record(copy, BEACON_RECORD_HEADER + hit_len(1));
    memcpy(copy + 36, &crc, 4);
    ok(beacon_record_check(copy, length, &record) == BEACON_OK
       && record.version == 9, "one of another payload version is the "
       "caller's to judge");

    beacon_ring_detach(ring);
}

static beacon_rc_t
try_attach(void)
{
    beacon_rc_t     rc;
    beacon_ring_t  *ring;

    rc = beacon_ring_attach(dir, epoch, 0, &ring, &err);

    if (rc == BEACON_OK) {
        beacon_ring_detach(ring);
    }

    return rc;
}

static void
files(void)
{
    int               fd, bad;
    char              name[300];
    off_t             size;
    uint8_t           byte, other;
    uint32_t          layout;
    beacon_rc_t       rc;
    beacon_cursor_t   start;

    beacon_ring_detach(filled(&start));

    (void) snprintf(name, sizeof(name), "%s/ring.%016llx", dir,
                    (unsigned long long) epoch);
    fd = open(name, O_RDWR);

    for (bad = 0, size = 0; size < 56; size++) {
        (void) !pread(fd, &byte, 1, size);
        other = byte ^ 0x10;
        (void) !pwrite(fd, &other, 1, size);
        rc = try_attach();
        bad += rc != BEACON_CORRUPT
               && !(rc == BEACON_INVALID && size >= 8 && size < 12)
               && !(rc == BEACON_OK && size >= 48);
        (void) !pwrite(fd, &byte, 1, size);
    }

    ok(bad == 0 && try_attach() == BEACON_OK,
       "a control page with a changed byte is refused");

    layout = BEACON_LAYOUT + 1;
    (void) !pwrite(fd, &layout, 4, offsetof(beacon_ring_control_t, layout));
    ok(try_attach() == BEACON_INVALID && strstr(err.text, "layout 3"),
       "a layout to come is not read, and it is said which");
    layout = BEACON_LAYOUT - 1;
    (void) !pwrite(fd, &layout, 4, offsetof(beacon_ring_control_t, layout));
    ok(try_attach() == BEACON_OK, "the one before is");
    layout = BEACON_LAYOUT - 2;
    (void) !pwrite(fd, &layout, 4, offsetof(beacon_ring_control_t, layout));
    ok(try_attach() == BEACON_INVALID, "the one before that is not");
    layout = BEACON_LAYOUT;
    (void) !pwrite(fd, &layout, 4, offsetof(beacon_ring_control_t, layout));

    (void) !ftruncate(fd, (off_t) sizeof(whole) + 1);
    ok(try_attach() == BEACON_CORRUPT, "a file that grew is refused");

    for (bad = 0, size = (off_t) sizeof(whole) - 1; size >= 0; size -= 1023) {
        (void) !ftruncate(fd, size);
        bad += try_attach() != BEACON_CORRUPT;
    }

    (void) !ftruncate(fd, 0);
    ok(bad == 0 && try_attach() == BEACON_CORRUPT,
       "so is one that was truncated, at any length");

    (void) close(fd);
    (void) unlink(name);
    ok(try_attach() == BEACON_SYS, "one that is not there is an error of the "
       "system");
    ok(symlink("/etc/passwd", name) == 0 && try_attach() == BEACON_SYS,
       "a symbolic link is not followed");
    (void) unlink(name);
    ok(mkfifo(name, 0600) == 0 && try_attach() == BEACON_CORRUPT,
       "a FIFO is refused, without waiting for it");
    (void) unlink(name);
}

int
main(int argc, char **argv)
{
    unsigned  seed;

    seed = argc > 1 ? (unsigned) atoi(argv[1]) : 1;
    printf("# seed %u\n", seed);
    srand(seed);

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    every_byte();
    stretches();
    lane_header();
    slots();
    contradictions();
    backwards();
    forged();
    records();
    files();
    clean();

    return done_testing();
}
