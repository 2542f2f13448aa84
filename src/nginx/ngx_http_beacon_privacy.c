/*
 * What is not stored: beacon_ip, beacon_gpc, beacon_drop_args,
 * beacon_keep_args; and what a request's own headers say about it (Sec-GPC,
 * Sec-Purpose and its ancestors).  All of it happens here, in the worker,
 * between gathering a hit and writing it into the lane.
 */

#include "ngx_http_beacon.h"


static ngx_uint_t ngx_http_beacon_signals_from(ngx_list_part_t *part,
    ngx_table_elt_t *h) __attribute__((noinline));
static ngx_uint_t ngx_http_beacon_signal(ngx_table_elt_t *h);
static ngx_uint_t ngx_http_beacon_purpose(ngx_str_t *value);
static void ngx_http_beacon_truncate(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, beacon_str_t *ip);
static ngx_int_t ngx_http_beacon_filter(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, beacon_filter_t *filter,
    beacon_hit_t *hit);
static ngx_inline u_char *ngx_http_beacon_filter_left(beacon_str_t *str,
    beacon_str_t *left, u_char *room);
static u_char *ngx_http_beacon_filter_room(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, size_t len);
static ngx_int_t ngx_http_beacon_filter_data(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, beacon_filter_t *filter,
    beacon_str_t *body);
static ngx_uint_t ngx_http_beacon_form_searchable(ngx_http_request_t *r);


/* Lengths of the names below.  A longer one may alias: it is looked at then. */
#define NGX_HTTP_BEACON_LENGTHS                                               \
    ((uint64_t) 1 << (sizeof("x-moz") - 1)                                    \
     | (uint64_t) 1 << (sizeof("sec-gpc") - 1)                                \
     | (uint64_t) 1 << (sizeof("sec-purpose") - 1))


/*
 * Every hit pays for this: most headers are told by their names' lengths, and
 * Referer, as long as two of them, by its first letter.
 */

ngx_uint_t
ngx_http_beacon_signals(ngx_http_request_t *r)
{
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *last;

    for (part = &r->main->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (last = h + part->nelts; h < last; h++) {
            if ((NGX_HTTP_BEACON_LENGTHS >> (h->key.len & 63) & 1)
                && h->lowcase_key[0] != 'r')
            {
                return ngx_http_beacon_signals_from(part, h);
            }
        }
    }

    return 0;
}


/* Of this header and those behind it. */

static ngx_uint_t
ngx_http_beacon_signals_from(ngx_list_part_t *part, ngx_table_elt_t *h)
{
    ngx_uint_t        signals;
    ngx_table_elt_t  *last;

    signals = 0;

    for ( ;; ) {
        last = (ngx_table_elt_t *) part->elts + part->nelts;

        for ( /* void */ ; h < last; h++) {
            signals |= ngx_http_beacon_signal(h);
        }

        part = part->next;

        if (part == NULL) {
            break;
        }

        h = part->elts;
    }

    if (signals & NGX_HTTP_BEACON_PRERENDER) {
        signals &= ~NGX_HTTP_BEACON_PREFETCH;   /* is a kind of it */
    }

    return signals;
}


static ngx_uint_t
ngx_http_beacon_signal(ngx_table_elt_t *h)
{
    u_char  *name;

    name = h->lowcase_key;

    switch (h->key.len) {

    case sizeof("x-moz") - 1:
        return (ngx_memcmp(name, "x-moz", 5) == 0)
               ? ngx_http_beacon_purpose(&h->value) : 0;

    case sizeof("sec-gpc") - 1:
        if (ngx_memcmp(name, "sec-gpc", 7) == 0) {
            return (h->value.len == 1 && h->value.data[0] == '1')
                   ? NGX_HTTP_BEACON_GPC : 0;
        }

        return (ngx_memcmp(name, "purpose", 7) == 0)
               ? ngx_http_beacon_purpose(&h->value) : 0;

    case sizeof("sec-purpose") - 1:
        return (ngx_memcmp(name, "sec-purpose", 11) == 0)
               ? ngx_http_beacon_purpose(&h->value) : 0;

    default:
        return 0;
    }
}


/* "prefetch", "prefetch;prerender", "prefetch; anonymous-client-ip" */

