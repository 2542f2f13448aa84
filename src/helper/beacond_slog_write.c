/*
 * From pieces to write(2).
 *
 * Under load a write ends on a multiple of 64 KiB of the file, whatever line
 * that is in the middle of: file systems copy such writes a third faster.
 * What is left goes out with the next one, or when it is 200 ms old, or when
 * its batch would hold up the engine's window.
 */

#include "beacond_slog.h"
#include "beacond_point.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define BEACOND_SLOG_IOV  128

void
beacond_slog_append(beacond_slog_t *slog, beacond_slog_slot_t *slot,
    beacond_slog_file_t *file, const uint8_t *data, size_t len, uint32_t lines)
{
    beacond_slog_mark_t   *mark;
    beacond_slog_piece_t  *piece = file->tail;

    if (piece && piece->data + piece->len == data && piece->slot == slot) {
        piece->len += len;

    } else {
        piece = &slot->pieces[slot->npieces++];
        piece->data = data;
        piece->len = len;
        piece->slot = slot;
        piece->next = NULL;
        *(file->tail ? &file->tail->next : &file->head) = piece;
        file->tail = piece;
    }

    if (!file->dirty) {
        file->dirty = true;
        file->dirty_next = slog->dirty;
        slog->dirty = file;
    }

    file->total += len;
    file->unsynced += lines;
    mark = &file->marks[file->nmarks];

    if (file->nmarks && mark[-1].seq == slot->seq) {
        mark--;

    } else {
        mark->seq = slot->seq;
        file->nmarks++;
    }

    mark->end = file->total;
}

static void
beacond_slog_consume(beacond_slog_file_t *file, size_t n)
{
    size_t                 part;
    beacond_slog_piece_t  *piece;

    file->written += n;

    for (piece = file->head; n && piece != NULL; piece = file->head) {
        part = n < piece->len ? n : piece->len;
        file->midline = piece->data[part - 1] != '\n';
        piece->data += part;
        piece->len -= part;
        n -= part;

        if (piece->len == 0) {
            file->head = piece->next;
        }
    }

    if (file->head == NULL) {
        file->tail = NULL;
    }
}

/* A test is to kill us in the middle: half of the bytes, then the point. */
static ssize_t
beacond_slog_write_half(int fd, const struct iovec *iov)
{
    size_t   half = iov->iov_len / 2 ? iov->iov_len / 2 : 1;
    ssize_t  n;

    n = write(fd, iov->iov_base, half);
    BEACOND_POINT("log.mid_write");

    return n;
}

bool
beacond_slog_write(beacond_slog_t *slog, beacond_slog_file_t *file,
    uint64_t limit)
{
    int                          n;
    size_t                       len;
    ssize_t                      done;
    struct iovec                 iov[BEACOND_SLOG_IOV];
    const beacond_slog_piece_t  *piece;

    while (limit && file->head) {
        len = 0;
        piece = file->head;

        for (n = 0; n < BEACOND_SLOG_IOV && piece && len < limit; n++) {
            iov[n].iov_base = (void *) (uintptr_t) piece->data;
            iov[n].iov_len = piece->len < limit - len ? piece->len
                                                      : limit - len;
            len += iov[n].iov_len;
            piece = piece->next;
        }

        BEACOND_POINT("log.before_write");

        done = beacond_point_armed
               ? beacond_slog_write_half(file->handle->fd, iov)
               : writev(file->handle->fd, iov, n);

        if (done <= 0) {
            if (done == -1 && errno == EINTR) {
                continue;
            }

            beacond_slog_error(slog, "write()", file->path,
                               done == 0 ? EIO : errno);
            return false;
        }

        BEACOND_POINT("log.after_write");

        beacond_slog_consume(file, (size_t) done);
        limit -= (uint64_t) done;
    }

    return true;
}

