#include "beacond_live.h"
#include "beacond_live_places.h"
#include "beacond_passed.h"
#include "beacond_point.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* One store a ring, one ring a helper. */
static pthread_mutex_t  beacond_live_mutex = PTHREAD_MUTEX_INITIALIZER;
static beacond_live_t   beacond_live_store;

beacon_rc_t
beacond_live_open(const char *dir, uint64_t size, uint32_t present,
    beacon_err_t *err)
{
    beacon_rc_t            rc;
    beacon_live_writer_t  *writer;

    pthread_mutex_lock(&beacond_live_mutex);
    writer = beacond_live_store.writer;
    pthread_mutex_unlock(&beacond_live_mutex);

    if (writer != NULL) {
        beacon_err(err, "the live store is open already");
        return BEACON_INVALID;
    }

    /* without the lock: it may take a while */

    if (beacond_point_armed) {
        beacon_live_point = beacond_point_pass;
    }

    rc = beacon_live_open(&writer, dir, size, present, err);

    if (rc != BEACON_OK) {
        return rc;
    }

    pthread_mutex_lock(&beacond_live_mutex);
    beacond_live_store.writer = writer;
    beacond_live_store.mark = beacon_live_mark(writer);
    pthread_mutex_unlock(&beacond_live_mutex);

    return BEACON_OK;
}

beacon_rc_t
beacond_live_room(const char *dir, uint64_t size, beacon_err_t *err)
{
    bool  open;

    pthread_mutex_lock(&beacond_live_mutex);
    open = beacond_live_store.writer != NULL;
    pthread_mutex_unlock(&beacond_live_mutex);

    if (!open || beacon_live_has_room(dir, size)) {
        return BEACON_OK;
    }

    beacon_err(err, "\"%.100s\" has no room for a live store of %llu bytes",
               dir, (unsigned long long) size);

    return BEACON_INVALID;
}

bool
beacond_live_grows(const char *dir, uint64_t size)
{
    bool                  other = false;
    beacon_live_stats_t   stats;

    pthread_mutex_lock(&beacond_live_mutex);

    if (beacond_live_store.writer != NULL) {
        beacon_live_stats(beacond_live_store.writer, &stats);
        other = stats.size / BEACON_LIVE_PAGE != size / BEACON_LIVE_PAGE;
    }

    pthread_mutex_unlock(&beacond_live_mutex);

    return other && beacon_live_has_room(dir, size);
}

/* Locked: another writer, or NULL, in its place. */
static void
beacond_live_change(beacon_live_writer_t *writer)
{
    if (beacond_live_store.writer != NULL) {
        beacon_live_close(beacond_live_store.writer);
    }

    if (beacond_live_store.feeds != NULL) {
        beacond_feeds_close(beacond_live_store.feeds);
        beacond_live_store.feeds = NULL;
    }

    beacond_live_store.writer = writer;
}

beacon_rc_t
beacond_live_renew(const char *dir, uint64_t size, uint32_t present,
    beacon_err_t *err)
{
    int                    gone;
    beacon_rc_t            rc;
    beacon_live_writer_t  *writer;

    pthread_mutex_lock(&beacond_live_mutex);
    gone = beacond_live_store.writer != NULL
           && beacon_live_gone(beacond_live_store.writer);
    pthread_mutex_unlock(&beacond_live_mutex);

    if (!gone) {
        return BEACON_AGAIN;
    }

    rc = beacon_live_open(&writer, dir, size, present, err);

    if (rc == BEACON_SYS && errno == ENOSPC) {
        pthread_mutex_lock(&beacond_live_mutex);
        beacon_live_empty(beacond_live_store.writer);
        pthread_mutex_unlock(&beacond_live_mutex);

        rc = beacon_live_open(&writer, dir, size, present, err);
    }

    if (rc != BEACON_OK) {
        return rc;
    }

    pthread_mutex_lock(&beacond_live_mutex);
    beacond_live_change(writer);
    beacond_live_store.mark = beacon_live_mark(writer);
    pthread_mutex_unlock(&beacond_live_mutex);

    return BEACON_OK;
}

void
beacond_live_close(void)
{
    pthread_mutex_lock(&beacond_live_mutex);
    beacond_live_change(NULL);
    pthread_mutex_unlock(&beacond_live_mutex);
}

void
beacond_live_without(const beacond_conf_t *conf)
{
    size_t  i;

    for (i = 0; i < conf->nsinks; i++) {
        if (strcmp(conf->sinks[i].type, "live") == 0) {
            return;
        }
    }

    pthread_mutex_lock(&beacond_live_mutex);

    /* a sink that is stuck may have it still */

    if (beacond_live_store.writer == NULL) {
        beacon_live_remove(conf->dir);
        beacond_places_remove(conf->dir);
        beacond_passed_remove(conf->dir);
        beacond_feeds_remove(conf->dir);
    }

    pthread_mutex_unlock(&beacond_live_mutex);
}

beacond_live_t *
beacond_live_lock(void)
{
    pthread_mutex_lock(&beacond_live_mutex);

    if (beacond_live_store.writer != NULL) {
        return &beacond_live_store;
    }

    pthread_mutex_unlock(&beacond_live_mutex);

    return NULL;
}

void
beacond_live_unlock(beacond_live_t *live)
{
    (void) live;
    pthread_mutex_unlock(&beacond_live_mutex);
}

beacon_rc_t
beacond_live_put(beacond_live_t *live, beacon_live_put_t *put,
    uint64_t now_ms)
{
    put->mark = ++live->mark;

    return beacon_live_put(live->writer, put, now_ms);
}

void
beacond_live_put_end(beacond_live_t *live)
{
    beacon_live_put_end(live->writer);
}

beacon_rc_t
beacond_live_gap(beacond_live_t *live, beacon_str_t site, uint64_t n)
{
    return beacon_live_gap(live->writer, site, n, ++live->mark);
}
