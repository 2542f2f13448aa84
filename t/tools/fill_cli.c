/*
 * fill_cli DIR new LANE_SIZE LANES: makes a ring in DIR, prints its epoch.
 *
 * fill_cli DIR EPOCH FROM COUNT [key=value]...: claims a lane and commits hits
 * numbered from FROM, as a worker would, waiting where there is no room.
 *
 *     sites=N     sites s0 ... in turn, by number (1)
 *     site=TEXT   every seventh hit has this site instead
 *     visitors=N  visitors v0 ... in turn (none is named)
 *     rate=N      hits a second (as fast as it goes)
 *     size=N      bytes of filling (400)
 *     field=A,B   the values of field "zone", in turn
 *     start=S     UNIX time of hit 0 (now), step=MS from one to the next (0)
 *     wait=1      keep the lane when done, until killed
 */

#include "beacon_hit.h"
#include "beacon_ring.h"
#include "beacon_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    unsigned long  sites, visitors, rate, size, start, step, wait;
    const char    *site;
    char          *fields[16];
    unsigned       nfields;
} fill_options_t;

static void
fill_die(const char *what)
{
    fprintf(stderr, "fill_cli: %s\n", what);
    exit(1);
}

static int
fill_new(const char *dir, char **argv)
{
    uint64_t                epoch;
    beacon_err_t            err;
    beacon_ring_geometry_t  geometry;

    memset(&geometry, 0, sizeof(geometry));
    geometry.lane_size = strtoul(argv[0], NULL, 0);
    geometry.lanes = (uint32_t) strtoul(argv[1], NULL, 0);
    geometry.prefix = "/nowhere";
    geometry.conf = "/nowhere/nginx.conf";
    geometry.uid = (uid_t) -1;
    geometry.gid = (gid_t) -1;

    if (beacon_ring_create(dir, &geometry, &epoch, &err) != BEACON_OK) {
        fill_die(err.text);
    }

    printf("%016llx\n", (unsigned long long) epoch);

    return 0;
}

static void
fill_option(fill_options_t *o, char *arg)
{
    char           *value = strchr(arg, '='), *p;
    unsigned long   n;

    if (value == NULL) {
        fill_die("an option is key=value");
    }

    *value++ = '\0';
    n = strtoul(value, NULL, 0);

    if (strcmp(arg, "site") == 0) {
        o->site = value;
    } else if (strcmp(arg, "sites") == 0) {
        o->sites = n;
    } else if (strcmp(arg, "visitors") == 0) {
        o->visitors = n;
    } else if (strcmp(arg, "rate") == 0) {
        o->rate = n;
    } else if (strcmp(arg, "size") == 0) {
        o->size = n;
    } else if (strcmp(arg, "start") == 0) {
        o->start = n;
    } else if (strcmp(arg, "step") == 0) {
        o->step = n;
    } else if (strcmp(arg, "wait") == 0) {
        o->wait = n;
    } else if (strcmp(arg, "field") == 0) {
        for (p = strtok(value, ","); p && o->nfields < 16;
             p = strtok(NULL, ","))
        {
            o->fields[o->nfields++] = p;
        }
    } else {
        fill_die("no such option");
    }
}

static beacon_str_t
fill_str(const char *s)
{
    return (beacon_str_t) { strlen(s), (const uint8_t *) s };
}

static void
fill_hit(beacon_producer_t *p, const fill_options_t *o, uint32_t schema,
    unsigned long k, const char *filling)
{
    int              n;
    char             site[32], visitor[32], query[128];
    uint8_t         *dst;
    uint64_t         ns;
    beacon_hit_t     hit;
    struct timespec  ts, nap = { 0, 1000000 };

    memset(&hit, 0, sizeof(hit));
    hit.method = BEACON_METHOD_GET;
    hit.max_args = 256;
    snprintf(site, sizeof(site), "s%lu", k % o->sites);
    hit.strings[BEACON_HIT_SITE] = fill_str(o->site && k % 7 == 3 ? o->site
                                                                   : site);
    if (o->visitors) {
        snprintf(visitor, sizeof(visitor), "v%lu", k % o->visitors);
        hit.strings[BEACON_HIT_VISITOR] = fill_str(visitor);
    }

    n = snprintf(query, sizeof(query), "n=%lu", k);
    hit.strings[BEACON_HIT_QUERY] = (beacon_str_t) { (size_t) n,
                                                     (uint8_t *) query };
    hit.strings[BEACON_HIT_IP] = fill_str("203.0.113.7");
    hit.strings[BEACON_HIT_HOST] = fill_str("px.example.com");
    hit.strings[BEACON_HIT_PATH] = fill_str("/px.gif");
    hit.strings[BEACON_HIT_USER_AGENT] =
        (beacon_str_t) { o->size / 2 + k * 7919 % (o->size + 1),
                         (const uint8_t *) filling };
    hit.nfields = 1;
    hit.fields[0] = fill_str(o->nfields ? o->fields[k % o->nfields] : "");

    while (beacon_lane_reserve(p, beacon_hit_size(&hit), &dst) != BEACON_OK) {
        nanosleep(&nap, NULL);
    }

    beacon_hit_write(&hit, dst);
    clock_gettime(CLOCK_REALTIME, &ts);
    ns = (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;

    if (o->start) {
        ns = (uint64_t) o->start * 1000000000;
    }

    beacon_lane_commit(p, ns + (uint64_t) k * o->step * 1000000, schema);
}

static void
fill_pace(const fill_options_t *o, unsigned long done,
    const struct timespec *start)
{
    struct timespec  ts = *start;

    if (o->rate == 0) {
        return;
    }

    ts.tv_sec += (time_t) (done / o->rate);
    ts.tv_nsec += (long) (done % o->rate * 1000000000ULL / o->rate);

    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

int
main(int argc, char **argv)
{
    int                i;
    char              *filling;
    beacon_err_t       err;
    unsigned long      k, from, count;
    beacon_ring_t     *ring;
    fill_options_t     o = { 1, 0, 0, 400, 0, 0, 0, NULL, { NULL }, 0 };
    beacon_schema_t    schema;
    struct timespec    start;
    beacon_producer_t  p;

    if (argc < 5) {
        fill_die("see the comment in its source");
    }

    if (strcmp(argv[2], "new") == 0) {
        return fill_new(argv[1], argv + 3);
    }

    for (i = 5; i < argc; i++) {
        fill_option(&o, argv[i]);
    }

    memset(&schema, 0, sizeof(schema));
    schema.edge = fill_str("edge");
    schema.fields[schema.nfields++] = fill_str("zone");
    filling = malloc(2 * o.size + 64);
    memset(filling, 'x', 2 * o.size + 64);

    if (beacon_schema_publish(argv[1], &schema, (uid_t) -1, (gid_t) -1, &err)
            != BEACON_OK
        || beacon_ring_attach(argv[1], strtoull(argv[2], NULL, 16), 1, &ring,
                              &err) != BEACON_OK)
    {
        fill_die(err.text);
    }

    if (beacon_lane_claim(ring, &p) != BEACON_OK) {
        fill_die("no lane");
    }

    from = strtoul(argv[3], NULL, 0);
    count = strtoul(argv[4], NULL, 0);
    clock_gettime(CLOCK_MONOTONIC, &start);

    for (k = from; k < from + count; k++) {
        fill_pace(&o, k - from, &start);
        fill_hit(&p, &o, schema.hash, k, filling);
    }

    printf("%lu\n", k);
    fflush(stdout);

    while (o.wait) {
        pause();
    }

    beacon_lane_release(&p);
    beacon_ring_detach(ring);
    free(filling);

    return 0;
}
