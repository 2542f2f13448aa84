/*
 * The live store, for its readers: beacon_live_format.h says what it is.
 *
 * A reader maps the file read-only and may be in another process than the
 * writer, who never waits for it.  All that is returned is copied out and
 * validated: a file that changes meanwhile, or was damaged, gives less, never
 * a crash, an endless loop or another site's data.  Nothing here blocks,
 * allocates or calls the system, but for attach and detach.  (A file that is
 * cut short is a SIGBUS, which attach takes: beacon_live_bus.c.)
 */

#ifndef BEACON_LIVE_H
#define BEACON_LIVE_H

#include "beacon.h"
#include "beacon_live_format.h"

typedef struct {
    const beacon_live_head_t  *head;    /* NULL: not attached */
    size_t                     size;
    uint64_t                   epoch;
    /* the geometry, read once and checked */
    beacon_live_head_t         is;
} beacon_live_t;

/*
 * Maps the newest store in the ring's directory that is not retired.  AGAIN:
 * there is none (yet).  CORRUPT: there is, but not one that this code reads;
 * SYS: errno; err says more.
 */
beacon_rc_t beacon_live_attach(beacon_live_t *live, const char *dir,
    beacon_err_t *err);
void beacon_live_detach(beacon_live_t *live);

/* 0: a newer store has taken its place, or part of what is mapped is not the
   file any more, which may be well by now; attach again. */
int beacon_live_current(const beacon_live_t *live);

/* ---- sites */

typedef struct {
    uint32_t  index;
    uint32_t  name_len;
    uint8_t   name[BEACON_SITE_MAX];
    uint64_t  hits;                     /* since the store knows the site */
    uint64_t  last;                     /* newest sequence; start: none yet */
    uint64_t  first;                    /* oldest that is still there */
    uint64_t  start;                    /* cursors below are of an earlier
                                           time in the store: no gap to tell */
    uint64_t  last_ms;                  /* time of the newest hit */
    uint32_t  chunks;
    uint32_t  share;
    uint32_t  tenant;                   /* whose slot it was then */
} beacon_live_info_t;

/* OK, or INVALID: no such site. */
beacon_rc_t beacon_live_find(const beacon_live_t *live, beacon_str_t name,
    beacon_live_info_t *site);

/* The next site from *at on, which begins at 0; INVALID: there are no more.
   Costs what it returns; order is that of the slots. */
beacon_rc_t beacon_live_next_site(const beacon_live_t *live, uint32_t *at,
    beacon_live_info_t *site);

/* The newest sequence of a site that was found; 0: it has gone.  Two loads:
   what a waiting request asks again and again.  It never goes back. */
uint64_t beacon_live_last(const beacon_live_t *live,
    const beacon_live_info_t *site);

/* ---- hits, ascending */

typedef struct {
    uint64_t      seq;
    uint64_t      time_ms;
    beacon_str_t  line;                 /* JSON, no newline; with "ip" */
    beacon_str_t  brief;                /* the short form */
    uint32_t      ip_offset;            /* of "ip":"...", in line */
    uint32_t      ip_len;               /* 0: none */
} beacon_live_record_t;

typedef struct {
    const beacon_live_t  *live;
    beacon_live_info_t    site;
    uint64_t              since;        /* all hits up to it are behind us */
    uint64_t              missed;       /* between where it began and since:
                                           gone, or never seen */
    uint32_t              chunk;        /* where it stands; 0: to be found */
    uint32_t              offset;
    uint64_t              serial;       /* the chunk's */
    uint64_t              scanned;      /* bytes, for who limits them */
    uint8_t              *buf;          /* the caller's: one hit */
    size_t                size;
} beacon_live_scan_t;

/* A hit's short form and line are never longer together. */
#define BEACON_LIVE_HIT_MAX  (512 * 1024)

/*
 * Begins behind "since" (0: at the oldest; below the site's start: there, and
 * what was before is not told).  buf holds one hit at a time;
 * BEACON_LIVE_HIT_MAX is enough for any; a smaller one is too, until
 * beacon_live_scan() says FULL.
 */
void beacon_live_scan_begin(beacon_live_scan_t *scan, const beacon_live_t *live,
    const beacon_live_info_t *site, uint64_t since, uint8_t *buf, size_t size);

