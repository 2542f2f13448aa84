/*
 * kafka BROKERS TOPIC FILE [NAME=VALUE]...: a bare librdkafka loop, which the
 * Kafka sink is measured against: the lines of FILE as messages, from memory,
 * with the key, time and headers that the sink gives them.
 *
 * Prints nanoseconds a message between a tenth and nine tenths of the
 * acknowledgements, so that neither beginning nor end counts, and nanoseconds
 * of CPU time in all, all threads; fails when a message was not acknowledged.
 */

#include <librdkafka/rdkafka.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* As the helper's, whose malloc is jemalloc, too. */
const char  *malloc_conf = "lg_tcache_max:17";

/* When so many were acknowledged. */
typedef struct {
    uint64_t  n;
    uint64_t  ns;
} kafka_mark_t;

static int64_t       kafka_ms;          /* each record's time: the start */
static uint64_t      kafka_acked, kafka_failed;
static kafka_mark_t  kafka_low, kafka_high;

static void
kafka_die(const char *what)
{
    fprintf(stderr, "kafka: %s\n", what);
    exit(1);
}

static uint64_t
kafka_now(clockid_t clock)
{
    struct timespec  ts;

    clock_gettime(clock, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static void
kafka_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message,
    void *opaque)
{
    (void) rk;
    (void) opaque;

    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_failed++;
        return;
    }

    kafka_acked++;
}

/* Reports come in lots: looked at behind each. */
static void
kafka_poll(rd_kafka_t *rk, int ms)
{
    rd_kafka_poll(rk, ms);

    if (kafka_acked < kafka_low.n || kafka_high.ns != 0) {
        return;
    }

    if (kafka_low.ns == 0) {
        kafka_low.ns = kafka_now(CLOCK_MONOTONIC);
        kafka_low.n = kafka_acked;

    } else if (kafka_acked >= kafka_high.n) {
        kafka_high.ns = kafka_now(CLOCK_MONOTONIC);
        kafka_high.n = kafka_acked;
    }
}

static uint64_t
kafka_lines(const char *text, size_t len)
{
    uint64_t     n = 0;
    const char  *p;

    for (p = text; (p = memchr(p, '\n', len - (size_t) (p - text))) != NULL;
         p++)
    {
        n++;
    }

    return n;
}

static rd_kafka_t *
kafka_producer(char **argv)
{
    char             *value, why[512];
    rd_kafka_t       *rk;
    rd_kafka_conf_t  *conf;

    conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, kafka_delivered);

    for ( /* void */ ; *argv != NULL; argv++) {
        value = strchr(*argv, '=');

        if (value == NULL) {
            kafka_die("NAME=VALUE");
        }

        *value++ = '\0';

        if (rd_kafka_conf_set(conf, *argv, value, why, sizeof(why))
            != RD_KAFKA_CONF_OK)
        {
            kafka_die(why);
        }
    }

    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));

    if (rk == NULL) {
        kafka_die(why);
    }

    return rk;
}

static const char *
kafka_map(const char *name, size_t *len)
{
    int          fd;
    char        *text;
    struct stat  st;

    fd = open(name, O_RDONLY);

    if (fd < 0 || fstat(fd, &st) != 0) {
        kafka_die(name);
    }

    *len = (size_t) st.st_size;
    text = mmap(NULL, *len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);

    if (text == MAP_FAILED) {
        kafka_die("mmap");
    }

    close(fd);

    return text;
}

/* The value of "NAME":" at the line's beginning; its length, 0: none. */
static size_t
kafka_member(const char *line, size_t len, const char *name,
    const char **value)
{
    const char  *end;

    *value = memmem(line, len, name, strlen(name));

    if (*value == NULL) {
        return 0;
    }

    *value += strlen(name);
    end = memchr(*value, '"', len - (size_t) (*value - line));

    return end ? (size_t) (end - *value) : 0;
}

static uint64_t
kafka_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, const char *line,
    size_t len)
{
    size_t               nid, nkey;
    const char          *id, *key;
    rd_kafka_resp_err_t  error;

    nid = kafka_member(line, len, "\"id\":\"", &id);
    nkey = kafka_member(line, len, "\"visitor\":\"", &key);

    for ( ;; ) {
        error = rd_kafka_producev(rk, RD_KAFKA_V_RKT(topic),
                    RD_KAFKA_V_VALUE((void *) (uintptr_t) line, len),
                    RD_KAFKA_V_KEY((void *) (uintptr_t) (nkey ? key : NULL),
                                   nkey),
                    RD_KAFKA_V_TIMESTAMP(kafka_ms),
                    RD_KAFKA_V_HEADER("beacon-id", id, nid),
                    RD_KAFKA_V_HEADER("beacon-version", "1", 1),
                    RD_KAFKA_V_HEADER("content-type", "application/json", 16),
                    RD_KAFKA_V_END);

        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return 1;
        }

        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            kafka_die(rd_kafka_err2str(error));
        }

        kafka_poll(rk, 10);
    }
}

int
main(int argc, char *argv[])
{
    size_t             len;
    uint64_t           sent, cpu;
    const char        *text, *p, *line;
    rd_kafka_t        *rk;
    rd_kafka_topic_t  *topic;

    if (argc < 4) {
        kafka_die("kafka BROKERS TOPIC FILE [NAME=VALUE]...");
    }

    kafka_ms = (int64_t) (kafka_now(CLOCK_REALTIME) / 1000000);
    rk = kafka_producer(argv + 4);

    if (rd_kafka_brokers_add(rk, argv[1]) == 0) {
        kafka_die(argv[1]);
    }

    topic = rd_kafka_topic_new(rk, argv[2], NULL);
    text = kafka_map(argv[3], &len);
    sent = 0;
    kafka_low.n = kafka_lines(text, len) / 10;
    kafka_high.n = kafka_low.n * 9;
    cpu = kafka_now(CLOCK_PROCESS_CPUTIME_ID);

    for (line = text; line < text + len; line = p + 1) {
        p = memchr(line, '\n', len - (size_t) (line - text));

        if (p == NULL) {
            break;
        }

        sent += kafka_produce(rk, topic, line, (size_t) (p - line));

        if ((sent & 127) == 0) {
            kafka_poll(rk, 0);
        }
    }

    while (kafka_acked + kafka_failed < sent) {
        kafka_poll(rk, 100);
    }

    printf("%.1f %llu\n",
           (double) (kafka_high.ns - kafka_low.ns)
           / (double) (kafka_high.n - kafka_low.n),
           (unsigned long long) (kafka_now(CLOCK_PROCESS_CPUTIME_ID) - cpu));

    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);

    return kafka_failed ? 1 : 0;
}
