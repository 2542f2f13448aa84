/*
 * The spy feed's inside: a sink that publishes hits to whoever subscribes, and
 * waits for nobody.  core/beacon_spy.h tells what goes out.
 *
 *     batch ── numbers (beacond_seqs.h) ── frames ── XPUB ── I/O thread ── …
 *                                                     └─ a queue a subscriber
 *
 * Without a subscription nothing is numbered before the first one, and nothing
 * ever made into frames.
 *
 * Memory.  Frames lie in chunks, which all queues share: a hit counts as
 * "queued" until the last of them has let go of it, a chunk's bytes until that
 * is so for all hits in it.  Once somebody subscribes to less than all hits,
 * each has a chunk of its own: who does not read, and wants a rare site, would
 * keep many others' hits with its own.
 *
 * A subscriber's queue
 * holds BEACOND_SPY_MARK messages; what finds it full is dropped for that
 * subscriber by libzmq, which does not tell.  It tells when a queue becomes
 * full (ZMQ_XPUB_NODROP, which costs something, and so is on only while enough
 * is queued for that); from then on all that is sent counts as dropped,
 * until no more are queued than half of what a queue holds: that is where
 * libzmq lets it take messages again.  That is about right for one subscriber,
 * too many where several want different sites.
 *
 * All chunks together take BEACOND_SPY_BYTES and a batch: beyond that the
 * sockets are closed and opened anew, which frees them all; who lives connects
 * again within a second, and sees a gap.  Empty ones are kept, up to 4 MB
 * (BEACOND_SPY_SPARE) beside that.
 */

#ifndef BEACOND_SPY_H
#define BEACOND_SPY_H

#include "beacon_spy.h"
#include "beacond_clock.h"
#include "beacond_conf_spy.h"
#include "beacond_log.h"
#include "beacond_seqs.h"
#include "beacond_sink.h"
#include "beacond_visitor.h"
#include "beacond_zmq.h"

#include <stdatomic.h>

#define BEACOND_SPY_MARK           20000        /* messages a subscriber */
#define BEACOND_SPY_BYTES          (64 << 20)   /* of all */
#define BEACOND_SPY_CHUNK          (16384 - 64) /* bytes; a longer hit has one
                                                   of its own */
#define BEACOND_SPY_SITES          65536        /* that have a number */
#define BEACOND_SPY_SECOND         (1000 * BEACOND_MS)
#define BEACOND_SPY_RECENT         60           /* s; a site has heartbeats for
                                                   so long after a hit, */
#define BEACOND_SPY_ALL            10           /* s; all for so long after a
                                                   subscription, or drops */
#define BEACOND_SPY_SUBSCRIPTIONS  100000       /* of all, and */
#define BEACOND_SPY_TOPICS         (4 << 20)    /*   their bytes */

typedef struct beacond_spy_s        beacond_spy_t;
typedef struct beacond_spy_chunk_s  beacond_spy_chunk_t;

struct beacond_spy_chunk_s {
    beacond_spy_t        *spy;
    beacond_spy_chunk_t  *next;         /* among those that are free */
    size_t                size;         /* of it all */
    uint32_t              messages;
    _Atomic uint32_t      refs;
    uint8_t               data[];
};

/* Lines of one edge and site that follow each other in a batch. */
typedef struct {
    beacon_str_t  edge;
    uint8_t       at;                   /* edge's, in the feed */
    uint64_t      feed;
    uint64_t      seq;                  /* the first's */
    uint32_t      first;                /* index in the batch's lines[] */
    uint32_t      n;
} beacond_spy_run_t;

/* Can a subscriber's queue be full?  Is one? */
typedef enum {
    BEACOND_SPY_EMPTY = 0,
    BEACOND_SPY_WATCHED,
    BEACOND_SPY_FULL
} beacond_spy_queues_t;

struct beacond_spy_s {
    beacond_sink_t        *sink;
    json_t                *json;        /* holds the endpoints' strings */
    beacond_endpoints_t    endpoints;
    bool                   ip;
    uint8_t                key[BEACOND_VISITOR_KEY];
    beacond_zmq_t         *zmq;

