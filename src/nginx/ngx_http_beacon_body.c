/*
 * The body of a POST.  It is read unbuffered (in nginx's word) and collected
 * here: so none ever goes to a file, its length is judged by us whatever the
 * framing, and what is wrong with it is answered by us too.
 */

#include "ngx_http_beacon.h"


/* Collects what does not stand in one buffer. */

typedef struct {
    u_char  *start;
    size_t   len;
    size_t   size;
} ngx_http_beacon_body_t;


static void ngx_http_beacon_body_start(ngx_http_request_t *r);
static void ngx_http_beacon_body_read(ngx_http_request_t *r);
static ngx_int_t ngx_http_beacon_body_take(ngx_http_request_t *r,
    ngx_http_beacon_body_t *body, size_t max);
static ngx_int_t ngx_http_beacon_body_room(ngx_http_request_t *r,
    ngx_http_beacon_body_t *body, size_t n, size_t max);
static ngx_int_t ngx_http_beacon_body_shared(ngx_http_request_t *r,
    beacon_str_t *str, size_t max);
static ngx_int_t ngx_http_beacon_body_done(ngx_http_request_t *r,
    beacon_str_t *str);
static ngx_int_t ngx_http_beacon_body_reject(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_uint_t ngx_http_beacon_body_kind(ngx_http_request_t *r);


#define NGX_HTTP_BEACON_BODY_FIRST  4096


ngx_int_t
ngx_http_beacon_body(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    if (r == r->main && r->request_body == NULL
        && r->headers_in.content_length_n > (off_t) blcf->max_body)
    {
        /* no "100 Continue" for what is not wanted */
        r->expect_tested = 1;
        r->keepalive = 0;

        (void) ngx_http_discard_request_body(r);

        return ngx_http_beacon_reject(r, BEACON_REJECT_BODY,
                                      NGX_HTTP_REQUEST_ENTITY_TOO_LARGE);
    }

    if (r->reading_body) {
        /*
         * The error page of a location that reads unbuffered itself: part of
         * the body may be gone, and nginx would call that one's handler at
         * its end.
         */
        return ngx_http_beacon_body_reject(r,
                                           NGX_HTTP_REQUEST_ENTITY_TOO_LARGE);
    }

    r->request_body_no_buffering = 1;
    r->request_body_in_file_only = 0;

    rc = ngx_http_read_client_request_body(r, ngx_http_beacon_body_start);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        if (r->connection->error || rc == NGX_HTTP_REQUEST_TIME_OUT) {
            return rc;
        }

        r->lingering_close = 1;
        return ngx_http_beacon_body_reject(r, rc);
    }

    return NGX_DONE;
}


static void
ngx_http_beacon_body_start(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    beacon_str_t                 str;
    ngx_http_beacon_body_t      *body;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    if (!r->reading_body) {
        /* all of it is here, perhaps read by others: nothing is copied if it
           stands in one piece */

        rc = ngx_http_beacon_body_shared(r, &str, blcf->max_body);

        if (rc == NGX_DECLINED) {
            rc = ngx_http_beacon_body_reject(r,
                                             NGX_HTTP_REQUEST_ENTITY_TOO_LARGE);
        } else if (rc == NGX_OK) {
            rc = ngx_http_beacon_body_done(r, &str);
        }

        ngx_http_finalize_request(r, rc);
        return;
    }

    body = ngx_pcalloc(r->pool, sizeof(ngx_http_beacon_body_t));
    if (body == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_set_ctx(r, body, ngx_http_beacon_module);

    r->read_event_handler = ngx_http_beacon_body_read;
    ngx_http_beacon_body_read(r);
}


static void
ngx_http_beacon_body_read(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    beacon_str_t                 str;
    ngx_http_beacon_body_t      *body;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);
    body = ngx_http_get_module_ctx(r, ngx_http_beacon_module);

    for ( ;; ) {
        rc = ngx_http_beacon_body_take(r, body, blcf->max_body);

        if (rc == NGX_DECLINED) {
            rc = ngx_http_beacon_body_reject(r,
                                             NGX_HTTP_REQUEST_ENTITY_TOO_LARGE);
            break;
        }

        if (rc == NGX_ERROR) {
            break;
        }

        if (!r->reading_body) {
            str.data = body->start;
            str.len = body->len;
            rc = ngx_http_beacon_body_done(r, &str);
            break;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            if (!r->connection->error && rc != NGX_HTTP_REQUEST_TIME_OUT) {
                rc = ngx_http_beacon_body_reject(r, rc);
            }

            break;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return;
        }
    }

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_finalize_request(r, rc);
}


/* Takes what was read.  DECLINED: more than max. */

