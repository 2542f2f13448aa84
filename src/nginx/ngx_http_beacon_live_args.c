/*
 * What a request of the live API asks for: its query, its cursor, and the
 * sites that it may see.
 */

#include "ngx_http_beacon_live.h"

#include "beacon_query.h"


typedef struct {
    ngx_str_t     name;
    ngx_uint_t    bit;
} ngx_http_beacon_live_param_t;


static ngx_str_t ngx_http_beacon_live_decode(u_char **dst, u_char *p,
    u_char *last);
static const char *ngx_http_beacon_live_param(ngx_uint_t may,
    ngx_http_beacon_live_args_t *args, ngx_str_t *name, ngx_str_t *value);
static const char *ngx_http_beacon_live_filter(
    ngx_http_beacon_live_args_t *args, ngx_str_t *name, ngx_str_t *value);
static const char *ngx_http_beacon_live_number(ngx_str_t *value,
    ngx_uint_t *number);


static ngx_http_beacon_live_param_t  ngx_http_beacon_live_params[] = {
    { ngx_string("since"), NGX_HTTP_BEACON_LIVE_SINCE },
    { ngx_string("limit"), NGX_HTTP_BEACON_LIVE_N },
    { ngx_string("wait"), NGX_HTTP_BEACON_LIVE_POLL },
    { ngx_string("fields"), NGX_HTTP_BEACON_LIVE_FIELDS },
    { ngx_string("window"), NGX_HTTP_BEACON_LIVE_WINDOW },
    { ngx_null_string, 0 }
};


const char *
ngx_http_beacon_live_args(ngx_http_request_t *r, ngx_uint_t may,
    ngx_uint_t limit, ngx_uint_t window, ngx_http_beacon_live_args_t *args)
{
    u_char      *p, *end, *last, *equal, *dst;
    ngx_str_t    name, value;
    const char  *wrong;

    args->limit = limit;
    args->window = window;

    if (r->args.len == 0) {
        return NULL;
    }

    /* decoded text is never longer */
    dst = ngx_pnalloc(r->pool, r->args.len);
    if (dst == NULL) {
        return "no memory";
    }

    last = r->args.data + r->args.len;

    for (p = r->args.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;

        if (end == p) {
            continue;
        }

        equal = ngx_strlchr(p, end, '=');
        name = ngx_http_beacon_live_decode(&dst, p, equal ? equal : end);
        value = ngx_http_beacon_live_decode(&dst, equal ? equal + 1 : end,
                                            end);

        wrong = ngx_http_beacon_live_param(may, args, &name, &value);
        if (wrong) {
            return wrong;
        }
    }

    return NULL;
}


static ngx_str_t
ngx_http_beacon_live_decode(u_char **dst, u_char *p, u_char *last)
{
    u_char         *d;
    ngx_str_t       text;
    const uint8_t  *s;

    d = *dst;
    s = p;

    while (s < last) {
        *d++ = beacon_query_byte(s, last, &s);
    }

    text.data = *dst;
    text.len = d - *dst;
    *dst = d;

    return text;
}


static const char *
ngx_http_beacon_live_param(ngx_uint_t may, ngx_http_beacon_live_args_t *args,
    ngx_str_t *name, ngx_str_t *value)
{
    ngx_http_beacon_live_param_t  *param;

    if (name->len > 5 && ngx_strncmp(name->data, "args.", 5) == 0
        && (may & NGX_HTTP_BEACON_LIVE_FILTER))
    {
        return ngx_http_beacon_live_filter(args, name, value);
    }

    for (param = ngx_http_beacon_live_params; param->bit; param++) {
        if ((may & param->bit)
            && name->len == param->name.len
            && ngx_memcmp(name->data, param->name.data, name->len) == 0)
        {
            break;
        }
    }

    if (param->bit == 0) {
        return "unknown parameter";
    }

    if (args->given & param->bit) {
        return "a parameter is given twice";
    }

    args->given |= param->bit;

    switch (param->bit) {

    case NGX_HTTP_BEACON_LIVE_SINCE:
        ngx_http_beacon_live_cursor(value, args);
        return NULL;

    case NGX_HTTP_BEACON_LIVE_N:
        return ngx_http_beacon_live_number(value, &args->limit)
               ? "limit is no number" : NULL;

    case NGX_HTTP_BEACON_LIVE_POLL:
        return ngx_http_beacon_live_number(value, &args->wait)
               ? "wait is no number of seconds" : NULL;

    case NGX_HTTP_BEACON_LIVE_FIELDS:
        args->brief = 1;
        return (value->len == 5 && ngx_memcmp(value->data, "short", 5) == 0)
               ? NULL : "fields can be short";

    default: /* NGX_HTTP_BEACON_LIVE_WINDOW */
        return (ngx_http_beacon_live_number(value, &args->window)
                || args->window < BEACON_LIVE_STEP
                || args->window > 3600)
               ? "window is no number of seconds from 10 to 3600" : NULL;
    }
}


