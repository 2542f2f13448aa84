/*
 * The control socket and the supervisor's socketpair (src/README.md, "The
 * control socket"): who is connected, who supervises, what they ask for.
 * Everything here is the main thread's and never blocks.
 */

#ifndef BEACOND_CONTROL_H
#define BEACOND_CONTROL_H

#include "beacon.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#define BEACOND_CONTROL_PEERS  16
#define BEACOND_CONTROL_POLLS  (BEACOND_CONTROL_PEERS + 1)
#define BEACOND_SUPERVISOR_FD  3
#define BEACOND_SOCKET         "beacond.sock"

/* What main() does when asked to. */
typedef struct {
    /* Goes over to the configuration of this generation or a higher one.  Not
       OK: the old one goes on, err says why. */
    beacon_rc_t (*adopt)(void *data, uint64_t generation, beacon_err_t *err);

    void        (*reopen)(void *data);
    void        (*stop)(void *data, int ms);

    /* The supervisor is gone. */
    void        (*orphaned)(void *data);
} beacond_control_ops_t;

typedef struct {
    int   fd;                   /* -1: none */
    bool  supervisor;
    bool  stopper;              /* asked for STOP: is told how it went */
} beacond_peer_t;

typedef struct {
    const beacond_control_ops_t  *ops;
    void                         *data;         /* of the ops */
    int                           listener;     /* -1: none */
    int64_t                       paused_ms;    /* no accept until then */
    bool                          supervised;   /* --supervised */
    uint64_t                      generation;   /* the supervisor's */
    char                          path[108];    /* of the socket */
    beacond_peer_t                peers[BEACOND_CONTROL_PEERS];
} beacond_control_t;

/* No sockets yet.  supervised: takes BEACOND_SUPERVISOR_FD for the first
   supervisor.  INVALID: that is no socket. */
beacon_rc_t beacond_control_init(beacond_control_t *control,
    const beacond_control_ops_t *ops, void *data, bool supervised,
    beacon_err_t *err);

/*
 * Listens in dir, in place of what a predecessor left (the caller holds
 * beacond.lock), and says HELLO to the supervisor that there is.
 */
beacon_rc_t beacond_control_listen(beacond_control_t *control,
    const char *dir, uint64_t generation, beacon_err_t *err);

/* Fills in what to poll for; returns their number. */
nfds_t beacond_control_polls(beacond_control_t *control,
    struct pollfd polls[BEACOND_CONTROL_POLLS], int64_t now_ms);

/* Handles what poll() found. */
void beacond_control_handle(beacond_control_t *control,
    const struct pollfd *polls, nfds_t n, int64_t now_ms);

/* A line to the supervisor and to whoever asked for the stop. */
void beacond_control_tell(beacond_control_t *control, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Removes the socket's name and closes everything. */
void beacond_control_dispose(beacond_control_t *control);

#endif /* BEACOND_CONTROL_H */
