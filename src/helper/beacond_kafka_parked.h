/*
 * The file of a parked topic: <dir>/<name>.parked/<topic>.
 *
 *     beacond_parked_head_t, then frames, each
 *     beacond_parked_frame_t, then key, value, zeros up to a multiple of 8
 *
 * Integers are in host order.  crc is the CRC-32C of the whole frame with crc
 * and state = 0.  state becomes 1, in place, when the message is delivered; so
 * what is to be sent again needs no cursor.  The head's generation is in the
 * checkpoint, with the file's length: another generation's frames, and what
 * is beyond the length, were not acknowledged, and will be given again.
 *
 * Written and read by the sink's thread alone.  The file is unlinked when all
 * of it is delivered.
 */

#ifndef BEACOND_KAFKA_PARKED_H
#define BEACOND_KAFKA_PARKED_H

#include "beacond_kafka.h"

#define BEACOND_PARKED_MAGIC  0x314b524150434542ULL     /* "BECPARK1" */
#define BEACOND_PARKED_FRAME  0x4b525042U               /* "BPRK" */
#define BEACOND_PARKED_MAX    (16 * 1024 * 1024)        /* of a frame */

typedef struct {
    uint64_t  magic;
    uint64_t  generation;
} beacond_parked_head_t;

typedef struct {
    uint32_t  magic;
    uint32_t  length;           /* of all the frame */
    uint32_t  crc;
    uint8_t   state;            /* 1: delivered */
    uint8_t   hits;             /* 1; 0: another line of the same hit */
    uint16_t  key_len;
    uint32_t  len;              /* of the value */
    uint32_t  reserved;
    int64_t   time_ms;
} beacond_parked_frame_t;

void beacond_parked_path(const beacond_kafka_t *kafka, const char *topic,
    char *path, size_t size);
beacon_rc_t beacond_parked_open(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, int flags);

/* The frame at *place, or the next whole one before topic->end, where *place is
   then (and *damaged set); key and value are behind it; to be freed.  NULL:
   there is none. */
beacond_parked_frame_t *beacond_parked_read(
    const beacond_kafka_topic_t *topic, uint64_t *place, bool *damaged);

#endif /* BEACOND_KAFKA_PARKED_H */
