/*
 * The engine's inside.  One mutex guards all that several threads of it look
 * at: lane table, queues, positions, books.  It is taken a few times for each
 * batch of hundreds of hits, and never held over input or output, rendering
 * or an op of a sink.  Locks of pools, schemas and spool are taken last, alone.
 *
 * Positions.  Each lane has the readers' (what they offered last) and for each
 * sink "taken" (in its hands or done) and acked (beacond_ranges.h).  A sink is
 *
 *     STARTING  not yet loaded: holds back everything
 *     LIVE      its queue goes on exactly where its taken ends; so taken +
 *               queue = the readers' position, in every lane
 *     BEHIND    it makes batches of its own, from spool or ring, from taken up
 *               to the readers' position; there it becomes LIVE
 *
 * A lane's bytes before "reclaim" are gone from the ring: whoever's position
 * is before it reads the spool.  Nobody's bytes go away while he reads them:
 * who builds a batch is a puller that says so, and reclaim stops at its start.
 */

#ifndef BEACOND_PARTS_H
#define BEACOND_PARTS_H

#include "beacond_batch.h"
#include "beacond_clock.h"
#include "beacond_engine.h"
#include "beacond_log.h"
#include "beacond_names.h"
#include "beacond_point.h"
#include "beacond_ranges.h"
#include "beacond_schemas.h"
#include "beacond_sink.h"
#include "beacond_spool.h"

#include <limits.h>

#define BEACOND_LANES       BEACON_BOOKS_LANES
#define BEACOND_RINGS       64
#define BEACOND_QUEUE       8           /* live batches that wait for a sink */
#define BEACOND_UNACKED     24          /* that it has not acknowledged; */
#define BEACOND_WINDOW      (8 << 20)   /* bytes of their lines, but for what
                                           the last one adds */
#define BEACOND_LIVE        16          /* live batches in all */
#define BEACOND_OWN         8           /* batches to catch up with, a sink */
#define BEACOND_AHEAD_MAX   1024        /* intervals of a lane, in a
                                           checkpoint */
#define BEACOND_VALUE_SPACE (1 + BEACON_TEMPLATE_VALUE_MAX)

/* A ring file that is mapped. */
typedef struct {
    uint64_t        epoch;
    uint64_t        since_ns;   /* mapped; CLOCK_MONOTONIC */
    beacon_ring_t  *ring;
} beacond_ring_t;

/* One lane of the table.  All cursors: under the engine's mutex. */
typedef struct {
    bool             used;
    bool             broken;    /* its header makes no sense */
    bool             gone;      /* nor will it: given up */
    bool             owned;
    uint64_t         epoch;
    uint32_t         number;
    beacon_ring_t   *ring;      /* NULL: only the spool knows it */
    beacon_cursor_t  tail;      /* as last looked */
    beacon_cursor_t  reader;
    beacon_cursor_t  reclaim;
    beacon_cursor_t  floor;     /* accepted counts the lane from here: 0, but
                                   for a lane that a spool brought along */
    beacon_cursor_t  spool_from;        /* hits before it are nowhere: the
                                   first in the spool, else at attach */
    beacon_cursor_t  spooled;   /* the spool has all that sinks may still want
                                   before it; {0, 0}: nothing */
    uint64_t         punched;   /* tail when it was punched out */
    uint64_t         oldest_ns; /* of the hit at reclaim */
} beacond_lane_t;

/* Where a puller is in one lane while it builds. */
typedef struct {
    uint32_t          lane;     /* index in the table */
    uint32_t          span;     /* of the batch; UINT32_MAX: none yet */
    uint64_t          epoch;
    uint32_t          number;
    bool              have;     /* record is the next one */
    beacon_ring_t    *ring;
    beacon_cursor_t   from;
    beacon_cursor_t   done;     /* behind the last hit that was taken in */
    beacon_cursor_t   next;     /* behind record */
    beacon_cursor_t   limit;
    beacon_record_t   record;
} beacond_pull_t;

#define BEACOND_SPOOL_LOOKS  2  /* in vain, then a hit is in no spool */

/* What a sink that is behind wants of a lane. */
typedef struct {
    uint64_t          epoch;
    uint32_t          number;
    uint32_t          lane;
    bool              spooled;  /* the ring has it no more */
    bool              given_up; /* what starts at the limit */
    beacon_cursor_t   at;
    beacon_cursor_t   limit;
    beacond_pull_t   *pull;
} beacond_need_t;

