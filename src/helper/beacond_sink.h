/*
 * The sink interface: what a log, a Kafka cluster, a spy feed or a live store
 * has to be.
 *
 * A sink runs in a thread of its own, made by the engine, which calls the ops
 * below, one at a time.  The engine keeps all that is alike in sinks: the
 * bounded queue of live batches, catching up from spool or ring in the sink's
 * own batches when it fell behind, in order, the ranges it has acknowledged,
 * its books.  A sink never sees where a batch came from.
 *
 *     reader ── offer ──> queue ──> sink thread ── ops->batch ──> the world
 *                 (full: the sink falls behind      │
 *                  and catches up by itself)        └── beacond_sink_ack()
 *
 * Durable sinks (ops->durable) hold back the reclaim of ring and spool until
 * they have acknowledged; others only ever miss hits, and count them.  Of
 * these, one that resumes holds back the ring for moments: so that after a
 * SIGKILL its hits are there as a rule.
 *
 * Acknowledging.  beacond_sink_ack() says: these hits are where they must be,
 * and after a SIGKILL at any later point I will not ask for them again (my
 * checkpoint says so).  Acks may come in any order; the engine keeps ranges
 * and moves the sink's cursor of each lane over their contiguous prefix.
 */

#ifndef BEACOND_SINK_H
#define BEACOND_SINK_H

#include "beacon.h"
#include "beacond_batch.h"
#include "beacond_conf.h"
#include "beacon_template.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct beacond_sink_s      beacond_sink_t;
typedef struct beacond_sink_ops_s  beacond_sink_ops_t;

/* A lane's identity over helper restarts, and where a sink stands in it. */
typedef struct {
    uint64_t         epoch;
    uint32_t         lane;
    beacon_cursor_t  cursor;
} beacond_position_t;

/*
 * What a durable sink keeps in its checkpoint for the engine, atomically with
 * its own state, and gives back at start.  JSON text, opaque to the sink:
 * positions, done, lost, flag counts, journal position.
 */
typedef struct {
    char   *text;
    size_t  len;
} beacond_checkpoint_t;

struct beacond_sink_ops_s {
    const char  *type;          /* "log", as in status */
    bool         durable;
    bool         resumes;       /* is not, but load() tells where it was: it
                                   goes on there, as far as the ring has it */
    bool         gathers;       /* takes a while with what it has anyway: it is
                                   not woken for each batch of a stream */

    /*
     * Opens nothing that can block for long.  conf: the sink's own object
     * from beacon.json.  Sets sink->data.  INVALID with err: configuration.
     */
    beacon_rc_t (*create)(beacond_sink_t *sink, const json_t *conf,
        beacon_err_t *err);
    void        (*destroy)(beacond_sink_t *sink);

    /*
     * At a reload that has the sink as it is: it is not what it was to be, and
     * could be now, so it is made anew.  From any thread; NULL op: never.
     */
    bool        (*again)(const beacond_conf_t *all, const json_t *conf);

    /*
     * On the sink's thread, once, before any batch.  Loads the checkpoint:
     * *checkpoint as it was last given to flush (NULL text: there is none).
     * After this the engine sets the sink's positions and calls recover.
     * AGAIN: cannot read it now (I/O error); asked again after retry_ms.
     */
    beacon_rc_t (*load)(beacond_sink_t *sink, beacond_checkpoint_t *checkpoint);

    /*
     * The hits after the checkpoint that exist by now, in order, batch by
     * batch, then NULL: a sink that rolls forward looks at them here (for the
     * line that was being written when it died) and will get them again by
     * batch.  May return FULL: seen enough.  NULL op: not wanted.
     */
    beacon_rc_t (*recover)(beacond_sink_t *sink, const beacond_batch_t *batch);

    /*
     * Takes a batch; keeps a reference (beacond_batch_ref) for as long as it
     * needs it.  AGAIN: cannot now (disk full, queue full); the engine offers
     * the same batch again after ops->retry_ms, and lets flush run meanwhile.
     * A batch may be taken in part: the sink then remembers how far.  A batch
     * has one hit at least.  A sink that has not acknowledged the last 24
     * is not given more until it has: flush runs meanwhile.
     */
    beacon_rc_t (*batch)(beacond_sink_t *sink, beacond_batch_t *batch);

