/* Topics as librdkafka has them: which partition a key's messages go to is
   known once one went there, and is what librdkafka, and Java, say. */

#include "beacond_clock.h"
#include "beacond_kafka_handles.h"
#include "tap.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <string.h>

#define BEACON_KEYS   200
#define BEACON_WHILE  (60000 * BEACOND_MS)

/* murmur2() of the tests of Apache Kafka's own clients (UtilsTest). */
static const struct {
    const char  *key;
    int32_t      hash;
} beacon_java[] = {
    { "21", -973932308 },
    { "foobar", -790332482 },
    { "a-little-bit-long-string", -985981536 },
    { "a-little-bit-longer-string", -1486304829 },
    { "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971 }
};

static int32_t   beacon_partitions[BEACON_KEYS];
static uint32_t  beacon_delivered;

static void
beacon_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    int32_t  *partition = message->_private;

    (void) rk;
    (void) opaque;

    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *partition = message->partition;
        beacon_delivered++;
    }
}

/* With a cluster of its own. */
static rd_kafka_t *
beacon_producer(void)
{
    char              text[256];
    rd_kafka_conf_t  *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof(text));
    rd_kafka_conf_set(conf, "linger.ms", "0", text, sizeof(text));
    rd_kafka_conf_set(conf, "partitioner", "murmur2_random", text,
                      sizeof(text));
    rd_kafka_conf_set_dr_msg_cb(conf, beacon_report);

    return rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
}

static bool
beacon_send(beacond_handle_t *handle, const char *key,
    int32_t *partition)
{
    return rd_kafka_produce(beacond_handle_topic(handle),
                            RD_KAFKA_PARTITION_UA, 0, "x", 1, key,
                            key != NULL ? strlen(key) : 0, partition) == 0;
}

static bool
beacon_arrived(rd_kafka_t *rk, uint32_t n)
{
    uint64_t  until = beacond_clock_ns() + BEACON_WHILE;

    while (beacon_delivered < n && beacond_clock_ns() < until) {
        rd_kafka_poll(rk, 10);
    }

    return beacon_delivered == n;
}

static void
beacon_keys(rd_kafka_t *rk, beacond_handle_t *handle)
{
    char   keys[BEACON_KEYS][16];
    bool   sent = true, same = true, several = false;
    int    i;

    for (i = 0; i < BEACON_KEYS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "v%d", i * i);
        sent &= beacon_send(handle, keys[i], &beacon_partitions[i]);
    }

    ok(sent && beacon_arrived(rk, 1 + BEACON_KEYS), "messages_arrive");

    for (i = 0; i < BEACON_KEYS; i++) {
        same &= beacond_handle_partition(handle, 4, keys[i], strlen(keys[i]))
                == (uint32_t) beacon_partitions[i];
        several |= beacon_partitions[i] != beacon_partitions[0];
    }

    ok(same && several, "each_in_the_partition_that_was_foretold");
}

static void
beacon_as_java(const beacond_handle_t *handle)
{
    bool    same = true;
    size_t  i;

    for (i = 0; i < sizeof(beacon_java) / sizeof(beacon_java[0]); i++) {
        same &= beacond_handle_partition(handle, 4, beacon_java[i].key,
                                         strlen(beacon_java[i].key))
                == (uint32_t) (beacon_java[i].hash & 0x7fffffff) % 4;
    }

    ok(same, "which_is_the_one_that_java_takes");
}

int
main(void)
{
    char               name[1024] = "";
    int32_t            partition;
    rd_kafka_t        *rk = beacon_producer();
    beacon_err_t       err = { .text = "" };
    beacond_handle_t  *all = NULL, *handle, *other;

    handle = rk ? beacond_handle_open(rk, &all, "t", &err) : NULL;

    if (!ok(handle != NULL, "a_topic")) {
        printf("# %s\n", err.text);
        return done_testing();
    }

    ok(beacond_handle_partitions(handle) == 0, "nothing_is_known");
    ok(beacon_send(handle, "x", &partition) && beacon_arrived(rk, 1),
       "a_first_message_arrives");
    ok(beacond_handle_partitions(handle) == 4,
       "behind_which_the_partitions_are_known");
    beacon_keys(rk, handle);
    beacon_as_java(handle);
    ok(beacond_handle_partition(handle, 4, NULL, 0) == 0, "none_without_a_key");

    other = beacond_handle_open(rk, &all, "u", &err);
    ok(other != NULL && beacond_handle_partitions(other) == 0,
       "another_topic_is_another");

    beacond_handle_close(handle);
    ok(beacond_handle_open(rk, &all, "t", &err) == handle,
       "one_that_is_opened_again_is_the_same");
    ok(beacond_handle_partitions(handle) == 4, "and_known");
    memset(name, 'x', sizeof(name) - 1);
    ok(beacond_handle_open(rk, &all, name, &err) == NULL
       && err.text[0] != '\0',
       "what_is_wrong_is_told");

    beacond_handle_close(handle);
    beacond_handle_close(other);
    rd_kafka_destroy(rk);
    beacond_handles_free(all);

    return done_testing();
}
