/*
 * GET sites: those that the request may see, so many in a turn.
 */

#include "ngx_http_beacon_live.h"


static ngx_int_t ngx_http_beacon_live_sites_turn(
    ngx_http_beacon_live_ctx_t *ctx);
static ngx_uint_t ngx_http_beacon_live_sites_next(
    ngx_http_beacon_live_ctx_t *ctx, ngx_str_t *name);
static ngx_int_t ngx_http_beacon_live_sites_row(
    ngx_http_beacon_live_ctx_t *ctx, ngx_str_t *name);
static ngx_int_t ngx_http_beacon_live_sites_names(
    ngx_http_beacon_live_ctx_t *ctx);
static int ngx_libc_cdecl ngx_http_beacon_live_sites_compare(const void *one,
    const void *two);


/* Sites in a turn. */
#define NGX_HTTP_BEACON_LIVE_ROWS  128


ngx_int_t
ngx_http_beacon_live_sites(ngx_http_beacon_live_ctx_t *ctx)
{
    u_char      *p;
    const char  *wrong;

    wrong = ngx_http_beacon_live_args(ctx->request, 0, 0, 0, &ctx->args);

    if (wrong) {
        return ngx_http_beacon_live_problem(ctx->request,
                                            BEACON_LIVE_REFUSE_QUERY, wrong);
    }

    p = ngx_http_beacon_live_room(&ctx->text, 32);
    if (p == NULL || ngx_http_beacon_live_sites_names(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(p, "{\"sites\":[");
    ngx_http_beacon_live_used(&ctx->text, p);

    ctx->epoch = ctx->worker->store.epoch;

    return ngx_http_beacon_live_begin(ctx, ngx_http_beacon_live_sites_turn);
}


static ngx_int_t
ngx_http_beacon_live_sites_turn(ngx_http_beacon_live_ctx_t *ctx)
{
    u_char      *p;
    ngx_str_t    name;
    ngx_uint_t   n;

    for (n = 0; ngx_http_beacon_live_sites_next(ctx, &name); n++) {

        if (ngx_http_beacon_live_sites_row(ctx, &name) != NGX_OK) {
            return NGX_ERROR;
        }

        if (n == NGX_HTTP_BEACON_LIVE_ROWS && !ngx_exiting) {
            ctx->worker->read += NGX_HTTP_BEACON_LIVE_TURN;
            return ngx_http_beacon_live_again(ctx);
        }
    }

    p = ngx_http_beacon_live_room(&ctx->text, 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, "]}\n", 3);
    ngx_http_beacon_live_used(&ctx->text, p);

    return ngx_http_beacon_live_send(ctx);
}


/*
 * Those that are named, hits or none; then, with "*", all others of the store.
 * One that the store moves meanwhile may be left out.
 */

static ngx_uint_t
ngx_http_beacon_live_sites_next(ngx_http_beacon_live_ctx_t *ctx,
    ngx_str_t *name)
{
    ngx_str_t  *names;

    names = ctx->names.elts;

    if (ctx->name < ctx->names.nelts) {
        *name = names[ctx->name++];
        ctx->site = *name;
        ngx_http_beacon_live_look(ctx);
        return 1;
    }

    if (!ctx->all || ctx->worker->store.epoch != ctx->epoch) {
        return 0;
    }

    for ( ;; ) {
        if (beacon_live_next_site(&ctx->worker->store, &ctx->at, &ctx->info)
            != BEACON_OK)
        {
            return 0;
        }

        name->data = ctx->info.name;
        name->len = ctx->info.name_len;

        if (ctx->names.nelts == 0
            || bsearch(name, names, ctx->names.nelts, sizeof(ngx_str_t),
                       ngx_http_beacon_live_sites_compare)
               == NULL)
        {
            ctx->found = 1;
            return 1;
        }
    }
}


static ngx_int_t
ngx_http_beacon_live_sites_row(ngx_http_beacon_live_ctx_t *ctx,
    ngx_str_t *name)
{
    u_char             *p;
    beacon_live_now_t   now;

    if (!ctx->found
        || beacon_live_now(&ctx->worker->store, &ctx->info,
                           ngx_http_beacon_live_now_ms(),
                           ctx->conf->main->live->visitors, &now)
           != BEACON_OK)
    {
        now.all = 0;
        now.visitors = 0;
    }

    p = ngx_http_beacon_live_room(&ctx->text, 64 + BEACON_SITE_MAX
                                              + 2 * NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(p, "%s{\"site\":\"%V\",\"hits\":%uL,\"visitors\":%uL}",
                    ctx->n++ ? "," : "", name, now.all, now.visitors);

    ngx_http_beacon_live_used(&ctx->text, p);

    return NGX_OK;
}


/* Sorted, each once. */

static ngx_int_t
ngx_http_beacon_live_sites_names(ngx_http_beacon_live_ctx_t *ctx)
{
    size_t       at;
    ngx_str_t    word, *name;
    ngx_uint_t   i, n;

    if (ngx_array_init(&ctx->names, ctx->request->pool, 8, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    at = 0;

    while (ngx_http_beacon_live_name(&ctx->sites, &at, &word)) {

        if (word.len == 1 && word.data[0] == '*') {
            ctx->all = 1;
            continue;
        }

        if (!ngx_http_beacon_live_valid(&word)) {
            continue;
        }

        name = ngx_array_push(&ctx->names);
        if (name == NULL) {
            return NGX_ERROR;
        }

        *name = word;
    }

    name = ctx->names.elts;
    n = ctx->names.nelts;

    if (n == 0) {
        return NGX_OK;
    }

    qsort(name, n, sizeof(ngx_str_t), ngx_http_beacon_live_sites_compare);

    for (ctx->names.nelts = 1, i = 1; i < n; i++) {
        if (ngx_http_beacon_live_sites_compare(&name[i],
                                               &name[ctx->names.nelts - 1])
            != 0)
        {
            name[ctx->names.nelts++] = name[i];
        }
    }

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_beacon_live_sites_compare(const void *one, const void *two)
{
    const ngx_str_t  *a = one;
    const ngx_str_t  *b = two;

    return (int) ngx_memn2cmp(a->data, b->data, a->len, b->len);
}