    /*
     * A batch that a sink which is not durable will never be given: its queue
     * was full, or the readers came too late for it.  It comes behind that
     * many batches ("turn") of all that batch() has taken or will take since
     * the sink began, the first being number 1.  Of its lines only the sites
     * may be there (beacond_line_site()), and of its spans those of a hole,
     * without a hit; from and to are one place where it only may be that hits
     * before it were not brought.  Called by a reader, the keeper or the sink's
     * own thread, with the engine's mutex held: quick, no lock that is held for
     * long, no input or output, nothing is kept of the batch.  NULL op: not
     * wanted.
     */
    void        (*missed)(beacond_sink_t *sink, const beacond_batch_t *batch,
        uint64_t turn);

    /*
     * For one that resumes: the ring gives back these hits of a lane (the
     * batch has one span, and of its lines only the sites), and the sink may
     * not have done those from this ordinal on.  If it finds a hole there
     * later, or its successor does, this was the last to know of the sites.
     * Called by the keeper, as missed() is, from create() on, and also with
     * hits that the sink has in hand.  NULL op: not wanted.
     */
    void        (*passing)(beacond_sink_t *sink, const beacond_batch_t *batch,
        uint64_t ordinal);

    /*
     * Called when idle, at least every 200 ms, and after each batch: writes out
     * what is due by age or size, makes the checkpoint, acknowledges.  force:
     * all of it, now (stop, reopen).  Returns ms until it wants the next call.
     */
    int         (*flush)(beacond_sink_t *sink, bool force);

    /*
     * At a stop, when ring or spool has what the sink lacks: it is given no
     * batch more, and flush is called until this says that nothing is on its
     * way whose end is worth waiting for, or the stop's time is up.  After each
     * such flush.  A stop may be taken back.  NULL op: never.
     */
    bool        (*awaits)(beacond_sink_t *sink);

    void        (*reopen)(beacond_sink_t *sink);        /* USR1; may be NULL */

    /* Adds members for beacon_status, from the sink's thread; may be NULL. */
    void        (*status)(beacond_sink_t *sink, json_t *object);

    int         retry_ms;
};

/* What an op finds in its sink.  The engine's own part is behind "engine".
   conf is the one the sink was made with: its dir is the ring's. */
struct beacond_sink_s {
    const beacond_sink_ops_t  *ops;
    const char                *name;
    const beacond_conf_t      *conf;    /* of the whole helper */
    void                      *data;    /* the sink's own */
    uint64_t                   errors;          /* the sink counts; its */
    uint64_t                   last_success_ns; /*   thread only */
    struct beacond_sink_engine_s  *engine;
};

/*
 * Acknowledges hits [first, first + n) of batch->hits; n == batch->nhits also
 * covers what the batch's spans lost to corruption.  From any thread.
 */
void beacond_sink_ack(beacond_sink_t *sink, const beacond_batch_t *batch,
    uint32_t first, uint32_t n);

/* The hits that are done, by the books; and those that are parked. */
uint64_t beacond_sink_done(beacond_sink_t *sink);
uint64_t beacond_sink_parked(beacond_sink_t *sink);

/*
 * What to keep in a checkpoint that acknowledges, beyond what is acknowledged
 * already, the first n hits of each of these batches (in order): the sink
 * writes the text atomically with its own state, then calls
 * beacond_sink_ack().  The sink's thread only; free(checkpoint->text).
 */
typedef struct {
    const beacond_batch_t  *batch;
    uint32_t                first;
    uint32_t                n;
} beacond_acked_t;

beacon_rc_t beacond_sink_checkpoint(beacond_sink_t *sink,
    const beacond_acked_t *acked, size_t nacked,
    beacond_checkpoint_t *checkpoint);

/*
 * For a sink that copies hits instead of keeping batches, and is done with
 * them one by one in any order: a hit's place, to be kept as long as it takes.
 * A hit that is parked is done with as far as ring and spool are concerned,
 * but stays pending in the books: the sink has it in a file of its own.
 */
typedef enum {
    BEACOND_DONE,
    BEACOND_LOST,
    BEACOND_PARKED,
    BEACOND_FATES
} beacond_fate_e;

typedef struct {
    uint64_t         epoch;
    uint32_t         number;
    uint32_t         lane;      /* index in the engine's lane table */
    beacond_fate_e   fate;
    bool             told;      /* the last checkpoint covers it */
    beacon_cursor_t  from;
    beacon_cursor_t  to;
    uint64_t         flags;
} beacond_piece_t;

void beacond_sink_piece(const beacond_batch_t *batch, uint32_t hit,
    beacond_piece_t *piece);

/* In or after batch(): the sink has the places of all its hits and keeps no
   reference; what counts as "not acknowledged" is its own to bound. */
void beacond_sink_release(beacond_sink_t *sink, const beacond_batch_t *batch);