static ngx_int_t
ngx_http_beacon_body_take(ngx_http_request_t *r, ngx_http_beacon_body_t *body,
    size_t max)
{
    size_t        n;
    ngx_chain_t  *cl;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        n = ngx_buf_size(cl->buf);

        if (n > max - body->len) {
            return NGX_DECLINED;
        }

        if (n && ngx_http_beacon_body_room(r, body, n, max) != NGX_OK) {
            return NGX_ERROR;
        }

        if (n) {
            ngx_memcpy(body->start + body->len, cl->buf->pos, n);
            body->len += n;
        }

        cl->buf->pos = cl->buf->last;
    }

    r->request_body->bufs = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_body_room(ngx_http_request_t *r, ngx_http_beacon_body_t *body,
    size_t n, size_t max)
{
    size_t   size;
    u_char  *p;

    if (n <= body->size - body->len) {
        return NGX_OK;
    }

    if (r->headers_in.content_length_n > 0) {
        size = (size_t) r->headers_in.content_length_n;

    } else {
        size = body->size ? 2 * body->size : NGX_HTTP_BEACON_BODY_FIRST;
    }

    size = ngx_max(ngx_min(size, max), body->len + n);

    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (body->len) {
        ngx_memcpy(p, body->start, body->len);
        (void) ngx_pfree(r->pool, body->start);
    }

    body->start = p;
    body->size = size;

    return NGX_OK;
}


/*
 * A whole body: in place if it is one piece.  One that another location put
 * into a file (a mirrored upload) counts as too large: files are not read here;
 * so does one of which another location has used up a part.
 */

static ngx_int_t
ngx_http_beacon_body_shared(ngx_http_request_t *r, beacon_str_t *str,
    size_t max)
{
    off_t                     len;
    ngx_chain_t              *cl, *first;
    ngx_http_beacon_body_t    body;
    ngx_http_request_body_t  *rb;

    str->len = 0;
    str->data = NULL;

    rb = r->request_body;
    if (rb == NULL) {
        return NGX_OK;
    }

    len = 0;
    first = NULL;

    for (cl = rb->bufs; cl; cl = cl->next) {
        if (ngx_buf_size(cl->buf) == 0) {
            continue;
        }

        if (cl->buf->in_file && !ngx_buf_in_memory(cl->buf)) {
            return NGX_DECLINED;
        }

        if (first == NULL) {
            first = cl;
        }

        len += ngx_buf_size(cl->buf);
    }

    /* nginx has set a chunked body's length, too, by now */

    if (len > (off_t) max || len < r->headers_in.content_length_n) {
        return NGX_DECLINED;
    }

    if (first && len == ngx_buf_size(first->buf)) {
        str->data = first->buf->pos;
        str->len = (size_t) len;
        return NGX_OK;
    }

    body.len = 0;
    body.size = (size_t) len;
    body.start = ngx_pnalloc(r->pool, body.size + 1);
    if (body.start == NULL) {
        return NGX_ERROR;
    }

    for (cl = first; cl; cl = cl->next) {

        if (ngx_buf_size(cl->buf) == 0) {
            continue;                   /* the last one may hold no bytes */
        }

        ngx_memcpy(body.start + body.len, cl->buf->pos, ngx_buf_size(cl->buf));
        body.len += ngx_buf_size(cl->buf);
    }

    str->data = body.start;
    str->len = body.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_body_done(ngx_http_request_t *r, beacon_str_t *str)
{
    if (str->len == 0) {
        return ngx_http_beacon_hit(r, NULL, BEACON_BODY_NONE);
    }

    return ngx_http_beacon_hit(r, str, ngx_http_beacon_body_kind(r));
}


/* What is left unread closes the connection, as the header then says. */

static ngx_int_t
ngx_http_beacon_body_reject(ngx_http_request_t *r, ngx_uint_t status)
{
    if (status != NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        status = NGX_HTTP_BAD_REQUEST;
    }

    r->keepalive = 0;

    return ngx_http_beacon_reject(r, BEACON_REJECT_BODY, status);
}


static ngx_uint_t
ngx_http_beacon_body_kind(ngx_http_request_t *r)
{
    size_t      len;
    u_char     *p;
    ngx_str_t  *type;
    ngx_uint_t  i;

    static struct {
        ngx_str_t   type;
        ngx_uint_t  kind;
    } kinds[] = {
        { ngx_string("application/x-www-form-urlencoded"), BEACON_BODY_FORM },
        { ngx_string("application/json"), BEACON_BODY_DATA },
        { ngx_string("text/plain"), BEACON_BODY_DATA }
    };

    if (r->headers_in.content_type == NULL) {
        return BEACON_BODY_OTHER;
    }

    type = &r->headers_in.content_type->value;
    p = type->data;

    for (len = 0; len < type->len; len++) {
        if (p[len] == ';' || p[len] == ' ' || p[len] == '\t') {
            break;
        }
    }

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (len == kinds[i].type.len
            && ngx_strncasecmp(p, kinds[i].type.data, len) == 0)
        {
            return kinds[i].kind;
        }
    }

    return BEACON_BODY_OTHER;
}
