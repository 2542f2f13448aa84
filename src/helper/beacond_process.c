#include "beacond_process.h"
#include "beacond_control.h"
#include "beacond_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* 50 ms apart: a predecessor's last moments. */
#define BEACOND_LOCK_TRIES  10

/* For a log that takes no lines. */
#define BEACOND_FLUSH_MS    100

static void
beacond_process_taken(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
}

void
beacond_process_block(void)
{
    sigset_t  set;

    beacond_process_taken(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

void
beacond_process_ready(void)
{
    int                 fd;
    size_t              len;
    ssize_t             n = -1;
    const char         *name;
    struct sockaddr_un  addr;

    static const char  ready[] = "READY=1";

    name = getenv("NOTIFY_SOCKET");
    len = name ? strlen(name) : 0;

    if (len < 2 || len >= sizeof(addr.sun_path)
        || (name[0] != '/' && name[0] != '@'))
    {
        return;
    }

    memset(&addr, 0, sizeof(addr));
    addr.sun_family = AF_UNIX;
    memcpy(addr.sun_path, name, len);

    if (name[0] == '@') {
        addr.sun_path[0] = '\0';
    }

    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    /* waits where many tell at once: who is not heard is ended */

    if (fd != -1) {
        n = sendto(fd, ready, sizeof(ready) - 1, MSG_NOSIGNAL,
                   (struct sockaddr *) &addr,
                   (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len));
    }

    if (n == -1) {
        beacond_log(BEACOND_WARN, "could not tell \"%s\" that signals are "
                    "taken: %s", name, strerror(errno));
    }

    if (fd != -1) {
        (void) close(fd);
    }
}

beacon_rc_t
beacond_process_init(bool supervised, int *signals, beacon_err_t *err)
{
    sigset_t       set;
    struct rlimit  rl;

    umask(027);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);           /* EFBIG, as if the disk were full */

    /* nginx closes what we need not know; a service manager may not */
    syscall(SYS_close_range, BEACOND_SUPERVISOR_FD + (supervised ? 1 : 0),
            ~0U, 0);

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }

    beacond_process_taken(&set);
    *signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

    if (*signals < 0) {
        beacon_err(err, "signalfd() failed: %s", strerror(errno));
        return BEACON_SYS;
    }

    return BEACON_OK;
}

/* 1 and not 0: a core that goes to a program has no other limit. */
void
beacond_process_secret(void)
{
    struct rlimit  rl = { 1, 1 };

    (void) setrlimit(RLIMIT_CORE, &rl);
}

beacon_rc_t
beacond_process_user(const char *dir, beacon_err_t *err)
{
    struct stat  st;

    if (stat(dir, &st) != 0) {
        beacon_err(err, "stat(\"%.100s\") failed: %s", dir, strerror(errno));
        return BEACON_SYS;
    }

    if (st.st_uid != geteuid()) {
        beacon_err(err, "this is user %ld, but \"%.100s\" belongs to user "
                   "%ld: run beacond as nginx's workers", (long) geteuid(),
                   dir, (long) st.st_uid);
        return BEACON_INVALID;
    }

    return BEACON_OK;
}

beacon_rc_t
beacond_process_lock(const char *dir, int *lock, beacon_err_t *err)
{
    int           i;
    char          path[4096];
    struct flock  fl;

    snprintf(path, sizeof(path), "%s/beacond.lock", dir);
    *lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (*lock < 0) {
        beacon_err(err, "cannot open \"%.200s\": %s", path, strerror(errno));
        return BEACON_SYS;
    }

    for (i = 0; i < BEACOND_LOCK_TRIES; i++) {
        memset(&fl, 0, sizeof(fl));
        fl.l_type = F_WRLCK;
        fl.l_len = 1;

        if (fcntl(*lock, F_OFD_SETLK, &fl) == 0) {
            return BEACON_OK;
        }

        if (errno != EAGAIN && errno != EACCES) {
            beacon_err(err, "cannot lock \"%.200s\": %s", path,
                       strerror(errno));
            return BEACON_SYS;
        }

        usleep(50000);
    }

    beacon_err(err, "another helper holds \"%.200s\"", path);
    return BEACON_FULL;
}

void
beacond_process_exit(int code)
{
    beacond_log_flush(BEACOND_FLUSH_MS);
    _exit(code);
}
