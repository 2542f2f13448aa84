/*
 * The engine: readers, batches, sinks, spool and the keeper, behind nine
 * calls.  main() calls them from one thread; it needs no turn of its own: all
 * that goes on happens in the engine's threads.
 *
 *     reader threads   ring -> batches -> queues of live sinks
 *     a thread a sink  queue, or by itself from spool and ring -> ops->batch
 *     keeper thread    attaches and retires rings, gives space back, decides
 *                      about the spool and about loss, publishes the books
 *     spool thread     ring -> journal, while a durable sink lags
 *
 * Whoever calls holds beacond.lock: only then may reclaim be written.
 */

#ifndef BEACOND_ENGINE_H
#define BEACOND_ENGINE_H

#include "beacon.h"
#include "beacon_counters.h"
#include "beacond_conf.h"

#include <stdbool.h>

typedef struct beacond_engine_s  beacond_engine_t;

/*
 * Attaches the rings, opens the spool, makes the sinks, starts the threads.
 * counters is the caller's and outlives the engine.  A sink that cannot be made
 * waits alone and is tried again, with back-off and at each configure; its hits
 * are held.  Returns NULL with err: a ring or the spool's directory cannot be
 * used.  On success the engine owns conf: it is valid until the next successful
 * configure, or destroy.
 */
beacond_engine_t *beacond_engine_create(beacond_conf_t *conf,
    beacon_counters_t *counters, beacon_err_t *err);

/*
 * Adoption: goes over to a new configuration.  Attaches its epoch; stops the
 * sinks that it no longer has and restarts those whose object changed, but for
 * "at"; keeps the rest running.  Takes over the new conf only if OK; otherwise,
 * as where a new sink cannot be made, the old one goes on and err says why.
 */
beacon_rc_t beacond_engine_configure(beacond_engine_t *engine,
    beacond_conf_t *conf, beacon_err_t *err);

/* USR1: every sink reopens what it has open, in its own thread. */
void beacond_engine_reopen(beacond_engine_t *engine);

/*
 * Begins to drain for good: sinks write out at once, and what a sink does not
 * take goes to the spool.  ms: the time there is.  May be called again.
 * ms < 0: not after all (a successor has adopted us): goes on as before.
 */
void beacond_engine_stop(beacond_engine_t *engine, int ms);

/*
 * 1: every lane is unowned, and all its hits are acknowledged by every durable
 * sink or spooled.  *left (may be NULL): hits that are not.  A sink that only
 * resumes is not waited for: the ring keeps what it lacks for its successor.
 */
int beacond_engine_drained(beacond_engine_t *engine, uint64_t *left);

/*
 * After drained() was 1: sinks are given no more, and what they have on its way
 * ends.  true: it has, or is not worth waiting for, which it is for four
 * seconds at most.  May be called again.  closing false: goes on, something
 * came.
 */
bool beacond_engine_close(beacond_engine_t *engine, bool closing);

/* May the spool be left?  It has no hits and no files of sinks, all of which
   have loaded; or there is none. */
bool beacond_engine_spool_empty(beacond_engine_t *engine);

/* Flushes and destroys the sinks, publishes the last books, joins all.  One
   that resumes first takes what is in its queue. */
void beacond_engine_destroy(beacond_engine_t *engine);

#endif /* BEACOND_ENGINE_H */
