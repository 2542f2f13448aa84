#include "beacond_zmq_guard.h"
#include "beacond_clock.h"
#include "beacond_log.h"
#include "beacond_zmq_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BEACOND_ZMQ_SPARE   1024        /* descriptors */
#define BEACOND_ZMQ_KNOWN   (2 * BEACOND_ZMQ_PEERS)

/* libzmq's I/O threads */
#define BEACOND_ZMQ_THREAD  "ZMQbg/IO/"
#define BEACOND_ZMQ_NAME    16          /* of a thread, at most */

/* A socket's inode tells whether the descriptor is still it.  One that is cut
   off is so once: libzmq's thread may take a while to close it. */
typedef struct {
    int    fd;
    bool   cut;
    ino_t  inode;
} beacond_zmq_peer_t;

static struct {
    pthread_mutex_t         mutex;      /* of all of it */
    pthread_cond_t          news;       /* a first peer, or the end */
    pthread_t               thread;
    uint64_t                age;        /* of the thread; one that is not of
                                           this age ends */
    beacond_zmq_ward_t     *wards;      /* NULL: there is no thread */
    uint32_t                nwards;
    uint32_t                npeers;
    beacond_zmq_peer_t      peers[BEACOND_ZMQ_KNOWN];
    uint32_t                over;       /* looks, with too much memory */
    uint64_t                turned_away;
    uint64_t                cut;
    uint64_t                bytes;
    beacond_log_limit_t     limit;
} beacond_zmq_guard = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .news = PTHREAD_COND_INITIALIZER };

/* libzmq may close the descriptor just then, which the inode is for; but
   ThreadSanitizer, which knows fstat(), would call it a race. */
static ino_t
beacond_zmq_inode(int fd)
{
    struct statx  st;

    return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO, &st) == 0
           && S_ISSOCK(st.stx_mode) ? st.stx_ino : 0;
}

/* Locked, as all that follows.  Those who left are forgotten. */
static void
beacond_zmq_tidy(void)
{
    uint32_t             i, n = 0;
    beacond_zmq_peer_t  *peers = beacond_zmq_guard.peers;

    for (i = 0; i < beacond_zmq_guard.npeers; i++) {
        if (beacond_zmq_inode(peers[i].fd) == peers[i].inode) {
            peers[n++] = peers[i];
        }
    }

    beacond_zmq_guard.npeers = n;
}

static void
beacond_zmq_know(int fd)
{
    uint32_t             i, n = beacond_zmq_guard.npeers;
    beacond_zmq_peer_t  *peers = beacond_zmq_guard.peers;

    for (i = 0; i < n && peers[i].fd != fd; i++) { /* void */ }

    if (i < BEACOND_ZMQ_KNOWN) {
        peers[i].fd = fd;
        peers[i].cut = false;
        peers[i].inode = beacond_zmq_inode(fd);
        beacond_zmq_guard.npeers += i == n;
        pthread_cond_broadcast(&beacond_zmq_guard.news);
    }
}

/* Its number may be another's before we are done: so a copy is looked at. */
static bool
beacond_zmq_cut(beacond_zmq_peer_t *peer, bool all)
{
    int  fd, waiting = 0;

    fd = peer->cut ? -1 : fcntl(peer->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        return false;
    }

    if (beacond_zmq_inode(fd) == peer->inode
        && (all || (ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0)))
    {
        shutdown(fd, SHUT_RDWR);
        peer->cut = true;
    }

    close(fd);

    return peer->cut;
}

static void
beacond_zmq_cut_all(const char *why, bool all)
{
    uint32_t  i, n = 0;

    for (i = 0; i < beacond_zmq_guard.npeers; i++) {
        n += beacond_zmq_cut(&beacond_zmq_guard.peers[i], all);
    }

    beacond_zmq_guard.cut += n;

    if (n > 0 && beacond_log_due(&beacond_zmq_guard.limit, NULL)) {
        beacond_log(BEACOND_WARN, "%u ZeroMQ peers are cut off: %s", n, why);
    }
}

