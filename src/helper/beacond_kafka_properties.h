/* A Kafka sink's properties, as librdkafka wants them. */

#ifndef BEACOND_KAFKA_PROPERTIES_H
#define BEACOND_KAFKA_PROPERTIES_H

#include "beacond_conf_kafka.h"

struct rd_kafka_conf_s;

/* All that a producer is made from.  alone: each message in a request of its
   own.  NULL: err has librdkafka's words, without secrets. */
struct rd_kafka_conf_s *beacond_properties_make(
    const beacond_conf_kafka_t *conf, bool alone, beacon_err_t *err);

/* Replaces each secret in a text by asterisks. */
void beacond_properties_scrub(const beacond_conf_kafka_t *conf, char *text);

#endif /* BEACOND_KAFKA_PROPERTIES_H */
