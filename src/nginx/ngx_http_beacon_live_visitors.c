/*
 * GET SITE/visitors, and SITE/visitors/ID, or visitors?id=ID, with the
 * visitor's trail.
 */

#include "ngx_http_beacon_live.h"


static ngx_int_t ngx_http_beacon_live_list(ngx_http_beacon_live_ctx_t *ctx);
static ngx_int_t ngx_http_beacon_live_raw(ngx_http_request_t *r,
    ngx_str_t *path);
static ngx_int_t ngx_http_beacon_live_person(ngx_http_beacon_live_ctx_t *ctx);
static ngx_int_t ngx_http_beacon_live_escape(ngx_pool_t *pool, ngx_str_t *id,
    beacon_str_t *text);
static ngx_int_t ngx_http_beacon_live_row(ngx_http_beacon_live_ctx_t *ctx,
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

/* What one costs, as bytes of hits that are read. */
#define NGX_HTTP_BEACON_LIVE_ROW_READ      1024


ngx_int_t
ngx_http_beacon_live_visitors(ngx_http_beacon_live_ctx_t *ctx)
{
    ngx_uint_t    given;
    const char   *wrong;

    wrong = ngx_http_beacon_live_args(ctx->request,
                                      BEACON_LIVE_LIMIT|BEACON_LIVE_ID,
                                      NGX_HTTP_BEACON_LIVE_VISITORS, 0,
                                      &ctx->args);

    given = ctx->args.given;

    if (wrong == NULL && (given & BEACON_LIVE_ID)
        && (given & BEACON_LIVE_LIMIT))
    {
        wrong = "limit is for more than one visitor";
    }

    if (wrong) {
        return ngx_http_beacon_live_problem(ctx->request,
                                            BEACON_LIVE_REFUSE_QUERY, wrong);
    }

    if (given & BEACON_LIVE_ID) {
        ctx->visitor.data = (u_char *) ctx->args.id.data;
        ctx->visitor.len = ctx->args.id.len;

        return ngx_http_beacon_live_begin(ctx, ngx_http_beacon_live_person);
    }

    return ngx_http_beacon_live_begin(ctx, ngx_http_beacon_live_list);
}


static ngx_int_t
ngx_http_beacon_live_list(ngx_http_beacon_live_ctx_t *ctx)
{
    u_char                *p;
    uint32_t               at;
    uint64_t               before;
    ngx_uint_t             n;
    beacon_live_person_t   person;

    if (ctx->worker->store.epoch != ctx->epoch) {
        ngx_http_beacon_live_look(ctx);
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

        if (ngx_http_beacon_live_row(ctx, &person, n) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ctx->worker->read += n * NGX_HTTP_BEACON_LIVE_ROW_READ;

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
ngx_http_beacon_live_row(ngx_http_beacon_live_ctx_t *ctx,
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


/* path: what follows "visitors/". */

ngx_int_t
ngx_http_beacon_live_visitor(ngx_http_beacon_live_ctx_t *ctx, ngx_str_t *path)
{
    const char  *wrong;

    wrong = ngx_http_beacon_live_args(ctx->request, 0, 0, 0, &ctx->args);

    if (wrong) {
        return ngx_http_beacon_live_problem(ctx->request,
                                            BEACON_LIVE_REFUSE_QUERY, wrong);
    }

    if (ngx_http_beacon_live_raw(ctx->request, path) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->visitor = *path;

    return ngx_http_beacon_live_begin(ctx, ngx_http_beacon_live_person);
}


/*
 * nginx takes slashes and dots out of a path; what the client wrote has them.
 * It is believed where it says the same, byte for byte, up to the id: so it
 * names no other site than the one that was judged.
 */

static ngx_int_t
ngx_http_beacon_live_raw(ngx_http_request_t *r, ngx_str_t *path)
{
    size_t   len;
    u_char  *p, *d, *raw;

    p = r->unparsed_uri.data;

    for (len = 0; len < r->unparsed_uri.len && p[len] != '?' && p[len] != '#';
         len++)
    {
        /* void */
    }

    raw = ngx_pnalloc(r->pool, len + 1);
    if (raw == NULL) {
        return NGX_ERROR;
    }

    d = raw;
    ngx_unescape_uri(&d, &p, len, 0);

    len = path->data - r->uri.data;

    if ((size_t) (d - raw) > len && ngx_memcmp(raw, r->uri.data, len) == 0) {
        path->data = raw + len;
        path->len = d - path->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_live_person(ngx_http_beacon_live_ctx_t *ctx)
{
    beacon_str_t           text;
    beacon_live_person_t   person;

    if (ctx->worker->store.epoch != ctx->epoch) {
        ngx_http_beacon_live_look(ctx);
    }

    if (ngx_http_beacon_live_escape(ctx->request->pool, &ctx->visitor, &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!ctx->found
        || beacon_live_visitor(&ctx->worker->store, &ctx->info, text, &person)
           != BEACON_OK)
    {
        return ngx_http_beacon_live_problem(ctx->request,
                                            BEACON_LIVE_REFUSE_PATH,
                                            "there is no such visitor");
    }

    if (ngx_http_beacon_live_row(ctx, &person, 0) != NGX_OK
        || ngx_http_beacon_live_trail(ctx, &person) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->worker->read += ctx->scanned + ctx->scan.scanned;

    return ngx_http_beacon_live_send(ctx);
}


/* As it stands in a line. */

static ngx_int_t
ngx_http_beacon_live_escape(ngx_pool_t *pool, ngx_str_t *id,
    beacon_str_t *text)
{
    u_char  c, *p, *d, *last, *at;

    static u_char  from[] = "\b\t\n\f\r\"\\";
    static u_char  to[] = "btnfr\"\\";

    d = ngx_pnalloc(pool, 6 * id->len + 1);
    if (d == NULL) {
        return NGX_ERROR;
    }

    text->data = d;

    for (p = id->data, last = p + id->len; p < last; p++) {
        c = *p;
        at = c ? (u_char *) ngx_strchr(from, c) : NULL;

        if (at) {
            *d++ = '\\';
            *d++ = to[at - from];

        } else if (c < 0x20) {
            d = ngx_sprintf(d, "\\u%04xd", c);

        } else {
            *d++ = c;
        }
    }

    text->len = d - text->data;

    return NGX_OK;
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
