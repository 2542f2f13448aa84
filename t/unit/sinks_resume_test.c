/*
 * A sink that is not durable and resumes: it goes on where it says it was,
 * from the ring, whether a durable one is ahead of it or behind; and hears of
 * what it is too late for.
 */

#include "engine_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#define BEACON_ORDINALS   20000

/* What a hit may have been for it. */
#define BEACON_SEEN    1
#define BEACON_MISSED  2
#define BEACON_PASSED  4
#define BEACON_TWICE   8                /* seen, or missed, more than once */

/* What a sink of the test has seen, over helpers. */
typedef struct {
    _Atomic int       refuse;
    _Atomic int       stuck;            /* batch() does not come back */
    _Atomic int       forgets;          /* load() has no checkpoint */
    _Atomic unsigned  hits;
    _Atomic unsigned  wrong;            /* not the next one of its lane */
    _Atomic unsigned  holes;            /* hits that it did not get */
    uint64_t          epoch;
    uint64_t          done;
    beacon_cursor_t   at[BEACON_ALL_LANES];
    _Atomic uint64_t  ends[BEACON_ALL_LANES];   /* where nobody brings more */
    _Atomic uint8_t   fates[BEACON_ALL_LANES][BEACON_ORDINALS];
} beacon_sink_test_t;

static beacon_sink_test_t  beacon_live, beacon_main;

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

static beacon_rc_t
beacon_test_load(beacond_sink_t *sink, beacond_checkpoint_t *checkpoint)
{
    int                  n = 0;
    unsigned             lane;
    char                 text[1024];
    beacon_sink_test_t  *test = beacon_test_of(sink);

    if (test->epoch == 0 || test->forgets) {
        return BEACON_OK;
    }

    n += sprintf(text, "{\"v\":1,\"before\":0,\"done\":%llu,\"lost\":0,"
                 "\"lanes\":[", (unsigned long long) test->done);

    for (lane = 0; lane < BEACON_ALL_LANES; lane++) {
        n += sprintf(text + n, "%s[\"%016llx\",%u,%llu,%llu]",
                     lane ? "," : "", (unsigned long long) test->epoch, lane,
                     (unsigned long long) test->at[lane].offset,
                     (unsigned long long) test->at[lane].ordinal);
    }

    strcpy(text + n, "]}");
    checkpoint->text = strdup(text);
    checkpoint->len = strlen(text);

    return BEACON_OK;
}

static void
beacon_test_fate(beacon_sink_test_t *test, uint32_t lane, uint64_t ordinal,
    uint8_t fate)
{
    uint8_t  was;

    if (ordinal < BEACON_ORDINALS) {
        was = atomic_fetch_or(&test->fates[lane][ordinal], fate);

        if ((was & fate) != 0 || (was | fate) == (BEACON_SEEN | BEACON_MISSED))
        {
            test->fates[lane][ordinal] |= BEACON_TWICE;
        }
    }
}

static void
beacon_test_fates(const beacond_sink_t *sink, const beacond_batch_t *batch,
    uint64_t ordinal, uint8_t fate)
{
    uint32_t             i, lane;
    uint64_t             epoch;
    beacon_str_t         site;
    beacon_sink_test_t  *test = beacon_test_of(sink);

    for (i = 0; i < batch->nlines; i++) {
        site = beacond_line_site(batch, &batch->lines[i]);
        beacond_span_lane(batch, batch->hits[i].span, &epoch, &lane);

        if (site.len == 4 && memcmp(site.data, "shop", 4) == 0
            && batch->hits[i].ordinal >= ordinal)
        {
            beacon_test_fate(test, lane, batch->hits[i].ordinal, fate);
        }
    }
}

static void
beacon_test_missed(beacond_sink_t *sink, const beacond_batch_t *batch,
    uint64_t turn)
{
    uint32_t             i, lane;
    uint64_t             epoch;
    beacon_sink_test_t  *test = beacon_test_of(sink);

    (void) turn;
    beacon_test_fates(sink, batch, 0, BEACON_MISSED);

    for (i = 0; i < batch->nspans; i++) {
        beacond_span_lane(batch, i, &epoch, &lane);
        test->ends[lane] = batch->spans[i].to.ordinal;
    }
}

