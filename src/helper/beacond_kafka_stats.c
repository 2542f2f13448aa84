/* librdkafka's statistics, and the sink's own, for the status. */

#include "beacond_kafka.h"

#include <string.h>

#define BEACOND_STATS_ERROR  (60000 * BEACOND_MS)       /* shown so long */
#define BEACOND_STATS_BYTES  (64 * 1024)        /* looked at in a second */
#define BEACOND_STATS_MORE   960        /* bytes that the status has for us */
#define BEACOND_STATS_PARKED 16
#define BEACOND_STATS_NAMED  4          /* brokers in the status */

static int64_t
beacond_stats_number(const json_t *object, const char *name)
{
    return (int64_t) json_integer_value(json_object_get(object, name));
}

/* What is known of it from before. */
static void
beacond_stats_known(beacond_kafka_t *kafka, beacond_kafka_broker_t *broker,
    const char *name)
{
    uint32_t  i;

    memset(broker, 0, sizeof(beacond_kafka_broker_t));
    snprintf(broker->name, sizeof(broker->name), "%.60s", name);

    for (i = 0; i < kafka->nwere; i++) {
        if (strcmp(kafka->were[i].name, broker->name) == 0) {
            *broker = kafka->were[i];
            return;
        }
    }
}

/*
 * librdkafka has the average of the answers since its last statistics.  Where
 * there was none, it is what it was; or as long as a request has waited by
 * now: one did when we looked before, and nothing has come since.
 */
static void
beacond_stats_rtt(const beacond_kafka_t *kafka, beacond_kafka_broker_t *broker,
    const json_t *object, bool up)
{
    double         waited;
    int64_t        idle = beacond_stats_number(object, "rxidle");  /* us */
    const json_t  *rtt = json_object_get(object, "rtt");

    if (beacond_stats_number(rtt, "cnt") > 0) {
        broker->rtt_ms = (double) beacond_stats_number(rtt, "avg") / 1000;
    }

    if (!up || beacond_stats_number(object, "waitresp_cnt") == 0) {
        broker->waits_ns = 0;
        return;
    }

    if (broker->waits_ns == 0
        || idle < (int64_t) ((kafka->now - broker->waits_ns) / 1000))
    {
        broker->waits_ns = kafka->now;
    }

    waited = (double) (kafka->now - broker->waits_ns) / BEACOND_MS;

    if (waited > broker->rtt_ms) {
        broker->rtt_ms = waited;
    }
}

static void
beacond_stats_broker(beacond_kafka_t *kafka, const json_t *object)
{
    bool                     up;
    const char              *name, *state;
    beacond_kafka_broker_t   broker;

    name = json_string_value(json_object_get(object, "nodename"));
    state = json_string_value(json_object_get(object, "state"));

    if (name == NULL || state == NULL || name[0] == '\0') {
        return;
    }

    beacond_stats_known(kafka, &broker, name);
    up = strcmp(state, "UP") == 0;
    beacond_stats_rtt(kafka, &broker, object, up);
    snprintf(broker.state, sizeof(broker.state), "%s", state);
    kafka->nall++;
    kafka->nup += up;

    if (up && broker.rtt_ms > kafka->rtt_ms) {
        kafka->rtt_ms = broker.rtt_ms;
    }

    if (kafka->nbrokers < BEACOND_KAFKA_BROKERS) {
        kafka->brokers[kafka->nbrokers++] = broker;
    }
}

static void
beacond_stats_brokers(beacond_kafka_t *kafka, json_t *brokers, bool learned)
{
    json_t      *broker;
    const char  *key;

    json_object_foreach(brokers, key, broker) {
        if ((json_integer_value(json_object_get(broker, "nodeid")) >= 0)
            == learned)
        {
            beacond_stats_broker(kafka, broker);
        }
    }
}

/* Of all that text only the brokers are of interest.  With many topics it is
   not looked at each time: librdkafka's part is long. */
