/* Room for peers, while libzmq cannot be without a descriptor for one. */

#include "beacond_zmq.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BEACOND_ZMQ_PEERS  1024
#define BEACOND_ZMQ_SPARE  1024         /* descriptors */

/* A quarter of all, if that is less. */
static uint64_t
beacond_zmq_quarter(uint64_t limit, uint64_t most)
{
    return limit / 4 < most ? limit / 4 : most;
}

const char *
beacond_zmq_crowded(uint32_t peers)
{
    int            fd;
    struct rlimit  rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) != 0) {
        return NULL;
    }

    if (peers > beacond_zmq_quarter(rl.rlim_cur, BEACOND_ZMQ_PEERS)) {
        return "there are too many peers";
    }

    /* the lowest number that is free tells how many are not, or nearly so */

    fd = eventfd(0, EFD_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }

    return fd < 0 || (uint64_t) fd + beacond_zmq_quarter(rl.rlim_cur,
                                                         BEACOND_ZMQ_SPARE)
                     >= rl.rlim_cur
           ? "too few descriptors are left" : NULL;
}

/*
 * libc's, as libzmq calls it: 4.3.4 takes EMFILE at an ipc socket for a fault
 * of its own, and aborts; ENFILE, which means "not now" just as well, it
 * stands.  What an executable defines comes before what a library does; it is
 * in this file so that it is always linked.
 */
int beacond_zmq_accept(int listener, struct sockaddr *addr, socklen_t *len,
    int flags) __asm__("accept4");

int
beacond_zmq_accept(int listener, struct sockaddr *addr, socklen_t *len,
    int flags)
{
    long  fd;

    fd = syscall(SYS_accept4, listener, addr, len, flags);

    if (fd < 0 && errno == EMFILE) {
        errno = ENFILE;
    }

    return (int) fd;
}
