/*
 * Turns.  A request that has more to do gets its next turn in the next round
 * of the event loop; one that waits for news is in its site's group, and one
 * timer of the worker asks the store for each group's newest hit.  So many who
 * wait cost one question a site, and those who are told get their turns a few
 * at a time: hits are captured in between.
 */

#include "ngx_http_beacon_live.h"


static ngx_int_t ngx_http_beacon_live_open(ngx_http_beacon_live_ctx_t *ctx);
static void ngx_http_beacon_live_close(void *data);
static void ngx_http_beacon_live_place(ngx_http_beacon_live_ctx_t *ctx,
    ngx_uint_t place);
static ngx_http_beacon_live_group_t *ngx_http_beacon_live_group(
    ngx_http_beacon_live_ctx_t *ctx);
static void ngx_http_beacon_live_leave(ngx_http_beacon_live_ctx_t *ctx);
static void ngx_http_beacon_live_ask(ngx_event_t *ev);
static ngx_uint_t ngx_http_beacon_live_news(
    ngx_http_beacon_live_worker_t *worker,
    ngx_http_beacon_live_group_t *group);
static void ngx_http_beacon_live_wake(ngx_http_beacon_live_worker_t *worker,
    ngx_http_beacon_live_group_t *group);
static void ngx_http_beacon_live_schedule(
    ngx_http_beacon_live_worker_t *worker);
static void ngx_http_beacon_live_turns(ngx_event_t *ev);


/*
 * News are asked for each so many ms, and a fifth of one more for each who
 * waits: 5,000 streams are told once a second.
 */
#define NGX_HTTP_BEACON_LIVE_TICK   100

/*
 * Requests that get a turn in one round of the event loop; where that is not
 * all, the others are next so many ms later.  So many who are told at once
 * leave the worker to the hits most of the time, whoever they are.
 */
#define NGX_HTTP_BEACON_LIVE_TURNS  5
#define NGX_HTTP_BEACON_LIVE_REST   1


void
ngx_http_beacon_live_wait_init(ngx_http_beacon_live_worker_t *worker)
{
    ngx_rbtree_init(&worker->names, &worker->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&worker->groups);
    ngx_queue_init(&worker->open);
    ngx_queue_init(&worker->ready);

    worker->tick.data = worker;
    worker->tick.handler = ngx_http_beacon_live_ask;
    worker->tick.log = worker->log;

    worker->turn.data = worker;
    worker->turn.handler = ngx_http_beacon_live_turns;
    worker->turn.log = worker->log;
}


ngx_int_t
ngx_http_beacon_live_begin(ngx_http_beacon_live_ctx_t *ctx,
    ngx_http_beacon_live_turn_pt turn)
{
    uint64_t                        before;
    ngx_int_t                       rc;
    ngx_http_beacon_live_worker_t  *worker;

    worker = ctx->worker;
    ctx->turn = turn;

    /* many requests may come in one round of the event loop */

    if (worker->began != ngx_current_msec) {
        worker->began = ngx_current_msec;
        worker->begun = 0;
    }

    if (worker->begun >= NGX_HTTP_BEACON_LIVE_TURN && !ngx_exiting) {
        rc = ngx_http_beacon_live_again(ctx);

    } else {
        before = worker->read;
        rc = turn(ctx);
        worker->begun += worker->read - before;
    }

    if (rc != NGX_HTTP_BEACON_LIVE_LATER) {
        return rc;
    }

    ctx->request->main->count++;

    return NGX_DONE;
}


/* A request is told here of once, when it has its first turn to come. */

static ngx_int_t
ngx_http_beacon_live_open(ngx_http_beacon_live_ctx_t *ctx)
{
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    if (ctx->opened) {
        return NGX_OK;
    }

    r = ctx->request;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    if (r == r->main) {
        if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
            return NGX_ERROR;
        }

        /* a body that is being discarded is read on */

        if (!r->discard_body) {
            r->read_event_handler = ngx_http_test_reading;
        }

        if (r->write_event_handler == ngx_http_core_run_phases) {
            r->write_event_handler = ngx_http_request_empty_handler;
        }
    }

    cln->handler = ngx_http_beacon_live_close;
    cln->data = ctx;

    ngx_queue_insert_tail(&ctx->worker->open, &ctx->open);
    ctx->opened = 1;

    return NGX_OK;
}


/* After its last turn, or with the request. */

static void
ngx_http_beacon_live_close(void *data)
{
    ngx_http_beacon_live_ctx_t  *ctx = data;

    if (!ctx->opened) {
        return;
    }

    ctx->opened = 0;
    ngx_queue_remove(&ctx->open);

    ngx_http_beacon_live_place(ctx, NGX_HTTP_BEACON_LIVE_NOWHERE);
    ngx_http_beacon_live_leave(ctx);

    if (ctx->event.timer_set) {
        ngx_del_timer(&ctx->event);
    }
}


