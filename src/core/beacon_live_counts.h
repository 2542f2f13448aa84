/*
 * The aggregates' own, on the writer's heap: who is in which slot, and in what
 * order.  Of it readers see the sites' lists alone; at open all of it is made
 * anew from what the slots say.
 */

#ifndef BEACON_LIVE_COUNTS_H
#define BEACON_LIVE_COUNTS_H

#include "beacon_live_int.h"

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
 * A visitor or a key.  Its site's list: of visitors by last hit; of keys, one
 * for each kind, in no order.  The pool's list, by last hit as exactly as steps
 * tell: who is earliest goes when there is no free one.
 */
typedef struct {
    uint32_t  site;                     /* 0: free */
    uint32_t  hash;
    uint32_t  newer;                    /* the site's */
    uint32_t  older;
    uint32_t  later;                    /* the pool's; of free ones */
    uint32_t  earlier;                  /*   the next */
    uint32_t  step;                     /* of its newest hit */
    uint32_t  weight;                   /* of a key: hits until then */
    uint16_t  kind;
    uint16_t  len;                      /* of what it is found by */
} beacon_live_own_t;

typedef struct {
    beacon_live_own_t  *own;
    uint32_t            free;
    uint32_t            latest;
    uint32_t            earliest;
} beacon_live_pool_t;

typedef struct {
    uint32_t  step;
    uint32_t  base;
    uint32_t  visitors;                 /* newest */
    uint32_t  keys[BEACON_LIVE_KINDS];
    uint32_t  nkeys[BEACON_LIVE_KINDS];
    uint32_t  hand[BEACON_LIVE_KINDS];  /* who is next to be looked at when
                                           one must go */
} beacon_live_own_counts_t;

typedef struct {
    beacon_live_own_counts_t  *sites;
    beacon_live_pool_t         visitors;
    beacon_live_pool_t         keys;

    beacon_live_visitor_t     *visitor;     /* in the file */
    beacon_live_key_t         *key;

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


/* ---- beacon_live_pool.c */

/* SYS: no memory.  None is free yet. */
beacon_rc_t beacon_live_pool_create(beacon_live_pool_t *pool, uint32_t max);
void beacon_live_pool_destroy(beacon_live_pool_t *pool);

/* As the latest of all; and no more in their list. */
void beacon_live_pool_push(beacon_live_pool_t *pool, uint32_t index);
void beacon_live_pool_unlink(beacon_live_pool_t *pool, uint32_t index);

/* It is in no list any more. */
void beacon_live_pool_free(beacon_live_pool_t *pool, uint32_t index);

/* At open: all that have no site are free. */
void beacon_live_pool_fill(beacon_live_pool_t *pool, uint32_t max);


/* ---- a site's visitors, beacon_live_count_visitor.c */

void beacon_live_count_visitor(beacon_live_writer_t *w,
    beacon_live_count_t *count, beacon_live_site_t *site, uint32_t step);
void beacon_live_visitors_push(beacon_live_writer_t *w, uint32_t site,
    uint32_t index);
void beacon_live_visitors_forget(beacon_live_writer_t *w, uint32_t site);

/* Fills in the text of a new visitor; of one who hits again, what is other
   than it was: saved for undoing. */
void beacon_live_person_new(beacon_live_visitor_t *slot,
    const beacon_live_count_t *count);
void beacon_live_person_again(beacon_live_writer_t *w,
    beacon_live_visitor_t *slot, const beacon_live_count_t *count);


/* ---- a site's keys, beacon_live_count_key.c */

void beacon_live_count_keys(beacon_live_writer_t *w, uint32_t site,
    const beacon_line_view_t *view, uint32_t step);
void beacon_live_keys_push(beacon_live_writer_t *w, uint32_t site,
    unsigned kind, uint32_t index);
void beacon_live_keys_forget(beacon_live_writer_t *w, uint32_t site);

#endif /* BEACON_LIVE_COUNTS_H */
