/*
 * The live API: what a location with beacon_live_view answers.
 *
 *     GET PREFIX                       the dashboard, and its files
 *     GET PREFIX/v1/sites
 *     GET PREFIX/v1/SITE/hits, /now, /visitors, /visitors/ID, /stream
 *
 * Who may come here is nginx's access phase's to say; which sites they may see
 * is said by beacon_live_sites.  A site that a request may not see is answered
 * like one that there is not, before anything else is looked at.
 */

#include "ngx_http_beacon_live.h"


typedef struct {
    ngx_str_t                  name;
    ngx_int_t                (*handler)(ngx_http_beacon_live_ctx_t *ctx);
} ngx_http_beacon_live_resource_t;


static ngx_int_t ngx_http_beacon_live_rest(ngx_http_request_t *r,
    ngx_http_beacon_view_t *view, ngx_str_t *rest);
static size_t ngx_http_beacon_live_prefix(ngx_str_t *uri);
static ngx_uint_t ngx_http_beacon_live_known(ngx_str_t *path);
static ngx_int_t ngx_http_beacon_live_slash(ngx_http_request_t *r);
static ngx_int_t ngx_http_beacon_live_file(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *name, ngx_str_t *sites);
static ngx_int_t ngx_http_beacon_live_api(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *path, ngx_str_t *sites);
static ngx_int_t ngx_http_beacon_live_site(ngx_http_beacon_live_ctx_t *ctx,
    ngx_str_t *path);
static ngx_http_beacon_live_resource_t *ngx_http_beacon_live_resource(
    ngx_str_t *path);
static ngx_uint_t ngx_http_beacon_live_segment(ngx_str_t *path,
    ngx_str_t *segment);


static ngx_http_beacon_live_resource_t  ngx_http_beacon_live_resources[] = {
    { ngx_string("hits"), ngx_http_beacon_live_hits },
    { ngx_string("now"), ngx_http_beacon_live_now },
    { ngx_string("visitors"), ngx_http_beacon_live_visitors },
    { ngx_string("stream"), ngx_http_beacon_live_stream },
    { ngx_null_string, NULL }
};


