/*
 * The module's own types.  Configuration is parsed at configuration time and
 * read-only afterwards; what a worker opens is in ngx_http_beacon_worker_t,
 * one for each configuration, so that an old one can go on while a new one
 * starts.  Nothing is static.
 */

#ifndef NGX_HTTP_BEACON_H
#define NGX_HTTP_BEACON_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "beacon.h"
#include "beacon_counters.h"
#include "beacon_filter.h"
#include "beacon_format.h"
#include "beacon_hit.h"
#include "beacon_random.h"
#include "beacon_ring.h"
#include "beacon_schema.h"


#ifndef NGX_HTTP_BEACON_HELPER
#define NGX_HTTP_BEACON_HELPER       "/usr/sbin/beacond"
#endif

#define NGX_HTTP_BEACON_OFF          0
#define NGX_HTTP_BEACON_GIF          1
#define NGX_HTTP_BEACON_EMPTY        2
#define NGX_HTTP_BEACON_ON           3
#define NGX_HTTP_BEACON_REDIRECT     4

#define NGX_HTTP_BEACON_IP_FULL        0
#define NGX_HTTP_BEACON_IP_TRUNCATE    1
#define NGX_HTTP_BEACON_IP_OFF         2

#define NGX_HTTP_BEACON_GPC_LOG        0
#define NGX_HTTP_BEACON_GPC_ANONYMOUS  1
#define NGX_HTTP_BEACON_GPC_DROP       2

/* What a request's headers say about it. */
#define NGX_HTTP_BEACON_GPC            0x01
#define NGX_HTTP_BEACON_PREFETCH       0x02
#define NGX_HTTP_BEACON_PRERENDER      0x04

/* Flags that a worker sets by itself; they have names in the schema, too. */
#define NGX_HTTP_BEACON_OWN_FLAGS      4


/* One directive that names a sink. */

typedef struct {
    ngx_str_t                   type;       /* "log", "ids", "kafka",
                                               "live", "spy", "collect" */
    ngx_str_t                   name;
    ngx_str_t                   path;       /* the template; ids: the file */
    ngx_str_t                   timezone;   /* "UTC" unless said */
    ngx_str_t                   sync;       /* "always", "off", "1s", "200ms" */
    ngx_uint_t                  max_files;
    void                       *kafka;      /* ngx_http_beacon_kafka_t; NULL:
                                               it is none */
    void                       *live;       /* ngx_http_beacon_live_t; NULL:
                                               it is none */
    void                       *spy;        /* ngx_http_beacon_spy_t; NULL:
                                               it is none */
    ngx_str_t                   at;         /* FILE:LINE */
} ngx_http_beacon_sink_t;


/* What a beacon_kafka has beyond its name, and what stands below it. */

typedef struct {
    ngx_str_t                   name;
    ngx_str_t                   value;      /* may be a secret: never told */
    ngx_str_t                   at;
} ngx_http_beacon_property_t;

typedef struct {
    ngx_str_t                   brokers;
    ngx_str_t                   topic;      /* a template */
    ngx_str_t                   key;        /* the same; empty: the visitor */
    ngx_uint_t                  window;
    ngx_uint_t                  max_topics;
    ngx_array_t                 properties; /* of ngx_http_beacon_property_t */
    ngx_str_t                   file;       /* full, terminated; .data NULL:
                                               none */
    ngx_str_t                   file_at;
    ngx_str_t                   stamp;      /* of the file, when judged */
} ngx_http_beacon_kafka_t;


/* ngx_http_beacon_live.h */
typedef struct ngx_http_beacon_live_worker_s  ngx_http_beacon_live_worker_t;


/* beacon_live */

typedef struct {
    off_t                       size;       /* of the whole file */
    ngx_uint_t                  visitors;   /* s for which who was seen is
                                               here */
    ngx_str_t                   key;        /* full, terminated; .data NULL:
                                               none */
    ngx_str_t                   at;
} ngx_http_beacon_live_t;


/* beacon_spy, beacon_spy_collect */

#define NGX_HTTP_BEACON_ENDPOINTS    16

typedef struct {
    ngx_uint_t                  bind;       /* else connect */
    ngx_uint_t                  local;
    ngx_str_t                   text;
} ngx_http_beacon_endpoint_t;

