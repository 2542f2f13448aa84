/*
 * The live API's answers, sent complete: no error_page, no validators.
 */

#include "ngx_http_beacon_live.h"


static void ngx_http_beacon_live_count(ngx_http_request_t *r,
    beacon_live_refuse_e reason, const char *detail);


#define NGX_HTTP_BEACON_LIVE_BUFFER  4000       /* of the pool, not malloc's */
#define NGX_HTTP_BEACON_LIVE_BUFFER_MAX  32768


typedef struct {
    ngx_uint_t   status;
    const char  *title;
} ngx_http_beacon_live_problem_t;


/* By beacon_live_refuse_e. */

static const ngx_http_beacon_live_problem_t
    ngx_http_beacon_live_problems[] =
{
    { NGX_HTTP_NOT_FOUND, "Not Found" },
    { NGX_HTTP_BAD_REQUEST, "Bad Request" },
    { NGX_HTTP_NOT_ALLOWED, "Method Not Allowed" },
    { NGX_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable" },
    { NGX_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable" },
    { NGX_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable" }
};


static ngx_str_t  ngx_http_beacon_live_json = ngx_string("application/json");
static ngx_str_t  ngx_http_beacon_live_problem_json =
    ngx_string("application/problem+json");


ngx_int_t
ngx_http_beacon_live_problem(ngx_http_request_t *r,
    beacon_live_refuse_e reason, const char *detail)
{
    size_t       len;
    ngx_buf_t   *b;
    ngx_uint_t   status;
    const char  *title;
    ngx_chain_t  out;

    ngx_http_beacon_live_count(r, reason, detail);

    status = ngx_http_beacon_live_problems[reason].status;
    title = ngx_http_beacon_live_problems[reason].title;
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

    if (ngx_http_beacon_live_headers(r) != NGX_OK) {
        return NGX_ERROR;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_beacon_output(r, &ngx_http_beacon_live_problem_json, &out,
                                  b->last - b->pos);
}


/*
 * And says so, once a minute each of what the client could do better and of
 * what we could.  Not to the request's log, as all of Beacon's messages.
 */

static void
ngx_http_beacon_live_count(ngx_http_request_t *r, beacon_live_refuse_e reason,
    const char *detail)
{
    ngx_uint_t                      ours;
    ngx_http_beacon_loc_conf_t     *blcf;
    ngx_http_beacon_live_worker_t  *worker;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);
    worker = blcf->main->live_worker;

    atomic_fetch_add_explicit(&blcf->main->worker->mine->live[reason], 1,
                              memory_order_relaxed);

    ours = (reason >= BEACON_LIVE_REFUSE_STORE);
    worker->unsaid[ours]++;

    if (worker->warned[ours]
        && ngx_current_msec - worker->warned[ours] < 60000)
    {
        return;
    }

    ngx_log_error((ours ? NGX_LOG_ERR : NGX_LOG_INFO), worker->log, 0,
                  "beacon: the live API %s %ui requests, the last as %s; this "
                  "is logged at most once a minute",
                  ours ? "refused" : "rejected", worker->unsaid[ours], detail);

    worker->warned[ours] = ngx_current_msec ? ngx_current_msec : 1;
    worker->unsaid[ours] = 0;
}


/* Of constant text. */

ngx_int_t
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


/* Those of every answer. */

ngx_int_t
ngx_http_beacon_live_headers(ngx_http_request_t *r)
{
    ngx_http_beacon_view_t      *view;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);
    view = blcf->view;

    /* without it a conditional request could end in 304 or 412 */
    r->disable_not_modified = 1;

    if (ngx_http_beacon_live_header(r, "Cache-Control", "no-store") != NGX_OK
        || ngx_http_beacon_live_header(r, "X-Content-Type-Options", "nosniff")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return view->cors ? ngx_http_beacon_cors(r, view->cors,
                                             r->method == NGX_HTTP_OPTIONS)
                      : NGX_OK;
}


ngx_int_t
ngx_http_beacon_live_options(ngx_http_request_t *r)
{
    r->err_status = 0;
    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->headers_out.content_length_n = 0;
    r->header_only = (r == r->main);

    if (ngx_http_beacon_live_header(r, "Allow", "GET, HEAD, OPTIONS") != NGX_OK
        || ngx_http_beacon_live_headers(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_http_beacon_live_send(ngx_http_beacon_live_ctx_t *ctx)
{
    ctx->request->headers_out.status = NGX_HTTP_OK;

    if (ngx_http_beacon_live_headers(ctx->request) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_beacon_output(ctx->request, &ngx_http_beacon_live_json,
                                  ctx->text.out,
                                  ngx_http_beacon_live_len(&ctx->text));
}


/* ---- text */

u_char *
ngx_http_beacon_live_room(ngx_http_beacon_live_text_t *text, size_t size)
{
    size_t        room;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    room = NGX_HTTP_BEACON_LIVE_BUFFER;

    if (text->last) {
        b = text->last->buf;

        if (size <= (size_t) (b->end - b->last)) {
            return b->last;
        }

        /* few buffers for a long text */
        room = ngx_min(2 * (size_t) (b->end - b->start),
                       NGX_HTTP_BEACON_LIVE_BUFFER_MAX);
    }

    cl = ngx_alloc_chain_link(text->pool);
    if (cl == NULL) {
        return NULL;
    }

    cl->buf = ngx_create_temp_buf(text->pool, ngx_max(room, size));
    if (cl->buf == NULL) {
        return NULL;
    }

    cl->next = NULL;

    if (text->last) {
        text->len += text->last->buf->last - text->last->buf->pos;
        text->last->next = cl;

    } else {
        text->out = cl;
    }

    text->last = cl;

    return cl->buf->last;
}


size_t
ngx_http_beacon_live_len(ngx_http_beacon_live_text_t *text)
{
    return text->last
           ? text->len + (text->last->buf->last - text->last->buf->pos) : 0;
}


u_char *
ngx_http_beacon_live_time(u_char *p, uint64_t ms)
{
    ngx_tm_t  tm;

    ngx_gmtime((time_t) (ms / 1000), &tm);

    return ngx_sprintf(p, "%04d-%02d-%02dT%02d:%02d:%02d.%03uLZ",
                       tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                       tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                       ms % 1000);
}
