/* Parked topics' files: what is written to them. */

#include "beacond_kafka_parked.h"
#include "beacon_crc32c.h"

#include <string.h>

#define BEACOND_PARKED_PIECE  (256 * 1024)      /* written at a time */

void
beacond_parked_path(const beacond_kafka_t *kafka, const char *topic,
    char *path, size_t size)
{
    snprintf(path, size, "%s/%s.parked%s%s", kafka->dir, kafka->sink->name,
             topic[0] != '\0' ? "/" : "", topic);
}

uint64_t
beacond_parked_magic(uint64_t generation)
{
    return BEACOND_PARKED_MAGIC
           ^ (uint64_t) beacon_crc32c(0, &generation, sizeof(generation))
             << 32;
}

uint32_t
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

static size_t
beacond_parked_length(const beacond_message_t *message)
{
    return (sizeof(beacond_parked_frame_t) + message->key_len + message->len
            + 7) & ~(size_t) 7;
}

/* A frame at p, of a hit's first line or another. */
static uint8_t *
beacond_parked_fill(uint8_t *p, const beacond_message_t *message,
    unsigned hits)
{
    size_t                   length = beacond_parked_length(message);
    beacond_parked_frame_t  *frame = (beacond_parked_frame_t *) p;

    memset(frame, 0, sizeof(beacond_parked_frame_t));
    memset(p + length - 8, 0, 8);
    frame->magic = BEACOND_PARKED_FRAME;
    frame->key_len = (uint16_t) message->key_len;
    frame->len = (uint32_t) message->len;
    frame->time_ms = message->time_ms;
    frame->hits = (uint8_t) hits;
    frame->length = (uint32_t) length;

    if (message->key_len > 0) {
        memcpy(frame + 1, message->key, message->key_len);
    }

    memcpy((uint8_t *) (frame + 1) + message->key_len, message->value,
           message->len);
    frame->crc = beacond_parked_crc(frame, message->key, message->value);

    return p + length;
}

/* Does it begin what its hit has in files?  A hit's lines are one hit. */
static unsigned
beacond_parked_hits(const beacond_kafka_topic_t *topic,
    const beacond_kafka_msg_t *msg)
{
    const beacond_kafka_msg_t  *other;

    if (msg->first == msg || msg->first->piece.fate == BEACOND_PARKED) {
        return msg->first == msg;
    }

    for (other = topic->head; other != msg; other = other->behind) {
        if (other->first == msg->first) {
            return 0;
        }
    }

    return 1;
}

/* How many of what is held are one piece, at most n; its size. */
static uint32_t
beacond_parked_gather(const beacond_kafka_topic_t *topic, uint32_t n,
    size_t *size)
{
    size_t                length;
    uint32_t              count = 0;
    beacond_kafka_msg_t  *msg;

    *size = topic->generation == 0 ? sizeof(beacond_parked_head_t) : 0;

    for (msg = topic->head; msg != NULL && count < n; msg = msg->behind) {
        length = beacond_parked_length(&msg->message);

        if (msg->message.key_len > UINT16_MAX || length > BEACOND_PARKED_MAX
            || (count > 0 && *size + length > BEACOND_PARKED_PIECE))
        {
            break;
        }

        *size += length;
        count++;
    }

    return count;
}

/* They are in the file. */
static void
beacond_parked_written(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    uint32_t n)
{
    unsigned              hits;
    beacond_kafka_msg_t  *msg;

    topic->dirty = true;

    while (n-- > 0) {
        msg = topic->head;
        hits = msg->first->piece.fate != BEACOND_PARKED;
        BEACOND_POINT("kafka.after_park");
        topic->waiting += hits;
        kafka->waiting += hits;
        beacond_kafka_unhold(kafka, msg);
        beacond_kafka_end(kafka, msg, BEACOND_PARKED);
    }
}

/* Has no topic a file?  Else their directory is there, or its disk is not. */
static bool
beacond_parked_none(const beacond_kafka_t *kafka)
{
    const beacond_kafka_topic_t  *topic;

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        if (topic->generation != 0) {
            return false;
        }
    }

    return true;
}

/* The job that writes the first n; a new file has a new generation. */
static beacond_disk_job_t *
beacond_parked_job(const beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, uint32_t n, size_t size,
    uint64_t *generation)
{
    uint8_t                *p;
    beacond_disk_job_t     *job = beacond_disk_job(BEACOND_DISK_WRITE, size);
    beacond_kafka_msg_t    *msg;
    beacond_parked_head_t  *head;

    *generation = topic->generation;

    if (job == NULL) {
        return NULL;
    }

    beacond_parked_path(kafka, topic->name, job->path, sizeof(job->path));
    job->place = topic->end;
    p = job->data;

    if (*generation == 0) {
        *generation = beacond_clock_date() / (BEACOND_PARKED_LINEAGE + 1)
                      * (BEACOND_PARKED_LINEAGE + 1) + kafka->lineage;
        job->create = true;
        job->make = beacond_parked_none(kafka);
        head = (beacond_parked_head_t *) p;
        head->magic = beacond_parked_magic(*generation);
        head->generation = *generation;
        p += sizeof(beacond_parked_head_t);
    }

    for (msg = topic->head; n-- > 0; msg = msg->behind) {
        BEACOND_POINT("kafka.before_park");
        p = beacond_parked_fill(p, &msg->message,
                                beacond_parked_hits(topic, msg));
    }

    return job;
}

static beacon_rc_t
beacond_parked_write(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    uint32_t n, size_t size)
{
    beacon_rc_t          rc = BEACON_SYS;
    uint64_t             generation;
    beacond_disk_job_t  *job;

    job = beacond_parked_job(kafka, topic, n, size, &generation);

    if (job == NULL || beacond_disk_do(kafka, job) != BEACON_OK) {
        return BEACON_SYS;
    }

    if (job->error != 0) {
        rc = beacond_kafka_unwritten(kafka, "parked hits", job->error);

    } else {
        rc = BEACON_OK;
    }

    beacond_disk_free(job);

    if (rc == BEACON_OK) {
        if (topic->generation == 0) {
            topic->generation = generation;
            topic->done = topic->place = sizeof(beacond_parked_head_t);
            topic->told = 0;
        }

        topic->end += size;
        topic->taken = topic->end;
        beacond_parked_written(kafka, topic, n);
    }

    return rc;
}

beacon_rc_t
beacond_kafka_parked_put(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, uint32_t n)
{
    size_t       size;
    beacon_rc_t  rc;

    n = beacond_parked_gather(topic, n, &size);

    if (n == 0 || kafka->now < kafka->full_ns) {
        return BEACON_FULL;
    }

    if (!beacond_kafka_found(kafka)) {
        return BEACON_SYS;
    }

    rc = beacond_kafka_take(kafka, size);

    if (rc == BEACON_FULL && n == 1) {
        beacond_kafka_full(kafka, "parked hits");
    }

    if (rc == BEACON_OK) {
        rc = beacond_parked_write(kafka, topic, n, size);

        if (rc != BEACON_OK) {
            beacond_kafka_give(kafka, size);
        }
    }

    if (rc == BEACON_OK || rc == BEACON_SYS) {
        return rc;
    }

    kafka->full_ns = n == 1 ? kafka->now + BEACOND_KAFKA_FULL : 0;

    return BEACON_FULL;
}
