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
 * not acknowledged, and will be given again.  Its low bits are the lineage of
 * its checkpoints, which goes with the ring: files of another one, on a disk
 * that was mounted late after a reboot, were acknowledged.  state becomes 1, in
 * place, when a message is delivered but one before it is not, after all of
 * those that were out have come back; as a rule nothing is written for what is
 * delivered.
 *
 * The disk's thread writes and reads (beacond_kafka_disk.h).  The file is
 * unlinked when all of it is delivered and a checkpoint says so, with the place
 * at the file's length: so one that is missing is no riddle.
 */

#ifndef BEACOND_KAFKA_PARKED_H
#define BEACOND_KAFKA_PARKED_H

#include "beacond_kafka.h"

#define BEACOND_PARKED_MAGIC  0x314b524150434542ULL     /* "BECPARK1" */
#define BEACOND_PARKED_FRAME  0x4b525042U               /* "BPRK" */
#define BEACOND_PARKED_MAX    (16 * 1024 * 1024)        /* of a frame */
#define BEACOND_PARKED_LINEAGE  0xfffffU        /* in a generation */

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

/* Can it be a topic's file? */
bool beacond_parked_topic(const char *name);

/* The magic number of a head with that generation. */
uint64_t beacond_parked_magic(uint64_t generation);
uint32_t beacond_parked_crc(const beacond_parked_frame_t *frame,
    const void *key, const void *value);

/* Says what is the matter with the topic's file. */
void beacond_parked_error(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, int error);

/*
 * The frame at *place, or the next whole one before topic->end, where *place is
 * then (and *damaged set); key and value are behind it.  It stands in the
 * reader's buffer until the next call.  NULL: there is none; or (*again) it
 * cannot be read now.  A file that somebody has removed has none.
 */
beacond_parked_frame_t *beacond_parked_read(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, uint64_t *place, bool *damaged,
    bool *again);

/* The first of what is held for the topic, n messages at most, to its file.
   FULL or SYS: not possible now, nothing is changed. */
beacon_rc_t beacond_kafka_parked_put(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, uint32_t n);

/* Sends up to n frames that have not been delivered.  Once there is none, and a
   checkpoint says so, the topic's file goes. */
void beacond_kafka_parked_send(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, uint32_t n);

/* A frame that was sent: done with; now a dead letter, which pends as it did;
   or (BEACOND_LOST) still to be delivered. */
void beacond_kafka_parked_report(beacond_kafka_t *kafka,
    beacond_kafka_msg_t *msg, beacond_fate_e fate);

/* What is delivered up to the first frame that is not: in the books, for the
   checkpoint to be.  Then, once it is there, out of the window. */
void beacond_kafka_parked_settle(beacond_kafka_t *kafka);
void beacond_kafka_parked_told(beacond_kafka_t *kafka);

/* At the end: what is delivered behind one that is not, too. */
void beacond_kafka_parked_close(beacond_kafka_t *kafka);

/* At load: topics whose file a checkpoint names, up to end.  strict: what is
   beyond was not acknowledged and is cut off.  AGAIN: one may be there, but
   cannot be opened now; or it is missing, though some of it waits. */
typedef struct {
    const char  *topic;
    uint64_t     generation;
    uint64_t     end;
    uint64_t     done;
} beacond_parked_entry_t;

beacon_rc_t beacond_kafka_parked_load(beacond_kafka_t *kafka,
    const beacond_parked_entry_t *entry, bool strict);
beacon_rc_t beacond_kafka_parked_sweep(beacond_kafka_t *kafka, bool strict);

#endif /* BEACOND_KAFKA_PARKED_H */
