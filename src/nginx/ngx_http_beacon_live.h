/*
 * Between the files of the live API; the rest of the module needs only what
 * ngx_http_beacon.h says of it.
 */

#ifndef NGX_HTTP_BEACON_LIVE_H
#define NGX_HTTP_BEACON_LIVE_H


#include "ngx_http_beacon.h"


/*
 * ngx_http_beacon_live_send.c: an answer, sent complete; what a content
 * handler returns.  A problem is RFC 9457's; detail is JSON text.
 */
ngx_int_t ngx_http_beacon_live_problem(ngx_http_request_t *r,
    ngx_uint_t status, const char *detail);
ngx_int_t ngx_http_beacon_live_send(ngx_http_request_t *r, ngx_str_t *type,
    ngx_chain_t *out, off_t len);


#endif /* NGX_HTTP_BEACON_LIVE_H */