/* Who builds batches: a reader, or a sink that is behind. */
typedef struct {
    beacond_engine_t        *engine;
    beacon_render_t         *render;
    bool                     building;  /* from the ring; under the mutex */
    bool                     busy;      /* building from anywhere */
    bool                     voided;    /* what is being built is in vain */
    bool                     full;      /* the last batch had no room left */
    uint64_t                 busy_ns;
    uint32_t                 turn;      /* of lanes, when there are many */
    uint32_t                 npulls;
    beacond_pull_t           pulls[BEACOND_BATCH_LANES];
    uint32_t                 hash;      /* the schema looked up last */
    const beacond_schema_t  *schema;
    beacond_need_t          *needs;     /* [BEACOND_LANES], sinks only */
    uint32_t                 nneeds;
    uint32_t                 last_need;
    bool                     journal;   /* reading on in the journal */
    bool                     sought;    /* some of vain[] are not 0 */
    uint8_t                  vain[BEACOND_LANES];       /* times the journal
                                           was read to its end, and had
                                           nothing that the lane wants */
    uint8_t                  passed[BEACOND_LANES];     /* some of the lane's
                                           frames, since the last seek */
    int                      spool_error;       /* errno of the last read */
    beacond_spool_reader_t   spool;
    bool                     moved;     /* it has a file of another spool */
    uint64_t                 gaps;
    uint64_t                 corrupt;
    beacon_hit_t             hit;
} beacond_puller_t;

typedef enum {
    BEACOND_STARTING,
    BEACOND_BEHIND,
    BEACOND_ALIVE
} beacond_mode_e;

/* Where a sink stands in one lane. */
typedef struct {
    beacon_cursor_t   taken;
    beacond_ranges_t  acked;
    beacon_cursor_t   free_to;  /* it lost what it had not: does not want the
                                   ring's bytes before it any more */
    uint64_t          ahead;    /* ordinals that are done with, or lost, and
                                   that taken has not reached */
    beacon_cursor_t   joined;   /* where the lane was when the sink came */
    beacon_cursor_t   sure;     /* of one that resumes: what it does not ask
                                   for again, nor has to tell */
} beacond_stand_t;

typedef struct {
    const beacond_batch_t  *batch;
    uint32_t                left;       /* hits not acknowledged */
} beacond_unacked_t;

typedef struct beacond_sink_engine_s  beacond_sinker_t;
typedef struct beacond_copier_s       beacond_copier_t;

/* The engine's part of a sink. */
struct beacond_sink_engine_s {
    beacond_sink_t      sink;
    beacond_engine_t   *engine;
    json_t             *json;           /* its object, without "at" */
    char                name[64];
    pthread_t           thread;
    pthread_cond_t      cond;
    bool                running;
    bool                ended;          /* its thread has, or is about to */
    bool                quit;
    bool                closing;        /* is given nothing; its thread's */
    bool                awaited;        /* something is on its way, by now */
    bool                reopen;
    bool                known;          /* the last helper had it */
    bool                made;           /* by ops->create; its thread's, once
                                           there is one */
    beacon_err_t        why;            /* it could not be */
    beacond_log_limit_t make_limit;
    uint32_t            names;          /* its own, a bit for each place */
    uint64_t            names_turn;     /* of the first table that will do */

    beacond_mode_e      mode;
    beacond_batch_t    *queue[BEACOND_QUEUE];
    uint32_t            head;
    uint32_t            queued;
    uint64_t            full_ns;        /* since when the queue is full */
    uint64_t            offered_ns;     /* the last batch of the readers' */
    bool                missed;         /* hits, and is not durable */
    uint64_t            turns;          /* batches with hits, in its hands or
                                           done with */
    bool                leaps;          /* is where the readers are, but must
                                           not see all that they read next */
    beacond_unacked_t   unacked[BEACOND_UNACKED];
    size_t              window;         /* bytes of their lines */
    uint32_t            nunacked;
    beacond_stand_t     stands[BEACOND_LANES];

    uint64_t            before;
    uint64_t            done;
    uint64_t            lost;
    uint64_t            inflight;       /* taken, not acked */
    uint64_t            parked;         /* acked, but pending: set aside by the
                                           sink itself */
    uint64_t            flags[BEACOND_FLAGS_MAX];
    uint64_t            progress_ns;    /* last ack, or nothing to do */
    uint64_t            crowded_ns;     /* since when a lane is nearly full */
    bool                showing;        /* loaded, and not yet shown all that
                                           is behind its checkpoint */
    uint64_t            fresh_ns;       /* when that, or it, began; or all of
                                           us did after a stop */
    uint64_t            errors;
    uint64_t            refused;        /* reloads, for what it was to be */
    uint64_t            refused_ns;     /* the last one */
    beacon_err_t        refused_why;
    uint64_t            last_success_ns;
    char                more[1024];
    uint64_t            unbalanced;     /* books that were not */

