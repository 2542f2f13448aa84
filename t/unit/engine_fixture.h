/*
 * A ring, its workers and an engine in this process, for tests with sinks of
 * their own: they define beacond_sinks[].
 */

#ifndef ENGINE_FIXTURE_H
#define ENGINE_FIXTURE_H

#include "beacon_hit.h"
#include "beacon_ring.h"
#include "beacon_schema.h"
#include "beacond_engine.h"
#include "beacond_log.h"
#include "beacond_sink.h"
#include "tap.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACON_LANES    2
#define BEACON_ALL_LANES  4             /* the ring's: one may be busy */
#define BEACON_WAIT     2000            /* times 10 ms */

static char           beacon_dir[64], beacon_out[64];
static uint64_t       beacon_epoch;
static beacon_err_t   beacon_error;
static uint32_t       beacon_hash;
static uint64_t       beacon_clock;
static unsigned       beacon_pushed;
static beacon_counters_t  beacon_counters;

static void
beacon_say(void *data, const char *at, const char *text)
{
    (void) data;
    printf("# %s %s\n", at, text);
}

/* Sink "one" is a file of ids; "two" of this type, if any. */
static beacond_conf_t *
beacon_conf(const char *type, int spool)
{
    char                   path[128];
    FILE                  *file;
    static unsigned        generation;
    beacond_conf_t        *conf;

    snprintf(path, sizeof(path), "%s/beacond.json", beacon_dir);
    file = fopen(path, "w");
    fprintf(file, "{\"v\":2,\"generation\":%u,\"build\":\"x\",\"layout\":2,"
            "\"edge\":\"e\",\"ring\":{\"dir\":\"%s\",\"epoch\":\"%016llx\","
            "\"lane_size\":65536,\"lanes\":4},\"helper\":{\"threads\":1},",
            ++generation, beacon_dir, (unsigned long long) beacon_epoch);

    if (spool) {
        fprintf(file, "\"spool\":{\"dir\":\"%s/spool\",\"size\":50000000,"
                "\"min_free\":0},", beacon_out);
    }

    fprintf(file, "\"sinks\":[{\"type\":\"ids\",\"name\":\"one\","
            "\"path\":\"%s/one\"}", beacon_out);

    if (type != NULL) {
        fprintf(file, ",{\"type\":\"ids\",\"name\":\"two\","
                "\"path\":\"%s/two\"}", beacon_out);
    }

    fprintf(file, "]}");
    fclose(file);
    conf = beacond_conf_read(path, beacon_say, NULL);

    if (conf != NULL && type != NULL) {
        conf->sinks[1].type = type;
    }

    return conf;
}

/* Hits into each lane, one after the other; 0: there was no room for long. */
static int
beacon_push(unsigned n)
{
    int                 waits;
    unsigned            i, lane;
    uint8_t            *payload;
    beacon_hit_t        hit;
    beacon_rc_t         rc = BEACON_OK;
    beacon_ring_t      *ring[BEACON_LANES];
    beacon_producer_t   p[BEACON_LANES];

    memset(&hit, 0, sizeof(hit));
    hit.strings[BEACON_HIT_SITE] = beacon_string("shop");
    hit.strings[BEACON_HIT_PATH] = beacon_string("/px.gif");
    hit.strings[BEACON_HIT_QUERY] = beacon_string("e=pageview&k=v");
    hit.method = BEACON_METHOD_GET;
    hit.max_args = 16;

    for (lane = 0; lane < BEACON_LANES; lane++) {
        if (beacon_ring_attach(beacon_dir, beacon_epoch, 1, &ring[lane], NULL)
            != BEACON_OK || beacon_lane_claim(ring[lane], &p[lane])
                            != BEACON_OK)
        {
            return 0;
        }
    }

    for (i = 0; i < n && rc == BEACON_OK; i++) {
        lane = i % BEACON_LANES;

        for (waits = 0; waits < 50000; waits++) {
            rc = beacon_lane_reserve(&p[lane], beacon_hit_size(&hit),
                                     &payload);

            if (rc != BEACON_FULL) {
                break;
            }

            usleep(200);
        }

        if (rc == BEACON_OK) {
            beacon_hit_write(&hit, payload);
            beacon_lane_commit(&p[lane], ++beacon_clock * 1000000,
                               beacon_hash);
            beacon_pushed++;
        }
    }

    for (lane = 0; lane < BEACON_LANES; lane++) {
        beacon_lane_release(&p[lane]);
        beacon_ring_detach(ring[lane]);
    }

    return rc == BEACON_OK;
}