static ngx_uint_t
ngx_http_beacon_purpose(ngx_str_t *value)
{
    ngx_uint_t   signals;

    static u_char  prerender[] = "prerender";
    static u_char  prefetch[] = "prefetch";

    signals = 0;

    if (ngx_strlcasestrn(value->data, value->data + value->len, prerender,
                         sizeof(prerender) - 2))
    {
        signals |= NGX_HTTP_BEACON_PRERENDER;
    }

    if (ngx_strlcasestrn(value->data, value->data + value->len, prefetch,
                         sizeof(prefetch) - 2))
    {
        signals |= NGX_HTTP_BEACON_PREFETCH;
    }

    return signals;
}


/*
 * The hit is whole, but what may not be stored is still in it.  What is left
 * of a string that loses something lies in the worker's scratch or the
 * request's pool.
 */

ngx_int_t
ngx_http_beacon_privacy(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_worker_t *worker,
    ngx_uint_t signals, beacon_hit_t *hit)
{
    ngx_int_t         rc;
    beacon_str_t     *ip, *query;
    beacon_filter_t  *filter;

    ip = &hit->strings[BEACON_HIT_IP];
    filter = blcf->filter;

    if (signals & NGX_HTTP_BEACON_PREFETCH) {
        hit->flags |= blcf->prefetch;
    }

    if (signals & NGX_HTTP_BEACON_PRERENDER) {
        hit->flags |= blcf->prerender;
    }

    if (ngx_http_beacon_anonymous(blcf, signals)) {
        /* no visitor: ngx_http_beacon_gather() has not asked for one */
        hit->strings[BEACON_HIT_USER_AGENT].len = 0;
        ngx_http_beacon_truncate(r, worker, ip);
        filter = blcf->anonymous;
    }

    if (blcf->ip == NGX_HTTP_BEACON_IP_TRUNCATE) {
        ngx_http_beacon_truncate(r, worker, ip);

    } else if (blcf->ip == NGX_HTTP_BEACON_IP_OFF) {
        ip->len = 0;
    }

    if (filter == NULL) {
        return NGX_OK;
    }

    query = &hit->strings[BEACON_HIT_QUERY];

    if (beacon_filter_is_json(*query)) {
        query->len = 0;
        hit->flags |= blcf->query_dropped;
    }

    rc = ngx_http_beacon_filter(r, worker, filter, hit);

    if (rc == NGX_DECLINED) {
        /* nobody can say what names stand in it */
        hit->strings[BEACON_HIT_BODY].len = 0;
        hit->body_kind = BEACON_BODY_NONE;
        hit->flags |= blcf->body_dropped;
        return NGX_OK;
    }

    return rc;
}


/*
 * IPv4 to /24, IPv6 to /48; of a 6to4 address, which holds an IPv4 address in
 * those 48 bits, that one's last byte goes too.  The text is as
 * ngx_http_beacon_ip() gave it, an IPv4-mapped address as IPv4.
 */

static void
ngx_http_beacon_truncate(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, beacon_str_t *ip)
{
    size_t                len;
#if (NGX_HAVE_INET6)
    u_char                addr[16];
    struct sockaddr_in6  *sin6;
#endif

    if (ip->len == 0 || ip->data == worker->ip) {
        return;
    }

#if (NGX_HAVE_INET6)

    if (memchr(ip->data, ':', ip->len)) {
        sin6 = (struct sockaddr_in6 *) r->connection->sockaddr;
        ngx_memcpy(addr, sin6->sin6_addr.s6_addr, 16);

        len = (addr[0] == 0x20 && addr[1] == 0x02) ? 5 : 6;
        ngx_memzero(addr + len, 16 - len);

        ip->len = ngx_inet6_ntop(addr, worker->ip, sizeof(worker->ip));
        ip->data = worker->ip;
        return;
    }

#endif

    len = ip->len;

    while (len && ip->data[len - 1] != '.') {
        len--;
    }

    if (len == 0 || len >= sizeof(worker->ip)) {
        ip->len = 0;
        return;
    }

    ngx_memcpy(worker->ip, ip->data, len);
    worker->ip[len] = '0';
    ip->len = len + 1;
    ip->data = worker->ip;
}


/* DECLINED: the body cannot be searched. */

