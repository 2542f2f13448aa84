#include "ring_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#if defined(__SANITIZE_THREAD__)
#define MESSAGES  200000
#elif defined(__SANITIZE_ADDRESS__)
#define MESSAGES  2000000
#else
#define MESSAGES  10000000
#endif

#define THREADS  3

static int
is_foreign(const char *text)
{
    return strstr(text, "/opt/other") != NULL
           && strstr(text, "/opt/other.conf") != NULL;
}

static void
files(void)
{
    char                    name[300];
    uint64_t                found, second;
    struct stat             st;
    beacon_ring_t          *ring;
    beacon_ring_geometry_t  g, other;

    g = geometry(3, 0);

    ok(beacon_ring_find(dir, &g, &found, &err) == BEACON_AGAIN,
       "an empty directory holds no ring");
    ok(beacon_ring_find("/nowhere", &g, &found, &err) == BEACON_SYS,
       "a missing directory is an error of the system");

    ring = fresh(3, 0);

    (void) snprintf(name, sizeof(name), "%s/ring.%016llx", dir,
                    (unsigned long long) epoch);

    ok(stat(name, &st) == 0 && (st.st_mode & 07777) == 0600
       && st.st_blocks * 512 == 5 * BEACON_PAGE,
       "a new ring has mode 0600 and takes its five pages of headers");
    ok(beacon_ring_find(dir, &g, &found, &err) == BEACON_OK
       && found == epoch, "a ring of the same geometry and owner is found");
    ok(strcmp(ring->control->owner, g.prefix) == 0
       && strcmp(ring->control->owner + strlen(g.prefix) + 1, g.conf) == 0,
       "the control page says whose it is");

    other = g;
    other.lanes = 4;
    ok(beacon_ring_find(dir, &other, &found, &err) == BEACON_AGAIN,
       "one of another geometry is not");

    (void) beacon_ring_create(dir, &g, &second, &err);
    ok(beacon_ring_find(dir, &g, &found, &err) == BEACON_OK
       && found == second, "of several the newest is taken");

    ok(beacon_ring_set_aside(dir, second) == BEACON_OK
       && beacon_ring_find(dir, &g, &found, &err) == BEACON_OK
       && found == epoch, "one that was set aside is not found");

    other = g;
    other.lane_size = 3 * SIZE;
    ok(beacon_ring_create(dir, &other, &second, &err) == BEACON_INVALID
       && err.text[0] != '\0', "a size that is no power of two is refused");
    other.lane_size = SIZE / 2;
    ok(beacon_ring_create(dir, &other, &second, &err) == BEACON_INVALID,
       "so is a lane that is too small");

    beacon_ring_detach(ring);
}

static void
count(void *data, uint64_t e)
{
    (void) e;
    ++*(int *) data;
}

static void
foreign(void)
{
    int                     fd, n, fds[2];
    char                    name[300], c;
    pid_t                   pid;
    uint64_t                found, theirs;
    beacon_ring_t          *ring;
    beacon_producer_t       p;
    beacon_ring_geometry_t  g, other;

    g = geometry(3, 0);
    other = g;
    other.prefix = "/opt/other";
    other.conf = "/opt/other.conf";

    n = 0;
    ok(beacon_ring_scan(dir, count, &n) == BEACON_OK && n == 1,
       "a scan finds rings and nothing else");

    ok(beacon_ring_create(dir, &other, &theirs, &err) == BEACON_OK
       && beacon_ring_find(dir, &g, &found, &err) == BEACON_OK,
       "another's ring that nobody uses is in nobody's way");

    ring = attach(theirs);
    (void) beacon_lane_claim(ring, &p);
    ok(beacon_ring_find(dir, &g, &found, &err) == BEACON_FULL
       && is_foreign(err.text),
       "another's ring with an owned lane is in use, and it is said whose");
    beacon_lane_release(&p);
    beacon_ring_detach(ring);

    (void) snprintf(name, sizeof(name), "%s/beacond.lock", dir);
    fd = open(name, O_RDWR | O_CREAT, 0600);
    ok(pipe(fds) == 0, "a pipe");
    pid = fork();

    if (pid == 0) {
        struct flock  lock = { .l_type = F_WRLCK, .l_len = 1 };

        fd = open(name, O_RDWR);
        c = fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 'y' : 'n';
        (void) !write(fds[1], &c, 1);
        (void) pause();
        _exit(0);
    }

    ok(read(fds[0], &c, 1) == 1 && c == 'y'
       && beacon_ring_find(dir, &g, &found, &err) == BEACON_OK,
       "a helper beside a ring of ours is ours");

    (void) beacon_ring_set_aside(dir, epoch);
    ok(beacon_ring_find(dir, &g, &found, &err) == BEACON_FULL
       && is_foreign(err.text), "a helper beside another's ring alone is its");

    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
    (void) close(fd);
    (void) close(fds[0]);
    (void) close(fds[1]);
    (void) unlink(name);

    ok(beacon_ring_find(dir, &g, &found, &err) == BEACON_AGAIN,
       "when it has gone, the directory is free");
    (void) beacon_ring_set_aside(dir, theirs);
}

