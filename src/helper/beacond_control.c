#include "beacond_control.h"
#include "beacond_log.h"
#include "beacond_point.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BEACOND_CONTROL_LINE   512
#define BEACOND_CONTROL_PAUSE  1000     /* ms, when there are no descriptors */

/* Peers. */

static void
beacond_peer_close(beacond_control_t *control, beacond_peer_t *peer)
{
    bool  supervisor;

    supervisor = peer->supervisor;

    close(peer->fd);
    peer->fd = -1;
    peer->supervisor = false;
    peer->stopper = false;

    if (supervisor) {
        control->ops->orphaned(control->data);
    }
}

/* A peer that does not read its messages is closed at its next poll. */
__attribute__((format(printf, 2, 3)))
static void
beacond_peer_tell(beacond_peer_t *peer, const char *fmt, ...)
{
    int      n;
    char     line[BEACOND_CONTROL_LINE];
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);

    if (n >= (int) sizeof(line)) {
        n = (int) sizeof(line) - 1;
    }

    if (send(peer->fd, line, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        shutdown(peer->fd, SHUT_RDWR);
    }
}

static void
beacond_peer_hello(const beacond_control_t *control, beacond_peer_t *peer)
{
    beacond_peer_tell(peer, "HELLO %s %" PRIu64 " %ld", BEACON_VERSION,
                      control->generation, (long) getpid());
}

/* What peers ask for. */

/* peer supervises from now on; whoever did so, or wanted a stop, is told. */
static void
beacond_control_supervise(beacond_control_t *control, beacond_peer_t *peer,
    uint64_t generation)
{
    int  i;

    for (i = 0; i < BEACOND_CONTROL_PEERS; i++) {
        if (&control->peers[i] == peer || control->peers[i].fd == -1) {
            continue;
        }

        if (control->peers[i].supervisor || control->peers[i].stopper) {
            control->peers[i].supervisor = false;
            control->peers[i].stopper = false;
            beacond_peer_tell(&control->peers[i], "DISPLACED %" PRIu64,
                              generation);
        }
    }

    peer->supervisor = true;
    control->generation = generation;
}

static void
beacond_control_adopt(beacond_control_t *control, beacond_peer_t *peer,
    uint64_t generation)
{
    beacon_rc_t   rc;
    beacon_err_t  err;

    beacond_control_supervise(control, peer, generation);
    peer->stopper = false;

    BEACOND_POINT("adopt");
    rc = control->ops->adopt(control->data, generation, &err);
    BEACOND_POINT("adopted");

    if (rc == BEACON_OK) {
        beacond_peer_tell(peer, "ADOPTED %" PRIu64, generation);

    } else {
        beacond_peer_tell(peer, "FAILED %s", err.text);
    }
}

static void
beacond_control_stop(beacond_control_t *control, beacond_peer_t *peer, int ms,
    uint64_t generation)
{
    /* a successor with another build: the old manager must not start the old
       one again */
    if (generation > control->generation) {
        beacond_control_supervise(control, peer, generation);
    }

    peer->stopper = true;

    BEACOND_POINT("stop");
    control->ops->stop(control->data, ms);
}

static void
beacond_control_line(beacond_control_t *control, beacond_peer_t *peer,
    const char *line)
{
    int       ms, end;
    bool      adopt, stop;
    uint64_t  generation;

    end = 0;
    adopt = (sscanf(line, "ADOPT %" SCNu64 "%n", &generation, &end) == 1
             && line[end] == '\0');
    stop = !adopt && (sscanf(line, "STOP %d %" SCNu64 "%n", &ms, &generation,
                             &end) == 2
                      && line[end] == '\0' && ms >= 0);

    if ((adopt || stop) && generation < control->generation) {
        beacond_peer_tell(peer, "DISPLACED %" PRIu64, control->generation);

    } else if (adopt) {
        beacond_control_adopt(control, peer, generation);

    } else if (stop) {
        beacond_control_stop(control, peer, ms, generation);

    } else if (strcmp(line, "REOPEN") == 0) {
        BEACOND_POINT("reopen");
        control->ops->reopen(control->data);

    } else {
        beacond_log(BEACOND_WARN, "unknown request \"%.100s\" on the control "
                    "socket", line);
    }
}

/*
 * A manager sends its standard error along, nginx's error log, which may be
 * another file since it started us (USR1, a changed error_log).
 */
static void
beacond_control_take_fd(const beacond_control_t *control, struct msghdr *msg)
{
    int              fd;
    struct cmsghdr  *cmsg;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS
            || cmsg->cmsg_len != CMSG_LEN(sizeof(int)))
        {
            continue;
        }

        memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));

        if (control->supervised) {
            beacond_log_take(fd);

        } else {
            close(fd);
        }
    }
}

static void
beacond_control_read(beacond_control_t *control, beacond_peer_t *peer)
{
    char           line[BEACOND_CONTROL_LINE];
    ssize_t        n;
    struct iovec   iov;
    struct msghdr  msg;
    union {
        char            bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr  align;
    } rights;

    memset(&msg, 0, sizeof(msg));
    iov.iov_base = line;
    iov.iov_len = sizeof(line) - 1;
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = rights.bytes;
    msg.msg_controllen = sizeof(rights.bytes);

    n = recvmsg(peer->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }

    if (n <= 0) {
        beacond_peer_close(control, peer);
        return;
    }

    line[n] = '\0';
    beacond_control_take_fd(control, &msg);
    beacond_control_line(control, peer, line);
}

