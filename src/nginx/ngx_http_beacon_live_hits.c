/*
 * GET SITE/hits: a page of hits behind a cursor, the newest without one, or
 * those that come while it waits.
 */

#include "ngx_http_beacon_live.h"


static void ngx_http_beacon_live_resume(ngx_http_beacon_live_ctx_t *ctx,
    uint64_t since);
static ngx_int_t ngx_http_beacon_live_hits_turn(
    ngx_http_beacon_live_ctx_t *ctx);
static ngx_int_t ngx_http_beacon_live_read(ngx_http_beacon_live_ctx_t *ctx);
static ngx_int_t ngx_http_beacon_live_found(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_record_t *record);
static ngx_uint_t ngx_http_beacon_live_full(ngx_http_beacon_live_ctx_t *ctx);
static ngx_int_t ngx_http_beacon_live_newest(ngx_http_beacon_live_ctx_t *ctx);
static void ngx_http_beacon_live_newest_from(ngx_http_beacon_live_ctx_t *ctx);
static ngx_int_t ngx_http_beacon_live_poll(ngx_http_beacon_live_ctx_t *ctx);
static void ngx_http_beacon_live_poll_over(ngx_event_t *ev);
static ngx_int_t ngx_http_beacon_live_hits_end(
    ngx_http_beacon_live_ctx_t *ctx, ngx_uint_t reset);


