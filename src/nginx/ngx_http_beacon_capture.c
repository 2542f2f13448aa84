/*
 * Capture: the content handler of "beacon gif", "beacon empty" and
 * "beacon_redirect".  A hit is gathered as pointers, written once, in place,
 * into this worker's lane, and committed before anything is answered.
 */

#include "ngx_http_beacon.h"


static ngx_uint_t ngx_http_beacon_capture(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_worker_t *worker,
    ngx_http_beacon_ctx_t *ctx, beacon_str_t *body, ngx_uint_t body_kind);
static ngx_uint_t ngx_http_beacon_gather(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_worker_t *worker,
    ngx_uint_t anonymous, beacon_hit_t *hit);
static void ngx_http_beacon_gather_request(ngx_http_request_t *r,
    beacon_hit_t *hit);
static ngx_uint_t ngx_http_beacon_gather_names(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_worker_t *worker,
    beacon_hit_t *hit);
static beacon_str_t ngx_http_beacon_ip(ngx_connection_t *c);
static ngx_uint_t ngx_http_beacon_commit(ngx_http_beacon_worker_t *worker,
    beacon_hit_t *hit, uint32_t schema, ngx_http_beacon_ctx_t *ctx);
static void ngx_http_beacon_warn_full(ngx_http_beacon_worker_t *worker);


#define ngx_http_beacon_str_set(str, p, n)                                    \
    (str)->len = n; (str)->data = p


ngx_int_t
ngx_http_beacon_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    if (r->method & NGX_HTTP_POST) {
        return ngx_http_beacon_body(r);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        /* its framing is broken: nothing after it can be trusted */
        r->keepalive = 0;
        return ngx_http_beacon_reject(r, BEACON_REJECT_BODY,
                                      NGX_HTTP_BAD_REQUEST);
    }

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return ngx_http_beacon_hit(r, NULL, BEACON_BODY_NONE);
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_beacon_options(r);
    }

    return ngx_http_beacon_reject(r, BEACON_REJECT_METHOD,
                                  NGX_HTTP_NOT_ALLOWED);
}


ngx_int_t
ngx_http_beacon_hit(ngx_http_request_t *r, beacon_str_t *body,
    ngx_uint_t body_kind)
{
    ngx_uint_t                   result;
    ngx_http_beacon_ctx_t       *ctx;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    ctx = ngx_http_beacon_ctx_create(r, blcf->main);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (blcf->mode == NGX_HTTP_BEACON_REDIRECT) {
        return ngx_http_beacon_redirect(r, ctx, body, body_kind);
    }

    if (ctx->result == NGX_HTTP_BEACON_TAKEN) {
        /* a redirect or a subrequest of a request that is in the ring */
        return ngx_http_beacon_answer(r, blcf);
    }

    result = ngx_http_beacon_take(r, blcf, ctx, body, body_kind);

    return ngx_http_beacon_result(r, blcf, result);
}


ngx_uint_t
ngx_http_beacon_take(ngx_http_request_t *r, ngx_http_beacon_loc_conf_t *blcf,
    ngx_http_beacon_ctx_t *ctx, beacon_str_t *body, ngx_uint_t body_kind)
{
    ngx_uint_t                 result;
    ngx_http_beacon_worker_t  *worker;

    worker = blcf->main->worker;

    result = ngx_http_beacon_capture(r, blcf, worker, ctx, body, body_kind);

    switch (result) {

    case NGX_HTTP_BEACON_TAKEN:
        break;

    case NGX_HTTP_BEACON_FAILED:
        return result;

    case NGX_HTTP_BEACON_DROPPED:
        atomic_fetch_add_explicit(&worker->mine->dropped, 1,
                                  memory_order_relaxed);
        break;

    case NGX_HTTP_BEACON_FULL:
        atomic_fetch_add_explicit(&worker->mine->refused, 1,
                                  memory_order_relaxed);
        ngx_http_beacon_warn_full(worker);
        break;

    default: /* NGX_HTTP_BEACON_REJECTED + reason */
        atomic_fetch_add_explicit(
            &worker->mine->rejected[result - NGX_HTTP_BEACON_REJECTED], 1,
            memory_order_relaxed);
        break;
    }

    ctx->result = result;

    return result;
}


