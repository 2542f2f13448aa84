/*
 * Opening a log file.
 *
 * It is reached from the template's fixed directory by openat(), one component
 * after the other and never through a symlink; directories that are missing
 * are made (0750, files 0640: they hold addresses).  The fixed part itself is
 * the administrator's: symlinks in it are followed, and where it is missing
 * nothing is made, as it may be a disk that is not mounted.
 */

#include "beacond_slog.h"
#include "beacond_point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BEACOND_SLOG_TAIL  65536

beacond_slog_handle_t *
beacond_slog_handle(int fd)
{
    beacond_slog_handle_t  *handle = calloc(1, sizeof(*handle));

    if (handle) {
        handle->fd = fd;
        atomic_init(&handle->refs, 1);
    }

    return handle;
}

void
beacond_slog_handle_unref(beacond_slog_handle_t *handle)
{
    if (handle && atomic_fetch_sub(&handle->refs, 1) == 1) {
        close(handle->fd);
        free(handle);
    }
}

/*
 * One writer a file: the lines of two (a sink whose template gives the same
 * path, another helper) would tear each other.  A file system without such
 * locks does without.  The lock goes with the file's place, not with the last
 * reference: a disk may take long for what is left to do.
 */
bool
beacond_slog_lock(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
        return true;
    }

    errno = EBUSY;

    return false;
}

void
beacond_slog_handle_close(beacond_slog_handle_t *handle)
{
    if (handle) {
        flock(handle->fd, LOCK_UN);
        beacond_slog_handle_unref(handle);
    }
}

bool
beacond_slog_identity(int fd, uint64_t *dev, uint64_t *ino, int64_t *btime)
{
    struct statx  st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS|STATX_BTIME, &st)
        == -1)
    {
        return false;
    }

    *dev = makedev(st.stx_dev_major, st.stx_dev_minor);
    *ino = st.stx_ino;
    *btime = (st.stx_mask & STATX_BTIME)
             ? (int64_t) st.stx_btime.tv_sec * 1000000000
               + st.stx_btime.tv_nsec : 0;

    return true;
}

/* Opens a directory below dir, which is closed; -1: errno. */
static int
beacond_slog_down(int dir, const char *name, bool create)
{
    int  fd, flags = O_PATH|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC;
    int  err;

    fd = openat(dir, name, flags);

    if (fd == -1 && errno == ENOENT && create
        && (mkdirat(dir, name, 0750) == 0 || errno == EEXIST))
    {
        fd = openat(dir, name, flags);
    }

    err = errno;
    close(dir);
    errno = err;

    return fd;
}

/* Opens a regular file, and nothing else, in dir. */
static int
beacond_slog_regular(int dir, const char *name, bool create)
{
    int          fd, flags;
    struct stat  st;

    flags = O_RDWR|O_APPEND|O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK|O_NOCTTY;

    /* a look before: opening a device can do things */

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISREG(st.st_mode)) {
            errno = ELOOP;
            return -1;
        }

    } else if (errno != ENOENT || !create) {
        return -1;
    }

    fd = openat(dir, name, flags | (create ? O_CREAT : 0), 0640);

    if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))) {
        close(fd);
        errno = ELOOP;
        return -1;
    }

    return fd;
}

int
beacond_slog_walk(const char *dir, size_t dir_len, const char *path,
    bool create)
{
    int          at, fd, err;
    char         part[PATH_MAX];
    const char  *p, *slash;

    memcpy(part, dir, dir_len);
    part[dir_len] = '\0';
    at = open(part, O_PATH|O_DIRECTORY|O_CLOEXEC);
    p = path + dir_len + 1;

    while (at != -1 && (slash = strchr(p, '/')) != NULL) {
        memcpy(part, p, (size_t) (slash - p));
        part[slash - p] = '\0';
        at = beacond_slog_down(at, part, create);
        p = slash + 1;
    }

    if (at == -1) {
        return -1;
    }

    fd = beacond_slog_regular(at, p, create);
    err = errno;
    close(at);
    errno = err;

    return fd;
}

/* Errors that somebody has to have arranged, and that concern one path. */
static bool
beacond_slog_refused(int err)
{
    return err == ELOOP || err == ENOTDIR || err == EISDIR || err == ENXIO
           || err == EACCES || err == EPERM || err == ENAMETOOLONG
           || err == EBUSY;
}

/*
 * A last line without an end, in a file that no checkpoint of ours tells of:
 * what is ours is cut, as its hit was lost with the ring; anything else gets a
 * line break, so that our lines stay whole.
 */
static bool
beacond_slog_end_of_line(int fd, off_t size)
{
    static const char  ours[] = "{\"v\":1,\"id\":\"";
    ssize_t            n;
    off_t              start;
    size_t             len;
    uint8_t           *buf, *last;
    bool               done = false;

    buf = malloc(BEACOND_SLOG_TAIL);

    if (buf == NULL) {
        return false;
    }

    start = size > BEACOND_SLOG_TAIL ? size - BEACOND_SLOG_TAIL : 0;
    n = pread(fd, buf, BEACOND_SLOG_TAIL, start);

    if (n > 0 && buf[n - 1] == '\n') {
        done = true;

    } else if (n > 0) {
        last = memrchr(buf, '\n', (size_t) n);
        last = last ? last + 1 : buf;
        len = (size_t) (buf + n - last);

        if ((last != buf || start == 0)
            && memcmp(last, ours, len < sizeof(ours) - 1
                                  ? len : sizeof(ours) - 1) == 0)
        {
            done = ftruncate(fd, start + (last - buf)) == 0;

        } else {
            done = write(fd, "\n", 1) == 1;
        }
    }

    free(buf);

    return done;
}

beacon_rc_t
beacond_slog_open(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    int          fd, err;
    struct stat  st;

    while (slog->nopen >= slog->max_open && beacond_slog_spare(slog, file)) {
        /* until there is one to spare */
    }

    do {
        fd = beacond_slog_walk(slog->dir, slog->dir_len, file->path, true);
    } while (fd == -1 && (errno == EMFILE || errno == ENFILE)
             && beacond_slog_spare(slog, file));

    if (fd != -1 && !beacond_slog_lock(fd)) {
        close(fd);
        fd = -1;
        errno = EBUSY;
    }

    if (fd == -1) {
        goto failed;
    }

    BEACOND_POINT("log.after_open");

    if (fstat(fd, &st) == -1
        || !beacond_slog_identity(fd, &file->id_dev, &file->id_ino,
                                  &file->id_btime)
        || !beacond_slog_describe(file)
        || (st.st_size > 0 && (!beacond_slog_end_of_line(fd, st.st_size)
                               || fstat(fd, &st) == -1)))
    {
        goto failed;
    }

    file->handle = beacond_slog_handle(fd);

    if (file->handle == NULL) {
        goto failed;
    }

    slog->nopen++;
    file->delta = (int64_t) st.st_size - (int64_t) file->written;
    file->base = file->written;
    file->listed = false;
    file->midline = false;
    file->checked_ms = slog->now;

    return BEACON_OK;

failed:

    err = errno;
    beacond_slog_error(slog, err == EBUSY ? "another writer has" : "open()",
                       file->path, err);

    if (fd == -1 && beacond_slog_refused(err)) {
        file->refused_ms = slog->now + BEACOND_SLOG_REFUSED_MS;
        return BEACON_FULL;
    }

    if (fd != -1) {
        close(fd);
    }

    return BEACON_AGAIN;
}
