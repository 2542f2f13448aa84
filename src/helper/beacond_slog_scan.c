/*
 * What stands in a listed file behind its listed length: ids of whole lines,
 * and the beginning of one that was being written.
 */

#include "beacond_slog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BEACOND_SLOG_READ   (1024 * 1024)
#define BEACOND_SLOG_LAYERS 0x794c7630L /* an overlay: OVERLAYFS_SUPER_MAGIC */

/* A disk may have another number since it was mounted again; but no two files
   are born in the same nanosecond under one number. */
static bool
beacond_slog_is(int fd, const beacond_slog_entry_t *entry)
{
    int64_t   btime;
    uint64_t  dev, ino;

    return beacond_slog_identity(fd, &dev, &ino, &btime) && ino == entry->ino
           && (btime != 0 && entry->btime != 0 ? btime == entry->btime
                                               : dev == entry->dev);
}

/* Looks for a renamed file in its directory; -1: it is not there. */
static int
beacond_slog_search(const beacond_slog_entry_t *entry, const char *dir)
{
    int             fd = -1;
    DIR            *d = opendir(dir);
    struct dirent  *e;

    if (d == NULL) {
        return -1;
    }

    while (fd == -1 && (e = readdir(d)) != NULL) {
        if (e->d_ino != entry->ino
            || (e->d_type != DT_REG && e->d_type != DT_UNKNOWN))
        {
            continue;
        }

        fd = openat(dirfd(d), e->d_name, O_RDWR|O_APPEND|O_NOFOLLOW|O_CLOEXEC
                                         |O_NONBLOCK|O_NOCTTY);

        if (fd != -1 && !beacond_slog_is(fd, entry)) {
            close(fd);
            fd = -1;
        }
    }

    closedir(d);

    return fd;
}

/*
 * Is it the disk that is not there?  Where that was mounted is a directory all
 * the same, of another disk.  The files of an overlay have numbers of their
 * own.
 */
static bool
beacond_slog_away(const beacond_slog_t *slog,
    const beacond_slog_entry_t *entry, const char *dir)
{
    char           gone[PATH_MAX];
    struct stat    st;
    struct statfs  fs;

    if (strncmp(entry->path, slog->dir, slog->dir_len) != 0) {
        return false;
    }

    if (stat(dir, &st) == -1) {
        dir = slog->dir;

        if (stat(dir, &st) == -1) {
            return true;
        }
    }

    beacond_sink_gone(slog->sink, gone);

    return (uint64_t) st.st_dev != entry->dev && statfs(dir, &fs) == 0
           && fs.f_type != BEACOND_SLOG_LAYERS && access(gone, F_OK) == -1;
}

/*
 * Opens a listed file.  -1: errno; ENOENT: it is not there any more, though
 * the disk is that it was on.
 */
static int
beacond_slog_find(const beacond_slog_t *slog,
    const beacond_slog_entry_t *entry)
{
    int          fd, err;
    char         dir[PATH_MAX];
    size_t       len;

    len = (size_t) (strrchr(entry->path, '/') - entry->path);
    memcpy(dir, entry->path, len);
    dir[len] = '\0';

    fd = beacond_slog_walk(dir, len, entry->path, false);

    if (fd != -1 && beacond_slog_is(fd, entry)) {
        return fd;
    }

    err = errno;

    if (fd != -1) {
        close(fd);
        err = ENOENT;
    }

    if (err == EIO || err == EMFILE || err == ENFILE || err == ENOMEM
        || err == EROFS)
    {
        errno = err;
        return -1;
    }

    fd = beacond_slog_search(entry, dir);

    if (fd == -1) {
        errno = beacond_slog_away(slog, entry, dir) ? ENODEV : ENOENT;
    }

    return fd;
}

/* Takes whole lines out of the buffer; false: no place for an id. */
static bool
beacond_slog_scan_lines(beacond_slog_t *slog, beacond_slog_scan_t *scan)
{
    bool               good = true;
    uint8_t           *line = scan->buf, *end;
    beacond_slog_id_t  id;

    while ((end = memchr(line, '\n', scan->len)) != NULL) {
        if (beacond_slog_id_parse(line, (size_t) (end - line), &id)) {
            good = beacond_slog_ids_add(&slog->ids, &id) && good;
        }

        scan->len -= (size_t) (end + 1 - line);
        line = end + 1;
    }

    memmove(scan->buf, line, scan->len);

    return good;
}

