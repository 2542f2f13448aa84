#include "beacond_zmq.h"
#include "beacond_zmq_guard.h"
#include "beacon_endpoint.h"

#include <zmq.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BEACOND_ZMQ_BACKLOG     128
#define BEACOND_ZMQ_HANDSHAKE   10000           /* ms */
#define BEACOND_ZMQ_HEARTBEAT   5000
#define BEACOND_ZMQ_SILENCE     15000
#define BEACOND_ZMQ_AGAIN       100             /* ms until it connects anew, */
#define BEACOND_ZMQ_AGAIN_MAX   5000            /*   at most */
#define BEACOND_ZMQ_IDLE        60              /* s, TCP's own */
#define BEACOND_ZMQ_KEY_BYTES   32
#define BEACOND_ZMQ_DOMAIN      "beacon"
#define BEACOND_ZAP_ENDPOINT    "inproc://zeromq.zap.01"
#define BEACOND_ZAP_FRAME       256
#define BEACOND_ZAP_FRAMES      7

struct beacond_zmq_s {
    void              *context;
    beacond_curve_t   *curve;           /* NULL: none */
    uint8_t          (*peers)[BEACOND_ZMQ_KEY_BYTES];
    void              *zap;             /* the thread's socket */
    pthread_t          thread;
    bool               running;
    bool               guarded;
    beacond_zmq_ward_t ward;
    _Atomic uint64_t   refused;
};

/* Keys. */

bool
beacond_zmq_key(const char *key)
{
    uint8_t  bytes[BEACOND_ZMQ_KEY_BYTES];

    return strlen(key) == BEACOND_CURVE_KEY
           && strspn(key, "0123456789abcdefghijklmnopqrstuvwxyz"
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#")
              == BEACOND_CURVE_KEY
           && zmq_z85_decode(bytes, key) != NULL;
}

bool
beacond_zmq_pair(const char *own, const char *secret)
{
    char  derived[BEACOND_CURVE_KEY + 1];

    return zmq_curve_public(derived, secret) == 0
           && strcmp(derived, own) == 0;
}

/* ZAP: a request is version, id, domain, address, identity, mechanism and,
   for CURVE, the peer's key. */

typedef struct {
    size_t   len[BEACOND_ZAP_FRAMES];
    uint8_t  data[BEACOND_ZAP_FRAMES][BEACOND_ZAP_FRAME];
} beacond_zap_t;

/* -1: the context is going. */
static int
beacond_zap_receive(void *socket, beacond_zap_t *zap)
{
    int      n, more = 1;
    uint8_t  skipped[BEACOND_ZAP_FRAME];
    size_t   i, size;

    memset(zap, 0, sizeof(beacond_zap_t));

    for (i = 0; more; i++) {
        n = zmq_recv(socket, i < BEACOND_ZAP_FRAMES ? zap->data[i] : skipped,
                     BEACOND_ZAP_FRAME, 0);

        if (n < 0 && errno == EINTR) {
            i--;
            continue;
        }

        if (n < 0) {
            return -1;
        }

        if (i < BEACOND_ZAP_FRAMES) {
            zap->len[i] = (size_t) n;
        }

        size = sizeof(more);

        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0) {
            return -1;
        }
    }

    return 0;
}

static bool
beacond_zap_is(const beacond_zap_t *zap, size_t i, const char *text)
{
    return zap->len[i] == strlen(text)
           && memcmp(zap->data[i], text, zap->len[i]) == 0;
}

static bool
beacond_zap_admits(const beacond_zmq_t *zmq, const beacond_zap_t *zap)
{
    size_t  i;

    if (!beacond_zap_is(zap, 0, "1.0") || !beacond_zap_is(zap, 5, "CURVE")
        || zap->len[6] != BEACOND_ZMQ_KEY_BYTES)
    {
        return false;
    }

    for (i = 0; i < zmq->curve->npeers; i++) {
        if (memcmp(zmq->peers[i], zap->data[6], BEACOND_ZMQ_KEY_BYTES) == 0) {
            return true;
        }
    }

    return false;
}

