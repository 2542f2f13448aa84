/*
 * A worker's view of the live store: mapped when the worker starts, or as soon
 * as the helper has made it, and again when another has taken its place.  One
 * that has been given up is left even where there is no other yet: there may be
 * no room for both.
 */

#include "ngx_http_beacon_live.h"


static void ngx_http_beacon_live_attach(
    ngx_http_beacon_live_worker_t *worker);
static void ngx_http_beacon_live_attach_event(ngx_event_t *ev);
static ngx_uint_t ngx_http_beacon_live_named(
    ngx_http_beacon_live_worker_t *worker);
static void ngx_http_beacon_live_cleanup(void *data);


#define NGX_HTTP_BEACON_LIVE_RETRY  1000        /* ms */

/* While nobody asks: who is idle, or about to go, has a store, too. */
#define NGX_HTTP_BEACON_LIVE_LOOK   5000


/* In init_process of a worker. */

ngx_int_t
ngx_http_beacon_live_init(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_beacon_live_worker_t  *worker;

    if (bmcf->live == NULL) {
        return NGX_OK;
    }

    worker = ngx_pmemalign(cycle->pool, sizeof(*worker),
                           _Alignof(ngx_http_beacon_live_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(worker, sizeof(*worker));

    /* memory that is taken as it is used: hits are as a rule small */

    worker->hit = ngx_palloc(cycle->pool, BEACON_LIVE_HIT_MAX);
    worker->events = ngx_palloc(cycle->pool, NGX_HTTP_BEACON_LIVE_BLOCK
                                             + BEACON_LIVE_HIT_MAX + 1024);
    if (worker->hit == NULL || worker->events == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_beacon_live_cleanup;
    cln->data = worker;

    worker->dir = bmcf->ring;
    worker->ring = bmcf->worker;
    worker->log = cycle->log;
    worker->ident = -1;
    worker->max = cycle->connection_n / 2;

    worker->attach.data = worker;
    worker->attach.handler = ngx_http_beacon_live_attach_event;
    worker->attach.log = cycle->log;
    worker->attach.cancelable = 1;

    ngx_http_beacon_live_wait_init(worker);

    bmcf->live_worker = worker;
    bmcf->worker->live = worker;

    ngx_http_beacon_live_attach(worker);

    return NGX_OK;
}


/*
 * What it has mapped it keeps until there is another, unless the helper gave it
 * up: nobody writes to it any more.
 */

static void
ngx_http_beacon_live_attach(ngx_http_beacon_live_worker_t *worker)
{
    beacon_rc_t    rc;
    beacon_err_t   err;
    beacon_live_t  store;

    worker->tried = ngx_current_msec;

    err.text[0] = '\0';
    rc = beacon_live_attach(&store, (char *) worker->dir.data, &err);

    if (rc == BEACON_OK) {
        if (worker->store.head) {
            beacon_live_detach(&worker->store);
        }

        worker->store = store;
        worker->said = 0;

    } else if (worker->store.head && !beacon_live_current(&worker->store)) {
        beacon_live_detach(&worker->store);
        ngx_memzero(&worker->store, sizeof(beacon_live_t));
    }

    /* AGAIN: the helper makes it in a moment */

    if (rc != BEACON_OK && rc != BEACON_AGAIN && !worker->said) {
        worker->said = 1;
        ngx_log_error(NGX_LOG_ERR, worker->log,
                      (rc == BEACON_SYS) ? ngx_errno : 0,
                      "beacon: the live store in \"%V\" cannot be attached: "
                      "%s, trying again", &worker->dir, err.text);
    }

    ngx_add_timer(&worker->attach, worker->store.head
                                   ? NGX_HTTP_BEACON_LIVE_LOOK
                                   : NGX_HTTP_BEACON_LIVE_RETRY);
}


static void
ngx_http_beacon_live_attach_event(ngx_event_t *ev)
{
    ngx_http_beacon_live_worker_t  *worker = ev->data;

    if (worker->store.head == NULL) {
        ngx_http_beacon_live_attach(worker);
        return;
    }

    (void) ngx_http_beacon_live_there(worker);

    if (!ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_BEACON_LIVE_LOOK);
    }
}


ngx_uint_t
ngx_http_beacon_live_there(ngx_http_beacon_live_worker_t *worker)
{
    if (worker->store.head
        && ngx_current_msec - worker->tried >= NGX_HTTP_BEACON_LIVE_RETRY)
    {
        worker->tried = ngx_current_msec;

        if (!beacon_live_current(&worker->store)
            || !ngx_http_beacon_live_named(worker))
        {
            ngx_http_beacon_live_attach(worker);
        }
    }

    return worker->store.head != NULL;
}


/* A store that was damaged, cut short or removed cannot say that it has a
   successor. */

static ngx_uint_t
ngx_http_beacon_live_named(ngx_http_beacon_live_worker_t *worker)
{
    u_char       name[NGX_MAX_PATH];
    struct stat  st;

    (void) ngx_snprintf(name, NGX_MAX_PATH, "%V/live.%016xL%Z", &worker->dir,
                        worker->store.epoch);

    return stat((char *) name, &st) == 0
           && (uint64_t) st.st_size >= worker->store.size;
}


void
ngx_http_beacon_live_look(ngx_http_beacon_live_ctx_t *ctx)
{
    beacon_str_t                    name;
    ngx_http_beacon_live_worker_t  *worker;

    worker = ctx->worker;

    name.data = ctx->site.data;
    name.len = ctx->site.len;

    ctx->epoch = worker->store.epoch;
    ctx->found = worker->store.head
                 && beacon_live_find(&worker->store, name, &ctx->info)
                    == BEACON_OK;

    if (!ctx->found) {
        ngx_memzero(&ctx->info, sizeof(beacon_live_info_t));
    }
}


/* With the cycle's pool, behind all requests. */

static void
ngx_http_beacon_live_cleanup(void *data)
{
    ngx_http_beacon_live_worker_t  *worker = data;

    if (worker->attach.timer_set) {
        ngx_del_timer(&worker->attach);
    }

    if (worker->tick.timer_set) {
        ngx_del_timer(&worker->tick);
    }

    if (worker->turn.timer_set) {
        ngx_del_timer(&worker->turn);
    }

    if (worker->store.head) {
        beacon_live_detach(&worker->store);
    }
}