/* What a checkpoint is to cover: places in the order of the batches they came
   in, with their fates; and hits that were parked and are no longer. */
typedef struct {
    beacond_piece_t *const  *pieces;
    size_t                   npieces;
    uint64_t                 unparked_done;     /* tell() lessens these to */
    uint64_t                 unparked_lost;     /*   what the books know of */
    bool                     last;      /* as long as it takes: no other comes
                                           to tell of the rest */
} beacond_settled_t;

/*
 * As beacond_sink_checkpoint().  A checkpoint holds a bounded number of holes:
 * places that would make one too many are not "told", and are to be asked
 * about again with the next.  Then, once the text is written,
 * beacond_sink_settle() acknowledges those that are.  The sink's thread only.
 */
beacon_rc_t beacond_sink_tell(beacond_sink_t *sink,
    beacond_settled_t *settled, beacond_checkpoint_t *checkpoint);
void beacond_sink_settle(beacond_sink_t *sink,
    const beacond_settled_t *settled);

/* Has another durable sink got this hit?  Only then may one be lost. */
bool beacond_sink_spared(beacond_sink_t *sink, const beacond_piece_t *piece);

/* Is the sink told to end?  This flush, or the next one, is the last before
   destroy(). */
bool beacond_sink_ending(beacond_sink_t *sink);

/* Is the helper to stop?  Nothing comes that would be worth waiting for. */
bool beacond_sink_stopping(beacond_sink_t *sink);

/* Is it as at ops->awaits?  Within an op: the same from one end to the
   other. */
bool beacond_sink_closing(const beacond_sink_t *sink);

/*
 * <ring>/<name>.gone, by which somebody says that what is missing of a sink's
 * files will not come back; PATH_MAX bytes.  This function can't fail: a ring's
 * path is short.
 */
static inline void
beacond_sink_gone(const beacond_sink_t *sink, char *path)
{
    snprintf(path, PATH_MAX, "%s/%s.gone", sink->conf->dir, sink->name);
}

/*
 * A sink's own files in the spool's directory are part of its size: takes n
 * bytes of it.  FULL: there are not so many; INVALID: there is no spool.
 */
beacon_rc_t beacond_sink_spool_take(beacond_sink_t *sink, uint64_t n);
void beacond_sink_spool_give(beacond_sink_t *sink, uint64_t n);

/*
 * The spool's directory if the sink's checkpoint must also outlive the ring's
 * (the sink is behind and reads from the spool), else NULL.  A sink with files
 * keeps a second copy of its checkpoint there.
 */
const char *beacond_sink_spool_dir(beacond_sink_t *sink);

/*
 * Writes that copy, whole or not at all, and to the disk; text NULL: removes
 * it.  The sink's thread only.  AGAIN: it takes longer than 250 ms, and goes
 * on; asked while it does, this says so at once: a frozen spool is no reason
 * for a sink to stop.  SYS: errno.
 */
beacon_rc_t beacond_sink_copy(beacond_sink_t *sink, const char *path,
    const char *text, size_t len);

/*
 * Registers a template so that batches carry its values; create() only.
 * Binds its variables.
 */
beacon_rc_t beacond_sink_template(beacond_sink_t *sink,
    beacon_template_t *tmpl);

/* The i-th bound value of a line, in place. */
beacon_str_t beacond_line_value(const beacond_batch_t *batch,
    const beacond_line_t *line, uint32_t i);

/* A line's site, in place; empty where the line has none. */
static inline beacon_str_t
beacond_line_site(const beacond_batch_t *batch, const beacond_line_t *line)
{
    beacon_str_t  site = { 0, NULL };

    if (line->line.site_offset + line->line.site_len <= line->line.len) {
        site.data = batch->arena + line->offset + line->line.site_offset;
        site.len = line->line.site_len;
    }

    return site;
}

/* Epoch and lane number of a span: with a hit's offset, its id. */
void beacond_span_lane(const beacond_batch_t *batch, uint32_t span,
    uint64_t *epoch, uint32_t *lane);

/* All there are; NULL-ended. */
extern const beacond_sink_ops_t *const beacond_sinks[];
extern const beacond_sink_ops_t beacond_sink_log;
extern const beacond_sink_ops_t beacond_sink_ids;
extern const beacond_sink_ops_t beacond_sink_kafka;
extern const beacond_sink_ops_t beacond_sink_spy;
extern const beacond_sink_ops_t beacond_sink_live;
extern const beacond_sink_ops_t beacond_sink_collect;

#endif /* BEACOND_SINK_H */