static void
beacon_test_passing(beacond_sink_t *sink, const beacond_batch_t *batch,
    uint64_t ordinal)
{
    beacon_test_fates(sink, batch, ordinal, BEACON_PASSED);
}

static beacon_rc_t
beacon_test_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    uint32_t              i, lane;
    uint64_t              epoch;
    const beacond_hit_t  *hit;
    beacon_sink_test_t   *test = beacon_test_of(sink);

    while (test->stuck) {
        usleep(1000);
    }

    if (test->refuse) {
        return BEACON_AGAIN;
    }

    beacon_test_fates(sink, batch, 0, BEACON_SEEN);

    for (i = 0; i < batch->nhits; i++) {
        hit = &batch->hits[i];
        beacond_span_lane(batch, hit->span, &epoch, &lane);
        test->wrong += hit->ordinal < test->at[lane].ordinal;
        test->holes += hit->ordinal - test->at[lane].ordinal;
        test->at[lane].ordinal = hit->ordinal + 1;
        test->at[lane].offset = hit->offset + hit->length;
        test->epoch = epoch;
    }

    test->hits += batch->nhits;
    test->done = beacond_sink_done(sink) + batch->nhits;
    beacond_sink_ack(sink, batch, 0, batch->nhits);

    return BEACON_OK;
}

static const beacond_sink_ops_t  beacon_sink_resumes = {
    .type = "resumes",
    .resumes = true,
    .create = beacon_test_create,
    .destroy = beacon_test_destroy,
    .load = beacon_test_load,
    .batch = beacon_test_batch,
    .missed = beacon_test_missed,
    .passing = beacon_test_passing,
    .flush = beacon_test_flush,
    .retry_ms = 10
};

static const beacond_sink_ops_t  beacon_sink_main = BEACON_TEST_MAIN;

/* Instead of the helper's own table. */
const beacond_sink_ops_t *const  beacond_sinks[] = {
    &beacon_sink_main,
    &beacon_sink_resumes,
    NULL
};

static beacond_engine_t *
beacon_start(int spool)
{
    beacond_conf_t  *conf;

    conf = beacon_conf("resumes", spool);

    if (conf != NULL) {
        conf->sinks[0].type = "main";
    }

    return beacond_engine_create(conf, &beacon_counters, &beacon_error);
}

/* The next helper's numbers are those of the one that died a while ago. */
static int
beacon_resumed(const char *name, beacon_books_sink_t *sink)
{
    if (!beacon_settled(name, sink) || sink->done != beacon_pushed
        || sink->lost != 0)
    {
        printf("# %s: %llu before, %llu done, %llu lost of %u, %u seen, "
               "%u wrong, %u in holes\n", name,
               (unsigned long long) sink->before,
               (unsigned long long) sink->done,
               (unsigned long long) sink->lost, beacon_pushed,
               beacon_live.hits, beacon_live.wrong, beacon_live.holes);
        return 0;
    }

    return 1;
}

/* The durable one has all, the other one nothing of the second half. */
static void
beacon_behind(void)
{
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    engine = beacon_start(0);
    ok(engine != NULL && beacon_push(60) && beacon_resumed("two", &sink)
       && beacon_resumed("one", &sink), "both sinks have hits");
    beacon_live.refuse = 1;
    ok(beacon_push(60) && beacon_resumed("one", &sink),
       "the durable one has more");
    beacond_engine_destroy(engine);

    beacon_live.refuse = 0;
    engine = beacon_start(0);
    ok(engine != NULL && beacon_push(20) && beacon_resumed("two", &sink)
       && beacon_live.hits == beacon_pushed,
       "the_other_one_goes_on_where_it_was");
    ok(beacon_resumed("one", &sink) && beacon_main.hits == beacon_pushed
       && beacon_main.wrong == 0, "so_does_the_durable_one");
    beacond_engine_destroy(engine);
}

