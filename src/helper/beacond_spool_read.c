/* Reading the journal: frames, and the way on where there is none. */

#include "beacond_spool.h"
#include "beacon_crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_SPOOL_BUFFER  (256 * 1024)
#define BEACOND_SPOOL_SLACK   64        /* readable behind what is there */
#define BEACOND_FRAME_HEAD    sizeof(beacond_frame_head_t)
#define BEACOND_FRAME_MAX     (BEACOND_FRAME_HEAD + BEACON_RECORD_HEADER + 8  \
                               + BEACON_LANE_MAX / BEACON_RECORD_SHARE)

static uint32_t
beacond_frame_crc(const beacond_frame_head_t *head, const uint8_t *data)
{
    uint32_t              crc;
    beacond_frame_head_t  copy = *head;

    copy.crc = 0;
    crc = beacon_crc32c(0, &copy, BEACOND_FRAME_HEAD);

    return beacon_crc32c(crc, data + BEACOND_FRAME_HEAD,
                         head->length - BEACOND_FRAME_HEAD);
}

beacon_rc_t
beacond_frame_check(const uint8_t *data, size_t avail, beacond_frame_t *frame,
    size_t *need)
{
    beacond_frame_head_t  head;

    if (avail < BEACOND_FRAME_HEAD) {
        *need = BEACOND_FRAME_HEAD;
        return BEACON_AGAIN;
    }

    memcpy(&head, data, BEACOND_FRAME_HEAD);

    if (head.magic != BEACOND_FRAME_MAGIC
        || head.length < BEACOND_FRAME_HEAD + BEACON_RECORD_HEADER
        || head.length > BEACOND_FRAME_MAX || (head.length & 7) != 0)
    {
        return BEACON_CORRUPT;
    }

    if (avail < head.length) {
        *need = head.length;
        return BEACON_AGAIN;
    }

    if (beacond_frame_crc(&head, data) != head.crc
        || beacon_record_check(data + BEACOND_FRAME_HEAD,
                               head.length - BEACOND_FRAME_HEAD,
                               &frame->record) != BEACON_OK
        || frame->record.type != BEACON_RECORD_HIT
        || frame->record.length != head.length - BEACOND_FRAME_HEAD
        || frame->record.offset > UINT64_MAX - head.length
        || frame->record.ordinal == UINT64_MAX)
    {
        return BEACON_CORRUPT;
    }

    frame->epoch = head.epoch;
    frame->lane = head.lane;
    frame->length = head.length;

    return BEACON_OK;
}

void
beacond_spool_reader_init(beacond_spool_reader_t *reader,
    beacond_spool_t *spool)
{
    memset(reader, 0, sizeof(beacond_spool_reader_t));
    reader->spool = spool;
    reader->fd = -1;
    reader->only = UINT64_MAX;
}

void
beacond_spool_reader_dispose(beacond_spool_reader_t *reader)
{
    if (reader->fd >= 0) {
        close(reader->fd);
    }

    free(reader->buffer);
    beacond_spool_reader_init(reader, NULL);
}

void
beacond_spool_seek(beacond_spool_reader_t *reader, uint64_t position)
{
    uint64_t  first = reader->position - reader->at;

    if (reader->fd >= 0 && position >= first
        && position - first <= reader->len)
    {
        reader->at = (size_t) (position - first);

    } else {
        reader->at = reader->len = 0;
    }

    reader->position = position;
}

/* A segment that is not there: has somebody removed it, or is all of the
   directory somewhere else just now? */
static bool
beacond_spool_removed(const beacond_spool_t *spool)
{
    struct stat  st;

    return errno == ENOENT && stat(spool->dir, &st) == 0
           && st.st_dev == spool->dev && st.st_ino == spool->ino;
}

/* The segment that holds the position, or the next one.  CORRUPT: it is not
   there, and passed over. */
static beacon_rc_t
beacond_spool_locate(beacond_spool_reader_t *reader)
{
    char                path[PATH_MAX];
    bool                found = false;
    uint32_t            i;
    uint64_t            start = 0;
    beacond_spool_t    *spool = reader->spool;
    beacond_segment_t  *s;

    pthread_mutex_lock(&spool->mutex);

    for (i = 0; i < spool->nsegments && !found; i++) {
        s = &spool->segments[i];

        if ((reader->only == UINT64_MAX || reader->only == s->start)
            && s->end > reader->position
            && s->end > s->start + sizeof(beacond_segment_head_t))
        {
            found = true;
            start = s->start;
            reader->end = s->end;
        }
    }

    pthread_mutex_unlock(&spool->mutex);

    if (!found) {
        return BEACON_AGAIN;
    }

    if (reader->position < start + sizeof(beacond_segment_head_t)) {
        beacond_spool_seek(reader, start + sizeof(beacond_segment_head_t));
    }

    if (reader->fd >= 0 && reader->segment == start) {
        return BEACON_OK;
    }

    if (reader->fd >= 0) {
        close(reader->fd);
    }

    snprintf(path, sizeof(path), "%s/journal.%016llx", spool->dir,
             (unsigned long long) start);
    reader->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    reader->segment = start;
    reader->at = reader->len = 0;

    if (reader->fd >= 0) {
        return BEACON_OK;
    }

    if (!beacond_spool_removed(spool)) {
        return BEACON_SYS;
    }

    reader->corrupt++;
    reader->position = reader->end;

    return BEACON_CORRUPT;
}

