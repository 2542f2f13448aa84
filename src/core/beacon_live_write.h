/*
 * The live store, for its one writer.  One thread at a time; the process holds
 * beacond.lock.  None of these waits for a reader.
 */

#ifndef BEACON_LIVE_WRITE_H
#define BEACON_LIVE_WRITE_H

#include "beacon.h"
#include "beacon_line.h"
#include "beacon_live_format.h"

typedef struct beacon_live_writer_s  beacon_live_writer_t;

#define BEACON_LIVE_SIZE_MIN  (8 << 20)
#define BEACON_LIVE_SIZE_MAX  (1ULL << 38)

/*
 * Goes on with the store of this size that is there: undoes a hit that was
 * being written, rebuilds every index; also with one of another size, where
 * one of this could not be even in its place.  Otherwise makes one, and retires
 * the one that there was (another size: removed; another layout, or damaged in
 * its head: renamed to live.<epoch>.aside, if there is room for both).
 * INVALID: no such size.  SYS: errno (ENOSPC: the tmpfs is too small, or
 * readers have not yet left the old one, which is retired then: try again);
 * err says more.
 */
beacon_rc_t beacon_live_open(beacon_live_writer_t **writer, const char *dir,
    uint64_t size, uint32_t present, beacon_err_t *err);
void beacon_live_close(beacon_live_writer_t *writer);

/*
 * 1: somebody has removed its file, or cut it short, if only for a while; no
 * reader who comes finds it, and those who are there are told to leave it.
 * Another one can be opened beside it then.
 */
int beacon_live_gone(beacon_live_writer_t *writer);

/* Gives back the room of one that is gone, which it has as long as anybody has
   it mapped. */
void beacon_live_empty(beacon_live_writer_t *writer);

/* 1: a store of so many bytes has room in dir, where all others of ours go,
   also one that is set aside. */
int beacon_live_has_room(const char *dir, uint64_t size);

/* visitors= after a reload. */
void beacon_live_set_present(beacon_live_writer_t *writer, uint32_t present);

typedef struct {
    beacon_str_t  site;
    beacon_str_t  line;                 /* no newline */
    beacon_str_t  visitor;              /* as it is to be shown; not empty */
    uint64_t      time_ms;              /* of the hit */
    uint64_t      missing;              /* of this site, before it */
    uint64_t      mark;                 /* see beacon_live_mark() */
    const beacon_line_shown_t  *shown;  /* of the line */
} beacon_live_put_t;

/*
 * now_ms: when it is taken, which decides the step it counts in; a clock that
 * goes back does not count back.  FULL: it is longer than BEACON_LIVE_HIT_MAX,
 * or than the site's chunks; it is then a gap of one.  A site that finds no
 * slot (all are in use by sites that were hit within "present") is _overflow's.
 * Otherwise this function can't fail.
 */
beacon_rc_t beacon_live_put(beacon_live_writer_t *writer,
    const beacon_live_put_t *put, uint64_t now_ms);

/*
 * As beacon_live_put(), but that the hit may be committed with some that follow
 * (BEACON_LIVE_RUN of them at most), in one, and no reader has it before: at
 * the latest by beacon_live_put_end(), which comes before whatever else is
 * asked of the writer.
 */
beacon_rc_t beacon_live_put_more(beacon_live_writer_t *writer,
    const beacon_live_put_t *put, uint64_t now_ms);
void beacon_live_put_end(beacon_live_writer_t *writer);

/* n hits of the site are missing behind its newest.  INVALID: the store does
   not know the site; nothing is told, but the mark is kept. */
beacon_rc_t beacon_live_gap(beacon_live_writer_t *writer, beacon_str_t site,
    uint64_t n, uint64_t mark);

/*
 * The mark of the last put or gap, whatever that returned: a number of the
 * caller's, kept in the head and committed with the hit, or the gap, in one:
 * after a SIGKILL it tells which of them are in the store, exactly.  0: a new
 * store, or nothing was put.  A put or gap whose mark is 0 leaves it as it is.
 */
uint64_t beacon_live_mark(const beacon_live_writer_t *writer);

/* Where there is to be no store any more: retires and removes what is there.
   No writer is open. */
void beacon_live_remove(const char *dir);

/* At least each second: evaluates shares when it is time. */
void beacon_live_tick(beacon_live_writer_t *writer, uint64_t now_ms);

typedef struct {
    uint64_t  hits;                     /* ever taken */
    uint64_t  missing;
    uint64_t  size;
    uint64_t  used_bytes;               /* of chunks */
    uint32_t  sites;
    uint32_t  visitors;
    uint32_t  keys;
    uint64_t  evicted_sites;            /* since open */
    uint64_t  evicted_visitors;
    uint64_t  overflow;                 /* hits that went to _overflow */
    uint64_t  too_large;
    uint64_t  repaired;                 /* found damaged, at open or later */
} beacon_live_stats_t;

void beacon_live_stats(const beacon_live_writer_t *writer,
    beacon_live_stats_t *stats);

/* Called at the points that beacon_live_int.h names, for tests that kill the
   writer there.  NULL: not wanted. */
extern void  (*beacon_live_point)(const char *name)
    __attribute__((visibility("hidden")));

#endif /* BEACON_LIVE_WRITE_H */
