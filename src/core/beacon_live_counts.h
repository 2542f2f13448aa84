/*
 * The aggregates' own, on the writer's heap: who is in which slot, and in what
 * order.  Of it readers see the sites' lists alone; at open all of it is made
 * anew from what the slots say.
 */

#ifndef BEACON_LIVE_COUNTS_H
#define BEACON_LIVE_COUNTS_H

#include "beacon_live_undo.h"

/*
 * What a visitor is known by, to writer and readers alike: the id; of one that
 * is longer than a slot keeps, its beginning, "~" and 16 hex digits of a keyed
 * hash of all of it, good for as long as the store is.  buf has room for
 * BEACON_LIVE_ID_MAX bytes.
 */
#define BEACON_LIVE_ID_MAX    64

beacon_str_t beacon_live_id_long(const uint64_t seed[2], beacon_str_t id,
    uint8_t buf[BEACON_LIVE_ID_MAX]);

static inline beacon_str_t
beacon_live_id(const uint64_t seed[2], beacon_str_t id,
    uint8_t buf[BEACON_LIVE_ID_MAX])
{
    return id.len <= BEACON_LIVE_ID_MAX ? id
                                        : beacon_live_id_long(seed, id, buf);
}

/*
 * A visitor or a key.  It is known by its hash, of 64 bits, seeded, of all that
 * it is: site, kind, text.  Its site's list: of visitors by last hit; of keys,
 * one for each kind, in no order.
 */
typedef struct {
    uint64_t  hash;
    uint32_t  site;                     /* 0: free */
    uint32_t  newer;                    /* the site's */
    uint32_t  older;
    uint32_t  step;                     /* of its newest hit */
    uint32_t  weight;                   /* of a key: hits, as that step began
                                           halved for the time without */
    uint16_t  kind;
    uint16_t  page;                     /* of a visitor: where in his text */
} beacon_live_own_t;

/* The pool's list, by last hit as exactly as steps tell: who is earliest goes
   when there is no free one.  Of those that are free, "earlier" is the next. */
typedef struct {
    beacon_live_own_t    *own;
    beacon_live_links_t  *links;
    uint32_t              free;
    uint8_t              *slots;        /* in the file */
    size_t                size;         /* of one */
} beacon_live_pool_t;

/* The first of a site's list, and what readers see of it. */
typedef struct {
    uint32_t  *own;
    uint32_t  *seen;
} beacon_live_front_t;

struct beacon_live_own_counts_s {
    uint64_t  visitor_salt;             /* for hashes: beacon_live_salted() */
    uint64_t  key_salts[BEACON_LIVE_KINDS];
    uint32_t  step;
    uint32_t  life;                     /* of the site in this slot */
    uint32_t  running;                  /* its place in steps[] */
    uint32_t  base;
    uint32_t  visitors;                 /* newest */
    uint32_t  keys[BEACON_LIVE_KINDS];
    uint32_t  nkeys[BEACON_LIVE_KINDS];
    uint32_t  hand[BEACON_LIVE_KINDS];  /* who is next to be looked at when
                                           one must go */
    uint32_t  busy[BEACON_LIVE_KINDS];  /* the step in which all who were
                                           looked at had been hit, */
    uint32_t  most[BEACON_LIVE_KINDS];  /*   who was to go so often, and */
    uint32_t  asked[BEACON_LIVE_KINDS]; /*   new ones since */
};

/* Keys that came lately and were in no list, by their hash: how often. */
#define BEACON_LIVE_NOTED  1024

typedef struct {
    uint64_t  hash;
    uint64_t  when;                     /* step, and life, as they stand */
    uint64_t  hits;
} beacon_live_noted_t;

typedef struct {
    beacon_live_own_counts_t  *sites;
    beacon_live_pool_t         visitors;
    beacon_live_pool_t         keys;

    beacon_live_visitor_t     *visitor;     /* in the file */
    beacon_live_key_t         *key;

    uint64_t                   wall_ms;     /* where the step "wall" began */
    uint32_t                   wall;
    beacon_live_noted_t        noted[BEACON_LIVE_NOTED];
    uint8_t                    id[BEACON_LIVE_ID_MAX];  /* of the hit's visitor,
                                               where that is a long one */
} beacon_live_counts_t;

/* A clock set back by so many steps is not believed to be another time. */
#define BEACON_LIVE_BACK  6

/* Keys that a site has of a kind. */
extern const uint32_t  beacon_live_keys_most[BEACON_LIVE_KINDS];

/* What the parts of a visitor's text are. */
enum {
    BEACON_LIVE_PERSON_ID,
    BEACON_LIVE_PERSON_ENTRY,
    BEACON_LIVE_PERSON_REFERRER,
    BEACON_LIVE_PERSON_COUNTRY,
    BEACON_LIVE_PERSON_FLAGS,
    BEACON_LIVE_PERSON_PAGE,
    BEACON_LIVE_PERSON_PARTS
};

/* Where the parts stand in a slot, or in a copy of it; 0: they can't. */
int beacon_live_person_parts(const beacon_live_visitor_t *slot,
    beacon_str_t parts[BEACON_LIVE_PERSON_PARTS]);

