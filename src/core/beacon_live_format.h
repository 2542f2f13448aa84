/*
 * The live store: one file on tmpfs, <ring>/live.<epoch>, of a size that is
 * fixed when it is made.  One process writes (the helper, who holds
 * beacond.lock); nginx workers map it read-only, read without a lock, validate
 * what they read, and copy it out.
 *
 *     0              beacon_live_head_t, a page; magic published last
 *     + undo         BEACON_LIVE_UNDO bytes: beacon_live_undo_t, and entries
 *     + sites        site_slots x u32: hash table, open addressing; a site's
 *                    index + 1; 0: free
 *                    sites_max x beacon_live_site_t
 *     + visitors     visitor_slots x u32, visitors_max x beacon_live_visitor_t
 *     + keys         key_slots x u32, keys_max x beacon_live_key_t
 *     + chunks       chunks x BEACON_LIVE_CHUNK bytes
 *
 * Offsets and indexes, never pointers.  Index 0 of sites, visitors, keys and
 * chunks is not used: 0 means none.  All of the file is allocated when it is
 * made (a sparse tmpfs turns ENOSPC into SIGBUS), indexes included.
 *
 * Proportions.  The file has size= bytes, down to a whole page.  Three eighths
 * are indexes: of the first 128m an eighth, of what is beyond a 24th for sites;
 * of the rest three quarters for visitors, one for keys.  All else is chunks.
 * No more sites than half of the chunks, so that each can have two.  128m has
 * room for 5,100 sites, 75,000 visitors, 12,900 keys and 81m of hits; 512m for
 * 10,900, 380,000, 64,700 and 320m; 1280m for 21,800, 996,000, 167,000, 800m.
 *
 * Hits.  A site's hits are a chain of chunks, each of them written from front
 * to end once: header, then fragments, 8-aligned.  A hit is one fragment, or
 * several in successive chunks when it is larger than what is left of one; less
 * than 512 bytes are left empty.  A fragment counts once it lies before the
 * chunk's "committed", which is release-stored when the fragment is whole
 * (pairs with the reader's acquire): a half-written one never existed.
 * Fragments carry the site's index and a sum that begins with the chunk's
 * serial, so that a reader who was led astray by a flipped bit or by a chunk
 * that has gone to another site sees it, and what stands in a chunk from its
 * life before is never taken for a hit.  A first fragment begins a hit anew:
 * what came before it without an end was written by somebody who was killed.
 *
 * Sequences.  A hit's sequence is its site's last one plus one, plus the hits
 * that are known to be missing before it: so what a reader missed is a
 * difference, whoever missed it, and a site's missing ones are last - start -
 * hits.  A site that comes again in another slot starts above all sequences
 * that the store ever gave out to sites that went: its "start" is larger, so
 * that a cursor from before is known by being less.  They stay below 2^53.
 *
 * A site's slot.  "tenant" is odd while the slot changes hands; a reader who
 * sees another one than before has lost its site.  Slot 1 is _overflow's.
 *
 * A chunk's life.  "serial" is odd while the chunk changes hands; a reader
 * takes it before, copies, and takes what it copied only if it has not moved
 * (seqlock: the writer's store of the odd serial is followed by a release
 * fence, the reader's second load preceded by an acquire fence).  A chunk
 * belongs to one site or is free.  When a site needs one: a free one; else,
 * while the site has less than its share, the oldest of the site that is
 * furthest over its own, or for one that has less than two, of who has most;
 * else its own oldest.
 *
 * Shares.  Every BEACON_LIVE_EVALUATE seconds: share = 1 + (chunks - sites)
 * x (its weight) / (all weights).  A weight is what came in this time and half
 * of the weight before; of a site that got nothing, a 256th of it.
 *
 * Aggregates (steps, visitors, keys) change under the seqlock of the site,
 * visitor or key they belong to: visitors and keys one hit after the other, the
 * site once for a run of hits.  Before it changes them, the writer copies what
 * will change to the undo area; the run is committed, then the undo area is
 * emptied: after a SIGKILL the next writer finds of a run either nothing, or
 * all of it.  Until it is committed no reader has its hits: neither "committed"
 * of their chunks nor "last" of their sites says so.  Hash tables, chains of
 * free things, lists: rebuilt at attach, from the slots and chunks.
 *
 * Hash tables.  Linear probing, at most half full, removal by moving back; who
 * misses what he looked for looks again if the table's serial has changed.
 *
 * Who may write: everything here is the writer's alone.
 */

