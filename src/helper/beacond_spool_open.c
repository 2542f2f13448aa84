/* Opening a spool: what segments there are, and what is in them. */

#include "beacond_spool.h"
#include "beacond_spool_parts.h"
#include "beacond_sweep.h"
#include "beacond_log.h"
#include "beacon_crc32c.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t
beacond_segment_crc(const beacond_segment_head_t *head)
{
    beacond_segment_head_t  copy = *head;

    copy.crc = 0;
    return beacon_crc32c(0, &copy, sizeof(copy));
}

/* 1: the head is whole and of a version that this build does not read. */
static int
beacond_segment_foreign(const char *path)
{
    int                     fd;
    ssize_t                 n;
    beacond_segment_head_t  head;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return 0;
    }

    n = pread(fd, &head, sizeof(head), 0);
    close(fd);

    return n == (ssize_t) sizeof(head) && head.magic == BEACOND_SEGMENT_MAGIC
           && head.crc == beacond_segment_crc(&head)
           && head.version != BEACOND_SPOOL_VERSION
           && head.version != BEACOND_SPOOL_VERSION - 1;
}

beacon_rc_t
beacond_segment_add(beacond_spool_t *spool, uint64_t start, uint64_t end)
{
    beacond_segment_t  *segments;

    segments = realloc(spool->segments,
                       (spool->nsegments + 1) * sizeof(beacond_segment_t));
    if (segments == NULL) {
        return BEACON_SYS;
    }

    spool->segments = segments;
    segments += spool->nsegments++;
    memset(segments, 0, sizeof(beacond_segment_t));
    segments->start = start;
    segments->end = end;
    segments->file_size = end - start;
    spool->used += end - start;

    return BEACON_OK;
}

/* Adds a record, or the sum of several, to what a segment holds. */
beacon_rc_t
beacond_spool_note(beacond_spool_lane_t **lanes, uint32_t *nlanes,
    const beacond_spool_lane_t *add)
{
    uint32_t               i;
    beacond_spool_lane_t  *p;

    for (i = *nlanes; i-- > 0; /* void */ ) {
        p = &(*lanes)[i];

        if (p->epoch != add->epoch || p->lane != add->lane) {
            continue;
        }

        if (add->from.ordinal < p->from.ordinal) {
            p->from = add->from;
        }

        if (add->to.ordinal > p->to.ordinal) {
            p->to = add->to;
        }

        return BEACON_OK;
    }

    p = realloc(*lanes, (*nlanes + 1) * sizeof(beacond_spool_lane_t));
    if (p == NULL) {
        return BEACON_SYS;
    }

    *lanes = p;
    p[(*nlanes)++] = *add;

    return BEACON_OK;
}

void
beacond_spool_noted(const beacon_record_t *record, uint64_t epoch,
    uint32_t lane, beacond_spool_lane_t *add)
{
    add->epoch = epoch;
    add->lane = lane;
    add->from.offset = record->offset;
    add->from.ordinal = record->ordinal;
    add->to.offset = record->offset + record->length;
    add->to.ordinal = record->ordinal + 1;
}

static int
beacond_segment_order(const void *a, const void *b)
{
    const beacond_segment_t  *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static void
beacond_segment_aside(beacond_spool_t *spool, const char *path)
{
    char  aside[PATH_MAX + 16];

    snprintf(aside, sizeof(aside), "%s.aside", path);

    if (rename(path, aside) == 0) {
        spool->set_aside++;
        beacond_log(BEACOND_ERROR, "%s is of another version: set aside",
                    path);
    }
}

static beacon_rc_t
beacond_spool_list(beacond_spool_t *spool)
{
    DIR            *dir;
    char            path[PATH_MAX], *end;
    uint64_t        start;
    struct stat     st;
    beacon_rc_t     rc = BEACON_OK;
    struct dirent  *entry;

    dir = opendir(spool->dir);
    if (dir == NULL) {
        return BEACON_SYS;
    }

    if (fstat(dirfd(dir), &st) == 0) {
        spool->dev = st.st_dev;
        spool->ino = st.st_ino;
    }

    while (rc == BEACON_OK && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "journal.", 8) != 0
            || strlen(entry->d_name) != 24
            || strspn(entry->d_name + 8, "0123456789abcdef") != 16)
        {
            continue;
        }

        start = strtoull(entry->d_name + 8, &end, 16);
        snprintf(path, sizeof(path), "%s/%s", spool->dir, entry->d_name);

        if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || (start & 7) != 0
            || start > UINT64_MAX / 2)
        {
            continue;
        }

        if (beacond_segment_foreign(path)) {
            beacond_segment_aside(spool, path);
            continue;
        }

        rc = beacond_segment_add(spool, start,
                                 start + (uint64_t) st.st_size);
    }

    closedir(dir);

    if (spool->nsegments > 0) {
        qsort(spool->segments, spool->nsegments, sizeof(beacond_segment_t),
              beacond_segment_order);
    }

    return rc;
}