static void
ngx_http_beacon_live_place(ngx_http_beacon_live_ctx_t *ctx, ngx_uint_t place)
{
    if (ctx->place != NGX_HTTP_BEACON_LIVE_NOWHERE) {
        ngx_queue_remove(&ctx->queue);
    }

    ctx->place = place;

    if (place == NGX_HTTP_BEACON_LIVE_READY) {
        ngx_queue_insert_tail(&ctx->worker->ready, &ctx->queue);

    } else if (place == NGX_HTTP_BEACON_LIVE_WAITING) {
        ngx_queue_insert_tail(&ctx->group->waiters, &ctx->queue);
    }
}


ngx_int_t
ngx_http_beacon_live_again(ngx_http_beacon_live_ctx_t *ctx)
{
    if (ngx_http_beacon_live_open(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_beacon_live_place(ctx, NGX_HTTP_BEACON_LIVE_READY);
    ngx_http_beacon_live_schedule(ctx->worker);

    return NGX_HTTP_BEACON_LIVE_LATER;
}


ngx_uint_t
ngx_http_beacon_live_may_wait(ngx_http_beacon_live_worker_t *worker)
{
    return worker->waiters < worker->max;
}


ngx_int_t
ngx_http_beacon_live_wait(ngx_http_beacon_live_ctx_t *ctx)
{
    ngx_http_beacon_live_worker_t  *worker;

    if (ngx_http_beacon_live_open(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    worker = ctx->worker;

    if (ctx->group == NULL) {
        ctx->group = ngx_http_beacon_live_group(ctx);
        if (ctx->group == NULL) {
            return NGX_ERROR;
        }

        ctx->group->members++;
        worker->waiters++;
    }

    ngx_http_beacon_live_place(ctx, NGX_HTTP_BEACON_LIVE_WAITING);

    if (!worker->tick.timer_set) {
        /* without somebody to tell of a shutdown it must be asked for */
        worker->tick.cancelable = (worker->ring->idle != NULL);
        ngx_add_timer(&worker->tick, NGX_HTTP_BEACON_LIVE_TICK);
    }

    return NGX_HTTP_BEACON_LIVE_LATER;
}


static ngx_http_beacon_live_group_t *
ngx_http_beacon_live_group(ngx_http_beacon_live_ctx_t *ctx)
{
    uint32_t                        hash;
    ngx_str_node_t                 *node;
    ngx_http_beacon_live_group_t   *group;
    ngx_http_beacon_live_worker_t  *worker;

    worker = ctx->worker;
    hash = ngx_crc32_short(ctx->site.data, ctx->site.len);

    node = ngx_str_rbtree_lookup(&worker->names, &ctx->site, hash);
    if (node) {
        return (ngx_http_beacon_live_group_t *) node;
    }

    group = ngx_calloc(sizeof(ngx_http_beacon_live_group_t), worker->log);
    if (group == NULL) {
        return NULL;
    }

    ngx_memcpy(group->name, ctx->site.data, ctx->site.len);
    group->node.node.key = hash;
    group->node.str.data = group->name;
    group->node.str.len = ctx->site.len;
    group->found = ctx->found;
    group->site = ctx->info;
    group->epoch = ctx->epoch;
    group->last = ctx->scan.since;

    ngx_queue_init(&group->waiters);
    ngx_queue_insert_tail(&worker->groups, &group->queue);
    ngx_rbtree_insert(&worker->names, &group->node.node);

    return group;
}


static void
ngx_http_beacon_live_leave(ngx_http_beacon_live_ctx_t *ctx)
{
    ngx_http_beacon_live_group_t   *group;
    ngx_http_beacon_live_worker_t  *worker;

    group = ctx->group;

    if (group == NULL) {
        return;
    }

    worker = ctx->worker;

    ctx->group = NULL;
    worker->waiters--;

    if (--group->members == 0) {
        ngx_queue_remove(&group->queue);
        ngx_rbtree_delete(&worker->names, &group->node.node);
        ngx_free(group);
    }

    if (worker->waiters == 0 && worker->tick.timer_set) {
        ngx_del_timer(&worker->tick);
    }
}


/* ---- the tick */

static void
ngx_http_beacon_live_ask(ngx_event_t *ev)
{
    ngx_uint_t                      there;
    ngx_queue_t                    *q;
    ngx_http_beacon_live_group_t   *group;
    ngx_http_beacon_live_worker_t  *worker = ev->data;

    if (ngx_exiting) {
        ngx_http_beacon_live_shutdown(worker);
        return;
    }

    there = ngx_http_beacon_live_there(worker);

    for (q = ngx_queue_head(&worker->groups);
         there && q != ngx_queue_sentinel(&worker->groups);
         q = ngx_queue_next(q))
    {
        group = ngx_queue_data(q, ngx_http_beacon_live_group_t, queue);

        if (ngx_http_beacon_live_news(worker, group)) {
            ngx_http_beacon_live_wake(worker, group);
        }
    }

    if (worker->waiters) {
        ngx_add_timer(&worker->tick, NGX_HTTP_BEACON_LIVE_TICK
                                     + worker->waiters / 5);
    }
}


static ngx_uint_t
ngx_http_beacon_live_news(ngx_http_beacon_live_worker_t *worker,
    ngx_http_beacon_live_group_t *group)
{
    uint64_t       last;
    beacon_str_t   name;

    last = 0;

    if (group->epoch != worker->store.epoch) {
        group->epoch = worker->store.epoch;
        group->found = 0;
        group->last = (uint64_t) -1;
    }

    if (group->found) {
        last = beacon_live_last(&worker->store, &group->site);
    }

    if (last == 0) {
        name.data = group->name;
        name.len = group->node.str.len;

        group->found = (beacon_live_find(&worker->store, name, &group->site)
                        == BEACON_OK);

        if (group->found) {
            last = group->site.last;
        }
    }

    if (last == group->last) {
        return 0;
    }

    group->last = last;

    return 1;
}


static void
ngx_http_beacon_live_wake(ngx_http_beacon_live_worker_t *worker,
    ngx_http_beacon_live_group_t *group)
{
    ngx_queue_t                 *q;
    ngx_http_beacon_live_ctx_t  *ctx;

    if (ngx_queue_empty(&group->waiters)) {
        return;
    }

    for (q = ngx_queue_head(&group->waiters);
         q != ngx_queue_sentinel(&group->waiters);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_beacon_live_ctx_t, queue);
        ctx->place = NGX_HTTP_BEACON_LIVE_READY;
    }

    ngx_queue_add(&worker->ready, &group->waiters);
    ngx_queue_init(&group->waiters);

    ngx_http_beacon_live_schedule(worker);
}


/* ---- turns */

static void
ngx_http_beacon_live_schedule(ngx_http_beacon_live_worker_t *worker)
{
    if (!worker->turn.posted && !worker->turn.timer_set && !worker->turning) {
        ngx_post_event(&worker->turn, &ngx_posted_next_events);
    }
}


static void
ngx_http_beacon_live_turns(ngx_event_t *ev)
{
    ngx_uint_t                      n;
    ngx_queue_t                    *q;
    ngx_http_beacon_live_ctx_t     *ctx;
    ngx_http_beacon_live_worker_t  *worker = ev->data;

    worker->read = 0;
    worker->turning = 1;

    for (n = 0; n < NGX_HTTP_BEACON_LIVE_TURNS
                && worker->read < NGX_HTTP_BEACON_LIVE_TURN; n++)
    {
        if (ngx_queue_empty(&worker->ready)) {
            break;
        }

        q = ngx_queue_head(&worker->ready);
        ctx = ngx_queue_data(q, ngx_http_beacon_live_ctx_t, queue);

        ngx_http_beacon_live_run(ctx);
    }

    worker->turning = 0;

    if (ngx_queue_empty(&worker->ready)) {
        return;
    }

    if (ngx_queue_head(&worker->ready) == ngx_queue_last(&worker->ready)) {
        /* one alone need not wait */
        ngx_http_beacon_live_schedule(worker);

    } else {
        worker->turn.cancelable = (worker->ring->idle != NULL);
        ngx_add_timer(&worker->turn, NGX_HTTP_BEACON_LIVE_REST);
    }
}


void
ngx_http_beacon_live_run(ngx_http_beacon_live_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_beacon_live_place(ctx, NGX_HTTP_BEACON_LIVE_NOWHERE);

    /* a stream waits for the next one */

    rc = (ctx->worker->store.head || r->header_sent)
         ? ctx->turn(ctx)
         : ngx_http_beacon_live_problem(r, BEACON_LIVE_REFUSE_STORE,
                                        "the live store has gone");

    if (rc == NGX_HTTP_BEACON_LIVE_LATER && ngx_exiting) {
        rc = NGX_ERROR;
    }

    if (rc != NGX_HTTP_BEACON_LIVE_LATER) {
        ngx_http_beacon_live_close(ctx);
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * A worker that was told to shut down waits for connections only as long as
 * they have timers: all that is open gets its last turn now.
 */

void
ngx_http_beacon_live_shutdown(ngx_http_beacon_live_worker_t *worker)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&worker->open)) {
        q = ngx_queue_head(&worker->open);

        ngx_http_beacon_live_run(ngx_queue_data(q, ngx_http_beacon_live_ctx_t,
                                                open));
    }
}
