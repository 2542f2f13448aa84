/*
 * Supervision of beacond, in nginx's cache manager process (with
 * master_process off, in the only one).
 *
 *     SEEK     no helper: adopt one that runs, else start one
 *     HELLO    connected, it has not spoken yet
 *     ADOPT    asked it to adopt our generation
 *     UP       supervising
 *     REPLACE  it is of another build: it was asked to make room
 *     PASSIVE  a manager of a higher generation supervises; we only watch
 *              whether that one is still there (src/README.md)
 *
 * Nothing here waits but the exit handler.  Events: the helper's socket, whose
 * end of file is its death, and one timer.
 */

#include "ngx_http_beacon_supervise.h"

static ngx_msec_t ngx_http_beacon_helper_manager(void *data);
static ngx_int_t ngx_http_beacon_helper_start(
    ngx_http_beacon_main_conf_t *bmcf);
static void ngx_http_beacon_helper_timer(ngx_event_t *ev);
static void ngx_http_beacon_helper_read(ngx_event_t *rev);
static void ngx_http_beacon_helper_room(ngx_http_beacon_supervisor_t *sv);
static void ngx_http_beacon_helper_seek(ngx_http_beacon_supervisor_t *sv);
static ngx_int_t ngx_http_beacon_helper_connected(
    ngx_http_beacon_supervisor_t *sv, ngx_socket_t s);
static void ngx_http_beacon_helper_close(ngx_http_beacon_supervisor_t *sv);
static void ngx_http_beacon_helper_gone(ngx_http_beacon_supervisor_t *sv);
static void ngx_http_beacon_helper_line(ngx_http_beacon_supervisor_t *sv,
    u_char *line);
static void ngx_http_beacon_helper_hello(ngx_http_beacon_supervisor_t *sv,
    uint64_t generation);
static void ngx_http_beacon_helper_yield(ngx_http_beacon_supervisor_t *sv,
    uint64_t generation);
static void ngx_http_beacon_helper_watch(ngx_http_beacon_supervisor_t *sv);


#define NGX_HTTP_BEACON_BACKOFF_FIRST  100      /* ms; after the first restart,
                                                   which is at once */
#define NGX_HTTP_BEACON_BACKOFF_LAST   5000
#define NGX_HTTP_BEACON_BACKOFF_UP     400      /* the most after one that was
                                                   up, */
#define NGX_HTTP_BEACON_PROGRESS       1000     /* and for so long: at once */
#define NGX_HTTP_BEACON_LOCK_TRY       200
#define NGX_HTTP_BEACON_WATCH          250
#define NGX_HTTP_BEACON_VACANT         1000
#define NGX_HTTP_BEACON_ROOM           3000     /* to make room; then SIGKILL,
                                                   which it must survive */
#define NGX_HTTP_BEACON_SEEK_EXTERNAL  1000


ngx_http_beacon_supervisor_t  *ngx_http_beacon_supervisor;


ngx_int_t
ngx_http_beacon_helper_init(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf)
{
    bmcf->supervise = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_reopen_t));
    if (bmcf->supervise == NULL) {
        return NGX_ERROR;
    }

    bmcf->path->manager = ngx_http_beacon_helper_manager;
    bmcf->path->data = bmcf;

    return NGX_OK;
}


/* The cache manager calls this once, soon after its start, and again after the
   time returned. */

static ngx_msec_t
ngx_http_beacon_helper_manager(void *data)
{
    if (ngx_http_beacon_supervisor == NULL
        && ngx_http_beacon_helper_start(data) != NGX_OK)
    {
        return 1000;
    }

    return 3600 * 1000;
}


