/* A producer's reports: they wait for one another, but not for the next
   poll(), or flush(). */

#include "beacond_clock.h"
#include "beacond_kafka_producer.h"
#include "tap.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define BEACON_WINDOW  64
#define BEACON_WHILE   (60000 * BEACOND_MS)

static const char  beacon_line[] =
    "{\"v\":1,\"id\":\"0123456789abcdef-0-40\",\"time\":\"\"}";

static uint32_t  beacon_told[BEACON_WINDOW];    /* of each: its turn, from 1 */
static uint32_t  beacon_turn;
static bool      beacon_purged, beacon_late;

static _Atomic bool  beacon_gone;

static void
beacon_expect(const void *opaque)
{
    const uint32_t  *told = opaque;

    beacon_late |= *told != 0;
}

static void
beacon_report(void *data, void *opaque, beacond_report_e what,
    const char *reason)
{
    uint32_t  *told = opaque;

    (void) data;

    beacon_purged &= what == BEACOND_PURGED && reason[0] != '\0';
    beacon_late |= *told != 0;
    *told = ++beacon_turn;
}

static void
beacon_trouble(void *data, const char *reason)
{
    (void) data;
    (void) reason;
}

static void
beacon_done(void *data)
{
    (void) data;
    beacon_gone = true;
}

static void
beacon_say(void *data, const char *at, const char *text)
{
    (void) data;
    printf("# %s: %s\n", at, text);
}

/* So many that nobody takes, and their reports; by the last call of serve()
   they are all there. */
static void
beacon_round(beacond_producer_t *producer, void *topic, uint32_t n,
    void (*serve)(beacond_producer_t *producer, int ms))
{
    bool               sent = true, order = true;
    uint32_t           i;
    uint64_t           until = beacond_clock_ns() + BEACON_WHILE;
    const char        *reason;
    beacond_message_t  message = { (const uint8_t *) beacon_line, NULL,
                                   sizeof(beacon_line) - 1, 0, 1 };

    memset(beacon_told, 0, sizeof(beacon_told));
    beacon_turn = 0;
    beacon_purged = true;
    beacon_late = false;

    for (i = 0; i < n; i++) {
        sent &= beacond_producer_send(producer, topic, &message,
                                      &beacon_told[i], &reason) == BEACON_OK;
    }

    beacond_producer_purge(producer, true);

    while (beacond_producer_out(producer) > 0 && beacond_clock_ns() < until) {
        serve(producer, 10);
    }

    for (i = 0; i < n; i++) {
        order &= beacon_told[i] == i + 1;
    }

    ok(sent && beacon_turn == n, "of_%u_that_were_sent_all_came_back", n);
    ok(order, "in_their_order");
    ok(beacon_purged && !beacon_late, "each_once_for_what_it_was");
}

int
main(void)
{
    uint32_t                       n;
    uint64_t                       until;
    void                          *topic;
    json_t                        *json;
    beacon_err_t                   err = { .text = "" };
    beacond_producer_t            *producer;
    beacond_conf_kafka_t          *conf;
    const beacond_producer_ops_t   ops = {
        .expect = beacon_expect, .report = beacon_report,
        .trouble = beacon_trouble
    };

    json = json_pack("{s:s,s:s,s:s,s:s,s:i}", "type", "kafka", "name", "k",
                     "brokers", "127.0.0.1:1", "topic", "t", "window",
                     BEACON_WINDOW);
    conf = beacond_conf_kafka_create(json, beacon_say, NULL);
    producer = conf ? beacond_producer_create(conf, &ops, false, &err) : NULL;
    topic = producer ? beacond_producer_topic(producer, "t", &err) : NULL;

    if (!ok(topic != NULL, "a_producer_of_a_broker_that_is_away")) {
        printf("# %s\n", err.text);
        return done_testing();
    }

    for (n = 1; n <= BEACON_WINDOW; n += n < 20 ? 1 : 22) {
        beacon_round(producer, topic, n, beacond_producer_poll);
        beacon_round(producer, topic, n, beacond_producer_flush);
    }

    beacond_producer_release(topic);
    beacond_producer_destroy(producer, beacon_done, NULL);

    until = beacond_clock_ns() + BEACON_WHILE;

    while (!beacon_gone && beacond_clock_ns() < until) {
        nanosleep(&(struct timespec) { 0, 1000000 }, NULL);
    }

    if (ok(beacon_gone, "it_ends")) {
        beacond_conf_kafka_destroy(conf);
    }

    json_decref(json);

    return done_testing();
}
