/* The Kafka sink's ops.  beacond_kafka.h tells how it works. */

#include "beacond_kafka.h"
#include "beacond_kafka_dead.h"
#include "beacond_kafka_parked.h"
#include "beacond_process.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_KAFKA_MAKE    (1000 * BEACOND_MS)       /* a producer again */
#define BEACOND_KAFKA_REMAKE  (5000 * BEACOND_MS)       /* after a failure */
#define BEACOND_KAFKA_UNUSED  (60000 * BEACOND_MS)      /* "alone" is ended */
#define BEACOND_KAFKA_RENEW   (60000 * BEACOND_MS)      /* not more often */
#define BEACOND_KAFKA_DRAIN   (2000 * BEACOND_MS)       /* waited for that */
#define BEACOND_KAFKA_TOPICS  64
#define BEACOND_KAFKA_FLUSH   (400 * BEACOND_MS)        /* before the end */
#define BEACOND_KAFKA_BACK    (100 * BEACOND_MS)        /* taken back */
#define BEACOND_KAFKA_AGAIN   (3000 * BEACOND_MS)       /* sent again */
#define BEACOND_KAFKA_HOPE    (4000 * BEACOND_MS)       /* for an answer */
#define BEACOND_KAFKA_WAIT    (50 * BEACOND_MS)         /* for room */
#define BEACOND_KAFKA_BUSY    5         /* ms, until the next flush */
#define BEACOND_KAFKA_CALM    50
#define BEACOND_KAFKA_IDLE    200

void
beacond_kafka_error(beacond_kafka_t *kafka, beacond_log_limit_t *limit,
    const char *fmt, ...)
{
    va_list   args;
    uint64_t  missed;

    va_start(args, fmt);
    vsnprintf(kafka->error, sizeof(kafka->error), fmt, args);
    va_end(args);

    kafka->error_ns = beacond_clock_ns();
    kafka->sink->errors++;

    if (beacond_log_due(limit, &missed)) {
        beacond_log(BEACOND_ERROR, "sink \"%s\": %s (and %llu more in the "
                    "last minute)", kafka->sink->name, kafka->error,
                    (unsigned long long) missed);
    }
}

/* Producers. */

static beacond_producer_t *
beacond_kafka_make(beacond_kafka_t *kafka, bool alone)
{
    beacon_err_t             err;
    beacond_producer_t      *producer;
    beacond_producer_ops_t   ops = beacond_kafka_producer_ops;

    ops.data = kafka;
    ops.stats = alone ? NULL : ops.stats;
    producer = beacond_producer_create(kafka->conf, &ops, alone, &err);

    if (producer == NULL) {
        beacond_kafka_error(kafka, &kafka->trouble_limit, "%s", err.text);
    }

    return producer;
}

static void
beacond_kafka_end_producer(beacond_kafka_t *kafka,
    beacond_producer_t *producer)
{
    if (producer != NULL) {
        kafka->window->users++;
        beacond_producer_destroy(producer, beacond_kafka_window_leave,
                                 kafka->window);
    }
}

/* One that is past use gives back what it has, and goes. */
static void
beacond_kafka_part(beacond_kafka_t *kafka, beacond_producer_t **producer,
    bool *ending, unsigned which)
{
    const char  *reason = beacond_producer_fatal(*producer);

    if (!*ending && reason != NULL) {
        beacond_log(BEACOND_WARN, "sink \"%s\": a new producer is made: %s",
                    kafka->sink->name, reason);
        *ending = true;
        beacond_producer_purge(*producer, true);
    }

    if (*ending && beacond_producer_out(*producer) == 0) {
        beacond_kafka_topics_release(kafka, which);
        beacond_kafka_end_producer(kafka, *producer);
        *producer = NULL;
        *ending = false;
        kafka->retry_ns = kafka->now + BEACOND_KAFKA_MAKE;
    }
}

/*
 * librdkafka keeps every topic that it has heard of, some 30 KB each, for as
 * long as a producer lives: where names follow the time, another producer is
 * made now and then, once nothing is out.  What takes longer is put off: a
 * topic without a leader must not stop the others.
 */
