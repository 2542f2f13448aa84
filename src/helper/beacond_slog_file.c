/*
 * The table of paths, and what happens to their files: a place for each,
 * closing for want of descriptors, going over to a new file after a rotation.
 */

#include "beacond_slog.h"
#include "beacond_hash.h"
#include "beacond_point.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_SLOG_SPARE_FDS  64      /* for the rest of the helper */
#define BEACOND_SLOG_ROOM_MS    100

beacon_rc_t
beacond_slog_files_create(beacond_slog_t *slog)
{
    size_t         n;
    struct rlimit  limit;

    slog->max_open = slog->max_files + 2;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0
        && limit.rlim_cur < slog->max_open + BEACOND_SLOG_SPARE_FDS)
    {
        slog->max_open = limit.rlim_cur > BEACOND_SLOG_SPARE_FDS + 2
                         ? (uint32_t) limit.rlim_cur - BEACOND_SLOG_SPARE_FDS
                         : 2;
    }

    for (n = 64; n < (size_t) slog->max_files * 2; n *= 2) {
        /* a power of two */
    }

    slog->table = calloc(n, sizeof(beacond_slog_file_t *));
    slog->table_mask = n - 1;

    return slog->table ? BEACON_OK : BEACON_SYS;
}

static void
beacond_slog_lru_out(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    *(file->older ? &file->older->newer : &slog->oldest) = file->newer;
    *(file->newer ? &file->newer->older : &slog->newest) = file->older;
}

static void
beacond_slog_lru_in(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    file->newer = NULL;
    file->older = slog->newest;
    *(slog->newest ? &slog->newest->newer : &slog->oldest) = file;
    slog->newest = file;
}

void
beacond_slog_use(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    file->used_ms = slog->now;
    file->pin = slog->seq + 1;          /* the batch that is being taken */

    if (slog->newest != file) {
        beacond_slog_lru_out(slog, file);
        beacond_slog_lru_in(slog, file);
    }
}

void
beacond_slog_file_free(beacond_slog_file_t *file)
{
    beacond_slog_handle_close(file->handle);
    free(file->entry);
    free(file->path);
    free(file);
}

bool
beacond_slog_describe(beacond_slog_file_t *file)
{
    int    n;
    char  *entry;

    n = asprintf(&entry, " %" PRIu64 " %" PRIu64 " %" PRId64 " %s\n",
                 file->id_dev, file->id_ino, file->id_btime, file->path);

    if (n < 0) {
        return false;
    }

    free(file->entry);
    file->entry = entry;
    file->entry_len = (size_t) n;

    return true;
}

/*
 * What was written and is not in a checkpoint yet must stay listed under this
 * identity: a copy goes to the retired list.  false: no memory.
 */
static bool
beacond_slog_retire(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    uint32_t              n;
    beacond_slog_file_t  *old;

    for (n = 0; n < file->nmarks && file->marks[n].end <= file->written; n++) {
        /* marks of what was written */
    }

    if (file->base == file->written && n == 0) {
        return true;
    }

    old = calloc(1, sizeof(beacond_slog_file_t));

    if (old == NULL) {
        return false;
    }

    *old = *file;
    old->handle = NULL;
    old->path = strdup(file->path);
    old->entry = NULL;

    if (old->path == NULL || !beacond_slog_describe(old)) {
        beacond_slog_file_free(old);
        return false;
    }

    old->head = old->tail = NULL;
    old->dirty = false;
    old->dirty_next = NULL;
    old->total = file->written;

    old->nmarks = n;

    if (n < file->nmarks
        && (n ? file->marks[n - 1].end : file->base) < file->written)
    {
        old->marks[n].end = file->written;      /* of this batch, in part */
        old->nmarks = n + 1;
    }

    old->chain = slog->retired;
    slog->retired = old;

    file->nmarks -= n;
    memmove(file->marks, file->marks + n,
            file->nmarks * sizeof(beacond_slog_mark_t));

    return true;
}

