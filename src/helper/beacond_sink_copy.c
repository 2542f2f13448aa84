/*
 * A sink's checkpoint where the spool is, written by a thread of its own: a
 * spool's disk that is frozen must not hold up a sink that has no business
 * with it but this copy.  The thread may never come back, so nobody joins it:
 * who is last frees what it and the sink share.
 */

#include "beacond_file.h"
#include "beacond_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEACOND_COPY_WAIT  (250 * BEACOND_MS)

struct beacond_copier_s {
    pthread_mutex_t  mutex;
    pthread_cond_t   posted;
    pthread_cond_t   done;
    char             path[PATH_MAX];
    char            *text;              /* to be written; NULL: unlink */
    size_t           len;
    bool             busy;              /* posted and not done */
    bool             left;              /* the sink has */
    int              error;             /* errno of the last, or 0 */
};

static void
beacond_copier_free(beacond_copier_t *copier)
{
    pthread_mutex_destroy(&copier->mutex);
    pthread_cond_destroy(&copier->posted);
    pthread_cond_destroy(&copier->done);
    free(copier->text);
    free(copier);
}

/* By way of a file that no other copier uses: one may be stuck in it. */
static int
beacond_copier_write(const beacond_copier_t *copier)
{
    char                     temp[PATH_MAX + 32];
    static _Atomic unsigned  number;

    if (copier->text == NULL) {
        return unlink(copier->path) == 0 || errno == ENOENT ? 0 : errno;
    }

    snprintf(temp, sizeof(temp), "%s.%u.temp", copier->path,
             atomic_fetch_add(&number, 1));

    return beacond_file_replace(copier->path, temp, copier->text, copier->len,
                                true)
           == BEACON_OK ? 0 : errno;
}

static void *
beacond_copier_run(void *data)
{
    int                error;
    beacond_copier_t  *copier = data;

    pthread_mutex_lock(&copier->mutex);

    while (copier->busy || !copier->left) {

        if (!copier->busy) {
            pthread_cond_wait(&copier->posted, &copier->mutex);
            continue;
        }

        /* nobody else touches what is posted while it is busy */

        pthread_mutex_unlock(&copier->mutex);
        error = beacond_copier_write(copier);
        pthread_mutex_lock(&copier->mutex);

        copier->error = error;
        copier->busy = false;
        pthread_cond_signal(&copier->done);
    }

    pthread_mutex_unlock(&copier->mutex);
    beacond_copier_free(copier);

    return NULL;
}

static beacond_copier_t *
beacond_copier_create(void)
{
    pthread_t          thread;
    beacond_copier_t  *copier;

    copier = calloc(1, sizeof(beacond_copier_t));
    if (copier == NULL) {
        return NULL;
    }

    pthread_mutex_init(&copier->mutex, NULL);
    beacond_cond_init(&copier->posted);
    beacond_cond_init(&copier->done);

    if (pthread_create(&thread, NULL, beacond_copier_run, copier) != 0) {
        beacond_copier_free(copier);
        return NULL;
    }

    pthread_detach(thread);

    return copier;
}

void
beacond_copier_leave(beacond_copier_t *copier)
{
    pthread_mutex_lock(&copier->mutex);
    copier->left = true;
    pthread_cond_signal(&copier->posted);
    pthread_mutex_unlock(&copier->mutex);
}

/* What there is to do now; the mutex is held. */
static beacon_rc_t
beacond_copier_post(beacond_copier_t *copier, const char *path,
    const char *text, size_t len)
{
    char  *copy = NULL;

    if (text != NULL) {
        copy = malloc(len + 1);

        if (copy == NULL) {
            errno = ENOMEM;
            return BEACON_SYS;
        }

        memcpy(copy, text, len);
    }

    free(copier->text);
    copier->text = copy;
    copier->len = len;
    copier->busy = true;
    snprintf(copier->path, sizeof(copier->path), "%s", path);
    pthread_cond_signal(&copier->posted);

    return BEACON_OK;
}

beacon_rc_t
beacond_sink_copy(beacond_sink_t *sink, const char *path, const char *text,
    size_t len)
{
    uint64_t           now, until;
    beacon_rc_t        rc = BEACON_AGAIN;
    beacond_copier_t  *copier;
    beacond_sinker_t  *sinker = beacond_sinker(sink);

    if (sinker->copier == NULL) {
        sinker->copier = beacond_copier_create();
    }

    copier = sinker->copier;

    if (copier == NULL) {
        errno = EAGAIN;
        return BEACON_SYS;
    }

    pthread_mutex_lock(&copier->mutex);

    /* one that is stuck was waited for once */

    if (!copier->busy
        && (rc = beacond_copier_post(copier, path, text, len)) == BEACON_OK)
    {
        now = beacond_clock_ns();
        until = now + BEACOND_COPY_WAIT;

        while (copier->busy && now < until) {
            beacond_cond_wait(&copier->done, &copier->mutex, until - now);
            now = beacond_clock_ns();
        }

        rc = copier->busy ? BEACON_AGAIN
             : copier->error ? BEACON_SYS : BEACON_OK;
        errno = copier->error;
    }

    pthread_mutex_unlock(&copier->mutex);

    return rc;
}