static void
beacond_zmq_look(void)
{
    uint32_t             turns;
    beacond_zmq_ward_t  *ward;

    beacond_zmq_guard.bytes = beacond_zmq_memory();

    if (beacond_zmq_guard.bytes
        > beacond_zmq_guard.nwards * BEACOND_ZMQ_MEMORY)
    {
        beacond_zmq_guard.over++;
        beacond_zmq_cut_all("what they sent takes too much memory",
                            beacond_zmq_guard.over > BEACOND_ZMQ_PATIENCE);

    } else if (beacond_zmq_guard.over > 0) {
        beacond_zmq_guard.over = 0;
        beacond_zmq_memory_purge();
    }

    for (ward = beacond_zmq_guard.wards; ward != NULL; ward = ward->next) {
        turns = ward->turns;
        ward->held = turns != 0 && turns == ward->seen ? ward->held + 1 : 0;
        ward->seen = turns;

        if (ward->held > BEACOND_ZMQ_PATIENCE) {
            beacond_zmq_cut_all("they keep a thread busy", false);
        }
    }
}

static void *
beacond_zmq_guard_run(void *data)
{
    uint64_t  age = (uint64_t) (uintptr_t) data;

    pthread_mutex_lock(&beacond_zmq_guard.mutex);

    while (age == beacond_zmq_guard.age) {
        beacond_zmq_tidy();

        if (beacond_zmq_guard.npeers == 0 && beacond_zmq_guard.over == 0) {
            pthread_cond_wait(&beacond_zmq_guard.news,
                              &beacond_zmq_guard.mutex);
            continue;
        }

        beacond_zmq_look();
        beacond_cond_wait(&beacond_zmq_guard.news, &beacond_zmq_guard.mutex,
                          BEACOND_ZMQ_LOOK * BEACOND_MS);
    }

    pthread_mutex_unlock(&beacond_zmq_guard.mutex);

    return NULL;
}

static void
beacond_zmq_guard_init(void)
{
    beacond_cond_init(&beacond_zmq_guard.news);
}

beacon_rc_t
beacond_zmq_guard_begin(beacond_zmq_ward_t *ward)
{
    beacon_rc_t            rc = BEACON_OK;
    static pthread_once_t  once = PTHREAD_ONCE_INIT;

    pthread_mutex_lock(&beacond_zmq_guard.mutex);

    pthread_once(&once, beacond_zmq_guard_init);

    if (beacond_zmq_guard.wards == NULL) {
        if (pthread_create(&beacond_zmq_guard.thread, NULL,
                           beacond_zmq_guard_run,
                           (void *) (uintptr_t) beacond_zmq_guard.age) != 0)
        {
            rc = BEACON_SYS;
        }
    }

    if (rc == BEACON_OK) {
        ward->turns = ward->held = 0;
        ward->next = beacond_zmq_guard.wards;
        beacond_zmq_guard.wards = ward;
        beacond_zmq_guard.nwards++;
    }

    pthread_mutex_unlock(&beacond_zmq_guard.mutex);

    return rc;
}

void
beacond_zmq_guard_end(beacond_zmq_ward_t *ward)
{
    bool                  last;
    pthread_t             thread;
    beacond_zmq_ward_t  **link = &beacond_zmq_guard.wards;

    pthread_mutex_lock(&beacond_zmq_guard.mutex);

    while (*link != ward) {
        link = &(*link)->next;
    }

    *link = ward->next;
    beacond_zmq_guard.nwards--;
    last = beacond_zmq_guard.wards == NULL;
    beacond_zmq_guard.age += last;
    thread = beacond_zmq_guard.thread;
    pthread_cond_broadcast(&beacond_zmq_guard.news);
    pthread_mutex_unlock(&beacond_zmq_guard.mutex);

    /* another sink may begin with a guard of its own by now */

    if (last) {
        pthread_join(thread, NULL);
    }
}

