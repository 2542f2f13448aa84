/*
 * The live API's answers, sent complete: no error_page, no validators.
 */

#include "ngx_http_beacon_live.h"


static const char *ngx_http_beacon_live_title(ngx_uint_t status);
static ngx_int_t ngx_http_beacon_live_header(ngx_http_request_t *r,
    const char *key, const char *value);


static ngx_str_t  ngx_http_beacon_live_problem_type =
    ngx_string("application/problem+json");


ngx_int_t
ngx_http_beacon_live_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *detail)
{
    size_t       len;
    ngx_buf_t   *b;
    const char  *title;
    ngx_chain_t  out;

    title = ngx_http_beacon_live_title(status);
    len = sizeof("{\"type\":\"about:blank\",\"title\":\"\",\"status\":000,"
                 "\"detail\":\"\"}\n")
          + ngx_strlen(title) + ngx_strlen(detail);

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_snprintf(b->last, len,
                           "{\"type\":\"about:blank\",\"title\":\"%s\","
                           "\"status\":%ui,\"detail\":\"%s\"}\n",
                           title, status, detail);

    /* "error_page ... =200" that led here must not make a success of it */
    r->err_status = 0;
    r->headers_out.status = status;

    if (status == NGX_HTTP_NOT_ALLOWED
        && ngx_http_beacon_live_header(r, "Allow", "GET, HEAD, OPTIONS")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE
        && ngx_http_beacon_live_header(r, "Retry-After", "1") != NGX_OK)
    {
        return NGX_ERROR;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_beacon_live_send(r, &ngx_http_beacon_live_problem_type,
                                     &out, b->last - b->pos);
}


static const char *
ngx_http_beacon_live_title(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_BAD_REQUEST:
        return "Bad Request";

    case NGX_HTTP_NOT_FOUND:
        return "Not Found";

    case NGX_HTTP_NOT_ALLOWED:
        return "Method Not Allowed";

    case NGX_HTTP_SERVICE_UNAVAILABLE:
        return "Service Unavailable";

    default:
        return "Internal Server Error";
    }
}


/* The chain's last buffer is the answer's last. */

ngx_int_t
ngx_http_beacon_live_send(ngx_http_request_t *r, ngx_str_t *type,
    ngx_chain_t *out, off_t len)
{
    ngx_int_t                    rc;
    ngx_chain_t                 *cl;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    r->disable_not_modified = 1;

    if (ngx_http_beacon_live_header(r, "Cache-Control", "no-store") != NGX_OK
        || ngx_http_beacon_live_header(r, "X-Content-Type-Options", "nosniff")
           != NGX_OK
        || (blcf->view->cors
            && ngx_http_beacon_cors(r, blcf->view->cors, 0) != NGX_OK))
    {
        return NGX_ERROR;
    }

    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_length_n = len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    for (cl = out; cl->next; cl = cl->next) { /* void */ }

    cl->buf->last_buf = (r == r->main);
    cl->buf->last_in_chain = 1;

    return ngx_http_output_filter(r, out);
}


/* Of constant text. */

static ngx_int_t
ngx_http_beacon_live_header(ngx_http_request_t *r, const char *key,
    const char *value)
{
    ngx_str_t  k, v;

    k.data = (u_char *) key;
    k.len = ngx_strlen(key);
    v.data = (u_char *) value;
    v.len = ngx_strlen(value);

    return ngx_http_beacon_header(r, &k, &v);
}