static uid_t
owner(const char *name)
{
    char         path[300];
    struct stat  st;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);

    return lstat(path, &st) == 0 ? st.st_uid : (uid_t) -1;
}

static void
plant(const char *name, uid_t uid)
{
    int   fd;
    char  path[300];

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    (void) !fchown(fd, uid, (gid_t) -1);
    (void) close(fd);
}

/* After "user" has changed in nginx.conf. */
static void
given(void)
{
    char                    name[300], more[300];
    uint64_t                e;
    beacon_ring_geometry_t  g;

    if (geteuid() != 0) {
        ok(1, "files are not given to another user # SKIP: not root");
        return;
    }

    g = geometry(1, 0);
    g.uid = 1001;
    g.gid = 1001;

    (void) beacon_ring_create(dir, &g, &e, &err);
    plant("log.checkpoint", 1001);
    plant("roots", 0);
    plant("linked", 1003);
    (void) snprintf(name, sizeof(name), "%s/schemas", dir);
    (void) mkdir(name, 0700);
    plant("schemas/00000001.json", 1001);
    (void) snprintf(name, sizeof(name), "%s/linked", dir);
    (void) snprintf(more, sizeof(more), "%s/again", dir);
    (void) !link(name, more);
    (void) snprintf(more, sizeof(more), "%s/symbolic", dir);
    (void) !symlink("/etc/passwd", more);

    ok(beacon_ring_give(dir, 1002, 1002, &err) == BEACON_OK,
       "files are given to another worker user");
    (void) snprintf(name, sizeof(name), "ring.%016llx",
                    (unsigned long long) e);
    ok(owner(name) == 1002 && owner("log.checkpoint") == 1002
       && owner("schemas/00000001.json") == 1002,
       "all that the last one had, schemas too");
    ok(owner("roots") == 0 && owner("linked") == 1003
       && owner("symbolic") == 0 && owner("/../../../etc/passwd") == 0,
       "but not what is root's, or has another name elsewhere");
    ok(beacon_ring_give("/nowhere", 1002, 1002, &err) == BEACON_SYS
       && strstr(err.text, "/nowhere"), "a missing directory is an error");

    (void) snprintf(more, sizeof(more), "rm -rf %s/*", dir);
    ok(system(more) == 0, "the directory is empty");
}