    beacond_puller_t    puller;
    beacond_pool_t      pool;
    beacond_copier_t   *copier;         /* NULL: none yet; its thread's */
    char                spool_dir[PATH_MAX];    /* its thread's */
    beacond_log_limit_t loss_limit;
    uint64_t            loss_told;
};

typedef struct {
    beacond_engine_t  *engine;
    pthread_t          thread;
    uint32_t           index;
    uint64_t           filled;          /* of a lane, by the last turn: 1/1024
                                           of its bytes */
    beacond_sinker_t  *offered[BEACON_BOOKS_SINKS];     /* that are to be told
                                           of a batch in their queues */
    uint32_t           noffered;
    beacond_puller_t   puller;
} beacond_reader_t;

/* A lane that the last books counted and that is nowhere now. */
typedef struct {
    uint64_t  epoch;
    uint32_t  lane;
    uint64_t  ordinal;
} beacond_gone_t;

struct beacond_engine_s {
    pthread_mutex_t      admin;         /* who changes tables of rings, sinks:
                                           the keeper's turn, configure, stop;
                                           taken before mutex */
    pthread_mutex_t      mutex;
    pthread_cond_t       work;          /* readers wait */
    pthread_cond_t       rest;          /* keeper and spool wait */
    pthread_cond_t       nap;           /* readers: until hits have gathered */
    beacond_conf_t      *conf;
    beacond_conf_t     **old;           /* that sinks still point to */
    uint32_t             nold;
    beacon_counters_t   *counters;
    beacond_schemas_t   *schemas;
    beacond_pool_t       pool;

    beacond_ring_t       rings[BEACOND_RINGS];
    uint32_t             nrings;
    bool                 attach_failed;
    beacond_lane_t       lanes[BEACOND_LANES];
    uint32_t             nlanes;        /* slots ever used */

    beacond_sinker_t    *sinks[BEACON_BOOKS_SINKS];
    uint32_t             nsinks;
    beacond_sinker_t    *leaving[BEACON_BOOKS_SINKS];   /* told to end, stuck
                                           in an op; admin's */
    uint32_t             nleaving;

    beacond_names_t     *names;         /* NULL: none yet */
    uint32_t             names_new;     /* of sinks that are being made */

    beacond_reader_t    *readers;
    uint32_t             nreaders;
    uint32_t             telling;       /* of them, sinks that are not
                                           destroyed before that is over */
    bool                 reader_quit;
    bool                 reading;       /* they have begun */

    pthread_t            keeper;
    bool                 keeping;
    bool                 quit;
    bool                 halting;       /* makes no threads; admin's */
    bool                 stopping;
    uint64_t             stop_ns;
    bool                 closing;       /* all is safe: what sinks have on its
                                           way may end */
    uint64_t             closing_ns;    /* since when */

    beacond_spool_t     *spool;         /* NULL: none */
    pthread_t            spooler;
    bool                 spool_running;
    bool                 spool_quit;
    bool                 spooling;      /* the keeper says: copy */
    uint64_t             spooling_time; /* how often that has changed */
    bool                 spooling_told;
    uint64_t             spooling_untold;       /* times that it began since
                                           that was told */
    beacond_log_limit_t  spooling_limit[2];     /* told that it ended, began */
    bool                 spool_full;    /* the last write of this time of
                                           spooling was refused */
    bool                 spool_leaving; /* another takes its place: nobody
                                           begins to read it, or takes of it */
    uint64_t             spool_ns;      /* when its thread last began to do
                                           something; 0: it waits */
    beacond_puller_t     spool_pull;    /* what the spooler is reading */
    beacond_pool_t       passing;       /* the keeper's own batch */
    json_t              *cursors;       /* cursors.json at start, or NULL */
    char                *cursors_text;  /* as written last */

    beacon_books_t       prev;          /* of the helper before */
    bool                 fresh;         /* there were none */
    beacond_gone_t      *gone;
    uint32_t             ngone;
    beacon_books_t       books;
    uint64_t             accepted_base;
    uint64_t             retired_epoch;
    uint64_t             corrupt;
    uint64_t             gaps;
    uint64_t             set_aside;
    uint64_t             started_ns;
    uint64_t             starts;
    uint64_t             looked_ns;     /* keeper or reader, at the clock */
    uint64_t             books_ns;
    uint64_t             slow_ns;       /* once-a-second work */
    uint64_t             sweep_ns;
    uint64_t             owners_ns;
    beacond_log_limit_t  unbalanced_limit;
    uint64_t             rss;
    bool                 tight;         /* a lane is more than half full */
    bool                 hasty;         /* or more than an eighth */
    bool                 dirty;         /* books changed */
};

