/*
 * The engine with sinks of the test's own: a recorder that is slow or stuck
 * when told to, durable or not, and that may acknowledge out of order.
 */

#include "beacon_hit.h"
#include "beacon_ring.h"
#include "beacon_schema.h"
#include "beacond_engine.h"
#include "beacond_log.h"
#include "beacond_sink.h"
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACON_LANES    2
#define BEACON_WAIT     2000            /* times 10 ms */

/* What a sink of the test does, and has seen. */
typedef struct {
    _Atomic int       refuse;           /* batch() returns AGAIN */
    _Atomic int       backwards;        /* acknowledges the last hit first */
    _Atomic int       stuck;            /* batch() does not return */
    _Atomic int       stuck_load;       /* load() does not return */
    _Atomic int       inside;           /* threads that are stuck */
    _Atomic unsigned  hits;
    _Atomic unsigned  disorder;         /* hits not behind their lane's last */
    _Atomic unsigned  unsorted;         /* hits older than the one before */
    uint64_t          time;
    uint64_t          next[BEACON_LANES];
} beacon_sink_test_t;

static beacon_sink_test_t  beacon_live, beacon_main;

static char           beacon_dir[64], beacon_out[64];
static uint64_t       beacon_epoch;
static beacon_err_t   beacon_error;
static uint32_t       beacon_hash;
static uint64_t       beacon_clock;
static unsigned       beacon_pushed;
static beacon_counters_t  beacon_counters;

/* The sinks. */

static beacon_sink_test_t *
beacon_test_of(const beacond_sink_t *sink)
{
    return sink->ops->durable ? &beacon_main : &beacon_live;
}

static beacon_rc_t
beacon_test_create(beacond_sink_t *sink, const json_t *conf, beacon_err_t *err)
{
    (void) conf;
    (void) err;
    sink->data = beacon_test_of(sink);

    return BEACON_OK;
}

static void
beacon_test_destroy(beacond_sink_t *sink)
{
    sink->data = NULL;
}

static void
beacon_test_stick(beacon_sink_test_t *test, _Atomic int *stuck)
{
    test->inside++;

    while (*stuck) {
        usleep(1000);
    }

    test->inside--;
}

static beacon_rc_t
beacon_test_load(beacond_sink_t *sink, beacond_checkpoint_t *checkpoint)
{
    beacon_sink_test_t  *test = beacon_test_of(sink);

    (void) checkpoint;
    beacon_test_stick(test, &test->stuck_load);

    return BEACON_OK;
}

static void
beacon_test_look(beacon_sink_test_t *test, const beacond_batch_t *batch)
{
    uint32_t              i, lane;
    uint64_t              epoch;
    const beacond_hit_t  *hit;

    for (i = 0; i < batch->nhits; i++) {
        hit = &batch->hits[i];
        beacond_span_lane(batch, hit->span, &epoch, &lane);

        test->disorder += hit->ordinal < test->next[lane];
        test->unsorted += hit->time_ns < test->time;
        test->next[lane] = hit->ordinal + 1;
        test->time = hit->time_ns;
    }

    test->hits += batch->nhits;
}

static beacon_rc_t
beacon_test_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    uint32_t             i;
    beacon_sink_test_t  *test = beacon_test_of(sink);

    beacon_test_stick(test, &test->stuck);

    if (test->refuse) {
        return BEACON_AGAIN;
    }

    beacon_test_look(test, batch);

    if (test->backwards) {
        for (i = batch->nhits; i-- > 0; /* void */ ) {
            beacond_sink_ack(sink, batch, i, 1);
        }

    } else {
        beacond_sink_ack(sink, batch, 0, batch->nhits);
    }

    return BEACON_OK;
}

static int
beacon_test_flush(beacond_sink_t *sink, bool force)
{
    (void) sink;
    (void) force;

    return 50;
}

