/*
 * beacon_status: the books.  What is printed is the helper's last consistent
 * snapshot, brought up to date by the hits committed since: they add to
 * accepted and to every sink's pending alike.
 */

#include "ngx_http_beacon_status.h"


static ngx_int_t ngx_http_beacon_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_beacon_status_send(ngx_http_request_t *r,
    ngx_buf_t *b);
static ngx_int_t ngx_http_beacon_now(ngx_http_request_t *r,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_now_t *now);
static void ngx_http_beacon_now_counters(beacon_counters_t *counters,
    ngx_http_beacon_now_t *now);
static void ngx_http_beacon_now_ring(ngx_http_beacon_worker_t *worker,
    ngx_http_beacon_now_t *now);
static uint64_t ngx_http_beacon_since(beacon_books_t *books, uint64_t epoch,
    uint32_t lane, uint64_t ordinal);
static uint64_t ngx_http_beacon_oldest(beacon_ring_t *ring, uint32_t n,
    uint64_t reclaim, uint64_t tail);


static ngx_str_t  ngx_http_beacon_status_type =
    ngx_string("application/json");


/* beacon_status [json] */

char *
ngx_http_beacon_conf_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (blcf->status_line) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "json") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": this version knows json",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "cannot stand where another directive answers requests";
    }

    clcf->handler = ngx_http_beacon_status_handler;

    blcf->file = cf->conf_file->file.name.data;
    blcf->status_line = cf->conf_file->line;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_beacon_status_handler(ngx_http_request_t *r)
{
    size_t                        size;
    ngx_int_t                     rc;
    ngx_buf_t                    *b;
    ngx_http_beacon_now_t         now;
    ngx_http_beacon_main_conf_t  *bmcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_beacon_module);

    if (ngx_http_beacon_now(r, bmcf, &now) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    size = 4096
           + BEACON_BOOKS_SINKS
             * (512 + sizeof(((beacon_books_sink_t *) 0)->name))
           + now.books->nsinks * sizeof(((beacon_books_sink_t *) 0)->more)
           + now.books->nflags * 128;

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_http_beacon_status_json(b->last, b->end, bmcf, &now);

    return ngx_http_beacon_status_send(r, b);
}


