/*
 * A spy master's collector: a thread that subscribes to edges' feeds and puts
 * their hits into the live store, and what of them is missing.
 *
 * While there is no store, it takes nothing: messages wait in ZeroMQ's bounded
 * queues, then the edges drop them, and the feeds' numbers tell how many.
 */

#ifndef BEACOND_COLLECT_H
#define BEACOND_COLLECT_H

#include "beacond_collect_frame.h"
#include "beacond_conf_collect.h"
#include "beacond_lacks.h"
#include "beacond_live.h"
#include "beacond_log.h"
#include "beacond_zmq.h"

#include <pthread.h>
#include <stdatomic.h>

/* Longest frame: a hit that the store would take.  Who sends a longer one is
   cut off. */
#define BEACOND_COLLECT_LONGEST  BEACON_SPY_MAX
#define BEACOND_COLLECT_MARK     10000  /* frames that wait, of each peer */

/* One for each endpoint: a peer that was cut off comes again only with another
   socket, where we connect. */
typedef struct {
    const char             *endpoint;
    bool                    binds;
    void                   *socket;     /* NULL: not open */
    beacond_zmq_watch_t     watch;
    uint32_t                peers;
    uint64_t                since_ns;   /* when it was opened, or last had a
                                           peer */
} beacond_collect_end_t;

typedef struct {
    const char             *name;       /* the sink's */
    const char             *dir;        /* the ring's */
    beacond_endpoints_t     endpoints;  /* curve: until it is the context's */
    beacond_collect_end_t   ends[2 * BEACOND_ENDPOINTS];
    uint32_t                nends;
    char                  **sites;
    size_t                  nsites;     /* 0: all */
    beacon_str_t            acquaintance;       /* "/shop,blog": all sites */

    beacond_zmq_t          *zmq;
    beacon_json_t           json;       /* scratch */
    pthread_t               thread;
    bool                    running;
    int                     wake;       /* eventfd: to end */
    uint64_t                retry_ns;
    beacond_log_limit_t     limit;
    beacond_log_limit_t     ignored_limit;

    pthread_mutex_t         mutex;      /* of what follows */
    beacon_err_t            why;        /* "": it listens */
    uint64_t                errors;
    uint64_t                received;   /* messages */
    uint64_t                hits;       /* put */
    uint64_t                repeated;
    uint64_t                ignored;
    uint64_t                last_ns;    /* of the last hit */
    uint32_t                peers;
    uint64_t                refused;
    beacond_lacks_t          gaps;
} beacond_collect_t;

/* The thread; data is a beacond_collect_t. */
void *beacond_collect_run(void *data);

/*
 * beacond_collect_ends.c: its thread's.  Once a second, however often they are
 * called: sockets, and what is told of them; while there is no store, who comes
 * and goes alone.
 */
void beacond_collect_tend(beacond_collect_t *collect);
void beacond_collect_idle(beacond_collect_t *collect);
void beacond_collect_close(beacond_collect_end_t *end);

#endif /* BEACOND_COLLECT_H */