#ifndef BEACON_LIVE_FORMAT_H
#define BEACON_LIVE_FORMAT_H

#include "beacon.h"
#include "beacon_line.h"

#include <assert.h>
#include <stdatomic.h>

#define BEACON_LIVE_MAGIC     0x31455649434542ULL       /* "BECIVE1" */
#define BEACON_LIVE_LAYOUT    7
#define BEACON_LIVE_PAGE      4096
#define BEACON_LIVE_CHUNK     8192
#define BEACON_LIVE_EVALUATE  5         /* s */
#define BEACON_LIVE_STEP      10        /* s */
#define BEACON_LIVE_STEPS     361       /* an hour, and the running one */
#define BEACON_LIVE_MINUTE    6         /* steps */
#define BEACON_LIVE_MINUTES   60
#define BEACON_LIVE_RECENT    37        /* steps that keys know singly */
#define BEACON_LIVE_SEQ_MAX   ((1ULL << 53) - 1)

/* What top lists are kept of. */
typedef enum {
    BEACON_LIVE_PAGE_KEY,
    BEACON_LIVE_REFERRER_KEY,
    BEACON_LIVE_COUNTRY_KEY,
    BEACON_LIVE_CAMPAIGN_KEY,
    BEACON_LIVE_KINDS
} beacon_live_kind_e;

typedef struct {
    _Atomic uint64_t  magic;            /* published last; 0: set aside */
    uint32_t          layout;
    uint32_t          chunk_size;
    uint64_t          size;             /* of the file */
    uint64_t          epoch;
    uint64_t          made_ns;          /* CLOCK_REALTIME */
    uint32_t          site_slots;       /* powers of two */
    uint32_t          visitor_slots;
    uint32_t          key_slots;
    uint32_t          sites_max;        /* with the unused one at 0 */
    uint32_t          visitors_max;
    uint32_t          keys_max;
    uint32_t          chunks;
    uint32_t          reserved;
    uint64_t          undo_at;
    uint64_t          sites_at;         /* offsets of the hash tables; what */
    uint64_t          visitors_at;      /*   they index follows, at the next */
    uint64_t          keys_at;          /*   multiple of 64 */
    uint64_t          chunks_at;
    uint64_t          seed[2];          /* of the hashes */
    _Alignas(64) _Atomic uint64_t  retired;     /* 1: look for a newer file */
    _Atomic uint64_t  hits;             /* ever taken */
    _Atomic uint64_t  missing;          /* known not to have come */
    uint64_t          mark;             /* the writer's caller's: changes with
                                           the hit or gap it came with */
    _Atomic uint64_t  base;             /* highest sequence of sites gone */
    _Atomic uint64_t  evaluated;        /* how often shares were */
    _Atomic uint64_t  present;          /* s: who is here now (visitors=) */
    _Atomic uint64_t  site_moves;       /* serials of the hash tables */
    _Atomic uint64_t  visitor_moves;
    _Atomic uint64_t  key_moves;
} beacon_live_head_t;

/*
 * A run: a few hits that are committed in one, or a gap.  What it changes
 * before that: entries up to "end", each with the bytes that were there, undone
 * backwards.  It is committed when "sites" says of how many sites it stands
 * below what they are to be from then on, as is the head.  That is done next,
 * by the next writer once more where this one was killed.
 */
#define BEACON_LIVE_UNDO  (64 * 1024)
#define BEACON_LIVE_RUN   16            /* hits, at most */


/*
 * Steps of a site are counted: number n begins (base + n) x BEACON_LIVE_STEP
 * seconds after 1970.  A clock that is set back by more than a minute changes
 * the base, and makes the next step one that is an hour later: nothing of what
 * was before lies in a window with it.
 */
