/*
 * GET SITE/visitors, and SITE/visitors/ID with the visitor's trail.
 */

#include "ngx_http_beacon_live.h"


static ngx_int_t ngx_http_beacon_live_visitor(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_person_t *person, ngx_uint_t n);
static u_char *ngx_http_beacon_live_member(u_char *p, const char *name,
    beacon_str_t *value);
static ngx_int_t ngx_http_beacon_live_trail(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_person_t *person);


#define NGX_HTTP_BEACON_LIVE_VISITORS      50
#define NGX_HTTP_BEACON_LIVE_VISITORS_MAX  500
#define NGX_HTTP_BEACON_LIVE_TRAIL         100

/* No less than a visitor takes, its text aside. */
#define NGX_HTTP_BEACON_LIVE_ROW           256


ngx_int_t
ngx_http_beacon_live_visitors(ngx_http_beacon_live_ctx_t *ctx)
{
    u_char                *p;
    uint32_t               at;
    uint64_t               before;
    ngx_uint_t             n;
    const char            *wrong;
    beacon_live_person_t   person;

    wrong = ngx_http_beacon_live_args(ctx->request, BEACON_LIVE_LIMIT,
                                      NGX_HTTP_BEACON_LIVE_VISITORS, 0,
                                      &ctx->args);
    if (wrong) {
        return ngx_http_beacon_live_problem(ctx->request,
                                            NGX_HTTP_BAD_REQUEST, wrong);
    }

    p = ngx_http_beacon_live_room(&ctx->text, 32);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(p, "{\"visitors\":[");
    ngx_http_beacon_live_used(&ctx->text, p);

    ctx->args.limit = ngx_min(ctx->args.limit,
                              NGX_HTTP_BEACON_LIVE_VISITORS_MAX);
    at = 0;
    before = (uint64_t) -1;

    for (n = 0; ctx->found && n < ctx->args.limit; n++) {

        if (beacon_live_next_visitor(&ctx->worker->store, &ctx->info, &at,
                                     &before, &person)
            != BEACON_OK)
        {
            break;
        }

        if (ngx_http_beacon_live_visitor(ctx, &person, n) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    p = ngx_http_beacon_live_room(&ctx->text, 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(p, "]}\n");
    ngx_http_beacon_live_used(&ctx->text, p);

    return ngx_http_beacon_live_send(ctx);
}


/* n: of rows before it. */

static ngx_int_t
ngx_http_beacon_live_visitor(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_person_t *person, ngx_uint_t n)
{
    u_char  *p;

    p = ngx_http_beacon_live_room(&ctx->text, NGX_HTTP_BEACON_LIVE_ROW
                                              + BEACON_LIVE_VISITOR_TEXT);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (n) {
        *p++ = ',';
    }

    p = ngx_cpymem(p, "{\"visitor\":\"", sizeof("{\"visitor\":\"") - 1);
    p = ngx_cpymem(p, person->id.data, person->id.len);
    p = ngx_cpymem(p, "\",\"first\":\"", sizeof("\",\"first\":\"") - 1);
    p = ngx_http_beacon_live_time(p, person->first_ms);
    p = ngx_cpymem(p, "\",\"last\":\"", sizeof("\",\"last\":\"") - 1);
    p = ngx_http_beacon_live_time(p, person->last_ms);
    p = ngx_sprintf(p, "\",\"hits\":%uD", person->hits);

    p = ngx_http_beacon_live_member(p, "entry", &person->entry);
    p = ngx_http_beacon_live_member(p, "page", &person->page);
    p = ngx_http_beacon_live_member(p, "referrer", &person->referrer);
    p = ngx_http_beacon_live_member(p, "country", &person->country);

    if (person->flags.len) {
        p = ngx_cpymem(p, ",\"flags\":", sizeof(",\"flags\":") - 1);
        p = ngx_cpymem(p, person->flags.data, person->flags.len);
    }

    *p++ = '}';

    ngx_http_beacon_live_used(&ctx->text, p);

    return NGX_OK;
}


static u_char *
ngx_http_beacon_live_member(u_char *p, const char *name, beacon_str_t *value)
{
    if (value->len == 0) {
        return p;
    }

    p = ngx_sprintf(p, ",\"%s\":\"", name);
    p = ngx_cpymem(p, value->data, value->len);
    *p++ = '"';

    return p;
}


ngx_int_t
ngx_http_beacon_live_person(ngx_http_beacon_live_ctx_t *ctx)
{
    const char            *wrong;
    beacon_str_t           id;
    beacon_live_person_t   person;

    wrong = ngx_http_beacon_live_args(ctx->request, 0, 0, 0, &ctx->args);

    if (wrong) {
        return ngx_http_beacon_live_problem(ctx->request,
                                            NGX_HTTP_BAD_REQUEST, wrong);
    }

    id.data = ctx->visitor.data;
    id.len = ctx->visitor.len;

    if (!ctx->found
        || beacon_live_visitor(&ctx->worker->store, &ctx->info, id, &person)
           != BEACON_OK)
    {
        return ngx_http_beacon_live_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                            "there is no such visitor");
    }

    if (ngx_http_beacon_live_visitor(ctx, &person, 0) != NGX_OK
        || ngx_http_beacon_live_trail(ctx, &person) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_beacon_live_send(ctx);
}


/* In order of time, those that are still there; behind the visitor's row. */

static ngx_int_t
ngx_http_beacon_live_trail(ngx_http_beacon_live_ctx_t *ctx,
    beacon_live_person_t *person)
{
    u_char                *p;
    uint32_t               n;
    uint64_t               seqs[NGX_HTTP_BEACON_LIVE_TRAIL];
    ngx_uint_t             first;
    beacon_live_record_t   record;

    n = NGX_HTTP_BEACON_LIVE_TRAIL;

    if (beacon_live_trail(&ctx->worker->store, &ctx->info, person, seqs, &n)
        != BEACON_OK)
    {
        n = 0;
    }

    /* into the row's object */
    ctx->text.last->buf->last--;
    ctx->args.brief = 1;

    p = ngx_http_beacon_live_room(&ctx->text, sizeof(",\"trail\":["));
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, ",\"trail\":[", sizeof(",\"trail\":[") - 1);
    ngx_http_beacon_live_used(&ctx->text, p);

    for (first = 1; n > 0; n--) {
        ngx_http_beacon_live_scan(ctx, seqs[n - 1] - 1);

        if (ngx_http_beacon_live_next(ctx, &record) != NGX_OK
            || record.seq != seqs[n - 1])
        {
            continue;
        }

        p = ngx_http_beacon_live_room(&ctx->text, record.brief.len + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (!first) {
            *p++ = ',';
        }

        first = 0;
        p = ngx_http_beacon_live_hit(ctx, p, &record);
        ngx_http_beacon_live_used(&ctx->text, p);
    }

    p = ngx_http_beacon_live_room(&ctx->text, 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, "]}\n", 3);
    ngx_http_beacon_live_used(&ctx->text, p);

    return NGX_OK;
}
