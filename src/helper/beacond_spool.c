/* Writing the journal, and letting go of it. */

#include "beacond_spool.h"
#include "beacond_spool_parts.h"
#include "beacond_clock.h"
#include "beacond_point.h"
#include "beacon_crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void
beacond_spool_close(beacond_spool_t *spool)
{
    uint32_t  i;

    if (spool->fd >= 0) {
        fdatasync(spool->fd);
        close(spool->fd);
        beacond_spool_index_write(spool,
                                  &spool->segments[spool->nsegments - 1]);
    }

    for (i = 0; i < spool->nsegments; i++) {
        free(spool->segments[i].lanes);
    }

    pthread_mutex_destroy(&spool->mutex);
    free(spool->segments);
    free(spool->pending);
    free(spool->buffer);
    free(spool->dir);
    free(spool);
}

beacon_rc_t
beacond_spool_append(beacond_spool_t *spool, uint64_t epoch, uint32_t lane,
    const beacon_record_t *record)
{
    size_t                 need, cap;
    uint8_t               *p;
    beacond_frame_head_t   head;
    beacond_spool_lane_t   add;

    need = sizeof(head) + record->length;

    if (spool->cap - spool->len < need) {
        cap = spool->len + need + 256 * 1024;
        p = realloc(spool->buffer, cap);

        if (p == NULL) {
            return BEACON_SYS;
        }

        spool->buffer = p;
        spool->cap = cap;
    }

    beacond_spool_noted(record, epoch, lane, &add);

    if (beacond_spool_note(&spool->pending, &spool->npending, &add)
        != BEACON_OK)
    {
        return BEACON_SYS;
    }

    head.magic = BEACOND_FRAME_MAGIC;
    head.length = (uint32_t) need;
    head.epoch = epoch;
    head.lane = lane;
    head.crc = 0;

    p = spool->buffer + spool->len;
    memcpy(p, &head, sizeof(head));
    memcpy(p + sizeof(head), record->raw, record->length);
    head.crc = beacon_crc32c(0, p, need);
    memcpy(p, &head, sizeof(head));
    spool->len += need;

    if (spool->pending_oldest == 0
        || record->time_ns < spool->pending_oldest)
    {
        spool->pending_oldest = record->time_ns;
    }

    return BEACON_OK;
}

/* Is there room for so many bytes?  OK, FULL or SYS. */
static beacon_rc_t
beacond_spool_room(beacond_spool_t *spool, size_t n)
{
    bool            full;
    unsigned        min_free;
    struct statvfs  vfs;

    pthread_mutex_lock(&spool->mutex);
    full = spool->used + spool->others + n > spool->size;
    min_free = spool->min_free;
    pthread_mutex_unlock(&spool->mutex);

    if (full) {
        return BEACON_FULL;
    }

    if (statvfs(spool->dir, &vfs) != 0) {
        return BEACON_SYS;
    }

    if ((uint64_t) vfs.f_bavail * vfs.f_frsize
        < n + (uint64_t) vfs.f_blocks / 100 * min_free * vfs.f_frsize)
    {
        return BEACON_FULL;
    }

    return BEACON_OK;
}

static beacon_rc_t
beacond_spool_put(int fd, const uint8_t *data, size_t len, off_t at)
{
    ssize_t  n;

    while (len > 0) {
        n = pwrite(fd, data, len, at);

        if (n < 0 && errno == EINTR) {
            continue;
        }

        if (n <= 0) {
            return n < 0 && errno != ENOSPC && errno != EDQUOT ? BEACON_SYS
                                                               : BEACON_FULL;
        }

        data += n;
        len -= (size_t) n;
        at += n;
    }

    return BEACON_OK;
}

/* Nobody finds again what is written to a file that somebody has removed. */
static bool
beacond_spool_listed(int fd)
{
    struct stat  st;

    return fstat(fd, &st) != 0 || st.st_nlink > 0;
}

/* The last segment, if it is ours and has room; else a new one behind it. */
static beacon_rc_t
beacond_spool_segment(beacond_spool_t *spool)
{
    int                     fd;
    char                    path[PATH_MAX];
    uint64_t                start = 8;
    beacon_rc_t             rc;
    beacond_segment_t      *last;
    beacond_segment_head_t  head;

    last = spool->nsegments ? &spool->segments[spool->nsegments - 1] : NULL;

    if (spool->fd >= 0 && last != NULL
        && last->end - last->start + spool->len <= spool->segment_size
        && beacond_spool_listed(spool->fd))
    {
        return BEACON_OK;
    }

    if (spool->fd >= 0) {
        (void) beacond_spool_sync(spool);
        close(spool->fd);
        spool->fd = -1;
        beacond_spool_index_write(spool, last);
    }

    /* a position is never used twice, whatever was unlinked since */

    if (last != NULL) {
        start = (last->start + last->file_size + 7) & ~7ULL;
    }

    if (start < spool->next) {
        start = spool->next;
    }

    snprintf(path, sizeof(path), "%s/journal.%016llx", spool->dir,
             (unsigned long long) start);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        spool->next = errno == EEXIST ? start + 8 : spool->next;
        return errno == ENOSPC || errno == EDQUOT ? BEACON_FULL : BEACON_SYS;
    }

    memset(&head, 0, sizeof(head));
    head.magic = BEACOND_SEGMENT_MAGIC;
    head.version = BEACOND_SPOOL_VERSION;
    head.size = sizeof(head);
    head.position = start;
    head.created_ns = beacond_clock_date();
    head.crc = beacond_segment_crc(&head);

    rc = beacond_spool_put(fd, (uint8_t *) &head, sizeof(head), 0);

    if (rc == BEACON_OK) {
        pthread_mutex_lock(&spool->mutex);
        rc = beacond_segment_add(spool, start, start + sizeof(head));
        pthread_mutex_unlock(&spool->mutex);
    }

    if (rc != BEACON_OK) {
        close(fd);
        unlink(path);
        return rc;
    }

    spool->fd = fd;
    spool->next = start + sizeof(head);

    return BEACON_OK;
}

