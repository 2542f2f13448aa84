/* Writers and readers killed at random moments. */

#include "ring_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define KILLS    80
#define WRITERS  2

static pid_t
writer(void)
{
    pid_t              pid;
    beacon_ring_t     *ring;
    beacon_producer_t  p;

    pid = fork();

    if (pid != 0) {
        return pid;
    }

    ring = attach(epoch);

    while (beacon_lane_claim(ring, &p) != BEACON_OK) {
        (void) usleep(100);
    }

    for ( ;; ) {
        (void) push(&p, p.ordinal);
    }
}

/* Reads and gives back, and dies: the next goes on where that is seen. */
static pid_t
reader(void)
{
    pid_t             pid;
    uint32_t          i;
    uint64_t          lost;
    beacon_rc_t       rc;
    beacon_ring_t    *ring;
    beacon_cursor_t   cursor[WRITERS];
    beacon_record_t   record;

    pid = fork();

    if (pid != 0) {
        return pid;
    }

    ring = attach(epoch);

    for (i = 0; i < WRITERS; i++) {
        beacon_lane_reclaimed(ring, i, &cursor[i]);
    }

    for (i = 0; ; i = (i + 1) % WRITERS) {
        rc = beacon_lane_read(ring, i, &cursor[i], &record, &lost);

        if (rc == BEACON_AGAIN) {
            continue;
        }

        if (rc != BEACON_OK
            || (record.type == BEACON_RECORD_HIT
                && (record.ordinal + 1 != cursor[i].ordinal
                    || !is_hit(&record, record.ordinal))))
        {
            _exit(1);
        }

        if (beacon_lane_reclaim(ring, i, &cursor[i]) != BEACON_OK) {
            _exit(2);
        }
    }
}

static uint64_t
now_us(void)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

/* Reads both lanes for some time; adds up what is wrong. */
static int
drain(beacon_ring_t *ring, beacon_cursor_t *cursor, uint64_t us)
{
    int              bad;
    uint32_t         i;
    uint64_t         lost, end, expected;
    beacon_rc_t      rc;
    beacon_record_t  record;

    bad = 0;
    end = now_us() + us;

    do {
        for (i = 0; i < WRITERS; i++) {
            expected = cursor[i].ordinal;
            rc = beacon_lane_read(ring, i, &cursor[i], &record, &lost);

            if (rc == BEACON_OK) {
                bad += record.ordinal != expected
                       || (record.type == BEACON_RECORD_HIT
                           && !is_hit(&record, expected));

            } else if (rc == BEACON_AGAIN) {
                bad += beacon_lane_reclaim(ring, i, &cursor[i]) != BEACON_OK;

            } else {
                bad++;
            }
        }
    } while (now_us() < end);

    return bad;
}

static void
writers(uint64_t start)
{
    int              i, bad;
    pid_t            pids[WRITERS];
    uint64_t         hits;
    beacon_ring_t   *ring;
    beacon_cursor_t  cursor[WRITERS], tail;

    ring = fresh(WRITERS, start);

    for (i = 0; i < WRITERS; i++) {
        beacon_lane_reclaimed(ring, (uint32_t) i, &cursor[i]);
        pids[i] = writer();
    }

    for (i = 0, bad = 0; i < KILLS; i++) {
        bad += drain(ring, cursor, (uint64_t) rand() % 4000);

        (void) kill(pids[i % WRITERS], SIGKILL);
        (void) waitpid(pids[i % WRITERS], NULL, 0);

        pids[i % WRITERS] = writer();
    }

    for (i = 0; i < WRITERS; i++) {
        (void) kill(pids[i], SIGKILL);
        (void) waitpid(pids[i], NULL, 0);
    }

    bad += drain(ring, cursor, 20000);

    for (i = 0, hits = 0; i < WRITERS; i++) {
        beacon_lane_tail(ring, (uint32_t) i, &tail);
        bad += tail.offset != cursor[i].offset
               || tail.ordinal != cursor[i].ordinal
               || beacon_lane_owned(ring, (uint32_t) i);
        hits += tail.ordinal;
    }

    ok(bad == 0 && hits > 0, "%d writers killed: no bad record, no hole "
       "between owners, all drained", KILLS);
    printf("# %llu hits\n", (unsigned long long) hits);

    beacon_ring_detach(ring);
}

static void
readers(void)
{
    int              i, bad, status;
    pid_t            pids[WRITERS], pid;
    beacon_ring_t   *ring;
    beacon_cursor_t  cursor[WRITERS];

    ring = fresh(WRITERS, 0);
    bad = 0;

    for (i = 0; i < WRITERS; i++) {
        pids[i] = writer();
    }

    for (i = 0; i < KILLS; i++) {
        pid = reader();
        (void) usleep((useconds_t) (rand() % 4000));
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, &status, 0);
        bad += !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
    }

    for (i = 0; i < WRITERS; i++) {
        (void) kill(pids[i], SIGKILL);
        (void) waitpid(pids[i], NULL, 0);
        beacon_lane_reclaimed(ring, (uint32_t) i, &cursor[i]);
    }

    bad += drain(ring, cursor, 20000);

    ok(bad == 0, "%d readers killed: each finds its place, with the right "
       "ordinal", KILLS);

    beacon_ring_detach(ring);
}

int
main(int argc, char **argv)
{
    unsigned  seed;

    seed = argc > 1 ? (unsigned) atoi(argv[1]) : (unsigned) time(NULL);
    printf("# seed %u\n", seed);
    srand(seed);

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    writers(0);
    writers((1ULL << 32) - SIZE);
    readers();
    clean();

    return done_testing();
}