/* The first batch of which the file has something to write; 0: none. */
static uint64_t
beacond_slog_behind(const beacond_slog_file_t *file)
{
    uint32_t  i;

    for (i = 0; i < file->nmarks; i++) {
        if (file->marks[i].end > file->written) {
            return file->marks[i].seq;
        }
    }

    return 0;
}

/* The more files, the more has to wait for writes that are not tiny. */
bool
beacond_slog_pressed(const beacond_slog_t *slog, uint64_t from, uint64_t to)
{
    uint64_t                    bytes, limit;
    const beacond_slog_slot_t  *last;

    if (from == 0 || to - from + 1 >= BEACOND_SLOG_PRESSURE) {
        return true;
    }

    limit = (uint64_t) slog->nopen * BEACOND_SLOG_SHARE;
    limit = limit < BEACOND_SLOG_BYTES_MIN ? BEACOND_SLOG_BYTES_MIN
            : limit > BEACOND_SLOG_BYTES_MAX ? BEACOND_SLOG_BYTES_MAX : limit;

    last = &slog->slots[to % BEACOND_SLOG_WINDOW];
    bytes = last->before + last->batch->lines_len
            - slog->slots[from % BEACOND_SLOG_WINDOW].before;

    return bytes >= limit;
}

/* How many bytes of a file are due. */
static uint64_t
beacond_slog_due(const beacond_slog_t *slog, const beacond_slog_file_t *file)
{
    uint64_t  at, end;

    if (slog->now - file->head->slot->taken_ms >= BEACOND_SLOG_AGE_MS
        || beacond_slog_pressed(slog, beacond_slog_behind(file), slog->seq))
    {
        return file->total - file->written;
    }

    at = file->written + (uint64_t) file->delta;
    end = (file->total + (uint64_t) file->delta)
          & ~(uint64_t) (BEACOND_SLOG_BLOCK - 1);

    return end > at ? end - at : 0;
}

/* Opened and listed in a checkpoint, so that it may be written. */
static bool
beacond_slog_ready(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    if (file->handle == NULL && beacond_slog_open(slog, file) != BEACON_OK) {
        return false;
    }

    return file->listed || beacond_slog_checkpoint(slog, slog->acked);
}

bool
beacond_slog_write_all(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    if (file->head == NULL || file->handle == NULL) {
        return file->head == NULL;
    }

    beacond_slog_check(slog, file);

    return !file->reopen && beacond_slog_ready(slog, file)
           && beacond_slog_write(slog, file, file->total - file->written);
}

void
beacond_slog_write_due(beacond_slog_t *slog, bool all)
{
    uint64_t              due;
    beacond_slog_file_t  *file;

    for (file = slog->dirty; file; file = file->dirty_next) {
        if (file->head == NULL) {
            continue;
        }

        due = all ? file->total - file->written
                  : beacond_slog_due(slog, file);

        if (due == 0) {
            continue;
        }

        beacond_slog_check(slog, file);

        if (file->reopen && !beacond_slog_reopen(slog, file)) {
            slog->failed = true;
            continue;
        }

        if (!beacond_slog_ready(slog, file)) {
            slog->failed |= file->handle || slog->now >= file->refused_ms
                            || !beacond_slog_divert(slog, file);

        } else if (!beacond_slog_write(slog, file, due)) {
            slog->failed = true;
        }
    }

    beacond_slog_clean(slog);
}

void
beacond_slog_clean(beacond_slog_t *slog)
{
    beacond_slog_file_t  **p, *file;

    for (p = &slog->dirty; (file = *p) != NULL; /* void */) {
        if (file->head) {
            p = &file->dirty_next;
            continue;
        }

        *p = file->dirty_next;
        file->dirty = false;
    }
}

uint64_t
beacond_slog_complete(const beacond_slog_t *slog)
{
    uint64_t                    behind, seq = slog->seq;
    const beacond_slog_file_t  *file;

    for (file = slog->dirty; file; file = file->dirty_next) {
        behind = beacond_slog_behind(file);

        if (behind && behind <= seq) {
            seq = behind - 1;
        }
    }

    return seq;
}
