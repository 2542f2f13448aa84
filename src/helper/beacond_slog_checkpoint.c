/*
 * The checkpoint: <ring>/<name>.checkpoint, and a copy in the spool's
 * directory while there are hits in it (a ring may go with its tmpfs).
 *
 *     beacon log checkpoint 1
 *     counts <possible duplicates> <overflow> <reopened> <unsynced> <errors>
 *     file <length> <dev> <ino> <birth, ns> <path>
 *     ...
 *     engine <bytes>
 *     <the engine's text>
 *     end <bytes of all that is above>
 *
 * "length" is the end of the last line whose hit the engine's text covers.
 * Templates allow no control character in a path, so a line holds it.
 *
 * It is written into the file of the one before last, and both swap names: on
 * a tmpfs that ring and others have filled it still finds its pages.  No
 * fsync beside the ring, which a power loss takes away as well.
 */

#include "beacond_slog.h"
#include "beacond_point.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_SLOG_SPOOL_MS  1000

static bool
beacond_slog_room_for(beacond_slog_t *slog, size_t len)
{
    char    *text;
    size_t   size = slog->text_size ? slog->text_size : 4096;

    while (size < len) {
        size *= 2;
    }

    if (size == slog->text_size) {
        return true;
    }

    text = realloc(slog->text, size);

    if (text == NULL) {
        return false;
    }

    slog->text = text;
    slog->text_size = size;

    return true;
}

/* Appends; a failure sets *len to 0 and keeps it. */
__attribute__((format(printf, 3, 4)))
static void
beacond_slog_print(beacond_slog_t *slog, size_t *len, const char *fmt, ...)
{
    int      n;
    va_list  args;

    if (*len == SIZE_MAX || !beacond_slog_room_for(slog, *len + 256)) {
        *len = SIZE_MAX;
        return;
    }

    va_start(args, fmt);
    n = vsnprintf(slog->text + *len, slog->text_size - *len, fmt, args);
    va_end(args);
    *len += (size_t) n;
}

/* One line; by hand, as there may be hundreds. */
static void
beacond_slog_print_file(beacond_slog_t *slog, size_t *len,
    const beacond_slog_file_t *file, uint64_t seq)
{
    char      digits[24];
    size_t    n = sizeof(digits);
    int64_t   at;
    uint32_t  i;
    uint64_t  end = file->base;

    if (*len == SIZE_MAX
        || !beacond_slog_room_for(slog, *len + file->entry_len + 32))
    {
        *len = SIZE_MAX;
        return;
    }

    for (i = 0; i < file->nmarks && file->marks[i].seq <= seq; i++) {
        end = file->marks[i].end;
    }

    at = (int64_t) end + file->delta;
    at = at > 0 ? at : 0;

    do {
        digits[--n] = (char) ('0' + at % 10);
        at /= 10;
    } while (at);

    memcpy(slog->text + *len, "file ", 5);
    *len += 5;
    memcpy(slog->text + *len, digits + n, sizeof(digits) - n);
    *len += sizeof(digits) - n;
    memcpy(slog->text + *len, file->entry, file->entry_len);
    *len += file->entry_len;
}

/* Is the file to be listed in a checkpoint that covers seq? */
static bool
beacond_slog_listed(const beacond_slog_t *slog,
    const beacond_slog_file_t *file, uint64_t seq)
{
    uint64_t  last = file->nmarks ? file->marks[file->nmarks - 1].seq : 0;

    return last > seq || file->head
           || slog->now - file->used_ms < BEACOND_SLOG_LISTED_MS;
}

/* The whole text; 0: no memory.  last: without files that only may be
   written. */
