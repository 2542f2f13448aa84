/*
 * What a request of the live API asks for, in nginx's strings.
 */

#include "ngx_http_beacon_live.h"


static beacon_str_t ngx_http_beacon_live_str(ngx_str_t *text);


const char *
ngx_http_beacon_live_args(ngx_http_request_t *r, ngx_uint_t may,
    ngx_uint_t limit, ngx_uint_t window, beacon_live_query_t *args)
{
    u_char  *buf;

    args->limit = limit;
    args->window = window;

    if (r->args.len == 0) {
        return NULL;
    }

    buf = ngx_pnalloc(r->pool, r->args.len);
    if (buf == NULL) {
        return "no memory";
    }

    return beacon_live_query(ngx_http_beacon_live_str(&r->args), may, buf,
                             args);
}


void
ngx_http_beacon_live_cursor(ngx_str_t *text, beacon_live_query_t *args)
{
    beacon_live_query_since(ngx_http_beacon_live_str(text), args);
}


ngx_uint_t
ngx_http_beacon_live_allowed(ngx_str_t *sites, ngx_str_t *name)
{
    return beacon_live_sites_allow(ngx_http_beacon_live_str(sites),
                                   ngx_http_beacon_live_str(name));
}


ngx_uint_t
ngx_http_beacon_live_valid(ngx_str_t *name)
{
    return beacon_live_site_valid(ngx_http_beacon_live_str(name));
}


ngx_uint_t
ngx_http_beacon_live_name(ngx_str_t *sites, size_t *at, ngx_str_t *name)
{
    ngx_uint_t    more;
    beacon_str_t  word;

    more = beacon_live_sites_next(ngx_http_beacon_live_str(sites), at, &word);

    name->data = (u_char *) word.data;
    name->len = word.len;

    return more;
}


static beacon_str_t
ngx_http_beacon_live_str(ngx_str_t *text)
{
    beacon_str_t  str;

    str.data = text->data;
    str.len = text->len;

    return str;
}