ngx_int_t
ngx_http_beacon_result(ngx_http_request_t *r, ngx_http_beacon_loc_conf_t *blcf,
    ngx_uint_t result)
{
    switch (result) {

    case NGX_HTTP_BEACON_TAKEN:
    case NGX_HTTP_BEACON_DROPPED:
        return ngx_http_beacon_answer(r, blcf);

    case NGX_HTTP_BEACON_FULL:
        return ngx_http_beacon_refuse(r, blcf, NGX_HTTP_SERVICE_UNAVAILABLE,
                                      &ngx_http_beacon_full);

    case NGX_HTTP_BEACON_REJECTED + BEACON_REJECT_SITE:
        return ngx_http_beacon_refuse(r, blcf, NGX_HTTP_BAD_REQUEST,
                                 &ngx_http_beacon_reasons[BEACON_REJECT_SITE]);

    case NGX_HTTP_BEACON_REJECTED + BEACON_REJECT_SIZE:
        return ngx_http_beacon_refuse(r, blcf, NGX_HTTP_REQUEST_URI_TOO_LARGE,
                                 &ngx_http_beacon_reasons[BEACON_REJECT_SIZE]);

    default: /* NGX_HTTP_BEACON_FAILED: must not become another answer */
        return NGX_ERROR;
    }
}


ngx_int_t
ngx_http_beacon_reject(ngx_http_request_t *r, beacon_reject_e reason,
    ngx_uint_t status)
{
    ngx_http_beacon_ctx_t        *ctx;
    ngx_http_beacon_loc_conf_t   *blcf;
    ngx_http_beacon_main_conf_t  *bmcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);
    bmcf = blcf->main;

    ctx = ngx_http_beacon_ctx_create(r, bmcf);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->result != NGX_HTTP_BEACON_TAKEN) {
        ctx->result = NGX_HTTP_BEACON_REJECTED + reason;
    }

    atomic_fetch_add_explicit(&bmcf->worker->mine->rejected[reason], 1,
                              memory_order_relaxed);

    return ngx_http_beacon_refuse(r, blcf, status,
                                  &ngx_http_beacon_reasons[reason]);
}


static ngx_uint_t
ngx_http_beacon_capture(ngx_http_request_t *r, ngx_http_beacon_loc_conf_t *blcf,
    ngx_http_beacon_worker_t *worker, ngx_http_beacon_ctx_t *ctx,
    beacon_str_t *body, ngx_uint_t body_kind)
{
    ngx_uint_t    result, signals;
    beacon_str_t  value;
    beacon_hit_t  hit;

    worker->scratch_used = 0;
    signals = ngx_http_beacon_signals(r);
    ctx->capture = blcf;
    ctx->signals = signals;

    if ((signals & NGX_HTTP_BEACON_GPC)
        && blcf->gpc == NGX_HTTP_BEACON_GPC_DROP)
    {
        return NGX_HTTP_BEACON_DROPPED;
    }

    if (blcf->condition) {
        if (ngx_http_beacon_value(r, worker, blcf->condition, &value)
            != NGX_OK)
        {
            return NGX_HTTP_BEACON_FAILED;
        }

        if (!ngx_http_beacon_true(&value)) {
            return NGX_HTTP_BEACON_DROPPED;
        }
    }

    result = ngx_http_beacon_gather(r, blcf, worker,
                                    ngx_http_beacon_anonymous(blcf, signals),
                                    &hit);

    if (result != NGX_HTTP_BEACON_TAKEN) {
        return result;
    }

    if (body) {
        hit.strings[BEACON_HIT_BODY] = *body;

    } else {
        ngx_http_beacon_str_set(&hit.strings[BEACON_HIT_BODY], NULL, 0);
    }

    hit.body_kind = body_kind;

    if ((signals || blcf->filter || blcf->ip != NGX_HTTP_BEACON_IP_FULL)
        && ngx_http_beacon_privacy(r, blcf, worker, signals, &hit) != NGX_OK)
    {
        return NGX_HTTP_BEACON_FAILED;
    }

    if (worker->producer.ring == NULL) {
        ngx_http_beacon_worker_late(worker);

        if (worker->producer.ring == NULL) {
            return NGX_HTTP_BEACON_FULL;
        }
    }

    result = ngx_http_beacon_commit(worker, &hit, blcf->schema->hash, ctx);

    if (result == NGX_HTTP_BEACON_TAKEN && blcf->cookie) {
        ngx_http_beacon_cookie_set(r, blcf, worker, ctx);
    }

    return result;
}