/* The durable one gets hits again that the other one has. */
static void
beacon_ahead(void)
{
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_main.refuse = 1;
    engine = beacon_start(0);
    ok(engine != NULL && beacon_push(80) && beacon_resumed("two", &sink),
       "the one that resumes has more");
    beacond_engine_destroy(engine);

    beacon_main.refuse = 0;
    engine = beacon_start(0);
    ok(engine != NULL && beacon_push(20) && beacon_resumed("two", &sink)
       && beacon_live.hits == beacon_pushed && beacon_live.wrong == 0
       && beacon_live.holes == 0, "it_gets_no_hit_twice");
    ok(beacon_resumed("one", &sink) && beacon_main.hits == beacon_pushed
       && beacon_main.holes == 0, "and_the_durable_one_all_of_them");
    beacond_engine_destroy(engine);
}

/* Hits of all lanes, up to where the ring is given back or to their ends, that
   nobody told the sink of in one of these ways; and those told twice. */
static unsigned
beacon_untold(uint8_t fates, int all)
{
    unsigned          lane, n = 0;
    uint64_t          i;
    beacon_ring_t    *ring;
    beacon_cursor_t   end;

    if (beacon_ring_attach(beacon_dir, beacon_epoch, 1, &ring, NULL)
        != BEACON_OK)
    {
        return UINT32_MAX;
    }

    for (lane = 0; lane < BEACON_ALL_LANES; lane++) {
        if (all) {
            beacon_lane_tail(ring, lane, &end);

        } else {
            beacon_lane_reclaimed(ring, lane, &end);
        }

        for (i = 0; i < end.ordinal && i < BEACON_ORDINALS; i++) {
            n += (beacon_live.fates[lane][i] & fates) == 0
                 || (beacon_live.fates[lane][i] & BEACON_TWICE) != 0;
        }
    }

    beacon_ring_detach(ring);

    return n;
}

/* A stop waits for the durable one alone; what the other one was not given,
   or refused, it gets from the ring when the next helper starts. */
static void
beacon_stops(void)
{
    int                   i, n, good = 1;
    uint64_t              left = 0;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    for (n = 0; n < 3; n++) {
        beacon_live.refuse = n == 0;
        engine = beacon_start(0);

        if (engine == NULL) {
            break;
        }

        beacon_live.stuck = n == 1;
        good &= beacon_push(60) && beacon_settled("one", &sink);
        beacond_engine_stop(engine, 4000);

        for (i = 0; i < BEACON_WAIT
                    && !beacond_engine_drained(engine, &left); i++)
        {
            usleep(10000);
        }

        good &= i < BEACON_WAIT && left == 0;
        beacon_live.stuck = 0;
        beacond_engine_destroy(engine);
    }

    ok(n == 3 && good, "a_stop_does_not_wait_for_one_that_resumes");

    engine = beacon_start(0);
    ok(engine != NULL && beacon_settled("two", &sink)
       && beacon_untold(BEACON_SEEN | BEACON_MISSED, 1) == 0
       && beacon_live.wrong == 0, "nor_does_that_cost_it_a_hit");

    for (n = 0; n < 20 && good && engine != NULL; n++) {
        good &= beacon_push(40);
        beacond_engine_stop(engine, 4000);

        while (!beacond_engine_drained(engine, NULL)) {
            usleep(1000);
        }

        beacond_engine_destroy(engine);
        engine = beacon_start(0);
    }

    ok(good && engine != NULL && beacon_push(20)
       && beacon_settled("two", &sink)
       && beacon_untold(BEACON_SEEN | BEACON_MISSED, 1) == 0
       && beacon_live.wrong == 0, "stops_at_any_moment_do_not_either");
    beacond_engine_destroy(engine);
}

/* What the spool has and the ring gives back, before the readers had it. */
static void
beacon_overtaken(void)
{
    int                   i;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_live.refuse = beacon_main.refuse = 1;
    beacon_live.ends[0] = UINT64_MAX;
    engine = beacon_start(1);

    /* while it is behind it would get them from the spool */

    for (i = 0; i < BEACON_WAIT && beacon_live.ends[0] == UINT64_MAX; i++) {
        usleep(10000);
    }

    ok(engine != NULL && i < BEACON_WAIT && beacon_push(6000),
       "a_spool_goes_on_for_all");
    beacon_main.refuse = beacon_live.refuse = 0;
    ok(beacon_settled("one", &sink) && sink.lost == 0
       && beacon_main.hits == beacon_pushed, "the_durable_one_has_all");
    ok(beacon_settled("two", &sink)
       && sink.lost > 0 && beacon_untold(BEACON_SEEN | BEACON_MISSED, 1) == 0,
       "the_other_one_has_heard_of_each_hit_that_it_has_not_seen");
    printf("# %llu of %u missed\n", (unsigned long long) sink.lost,
           beacon_pushed);
    beacond_engine_destroy(engine);
}