ngx_int_t
ngx_http_beacon_helper_init_process(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf)
{
    if (ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }

    if (ngx_http_beacon_helper_start(bmcf) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "beacon: no memory to supervise the helper");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_helper_start(ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_http_beacon_supervisor_t  *sv;

    sv = ngx_calloc(sizeof(ngx_http_beacon_supervisor_t), ngx_cycle->log);
    if (sv == NULL) {
        return NGX_ERROR;
    }

    if (atexit(ngx_http_beacon_helper_exit) != 0) {
        ngx_free(sv);
        return NGX_ERROR;
    }

    sv->bmcf = bmcf;
    sv->process = ngx_pid;
    sv->generation = bmcf->generation;
    sv->external = bmcf->external;
    sv->fd = (ngx_socket_t) -1;
    sv->pid = -1;
    sv->lock = NGX_INVALID_FILE;

    sv->dummy.fd = (ngx_socket_t) -1;
    sv->dummy.data = sv;
    sv->timer.data = &sv->dummy;
    sv->timer.handler = ngx_http_beacon_helper_timer;
    sv->timer.log = ngx_cycle->log;
    sv->timer.cancelable = 1;

    ngx_http_beacon_supervisor = sv;
    ngx_http_beacon_helper_timer(&sv->timer);

    return NGX_OK;
}


static void
ngx_http_beacon_helper_timer(ngx_event_t *ev)
{
    ngx_connection_t              *c;
    ngx_http_beacon_supervisor_t  *sv;

    c = ev->data;
    sv = c->data;

    if (sv->state == NGX_HTTP_BEACON_PASSIVE) {
        ngx_http_beacon_helper_watch(sv);
        return;
    }

    if (sv->lock == NGX_INVALID_FILE) {
        sv->lock = ngx_http_beacon_helper_lock_open(sv->bmcf);
    }

    /* the manager before us gives it up when it is displaced, or dies */
    if (!sv->held && sv->lock != NGX_INVALID_FILE) {
        sv->held = ngx_http_beacon_helper_lock(sv->lock);
    }

    if (sv->state == NGX_HTTP_BEACON_SEEK) {
        ngx_http_beacon_helper_seek(sv);

    } else if (sv->state == NGX_HTTP_BEACON_REPLACE) {
        ngx_http_beacon_helper_room(sv);
    }

    /* one that is not there yet opens its files anew by itself */
    if (sv->reopen && (sv->state == NGX_HTTP_BEACON_ADOPT
                       || sv->state == NGX_HTTP_BEACON_UP))
    {
        (void) ngx_http_beacon_helper_send(sv->fd, "REOPEN", 1);
    }

    sv->reopen = 0;

    if (!sv->timer.timer_set
        && (!sv->held || sv->state == NGX_HTTP_BEACON_REPLACE))
    {
        ngx_add_timer(&sv->timer, NGX_HTTP_BEACON_LOCK_TRY);
    }
}


/* REPLACE: one that hangs does not hear us.  It survives a SIGKILL. */

static void
ngx_http_beacon_helper_room(ngx_http_beacon_supervisor_t *sv)
{
    if (ngx_current_msec - sv->since < NGX_HTTP_BEACON_ROOM || sv->pid <= 0) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "beacon: helper %P does not make room: killing it", sv->pid);

    (void) kill(sv->pid, SIGKILL);
    sv->pid = -1;
}


static void
ngx_http_beacon_helper_seek(ngx_http_beacon_supervisor_t *sv)
{
    ngx_socket_t  s;

    sv->started = 0;
    s = ngx_http_beacon_helper_connect(sv->bmcf, &sv->pid);

    if (s == (ngx_socket_t) -1 && sv->external) {
        ngx_add_timer(&sv->timer, NGX_HTTP_BEACON_SEEK_EXTERNAL);
        return;
    }

    if (s == (ngx_socket_t) -1) {
        sv->started = 1;
        s = ngx_http_beacon_helper_spawn(sv->bmcf, &sv->pid, ngx_cycle->log);
    }

    if (s == (ngx_socket_t) -1
        || ngx_http_beacon_helper_connected(sv, s) != NGX_OK)
    {
        sv->since = ngx_current_msec;
        ngx_http_beacon_helper_gone(sv);
    }
}