static void *
beacond_zap_run(void *data)
{
    bool            good;
    beacond_zap_t   zap;
    beacond_zmq_t  *zmq = data;

    while (beacond_zap_receive(zmq->zap, &zap) == 0) {
        good = beacond_zap_admits(zmq, &zap);
        zmq->refused += !good;

        zmq_send(zmq->zap, "1.0", 3, ZMQ_SNDMORE);
        zmq_send(zmq->zap, zap.data[1], zap.len[1] < BEACOND_ZAP_FRAME
                 ? zap.len[1] : BEACOND_ZAP_FRAME, ZMQ_SNDMORE);
        zmq_send(zmq->zap, good ? "200" : "400", 3, ZMQ_SNDMORE);
        zmq_send(zmq->zap, good ? "OK" : "no", 2, ZMQ_SNDMORE);
        zmq_send(zmq->zap, "", 0, ZMQ_SNDMORE);
        zmq_send(zmq->zap, "", 0, 0);
    }

    zmq_close(zmq->zap);

    return NULL;
}

static beacon_rc_t
beacond_zap_start(beacond_zmq_t *zmq)
{
    size_t  i;

    zmq->peers = calloc(zmq->curve->npeers, BEACOND_ZMQ_KEY_BYTES);
    zmq->zap = zmq_socket(zmq->context, ZMQ_REP);

    if (zmq->peers == NULL || zmq->zap == NULL
        || zmq_bind(zmq->zap, BEACOND_ZAP_ENDPOINT) != 0)
    {
        return BEACON_SYS;
    }

    for (i = 0; i < zmq->curve->npeers; i++) {
        if (zmq_z85_decode(zmq->peers[i], zmq->curve->peers[i]) == NULL) {
            return BEACON_INVALID;
        }
    }

    if (pthread_create(&zmq->thread, NULL, beacond_zap_run, zmq) != 0) {
        return BEACON_SYS;
    }

    zmq->running = true;

    return BEACON_OK;
}

/* The context. */

beacond_zmq_t *
beacond_zmq_create(beacond_curve_t *curve, beacon_err_t *err)
{
    beacon_rc_t     rc = BEACON_SYS;
    beacond_zmq_t  *zmq;

    zmq = calloc(1, sizeof(beacond_zmq_t));

    if (zmq == NULL) {
        beacon_err(err, "out of memory");
        return NULL;
    }

    zmq->curve = curve;
    zmq->guarded = beacond_zmq_guard_begin(&zmq->ward) == BEACON_OK;
    zmq->context = zmq->guarded ? zmq_ctx_new() : NULL;

    if (zmq->context != NULL) {
        rc = curve != NULL && curve->npeers > 0 ? beacond_zap_start(zmq)
                                                : BEACON_OK;
    }

    if (rc != BEACON_OK) {
        beacon_err(err, "cannot begin with ZeroMQ: %s", zmq_strerror(errno));
        zmq->curve = NULL;
        beacond_zmq_destroy(zmq);
        return NULL;
    }

    return zmq;
}

void
beacond_zmq_destroy(beacond_zmq_t *zmq)
{
    if (zmq == NULL) {
        return;
    }

    if (zmq->context != NULL) {
        zmq_ctx_shutdown(zmq->context);
    }

    if (zmq->running) {
        pthread_join(zmq->thread, NULL);

    } else if (zmq->zap != NULL) {
        zmq_close(zmq->zap);
    }

    if (zmq->context != NULL) {
        while (zmq_ctx_term(zmq->context) != 0 && errno == EINTR) {
            /* once more */
        }
    }

    if (zmq->guarded) {
        beacond_zmq_guard_end(&zmq->ward);
    }

    beacond_curve_destroy(zmq->curve);
    free(zmq->peers);
    free(zmq);
}

uint64_t
beacond_zmq_refused(const beacond_zmq_t *zmq)
{
    return zmq->refused;
}

void
beacond_zmq_turn(beacond_zmq_t *zmq)
{
    beacond_zmq_guard_turn(&zmq->ward);
}

/* Sockets. */