static inline uint64_t
beacon_live_key_salt(uint32_t site, unsigned kind)
{
    return site | (uint64_t) (kind + 1) << 32;
}

/* A key that was damaged, or is another site's, has another hash. */
static inline int
beacon_live_key_whole(const beacon_live_t *live, const beacon_live_key_t *key)
{
    return beacon_live_hash(live->is.seed,
                            beacon_live_key_salt(key->site, key->kind),
                            (beacon_str_t) { key->len, key->text })
           == key->hash;
}


/* The one of a hash, and its slot; NULL: there is none.  No free entry of a
   table has the hash of slot 0, which has none of its. */
#define BEACON_LIVE_NOBODY  1

static inline beacon_live_own_t *
beacon_live_pool_find(const beacon_live_pool_t *pool,
    const beacon_live_table_t *table, uint64_t hash, uint32_t *index)
{
    uint32_t                    at;
    beacon_live_own_t          *own;
    const beacon_live_entry_t  *entry;

    for (at = (uint32_t) hash; /* void */; at++) {
        entry = &table->entries[at & table->mask];

        if (entry->hash == (uint32_t) hash) {
            own = &pool->own[entry->index];

            if (own->hash == hash) {
                *index = entry->index;
                return own;
            }
        }

        if (entry->index == 0) {
            return NULL;
        }
    }
}


/* ---- steps, beacon_live_count.c */

/* Time has come to another step; hits that were put count in the one before. */
void beacon_live_count_wall(beacon_live_writer_t *w);

/* What the time is, in each batch and tick. */
static inline void
beacon_live_time(beacon_live_writer_t *w, uint64_t now_ms)
{
    if (now_ms == w->now_ms) {
        return;
    }

    beacon_live_clock(w, now_ms);

    if (__builtin_expect(now_ms - ((beacon_live_counts_t *) w->counts)->wall_ms
                         >= 1000 * BEACON_LIVE_STEP, 0))
    {
        beacon_live_count_wall(w);
    }
}

/* A site that is in no run has another running step than there is now. */
void beacon_live_count_step(beacon_live_writer_t *w, uint32_t site);


/* ---- runs, beacon_live_run.c */

/* The site has its first hit in the run; there is one from here on. */
beacon_live_run_t *beacon_live_run_join(beacon_live_writer_t *w,
    beacon_live_own_site_t *site);

static inline beacon_live_run_t *
beacon_live_run_of(beacon_live_writer_t *w, beacon_live_own_site_t *site)
{
    return __builtin_expect(site->run != NULL, 1)
           ? site->run : beacon_live_run_join(w, site);
}


/* ---- beacon_live_pool.c */

/* SYS: no memory.  None is free yet.  slots: in the file, so large each. */
beacon_rc_t beacon_live_pool_create(beacon_live_pool_t *pool, uint32_t max,
    void *slots, size_t size);
void beacon_live_pool_destroy(beacon_live_pool_t *pool);

/* A slot that was free; 0: there is none. */
uint32_t beacon_live_pool_take(beacon_live_pool_t *pool);

/* It is in no list any more. */
void beacon_live_pool_free(beacon_live_pool_t *pool, uint32_t index);

/* At open: all that have no site are free. */
void beacon_live_pool_fill(beacon_live_pool_t *pool, uint32_t max);

/* A site's list: one more in front; one less. */
void beacon_live_list_push(const beacon_live_pool_t *pool,
    beacon_live_front_t front, uint32_t index);
void beacon_live_list_unlink(const beacon_live_pool_t *pool,
    beacon_live_front_t front, uint32_t index);

static inline beacon_live_slot_t *
beacon_live_pool_slot(const beacon_live_pool_t *pool, uint32_t index)
{
    return (void *) (pool->slots + index * pool->size);
}

/* A site that goes: the slots of a list are free, and readers see that.
   Returns how many. */
uint32_t beacon_live_list_forget(beacon_live_pool_t *pool,
    beacon_live_table_t *table, beacon_live_front_t front);


/* ---- a site's visitors, beacon_live_count_visitor.c */

beacon_live_front_t beacon_live_visitors_front(const beacon_live_writer_t *w,
    uint32_t site);
void beacon_live_visitors_forget(beacon_live_writer_t *w, uint32_t site);

/* Fills in the text of a new visitor; of one who hits again, what is other
   than it was: saved for undoing.  Return where in it his page is. */
uint16_t beacon_live_person_new(beacon_live_writer_t *w,
    beacon_live_visitor_t *slot, const beacon_live_count_t *count);
uint16_t beacon_live_person_change(beacon_live_writer_t *w,
    beacon_live_visitor_t *slot, const beacon_live_count_t *count);


/* ---- a site's keys, beacon_live_count_key.c */

void beacon_live_keys_push(beacon_live_writer_t *w, uint32_t site,
    unsigned kind, uint32_t index);
void beacon_live_keys_forget(beacon_live_writer_t *w, uint32_t site);

#endif /* BEACON_LIVE_COUNTS_H */
