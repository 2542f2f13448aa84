/*
 * From a line to its topic and key.
 *
 * At most max_topics topics have a place in the table, one of which is left for
 * overflow; one gives up its place when nothing came for it for ten minutes.
 * A hit whose topic finds no place goes to the one that the template gives with
 * "_overflow" for the site and for every other variable.
 */

#include "beacond_hash.h"
#include "beacond_kafka.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_KAFKA_IDLE      (600000 * BEACOND_MS)
#define BEACOND_KAFKA_EVICT     (1000 * BEACOND_MS)
#define BEACOND_KAFKA_OVERFLOW  16      /* topics, by their time text */

static const beacon_str_t  beacond_kafka_overflow = {
    sizeof("_overflow") - 1, (const uint8_t *) "_overflow"
};

/* The template, its variables among those whose values are wanted. */
static beacon_rc_t
beacond_kafka_template(beacond_kafka_t *kafka, const char *text,
    beacon_template_t **tmpl, beacon_err_t *err)
{
    uint32_t      i, j, index;
    beacon_rc_t   rc;
    beacon_str_t  s = { strlen(text), (const uint8_t *) text };

    rc = beacon_template_create(s, tmpl, err);

    if (rc != BEACON_OK) {
        return rc;
    }

    if (beacond_sink_template(kafka->sink, *tmpl) != BEACON_OK) {
        beacon_err(err, "too many variables");
        return BEACON_INVALID;
    }

    for (i = 0; i < beacon_template_nvars(*tmpl); i++) {
        index = beacon_template_index(*tmpl, i);

        for (j = 0; j < kafka->nkeys && kafka->keys[j] != index; j++) {
            /* is it wanted already? */
        }

        if (j < kafka->nkeys) {
            continue;
        }

        if (j == BEACOND_KAFKA_VALUES || index >= BEACOND_KAFKA_VALUES) {
            beacon_err(err, "too many variables");
            return BEACON_INVALID;
        }

        kafka->keys[kafka->nkeys++] = index;
    }

    return BEACON_OK;
}

beacon_rc_t
beacond_kafka_topics_create(beacond_kafka_t *kafka, beacon_err_t *err)
{
    size_t       n;
    beacon_rc_t  rc;

    for (n = 64; n < kafka->conf->max_topics && n < 65536; n *= 2) {
        /* the next power of two */
    }

    kafka->mask = (uint32_t) n - 1;
    kafka->buckets = calloc(n, sizeof(beacond_kafka_topic_t *));
    kafka->tm_seconds = INT64_MIN;

    if (kafka->buckets == NULL) {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    rc = beacond_kafka_template(kafka, kafka->conf->topic, &kafka->topic_tmpl,
                                err);

    if (rc == BEACON_OK) {
        kafka->uses = beacon_template_uses(kafka->topic_tmpl);
        rc = beacond_kafka_template(kafka, kafka->conf->key ? kafka->conf->key
                                           : "$beacon_visitor",
                                    &kafka->key_tmpl, err);
    }

    return rc;
}

static void
beacond_kafka_topic_release(beacond_kafka_topic_t *topic, unsigned which)
{
    beacond_producer_release(topic->handle[which]);
    topic->handle[which] = NULL;
}

void
beacond_kafka_topics_release(beacond_kafka_t *kafka, unsigned which)
{
    beacond_kafka_topic_t  *topic;

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        beacond_kafka_topic_release(topic, which);
    }
}

void
beacond_kafka_topics_destroy(beacond_kafka_t *kafka)
{
    beacond_kafka_topic_t  *topic, *next;

    for (topic = kafka->topics; topic != NULL; topic = next) {
        next = topic->next;
        beacond_kafka_topic_release(topic, 0);
        beacond_kafka_topic_release(topic, 1);
        free(topic);
    }

    free(kafka->buckets);
    beacon_template_destroy(kafka->topic_tmpl);
    beacon_template_destroy(kafka->key_tmpl);
}

static void
beacond_kafka_evict_one(beacond_kafka_t *kafka, beacond_kafka_topic_t **link)
{
    beacond_kafka_topic_t  *topic = *link, **p;

    for (p = &kafka->buckets[topic->hash & kafka->mask]; *p != topic;
         p = &(*p)->chain)
    {
        /* its predecessor */
    }

    *p = topic->chain;
    *link = topic->next;
    kafka->ntopics -= !topic->overflow;
    kafka->noverflow -= topic->overflow;
    kafka->released += topic->handle[0] != NULL;
    beacond_kafka_topic_release(topic, 0);
    beacond_kafka_topic_release(topic, 1);
    free(topic);
}

/* Topics that nothing is known of any more but their name. */
static void
beacond_kafka_evict(beacond_kafka_t *kafka)
{
    uint64_t                 idle;
    beacond_kafka_topic_t   *topic, **link = &kafka->topics;

    if (kafka->now - kafka->evicted_ns < BEACOND_KAFKA_EVICT) {
        return;
    }

    kafka->evicted_ns = kafka->now;

    while ((topic = *link) != NULL) {
        idle = kafka->now - topic->used_ns;

        if (topic != kafka->fixed && topic->state == BEACOND_TOPIC_FINE
            && topic->ready == 0 && topic->out == 0 && topic->held == 0
            && topic->generation == 0
            && idle > (topic->overflow ? BEACOND_KAFKA_EVICT
                                       : BEACOND_KAFKA_IDLE))
        {
            beacond_kafka_evict_one(kafka, link);

        } else {
            link = &topic->next;
        }
    }
}

