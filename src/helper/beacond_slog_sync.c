/*
 * fdatasync away from the sink's thread: a disk that takes a minute for it
 * holds up nothing but what is called durable.  The thread may never come back
 * (a frozen file system), so nobody joins it: it and the sink share an object
 * by references.
 */

#include "beacond_slog.h"

#include <stdlib.h>
#include <unistd.h>

#define BEACOND_SLOG_JOBS  32           /* of descriptors to spare */

typedef struct beacond_slog_job_s  beacond_slog_job_t;

struct beacond_slog_job_s {
    beacond_slog_handle_t  *handle;
    uint64_t                lines;
    beacond_slog_job_t     *next;
};

struct beacond_slog_sync_s {
    pthread_mutex_t       mutex;
    pthread_cond_t        posted;
    pthread_cond_t        ended;
    beacond_slog_job_t   *first;
    beacond_slog_job_t  **last;
    uint64_t              unsynced;     /* lines that could not be */
    uint32_t              jobs;         /* not ended */
    bool                  stop;
    bool                  gone;         /* the thread */
    bool                  left;         /* the sink */
};

static void
beacond_slog_sync_free(beacond_slog_sync_t *sync)
{
    pthread_mutex_destroy(&sync->mutex);
    pthread_cond_destroy(&sync->posted);
    pthread_cond_destroy(&sync->ended);
    free(sync);
}

static void *
beacond_slog_sync_run(void *data)
{
    int                   failed;
    bool                  left;
    beacond_slog_job_t   *job;
    beacond_slog_sync_t  *sync = data;

    pthread_mutex_lock(&sync->mutex);

    for ( ;; ) {
        job = sync->first;

        if (job == NULL && sync->stop) {
            break;
        }

        if (job == NULL) {
            pthread_cond_wait(&sync->posted, &sync->mutex);
            continue;
        }

        sync->first = job->next;

        if (sync->first == NULL) {
            sync->last = &sync->first;
        }

        pthread_mutex_unlock(&sync->mutex);

        failed = fdatasync(job->handle->fd) == -1;
        atomic_store(&job->handle->syncing, 0);
        beacond_slog_handle_unref(job->handle);

        pthread_mutex_lock(&sync->mutex);
        sync->unsynced += failed ? job->lines : 0;
        sync->jobs--;
        pthread_cond_signal(&sync->ended);
        free(job);
    }

    sync->gone = true;
    left = sync->left;
    pthread_cond_signal(&sync->ended);
    pthread_mutex_unlock(&sync->mutex);

    if (left) {
        beacond_slog_sync_free(sync);
    }

    return NULL;
}

static beacond_slog_sync_t *
beacond_slog_sync_create(void)
{
    int                   rc;
    pthread_t             thread;
    pthread_attr_t        attr;
    beacond_slog_sync_t  *sync = calloc(1, sizeof(beacond_slog_sync_t));

    if (sync == NULL) {
        return NULL;
    }

    sync->last = &sync->first;
    pthread_mutex_init(&sync->mutex, NULL);
    pthread_cond_init(&sync->posted, NULL);
    pthread_cond_init(&sync->ended, NULL);

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rc = pthread_create(&thread, &attr, beacond_slog_sync_run, sync);
    pthread_attr_destroy(&attr);

    if (rc != 0) {
        beacond_slog_sync_free(sync);
        return NULL;
    }

    return sync;
}

void
beacond_slog_sync_post(beacond_slog_t *slog, beacond_slog_handle_t *handle,
    uint64_t lines)
{
    beacond_slog_job_t  *job;

    if (slog->sync == NULL) {
        slog->sync = beacond_slog_sync_create();
    }

    job = slog->sync ? malloc(sizeof(beacond_slog_job_t)) : NULL;

    if (job == NULL) {
        slog->unsynced += lines;
        return;
    }

    atomic_fetch_add(&handle->refs, 1);
    atomic_store(&handle->syncing, 1);
    job->handle = handle;
    job->lines = lines;
    job->next = NULL;

    pthread_mutex_lock(&slog->sync->mutex);
    *slog->sync->last = job;
    slog->sync->last = &job->next;
    slog->sync->jobs++;
    pthread_cond_signal(&slog->sync->posted);
    pthread_mutex_unlock(&slog->sync->mutex);
}

void
beacond_slog_sync_wait(beacond_slog_t *slog)
{
    if (slog->sync == NULL) {
        return;
    }

    pthread_mutex_lock(&slog->sync->mutex);

    while (slog->sync->jobs > BEACOND_SLOG_JOBS) {
        pthread_cond_wait(&slog->sync->ended, &slog->sync->mutex);
    }

    pthread_mutex_unlock(&slog->sync->mutex);
}

uint64_t
beacond_slog_sync_failed(beacond_slog_t *slog)
{
    uint64_t  lines;

    if (slog->sync == NULL) {
        return 0;
    }

    pthread_mutex_lock(&slog->sync->mutex);
    lines = slog->sync->unsynced;
    pthread_mutex_unlock(&slog->sync->mutex);

    return lines;
}

void
beacond_slog_sync_destroy(beacond_slog_t *slog)
{
    bool                  gone;
    struct timespec       until;
    beacond_slog_sync_t  *sync = slog->sync;

    if (sync == NULL) {
        return;
    }

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;

    pthread_mutex_lock(&sync->mutex);
    sync->stop = true;
    pthread_cond_signal(&sync->posted);

    while (!sync->gone
           && pthread_cond_timedwait(&sync->ended, &sync->mutex, &until) == 0)
    {
        /* again */
    }

    gone = sync->gone;
    sync->left = !gone;
    pthread_mutex_unlock(&sync->mutex);

    if (gone) {
        beacond_slog_sync_free(sync);
    }

    slog->sync = NULL;
}
