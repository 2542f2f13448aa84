/* Parked topics' files: what is sent from them, and what became of it. */

#include "beacond_kafka_dead.h"
#include "beacond_kafka_parked.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* Sending. */

static void
beacond_parked_sent(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg)
{
    beacond_kafka_topic_t  *topic = msg->topic;

    msg->state = BEACOND_MSG_SENT;
    msg->sent_ns = kafka->now;
    msg->behind = NULL;
    msg->before = topic->sent_tail;

    if (topic->sent_tail != NULL) {
        topic->sent_tail->behind = msg;

    } else {
        topic->sent_head = msg;
    }

    topic->sent_tail = msg;
    kafka->out++;
    topic->out++;
    topic->parked_out++;
}

static bool
beacond_parked_send_one(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    const beacond_parked_frame_t *frame)
{
    void                  *handle;
    beacon_rc_t            rc;
    beacon_err_t           err;
    const char            *reason = "";
    beacond_producer_t    *producer;
    const uint8_t         *p = (const uint8_t *) (frame + 1);
    beacond_kafka_msg_t   *msg;
    beacond_message_t      message = {
        p + frame->key_len, frame->key_len ? p : NULL, frame->len,
        frame->key_len, frame->time_ms
    };

    if (!(topic->alone ? beacond_kafka_alone(kafka)
                       : beacond_kafka_producers(kafka)))
    {
        return false;
    }

    producer = topic->alone ? kafka->alone : kafka->producer;
    handle = topic->handle[topic->alone];

    if (handle == NULL) {
        handle = beacond_producer_topic(producer, topic->name, &err);
        topic->handle[topic->alone] = handle;
    }

    msg = handle ? beacond_kafka_msg_get(kafka, topic, BEACOND_MSG_PARKED)
                 : NULL;

    if (msg == NULL) {
        return false;
    }

    msg->alone = topic->alone;
    msg->place = topic->place;
    msg->next = topic->place + frame->length;
    msg->hits = frame->hits;
    rc = beacond_kafka_keep(msg, &message) == BEACON_OK
         ? beacond_producer_send(producer, handle, &msg->message, msg, &reason)
         : BEACON_FULL;

    /* too large for what is configured now: nobody has offered it before */

    if (rc == BEACON_INVALID
        && beacond_kafka_dead_put(kafka, topic, &msg->message, reason)
           == BEACON_OK)
    {
        beacond_parked_sent(kafka, msg);
        kafka->out--;
        topic->out--;
        beacond_kafka_parked_report(kafka, msg, BEACOND_PARKED);
        return true;
    }

    if (rc != BEACON_OK) {
        beacond_kafka_msg_put(kafka, msg);

        if (rc != BEACON_FULL) {
            beacond_kafka_failed(kafka, topic, reason);
        }

        return false;
    }

    beacond_parked_sent(kafka, msg);

    return true;
}

/* What was sent. */

static void
beacond_parked_drop(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg)
{
    beacond_kafka_topic_t  *topic = msg->topic;

    topic->sent_head = msg->behind;

    if (topic->sent_head != NULL) {
        topic->sent_head->before = NULL;

    } else {
        topic->sent_tail = NULL;
    }

    if (msg->state == BEACOND_MSG_ENDED) {
        topic->parked_ended--;
        kafka->parked_ended--;
    }

    beacond_kafka_msg_put(kafka, msg);
}

static void
beacond_parked_count(beacond_kafka_t *kafka, const beacond_kafka_msg_t *msg)
{
    msg->topic->waiting -= msg->hits;
    kafka->waiting -= msg->hits;
    kafka->unparked += msg->piece.fate == BEACOND_DONE ? msg->hits : 0;
}

/* What was delivered behind a frame that was not is marked in the file, as it
   is to be sent from that one on again.  false: not now. */
static bool
beacond_parked_mark(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    bool                  done;
    beacond_disk_job_t   *job;
    beacond_kafka_msg_t  *msg;

    job = beacond_disk_job(BEACOND_DISK_MARK, 1);

    if (job != NULL) {
        job->places = calloc(topic->parked_ended, sizeof(uint64_t));
    }

    if (job == NULL || job->places == NULL) {
        beacond_disk_free(job);
        return false;
    }

    beacond_parked_path(kafka, topic->name, job->path, sizeof(job->path));
    job->data[0] = 1;

    for (msg = topic->sent_head; msg != NULL; msg = msg->behind) {
        if (msg->state == BEACOND_MSG_ENDED) {
            job->places[job->nplaces++] =
                msg->place + offsetof(beacond_parked_frame_t, state);
        }
    }

    if (beacond_disk_do(kafka, job) != BEACON_OK) {
        return false;
    }

    done = job->error == 0 || job->error == ENOENT;

    if (!done) {
        beacond_parked_error(kafka, topic, job->error);
    }

    beacond_disk_free(job);
    kafka->chunk.len = 0;               /* read before */

    return done;
}

/* All that was out is back, and the first of it has not been delivered. */
static void
beacond_parked_again(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    beacond_kafka_msg_t  *msg;

    if (topic->parked_ended > 0 && !beacond_parked_mark(kafka, topic)) {
        return;
    }

    topic->place = topic->sent_head->place;
    topic->parked_failed = false;

    while ((msg = topic->sent_head) != NULL) {
        if (msg->state == BEACOND_MSG_ENDED) {
            beacond_parked_count(kafka, msg);
        }

        beacond_parked_drop(kafka, msg);
    }
}

