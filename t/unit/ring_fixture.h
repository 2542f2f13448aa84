/* A ring in a directory of its own, and hits whose bytes tell their number. */

#ifndef RING_FIXTURE_H
#define RING_FIXTURE_H

#include "beacon_ring.h"
#include "tap.h"

#include <string.h>
#include <unistd.h>

#define SIZE  BEACON_LANE_MIN

static char           dir[] = "/dev/shm/beacon-test.XXXXXX";
static beacon_err_t   err;
static uint64_t       epoch;

__attribute__((unused))
static beacon_ring_geometry_t
geometry(uint32_t lanes, uint64_t start)
{
    return (beacon_ring_geometry_t) {
        .lane_size = SIZE, .lanes = lanes, .start = start,
        .prefix = "/usr/share/nginx", .conf = "/etc/nginx/nginx.conf",
        .uid = (uid_t) -1, .gid = (gid_t) -1
    };
}

__attribute__((unused))
static beacon_ring_t *
attach(uint64_t e)
{
    beacon_ring_t  *ring;

    if (beacon_ring_attach(dir, e, 1, &ring, &err) != BEACON_OK) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }

    return ring;
}

/* A new ring, attached; the ones before it are removed. */
__attribute__((unused))
static beacon_ring_t *
fresh(uint32_t lanes, uint64_t start)
{
    char                    name[300];
    beacon_ring_geometry_t  g;

    g = geometry(lanes, start);

    (void) snprintf(name, sizeof(name), "%s/ring.%016llx", dir,
                    (unsigned long long) epoch);
    (void) unlink(name);

    if (beacon_ring_create(dir, &g, &epoch, &err) != BEACON_OK) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }

    return attach(epoch);
}

/* Hit n has a length and bytes that follow from n. */
static size_t
hit_len(uint64_t n)
{
    return (n * 2654435761u >> 7) % 700;
}

__attribute__((unused))
static beacon_rc_t
push(beacon_producer_t *p, uint64_t n)
{
    uint8_t      *payload;
    beacon_rc_t   rc;

    rc = beacon_lane_reserve(p, hit_len(n), &payload);
    if (rc != BEACON_OK) {
        return rc;
    }

    memset(payload, (int) (n % 251), hit_len(n));
    (void) beacon_lane_commit(p, n, (uint32_t) n);

    return BEACON_OK;
}

/* 1: the record is what push() wrote as number n. */
__attribute__((unused))
static int
is_hit(const beacon_record_t *record, uint64_t n)
{
    size_t  i;

    if (record->type != BEACON_RECORD_HIT || record->time_ns != n
        || record->schema != (uint32_t) n
        || record->payload.len != hit_len(n))
    {
        return 0;
    }

    for (i = 0; i < record->payload.len; i++) {
        if (record->payload.data[i] != n % 251) {
            return 0;
        }
    }

    return 1;
}

__attribute__((unused))
static void
clean(void)
{
    char  command[300];

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);
    ok(system(command) == 0, "the directory is removed");
}

#endif /* RING_FIXTURE_H */