/* Closes a file's handle, with what that takes.  false: not now. */
static bool
beacond_slog_close(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    if (file->handle == NULL) {
        return true;
    }

    if (file->midline || !beacond_slog_retire(slog, file)) {
        return false;
    }

    if (file->unsynced && slog->sync_ms == 0) {
        if (fdatasync(file->handle->fd) == -1) {
            slog->unsynced += file->unsynced;
            beacond_slog_error(slog, "fdatasync()", file->path, errno);
        }

    } else if (file->unsynced && slog->sync_ms > 0) {
        beacond_slog_sync_post(slog, file->handle, file->unsynced);
    }

    beacond_slog_handle_close(file->handle);
    file->handle = NULL;
    file->unsynced = 0;
    file->base = file->written;
    file->listed = false;
    file->reopen = false;
    slog->nopen--;

    return true;
}

/* Takes a path out of the table.  false: it has something to write. */
static bool
beacond_slog_drop(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    beacond_slog_file_t  **p;

    if (!beacond_slog_write_all(slog, file)
        || !beacond_slog_close(slog, file))
    {
        return false;
    }

    beacond_slog_clean(slog);

    for (p = &slog->table[file->hash & slog->table_mask]; *p != file;
         p = &(*p)->chain)
    {
        /* it is there */
    }

    *p = file->chain;
    beacond_slog_lru_out(slog, file);
    slog->nfiles -= !file->overflow;
    slog->generation++;                 /* the cache may point to it */
    beacond_slog_file_free(file);

    return true;
}

/* Makes place for a path: one whose time is over, or that was long idle. */
static bool
beacond_slog_room(beacond_slog_t *slog, int64_t seconds)
{
    beacond_slog_file_t  *file, *newer;

    if (slog->now < slog->room_ms) {
        return false;
    }

    for (file = slog->oldest; file; file = newer) {
        newer = file->newer;

        if (file->pin != slog->seq + 1
            && (file->until <= seconds
                || file->used_ms + BEACOND_SLOG_IDLE_MS <= slog->now)
            && beacond_slog_drop(slog, file)
            && slog->nfiles < slog->max_files)
        {
            return true;
        }
    }

    slog->room_ms = slog->now + BEACOND_SLOG_ROOM_MS;

    return false;
}

/* One that this very batch uses does too: it is opened again when its lines
   are written. */
bool
beacond_slog_spare(beacond_slog_t *slog, const beacond_slog_file_t *but)
{
    beacond_slog_file_t  *file;

    beacond_slog_sync_wait(slog);

    for (file = slog->oldest; file; file = file->newer) {
        if (file == but || file->handle == NULL) {
            continue;
        }

        if (file->listed) {
            (void) beacond_slog_write_all(slog, file);
        }

        if (beacond_slog_close(slog, file)) {
            return true;
        }
    }

    return false;
}

static beacond_slog_file_t *
beacond_slog_file_create(beacond_slog_t *slog, const char *path, size_t len,
    uint64_t hash)
{
    beacond_slog_file_t  *file = calloc(1, sizeof(beacond_slog_file_t));

    if (file == NULL) {
        return NULL;
    }

    file->path = strndup(path, len);

    if (file->path == NULL) {
        free(file);
        return NULL;
    }

    file->path_len = len;
    file->hash = hash;
    file->chain = slog->table[hash & slog->table_mask];
    slog->table[hash & slog->table_mask] = file;
    beacond_slog_lru_in(slog, file);

    return file;
}

beacon_rc_t
beacond_slog_file(beacond_slog_t *slog, const char *path, size_t len,
    int64_t until, int64_t seconds, bool overflow, beacond_slog_file_t **found)
{
    uint64_t              hash = beacond_hash(path, len);
    beacon_rc_t           rc;
    beacond_slog_file_t  *file;

    for (file = slog->table[hash & slog->table_mask]; file;
         file = file->chain)
    {
        if (file->hash == hash && file->path_len == len
            && memcmp(file->path, path, len) == 0)
        {
            break;
        }
    }

    if (file == NULL) {
        if (!overflow && slog->nfiles >= slog->max_files
            && !beacond_slog_room(slog, seconds))
        {
            return BEACON_FULL;
        }

        file = beacond_slog_file_create(slog, path, len, hash);

        if (file == NULL) {
            return BEACON_AGAIN;
        }

        file->overflow = overflow;
        slog->nfiles += !overflow;
    }

    if (until > file->until) {
        file->until = until;
    }

    beacond_slog_use(slog, file);

    if (file->handle == NULL) {
        if (slog->now < file->refused_ms) {
            return BEACON_FULL;
        }

        rc = beacond_slog_open(slog, file);

        if (rc != BEACON_OK) {
            return rc;
        }
    }

    *found = file;

    return BEACON_OK;
}