    void                  *socket;      /* NULL: none now */
    beacond_zmq_watch_t    watch;
    uint32_t               bound;       /* bits: of endpoints.bind, and */
    uint32_t               connected;   /*   .connect */
    uint64_t               now;
    uint64_t               heard_ns;    /* when subscribers were last heard */
    uint64_t               retry_ns;    /* when to bind again */
    uint64_t               pause_ns;
    uint32_t               subscribers;
    uint32_t               subscriptions;
    uint32_t               topics;      /* bytes of them */
    bool                   doubt;       /* that those are all */
    bool                   narrow;      /* one is of less than all hits */

    _Atomic bool           counting;    /* somebody subscribed once */
    beacond_seqs_t         seqs;
    beacond_spy_run_t      runs[BEACOND_BATCH_HITS];
    uint32_t               beat;        /* heartbeats of this second so far */
    uint64_t               beat_ns;     /* when it began */
    uint64_t               all_ns;      /* until when all sites have them */

    beacond_spy_queues_t   queues;
    beacond_spy_chunk_t   *chunk;       /* that is being filled; NULL: none */
    uint8_t               *next;        /* where, and how much more */
    ptrdiff_t              left;        /*   it takes: < 1: none */
    uint8_t               *topic;       /* the run's, in there; */
    size_t                 topic_len;   /*   0: not yet */
    beacond_spy_chunk_t   *ready;       /* to be filled next */
    _Atomic(beacond_spy_chunk_t *)  spare;      /* I/O threads are done with */
    _Atomic uint32_t       spares;      /* of both */
    uint64_t               given;       /* messages and */
    uint64_t               given_bytes; /*   bytes of chunks, ever; and what */
    _Atomic uint64_t       freed;       /*   I/O threads are done with */
    _Atomic uint64_t       freed_bytes;
    uint64_t               feed;        /* the last number that went out, */
    uint64_t               seq;         /*   of this edge in the feed; */
    uint8_t                at;          /*   its head but for the visitor, */
    uint8_t                head[BEACON_SPY_HEAD];
    size_t                 prefix_len;  /*   with what a feed has in common */
    size_t                 head_len;
    _Atomic uint64_t       missed;      /* a reader adds to it */
    uint64_t               sent;
    uint64_t               dropped;
    uint64_t               large;
    uint64_t               resets;
    beacon_err_t           error;       /* "": all is well */
    beacond_log_limit_t    limit;
};

/* beacond_spy_socket.c: opens what is not open, looks who subscribes.  reset:
   closes all, to be opened again soon. */
void beacond_spy_turn(beacond_spy_t *spy);
void beacond_spy_reset(beacond_spy_t *spy, const char *why);
void beacond_spy_close(beacond_spy_t *spy);

/*
 * A peer may end subscriptions that it never had, and libzmq tells of each:
 * where they have come down to none, whoever is still connected may have some.
 */
static inline bool
beacond_spy_wanted(const beacond_spy_t *spy)
{
    return spy->socket != NULL
           && (spy->subscriptions > 0
               || (spy->doubt && spy->subscribers > 0));
}

static inline uint64_t
beacond_spy_queued(const beacond_spy_t *spy)
{
    return spy->given - spy->freed;
}

static inline uint64_t
beacond_spy_queued_bytes(const beacond_spy_t *spy)
{
    return spy->given_bytes - spy->freed_bytes;
}

/*
 * beacond_spy_chunk.c.  fresh: a new chunk to write so many bytes to; alone:
 * nothing else.  NULL: no memory.  free: ZeroMQ is done with a message that
 * lies in the chunk "hint"; in an I/O thread, as a rule.  drop: nothing more
 * goes into the chunk.  release: frees what is free, once no I/O thread has
 * any.
 */
beacond_spy_chunk_t *beacond_spy_fresh(beacond_spy_t *spy, size_t need,
    bool alone);
void beacond_spy_free(void *data, void *hint);
void beacond_spy_drop(beacond_spy_t *spy);
void beacond_spy_release(beacond_spy_t *spy);

/* beacond_spy_send.c */
void beacond_spy_hits(beacond_spy_t *spy, const beacond_batch_t *batch,
    const beacond_spy_run_t *run);
void beacond_spy_stat(beacond_spy_t *spy, const beacon_spy_head_t *head);

#endif /* BEACOND_SPY_H */
