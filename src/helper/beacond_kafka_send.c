/* Sending messages, and what became of them. */

#include "beacond_kafka.h"
#include "beacond_kafka_dead.h"
#include "beacond_kafka_parked.h"
#include "beacond_prefetch.h"

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
    const char **reason)
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
    rc = beacond_producer_send(producer, handle, &msg->message, msg, reason);

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
beacond_kafka_send(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg)
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

    rc = beacond_kafka_give_away(kafka, msg, &reason);

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
        rc = beacond_kafka_give_away(kafka, msg, &reason);

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

/* A hit has ended with the last of its lines.  Others than the first have
   nothing that a checkpoint wants. */
void
beacond_kafka_end(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    beacond_fate_e fate)
{
    beacond_kafka_msg_t  *first = msg->first;

    /* the usual fate is there already, in memory that is not looked at */

    if (fate != BEACOND_DONE && fate > first->piece.fate) {
        first->piece.fate = fate;
    }

    msg->state = BEACOND_MSG_ENDED;
    first->left--;

    if (msg != first) {
        beacond_kafka_msg_put(kafka, msg);
    }

    if (first->left == 0) {
        first->ended_ns = kafka->now;
        kafka->ended_ns = kafka->ended == 0 ? kafka->now : kafka->ended_ns;
        kafka->ended++;
    }
}

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

BEACOND_TO_WRITE static void
beacond_kafka_expect(const void *opaque)
{
    const beacond_kafka_msg_t  *msg = opaque;

    __builtin_prefetch(&msg->first, 1);
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

    kafka->trouble_ns = kafka->now;
    beacond_kafka_error(kafka, &kafka->trouble_limit, "%s", reason);
}

const beacond_producer_ops_t  beacond_kafka_producer_ops = {
    .expect = beacond_kafka_expect,
    .report = beacond_kafka_report,
    .trouble = beacond_kafka_producer_trouble,
    .stats = beacond_kafka_stats
};
