/*
 * beacon_cors: which pages' scripts may read an answer.  A hit from any other
 * origin counts all the same.
 */

#include "ngx_http_beacon.h"


struct ngx_http_beacon_cors_s {
    ngx_uint_t                  any;        /* "*" */
    ngx_uint_t                  view;       /* of beacon_live_view */
    ngx_array_t                 origins;    /* of ngx_str_t; none: off */
};


static ngx_uint_t ngx_http_beacon_cors_valid(ngx_str_t *origin);
static ngx_uint_t ngx_http_beacon_cors_host_valid(u_char *p, u_char *last);
static ngx_str_t *ngx_http_beacon_cors_listed(ngx_http_request_t *r,
    ngx_http_beacon_cors_t *cors);
static ngx_int_t ngx_http_beacon_cors_preflight(ngx_http_request_t *r,
    ngx_http_beacon_cors_t *cors);


static ngx_str_t  ngx_http_beacon_cors_any = ngx_string("*");
static ngx_str_t  ngx_http_beacon_cors_true = ngx_string("true");
static ngx_str_t  ngx_http_beacon_cors_request = ngx_string("origin");
static ngx_str_t  ngx_http_beacon_cors_asked =
    ngx_string("access-control-request-headers");

static ngx_str_t  ngx_http_beacon_cors_allow_origin =
    ngx_string("Access-Control-Allow-Origin");
static ngx_str_t  ngx_http_beacon_cors_allow_credentials =
    ngx_string("Access-Control-Allow-Credentials");
static ngx_str_t  ngx_http_beacon_cors_allow_methods =
    ngx_string("Access-Control-Allow-Methods");
static ngx_str_t  ngx_http_beacon_cors_allow_headers =
    ngx_string("Access-Control-Allow-Headers");
static ngx_str_t  ngx_http_beacon_cors_max_age =
    ngx_string("Access-Control-Max-Age");
static ngx_str_t  ngx_http_beacon_cors_expose =
    ngx_string("Access-Control-Expose-Headers");

static ngx_str_t  ngx_http_beacon_cors_vary = ngx_string("Vary");
static ngx_str_t  ngx_http_beacon_cors_origin_name = ngx_string("Origin");
static ngx_str_t  ngx_http_beacon_cors_methods = ngx_string("GET, HEAD, POST");
static ngx_str_t  ngx_http_beacon_cors_reading = ngx_string("GET, HEAD");
static ngx_str_t  ngx_http_beacon_cors_content_type =
    ngx_string("Content-Type");
static ngx_str_t  ngx_http_beacon_cors_error = ngx_string("X-Beacon-Error");

/* Seconds; the most that a browser takes (Chromium: two hours of it). */
static ngx_str_t  ngx_http_beacon_cors_day = ngx_string("86400");


/* Of a request's wish for headers; a longer one gets Content-Type. */
#define NGX_HTTP_BEACON_CORS_ASKED_MAX  512


/* beacon_cors off|*|ORIGIN... */