/* What cannot be found is lost. */
static void
beacond_parked_missing(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    if (topic->waiting == 0) {
        return;
    }

    beacond_kafka_error(kafka, &kafka->lost_limit, "%llu parked hits of topic "
                        "\"%s\" are lost: damaged, or no longer in their file",
                        (unsigned long long) topic->waiting, topic->name);
    kafka->waiting -= topic->waiting;
    kafka->unparked_lost += topic->waiting;
    topic->waiting = 0;
}

/* A checkpoint says that nothing in it waits.  Whether the file goes now or
   when its disk comes back: it is this topic's no more. */
static void
beacond_parked_unlink(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    beacon_rc_t          rc;
    beacond_disk_job_t  *job = beacond_disk_job(BEACOND_DISK_UNLINK, 0);

    if (job == NULL) {
        return;
    }

    beacond_parked_path(kafka, topic->name, job->path, sizeof(job->path));
    BEACOND_POINT("kafka.before_unlink");
    rc = beacond_disk_do(kafka, job);

    if (rc == BEACON_OK) {
        beacond_disk_free(job);

    } else if (rc != BEACON_AGAIN) {
        return;
    }

    beacond_kafka_give(kafka, topic->taken);
    topic->generation = topic->end = topic->taken = 0;
    topic->done = topic->place = topic->told = 0;
    topic->dirty = false;
}

/* All of it is delivered, or not to be found. */
static void
beacond_parked_finish(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    beacond_parked_missing(kafka, topic);

    if (topic->told == topic->end) {
        beacond_parked_unlink(kafka, topic);

    } else {
        topic->done = topic->end;
        kafka->parked_due = true;
    }
}

void
beacond_kafka_parked_send(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, uint32_t n)
{
    bool                     sent = true, damaged = false, again = false;
    beacond_parked_frame_t  *frame;

    if (topic->parked_failed && topic->parked_out == 0
        && topic->sent_head->state == BEACOND_MSG_HELD)
    {
        beacond_parked_again(kafka, topic);
    }

    if (topic->generation == 0 || topic->parked_failed) {
        return;
    }

    while (n > 0 && sent
           && (frame = beacond_parked_read(kafka, topic, &topic->place,
                                           &damaged, &again)) != NULL)
    {
        if (frame->state == 0) {
            sent = beacond_parked_send_one(kafka, topic, frame);
            n--;
        }

        topic->place += sent ? frame->length : 0;
    }

    if (damaged) {
        beacond_kafka_error(kafka, &kafka->file_limit, "parked hits of topic "
                            "\"%s\" are damaged", topic->name);
    }

    if (again) {
        topic->retry_ns = kafka->now + BEACOND_KAFKA_FULL;

    } else if (topic->place >= topic->end && topic->sent_head == NULL) {
        beacond_parked_finish(kafka, topic);
    }
}

/* Reports. */

void
beacond_kafka_parked_report(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    beacond_fate_e fate)
{
    beacond_kafka_topic_t  *topic = msg->topic;

    BEACOND_POINT("kafka.before_mark");
    topic->parked_out--;
    msg->piece.fate = fate;

    if (fate == BEACOND_LOST) {
        msg->state = BEACOND_MSG_HELD;
        topic->chunk_failed = topic->parked_failed = true;

    } else {
        msg->state = BEACOND_MSG_ENDED;
        topic->parked_ended++;
        kafka->ended_ns = kafka->ended + kafka->parked_ended == 0
                          ? kafka->now : kafka->ended_ns;
        kafka->parked_ended++;
        topic->chunk_failed = topic->chunk_failed && topic->parked_out > 0;
    }
}

/* Checkpoints. */

void
beacond_kafka_parked_settle(beacond_kafka_t *kafka)
{
    beacond_kafka_msg_t    *msg;
    beacond_kafka_topic_t  *topic;

    if (kafka->parked_ended == 0) {
        return;
    }

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        for (msg = topic->sent_head;
             msg != NULL && msg->state == BEACOND_MSG_ENDED;
             msg = msg->behind)
        {
            if (!msg->piece.told) {
                msg->piece.told = true;
                topic->done = msg->next;
                beacond_parked_count(kafka, msg);
            }
        }
    }
}

void
beacond_kafka_parked_told(beacond_kafka_t *kafka)
{
    beacond_kafka_msg_t    *msg;
    beacond_kafka_topic_t  *topic;

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        topic->told = topic->done;

        while ((msg = topic->sent_head) != NULL && msg->piece.told) {
            beacond_parked_drop(kafka, msg);
        }
    }
}

void
beacond_kafka_parked_close(beacond_kafka_t *kafka)
{
    bool                    behind;
    beacond_kafka_msg_t    *msg;
    beacond_kafka_topic_t  *topic;

    beacond_kafka_parked_settle(kafka);

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        behind = false;

        for (msg = topic->sent_head; msg != NULL; msg = msg->behind) {
            behind |= msg->state == BEACOND_MSG_ENDED && !msg->piece.told;
        }

        if (!behind || !beacond_parked_mark(kafka, topic)) {
            continue;
        }

        for (msg = topic->sent_head; msg != NULL; msg = msg->behind) {
            if (msg->state == BEACOND_MSG_ENDED && !msg->piece.told) {
                msg->piece.told = true;
                beacond_parked_count(kafka, msg);
            }
        }
    }
}