static size_t
beacond_slog_text(beacond_slog_t *slog, uint64_t seq, bool last)
{
    size_t                      len = 0;
    const beacond_slog_file_t  *file;

    beacond_slog_print(slog, &len, "beacon log checkpoint 1\ncounts %" PRIu64
                       " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                       slog->possible_duplicates, slog->overflowed,
                       slog->reopened,
                       slog->unsynced + beacond_slog_sync_failed(slog),
                       slog->sink->errors);

    for (file = slog->retired; file; file = file->chain) {
        if (file->recovered || file->marks[file->nmarks - 1].seq > seq) {
            beacond_slog_print_file(slog, &len, file, seq);
        }
    }

    for (file = slog->oldest; file; file = file->newer) {
        if (file->handle
            && (last ? file->nmarks > 0
                     : beacond_slog_listed(slog, file, seq)))
        {
            beacond_slog_print_file(slog, &len, file, seq);
        }
    }

    beacond_slog_print(slog, &len, "engine %zu\n", slog->engine.len);

    if (len == SIZE_MAX
        || !beacond_slog_room_for(slog, len + slog->engine.len + 64))
    {
        return 0;
    }

    memcpy(slog->text + len, slog->engine.text, slog->engine.len);
    len += slog->engine.len;
    beacond_slog_print(slog, &len, "\nend %zu\n", len);

    return len == SIZE_MAX ? 0 : len;
}

bool
beacond_slog_checkpoint_put(beacond_slog_t *slog, const char *dir,
    const char *text, size_t len)
{
    int      fd, n;
    char     path[PATH_MAX], temp[PATH_MAX];
    size_t   done;
    ssize_t  w;

    n = snprintf(path, sizeof(path), "%s/%s.checkpoint", dir,
                 slog->sink->name);

    if (n < 0 || (size_t) n + sizeof(".new") > sizeof(temp)) {
        errno = ENAMETOOLONG;
        goto failed;
    }

    memcpy(temp, path, (size_t) n);
    memcpy(temp + n, ".new", sizeof(".new"));

    fd = open(temp, O_WRONLY|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0600);

    if (fd == -1) {
        goto failed;
    }

    for (done = 0; done < len; done += (size_t) w) {
        w = write(fd, text + done, len - done);

        if (w == -1 && errno == EINTR) {
            w = 0;

        } else if (w <= 0) {
            goto failed_file;
        }
    }

    if (ftruncate(fd, (off_t) len) == -1) {
        goto failed_file;
    }

    close(fd);

    if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_EXCHANGE) == -1
        && rename(temp, path) == -1)
    {
        goto failed;
    }

    return true;

failed_file:

    n = errno;
    close(fd);
    errno = n;

failed:

    beacond_slog_error(slog, "checkpoint", dir, errno);

    return false;
}

/* Files are as listed; forgets what is covered. */
static void
beacond_slog_covered(beacond_slog_t *slog, uint64_t seq)
{
    uint32_t              n;
    beacond_slog_file_t  *file, **p;

    for (file = slog->oldest; file; file = file->newer) {
        file->listed = file->handle && beacond_slog_listed(slog, file, seq);

        for (n = 0; n < file->nmarks && file->marks[n].seq <= seq; n++) {
            file->base = file->marks[n].end;
        }

        file->nmarks -= n;
        memmove(file->marks, file->marks + n,
                file->nmarks * sizeof(beacond_slog_mark_t));
    }

    for (p = &slog->retired; (file = *p) != NULL; /* void */) {
        if (file->recovered || file->marks[file->nmarks - 1].seq > seq) {
            p = &file->chain;
            continue;
        }

        *p = file->chain;
        beacond_slog_file_free(file);
    }
}

/* One that takes long is not waited for: then, and after a reboot only, what
   was written to files made since may be written again. */
static void
beacond_slog_checkpoint_spool(beacond_slog_t *slog, const char *dir,
    size_t len)
{
    beacon_rc_t  rc;

    snprintf(slog->copy, sizeof(slog->copy), "%s/%s.checkpoint", dir,
             slog->sink->name);
    rc = beacond_sink_copy(slog->sink, slog->copy, slog->text, len);

    if (rc == BEACON_OK) {
        slog->spooled_ms = slog->now;

    } else if (rc == BEACON_SYS) {
        beacond_slog_error(slog, "checkpoint", dir, errno);
    }
}

/* Of an empty spool nothing will be found again; one that is left there would
   send a start without the ring's through all that was written since. */
static void
beacond_slog_checkpoint_drop(beacond_slog_t *slog)
{
    slog->spooled_ms = 0;

    if (slog->copy[0] != '\0'
        && beacond_sink_copy(slog->sink, slog->copy, NULL, 0) != BEACON_AGAIN)
    {
        slog->copy[0] = '\0';
    }
}

