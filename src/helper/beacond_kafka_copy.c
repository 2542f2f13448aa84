/* A checkpoint's copy in the spool's directory: beacond_kafka_checkpoint.c. */

#include "beacond_kafka_dead.h"
#include "beacond_kafka_parked.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_KAFKA_COPY  (1000 * BEACOND_MS)

/* What is to be synced before, of at most so many bytes each. */
static void
beacond_kafka_names(const beacond_kafka_t *kafka, beacond_disk_job_t *job,
    size_t size)
{
    char                   *name = job->names;
    beacond_kafka_topic_t  *topic;

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        if (topic->dirty) {
            beacond_parked_path(kafka, topic->name, name, size);
            name += strlen(name) + 1;
        }
    }

    if (kafka->dead_dirty) {
        beacond_dead_path(kafka, "", name, size);
        name += strlen(name) + 1;
    }

    job->names_len = (size_t) (name - job->names);
}

/* The copy; NULL: no memory. */
static beacond_disk_job_t *
beacond_kafka_copy(const beacond_kafka_t *kafka)
{
    size_t                  n = 1, size;
    beacond_disk_job_t     *job;
    beacond_kafka_topic_t  *topic;

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        n += topic->dirty;
    }

    /* "<dir>/<sink>.parked/<topic>" */

    size = strlen(kafka->dir) + strlen(kafka->sink->name)
           + BEACON_KAFKA_TOPIC_MAX + sizeof("/.parked/");
    job = beacond_disk_job(BEACOND_DISK_SYNC, kafka->text_len);

    if (job == NULL) {
        return NULL;
    }

    job->names = malloc(n * size);

    if (job->names == NULL) {
        beacond_disk_free(job);
        return NULL;
    }

    beacond_kafka_names(kafka, job, size);
    memcpy(job->data, kafka->text, kafka->text_len);

    return job;
}

static void
beacond_kafka_clean(beacond_kafka_t *kafka)
{
    beacond_kafka_topic_t  *topic;

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        topic->dirty = false;
    }

    kafka->dead_dirty = false;
}

/* Has it been written, or removed?  Of what it names, parked hits and dead
   letters are on the disk before. */
static bool
beacond_kafka_copies(beacond_kafka_t *kafka, bool wanted)
{
    int                  error;
    beacond_disk_job_t  *job;

    job = wanted ? beacond_kafka_copy(kafka)
                 : beacond_disk_job(BEACOND_DISK_UNLINK, 0);

    if (job == NULL) {
        return false;
    }

    beacond_kafka_path(kafka, kafka->sink->conf->spool, job->path);

    if (beacond_disk_do(kafka, job) != BEACON_OK) {
        return false;
    }

    error = job->error;
    beacond_disk_free(job);

    if (error != 0) {
        beacond_kafka_error(kafka, &kafka->file_limit, "a copy of its "
                            "checkpoint: %s", strerror(error));
        return true;
    }

    if (wanted) {
        beacond_kafka_clean(kafka);
    }

    return true;
}

void
beacond_kafka_keep_copy(beacond_kafka_t *kafka)
{
    bool         wanted, done;
    const char  *spool = kafka->sink->conf->spool;

    if (spool == NULL || kafka->text == NULL || !kafka->copy_due
        || kafka->now - kafka->copied_ns < BEACOND_KAFKA_COPY)
    {
        return;
    }

    kafka->copied_ns = kafka->now;
    wanted = kafka->waiting > 0 || beacond_sink_spool_dir(kafka->sink) != NULL;

    if (!wanted && !kafka->copied) {
        kafka->copy_due = false;
        return;
    }

    done = beacond_kafka_copies(kafka, wanted);
    kafka->copied = wanted || !done;
    kafka->copy_due = !done;
}
