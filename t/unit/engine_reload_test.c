/*
 * Reloads that hold up the keeper, each for longer than it takes a stop of the
 * whole process by: what a sink lags meanwhile counts.
 */

#include "engine_fixture.h"

#include <glob.h>

#define BEACON_HOLD     1500000         /* us */
#define BEACON_RELOADS  20              /* six times what it takes */

/* A durable sink that takes nothing. */

static beacon_rc_t
beacon_stuck_create(beacond_sink_t *sink, const json_t *conf,
    beacon_err_t *err)
{
    (void) sink;
    (void) conf;
    (void) err;

    return BEACON_OK;
}

static beacon_rc_t
beacon_stuck_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    (void) sink;
    (void) batch;

    return BEACON_AGAIN;
}

static const beacond_sink_ops_t  beacon_stuck_ops = {
    .type = "stuck", .durable = true, .create = beacon_stuck_create,
    .destroy = beacon_test_destroy, .batch = beacon_stuck_batch,
    .flush = beacon_test_flush, .retry_ms = 50
};

/* One that is long in the making. */

static beacon_rc_t
beacon_slow_create(beacond_sink_t *sink, const json_t *conf, beacon_err_t *err)
{
    (void) sink;
    (void) conf;
    (void) err;
    usleep(BEACON_HOLD);

    return BEACON_OK;
}

static beacon_rc_t
beacon_slow_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    (void) sink;
    (void) batch;

    return BEACON_OK;
}

static const beacond_sink_ops_t  beacon_slow_ops = {
    .type = "slow", .create = beacon_slow_create,
    .destroy = beacon_test_destroy, .batch = beacon_slow_batch,
    .flush = beacon_test_flush, .retry_ms = 50
};

const beacond_sink_ops_t *const  beacond_sinks[] = {
    &beacond_sink_ids,
    &beacon_stuck_ops,
    &beacon_slow_ops,
    NULL
};

static beacond_conf_t *
beacon_stuck_conf(const char *second)
{
    beacond_conf_t  *conf = beacon_conf(second, 1);

    conf->sinks[0].type = "stuck";

    return conf;
}

static int
beacon_spooled(void)
{
    int     found;
    char    pattern[128];
    glob_t  files;

    snprintf(pattern, sizeof(pattern), "%s/spool/journal.*", beacon_out);
    found = glob(pattern, 0, NULL, &files) == 0;
    globfree(&files);

    return found;
}

int
main(void)
{
    int                i, good = 1;
    beacond_engine_t  *engine;

    beacond_log_level(BEACOND_ALERT);
    beacon_fixture_begin();
    engine = beacond_engine_create(beacon_stuck_conf(NULL), &beacon_counters,
                                   &beacon_error);
    ok(engine != NULL && beacon_push(10), "a sink that is stuck");

    for (i = 0; i < BEACON_RELOADS && good && !beacon_spooled(); i++) {
        good = beacond_engine_configure(engine, beacon_stuck_conf("slow"),
                                        &beacon_error) == BEACON_OK
               && beacond_engine_configure(engine, beacon_stuck_conf(NULL),
                                           &beacon_error) == BEACON_OK;
        printf("# reload %d\n", i);
    }

    ok(good, "reloads that take long");
    ok(beacon_spooled(), "it_is_spooled_for_in_spite_of_them");
    beacond_engine_destroy(engine);
    beacon_end();

    return done_testing();
}