static ngx_int_t
ngx_http_beacon_helper_connected(ngx_http_beacon_supervisor_t *sv,
    ngx_socket_t s)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(s, ngx_cycle->log);

    if (c == NULL) {
        (void) close(s);
        return NGX_ERROR;
    }

    c->data = sv;
    c->log = ngx_cycle->log;
    c->read->log = ngx_cycle->log;
    c->write->log = ngx_cycle->log;
    c->read->handler = ngx_http_beacon_helper_read;

    sv->connection = c;
    sv->fd = s;
    sv->since = ngx_current_msec;
    sv->state = NGX_HTTP_BEACON_HELLO;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_beacon_helper_close(sv);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_beacon_helper_close(ngx_http_beacon_supervisor_t *sv)
{
    if (sv->connection) {
        ngx_close_connection(sv->connection);
        sv->connection = NULL;
    }

    sv->fd = (ngx_socket_t) -1;
    sv->pid = -1;
}


/* There is no helper (any more): the next one at once, then less and less;
   one that got hits done, or lived long, starts this anew. */

static void
ngx_http_beacon_helper_gone(ngx_http_beacon_supervisor_t *sv)
{
    uint64_t                     done;
    ngx_msec_t                   delay;
    ngx_http_beacon_supervise_e  state;

    state = sv->state;

    ngx_http_beacon_helper_close(sv);
    sv->state = NGX_HTTP_BEACON_SEEK;

    done = ngx_http_beacon_helper_done(sv->bmcf);

    if (state == NGX_HTTP_BEACON_REPLACE || done > sv->done
        || (state == NGX_HTTP_BEACON_UP
            && ngx_current_msec - sv->since >= NGX_HTTP_BEACON_PROGRESS))
    {
        sv->delay = 0;

    } else if (state == NGX_HTTP_BEACON_UP) {
        sv->delay = ngx_min(sv->delay, NGX_HTTP_BEACON_BACKOFF_UP);
    }

    sv->done = done;

    delay = sv->delay;
    sv->delay = delay ? ngx_min(2 * delay, NGX_HTTP_BEACON_BACKOFF_LAST)
                      : NGX_HTTP_BEACON_BACKOFF_FIRST;

    if (state != NGX_HTTP_BEACON_REPLACE) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "beacon: the helper is gone, %s in %M ms",
                      sv->external ? "looking again" : "starting one", delay);
    }

    ngx_add_timer(&sv->timer, ngx_max(delay, 1));
}


static void
ngx_http_beacon_helper_read(ngx_event_t *rev)
{
    u_char                         line[NGX_HTTP_BEACON_LINE];
    ssize_t                        n;
    ngx_connection_t              *c;
    ngx_http_beacon_supervisor_t  *sv;

    c = rev->data;
    sv = c->data;

    /* a line may be the last that concerns us */
    while (sv->connection == c) {

        n = recv(sv->fd, line, sizeof(line) - 1, MSG_DONTWAIT);

        if (n == -1 && ngx_errno == NGX_EINTR) {
            continue;
        }

        if (n == -1 && ngx_errno == NGX_EAGAIN) {
            if (ngx_handle_read_event(rev, 0) == NGX_OK) {
                return;
            }

            n = 0;
        }

        if (n <= 0) {
            ngx_http_beacon_helper_gone(sv);
            return;
        }

        line[n] = '\0';
        ngx_http_beacon_helper_line(sv, line);
    }
}


static void
ngx_http_beacon_helper_line(ngx_http_beacon_supervisor_t *sv, u_char *line)
{
    char                version[32];
    unsigned long long  generation;

    if (sscanf((char *) line, "HELLO %31s %llu", version, &generation) == 2) {
        ngx_http_beacon_helper_hello(sv, generation);

    } else if (sscanf((char *) line, "DISPLACED %llu", &generation) == 1) {
        ngx_http_beacon_helper_yield(sv, generation);

    } else if (sscanf((char *) line, "ADOPTED %llu", &generation) == 1) {
        sv->state = NGX_HTTP_BEACON_UP;
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "beacon: helper %P %s, configuration %uL", sv->pid,
                      sv->started ? "started" : "adopted",
                      (uint64_t) generation);

    } else if (ngx_strncmp(line, "FAILED ", 7) == 0) {
        /* it goes on with what it has, or leaves; it has said so itself */
        if (sv->state == NGX_HTTP_BEACON_ADOPT) {
            sv->state = NGX_HTTP_BEACON_UP;
        }
    }

    /* DRAINED, LEFT: somebody stopped it; its end of file follows */
}


