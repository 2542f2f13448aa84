/*
 * Variables: $beacon_site $beacon_visitor $beacon_id $beacon_result
 * $beacon_cookie, and by prefix $beacon_field_NAME $beacon_arg_NAME.
 */

#include "ngx_http_beacon.h"


static ngx_int_t ngx_http_beacon_variable_site(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_beacon_variable_visitor(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_beacon_variable_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_beacon_variable_result(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_beacon_variable_cookie(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_beacon_variable_field(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_beacon_variable_arg(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static beacon_rc_t ngx_http_beacon_arg_nocase(beacon_str_t query,
    beacon_str_t name, u_char *buf, beacon_str_t *value);
static ngx_int_t ngx_http_beacon_variable_none(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_beacon_variable_set(ngx_http_variable_value_t *v,
    beacon_str_t *str);


/*
 * No configuration can write a name with a space: this one only reserves a
 * place in r->variables.
 */

static ngx_str_t  ngx_http_beacon_capture_name = ngx_string("beacon capture");


static ngx_http_variable_t  ngx_http_beacon_vars[] = {

    { ngx_string("beacon_site"), NULL, ngx_http_beacon_variable_site, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("beacon_visitor"), NULL, ngx_http_beacon_variable_visitor, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("beacon_id"), NULL, ngx_http_beacon_variable_id, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("beacon_result"), NULL, ngx_http_beacon_variable_result, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("beacon_cookie"), NULL, ngx_http_beacon_variable_cookie, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("beacon_field_"), NULL, ngx_http_beacon_variable_field, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string("beacon_arg_"), NULL, ngx_http_beacon_variable_arg, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string("beacon capture"), NULL, ngx_http_beacon_variable_none, 0,
      NGX_HTTP_VAR_NOHASH, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_beacon_variables(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_beacon_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    bmcf->capture_index = ngx_http_get_variable_index(cf,
                                               &ngx_http_beacon_capture_name);

    return (bmcf->capture_index == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/* Finds it, or makes it. */

ngx_http_beacon_ctx_t *
ngx_http_beacon_ctx_create(ngx_http_request_t *r,
    ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_http_beacon_ctx_t       *ctx;
    ngx_http_variable_value_t   *v;

    v = &r->variables[bmcf->capture_index];

    if (v->data) {
        return (ngx_http_beacon_ctx_t *) v->data;
    }

    ctx = ngx_palloc(r->pool, sizeof(ngx_http_beacon_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->result = NGX_HTTP_BEACON_NONE;
    ctx->page = NULL;
    ctx->args.data = NULL;
    ctx->capture = NULL;
    ctx->cookie = NGX_HTTP_BEACON_COOKIE_UNDECIDED;
    v->data = (u_char *) ctx;

    return ctx;
}


static ngx_int_t
ngx_http_beacon_variable_set(ngx_http_variable_value_t *v, beacon_str_t *str)
{
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = (unsigned) str->len;
    v->data = (u_char *) str->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_variable_none(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    v->not_found = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_variable_site(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    beacon_str_t                 str;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    if (blcf->site == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ngx_http_beacon_value(r, NULL, blcf->site, &str) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_beacon_variable_set(v, &str);
}


static ngx_int_t
ngx_http_beacon_variable_visitor(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    beacon_str_t                 str;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    if (blcf->visitor == NULL
        || (blcf->gpc == NGX_HTTP_BEACON_GPC_ANONYMOUS
            && ngx_http_beacon_anonymous(blcf, ngx_http_beacon_signals(r))))
    {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ngx_http_beacon_value_visitor(r, NULL, blcf->visitor, &str) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_beacon_variable_set(v, &str);
}


static ngx_int_t
ngx_http_beacon_variable_cookie(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    beacon_str_t  str;

    if (ngx_http_beacon_cookie(r, NULL, &str) != NGX_OK) {
        return NGX_ERROR;
    }

    if (str.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_beacon_variable_set(v, &str);
}


static ngx_int_t
ngx_http_beacon_variable_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                       *p;
    beacon_str_t                  str;
    ngx_http_beacon_ctx_t        *ctx;
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_beacon_module);

    ctx = (ngx_http_beacon_ctx_t *) r->variables[bmcf->capture_index].data;

    if (ctx == NULL || ctx->result != NGX_HTTP_BEACON_TAKEN) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, BEACON_ID_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    str.data = p;
    str.len = beacon_id_format(p, ctx->epoch, ctx->lane, ctx->offset);

    return ngx_http_beacon_variable_set(v, &str);
}


static ngx_int_t
ngx_http_beacon_variable_result(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                    *reason;
    beacon_str_t                  str;
    ngx_http_beacon_ctx_t        *ctx;
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_beacon_module);

    ctx = (ngx_http_beacon_ctx_t *) r->variables[bmcf->capture_index].data;

    switch (ctx ? ctx->result : NGX_HTTP_BEACON_NONE) {

    case NGX_HTTP_BEACON_NONE:
        v->not_found = 1;
        return NGX_OK;

    case NGX_HTTP_BEACON_TAKEN:
        str = beacon_string("taken");
        break;

    case NGX_HTTP_BEACON_DROPPED:
        str = beacon_string("dropped");
        break;

    case NGX_HTTP_BEACON_FULL:
        str = beacon_string("full");
        break;

    default:
        reason = &ngx_http_beacon_reasons[ctx->result
                                          - NGX_HTTP_BEACON_REJECTED];
        str.data = reason->data;
        str.len = reason->len;
        break;
    }

    return ngx_http_beacon_variable_set(v, &str);
}


static ngx_int_t
ngx_http_beacon_variable_field(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  *name = (ngx_str_t *) data;

    size_t                       len;
    u_char                      *p;
    ngx_uint_t                   i;
    beacon_str_t                 str;
    ngx_http_beacon_named_t     *named;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    p = name->data + sizeof("beacon_field_") - 1;
    len = name->len - (sizeof("beacon_field_") - 1);

    for (i = 0; blcf->fields && i < blcf->fields->nelts; i++) {
        named = blcf->fields->elts;

        /* nginx has made the variable's name lower case */

        if (named[i].name.len != len
            || ngx_strncasecmp(named[i].name.data, p, len) != 0)
        {
            continue;
        }

        if (ngx_http_beacon_value(r, NULL, &named[i].value, &str) != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_http_beacon_variable_set(v, &str);
    }

    v->not_found = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_variable_arg(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  *name = (ngx_str_t *) data;

    u_char        *buf;
    beacon_str_t   query, arg, str;

    query = ngx_http_beacon_query(r);
    arg.data = name->data + sizeof("beacon_arg_") - 1;
    arg.len = name->len - (sizeof("beacon_arg_") - 1);

    if (query.len == 0 || arg.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    buf = ngx_pnalloc(r->pool, query.len);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    if (beacon_query_arg(query, arg, buf, &str) != BEACON_OK
        && ngx_http_beacon_arg_nocase(query, arg, buf, &str) != BEACON_OK)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_beacon_variable_set(v, &str);
}


/*
 * nginx makes the names of variables lower case: so that $beacon_arg_Page is
 * found in a map too, an argument that differs only in case stands in for one
 * that is not there, as with nginx's own $arg_.
 */

static beacon_rc_t
ngx_http_beacon_arg_nocase(beacon_str_t query, beacon_str_t name, u_char *buf,
    beacon_str_t *value)
{
    u_char        *p, *last, *end;
    beacon_str_t   pair, key;

    p = (u_char *) query.data;
    last = p + query.len;

    for ( /* void */ ; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) >= name.len
            && (p + name.len == end || p[name.len] == '=')
            && ngx_strncasecmp(p, (u_char *) name.data, name.len) == 0)
        {
            pair.data = p;
            pair.len = end - p;
            key.data = p;
            key.len = name.len;

            return beacon_query_arg(pair, key, buf, value);
        }
    }

    return BEACON_AGAIN;
}
