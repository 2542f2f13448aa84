/* Parked topics' files are read. */

#include "beacond_kafka_parked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_PARKED_CHUNK  (256 * 1024)      /* read at a time */

void
beacond_parked_error(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, int error)
{
    beacond_kafka_error(kafka, &kafka->file_limit, "parked hits of topic "
                        "\"%s\": %s", topic->name, strerror(error));
}

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

    if (job->error == ENOENT) {
        job->len = job->size = 0;       /* somebody has removed it */

    } else if (job->error != 0) {
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