static void
beacond_kafka_renew(beacond_kafka_t *kafka)
{
    uint64_t  since = kafka->now - kafka->renew_ns;

    if (!kafka->renewing) {
        if (kafka->released >= BEACOND_KAFKA_TOPICS
            && kafka->released >= kafka->conf->max_topics
            && (kafka->renew_ns == 0 || since > BEACOND_KAFKA_RENEW))
        {
            kafka->renewing = true;
            kafka->renew_ns = kafka->now;
        }

        return;
    }

    if (kafka->ending || since > BEACOND_KAFKA_DRAIN) {
        kafka->renewing = false;

    } else if (beacond_producer_out(kafka->producer) == 0) {
        beacond_kafka_topics_release(kafka, 0);
        beacond_kafka_end_producer(kafka, kafka->producer);
        kafka->producer = NULL;
        kafka->renewing = false;
        kafka->retry_ns = kafka->now;
    }
}

bool
beacond_kafka_producers(beacond_kafka_t *kafka)
{
    if (kafka->producer != NULL) {
        beacond_kafka_part(kafka, &kafka->producer, &kafka->ending, 0);
    }

    if (kafka->producer != NULL) {
        beacond_kafka_renew(kafka);
    }

    if (kafka->producer == NULL && kafka->now >= kafka->retry_ns) {
        kafka->producer = beacond_kafka_make(kafka, false);
        kafka->producers += kafka->producer != NULL;
        kafka->released = 0;
        kafka->retry_ns = kafka->now + BEACOND_KAFKA_REMAKE;
    }

    return kafka->producer != NULL && !kafka->ending && !kafka->renewing;
}

bool
beacond_kafka_alone(beacond_kafka_t *kafka)
{
    if (kafka->alone != NULL) {
        beacond_kafka_part(kafka, &kafka->alone, &kafka->alone_ending, 1);
    }

    if (kafka->alone == NULL && kafka->now >= kafka->retry_ns) {
        kafka->alone = beacond_kafka_make(kafka, true);

        if (kafka->alone == NULL) {
            kafka->retry_ns = kafka->now + BEACOND_KAFKA_REMAKE;
        }
    }

    kafka->alone_ns = kafka->now;

    return kafka->alone != NULL && !kafka->alone_ending;
}

/* Reports. */
static void
beacond_kafka_poll(beacond_kafka_t *kafka, int ms)
{
    if (kafka->producer != NULL) {
        beacond_producer_poll(kafka->producer, ms);
    }

    if (kafka->alone == NULL) {
        return;
    }

    beacond_producer_poll(kafka->alone, 0);

    if (beacond_producer_fatal(kafka->alone) != NULL) {
        (void) beacond_kafka_alone(kafka);

    } else if (kafka->now - kafka->alone_ns > BEACOND_KAFKA_UNUSED) {
        kafka->alone_ending = true;
        beacond_kafka_part(kafka, &kafka->alone, &kafka->alone_ending, 1);
    }
}

/* The ops. */

static void
beacond_sink_kafka_destroy(beacond_sink_t *sink)
{
    beacond_kafka_t  *kafka = sink->data;

    if (kafka == NULL) {
        return;
    }

    beacond_kafka_topics_destroy(kafka);
    beacond_kafka_end_producer(kafka, kafka->producer);
    beacond_kafka_end_producer(kafka, kafka->alone);
    beacond_kafka_window_leave(kafka->window);
    beacond_spare_dispose(&kafka->spare);
    free(kafka->pieces);

    if (!kafka->beside) {
        beacond_sink_spool_give(sink, kafka->taken + kafka->reserved);
    }

    beacond_disk_leave(kafka->disk);
    free(kafka->chunk.data);
    beacond_conf_kafka_destroy(kafka->conf);
    free(kafka->text);
    free(kafka);
    sink->data = NULL;
}

static void
beacond_sink_kafka_say(void *data, const char *at, const char *text)
{
    beacon_err_t  *err = data;

    (void) at;

    if (strncmp(text, "warning: ", 9) != 0) {
        beacon_err(err, "%.400s", text);
    }
}

