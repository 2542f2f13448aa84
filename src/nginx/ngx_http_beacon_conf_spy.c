/*
 * beacon_spy, beacon_spy_collect.  What stands in a curve file is for
 * beacond -t to judge.
 */

#include "ngx_http_beacon.h"

#include "beacon_endpoint.h"


static char *ngx_http_beacon_conf_spy_sink(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *type, ngx_uint_t collect);
static char *ngx_http_beacon_conf_spy_arg(ngx_conf_t *cf,
    ngx_http_beacon_sink_t *sink, ngx_str_t *value);
static char *ngx_http_beacon_conf_spy_endpoint(ngx_conf_t *cf,
    ngx_http_beacon_spy_t *spy, ngx_str_t *value, ngx_uint_t bind);
static char *ngx_http_beacon_conf_spy_sites(ngx_conf_t *cf,
    ngx_http_beacon_spy_t *spy, ngx_str_t *value);
static char *ngx_http_beacon_conf_spy_curve(ngx_conf_t *cf,
    ngx_http_beacon_spy_t *spy, ngx_str_t *value);
static char *ngx_http_beacon_conf_spy_safe(ngx_conf_t *cf,
    ngx_http_beacon_spy_t *spy);


/* beacon_spy [bind=ENDPOINT]... [connect=ENDPOINT]... [name=] [ip=on]
   [curve=FILE] [insecure] */

char *
ngx_http_beacon_conf_spy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    static ngx_str_t  type = ngx_string("spy");

    return ngx_http_beacon_conf_spy_sink(cf, conf, &type, 0);
}


/* beacon_spy_collect [bind=ENDPOINT]... [connect=ENDPOINT]... [name=]
   [sites=SITE,...] [curve=FILE] [insecure] */

char *
ngx_http_beacon_conf_collect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    static ngx_str_t  type = ngx_string("collect");

    return ngx_http_beacon_conf_spy_sink(cf, conf, &type, 1);
}


static char *
ngx_http_beacon_conf_spy_sink(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *type, ngx_uint_t collect)
{
    char                    *rv;
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_http_beacon_spy_t   *spy;
    ngx_http_beacon_sink_t  *sink;

    sink = ngx_http_beacon_conf_sink(cf, bmcf, type);
    if (sink == NULL) {
        return NGX_CONF_ERROR;
    }

    spy = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_spy_t));
    if (spy == NULL
        || ngx_array_init(&spy->endpoints, cf->pool, 2,
                          sizeof(ngx_http_beacon_endpoint_t))
           != NGX_OK
        || ngx_array_init(&spy->sites, cf->pool, 2, sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    spy->collect = collect;
    spy->at = sink->at;
    sink->spy = spy;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_beacon_conf_spy_arg(cf, sink, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (collect && spy->endpoints.nelts == 0) {
        return "needs \"bind=\" or \"connect=\"";
    }

    rv = ngx_http_beacon_conf_spy_safe(cf, spy);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_beacon_conf_sink_name(cf, bmcf, sink);
}


static char *
ngx_http_beacon_conf_spy_arg(ngx_conf_t *cf, ngx_http_beacon_sink_t *sink,
    ngx_str_t *value)
{
    ngx_http_beacon_spy_t  *spy;

    spy = sink->spy;

    if (ngx_strncmp(value->data, "bind=", 5) == 0) {
        return ngx_http_beacon_conf_spy_endpoint(cf, spy, value, 1);
    }

    if (ngx_strncmp(value->data, "connect=", 8) == 0) {
        return ngx_http_beacon_conf_spy_endpoint(cf, spy, value, 0);
    }

    if (ngx_strncmp(value->data, "name=", 5) == 0) {
        sink->name.data = value->data + 5;
        sink->name.len = value->len - 5;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "curve=", 6) == 0) {
        return ngx_http_beacon_conf_spy_curve(cf, spy, value);
    }

    if (spy->collect && ngx_strncmp(value->data, "sites=", 6) == 0) {
        return ngx_http_beacon_conf_spy_sites(cf, spy, value);
    }

    if (!spy->collect
        && (ngx_strcmp(value->data, "ip=on") == 0
            || ngx_strcmp(value->data, "ip=off") == 0))
    {
        spy->ip = (value->len == 5);
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "insecure") == 0) {
        spy->insecure = 1;
        return NGX_CONF_OK;
    }

    return ngx_http_beacon_conf_invalid(cf, value);
}


static char *
ngx_http_beacon_conf_spy_endpoint(ngx_conf_t *cf, ngx_http_beacon_spy_t *spy,
    ngx_str_t *value, ngx_uint_t bind)
{
    size_t                       skip;
    beacon_err_t                 err;
    beacon_str_t                 text;
    beacon_endpoint_t            parsed;
    ngx_http_beacon_endpoint_t  *endpoint;

    skip = bind ? sizeof("bind=") - 1 : sizeof("connect=") - 1;

    text.data = value->data + skip;
    text.len = value->len - skip;

    if (beacon_endpoint_parse(text, bind, &parsed, &err) != BEACON_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid \"%V\": %s", value,
                           err.text);
        return NGX_CONF_ERROR;
    }

    if (spy->endpoints.nelts == NGX_HTTP_BEACON_ENDPOINTS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "more than %d endpoints",
                           NGX_HTTP_BEACON_ENDPOINTS);
        return NGX_CONF_ERROR;
    }

    endpoint = ngx_array_push(&spy->endpoints);
    if (endpoint == NULL) {
        return NGX_CONF_ERROR;
    }

    endpoint->bind = bind;
    endpoint->local = parsed.local;
    endpoint->text.data = (u_char *) text.data;
    endpoint->text.len = text.len;

    return NGX_CONF_OK;
}


/* sites=SITE,... */

static char *
ngx_http_beacon_conf_spy_sites(ngx_conf_t *cf, ngx_http_beacon_spy_t *spy,
    ngx_str_t *value)
{
    u_char     *p, *end, *comma;
    ngx_str_t  *site;

    end = value->data + value->len;

    for (p = value->data + 6; p <= end; p = comma + 1) {
        comma = ngx_strlchr(p, end, ',');
        if (comma == NULL) {
            comma = end;
        }

        if (!beacon_site_valid(p, comma - p)) {
            return ngx_http_beacon_conf_invalid(cf, value);
        }

        site = ngx_array_push(&spy->sites);
        if (site == NULL) {
            return NGX_CONF_ERROR;
        }

        site->data = p;
        site->len = comma - p;
    }

    return NGX_CONF_OK;
}


/* Whether the worker user may read it is judged with the directories. */

static char *
ngx_http_beacon_conf_spy_curve(ngx_conf_t *cf, ngx_http_beacon_spy_t *spy,
    ngx_str_t *value)
{
    if (spy->curve.data || value->len == 6) {
        return ngx_http_beacon_conf_invalid(cf, value);
    }

    spy->curve.data = value->data + 6;
    spy->curve.len = value->len - 6;

    return (ngx_conf_full_name(cf->cycle, &spy->curve, 1) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_beacon_conf_spy_safe(ngx_conf_t *cf, ngx_http_beacon_spy_t *spy)
{
    ngx_uint_t                   i;
    ngx_http_beacon_endpoint_t  *endpoint;

    endpoint = spy->endpoints.elts;

    for (i = 0; i < spy->endpoints.nelts; i++) {
        if (!endpoint[i].local && spy->curve.data == NULL && !spy->insecure) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is not loopback: it wants \"curve=\", "
                               "or \"insecure\" if everybody may %s hits "
                               "there",
                               &endpoint[i].text,
                               spy->collect ? "write" : "read");
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}
