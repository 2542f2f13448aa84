/*
 * librdkafka's properties.  What is set, and why:
 *
 *     enable.idempotence, acks=all        nothing lost, nothing doubled while
 *                                         a producer lives
 *     message.timeout.ms=0                we give up, not the library
 *     murmur2_random                      as Java's producers partition
 *     queue.buffering.max.*               bounded memory
 *     topic.metadata.propagation.max.ms   a topic that is missing is told of
 *                                         after 3 s; its hits are kept by us,
 *                                         so that a rolling restart costs
 *                                         nothing
 *     log.queue, dr_msg_cb by poll        no callback on a foreign thread
 *
 * All but the owned ones may be set otherwise by the configuration.
 */

#include "beacond_kafka_properties.h"
#include "beacond_kafka_check.h"
#include "beacon_kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_PROPERTIES_PART    6    /* bytes of a secret that tell it */
#define BEACOND_PROPERTIES_WAIT    5000 /* ms, of a record in the queue */

typedef struct {
    const char  *name;
    const char  *value;
} beacond_property_set_t;

/* May be set otherwise. */
static const beacond_property_set_t  beacond_properties_defaults[] = {
    { "client.id", "beacond" },
    { "compression.codec", "lz4" },
    { "linger.ms", "100" },
    { "queue.buffering.max.kbytes", "65536" },
    { "reconnect.backoff.max.ms", "2000" },
    { "socket.keepalive.enable", "true" },
    { "socket.nagle.disable", "true" },
    { "socket.timeout.ms", "30000" },
    { "topic.metadata.propagation.max.ms", "3000" },
    { "topic.metadata.refresh.interval.ms", "10000" },
    { NULL, NULL }
};

static const beacond_property_set_t  beacond_properties_owned[] = {
    { "enable.idempotence", "true" },
    { "acks", "all" },
    { "message.timeout.ms", "0" },
    { "partitioner", "murmur2_random" },
    { "log.queue", "true" },
    { "statistics.interval.ms", "2000" },
    { NULL, NULL }
};

/* The longest part of secret that text begins with. */
static size_t
beacond_properties_part(const char *secret, const char *text)
{
    size_t  n, longest = 0;

    for ( /* void */ ; *secret != '\0'; secret++) {
        for (n = 0; secret[n] != '\0' && secret[n] == text[n]; n++) {
            /* void */
        }

        longest = n > longest ? n : longest;
    }

    return longest;
}

void
beacond_properties_scrub(const beacond_conf_kafka_t *conf, char *text)
{
    char                           *p;
    size_t                          i, n, len;
    beacon_str_t                    name;
    const beacond_conf_property_t  *property;

    for (i = 0; i < conf->nproperties; i++) {
        property = &conf->properties[i];
        name.data = (const uint8_t *) property->name;
        name.len = strlen(property->name);
        len = strlen(property->value);

        if (len == 0 || !beacon_kafka_secret(name)) {
            continue;
        }

        /* a part, too: librdkafka quotes some values from where they are
           wrong, and a text may have been cut */

        len = len < BEACOND_PROPERTIES_PART ? len : BEACOND_PROPERTIES_PART;

        for (p = text; *p != '\0'; p += n > 0 ? n : 1) {
            n = beacond_properties_part(property->value, p);
            n = n >= len ? n : 0;
            memset(p, '*', n);
        }
    }
}

static beacon_rc_t
beacond_properties_sets(rd_kafka_conf_t *rc, const beacond_property_set_t *set,
    beacon_err_t *err)
{
    char  text[512];

    for ( /* void */ ; set->name != NULL; set++) {
        if (rd_kafka_conf_set(rc, set->name, set->value, text, sizeof(text))
            != RD_KAFKA_CONF_OK)
        {
            beacon_err(err, "%.400s", text);
            return BEACON_INVALID;
        }
    }

    return BEACON_OK;
}

/* The configuration's own; each complaint to say(). */
static beacon_rc_t
beacond_properties_conf(rd_kafka_conf_t *rc,
    const beacond_conf_kafka_t *conf, beacond_conf_say_pt say, void *data)
{
    char                            text[512];
    size_t                          i;
    beacon_rc_t                     result = BEACON_OK;
    const beacond_conf_property_t  *property;

    for (i = 0; i < conf->nproperties; i++) {
        property = &conf->properties[i];

        if (rd_kafka_conf_set(rc, property->name, property->value, text,
                              sizeof(text)) != RD_KAFKA_CONF_OK)
        {
            beacond_properties_scrub(conf, text);
            say(data, property->at, text);
            result = BEACON_INVALID;
        }
    }

    return result;
}