static beacon_rc_t
beacond_sink_kafka_create(beacond_sink_t *sink, const json_t *conf,
    beacon_err_t *err)
{
    beacon_rc_t       rc;
    beacond_kafka_t  *kafka;

    kafka = calloc(1, sizeof(beacond_kafka_t));

    if (kafka == NULL) {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    sink->data = kafka;
    kafka->sink = sink;
    kafka->copied = true;
    beacond_kafka_dir(kafka, NULL);
    kafka->conf = beacond_conf_kafka_create(conf, beacond_sink_kafka_say, err);
    rc = kafka->conf != NULL ? BEACON_OK : BEACON_INVALID;

    if (rc == BEACON_OK && beacond_conf_kafka_secret(kafka->conf)) {
        beacond_process_secret();
    }

    if (rc == BEACON_OK) {
        rc = beacond_kafka_topics_create(kafka, err);
    }

    if (rc == BEACON_OK) {
        rc = beacond_kafka_window_create(kafka);

        if (rc != BEACON_OK) {
            beacon_err(err, "no memory for a window of %u messages",
                       kafka->conf->window);
        }
    }

    if (rc != BEACON_OK) {
        beacond_sink_kafka_destroy(sink);
    }

    return rc;
}

static beacon_rc_t
beacond_sink_kafka_load(beacond_sink_t *sink,
    beacond_checkpoint_t *checkpoint)
{
    return beacond_kafka_load(sink->data, checkpoint);
}

/*
 * Waits for reports, which make room, and wake, or for what is parked, which
 * does, too; false: there was none.  Where no report comes for a while, batches
 * may be waiting for messages that the window has no room for.
 */
static bool
beacond_kafka_wait(beacond_kafka_t *kafka)
{
    bool      flushed = false, room = false;
    uint32_t  last, out = kafka->out, held = kafka->held;
    uint64_t  until = kafka->now + BEACOND_KAFKA_WAIT;

    while (kafka->out + kafka->held > 0 && kafka->now < until && !room) {
        last = kafka->out;
        beacond_kafka_poll(kafka, last == 0 ? 0 : flushed ? BEACOND_KAFKA_CALM
                                                          : BEACOND_KAFKA_BUSY);

        if (kafka->out == last && !flushed && kafka->producer != NULL) {
            beacond_producer_flush(kafka->producer, BEACOND_KAFKA_BUSY);
            flushed = true;
        }

        kafka->now = beacond_clock_ns();
        beacond_kafka_trouble(kafka);
        beacond_kafka_checkpoint(kafka, false);
        room = (kafka->out < out || kafka->held < held)
               && (kafka->nsent < kafka->nready || beacond_kafka_room(kafka));

        if (kafka->out == 0) {
            break;
        }
    }

    return room;
}

static beacon_rc_t
beacond_sink_kafka_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    beacond_kafka_t  *kafka = sink->data;

    kafka->now = beacond_clock_ns();
    kafka->closing_ns = 0;

    while (beacond_kafka_batch(kafka, batch) != BEACON_OK) {
        if (!beacond_kafka_wait(kafka)) {
            return BEACON_AGAIN;
        }
    }

    beacond_sink_release(sink, batch);

    return BEACON_OK;
}

/*
 * May what is not on its way be taken back?  What was out on a connection that
 * broke is then among it, though it may have arrived: where there is time,
 * librdkafka gets some to send it again.  It does not tell of each, though: of
 * two within 30 s only once.
 */
static bool
beacond_kafka_takes_back(const beacond_kafka_t *kafka, bool ending)
{
    if (kafka->now - kafka->closing_ns < BEACOND_KAFKA_BACK) {
        return false;
    }

    return ending || !kafka->there || kafka->trouble_ns == 0
           || kafka->now - kafka->trouble_ns >= BEACOND_KAFKA_AGAIN;
}

/* The end begins, or has: what is on its way may still arrive; what is not,
   by then, is taken back, so that nothing sets out that could arrive unheard
   of. */
static void
beacond_kafka_close(beacond_kafka_t *kafka, bool ending)
{
    if (kafka->closing_ns == 0) {
        kafka->closing_ns = kafka->now;
        kafka->hope_ns = 0;
        kafka->back_ns = 0;
        kafka->there = kafka->nup > 0
                       || kafka->now - kafka->ok_ns < BEACOND_KAFKA_HOPE;
    }

    if (kafka->back_ns != 0 || !beacond_kafka_takes_back(kafka, ending)) {
        return;
    }

    kafka->back_ns = kafka->now;

    if (kafka->producer != NULL) {
        beacond_producer_purge(kafka->producer, false);
    }

    if (kafka->alone != NULL) {
        beacond_producer_purge(kafka->alone, false);
    }
}

