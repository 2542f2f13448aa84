/*
 * What a push costs (reserve, copy of 500 bytes, commit) and a pop (read and
 * validate): nanoseconds, the median of many rounds over a lane; and for
 * instructions
 *
 *     valgrind --tool=callgrind '--toggle-collect=beacon_bench_push*' \
 *         build/bench/push /dev/shm 100 sse4.2
 *
 * divided by the pushes it prints ('beacon_bench_pop*': pops).
 */

#include "beacon_crc32c.h"
#include "beacon_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BEACON_BENCH_PAYLOAD  500u
#define BEACON_BENCH_ROUND    256       /* pushes between two looks at time */

static uint8_t  beacon_bench_hits[64][512];

static uint64_t
beacon_bench_now(void)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

/* Returns how many fitted. */
__attribute__((noinline))
static unsigned
beacon_bench_push(beacon_producer_t *p, unsigned n)
{
    uint8_t   *payload;
    unsigned   i;

    for (i = 0; i < n; i++) {

        if (beacon_lane_reserve(p, BEACON_BENCH_PAYLOAD, &payload)
            != BEACON_OK)
        {
            break;
        }

        memcpy(payload, beacon_bench_hits[i & 63], BEACON_BENCH_PAYLOAD);

        (void) beacon_lane_commit(p, i, 1);
    }

    return i;
}

/* Returns how many were there. */
__attribute__((noinline))
static unsigned
beacon_bench_pop(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *cursor, unsigned n)
{
    unsigned         i;
    uint64_t         lost;
    beacon_record_t  record;

    for (i = 0; i < n; i++) {
        if (beacon_lane_read(ring, lane, cursor, &record, &lost)
            != BEACON_OK)
        {
            break;
        }
    }

    return i;
}

static int
beacon_bench_compare(const void *one, const void *two)
{
    double  a = *(const double *) one, b = *(const double *) two;

    return a < b ? -1 : a > b;
}

static int
beacon_bench_run(beacon_ring_t *ring, beacon_producer_t *p, unsigned rounds,
    const char *variant)
{
    double           *push, *pop;
    unsigned          i, n;
    uint64_t          start, middle;
    beacon_cursor_t   cursor;

    push = calloc(rounds, sizeof(double));
    pop = calloc(rounds, sizeof(double));

    if (push == NULL || pop == NULL
        || beacon_crc32c_select(variant) != BEACON_OK)
    {
        free(push);
        free(pop);
        return 1;
    }

    beacon_lane_reclaimed(ring, p->index, &cursor);

    for (i = 0; i < rounds; i++) {
        start = beacon_bench_now();
        n = beacon_bench_push(p, BEACON_BENCH_ROUND);
        middle = beacon_bench_now();
        push[i] = (double) (middle - start) / n;

        n = beacon_bench_pop(ring, p->index, &cursor, n);
        pop[i] = (double) (beacon_bench_now() - middle) / n;

        (void) beacon_lane_reclaim(ring, p->index, &cursor);
    }

    qsort(push, rounds, sizeof(double), beacon_bench_compare);
    qsort(pop, rounds, sizeof(double), beacon_bench_compare);

    printf("%s: push %.1f ns, pop %.1f ns, %u bytes of payload, medians of "
           "%u rounds; pushes=%u\n", variant, push[rounds / 2],
           pop[rounds / 2], BEACON_BENCH_PAYLOAD, rounds,
           rounds * BEACON_BENCH_ROUND);

    free(push);
    free(pop);

    return 0;
}

int
main(int argc, char **argv)
{
    int                      failed;
    char                     dir[256];
    size_t                   i, k;
    uint64_t                 epoch;
    unsigned                 rounds;
    beacon_err_t             err;
    beacon_ring_t           *ring;
    beacon_producer_t        p;
    const char *const       *variant;
    beacon_ring_geometry_t   geometry = {
        .lane_size = 1024 * 1024, .lanes = 1, .prefix = "bench", .conf = "",
        .uid = (uid_t) -1, .gid = (gid_t) -1
    };

    rounds = argc > 2 ? (unsigned) atoi(argv[2]) : 20001;
    variant = beacon_crc32c_variants();

    if (rounds == 0) {
        fprintf(stderr, "usage: push [tmpfs directory [rounds [variant]]]\n");
        return 2;
    }

    (void) snprintf(dir, sizeof(dir), "%s/beacon-bench.XXXXXX",
                    argc > 1 ? argv[1] : "/dev/shm");

    for (i = 0; i < 64; i++) {
        for (k = 0; k < sizeof(beacon_bench_hits[i]); k++) {
            beacon_bench_hits[i][k] = (uint8_t) (i * 131 + k * 7);
        }
    }

    if (mkdtemp(dir) == NULL
        || beacon_ring_create(dir, &geometry, &epoch, &err) != BEACON_OK
        || beacon_ring_attach(dir, epoch, 1, &ring, &err) != BEACON_OK)
    {
        perror(dir);
        return 1;
    }

    failed = beacon_lane_claim(ring, &p) != BEACON_OK;

    if (!failed && argc > 3) {
        failed = beacon_bench_run(ring, &p, rounds, argv[3]);

    } else {
        for (/* void */; !failed && *variant != NULL; variant++) {
            failed = beacon_bench_run(ring, &p, rounds, *variant);
        }
    }

    beacon_lane_release(&p);
    beacon_ring_detach(ring);

    (void) snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir),
                    "/ring.%016llx", (unsigned long long) epoch);
    (void) unlink(dir);
    *strrchr(dir, '/') = '\0';
    (void) rmdir(dir);

    return failed;
}
