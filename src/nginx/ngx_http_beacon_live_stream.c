/*
 * GET SITE/stream: hits as they come, as server-sent events.
 *
 * A stream holds memory only for what its client has not read yet, and makes
 * nothing more until that is sent: a client that is too slow finds a gap.
 */

#include "ngx_http_beacon_live.h"


static ngx_int_t ngx_http_beacon_live_stream_header(
    ngx_http_beacon_live_ctx_t *ctx);
static void ngx_http_beacon_live_last_id(ngx_http_beacon_live_ctx_t *ctx);
static ngx_int_t ngx_http_beacon_live_stream_open(
    ngx_http_beacon_live_ctx_t *ctx, ngx_uint_t reset);
static ngx_int_t ngx_http_beacon_live_stream_turn(
    ngx_http_beacon_live_ctx_t *ctx);
static ngx_int_t ngx_http_beacon_live_stream_read(
    ngx_http_beacon_live_ctx_t *ctx, u_char **pp);
static u_char *ngx_http_beacon_live_id(ngx_http_beacon_live_ctx_t *ctx,
    u_char *p, uint64_t seq);
static u_char *ngx_http_beacon_live_tell(ngx_http_beacon_live_ctx_t *ctx,
    u_char *p, const char *event);
static ngx_int_t ngx_http_beacon_live_block(ngx_http_beacon_live_ctx_t *ctx,
    size_t len);
static ngx_int_t ngx_http_beacon_live_sent(ngx_http_beacon_live_ctx_t *ctx,
    ngx_chain_t *out, ngx_int_t rc);
static void ngx_http_beacon_live_stream_write(ngx_http_request_t *r);
static void ngx_http_beacon_live_beat(ngx_event_t *ev);
static void ngx_http_beacon_live_stream_cleanup(void *data);


#define NGX_HTTP_BEACON_LIVE_BEAT   15000       /* ms */


ngx_int_t
ngx_http_beacon_live_stream(ngx_http_beacon_live_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_uint_t           reset;
    const char          *wrong;
    ngx_http_request_t  *r;

    r = ctx->request;

    wrong = ngx_http_beacon_live_args(r, BEACON_LIVE_SINCE
                                         |BEACON_LIVE_FIELDS
                                         |BEACON_LIVE_FILTER,
                                      0, 0, &ctx->args);
    if (wrong == NULL && r != r->main) {
        wrong = "a stream cannot be a part of a page";
    }

    if (wrong) {
        return ngx_http_beacon_live_problem(r, BEACON_LIVE_REFUSE_QUERY, wrong);
    }

    if (!ngx_http_beacon_live_may_wait(ctx->worker)) {
        return ngx_http_beacon_live_problem(r, BEACON_LIVE_REFUSE_STREAM,
                                            "too many wait here");
    }

    ngx_http_beacon_live_last_id(ctx);
    reset = (ngx_http_beacon_live_from(ctx) == NGX_DECLINED);

    rc = ngx_http_beacon_live_stream_header(ctx);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_beacon_live_stream_open(ctx, reset);
}


/* Of a client that comes again. */

static void
ngx_http_beacon_live_last_id(ngx_http_beacon_live_ctx_t *ctx)
{
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("last-event-id");

    h = ngx_http_beacon_request_header(ctx->request, &name);

    if (h && h->value.len) {
        ngx_http_beacon_live_cursor(&h->value, &ctx->args);
    }
}


