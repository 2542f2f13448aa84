/*
 * What the live store's own files share with nobody else.
 *
 * The writer believes nothing that stands in the file once it has opened it:
 * chains, owners, names and hashes are on its heap, in arrays whose size the
 * geometry tells, and the file is what it publishes of them.
 */

#ifndef BEACON_LIVE_INT_H
#define BEACON_LIVE_INT_H

#include "beacon_live.h"
#include "beacon_live_lru.h"
#include "beacon_live_sum.h"
#include "beacon_live_sync.h"
#include "beacon_live_text.h"
#include "beacon_live_write.h"

#include <string.h>

/*
 * Points at which tests kill the writer, through beacon_live_point:
 *
 *     live.made            the file is whole, and has no name yet
 *     live.named           it has; the old one is not retired
 *     live.retired         the old one is, and is still there
 *     live.site_take       a slot is changing hands
 *     live.site_made       it has its new site, which has no chunk
 *     live.evict           a site is about to go, its sequences are noted
 *     live.evicted         it is gone, its slot is free
 *     live.chunk_odd       a chunk has left its site, and has no new one
 *     live.chunk_moved     it has, and is in no chain
 *     live.chunk_linked    it is in the chain
 *     live.counting        what a hit changes is being changed
 *     live.counted         it is; the hit is not written
 *     live.fragment        a hit's fragment is there, others are to follow
 *     live.before_commit   a run or gap is all there, and not committed
 *     live.after_commit    it is, no reader was told
 *     live.before_clear    they are, the undo area is not empty
 *     live.before_gap      hits are missing, nothing says so
 *     live.after_gap       it is told
 *     live.undone          at open: what a hit changed is as it was
 *     live.rebuilt         at open: chains are whole, the tables are not
 */
#define BEACON_LIVE_POINT(name)                                               \
    do {                                                                      \
        if (__builtin_expect(beacon_live_point != NULL, 0)) {                 \
            beacon_live_point(name);                                          \
        }                                                                     \
    } while (0)


/* ---- what stands where: NULL for 0 and for what is not there */

static inline uint8_t *
beacon_live_bytes(const beacon_live_t *live, uint64_t offset)
{
    return (uint8_t *) (uintptr_t) live->head + offset;
}

/* Things behind a table of "slots" words. */
#define BEACON_LIVE_ITEMS(at, slots)  (((at) + 4ULL * (slots) + 63) & ~63ULL)

/* Of an index that is known to be good. */
static inline beacon_live_site_t *
beacon_live_site_at(const beacon_live_t *live, uint32_t index)
{
    return (void *) (beacon_live_bytes(live,
                        BEACON_LIVE_ITEMS(live->is.sites_at,
                                          live->is.site_slots))
                     + (uint64_t) index * sizeof(beacon_live_site_t));
}

static inline beacon_live_site_t *
beacon_live_site(const beacon_live_t *live, uint32_t index)
{
    return index != 0 && index < live->is.sites_max
           ? beacon_live_site_at(live, index) : NULL;
}

static inline beacon_live_visitor_t *
beacon_live_visitor_slot(const beacon_live_t *live, uint32_t index)
{
    if (index == 0 || index >= live->is.visitors_max) {
        return NULL;
    }

    return (void *) (beacon_live_bytes(live,
                        BEACON_LIVE_ITEMS(live->is.visitors_at,
                                          live->is.visitor_slots))
                     + (uint64_t) index * sizeof(beacon_live_visitor_t));
}

static inline beacon_live_key_t *
beacon_live_key_slot(const beacon_live_t *live, uint32_t index)
{
    if (index == 0 || index >= live->is.keys_max) {
        return NULL;
    }

    return (void *) (beacon_live_bytes(live,
                        BEACON_LIVE_ITEMS(live->is.keys_at,
                                          live->is.key_slots))
                     + (uint64_t) index * sizeof(beacon_live_key_t));
}

static inline beacon_live_chunk_t *
beacon_live_chunk_at(const beacon_live_t *live, uint32_t index)
{
    return (void *) (beacon_live_bytes(live, live->is.chunks_at)
                     + (uint64_t) index * BEACON_LIVE_CHUNK);
}

static inline beacon_live_chunk_t *
beacon_live_chunk(const beacon_live_t *live, uint32_t index)
{
    return index != 0 && index < live->is.chunks
           ? beacon_live_chunk_at(live, index) : NULL;
}


