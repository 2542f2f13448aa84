/*
 * The dashboard: files of src/dashboard/, compiled into the module.
 * src/dashboard/embed makes their table, a C file in nginx's objs/.
 */

#ifndef NGX_HTTP_BEACON_LIVE_ASSETS_H
#define NGX_HTTP_BEACON_LIVE_ASSETS_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct {
    ngx_str_t    name;                  /* empty: the page itself */
    ngx_str_t    type;
    ngx_str_t    etag;                  /* quoted */
    ngx_str_t    etag_gzip;
    ngx_str_t    text;
    ngx_str_t    gzip;
} ngx_http_beacon_asset_t;


/* Ends with one that has no type. */
extern const ngx_http_beacon_asset_t  ngx_http_beacon_assets[];

/* Changes when any of them does; 16 hex digits. */
extern const ngx_str_t                ngx_http_beacon_assets_build;


/*
 * Answers a GET or HEAD for the dashboard's file of that name: what follows
 * the location's prefix, so empty for the page.  NGX_DECLINED: there is no
 * such file, nothing was sent; else what a content handler returns.
 *
 * page.json tells the page what it cannot know: the build that serves it,
 * pixel= of beacon_live_view (.data NULL: not said), whether this request may
 * see any site at all (sees), and whether there is a helper.
 */
ngx_int_t ngx_http_beacon_live_page(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *pixel, ngx_uint_t sees);


#endif /* NGX_HTTP_BEACON_LIVE_ASSETS_H */