/* Has need bytes from position on in the buffer, or as many as there are: what
   is missing before the end is corrupt. */
static beacon_rc_t
beacond_spool_fill(beacond_spool_reader_t *reader, size_t need)
{
    size_t    cap, want;
    ssize_t   n;
    uint8_t  *buffer;
    uint64_t  left;

    cap = need > BEACOND_SPOOL_BUFFER ? need : BEACOND_SPOOL_BUFFER;

    if (reader->len > 0) {
        memmove(reader->buffer, reader->buffer + reader->at,
                reader->len - reader->at);
        reader->len -= reader->at;
        reader->at = 0;
    }

    if (reader->cap < cap) {
        buffer = realloc(reader->buffer, cap + BEACOND_SPOOL_SLACK);

        if (buffer == NULL) {
            errno = ENOMEM;
            return BEACON_SYS;
        }

        memset(buffer + reader->len, 0, cap + BEACOND_SPOOL_SLACK
                                        - reader->len);
        reader->buffer = buffer;
        reader->cap = cap;
    }

    reader->cut = false;

    while (reader->len < reader->cap) {
        left = reader->end - (reader->position + reader->len);
        want = reader->cap - reader->len;

        if (left == 0) {
            break;
        }

        n = pread(reader->fd, reader->buffer + reader->len,
                  want < left ? want : (size_t) left,
                  (off_t) (reader->position + reader->len - reader->segment));

        if (n < 0 && errno == EINTR) {
            continue;
        }

        if (n < 0) {
            return BEACON_SYS;
        }

        if (n == 0) {
            reader->cut = true;         /* shorter than it was */
            break;
        }

        reader->len += (size_t) n;
    }

    return BEACON_OK;
}

/* At a place that is no frame: to the next that may be one. */
static void
beacond_spool_skip(beacond_spool_reader_t *reader)
{
    size_t    at;
    uint32_t  magic;

    for (at = reader->at + 8; at + sizeof(magic) <= reader->len; at += 8) {
        memcpy(&magic, reader->buffer + at, sizeof(magic));

        if (magic == BEACOND_FRAME_MAGIC) {
            break;
        }
    }

    if (at > reader->len) {
        at = reader->len;
    }

    reader->position += at - reader->at;
    reader->at = at;
}

/*
 * From position to the segment's end.  AGAIN: no frame is left in it, and
 * position is its end.
 */
static beacon_rc_t
beacond_spool_in_segment(beacond_spool_reader_t *reader,
    beacond_frame_t *frame)
{
    bool         bad = false;
    size_t       need = 1;
    beacon_rc_t  rc;

    for ( ;; ) {
        if (reader->len - reader->at < need) {

            if (beacond_spool_fill(reader, need) != BEACON_OK) {
                return BEACON_SYS;
            }

            if (reader->len == 0) {
                reader->corrupt += reader->cut && !bad;
                reader->position = reader->end;
                return BEACON_AGAIN;
            }
        }

        rc = beacond_frame_check(reader->buffer + reader->at,
                                 reader->len - reader->at, frame, &need);

        if (rc == BEACON_OK) {
            reader->position += frame->length;
            reader->at += frame->length;
            return BEACON_OK;
        }

        if (rc == BEACON_AGAIN && reader->position + need <= reader->end
            && !reader->cut)
        {
            continue;
        }

        /* cut off by the end, or no frame */

        reader->corrupt += !bad;
        bad = true;
        need = 1;
        beacond_spool_skip(reader);
    }
}

beacon_rc_t
beacond_spool_next(beacond_spool_reader_t *reader, beacond_frame_t *frame)
{
    beacon_rc_t  rc;

    for ( ;; ) {
        rc = beacond_spool_locate(reader);

        if (rc == BEACON_CORRUPT) {
            continue;
        }

        if (rc != BEACON_OK) {
            return rc;
        }

        rc = beacond_spool_in_segment(reader, frame);

        if (rc != BEACON_AGAIN) {
            return rc;
        }
    }
}
