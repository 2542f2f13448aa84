/* Who reads and writes files of parked hits and dead letters. */

#include "beacond_kafka_disk.h"
#include "beacond_kafka.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEACOND_DISK_WAIT  (250 * BEACOND_MS)
#define BEACOND_DISK_OPS   (BEACOND_DISK_SYNC + 1)

/* Who is last frees it; nobody joins a thread that may never come back. */
struct beacond_disk_s {
    char                 sink[NAME_MAX];
    beacond_disk_t      *next;          /* of those that were left busy */
    pthread_mutex_t      mutex;
    pthread_cond_t       posted;
    pthread_cond_t       done;
    beacond_disk_job_t  *job;           /* not done */
    bool                 given_up;      /* nobody waits for it */
    bool                 left;          /* the sink has */
    uint64_t             since_ns;      /* given_up: it began */
    uint64_t             begun_ns;
    uint64_t             took_ns[BEACOND_DISK_OPS];     /* the last of each */
};

static pthread_mutex_t  beacond_disk_mutex = PTHREAD_MUTEX_INITIALIZER;
static beacond_disk_t  *beacond_disk_busied;    /* its */

static void
beacond_disk_destroy(beacond_disk_t *disk)
{
    beacond_disk_t  **p;

    pthread_mutex_lock(&beacond_disk_mutex);

    for (p = &beacond_disk_busied; *p != NULL; p = &(*p)->next) {
        if (*p == disk) {
            *p = disk->next;
            break;
        }
    }

    pthread_mutex_unlock(&beacond_disk_mutex);
    pthread_mutex_destroy(&disk->mutex);
    pthread_cond_destroy(&disk->posted);
    pthread_cond_destroy(&disk->done);
    free(disk);
}

/* It was given up: what it began is nobody's.  The mutex is held, but not while
   the disk has its time. */
static void
beacond_disk_undo(beacond_disk_t *disk, beacond_disk_job_t *job)
{
    if (job->op == BEACOND_DISK_WRITE && job->create && job->place == 0) {
        pthread_mutex_unlock(&disk->mutex);
        (void) unlink(job->path);
        pthread_mutex_lock(&disk->mutex);
    }

    beacond_disk_free(job);
}

static void *
beacond_disk_thread(void *data)
{
    beacond_disk_op_e    op;
    beacond_disk_t      *disk = data;
    beacond_disk_job_t  *job;

    pthread_mutex_lock(&disk->mutex);

    while (disk->job != NULL || !disk->left) {
        job = disk->job;

        if (job == NULL) {
            pthread_cond_wait(&disk->posted, &disk->mutex);
            continue;
        }

        op = job->op;
        pthread_mutex_unlock(&disk->mutex);
        beacond_disk_run(job);
        pthread_mutex_lock(&disk->mutex);

        if (disk->given_up) {
            beacond_disk_undo(disk, job);
        }

        disk->took_ns[op] = beacond_clock_ns() - disk->begun_ns;
        disk->job = NULL;
        disk->given_up = false;
        disk->since_ns = 0;
        pthread_cond_signal(&disk->done);
    }

    pthread_mutex_unlock(&disk->mutex);
    beacond_disk_destroy(disk);

    return NULL;
}

static beacond_disk_t *
beacond_disk_create(const char *sink)
{
    pthread_t        thread;
    beacond_disk_t  *disk;

    disk = calloc(1, sizeof(beacond_disk_t));

    if (disk == NULL) {
        return NULL;
    }

    snprintf(disk->sink, sizeof(disk->sink), "%s", sink);
    pthread_mutex_init(&disk->mutex, NULL);
    beacond_cond_init(&disk->posted);
    beacond_cond_init(&disk->done);

    if (pthread_create(&thread, NULL, beacond_disk_thread, disk) != 0) {
        beacond_disk_destroy(disk);
        return NULL;
    }

    pthread_detach(thread);

    return disk;
}

void
beacond_disk_leave(beacond_disk_t *disk)
{
    if (disk == NULL) {
        return;
    }

    pthread_mutex_lock(&beacond_disk_mutex);
    pthread_mutex_lock(&disk->mutex);

    if (disk->job != NULL) {
        disk->next = beacond_disk_busied;
        beacond_disk_busied = disk;
    }

    disk->left = true;
    pthread_cond_signal(&disk->posted);
    pthread_mutex_unlock(&disk->mutex);
    pthread_mutex_unlock(&beacond_disk_mutex);
}

bool
beacond_disk_busy(const char *sink)
{
    beacond_disk_t  *disk;

    pthread_mutex_lock(&beacond_disk_mutex);

    for (disk = beacond_disk_busied; disk != NULL; disk = disk->next) {
        if (strcmp(disk->sink, sink) == 0) {
            break;
        }
    }

    pthread_mutex_unlock(&beacond_disk_mutex);

    return disk != NULL;
}

/*
 * One that is slow, but works, has twice as long as it took: what is given up
 * is done again, and would be given up for ever.  What takes longer than that
 * allows is a disk that is stalled.  Copies of checkpoints are there, heard of
 * or not.
 */
static uint64_t
beacond_disk_patience(const beacond_disk_t *disk, beacond_disk_op_e op)
{
    uint64_t  ns = op == BEACOND_DISK_SYNC ? 0 : 2 * disk->took_ns[op];

    return ns < BEACOND_DISK_WAIT ? BEACOND_DISK_WAIT
           : ns < BEACOND_KAFKA_STALLED ? ns : BEACOND_KAFKA_STALLED;
}

/* The mutex is held. */
static beacon_rc_t
beacond_disk_post(beacond_disk_t *disk, beacond_disk_job_t *job)
{
    uint64_t  now = beacond_clock_ns(), until;

    if (disk->job != NULL) {
        beacond_disk_free(job);
        return BEACON_FULL;
    }

    disk->job = job;
    disk->begun_ns = now;
    until = now + beacond_disk_patience(disk, job->op);
    pthread_cond_signal(&disk->posted);

    while (disk->job != NULL && now < until) {
        beacond_cond_wait(&disk->done, &disk->mutex, until - now);
        now = beacond_clock_ns();
    }

    if (disk->job == NULL) {
        return BEACON_OK;
    }

    disk->given_up = true;
    disk->since_ns = disk->begun_ns;

    return BEACON_AGAIN;
}

beacon_rc_t
beacond_disk_do(beacond_kafka_t *kafka, beacond_disk_job_t *job)
{
    beacon_rc_t  rc;

    if (!kafka->loaded) {
        beacond_disk_run(job);
        return BEACON_OK;
    }

    if (kafka->disk == NULL) {
        kafka->disk = beacond_disk_create(kafka->sink->name);
    }

    if (kafka->disk == NULL) {
        beacond_disk_free(job);
        return BEACON_SYS;
    }

    pthread_mutex_lock(&kafka->disk->mutex);
    rc = beacond_disk_post(kafka->disk, job);
    pthread_mutex_unlock(&kafka->disk->mutex);

    return rc;
}

uint64_t
beacond_disk_stuck(const beacond_kafka_t *kafka)
{
    uint64_t  since;

    if (kafka->disk == NULL) {
        return 0;
    }

    pthread_mutex_lock(&kafka->disk->mutex);
    since = kafka->disk->since_ns;
    pthread_mutex_unlock(&kafka->disk->mutex);

    return since;
}