typedef struct {
    ngx_array_t                 endpoints;  /* of ngx_http_beacon_endpoint_t;
                                               empty: ipc in the ring */
    ngx_array_t                 sites;      /* of ngx_str_t; empty: all */
    ngx_uint_t                  collect;
    ngx_uint_t                  ip;
    ngx_uint_t                  insecure;
    ngx_str_t                   curve;      /* full, terminated; .data NULL:
                                               none */
    ngx_str_t                   stamp;      /* of that file, when judged */
    ngx_str_t                   at;
} ngx_http_beacon_spy_t;


/*
 * A directory the configuration names: made by ngx_create_paths(), and judged
 * as the worker user by whoever prepares the ring.
 */

typedef struct {
    ngx_path_t                 *path;
    ngx_str_t                   directive;  /* "beacon_log" */
    ngx_str_t                   at;
} ngx_http_beacon_dir_t;


/* What a worker has open; belongs to one configuration. */

typedef struct {
    beacon_ring_t              *ring;       /* NULL: not attached */
    beacon_producer_t           producer;   /* .ring NULL: no lane */
    beacon_counters_t           counters;   /* .head NULL: not attached */
    beacon_worker_counters_t   *mine;       /* of this lane; without a lane or
                                               a file, another place: never
                                               NULL */
    beacon_worker_counters_t   *nowhere;
    ngx_event_t                 timer;      /* claims a lane or gives it back */
    ngx_msec_t                  delay;      /* until the next try to claim */
    ngx_connection_t           *idle;       /* is told of the shutdown, and */
    ngx_http_beacon_live_worker_t  *live;   /*   tells this; NULL: none */
    ngx_connection_t            dummy;      /* what the timer's log line asks */
    ngx_fd_t                    lock;       /* beacond.lock, to ask who holds */
    u_char                     *lock_name;
    ngx_str_t                   dir;        /* the ring's, and */
    uint64_t                    epoch;      /*   its own */
    u_char                     *scratch;    /* decoded arguments of one hit */
    size_t                      scratch_used;
    u_char                      ip[NGX_INET6_ADDRSTRLEN];   /* truncated */
    uint64_t                    seed;       /* of hash tables */
    beacon_random_t             random;
    ngx_uint_t                  seeded;     /* the kernel gave a seed */
    ngx_msec_t                  warned;     /* when last; 0: never */
    ngx_log_t                  *log;
} ngx_http_beacon_worker_t;

#define NGX_HTTP_BEACON_SCRATCH  16384


typedef struct {
    /* beacon_ring */
    ngx_str_t                   ring;       /* full, NUL-terminated; .data NULL:
                                               there is none, and beacon does
                                               nothing at all */
    ngx_str_t                   ring_at;
    uint64_t                    lane_size;
    ngx_uint_t                  lanes;      /* 3 x workers unless said */
    ngx_flag_t                  disk;
    ngx_path_t                 *path;       /* of the ring; its manager */

    /* beacon_helper */
    ngx_str_t                   helper;     /* full, NUL-terminated */
    ngx_str_t                   helper_at;  /* empty: not said */
    ngx_flag_t                  external;
    ngx_uint_t                  threads;

    ngx_str_t                   edge;

    /* beacon_spool */
    ngx_str_t                   spool;      /* .data NULL: none */
    ngx_str_t                   spool_at;
    off_t                       spool_size;
    ngx_uint_t                  spool_min_free;     /* per cent */

    ngx_array_t                 sinks;      /* of ngx_http_beacon_sink_t */
    ngx_http_beacon_live_t     *live;       /* of one of them; NULL: none */
    ngx_http_beacon_live_worker_t  *live_worker;    /* what a worker has open
                                               of the store */
    ngx_array_t                 dirs;       /* of ngx_http_beacon_dir_t */
    ngx_array_t                 schemas;    /* of beacon_schema_t *: one for
                                               each different set of names;
                                               .hash is set when published */

    /* when prepared and published (ngx_http_beacon_publish.c) */
    uint64_t                    epoch;
    uint64_t                    generation;
    void                       *publish;    /* its own */
    void                       *supervise;  /* ngx_http_beacon_helper.c's own */

    ngx_int_t                   capture_index;      /* in r->variables */
    ngx_uint_t                  pages;      /* "beacon on" stands somewhere */
    ngx_http_beacon_worker_t   *worker;
} ngx_http_beacon_main_conf_t;