static const beacond_sink_ops_t  beacon_sink_live = {
    .type = "live",
    .create = beacon_test_create,
    .destroy = beacon_test_destroy,
    .batch = beacon_test_batch,
    .flush = beacon_test_flush,
    .retry_ms = 10
};

static const beacond_sink_ops_t  beacon_sink_main = {
    .type = "main",
    .durable = true,
    .create = beacon_test_create,
    .destroy = beacon_test_destroy,
    .load = beacon_test_load,
    .batch = beacon_test_batch,
    .flush = beacon_test_flush,
    .retry_ms = 10
};

/* Instead of the helper's own table. */
const beacond_sink_ops_t *const  beacond_sinks[] = {
    &beacond_sink_ids,
    &beacon_sink_live,
    &beacon_sink_main,
    NULL
};

/* The engine. */

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

static void
beacon_begin(void)
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
    geometry.lanes = 4;
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
    memset(&beacon_live, 0, sizeof(beacon_live));
    memset(&beacon_main, 0, sizeof(beacon_main));
}

static void
beacon_end(void)
{
    char  command[256];

    beacon_counters_detach(&beacon_counters);
    snprintf(command, sizeof(command), "rm -rf %s %s", beacon_dir, beacon_out);
    ok(system(command) == 0, "nothing is left behind");
}

/* Tests. */

static void
beacon_merge(void)
{
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    ok(beacon_push(400), "two lanes hold hits, turn by turn");
    engine = beacond_engine_create(beacon_conf("main", 0), &beacon_counters,
                                   &beacon_error);
    ok(engine != NULL && beacon_settled("two", &sink) && sink.done == 400,
       "all_of_them_reach_the_sink");
    ok(beacon_main.unsorted == 0 && beacon_main.disorder == 0,
       "lanes_are_merged_by_time");
    beacond_engine_destroy(engine);
    beacon_end();
}

static void
beacon_backwards(void)
{
    int                   i;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    beacon_main.backwards = 1;
    engine = beacond_engine_create(beacon_conf("main", 0), &beacon_counters,
                                   &beacon_error);
    ok(engine != NULL && beacon_push(6000) && beacon_settled("two", &sink)
       && sink.done == 6000 && beacon_main.hits == 6000
       && beacon_main.disorder == 0,
       "hits_may_be_acknowledged_in_any_order");

    for (i = 0; i < BEACON_WAIT && !beacond_engine_drained(engine, NULL); i++)
    {
        usleep(10000);
    }

    ok(i < BEACON_WAIT, "and_the_ring_is_given_back");
    beacond_engine_destroy(engine);
    beacon_end();
}

static void
beacon_not_durable(void)
{
    uint64_t              lost;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    beacon_live.refuse = 1;
    engine = beacond_engine_create(beacon_conf("live", 0), &beacon_counters,
                                   &beacon_error);
    ok(engine != NULL && beacon_push(20000) && beacon_settled("one", &sink)
       && sink.done == beacon_pushed,
       "a_sink_that_is_not_durable_holds_up_nobody");
    beacon_live.refuse = 0;
    ok(beacon_settled("two", &sink) && sink.lost > 0
       && sink.done == beacon_live.hits, "what_it_missed_is_lost_and_counted");
    lost = sink.lost;
    printf("# %llu lost\n", (unsigned long long) lost);
    ok(beacon_push(100) && beacon_settled("two", &sink) && sink.lost == lost
       && beacon_live.disorder == 0, "then_it_gets_hits_again_in_order");
    beacond_engine_destroy(engine);

    ok(beacon_push(100), "hits while there is no helper");
    engine = beacond_engine_create(beacon_conf("live", 0), &beacon_counters,
                                   &beacon_error);
    ok(beacon_settled("two", &sink) && sink.lost >= lost
       && sink.done == beacon_live.hits,
       "its_numbers_go_on_in_the_next_helper");
    beacond_engine_destroy(engine);
    beacon_end();
}