static ngx_int_t
ngx_http_beacon_status_send(ngx_http_request_t *r, ngx_buf_t *b)
{
    ngx_chain_t  out;

    static ngx_str_t  key = ngx_string("Cache-Control");
    static ngx_str_t  value = ngx_string("no-store");

    if (ngx_http_beacon_header(r, &key, &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->disable_not_modified = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_beacon_output(r, &ngx_http_beacon_status_type, &out,
                                  b->last - b->pos);
}


static ngx_int_t
ngx_http_beacon_now(ngx_http_request_t *r, ngx_http_beacon_main_conf_t *bmcf,
    ngx_http_beacon_now_t *now)
{
    ngx_http_beacon_worker_t  *worker;

    worker = bmcf->worker;

    ngx_memzero(now, sizeof(ngx_http_beacon_now_t));

    now->books = ngx_pcalloc(r->pool, sizeof(beacon_books_t));
    if (now->books == NULL) {
        return NGX_ERROR;
    }

    /* first the books, then the lanes, which so are never behind them */

    if (worker->counters.head) {
        now->published = (beacon_books_read(&worker->counters, now->books)
                          == BEACON_OK);

        ngx_http_beacon_now_counters(&worker->counters, now);
    }

    now->books->nlanes = ngx_min(now->books->nlanes, BEACON_BOOKS_LANES);
    now->books->nsinks = ngx_min(now->books->nsinks, BEACON_BOOKS_SINKS);
    now->books->nflags = ngx_min(now->books->nflags, BEACON_BOOKS_FLAGS);

    if (worker->ring) {
        ngx_http_beacon_now_ring(worker, now);
    }

    now->up = ngx_http_beacon_helper_up(worker->lock);

    return NGX_OK;
}


static void
ngx_http_beacon_now_counters(beacon_counters_t *counters,
    ngx_http_beacon_now_t *now)
{
    ngx_uint_t                 i, n;
    beacon_worker_counters_t  *w;

    for (i = 0; i <= BEACON_LANES_MAX; i++) {
        w = &counters->workers[i];

        now->refused += atomic_load_explicit(&w->refused,
                                             memory_order_relaxed);
        now->dropped += atomic_load_explicit(&w->dropped,
                                             memory_order_relaxed);

        for (n = 0; n < BEACON_REJECTS; n++) {
            now->rejected[n] += atomic_load_explicit(&w->rejected[n],
                                                     memory_order_relaxed);
        }

        for (n = 0; n < BEACON_LIVE_REFUSES; n++) {
            now->live[n] += atomic_load_explicit(&w->live[n],
                                                 memory_order_relaxed);
        }
    }
}


/* Lanes of older rings are as the books have them. */

static void
ngx_http_beacon_now_ring(ngx_http_beacon_worker_t *worker,
    ngx_http_beacon_now_t *now)
{
    uint32_t              i;
    uint64_t              reclaim, used, ns;
    beacon_ring_t        *ring;
    beacon_cursor_t       tail;
    beacon_books_lane_t  *lane;

    ring = worker->ring;

    now->lanes = ring->lanes;
    now->capacity = ring->lanes * ring->lane_size;
    now->oldest_ns = now->books->oldest_ns;

    for (i = 0; i < ring->lanes; i++) {
        reclaim = atomic_load_explicit(&beacon_ring_lane(ring, i)->reclaim,
                                       memory_order_acquire);
        beacon_lane_tail(ring, i, &tail);

        now->since += ngx_http_beacon_since(now->books, ring->epoch, i,
                                            tail.ordinal);

        /* a lock does not show to its own holder */
        now->owned += (worker->producer.ring && worker->producer.index == i)
                      || beacon_lane_owned(ring, i);

        used = tail.offset - reclaim;

        if (used == 0 || used > ring->lane_size) {
            continue;
        }

        now->used += used;

        ns = ngx_http_beacon_oldest(ring, i, reclaim, tail.offset);

        if (ns && (now->oldest_ns == 0 || ns < now->oldest_ns)) {
            now->oldest_ns = ns;
        }
    }

    for (i = 0; i < now->books->nlanes; i++) {
        lane = &now->books->lanes[i];

        if (lane->epoch != ring->epoch) {
            now->used += lane->used_bytes;
            now->capacity += lane->used_bytes;
            now->lanes++;
            now->owned += (lane->owned != 0);
        }
    }

    if (now->used == 0) {
        now->oldest_ns = 0;
    }
}


static uint64_t
ngx_http_beacon_since(beacon_books_t *books, uint64_t epoch, uint32_t lane,
    uint64_t ordinal)
{
    uint32_t  i;

    for (i = 0; i < books->nlanes; i++) {
        if (books->lanes[i].epoch == epoch && books->lanes[i].lane == lane) {
            return (ordinal > books->lanes[i].ordinal)
                   ? ordinal - books->lanes[i].ordinal : 0;
        }
    }

    /* all of a ring that the helper is through with is in the base */

    return (books->retired_epoch == epoch) ? 0 : ordinal;
}


/*
 * When the first record at reclaim was written; 0: cannot tell.  The helper may
 * give it back and its owner write over it meanwhile: then "offset" differs, or
 * the time is a little off.
 */

static uint64_t
ngx_http_beacon_oldest(beacon_ring_t *ring, uint32_t n, uint64_t reclaim,
    uint64_t tail)
{
    uint8_t                 *bytes;
    uint64_t                 mask;
    beacon_record_header_t   h;

    bytes = (uint8_t *) beacon_ring_lane(ring, n) + BEACON_PAGE;
    mask = ring->lane_size - 1;

    if ((reclaim & mask) + BEACON_RECORD_HEADER > ring->lane_size) {
        reclaim = (reclaim | mask) + 1;
    }

    if (reclaim + BEACON_RECORD_HEADER > tail) {
        return 0;
    }

    ngx_memcpy(&h, bytes + (reclaim & mask), BEACON_RECORD_HEADER);

    if (h.type == BEACON_RECORD_PAD && h.offset == reclaim) {
        reclaim = (reclaim | mask) + 1;

        if (reclaim + BEACON_RECORD_HEADER > tail) {
            return 0;
        }

        ngx_memcpy(&h, bytes + (reclaim & mask), BEACON_RECORD_HEADER);
    }

    return (h.type != BEACON_RECORD_PAD && h.offset == reclaim) ? h.time_ns : 0;
}


ngx_uint_t
ngx_http_beacon_helper_up(ngx_fd_t lock)
{
    struct flock  fl;

    if (lock == NGX_INVALID_FILE) {
        return 0;
    }

    ngx_memzero(&fl, sizeof(struct flock));

    fl.l_type = F_WRLCK;
    fl.l_whence = SEEK_SET;
    fl.l_len = 1;

    return fcntl(lock, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}