void
beacond_zmq_guard_turn(beacond_zmq_ward_t *ward)
{
    beacond_zmq_memory_join();
    ward->turns++;
}

void
beacond_zmq_guard_add(int fd)
{
    pthread_mutex_lock(&beacond_zmq_guard.mutex);
    beacond_zmq_know(fd);
    pthread_mutex_unlock(&beacond_zmq_guard.mutex);
}

void
beacond_zmq_guard_stats(beacond_zmq_guard_stats_t *stats)
{
    pthread_mutex_lock(&beacond_zmq_guard.mutex);
    stats->peers = beacond_zmq_guard.npeers;
    stats->turned_away = beacond_zmq_guard.turned_away;
    stats->cut = beacond_zmq_guard.cut;
    stats->bytes = beacond_zmq_guard.bytes;
    pthread_mutex_unlock(&beacond_zmq_guard.mutex);
}

/* Is one of the last descriptors, which others may need, or one too many? */
static bool
beacond_zmq_crowded(int fd)
{
    rlim_t         spare;
    struct rlimit  rl;

    if (beacond_zmq_guard.npeers >= BEACOND_ZMQ_PEERS) {
        beacond_zmq_tidy();
    }

    if (beacond_zmq_guard.npeers >= BEACOND_ZMQ_PEERS) {
        return true;
    }

    if (getrlimit(RLIMIT_NOFILE, &rl) != 0) {
        return false;
    }

    spare = rl.rlim_cur / 4 < BEACOND_ZMQ_SPARE ? rl.rlim_cur / 4
                                                : BEACOND_ZMQ_SPARE;

    return (rlim_t) fd >= rl.rlim_cur - spare;
}

/* In libzmq's I/O thread: a peer of a socket that one of us bound. */
static int
beacond_zmq_admit(int fd)
{
    bool  crowded;

    beacond_zmq_memory_join();
    pthread_mutex_lock(&beacond_zmq_guard.mutex);
    crowded = beacond_zmq_crowded(fd);

    if (crowded) {
        beacond_zmq_guard.turned_away++;

    } else {
        beacond_zmq_know(fd);
    }

    pthread_mutex_unlock(&beacond_zmq_guard.mutex);

    if (!crowded) {
        return fd;
    }

    close(fd);
    errno = ECONNABORTED;

    return -1;
}

/*
 * libc's, as libzmq calls it.  What it says is what libzmq 4.3.4 stands at an
 * ipc socket, too: ENFILE for EMFILE, ECONNABORTED for who is turned away.
 * The control socket is of packets, and none of its business.
 */
int beacond_zmq_accept(int listener, struct sockaddr *addr, socklen_t *len,
    int flags) __asm__("accept4");

int
beacond_zmq_accept(int listener, struct sockaddr *addr, socklen_t *len,
    int flags)
{
    int        fd, type = 0;
    socklen_t  size = sizeof(type);

    fd = (int) syscall(SYS_accept4, listener, addr, len, flags);

    if (fd < 0) {
        errno = errno == EMFILE ? ENFILE : errno;
        return fd;
    }

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0
        && type == SOCK_STREAM)
    {
        return beacond_zmq_admit(fd);
    }

    return fd;
}

/*
 * The same of connect(): a libzmq that never accepted anybody, as a tail's, or
 * of a master that connects to its edges, allocates where it is counted, too.
 * Whoever else connects is let be.
 */
int beacond_zmq_reach(int fd, const struct sockaddr *addr, socklen_t len)
    __asm__("connect");

int
beacond_zmq_reach(int fd, const struct sockaddr *addr, socklen_t len)
{
    char  name[BEACOND_ZMQ_NAME];

    if (pthread_getname_np(pthread_self(), name, sizeof(name)) == 0
        && strncmp(name, BEACOND_ZMQ_THREAD, strlen(BEACOND_ZMQ_THREAD)) == 0)
    {
        beacond_zmq_memory_join();
    }

    return (int) syscall(SYS_connect, fd, addr, len);
}
