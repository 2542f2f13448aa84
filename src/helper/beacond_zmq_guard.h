/*
 * What peers can take of the process, where libzmq sets no bound.
 *
 * Descriptors.  libzmq 4.3.4 aborts where an ipc socket has a peer to accept
 * and no descriptor is free.  Its accept4() is ours: a peer that would take one
 * of the last, or comes when there are BEACOND_ZMQ_PEERS, is closed at once,
 * and nobody else notices.  What an executable defines comes before what a
 * library does, whether that is linked dynamically or not; where libzmq calls
 * accept(), peers are not bounded, and t/63-spy-faults.t fails.
 *
 * Memory.  An unfinished message of many parts counts against no high-water
 * mark, and neither does what a subscriber subscribes to while the thread of
 * the socket is busy with it.  Threads that move messages, libzmq's own and
 * those of the sockets, allocate from an arena of jemalloc of their own, so
 * that it is known how much of it is in use.  libzmq's own join when they first
 * accept or connect: its connect() is ours, too.  A thread looks each
 * BEACOND_ZMQ_LOOK ms: beyond BEACOND_ZMQ_MEMORY, peers that have sent what is
 * not read yet are cut off; if that is not enough within a second,
 * all.  So are those who send while a socket's thread has not come round in
 * BEACOND_ZMQ_PATIENCE looks.  Without jemalloc (sanitizers) only that is seen.
 */

#ifndef BEACOND_ZMQ_GUARD_H
#define BEACOND_ZMQ_GUARD_H

#include "beacon.h"

#include <stdatomic.h>
#include <stdbool.h>

#define BEACOND_ZMQ_PEERS     1024
#define BEACOND_ZMQ_LOOK      20                /* ms */
#define BEACOND_ZMQ_PATIENCE  50
#define BEACOND_ZMQ_MEMORY    (256ULL << 20)    /* for each context */

/* A thread with sockets, as the guard knows it: in its own context. */
typedef struct beacond_zmq_ward_s  beacond_zmq_ward_t;

struct beacond_zmq_ward_s {
    _Atomic uint32_t      turns;        /* that it came round; 0: not yet */
    uint32_t              seen;         /* of them, at the last look */
    uint32_t              held;         /* looks without another one */
    beacond_zmq_ward_t   *next;
};

/* begin: before the context is made; SYS: no thread.  end: after it went. */
beacon_rc_t beacond_zmq_guard_begin(beacond_zmq_ward_t *ward);
void beacond_zmq_guard_end(beacond_zmq_ward_t *ward);

/* By the thread that has the sockets, each time it comes round. */
void beacond_zmq_guard_turn(beacond_zmq_ward_t *ward);

/* A connection that we made. */
void beacond_zmq_guard_add(int fd);

typedef struct {
    uint32_t  peers;            /* that are known */
    uint64_t  turned_away;      /* there was no room */
    uint64_t  cut;
    uint64_t  bytes;            /* of memory; 0: nobody knows */
} beacond_zmq_guard_stats_t;

void beacond_zmq_guard_stats(beacond_zmq_guard_stats_t *stats);

#endif /* BEACOND_ZMQ_GUARD_H */