/* A directive's VALUE, known well enough to be read fast. */

typedef struct {
    ngx_uint_t                  kind;       /* ngx_http_beacon_value_e */
    ngx_uint_t                  index;      /* VARIABLE: in r->variables */
    ngx_str_t                   text;       /* CONSTANT; ARGUMENT, VARIABLE:
                                               its name */
    ngx_str_t                   source;     /* as it was configured */
    ngx_http_complex_value_t   *complex;    /* COMPLEX */
} ngx_http_beacon_value_t;

typedef enum {
    NGX_HTTP_BEACON_CONSTANT = 0,
    NGX_HTTP_BEACON_ARGUMENT,               /* just $beacon_arg_NAME */
    NGX_HTTP_BEACON_COOKIE,                 /* just $beacon_cookie */
    NGX_HTTP_BEACON_VARIABLE,               /* just one variable */
    NGX_HTTP_BEACON_COMPLEX
} ngx_http_beacon_value_e;

typedef struct {
    ngx_str_t                   name;
    ngx_http_beacon_value_t     value;
} ngx_http_beacon_named_t;


/* ngx_http_beacon_redirect.c's and ngx_http_beacon_cors.c's own */
typedef struct ngx_http_beacon_redirect_s  ngx_http_beacon_redirect_t;
typedef struct ngx_http_beacon_cors_s      ngx_http_beacon_cors_t;


/* beacon_live_view */

typedef struct {
    ngx_uint_t                  ip;         /* 1: addresses are shown */
    ngx_http_beacon_cors_t     *cors;       /* NULL: none */
    ngx_str_t                   pixel;      /* .data NULL: not said */
    ngx_uint_t                  any;        /* its location is a regex, or
                                               named; else paths begin with */
    size_t                      prefix;     /*   so many bytes of its */
    ngx_str_t                   at;
} ngx_http_beacon_view_t;


/* beacon_drop_args, beacon_keep_args */

typedef struct {
    ngx_array_t                 names;      /* of beacon_str_t */
    ngx_str_t                   at;         /* the first of them */
} ngx_http_beacon_names_t;


/* beacon_cookie */

typedef struct {
    ngx_str_t                   name;
    ngx_http_beacon_value_t    *condition;  /* if=; NULL: none */
    time_t                      expires;    /* 0: with the browser's session */
    ngx_str_t                   domain;     /* empty: none */
    ngx_str_t                   path;
    ngx_uint_t                  partitioned;
    ngx_str_t                   head;       /* of the header's value, before */
    ngx_str_t                   tail;       /*   and behind the cookie's */
} ngx_http_beacon_cookie_t;


typedef struct {
    ngx_uint_t                  mode;       /* NGX_HTTP_BEACON_GIF, ... */
    ngx_http_beacon_value_t    *condition;  /* if=; NULL: none */
    ngx_http_beacon_value_t    *site;       /* NULL: none */
    ngx_array_t                *visitor;    /* of ngx_http_beacon_value_t */
    ngx_array_t                *fields;     /* of ngx_http_beacon_named_t */
    ngx_array_t                *flags;      /* of ngx_http_beacon_named_t */
    size_t                      max_body;
    ngx_str_t                   max_body_at;
    ngx_int_t                   max_args;
    ngx_http_beacon_redirect_t  *redirect;  /* REDIRECT */
    ngx_http_beacon_cors_t     *cors;       /* NULL: off */
    ngx_http_beacon_view_t     *view;       /* NULL: no beacon_live_view */
    ngx_http_beacon_value_t    *live_sites; /* NULL: none */

    ngx_uint_t                  ip;         /* NGX_HTTP_BEACON_IP_FULL, ... */
    ngx_uint_t                  gpc;        /* NGX_HTTP_BEACON_GPC_LOG, ... */
    ngx_http_beacon_names_t    *drop_args;  /* NULL: none */
    ngx_http_beacon_names_t    *keep_args;  /* NULL: all */
    beacon_filter_t            *filter;     /* of both; NULL: none */
    beacon_filter_t            *anonymous;  /* the same for Sec-GPC: 1 */
    ngx_http_beacon_cookie_t   *cookie;     /* NULL: none */
    uint32_t                    prefetch;   /* bits of the schema's flags */
    uint32_t                    prerender;
    uint32_t                    body_dropped;
    uint32_t                    query_dropped;

    beacon_schema_t            *schema;     /* in main conf's schemas */
    ngx_http_beacon_main_conf_t  *main;
    u_char                     *file;       /* where "beacon" stands, or */
    ngx_uint_t                  line;
    ngx_uint_t                  status_line;        /* "beacon_status" */
} ngx_http_beacon_loc_conf_t;