/* Reads from an offset to the end, which it returns; -1: errno. */
static off_t
beacond_slog_scan(beacond_slog_t *slog, int fd, off_t at,
    beacond_slog_scan_t *scan)
{
    ssize_t   n;
    uint8_t  *buf;

    for (scan->len = 0; ; at += n) {
        if (scan->len + BEACOND_SLOG_READ > scan->size) {
            buf = realloc(scan->buf, scan->len + BEACOND_SLOG_READ);

            if (buf == NULL) {
                errno = ENOMEM;
                return -1;
            }

            scan->buf = buf;
            scan->size = scan->len + BEACOND_SLOG_READ;
        }

        n = pread(fd, scan->buf + scan->len, BEACOND_SLOG_READ, at);

        if (n <= 0) {
            return n == 0 ? at : -1;
        }

        scan->len += (size_t) n;

        if (!beacond_slog_scan_lines(slog, scan)) {
            slog->possible_duplicates++;
        }
    }
}

/* Keeps a file listed at its old length, and its unfinished end. */
static bool
beacond_slog_keep(beacond_slog_t *slog, const beacond_slog_entry_t *entry,
    int fd, off_t end, const beacond_slog_scan_t *scan)
{
    beacond_slog_file_t  *file = calloc(1, sizeof(beacond_slog_file_t));
    beacond_slog_rest_t  *rest = calloc(1, sizeof(beacond_slog_rest_t));

    if (file) {
        file->id_dev = entry->dev;
        file->id_ino = entry->ino;
        file->id_btime = entry->btime;
    }

    if (file == NULL || rest == NULL
        || (file->path = strdup(entry->path)) == NULL
        || !beacond_slog_describe(file)
        || (rest->text = malloc(scan->len + 1)) == NULL
        || (file->handle = beacond_slog_handle(fd)) == NULL)
    {
        free(rest ? rest->text : NULL);
        free(rest);

        if (file) {
            beacond_slog_file_free(file);
        }

        return false;
    }

    file->path_len = strlen(file->path);
    file->base = entry->length;
    file->total = file->written = (uint64_t) end;
    file->recovered = true;
    file->chain = slog->retired;
    slog->retired = file;

    if (scan->len == 0) {
        beacond_slog_handle_unref(file->handle);
        file->handle = NULL;
        free(rest->text);
        free(rest);
        return true;
    }

    memcpy(rest->text, scan->buf, scan->len);
    rest->len = scan->len;
    rest->file = file;
    rest->next = slog->rests;
    slog->rests = rest;

    return true;
}

beacon_rc_t
beacond_slog_load_file(beacond_slog_t *slog,
    const beacond_slog_entry_t *entry, beacond_slog_scan_t *scan)
{
    int                   fd;
    off_t                 end, at = (off_t) entry->length;
    struct stat           st;
    beacond_slog_file_t  *file;

    fd = beacond_slog_find(slog, entry);

    if (fd == -1 && errno == ENOENT) {
        beacond_slog_error(slog, "recovery", entry->path, ENOENT);
        slog->possible_duplicates++;
        return BEACON_OK;
    }

    if (fd == -1 || fstat(fd, &st) == -1) {
        goto failed;
    }

    if (st.st_size < at) {
        at = 0;                         /* cut by somebody */
    }

    end = beacond_slog_scan(slog, fd, at, scan);

    if (end == -1) {
        goto failed;
    }

    for (file = slog->retired; file; file = file->chain) {
        if (file->id_dev == entry->dev && file->id_ino == entry->ino) {
            break;                      /* listed twice: closed and opened */
        }
    }

    if (file && entry->length < file->base) {
        file->base = entry->length;
    }

    if (file || end == at) {
        close(fd);
        return BEACON_OK;
    }

    if (scan->len && !beacond_slog_lock(fd)) {
        scan->len = 0;                  /* another's line, by now */
    }

    /* these lines will be acknowledged as they stand */

    if (slog->sync_ms == 0 && fdatasync(fd) == -1) {
        goto failed;
    }

    if (!beacond_slog_keep(slog, entry, fd, end, scan)) {
        errno = ENOMEM;
        goto failed;
    }

    return BEACON_OK;

failed:

    beacond_slog_error(slog, "recovery", entry->path, errno);

    if (fd != -1) {
        close(fd);
    }

    return BEACON_AGAIN;
}