/* What was written is now part of the journal. */
static beacon_rc_t
beacond_spool_accept(beacond_spool_t *spool)
{
    uint32_t            i;
    beacon_rc_t         rc = BEACON_OK;
    beacond_segment_t  *s;

    pthread_mutex_lock(&spool->mutex);

    s = &spool->segments[spool->nsegments - 1];

    for (i = 0; i < spool->npending && rc == BEACON_OK; i++) {
        rc = beacond_spool_note(&s->lanes, &s->nlanes, &spool->pending[i]);
    }

    if (rc == BEACON_OK) {
        s->end += spool->len;
        s->file_size = s->end - s->start;
        spool->used += spool->len;
        spool->next = s->end;

        if (s->oldest_ns == 0 || spool->pending_oldest < s->oldest_ns) {
            s->oldest_ns = spool->pending_oldest;
        }
    }

    pthread_mutex_unlock(&spool->mutex);

    return rc;
}

beacon_rc_t
beacond_spool_write(beacond_spool_t *spool)
{
    off_t               at;
    beacon_rc_t         rc;
    beacond_segment_t  *s;

    if (spool->len == 0) {
        return BEACON_OK;
    }

    rc = beacond_spool_room(spool, spool->len);

    if (rc == BEACON_OK) {
        rc = beacond_spool_segment(spool);
    }

    if (rc != BEACON_OK) {
        goto done;
    }

    s = &spool->segments[spool->nsegments - 1];
    at = (off_t) (s->end - s->start);

    BEACOND_POINT("spool.before_write");
    rc = beacond_spool_put(spool->fd, spool->buffer, spool->len, at);
    BEACOND_POINT("spool.after_write");

    if (rc == BEACON_OK) {
        rc = beacond_spool_accept(spool);
        spool->unsynced = true;
    }

    if (rc != BEACON_OK && ftruncate(spool->fd, at) != 0) {

        /* the next frames go into a file of their own */

        close(spool->fd);
        spool->fd = -1;
        spool->next += spool->len;
    }

done:

    spool->len = 0;
    spool->npending = 0;
    spool->pending_oldest = 0;

    return rc;
}

beacon_rc_t
beacond_spool_sync(beacond_spool_t *spool)
{
    if (!spool->unsynced || spool->fd < 0) {
        return BEACON_OK;
    }

    spool->unsynced = false;

    return fdatasync(spool->fd) == 0 ? BEACON_OK : BEACON_SYS;
}

static void
beacond_spool_unlink(beacond_spool_t *spool)
{
    char                path[PATH_MAX];
    beacond_segment_t  *s = spool->segments;

    snprintf(path, sizeof(path), "%s/journal.%016llx", spool->dir,
             (unsigned long long) s->start);
    beacond_spool_index_unlink(spool, s);
    BEACOND_POINT("spool.before_unlink");
    unlink(path);

    if (s->start + s->file_size > spool->next) {
        spool->next = (s->start + s->file_size + 7) & ~7ULL;
    }

    pthread_mutex_lock(&spool->mutex);
    spool->used -= s->file_size;
    free(s->lanes);
    spool->nsegments--;
    memmove(s, s + 1, spool->nsegments * sizeof(beacond_segment_t));
    pthread_mutex_unlock(&spool->mutex);

    if (spool->nsegments == 0 && spool->fd >= 0) {
        close(spool->fd);
        spool->fd = -1;
    }
}

/* Only this thread changes the segments: it may look without the lock. */
uint32_t
beacond_spool_drop(beacond_spool_t *spool, bool dry,
    int (*needed)(void *data, const beacond_spool_lane_t *lane), void *data)
{
    uint32_t            i, k, n = 0;
    beacond_segment_t  *s;

    for (i = 0; i < spool->nsegments; i = dry ? i + 1 : 0) {
        s = &spool->segments[i];

        for (k = 0; k < s->nlanes; k++) {
            if (needed(data, &s->lanes[k])) {
                return n;
            }
        }

        n++;

        if (!dry) {
            beacond_spool_unlink(spool);
        }
    }

    return n;
}