static void
full(uint64_t start)
{
    int                i, bad;
    uint8_t           *payload;
    uint64_t           n, next, lost, gap, used;
    beacon_rc_t        rc;
    beacon_ring_t     *ring;
    beacon_cursor_t    cursor;
    beacon_record_t    record;
    beacon_producer_t  p;

    ring = fresh(1, start);
    (void) beacon_lane_claim(ring, &p);
    beacon_lane_reclaimed(ring, 0, &cursor);

    ok(cursor.offset == start && cursor.ordinal == 0,
       "a lane starts at %llx", (unsigned long long) start);

    bad = 0;
    next = 0;

    for (i = 0, n = 0; i < 50; i++) {

        while (push(&p, n) == BEACON_OK) {
            n++;
        }

        used = p.tail - cursor.offset;
        bad += used > SIZE || used < SIZE - 2000;

        for (gap = 1; gap < 5; gap++) {
            bad += push(&p, n) != BEACON_FULL;
        }

        /* gives back all that was read: half of it, to be at odd places */

        while (next < n && (i % 2 || cursor.offset - p.cached_reclaim
                                     < SIZE / 2))
        {
            rc = beacon_lane_read(ring, 0, &cursor, &record, &lost);

            if (rc == BEACON_OK && record.type == BEACON_RECORD_GAP) {
                bad += record.gap != 5;
                continue;
            }

            bad += rc != BEACON_OK || record.ordinal != next
                   || !is_hit(&record, next);
            next++;
        }

        bad += beacon_lane_reclaim(ring, 0, &cursor) != BEACON_OK;
    }

    ok(bad == 0, "a full lane refuses, counts, tells the gap and goes on");

    while ((rc = beacon_lane_read(ring, 0, &cursor, &record, &lost))
           == BEACON_OK)
    {
        next += record.type == BEACON_RECORD_HIT;
    }

    ok(rc == BEACON_AGAIN && next == n && cursor.offset == p.tail
       && cursor.ordinal == n, "and every accepted hit is there");

    ok(beacon_lane_reserve(&p, SIZE / 8 - BEACON_RECORD_HEADER + 1, &payload)
       == BEACON_INVALID
       && beacon_lane_reserve(&p, SIZE_MAX, &payload) == BEACON_INVALID,
       "more than an eighth of a lane is refused as too large");
    ok(beacon_lane_reserve(&p, SIZE / 8 - BEACON_RECORD_HEADER, &payload)
       == BEACON_OK, "an eighth is not");

    beacon_lane_release(&p);
    beacon_ring_detach(ring);
}

/* Each distance to the wrap, with and without a GAP before the record. */
static void
wraps(void)
{
    int                gap, bad;
    uint64_t           rest, lost, at;
    beacon_ring_t     *ring;
    beacon_cursor_t    cursor;
    beacon_record_t    record;
    beacon_producer_t  p;

    bad = 0;

    for (gap = 0; gap < 2; gap++) {
        for (rest = 0; rest <= 1000; rest += 8) {
            ring = fresh(1, SIZE - rest);
            (void) beacon_lane_claim(ring, &p);
            beacon_lane_reclaimed(ring, 0, &cursor);

            if (gap) {
                p.lane->drops = 3;
            }

            bad += push(&p, 5) != BEACON_OK || push(&p, 6) != BEACON_OK;

            if (gap) {
                bad += beacon_lane_read(ring, 0, &cursor, &record, &lost)
                       != BEACON_OK || record.type != BEACON_RECORD_GAP
                       || record.gap != 3 || record.ordinal != 0;
            }

            bad += beacon_lane_read(ring, 0, &cursor, &record, &lost)
                   != BEACON_OK || !is_hit(&record, 5) || record.ordinal != 0;
            at = record.offset & (SIZE - 1);
            bad += at + record.length > SIZE;
            bad += beacon_lane_read(ring, 0, &cursor, &record, &lost)
                   != BEACON_OK || !is_hit(&record, 6) || record.ordinal != 1;
            bad += beacon_lane_read(ring, 0, &cursor, &record, &lost)
                   != BEACON_AGAIN || cursor.offset != p.tail;
            bad += beacon_lane_reclaim(ring, 0, &cursor) != BEACON_OK;

            beacon_lane_release(&p);
            beacon_ring_detach(ring);
        }
    }

    ok(bad == 0, "no record straddles the wrap, wherever it is met");
}

