/*
 * beacon_cookie: a visitor's id that the browser keeps.  Its value is made when
 * it is first asked for ($beacon_cookie as the visitor of a first hit), and the
 * header that sets it goes out only with a hit that is in the ring.
 */

#include "ngx_http_beacon.h"


static ngx_http_beacon_loc_conf_t *ngx_http_beacon_cookie_conf(
    ngx_http_request_t *r, ngx_http_beacon_ctx_t *ctx);
static ngx_uint_t ngx_http_beacon_cookie_sent(ngx_http_request_t *r,
    ngx_str_t *name, beacon_str_t *str);
static ngx_uint_t ngx_http_beacon_cookie_find(ngx_str_t *line, ngx_str_t *name,
    beacon_str_t *str);
static ngx_int_t ngx_http_beacon_cookie_decide(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, ngx_http_beacon_loc_conf_t *blcf,
    ngx_http_beacon_ctx_t *ctx);
static ngx_int_t ngx_http_beacon_cookie_name(ngx_conf_t *cf,
    ngx_http_beacon_cookie_t *cookie, ngx_str_t *value);
static ngx_int_t ngx_http_beacon_cookie_param(ngx_conf_t *cf,
    ngx_http_beacon_cookie_t *cookie, ngx_str_t *value);
static ngx_uint_t ngx_http_beacon_cookie_attribute(ngx_str_t *value,
    const char *more);
static ngx_int_t ngx_http_beacon_cookie_text(ngx_conf_t *cf,
    ngx_http_beacon_cookie_t *cookie);


static ngx_str_t  ngx_http_beacon_set_cookie = ngx_string("Set-Cookie");


/*
 * $beacon_cookie: what was sent; else what will be set; else nothing.  Also for
 * locations that set none: a request that was redirected keeps its value.
 */

ngx_int_t
ngx_http_beacon_cookie(ngx_http_request_t *r, ngx_http_beacon_worker_t *worker,
    beacon_str_t *str)
{
    ngx_uint_t                    signals;
    ngx_http_beacon_ctx_t        *ctx;
    ngx_http_beacon_loc_conf_t   *blcf;
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_beacon_module);

    str->data = NULL;
    str->len = 0;

    ctx = (ngx_http_beacon_ctx_t *) r->variables[bmcf->capture_index].data;

    if (ctx == NULL || ctx->cookie != NGX_HTTP_BEACON_COOKIE_NEW) {
        blcf = ngx_http_beacon_cookie_conf(r, ctx);

        if (blcf->cookie == NULL) {
            return NGX_OK;
        }

        if (blcf->gpc != NGX_HTTP_BEACON_GPC_LOG) {
            signals = (ctx && ctx->capture) ? ctx->signals
                                            : ngx_http_beacon_signals(r);
            if (signals & NGX_HTTP_BEACON_GPC) {
                return NGX_OK;
            }
        }

        if (ctx == NULL) {
            ctx = ngx_http_beacon_ctx_create(r, bmcf);
            if (ctx == NULL) {
                return NGX_ERROR;
            }
        }

        if (ngx_http_beacon_cookie_sent(r, &blcf->cookie->name, str)) {
            if (ctx->capture) {
                ctx->cookie = NGX_HTTP_BEACON_COOKIE_SENT;
            }

            return NGX_OK;
        }

        if (ngx_http_beacon_cookie_decide(r, worker, blcf, ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ctx->cookie == NGX_HTTP_BEACON_COOKIE_NEW) {
        str->data = ctx->cookie_value;
        str->len = BEACON_RANDOM_ID;
    }

    return NGX_OK;
}


/* Where the hit is captured, which for a page need not be where it ended. */

static ngx_http_beacon_loc_conf_t *
ngx_http_beacon_cookie_conf(ngx_http_request_t *r, ngx_http_beacon_ctx_t *ctx)
{
    if (ctx && ctx->capture) {
        return ctx->capture;
    }

    if (ctx && ctx->page) {
        return ctx->page;
    }

    return ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);
}


/* The first that is not empty, on any line. */

static ngx_uint_t
ngx_http_beacon_cookie_sent(ngx_http_request_t *r, ngx_str_t *name,
    beacon_str_t *str)
{
#if (nginx_version >= 1023000)
    ngx_table_elt_t  *h;

    for (h = r->main->headers_in.cookie; h; h = h->next) {
        if (ngx_http_beacon_cookie_find(&h->value, name, str)) {
            return 1;
        }
    }
#else
    ngx_uint_t         i;
    ngx_table_elt_t  **h;

    h = r->main->headers_in.cookies.elts;

    for (i = 0; i < r->main->headers_in.cookies.nelts; i++) {
        if (ngx_http_beacon_cookie_find(&h[i]->value, name, str)) {
            return 1;
        }
    }
#endif

    return 0;
}


