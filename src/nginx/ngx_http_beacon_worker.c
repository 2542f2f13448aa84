/*
 * What a worker has open: ring, lane, counters.  A lane is claimed when the
 * worker starts and given back when it is told to shut down; a hit that comes
 * later claims one again for a moment.
 */

#include "ngx_http_beacon.h"


static void ngx_http_beacon_worker_try(ngx_http_beacon_worker_t *worker);
static void ngx_http_beacon_worker_open(ngx_http_beacon_worker_t *worker);
static void ngx_http_beacon_worker_watch(ngx_http_beacon_worker_t *worker);
static void ngx_http_beacon_worker_claim(ngx_http_beacon_worker_t *worker);
static void ngx_http_beacon_worker_release(ngx_http_beacon_worker_t *worker);
static void ngx_http_beacon_worker_timer(ngx_event_t *ev);
static void ngx_http_beacon_worker_shutdown(ngx_event_t *rev);
static void ngx_http_beacon_worker_cleanup(void *data);


#define NGX_HTTP_BEACON_CLAIM_FIRST  50         /* ms */
#define NGX_HTTP_BEACON_CLAIM_LAST   1000
#define NGX_HTTP_BEACON_LATE         50         /* a late hit keeps its lane */


ngx_int_t
ngx_http_beacon_worker_create(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_http_beacon_worker_t  *worker;

    worker = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->nowhere = ngx_pmemalign(cf->pool, sizeof(*worker->nowhere),
                                    _Alignof(beacon_worker_counters_t));
    if (worker->nowhere == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(worker->nowhere, sizeof(*worker->nowhere));

    worker->mine = worker->nowhere;
    worker->lock = NGX_INVALID_FILE;

    bmcf->worker = worker;

    return NGX_OK;
}


ngx_int_t
ngx_http_beacon_worker_attach(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_beacon_worker_t  *worker;

    worker = bmcf->worker;

    worker->scratch = ngx_palloc(cycle->pool, NGX_HTTP_BEACON_SCRATCH);
    if (worker->scratch == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_beacon_worker_cleanup;
    cln->data = worker;

    worker->lock_name = ngx_pnalloc(cycle->pool, bmcf->ring.len
                                                 + sizeof("/beacond.lock"));
    if (worker->lock_name == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(worker->lock_name, "%V/beacond.lock%Z", &bmcf->ring);

    worker->seeded = (beacon_random_seed(&worker->random) == BEACON_OK);

    if (worker->seeded) {
        beacon_random_bytes(&worker->random, (u_char *) &worker->seed,
                            sizeof(worker->seed));

    } else {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "beacon: no random bytes, so no \"beacon_cookie\"");
    }

    worker->dir = bmcf->ring;
    worker->epoch = bmcf->epoch;
    worker->log = cycle->log;
    worker->delay = NGX_HTTP_BEACON_CLAIM_FIRST;

    worker->dummy.fd = (ngx_socket_t) -1;
    worker->dummy.data = worker;
    worker->timer.data = &worker->dummy;
    worker->timer.handler = ngx_http_beacon_worker_timer;
    worker->timer.log = cycle->log;
    worker->timer.cancelable = 1;

    ngx_http_beacon_worker_try(worker);

    return NGX_OK;
}


/*
 * Opens what is not open, claims a lane, and comes back where it could not: a
 * worker without descriptors or memory serves everything else meanwhile.  Says
 * so once.
 */

static void
ngx_http_beacon_worker_try(ngx_http_beacon_worker_t *worker)
{
    ngx_http_beacon_worker_open(worker);

    if (worker->ring && worker->producer.ring == NULL) {
        ngx_http_beacon_worker_watch(worker);
        ngx_http_beacon_worker_claim(worker);
    }

    if (worker->producer.ring && worker->counters.head) {
        worker->delay = NGX_HTTP_BEACON_CLAIM_FIRST;
        return;
    }

    ngx_add_timer(&worker->timer, worker->delay);

    worker->delay = ngx_min(2 * worker->delay, NGX_HTTP_BEACON_CLAIM_LAST);
}


static void
ngx_http_beacon_worker_open(ngx_http_beacon_worker_t *worker)
{
    ngx_uint_t    say;
    beacon_rc_t   rc;
    beacon_err_t  err;

    say = (worker->delay == NGX_HTTP_BEACON_CLAIM_FIRST);

    if (worker->ring == NULL) {
        rc = beacon_ring_attach((char *) worker->dir.data, worker->epoch, 1,
                                &worker->ring, &err);
        if (rc != BEACON_OK) {
            worker->ring = NULL;

            if (say) {
                ngx_log_error(NGX_LOG_CRIT, worker->log, 0,
                              "beacon: the ring in \"%V\" cannot be attached, "
                              "hits are refused: %s, trying again",
                              &worker->dir, err.text);
            }
        }
    }

    if (worker->counters.head == NULL) {
        rc = beacon_counters_attach((char *) worker->dir.data, (uid_t) -1,
                                    (gid_t) -1, &worker->counters, &err);
        if (rc == BEACON_OK) {
            worker->mine = &worker->counters.workers[worker->producer.ring
                                                     ? worker->producer.index
                                                     : BEACON_LANES_MAX];
        } else {
            worker->counters.head = NULL;

            if (say) {
                ngx_log_error(NGX_LOG_CRIT, worker->log, 0,
                              "beacon: the counters in \"%V\" cannot be "
                              "attached, refusals are not counted: %s",
                              &worker->dir, err.text);
            }
        }
    }

    if (worker->lock == NGX_INVALID_FILE) {
        worker->lock = open((char *) worker->lock_name,
                            O_RDWR|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600);
    }
}


/*
 * ngx_close_idle_connections() is the one thing that a worker does when it is
 * told to shut down: a connection that is none gets that call.  Without a free
 * connection the lane is only given back at exit.
 */

static void
ngx_http_beacon_worker_watch(ngx_http_beacon_worker_t *worker)
{
    ngx_connection_t  *c;

    if (ngx_process != NGX_PROCESS_WORKER || worker->idle) {
        return;
    }

    c = ngx_get_connection(worker->ring->fd, worker->log);
    if (c == NULL) {
        return;
    }

    c->data = worker;
    c->idle = 1;
    c->read->handler = ngx_http_beacon_worker_shutdown;
    c->read->log = worker->log;
    c->write->log = worker->log;

    worker->idle = c;
}


static void
ngx_http_beacon_worker_shutdown(ngx_event_t *rev)
{
    ngx_connection_t          *c;
    ngx_http_beacon_worker_t  *worker;

    c = rev->data;
    worker = c->data;

    worker->idle = NULL;

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;
    c->idle = 0;

    ngx_http_beacon_worker_release(worker);

    if (worker->live) {
        ngx_http_beacon_live_shutdown(worker->live);
    }
}


static void
ngx_http_beacon_worker_claim(ngx_http_beacon_worker_t *worker)
{
    beacon_rc_t  rc;

    rc = beacon_lane_claim(worker->ring, &worker->producer);

    if (rc == BEACON_OK) {
        if (worker->counters.head) {
            worker->mine = &worker->counters.workers[worker->producer.index];
        }

        return;
    }

    worker->producer.ring = NULL;

    if (!ngx_exiting && worker->delay == NGX_HTTP_BEACON_CLAIM_FIRST) {
        ngx_log_error(NGX_LOG_WARN, worker->log,
                      (rc == BEACON_SYS) ? ngx_errno : 0,
                      "beacon: %s, trying again",
                      (rc == BEACON_AGAIN) ? "all lanes are owned"
                      : (rc == BEACON_FULL) ? "no space for a lane"
                                            : "no lane can be claimed");
    }
}


static void
ngx_http_beacon_worker_release(ngx_http_beacon_worker_t *worker)
{
    if (worker->timer.timer_set) {
        ngx_del_timer(&worker->timer);
    }

    if (worker->producer.ring) {
        beacon_lane_release(&worker->producer);
    }

    worker->mine = worker->counters.head
                   ? &worker->counters.workers[BEACON_LANES_MAX]
                   : worker->nowhere;
}


static void
ngx_http_beacon_worker_timer(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_beacon_worker_t  *worker;

    c = ev->data;
    worker = c->data;

    if (ngx_exiting) {
        /* it was a late hit's */
        ngx_http_beacon_worker_release(worker);
        return;
    }

    ngx_http_beacon_worker_try(worker);
}


/*
 * A hit finds no lane.  Only a worker that is shutting down, and so has given
 * its lane back, makes system calls here; the timer does not hold its exit.
 */

void
ngx_http_beacon_worker_late(ngx_http_beacon_worker_t *worker)
{
    if (!ngx_exiting || worker->ring == NULL) {
        return;
    }

    ngx_http_beacon_worker_claim(worker);

    if (worker->producer.ring) {
        ngx_add_timer(&worker->timer, NGX_HTTP_BEACON_LATE);
    }
}


/* With the cycle's pool: at exit, or when an old configuration goes. */

static void
ngx_http_beacon_worker_cleanup(void *data)
{
    ngx_http_beacon_worker_t  *worker = data;

    ngx_http_beacon_worker_release(worker);

    if (worker->ring) {
        beacon_ring_detach(worker->ring);
        worker->ring = NULL;
    }

    if (worker->counters.head) {
        beacon_counters_detach(&worker->counters);
        worker->counters.head = NULL;
        worker->mine = worker->nowhere;
    }

    if (worker->lock != NGX_INVALID_FILE) {
        (void) close(worker->lock);
        worker->lock = NGX_INVALID_FILE;
    }
}


ngx_uint_t
ngx_http_beacon_lanes(ngx_cycle_t *cycle, ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_uint_t        workers;
    ngx_core_conf_t  *ccf;

    if (bmcf->lanes) {
        return bmcf->lanes;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    workers = (ccf->master && ccf->worker_processes > 0)
              ? (ngx_uint_t) ccf->worker_processes : 1;

    return ngx_min(3 * workers, BEACON_LANES_MAX);
}
