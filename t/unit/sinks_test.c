/*
 * The engine with sinks of the test's own: a recorder that is slow or stuck
 * when told to, durable or not, and that may acknowledge out of order.
 */

#include "engine_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

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
    _Atomic unsigned  batches;
    _Atomic unsigned  missed;           /* hits that it was told of */
    _Atomic unsigned  untimely;         /* told of behind too few batches */
    uint64_t          time;
    uint64_t          next[BEACON_LANES];
} beacon_sink_test_t;

static beacon_sink_test_t  beacon_live, beacon_main;

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
    test->batches++;
}

/* They come behind what has been taken already. */
static void
beacon_test_missed(beacond_sink_t *sink, const beacond_batch_t *batch,
    uint64_t turn)
{
    beacon_sink_test_t  *test = beacon_test_of(sink);

    test->missed += batch->nhits;
    test->untimely += turn < test->batches + 8;
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

static const beacond_sink_ops_t  beacon_sink_live = {
    .type = "live",
    .create = beacon_test_create,
    .destroy = beacon_test_destroy,
    .batch = beacon_test_batch,
    .missed = beacon_test_missed,
    .flush = beacon_test_flush,
    .retry_ms = 10
};

static const beacond_sink_ops_t  beacon_sink_main = BEACON_TEST_MAIN;

/* Instead of the helper's own table. */
const beacond_sink_ops_t *const  beacond_sinks[] = {
    &beacond_sink_ids,
    &beacon_sink_live,
    &beacon_sink_main,
    NULL
};

static void
beacon_begin(void)
{
    beacon_fixture_begin();
    memset(&beacon_live, 0, sizeof(beacon_live));
    memset(&beacon_main, 0, sizeof(beacon_main));
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
       && sink.done - sink.before == beacon_live.hits,
       "what_it_missed_is_lost_and_counted");
    ok(beacon_live.missed == sink.lost && beacon_live.untimely == 0,
       "and_it_is_told_which_hits_and_when");
    lost = sink.lost;
    printf("# %llu lost\n", (unsigned long long) lost);
    ok(beacon_push(100) && beacon_settled("two", &sink) && sink.lost == lost
       && beacon_live.disorder == 0, "then_it_gets_hits_again_in_order");
    beacond_engine_destroy(engine);

    ok(beacon_push(100), "hits while there is no helper");
    engine = beacond_engine_create(beacon_conf("live", 0), &beacon_counters,
                                   &beacon_error);
    ok(beacon_settled("two", &sink) && sink.lost >= lost
       && sink.done - sink.before == beacon_live.hits,
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
