/*
 * For LD_PRELOAD into beacond: system calls that are slow, or told of.
 *
 *     SHIM_BIND_MS=N    bind() returns so much later
 *     SHIM_SYNC_MS=N    fdatasync() takes so much longer
 *     SHIM_SYNCED=FILE  fdatasync() adds the path of its file to FILE
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void
shim_sleep(const char *name)
{
    long             ms;
    const char      *value = getenv(name);
    struct timespec  ts;

    if (value != NULL) {
        ms = atol(value);
        ts.tv_sec = ms / 1000;
        ts.tv_nsec = ms % 1000 * 1000000;
        nanosleep(&ts, NULL);
    }
}

static void
shim_tell(const char *name, int fd)
{
    int          log;
    char         which[64], file[4096];
    ssize_t      n;
    const char  *value = getenv(name);

    if (value == NULL) {
        return;
    }

    snprintf(which, sizeof(which), "/proc/self/fd/%d", fd);
    n = readlink(which, file, sizeof(file) - 1);
    log = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (n > 0 && log != -1) {
        file[n++] = '\n';

        if (write(log, file, (size_t) n) != n) {
            abort();
        }
    }

    if (log != -1) {
        close(log);
    }
}

/* ISO C knows no way from an object's pointer to a function's. */
static void
shim_real(const char *name, void *function)
{
    void  *symbol = dlsym(RTLD_NEXT, name);

    memcpy(function, &symbol, sizeof(symbol));
}

int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    int   rc;
    int (*real)(int, const struct sockaddr *, socklen_t);

    shim_real("bind", (void *) &real);
    rc = real(fd, addr, len);
    shim_sleep("SHIM_BIND_MS");

    return rc;
}

int
fdatasync(int fd)
{
    int   rc;
    int (*real)(int);

    shim_real("fdatasync", (void *) &real);
    shim_sleep("SHIM_SYNC_MS");
    rc = real(fd);
    shim_tell("SHIM_SYNCED", fd);

    return rc;
}
