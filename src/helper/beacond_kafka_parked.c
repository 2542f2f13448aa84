/* Parked topics' files: written, and sent from. */

#include "beacond_kafka_parked.h"
#include "beacon_crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define BEACOND_PARKED_OPEN  64         /* files at a time */

void
beacond_parked_path(const beacond_kafka_t *kafka, const char *topic,
    char *path, size_t size)
{
    snprintf(path, size, "%s/%s.parked%s%s", kafka->dir, kafka->sink->name,
             topic[0] != '\0' ? "/" : "", topic);
}

static void
beacond_parked_error(beacond_kafka_t *kafka, const char *what)
{
    beacond_kafka_error(kafka, &kafka->file_limit, "parked hits: %s: %s",
                        what, strerror(errno));
}

/* Files. */

void
beacond_kafka_parked_close(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic)
{
    if (topic->fd >= 0) {
        close(topic->fd);
        topic->fd = -1;
        kafka->nopen--;
    }
}

static void
beacond_parked_close_all(beacond_kafka_t *kafka)
{
    beacond_kafka_topic_t  *topic;

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        if (topic->dirty && topic->fd >= 0) {
            (void) fdatasync(topic->fd);
            topic->dirty = false;
        }

        beacond_kafka_parked_close(kafka, topic);
    }
}

beacon_rc_t
beacond_parked_open(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    int flags)
{
    char  path[PATH_MAX + 320];

    if (topic->fd >= 0) {
        return BEACON_OK;
    }

    if (kafka->nopen >= BEACOND_PARKED_OPEN) {
        beacond_parked_close_all(kafka);
    }

    beacond_parked_path(kafka, topic->name, path, sizeof(path));
    topic->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0640);

    if (topic->fd < 0) {
        return BEACON_SYS;
    }

    kafka->nopen++;

    return BEACON_OK;
}

/* A file of a new generation. */
static beacon_rc_t
beacond_parked_begin(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    char                   path[PATH_MAX + 320];
    ssize_t                n;
    beacond_parked_head_t  head = { BEACOND_PARKED_MAGIC, 0 };

    beacond_parked_path(kafka, "", path, sizeof(path));

    if ((mkdir(path, 0750) != 0 && errno != EEXIST)
        || beacond_parked_open(kafka, topic, O_CREAT | O_TRUNC) != BEACON_OK)
    {
        return beacond_kafka_unwritten(kafka, "parked hits", -1);
    }

    head.generation = beacond_clock_date();
    n = pwrite(topic->fd, &head, sizeof(head), 0);

    if (n != (ssize_t) sizeof(head)) {
        return beacond_kafka_unwritten(kafka, "parked hits", n);
    }

    topic->generation = head.generation;
    topic->end = topic->place = sizeof(head);

    return BEACON_OK;
}

static void
beacond_parked_unlink(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    char  path[PATH_MAX + 320];

    beacond_kafka_parked_close(kafka, topic);
    beacond_parked_path(kafka, topic->name, path, sizeof(path));
    BEACOND_POINT("kafka.before_unlink");
    unlink(path);
    beacond_kafka_give(kafka, topic->taken);
    topic->generation = topic->end = topic->taken = topic->place = 0;
    topic->dirty = false;
}

static uint32_t
beacond_parked_crc(const beacond_parked_frame_t *frame, const void *key,
    const void *value)
{
    uint32_t                crc;
    beacond_parked_frame_t  copy = *frame;

    copy.crc = 0;
    copy.state = 0;
    crc = beacon_crc32c(0, &copy, sizeof(copy));
    crc = beacon_crc32c(crc, key, frame->key_len);

    return beacon_crc32c(crc, value, frame->len);
}

static beacon_rc_t
beacond_parked_write(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    const beacond_message_t *message, unsigned hits)
{
    ssize_t                 n;
    beacon_rc_t             rc;
    static const uint8_t    zeros[8];
    beacond_parked_frame_t  frame;

    memset(&frame, 0, sizeof(frame));
    frame.magic = BEACOND_PARKED_FRAME;
    frame.key_len = (uint16_t) message->key_len;
    frame.len = (uint32_t) message->len;
    frame.time_ms = message->time_ms;
    frame.hits = (uint8_t) hits;
    frame.length = (uint32_t) ((sizeof(frame) + message->key_len
                                + message->len + 7) & ~(size_t) 7);
    frame.crc = beacond_parked_crc(&frame, message->key, message->value);

    struct iovec  iov[] = {
        { &frame, sizeof(frame) },
        { (void *) message->key, message->key_len },
        { (void *) message->value, message->len },
        { (void *) zeros, frame.length - sizeof(frame) - message->key_len
                          - message->len }
    };

    BEACOND_POINT("kafka.before_park");

    n = pwritev(topic->fd, iov, 4, (off_t) topic->end);

    if (n != (ssize_t) frame.length) {
        rc = beacond_kafka_unwritten(kafka, "parked hits", n);
        (void) !ftruncate(topic->fd, (off_t) topic->end);
        return rc;
    }

    BEACOND_POINT("kafka.after_park");
    topic->end += frame.length;
    topic->dirty = true;
    topic->waiting += hits;
    kafka->waiting += hits;

    return BEACON_OK;
}

