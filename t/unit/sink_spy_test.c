/*
 * Which sites the feed has heartbeats for: the sink without its engine, whose
 * sites had their last hits when we say so.
 */

#include "beacond_spy.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define SPY_SITES  3            /* and the last had a hit just now */
#define SPY_FLAGS  (1 << SPY_SITES)
#define SPY_LATE   (20 * BEACOND_SPY_SECOND)

static char            spy_dir[] = "/tmp/beacon-spy.XXXXXX";
static char            spy_endpoint[64];
static beacond_conf_t  spy_conf = { .dir = spy_dir };
static beacond_sink_t  spy_sink = {
    .ops = &beacond_sink_spy, .name = "spy", .conf = &spy_conf
};

static const char *const  spy_sites[SPY_SITES] = { "older", "old", "new" };

/* All that is due within a second is due now. */
static void
spy_round(beacond_spy_t *spy)
{
    spy->beat = 0;
    spy->beat_ns = beacond_clock_ns() - BEACOND_SPY_SECOND * 3 / 2;
    spy_sink.ops->flush(&spy_sink, false);
}

/* The sites' heartbeats that have come, a bit each, until the last one's has:
   those of a round before it came before. */
static unsigned
spy_came(void *sub)
{
    int       i, n;
    char      text[64], topic[64];
    unsigned  came = 0;
    uint64_t  end = beacond_clock_ns() + SPY_LATE;

    while (beacond_clock_ns() < end && !(came & 1 << (SPY_SITES - 1))) {
        n = zmq_recv(sub, text, sizeof(text) - 1, 0);

        for (i = 0; n > 0 && i < SPY_SITES; i++) {
            snprintf(topic, sizeof(topic), "stat/%s/", spy_sites[i]);
            text[n] = '\0';
            came |= strcmp(text, topic) == 0 ? 1U << i : 0;
        }
    }

    return came;
}

static void *
spy_subscribe(void *context, beacond_spy_t *spy, uint32_t subscriptions)
{
    int        soon = 100;
    void      *sub;
    uint64_t   end = beacond_clock_ns() + SPY_LATE;

    sub = zmq_socket(context, ZMQ_SUB);
    zmq_setsockopt(sub, ZMQ_RCVTIMEO, &soon, sizeof(soon));
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "stat/", 5);
    zmq_connect(sub, spy_endpoint);

    while (spy->subscriptions < subscriptions && beacond_clock_ns() < end) {
        spy->beat_ns = 0;           /* so long ago is not made up for */
        spy_sink.ops->flush(&spy_sink, false);
        usleep(1000);
    }

    return sub;
}

/* The minute is over for all but the last. */
static void
spy_number(beacond_spy_t *spy)
{
    int           i;
    uint32_t      now = (uint32_t) (beacond_clock_ns() / BEACOND_SPY_SECOND);
    beacon_str_t  site;

    for (i = 0; i < SPY_SITES; i++) {
        site.len = strlen(spy_sites[i]);
        site.data = (const uint8_t *) spy_sites[i];
        spy->seqs.now = i < SPY_SITES - 1 ? now - BEACOND_SPY_RECENT - 2 : now;
        beacond_seqs_next(&spy->seqs, beacon_string("edge"), site);
    }
}

static void
test_beats(void *context, beacond_spy_t *spy)
{
    void  *first, *second;

    first = spy_subscribe(context, spy, 1);
    spy_number(spy);
    spy->all_ns = 0;                    /* 10 s later */
    spy_round(spy);
    ok(spy_came(first) == 1 << (SPY_SITES - 1),
       "a_site_without_a_hit_for_a_minute_has_no_heartbeat");

    second = spy_subscribe(context, spy, 2);
    spy_round(spy);
    ok(spy_came(first) == SPY_FLAGS - 1 && spy_came(second) == SPY_FLAGS - 1,
       "all_have_once_somebody_subscribes");

    spy->all_ns = 0;
    spy_round(spy);
    ok(spy_came(first) == 1 << (SPY_SITES - 1),
       "for_a_while");

    spy->queues = BEACOND_SPY_FULL;
    spy_round(spy);
    ok(spy_came(first) == SPY_FLAGS - 1,
       "and_all_have_while_somebody_is_not_sent_all");
    ok(spy->queues == BEACOND_SPY_EMPTY, "which_ends");
    spy_round(spy);
    ok(spy_came(first) == SPY_FLAGS - 1, "but_not_at_once");
    zmq_close(first);
    zmq_close(second);
}

int
main(void)
{
    char          command[64];
    void         *context;
    json_t       *json;
    beacon_err_t  err;

    if (beacond_clock_ns() < 2 * BEACOND_SPY_RECENT * BEACOND_SPY_SECOND) {
        ok(1, "a minute ago # SKIP: the machine was not up");
        return done_testing();
    }

    ok(mkdtemp(spy_dir) != NULL, "a_directory");
    snprintf(spy_endpoint, sizeof(spy_endpoint), "ipc://%s/s", spy_dir);
    json = json_pack("{s:s, s:s, s:b, s:b, s:[s]}", "type", "spy", "name",
                     "spy", "ip", 0, "insecure", 0, "bind", spy_endpoint);
    ok(spy_sink.ops->create(&spy_sink, json, &err) == BEACON_OK, "a_feed");
    context = zmq_ctx_new();
    test_beats(context, spy_sink.data);
    zmq_ctx_term(context);
    spy_sink.ops->destroy(&spy_sink);
    json_decref(json);
    snprintf(command, sizeof(command), "rm -rf %s", spy_dir);
    ok(system(command) == 0, "removed");

    return done_testing();
}