/* The books as they are; 0: they do not balance. */
static int
beacon_books(beacon_books_t *books)
{
    uint32_t              i;
    uint64_t              accepted;
    beacon_books_sink_t  *s;

    if (beacon_books_read(&beacon_counters, books) != BEACON_OK) {
        return 1;               /* none yet: zeros */
    }

    accepted = books->accepted_base;

    for (i = 0; i < books->nlanes; i++) {
        accepted += books->lanes[i].ordinal;
    }

    for (i = 0; i < books->nsinks; i++) {
        s = &books->sinks[i];

        if (s->done + s->lost + s->pending != accepted) {
            printf("# %s: %llu done, %llu lost, %llu pending of %llu\n",
                   s->name, (unsigned long long) s->done,
                   (unsigned long long) s->lost,
                   (unsigned long long) s->pending,
                   (unsigned long long) accepted);
            return 0;
        }
    }

    return 1;
}

/* Until nothing is pending for the sink and all that was pushed is in its
   books.  They balance all the time. */
__attribute__((unused))
static int
beacon_settled(const char *name, beacon_books_sink_t *sink)
{
    int              i;
    uint32_t         k;
    beacon_books_t  *books = calloc(1, sizeof(beacon_books_t));

    for (i = 0; i < BEACON_WAIT && beacon_books(books); i++) {
        for (k = 0; k < books->nsinks; k++) {
            *sink = books->sinks[k];

            if (strcmp(sink->name, name) == 0 && sink->pending == 0
                && sink->done + sink->lost == beacon_pushed)
            {
                free(books);
                return 1;
            }
        }

        usleep(10000);
    }

    free(books);
    printf("# %s is not settled\n", name);

    return 0;
}

/* A ring of its own for each test. */
static void
beacon_fixture_begin(void)
{
    beacon_schema_t         schema;
    beacon_ring_geometry_t  geometry;

    strcpy(beacon_dir, "/dev/shm/beacon-test.XXXXXX");
    strcpy(beacon_out, "/tmp/beacon-test.XXXXXX");

    if (mkdtemp(beacon_dir) == NULL || mkdtemp(beacon_out) == NULL) {
        exit(1);
    }

    memset(&geometry, 0, sizeof(geometry));
    geometry.lane_size = 65536;
    geometry.lanes = BEACON_ALL_LANES;
    geometry.prefix = geometry.conf = "/x";
    geometry.uid = (uid_t) -1;
    geometry.gid = (gid_t) -1;
    memset(&schema, 0, sizeof(schema));
    schema.edge = beacon_string("e");

    if (beacon_ring_create(beacon_dir, &geometry, &beacon_epoch,
                           &beacon_error) != BEACON_OK
        || beacon_schema_publish(beacon_dir, &schema, (uid_t) -1,
                                 (gid_t) -1, &beacon_error) != BEACON_OK
        || beacon_counters_attach(beacon_dir, (uid_t) -1, (gid_t) -1,
                                  &beacon_counters, &beacon_error)
           != BEACON_OK)
    {
        printf("Bail out! %s\n", beacon_error.text);
        exit(1);
    }

    beacon_hash = schema.hash;
    beacon_pushed = 0;
}

/* Sinks of a test's own: what is the same in most of them. */

__attribute__((unused))
static void
beacon_test_destroy(beacond_sink_t *sink)
{
    sink->data = NULL;
}

__attribute__((unused))
static int
beacon_test_flush(beacond_sink_t *sink, bool force)
{
    (void) sink;
    (void) force;

    return 50;
}

/* The durable one, "main"; the test has the other functions. */
#define BEACON_TEST_MAIN                                                      \
    {                                                                         \
        .type = "main",                                                       \
        .durable = true,                                                      \
        .create = beacon_test_create,                                         \
        .destroy = beacon_test_destroy,                                       \
        .load = beacon_test_load,                                             \
        .batch = beacon_test_batch,                                           \
        .flush = beacon_test_flush,                                           \
        .retry_ms = 10                                                        \
    }

static void
beacon_end(void)
{
    char  command[256];

    beacon_counters_detach(&beacon_counters);
    snprintf(command, sizeof(command), "rm -rf %s %s", beacon_dir, beacon_out);
    ok(system(command) == 0, "nothing is left behind");
}

#endif /* ENGINE_FIXTURE_H */
