/*
 * The dead-letter file, <dir>/<name>.dead: messages that the broker refuses
 * for what they are, their size as a rule, one a line.
 *
 *     {"sent":0,"topic":"hits","key":"v1","time":1763769361204,
 *      "reason":"Broker: Message size too large","value":{"v":1,...}}
 *
 * without the line break.  value is the last member, and the record's bytes as
 * they are; key is absent where there is none, its bytes beyond ASCII as
 * \u00xx; time in ms.  sent becomes 1, in place, when the message is delivered
 * after all.  The file is emptied when no letter waits.
 *
 * beacond dead-letter retry makes <dir>/<name>.dead.retry, at which the helper
 * looks once a second: then all letters that wait are sent once more, each in
 * a request of its own, and the file is removed.
 */

#ifndef BEACOND_KAFKA_DEAD_H
#define BEACOND_KAFKA_DEAD_H

#include "beacond_kafka.h"

#define BEACOND_DEAD_SENT  (sizeof("{\"sent\":") - 1)   /* in a line */

/* A job for the file; NULL: no memory. */
beacond_disk_job_t *beacond_dead_job(const beacond_kafka_t *kafka,
    beacond_disk_op_e op, size_t size);

/* The line at place, with its line break, terminated; to be freed.  NULL: no
   whole one, or (*again) not now. */
char *beacond_dead_read(beacond_kafka_t *kafka, uint64_t place, size_t *len,
    bool *again);

/* Letters that wait before end; *end is then where the last line ends.  AGAIN:
   not now. */
beacon_rc_t beacond_dead_count(beacond_kafka_t *kafka, uint64_t *end,
    uint64_t *count);

void beacond_dead_path(const beacond_kafka_t *kafka, const char *suffix,
    char *path, size_t size);

beacon_rc_t beacond_kafka_dead_put(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, const beacond_message_t *message,
    const char *reason);
beacon_rc_t beacond_kafka_dead_load(beacond_kafka_t *kafka, uint64_t end,
    bool strict);
void beacond_kafka_dead_turn(beacond_kafka_t *kafka);

/* At a stop: none is sent, but what was delivered is marked. */
void beacond_kafka_dead_close(beacond_kafka_t *kafka);
void beacond_kafka_dead_report(beacond_kafka_t *kafka,
    beacond_kafka_msg_t *msg, bool delivered);

#endif /* BEACOND_KAFKA_DEAD_H */
