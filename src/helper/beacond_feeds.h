/*
 * Which hits of which feed have come, by edge and site: <ring>/live.feeds,
 * mapped, so that a master that starts again knows what it missed.
 *
 * A feed is known by its name, which is new at each start of an edge's helper.
 * The first frame of one sets a baseline for its site, and so do those of
 * other sites in its first BEACOND_FEEDS_NEW ms, when heartbeats tell of all:
 * no gap.  A site that comes later begins at 1.
 *
 * Who knows a feed's name can forge its frames where there is no CURVE.  So a
 * heartbeat that tells of a gap is believed once nothing of the feed's own has
 * contradicted it for BEACOND_FEEDS_SURE ms, and makes no hit a repeated one;
 * nor does a hit those that it made missing: they are put when they come, and
 * the next that are missing not told again.
 *
 * A hit whose id has been put lately has come by another feed of its edge: it
 * is a repeated one, and while that is so, what its feed lacks is no gap.
 *
 * Bounded: BEACOND_FEEDS_MAX entries, of which one that was not seen for long
 * goes for a new one; once that has happened, sites that come later have a
 * baseline, too.  Entries know hashes, no names.
 *
 * Under the live store's lock, all of it.
 */

#ifndef BEACOND_FEEDS_H
#define BEACOND_FEEDS_H

#include "beacon.h"

#define BEACOND_FEEDS_MAX   (128 * 1024)
#define BEACOND_FEEDS_NEW   5000        /* ms */
#define BEACOND_FEEDS_RATE  1000000     /* hits a second that a feed's number
                                           may move at most, and */
#define BEACOND_FEEDS_REST  2           /*   so many seconds more */
#define BEACOND_FEEDS_SURE  1500        /* ms */

typedef struct beacond_feeds_s  beacond_feeds_t;

typedef struct {
    beacon_str_t  edge;
    uint64_t      feed;
    beacon_str_t  site;
    beacon_str_t  sites;                /* what is subscribed to, behind a
                                           slash: another set of sites is
                                           another acquaintance */
    uint64_t      seq;
    beacon_str_t  id;                   /* a hit's; empty: it has none */
} beacond_feeds_at_t;

/* mark: the store's; notes of what it has not committed are forgotten.  NULL
   with err: the file cannot be made. */
beacond_feeds_t *beacond_feeds_open(const char *dir, uint64_t mark,
    beacon_err_t *err);
void beacond_feeds_close(beacond_feeds_t *feeds);
void beacond_feeds_remove(const char *dir);

/*
 * A hit, about to be put with this mark: OK.  *lacking: hits that are not there
 * before it, as this frame shows; *missing: those and what could not be told
 * earlier.  INVALID: it has come before.  FULL: its number cannot be right.
 */
beacon_rc_t beacond_feeds_hit(beacond_feeds_t *feeds,
    const beacond_feeds_at_t *at, uint64_t now_ms, uint64_t mark,
    uint64_t *missing, uint64_t *lacking);

/* A heartbeat: OK; *missing hits up to it are to be told as a gap with this
   mark; 0: none.  FULL: its number cannot be right. */
beacon_rc_t beacond_feeds_beat(beacond_feeds_t *feeds,
    const beacond_feeds_at_t *at, uint64_t now_ms, uint64_t mark,
    uint64_t *missing, uint64_t *lacking);

/* What was about to be, has been. */
void beacond_feeds_done(beacond_feeds_t *feeds);

/* The store did not know the gap's site: it goes with its next hit. */
void beacond_feeds_untold(beacond_feeds_t *feeds, uint64_t missing);

typedef struct {
    uint32_t  entries;
    uint64_t  evicted;
} beacond_feeds_stats_t;

void beacond_feeds_stats(const beacond_feeds_t *feeds,
    beacond_feeds_stats_t *stats);

#endif /* BEACOND_FEEDS_H */
