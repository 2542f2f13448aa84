/*
 * librdkafka's producer.  Only this file, beacond_kafka_handles.c, _letters.c,
 * _properties.c and _calm.c include its header.
 */

#include "beacond_kafka_producer.h"
#include "beacond_clock.h"
#include "beacond_kafka_calm.h"
#include "beacond_kafka_handles.h"
#include "beacond_kafka_letters.h"
#include "beacond_kafka_properties.h"
#include "beacond_log.h"
#include "beacond_point.h"
#include "beacond_prefetch.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_WHY    (60000 * BEACOND_MS)     /* shown so long */
#define BEACOND_LATE   16       /* a power of two */
#define BEACOND_SOON   4        /* reports until it is expected, */
#define BEACOND_SOONER 8        /*   and until it is told */

/* What librdkafka is told of a message. */
enum {
    BEACOND_VU_TOPIC,
    BEACOND_VU_VALUE,
    BEACOND_VU_KEY,
    BEACOND_VU_TIME,
    BEACOND_VU_OPAQUE,
    BEACOND_VU_HEADERS,
    BEACOND_VUS
};

/*
 * A report that waits for others.  They come by the thousand, and what one is
 * about was last looked at a window ago: its letter is brought into the cache
 * at once, what that points to some reports later, and then it is told.
 */
typedef struct {
    beacond_letter_t            *letter;
    struct rd_kafka_headers_s   *headers;
    rd_kafka_resp_err_t          err;
} beacond_late_t;

struct beacond_producer_s {
    rd_kafka_t                  *rk;
    const beacond_conf_kafka_t  *conf;
    beacond_producer_ops_t       ops;
    bool                         fatal;
    char                         reason[256];
    uint64_t                     why_ns;        /* an error that says why */
    beacond_letters_t            letters;
    beacond_handle_t            *handles;
    beacond_late_t               late[BEACOND_LATE];
    uint32_t                     come;          /* into late; */
    uint32_t                     told;          /*   and out of it */
    rd_kafka_vu_t                vus[BEACOND_VUS];      /* of the message that
                                                           is sent */
    void                       (*done)(void *data);
    void                        *done_data;
};

/* Callbacks; all of them from within beacond_producer_poll() and _flush(). */

static beacond_report_e
beacond_producer_what(rd_kafka_resp_err_t err)
{
    switch (err) {

    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return BEACOND_DELIVERED;

    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        return BEACOND_REFUSED;

    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__DESTROY:
        return BEACOND_PURGED;

    default:
        return BEACOND_FAILED;
    }
}

/* A fatal error comes with reports that name it as their message's own, and
   before the error itself. */
static bool
beacond_producer_failed(beacond_producer_t *producer)
{
    producer->fatal |= rd_kafka_fatal_error(producer->rk, producer->reason,
                                            sizeof(producer->reason)) != 0;

    return producer->fatal;
}

/* The oldest one of those that wait. */
static void
beacond_producer_tell(beacond_producer_t *producer)
{
    beacond_report_e       what;
    const beacond_late_t  *late;

    late = &producer->late[producer->told++ % BEACOND_LATE];
    what = beacond_producer_what(late->err);
    beacond_letters_back(&producer->letters, late->letter, late->headers);

    if (what != BEACOND_DELIVERED && beacond_producer_failed(producer)) {
        what = BEACOND_PURGED;
    }

    producer->ops.report(producer->ops.data, late->letter->opaque, what,
                         late->err ? rd_kafka_err2str(late->err) : "");
}

static void
beacond_producer_tell_all(beacond_producer_t *producer)
{
    while (producer->told != producer->come) {
        beacond_producer_tell(producer);
    }
}

BEACOND_TO_WRITE static void
beacond_producer_report(rd_kafka_t *rk, const rd_kafka_message_t *rkm,
    void *opaque)
{
    uint32_t             n;
    beacond_late_t      *late;
    beacond_producer_t  *producer = opaque;

    (void) rk;
    BEACOND_POINT("kafka.report");

    late = &producer->late[producer->come++ % BEACOND_LATE];
    late->letter = rkm->_private;
    late->headers = beacond_letters_open(rkm);
    late->err = rkm->err;
    __builtin_prefetch(late->letter, 1);
    n = producer->come - producer->told;

    if (n > BEACOND_SOON && producer->ops.expect != NULL) {
        late = &producer->late[(producer->come - 1 - BEACOND_SOON)
                               % BEACOND_LATE];
        producer->ops.expect(late->letter->opaque);
    }

    if (n > BEACOND_SOONER) {
        beacond_producer_tell(producer);
    }
}

