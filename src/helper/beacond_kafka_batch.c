/*
 * Takes a batch: its lines become messages, and those of one partition are sent
 * one after the other.
 *
 * librdkafka makes a request of a partition's messages.  Sent in the order in
 * which hits come, they lie all over memory that other partitions' are in, and
 * each costs its threads and this one some hundred nanoseconds of waiting for
 * memory more: a bare loop takes 0.7 x the CPU when it groups 500 messages.
 * The order within a partition stays what it was, but for messages without a
 * key, whose partition librdkafka makes up: theirs stays among themselves.
 */

#include "beacond_kafka.h"

#include <string.h>

#define BEACOND_KAFKA_KEY      1024
#define BEACOND_KAFKA_NEXT     2        /* lines ahead, */
#define BEACOND_KAFKA_FURTHER  4        /*   and of what tells where they are */
#define BEACOND_KAFKA_PART     1024     /* bytes of a line, at most */
#define BEACOND_KAFKA_RUNS     64       /* partitions of one number share it */

/* Messages in the order in which they came. */
typedef struct {
    uint32_t              n;
    uint32_t              starts[BEACOND_KAFKA_RUNS + 1];
    uint8_t               runs[BEACOND_BATCH_HITS];
    beacond_kafka_msg_t  *msgs[BEACOND_BATCH_HITS];
} beacond_kafka_came_t;

/* Which messages are to stand together: those of a topic's partition.  How many
   there are may become known, or others, at any time: not between two that are
   sent together, which would change places. */
static uint8_t
beacond_kafka_run(beacond_kafka_topic_t *topic,
    const beacond_message_t *message)
{
    uint32_t     partition = 0;
    const void  *handle = topic->handle[0];

    if (topic->ready++ == 0) {
        topic->partitions = handle ? beacond_producer_partitions(handle) : 0;
    }

    if (handle != NULL && topic->partitions > 1) {
        partition = beacond_producer_partition(handle, topic->partitions,
                                               message);
    }

    return (uint8_t) (((uint32_t) topic->hash + partition)
                      % BEACOND_KAFKA_RUNS);
}

/* One line becomes a message, to be sent.  NULL: not now. */
static beacond_kafka_msg_t *
beacond_kafka_line(beacond_kafka_t *kafka, const beacond_batch_t *batch,
    uint32_t i, uint8_t *run)
{
    char                    key[BEACOND_KAFKA_KEY];
    beacond_message_t       message;
    beacond_kafka_msg_t    *msg;
    const beacond_hit_t    *hit;
    const beacond_line_t   *line = &batch->lines[i];
    beacond_kafka_topic_t  *topic;

    if (!beacond_kafka_room(kafka)) {
        return NULL;
    }

    topic = beacond_kafka_topic(kafka, batch, line);
    msg = topic ? beacond_kafka_msg_get(kafka, topic, BEACOND_MSG_LIVE) : NULL;

    if (msg == NULL) {
        return NULL;
    }

    beacond_kafka_message(kafka, batch, line, key, sizeof(key), &message);

    if (beacond_kafka_keep(msg, &message) != BEACON_OK) {
        beacond_kafka_msg_put(kafka, msg);
        return NULL;
    }

    msg->state = BEACOND_MSG_READY;
    hit = &batch->hits[line->hit];

    if (i == hit->lines) {
        beacond_sink_piece(batch, line->hit, &msg->piece);
        msg->left = hit->nlines;
        kafka->first = msg;
        beacond_kafka_enlist(kafka, msg);

    } else {
        msg->first = kafka->first;
    }

    *run = beacond_kafka_run(topic, &message);

    return msg;
}

/*
 * Is a line of the batch left?  A reader wrote it, on another processor: what
 * is wanted of those that follow is brought into the cache.
 */
static bool
beacond_kafka_left(const beacond_kafka_t *kafka, const beacond_batch_t *batch)
{
    size_t                 n;
    uint32_t               left = batch->nlines - kafka->part;
    const beacond_line_t  *line = &batch->lines[kafka->part];

    if (left > BEACOND_KAFKA_FURTHER) {
        __builtin_prefetch(&line[BEACOND_KAFKA_FURTHER].offset);
        __builtin_prefetch(&line[BEACOND_KAFKA_FURTHER].hit);
    }

    if (left > BEACOND_KAFKA_NEXT) {
        line += BEACOND_KAFKA_NEXT;
        __builtin_prefetch(&batch->hits[line->hit]);
        __builtin_prefetch(batch->arena + line->values);

        for (n = 0; n < line->line.len && n < BEACOND_KAFKA_PART; n += 64) {
            __builtin_prefetch(batch->arena + line->offset + n);
        }
    }

    return left > 0;
}

/* Run by run, within each as they came. */
static void
beacond_kafka_sort(beacond_kafka_t *kafka, beacond_kafka_came_t *came)
{
    uint32_t  i;

    for (i = 1; i < BEACOND_KAFKA_RUNS; i++) {
        came->starts[i] += came->starts[i - 1];
    }

    for (i = 0; i < came->n; i++) {
        kafka->ready[came->starts[came->runs[i]]++] = came->msgs[i];
    }

    kafka->nready = came->n;
}

/* As many of the lines that are left as there is room for. */
static uint32_t
beacond_kafka_get_ready(beacond_kafka_t *kafka, const beacond_batch_t *batch)
{
    uint8_t               *run;
    beacond_kafka_came_t   came;

    came.n = 0;
    memset(came.starts, 0, sizeof(came.starts));

    while (beacond_kafka_left(kafka, batch)) {
        run = &came.runs[came.n];
        came.msgs[came.n] = beacond_kafka_line(kafka, batch, kafka->part, run);

        if (came.msgs[came.n] == NULL) {
            break;
        }

        came.starts[*run + 1]++;
        came.n++;
        kafka->part++;
    }

    beacond_kafka_sort(kafka, &came);

    return came.n;
}

/* false: not all of them, now. */
static bool
beacond_kafka_send_ready(beacond_kafka_t *kafka)
{
    beacond_kafka_msg_t    *msg;
    beacond_kafka_topic_t  *topic;

    while (kafka->nsent < kafka->nready) {
        msg = kafka->ready[kafka->nsent];
        topic = msg->topic;

        if (beacond_kafka_send(kafka, msg) != BEACON_OK) {
            return false;
        }

        topic->ready--;
        kafka->nsent++;
    }

    kafka->nready = kafka->nsent = 0;

    return true;
}

beacon_rc_t
beacond_kafka_batch(beacond_kafka_t *kafka, const beacond_batch_t *batch)
{
    do {
        if (!beacond_kafka_send_ready(kafka)) {
            return BEACON_FULL;
        }

    } while (beacond_kafka_get_ready(kafka, batch) > 0);

    if (kafka->part < batch->nlines) {
        return BEACON_FULL;
    }

    kafka->part = 0;

    return BEACON_OK;
}