/*
 * What became of a request, for variables and so that it is captured once.
 * Internal redirects zero r->ctx, subrequests have their own; so it hangs on
 * r->variables[bmcf->capture_index].data, which all of them share.
 */

typedef enum {
    NGX_HTTP_BEACON_NONE = 0,
    NGX_HTTP_BEACON_TAKEN,
    NGX_HTTP_BEACON_DROPPED,
    NGX_HTTP_BEACON_FULL,
    NGX_HTTP_BEACON_REJECTED                /* + beacon_reject_e */
} ngx_http_beacon_result_e;

#define NGX_HTTP_BEACON_COOKIE_UNDECIDED  0
#define NGX_HTTP_BEACON_COOKIE_NONE       1     /* none is set */
#define NGX_HTTP_BEACON_COOKIE_SENT       2
#define NGX_HTTP_BEACON_COOKIE_NEW        3

typedef struct {
    ngx_uint_t                  result;
    ngx_http_beacon_loc_conf_t  *page;      /* the last "beacon on" on the way,
                                               NULL: none; with it, what was */
    ngx_uint_t                  method;     /*   asked for there */
    ngx_str_t                   args;
    ngx_http_beacon_loc_conf_t  *capture;   /* where it is captured; NULL: it
                                               is not, so far; with it, its */
    ngx_uint_t                  signals;    /*   ngx_http_beacon_signals() */
    ngx_uint_t                  cookie;     /* NGX_HTTP_BEACON_COOKIE_... */
    u_char                      cookie_value[BEACON_RANDOM_ID];     /* NEW */
    uint64_t                    epoch;      /* TAKEN: with lane and offset */
    uint64_t                    offset;     /*   the record's id */
    uint32_t                    lane;
} ngx_http_beacon_ctx_t;


extern ngx_module_t  ngx_http_beacon_module;


/*
 * ngx_http_beacon_publish.c.  The first is called at the end of http{}, when
 * all of main conf above is set: it adds the zone whose init prepares ring,
 * counters and directories (sets epoch), also under nginx -t.  The second is
 * called in init_module, never under -t: writes schemas (sets their hashes) and
 * beacon.json; it cannot fail.  Neither is called without a ring.
 */
ngx_int_t ngx_http_beacon_publish_zone(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf);
void ngx_http_beacon_publish(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf);

/*
 * ngx_http_beacon_helper.c: supervision.  The first is called at the end of
 * http{}, after bmcf->path was made: sets its manager.  The second is called in
 * init_process of any process.
 */
ngx_int_t ngx_http_beacon_helper_init(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf);
ngx_int_t ngx_http_beacon_helper_init_process(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf);

/* 3 x workers unless beacon_ring said; once the configuration is complete. */
ngx_uint_t ngx_http_beacon_lanes(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf);


/* ngx_http_beacon_conf.c, _conf_spool.c, _conf_sink.c, _conf_kafka.c:
   directives of http{} */
