/*
 * A write to the spool that is refused when the time of spooling that it was
 * for is over: the spool takes what the next one brings.
 */

#include "beacond_parts.h"
#include "engine_fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define BEACON_NEARLY  (65536 / 8 * 7)  /* from there on a sink loses */

static _Atomic bool  beacon_down;       /* the sink takes nothing */
static _Atomic int   beacon_writes;     /* the spool's, that were begun; */
static _Atomic bool  beacon_refused;    /*   the first waits for this */

/* Instead of libc's. */
ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
    char  name[16] = "";

    pthread_getname_np(pthread_self(), name, sizeof(name));

    if (strcmp(name, "spool") == 0 && beacon_writes++ == 0) {
        while (!beacon_refused) {
            usleep(1000);
        }

        errno = EIO;
        return -1;
    }

    return syscall(SYS_pwrite64, fd, data, len, at);
}

static beacon_rc_t
beacon_test_create(beacond_sink_t *sink, const json_t *conf, beacon_err_t *err)
{
    (void) conf;
    (void) err;
    sink->data = &beacon_down;

    return BEACON_OK;
}

static beacon_rc_t
beacon_test_load(beacond_sink_t *sink, beacond_checkpoint_t *checkpoint)
{
    (void) sink;
    (void) checkpoint;

    return BEACON_OK;
}

static beacon_rc_t
beacon_test_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    if (beacon_down) {
        return BEACON_AGAIN;
    }

    beacond_sink_ack(sink, batch, 0, batch->nhits);

    return BEACON_OK;
}

static const beacond_sink_ops_t  beacon_sink_main = BEACON_TEST_MAIN;

const beacond_sink_ops_t *const  beacond_sinks[] = {
    &beacond_sink_ids,
    &beacon_sink_main,
    NULL
};

/* How full the fullest lane is, in bytes. */
static uint64_t
beacon_used(const beacond_engine_t *engine)
{
    uint32_t               i;
    uint64_t               used = 0;
    const beacond_lane_t  *lane;

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (lane->used && used < lane->tail.offset - lane->reclaim.offset) {
            used = lane->tail.offset - lane->reclaim.offset;
        }
    }

    return used;
}

/* However slow the machine is, the write is not one that is stuck. */
static void
beacon_patience(beacond_engine_t *engine)
{
    if (engine->spool_ns != 0) {
        engine->spool_ns = beacond_clock_ns();
    }
}

static int
beacon_wait(beacond_engine_t *engine, bool spooling)
{
    int   i;
    bool  good = false;

    for (i = 0; i < BEACON_WAIT && !good; i++) {
        pthread_mutex_lock(&engine->mutex);
        good = engine->spooling == spooling;
        beacon_patience(engine);
        pthread_mutex_unlock(&engine->mutex);
        usleep(10000);
    }

    return good;
}

/* Hits until a lane has hardly room for more; none has to wait. */
static int
beacon_fill(beacond_engine_t *engine)
{
    int       good = 1;
    uint64_t  used = 0;

    while (good && used < BEACON_NEARLY) {
        good = beacon_push(10);
        pthread_mutex_lock(&engine->mutex);
        beacon_patience(engine);
        beacond_lanes_tails(engine);
        used = beacon_used(engine);
        pthread_mutex_unlock(&engine->mutex);
    }

    return good;
}

/* The write comes back, and is refused. */
static int
beacon_refuse(beacond_engine_t *engine)
{
    int   i;
    bool  idle = false;

    beacon_refused = true;

    for (i = 0; i < BEACON_WAIT && !idle; i++) {
        usleep(1000);
        pthread_mutex_lock(&engine->mutex);
        idle = engine->spool_ns == 0;
        pthread_mutex_unlock(&engine->mutex);
    }

    return idle;
}

/* It is refused in the next time of spooling, or before that. */
static void
beacon_late(bool next)
{
    int                   i;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_fixture_begin();
    beacon_down = beacon_refused = false;
    beacon_writes = 0;
    engine = beacond_engine_create(beacon_conf("main", 1), &beacon_counters,
                                   &beacon_error);
    ok(engine != NULL && beacon_push(10) && beacon_settled("two", &sink),
       "two sinks run");

    beacon_down = true;
    ok(beacon_fill(engine) && beacon_wait(engine, true), "one lags");

    for (i = 0; i < BEACON_WAIT && beacon_writes == 0; i++) {
        usleep(10000);
    }

    ok(beacon_writes == 1, "a write to the spool takes its time");
    beacon_down = false;
    ok(beacon_settled("two", &sink) && beacon_wait(engine, false),
       "the sink catches up from the ring");
    ok(next || beacon_refuse(engine), "the write is refused, or later");

    beacon_down = true;
    ok(beacon_fill(engine) && beacon_settled("one", &sink)
       && beacon_wait(engine, true) && beacon_fill(engine), "it lags again");
    beacon_refused = true;
    ok(beacon_push(2000), "more hits come than the ring has room for");
    beacon_down = false;
    ok(beacon_settled("two", &sink) && sink.lost == 0,
       next ? "what_is_refused_in_the_next_time_is_no_reason_to_lose_hits"
            : "nor_what_is_refused_before_that_begins");
    printf("# %llu lost, %d writes\n", (unsigned long long) sink.lost,
           (int) beacon_writes);
    beacond_engine_destroy(engine);
    beacon_end();
}

int
main(void)
{
    beacond_log_level(BEACOND_ALERT);
    beacon_late(true);
    beacon_late(false);

    return done_testing();
}