static void
beacond_control_accept(beacond_control_t *control, int64_t now_ms)
{
    int  fd, i;

    fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            beacond_log(BEACOND_ERROR, "cannot accept on %s: %s",
                        control->path, strerror(errno));
            control->paused_ms = now_ms + BEACOND_CONTROL_PAUSE;
        }

        return;
    }

    for (i = 0; i < BEACOND_CONTROL_PEERS; i++) {
        if (control->peers[i].fd == -1) {
            control->peers[i].fd = fd;
            beacond_peer_hello(control, &control->peers[i]);
            return;
        }
    }

    close(fd);
}

/* The whole. */

beacon_rc_t
beacond_control_init(beacond_control_t *control,
    const beacond_control_ops_t *ops, void *data, bool supervised,
    beacon_err_t *err)
{
    int          i;
    struct stat  st;

    memset(control, 0, sizeof(*control));
    control->ops = ops;
    control->data = data;
    control->listener = -1;
    control->supervised = supervised;

    for (i = 0; i < BEACOND_CONTROL_PEERS; i++) {
        control->peers[i].fd = -1;
    }

    if (!supervised) {
        return BEACON_OK;
    }

    if (fstat(BEACOND_SUPERVISOR_FD, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        beacon_err(err, "--supervised wants a socket as file descriptor %d",
                   BEACOND_SUPERVISOR_FD);
        return BEACON_INVALID;
    }

    fcntl(BEACOND_SUPERVISOR_FD, F_SETFD, FD_CLOEXEC);
    control->peers[0].fd = BEACOND_SUPERVISOR_FD;
    control->peers[0].supervisor = true;

    return BEACON_OK;
}

beacon_rc_t
beacond_control_listen(beacond_control_t *control, const char *dir,
    uint64_t generation, beacon_err_t *err)
{
    int                 fd, rc;
    struct sockaddr_un  addr;

    memset(&addr, 0, sizeof(addr));
    addr.sun_family = AF_UNIX;
    rc = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir,
                  BEACOND_SOCKET);

    if (rc >= (int) sizeof(addr.sun_path)) {
        beacon_err(err, "\"%s\" is too long for a socket's name", dir);
        return BEACON_INVALID;
    }

    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        beacon_err(err, "socket() failed: %s", strerror(errno));
        return BEACON_SYS;
    }

    /* no umask(): it is one for all threads, and logs make files by now */

    unlink(addr.sun_path);
    rc = bind(fd, (struct sockaddr *) &addr, sizeof(addr));

    if (rc != 0 || chmod(addr.sun_path, 0600) != 0
        || listen(fd, BEACOND_CONTROL_PEERS) != 0)
    {
        beacon_err(err, "cannot listen on \"%s\": %s", addr.sun_path,
                   strerror(errno));
        close(fd);
        return BEACON_SYS;
    }

    strcpy(control->path, addr.sun_path);
    control->listener = fd;
    control->generation = generation;

    if (control->peers[0].fd != -1) {
        beacond_peer_hello(control, &control->peers[0]);
    }

    return BEACON_OK;
}

nfds_t
beacond_control_polls(beacond_control_t *control,
    struct pollfd polls[BEACOND_CONTROL_POLLS], int64_t now_ms)
{
    int     i;
    nfds_t  n;

    n = 0;

    if (control->listener != -1 && now_ms >= control->paused_ms) {
        polls[n].fd = control->listener;
        polls[n].events = POLLIN;
        polls[n++].revents = 0;
    }

    for (i = 0; i < BEACOND_CONTROL_PEERS; i++) {
        if (control->peers[i].fd != -1) {
            polls[n].fd = control->peers[i].fd;
            polls[n].events = POLLIN;
            polls[n++].revents = 0;
        }
    }

    return n;
}

void
beacond_control_handle(beacond_control_t *control, const struct pollfd *polls,
    nfds_t n, int64_t now_ms)
{
    int     j;
    nfds_t  i;

    for (i = 0; i < n; i++) {
        if (polls[i].revents == 0) {
            continue;
        }

        for (j = 0; j < BEACOND_CONTROL_PEERS; j++) {
            if (control->peers[j].fd == polls[i].fd) {
                beacond_control_read(control, &control->peers[j]);
                break;
            }
        }
    }

    /* last: a descriptor that was closed above may be given out again here */
    if (n > 0 && polls[0].fd == control->listener && polls[0].revents != 0) {
        beacond_control_accept(control, now_ms);
    }
}

void
beacond_control_tell(beacond_control_t *control, const char *fmt, ...)
{
    int      i;
    char     line[BEACOND_CONTROL_LINE];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);

    for (i = 0; i < BEACOND_CONTROL_PEERS; i++) {
        if (control->peers[i].fd != -1
            && (control->peers[i].supervisor || control->peers[i].stopper))
        {
            beacond_peer_tell(&control->peers[i], "%s", line);
        }
    }
}

void
beacond_control_dispose(beacond_control_t *control)
{
    int  i;

    if (control->listener != -1) {
        unlink(control->path);
        close(control->listener);
        control->listener = -1;
    }

    for (i = 0; i < BEACOND_CONTROL_PEERS; i++) {
        if (control->peers[i].fd != -1) {
            close(control->peers[i].fd);
            control->peers[i].fd = -1;
        }
    }
}
