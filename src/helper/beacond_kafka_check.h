/* What only librdkafka can say of a Kafka sink's properties. */

#ifndef BEACOND_KAFKA_CHECK_H
#define BEACOND_KAFKA_CHECK_H

#include "beacond_conf_kafka.h"

/*
 * Sets every property, and makes a producer that knows no broker: connects
 * nowhere.  Each complaint goes to say() in librdkafka's own words, but never
 * with a secret in it.  INVALID: there was one.
 */
beacon_rc_t beacond_kafka_check(const beacond_conf_kafka_t *conf,
    beacond_conf_say_pt say, void *data);

#endif /* BEACOND_KAFKA_CHECK_H */
