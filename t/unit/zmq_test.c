/* Who is connected, while nobody asks. */

#include "beacond_zmq.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#define COMERS  3000            /* more events than libzmq queues */

/* Comes, and goes; it waits for its turn, but not for ever. */
static int
come(const char *path)
{
    int                 fd, rc;
    struct timeval      patience = { 10, 0 };
    struct sockaddr_un  addr = { .sun_family = AF_UNIX };

    strcpy(addr.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    rc = connect(fd, (struct sockaddr *) &addr, sizeof(addr));
    close(fd);

    return rc;
}

int
main(void)
{
    int                   i;
    char                  dir[] = "/tmp/beacon-zmq.XXXXXX", endpoint[64];
    void                 *socket;
    beacon_err_t          err;
    beacond_zmq_t        *zmq;
    beacond_zmq_watch_t   watch;

    ok(mkdtemp(dir) != NULL, "a directory");
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/s", dir);
    zmq = beacond_zmq_create(NULL, &err);
    socket = beacond_zmq_socket(zmq, ZMQ_XPUB, 10, 100, &err);
    ok(beacond_zmq_watch(zmq, socket, &watch) == BEACON_OK, "watched");
    ok(beacond_zmq_bind(zmq, socket, endpoint, &err) == BEACON_OK, "bound");

    for (i = 0; i < COMERS && come(endpoint + 6) == 0; i++) {
        /* void */
    }

    alarm(60);          /* what is held up would be so for ever */
    ok(i == COMERS, "they come and go while nobody counts");
    beacond_zmq_unwatch(socket, &watch);
    beacond_zmq_close(socket);
    beacond_zmq_destroy(zmq);
    ok(1, "and hold up no end");
    unlink(endpoint + 6);
    rmdir(dir);

    return done_testing();
}
