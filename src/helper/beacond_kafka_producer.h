/*
 * A producer: what the Kafka sink knows of librdkafka.
 *
 * Enqueued is not delivered: every message that was sent() comes back once by
 * report(), whatever happens to it, also by purge(), but not by destroy().
 * All calls and all callbacks are on the thread that polls, the sink's;
 * librdkafka's own threads never call us, but to choose a partition.
 */

#ifndef BEACOND_KAFKA_PRODUCER_H
#define BEACOND_KAFKA_PRODUCER_H

#include "beacond_conf_kafka.h"

typedef struct beacond_producer_s  beacond_producer_t;

/* A record to be.  Its id stands in value, where it does in every line. */
typedef struct {
    const uint8_t  *value;
    const uint8_t  *key;        /* NULL: none */
    size_t          len;
    size_t          key_len;
    int64_t         time_ms;
} beacond_message_t;

typedef enum {
    BEACOND_DELIVERED,
    BEACOND_REFUSED,            /* it, or the batch it was in, for what it is:
                                   its size, its time, its lack of a key */
    BEACOND_PURGED,             /* or the producer is past use */
    BEACOND_FAILED
} beacond_report_e;

typedef struct {
    void  *data;

    /* It will be reported soon: what that takes may be brought into the cache;
       or NULL. */
    void (*expect)(const void *opaque);

    /* reason is valid during the call only */
    void (*report)(void *data, void *opaque, beacond_report_e what,
        const char *reason);

    /* Something about the cluster that is not well. */
    void (*trouble)(void *data, const char *reason);

    /* Every two seconds: librdkafka's statistics, JSON. */
    void (*stats)(void *data, const char *text, size_t len);
} beacond_producer_ops_t;

/*
 * alone: each message in a request of its own.  ops is copied, conf must live
 * as long.  NULL: err has librdkafka's words, without secrets.
 */
beacond_producer_t *beacond_producer_create(const beacond_conf_kafka_t *conf,
    const beacond_producer_ops_t *ops, bool alone, beacon_err_t *err);

/* What was not delivered is forgotten.  Does not wait: a thread of its own
   takes what librdkafka needs to end; then, from that thread, done(data): no
   message's value is read any more. */
void beacond_producer_destroy(beacond_producer_t *producer,
    void (*done)(void *data), void *data);

/* A topic, to be released before its producer is destroyed.  NULL: the reason
   is in err. */
void *beacond_producer_topic(beacond_producer_t *producer, const char *name,
    beacon_err_t *err);
void beacond_producer_release(void *topic);

/* How many partitions a topic had when it was last heard of; 0: not known. */
uint32_t beacond_producer_partitions(const void *topic);

/* Of so many, the one that a message with a key goes to; 0: it has none. */
uint32_t beacond_producer_partition(const void *topic, uint32_t partitions,
    const beacond_message_t *message);

/*
 * Puts the message in the queue; its value has to stay until it comes back, or
 * its producer is done.  FULL: not now; poll.  INVALID: it is too large.
 * AGAIN: the topic cannot be used; *reason is static.
 */
beacon_rc_t beacond_producer_send(beacond_producer_t *producer, void *topic,
    const beacond_message_t *message, void *opaque, const char **reason);

/* Serves callbacks; waits for one at most so long. */
void beacond_producer_poll(beacond_producer_t *producer, int ms);

/* The same; and batches are not waited for to become full: nothing will be
   added to them. */
void beacond_producer_flush(beacond_producer_t *producer, int ms);

/* Takes back what is queued; with inflight, also what may have arrived. */
void beacond_producer_purge(beacond_producer_t *producer, bool inflight);

/* Messages that have not come back. */
uint32_t beacond_producer_out(beacond_producer_t *producer);

/* Past use: purge, poll and destroy it.  NULL: it is not. */
const char *beacond_producer_fatal(beacond_producer_t *producer);

#endif /* BEACOND_KAFKA_PRODUCER_H */
