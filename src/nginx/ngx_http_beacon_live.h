/*
 * Between the files of the live API; the rest of the module needs only what
 * ngx_http_beacon.h says of it.
 *
 * A request is answered in turns: each of them reads so much of the store, and
 * the rest waits for the next round of the event loop.  A turn that finds
 * nothing new may wait for its site (a long poll, a stream).  No pointer into
 * the store outlives a turn: what is read is copied.
 */

#ifndef NGX_HTTP_BEACON_LIVE_H
#define NGX_HTTP_BEACON_LIVE_H


#include "ngx_http_beacon.h"
#include "ngx_http_beacon_live_assets.h"

#include "beacon_line.h"
#include "beacon_live.h"
#include "beacon_live_query.h"


#define NGX_HTTP_BEACON_LIVE_TURN     (256 * 1024)  /* bytes read in a turn */
#define NGX_HTTP_BEACON_LIVE_SCAN     (4 * 1024 * 1024)     /* by a request */
#define NGX_HTTP_BEACON_LIVE_PAGE     (512 * 1024)  /* of hits in an answer */
#define NGX_HTTP_BEACON_LIVE_LIMIT    100           /* hits, unless said */
#define NGX_HTTP_BEACON_LIVE_LIMITS   1000
#define NGX_HTTP_BEACON_LIVE_WAIT     25            /* s, at most */
#define NGX_HTTP_BEACON_LIVE_BLOCK    (64 * 1024)   /* of events, in a turn */

/* "2026-11-21T22:56:01.204Z" */
#define NGX_HTTP_BEACON_LIVE_TIME     24

/* A turn is not the last: another follows, by itself or when there is news. */
#define NGX_HTTP_BEACON_LIVE_LATER    NGX_BUSY


typedef struct ngx_http_beacon_live_ctx_s    ngx_http_beacon_live_ctx_t;
typedef struct ngx_http_beacon_live_group_s  ngx_http_beacon_live_group_t;


/* What a worker has open of the store, and who waits in it. */

struct ngx_http_beacon_live_worker_s {
    u_char                       *hit;      /* BEACON_LIVE_HIT_MAX: what
                                               beacon_live_scan() found */
    u_char                       *events;   /* of a stream's turn */
    ngx_log_t                    *log;
    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                     ident;

    ngx_str_t                     dir;      /* the ring's */
    ngx_http_beacon_worker_t     *ring;     /* hears of a shutdown */
    beacon_live_t                 store;    /* .head NULL: not attached */
    ngx_msec_t                    tried;    /* when it was looked for last */
    ngx_uint_t                    said;     /* that it is not there */
    ngx_event_t                   attach;   /* looks again */

    ngx_rbtree_t                  names;    /* groups, by site */
    ngx_rbtree_node_t             sentinel;
    ngx_queue_t                   groups;
    ngx_queue_t                   open;     /* requests with turns to come */
    ngx_queue_t                   ready;    /* those that get one next */
    ngx_uint_t                    waiters;
    ngx_uint_t                    max;
    uint64_t                      read;     /* bytes, in this round's turns */
    ngx_msec_t                    began;    /* the round of first turns, and */
    uint64_t                      begun;    /*   what those read */
    ngx_msec_t                    warned[2];    /* when what was rejected, or
                                               refused, was told of last; 0:
                                               never; and how many since */
    ngx_uint_t                    unsaid[2];
    ngx_event_t                   tick;     /* asks for news */
    ngx_event_t                   turn;     /* gives turns to "ready" */
    ngx_uint_t                    turning;  /* is just doing that */
};


/* Those that wait for one site. */

struct ngx_http_beacon_live_group_s {
    ngx_str_node_t                node;
    ngx_queue_t                   queue;    /* in worker's groups */
    ngx_queue_t                   waiters;  /* less those that are ready */
    ngx_uint_t                    members;
    ngx_uint_t                    found;    /* the store knows the site */
    uint64_t                      epoch;    /*   of this epoch */
    beacon_live_info_t            site;
    uint64_t                      last;     /* its newest, when last asked */
    u_char                        name[BEACON_SITE_MAX];
};


/* An answer's text, in buffers of the request's pool. */

typedef struct {
    ngx_pool_t                   *pool;
    ngx_chain_t                  *out;
    ngx_chain_t                  *last;
    size_t                        len;      /* of all but the last */
} ngx_http_beacon_live_text_t;