beacon_rc_t
beacond_kafka_parked_put(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, const beacond_message_t *message,
    unsigned hits)
{
    uint64_t     n, before = topic->end;
    beacon_rc_t  rc;

    if (message->key_len > UINT16_MAX
        || message->len > BEACOND_PARKED_MAX - UINT16_MAX)
    {
        return BEACON_FULL;
    }

    if (!beacond_kafka_found(kafka)) {
        return BEACON_SYS;
    }

    /* as much as it can be, with padding and the file's head */

    n = sizeof(beacond_parked_frame_t) + message->key_len + message->len + 8
        + sizeof(beacond_parked_head_t);

    if (beacond_kafka_take(kafka, n) != BEACON_OK) {
        return BEACON_FULL;
    }

    if (topic->generation == 0) {
        rc = beacond_parked_begin(kafka, topic);

    } else {
        rc = beacond_parked_open(kafka, topic, 0) == BEACON_OK
             ? BEACON_OK
             : beacond_kafka_unwritten(kafka, "parked hits", -1);
    }

    if (rc == BEACON_OK) {
        rc = beacond_parked_write(kafka, topic, message, hits);
    }

    beacond_kafka_give(kafka, n - (topic->end - before));
    topic->taken = topic->end;

    return rc;
}

/* Reading. */

static beacond_parked_frame_t *
beacond_parked_frame(const beacond_kafka_topic_t *topic, uint64_t place)
{
    uint8_t                 *p;
    beacond_parked_frame_t   head, *frame;

    if (place + sizeof(head) > topic->end
        || pread(topic->fd, &head, sizeof(head), (off_t) place)
           != (ssize_t) sizeof(head)
        || head.magic != BEACOND_PARKED_FRAME
        || head.length > BEACOND_PARKED_MAX
        || place + head.length > topic->end
        || sizeof(head) + head.key_len + (uint64_t) head.len > head.length
        || head.length % 8 != 0)
    {
        return NULL;
    }

    frame = malloc(head.length);

    if (frame == NULL) {
        return NULL;
    }

    p = (uint8_t *) (frame + 1);

    if (pread(topic->fd, frame, head.length, (off_t) place)
        != (ssize_t) head.length
        || sizeof(head) + frame->key_len + (uint64_t) frame->len > head.length
        || beacond_parked_crc(frame, p, p + frame->key_len) != frame->crc)
    {
        free(frame);
        return NULL;
    }

    return frame;
}

beacond_parked_frame_t *
beacond_parked_read(const beacond_kafka_topic_t *topic, uint64_t *place,
    bool *damaged)
{
    beacond_parked_frame_t  *frame = NULL;

    while (*place < topic->end
           && (frame = beacond_parked_frame(topic, *place)) == NULL)
    {
        *damaged = true;
        *place += 8;
    }

    return frame;
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

    msg->state = BEACOND_MSG_SENT;
    msg->sent_ns = kafka->now;
    kafka->out++;
    topic->out++;
    topic->parked_out++;

    return true;
}

void
beacond_kafka_parked_send(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, uint32_t n)
{
    bool                     sent = true, damaged = false;
    beacond_parked_frame_t  *frame;

    if (topic->generation == 0) {
        return;
    }

    if (beacond_parked_open(kafka, topic, 0) != BEACON_OK) {
        beacond_parked_error(kafka, topic->name);
        return;
    }

    while (n > 0 && sent
           && (frame = beacond_parked_read(topic, &topic->place, &damaged))
              != NULL)
    {
        if (frame->state == 0) {
            sent = beacond_parked_send_one(kafka, topic, frame);
            n--;
        }

        topic->place += sent ? frame->length : 0;
        free(frame);
    }

    if (damaged) {
        beacond_kafka_error(kafka, &kafka->file_limit, "parked hits of topic "
                            "\"%s\" are damaged", topic->name);
    }

    if (topic->place >= topic->end && topic->parked_out == 0) {

        /* what still waited was not found again */

        kafka->waiting -= topic->waiting;
        kafka->unparked_lost += topic->waiting;
        topic->waiting = 0;
        beacond_parked_unlink(kafka, topic);
    }
}

void
beacond_kafka_parked_report(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    beacond_fate_e fate)
{
    uint8_t                 one = 1, hits = msg->hits;
    uint64_t                place = msg->place;
    beacond_kafka_topic_t  *topic = msg->topic;

    beacond_kafka_msg_put(kafka, msg);
    topic->parked_out--;

    if (beacond_parked_open(kafka, topic, 0) != BEACON_OK) {
        beacond_parked_error(kafka, topic->name);
        fate = BEACOND_LOST;
    }

    if (fate == BEACOND_LOST) {
        topic->chunk_failed = true;
        topic->place = place < topic->place ? place : topic->place;
        return;
    }

    BEACOND_POINT("kafka.before_mark");
    topic->chunk_failed = topic->chunk_failed && topic->parked_out > 0;
    (void) !pwrite(topic->fd, &one, 1, (off_t) (place
                   + offsetof(beacond_parked_frame_t, state)));
    topic->waiting -= hits;
    kafka->waiting -= hits;
    kafka->unparked += fate == BEACOND_DONE ? hits : 0;
}