/* beacond_lanes.c, _retire.c; "locked": called with the mutex held */

beacond_lane_t *beacond_lanes_find(beacond_engine_t *engine, uint64_t epoch,
    uint32_t number, uint32_t *index);
beacond_lane_t *beacond_lanes_add(beacond_engine_t *engine, uint64_t epoch,
    uint32_t number);                                   /* locked */
uint32_t beacond_lanes_free(
    const beacond_engine_t *engine);                    /* admin held */
void beacond_lanes_scan(beacond_engine_t *engine);      /* admin held */
void beacond_lanes_retire(beacond_engine_t *engine);    /* admin held */
void beacond_lanes_detach(beacond_engine_t *engine);    /* at the end */
void beacond_lanes_tails(beacond_engine_t *engine);     /* locked */
uint64_t beacond_lanes_accepted(beacond_engine_t *engine);      /* locked */

/* beacond_lanes_bad.c; judge: of a ring being attached; raise: of a lane that
   is gone, a checkpoint has heard more; bad: gives up what it can, all that is
   broken of a ring that is seized */

void beacond_lanes_judge(beacond_engine_t *engine,
    beacond_lane_t *lane);                              /* locked */
void beacond_lanes_raise(beacond_engine_t *engine, beacond_lane_t *lane,
    uint64_t ordinal);                                  /* locked */
void beacond_lanes_bad(beacond_engine_t *engine,
    const beacon_ring_t *seized);

/* beacond_build.c */

beacon_rc_t beacond_puller_init(beacond_puller_t *puller,
    beacond_engine_t *engine);
void beacond_puller_dispose(beacond_puller_t *puller);
beacond_pull_t *beacond_pull_add(beacond_puller_t *puller, uint32_t index,
    const beacon_cursor_t *from,
    const beacon_cursor_t *limit);                      /* locked */
beacon_rc_t beacond_build_hit(beacond_puller_t *puller, beacond_pull_t *pull,
    beacond_batch_t *batch);
void beacond_build_ring(beacond_puller_t *puller, beacond_batch_t *batch);
void beacond_build_finish(beacond_puller_t *puller, beacond_batch_t *batch);

/* beacond_build_spool.c */

void beacond_build_spool(beacond_puller_t *puller, beacond_batch_t *batch);
void beacond_needs_anew(beacond_puller_t *puller);

/* beacond_reader.c */

beacon_rc_t beacond_readers_start(beacond_engine_t *engine);
void beacond_readers_stop(beacond_engine_t *engine);
void beacond_readers_told(beacond_engine_t *engine);    /* locked; waits: none
                                           has a pointer to a sink that is not
                                           in the table any more */

/* beacond_sink.c: the table of sinks; beacond_sink_thread.c: a sink's life */

beacond_sinker_t *beacond_sinker_create(beacond_engine_t *engine,
    const beacond_conf_t *conf, const beacond_conf_sink_t *sink,
    beacon_err_t *err);
beacon_rc_t beacond_sinker_make(beacond_sinker_t *sinker);
void beacond_sinker_destroy(beacond_sinker_t *sinker);
beacon_rc_t beacond_sinker_start(beacond_sinker_t *sinker);
bool beacond_sinker_stop(beacond_sinker_t *sinker, uint64_t ns);
void *beacond_sinker_run(void *data);
bool beacond_sinker_offer(beacond_sinker_t *sinker,
    beacond_batch_t *batch);    /* locked; true: it is queued, cond is to be
                                   signalled */
void beacond_sinker_behind(beacond_sinker_t *sinker);   /* locked */
void beacond_sinker_missed(beacond_sinker_t *sinker,
    const beacond_batch_t *batch);                      /* locked */
int beacond_sinker_fits(const beacond_sinker_t *sinker);        /* locked */

/* beacond_sink_copy.c */

void beacond_copier_leave(beacond_copier_t *copier);

/* beacond_sink_begin.c */

void beacond_sinker_status(beacond_sinker_t *sinker);   /* its own thread */
bool beacond_sinker_begin(beacond_sinker_t *sinker);    /* false: quit */

/* beacond_sink_catch.c: a sink that is behind */

bool beacond_sinker_caught_up(beacond_sinker_t *sinker);        /* locked */
beacond_batch_t *beacond_sinker_build(beacond_sinker_t *sinker,
    beacon_cursor_t *at);                               /* locked */

/* beacond_sink_ack.c */

void beacond_sinker_take(beacond_sinker_t *sinker,
    const beacond_batch_t *batch);                      /* locked */