char *
ngx_http_beacon_conf_cors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_http_beacon_cors_t  *cors;

    if (blcf->cors != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        blcf->cors = NULL;
        return NGX_CONF_OK;
    }

    cors = ngx_http_beacon_cors_create(cf, 0);
    if (cors == NULL) {
        return NGX_CONF_ERROR;
    }

    blcf->cors = cors;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "*") == 0) {
        cors->any = 1;
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_beacon_cors_origin(cf, cors, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


ngx_http_beacon_cors_t *
ngx_http_beacon_cors_create(ngx_conf_t *cf, ngx_uint_t view)
{
    ngx_http_beacon_cors_t  *cors;

    cors = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_cors_t));
    if (cors == NULL
        || ngx_array_init(&cors->origins, cf->pool, cf->args->nelts,
                          sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NULL;
    }

    cors->view = view;

    return cors;
}


ngx_int_t
ngx_http_beacon_cors_origin(ngx_conf_t *cf, ngx_http_beacon_cors_t *cors,
    ngx_str_t *value)
{
    ngx_str_t  *origin;

    origin = ngx_array_push(&cors->origins);
    if (origin == NULL) {
        return NGX_ERROR;
    }

    /* with its NUL */
    origin->len = value->len;
    origin->data = ngx_pnalloc(cf->pool, value->len + 1);
    if (origin->data == NULL) {
        return NGX_ERROR;
    }

    /* as browsers write it */
    ngx_strlow(origin->data, value->data, value->len + 1);

    if (!ngx_http_beacon_cors_valid(origin)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no origin: scheme://host or "
                           "scheme://host:port as browsers send it, without "
                           "a path and without the scheme's own port; "
                           "\"*\" and \"off\" stand alone", value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* "null" is none: every sandboxed frame of anybody's has it. */

static ngx_uint_t
ngx_http_beacon_cors_valid(ngx_str_t *origin)
{
    u_char     *p, *last, *host, *port;
    ngx_int_t   n;

    p = origin->data;
    last = p + origin->len;

    host = (u_char *) ngx_strstr(p, "://");
    if (host == NULL || host == p || *p < 'a' || *p > 'z') {
        return 0;
    }

    for ( /* void */ ; p < host; p++) {
        if ((*p < 'a' || *p > 'z') && (*p < '0' || *p > '9')
            && *p != '-' && *p != '+' && *p != '.')
        {
            return 0;
        }
    }

    host += 3;
    port = ngx_strlchr(host, last, ']');
    port = ngx_strlchr(port ? port : host, last, ':');

    if (port) {
        n = ngx_atoi(port + 1, last - port - 1);

        if (n < 1 || n > 65535 || port[1] == '0'
            || (n == 80 && ngx_strncmp(origin->data, "http:", 5) == 0)
            || (n == 443 && ngx_strncmp(origin->data, "https:", 6) == 0))
        {
            return 0;
        }

        last = port;
    }

    return ngx_http_beacon_cors_host_valid(host, last);
}


static ngx_uint_t
ngx_http_beacon_cors_host_valid(u_char *p, u_char *last)
{
    u_char  *end;

    if (p == last) {
        return 0;
    }

    /* an IPv6 address */
    end = (*p == '[' && last[-1] == ']' && last - p > 2) ? last - 1 : NULL;

    for (p += (end != NULL); p < (end ? end : last); p++) {
        if ((*p < 'a' || *p > 'z') && (*p < '0' || *p > '9')
            && (end ? *p != ':' : *p != '-' && *p != '.' && *p != '_'))
        {
            return 0;
        }
    }

    return 1;
}


/* Adds what browsers ask for; preflight, or an answer of that status. */

ngx_int_t
ngx_http_beacon_cors(ngx_http_request_t *r, ngx_http_beacon_cors_t *cors,
    ngx_uint_t preflight)
{
    ngx_str_t  *origin;

    if (cors->any) {
        origin = &ngx_http_beacon_cors_any;

    } else {
        if (ngx_http_beacon_header(r, &ngx_http_beacon_cors_vary,
                                   &ngx_http_beacon_cors_origin_name)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        origin = ngx_http_beacon_cors_listed(r, cors);
        if (origin == NULL) {
            return NGX_OK;
        }

        if (ngx_http_beacon_header(r, &ngx_http_beacon_cors_allow_credentials,
                                   &ngx_http_beacon_cors_true)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_beacon_header(r, &ngx_http_beacon_cors_allow_origin, origin)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (preflight) {
        return ngx_http_beacon_cors_preflight(r, cors);
    }

    return (cors->view || r->headers_out.status < NGX_HTTP_BAD_REQUEST)
           ? NGX_OK : ngx_http_beacon_header(r, &ngx_http_beacon_cors_expose,
                                             &ngx_http_beacon_cors_error);
}


/* The configuration's own copy of the request's origin; NULL: not listed. */

static ngx_str_t *
ngx_http_beacon_cors_listed(ngx_http_request_t *r, ngx_http_beacon_cors_t *cors)
{
    ngx_str_t        *origin;
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    h = ngx_http_beacon_request_header(r, &ngx_http_beacon_cors_request);
    if (h == NULL) {
        return NULL;
    }

    origin = cors->origins.elts;

    for (i = 0; i < cors->origins.nelts; i++) {
        if (h->value.len == origin[i].len
            && ngx_memcmp(h->value.data, origin[i].data, origin[i].len) == 0)
        {
            return &origin[i];
        }
    }

    return NULL;
}


/* The first request header of that (lower-case) name. */

ngx_table_elt_t *
ngx_http_beacon_request_header(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == name->len
                && ngx_memcmp(h[i].lowcase_key, name->data, name->len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


/*
 * Headers of a hit mean nothing here, so a page may send any: what it asks for
 * is said back, where it is a list of names and nothing else.
 */

static ngx_int_t
ngx_http_beacon_cors_preflight(ngx_http_request_t *r,
    ngx_http_beacon_cors_t *cors)
{
    u_char            c;
    size_t            i;
    ngx_str_t        *headers;
    ngx_table_elt_t  *h;

    headers = &ngx_http_beacon_cors_content_type;
    h = ngx_http_beacon_request_header(r, &ngx_http_beacon_cors_asked);

    if (h && h->value.len && h->value.len <= NGX_HTTP_BEACON_CORS_ASKED_MAX) {
        headers = &h->value;

        for (i = 0; i < h->value.len; i++) {
            c = h->value.data[i];

            if (!(c >= '0' && c <= '9')
                && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
                && c != '-' && c != '_' && c != ',' && c != ' ')
            {
                headers = &ngx_http_beacon_cors_content_type;
                break;
            }
        }
    }

    if (ngx_http_beacon_header(r, &ngx_http_beacon_cors_allow_methods,
                               cors->view ? &ngx_http_beacon_cors_reading
                                          : &ngx_http_beacon_cors_methods)
        != NGX_OK
        || ngx_http_beacon_header(r, &ngx_http_beacon_cors_allow_headers,
                                  headers)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_beacon_header(r, &ngx_http_beacon_cors_max_age,
                                  &ngx_http_beacon_cors_day);
}