static const char *
ngx_http_beacon_live_filter(ngx_http_beacon_live_args_t *args,
    ngx_str_t *name, ngx_str_t *value)
{
    ngx_uint_t  n;

    if (args->nfilters == NGX_HTTP_BEACON_LIVE_FILTERS) {
        return "more than 16 filters";
    }

    n = args->nfilters++;

    args->filters[n].name.data = name->data + 5;
    args->filters[n].name.len = name->len - 5;
    args->filters[n].value.data = value->data;
    args->filters[n].value.len = value->len;

    return NULL;
}


/* A text of digits; what is too much for a number is very much. */

static const char *
ngx_http_beacon_live_number(ngx_str_t *value, ngx_uint_t *number)
{
    size_t      i;
    ngx_uint_t  n;

    n = 0;

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < '0' || value->data[i] > '9') {
            return "no number";
        }

        n = ngx_min(n * 10 + (value->data[i] - '0'), NGX_MAX_INT32_VALUE);
    }

    *number = n;

    return value->len ? NULL : "no number";
}


/* What is no cursor is as one of another store: the reader starts anew. */

void
ngx_http_beacon_live_cursor(ngx_str_t *text, ngx_http_beacon_live_args_t *args)
{
    u_char    c, digit;
    size_t    i;
    uint64_t  epoch, since;

    args->given |= NGX_HTTP_BEACON_LIVE_SINCE;
    args->valid = 0;

    if (text->len < 18 || text->len > NGX_HTTP_BEACON_LIVE_CURSOR
        || text->data[16] != '.')
    {
        return;
    }

    for (epoch = 0, i = 0; i < 16; i++) {
        digit = beacon_query_digits[text->data[i]];
        if (digit == 0) {
            return;
        }

        epoch = epoch << 4 | (digit - 1);
    }

    for (since = 0, i = 17; i < text->len; i++) {
        c = text->data[i];
        if (c < '0' || c > '9') {
            return;
        }

        since = since * 10 + (c - '0');
    }

    args->valid = 1;
    args->epoch = epoch;
    args->since = since;
}


ngx_uint_t
ngx_http_beacon_live_allowed(ngx_str_t *sites, ngx_str_t *name)
{
    size_t      at;
    ngx_str_t   word;
    ngx_uint_t  all;

    at = 0;
    all = 0;

    while (ngx_http_beacon_live_name(sites, &at, &word)) {
        if (word.len == name->len
            && ngx_memcmp(word.data, name->data, word.len) == 0)
        {
            return 2;
        }

        all |= (word.len == 1 && word.data[0] == '*');
    }

    return all;
}


ngx_uint_t
ngx_http_beacon_live_valid(ngx_str_t *name)
{
    return beacon_site_valid(name->data, name->len)
           || (name->len == 9 && ngx_strncmp(name->data, "_overflow", 9) == 0);
}


ngx_uint_t
ngx_http_beacon_live_name(ngx_str_t *sites, size_t *at, ngx_str_t *name)
{
    size_t  i;

    for (i = *at; i < sites->len && sites->data[i] == ' '; i++) { /* void */ }

    name->data = sites->data + i;

    while (i < sites->len && sites->data[i] != ' ') {
        i++;
    }

    name->len = sites->data + i - name->data;
    *at = i;

    return name->len != 0;
}