/* "1/1 brokers are down", behind the error that says why they are. */
static bool
beacond_producer_vague(beacond_producer_t *producer, int err)
{
    uint64_t  now = beacond_clock_ns();

    if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        producer->why_ns = now;
        return false;
    }

    return producer->why_ns != 0 && now - producer->why_ns < BEACOND_WHY;
}

static void
beacond_producer_error(rd_kafka_t *rk, int err, const char *reason,
    void *opaque)
{
    char                 text[256];
    beacond_producer_t  *producer = opaque;

    (void) rk;

    if (beacond_producer_vague(producer, err)) {
        return;
    }

    if (err == RD_KAFKA_RESP_ERR__FATAL && beacond_producer_failed(producer)) {
        reason = producer->reason;
    }

    snprintf(text, sizeof(text), "%s", reason);
    beacond_properties_scrub(producer->conf, text);
    producer->ops.trouble(producer->ops.data, text);
}

static int
beacond_producer_stats(rd_kafka_t *rk, char *json, size_t len, void *opaque)
{
    beacond_producer_t  *producer = opaque;

    (void) rk;
    producer->ops.stats(producer->ops.data, json, len);

    return 0;
}

/* What is worth a line comes as an error, too. */
static void
beacond_producer_log(const rd_kafka_t *rk, int level, const char *facility,
    const char *text)
{
    char                 copy[512];
    beacond_producer_t  *producer = rd_kafka_opaque(rk);

    if (producer == NULL) {
        return;
    }

    snprintf(copy, sizeof(copy), "%s", text);
    beacond_properties_scrub(producer->conf, copy);
    beacond_log(level < 6 ? BEACOND_INFO : BEACOND_DEBUG, "%s: %s: %s",
                producer->conf->name, facility, copy);
}

/* Making and ending. */

static rd_kafka_conf_t *
beacond_producer_conf(beacond_producer_t *producer, bool alone,
    beacon_err_t *err)
{
    rd_kafka_conf_t  *rc;

    rc = beacond_properties_make(producer->conf, alone, err);

    if (rc == NULL) {
        return NULL;
    }

    rd_kafka_conf_set_opaque(rc, producer);
    rd_kafka_conf_set_dr_msg_cb(rc, beacond_producer_report);
    rd_kafka_conf_set_error_cb(rc, beacond_producer_error);
    rd_kafka_conf_set_log_cb(rc, beacond_producer_log);
    beacond_calm(rc);

    if (producer->ops.stats != NULL) {
        rd_kafka_conf_set_stats_cb(rc, beacond_producer_stats);
    }

    return rc;
}

static void
beacond_producer_vus(rd_kafka_vu_t *vus)
{
    vus[BEACOND_VU_TOPIC].vtype = RD_KAFKA_VTYPE_RKT;
    vus[BEACOND_VU_VALUE].vtype = RD_KAFKA_VTYPE_VALUE;
    vus[BEACOND_VU_KEY].vtype = RD_KAFKA_VTYPE_KEY;
    vus[BEACOND_VU_TIME].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    vus[BEACOND_VU_OPAQUE].vtype = RD_KAFKA_VTYPE_OPAQUE;

    /* not as single headers: those, 2.0.2 frees twice when it refuses */

    vus[BEACOND_VU_HEADERS].vtype = RD_KAFKA_VTYPE_HEADERS;
}

static void
beacond_producer_free(beacond_producer_t *producer)
{
    beacond_letters_dispose(&producer->letters);
    beacond_handles_free(producer->handles);
    free(producer);
}

beacond_producer_t *
beacond_producer_create(const beacond_conf_kafka_t *conf,
    const beacond_producer_ops_t *ops, bool alone, beacon_err_t *err)
{
    char                 text[512];
    rd_kafka_conf_t     *rc;
    beacond_producer_t  *producer;

    producer = calloc(1, sizeof(beacond_producer_t));

    if (producer == NULL) {
        beacon_err(err, "out of memory");
        return NULL;
    }

    producer->conf = conf;
    producer->ops = *ops;
    beacond_producer_vus(producer->vus);

    if (beacond_letters_init(&producer->letters, conf->window) != BEACON_OK) {
        beacon_err(err, "out of memory");
        beacond_producer_free(producer);
        return NULL;
    }

    rc = beacond_producer_conf(producer, alone, err);

    if (rc == NULL) {
        beacond_producer_free(producer);
        return NULL;
    }

    producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rc, text, sizeof(text));

    if (producer->rk == NULL) {
        rd_kafka_conf_destroy(rc);
        beacond_producer_free(producer);
        beacond_properties_scrub(conf, text);
        beacon_err(err, "%.400s", text);
        return NULL;
    }

    rd_kafka_set_log_queue(producer->rk, NULL);

    return producer;
}

