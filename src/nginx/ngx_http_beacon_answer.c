/*
 * Answers, sent complete: no error_page, no special response, no validators.
 */

#include "ngx_http_beacon.h"


static ngx_int_t ngx_http_beacon_send(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_uint_t gif);
static ngx_int_t ngx_http_beacon_headers(ngx_http_request_t *r);


/* 1 x 1, transparent; the bytes that empty_gif sends. */

static u_char  ngx_http_beacon_gif[] = {
    'G', 'I', 'F', '8', '9', 'a',

    /* 1 x 1, global colour table of two entries, black and white */
    0x01, 0x00, 0x01, 0x00, 0x80, 0x01, 0x00, 0x00, 0x00, 0x00,
    0xff, 0xff, 0xff,

    /* graphic control: colour 1 is transparent */
    0x21, 0xf9, 0x04, 0x01, 0x00, 0x00, 0x01, 0x00,

    /* image, at 0,0; two bytes of data */
    0x2c, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00,
    0x02, 0x02, 0x4c, 0x01, 0x00,

    0x3b
};


static ngx_str_t  ngx_http_beacon_image_gif = ngx_string("image/gif");

/*
 * What every answer says: keep no copy; pages of other sites may embed it
 * (those with Cross-Origin-Embedder-Policy ask) and see how long it took.
 */

static ngx_table_elt_t  ngx_http_beacon_always[] = {
    { .hash = 1, .key = ngx_string("Cache-Control"),
      .value = ngx_string("no-store") },
    { .hash = 1, .key = ngx_string("Cross-Origin-Resource-Policy"),
      .value = ngx_string("cross-origin") },
    { .hash = 1, .key = ngx_string("Timing-Allow-Origin"),
      .value = ngx_string("*") }
};

#define NGX_HTTP_BEACON_ALWAYS  (sizeof(ngx_http_beacon_always)               \
                                 / sizeof(ngx_http_beacon_always[0]))

static ngx_str_t  ngx_http_beacon_error = ngx_string("X-Beacon-Error");
static ngx_str_t  ngx_http_beacon_location = ngx_string("Location");
static ngx_str_t  ngx_http_beacon_allow = ngx_string("Allow");
static ngx_str_t  ngx_http_beacon_methods =
    ngx_string("GET, HEAD, POST, OPTIONS");


ngx_str_t  ngx_http_beacon_reasons[] = {
    ngx_string("site"),
    ngx_string("method"),
    ngx_string("size"),
    ngx_string("body"),
    ngx_string("redirect")
};

ngx_str_t  ngx_http_beacon_full = ngx_string("full");


ngx_int_t
ngx_http_beacon_answer(ngx_http_request_t *r, ngx_http_beacon_loc_conf_t *blcf)
{
    if (blcf->mode == NGX_HTTP_BEACON_GIF) {
        r->headers_out.status = NGX_HTTP_OK;
        return ngx_http_beacon_send(r, blcf, 1);
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    return ngx_http_beacon_send(r, blcf, 0);
}


ngx_int_t
ngx_http_beacon_refuse(ngx_http_request_t *r, ngx_http_beacon_loc_conf_t *blcf,
    ngx_uint_t status, ngx_str_t *reason)
{
    /* "error_page ... =200" that led here must not make a success of it */
    r->err_status = 0;
    r->headers_out.status = status;

    if (ngx_http_beacon_header(r, &ngx_http_beacon_error, reason) != NGX_OK) {
        return NGX_ERROR;
    }

    if (status == NGX_HTTP_NOT_ALLOWED
        && ngx_http_beacon_header(r, &ngx_http_beacon_allow,
                                  &ngx_http_beacon_methods)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_beacon_send(r, blcf, blcf->mode == NGX_HTTP_BEACON_GIF);
}


ngx_int_t
ngx_http_beacon_answer_redirect(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *location)
{
    r->err_status = 0;
    r->headers_out.status = NGX_HTTP_MOVED_TEMPORARILY;

    if (ngx_http_beacon_header(r, &ngx_http_beacon_location, location)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_beacon_send(r, blcf, 0);
}


ngx_int_t
ngx_http_beacon_options(ngx_http_request_t *r)
{
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    r->err_status = 0;
    r->headers_out.status = NGX_HTTP_NO_CONTENT;

    if (ngx_http_beacon_header(r, &ngx_http_beacon_allow,
                               &ngx_http_beacon_methods)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (blcf->cors && ngx_http_beacon_cors(r, blcf->cors, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_beacon_send(r, blcf, 0);
}


ngx_int_t
ngx_http_beacon_header(ngx_http_request_t *r, ngx_str_t *key, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = *key;
    h->value = *value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


/*
 * NGX_ERROR rather than a status where memory runs out: the connection is
 * closed, and no error_page can tell the client something else.
 */

static ngx_int_t
ngx_http_beacon_send(ngx_http_request_t *r, ngx_http_beacon_loc_conf_t *blcf,
    ngx_uint_t gif)
{
    ngx_buf_t    *b;
    ngx_chain_t   out;

    /*
     * Without it a conditional request could end in 304 or 412.  The header
     * is not put into headers_out.cache_control: "expires" would replace it.
     */

    r->disable_not_modified = 1;

    if (ngx_http_beacon_headers(r) != NGX_OK
        || (blcf->cors && r->method != NGX_HTTP_OPTIONS
            && ngx_http_beacon_cors(r, blcf->cors, 0) != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (!gif) {
        r->headers_out.content_length_n = 0;

        if (r == r->main) {
            r->header_only = 1;
        }

        return ngx_http_send_header(r);
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = ngx_http_beacon_gif;
    b->last = ngx_http_beacon_gif + sizeof(ngx_http_beacon_gif);
    b->memory = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_beacon_output(r, &ngx_http_beacon_image_gif, &out,
                                  sizeof(ngx_http_beacon_gif));
}


ngx_int_t
ngx_http_beacon_output(ngx_http_request_t *r, const ngx_str_t *type,
    ngx_chain_t *out, off_t len)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl;

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


/* As ngx_list_push() would, but all at once where there is room. */

static ngx_int_t
ngx_http_beacon_headers(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_t       *headers;
    ngx_list_part_t  *last;
    ngx_table_elt_t  *h;

    headers = &r->headers_out.headers;
    last = headers->last;

    if (headers->nalloc - last->nelts >= NGX_HTTP_BEACON_ALWAYS) {
        h = (ngx_table_elt_t *) last->elts + last->nelts;
        last->nelts += NGX_HTTP_BEACON_ALWAYS;
        ngx_memcpy(h, ngx_http_beacon_always, sizeof(ngx_http_beacon_always));
        return NGX_OK;
    }

    for (i = 0; i < NGX_HTTP_BEACON_ALWAYS; i++) {
        h = ngx_list_push(headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = ngx_http_beacon_always[i];
    }

    return NGX_OK;
}