/* TAKEN: hit is whole but for its body. */

static ngx_uint_t
ngx_http_beacon_gather(ngx_http_request_t *r, ngx_http_beacon_loc_conf_t *blcf,
    ngx_http_beacon_worker_t *worker, ngx_uint_t anonymous, beacon_hit_t *hit)
{
    beacon_str_t  *site;

    site = &hit->strings[BEACON_HIT_SITE];

    if (ngx_http_beacon_value(r, worker, blcf->site, site) != NGX_OK) {
        return NGX_HTTP_BEACON_FAILED;
    }

    if (!beacon_site_valid(site->data, site->len)) {
        return NGX_HTTP_BEACON_REJECTED + BEACON_REJECT_SITE;
    }

    ngx_http_beacon_gather_request(r, hit);

    hit->max_args = (uint16_t) blcf->max_args;
    hit->nfields = 0;
    hit->flags = 0;

    ngx_http_beacon_str_set(&hit->strings[BEACON_HIT_VISITOR], NULL, 0);

    if (blcf->visitor
        && !anonymous
        && ngx_http_beacon_value_visitor(r, worker, blcf->visitor,
                                         &hit->strings[BEACON_HIT_VISITOR])
           != NGX_OK)
    {
        return NGX_HTTP_BEACON_FAILED;
    }

    if (blcf->fields == NULL && blcf->flags == NULL) {
        return NGX_HTTP_BEACON_TAKEN;
    }

    return ngx_http_beacon_gather_names(r, blcf, worker, hit);
}


/* What the client sent: of the main request, whatever led here. */

static void
ngx_http_beacon_gather_request(ngx_http_request_t *r, beacon_hit_t *hit)
{
    u_char                    *p;
    size_t                     len;
    ngx_table_elt_t           *h;
    ngx_http_core_srv_conf_t  *cscf;

    hit->strings[BEACON_HIT_IP] = ngx_http_beacon_ip(r->connection);

    /* a subrequest may be a GET for what is no GET */
    r = r->main;

    switch (r->method) {

    case NGX_HTTP_POST:
        hit->method = BEACON_METHOD_POST;
        break;

    case NGX_HTTP_HEAD:
        hit->method = BEACON_METHOD_HEAD;
        break;

    default:
        hit->method = BEACON_METHOD_GET;
        break;
    }

    if (r->headers_in.server.len) {
        ngx_http_beacon_str_set(&hit->strings[BEACON_HIT_HOST],
                                r->headers_in.server.data,
                                r->headers_in.server.len);
    } else {
        cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
        ngx_http_beacon_str_set(&hit->strings[BEACON_HIT_HOST],
                                cscf->server_name.data,
                                cscf->server_name.len);
    }

    len = r->unparsed_uri.len;
    p = len ? memchr(r->unparsed_uri.data, '?', len) : NULL;

    if (p) {
        len = p - r->unparsed_uri.data;
    }

    /* an absolute target may have no path at all */
    ngx_http_beacon_str_set(&hit->strings[BEACON_HIT_PATH],
                            len ? r->unparsed_uri.data : (u_char *) "/",
                            len ? len : 1);

    hit->strings[BEACON_HIT_QUERY] = ngx_http_beacon_query(r);

    h = r->headers_in.referer;
    ngx_http_beacon_str_set(&hit->strings[BEACON_HIT_REFERER],
                            h ? h->value.data : NULL, h ? h->value.len : 0);

    h = r->headers_in.user_agent;
    ngx_http_beacon_str_set(&hit->strings[BEACON_HIT_USER_AGENT],
                            h ? h->value.data : NULL, h ? h->value.len : 0);
}