typedef struct {
    uint32_t          hits;
    uint32_t          visitors;         /* last seen then */
} beacon_live_step_t;

typedef struct {
    uint64_t          last;
    uint64_t          hits;
    uint64_t          last_ms;
    uint64_t          serial;           /* of this chunk, which has so much */
    uint32_t          chunk;            /*   committed; 0: a gap, which */
    uint32_t          committed;        /*   changes "last" alone */
    uint32_t          site;
    uint32_t          step;             /* its place in steps[], where then */
    beacon_live_step_t  now;            /*   is this */
} beacon_live_outcome_t;

typedef struct {
    _Atomic uint64_t  end;              /* base + offset; 0: none was saved */
    uint64_t          base;             /* where the writer has the file */
    _Atomic uint32_t  sites;            /* 0: not committed */
    uint32_t          reserved;
    uint64_t          hits;             /* the head's */
    uint64_t          missing;
    uint64_t          mark;
    beacon_live_outcome_t  outcomes[BEACON_LIVE_RUN];
} beacon_live_undo_t;

typedef struct {
    uint64_t          where;            /* base + offset */
    uint64_t          len;              /* bytes that follow, then up to 8 */
} beacon_live_undo_entry_t;

/* In words that are each stored whole (relaxed atomics under the seqlock);
   name and hash under "tenant", which is a seqlock of its own. */
typedef struct {
    _Alignas(64) _Atomic uint64_t  serial;      /* odd: changing */
    _Atomic uint32_t  tenant;                   /* odd: changing hands */
    uint32_t          name_len;                 /* 0: free */
    uint32_t          hash;
    uint32_t          step;             /* number of the running step */
    uint8_t           name[64];
    _Atomic uint64_t  start;            /* sequence before its first */
    _Atomic uint64_t  last;             /* newest sequence; committed with it */
    _Atomic uint64_t  first;            /* oldest one stored, or last + 1 */
    _Atomic uint32_t  newest;           /* chunk; 0: none */
    _Atomic uint32_t  oldest;
    _Atomic uint32_t  chunks;           /* that it has; and */
    _Atomic uint32_t  share;            /*   what it may have */
    uint64_t          hits;             /* ever, since it is in the slot */
    uint64_t          last_ms;          /* time of its newest hit */
    beacon_live_step_t  steps[BEACON_LIVE_STEPS];       /* n: n modulo */
    uint32_t          base;
    uint32_t          visitors;         /* head of its list, newest first */
    uint32_t          keys[BEACON_LIVE_KINDS];          /* heads */
    uint32_t          nkeys[BEACON_LIVE_KINDS];
} beacon_live_site_t;

/* What a visitor and a key begin with. */
typedef struct {
    _Atomic uint64_t  serial;
    uint64_t          hash;
    uint32_t          site;             /* 0: free */
    uint32_t          older;            /* the site's list */
} beacon_live_slot_t;

#define BEACON_LIVE_VISITOR_TEXT  244

/* Strings are what stands between a line's quotes: escaped JSON.  Those that
   do not fit are cut at a character; a long id has a hash in place of what was
   cut (beacon_live_id()).  Last is what changes most. */
typedef struct {
    _Alignas(64) _Atomic uint64_t  serial;
    uint64_t          hash;
    uint32_t          site;             /* 0: free */
    uint32_t          older;            /* the site's list, by last hit */
    uint64_t          first_ms;
    uint64_t          last_ms;
    uint64_t          seq;              /* of its newest hit, in */
    uint32_t          chunk;            /*   this chunk, at */
    uint32_t          offset;           /*   this fragment */
    uint32_t          hits;
    uint32_t          step;             /* of its newest hit */
    uint16_t          lens[6];          /* id, entry, referrer, country, flags,
                                           page: one after the other */
    uint8_t           text[BEACON_LIVE_VISITOR_TEXT];
} beacon_live_visitor_t;

#define BEACON_LIVE_KEY_TEXT  192

