/*
 * The whole engine as threads of this process: workers that commit, readers,
 * two sinks of which one cannot write at first, keeper and spool.  Run under
 * ThreadSanitizer too.
 */

#include "beacon_hit.h"
#include "beacon_ring.h"
#include "beacon_schema.h"
#include "beacond_engine.h"
#include "beacond_log.h"
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACON_HITS     15000
#define BEACON_WORKERS  2

static char             beacon_ring_dir[64], beacon_out[64];
static uint64_t         beacon_epoch;
static beacon_err_t     beacon_error;
static uint32_t         beacon_hash;
static _Atomic int      beacon_failed;

static void *
beacon_worker(void *data)
{
    unsigned            n;
    uint8_t            *payload;
    beacon_hit_t        hit;
    beacon_rc_t         rc;
    beacon_ring_t      *ring;
    beacon_producer_t   p;

    (void) data;
    memset(&hit, 0, sizeof(hit));
    hit.strings[BEACON_HIT_SITE] = beacon_string("shop");
    hit.strings[BEACON_HIT_PATH] = beacon_string("/px.gif");
    hit.strings[BEACON_HIT_QUERY] = beacon_string("e=pageview&k=v");
    hit.method = BEACON_METHOD_GET;
    hit.max_args = 16;
    hit.flags = 1;

    if (beacon_ring_attach(beacon_ring_dir, beacon_epoch, 1, &ring, NULL)
        != BEACON_OK || beacon_lane_claim(ring, &p) != BEACON_OK)
    {
        beacon_failed = 1;
        return NULL;
    }

    for (n = 0; n < BEACON_HITS; n++) {
        while ((rc = beacon_lane_reserve(&p, beacon_hit_size(&hit), &payload))
               == BEACON_FULL)
        {
            usleep(200);
        }

        if (rc != BEACON_OK) {
            beacon_failed = 1;
            break;
        }

        beacon_hit_write(&hit, payload);
        beacon_lane_commit(&p, n * 1000000ULL, beacon_hash);
    }

    beacon_lane_release(&p);
    beacon_ring_detach(ring);

    return NULL;
}

static void
beacon_say(void *data, const char *at, const char *text)
{
    (void) data;
    printf("# %s %s\n", at, text);
}

static beacond_conf_t *
beacon_conf(int generation, const char *second)
{
    char   path[128];
    FILE  *file;

    snprintf(path, sizeof(path), "%s/beacond.json", beacon_ring_dir);
    file = fopen(path, "w");
    fprintf(file, "{\"v\":2,\"generation\":%d,\"build\":\"x\",\"layout\":2,"
            "\"edge\":\"e\",\"ring\":{\"dir\":\"%s\",\"epoch\":\"%016llx\","
            "\"lane_size\":65536,\"lanes\":4},\"helper\":{\"threads\":2},"
            "\"spool\":{\"dir\":\"%s/spool\",\"size\":50000000,"
            "\"min_free\":0},\"sinks\":["
            "{\"type\":\"ids\",\"name\":\"one\",\"path\":\"%s/one\"},"
            "{\"type\":\"ids\",\"name\":\"two\",\"path\":\"%s/later/%s\"}]}",
            generation, beacon_ring_dir, (unsigned long long) beacon_epoch,
            beacon_out, beacon_out, beacon_out, second);
    fclose(file);

    return beacond_conf_read(path, beacon_say, NULL);
}

static long
beacon_lines(const char *name)
{
    int    c;
    char   path[128];
    long   n = 0;
    FILE  *file;

    snprintf(path, sizeof(path), "%s/%s", beacon_out, name);
    file = fopen(path, "r");

    while (file != NULL && (c = getc(file)) != EOF) {
        n += c == '\n';
    }

    if (file != NULL) {
        fclose(file);
    }

    return n;
}

static int
beacon_drained(beacond_engine_t *engine, beacon_counters_t *counters)
{
    int              i;
    uint64_t         left;
    beacon_books_t  *books = calloc(1, sizeof(beacon_books_t));

    for (i = 0; i < 3000; i++) {
        if (beacond_engine_drained(engine, &left)
            && beacon_books_read(counters, books) == BEACON_OK
            && books->nsinks == 2 && books->sinks[0].pending == 0
            && books->sinks[1].pending == 0
            && books->sinks[1].done == BEACON_WORKERS * BEACON_HITS)
        {
            break;
        }

        usleep(10000);
    }

    free(books);

    return i < 3000;
}