ngx_int_t
ngx_http_beacon_live_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_str_t                    rest, sites;
    beacon_str_t                 value;
    ngx_http_beacon_loc_conf_t  *blcf;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_beacon_live_options(r);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_beacon_live_problem(r, BEACON_LIVE_REFUSE_METHOD,
                                            "this is for reading only");
    }

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    ngx_str_null(&sites);

    if (blcf->live_sites) {
        if (ngx_http_beacon_value(r, NULL, blcf->live_sites, &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        sites.data = (u_char *) value.data;
        sites.len = value.len;
    }

    rc = ngx_http_beacon_live_rest(r, blcf->view, &rest);

    if (rc == NGX_DECLINED) {
        return ngx_http_beacon_live_slash(r);
    }

    if (rest.len >= 3 && ngx_strncmp(rest.data, "v1/", 3) == 0) {
        rest.data += 3;
        rest.len -= 3;

        return ngx_http_beacon_live_api(r, blcf, &rest, &sites);
    }

    return ngx_http_beacon_live_file(r, blcf, &rest, &sites);
}


/* What follows the location's prefix.  NGX_DECLINED: not even its slash. */

static ngx_int_t
ngx_http_beacon_live_rest(ngx_http_request_t *r, ngx_http_beacon_view_t *view,
    ngx_str_t *rest)
{
    u_char  *p, *last;

    p = r->uri.data + (view->any ? ngx_http_beacon_live_prefix(&r->uri)
                                 : ngx_min(view->prefix, r->uri.len));
    last = r->uri.data + r->uri.len;

    if (p == last && *(p - 1) != '/') {
        return NGX_DECLINED;
    }

    while (p < last && *p == '/') {
        p++;
    }

    rest->data = p;
    rest->len = last - p;

    return NGX_OK;
}


/*
 * A regex has none: what stands before the first "/v1/" behind which there is
 * a resource, else before the first at all (so there is no page where the regex
 * itself wants one), else up to the last slash.
 */

static size_t
ngx_http_beacon_live_prefix(ngx_str_t *uri)
{
    size_t     i, first;
    ngx_str_t  path;

    first = 0;

    for (i = 0; i + 4 <= uri->len; i++) {
        if (ngx_strncmp(uri->data + i, "/v1/", 4) != 0) {
            continue;
        }

        path.data = uri->data + i + 4;
        path.len = uri->len - i - 4;

        if (ngx_http_beacon_live_known(&path)) {
            return i + 1;
        }

        first = first ? first : i + 1;
    }

    if (first) {
        return first;
    }

    for (i = uri->len; i && uri->data[i - 1] != '/'; i--) { /* void */ }

    return i;
}


/* "sites", or "SITE/hits" and its like. */

static ngx_uint_t
ngx_http_beacon_live_known(ngx_str_t *path)
{
    ngx_str_t  site, rest;

    rest = *path;

    if (rest.len == 5 && ngx_strncmp(rest.data, "sites", 5) == 0) {
        return 1;
    }

    return ngx_http_beacon_live_segment(&rest, &site)
           && ngx_http_beacon_live_resource(&rest) != NULL;
}


/* The page's files are found beside it. */

static ngx_int_t
ngx_http_beacon_live_slash(ngx_http_request_t *r)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   location;
    uintptr_t   escape;

    static ngx_str_t  name = ngx_string("Location");

    escape = 2 * ngx_escape_uri(NULL, r->uri.data, r->uri.len, NGX_ESCAPE_URI);

    location.len = r->uri.len + escape + 1
                   + (r->args.len ? r->args.len + 1 : 0);
    location.data = ngx_pnalloc(r->pool, location.len);
    if (location.data == NULL) {
        return NGX_ERROR;
    }

    p = (u_char *) ngx_escape_uri(location.data, r->uri.data, r->uri.len,
                                  NGX_ESCAPE_URI);
    *p++ = '/';

    if (r->args.len) {
        *p++ = '?';
        ngx_memcpy(p, r->args.data, r->args.len);
    }

    r->err_status = 0;
    r->headers_out.status = NGX_HTTP_MOVED_PERMANENTLY;
    r->headers_out.content_length_n = 0;

    if (ngx_http_beacon_header(r, &name, &location) != NGX_OK
        || ngx_http_beacon_live_headers(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->header_only = (r == r->main);
    rc = ngx_http_send_header(r);

    return rc;
}


static ngx_int_t
ngx_http_beacon_live_file(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *name, ngx_str_t *sites)
{
    size_t     at;
    ngx_int_t  rc;
    ngx_str_t  word;

    at = 0;
    rc = ngx_http_beacon_live_page(r, name, &blcf->view->pixel,
                                   ngx_http_beacon_live_name(sites, &at,
                                                             &word));

    return (rc == NGX_DECLINED)
           ? ngx_http_beacon_live_problem(r, BEACON_LIVE_REFUSE_PATH,
                                          "there is no such page")
           : rc;
}


/* path: behind "v1/". */

static ngx_int_t
ngx_http_beacon_live_api(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *path, ngx_str_t *sites)
{
    ngx_http_beacon_live_ctx_t     *ctx;
    ngx_http_beacon_live_worker_t  *worker;

    worker = blcf->main->live_worker;

    if (!ngx_http_beacon_live_there(worker)) {
        return ngx_http_beacon_live_problem(r, BEACON_LIVE_REFUSE_STORE,
                                            "the live store is not there yet");
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_beacon_live_ctx_t));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->request = r;
    ctx->worker = worker;
    ctx->conf = blcf;
    ctx->ident = -1;
    ctx->sites = *sites;
    ctx->text.pool = r->pool;

    if (path->len == 5 && ngx_strncmp(path->data, "sites", 5) == 0) {
        return ngx_http_beacon_live_sites(ctx);
    }

    return ngx_http_beacon_live_site(ctx, path);
}


static ngx_int_t
ngx_http_beacon_live_site(ngx_http_beacon_live_ctx_t *ctx, ngx_str_t *path)
{
    ngx_uint_t                        allowed;
    ngx_http_beacon_live_resource_t  *resource;

    allowed = 0;

    if (ngx_http_beacon_live_segment(path, &ctx->site)
        && ngx_http_beacon_live_valid(&ctx->site))
    {
        allowed = ngx_http_beacon_live_allowed(&ctx->sites, &ctx->site);
    }

    if (allowed) {
        ngx_http_beacon_live_look(ctx);
    }

    /* one that is named is there, though it had no hit so far */

    if (!ctx->found && allowed != 2) {
        return ngx_http_beacon_live_problem(ctx->request,
                                            BEACON_LIVE_REFUSE_PATH,
                                            "there is no such site");
    }

    resource = ngx_http_beacon_live_resource(path);

    if (resource && path->data == NULL) {
        return resource->handler(ctx);
    }

    if (resource && resource->handler == ngx_http_beacon_live_visitors
        && path->len)
    {
        return ngx_http_beacon_live_visitor(ctx, path);
    }

    return ngx_http_beacon_live_problem(ctx->request, BEACON_LIVE_REFUSE_PATH,
                                        "there is no such resource");
}


static ngx_http_beacon_live_resource_t *
ngx_http_beacon_live_resource(ngx_str_t *path)
{
    ngx_str_t                         name;
    ngx_http_beacon_live_resource_t  *resource;

    if (!ngx_http_beacon_live_segment(path, &name)) {
        return NULL;
    }

    for (resource = ngx_http_beacon_live_resources; resource->handler;
         resource++)
    {
        if (name.len == resource->name.len
            && ngx_memcmp(name.data, resource->name.data, name.len) == 0)
        {
            return resource;
        }
    }

    return NULL;
}


/* The first of the path, which then is what follows its slash; data NULL: no
   slash. */

static ngx_uint_t
ngx_http_beacon_live_segment(ngx_str_t *path, ngx_str_t *segment)
{
    u_char  *slash;

    *segment = *path;
    slash = path->len ? ngx_strlchr(path->data, path->data + path->len, '/')
                      : NULL;

    if (slash) {
        segment->len = slash - path->data;
        path->len -= segment->len + 1;
        path->data = slash + 1;

    } else {
        ngx_str_null(path);
    }

    return segment->len != 0;
}