/*
 * The next hit, in buf.  AGAIN: there is none now; since is then the site's
 * newest sequence, gaps at the end told (or, where much is damaged, how far it
 * looked; it always gets on).  FULL: buf is smaller than *need (the scan stands
 * before it).  INVALID: the site has gone.
 */
beacon_rc_t beacon_live_scan(beacon_live_scan_t *scan,
    beacon_live_record_t *record, size_t *need);

/*
 * From where to begin so that at most n hits follow, as near to n as a walk
 * back over at most "bytes" of them tells; holes are no hits.
 */
uint64_t beacon_live_back(const beacon_live_t *live,
    const beacon_live_info_t *site, uint32_t n, uint64_t bytes);

/* ---- now */

typedef struct {
    uint64_t  start;                    /* s, of the first step */
    uint32_t  steps;
    uint32_t  hits[BEACON_LIVE_STEPS];
    uint64_t  all;                      /* hits in them */
    uint64_t  visitors;                 /* last seen in them: all of those
                                           that hit in them (who was put out
                                           by others and came back: twice) */
} beacon_live_now_t;

/*
 * The steps of a window of so many seconds (10 to 3600, rounded up to whole
 * steps) that ends with the running step at now_ms.
 */
beacon_rc_t beacon_live_now(const beacon_live_t *live,
    const beacon_live_info_t *site, uint64_t now_ms, uint32_t window,
    beacon_live_now_t *now);

typedef struct {
    uint64_t  n;
    uint32_t  len;
    uint8_t   text[BEACON_LIVE_KEY_TEXT];       /* as in a line */
} beacon_live_top_t;

/*
 * The keys of a kind with most hits in that window, most first, ties by text;
 * *n: room, then how many there are.  A window of more than RECENT - 1 steps
 * leaves out the part of its oldest minute.  A site keeps 256 pages, 128
 * referrers, 256 countries, 64 campaigns; beyond that those that are hit
 * seldom make room, and what they had is not counted any more.
 */
beacon_rc_t beacon_live_top(const beacon_live_t *live,
    const beacon_live_info_t *site, beacon_live_kind_e kind, uint64_t now_ms,
    uint32_t window, beacon_live_top_t *top, uint32_t *n);

/* ---- visitors */

typedef struct {
    uint64_t      first_ms;
    uint64_t      last_ms;
    uint64_t      seq;                  /* of the newest hit */
    uint32_t      hits;
    uint32_t      index;                /* its slot */
    beacon_str_t  id;                   /* these in text */
    beacon_str_t  entry;
    beacon_str_t  page;
    beacon_str_t  referrer;             /* of the entry */
    beacon_str_t  country;
    beacon_str_t  flags;                /* "[...]" or empty */
    uint8_t       text[BEACON_LIVE_VISITOR_TEXT];
} beacon_live_person_t;

/*
 * The site's visitors, last seen first: begin with *at 0 and *before
 * UINT64_MAX.  INVALID: no more.  One who moves to the front meanwhile may be
 * left out, none comes twice.
 */
beacon_rc_t beacon_live_next_visitor(const beacon_live_t *live,
    const beacon_live_info_t *site, uint32_t *at, uint64_t *before,
    beacon_live_person_t *person);

/*
 * By id as it stands in a line (escaped), or in person->id: a slot keeps 64
 * bytes, and of a longer one its first 47 at most, "~" and a keyed hash of all
 * of it.  INVALID: there is none.
 */
beacon_rc_t beacon_live_visitor(const beacon_live_t *live,
    const beacon_live_info_t *site, beacon_str_t id,
    beacon_live_person_t *person);

/*
 * A visitor's hits, newest first, at most *n of those that are still there,
 * and none that makes them longer than 256 KiB together, but the first: their
 * sequences into seqs.  Each is then to be had by
 * beacon_live_scan_begin(..., seqs[i] - 1, ...).
 */
beacon_rc_t beacon_live_trail(const beacon_live_t *live,
    const beacon_live_info_t *site, const beacon_live_person_t *person,
    uint64_t *seqs, uint32_t *n);

#endif /* BEACON_LIVE_H */
