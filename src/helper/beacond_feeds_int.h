/* The feeds' table: what beacond_feeds.c keeps, and beacond_feeds_judge.c knows
   by it. */

#ifndef BEACOND_FEEDS_INT_H
#define BEACOND_FEEDS_INT_H

#include "beacond_feeds.h"

#include <stdbool.h>

/* Hits that were put lately: a hash has one of so many sets, which keeps the
   last that came to it.  1 of 2,000 is forgotten when 100,000 others were put
   since, 1 of 10,000,000 when it were half as many. */
#define BEACOND_FEEDS_RECENT  (16 * 1024)
#define BEACOND_FEEDS_WAYS    16

/* One site of one feed; or the feed itself, seq: since when it is known. */
typedef struct {
    uint64_t  key[2];                   /* 0, 0: none */
    uint64_t  seq;                      /* all up to it are told */
    uint64_t  hit;                      /* the last that was put; 0: none */
    uint64_t  next;                     /* what these two will be, once this */
    uint64_t  next_hit;                 /*   mark is in the store */
    uint64_t  mark;
    int64_t   carry;                    /* missing, and not told yet; below 0:
                                           told, but they came */
    int64_t   next_carry;
    uint64_t  seen_ms;
    uint64_t  beat;                     /* what a heartbeat says, until it is
                                           believed; 0: nothing */
    uint64_t  beat_ms;                  /* since when */
    uint64_t  hole_from;                /* hits between these were missing, */
    uint64_t  hole_to;                  /*   when the second came */
    uint64_t  twin;                     /* 1: its hits come by another feed */
} beacond_feed_t;

typedef struct {
    uint64_t        magic;
    uint32_t        layout;
    uint32_t        room;               /* entries that are allocated */
    uint32_t        used;
    uint32_t        reserved;
    uint64_t        evicted;
    uint8_t         keys[2][16];        /* of the hashes */
    beacond_feed_t  entries[];
} beacond_feeds_file_t;

struct beacond_feeds_s {
    int                    fd;
    size_t                 size;
    beacond_feeds_file_t  *file;
    uint32_t              *slots;       /* entry + 1; 0: free */
    uint32_t               hand;
    uint64_t              *recent;      /* hashes of hits that were put, the
                                           last of a set first */
    uint64_t               id;          /* of the one that is to be; 0: none */
    beacond_feed_t        *doing;
};

/* The entry with this key; NULL: there is none.  add: a new one, with nothing
   in it. */
beacond_feed_t *beacond_feeds_find(beacond_feeds_t *feeds,
    const uint64_t *key);
beacond_feed_t *beacond_feeds_add(beacond_feeds_t *feeds,
    const uint64_t *key);

#endif /* BEACOND_FEEDS_INT_H */
