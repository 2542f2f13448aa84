/*
 * Beacon: captures pixel requests into a ring in shared memory.  This file has
 * the directives, the configurations and their merging, and the hooks; what a
 * request does begins in src/nginx/ngx_http_beacon_capture.c.
 */

#include "ngx_http_beacon.h"


static char *ngx_http_beacon_conf_beacon(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_beacon_conf_max_body(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static ngx_int_t ngx_http_beacon_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_beacon_init(ngx_conf_t *cf);
static void *ngx_http_beacon_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_beacon_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_beacon_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_beacon_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_beacon_merge_limits(ngx_conf_t *cf,
    ngx_http_beacon_loc_conf_t *prev, ngx_http_beacon_loc_conf_t *conf);
static char *ngx_http_beacon_merge_capture(ngx_conf_t *cf,
    ngx_http_beacon_loc_conf_t *conf, ngx_http_core_loc_conf_t *clcf);

static ngx_int_t ngx_http_beacon_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_beacon_init_process(ngx_cycle_t *cycle);


#define NGX_HTTP_BEACON_MAX_BODY  65536         /* what sendBeacon may send */
#define NGX_HTTP_BEACON_MAX_ARGS  256

/* A record's head, lengths and other strings, beside the largest body. */
#define NGX_HTTP_BEACON_OVERHEAD  1024


static ngx_uint_t  ngx_http_beacon_fields_max = BEACON_FIELDS_MAX;
static ngx_uint_t  ngx_http_beacon_flags_max = BEACON_FLAGS_MAX
                                               - NGX_HTTP_BEACON_OWN_FLAGS;

static ngx_conf_num_bounds_t  ngx_http_beacon_max_args_bounds = {
    ngx_conf_check_num_bounds, 1, 65535
};


static ngx_command_t  ngx_http_beacon_commands[] = {

    { ngx_string("beacon_ring"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_ring,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_helper"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_beacon_conf_helper,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_edge"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_beacon_conf_edge,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_log"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_log,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_ids"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_beacon_conf_ids,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_kafka"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_kafka,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_kafka_property"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_beacon_conf_kafka_property,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_kafka_property_file"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_beacon_conf_kafka_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_spy"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_ANY,
      ngx_http_beacon_conf_spy,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_spy_collect"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_collect,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_live"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE123,
      ngx_http_beacon_conf_live,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_spool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_http_beacon_conf_spool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_beacon_conf_beacon,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_redirect"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_redirect,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_cors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_cors,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_site"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_beacon_conf_value,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_beacon_loc_conf_t, site),
      NULL },

    { ngx_string("beacon_visitor"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_visitor,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_field"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_beacon_conf_named,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_beacon_loc_conf_t, fields),
      &ngx_http_beacon_fields_max },

    { ngx_string("beacon_flag"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_beacon_conf_named,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_beacon_loc_conf_t, flags),
      &ngx_http_beacon_flags_max },

    { ngx_string("beacon_ip"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_beacon_loc_conf_t, ip),
      ngx_http_beacon_ip_modes },

    { ngx_string("beacon_gpc"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_beacon_loc_conf_t, gpc),
      ngx_http_beacon_gpc_modes },

    { ngx_string("beacon_drop_args"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_names,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_beacon_loc_conf_t, drop_args),
      NULL },

    { ngx_string("beacon_keep_args"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_names,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_beacon_loc_conf_t, keep_args),
      NULL },

    { ngx_string("beacon_cookie"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_beacon_conf_cookie,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_max_body"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_beacon_conf_max_body,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_beacon_loc_conf_t, max_body),
      NULL },

    { ngx_string("beacon_max_args"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_beacon_loc_conf_t, max_args),
      &ngx_http_beacon_max_args_bounds },

    { ngx_string("beacon_live_view"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_beacon_conf_live_view,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_live_sites"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_beacon_conf_live_sites,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("beacon_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_beacon_conf_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_beacon_module_ctx = {
    ngx_http_beacon_add_variables,         /* preconfiguration */
    ngx_http_beacon_init,                  /* postconfiguration */

    ngx_http_beacon_create_main_conf,      /* create main configuration */
    ngx_http_beacon_init_main_conf,        /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_beacon_create_loc_conf,       /* create location configuration */
    ngx_http_beacon_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_beacon_module = {
    NGX_MODULE_V1,
    &ngx_http_beacon_module_ctx,           /* module context */
    ngx_http_beacon_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_beacon_init_module,           /* init module */
    ngx_http_beacon_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* beacon gif|empty|on|off [if=VALUE] */

static char *
ngx_http_beacon_conf_beacon(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   mode;

    value = cf->args->elts;

    mode = (ngx_strcmp(value[1].data, "gif") == 0) ? NGX_HTTP_BEACON_GIF
           : (ngx_strcmp(value[1].data, "empty") == 0) ? NGX_HTTP_BEACON_EMPTY
           : (ngx_strcmp(value[1].data, "on") == 0) ? NGX_HTTP_BEACON_ON
           : NGX_HTTP_BEACON_OFF;

    if (mode == NGX_HTTP_BEACON_OFF && ngx_strcmp(value[1].data, "off") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": gif, empty, on or off",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (blcf->mode != NGX_CONF_UNSET_UINT) {
        return (blcf->mode == mode) ? "is duplicate"
               : blcf->redirect ? "cannot stand together with "
                                  "\"beacon_redirect\""
               : "is duplicate: gif, empty, on and off exclude one another";
    }

    blcf->mode = mode;
    blcf->file = cf->conf_file->file.name.data;
    blcf->line = cf->conf_file->line;

    if (cf->args->nelts == 3) {
        if (ngx_strncmp(value[2].data, "if=", 3) != 0
            || blcf->mode == NGX_HTTP_BEACON_OFF)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_beacon_conf_condition(cf, blcf, &value[2]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (blcf->mode == NGX_HTTP_BEACON_OFF || blcf->mode == NGX_HTTP_BEACON_ON) {
        return NGX_CONF_OK;
    }

    return ngx_http_beacon_conf_content(cf);
}


/* if=VALUE */

ngx_int_t
ngx_http_beacon_conf_condition(ngx_conf_t *cf,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *value)
{
    ngx_str_t  text;

    text.data = value->data + 3;
    text.len = value->len - 3;

    blcf->condition = ngx_palloc(cf->pool, sizeof(ngx_http_beacon_value_t));
    if (blcf->condition == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_beacon_value_compile(cf, &text, blcf->condition);
}


/* Makes the location's answers ours. */

char *
ngx_http_beacon_conf_content(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "cannot stand where another directive answers requests";
    }

    clcf->handler = ngx_http_beacon_handler;

    return NGX_CONF_OK;
}


/* The ring may follow: the size is held against it when locations merge. */

static char *
ngx_http_beacon_conf_max_body(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    char  *rv;

    rv = ngx_conf_set_size_slot(cf, cmd, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return (ngx_http_beacon_conf_at(cf, &blcf->max_body_at) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_beacon_add_variables(ngx_conf_t *cf)
{
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_beacon_module);

    return ngx_http_beacon_variables(cf, bmcf);
}


/* The end of http{}: everything is merged. */

static ngx_int_t
ngx_http_beacon_init(ngx_conf_t *cf)
{
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_beacon_module);

    if (ngx_http_beacon_page_init(cf, bmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (bmcf->ring.data == NULL) {
        return NGX_OK;
    }

    if (ngx_http_beacon_conf_sinks(cf, bmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_beacon_helper_init(cf, bmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_beacon_publish_zone(cf, bmcf);
}


static void *
ngx_http_beacon_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_main_conf_t));
    if (bmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&bmcf->sinks, cf->pool, BEACON_BOOKS_SINKS,
                       sizeof(ngx_http_beacon_sink_t))
        != NGX_OK
        || ngx_array_init(&bmcf->dirs, cf->pool, 4,
                          sizeof(ngx_http_beacon_dir_t))
           != NGX_OK
        || ngx_array_init(&bmcf->schemas, cf->pool, 4,
                          sizeof(beacon_schema_t *))
           != NGX_OK)
    {
        return NULL;
    }

    if (ngx_http_beacon_worker_create(cf, bmcf) != NGX_OK) {
        return NULL;
    }

    return bmcf;
}


static char *
ngx_http_beacon_init_main_conf(ngx_conf_t *cf, void *conf)
{
    return ngx_http_beacon_conf_init(cf, conf);
}


static void *
ngx_http_beacon_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_loc_conf_t));
    if (blcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     blcf->condition = NULL;
     *     blcf->redirect = NULL;
     *     blcf->view = NULL;
     *     blcf->schema = NULL;
     *     blcf->filter = NULL;
     *     blcf->anonymous = NULL;
     *     blcf->prefetch = 0;
     *     blcf->prerender = 0;
     *     blcf->body_dropped = 0;
     *     blcf->query_dropped = 0;
     *     blcf->main = NULL;
     *     blcf->file = NULL;
     *     blcf->line = 0;
     *     blcf->status_line = 0;
     */

    blcf->mode = NGX_CONF_UNSET_UINT;
    blcf->site = NGX_CONF_UNSET_PTR;
    blcf->visitor = NGX_CONF_UNSET_PTR;
    blcf->fields = NGX_CONF_UNSET_PTR;
    blcf->flags = NGX_CONF_UNSET_PTR;
    blcf->cors = NGX_CONF_UNSET_PTR;
    blcf->live_sites = NGX_CONF_UNSET_PTR;
    blcf->max_body = NGX_CONF_UNSET_SIZE;
    blcf->max_args = NGX_CONF_UNSET;
    blcf->ip = NGX_CONF_UNSET_UINT;
    blcf->gpc = NGX_CONF_UNSET_UINT;
    blcf->drop_args = NGX_CONF_UNSET_PTR;
    blcf->keep_args = NGX_CONF_UNSET_PTR;
    blcf->cookie = NGX_CONF_UNSET_PTR;

    return blcf;
}


static char *
ngx_http_beacon_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_beacon_loc_conf_t  *prev = parent;
    ngx_http_beacon_loc_conf_t  *conf = child;

    char                      *rv;
    ngx_http_core_loc_conf_t  *clcf;

    conf->main = ngx_http_conf_get_module_main_conf(cf, ngx_http_beacon_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && conf->mode == NGX_CONF_UNSET_UINT) {
        /* "if" and "limit_except": parts of their location */
        conf->mode = prev->mode;
        conf->condition = prev->condition;
        conf->redirect = prev->redirect;
        conf->file = prev->file;
        conf->line = prev->line;
    }

    ngx_conf_merge_uint_value(conf->mode, NGX_CONF_UNSET_UINT,
                              NGX_HTTP_BEACON_OFF);

    ngx_conf_merge_ptr_value(conf->site, prev->site, NULL);
    ngx_conf_merge_ptr_value(conf->visitor, prev->visitor, NULL);
    ngx_conf_merge_ptr_value(conf->fields, prev->fields, NULL);
    ngx_conf_merge_ptr_value(conf->flags, prev->flags, NULL);
    ngx_conf_merge_ptr_value(conf->cors, prev->cors, NULL);

    rv = ngx_http_beacon_merge_privacy(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_beacon_merge_limits(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_beacon_merge_live(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (conf->status_line && conf->main->ring.data == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"beacon_status\" without \"beacon_ring\" in %s:%ui",
                      conf->file, conf->status_line);
        return NGX_CONF_ERROR;
    }

    if (conf->mode == NGX_HTTP_BEACON_OFF) {
        return NGX_CONF_OK;
    }

    return ngx_http_beacon_merge_capture(cf, conf, clcf);
}


static char *
ngx_http_beacon_merge_limits(ngx_conf_t *cf, ngx_http_beacon_loc_conf_t *prev,
    ngx_http_beacon_loc_conf_t *conf)
{
    size_t  share;

    share = (size_t) conf->main->lane_size / BEACON_RECORD_SHARE;

    if (conf->main->ring.data
        && conf->max_body != NGX_CONF_UNSET_SIZE
        && conf->max_body > share - NGX_HTTP_BEACON_OVERHEAD)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"beacon_max_body\" in %V must fit an eighth of a "
                      "lane: at most %uz with the \"beacon_ring\" in %V",
                      &conf->max_body_at, share - NGX_HTTP_BEACON_OVERHEAD,
                      &conf->main->ring_at);
        return NGX_CONF_ERROR;
    }

    ngx_conf_merge_size_value(conf->max_body, prev->max_body,
                              NGX_HTTP_BEACON_MAX_BODY);
    ngx_conf_merge_value(conf->max_args, prev->max_args,
                         NGX_HTTP_BEACON_MAX_ARGS);

    return NGX_CONF_OK;
}


static char *
ngx_http_beacon_merge_capture(ngx_conf_t *cf, ngx_http_beacon_loc_conf_t *conf,
    ngx_http_core_loc_conf_t *clcf)
{
    char  *name;

    name = conf->redirect ? "beacon_redirect" : "beacon";

    if (conf->main->ring.data == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" without \"beacon_ring\" in %s:%ui",
                      name, conf->file, conf->line);
        return NGX_CONF_ERROR;
    }

    if (conf->site == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" without \"beacon_site\" in %s:%ui",
                      name, conf->file, conf->line);
        return NGX_CONF_ERROR;
    }

    if (conf->mode == NGX_HTTP_BEACON_ON) {
        conf->main->pages = 1;

    } else {
        if (!clcf->noname && clcf->handler != ngx_http_beacon_handler) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"%s\" stands where another directive answers "
                          "requests in %s:%ui", name, conf->file, conf->line);
            return NGX_CONF_ERROR;
        }

        /* bodies are judged by ngx_http_beacon_body.c, none goes to a file */

        clcf->client_max_body_size = 0;
    }

    return (ngx_http_beacon_schema(cf, conf) == NGX_OK) ? NGX_CONF_OK
                                                        : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_beacon_init_module(ngx_cycle_t *cycle)
{
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_beacon_module);

    if (bmcf == NULL || bmcf->ring.data == NULL || ngx_test_config) {
        return NGX_OK;
    }

    ngx_http_beacon_publish(cycle, bmcf);

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_init_process(ngx_cycle_t *cycle)
{
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_beacon_module);

    if (bmcf == NULL || bmcf->ring.data == NULL) {
        return NGX_OK;
    }

    if (ngx_http_beacon_helper_init_process(cycle, bmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    if (ngx_http_beacon_worker_attach(cycle, bmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_beacon_live_init(cycle, bmcf);
}
