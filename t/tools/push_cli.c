/*
 * A worker without nginx, for tests of the helper.
 *
 *     push_cli create DIR LANE_SIZE LANES
 *         makes a ring and the schema; prints the epoch
 *     push_cli push DIR EPOCH COUNT [full=wait|skip|stop] [rate=N] [bytes=N]
 *              [sites=N] [hold=1] [quiet=1]
 *         claims a lane, commits COUNT hits (at most N a second), prints the
 *         id of each one committed; "full" is what to do without room.
 *         hold: keeps the lane until standard input ends.
 *
 * Exit codes: 0; 1 an error; 3 stopped for want of room.
 */

#include "beacon_hit.h"
#include "beacon_ring.h"
#include "beacon_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t
beacon_push_now(clockid_t clock)
{
    struct timespec  ts;

    clock_gettime(clock, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static uint32_t
beacon_push_schema(const char *dir)
{
    beacon_err_t     err;
    beacon_schema_t  schema;

    memset(&schema, 0, sizeof(schema));
    schema.edge = beacon_string("edge1");
    schema.fields[0] = beacon_string("n");
    schema.flags[0] = beacon_string("odd");
    schema.nfields = schema.nflags = 1;

    if (beacon_schema_publish(dir, &schema, (uid_t) -1, (gid_t) -1, &err)
        != BEACON_OK)
    {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }

    return schema.hash;
}

static int
beacon_push_create(char **argv)
{
    uint64_t                epoch;
    beacon_err_t            err;
    beacon_ring_geometry_t  geometry;

    memset(&geometry, 0, sizeof(geometry));
    geometry.lane_size = strtoull(argv[3], NULL, 0);
    geometry.lanes = (uint32_t) strtoul(argv[4], NULL, 0);
    geometry.prefix = "/push/";
    geometry.conf = "/push/conf";
    geometry.uid = (uid_t) -1;
    geometry.gid = (gid_t) -1;

    if (beacon_ring_create(argv[2], &geometry, &epoch, &err) != BEACON_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }

    beacon_push_schema(argv[2]);
    printf("%016llx\n", (unsigned long long) epoch);

    return 0;
}

static const char *
beacon_push_option(int argc, char **argv, const char *name,
    const char *absent)
{
    int     i;
    size_t  len = strlen(name);

    for (i = 5; i < argc; i++) {
        if (strncmp(argv[i], name, len) == 0 && argv[i][len] == '=') {
            return argv[i] + len + 1;
        }
    }

    return absent;
}

static unsigned long
beacon_push_number(int argc, char **argv, const char *name,
    const char *absent)
{
    return strtoul(beacon_push_option(argc, argv, name, absent), NULL, 0);
}

/* The n-th hit: what it says is a function of n and the process. */
static void
beacon_push_hit(beacon_hit_t *hit, unsigned long n, unsigned long sites,
    char *buf)
{
    char  *query = buf + 64, *field = buf + 32;

    hit->strings[BEACON_HIT_SITE].data = (uint8_t *) buf;
    hit->strings[BEACON_HIT_SITE].len = (size_t) sprintf(buf, "site%lu",
                                                         n % sites);
    hit->fields[0].data = (uint8_t *) field;
    hit->fields[0].len = (size_t) sprintf(field, "%lu", n);
    hit->strings[BEACON_HIT_QUERY].data = (uint8_t *) query;
    hit->flags = n & 1;
}

static beacon_rc_t
beacon_push_one(beacon_producer_t *p, const beacon_hit_t *hit,
    uint32_t schema, const char *full, uint64_t *offset)
{
    uint8_t      *payload;
    beacon_rc_t   rc;

    while ((rc = beacon_lane_reserve(p, beacon_hit_size(hit), &payload))
           == BEACON_FULL && strcmp(full, "wait") == 0)
    {
        usleep(500);
    }

    if (rc == BEACON_OK) {
        beacon_hit_write(hit, payload);
        *offset = beacon_lane_commit(p, beacon_push_now(CLOCK_REALTIME),
                                     schema);
    }

    return rc;
}

static int
beacon_push_run(beacon_producer_t *p, uint32_t schema, int argc, char **argv)
{
    char           *buf, id[BEACON_ID_MAX];
    size_t          bytes;
    uint64_t        start, due, now, offset;
    const char     *full;
    beacon_hit_t    hit;
    beacon_rc_t     rc;
    unsigned long   n, count, rate, sites, quiet;

    count = strtoul(argv[4], NULL, 0);
    rate = beacon_push_number(argc, argv, "rate", "0");
    bytes = beacon_push_number(argc, argv, "bytes", "300");
    sites = beacon_push_number(argc, argv, "sites", "3");
    quiet = beacon_push_number(argc, argv, "quiet", "0");
    full = beacon_push_option(argc, argv, "full", "wait");

    buf = calloc(1, bytes + 128);
    memset(&hit, 0, sizeof(hit));
    memset(buf + 64, 'q', bytes);
    memcpy(buf + 64, "e=view&k=", bytes < 9 ? bytes : 9);
    hit.strings[BEACON_HIT_QUERY].len = bytes;
    hit.strings[BEACON_HIT_PATH] = beacon_string("/px.gif");
    hit.method = BEACON_METHOD_GET;
    hit.max_args = 256;
    hit.nfields = 1;
    start = beacon_push_now(CLOCK_MONOTONIC);

    for (n = 0; n < count; n++) {
        beacon_push_hit(&hit, n, sites, buf);
        rc = beacon_push_one(p, &hit, schema, full, &offset);

        if (rc == BEACON_FULL && strcmp(full, "stop") == 0) {
            free(buf);
            return 3;
        }

        if (rc == BEACON_OK && !quiet) {
            printf("%.*s\n", (int) beacon_id_format((uint8_t *) id,
                   p->ring->epoch, p->index, offset), id);
        }

        if (rate != 0) {
            fflush(stdout);
            due = start + (uint64_t) (n + 1) * 1000000000 / rate;

            while ((now = beacon_push_now(CLOCK_MONOTONIC)) < due) {
                usleep((useconds_t) ((due - now) / 1000 + 1));
            }
        }
    }

    free(buf);
    return 0;
}

int
main(int argc, char **argv)
{
    int                rc, c;
    uint32_t           schema;
    beacon_err_t       err;
    beacon_ring_t     *ring;
    beacon_producer_t  p;

    if (argc == 5 && strcmp(argv[1], "create") == 0) {
        return beacon_push_create(argv);
    }

    if (argc < 5 || strcmp(argv[1], "push") != 0) {
        fprintf(stderr, "usage: see push_cli.c\n");
        return 1;
    }

    if (beacon_ring_attach(argv[2], strtoull(argv[3], NULL, 16), 1, &ring,
                           &err) != BEACON_OK)
    {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }

    schema = beacon_push_schema(argv[2]);

    if (beacon_lane_claim(ring, &p) != BEACON_OK) {
        fprintf(stderr, "no lane\n");
        return 1;
    }

    rc = beacon_push_run(&p, schema, argc, argv);
    fflush(stdout);

    if (beacon_push_number(argc, argv, "hold", "0")) {
        do {
            c = getchar();
        } while (c != EOF);
    }

    beacon_lane_release(&p);
    beacon_ring_detach(ring);

    return rc;
}