#define NGX_HTTP_BEACON_LIVE_NOWHERE  0
#define NGX_HTTP_BEACON_LIVE_READY    1
#define NGX_HTTP_BEACON_LIVE_WAITING  2

/*
 * Returns what a content handler returns, or LATER, having called one of
 * ngx_http_beacon_live_again() and _wait(), or being sure of being called for
 * another reason.  In a worker that shuts down each turn is the last.
 */
typedef ngx_int_t (*ngx_http_beacon_live_turn_pt)(
    ngx_http_beacon_live_ctx_t *ctx);

struct ngx_http_beacon_live_ctx_s {
    ngx_http_request_t           *request;
    ngx_http_beacon_live_worker_t  *worker;
    ngx_http_beacon_loc_conf_t   *conf;
    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                     ident;

    ngx_str_t                     sites;    /* that it may see */
    ngx_str_t                     site;     /* the one it asks for */
    ngx_str_t                     visitor;  /* and whom; decoded */
    ngx_uint_t                    found;    /* the store knows the site */
    beacon_live_info_t            info;     /* all zeros: it does not */
    uint64_t                      epoch;    /* of the store it reads */
    beacon_live_query_t           args;
    ngx_http_beacon_live_text_t   text;

    /* turns */
    ngx_http_beacon_live_turn_pt  turn;
    ngx_http_beacon_live_group_t  *group;   /* where it waits; NULL: nowhere */
    ngx_uint_t                    place;
    ngx_queue_t                   queue;    /* in worker's ready, or in the
                                               group's waiters */
    ngx_queue_t                   open;     /* in worker's open */
    ngx_uint_t                    opened;
    ngx_event_t                   event;    /* the end of a wait; a heartbeat */
    ngx_uint_t                    over;     /* the wait is */

    /* hits */
    beacon_live_scan_t            scan;
    ngx_uint_t                    n;        /* in the answer */
    uint64_t                     *newest;   /* a ring of limit sequences, for
                                               filters without since; NULL: no
                                               (more) */
    ngx_uint_t                    matched;  /* ever put there */
    uint64_t                      scanned;  /* before this scan, and */
    uint64_t                      missed;

    /* sites: those that are named, then all others */
    ngx_array_t                   names;    /* of ngx_str_t */
    ngx_uint_t                    name;     /* the next of them */
    ngx_uint_t                    all;      /* "*" */
    uint32_t                      at;       /* of beacon_live_next_site() */

    /* a stream */
    ngx_chain_t                  *free;
    ngx_chain_t                  *busy;     /* what is not yet sent of */
    u_char                       *block;    /*   this; NULL: nothing */
    ngx_uint_t                    pending;  /* the connection has some of it */
    ngx_uint_t                    behind;   /* had no turn meanwhile */
    uint64_t                      told;     /* of what was missed */
    ngx_msec_t                    sent;     /* when last */
};


/*
 * ngx_http_beacon_live_args.c: core/beacon_live_query.h says what they do.
 * limit, window: unless the request says.
 */
const char *ngx_http_beacon_live_args(ngx_http_request_t *r, ngx_uint_t may,
    ngx_uint_t limit, ngx_uint_t window, beacon_live_query_t *args);
void ngx_http_beacon_live_cursor(ngx_str_t *text, beacon_live_query_t *args);
ngx_uint_t ngx_http_beacon_live_allowed(ngx_str_t *sites, ngx_str_t *name);
ngx_uint_t ngx_http_beacon_live_valid(ngx_str_t *name);
ngx_uint_t ngx_http_beacon_live_name(ngx_str_t *sites, size_t *at,
    ngx_str_t *name);


/*
 * ngx_http_beacon_live_send.c: answers, sent complete.  They return what a
 * content handler returns.  A problem is RFC 9457's, and counted; detail is
 * JSON text, and nothing of the request.
 */
ngx_int_t ngx_http_beacon_live_problem(ngx_http_request_t *r,
    beacon_live_refuse_e reason, const char *detail);
ngx_int_t ngx_http_beacon_live_options(ngx_http_request_t *r);
ngx_int_t ngx_http_beacon_live_send(ngx_http_beacon_live_ctx_t *ctx);
ngx_int_t ngx_http_beacon_live_header(ngx_http_request_t *r, const char *key,
    const char *value);