void *
beacond_zmq_socket(beacond_zmq_t *zmq, int type, int mark, int64_t longest,
    beacon_err_t *err)
{
    void    *socket;
    size_t   i;

    const struct {
        int  name;
        int  value;
    } options[] = {
        { ZMQ_LINGER, 0 },
        { ZMQ_SNDHWM, mark },
        { ZMQ_RCVHWM, mark },
        { ZMQ_IPV6, 1 },
        { ZMQ_BACKLOG, BEACOND_ZMQ_BACKLOG },
        { ZMQ_HANDSHAKE_IVL, BEACOND_ZMQ_HANDSHAKE },
        { ZMQ_HEARTBEAT_IVL, BEACOND_ZMQ_HEARTBEAT },
        { ZMQ_HEARTBEAT_TIMEOUT, BEACOND_ZMQ_SILENCE },
        { ZMQ_RECONNECT_IVL, BEACOND_ZMQ_AGAIN },
        { ZMQ_RECONNECT_IVL_MAX, BEACOND_ZMQ_AGAIN_MAX },
        { ZMQ_TCP_KEEPALIVE, 1 },
        { ZMQ_TCP_KEEPALIVE_IDLE, BEACOND_ZMQ_IDLE },
        { ZMQ_TCP_MAXRT, BEACOND_ZMQ_IDLE * 1000 }
    };

    socket = zmq_socket(zmq->context, type);

    if (socket == NULL) {
        goto failed;
    }

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (zmq_setsockopt(socket, options[i].name, &options[i].value,
                           sizeof(int)) != 0)
        {
            goto failed;
        }
    }

    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &longest, sizeof(longest))
        == 0)
    {
        return socket;
    }

failed:

    beacon_err(err, "cannot make a ZeroMQ socket: %s", zmq_strerror(errno));
    beacond_zmq_close(socket);

    return NULL;
}

void
beacond_zmq_close(void *socket)
{
    if (socket != NULL) {
        zmq_close(socket);
    }
}

/* What is bound or connected next is a server, or a client. */
static int
beacond_zmq_curve(const beacond_zmq_t *zmq, void *socket, int server)
{
    const beacond_curve_t  *curve = zmq->curve;

    if (curve == NULL) {
        return 0;
    }

    if (zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, curve->own,
                       sizeof(beacond_key_t)) != 0
        || zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, curve->secret,
                          sizeof(beacond_key_t)) != 0)
    {
        return -1;
    }

    if (!server) {
        return zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, curve->server,
                              sizeof(beacond_key_t));
    }

    if (zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, BEACOND_ZMQ_DOMAIN,
                       sizeof(BEACOND_ZMQ_DOMAIN) - 1) != 0)
    {
        return -1;
    }

    return zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &server, sizeof(server));
}

/* Makes way for a socket: removes a dead one.  0; -1 with errno. */
static int
beacond_zmq_way(const struct sockaddr_un *addr)
{
    int          fd, rc;
    struct stat  st;

    if (lstat(addr->sun_path, &st) != 0) {
        return errno == ENOENT ? 0 : -1;
    }

    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return -1;
    }

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }

    rc = connect(fd, (const struct sockaddr *) addr, sizeof(*addr));
    rc = rc != 0 && errno == ECONNREFUSED ? 0 : -1;
    close(fd);

    if (rc != 0) {
        errno = EADDRINUSE;
        return -1;
    }

    return unlink(addr->sun_path);
}

/*
 * A socket that listens; -1 with errno.  libzmq would remove whatever has its
 * name, a living one too, and leave the mode to the process's mask.
 */
static int
beacond_zmq_listen(const char *path)
{
    int                 fd, error;
    struct sockaddr_un  addr;

    memset(&addr, 0, sizeof(addr));
    addr.sun_family = AF_UNIX;

    if (strlen(path) >= sizeof(addr.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }

    memcpy(addr.sun_path, path, strlen(path));

    if (beacond_zmq_way(&addr) != 0) {
        return -1;
    }

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }

    /* the mode it is made with, so that nobody is faster than a chmod() */

    if (fchmod(fd, 0600) == 0
        && bind(fd, (const struct sockaddr *) &addr, sizeof(addr)) == 0
        && chmod(path, 0660) == 0
        && listen(fd, BEACOND_ZMQ_BACKLOG) == 0)
    {
        return fd;
    }

    error = errno;
    close(fd);
    errno = error;

    return -1;
}