static void
beacon_books(beacon_counters_t *counters)
{
    uint32_t         i;
    uint64_t         accepted;
    beacon_books_t  *books = calloc(1, sizeof(beacon_books_t));

    ok(beacon_books_read(counters, books) == BEACON_OK, "there are books");
    accepted = books->accepted_base;

    for (i = 0; i < books->nlanes; i++) {
        accepted += books->lanes[i].ordinal;
    }

    ok(accepted == BEACON_WORKERS * BEACON_HITS,
       "accepted_is_what_was_committed");

    for (i = 0; i < books->nsinks; i++) {
        printf("# %s: done %llu lost %llu pending %llu\n",
               books->sinks[i].name,
               (unsigned long long) books->sinks[i].done,
               (unsigned long long) books->sinks[i].lost,
               (unsigned long long) books->sinks[i].pending);
        ok(books->sinks[i].done == accepted && books->sinks[i].lost == 0
           && books->sinks[i].pending == 0, "sink_%s_has_done_all_of_it",
           books->sinks[i].name);
    }

    for (i = 0; i < books->nflags; i++) {
        if (strcmp(books->flags[i].name, "odd") == 0) {
            ok(books->flags[i].n == accepted, "flags_are_counted_once");
        }
    }

    free(books);
}

int
main(void)
{
    int                     i;
    char                    path[128];
    pthread_t               workers[BEACON_WORKERS];
    beacond_conf_t         *conf;
    beacon_schema_t         schema;
    beacond_engine_t       *engine;
    beacon_counters_t       counters;
    beacon_ring_geometry_t  geometry;

    strcpy(beacon_ring_dir, "/dev/shm/beacon-test.XXXXXX");
    strcpy(beacon_out, "/tmp/beacon-test.XXXXXX");
    beacond_log_level(BEACOND_ALERT);

    if (mkdtemp(beacon_ring_dir) == NULL || mkdtemp(beacon_out) == NULL) {
        return 1;
    }

    memset(&geometry, 0, sizeof(geometry));
    geometry.lane_size = 65536;
    geometry.lanes = 4;
    geometry.prefix = geometry.conf = "/x";
    geometry.uid = (uid_t) -1;
    geometry.gid = (gid_t) -1;
    memset(&schema, 0, sizeof(schema));
    schema.edge = beacon_string("e");
    schema.flags[0] = beacon_string("odd");
    schema.nflags = 1;

    ok(beacon_ring_create(beacon_ring_dir, &geometry, &beacon_epoch,
                          &beacon_error) == BEACON_OK
       && beacon_schema_publish(beacon_ring_dir, &schema, (uid_t) -1,
                                (gid_t) -1, &beacon_error) == BEACON_OK
       && beacon_counters_attach(beacon_ring_dir, (uid_t) -1, (gid_t) -1,
                                 &counters, &beacon_error) == BEACON_OK,
       "a ring, a schema, counters");
    beacon_hash = schema.hash;

    conf = beacon_conf(1, "two");
    engine = beacond_engine_create(conf, &counters, &beacon_error);
    ok(engine != NULL, "an_engine_starts: %s", beacon_error.text);

    for (i = 0; i < BEACON_WORKERS; i++) {
        pthread_create(&workers[i], NULL, beacon_worker, NULL);
    }

    usleep(700000);
    conf = beacon_conf(2, "two");
    ok(beacond_engine_configure(engine, conf, &beacon_error) == BEACON_OK,
       "it_goes_over_to_the_same_configuration");
    beacond_engine_reopen(engine);
    snprintf(path, sizeof(path), "%s/later", beacon_out);
    mkdir(path, 0700);

    for (i = 0; i < BEACON_WORKERS; i++) {
        pthread_join(workers[i], NULL);
    }

    ok(!beacon_failed, "workers_commit_all_while_one_sink_cannot_write");
    ok(beacon_drained(engine, &counters), "all_of_it_arrives");
    beacond_engine_destroy(engine);

    ok(beacon_lines("one") == BEACON_WORKERS * BEACON_HITS
       && beacon_lines("later/two") == BEACON_WORKERS * BEACON_HITS,
       "each_sink_has_each_hit_once");
    beacon_books(&counters);
    beacon_counters_detach(&counters);

    snprintf(path, sizeof(path), "rm -rf %s %s", beacon_ring_dir, beacon_out);
    ok(system(path) == 0, "nothing is left behind");

    return done_testing();
}
