/*
 * The live store in the helper: one, whoever writes into it.
 *
 * The live sink opens and closes it, in its own thread; what it renders and
 * what a spy master collects go in by turns, each under the lock.  Marks are
 * given out here, ascending over all writers and helpers: after a SIGKILL each
 * writer knows by its own notes and the store's mark what of it is there.
 */

#ifndef BEACOND_LIVE_H
#define BEACOND_LIVE_H

#include "beacon_live_write.h"
#include "beacond_conf.h"
#include "beacond_feeds.h"

/* As beacon_live_open(), and points.  One caller at a time; INVALID: it is
   open already. */
beacon_rc_t beacond_live_open(const char *dir, uint64_t size, uint32_t present,
    beacon_err_t *err);
void beacond_live_close(void);

/* One of this size can take the place of the store that is open.  INVALID:
   there would be none. */
beacon_rc_t beacond_live_room(const char *dir, uint64_t size,
    beacon_err_t *err);

/* One of this size was to be open, and is not for want of room, which there is
   now. */
bool beacond_live_grows(const char *dir, uint64_t size);

/*
 * Another one in place of a store whose file somebody removed, or cut short; by
 * who opened it.  OK: it is made; AGAIN: the store is there.  Otherwise as of
 * beacon_live_open(), and what there was is still written to: ask again.
 */
beacon_rc_t beacond_live_renew(const char *dir, uint64_t size,
    uint32_t present, beacon_err_t *err);

/* A configuration without a live store: what is there goes. */
void beacond_live_without(const beacond_conf_t *conf);

typedef struct {
    beacon_live_writer_t  *writer;
    uint64_t               mark;        /* given out last; 0: a new store */
    beacond_feeds_t       *feeds;       /* what a spy master has of edges;
                                           NULL: not open yet */
} beacond_live_t;

/* NULL, and not locked: no store is open.  Held for a batch, not for input. */
beacond_live_t *beacond_live_lock(void);
void beacond_live_unlock(beacond_live_t *live);

/* As beacon_live_put(), but that the mark is the next one. */
beacon_rc_t beacond_live_put(beacond_live_t *live, beacon_live_put_t *put,
    uint64_t now_ms);

/* The same as beacon_live_put_more(); beacond_live_put_end() before the lock is
   given back. */
static inline beacon_rc_t
beacond_live_put_more(beacond_live_t *live, beacon_live_put_t *put,
    uint64_t now_ms)
{
    put->mark = ++live->mark;

    return beacon_live_put_more(live->writer, put, now_ms);
}

void beacond_live_put_end(beacond_live_t *live);

/* As beacon_live_gap(). */
beacon_rc_t beacond_live_gap(beacond_live_t *live, beacon_str_t site,
    uint64_t n);

#endif /* BEACOND_LIVE_H */