static ngx_int_t
ngx_http_beacon_live_stream_header(ngx_http_beacon_live_ctx_t *ctx)
{
    ngx_table_elt_t           *h;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* to be had by no compressing filter, which would hold events back; not
       in the list, so not sent */

    h = ngx_pcalloc(r->pool, sizeof(ngx_table_elt_t));
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&h->key, "Content-Encoding");
    ngx_str_set(&h->value, "identity");
    r->headers_out.content_encoding = h;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    /* an nginx in front of this one */

    if (ngx_http_beacon_live_header(r, "X-Accel-Buffering", "no") != NGX_OK
        || ngx_http_beacon_live_headers(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (clcf->tcp_nodelay && ngx_tcp_nodelay(r->connection) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_send_header(r);
}


static ngx_int_t
ngx_http_beacon_live_stream_open(ngx_http_beacon_live_ctx_t *ctx,
    ngx_uint_t reset)
{
    u_char              *p;
    ngx_pool_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = ctx->request;

    /* a connection may have use for the block when the request has ended */

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_beacon_live_stream_cleanup;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_beacon_module);
    r->write_event_handler = ngx_http_beacon_live_stream_write;

    ctx->turn = ngx_http_beacon_live_stream_turn;
    ctx->event.data = ctx;
    ctx->event.handler = ngx_http_beacon_live_beat;
    ctx->event.log = ctx->worker->log;
    ctx->event.cancelable = 1;

    p = ngx_cpymem(ctx->worker->events, "retry: 2000\n",
                   sizeof("retry: 2000\n") - 1);

    p = ngx_http_beacon_live_tell(ctx, p, reset ? "reset" : "beat");

    if (ngx_http_beacon_live_wait(ctx) == NGX_ERROR
        || ngx_http_beacon_live_block(ctx, p - ctx->worker->events) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_exiting) {
        /* the client comes again, to another worker */
        return ctx->pending ? NGX_ERROR
                            : ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    ngx_add_timer(&ctx->event, NGX_HTTP_BEACON_LIVE_BEAT);

    if (ctx->pending) {
        ctx->behind = 1;

    } else if (ctx->scan.since != ctx->info.last) {
        (void) ngx_http_beacon_live_again(ctx);
    }

    r->main->count++;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_beacon_live_stream_turn(ngx_http_beacon_live_ctx_t *ctx)
{
    u_char                         *p;
    ngx_int_t                       rc;
    ngx_http_beacon_live_worker_t  *worker;

    worker = ctx->worker;

    if (ctx->pending) {
        ctx->behind = 1;
        return NGX_HTTP_BEACON_LIVE_LATER;
    }

    p = worker->events;

    if (worker->store.head && worker->store.epoch != ctx->epoch) {
        ngx_http_beacon_live_look(ctx);
        ngx_http_beacon_live_scan(ctx, ctx->info.last);
        ctx->told = ctx->missed;

        p = ngx_http_beacon_live_tell(ctx, p, "reset");
    }

    rc = worker->store.head ? ngx_http_beacon_live_stream_read(ctx, &p)
                            : NGX_DONE;

    if (p == worker->events
        && ngx_current_msec - ctx->sent >= NGX_HTTP_BEACON_LIVE_BEAT)
    {
        p = ngx_http_beacon_live_tell(ctx, p, "beat");
    }

    if (p != worker->events
        && ngx_http_beacon_live_block(ctx, p - worker->events) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_exiting) {
        return ctx->pending ? NGX_ERROR
                            : ngx_http_send_special(ctx->request,
                                                    NGX_HTTP_LAST);
    }

    if (rc == NGX_DONE) {
        return ngx_http_beacon_live_wait(ctx);
    }

    if (ctx->pending) {
        ctx->behind = 1;
        return NGX_HTTP_BEACON_LIVE_LATER;
    }

    return ngx_http_beacon_live_again(ctx);
}


/* NGX_DONE: there is nothing more at present; NGX_AGAIN: enough for a turn. */

static ngx_int_t
ngx_http_beacon_live_stream_read(ngx_http_beacon_live_ctx_t *ctx, u_char **pp)
{
    u_char                         *p;
    uint64_t                        before, missed;
    ngx_int_t                       rc;
    beacon_live_record_t            record;
    ngx_http_beacon_live_worker_t  *worker;

    p = *pp;
    worker = ctx->worker;
    before = ctx->scanned + ctx->scan.scanned;

    do {
        rc = ngx_http_beacon_live_next(ctx, &record);

        if (rc == NGX_DECLINED) {
            ngx_http_beacon_live_scan(ctx, ctx->info.start);
            ctx->told = ctx->missed;

            p = ngx_http_beacon_live_tell(ctx, p, "reset");
            rc = NGX_AGAIN;
            continue;
        }

        missed = ctx->missed + ctx->scan.missed;

        if (missed != ctx->told) {
            p = ngx_cpymem(p, "event: gap\n", sizeof("event: gap\n") - 1);
            p = ngx_http_beacon_live_id(ctx, p, (rc == NGX_OK)
                                                ? record.seq - 1
                                                : ctx->scan.since);
            p = ngx_sprintf(p, "data: {\"gap\":%uL}\n\n", missed - ctx->told);
            ctx->told = missed;
        }

        if (rc == NGX_DONE) {
            break;
        }

        if (ngx_http_beacon_live_passes(&ctx->args, &record)) {
            p = ngx_http_beacon_live_id(ctx, p, record.seq);
            p = ngx_cpymem(p, "data: ", sizeof("data: ") - 1);
            p = ngx_http_beacon_live_hit(ctx, p, &record);
            *p++ = '\n';
            *p++ = '\n';
        }

        rc = NGX_AGAIN;

    } while (p - worker->events < NGX_HTTP_BEACON_LIVE_BLOCK
             && ngx_http_beacon_live_weight(ctx, ctx->scanned
                                                 + ctx->scan.scanned - before)
                < NGX_HTTP_BEACON_LIVE_TURN);

    worker->read += ngx_http_beacon_live_weight(ctx,
                                    ctx->scanned + ctx->scan.scanned - before);
    *pp = p;

    return rc;
}


static u_char *
ngx_http_beacon_live_id(ngx_http_beacon_live_ctx_t *ctx, u_char *p,
    uint64_t seq)
{
    return ngx_sprintf(p, "id: %016xL.%uL\n", ctx->epoch, seq);
}


/*
 * reset: the cursor is another one now.  beat: first of all, so that a client
 * knows that events come through to it, and after a while without others:
 * scripts are not told of comments.  With a filter it moves the cursor on.
 */

static u_char *
ngx_http_beacon_live_tell(ngx_http_beacon_live_ctx_t *ctx, u_char *p,
    const char *event)
{
    p = ngx_sprintf(p, "event: %s\n", event);
    p = ngx_http_beacon_live_id(ctx, p, ctx->scan.since);

    return ngx_sprintf(p, "data: {\"%s\":true}\n\n", event);
}


/* ---- sending */

/* A copy of the worker's events, until they are sent. */

static ngx_int_t
ngx_http_beacon_live_block(ngx_http_beacon_live_ctx_t *ctx, size_t len)
{
    ngx_buf_t           *b;
    ngx_chain_t         *out;
    ngx_http_request_t  *r;

    r = ctx->request;

    out = ngx_chain_get_free_buf(r->pool, &ctx->free);
    if (out == NULL) {
        return NGX_ERROR;
    }

    ctx->block = ngx_alloc(len, ctx->worker->log);
    if (ctx->block == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(ctx->block, ctx->worker->events, len);

    b = out->buf;
    b->tag = (ngx_buf_tag_t) &ngx_http_beacon_module;
    b->memory = 1;
    b->flush = 1;
    b->start = ctx->block;
    b->pos = ctx->block;
    b->last = ctx->block + len;
    b->end = b->last;

    ctx->sent = ngx_current_msec;

    return ngx_http_beacon_live_sent(ctx, out, ngx_http_output_filter(r, out));
}


static ngx_int_t
ngx_http_beacon_live_sent(ngx_http_beacon_live_ctx_t *ctx, ngx_chain_t *out,
    ngx_int_t rc)
{
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    r = ctx->request;
    c = r->connection;
    wev = c->write;

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_beacon_module);

    if (ctx->busy == NULL) {
        ngx_http_beacon_live_stream_cleanup(ctx);
    }

    ctx->pending = (ctx->busy || c->buffered || r->buffered);

    if (ctx->pending) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

        return ngx_handle_write_event(wev, clcf->send_lowat);
    }

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    return NGX_OK;
}


static void
ngx_http_beacon_live_stream_write(ngx_http_request_t *r)
{
    ngx_event_t                 *wev;
    ngx_connection_t            *c;
    ngx_http_beacon_live_ctx_t  *ctx;

    c = r->connection;
    wev = c->write;
    ctx = ngx_http_get_module_ctx(r, ngx_http_beacon_module);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT, "client timed out");
        c->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (!ctx->pending) {
        return;
    }

    if (wev->delayed) {
        if (ngx_handle_write_event(wev, 0) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    if (ngx_http_beacon_live_sent(ctx, NULL, ngx_http_output_filter(r, NULL))
        != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (!ctx->pending && ctx->behind) {
        ctx->behind = 0;
        (void) ngx_http_beacon_live_again(ctx);
    }
}


/* The timer is not set anew for each event. */

static void
ngx_http_beacon_live_beat(ngx_event_t *ev)
{
    ngx_msec_t                   quiet;
    ngx_http_beacon_live_ctx_t  *ctx = ev->data;

    quiet = ngx_current_msec - ctx->sent;

    if (quiet < NGX_HTTP_BEACON_LIVE_BEAT) {
        ngx_add_timer(ev, NGX_HTTP_BEACON_LIVE_BEAT - quiet);
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_BEACON_LIVE_BEAT);
    ngx_http_beacon_live_run(ctx);
}


static void
ngx_http_beacon_live_stream_cleanup(void *data)
{
    ngx_http_beacon_live_ctx_t  *ctx = data;

    if (ctx->block) {
        ngx_free(ctx->block);
        ctx->block = NULL;
    }
}
