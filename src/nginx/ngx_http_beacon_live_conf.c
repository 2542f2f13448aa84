/*
 * beacon_live, beacon_live_view, beacon_live_sites.
 */

#include "ngx_http_beacon_live.h"

#include "beacon_live_write.h"


static char *ngx_http_beacon_conf_live_arg(ngx_conf_t *cf,
    ngx_http_beacon_live_t *live, ngx_str_t *value);
static char *ngx_http_beacon_conf_live_key(ngx_conf_t *cf,
    ngx_http_beacon_live_t *live, ngx_str_t *value);
static char *ngx_http_beacon_conf_live_view_arg(ngx_conf_t *cf,
    ngx_http_beacon_view_t *view, ngx_str_t *value);


#define NGX_HTTP_BEACON_LIVE_SIZE      (128 * 1024 * 1024)
#define NGX_HTTP_BEACON_LIVE_PRESENT   300          /* s */
#define NGX_HTTP_BEACON_LIVE_PRESENT_MIN  10
#define NGX_HTTP_BEACON_LIVE_PRESENT_MAX  3600      /* what the store counts */


/* beacon_live [size=128m] [visitors=5m] [key=FILE] */

char *
ngx_http_beacon_conf_live(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_main_conf_t  *bmcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_http_beacon_live_t  *live;
    ngx_http_beacon_sink_t  *sink;

    static ngx_str_t  type = ngx_string("live");

    if (bmcf->live) {
        return ngx_http_beacon_conf_duplicate(cf, &bmcf->live->at) == NGX_OK
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    sink = ngx_http_beacon_conf_sink(cf, bmcf, &type);
    if (sink == NULL) {
        return NGX_CONF_ERROR;
    }

    live = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_live_t));
    if (live == NULL) {
        return NGX_CONF_ERROR;
    }

    live->size = NGX_HTTP_BEACON_LIVE_SIZE;
    live->visitors = NGX_HTTP_BEACON_LIVE_PRESENT;
    live->at = sink->at;

    sink->live = live;
    bmcf->live = live;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_beacon_conf_live_arg(cf, live, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return ngx_http_beacon_conf_sink_name(cf, bmcf, sink);
}


static char *
ngx_http_beacon_conf_live_arg(ngx_conf_t *cf, ngx_http_beacon_live_t *live,
    ngx_str_t *value)
{
    ngx_int_t  n;
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "size=", 5) == 0) {
        s.data = value->data + 5;
        s.len = value->len - 5;
        live->size = ngx_parse_offset(&s);

        /* how much is too much, the ring's directory knows */

        if (live->size == NGX_ERROR || live->size < BEACON_LIVE_SIZE_MIN) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid size in \"%V\": at least %dm are "
                               "needed", value,
                               BEACON_LIVE_SIZE_MIN / 1024 / 1024);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "visitors=", 9) == 0) {
        s.data = value->data + 9;
        s.len = value->len - 9;
        n = ngx_parse_time(&s, 1);

        if (n == NGX_ERROR
            || n < NGX_HTTP_BEACON_LIVE_PRESENT_MIN
            || n > NGX_HTTP_BEACON_LIVE_PRESENT_MAX)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid time in \"%V\": 10s to 1h are "
                               "possible", value);
            return NGX_CONF_ERROR;
        }

        live->visitors = n;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "key=", 4) == 0) {
        return ngx_http_beacon_conf_live_key(cf, live, value);
    }

    return ngx_http_beacon_conf_invalid(cf, value);
}


/* Whether the worker user may read it is judged with the directories. */

static char *
ngx_http_beacon_conf_live_key(ngx_conf_t *cf, ngx_http_beacon_live_t *live,
    ngx_str_t *value)
{
    if (live->key.data || value->len == 4) {
        return ngx_http_beacon_conf_invalid(cf, value);
    }

    live->key.data = value->data + 4;
    live->key.len = value->len - 4;

    return (ngx_conf_full_name(cf->cycle, &live->key, 1) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* beacon_live_view [ip] [cors=ORIGIN]... [pixel=URL] */

char *
ngx_http_beacon_conf_live_view(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_beacon_view_t    *view;
    ngx_http_core_loc_conf_t  *clcf;

    if (blcf->view) {
        return ngx_http_beacon_conf_duplicate(cf, &blcf->view->at) == NGX_OK
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "cannot stand where another directive answers requests";
    }

    view = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_view_t));
    if (view == NULL || ngx_http_beacon_conf_at(cf, &view->at) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_beacon_conf_live_view_arg(cf, view, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    /* an "if" in it has no name of its own */

    view->any = clcf->named;
    view->prefix = clcf->name.len;

#if (NGX_PCRE)
    view->any |= (clcf->regex != NULL);
#endif

    clcf->handler = ngx_http_beacon_live_handler;
    blcf->view = view;

    return NGX_CONF_OK;
}


static char *
ngx_http_beacon_conf_live_view_arg(ngx_conf_t *cf,
    ngx_http_beacon_view_t *view, ngx_str_t *value)
{
    ngx_str_t  origin;

    if (ngx_strcmp(value->data, "ip") == 0) {
        view->ip = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "cors=", 5) == 0) {
        origin.data = value->data + 5;
        origin.len = value->len - 5;

        if (view->cors == NULL) {
            view->cors = ngx_http_beacon_cors_create(cf, 1);
            if (view->cors == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        return (ngx_http_beacon_cors_origin(cf, view->cors, &origin) == NGX_OK)
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value->data, "pixel=", 6) == 0
        && value->len > 6 && view->pixel.data == NULL)
    {
        view->pixel.data = value->data + 6;
        view->pixel.len = value->len - 6;
        return NGX_CONF_OK;
    }

    return ngx_http_beacon_conf_invalid(cf, value);
}


/* beacon_live_sites VALUE: names and "*", space-separated */

char *
ngx_http_beacon_conf_live_sites(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    u_char                   *p, *last, *word;
    ngx_str_t                *value, name;
    ngx_http_beacon_value_t  *sites;

    if (blcf->live_sites != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    sites = ngx_palloc(cf->pool, sizeof(ngx_http_beacon_value_t));
    if (sites == NULL
        || ngx_http_beacon_value_compile(cf, &value[1], sites) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    blcf->live_sites = sites;

    if (sites->kind != NGX_HTTP_BEACON_CONSTANT) {
        return NGX_CONF_OK;
    }

    p = sites->text.data;
    last = p + sites->text.len;

    while (p < last) {
        for (word = p; p < last && *p != ' '; p++) { /* void */ }

        name.data = word;
        name.len = p++ - word;

        if (name.len == 0 || (name.len == 1 && *word == '*')
            || ngx_http_beacon_live_valid(&name))
        {
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no site: 1 to 64 of A-Z a-z 0-9 _ . -, "
                           "not starting with a dot or underscore; \"*\": all",
                           &name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_beacon_merge_live(ngx_conf_t *cf, ngx_http_beacon_loc_conf_t *prev,
    ngx_http_beacon_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_ptr_value(conf->live_sites, prev->live_sites, NULL);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && conf->view == NULL) {
        conf->view = prev->view;
    }

    if (conf->view == NULL) {
        return NGX_CONF_OK;
    }

    if (conf->main->live == NULL || conf->main->ring.data == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"beacon_live_view\" without \"%s\" in %V",
                      conf->main->live ? "beacon_ring" : "beacon_live",
                      &conf->view->at);
        return NGX_CONF_ERROR;
    }

    if (!clcf->noname && clcf->handler != ngx_http_beacon_live_handler) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"beacon_live_view\" stands where another directive "
                      "answers requests in %V", &conf->view->at);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
