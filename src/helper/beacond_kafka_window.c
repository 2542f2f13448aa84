/* The window: messages that are out, and what became of them. */

#include "beacond_kafka.h"

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

    if (window == NULL || kafka->pieces == NULL) {
        free(window);
        kafka->window = NULL;
        return BEACON_SYS;
    }

    memset(window, 0, size);
    window->users = 1;
    window->n = n;

    for (i = n; i-- > 0; /* void */ ) {
        window->msgs[i].after = kafka->free;
        window->msgs[i].newer = i + 1 < n ? &window->msgs[i + 1] : NULL;
        kafka->free = &window->msgs[i];
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

/* Brings into the cache what the next two will need: of the next one, which
   was the next but one before, its data, too. */
static void
beacond_kafka_msg_foresee(const beacond_kafka_msg_t *msg)
{
    size_t                      i;
    const beacond_kafka_msg_t  *next;

    if (msg == NULL) {
        return;
    }

    for (i = 0; i < msg->size && i < BEACOND_KAFKA_ROUND * 2; i += 64) {
        __builtin_prefetch(msg->data + i, 1);
    }

    next = msg->after;

    if (next != NULL) {
        __builtin_prefetch(&next->piece, 1);
        __builtin_prefetch(&next->first, 1);
        __builtin_prefetch(&next->message, 1);
    }
}

beacond_kafka_msg_t *
beacond_kafka_msg_get(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    beacond_msg_source_e source)
{
    beacond_kafka_msg_t  *msg = kafka->free;

    if (msg == NULL) {
        return NULL;
    }

    kafka->free = msg->after;
    beacond_kafka_msg_foresee(kafka->free);

    memset(&msg->piece, 0, sizeof(msg->piece));
    msg->first = msg;
    msg->after = NULL;
    msg->next = 0;
    msg->further = NULL;
    msg->topic = topic;
    msg->ended_ns = 0;
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
    msg->after = kafka->free;
    kafka->free = msg;
    kafka->used--;
}

bool
beacond_kafka_room(const beacond_kafka_t *kafka)
{
    uint32_t  window = kafka->conf->window;

    return kafka->used < window - (kafka->ntroubled > 0 ? window / 8 : 0)
           && kafka->held_bytes < BEACOND_KAFKA_BYTES;
}

/* A hit has ended with the last of its lines.  Others than the first have
   nothing that a checkpoint wants. */
void
beacond_kafka_end(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    beacond_fate_e fate)
{
    beacond_kafka_msg_t  *first = msg->first;

    if (fate > first->piece.fate) {
        first->piece.fate = fate;
    }

    msg->state = BEACOND_MSG_ENDED;
    first->ended_ns = kafka->now;
    first->left--;

    if (msg != first) {
        beacond_kafka_msg_put(kafka, msg);
    }

    if (first->left == 0) {
        kafka->ended_ns = kafka->ended == 0 ? kafka->now : kafka->ended_ns;
        kafka->ended++;
    }
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

/* Sending. */

static void
beacond_kafka_bury(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    const char *reason)
{
    beacon_rc_t  rc;

    rc = beacond_kafka_dead_put(kafka, msg->topic, &msg->message, reason);

    if (rc == BEACON_OK) {
        beacond_kafka_end(kafka, msg, BEACOND_PARKED);

    } else if ((rc != BEACON_FULL && !beacond_kafka_stalled(kafka))
               || !beacond_kafka_lose(kafka, msg))
    {
        msg->topic->retry_ns = kafka->now + BEACOND_KAFKA_PROBE;
        beacond_kafka_hold(kafka, msg);
    }
}

static void *
beacond_kafka_handle(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    unsigned which, beacond_producer_t *producer)
{
    beacon_err_t  err;

    if (topic->handle[which] == NULL) {
        topic->handle[which] = beacond_producer_topic(producer, topic->name,
                                                      &err);

        if (topic->handle[which] == NULL) {
            beacond_kafka_failed(kafka, topic, err.text);
        }
    }

    return topic->handle[which];
}

/* OK: it is librdkafka's now.  FULL: not now.  AGAIN: the topic fails.
   INVALID: it is too large. */
static beacon_rc_t
beacond_kafka_give_away(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    const beacond_message_t *also, const char **reason)
{
    void                   *handle;
    beacon_rc_t             rc;
    beacond_producer_t     *producer;
    beacond_kafka_topic_t  *topic = msg->topic;

    if (!(msg->alone ? beacond_kafka_alone(kafka)
                     : beacond_kafka_producers(kafka)))
    {
        return BEACON_FULL;
    }

    producer = msg->alone ? kafka->alone : kafka->producer;
    handle = beacond_kafka_handle(kafka, topic, msg->alone, producer);

    if (handle == NULL) {
        return BEACON_AGAIN;
    }

    BEACOND_POINT("kafka.before_send");
    rc = beacond_producer_send_of(producer, handle, &msg->message, also, msg,
                                  reason);

    if (rc == BEACON_OK) {
        BEACOND_POINT("kafka.after_send");
        msg->state = BEACOND_MSG_SENT;
        msg->sent_ns = kafka->now;
        kafka->out++;
        topic->out++;

    } else if (rc == BEACON_AGAIN) {
        beacond_kafka_failed(kafka, topic, *reason);
    }

    return rc;
}

beacon_rc_t
beacond_kafka_send(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    const beacond_message_t *also)
{
    beacon_rc_t             rc;
    const char             *reason = "";
    beacond_kafka_topic_t  *topic = msg->topic;

    if (topic->state == BEACOND_TOPIC_PARKED) {
        beacond_kafka_park(kafka, msg);
        return BEACON_OK;
    }

    if (topic->state == BEACOND_TOPIC_FAILING || topic->held > 0) {
        beacond_kafka_hold(kafka, msg);
        return BEACON_OK;
    }

    rc = beacond_kafka_give_away(kafka, msg, also, &reason);

    if (rc == BEACON_INVALID) {
        beacond_kafka_bury(kafka, msg, reason);

    } else if (rc == BEACON_AGAIN) {
        beacond_kafka_hold(kafka, msg);
    }

    return rc == BEACON_FULL ? BEACON_FULL : BEACON_OK;
}

void
beacond_kafka_resend(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    uint32_t n)
{
    beacon_rc_t           rc;
    const char           *reason = "";
    beacond_kafka_msg_t  *msg;

    while (n-- > 0 && (msg = topic->head) != NULL) {
        rc = beacond_kafka_give_away(kafka, msg, &msg->message, &reason);

        if (rc == BEACON_FULL || rc == BEACON_AGAIN) {
            break;
        }

        beacond_kafka_unhold(kafka, msg);

        if (rc == BEACON_INVALID) {
            beacond_kafka_bury(kafka, msg, reason);
        }

        if (topic->head == msg) {
            break;              /* it is held again */
        }
    }
}

/* Reports. */

/* A batch that is refused says nothing of its messages: each alone, then. */
static void
beacond_kafka_refused(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    const char *reason)
{
    if (msg->alone) {
        beacond_kafka_bury(kafka, msg, reason);
        return;
    }

    msg->alone = true;
    beacond_kafka_hold(kafka, msg);
}

static void
beacond_kafka_report_live(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    beacond_report_e what, const char *reason)
{
    beacond_kafka_topic_t  *topic = msg->topic;

    switch (what) {

    case BEACOND_DELIVERED:
        beacond_kafka_well(kafka, topic);
        beacond_kafka_end(kafka, msg, BEACOND_DONE);
        break;

    case BEACOND_REFUSED:
        beacond_kafka_refused(kafka, msg, reason);
        break;

    case BEACOND_FAILED:
        beacond_kafka_failed(kafka, topic, reason);
        beacond_kafka_hold(kafka, msg);
        break;

    default:
        beacond_kafka_hold(kafka, msg);
        break;
    }
}

static void
beacond_kafka_report(void *data, void *opaque, beacond_report_e what,
    const char *reason)
{
    beacond_kafka_t        *kafka = data;
    beacond_kafka_msg_t    *msg = opaque;
    beacond_kafka_topic_t  *topic = msg->topic;

    kafka->out--;
    topic->out--;

    if (topic->probe == msg) {
        topic->probe = NULL;
    }

    if (what == BEACOND_DELIVERED) {
        kafka->ok_ns = topic->ok_ns = kafka->now;
        kafka->ok_sent_ns = msg->sent_ns > kafka->ok_sent_ns
                            ? msg->sent_ns : kafka->ok_sent_ns;
    }

    if (msg->source == BEACOND_MSG_LIVE) {
        beacond_kafka_report_live(kafka, msg, what, reason);
        return;
    }

    if (msg->source == BEACOND_MSG_DEAD) {
        beacond_kafka_dead_report(kafka, msg, what == BEACOND_DELIVERED);
        return;
    }

    if (what == BEACOND_REFUSED && msg->alone) {

        /* one letter more that waits, one frame less */

        if (beacond_kafka_dead_put(kafka, topic, &msg->message, reason)
            == BEACON_OK)
        {
            beacond_kafka_parked_report(kafka, msg, BEACOND_PARKED);
            return;
        }

        topic->retry_ns = kafka->now + BEACOND_KAFKA_RETRY;
    }

    if (what == BEACOND_FAILED) {
        beacond_kafka_failed(kafka, topic, reason);
    }

    topic->alone |= what == BEACOND_REFUSED;
    beacond_kafka_parked_report(kafka, msg, what == BEACOND_DELIVERED
                                            ? BEACOND_DONE : BEACOND_LOST);
}

static void
beacond_kafka_producer_trouble(void *data, const char *reason)
{
    beacond_kafka_t  *kafka = data;

    beacond_kafka_error(kafka, &kafka->trouble_limit, "%s", reason);
}

const beacond_producer_ops_t  beacond_kafka_producer_ops = {
    .report = beacond_kafka_report,
    .trouble = beacond_kafka_producer_trouble,
    .stats = beacond_kafka_stats
};