static void
claims(void)
{
    int                i, status, bad, fds[2];
    char               c, name[300];
    pid_t              pids[5];
    uint64_t           lost;
    beacon_ring_t     *ring, *second;
    beacon_cursor_t    cursor;
    beacon_record_t    record;
    beacon_producer_t  p, q;

    ring = fresh(2, 0);
    second = attach(epoch);

    ok(beacon_lane_claim(ring, &p) == BEACON_OK && p.index == 0
       && beacon_lane_claim(ring, &q) == BEACON_OK && q.index == 1,
       "one mapping can claim two lanes, but none twice");
    ok(beacon_lane_owned(ring, 0) && beacon_lane_owned(second, 0)
       && p.lane->owner == (uint32_t) getpid(),
       "both mappings see that it is owned");
    ok(beacon_lane_claim(second, &(beacon_producer_t) { 0 }) == BEACON_AGAIN,
       "when all are owned there is none to claim");
    ok(beacon_lane_punch(ring, 0) == BEACON_AGAIN
       && beacon_lane_punch(second, 0) == BEACON_AGAIN,
       "an owned lane is not punched, by whatever mapping");

    (void) push(&p, 0);
    (void) push(&p, 1);
    beacon_lane_release(&p);
    beacon_lane_release(&p);
    ok(p.ring == NULL && !beacon_lane_owned(second, 0)
       && beacon_lane_owned(second, 1), "a released lane is free, only that");

    ok(beacon_lane_claim(second, &p) == BEACON_OK && p.index == 0
       && p.ordinal == 2 && p.lane->claims == 2,
       "the next owner goes on at its tail");
    (void) push(&p, 2);
    beacon_ring_detach(second);
    ok(!beacon_lane_owned(ring, 0), "detaching gives the lanes back");

    ok(beacon_lane_punch(ring, 0) == BEACON_AGAIN,
       "a lane that is not drained is not punched");
    beacon_lane_reclaimed(ring, 0, &cursor);
    for (i = 0, bad = 0; i < 3; i++) {
        bad += beacon_lane_read(ring, 0, &cursor, &record, &lost) != BEACON_OK
               || !is_hit(&record, (uint64_t) i);
    }
    ok(bad == 0 && beacon_lane_reclaim(ring, 0, &cursor) == BEACON_OK
       && beacon_lane_punch(ring, 0) == BEACON_OK
       && ring->map[2 * BEACON_PAGE] == 0,
       "a drained one is, and its space is given back");
    ok(beacon_lane_claim(ring, &p) == BEACON_OK && push(&p, 3) == BEACON_OK
       && beacon_lane_read(ring, 0, &cursor, &record, &lost) == BEACON_OK
       && is_hit(&record, 3) && record.ordinal == 3,
       "and the next owner goes on there too");

    beacon_lane_release(&p);
    beacon_lane_release(&q);
    beacon_ring_detach(ring);

    ring = fresh(2, 0);
    (void) snprintf(name, sizeof(name), "%s/ring.%016llx", dir,
                    (unsigned long long) epoch);
    ok(unlink(name) == 0 && beacon_lane_claim(ring, &p) == BEACON_AGAIN
       && !beacon_lane_owned(ring, 0),
       "a ring that was unlinked gives no lane any more");
    beacon_ring_detach(ring);

    /* five processes, four lanes */

    ring = fresh(4, 0);
    ok(pipe(fds) == 0, "a pipe");

    for (i = 0; i < 5; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            second = attach(epoch);
            c = beacon_lane_claim(second, &p) == BEACON_OK
                ? (char) ('0' + p.index) : 'x';
            (void) !write(fds[1], &c, 1);
            (void) pause();
            _exit(0);
        }
    }

    for (i = 0, status = 0; i < 5; i++) {
        (void) !read(fds[0], &c, 1);
        status |= c == 'x' ? 16 : 1 << (c - '0');
    }

    ok(status == 31, "four of five processes get a lane, each its own");

    for (i = 0; i < 5; i++) {
        (void) kill(pids[i], SIGKILL);
        (void) waitpid(pids[i], NULL, 0);
    }

    ok(!beacon_lane_owned(ring, 0) && !beacon_lane_owned(ring, 3),
       "the kernel gives back what killed processes held");

    (void) close(fds[0]);
    (void) close(fds[1]);
    beacon_ring_detach(ring);
}