/* ---- hash tables, beacon_live_table.c */

typedef struct {
    uint32_t           index;           /* 0: free */
    uint32_t           hash;
} beacon_live_entry_t;

/* The writer's: on the heap, and what readers see of it. */
typedef struct {
    beacon_live_entry_t  *entries;
    uint32_t              mask;
    uint32_t             *published;
    _Atomic uint64_t     *moves;
} beacon_live_table_t;

/* entries all free; published is not touched.  SYS: no memory. */
beacon_rc_t beacon_live_table_create(beacon_live_table_t *table,
    uint32_t slots, uint32_t *published, _Atomic uint64_t *moves);
void beacon_live_table_destroy(beacon_live_table_t *table);

/*
 * The candidates of a hash: begin with *at = hash; 0: there are no more.
 * The caller compares what they are.
 */
static inline uint32_t
beacon_live_table_next(const beacon_live_table_t *table, uint32_t hash,
    uint32_t *at)
{
    const beacon_live_entry_t  *entry;

    do {
        entry = &table->entries[(*at)++ & table->mask];
    } while (entry->index != 0 && entry->hash != hash);

    return entry->index;
}

/* Never more than half of the slots.  An index is in it once. */
void beacon_live_table_add(beacon_live_table_t *table, uint32_t hash,
    uint32_t index);
void beacon_live_table_remove(beacon_live_table_t *table, uint32_t hash,
    uint32_t index);

/*
 * For a rebuild: adds to entries only; then publishes what differs, so that
 * readers see no hole where all was well.
 */
void beacon_live_table_place(beacon_live_table_t *table, uint32_t hash,
    uint32_t index);
void beacon_live_table_publish(beacon_live_table_t *table);

/*
 * A reader's way: the index in slot number "step" from the hash's home on; 0:
 * the end.  He goes no further than BEACON_LIVE_PROBES, compares what he finds
 * with what he wants, hash first, and if he finds nothing, tries again (a few
 * times) if *moves is not what it was, or odd.
 */
#define BEACON_LIVE_PROBES  256

static inline uint32_t
beacon_live_probe(const beacon_live_t *live, uint64_t table_at, uint32_t slots,
    uint32_t hash, uint32_t step)
{
    const uint32_t  *table;

    table = (const void *) beacon_live_bytes(live, table_at);

    return __atomic_load_n(&table[(hash + step) & (slots - 1)],
                           __ATOMIC_ACQUIRE);
}


/* ---- the file, beacon_live_file.c */

typedef struct {
    int                  fd;            /* -1: there is none */
    uint64_t             epoch;
    uint64_t             size;
    beacon_live_head_t  *head;          /* mapped */
    beacon_live_head_t   is;            /* checked */
} beacon_live_file_t;

/* Fills in what a store of this size (whole pages) is made of. */
void beacon_live_geometry(beacon_live_head_t *head, uint64_t size);

/* The newest file of a directory that is whole and not retired.  AGAIN: none;
   CORRUPT: none, but another that this code can't read; SYS: errno. */
beacon_rc_t beacon_live_file_find(const char *dir, int writable,
    beacon_live_file_t *file, beacon_err_t *err);
beacon_rc_t beacon_live_file_create(const char *dir, uint64_t size,
    uint32_t present, beacon_live_file_t *file, beacon_err_t *err);
void beacon_live_file_close(beacon_live_file_t *file);

/* What readers' functions work on; the mapping is the file's. */
void beacon_live_file_view(const beacon_live_file_t *file,
    beacon_live_t *live);

/* Mapped; while it is, a file that is cut short is no SIGBUS.  Not mapped. */
void beacon_live_bus_watch(const void *start, uint64_t size, int prot);
void beacon_live_bus_leave(const void *start);

/* 1: what is mapped is, in part, not the file any more. */
int beacon_live_bus_struck(const void *start);

/* Retires and removes all stores in dir but this one; of those that can't be
   read the last is kept, as live.<epoch>.aside. */
void beacon_live_file_sweep(const char *dir, uint64_t epoch);

/* Removes what is set aside. */
void beacon_live_file_forget(const char *dir);


/* ---- the writer */

