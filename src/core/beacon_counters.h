/*
 * The counters file: what outlives every ring, in the same directory.
 *
 *     0            beacon_counters_t head; magic published last
 *     + PAGE       one beacon_worker_counters_t for each lane number, and one
 *                  (index BEACON_LANES_MAX) for workers without a lane.
 *                  Workers add with relaxed atomic increments: old and new
 *                  epochs may share a number, and none of these is on the path
 *                  of an accepted hit.
 *     then         two beacon_books_t, written in turn by the helper alone
 *
 * The books are the helper's consistent snapshot.  It fills books[serial & 1]
 * for the next serial, then release-stores serial (pairs with the reader's
 * acquire load).  A reader copies the one that serial names and takes the copy
 * only if serial has not moved: once it has, the helper may already be writing
 * there for the serial after.  A helper killed at any point leaves the last
 * snapshot whole.
 *
 * The books balance in each snapshot, for each sink:
 *
 *     accepted_base + sum of lanes[].ordinal = done + lost + pending
 *
 * where pending is counted from what still lies in ring, batches and spool.
 * Whoever prints them later adds, for each lane, the hits committed since
 * lanes[].ordinal to both accepted and every sink's pending.
 */

#ifndef BEACON_COUNTERS_H
#define BEACON_COUNTERS_H

#include "beacon.h"
#include "beacon_format.h"

#include <sys/types.h>

#define BEACON_COUNTERS_MAGIC   0x31544e5543434542ULL   /* "BECCUNT1" */
#define BEACON_COUNTERS_LAYOUT  2

/* Reasons for "rejected", in the order of README's table; "full" is refused. */
typedef enum {
    BEACON_REJECT_SITE,
    BEACON_REJECT_METHOD,
    BEACON_REJECT_SIZE,
    BEACON_REJECT_BODY,
    BEACON_REJECT_REDIRECT,
    BEACON_REJECTS
} beacon_reject_e;

/* What the live API did not answer, in the order of README's table: the first
   ones are the request's fault (4xx), the others want room or a store (503). */
typedef enum {
    BEACON_LIVE_REFUSE_PATH,
    BEACON_LIVE_REFUSE_QUERY,
    BEACON_LIVE_REFUSE_METHOD,
    BEACON_LIVE_REFUSE_STORE,
    BEACON_LIVE_REFUSE_WAIT,
    BEACON_LIVE_REFUSE_STREAM,
    BEACON_LIVE_REFUSES
} beacon_live_refuse_e;

typedef struct {
    _Alignas(64) _Atomic uint64_t  refused;     /* no room: 503 */
    _Atomic uint64_t               dropped;     /* configuration: if= */
    _Atomic uint64_t               rejected[8]; /* beacon_reject_e */
    _Atomic uint64_t               live[6];     /* beacon_live_refuse_e */
} beacon_worker_counters_t;

#define BEACON_BOOKS_LANES  1024
#define BEACON_BOOKS_SINKS  32
#define BEACON_BOOKS_FLAGS  64

typedef struct {
    uint64_t  epoch;
    uint32_t  lane;
    uint32_t  owned;
    uint64_t  ordinal;          /* hits committed, as counted in the books */
    uint64_t  used_bytes;       /* tail - reclaim */
} beacon_books_lane_t;

typedef struct {
    char      name[64];
    char      type[16];         /* "log" */
    uint32_t  durable;
    uint32_t  reserved;
    uint64_t  before;           /* of done: hits from before the sink was */
    uint64_t  done;
    uint64_t  lost;
    uint64_t  pending;
    uint64_t  errors;
    uint64_t  last_success_ns;  /* CLOCK_REALTIME; 0: never */
    char      more[1024];       /* more members, JSON: ,"key":value... or "" */
} beacon_books_sink_t;

typedef struct {
    char      name[64];
    uint64_t  n;
} beacon_books_flag_t;

typedef struct {
    uint64_t             published_ns;          /* CLOCK_REALTIME */
    uint64_t             accepted_base;
    uint64_t             retired_epoch;         /* the last one in the base */
    uint64_t             oldest_ns;             /* oldest hit in rings, or 0 */
    uint64_t             corrupt;               /* records */
    uint64_t             gaps;                  /* hits that GAPs told of */
    uint64_t             set_aside;             /* ring files */
    uint64_t             spool_used;
    uint64_t             spool_size;
    uint64_t             spool_oldest_ns;
    uint64_t             helper_starts;
    uint64_t             helper_started_ns;
    uint64_t             helper_rss;
    uint32_t             helper_pid;
    uint32_t             nlanes;
    uint32_t             nsinks;
    uint32_t             nflags;
    char                 helper_version[32];
    beacon_books_lane_t  lanes[BEACON_BOOKS_LANES];
    beacon_books_sink_t  sinks[BEACON_BOOKS_SINKS];
    beacon_books_flag_t  flags[BEACON_BOOKS_FLAGS];
} beacon_books_t;

typedef struct {
    _Atomic uint64_t  magic;
    uint32_t          layout;
    uint32_t          size;
    _Atomic uint64_t  generation;       /* of configurations; see below */
    _Atomic uint64_t  serial;           /* of the books */
} beacon_counters_head_t;

/* An attached counters file. */
typedef struct {
    int                        fd;
    size_t                     map_size;
    beacon_counters_head_t    *head;
    beacon_worker_counters_t  *workers; /* [BEACON_LANES_MAX + 1] */
    beacon_books_t            *books;   /* [2] */
} beacon_counters_t;

/*
 * Attaches dir/counters, made first if it is not there (temporary name, then
 * link: two makers agree).  A file that is not one of ours, or of another
 * layout, is renamed counters.aside and made anew.  SYS: errno.
 */
beacon_rc_t beacon_counters_attach(const char *dir, uid_t uid, gid_t gid,
    beacon_counters_t *counters, beacon_err_t *err);
void beacon_counters_detach(beacon_counters_t *counters);

/* A new, higher generation for a configuration about to be published. */
uint64_t beacon_counters_generation(beacon_counters_t *counters);

/* Copies the current books.  AGAIN: none published yet, or (after some tries)
   always overwritten meanwhile; *books is then all zeros. */
beacon_rc_t beacon_books_read(const beacon_counters_t *counters,
    beacon_books_t *books);

/* Publishes a snapshot; the holder of beacond.lock only.  Can't fail. */
void beacon_books_publish(beacon_counters_t *counters,
    const beacon_books_t *books);

#endif /* BEACON_COUNTERS_H */