/* Unlike nginx's own: names by their case, and a comma parts no cookies. */

static ngx_uint_t
ngx_http_beacon_cookie_find(ngx_str_t *line, ngx_str_t *name, beacon_str_t *str)
{
    u_char  *p, *end, *last;

    p = line->data;
    last = p + line->len;

    for ( /* void */ ; p < last; p = end + 1) {

        if (*p == ' ') {
            end = p;
            continue;
        }

        end = memchr(p, ';', last - p);
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) <= name->len || p[name->len] != '='
            || ngx_memcmp(p, name->data, name->len) != 0)
        {
            continue;
        }

        str->data = p + name->len + 1;
        str->len = end - str->data;

        while (str->len && str->data[str->len - 1] == ' ') {
            str->len--;
        }

        if (str->len) {
            return 1;
        }
    }

    return 0;
}


/*
 * Once a request: is a cookie to be set?  Not by a subrequest, whose headers
 * nobody sees, nor once the header is out or the hit has been judged.
 */

static ngx_int_t
ngx_http_beacon_cookie_decide(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, ngx_http_beacon_loc_conf_t *blcf,
    ngx_http_beacon_ctx_t *ctx)
{
    beacon_str_t              value;
    ngx_uint_t                i;
    ngx_http_beacon_value_t  *conditions[2];

    if (r != r->main || r->header_sent || blcf->mode == NGX_HTTP_BEACON_OFF
        || ctx->cookie != NGX_HTTP_BEACON_COOKIE_UNDECIDED
        || ctx->result != NGX_HTTP_BEACON_NONE
        || !blcf->main->worker->seeded)
    {
        return NGX_OK;
    }

    /* an if= that asks for $beacon_cookie gets nothing */
    ctx->cookie = NGX_HTTP_BEACON_COOKIE_NONE;

    /* a page asks before its hit is judged */
    conditions[0] = blcf->condition;
    conditions[1] = blcf->cookie->condition;

    for (i = 0; i < 2; i++) {
        if (conditions[i] == NULL) {
            continue;
        }

        if (ngx_http_beacon_value(r, worker, conditions[i], &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (!ngx_http_beacon_true(&value)) {
            return NGX_OK;
        }
    }

    beacon_random_id(&blcf->main->worker->random, ctx->cookie_value);
    ctx->cookie = NGX_HTTP_BEACON_COOKIE_NEW;

    return NGX_OK;
}


/*
 * For a hit that has just been committed, ctx->result not yet saying so.  Where
 * there is no memory, the visitor gets a cookie with another hit.
 */

void
ngx_http_beacon_cookie_set(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_worker_t *worker,
    ngx_http_beacon_ctx_t *ctx)
{
    u_char                    *p;
    ngx_str_t                  text;
    beacon_str_t               value;
    ngx_http_beacon_cookie_t  *cookie;

    cookie = blcf->cookie;

    if (ctx->cookie == NGX_HTTP_BEACON_COOKIE_UNDECIDED
        && ngx_http_beacon_cookie(r, worker, &value) != NGX_OK)
    {
        return;
    }

    if (ctx->cookie != NGX_HTTP_BEACON_COOKIE_NEW) {
        return;
    }

    text.len = cookie->head.len + BEACON_RANDOM_ID + cookie->tail.len;
    text.data = ngx_pnalloc(r->pool, text.len);
    if (text.data == NULL) {
        return;
    }

    p = ngx_cpymem(text.data, cookie->head.data, cookie->head.len);
    p = ngx_cpymem(p, ctx->cookie_value, BEACON_RANDOM_ID);
    (void) ngx_cpymem(p, cookie->tail.data, cookie->tail.len);

    (void) ngx_http_beacon_header(r, &ngx_http_beacon_set_cookie, &text);
}


/* beacon_cookie NAME [if=VALUE] [expires=TIME] [domain=] [path=] [partitioned]
   | off */

char *
ngx_http_beacon_conf_cookie(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_beacon_cookie_t  *cookie;

    if (blcf->cookie != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (cf->args->nelts > 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        blcf->cookie = NULL;
        return NGX_CONF_OK;
    }

    cookie = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_cookie_t));
    if (cookie == NULL) {
        return NGX_CONF_ERROR;
    }

    blcf->cookie = cookie;

    if (ngx_http_beacon_cookie_name(cf, cookie, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_beacon_cookie_param(cf, cookie, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (cookie->name.len >= sizeof("__Host-") - 1
        && ngx_strncasecmp(cookie->name.data, (u_char *) "__Host-", 7) == 0
        && (cookie->domain.len || cookie->path.len > 1))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "browsers refuse a \"__Host-\" cookie with "
                           "\"%s=\": \"%V\"",
                           cookie->domain.len ? "domain" : "path",
                           &cookie->name);
        return NGX_CONF_ERROR;
    }

    return (ngx_http_beacon_cookie_text(cf, cookie) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* A token, as RFC 6265 has it. */

static ngx_int_t
ngx_http_beacon_cookie_name(ngx_conf_t *cf, ngx_http_beacon_cookie_t *cookie,
    ngx_str_t *value)
{
    if (!ngx_http_beacon_cookie_attribute(value, "!#%&'*+-.^_`|~")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid cookie name \"%V\"", value);
        return NGX_ERROR;
    }

    cookie->name = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_cookie_param(ngx_conf_t *cf, ngx_http_beacon_cookie_t *cookie,
    ngx_str_t *value)
{
    ngx_str_t  text;

    text = *value;

    if (ngx_strncmp(value->data, "if=", 3) == 0 && cookie->condition == NULL) {
        text.data += 3;
        text.len -= 3;

        cookie->condition = ngx_palloc(cf->pool,
                                       sizeof(ngx_http_beacon_value_t));

        return (cookie->condition == NULL)
               ? NGX_ERROR
               : ngx_http_beacon_value_compile(cf, &text, cookie->condition);
    }

    if (ngx_strncmp(value->data, "expires=", 8) == 0 && cookie->expires == 0) {
        text.data += 8;
        text.len -= 8;
        cookie->expires = ngx_parse_time(&text, 1);

        if (cookie->expires > 0) {
            return NGX_OK;
        }

    } else if (ngx_strncmp(value->data, "domain=", 7) == 0
               && cookie->domain.len == 0)
    {
        text.data += 7;
        text.len -= 7;
        cookie->domain = text;

        if (ngx_http_beacon_cookie_attribute(&text, ".-")) {
            return NGX_OK;
        }

    } else if (ngx_strncmp(value->data, "path=", 5) == 0
               && cookie->path.len == 0)
    {
        text.data += 5;
        text.len -= 5;
        cookie->path = text;

        if (text.len && text.data[0] == '/'
            && ngx_http_beacon_cookie_attribute(&text,
                                                "/!#%&'*+-.^_`|~:@=()[]{}?,$"))
        {
            return NGX_OK;
        }

    } else if (ngx_strcmp(value->data, "partitioned") == 0
               && !cookie->partitioned)
    {
        cookie->partitioned = 1;
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", value);

    return NGX_ERROR;
}


/* Nothing but letters, digits and these, and not empty. */

static ngx_uint_t
ngx_http_beacon_cookie_attribute(ngx_str_t *value, const char *more)
{
    u_char      c;
    ngx_uint_t  i;

    for (i = 0; i < value->len; i++) {
        c = value->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9')
            || (c != '\0' && strchr(more, c) != NULL))
        {
            continue;
        }

        return 0;
    }

    return value->len != 0;
}


/* What stands around the value: nothing is left to format in a request. */

static ngx_int_t
ngx_http_beacon_cookie_text(ngx_conf_t *cf, ngx_http_beacon_cookie_t *cookie)
{
    u_char  *p;

    cookie->head.len = cookie->name.len + 1;
    cookie->head.data = ngx_pnalloc(cf->pool, cookie->head.len);
    if (cookie->head.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(cookie->head.data, "%V=", &cookie->name);

    if (cookie->path.len == 0) {
        ngx_str_set(&cookie->path, "/");
    }

    p = ngx_pnalloc(cf->pool, cookie->domain.len + cookie->path.len
                    + sizeof("; Max-Age=; Domain=; Path=; Secure; HttpOnly"
                             "; SameSite=None; Partitioned")
                    + NGX_TIME_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    cookie->tail.data = p;

    if (cookie->expires) {
        p = ngx_sprintf(p, "; Max-Age=%T", cookie->expires);
    }

    if (cookie->domain.len) {
        p = ngx_sprintf(p, "; Domain=%V", &cookie->domain);
    }

    p = ngx_sprintf(p, "; Path=%V; Secure; HttpOnly; SameSite=None%s",
                    &cookie->path, cookie->partitioned ? "; Partitioned" : "");

    cookie->tail.len = p - cookie->tail.data;

    return NGX_OK;
}