void
beacond_kafka_stats(void *data, const char *text, size_t len)
{
    json_t           *brokers;
    uint32_t          was;
    const char       *p;
    beacond_kafka_t  *kafka = data;

    static const char  name[] = "\"brokers\":";

    if (kafka->stats_ns != 0
        && (kafka->now - kafka->stats_ns) / BEACOND_MS
           < len * 1000 / BEACOND_STATS_BYTES)
    {
        return;
    }

    p = memmem(text, len, name, sizeof(name) - 1);

    if (p == NULL) {
        return;
    }

    p += sizeof(name) - 1;
    brokers = json_loadb(p, len - (size_t) (p - text), JSON_DISABLE_EOF_CHECK,
                         NULL);

    if (brokers == NULL) {
        return;
    }

    kafka->stats_ns = kafka->now;
    was = kafka->nup;
    kafka->nwere = kafka->nbrokers;
    memcpy(kafka->were, kafka->brokers, sizeof(kafka->were));
    kafka->nbrokers = kafka->nup = kafka->nall = 0;
    kafka->rtt_ms = 0;
    beacond_stats_brokers(kafka, brokers, true);

    if (kafka->nall == 0) {
        beacond_stats_brokers(kafka, brokers, false);   /* as configured */
    }

    if (was == 0) {
        kafka->up_ns = kafka->now;
    }

    json_decref(brokers);
}

/* The status. */

static void
beacond_status_number(json_t *object, const char *name, uint64_t n)
{
    json_object_set_new(object, name, json_integer((json_int_t) n));
}

/* 1.234 rather than seventeen digits. */
static json_t *
beacond_status_ms(double ms)
{
    return json_real((double) (int64_t) (ms * 8 + 0.5) / 8);
}

static json_t *
beacond_status_brokers(const beacond_kafka_t *kafka)
{
    json_t                        *object = json_object();
    uint32_t                       i;
    const beacond_kafka_broker_t  *broker;

    for (i = 0; i < kafka->nbrokers && i < BEACOND_STATS_NAMED; i++) {
        broker = &kafka->brokers[i];
        json_object_set_new(object, broker->name, json_pack("{s:s,s:o}",
            "state", broker->state,
            "rtt_ms", beacond_status_ms(broker->rtt_ms)));
    }

    return object;
}

/* How many, and the first of them: for all there may be no room. */
static void
beacond_status_topics(const beacond_kafka_t *kafka, json_t *object,
    beacond_topic_state_e state, const char *name, const char *number)
{
    json_t                       *list = json_object();
    uint64_t                      n = 0;
    const beacond_kafka_topic_t  *topic;

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        if (topic->state == state && n++ < BEACOND_STATS_PARKED) {
            json_object_set_new(list, topic->name, json_pack("{s:I,s:s}",
                "hits", (json_int_t) topic->waiting + topic->held,
                "reason", topic->reason));
        }
    }

    beacond_status_number(object, number, n);
    json_object_set_new(object, name, list);
}

/* There is only so much room: the longest list gives up what it can. */
static void
beacond_status_fit(json_t *object)
{
    size_t   i, n;
    json_t  *list[3];

    list[0] = json_object_get(object, "parked");
    list[1] = json_object_get(object, "failing");
    list[2] = json_object_get(object, "brokers");

    while (json_dumpb(object, NULL, 0, JSON_COMPACT) > BEACOND_STATS_MORE) {
        for (n = 0, i = 1; i < 3; i++) {
            n = json_object_size(list[i]) > json_object_size(list[n]) ? i : n;
        }

        if (json_object_size(list[n]) == 0) {
            json_object_del(object, "last_error");
            break;
        }

        json_object_del(list[n], json_object_iter_key(
                                     json_object_iter(list[n])));
    }
}

void
beacond_kafka_status(beacond_kafka_t *kafka, json_t *object)
{
    uint64_t  now = beacond_clock_ns();

    beacond_status_number(object, "in_flight", kafka->used);
    beacond_status_number(object, "parked_hits",
                          kafka->waiting - kafka->dead);
    beacond_status_number(object, "dead_letters", kafka->dead);
    beacond_status_number(object, "topics",
                          kafka->ntopics + kafka->noverflow);
    beacond_status_number(object, "overflow", kafka->overflowed);
    beacond_status_number(object, "producers", kafka->producers);
    beacond_status_number(object, "brokers_up", kafka->nup);
    beacond_status_number(object, "brokers_known", kafka->nall);
    json_object_set_new(object, "rtt_ms", beacond_status_ms(kafka->rtt_ms));
    json_object_set_new(object, "brokers", beacond_status_brokers(kafka));
    beacond_status_topics(kafka, object, BEACOND_TOPIC_PARKED, "parked",
                          "topics_parked");
    beacond_status_topics(kafka, object, BEACOND_TOPIC_FAILING, "failing",
                          "topics_failing");

    if (kafka->error[0] != '\0'
        && now - kafka->error_ns < BEACOND_STATS_ERROR)
    {
        json_object_set_new(object, "last_error", json_string(kafka->error));
    }

    beacond_status_fit(object);
}
