/*
 * beacon on: captures what other handlers answer, in the header filter, before
 * the first byte.  The page goes out as it would have, whatever becomes of its
 * hit.
 */

#include "ngx_http_beacon.h"


static ngx_int_t ngx_http_beacon_page_mark(ngx_http_request_t *r);
static ngx_int_t ngx_http_beacon_page_mark_again(ngx_http_request_t *r);
static ngx_int_t ngx_http_beacon_page_header_filter(ngx_http_request_t *r);
static void ngx_http_beacon_page(ngx_http_request_t *r,
    ngx_http_beacon_main_conf_t *bmcf);
static void ngx_http_beacon_page_take(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_ctx_t *ctx);


/* Set as the filters' chain is built, by every configuration alike. */
static ngx_http_output_header_filter_pt  ngx_http_beacon_next_header_filter;


ngx_int_t
ngx_http_beacon_page_init(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_uint_t                  i;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    static struct {
        ngx_uint_t           phase;
        ngx_http_handler_pt  handler;
    } marks[] = {
        { NGX_HTTP_REWRITE_PHASE, ngx_http_beacon_page_mark },
        { NGX_HTTP_PREACCESS_PHASE, ngx_http_beacon_page_mark_again }
    };

    /*
     * Always: a reload that fails leaves its chain of filters to the workers
     * that the old configuration starts after it.
     */

    ngx_http_beacon_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_beacon_page_header_filter;

    if (!bmcf->pages) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        h = ngx_array_push(&cmcf->phases[marks[i].phase].handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = marks[i].handler;
    }

    return NGX_OK;
}


/*
 * Notes what was asked for where "beacon on" stands, as an error page or
 * another internal redirect may leave the location and forget the query.  Runs
 * before the location's rewrites: any may be the last.
 */

static ngx_int_t
ngx_http_beacon_page_mark(ngx_http_request_t *r)
{
    ngx_http_beacon_ctx_t       *ctx;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    if (r != r->main
        || (blcf->mode != NGX_HTTP_BEACON_ON
            && (blcf->mode != NGX_HTTP_BEACON_OFF || blcf->line == 0)))
    {
        return NGX_DECLINED;
    }

    ctx = (ngx_http_beacon_ctx_t *)
              r->variables[blcf->main->capture_index].data;

    if (ctx == NULL) {
        ctx = ngx_http_beacon_ctx_create(r, blcf->main);
        if (ctx == NULL) {
            return NGX_DECLINED;
        }
    }

    if (blcf->mode == NGX_HTTP_BEACON_OFF) {
        ctx->page = NULL;
        return NGX_DECLINED;
    }

    if (ctx->page == NULL) {
        ctx->method = r->method;
        ctx->args = r->args;

    } else if (r->args.len) {
        ctx->args = r->args;
    }

    ctx->page = blcf;

    return NGX_DECLINED;
}


/* After them, if they have changed the query. */

static ngx_int_t
ngx_http_beacon_page_mark_again(ngx_http_request_t *r)
{
    ngx_http_beacon_ctx_t        *ctx;
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_beacon_module);

    ctx = (ngx_http_beacon_ctx_t *) r->variables[bmcf->capture_index].data;

    return (ctx == NULL || ctx->args.data == r->args.data)
           ? NGX_DECLINED : ngx_http_beacon_page_mark(r);
}


static ngx_int_t
ngx_http_beacon_page_header_filter(ngx_http_request_t *r)
{
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_beacon_module);

    if (bmcf->pages && r == r->main) {
        ngx_http_beacon_page(r, bmcf);
    }

    return ngx_http_beacon_next_header_filter(r);
}


static void
ngx_http_beacon_page(ngx_http_request_t *r, ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_str_t               args;
    ngx_uint_t              method;
    ngx_http_beacon_ctx_t  *ctx;

    ctx = (ngx_http_beacon_ctx_t *) r->variables[bmcf->capture_index].data;

    if (ctx == NULL) {
        /* nginx refuses a body by its declared length before any phase */

        (void) ngx_http_beacon_page_mark(r);

        ctx = (ngx_http_beacon_ctx_t *) r->variables[bmcf->capture_index].data;
        if (ctx == NULL) {
            return;
        }
    }

    if (ctx->page == NULL || ctx->result != NGX_HTTP_BEACON_NONE) {
        return;
    }

    if (r->args.data == ctx->args.data && r->args.len == ctx->args.len
        && r->method == ctx->method)
    {
        ngx_http_beacon_page_take(r, ctx->page, ctx);
        return;
    }

    args = r->args;
    method = r->method;

    r->args = ctx->args;
    r->method = ctx->method;

    ngx_http_beacon_page_take(r, ctx->page, ctx);

    r->args = args;
    r->method = method;
}


static void
ngx_http_beacon_page_take(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_ctx_t *ctx)
{
    beacon_worker_counters_t  *mine;

    mine = blcf->main->worker->mine;

    if (r->method == NGX_HTTP_OPTIONS) {
        return;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_POST))) {
        ctx->result = NGX_HTTP_BEACON_REJECTED + BEACON_REJECT_METHOD;
        atomic_fetch_add_explicit(&mine->rejected[BEACON_REJECT_METHOD], 1,
                                  memory_order_relaxed);
        return;
    }

    if (ngx_http_beacon_take(r, blcf, ctx, NULL, BEACON_BODY_NONE)
        == NGX_HTTP_BEACON_FAILED)
    {
        /* no memory: as little room as in a full ring */
        ctx->result = NGX_HTTP_BEACON_FULL;
        atomic_fetch_add_explicit(&mine->refused, 1, memory_order_relaxed);
    }
}
