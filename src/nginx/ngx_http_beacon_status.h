/*
 * beacon_status: what it shows, gathered in ngx_http_beacon_status.c, written
 * in one file for each form.
 */

#ifndef NGX_HTTP_BEACON_STATUS_H
#define NGX_HTTP_BEACON_STATUS_H


#include "ngx_http_beacon.h"


/* What workers counted, and this ring's lanes as they are now. */

typedef struct {
    uint64_t         refused;
    uint64_t         dropped;
    uint64_t         rejected[BEACON_REJECTS];
    uint64_t         live[BEACON_LIVE_REFUSES];
    uint64_t         since;         /* hits committed since the snapshot */
    uint64_t         used;
    uint64_t         capacity;
    uint64_t         oldest_ns;
    ngx_uint_t       lanes;
    ngx_uint_t       owned;
    ngx_uint_t       published;     /* books are the helper's */
    ngx_uint_t       up;
    beacon_books_t  *books;
} ngx_http_beacon_now_t;


/* Writes at most last - p bytes; returns the end. */
u_char *ngx_http_beacon_status_json(u_char *p, u_char *last,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_now_t *now);


#endif /* NGX_HTTP_BEACON_STATUS_H */