/* A chunk, as it is: what the file says of it, readers only believe. */
typedef struct {
    uint64_t  serial;
    uint64_t  index;
    uint64_t  first;
    uint64_t  jump_index;
    uint32_t  site;                     /* 0: free, and */
    uint32_t  next;                     /*   the next free one */
    uint32_t  previous;
    uint32_t  jump;
    uint32_t  committed;                /* CHUNK: no more goes into it */
    beacon_live_chunk_t  *seen;         /* in the file */
} beacon_live_own_chunk_t;

static_assert(sizeof(beacon_live_own_chunk_t) == 64, "found with a shift");

typedef struct beacon_live_own_site_s  beacon_live_own_site_t;

/* A site with hits in the run that is not committed; at its commit, where in
   the file that is. */
typedef struct {
    uint64_t  last_ms;                  /* time of the newest */
    beacon_live_own_site_t  *own;
    uint32_t  hits;
    uint32_t  visitors;                 /* new ones in its running step, */
    uint32_t  step;                     /*   whose place in steps[] is this */
    uint32_t  chunk;                    /* 0: a gap */
} beacon_live_run_t;

/* What it counts. */
typedef struct beacon_live_own_counts_s  beacon_live_own_counts_t;

struct beacon_live_own_site_s {
    uint64_t  start;
    uint64_t  last;
    uint64_t  hit_at;                   /* writer's clock, ms */
    uint64_t  bytes;                    /* since shares were evaluated */
    uint64_t  weight;
    uint64_t  index;                    /* of its newest chunk ever */
    uint32_t  newest;
    uint32_t  oldest;
    uint32_t  chunks;
    uint32_t  share;
    uint32_t  place;                    /* in the heap of those over */
    uint32_t  slot;                     /* this one */
    uint32_t  tenant;
    uint32_t  going;                    /* at open: it was changing hands */
    uint32_t  hash;
    uint32_t  name_len;                 /* 0: free */
    uint8_t   name[BEACON_SITE_MAX];
    beacon_live_run_t         *run;     /* NULL: has no hit in it */
    beacon_live_own_counts_t  *counts;
    beacon_live_site_t        *seen;    /* in the file */
};

/* A hit that is being counted. */
typedef struct {
    const beacon_live_own_site_t  *own;
    const beacon_live_put_t       *put;
    uint64_t                       seq;
    uint32_t                       chunk;       /* where it will stand, */
    beacon_live_own_chunk_t       *in;
    uint32_t                       offset;      /*   its first fragment, */
    beacon_live_hit_t             *head;        /*   with this: what it says of
                                                   his visitor is filled in */
    size_t                         more;        /* behind the line: the visitor,
                                                   if he is shown by another
                                                   name */
} beacon_live_count_t;

#define BEACON_LIVE_NEAR  64

struct beacon_live_writer_s {
    beacon_live_t             live;     /* readers' functions work on it */
    beacon_live_file_t        file;
    beacon_live_head_t       *head;     /* in the file */
    beacon_live_undo_t       *undo;
    uint8_t                  *saved;    /* end of the entries there */
    beacon_live_sum_f         sum;

    beacon_live_run_t         run[BEACON_LIVE_RUN];
    beacon_live_step_t       *left[BEACON_LIVE_RUN];    /* in the file: who is
                                           counted in another step than before
                                           is counted less there */
    uint32_t                  runs;     /* sites in run[] */
    uint32_t                  lefts;
    uint64_t                  hits;     /* of the run */
    uint64_t                  missing;  /* before them */
    uint64_t                  mark;     /* of the last that has one */
    beacon_live_count_t       count;    /* the hit that is being put, and */
    beacon_live_sum_t         begin;    /*   with what its sum begins */

    beacon_live_table_t       sites;
    beacon_live_table_t       visitors;
    beacon_live_table_t       keys;

    beacon_live_site_t       *seen;     /* sites, in the file */
    beacon_live_own_site_t   *site;     /* [sites_max] */
    beacon_live_links_t      *listed;   /* the same: sites by last hit, but
                                           _overflow, which never goes; of free
                                           ones "earlier" is the next */
    beacon_live_own_chunk_t  *chunk;    /* [chunks] */
    uint32_t                 *heap;     /* sites, furthest over first */
    uint32_t                  heaped;
    uint32_t                  free_site;
    uint32_t                  free_chunk;
    uint32_t                  free_chunks;
    beacon_live_own_site_t   *near[BEACON_LIVE_NEAR];   /* sites that were
                                           looked for, by a few bytes */

