/*
 * The live sink in an engine: what it misses while the store is held is told
 * to the hit, in its place, also if the helper dies with that in hand.
 */

#include "beacond_live.h"
#include "engine_fixture.h"
#include "beacon_live.h"

static beacond_sink_ops_t  beacon_sink;         /* as beacond_sink_live */

/* Instead of the helper's own table. */
const beacond_sink_ops_t *const  beacond_sinks[] = {
    &beacond_sink_ids,
    &beacon_sink,
    NULL
};

static int  beacon_long;        /* what comes has too long a site */

static beacon_rc_t
beacon_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    uint32_t  i;

    for (i = 0; i < batch->nlines && beacon_long; i++) {
        batch->lines[i].line.site_len = BEACON_SITE_MAX + 1;
    }

    return beacond_sink_live.batch(sink, batch);
}

static uint8_t  beacon_buf[BEACON_LIVE_HIT_MAX];

static beacond_engine_t *
beacon_start(void)
{
    beacond_conf_t  *conf;
    static json_t   *live;

    conf = beacon_conf("live", 0);

    if (live == NULL) {
        live = json_pack("{s:s, s:s, s:i, s:i}", "type", "live", "name",
                         "two", "size", 16 << 20, "visitors", 300);
    }

    conf->sinks[1].json = live;

    return beacond_engine_create(conf, &beacon_counters, &beacon_error);
}

/* Of the site: hits, and what was missed before them; 0: out of order. */
static int
beacon_look(uint64_t *hits, uint64_t *missed)
{
    int                   good;
    size_t                need;
    uint64_t              last = 0;
    beacon_live_t         live;
    beacon_live_info_t    site;
    beacon_live_scan_t    scan;
    beacon_live_record_t  record;

    memset(&live, 0, sizeof(live));
    *hits = *missed = 0;

    if (beacon_live_attach(&live, beacon_dir, &beacon_error) != BEACON_OK) {
        return 0;
    }

    good = beacon_live_find(&live, beacon_string("shop"), &site) == BEACON_OK;

    if (good) {
        beacon_live_scan_begin(&scan, &live, &site, 0, beacon_buf,
                               sizeof(beacon_buf));

        while (beacon_live_scan(&scan, &record, &need) == BEACON_OK) {
            good &= record.seq > last;
            last = record.seq;
            ++*hits;
        }

        *missed = scan.missed;
        good &= *hits + *missed == site.last - site.start;
    }

    beacon_live_detach(&live);

    return good;
}

/* Until hits and gaps are all that was pushed. */
static int
beacon_told(uint64_t *hits, uint64_t *missed)
{
    int  i;

    for (i = 0; i < BEACON_WAIT; i++) {
        if (beacon_look(hits, missed) && *hits + *missed == beacon_pushed) {
            return 1;
        }

        usleep(10000);
    }

    printf("# %llu hits, %llu missed\n", (unsigned long long) *hits,
           (unsigned long long) *missed);

    return 0;
}

static void
beacon_misses(void)
{
    uint64_t              hits, missed;
    beacond_live_t       *live;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_fixture_begin();
    engine = beacon_start();
    ok(engine != NULL && beacon_push(100) && beacon_settled("two", &sink)
       && sink.done == 100 && beacon_told(&hits, &missed) && missed == 0,
       "all_hits_are_in_the_store");

    live = beacond_live_lock();
    ok(live != NULL && beacon_push(12000) && beacon_settled("one", &sink),
       "a_store_that_is_stuck_holds_up_nobody");
    beacond_live_unlock(live);

    ok(beacon_told(&hits, &missed) && missed > 0,
       "what_it_missed_is_told_without_another_hit");
    printf("# %llu hits, %llu missed\n", (unsigned long long) hits,
           (unsigned long long) missed);
    ok(beacon_settled("two", &sink) && sink.lost == missed
       && sink.done == hits, "and_the_books_say_the_same");
    ok(beacon_push(50) && beacon_settled("two", &sink)
       && beacon_told(&hits, &missed) && sink.lost == missed,
       "hits_go_on_behind_it");
    beacond_engine_destroy(engine);

    engine = beacon_start();
    ok(engine != NULL && beacon_push(50) && beacon_settled("two", &sink)
       && beacon_told(&hits, &missed) && sink.lost == missed
       && sink.done == hits, "and_in_the_next_helper");
    beacond_engine_destroy(engine);
    beacon_end();
}

/* Hits of a site that the store has never seen are told with its first. */
static void
beacon_unknown(void)
{
    uint64_t              hits, missed;
    beacond_live_t       *live;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_fixture_begin();
    engine = beacon_start();

    while ((live = beacond_live_lock()) == NULL) {
        usleep(1000);
    }

    ok(engine != NULL && beacon_push(12000) && beacon_settled("one", &sink),
       "a site is new, and the store is stuck");
    beacond_live_unlock(live);
    ok(beacon_push(10) && beacon_told(&hits, &missed)
       && beacon_settled("two", &sink) && sink.lost == missed,
       "its_first_hit_tells_what_is_missing");
    printf("# %llu hits, %llu missed\n", (unsigned long long) hits,
           (unsigned long long) missed);
    beacond_engine_destroy(engine);
    beacon_end();
}

/* Places go by marks, so a hit that the store can't have has one. */
static void
beacon_marks(void)
{
    uint64_t              mark;
    beacond_live_t       *live;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_fixture_begin();
    engine = beacon_start();
    ok(engine != NULL && beacon_push(20) && beacon_settled("two", &sink),
       "hits_are_in_the_store");
    beacon_long = 1;
    ok(beacon_push(7) && beacon_settled("two", &sink),
       "those_of_a_site_with_too_long_a_name_are_done_with");
    beacon_long = 0;

    live = beacond_live_lock();
    ok(live != NULL && beacon_live_mark(live->writer) == live->mark,
       "which_the_store_knows_before_others_come");
    beacond_live_unlock(live);

    ok(beacon_push(20) && beacon_settled("two", &sink),
       "and_hits_behind_them_are_in_the_store");

    live = beacond_live_lock();
    mark = live != NULL ? live->mark : 0;
    beacond_live_unlock(live);
    printf("# mark %llu\n", (unsigned long long) mark);
    ok(mark == beacon_pushed, "each_of_them_has_a_mark");

    beacond_engine_destroy(engine);
    beacon_end();
}

int
main(void)
{
    beacond_log_level(BEACOND_ALERT);
    beacon_sink = beacond_sink_live;
    beacon_sink.batch = beacon_batch;
    beacon_misses();
    beacon_unknown();
    beacon_marks();

    return done_testing();
}
