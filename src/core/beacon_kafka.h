/*
 * Words that Kafka takes: brokers and topics as a configuration writes them,
 * and the librdkafka properties that are Beacon's own or nobody's to read.
 * No library is needed to judge these, so that the module can.
 */

#ifndef BEACON_KAFKA_H
#define BEACON_KAFKA_H

#include "beacon.h"
#include "beacon_template.h"

#include <stdbool.h>

#define BEACON_KAFKA_TOPIC_MAX     249

#define BEACON_KAFKA_WINDOW        10000        /* messages in flight: */
#define BEACON_KAFKA_WINDOW_MIN    1            /*   the bound of doubles */
#define BEACON_KAFKA_WINDOW_MAX    1000000
#define BEACON_KAFKA_TOPICS        512
#define BEACON_KAFKA_TOPICS_MAX    100000

/*
 * "HOST[:PORT],...": names, IPv4 addresses, [IPv6] addresses; without blanks
 * and without "PLAINTEXT://", which is the property security.protocol.
 * INVALID: err says which one is none.
 */
beacon_rc_t beacon_kafka_brokers(beacon_str_t text, beacon_err_t *err);

/* A template whose every text is a topic's name: [A-Za-z0-9._-], at most 249
   bytes whatever the values, neither "." nor "..". */
beacon_rc_t beacon_kafka_topic(const beacon_template_t *tmpl,
    beacon_err_t *err);

/* Is it a topic's name? */
bool beacon_kafka_topic_name(beacon_str_t name);

/* Properties that delivery, order or memory rest on, aliases included. */
bool beacon_kafka_owned(beacon_str_t name);

/* Are these two names of one property? */
bool beacon_kafka_same(beacon_str_t a, beacon_str_t b);

/* Properties whose value must not be shown. */
bool beacon_kafka_secret(beacon_str_t name);

#endif /* BEACON_KAFKA_H */