static ngx_uint_t
ngx_http_beacon_gather_names(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_http_beacon_worker_t *worker,
    beacon_hit_t *hit)
{
    ngx_uint_t                i;
    beacon_str_t              value;
    ngx_http_beacon_named_t  *named;

    if (blcf->fields) {
        named = blcf->fields->elts;
        hit->nfields = (uint32_t) blcf->fields->nelts;

        for (i = 0; i < blcf->fields->nelts; i++) {
            if (ngx_http_beacon_value(r, worker, &named[i].value,
                                      &hit->fields[i])
                != NGX_OK)
            {
                return NGX_HTTP_BEACON_FAILED;
            }
        }
    }

    if (blcf->flags) {
        named = blcf->flags->elts;

        for (i = 0; i < blcf->flags->nelts; i++) {
            if (ngx_http_beacon_value(r, worker, &named[i].value, &value)
                != NGX_OK)
            {
                return NGX_HTTP_BEACON_FAILED;
            }

            if (ngx_http_beacon_true(&value)) {
                hit->flags |= (uint32_t) 1 << i;
            }
        }
    }

    return NGX_HTTP_BEACON_TAKEN;
}


/* An IPv4-mapped address as IPv4; nothing for a UNIX-domain socket. */

static beacon_str_t
ngx_http_beacon_ip(ngx_connection_t *c)
{
    beacon_str_t          ip;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    ip.len = c->addr_text.len;
    ip.data = c->addr_text.data;

    switch (c->sockaddr->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) c->sockaddr;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)
            && ip.len > sizeof("::ffff:") - 1)
        {
            ip.len -= sizeof("::ffff:") - 1;
            ip.data += sizeof("::ffff:") - 1;
        }

        break;
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        ip.len = 0;
        break;
#endif

    default: /* AF_INET */
        break;
    }

    return ip;
}


static ngx_uint_t
ngx_http_beacon_commit(ngx_http_beacon_worker_t *worker, beacon_hit_t *hit,
    uint32_t schema, ngx_http_beacon_ctx_t *ctx)
{
    uint8_t      *payload;
    ngx_time_t   *tp;
    beacon_rc_t   rc;

    rc = beacon_lane_reserve(&worker->producer, beacon_hit_size(hit), &payload);

    if (rc != BEACON_OK) {
        return (rc == BEACON_INVALID)
               ? NGX_HTTP_BEACON_REJECTED + BEACON_REJECT_SIZE
               : NGX_HTTP_BEACON_FULL;
    }

    beacon_hit_write(hit, payload);

    tp = ngx_timeofday();

    ctx->offset = beacon_lane_commit(&worker->producer,
                                     (uint64_t) tp->sec * 1000000000
                                     + (uint64_t) tp->msec * 1000000,
                                     schema);
    ctx->epoch = worker->producer.ring->epoch;
    ctx->lane = worker->producer.index;

    return NGX_HTTP_BEACON_TAKEN;
}


/*
 * At most once a minute.  Not to the request's log, which adds its line and
 * the client's address: they may hold what is not to be stored.
 */

static void
ngx_http_beacon_warn_full(ngx_http_beacon_worker_t *worker)
{
    if (worker->warned && ngx_current_msec - worker->warned < 60000) {
        return;
    }

    worker->warned = ngx_current_msec ? ngx_current_msec : 1;

    ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                  "beacon: %s, hits are refused; "
                  "this is logged at most once a minute",
                  worker->producer.ring ? "the ring is full"
                                        : "this worker has no lane");
}
