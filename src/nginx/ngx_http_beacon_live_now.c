/*
 * GET SITE/now: who is there, and what of, from the helper's aggregates.
 */

#include "ngx_http_beacon_live.h"


static void ngx_http_beacon_live_read_now(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_now_t *now, uint64_t *cursor);
static u_char *ngx_http_beacon_live_top(ngx_http_beacon_live_ctx_t *ctx,
    u_char *p, ngx_uint_t kind);


#define NGX_HTTP_BEACON_LIVE_TOP    10
#define NGX_HTTP_BEACON_LIVE_READS  3

/* No less than an answer takes, its strings aside. */
#define NGX_HTTP_BEACON_LIVE_NOW                                              \
    (1024 + BEACON_LIVE_STEPS * (NGX_INT32_LEN + 1)                           \
     + BEACON_LIVE_KINDS * NGX_HTTP_BEACON_LIVE_TOP                           \
       * (BEACON_LIVE_KEY_TEXT + NGX_INT64_LEN + 32))


static const char  *ngx_http_beacon_live_kinds[] = {
    "page", "referrer", "country", "campaign"
};


ngx_int_t
ngx_http_beacon_live_now(ngx_http_beacon_live_ctx_t *ctx)
{
    u_char             *p;
    uint32_t            n;
    uint64_t            cursor, rate;
    ngx_uint_t          i, window;
    const char         *wrong;
    beacon_live_now_t   now;

    wrong = ngx_http_beacon_live_args(ctx->request,
                                      BEACON_LIVE_WINDOW, 0,
                                      ctx->conf->main->live->visitors,
                                      &ctx->args);
    if (wrong) {
        return ngx_http_beacon_live_problem(ctx->request,
                                            BEACON_LIVE_REFUSE_QUERY, wrong);
    }

    p = ngx_http_beacon_live_room(&ctx->text, NGX_HTTP_BEACON_LIVE_NOW);
    if (p == NULL) {
        return NGX_ERROR;
    }

    window = ctx->args.window;
    ngx_http_beacon_live_read_now(ctx, &now, &cursor);

    /* hundredths */
    rate = (now.all * 100 + window / 2) / window;

    p = ngx_sprintf(p, "{\"site\":\"%V\",\"visitors\":%uL,\"hits\":%uL,"
                    "\"rate\":%uL.%02uL,\"top\":{",
                    &ctx->site, now.visitors, now.all, rate / 100,
                    rate % 100);

    for (i = 0; i < BEACON_LIVE_KINDS; i++) {
        p = ngx_http_beacon_live_top(ctx, p, i);
    }

    p = ngx_cpymem(p, "},\"series\":{\"start\":\"",
                   sizeof("},\"series\":{\"start\":\"") - 1);
    p = ngx_http_beacon_live_time(p, now.start * 1000);
    p = ngx_sprintf(p, "\",\"step\":%d,\"hits\":[", BEACON_LIVE_STEP);

    for (n = 0; n < now.steps; n++) {
        p = ngx_sprintf(p, n ? ",%uD" : "%uD", now.hits[n]);
    }

    p = ngx_sprintf(p, "]},\"cursor\":\"%016xL.%uL\"}\n", ctx->epoch, cursor);

    ngx_http_beacon_live_used(&ctx->text, p);

    return ngx_http_beacon_live_send(ctx);
}


/* With the cursor behind which there is what it does not count yet; on a busy
   site a hit may be both. */

static void
ngx_http_beacon_live_read_now(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_now_t *now, uint64_t *cursor)
{
    uint64_t        ms;
    ngx_uint_t      i, window;
    beacon_live_t  *store;

    ms = ngx_http_beacon_live_now_ms();
    store = &ctx->worker->store;
    window = ctx->args.window;
    *cursor = ctx->info.last;

    for (i = 0; ctx->found && i < NGX_HTTP_BEACON_LIVE_READS; i++) {

        if (beacon_live_now(store, &ctx->info, ms, window, now) != BEACON_OK) {
            ctx->found = 0;
            break;
        }

        if (beacon_live_last(store, &ctx->info) == *cursor
            || i == NGX_HTTP_BEACON_LIVE_READS - 1)
        {
            return;
        }

        *cursor = beacon_live_last(store, &ctx->info);
    }

    ngx_memzero(now, sizeof(beacon_live_now_t));

    now->steps = (window + BEACON_LIVE_STEP - 1) / BEACON_LIVE_STEP;
    now->start = (ms / 1000 / BEACON_LIVE_STEP + 1 - now->steps)
                 * BEACON_LIVE_STEP;
}


static u_char *
ngx_http_beacon_live_top(ngx_http_beacon_live_ctx_t *ctx, u_char *p,
    ngx_uint_t kind)
{
    uint32_t           i, n;
    beacon_live_top_t  top[NGX_HTTP_BEACON_LIVE_TOP];

    n = NGX_HTTP_BEACON_LIVE_TOP;

    if (!ctx->found
        || beacon_live_top(&ctx->worker->store, &ctx->info, kind,
                           ngx_http_beacon_live_now_ms(), ctx->args.window,
                           top, &n)
           != BEACON_OK)
    {
        n = 0;
    }

    p = ngx_sprintf(p, "%s\"%s\":[", kind ? "," : "",
                    ngx_http_beacon_live_kinds[kind]);

    for (i = 0; i < n; i++) {
        p = ngx_sprintf(p, "%s{\"key\":\"", i ? "," : "");
        p = ngx_cpymem(p, top[i].text,
                       ngx_min(top[i].len, BEACON_LIVE_KEY_TEXT));
        p = ngx_sprintf(p, "\",\"n\":%uL}", top[i].n);
    }

    *p++ = ']';

    return p;
}