void beacond_sinker_ack_all(beacond_sinker_t *sinker,
    const beacond_batch_t *batch);                      /* locked */
void beacond_sinker_miss(beacond_sinker_t *sinker);     /* locked */
void beacond_sinker_leave(beacond_sinker_t *sinker,
    uint32_t index);                                    /* locked */
uint64_t beacond_sinker_pending(
    const beacond_sinker_t *sinker);                    /* locked */

/* [from, to) of a lane, with so many hits, is done with. */
beacon_rc_t beacond_sinker_settle(beacond_sinker_t *sinker,
    beacond_stand_t *stand, const beacon_cursor_t *from,
    const beacon_cursor_t *to, uint64_t hits);          /* locked */

/* NULL: the lane has been retired meanwhile. */
beacond_stand_t *beacond_sinker_stand(beacond_sinker_t *sinker, uint64_t epoch,
    uint32_t number, uint32_t index);                   /* locked */

/* The pieces of the spans that hits [first, first + n) stand for. */
void beacond_pieces(const beacond_batch_t *batch, uint32_t first, uint32_t n,
    beacond_span_t *pieces);
void beacond_sinker_flags(uint64_t *flags, const beacond_batch_t *batch,
    uint32_t first, uint32_t n);

/* What of a batch is acknowledged counts once, and leaves the list with its
   last hit. */
void beacond_sinker_unacked(beacond_sinker_t *sinker,
    const beacond_batch_t *batch, uint32_t n);          /* locked */

/* beacond_sink_load.c */

bool beacond_load_find(const json_t *lanes, const beacond_lane_t *lane,
    beacon_cursor_t *cursor, const json_t **found);

void beacond_sinker_load(beacond_sinker_t *sinker, const char *text,
    size_t len);

/* beacond_keeper.c, beacond_books.c, beacond_spooler.c */

void *beacond_keeper_run(void *data);
void beacond_keeper_reclaim(beacond_engine_t *engine);
beacon_cursor_t beacond_keeper_hold(const beacond_engine_t *engine,
    const beacond_sinker_t *sinker, uint32_t index);    /* locked */
void beacond_keeper_losses(beacond_engine_t *engine);

/* beacond_keeper_loss.c: the time, by which the keeper judges others: theirs
   are before it.  If it has not looked for long, all of us were stopped: by a
   SIGSTOP, in a frozen container, in a machine that was moved.  That time
   counts for nobody.  Readers call it, too: a reload holds up the keeper. */
uint64_t beacond_keeper_now(beacond_engine_t *engine);          /* locked */

beacon_cursor_t beacond_keeper_durable(const beacond_engine_t *engine,
    uint32_t index);                                    /* locked */
void beacond_keeper_overtake(beacond_engine_t *engine,
    beacond_lane_t *lane);                              /* locked */
bool beacond_keeper_in_use(beacond_engine_t *engine,
    uint32_t index);                                    /* locked */

/* beacond_pass.c: hits of the lane up to *to are given back: who is too late
   for them hears of what site they were.  true: only up to *to, which is less
   now; the rest is another time's. */
bool beacond_pass(beacond_engine_t *engine, uint32_t index,
    beacon_cursor_t *to);                               /* locked */

void beacond_books_start(beacond_engine_t *engine);
void beacond_books_gone(beacond_engine_t *engine);
void beacond_books_make(beacond_engine_t *engine);

/* Of sinks in the last books that are configured no more: what waits for them
   goes, which is told. */
void beacond_books_former(const beacond_engine_t *engine);

beacon_rc_t beacond_spooler_open(beacond_engine_t *engine,
    const beacond_conf_t *conf, beacon_err_t *err);
beacon_rc_t beacond_spooler_start(beacond_engine_t *engine);
void beacond_spooler_stop(beacond_engine_t *engine);
void beacond_spooler_close(beacond_engine_t *engine);
void beacond_spooler_decide(beacond_engine_t *engine);
void beacond_spooler_tell(beacond_engine_t *engine);
beacon_rc_t beacond_spooler_save(beacond_engine_t *engine);
json_t *beacond_spooler_load(const char *dir);

/* beacond_adopt.c */

void beacond_adopt_reap(beacond_engine_t *engine);      /* admin held */

/* beacond_engine.c */

uint32_t beacond_engine_live(const beacond_conf_t *conf);
void beacond_engine_join(beacond_engine_t *engine,
    beacond_sinker_t *sinker);                          /* locked */

static inline beacond_sinker_t *
beacond_sinker(beacond_sink_t *sink)
{
    return sink->engine;
}

#endif /* BEACOND_PARTS_H */