/*
 * Reads one segment through.  What is torn at the last one's end is what the
 * helper that died was writing: no corruption.
 */
static beacon_rc_t
beacond_spool_scan_one(beacond_spool_t *spool, uint32_t i,
    beacond_spool_reader_t *reader)
{
    uint64_t               good, corrupt;
    beacon_rc_t            rc;
    beacond_frame_t        frame;
    beacond_segment_t     *s = &spool->segments[i];
    beacond_spool_lane_t   lane;

    good = s->start + sizeof(beacond_segment_head_t);
    reader->only = s->start;
    reader->corrupt = corrupt = 0;
    beacond_spool_seek(reader, s->start);

    while ((rc = beacond_spool_next(reader, &frame)) == BEACON_OK) {
        good = reader->position;
        corrupt = reader->corrupt;
        beacond_spool_noted(&frame.record, frame.epoch, frame.lane, &lane);

        if (beacond_spool_note(&s->lanes, &s->nlanes, &lane) != BEACON_OK) {
            return BEACON_SYS;
        }

        if (s->oldest_ns == 0 || frame.record.time_ns < s->oldest_ns) {
            s->oldest_ns = frame.record.time_ns;
        }
    }

    spool->corrupt += i + 1 < spool->nsegments ? reader->corrupt : corrupt;
    s->end = good < s->end ? good : s->end;

    return rc == BEACON_AGAIN ? BEACON_OK : rc;
}

static beacon_rc_t
beacond_spool_scan(beacond_spool_t *spool)
{
    uint32_t                i;
    beacon_rc_t             rc = BEACON_OK;
    beacond_spool_reader_t  reader;

    beacond_spool_reader_init(&reader, spool);

    for (i = 0; i < spool->nsegments && rc == BEACON_OK; i++) {
        if (beacond_spool_index_read(spool, &spool->segments[i])) {
            continue;
        }

        rc = beacond_spool_scan_one(spool, i, &reader);

        if (rc == BEACON_OK) {
            beacond_spool_index_write(spool, &spool->segments[i]);
        }
    }

    beacond_spool_reader_dispose(&reader);

    return rc;
}

static uint64_t
beacond_spool_segment_size(uint64_t size)
{
    uint64_t  n = size / 8;

    n = n > BEACOND_SEGMENT_SIZE ? BEACOND_SEGMENT_SIZE : n;

    return n < BEACOND_SEGMENT_MIN ? BEACOND_SEGMENT_MIN : n;
}

beacon_rc_t
beacond_spool_open(const char *dir, uint64_t size, unsigned min_free,
    beacond_spool_t **result, beacon_err_t *err)
{
    beacond_spool_t  *spool;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        beacon_err(err, "cannot make %s: %s", dir, strerror(errno));
        return BEACON_SYS;
    }

    spool = calloc(1, sizeof(beacond_spool_t));
    if (spool == NULL) {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    beacond_sweep_spool(dir);
    pthread_mutex_init(&spool->mutex, NULL);
    spool->fd = -1;
    spool->size = size;
    spool->min_free = min_free;
    spool->segment_size = beacond_spool_segment_size(size);
    spool->dir = strdup(dir);

    if (spool->dir == NULL || beacond_spool_list(spool) != BEACON_OK
        || beacond_spool_scan(spool) != BEACON_OK)
    {
        beacon_err(err, "cannot read the spool %s: %s", dir, strerror(errno));
        beacond_spool_close(spool);
        return BEACON_SYS;
    }

    *result = spool;

    return BEACON_OK;
}
