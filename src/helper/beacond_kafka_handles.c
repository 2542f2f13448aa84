/* Handles: topics as librdkafka has them, and their partitions. */

#include "beacond_kafka_handles.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdlib.h>

struct beacond_handle_s {
    rd_kafka_topic_t  *topic;
    _Atomic int32_t    partitions;      /* 0: not known */
    beacond_handle_t  *next;
};

/* As "murmur2_random", which it is. */
static int32_t
beacond_handle_choose(const rd_kafka_topic_t *topic, const void *key,
    size_t len, int32_t partitions, void *opaque, void *message)
{
    beacond_handle_t  *handle = opaque;

    if (atomic_load_explicit(&handle->partitions, memory_order_relaxed)
        != partitions)
    {
        atomic_store_explicit(&handle->partitions, partitions,
                              memory_order_relaxed);
    }

    return rd_kafka_msg_partitioner_murmur2_random(topic, key, len, partitions,
                                                   opaque, message);
}

/* NULL: no memory. */
static rd_kafka_topic_conf_t *
beacond_handle_conf(rd_kafka_t *rk, beacond_handle_t *handle)
{
    rd_kafka_topic_conf_t  *conf = rd_kafka_default_topic_conf_dup(rk);

    if (conf != NULL) {
        rd_kafka_topic_conf_set_opaque(conf, handle);
        rd_kafka_topic_conf_set_partitioner_cb(conf, beacond_handle_choose);
    }

    return conf;
}

beacond_handle_t *
beacond_handle_open(rd_kafka_t *rk, beacond_handle_t **all, const char *name,
    beacon_err_t *err)
{
    beacond_handle_t       *handle;
    rd_kafka_topic_t       *topic;
    rd_kafka_topic_conf_t  *conf;

    handle = calloc(1, sizeof(beacond_handle_t));
    conf = handle != NULL ? beacond_handle_conf(rk, handle) : NULL;

    if (conf == NULL) {
        free(handle);
        beacon_err(err, "out of memory");
        return NULL;
    }

    topic = rd_kafka_topic_new(rk, name, conf);         /* conf is its own */

    if (topic == NULL) {
        beacon_err(err, "%s", rd_kafka_err2str(rd_kafka_last_error()));
        free(handle);
        return NULL;
    }

    if (rd_kafka_topic_opaque(topic) != handle) {
        free(handle);
        return rd_kafka_topic_opaque(topic);
    }

    handle->topic = topic;
    handle->next = *all;
    *all = handle;

    return handle;
}

void
beacond_handle_close(beacond_handle_t *handle)
{
    rd_kafka_topic_destroy(handle->topic);
}

void
beacond_handles_free(beacond_handle_t *all)
{
    beacond_handle_t  *next;

    for ( /* void */ ; all != NULL; all = next) {
        next = all->next;
        free(all);
    }
}

rd_kafka_topic_t *
beacond_handle_topic(const beacond_handle_t *handle)
{
    return handle->topic;
}

uint32_t
beacond_handle_partitions(const beacond_handle_t *handle)
{
    return (uint32_t) atomic_load_explicit(&handle->partitions,
                                           memory_order_relaxed);
}

uint32_t
beacond_handle_partition(const beacond_handle_t *handle, uint32_t partitions,
    const void *key, size_t len)
{
    if (partitions < 2 || key == NULL) {
        return 0;
    }

    return (uint32_t) rd_kafka_msg_partitioner_murmur2(handle->topic, key, len,
                                                       (int32_t) partitions,
                                                       NULL, NULL);
}