    uint64_t                  base;     /* highest sequence of sites gone */
    uint64_t                  clock;    /* ms; never goes back */
    uint64_t                  now_ms;   /* as it was last told */
    uint64_t                  evaluated_at;
    uint32_t                  present;  /* s */

    uint8_t                  *text;     /* a hit that is read at open */
    void                     *counts;   /* the aggregates' own */
    beacon_live_stats_t       stats;
};


/* At open, 1: what says that it is this site's is no damage; whoever was about
   to free it was killed. */
static inline int
beacon_live_was_going(const beacon_live_writer_t *w, uint32_t site)
{
    return site < w->live.is.sites_max && w->site[site].going;
}


/* ---- chunks, beacon_live_chunks.c */

#define BEACON_LIVE_OVERFLOW  1         /* its slot */

/* With what the sum of a fragment begins: words of its header, of which this is
   the first, and its chunk's serial. */
static inline uint64_t
beacon_live_sum_word(uint32_t site, size_t bytes, unsigned first,
    unsigned last)
{
    return site | (uint64_t) bytes << 32 | (uint64_t) first << 48
           | (uint64_t) last << 56;
}

static inline beacon_live_sum_t
beacon_live_sum(const beacon_live_fragment_t *fragment, uint64_t serial)
{
    return (beacon_live_sum_t) { {
        beacon_live_sum_word(fragment->site, fragment->bytes, fragment->first,
                             fragment->last),
        fragment->seq, serial, 0
    } };
}

/* The texts of a hit's short form, in the text behind its head; 0: they can't
   be there. */
int beacon_live_hit_texts(const beacon_live_hit_t *hit, const uint8_t *text,
    beacon_str_t texts[BEACON_SHORT_TEXTS]);

/* Less than this at a chunk's end is left: a hit's head is in one piece, and
   parts cost. */
#define BEACON_LIVE_LEAST  512

/*
 * One more chunk for a site, in its chain behind its newest.  first: the least
 * sequence that a hit that begins in it can have.  keep: the site gives none
 * with this index or a higher one for it.  lead: readers get to it from there.
 * 0: there is none to be had.
 */
uint32_t beacon_live_chunk_add(beacon_live_writer_t *w, uint32_t site,
    uint64_t first, uint64_t keep, uint32_t least, int lead);

/* From this chunk readers get to the next: nothing more goes into it, or they
   would pass that by. */
static inline void
beacon_live_chunk_lead(const beacon_live_writer_t *w, uint32_t chunk)
{
    BEACON_LIVE_PUBLISH(w->chunk[chunk].seen->next, w->chunk[chunk].next);
}

/* The oldest sequence of a site that may be stored, or its last + 1. */
uint64_t beacon_live_first(const beacon_live_writer_t *w, uint32_t site);

/* All chunks of a site that goes. */
void beacon_live_chunks_free(beacon_live_writer_t *w, uint32_t site);

/* A chunk of nobody: at open too. */
void beacon_live_chunk_free(beacon_live_writer_t *w, uint32_t chunk);

/* At open: chunks for a hit that was never committed take the one that comes
   instead. */
void beacon_live_chunks_begin(beacon_live_writer_t *w,
    const beacon_live_own_site_t *site);

/* What a chain's links must be; jump_index of a chunk's index. */
uint64_t beacon_live_jump(uint64_t index);
void beacon_live_chunk_jump(beacon_live_writer_t *w, uint32_t chunk);


/* ---- shares, beacon_live_shares.c */

/* The site joins or leaves those who have shares; has more chunks now, or
   less. */
void beacon_live_heap_add(beacon_live_writer_t *w, uint32_t site);
void beacon_live_heap_remove(beacon_live_writer_t *w, uint32_t site);
void beacon_live_heap_more(beacon_live_writer_t *w, uint32_t site);
void beacon_live_heap_less(beacon_live_writer_t *w, uint32_t site);

/* Who is furthest over his share, or 0; of any: who has most chunks. */
uint32_t beacon_live_furthest(const beacon_live_writer_t *w);
uint32_t beacon_live_largest(const beacon_live_writer_t *w);

void beacon_live_evaluate(beacon_live_writer_t *w);


/* ---- sites, beacon_live_sites.c */

