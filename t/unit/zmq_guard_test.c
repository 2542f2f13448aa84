/* Peers that are cut off.  libzmq closes none of them here: the descriptors
   are the test's. */

#include "beacond_zmq_guard.h"

#include "tap.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNERS  8

typedef struct {
    int  ours;
    int  theirs;
} peer_t;

/* One whose bytes wait, and nobody reads them. */
static bool
peer_make(peer_t *peer)
{
    int  fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return false;
    }

    peer->ours = fds[0];
    peer->theirs = fds[1];
    beacond_zmq_guard_add(peer->ours);

    return write(peer->theirs, "x", 1) == 1;
}

/* Until it is cut off. */
static bool
peer_ends(const peer_t *peer)
{
    char  byte;

    return read(peer->theirs, &byte, 1) == 0;
}

static void
peer_close(peer_t *peer)
{
    close(peer->ours);
    close(peer->theirs);
}

static uint64_t
cut(void)
{
    beacond_zmq_guard_stats_t  stats;

    beacond_zmq_guard_stats(&stats);

    return stats.cut;
}

/* A sink that is made while the last one goes. */
static void *
turns(void *data)
{
    int                 i;
    bool               *good = data;
    beacond_zmq_ward_t  ward;

    memset(&ward, 0, sizeof(ward));

    for (i = 0; i < 3000 && beacond_zmq_guard_begin(&ward) == BEACON_OK; i++) {
        beacond_zmq_guard_end(&ward);
    }

    *good = i == 3000;

    return NULL;
}

static bool
in_turns(void)
{
    int        i;
    bool       good[TURNERS], all = true;
    pthread_t  threads[TURNERS];

    for (i = 0; i < TURNERS; i++) {
        pthread_create(&threads[i], NULL, turns, &good[i]);
    }

    for (i = 0; i < TURNERS; i++) {
        pthread_join(threads[i], NULL);
        all &= good[i];
    }

    return all;
}

int
main(void)
{
    peer_t              first, second;
    beacond_zmq_ward_t  ward;

    memset(&ward, 0, sizeof(ward));
    alarm(60);
    ok(beacond_zmq_guard_begin(&ward) == BEACON_OK, "a guard");
    beacond_zmq_guard_turn(&ward);      /* and never again */
    ok(peer_make(&first) && peer_ends(&first),
       "who sends to a thread that does not come round is cut off");

    /* who comes later is looked at behind it */

    ok(peer_make(&second) && peer_ends(&second), "so is the next one");
    ok(cut() == 2, "each is counted once, however long it stays open");

    peer_close(&first);
    peer_close(&second);
    beacond_zmq_guard_end(&ward);

    ok(in_turns(), "one begins while the last one ends");

    return done_testing();
}