static ngx_int_t
ngx_http_beacon_filter(ngx_http_request_t *r, ngx_http_beacon_worker_t *worker,
    beacon_filter_t *filter, beacon_hit_t *hit)
{
    u_char        *room, *p;
    beacon_str_t  *path, *query, *referer, *body, left;

    path = &hit->strings[BEACON_HIT_PATH];
    query = &hit->strings[BEACON_HIT_QUERY];
    referer = &hit->strings[BEACON_HIT_REFERER];
    body = &hit->strings[BEACON_HIT_BODY];

    room = ngx_http_beacon_filter_room(r, worker,
                                       path->len + query->len + referer->len);
    if (room == NULL) {
        return NGX_ERROR;
    }

    p = room;

    beacon_filter_path(filter, *path, p, &left);
    p = ngx_http_beacon_filter_left(path, &left, p);

    beacon_filter_query(filter, *query, p, &left);
    p = ngx_http_beacon_filter_left(query, &left, p);

    beacon_filter_url(filter, *referer, p, &left);
    p = ngx_http_beacon_filter_left(referer, &left, p);

    if (room == worker->scratch + worker->scratch_used) {
        worker->scratch_used += p - room;
    }

    switch (hit->body_kind) {

    case BEACON_BODY_NONE:
        return NGX_OK;

    case BEACON_BODY_FORM:
        if (beacon_filter_is_json(*body)
            || !ngx_http_beacon_form_searchable(r))
        {
            return NGX_DECLINED;
        }

        room = ngx_http_beacon_filter_room(r, worker, body->len);
        if (room == NULL) {
            return NGX_ERROR;
        }

        beacon_filter_query(filter, *body, room, &left);
        *body = left;
        return NGX_OK;

    case BEACON_BODY_DATA:
        return ngx_http_beacon_filter_data(r, worker, filter, body);

    default:
        return NGX_DECLINED;
    }
}


/* Takes what is left of str; returns where there is room behind it. */

static ngx_inline u_char *
ngx_http_beacon_filter_left(beacon_str_t *str, beacon_str_t *left, u_char *room)
{
    *str = *left;

    return (left->data == room) ? room + left->len : room;
}


/* From the scratch, where the caller counts what it has used of it. */

static u_char *
ngx_http_beacon_filter_room(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, size_t len)
{
    if (len <= NGX_HTTP_BEACON_SCRATCH - worker->scratch_used) {
        return worker->scratch + worker->scratch_used;
    }

    return ngx_pnalloc(r->pool, len);
}


static ngx_int_t
ngx_http_beacon_filter_data(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, beacon_filter_t *filter,
    beacon_str_t *body)
{
    u_char         *room;
    beacon_rc_t     rc;
    beacon_str_t    left;
    beacon_json_t   json;

    room = ngx_http_beacon_filter_room(r, worker, body->len);
    if (room == NULL) {
        return NGX_ERROR;
    }

    json.seed = worker->seed;
    json.size = beacon_json_slots(body->len);
    json.keys = ngx_palloc(r->pool, json.size * sizeof(beacon_json_key_t));
    if (json.keys == NULL) {
        return NGX_ERROR;
    }

    rc = beacon_filter_json(filter, &json, *body, room, &left);

    (void) ngx_pfree(r->pool, json.keys);

    if (rc != BEACON_OK) {
        return NGX_DECLINED;
    }

    *body = left;

    return NGX_OK;
}


/*
 * Names can be searched for where letters are ASCII's.  A browser's form is
 * always that; UTF-16, UTF-7 or EBCDIC would hide them.
 */

static ngx_uint_t
ngx_http_beacon_form_searchable(ngx_http_request_t *r)
{
    u_char      *p, *last;
    size_t       len;
    ngx_str_t   *type;
    ngx_uint_t   i;

    static u_char      charset[] = "charset";
    static ngx_str_t   known[] = {
        ngx_string("utf-8"), ngx_string("utf8"), ngx_string("us-ascii"),
        ngx_string("iso-8859-"), ngx_string("windows-125")
    };

    if (r->headers_in.content_type == NULL) {
        return 1;
    }

    type = &r->headers_in.content_type->value;
    last = type->data + type->len;
    p = ngx_strlcasestrn(type->data, last, charset, sizeof(charset) - 2);

    if (p == NULL) {
        return 1;
    }

    for (p += sizeof(charset) - 1; p < last; p++) {
        if (*p != ' ' && *p != '\t' && *p != '=' && *p != '"') {
            break;
        }
    }

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        len = known[i].len;

        if ((size_t) (last - p) >= len
            && ngx_strncasecmp(p, known[i].data, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
