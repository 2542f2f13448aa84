/*
 * A Kafka sink's own part of beacon.json, and its property file, as one table.
 *
 *     {"type":"kafka","name":"kafka","brokers":"h1:9092,h2:9092",
 *      "topic":TEMPLATE,"key":TEMPLATE,"window":10000,"max_topics":512,
 *      "properties":[{"name":"linger.ms","value":"50","at":"…:15"}],
 *      "property_file":"/etc/beacon/kafka.properties",
 *      "property_file_at":"…:16","property_stamp":"…","at":"…:14"}
 *
 * key absent: the visitor.  property_stamp tells one content of the file from
 * the next (the module writes inode, size and times), so that a reload makes
 * the sink anew when only the file has changed.  beacond itself adds
 * "location_stamp", the same of all files that properties name: a certificate
 * that is renewed; and "spool", as the sink's own files lie there: one whose
 * spool changes is made anew, too.
 *
 * The property file holds NAME=VALUE lines; blanks around both are dropped, a
 * line that is empty or starts with '#' is none.  Nothing here ever says a
 * value: it may be a secret.
 */

#ifndef BEACOND_CONF_KAFKA_H
#define BEACOND_CONF_KAFKA_H

#include "beacond_conf.h"

typedef struct {
    const char  *name;
    const char  *value;
    const char  *at;            /* "FILE:LINE", may be ""; never NULL */
} beacond_conf_property_t;

typedef struct {
    const char               *name;             /* the sink's */
    const char               *at;               /* may be ""; never NULL */
    const char               *brokers;
    const char               *topic;            /* a template */
    const char               *key;              /* a template; NULL: visitor */
    uint32_t                  window;           /* messages in flight */
    uint32_t                  max_topics;
    const char               *property_file;    /* NULL: none */
    unsigned                  timeout_ms;       /* socket.timeout.ms: what a
                                                   request may take */
    beacond_conf_property_t  *properties;       /* the file's come last */
    size_t                    nproperties;
    json_t                   *json;             /* owns the strings, and */
    json_t                   *own;              /*   those of the file */
} beacond_conf_kafka_t;

/*
 * Reads and checks all that can be judged without librdkafka; every complaint
 * goes to say() with its place.  NULL: at least one was not a warning.
 */
beacond_conf_kafka_t *beacond_conf_kafka_create(const json_t *sink,
    beacond_conf_say_pt say, void *data);
void beacond_conf_kafka_destroy(beacond_conf_kafka_t *kafka);

/* Adds "location_stamp" and "spool" to the sink's object in conf->json. */
void beacond_conf_kafka_stamp(const beacond_conf_t *conf, const json_t *sink,
    const beacond_conf_kafka_t *kafka);

/* Is there a password or a key among its properties? */
bool beacond_conf_kafka_secret(const beacond_conf_kafka_t *kafka);

#endif /* BEACOND_CONF_KAFKA_H */