/* Of all lanes; with no hit to come. */
static int
beacon_ends(void)
{
    int       tries;
    uint32_t  lane;
    uint64_t  n = 0;

    for (tries = 0; n != beacon_pushed && tries < 60000; tries++) {
        usleep(1000);

        for (n = 0, lane = 0; lane < BEACON_ALL_LANES; lane++) {
            n += beacon_live.ends[lane];
        }
    }

    return n == beacon_pushed;
}

/* It holds up nobody, and what the ring has no more is lost. */
static void
beacon_lends(void)
{
    uint64_t              lost;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_live.refuse = 1;
    engine = beacon_start(0);
    ok(engine != NULL && beacon_push(6000) && beacon_settled("one", &sink)
       && sink.done == beacon_pushed && sink.lost == 0,
       "it_holds_up_nobody");
    ok(beacon_untold(BEACON_SEEN | BEACON_PASSED, 0) == 0,
       "what_the_ring_gave_back_before_it_saw_it_was_passed_by");
    beacond_engine_destroy(engine);

    beacon_live.refuse = 0;
    engine = beacon_start(0);
    ok(engine != NULL && beacon_push(20) && beacon_settled("two", &sink)
       && sink.lost > 0 && sink.done == beacon_live.hits
       && beacon_live.wrong == 0 && beacon_live.holes <= sink.lost,
       "what_is_gone_is_lost");
    lost = sink.lost;
    beacond_engine_destroy(engine);

    beacon_live.forgets = 1;
    engine = beacon_start(0);
    ok(engine != NULL && beacon_push(20) && beacon_settled("two", &sink)
       && sink.lost == lost && sink.done == beacon_live.hits,
       "without_a_checkpoint_it_begins_with_what_the_ring_has");
    beacond_engine_destroy(engine);

    memset((void *) beacon_live.ends, 0, sizeof(beacon_live.ends));
    engine = beacon_start(0);
    ok(engine != NULL && beacon_ends(),
       "once_it_has_caught_up_it_hears_what_nobody_will_bring");
    beacond_engine_destroy(engine);
}

static double
beacon_seconds(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* All of this process stands still for 6 s, more than one that gets nothing
   done is waited for. */
static void
beacon_stop_all(void)
{
    int    status;
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        kill(getppid(), SIGSTOP);
        sleep(6);
        kill(getppid(), SIGCONT);
        _exit(0);
    }

    waitpid(pid, &status, 0);
}

/* The time that all were stopped costs it nothing. */
static void
beacon_stopped(void)
{
    double                awake;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_live.refuse = 1;
    engine = beacon_start(0);
    ok(engine != NULL && beacon_push(60) && beacon_settled("one", &sink),
       "the durable one has hits");
    beacond_engine_destroy(engine);

    awake = beacon_seconds();
    engine = beacon_start(0);
    ok(engine != NULL && beacon_settled("one", &sink) && beacon_push(60)
       && beacon_settled("one", &sink), "and more, of which the other lags");
    beacon_stop_all();
    awake = beacon_seconds() - awake - 6;
    beacon_live.refuse = 0;
    ok(beacon_settled("two", &sink) && (sink.lost == 0 || awake > 4),
       "who_lags_when_all_are_stopped_has_lost_nothing_then");
    beacond_engine_destroy(engine);
}

int
main(void)
{
    beacond_log_level(BEACOND_ALERT);
    beacon_fixture_begin();
    beacon_behind();
    beacon_ahead();
    beacon_stops();
    beacon_lends();
    beacon_end();

    beacon_fixture_begin();
    memset(&beacon_live, 0, sizeof(beacon_live));
    memset(&beacon_main, 0, sizeof(beacon_main));
    beacon_overtaken();
    beacon_end();

    beacon_fixture_begin();
    memset(&beacon_live, 0, sizeof(beacon_live));
    memset(&beacon_main, 0, sizeof(beacon_main));
    beacon_stopped();
    beacon_end();

    return done_testing();
}
