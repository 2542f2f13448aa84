/*
 * The dashboard's files, out of the module's own memory.  A browser may keep
 * them but asks each time (ETag), so that after an upgrade it never mixes two
 * versions for long.
 */

#include "ngx_http_beacon.h"
#include "ngx_http_beacon_live_assets.h"


static const ngx_http_beacon_asset_t *ngx_http_beacon_asset(ngx_str_t *name);
static ngx_int_t ngx_http_beacon_asset_send(ngx_http_request_t *r,
    const ngx_http_beacon_asset_t *asset);
static ngx_int_t ngx_http_beacon_asset_etag(ngx_http_request_t *r,
    const ngx_str_t *etag);
static ngx_int_t ngx_http_beacon_asset_json(ngx_http_request_t *r,
    ngx_str_t *pixel, ngx_uint_t sees);
static ngx_int_t ngx_http_beacon_asset_body(ngx_http_request_t *r,
    const ngx_str_t *type, ngx_table_elt_t *headers, ngx_buf_t *b);


/*
 * Nothing from elsewhere, nothing inline, in nobody's frame.  The image is the
 * page's icon.
 */

static ngx_table_elt_t  ngx_http_beacon_asset_headers[] = {
    { .hash = 1, .key = ngx_string("Content-Security-Policy"),
      .value = ngx_string("default-src 'none'; script-src 'self'; "
                          "style-src 'self'; img-src 'self'; "
                          "connect-src 'self'; base-uri 'none'; "
                          "form-action 'none'; frame-ancestors 'none'") },
    { .hash = 1, .key = ngx_string("X-Content-Type-Options"),
      .value = ngx_string("nosniff") },
    { .hash = 1, .key = ngx_string("Referrer-Policy"),
      .value = ngx_string("no-referrer") },
    { .hash = 1, .key = ngx_string("Cross-Origin-Opener-Policy"),
      .value = ngx_string("same-origin") },
    { .hash = 1, .key = ngx_string("Cross-Origin-Resource-Policy"),
      .value = ngx_string("same-origin") },
    { .hash = 1, .key = ngx_string("Vary"),
      .value = ngx_string("Accept-Encoding") },
    { .hash = 1, .key = ngx_string("Cache-Control"),
      .value = ngx_string("no-cache") },
    { .hash = 0 }
};


/* It says what this request may see. */

static ngx_table_elt_t  ngx_http_beacon_asset_json_headers[] = {
    { .hash = 1, .key = ngx_string("X-Content-Type-Options"),
      .value = ngx_string("nosniff") },
    { .hash = 1, .key = ngx_string("Cross-Origin-Resource-Policy"),
      .value = ngx_string("same-origin") },
    { .hash = 1, .key = ngx_string("Cache-Control"),
      .value = ngx_string("no-store") },
    { .hash = 0 }
};


static ngx_str_t  ngx_http_beacon_asset_json_name = ngx_string("page.json");
static ngx_str_t  ngx_http_beacon_asset_json_type =
    ngx_string("application/json");


ngx_int_t
ngx_http_beacon_live_page(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *pixel, ngx_uint_t sees)
{
    const ngx_http_beacon_asset_t  *asset;

    if (name->len == ngx_http_beacon_asset_json_name.len
        && ngx_memcmp(name->data, ngx_http_beacon_asset_json_name.data,
                      name->len)
           == 0)
    {
        return ngx_http_beacon_asset_json(r, pixel, sees);
    }

    asset = ngx_http_beacon_asset(name);

    if (asset == NULL) {
        return NGX_DECLINED;
    }

    return ngx_http_beacon_asset_send(r, asset);
}


static const ngx_http_beacon_asset_t *
ngx_http_beacon_asset(ngx_str_t *name)
{
    const ngx_http_beacon_asset_t  *asset;

    for (asset = ngx_http_beacon_assets; asset->type.len; asset++) {
        if (asset->name.len == name->len
            && ngx_memcmp(asset->name.data, name->data, name->len) == 0)
        {
            return asset;
        }
    }

    return NULL;
}


/* nginx's not_modified filter answers 304 by the ETag. */

static ngx_int_t
ngx_http_beacon_asset_send(ngx_http_request_t *r,
    const ngx_http_beacon_asset_t *asset)
{
    ngx_buf_t        *b;
    const ngx_str_t  *etag, *text;

    text = &asset->text;
    etag = &asset->etag;

#if (NGX_HTTP_GZIP)

    if (ngx_http_gzip_ok(r) == NGX_OK) {
        text = &asset->gzip;
        etag = &asset->etag_gzip;

        r->headers_out.content_encoding =
                                       ngx_list_push(&r->headers_out.headers);
        if (r->headers_out.content_encoding == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(r->headers_out.content_encoding, sizeof(ngx_table_elt_t));
        r->headers_out.content_encoding->hash = 1;
        ngx_str_set(&r->headers_out.content_encoding->key, "Content-Encoding");
        ngx_str_set(&r->headers_out.content_encoding->value, "gzip");
    }

#endif

    if (ngx_http_beacon_asset_etag(r, etag) != NGX_OK) {
        return NGX_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = text->data;
    b->last = text->data + text->len;
    b->memory = 1;

    return ngx_http_beacon_asset_body(r, &asset->type,
                                      ngx_http_beacon_asset_headers, b);
}


static ngx_int_t
ngx_http_beacon_asset_etag(ngx_http_request_t *r, const ngx_str_t *etag)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));
    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value = *etag;

    r->headers_out.etag = h;

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_asset_json(ngx_http_request_t *r, ngx_str_t *pixel,
    ngx_uint_t sees)
{
    size_t                        len;
    ngx_buf_t                    *b;
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_beacon_module);

    len = sizeof("{\"v\":1,\"version\":\"" BEACON_VERSION "\",\"build\":\"\","
                 "\"sees\":false,\"helper\":false,\"pixel\":\"\"}\n")
          + ngx_http_beacon_assets_build.len
          + pixel->len + ngx_escape_json(NULL, pixel->data, pixel->len);

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_sprintf(b->last, "{\"v\":1,\"version\":\"%s\","
                          "\"build\":\"%V\",\"sees\":%s,\"helper\":%s",
                          BEACON_VERSION, &ngx_http_beacon_assets_build,
                          sees ? "true" : "false",
                          ngx_http_beacon_helper_up(bmcf->worker->lock)
                          ? "true" : "false");

    if (pixel->len) {
        b->last = ngx_sprintf(b->last, ",\"pixel\":\"");
        b->last = (u_char *) ngx_escape_json(b->last, pixel->data, pixel->len);
        *b->last++ = '"';
    }

    b->last = ngx_sprintf(b->last, "}\n");

    r->disable_not_modified = 1;

    return ngx_http_beacon_asset_body(r, &ngx_http_beacon_asset_json_type,
                                      ngx_http_beacon_asset_json_headers, b);
}


static ngx_int_t
ngx_http_beacon_asset_body(ngx_http_request_t *r, const ngx_str_t *type,
    ngx_table_elt_t *headers, ngx_buf_t *b)
{
    ngx_chain_t  out;

    for ( /* void */ ; headers->hash; headers++) {
        if (ngx_http_beacon_header(r, &headers->key, &headers->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    r->headers_out.status = NGX_HTTP_OK;

    out.buf = b;
    out.next = NULL;

    return ngx_http_beacon_output(r, type, &out, b->last - b->pos);
}