static void
beacond_kafka_last(beacond_kafka_t *kafka)
{
    uint64_t  until = kafka->now + BEACOND_KAFKA_FLUSH;

    while (kafka->out > 0 && kafka->now < until) {
        if (kafka->producer != NULL) {
            beacond_producer_flush(kafka->producer, 10);
        }

        beacond_kafka_poll(kafka, kafka->producer != NULL ? 0 : 10);
        kafka->now = beacond_clock_ns();
        beacond_kafka_close(kafka, true);
    }

    if (kafka->out > 0) {
        beacond_log(BEACOND_WARN, "sink \"%s\": %u messages are on their way "
                    "without an answer: if they arrive, they are doubled",
                    kafka->sink->name, kafka->out);
    }
}

/* A cluster that has answered nothing for long, though there was something to
   answer, will not now. */
static uint64_t
beacond_kafka_hope(const beacond_kafka_t *kafka)
{
    uint64_t              since = kafka->now;
    beacond_kafka_msg_t  *msg;

    for (msg = kafka->oldest; msg != NULL; msg = msg->newer) {
        if (msg->state == BEACOND_MSG_SENT && msg->sent_ns < since) {
            since = msg->sent_ns;
        }
    }

    since = since < kafka->ok_ns ? kafka->ok_ns : since;

    return since + BEACOND_KAFKA_HOPE;
}

static bool
beacond_sink_kafka_awaits(beacond_sink_t *sink)
{
    beacond_kafka_t  *kafka = sink->data;

    if (kafka->out == 0 || kafka->back_ns == 0
        || kafka->now - kafka->back_ns < BEACOND_KAFKA_BACK)
    {
        return kafka->out > 0;          /* first, what is taken back comes */
    }

    if (kafka->now >= kafka->hope_ns) {
        kafka->hope_ns = beacond_kafka_hope(kafka);
    }

    return kafka->now < kafka->hope_ns;
}

static void
beacond_kafka_end_all(beacond_kafka_t *kafka)
{
    beacond_kafka_close(kafka, true);

    if (kafka->waited) {
        return;                         /* there may be two such flushes */
    }

    kafka->waited = true;
    beacond_kafka_last(kafka);
    beacond_kafka_settle(kafka, true);  /* marks may take long */
    beacond_kafka_dead_close(kafka);
    beacond_kafka_parked_close(kafka);
}

static int
beacond_sink_kafka_flush(beacond_sink_t *sink, bool force)
{
    beacond_kafka_t  *kafka = sink->data;

    kafka->now = beacond_clock_ns();

    if (!kafka->loaded) {
        return BEACOND_KAFKA_IDLE;
    }

    if (beacond_kafka_producers(kafka) && force && kafka->out > 0
        && beacond_sink_stopping(sink))
    {
        beacond_producer_flush(kafka->producer, BEACOND_KAFKA_BUSY);
    }

    beacond_kafka_poll(kafka, 0);

    if (force && beacond_sink_ending(sink)) {
        beacond_kafka_end_all(kafka);

    } else if (beacond_sink_closing(sink)) {
        beacond_kafka_close(kafka, false);
        beacond_kafka_dead_close(kafka);

    } else {
        kafka->closing_ns = 0;
        beacond_kafka_trouble(kafka);
        beacond_kafka_dead_turn(kafka);
    }

    beacond_kafka_checkpoint(kafka, force);

    if (kafka->used == 0 && kafka->ntroubled == 0) {
        return BEACOND_KAFKA_IDLE;
    }

    /* reports gather: there is room for messages meanwhile */

    return kafka->used < kafka->conf->window / 4 ? BEACOND_KAFKA_CALM
                                                 : BEACOND_KAFKA_BUSY;
}

static void
beacond_sink_kafka_status(beacond_sink_t *sink, json_t *object)
{
    beacond_kafka_status(sink->data, object);
}

const beacond_sink_ops_t  beacond_sink_kafka = {
    .type = "kafka",
    .durable = true,
    .gathers = true,
    .create = beacond_sink_kafka_create,
    .destroy = beacond_sink_kafka_destroy,
    .load = beacond_sink_kafka_load,
    .batch = beacond_sink_kafka_batch,
    .flush = beacond_sink_kafka_flush,
    .awaits = beacond_sink_kafka_awaits,
    .status = beacond_sink_kafka_status,
    .retry_ms = BEACOND_KAFKA_BUSY
};