static void
ngx_http_beacon_helper_hello(ngx_http_beacon_supervisor_t *sv,
    uint64_t generation)
{
    u_char  line[sizeof("STOP 0 ") + NGX_INT64_LEN];

    if (generation > sv->generation) {
        ngx_http_beacon_helper_yield(sv, generation);
        return;
    }

    if (sv->started || sv->external
        || ngx_http_beacon_helper_same(sv->bmcf, sv->pid))
    {
        ngx_http_beacon_helper_adopt(sv);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "beacon: \"%V\" is another build than helper %P: "
                  "replacing it", &sv->bmcf->helper, sv->pid);

    (void) ngx_sprintf(line, "STOP 0 %uL%Z", sv->generation);
    (void) ngx_http_beacon_helper_send(sv->fd, (char *) line, 0);

    sv->state = NGX_HTTP_BEACON_REPLACE;
    sv->since = ngx_current_msec;
    ngx_add_timer(&sv->timer, NGX_HTTP_BEACON_ROOM);
}


void
ngx_http_beacon_helper_adopt(ngx_http_beacon_supervisor_t *sv)
{
    u_char  line[sizeof("ADOPT ") + NGX_INT64_LEN];

    (void) ngx_sprintf(line, "ADOPT %uL%Z", sv->generation);
    (void) ngx_http_beacon_helper_send(sv->fd, (char *) line, 1);

    sv->state = NGX_HTTP_BEACON_ADOPT;
}


/* Another manager has the helper: we neither start nor stop one. */

static void
ngx_http_beacon_helper_yield(ngx_http_beacon_supervisor_t *sv,
    uint64_t generation)
{
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "beacon: helper %P is supervised for configuration %uL, "
                  "ours is %uL", sv->pid, generation, sv->generation);

    ngx_http_beacon_helper_close(sv);

    if (sv->held) {
        ngx_http_beacon_helper_unlock(sv->lock);
        sv->held = 0;
    }

    sv->state = NGX_HTTP_BEACON_PASSIVE;
    sv->vacant = 0;
    ngx_add_timer(&sv->timer, NGX_HTTP_BEACON_WATCH);
}


/* PASSIVE.  Nobody active for a second: a new master was rolled back. */

static void
ngx_http_beacon_helper_watch(ngx_http_beacon_supervisor_t *sv)
{
    ngx_add_timer(&sv->timer, NGX_HTTP_BEACON_WATCH);

    if (sv->lock == NGX_INVALID_FILE
        || !ngx_http_beacon_helper_lock_free(sv->lock))
    {
        sv->vacant = 0;
        return;
    }

    if (sv->vacant == 0) {
        sv->vacant = ngx_max(ngx_current_msec, 1);
        return;
    }

    if (ngx_current_msec - sv->vacant < NGX_HTTP_BEACON_VACANT
        || !ngx_http_beacon_helper_lock(sv->lock))
    {
        return;
    }

    sv->held = 1;

    if (ngx_http_beacon_publish_again(sv->bmcf, ngx_cycle->log) != NGX_OK) {
        ngx_http_beacon_helper_unlock(sv->lock);
        sv->held = 0;
        sv->vacant = 0;
        return;
    }

    sv->generation = sv->bmcf->generation;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "beacon: nobody supervises the helper: taking over, with "
                  "configuration %uL", sv->generation);

    sv->state = NGX_HTTP_BEACON_SEEK;
    sv->delay = 0;
    ngx_add_timer(&sv->timer, 1);
}
