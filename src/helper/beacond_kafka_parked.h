/*
 * The file of a parked topic: <dir>/<name>.parked/<topic>.
 *
 *     beacond_parked_head_t, then frames, each
 *     beacond_parked_frame_t, then key, value, zeros up to a multiple of 8
 *
 * Integers are in host order.  The head's magic number has the CRC-32C of its
 * generation in it (0 in files that a former version made).  A frame's crc is
 * the CRC-32C of all of it, with crc and state = 0.  The head's generation is
 * in the checkpoint, with the file's length and the place of the first frame
 * that waits: another generation's frames, and what is beyond the length, were
 * not acknowledged, and will be given again.  state becomes 1, in place, when a
 * message is delivered but one before it is not, after all of those that were
 * out have come back; as a rule nothing is written for what is delivered.
 *
 * The disk's thread writes and reads (beacond_kafka_disk.h).  The file is
 * unlinked when all of it is delivered.
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

/* The magic number of a head with that generation. */
uint64_t beacond_parked_magic(uint64_t generation);
uint32_t beacond_parked_crc(const beacond_parked_frame_t *frame,
    const void *key, const void *value);

/*
 * The frame at *place, or the next whole one before topic->end, where *place is
 * then (and *damaged set); key and value are behind it.  It stands in the
 * reader's buffer until the next call.  NULL: there is none; or (*again) it
 * cannot be read now.
 */
beacond_parked_frame_t *beacond_parked_read(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, uint64_t *place, bool *damaged,
    bool *again);

#endif /* BEACOND_KAFKA_PARKED_H */
