#include "beacond_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* An errno, or 0. */
static int
beacond_file_write(int fd, const char *text, size_t len, bool sync)
{
    ssize_t  n;

    n = write(fd, text, len);

    if (n < 0) {
        return errno;
    }

    if ((size_t) n != len) {
        return ENOSPC;
    }

    return sync && fsync(fd) != 0 ? errno : 0;
}

beacon_rc_t
beacond_file_replace(const char *path, const char *temp, const char *text,
    size_t len, bool sync)
{
    int   fd, error;
    char  name[PATH_MAX + 96];

    if (temp == NULL) {
        snprintf(name, sizeof(name), "%s.temp", path);
        temp = name;
    }

    fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
              0600);
    if (fd < 0) {
        return BEACON_SYS;
    }

    error = beacond_file_write(fd, text, len, sync);

    if (close(fd) != 0 && error == 0) {
        error = errno;
    }

    if (error == 0 && rename(temp, path) == 0) {
        return BEACON_OK;
    }

    error = error != 0 ? error : errno;
    unlink(temp);
    errno = error;

    return BEACON_SYS;
}

static char *
beacond_file_text(int fd, size_t max, struct stat *st, size_t *len)
{
    char     *text;
    ssize_t   n;

    if (fstat(fd, st) != 0) {
        return NULL;
    }

    if (!S_ISREG(st->st_mode) || st->st_size > (off_t) max) {
        errno = S_ISREG(st->st_mode) ? EFBIG : EINVAL;
        return NULL;
    }

    text = malloc((size_t) st->st_size + 1);

    if (text == NULL) {
        return NULL;
    }

    n = read(fd, text, (size_t) st->st_size);

    if (n < 0) {
        free(text);
        return NULL;
    }

    text[n] = '\0';
    *len = (size_t) n;

    return text;
}

char *
beacond_file_read(const char *path, size_t max, struct stat *st, size_t *len)
{
    int    fd, error;
    char  *text;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return NULL;
    }

    text = beacond_file_text(fd, max, st, len);
    error = errno;
    close(fd);
    errno = error;

    return text;
}

static int
beacond_file_size(int fd, size_t size)
{
    int          rc;
    struct stat  st;

    if (fstat(fd, &st) == -1) {
        return -1;
    }

    if (st.st_size > (off_t) size && ftruncate(fd, 0) == -1) {
        return -1;
    }

    rc = posix_fallocate(fd, 0, (off_t) size);

    if (rc != 0) {
        errno = rc;
        return -1;
    }

    return 0;
}

void *
beacond_file_map(const char *path, size_t size)
{
    int    fd, error;
    void  *map = MAP_FAILED;

    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0) {
        return NULL;
    }

    if (beacond_file_size(fd, size) == 0) {
        map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }

    error = errno;
    close(fd);
    errno = error;

    return map == MAP_FAILED ? NULL : map;
}