static void
no_space(void)
{
    char                    saved[sizeof(dir)];
    uint64_t                e;
    beacon_rc_t             rc;
    beacon_ring_t          *ring;
    beacon_producer_t       p, q;
    beacon_ring_geometry_t  g;

    g = geometry(4, 0);
    memcpy(saved, dir, sizeof(dir));

    if (mount("none", dir, "tmpfs", 0, "size=120k") == -1) {
        ok(1, "a full tmpfs is not tried # SKIP mount: not permitted");
        return;
    }

    rc = beacon_ring_create(dir, &g, &e, &err);
    ok(rc == BEACON_OK, "a ring larger than its tmpfs can be made");

    ring = attach(e);
    rc = beacon_lane_claim(ring, &p);
    ok(rc == BEACON_OK, "a lane that there is room for is claimed");
    rc = beacon_lane_claim(ring, &q);
    ok(rc == BEACON_FULL && !beacon_lane_owned(ring, 1),
       "one that the tmpfs has no room for is not");

    /* 1 gets its bytes and a hit that is not drained, 0 loses them */

    ok(mount("none", dir, "tmpfs", MS_REMOUNT, "size=200k") == 0
       && beacon_lane_claim(ring, &q) == BEACON_OK && q.index == 1
       && push(&q, 1) == BEACON_OK, "with more space it is");
    beacon_lane_release(&p);
    beacon_lane_release(&q);
    ok(beacon_lane_punch(ring, 0) == BEACON_OK
       && mount("none", dir, "tmpfs", MS_REMOUNT, "size=108k") == 0
       && beacon_lane_claim(ring, &p) == BEACON_OK && p.index == 1,
       "a free lane that has its bytes is claimed behind one that gets none");
    ok(beacon_lane_claim(ring, &q) == BEACON_FULL,
       "when that is owned, space is what is missing");

    beacon_ring_detach(ring);
    g.lanes = 100;
    ok(beacon_ring_create(dir, &g, &e, &err) == BEACON_SYS
       && err.text[0] != '\0', "a ring whose headers do not fit is an error");

    ok(umount(dir) == 0, "the tmpfs is gone");
}

static void
ids(void)
{
    uint8_t  id[BEACON_ID_MAX + 1];
    size_t   n;

    n = beacon_id_format(id, 0x9f3c00000000a100, 3, 0x1a2b40);
    ok(n == 25 && memcmp(id, "9f3c00000000a100-3-1a2b40", n) == 0,
       "an id is epoch, lane and offset in hex");
    n = beacon_id_format(id, 1, 0, 0);
    ok(n == 20 && memcmp(id, "0000000000000001-0-0", n) == 0,
       "zeros have one digit");
    n = beacon_id_format(id, UINT64_MAX, UINT32_MAX, UINT64_MAX);
    ok(n == BEACON_ID_MAX
       && memcmp(id, "ffffffffffffffff-ffffffff-ffffffffffffffff", n) == 0,
       "the longest fills BEACON_ID_MAX");
}


/* Threads. */

static beacon_ring_t  *shared;
static _Atomic int     running;
static _Atomic int     looked;

typedef struct {
    uint32_t  lane;
    uint64_t  n;                /* hits accepted, or read */
    uint64_t  bad;
    uint64_t  gaps;
} side_t;

static void *
produce(void *data)
{
    side_t            *side = data;
    uint64_t           refused;
    beacon_producer_t  p;

    if (beacon_lane_claim(shared, &p) != BEACON_OK) {
        side->bad = 1;
        return NULL;
    }

    side->lane = p.index;

    for (refused = 0; side->n < MESSAGES / THREADS; ) {
        if (push(&p, side->n) == BEACON_OK) {
            side->n++;

        } else {
            refused++;
            (void) usleep(50);
        }
    }

    side->gaps = refused;
    beacon_lane_release(&p);
    atomic_fetch_sub(&running, 1);

    return NULL;
}

