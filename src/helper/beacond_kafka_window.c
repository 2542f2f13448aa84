/* The window: the places of messages; those that wait in their topic's list. */

#include "beacond_kafka.h"
#include "beacond_prefetch.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_KAFKA_ROUND  512
#define BEACOND_KAFKA_KEPT   2048       /* bytes of a place that is free */

beacon_rc_t
beacond_kafka_window_create(beacond_kafka_t *kafka)
{
    size_t                   size;
    uint32_t                 i, n = kafka->conf->window;
    beacond_kafka_window_t  *window;

    size = sizeof(beacond_kafka_window_t) + n * sizeof(beacond_kafka_msg_t);
    window = aligned_alloc(_Alignof(beacond_kafka_window_t), size);
    kafka->window = window;
    kafka->pieces = calloc(n, sizeof(beacond_piece_t *));

    if (window == NULL || kafka->pieces == NULL
        || beacond_spare_init(&kafka->spare, n) != BEACON_OK)
    {
        free(window);
        kafka->window = NULL;
        return BEACON_SYS;
    }

    memset(window, 0, size);
    window->users = 1;
    window->n = n;

    for (i = 0; i + 1 < n; i++) {
        window->msgs[i].newer = &window->msgs[i + 1];
    }

    kafka->oldest = window->msgs;

    return BEACON_OK;
}

void
beacond_kafka_window_leave(void *data)
{
    uint32_t                 i;
    beacond_kafka_window_t  *window = data;

    if (window == NULL || --window->users > 0) {
        return;
    }

    for (i = 0; i < window->n; i++) {
        free(window->msgs[i].data);
    }

    free(window);
}

/* Brings into the cache what those to come will need: of the next one, which
   was the next but one before, its data, too. */
BEACOND_TO_WRITE static void
beacond_kafka_msg_next(const beacond_kafka_t *kafka)
{
    size_t                      n;
    uint32_t                    i = beacond_spare_peek(&kafka->spare, 1);
    const beacond_kafka_msg_t  *msg;

    if (i == BEACOND_SPARE_NONE) {
        return;
    }

    msg = &kafka->window->msgs[i];
    __builtin_prefetch(&msg->piece, 1);
    __builtin_prefetch(&msg->first, 1);
    __builtin_prefetch(&msg->message, 1);
    msg = &kafka->window->msgs[beacond_spare_peek(&kafka->spare, 0)];

    for (n = 0; n < msg->size && n < BEACOND_KAFKA_ROUND * 2; n += 64) {
        __builtin_prefetch(msg->data + n, 1);
    }
}

beacond_kafka_msg_t *
beacond_kafka_msg_get(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    beacond_msg_source_e source)
{
    uint32_t              i = beacond_spare_take(&kafka->spare);
    beacond_kafka_msg_t  *msg;

    if (i == BEACOND_SPARE_NONE) {
        return NULL;
    }

    msg = &kafka->window->msgs[i];
    beacond_kafka_msg_next(kafka);
    memset(&msg->piece, 0, sizeof(msg->piece));
    msg->first = msg;
    msg->after = NULL;
    msg->next = 0;
    msg->further = NULL;
    msg->topic = topic;
    msg->left = 1;
    msg->source = source;
    msg->alone = false;
    msg->hits = 0;
    msg->seq = ++kafka->seq;
    msg->sent_ns = 0;
    msg->place = 0;
    kafka->used++;

    return msg;
}

void
beacond_kafka_msg_put(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg)
{
    if (msg->size > BEACOND_KAFKA_KEPT) {
        free(msg->data);
        msg->data = NULL;
        msg->size = 0;
    }

    msg->state = BEACOND_MSG_FREE;
    beacond_spare_put(&kafka->spare, (uint32_t) (msg - kafka->window->msgs));
    kafka->used--;
}

bool
beacond_kafka_room(const beacond_kafka_t *kafka)
{
    uint32_t  window = kafka->conf->window;

    return kafka->used < window - (kafka->ntroubled > 0 ? window / 8 : 0)
           && kafka->held_bytes < BEACOND_KAFKA_BYTES;
}

/* What waits. */

beacon_rc_t
beacond_kafka_keep(beacond_kafka_msg_t *msg, const beacond_message_t *message)
{
    size_t    size = message->len + message->key_len;
    uint8_t  *data;

    if (size > msg->size) {
        size += BEACOND_KAFKA_ROUND - size % BEACOND_KAFKA_ROUND;
        data = malloc(size);

        if (data == NULL) {
            return BEACON_SYS;
        }

        free(msg->data);
        msg->data = data;
        msg->size = size;
    }

    msg->message = *message;
    msg->message.value = memcpy(msg->data, message->value, message->len);

    if (message->key_len > 0) {
        msg->message.key = memcpy(msg->data + message->len, message->key,
                                  message->key_len);
    }

    return BEACON_OK;
}

/* In the order in which they came, whatever the order in which librdkafka
   hands them back. */
void
beacond_kafka_hold(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg)
{
    beacond_kafka_msg_t    *last;
    beacond_kafka_topic_t  *topic = msg->topic;

    msg->state = BEACOND_MSG_HELD;

    for (last = topic->tail; last != NULL && last->seq > msg->seq;
         last = last->before)
    {
        /* behind which it goes */
    }

    msg->before = last;
    msg->behind = last != NULL ? last->behind : topic->head;

    if (msg->behind != NULL) {
        msg->behind->before = msg;

    } else {
        topic->tail = msg;
    }

    if (last != NULL) {
        last->behind = msg;

    } else {
        topic->head = msg;
    }

    topic->held++;
    kafka->held++;
    kafka->held_bytes += msg->message.len + msg->message.key_len;
}

/* Out of the list. */
void
beacond_kafka_unhold(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg)
{
    beacond_kafka_topic_t  *topic = msg->topic;

    if (msg->before != NULL) {
        msg->before->behind = msg->behind;

    } else {
        topic->head = msg->behind;
    }

    if (msg->behind != NULL) {
        msg->behind->before = msg->before;

    } else {
        topic->tail = msg->before;
    }

    topic->held--;
    kafka->held--;
    kafka->held_bytes -= msg->message.len + msg->message.key_len;
}