/* A known site's slot, or 0. */
uint32_t beacon_live_site_find(const beacon_live_writer_t *w,
    beacon_str_t name);

/* A site that is not near: in its slot, a new one, or _overflow's. */
beacon_live_own_site_t *beacon_live_site_found(beacon_live_writer_t *w,
    beacon_str_t name, beacon_live_own_site_t **near);

/* A free slot gets its site.  It is in no list yet if it is _overflow's. */
void beacon_live_site_make(beacon_live_writer_t *w, uint32_t site,
    beacon_str_t name);

/* Its slot changes hands, and has. */
beacon_live_site_t *beacon_live_tenant_open(beacon_live_writer_t *w,
    uint32_t site);
void beacon_live_tenant_close(beacon_live_writer_t *w, uint32_t site);

/* Time goes on, never back. */
static inline void
beacon_live_clock(beacon_live_writer_t *w, uint64_t now_ms)
{
    if (w->now_ms && now_ms > w->now_ms) {
        w->clock += now_ms - w->now_ms;
    }

    w->now_ms = now_ms;
}


/* ---- at open, beacon_live_rebuild.c */

/* CORRUPT: the head is damaged, the file is of no use.  SYS: no memory. */
beacon_rc_t beacon_live_rebuild(beacon_live_writer_t *w);


/* ---- a chunk's fragments, beacon_live_chunk.c */

/* What readers take of a chunk's header at once. */
typedef struct {
    uint64_t  serial;
    uint64_t  index;
    uint64_t  first;
    uint64_t  jump_index;
    uint32_t  chunk;
    uint32_t  site;
    uint32_t  previous;
    uint32_t  jump;
} beacon_live_seen_t;

/* OK; AGAIN: it changes hands; CORRUPT: there is no such chunk. */
beacon_rc_t beacon_live_chunk_see(const beacon_live_t *live, uint32_t chunk,
    beacon_live_seen_t *seen);

/*
 * The header of what stands at "offset" of a chunk: OK, plausible and no more.
 * AGAIN: nothing is committed there.  CORRUPT: it is no fragment.
 */
beacon_rc_t beacon_live_fragment_see(const beacon_live_t *live, uint32_t chunk,
    uint32_t offset, beacon_live_fragment_t *fragment);

/*
 * The bytes of a fragment that was seen, a first one's head to *hit, all others
 * to dst, which has room for them.  OK: they are what was written, while the
 * chunk had this serial.  CORRUPT.
 */
beacon_rc_t beacon_live_fragment_read(const beacon_live_t *live,
    uint32_t chunk, uint64_t serial, uint32_t offset,
    const beacon_live_fragment_t *fragment, beacon_live_hit_t *hit,
    uint8_t *dst);

/*
 * The newest chunk of a site whose "first" is at most the key; by_index: whose
 * index is.  Where that is gone: the oldest.  AGAIN: the site has none, or its
 * chain is damaged.
 */
beacon_rc_t beacon_live_chunk_locate(const beacon_live_t *live, uint32_t site,
    uint64_t key, int by_index, beacon_live_seen_t *seen);

/* 1: the site that was found still has its slot. */
int beacon_live_has_slot(const beacon_live_t *live,
    const beacon_live_info_t *site);


/* ---- aggregates: beacon_live_count.c and others, called from here */

/* A text of the hit's short form; where there is none, len is 0. */
static inline beacon_str_t
beacon_live_text_of(const beacon_live_put_t *put, beacon_line_text_t text)
{
    return (beacon_str_t) { text.len, put->line.data + text.offset };
}

static inline beacon_str_t
beacon_live_shown(const beacon_live_put_t *put, unsigned text)
{
    return beacon_live_text_of(put, put->shown->texts[text]);
}

/* At open, when sites and chunks are whole: fills the tables of visitors and
   keys, makes lists and what is free.  SYS: no memory. */
beacon_rc_t beacon_live_counts_open(beacon_live_writer_t *w);
void beacon_live_counts_close(beacon_live_writer_t *w);

/* A site goes: its visitors and keys are free.  A new one's steps are zeros
   when beacon_live_counts_site() has been called; its tenant is odd. */
void beacon_live_counts_forget(beacon_live_writer_t *w, uint32_t site);
void beacon_live_counts_site(beacon_live_writer_t *w, uint32_t site);

#endif /* BEACON_LIVE_INT_H */
