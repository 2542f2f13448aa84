#include "beacon_kafka.h"
#include "beacon_template_parts.h"

#include <stdlib.h>
#include <string.h>

#define BEACON_KAFKA_HOST_MAX  253      /* of a name in the DNS */

/* What decides whether an acknowledgement means anything (acks, idempotence,
   reports), how long a message is tried, where it goes (a mock cluster is
   nowhere), and how much memory is taken; with librdkafka's aliases. */
static const char *const  beacon_kafka_own[] = {
    "bootstrap.servers", "metadata.broker.list", "test.mock.num.brokers",
    "acks", "request.required.acks",
    "enable.idempotence", "enable.gapless.guarantee", "transactional.id",
    "message.timeout.ms", "delivery.timeout.ms",
    "delivery.report.only.error",
    "partitioner",
    "queue.buffering.max.messages",
    "queue.buffering.backpressure.threshold",
    "statistics.interval.ms",
    NULL
};

static const char *const  beacon_kafka_secrets[] = {
    "password", "secret", "token", "ssl.key.pem", "oauthbearer.config", NULL
};

/* librdkafka's aliases of those that may be set, each behind its name; but for
   consumers' properties, of which a producer has no use, so that twice is as
   good as once. */
static const char *const  beacon_kafka_aliases[] = {
    "linger.ms", "queue.buffering.max.ms",
    "retries", "message.send.max.retries",
    "compression.codec", "compression.type",
    "sasl.mechanism", "sasl.mechanisms",
    "max.in.flight", "max.in.flight.requests.per.connection",
    NULL
};

/* Without the prefix that librdkafka leaves out, too. */
static beacon_str_t
beacon_kafka_bare(beacon_str_t name)
{
    static const char  prefix[] = "topic.";

    if (name.len > sizeof(prefix) - 1
        && memcmp(name.data, prefix, sizeof(prefix) - 1) == 0)
    {
        name.data += sizeof(prefix) - 1;
        name.len -= sizeof(prefix) - 1;
    }

    return name;
}

static bool
beacon_kafka_is(beacon_str_t name, const char *word)
{
    return strlen(word) == name.len && memcmp(word, name.data, name.len) == 0;
}

bool
beacon_kafka_owned(beacon_str_t name)
{
    const char *const  *own;

    name = beacon_kafka_bare(name);

    for (own = beacon_kafka_own; *own != NULL; own++) {
        if (beacon_kafka_is(name, *own)) {
            return true;
        }
    }

    return false;
}

/* Of several names, the first. */
static beacon_str_t
beacon_kafka_proper(beacon_str_t name)
{
    const char *const  *alias;

    name = beacon_kafka_bare(name);

    for (alias = beacon_kafka_aliases; *alias != NULL; alias += 2) {
        if (beacon_kafka_is(name, alias[1])) {
            return (beacon_str_t) { strlen(alias[0]),
                                    (const uint8_t *) alias[0] };
        }
    }

    return name;
}

bool
beacon_kafka_same(beacon_str_t a, beacon_str_t b)
{
    a = beacon_kafka_proper(a);
    b = beacon_kafka_proper(b);

    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

bool
beacon_kafka_secret(beacon_str_t name)
{
    const char *const  *word;

    for (word = beacon_kafka_secrets; *word != NULL; word++) {
        if (memmem(name.data, name.len, *word, strlen(*word)) != NULL) {
            return true;
        }
    }

    return false;
}

static bool
beacon_kafka_host_byte(uint8_t c, bool v6)
{
    if (v6) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')
               || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
    }

    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static bool
beacon_kafka_port(const uint8_t *p, const uint8_t *end)
{
    unsigned  port = 0;

    if (p == end) {
        return true;
    }

    if (*p++ != ':' || end - p < 1 || end - p > 5) {
        return false;
    }

    for ( /* void */ ; p < end; p++) {
        if (*p < '0' || *p > '9') {
            return false;
        }

        port = port * 10 + (unsigned) (*p - '0');
    }

    return port >= 1 && port <= 65535;
}

static bool
beacon_kafka_broker(beacon_str_t s)
{
    bool            v6;
    const uint8_t  *p, *host, *end;

    p = s.data;
    end = s.data + s.len;
    v6 = (s.len > 0 && *p == '[');
    p += v6;

    for (host = p; p < end && beacon_kafka_host_byte(*p, v6); p++) {
        /* void */
    }

    if (p == host || p - host > BEACON_KAFKA_HOST_MAX || *host == '-'
        || (v6 && (p == end || *p++ != ']')))
    {
        return false;
    }

    return beacon_kafka_port(p, end);
}

beacon_rc_t
beacon_kafka_brokers(beacon_str_t text, beacon_err_t *err)
{
    const uint8_t  *p, *end, *comma;
    beacon_str_t    broker;

    if (text.len == 0) {
        beacon_err(err, "no broker");
        return BEACON_INVALID;
    }

    end = text.data + text.len;

    for (p = text.data; p <= end; p = comma + 1) {
        comma = memchr(p, ',', (size_t) (end - p));

        if (comma == NULL) {
            comma = end;
        }

        broker.data = p;
        broker.len = (size_t) (comma - p);

        if (!beacon_kafka_broker(broker)) {
            beacon_err(err, "\"%.*s\" is no broker: HOST:PORT,... is wanted",
                       (int) (broker.len < 80 ? broker.len : 80),
                       (const char *) p);
            return BEACON_INVALID;
        }
    }

    return BEACON_OK;
}

static bool
beacon_kafka_topic_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool
beacon_kafka_topic_name(beacon_str_t name)
{
    size_t  i;

    for (i = 0; i < name.len; i++) {
        if (!beacon_kafka_topic_byte(name.data[i])) {
            return false;
        }
    }

    return name.len > 0 && name.len <= BEACON_KAFKA_TOPIC_MAX
           && (name.len > 2 || memcmp(name.data, "..", name.len) != 0);
}

beacon_rc_t
beacon_kafka_topic(const beacon_template_t *tmpl, beacon_err_t *err)
{
    size_t                i, len = 0;
    uint32_t              n;
    const beacon_part_t  *part;

    for (n = 0; n < tmpl->nparts; n++) {
        part = &tmpl->parts[n];
        len += beacon_part_width(part);

        for (i = 0; part->kind == BEACON_PART_TEXT && i < part->text.len; i++)
        {
            if (!beacon_kafka_topic_byte(part->text.data[i])) {
                beacon_err(err, "a topic's name is made of A-Z a-z 0-9 . _ -");
                return BEACON_INVALID;
            }
        }
    }

    if (len > BEACON_KAFKA_TOPIC_MAX) {
        beacon_err(err, "the topic's name can grow to %zu bytes, more than %d",
                   len, BEACON_KAFKA_TOPIC_MAX);
        return BEACON_INVALID;
    }

    part = tmpl->parts;

    if (tmpl->nparts == 1 && part->kind == BEACON_PART_TEXT && len <= 2
        && memcmp(part->text.data, "..", len) == 0)
    {
        beacon_err(err, "no topic may be named \".\" or \"..\"");
        return BEACON_INVALID;
    }

    return BEACON_OK;
}
