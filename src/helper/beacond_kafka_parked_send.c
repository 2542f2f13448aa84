/* Parked topics' files: what is sent from them, and what became of it. */

#include "beacond_kafka_parked.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_PARKED_CHUNK  (256 * 1024)      /* read at a time */

static void
beacond_parked_error(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, int error)
{
    beacond_kafka_error(kafka, &kafka->file_limit, "parked hits of topic "
                        "\"%s\": %s", topic->name, strerror(error));
}

/* Reading. */

/* The chunk from place on, len bytes of it if there are as many.  false: not
   now. */
static bool
beacond_parked_fetch(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, uint64_t place, size_t len)
{
    beacond_disk_job_t     *job;
    beacond_kafka_chunk_t  *chunk = &kafka->chunk;

    len = len > BEACOND_PARKED_CHUNK ? len : BEACOND_PARKED_CHUNK;
    len = len > topic->end - place ? (size_t) (topic->end - place) : len;
    job = beacond_disk_job(BEACOND_DISK_READ, len);

    if (job == NULL) {
        return false;
    }

    beacond_parked_path(kafka, topic->name, job->path, sizeof(job->path));
    job->place = place;

    if (beacond_disk_do(kafka, job) != BEACON_OK) {
        return false;
    }

    if (job->error != 0) {
        beacond_parked_error(kafka, topic, job->error);
        beacond_disk_free(job);
        return false;
    }

    free(chunk->data);
    chunk->topic = topic;
    chunk->generation = topic->generation;
    chunk->place = place;
    chunk->data = job->data;
    chunk->len = job->len;
    chunk->size = job->size;
    job->data = NULL;
    beacond_disk_free(job);

    return true;
}

/* len bytes at place; NULL: the file has not as many, or (*again) not now. */
static uint8_t *
beacond_parked_bytes(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, uint64_t place, size_t len,
    bool *again)
{
    beacond_kafka_chunk_t  *chunk = &kafka->chunk;

    if (place + len > topic->end) {
        return NULL;
    }

    if (chunk->topic != topic || chunk->generation != topic->generation
        || place < chunk->place
        || place + len > chunk->place + chunk->len)
    {
        if (!beacond_parked_fetch(kafka, topic, place, len)) {
            *again = true;
            return NULL;
        }
    }

    return place + len <= chunk->place + chunk->len
           ? chunk->data + (place - chunk->place) : NULL;
}

static beacond_parked_frame_t *
beacond_parked_frame(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, uint64_t place, bool *again)
{
    uint8_t                 *p;
    uint32_t                 length;
    beacond_parked_frame_t  *frame;

    frame = (beacond_parked_frame_t *)
            beacond_parked_bytes(kafka, topic, place, sizeof(*frame), again);

    if (frame == NULL || frame->magic != BEACOND_PARKED_FRAME
        || frame->length > BEACOND_PARKED_MAX || frame->length % 8 != 0
        || sizeof(*frame) + frame->key_len + (uint64_t) frame->len
           > frame->length)
    {
        return NULL;
    }

    length = frame->length;
    frame = (beacond_parked_frame_t *)
            beacond_parked_bytes(kafka, topic, place, length, again);

    if (frame == NULL || frame->length != length
        || sizeof(*frame) + frame->key_len + (uint64_t) frame->len > length)
    {
        return NULL;
    }

    p = (uint8_t *) (frame + 1);

    return beacond_parked_crc(frame, p, p + frame->key_len) == frame->crc
           ? frame : NULL;
}

beacond_parked_frame_t *
beacond_parked_read(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, uint64_t *place, bool *damaged,
    bool *again)
{
    beacond_parked_frame_t  *frame = NULL;

    while (*place < topic->end
           && (frame = beacond_parked_frame(kafka, topic, *place, again))
              == NULL
           && !*again)
    {
        *damaged = true;
        *place = *place + sizeof(*frame) > kafka->chunk.size ? topic->end
                                                             : *place + 8;
    }

    return frame;
}

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

    done = job->error == 0;

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

/* All of it is delivered, or not to be found.  Whether the file goes now or
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

    kafka->waiting -= topic->waiting;
    kafka->unparked_lost += topic->waiting;
    topic->waiting = 0;
    beacond_kafka_give(kafka, topic->taken);
    topic->generation = topic->end = topic->taken = 0;
    topic->done = topic->place = 0;
    topic->dirty = false;
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

    if (topic->place >= topic->end && topic->sent_head == NULL && !again) {
        beacond_parked_unlink(kafka, topic);
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

    if (kafka->parked_ended == 0) {
        return;
    }

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        while ((msg = topic->sent_head) != NULL && msg->piece.told) {
            beacond_parked_drop(kafka, msg);
        }

    }
}