static int
beacond_zmq_bind_ipc(void *socket, const char *endpoint)
{
    int  fd, rc, error, none = -1;

    fd = beacond_zmq_listen(endpoint + sizeof("ipc://") - 1);

    if (fd < 0) {
        return -1;
    }

    rc = zmq_setsockopt(socket, ZMQ_USE_FD, &fd, sizeof(fd));

    if (rc == 0) {
        rc = zmq_bind(socket, endpoint);
        error = errno;
        zmq_setsockopt(socket, ZMQ_USE_FD, &none, sizeof(none));
        errno = error;
    }

    if (rc != 0) {
        error = errno;
        close(fd);
        errno = error;
    }

    return rc;
}

beacon_rc_t
beacond_zmq_bind(beacond_zmq_t *zmq, void *socket, const char *endpoint,
    beacon_err_t *err)
{
    int  rc;

    rc = beacond_zmq_curve(zmq, socket, 1);

    if (rc == 0) {
        rc = strncmp(endpoint, "ipc://", 6) == 0
             ? beacond_zmq_bind_ipc(socket, endpoint)
             : zmq_bind(socket, endpoint);
    }

    if (rc == 0) {
        return BEACON_OK;
    }

    beacon_err(err, "cannot bind \"%.150s\": %s", endpoint,
               zmq_strerror(errno));

    return errno == EADDRINUSE ? BEACON_FULL : BEACON_SYS;
}

beacon_rc_t
beacond_zmq_connect(beacond_zmq_t *zmq, void *socket, const char *endpoint,
    beacon_err_t *err)
{
    if (beacond_zmq_curve(zmq, socket, 0) == 0
        && zmq_connect(socket, endpoint) == 0)
    {
        return BEACON_OK;
    }

    beacon_err(err, "cannot connect to \"%.150s\": %s", endpoint,
               zmq_strerror(errno));

    return BEACON_SYS;
}

/* Who is connected. */

beacon_rc_t
beacond_zmq_watch(beacond_zmq_t *zmq, void *socket,
    beacond_zmq_watch_t *watch)
{
    int   all = 0;
    char  name[64];

    watch->peers = 0;
    snprintf(name, sizeof(name), "inproc://watch-%p", socket);

    if (zmq_socket_monitor(socket, name, ZMQ_EVENT_ACCEPTED
                           | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED)
        != 0)
    {
        return BEACON_SYS;
    }

    watch->socket = zmq_socket(zmq->context, ZMQ_PAIR);

    if (watch->socket == NULL) {
        return BEACON_SYS;
    }

    /* at a mark libzmq's I/O thread would wait here, with a lock that the end
       of watching wants too */

    if (zmq_setsockopt(watch->socket, ZMQ_RCVHWM, &all, sizeof(all)) != 0) {
        return BEACON_SYS;
    }

    return zmq_connect(watch->socket, name) == 0 ? BEACON_OK : BEACON_SYS;
}

uint32_t
beacond_zmq_count(beacond_zmq_watch_t *watch)
{
    int       n;
    int32_t   value;
    uint16_t  event;
    uint8_t   frame[512];

    if (watch->socket == NULL) {
        return 0;
    }

    /* event and value, then the endpoint */

    while ((n = zmq_recv(watch->socket, frame, sizeof(frame), ZMQ_DONTWAIT))
           >= 0)
    {
        memcpy(&event, frame, sizeof(event));
        memcpy(&value, frame + sizeof(event), sizeof(value));

        if (zmq_recv(watch->socket, frame, sizeof(frame), ZMQ_DONTWAIT) < 0
            || n != 6)
        {
            continue;
        }

        if (event == ZMQ_EVENT_CONNECTED) {
            beacond_zmq_guard_add(value);
        }

        if (event != ZMQ_EVENT_DISCONNECTED) {
            watch->peers++;

        } else if (watch->peers > 0) {
            watch->peers--;
        }
    }

    return watch->peers;
}

void
beacond_zmq_unwatch(void *socket, beacond_zmq_watch_t *watch)
{
    if (socket != NULL) {
        zmq_socket_monitor(socket, NULL, 0);
    }

    if (watch->socket != NULL) {
        zmq_close(watch->socket);
        watch->socket = NULL;
    }
}