typedef union {
    uint64_t          both;
    struct {
        uint32_t      step;
        uint32_t      minute;
    } hits;
} beacon_live_running_t;

/* Hits of the running step are one word, which may change without the serial:
   nothing else does then. */
typedef struct {
    _Alignas(64) _Atomic uint64_t  serial;
    uint64_t          hash;
    uint32_t          site;             /* 0: free */
    uint32_t          older;            /* the site's list of the kind */
    uint16_t          kind;
    uint16_t          len;
    uint32_t          step;             /* of its newest hit; hits in that */
    beacon_live_running_t  running;     /*   step, which recent has not yet, */
                                        /*   and in its minute: step / 6 */
    uint32_t          since;            /* step it was made in: what stands
                                           below of steps before is not its */
    uint32_t          recent[BEACON_LIVE_RECENT];       /* n: n modulo */
    uint32_t          minutes[BEACON_LIVE_MINUTES + 1]; /* the same */
    uint8_t           text[BEACON_LIVE_KEY_TEXT];
} beacon_live_key_t;

typedef struct {
    _Alignas(64) _Atomic uint64_t  serial;      /* odd: changing hands */
    _Atomic uint32_t  committed;        /* bytes, with this header */
    uint32_t          site;             /* 0: free */
    uint64_t          index;            /* in the site's chain, from 1 */
    uint64_t          first;            /* hits that begin before it have
                                           lower sequences, others not */
    _Atomic uint32_t  next;             /* newer; 0: none, or more is still to
                                           go into this one */
    uint32_t          previous;         /* older; may be gone */
    uint32_t          jump;             /* further back: the chain is walked
                                           in O(log n) steps (Myers, 1983: "An
                                           applicative random-access stack");
                                           may be gone */
    uint32_t          reserved;
    uint64_t          jump_index;
} beacon_live_chunk_t;

/* A hit's first fragment has beacon_live_hit_t behind this, then the line, then
   the visitor, if he is shown by another name than the line's; others go on
   where the one before ended. */
typedef struct {
    uint32_t  length;                   /* with this header; 8-aligned */
    uint32_t  check;                    /* beacon_live_sum.h, of all that
                                           follows and the chunk's serial */
    uint32_t  site;
    uint16_t  bytes;                    /* of the hit that stand here */
    uint8_t   first;
    uint8_t   last;
    uint64_t  seq;
} beacon_live_fragment_t;

typedef struct {
    uint64_t  time_ms;
    uint32_t  line_len;                 /* {"v":1,...}, no newline; */
    uint32_t  more_len;                 /*   and of what is behind it */
    uint32_t  visitor;                  /* slot; 0: none.  His hit before: */
    uint32_t  before_chunk;             /*   0: none */
    uint32_t  before_offset;
    uint32_t  reserved;
    uint64_t  before_seq;
    beacon_line_text_t  ip;             /* "ip":"..." */
    beacon_line_text_t  texts[BEACON_SHORT_TEXTS];      /* what the short form
                                           is made of; len 0: none */
} beacon_live_hit_t;

static_assert(sizeof(beacon_live_head_t) <= BEACON_LIVE_PAGE, "head");
static_assert(sizeof(beacon_live_site_t) == 3072, "site");
static_assert(sizeof(beacon_live_visitor_t) == 320
              && offsetof(beacon_live_visitor_t, text) == 76, "visitor");
static_assert(sizeof(beacon_live_key_t) == 640, "key");
static_assert(offsetof(beacon_live_visitor_t, hash) == 8
              && offsetof(beacon_live_visitor_t, older) == 20
              && offsetof(beacon_live_key_t, hash) == 8
              && offsetof(beacon_live_key_t, older) == 20
              && sizeof(beacon_live_slot_t) == 24, "slot");
static_assert(sizeof(beacon_live_chunk_t) == 64, "chunk header");
static_assert(sizeof(beacon_live_fragment_t) == 24, "fragment");
static_assert(sizeof(beacon_live_hit_t) == 96, "hit");

#endif /* BEACON_LIVE_FORMAT_H */