char *ngx_http_beacon_conf_ring(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_beacon_conf_helper(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_beacon_conf_edge(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_beacon_conf_spool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_beacon_conf_log(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_beacon_conf_ids(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_beacon_conf_kafka(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_beacon_conf_kafka_property(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_beacon_conf_kafka_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_http_beacon_conf_spy.c */
char *ngx_http_beacon_conf_spy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_beacon_conf_collect(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_http_beacon_live_conf.c */
char *ngx_http_beacon_conf_live(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_beacon_conf_live_view(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_beacon_conf_live_sites(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_beacon_merge_live(ngx_conf_t *cf,
    ngx_http_beacon_loc_conf_t *prev, ngx_http_beacon_loc_conf_t *conf);

char *ngx_http_beacon_conf_init(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf);
ngx_int_t ngx_http_beacon_conf_sinks(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf);
ngx_http_beacon_sink_t *ngx_http_beacon_conf_sink(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *type);
char *ngx_http_beacon_conf_sink_name(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_sink_t *sink);
char *ngx_http_beacon_conf_invalid(ngx_conf_t *cf, ngx_str_t *value);
ngx_int_t ngx_http_beacon_conf_duplicate(ngx_conf_t *cf, ngx_str_t *at);
ngx_int_t ngx_http_beacon_conf_at(ngx_conf_t *cf, ngx_str_t *at);
ngx_int_t ngx_http_beacon_conf_absolute(ngx_conf_t *cf, ngx_str_t *name);

/* ngx_http_beacon_conf_dir.c */
ngx_uint_t ngx_http_beacon_conf_in_use(ngx_str_t *name, ngx_uint_t ring);
ngx_int_t ngx_http_beacon_conf_dir(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *name, ngx_path_t **path);

/* ngx_http_beacon_schema.c */
ngx_int_t ngx_http_beacon_schema(ngx_conf_t *cf,
    ngx_http_beacon_loc_conf_t *blcf);

/* ngx_http_beacon_value.c: VALUEs of directives */
char *ngx_http_beacon_conf_value(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_beacon_conf_visitor(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_beacon_conf_named(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_beacon_value_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_beacon_value_t *value);

/*
 * Evaluates.  Decoded arguments go to the worker's scratch, so the result
 * lasts until the next hit; worker NULL: to the request's pool.
 */
ngx_int_t ngx_http_beacon_value(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, ngx_http_beacon_value_t *value,
    beacon_str_t *str);
ngx_int_t ngx_http_beacon_value_visitor(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, ngx_array_t *values, beacon_str_t *str);

/* What if= and beacon_flag ask: neither empty nor "0". */
static ngx_inline ngx_uint_t
ngx_http_beacon_true(beacon_str_t *str)
{
    return str->len > 1 || (str->len == 1 && str->data[0] != '0');
}


/* of the module's own file: what directives that answer share */
char *ngx_http_beacon_conf_content(ngx_conf_t *cf);
ngx_int_t ngx_http_beacon_conf_condition(ngx_conf_t *cf,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *value);


/*
 * ngx_http_beacon_privacy.c.  The signals are the main request's, whatever r
 * is.  The hit comes whole; what may not be stored is not in it afterwards.
 */
ngx_uint_t ngx_http_beacon_signals(ngx_http_request_t *r);
ngx_int_t ngx_http_beacon_privacy(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_worker_t *worker,
    ngx_uint_t signals, beacon_hit_t *hit);

static ngx_inline ngx_uint_t
ngx_http_beacon_anonymous(ngx_http_beacon_loc_conf_t *blcf, ngx_uint_t signals)
{
    return blcf->gpc == NGX_HTTP_BEACON_GPC_ANONYMOUS
           && (signals & NGX_HTTP_BEACON_GPC);
}


/* ngx_http_beacon_conf_privacy.c: its directives */
extern ngx_conf_enum_t  ngx_http_beacon_ip_modes[];
extern ngx_conf_enum_t  ngx_http_beacon_gpc_modes[];

char *ngx_http_beacon_conf_names(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_beacon_merge_privacy(ngx_conf_t *cf,
    ngx_http_beacon_loc_conf_t *prev, ngx_http_beacon_loc_conf_t *conf);


/*
 * ngx_http_beacon_cookie.c.  The first is $beacon_cookie; worker as for
 * ngx_http_beacon_value().  The second adds the header that sets the cookie,
 * if one is to be set, to the answer of a hit that has just been committed.
 */
ngx_int_t ngx_http_beacon_cookie(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, beacon_str_t *str);
void ngx_http_beacon_cookie_set(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_worker_t *worker,
    ngx_http_beacon_ctx_t *ctx);
char *ngx_http_beacon_conf_cookie(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* ngx_http_beacon_variables.c */
ngx_int_t ngx_http_beacon_variables(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf);
ngx_http_beacon_ctx_t *ngx_http_beacon_ctx_create(ngx_http_request_t *r,
    ngx_http_beacon_main_conf_t *bmcf);

/* The query of the hit that r belongs to. */
static ngx_inline beacon_str_t
ngx_http_beacon_query(ngx_http_request_t *r)
{
    beacon_str_t  query;

    query.len = r->main->args.len;
    query.data = r->main->args.data;

    return query;
}


/* ngx_http_beacon_worker.c: what a worker opens */
ngx_int_t ngx_http_beacon_worker_create(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf);
ngx_int_t ngx_http_beacon_worker_attach(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf);
void ngx_http_beacon_worker_late(ngx_http_beacon_worker_t *worker);

/*
 * ngx_http_beacon_capture.c: the content handler.  ngx_http_beacon_take()
 * captures and counts, for ngx_http_beacon_result() to answer by; FAILED alone
 * is left uncounted.
 */
#define NGX_HTTP_BEACON_FAILED  100

ngx_int_t ngx_http_beacon_handler(ngx_http_request_t *r);
ngx_uint_t ngx_http_beacon_take(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_ctx_t *ctx,
    beacon_str_t *body, ngx_uint_t body_kind);
ngx_int_t ngx_http_beacon_result(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_uint_t result);
ngx_int_t ngx_http_beacon_hit(ngx_http_request_t *r, beacon_str_t *body,
    ngx_uint_t body_kind);
ngx_int_t ngx_http_beacon_reject(ngx_http_request_t *r,
    beacon_reject_e reason, ngx_uint_t status);

/* ngx_http_beacon_body.c: reads a POST's body, then ngx_http_beacon_hit() */
ngx_int_t ngx_http_beacon_body(ngx_http_request_t *r);

/*
 * ngx_http_beacon_answer.c: sends an answer complete.  reason NULL: taken.
 * Return what a content handler returns.
 */
extern ngx_str_t  ngx_http_beacon_reasons[];    /* by beacon_reject_e */
extern ngx_str_t  ngx_http_beacon_full;

ngx_int_t ngx_http_beacon_answer(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf);
ngx_int_t ngx_http_beacon_refuse(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_uint_t status, ngx_str_t *reason);
ngx_int_t ngx_http_beacon_answer_redirect(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *location);
ngx_int_t ngx_http_beacon_options(ngx_http_request_t *r);
ngx_int_t ngx_http_beacon_header(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *value);

/*
 * The end of any answer that has a body: sends the headers that are set, and
 * out, which is len bytes of this type and all there is.
 */
ngx_int_t ngx_http_beacon_output(ngx_http_request_t *r, const ngx_str_t *type,
    ngx_chain_t *out, off_t len);

/* ngx_http_beacon_redirect.c: clicks */
char *ngx_http_beacon_conf_redirect(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_beacon_redirect(ngx_http_request_t *r,
    ngx_http_beacon_ctx_t *ctx, beacon_str_t *body, ngx_uint_t body_kind);

/*
 * ngx_http_beacon_cors.c; preflight: of an OPTIONS.  view: for answers that
 * are read, not for hits.
 */
char *ngx_http_beacon_conf_cors(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_http_beacon_cors_t *ngx_http_beacon_cors_create(ngx_conf_t *cf,
    ngx_uint_t view);
ngx_table_elt_t *ngx_http_beacon_request_header(ngx_http_request_t *r,
    ngx_str_t *name);
ngx_int_t ngx_http_beacon_cors_origin(ngx_conf_t *cf,
    ngx_http_beacon_cors_t *cors, ngx_str_t *value);
ngx_int_t ngx_http_beacon_cors(ngx_http_request_t *r,
    ngx_http_beacon_cors_t *cors, ngx_uint_t preflight);

/* ngx_http_beacon_page.c: "beacon on" */
ngx_int_t ngx_http_beacon_page_init(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf);

/*
 * ngx_http_beacon_live_store.c: in init_process of a worker.
 * ngx_http_beacon_live_wait.c: when the worker is told to shut down: what waits
 * is answered, streams end.
 */
ngx_int_t ngx_http_beacon_live_init(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf);
void ngx_http_beacon_live_shutdown(ngx_http_beacon_live_worker_t *worker);

/* ngx_http_beacon_live.c: what a beacon_live_view answers */
ngx_int_t ngx_http_beacon_live_handler(ngx_http_request_t *r);

/* ngx_http_beacon_status.c; helper_up: does somebody hold beacond.lock? */
char *ngx_http_beacon_conf_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_uint_t ngx_http_beacon_helper_up(ngx_fd_t lock);


#endif /* NGX_HTTP_BEACON_H */