ngx_int_t
ngx_http_beacon_live_hits(ngx_http_beacon_live_ctx_t *ctx)
{
    const char           *wrong;
    ngx_http_request_t   *r;
    beacon_live_query_t  *args;

    r = ctx->request;
    args = &ctx->args;

    wrong = ngx_http_beacon_live_args(r, BEACON_LIVE_SINCE|BEACON_LIVE_LIMIT
                                         |BEACON_LIVE_WAIT|BEACON_LIVE_FIELDS
                                         |BEACON_LIVE_FILTER,
                                      NGX_HTTP_BEACON_LIVE_LIMIT, 0, args);
    if (wrong) {
        return ngx_http_beacon_live_problem(r, BEACON_LIVE_REFUSE_QUERY, wrong);
    }

    args->limit = ngx_min(args->limit, NGX_HTTP_BEACON_LIVE_LIMITS);
    args->wait = ngx_min(args->wait, NGX_HTTP_BEACON_LIVE_WAIT);

    /* a part of another page, and who wants no answer's body, do not wait */

    if (r != r->main || r->method == NGX_HTTP_HEAD || args->limit == 0) {
        args->wait = 0;
    }

    if (ngx_http_beacon_live_from(ctx) == NGX_DECLINED) {
        return ngx_http_beacon_live_hits_end(ctx, 1);
    }

    if (args->limit == 0) {

        if (args->given & BEACON_LIVE_SINCE) {
            /* nothing is read, and what 0 is too late for not told */
            ctx->scan.since = args->since;
            ctx->missed = 0;
        }

        return ngx_http_beacon_live_hits_end(ctx, 0);
    }

    if (!(args->given & BEACON_LIVE_SINCE)
        && ngx_http_beacon_live_newest(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_beacon_live_begin(ctx, ngx_http_beacon_live_hits_turn);
}


/*
 * Without since= at the newest.  A cursor from before the site went and came
 * again is of no use: nobody knows what it had behind it.
 */

ngx_int_t
ngx_http_beacon_live_from(ngx_http_beacon_live_ctx_t *ctx)
{
    uint64_t              since;
    ngx_int_t             rc;
    beacon_live_query_t  *args;

    rc = NGX_OK;
    args = &ctx->args;
    since = ctx->info.last;

    if (args->given & BEACON_LIVE_SINCE) {
        if (args->valid && args->epoch == ctx->epoch && args->since <= since
            && (args->since == 0 || args->since >= ctx->info.start))
        {
            since = args->since;

        } else {
            rc = NGX_DECLINED;
        }
    }

    ngx_http_beacon_live_resume(ctx, since);

    return rc;
}


/*
 * Goes on where a reader was.  To the store 0 is the oldest hit that is there;
 * to a reader who was there before the first hit, those that went are a gap.
 */

static void
ngx_http_beacon_live_resume(ngx_http_beacon_live_ctx_t *ctx, uint64_t since)
{
    uint64_t  missed;

    missed = 0;

    if (ctx->found && since == 0) {
        since = ctx->info.start;

        if (since == 0 && ctx->info.first > 1) {
            missed = ctx->info.first - 1;
            since = missed;
        }
    }

    ngx_http_beacon_live_scan(ctx, since);
    ctx->missed += missed;
}


/* Begins (again) behind since; a site that is not there has no hits. */

void
ngx_http_beacon_live_scan(ngx_http_beacon_live_ctx_t *ctx, uint64_t since)
{
    ctx->scanned += ctx->scan.scanned;
    ctx->missed += ctx->scan.missed;

    if (ctx->found) {
        beacon_live_scan_begin(&ctx->scan, &ctx->worker->store, &ctx->info,
                               since, ctx->worker->hit, BEACON_LIVE_HIT_MAX);

    } else {
        ngx_memzero(&ctx->scan, sizeof(beacon_live_scan_t));
        ctx->scan.since = since;
    }
}


/*
 * NGX_DONE: there is none at present.  NGX_DECLINED: the site went and came
 * again, and nobody knows what the reader missed.
 */

ngx_int_t
ngx_http_beacon_live_next(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_record_t *record)
{
    size_t       need;
    beacon_rc_t  rc;

    if (!ctx->found) {
        ngx_http_beacon_live_look(ctx);

        if (!ctx->found) {
            return NGX_DONE;
        }

        if (ctx->scan.since && ctx->scan.since < ctx->info.start) {
            return NGX_DECLINED;
        }

        ngx_http_beacon_live_resume(ctx, ctx->scan.since);
    }

    rc = beacon_live_scan(&ctx->scan, record, &need);

    if (rc == BEACON_INVALID) {
        /* the store has no room for it any more; it may come again */
        ctx->found = 0;
    }

    return (rc == BEACON_OK) ? NGX_OK : NGX_DONE;
}


/* The newest hits; where they are to be filtered, which those are. */

static ngx_int_t
ngx_http_beacon_live_newest(ngx_http_beacon_live_ctx_t *ctx)
{
    uint32_t  n;
    uint64_t  bytes, since;

    if (!ctx->found) {
        return NGX_OK;
    }

    n = ctx->args.limit;
    bytes = NGX_HTTP_BEACON_LIVE_PAGE;

    if (ctx->args.nfilters) {
        ctx->newest = ngx_palloc(ctx->request->pool, n * sizeof(uint64_t));
        if (ctx->newest == NULL) {
            return NGX_ERROR;
        }

        /* they are read twice */
        n = NGX_MAX_INT32_VALUE;
        bytes = NGX_HTTP_BEACON_LIVE_SCAN / 2;
    }

    since = beacon_live_back(&ctx->worker->store, &ctx->info, n, bytes);

    ngx_http_beacon_live_scan(ctx, since);

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_live_hits_turn(ngx_http_beacon_live_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->worker->store.epoch != ctx->epoch) {
        /* another store has taken the place of what was read */
        ngx_http_beacon_live_look(ctx);
        return ngx_http_beacon_live_hits_end(ctx, 1);
    }

    rc = ngx_http_beacon_live_read(ctx);

    if (rc == NGX_AGAIN) {
        return ngx_http_beacon_live_again(ctx);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_beacon_live_hits_end(ctx, 1);
    }

    if (ctx->n == 0 && ctx->missed + ctx->scan.missed == 0 && rc == NGX_DONE
        && ctx->args.wait && !ctx->over && !ngx_exiting)
    {
        return ngx_http_beacon_live_poll(ctx);
    }

    return ngx_http_beacon_live_hits_end(ctx, 0);
}


/*
 * Reads on.  NGX_DONE: there is nothing more at present; NGX_OK: the answer is
 * full; NGX_AGAIN: enough for one turn; NGX_DECLINED: as of _next().
 */

static ngx_int_t
ngx_http_beacon_live_read(ngx_http_beacon_live_ctx_t *ctx)
{
    uint64_t              before;
    ngx_int_t             rc;
    beacon_live_record_t  record;

    before = ctx->scanned + ctx->scan.scanned;

    for ( ;; ) {

        if (ngx_http_beacon_live_full(ctx)) {
            rc = NGX_OK;
            break;
        }

        if (ngx_http_beacon_live_weight(ctx, ctx->scanned + ctx->scan.scanned
                                             - before)
            >= NGX_HTTP_BEACON_LIVE_TURN
            && !ngx_exiting)
        {
            rc = NGX_AGAIN;
            break;
        }

        rc = ngx_http_beacon_live_next(ctx, &record);

        if (rc == NGX_DONE && ctx->newest) {
            ngx_http_beacon_live_newest_from(ctx);
            continue;
        }

        if (rc != NGX_OK) {
            break;
        }

        if (ngx_http_beacon_live_found(ctx, &record) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ctx->worker->read += ngx_http_beacon_live_weight(ctx,
                                    ctx->scanned + ctx->scan.scanned - before);

    return rc;
}


static ngx_uint_t
ngx_http_beacon_live_full(ngx_http_beacon_live_ctx_t *ctx)
{
    if (ctx->newest) {
        return 0;
    }

    return ctx->n >= ctx->args.limit
           || ctx->scanned + ctx->scan.scanned >= NGX_HTTP_BEACON_LIVE_SCAN
           || ngx_http_beacon_live_len(&ctx->text)
              >= NGX_HTTP_BEACON_LIVE_PAGE;
}


static ngx_int_t
ngx_http_beacon_live_found(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_record_t *record)
{
    u_char  *p;

    if (!ngx_http_beacon_live_passes(&ctx->args, record)) {
        return NGX_OK;
    }

    if (ctx->newest) {
        ctx->newest[ctx->matched++ % ctx->args.limit] = record->seq;
        return NGX_OK;
    }

    p = ngx_http_beacon_live_room(&ctx->text,
                                  sizeof("{\"hits\":[") + record->line.len
                                  + record->brief.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (ctx->n++) {
        *p++ = ',';

    } else {
        p = ngx_cpymem(p, "{\"hits\":[", sizeof("{\"hits\":[") - 1);
    }

    p = ngx_http_beacon_live_hit(ctx, p, record);
    ngx_http_beacon_live_used(&ctx->text, p);

    return NGX_OK;
}


/* From the first of the newest that passed on; the store may have gone on. */

static void
ngx_http_beacon_live_newest_from(ngx_http_beacon_live_ctx_t *ctx)
{
    uint64_t  since;

    since = ctx->scan.since;

    if (ctx->matched) {
        since = ctx->newest[(ctx->matched > ctx->args.limit)
                            ? ctx->matched % ctx->args.limit : 0] - 1;

        /* holes behind it are met again */

        ctx->missed = 0;
        ctx->scan.missed = 0;
    }

    ctx->newest = NULL;

    ngx_http_beacon_live_scan(ctx, since);
}


ngx_uint_t
ngx_http_beacon_live_passes(beacon_live_query_t *args,
    beacon_live_record_t *record)
{
    ngx_uint_t           i;
    beacon_line_parts_t  parts;

    if (args->nfilters == 0) {
        return 1;
    }

    if (beacon_line_parts(record->line, &parts) != BEACON_OK) {
        return 0;
    }

    for (i = 0; i < args->nfilters; i++) {
        if (!beacon_line_arg_is(&parts, record->line, args->filters[i].name,
                                args->filters[i].value))
        {
            return 0;
        }
    }

    return 1;
}


/* p has room for the record's line and its short form. */

u_char *
ngx_http_beacon_live_hit(ngx_http_beacon_live_ctx_t *ctx, u_char *p,
    beacon_live_record_t *record)
{
    size_t   offset, end;
    uint8_t  *line;

    if (ctx->args.brief) {
        return ctx->args.row
               ? p + beacon_line_row(record->line, record->brief, p)
               : ngx_cpymem(p, record->brief.data, record->brief.len);
    }

    line = (uint8_t *) record->line.data;
    offset = record->ip_offset;
    end = offset + record->ip_len;

    if (ctx->conf->view->ip || record->ip_len == 0
        || offset == 0 || end > record->line.len)
    {
        return ngx_cpymem(p, line, record->line.len);
    }

    /* the comma before it, too */
    p = ngx_cpymem(p, line, offset - 1);

    return ngx_cpymem(p, line + end, record->line.len - end);
}


/* ---- the end */

static ngx_int_t
ngx_http_beacon_live_poll(ngx_http_beacon_live_ctx_t *ctx)
{
    if (ctx->group == NULL) {

        if (!ngx_http_beacon_live_may_wait(ctx->worker)) {
            return ngx_http_beacon_live_problem(ctx->request,
                                                BEACON_LIVE_REFUSE_WAIT,
                                                "too many wait here");
        }

        ctx->event.data = ctx;
        ctx->event.handler = ngx_http_beacon_live_poll_over;
        ctx->event.log = ctx->worker->log;
        ctx->event.cancelable = 1;

        ngx_add_timer(&ctx->event, 1000 * ctx->args.wait);
    }

    return ngx_http_beacon_live_wait(ctx);
}


static void
ngx_http_beacon_live_poll_over(ngx_event_t *ev)
{
    ngx_http_beacon_live_ctx_t  *ctx = ev->data;

    ctx->over = 1;

    ngx_http_beacon_live_run(ctx);
}


static ngx_int_t
ngx_http_beacon_live_hits_end(ngx_http_beacon_live_ctx_t *ctx,
    ngx_uint_t reset)
{
    u_char      *p;
    uint64_t     next, last;
    ngx_uint_t   more;

    p = ngx_http_beacon_live_room(&ctx->text, 256);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (reset) {
        /* what was found before is of another store */
        ctx->text.out = ctx->text.last;
        ctx->text.len = 0;
        p = ctx->text.last->buf->start;
        ctx->n = 0;
        next = ctx->info.last;
        more = 0;

    } else {
        next = ctx->scan.since;
        last = ctx->found ? beacon_live_last(&ctx->worker->store, &ctx->info)
                          : 0;
        more = (last > next);
    }

    if (ctx->n == 0) {
        p = ngx_sprintf(p, "{%s\"hits\":[", reset ? "\"reset\":true," : "");
    }

    p = ngx_sprintf(p, "],\"next\":\"%016xL.%uL\",\"more\":%s,\"gap\":%uL}\n",
                    ctx->epoch, next, more ? "true" : "false",
                    reset ? 0 : ctx->missed + ctx->scan.missed);

    ngx_http_beacon_live_used(&ctx->text, p);

    return ngx_http_beacon_live_send(ctx);
}
