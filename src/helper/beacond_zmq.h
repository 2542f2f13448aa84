/*
 * ZeroMQ, as the spy feed and who collects it share it: a context with its
 * CURVE keys and the thread that admits peers (ZAP), sockets with the options
 * that all of ours have, endpoints to bind and to connect to, and an eye on
 * who is connected.
 *
 * zmq.h is included by beacond_zmq*.c and by those who move messages; here a
 * socket is a void pointer.  A socket belongs to one thread.
 */

#ifndef BEACOND_ZMQ_H
#define BEACOND_ZMQ_H

#include "beacond_curve.h"

typedef struct beacond_zmq_s  beacond_zmq_t;

/* A key in Z85?  Are these two of one pair? */
bool beacond_zmq_key(const char *key);
bool beacond_zmq_pair(const char *own, const char *secret);

/*
 * curve: NULL, or the keys; the context's then.  With peers among them, the
 * thread that admits nobody else is there before anything can be bound.
 * NULL: err says why; curve is still the caller's.
 */
beacond_zmq_t *beacond_zmq_create(beacond_curve_t *curve, beacon_err_t *err);

/* All sockets must be closed.  What was not sent is dropped. */
void beacond_zmq_destroy(beacond_zmq_t *zmq);

/* Peers that were turned away.  Any thread. */
uint64_t beacond_zmq_refused(const beacond_zmq_t *zmq);

/* The thread that has the sockets comes round: each time, or who sends is taken
   to hold it up (beacond_zmq_guard.h). */
void beacond_zmq_turn(beacond_zmq_t *zmq);

/*
 * A socket of a type, ZMQ_XPUB and the like, that keeps at most "mark"
 * messages for each peer and takes none that is longer than "longest" bytes:
 * who sends one is cut off.  It lets go of what is not sent when it is closed,
 * and notices peers that are gone.
 */
void *beacond_zmq_socket(beacond_zmq_t *zmq, int type, int mark,
    int64_t longest, beacon_err_t *err);
void beacond_zmq_close(void *socket);

/*
 * endpoint: as beacon_endpoint_parse() takes it.  An ipc socket is of mode
 * 0660; what is left of a dead process is replaced, but not a socket that
 * somebody listens on, nor what is none.  FULL: the address is in use, SYS:
 * another reason; err tells.
 */
beacon_rc_t beacond_zmq_bind(beacond_zmq_t *zmq, void *socket,
    const char *endpoint, beacon_err_t *err);
beacon_rc_t beacond_zmq_connect(beacond_zmq_t *zmq, void *socket,
    const char *endpoint, beacon_err_t *err);

/*
 * How many are connected.  watch: once, before bind and connect; count: each
 * time somebody wants to know, often enough that nothing piles up; unwatch:
 * before the socket is closed.
 */
typedef struct {
    void      *socket;          /* NULL: nobody watches */
    uint32_t   peers;
} beacond_zmq_watch_t;

beacon_rc_t beacond_zmq_watch(beacond_zmq_t *zmq, void *socket,
    beacond_zmq_watch_t *watch);
uint32_t beacond_zmq_count(beacond_zmq_watch_t *watch);
void beacond_zmq_unwatch(void *socket, beacond_zmq_watch_t *watch);

#endif /* BEACOND_ZMQ_H */
