/*
 * What a request of the live API asks for: its query, its cursor, and the
 * sites that it may see.  All of it is a stranger's text.
 */

#ifndef BEACON_LIVE_QUERY_H
#define BEACON_LIVE_QUERY_H

#include "beacon.h"

/* Parameters. */
#define BEACON_LIVE_SINCE   0x01
#define BEACON_LIVE_LIMIT   0x02
#define BEACON_LIVE_WAIT    0x04
#define BEACON_LIVE_FIELDS  0x08
#define BEACON_LIVE_WINDOW  0x10
#define BEACON_LIVE_FILTER  0x20        /* args.NAME= */
#define BEACON_LIVE_ID      0x40

#define BEACON_LIVE_FILTERS  16

typedef struct {
    unsigned      given;                /* BEACON_LIVE_SINCE, ... */
    int           valid;                /* since= is a cursor */
    uint64_t      epoch;                /*   of this store, */
    uint64_t      since;                /*   at this hit */
    uint32_t      limit;                /* these are as they were unless */
    uint32_t      wait;                 /*   given; at most INT32_MAX */
    uint32_t      window;
    int           brief;                /* fields=short, or row: */
    int           row;
    beacon_str_t  id;
    unsigned      nfilters;
    struct {
        beacon_str_t  name;
        beacon_str_t  value;
    } filters[BEACON_LIVE_FILTERS];
} beacon_live_query_t;

/*
 * Reads a query's text, as application/x-www-form-urlencoded.  may: what this
 * resource knows.  buf has room for text.len bytes, and is where filters and
 * id point to afterwards.  Returns NULL, or what is wrong, as JSON text.
 */
const char *beacon_live_query(beacon_str_t text, unsigned may, uint8_t *buf,
    beacon_live_query_t *query);

/*
 * since=, wherever it comes from: 16 hex digits, a dot, digits.  What is none
 * is given, and not valid: as one of another store.
 */
void beacon_live_query_since(beacon_str_t text, beacon_live_query_t *query);

/* A name that a site can have; _overflow is one. */
int beacon_live_site_valid(beacon_str_t name);

/* Names separated by spaces: the next from *at on, which begins at 0; 0: there
   are no more. */
int beacon_live_sites_next(beacon_str_t sites, size_t *at, beacon_str_t *name);

/* By its name: 2, by "*": 1, else 0. */
int beacon_live_sites_allow(beacon_str_t sites, beacon_str_t name);

#endif /* BEACON_LIVE_QUERY_H */