static void *
consume(void *data)
{
    int              last;
    side_t          *side = data;
    uint64_t         lost;
    beacon_rc_t      rc;
    beacon_cursor_t  cursor, tail;
    beacon_record_t  record;

    beacon_lane_reclaimed(shared, side->lane, &cursor);

    for ( ;; ) {
        last = atomic_load(&running) == 0;
        rc = beacon_lane_read(shared, side->lane, &cursor, &record, &lost);

        if (rc == BEACON_AGAIN) {

            if (last) {
                return NULL;
            }

            (void) beacon_lane_reclaim(shared, side->lane, &cursor);
            continue;
        }

        if (rc == BEACON_OK && record.type == BEACON_RECORD_GAP) {
            side->gaps += record.gap;
            continue;
        }

        side->bad += rc != BEACON_OK || record.ordinal != side->n
                     || record.time_ns != side->n
                     || (side->n % 16 == 0 && !is_hit(&record, side->n));
        side->n++;

        if (side->n % 64 == 0) {
            (void) beacon_lane_reclaim(shared, side->lane, &cursor);
            beacon_lane_tail(shared, side->lane, &tail);
            side->bad += tail.ordinal < side->n
                         || tail.offset < cursor.offset;
        }
    }
}

static void
threads(void)
{
    int        i;
    side_t     producers[THREADS], consumers[THREADS];
    uint64_t   bad, n, told, refused;
    pthread_t  out[THREADS], in[THREADS];

    shared = fresh(THREADS, (1ULL << 32) - SIZE / 2);
    running = THREADS;
    memset(producers, 0, sizeof(producers));
    memset(consumers, 0, sizeof(consumers));

    for (i = 0; i < THREADS; i++) {
        consumers[i].lane = (uint32_t) i;
        (void) pthread_create(&in[i], NULL, produce, &producers[i]);
        (void) pthread_create(&out[i], NULL, consume, &consumers[i]);
    }

    bad = 0;
    n = 0;
    told = 0;
    refused = 0;

    for (i = 0; i < THREADS; i++) {
        (void) pthread_join(in[i], NULL);
    }

    for (i = 0; i < THREADS; i++) {
        (void) pthread_join(out[i], NULL);
        bad += producers[i].bad + consumers[i].bad;
        n += consumers[i].n;
        told += consumers[i].gaps;
        refused += producers[i].gaps;
    }

    ok(bad == 0 && n == MESSAGES / THREADS * THREADS,
       "%d messages pass over three lanes, each whole and in order",
       MESSAGES);
    ok(told == refused, "the gaps tell of every hit that was refused");

    beacon_ring_detach(shared);
}

/* All records are alike, so the tail's offset tells its ordinal. */
static void *
tails(void *data)
{
    side_t           *side = data;
    beacon_cursor_t   tail;

    while (running) {
        beacon_lane_tail(shared, 0, &tail);
        side->bad += tail.offset != tail.ordinal * 64;
        looked = 1;
        (void) beacon_lane_reclaim(shared, 0, &tail);
    }

    return NULL;
}

static void
pairs(void)
{
    side_t             side;
    uint8_t           *payload;
    uint64_t           n;
    pthread_t          thread;
    beacon_producer_t  p;

    memset(&side, 0, sizeof(side));
    shared = fresh(1, 0);
    running = 1;
    (void) beacon_lane_claim(shared, &p);
    (void) pthread_create(&thread, NULL, tails, &side);

    for (n = 0; n < MESSAGES / 10 || !looked; ) {
        if (beacon_lane_reserve(&p, 20, &payload) == BEACON_OK) {
            memset(payload, 0, 20);
            (void) beacon_lane_commit(&p, 0, 0);
            n++;
        }

        /* no GAP: it would have another length */

        p.lane->drops_told = p.lane->drops;
    }

    running = 0;
    (void) pthread_join(thread, NULL);

    ok(side.bad == 0, "the tail and its ordinal are always of one commit");

    beacon_lane_release(&p);
    beacon_ring_detach(shared);
}

int
main(void)
{
    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    files();
    foreign();
    given();
    full(0);
    full((1ULL << 32) - 4096);
    full(SIZE - 64);
    full(UINT64_MAX - 4095);
    wraps();
    claims();
    no_space();
    ids();
    threads();
    pairs();
    clean();

    return done_testing();
}