static beacon_rc_t
beacond_properties_own(rd_kafka_conf_t *rc, const beacond_conf_kafka_t *conf,
    bool alone, beacon_err_t *err)
{
    char                    window[16];
    beacond_property_set_t  set[] = {
        { "queue.buffering.max.messages", window },
        { "batch.num.messages", "1" },
        { NULL, NULL }
    };

    snprintf(window, sizeof(window), "%u", conf->window);

    if (!alone) {
        set[1].name = NULL;
    }

    if (beacond_properties_sets(rc, beacond_properties_owned, err)
        != BEACON_OK)
    {
        return BEACON_INVALID;
    }

    return beacond_properties_sets(rc, set, err);
}

static double
beacond_properties_number(const rd_kafka_conf_t *rc, const char *name)
{
    char    text[64];
    size_t  size = sizeof(text);

    return rd_kafka_conf_get(rc, name, text, &size) == RD_KAFKA_CONF_OK
           ? strtod(text, NULL) : 0;
}

/* What librdkafka takes, and we cannot live with: a record that never finds
   room in its queue, which holds up all others; one that is in there for so
   long, or whose broker is left alone for so long, that its topic seems to be
   stuck.  A property that this librdkafka does not know is 0. */
static beacon_rc_t
beacond_properties_fit(const rd_kafka_conf_t *rc, beacon_err_t *err)
{
    double                    kbytes, bytes, ms;
    const char *const        *name;
    static const char *const  waits[] = {
        "linger.ms", "retry.backoff.ms", "retry.backoff.max.ms",
        "reconnect.backoff.max.ms", NULL
    };

    kbytes = beacond_properties_number(rc, "queue.buffering.max.kbytes");
    bytes = beacond_properties_number(rc, "message.max.bytes");

    if (kbytes * 1024 < bytes) {
        beacon_err(err, "\"queue.buffering.max.kbytes\" (%.0f) has no room for "
                   "a record of \"message.max.bytes\" (%.0f)", kbytes, bytes);
        return BEACON_INVALID;
    }

    for (name = waits; *name != NULL; name++) {
        ms = beacond_properties_number(rc, *name);

        if (ms > BEACOND_PROPERTIES_WAIT) {
            beacon_err(err, "\"%s\" (%.0f) is more than %d", *name, ms,
                       BEACOND_PROPERTIES_WAIT);
            return BEACON_INVALID;
        }
    }

    return BEACON_OK;
}

/* beacond -t. */

static void
beacond_properties_mute(const rd_kafka_t *rk, int level, const char *facility,
    const char *text)
{
    (void) rk;
    (void) level;
    (void) facility;
    (void) text;
}

beacon_rc_t
beacond_kafka_check(const beacond_conf_kafka_t *conf, beacond_conf_say_pt say,
    void *data)
{
    char              text[512];
    rd_kafka_t       *rk = NULL;
    beacon_rc_t       result;
    beacon_err_t      err;
    rd_kafka_conf_t  *rc;

    rc = rd_kafka_conf_new();
    err.text[0] = '\0';

    if (beacond_properties_sets(rc, beacond_properties_defaults, &err)
        != BEACON_OK)
    {
        say(data, conf->at, err.text);
    }

    result = beacond_properties_conf(rc, conf, say, data);

    if (result == BEACON_OK) {
        rd_kafka_conf_set_log_cb(rc, beacond_properties_mute);

        if (beacond_properties_own(rc, conf, false, &err) == BEACON_OK
            && beacond_properties_fit(rc, &err) == BEACON_OK)
        {
            rk = rd_kafka_new(RD_KAFKA_PRODUCER, rc, text, sizeof(text));

        } else {
            snprintf(text, sizeof(text), "%s", err.text);
        }

        if (rk == NULL) {
            beacond_properties_scrub(conf, text);
            say(data, conf->at, text);
            result = BEACON_INVALID;
        }
    }

    if (rk != NULL) {
        rd_kafka_destroy(rk);

    } else {
        rd_kafka_conf_destroy(rc);
    }

    return result;
}

/* A producer's. */

static void
beacond_properties_said(void *data, const char *at, const char *text)
{
    beacon_err_t  *err = data;

    (void) at;
    beacon_err(err, "%.400s", text);
}

rd_kafka_conf_t *
beacond_properties_make(const beacond_conf_kafka_t *conf, bool alone,
    beacon_err_t *err)
{
    rd_kafka_conf_t               *rc = rd_kafka_conf_new();
    const beacond_property_set_t   brokers[] = {
        { "bootstrap.servers", conf->brokers },
        { NULL, NULL }
    };

    if (beacond_properties_sets(rc, beacond_properties_defaults, err)
        != BEACON_OK
        || beacond_properties_conf(rc, conf, beacond_properties_said, err)
           != BEACON_OK
        || beacond_properties_own(rc, conf, alone, err) != BEACON_OK
        || beacond_properties_fit(rc, err) != BEACON_OK
        || beacond_properties_sets(rc, brokers, err) != BEACON_OK)
    {
        rd_kafka_conf_destroy(rc);
        return NULL;
    }

    return rc;
}