/*
 * The first line that waits was begun in a file that is gone for good: it is
 * written again as a whole.  Lines stand side by side in their arena, so it
 * starts behind the line break before it.
 */
static void
beacond_slog_rewind(beacond_slog_file_t *file)
{
    size_t                 n;
    uint32_t               i;
    const uint8_t         *start;
    beacond_slog_piece_t  *piece = file->head;

    start = piece->slot->batch->arena;
    start = memrchr(start, '\n', (size_t) (piece->data - start));
    start = start ? start + 1 : piece->slot->batch->arena;

    n = (size_t) (piece->data - start);
    piece->data = start;
    piece->len += n;
    file->total += n;

    for (i = 0; i < file->nmarks; i++) {
        file->marks[i].end += file->marks[i].end > file->written ? n : 0;
    }

    file->midline = false;
}

bool
beacond_slog_reopen(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    const uint8_t  *end;
    struct stat     st;

    BEACOND_POINT("log.before_reopen");

    if (file->midline && fstat(file->handle->fd, &st) == 0
        && st.st_nlink == 0)
    {
        beacond_slog_rewind(file);
    }

    if (file->midline) {
        end = memchr(file->head->data, '\n', file->head->len);
        end++;                          /* whole lines are in one piece */

        if (!beacond_slog_write(slog, file,
                                (uint64_t) (end - file->head->data)))
        {
            return false;
        }
    }

    if (!beacond_slog_close(slog, file)) {
        return false;
    }

    slog->reopened++;

    return true;
}

void
beacond_slog_check(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    struct stat  st, now;

    if (file->handle == NULL || file->reopen
        || fstat(file->handle->fd, &now) == -1)
    {
        return;
    }

    if (now.st_nlink == 0) {
        file->reopen = true;            /* what it got would be lost */
        return;
    }

    if (slog->now - file->checked_ms < BEACOND_SLOG_CHECK_MS) {
        return;
    }

    file->checked_ms = slog->now;

    if (fstatat(AT_FDCWD, file->path, &st, AT_SYMLINK_NOFOLLOW) == -1) {
        file->reopen = errno == ENOENT || errno == ENOTDIR;
        return;
    }

    if (st.st_ino != now.st_ino || st.st_dev != now.st_dev) {
        file->reopen = true;
        return;
    }

    /* cut or added to by somebody else: go on from where it ends */

    file->delta = (int64_t) now.st_size - (int64_t) file->written;
}

void
beacond_slog_tidy(beacond_slog_t *slog)
{
    int64_t               idle;
    beacond_slog_file_t  *file, *newer;

    for (file = slog->oldest; file; file = newer) {
        newer = file->newer;
        idle = slog->now - file->used_ms;

        if (idle < BEACOND_SLOG_CLOSE_MS) {
            break;
        }

        if (file->head) {
            continue;
        }

        if (idle < BEACOND_SLOG_IDLE_MS) {
            (void) beacond_slog_close(slog, file);

        } else {
            (void) beacond_slog_drop(slog, file);
        }
    }
}

void
beacond_slog_files_destroy(beacond_slog_t *slog)
{
    beacond_slog_file_t  *file, *next;

    for (file = slog->oldest; file; file = next) {
        next = file->newer;
        beacond_slog_file_free(file);
    }

    for (file = slog->retired; file; file = next) {
        next = file->chain;
        beacond_slog_file_free(file);
    }

    free(slog->table);
}
