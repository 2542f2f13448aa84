/*
 * Parked hits and dead letters of clusters that are configured no more: who
 * takes a beacon_kafka away while it has some should hear of them.
 */

#ifndef BEACOND_KAFKA_FORMER_H
#define BEACOND_KAFKA_FORMER_H

#include "beacond_conf.h"

/* Logs a line for each place, in a thread of its own: a disk may be frozen. */
void beacond_former_tell(const beacond_conf_t *conf);

/* Calls found() for each place that holds some: <dir>/<name>.dead (letters), or
   <dir>/<name>.parked. */
void beacond_former_find(const beacond_conf_t *conf,
    void (*found)(void *data, const char *path, const char *name,
                  bool letters),
    void *data);

/* The directory of a Kafka sink's dead letters, PATH_MAX bytes: where its
   checkpoint says that it has files, else the spool's, or the ring's. */
void beacond_former_dir(const beacond_conf_t *conf, const char *name,
    char *dir);

#endif /* BEACOND_KAFKA_FORMER_H */