/* Its checkpoint lies on a disk that is frozen, say. */
static void
beacon_unready(int spool)
{
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    beacon_main.stuck_load = 1;
    engine = beacond_engine_create(beacon_conf("main", spool),
                                   &beacon_counters, &beacon_error);
    ok(engine != NULL && beacon_push(4000) && beacon_settled("one", &sink)
       && sink.done == beacon_pushed,
       "a_sink_that_cannot_load_holds_up_nobody, with%s a spool",
       spool ? "" : "out");
    beacon_main.stuck_load = 0;
    ok(beacon_settled("two", &sink) && sink.done == beacon_main.hits
       && (sink.lost == 0) == spool && beacon_main.disorder == 0,
       "%s", spool ? "then_it_gets_all_in_order"
             : "then_it_gets_what_is_left_and_the_rest_is_lost");
    printf("# %llu done, %llu lost\n", (unsigned long long) sink.done,
           (unsigned long long) sink.lost);
    beacond_engine_destroy(engine);
    beacon_end();
}

static void
beacond_hup(beacond_engine_t *engine, const char *type, const char *name)
{
    ok(beacond_engine_configure(engine, beacon_conf(type, 1), &beacon_error)
       == BEACON_OK, "%s", name);
}

/* The sink's thread does not come back from an op, over reloads. */
static void
beacon_stuck(void)
{
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    engine = beacond_engine_create(beacon_conf("main", 1), &beacon_counters,
                                   &beacon_error);
    ok(engine != NULL && beacon_push(100) && beacon_settled("two", &sink),
       "two sinks have hits");
    beacon_main.stuck = 1;
    ok(beacon_push(2000) && beacon_settled("one", &sink)
       && beacon_main.inside == 1, "one is stuck");
    beacond_hup(engine, NULL, "a_stuck_sink_can_be_removed");
    ok(beacon_push(4000) && beacon_settled("one", &sink),
       "and_holds_up_nobody_then");
    beacond_hup(engine, "live", "one_of_its_name_can_be_added");
    ok(beacon_push(1000) && beacon_settled("one", &sink)
       && beacon_live.hits == 0, "which_waits_for_it_to_end");
    beacon_main.stuck = 0;
    ok(beacon_push(1000) && beacon_settled("one", &sink)
       && beacon_settled("two", &sink), "and_then_begins");
    ok(beacon_push(10) && beacon_settled("two", &sink)
       && beacon_live.hits >= 10, "it_gets_hits");
    beacond_engine_destroy(engine);
    beacon_end();
}

/* The checkpoint is older than what became of the hits. */
static void
beacon_untold(void)
{
    char                  path[128];
    FILE                 *file;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    engine = beacond_engine_create(beacon_conf("ids", 0), &beacon_counters,
                                   &beacon_error);
    ok(engine != NULL && beacon_push(100) && beacon_settled("two", &sink),
       "hits are done");
    beacond_engine_destroy(engine);

    snprintf(path, sizeof(path), "%s/two.checkpoint", beacon_dir);
    file = fopen(path, "w");
    fputs("{\"v\":1,\"length\":0,\"engine\":{\"v\":1,\"before\":0,"
          "\"done\":40,\"lost\":0,\"flags\":{},\"lanes\":[]}}", file);
    fclose(file);

    engine = beacond_engine_create(beacon_conf("ids", 0), &beacon_counters,
                                   &beacon_error);
    ok(engine != NULL && beacon_push(10) && beacon_settled("two", &sink)
       && sink.done == 50 && sink.lost == 60,
       "what_the_checkpoint_does_not_tell_of_is_lost");
    beacond_engine_destroy(engine);
    beacon_end();
}

int
main(void)
{
    beacond_log_level(BEACOND_ALERT);
    beacon_merge();
    beacon_backwards();
    beacon_not_durable();
    beacon_unready(1);
    beacon_unready(0);
    beacon_stuck();
    beacon_untold();

    return done_testing();
}
