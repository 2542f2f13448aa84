/*
 * Handles: topics as librdkafka has them, and of how many partitions it knows.
 *
 * It tells that when it has one chosen, on any thread, as long as it lives; and
 * a topic that it has heard of keeps what it was given first.  So handles stay
 * until their producer is gone, and one that is opened again is the same.
 */

#ifndef BEACOND_KAFKA_HANDLES_H
#define BEACOND_KAFKA_HANDLES_H

#include "beacon.h"

#include <stddef.h>
#include <stdint.h>

struct rd_kafka_s;
struct rd_kafka_topic_s;

typedef struct beacond_handle_s  beacond_handle_t;

/* Each is to be closed before rd_kafka_destroy().  NULL: the reason is in
   err. */
beacond_handle_t *beacond_handle_open(struct rd_kafka_s *rk,
    beacond_handle_t **all, const char *name, beacon_err_t *err);
void beacond_handle_close(beacond_handle_t *handle);

/* After rd_kafka_destroy(). */
void beacond_handles_free(beacond_handle_t *all);

struct rd_kafka_topic_s *beacond_handle_topic(const beacond_handle_t *handle);

/* As librdkafka knew last; 0: not yet. */
uint32_t beacond_handle_partitions(const beacond_handle_t *handle);

/* murmur2_random's choice of so many; 0 without a key. */
uint32_t beacond_handle_partition(const beacond_handle_t *handle,
    uint32_t partitions, const void *key, size_t len);

#endif /* BEACOND_KAFKA_HANDLES_H */