static beacond_kafka_topic_t *
beacond_kafka_topic_add(beacond_kafka_t *kafka, const char *name, size_t len,
    uint64_t hash, bool overflow)
{
    beacond_kafka_topic_t  *topic;

    topic = calloc(1, sizeof(beacond_kafka_topic_t));

    if (topic == NULL) {
        return NULL;
    }

    memcpy(topic->name, name, len);
    topic->hash = hash;
    topic->overflow = overflow;
    topic->chain = kafka->buckets[hash & kafka->mask];
    kafka->buckets[hash & kafka->mask] = topic;
    topic->next = kafka->topics;
    kafka->topics = topic;
    kafka->ntopics += !overflow;
    kafka->noverflow += overflow;

    return topic;
}

beacond_kafka_topic_t *
beacond_kafka_topic_find(beacond_kafka_t *kafka, const char *name, size_t len)
{
    uint64_t                hash = beacond_hash(name, len);
    beacond_kafka_topic_t  *topic;

    for (topic = kafka->buckets[hash & kafka->mask]; topic != NULL;
         topic = topic->chain)
    {
        if (topic->hash == hash && strlen(topic->name) == len
            && memcmp(topic->name, name, len) == 0)
        {
            topic->used_ns = kafka->now;
            return topic;
        }
    }

    return NULL;
}

static bool
beacond_kafka_topics_full(const beacond_kafka_t *kafka, bool overflow)
{
    uint32_t  max = kafka->conf->max_topics;

    return overflow ? kafka->noverflow >= BEACOND_KAFKA_OVERFLOW
                    : kafka->ntopics >= (max > 1 ? max - 1 : 1);
}

/* NULL: it has no place.  At load every file's topic has. */
beacond_kafka_topic_t *
beacond_kafka_topic_named(beacond_kafka_t *kafka, const char *name,
    size_t len, bool overflow)
{
    uint64_t                hash;
    beacond_kafka_topic_t  *topic;

    topic = beacond_kafka_topic_find(kafka, name, len);

    if (topic != NULL) {
        return topic;
    }

    if (kafka->loaded && beacond_kafka_topics_full(kafka, overflow)) {
        beacond_kafka_evict(kafka);

        if (beacond_kafka_topics_full(kafka, overflow)) {
            return NULL;
        }
    }

    hash = beacond_hash(name, len);
    topic = beacond_kafka_topic_add(kafka, name, len, hash, overflow);

    if (topic != NULL) {
        topic->used_ns = kafka->now;
    }

    return topic;
}

static void
beacond_kafka_values(const beacond_kafka_t *kafka,
    const beacond_batch_t *batch, const beacond_line_t *line,
    beacon_str_t *values)
{
    uint32_t  i;

    for (i = 0; i < kafka->nkeys; i++) {
        values[kafka->keys[i]] = line != NULL
            ? beacond_line_value(batch, line, kafka->keys[i])
            : beacond_kafka_overflow;
    }
}

/* A hit's time, broken down; hits of one second come together. */
static int64_t
beacond_kafka_when(beacond_kafka_t *kafka, const beacond_batch_t *batch,
    const beacond_line_t *line)
{
    time_t   t;
    int64_t  seconds;

    seconds = (int64_t) (batch->hits[line->hit].time_ns / 1000000000);

    if (seconds != kafka->tm_seconds
        && (kafka->uses & BEACON_TEMPLATE_TIME) != 0)
    {
        t = (time_t) seconds;
        gmtime_r(&t, &kafka->tm);
        kafka->tm_seconds = seconds;
    }

    return seconds;
}

beacond_kafka_topic_t *
beacond_kafka_topic(beacond_kafka_t *kafka, const beacond_batch_t *batch,
    const beacond_line_t *line)
{
    char                    name[BEACON_KAFKA_TOPIC_MAX];
    size_t                  len;
    int64_t                 seconds;
    beacon_str_t            values[BEACOND_KAFKA_VALUES];
    beacond_kafka_topic_t  *topic = NULL;

    if (kafka->fixed != NULL) {
        return kafka->fixed;
    }

    seconds = beacond_kafka_when(kafka, batch, line);
    beacond_kafka_values(kafka, batch, line, values);
    len = beacon_template_eval(kafka->topic_tmpl,
                               beacond_line_site(batch, line), values,
                               &kafka->tm, seconds, name, sizeof(name));

    if (len > 0) {
        topic = beacond_kafka_topic_named(kafka, name, len, false);
    }

    if (topic != NULL) {
        kafka->fixed = kafka->uses == 0 ? topic : NULL;
        return topic;
    }

    beacond_kafka_values(kafka, batch, NULL, values);
    len = beacon_template_eval(kafka->topic_tmpl, beacond_kafka_overflow,
                               values, &kafka->tm, seconds, name,
                               sizeof(name));
    kafka->overflowed++;

    return beacond_kafka_topic_named(kafka, name, len, true);
}

void
beacond_kafka_message(beacond_kafka_t *kafka, const beacond_batch_t *batch,
    const beacond_line_t *line, char *buf, size_t size,
    beacond_message_t *message)
{
    beacon_str_t  values[BEACOND_KAFKA_VALUES], value;

    message->value = batch->arena + line->offset;
    message->len = line->line.len - 1;          /* without '\n' */
    message->time_ms = (int64_t) (batch->hits[line->hit].time_ns / 1000000);
    message->key = NULL;
    message->key_len = 0;

    if (kafka->conf->key == NULL) {
        value = beacond_line_value(batch, line,
                                   beacon_template_index(kafka->key_tmpl, 0));

        if (value.len > 0) {
            message->key = value.data;
            message->key_len = value.len;
        }

        return;
    }

    beacond_kafka_values(kafka, batch, line, values);
    message->key_len = beacon_template_text(kafka->key_tmpl,
                                            beacond_line_site(batch, line),
                                            values, buf, size);

    if (message->key_len > 0) {
        message->key = (const uint8_t *) buf;
    }
}
