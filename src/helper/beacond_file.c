#include "beacond_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
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