static void *
beacond_producer_end(void *data)
{
    beacond_producer_t  *producer = data;

    rd_kafka_destroy(producer->rk);
    producer->done(producer->done_data);
    beacond_producer_free(producer);

    return NULL;
}

void
beacond_producer_destroy(beacond_producer_t *producer,
    void (*done)(void *data), void *data)
{
    pthread_t  thread;

    /* nobody polls any more, so no callback looks for us */

    producer->done = done;
    producer->done_data = data;

    if (pthread_create(&thread, NULL, beacond_producer_end, producer) == 0) {
        pthread_detach(thread);

    } else {
        (void) beacond_producer_end(producer);
    }
}

void *
beacond_producer_topic(beacond_producer_t *producer, const char *name,
    beacon_err_t *err)
{
    return beacond_handle_open(producer->rk, &producer->handles, name, err);
}

void
beacond_producer_release(void *topic)
{
    if (topic != NULL) {
        beacond_handle_close(topic);
    }
}

uint32_t
beacond_producer_partitions(const void *topic)
{
    return beacond_handle_partitions(topic);
}

uint32_t
beacond_producer_partition(const void *topic, uint32_t partitions,
    const beacond_message_t *message)
{
    return beacond_handle_partition(topic, partitions, message->key,
                                    message->key_len);
}

/* Sending. */

static beacon_rc_t
beacond_producer_refused(beacond_producer_t *producer,
    rd_kafka_resp_err_t code)
{
    switch (code) {

    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return BEACON_FULL;

    case RD_KAFKA_RESP_ERR__FATAL:
        (void) beacond_producer_failed(producer);
        return BEACON_FULL;

    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return BEACON_INVALID;

    default:
        return BEACON_AGAIN;
    }
}

beacon_rc_t
beacond_producer_send(beacond_producer_t *producer, void *topic,
    const beacond_message_t *message, void *opaque, const char **reason)
{
    rd_kafka_vu_t        *vus = producer->vus;
    rd_kafka_error_t     *error;
    beacond_letter_t     *letter;
    rd_kafka_resp_err_t   code;

    letter = beacond_letters_get(&producer->letters, message);

    if (letter == NULL) {
        return BEACON_FULL;
    }

    letter->opaque = opaque;
    vus[BEACOND_VU_TOPIC].u.rkt = beacond_handle_topic(topic);
    vus[BEACOND_VU_VALUE].u.mem.ptr = (void *) message->value;
    vus[BEACOND_VU_VALUE].u.mem.size = message->len;
    vus[BEACOND_VU_KEY].u.mem.ptr = (void *) message->key;
    vus[BEACOND_VU_KEY].u.mem.size = message->key_len;
    vus[BEACOND_VU_TIME].u.i64 = message->time_ms;
    vus[BEACOND_VU_OPAQUE].u.ptr = letter;
    vus[BEACOND_VU_HEADERS].u.headers = letter->headers;

    error = rd_kafka_produceva(producer->rk, vus, BEACOND_VUS);

    if (error == NULL) {
        return BEACON_OK;
    }

    beacond_letters_put(&producer->letters, letter);
    code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    *reason = rd_kafka_err2str(code);

    return beacond_producer_refused(producer, code);
}

void
beacond_producer_poll(beacond_producer_t *producer, int ms)
{
    rd_kafka_poll(producer->rk, ms);
    beacond_producer_tell_all(producer);
}

void
beacond_producer_flush(beacond_producer_t *producer, int ms)
{
    (void) rd_kafka_flush(producer->rk, ms);
    beacond_producer_tell_all(producer);
}

void
beacond_producer_purge(beacond_producer_t *producer, bool inflight)
{
    rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE
                   | (inflight ? RD_KAFKA_PURGE_F_INFLIGHT : 0)
                   | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

uint32_t
beacond_producer_out(beacond_producer_t *producer)
{
    return (uint32_t) rd_kafka_outq_len(producer->rk);
}

const char *
beacond_producer_fatal(beacond_producer_t *producer)
{
    return producer->fatal ? producer->reason : NULL;
}