/* A copy where the spool is: when files are new, else once a second. */
static void
beacond_slog_checkpoint_copy(beacond_slog_t *slog, size_t len)
{
    const char           *dir = beacond_sink_spool_dir(slog->sink);
    beacond_slog_file_t  *file;

    if (dir == NULL) {
        beacond_slog_checkpoint_drop(slog);
        return;
    }

    for (file = slog->oldest; file; file = file->newer) {
        if (file->handle && file->head && !file->listed) {
            break;
        }
    }

    if (slog->spooled_ms && file == NULL
        && slog->now - slog->spooled_ms < BEACOND_SLOG_SPOOL_MS)
    {
        return;
    }

    beacond_slog_checkpoint_spool(slog, dir, len);
}

static void
beacond_slog_ack(beacond_slog_t *slog, uint64_t seq)
{
    struct timespec       ts;
    beacond_slog_slot_t  *slot;

    if (seq > slog->acked) {
        clock_gettime(CLOCK_REALTIME, &ts);
        slog->sink->last_success_ns = (uint64_t) ts.tv_sec * 1000000000
                                      + (uint64_t) ts.tv_nsec;
    }

    while (slog->acked < seq) {
        slot = &slog->slots[++slog->acked % BEACOND_SLOG_WINDOW];
        beacond_sink_ack(slog->sink, slot->batch, 0, slot->batch->nhits);
        beacond_batch_unref(slot->batch);
        slot->batch = NULL;
    }
}

bool
beacond_slog_checkpoint(beacond_slog_t *slog, uint64_t seq)
{
    size_t                len, n;
    uint64_t              i;
    beacond_acked_t       acked[BEACOND_SLOG_WINDOW];
    beacond_checkpoint_t  engine;

    for (n = 0, i = slog->acked + 1; i <= seq; i++, n++) {
        acked[n].batch = slog->slots[i % BEACOND_SLOG_WINDOW].batch;
        acked[n].first = 0;
        acked[n].n = acked[n].batch->nhits;
    }

    if (beacond_sink_checkpoint(slog->sink, acked, n, &engine) != BEACON_OK) {
        beacond_slog_error(slog, "checkpoint", slog->sink->conf->dir, ENOMEM);
        return false;
    }

    free(slog->engine.text);
    slog->engine = engine;

    len = beacond_slog_text(slog, seq, false);

    if (len == 0) {
        beacond_slog_error(slog, "checkpoint", slog->sink->conf->dir, ENOMEM);
        return false;
    }

    BEACOND_POINT("log.before_checkpoint");

    if (!beacond_slog_checkpoint_put(slog, slog->sink->conf->dir, slog->text,
                                     len))
    {
        return false;
    }

    beacond_slog_checkpoint_copy(slog, len);

    BEACOND_POINT("log.after_checkpoint");

    beacond_slog_covered(slog, seq);
    beacond_slog_ack(slog, seq);

    return true;
}

/*
 * The spool holds hits and has no copy yet.  A sink that is stuck acknowledges
 * nothing, so no checkpoint would bring one; and should the ring's directory
 * be emptied now, what stands behind the last checkpoint would be written
 * again.
 */
void
beacond_slog_checkpoint_keep(beacond_slog_t *slog)
{
    size_t       len;
    const char  *dir;

    if (slog->engine.text == NULL) {
        return;
    }

    dir = beacond_sink_spool_dir(slog->sink);

    if (dir == NULL) {
        beacond_slog_checkpoint_drop(slog);
        return;
    }

    if (slog->spooled_ms) {
        return;
    }

    len = beacond_slog_text(slog, slog->acked, false);

    if (len) {
        beacond_slog_checkpoint_spool(slog, dir, len);
    }
}

void
beacond_slog_checkpoint_last(beacond_slog_t *slog)
{
    size_t  len;

    if (slog->engine.text == NULL) {
        return;
    }

    len = beacond_slog_text(slog, slog->acked, true);

    if (len) {
        (void) beacond_slog_checkpoint_put(slog, slog->sink->conf->dir,
                                           slog->text, len);
    }
}