ngx_int_t ngx_http_beacon_live_headers(ngx_http_request_t *r);

/* Room for size bytes: written from p on, told to _used().  NULL: no memory. */
u_char *ngx_http_beacon_live_room(ngx_http_beacon_live_text_t *text,
    size_t size);
size_t ngx_http_beacon_live_len(ngx_http_beacon_live_text_t *text);

static ngx_inline void
ngx_http_beacon_live_used(ngx_http_beacon_live_text_t *text, u_char *p)
{
    text->last->buf->last = p;
}


/* "2026-11-21T22:56:01.204Z" */
u_char *ngx_http_beacon_live_time(u_char *p, uint64_t ms);


/* ngx_http_beacon_live_store.c */

/* Attaches if that is due.  0: there is no store. */
ngx_uint_t ngx_http_beacon_live_there(ngx_http_beacon_live_worker_t *worker);

/* The request's site in the store, as it is now; sets found and info. */
void ngx_http_beacon_live_look(ngx_http_beacon_live_ctx_t *ctx);

static ngx_inline uint64_t
ngx_http_beacon_live_now_ms(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


/* What reading so many bytes costs: four filters, about as much again. */
static ngx_inline uint64_t
ngx_http_beacon_live_weight(ngx_http_beacon_live_ctx_t *ctx, uint64_t bytes)
{
    return bytes * (1 + ctx->args.nfilters / 4);
}


/* ngx_http_beacon_live_wait.c */
void ngx_http_beacon_live_wait_init(ngx_http_beacon_live_worker_t *worker);

/* A first turn, at once unless this round has had its share of them; those that
   follow come by themselves. */
ngx_int_t ngx_http_beacon_live_begin(ngx_http_beacon_live_ctx_t *ctx,
    ngx_http_beacon_live_turn_pt turn);

/* From within a turn: another at the next round of the event loop, ... */
ngx_int_t ngx_http_beacon_live_again(ngx_http_beacon_live_ctx_t *ctx);

/* ... or when the site has news.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_beacon_live_wait(ngx_http_beacon_live_ctx_t *ctx);

/* Room for one that may wait? */
ngx_uint_t ngx_http_beacon_live_may_wait(ngx_http_beacon_live_worker_t *worker);


/* A turn, by itself or because something has happened.  Afterwards ctx may be
   gone. */
void ngx_http_beacon_live_run(ngx_http_beacon_live_ctx_t *ctx);


/* One for each resource, called with the site allowed and looked up. */
ngx_int_t ngx_http_beacon_live_hits(ngx_http_beacon_live_ctx_t *ctx);
ngx_int_t ngx_http_beacon_live_now(ngx_http_beacon_live_ctx_t *ctx);
ngx_int_t ngx_http_beacon_live_visitors(ngx_http_beacon_live_ctx_t *ctx);
ngx_int_t ngx_http_beacon_live_visitor(ngx_http_beacon_live_ctx_t *ctx,
    ngx_str_t *path);
ngx_int_t ngx_http_beacon_live_stream(ngx_http_beacon_live_ctx_t *ctx);
ngx_int_t ngx_http_beacon_live_sites(ngx_http_beacon_live_ctx_t *ctx);

/*
 * ngx_http_beacon_live_hits.c, for streams too: where to begin (NGX_DECLINED:
 * the cursor is of no use, and the scan begins at the newest); the next hit
 * (NGX_DECLINED: of another time of the site; the scan is to be begun anew);
 * does it pass the filters; its text as it is shown.
 */
ngx_int_t ngx_http_beacon_live_from(ngx_http_beacon_live_ctx_t *ctx);
void ngx_http_beacon_live_scan(ngx_http_beacon_live_ctx_t *ctx,
    uint64_t since);
ngx_int_t ngx_http_beacon_live_next(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_record_t *record);
ngx_uint_t ngx_http_beacon_live_passes(beacon_live_query_t *args,
    beacon_live_record_t *record);
u_char *ngx_http_beacon_live_hit(ngx_http_beacon_live_ctx_t *ctx, u_char *p,
    beacon_live_record_t *record);


#endif /* NGX_HTTP_BEACON_LIVE_H */
