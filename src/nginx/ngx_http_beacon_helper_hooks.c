/* Supervision: reload in a single process, USR1, exit. */

#include "ngx_http_beacon_supervise.h"

#include <poll.h>


static void ngx_http_beacon_helper_hook(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf);
static void ngx_http_beacon_helper_flush(ngx_open_file_t *file,
    ngx_log_t *log);
static int64_t ngx_http_beacon_helper_now(void);
static void ngx_http_beacon_helper_wait(ngx_socket_t s, int64_t ms);


#define NGX_HTTP_BEACON_STOP_QUIT      4000
#define NGX_HTTP_BEACON_STOP_TERM      2000     /* the master kills at 3 s */
#define NGX_HTTP_BEACON_STOP_MARGIN    500


/*
 * nginx tells of USR1 by reopening its files, each after its flush callback.
 * A file of our own in the ring's directory would be a hole: the master opens
 * it and gives it to the worker user by name, as root, and the worker user
 * could have made that name a link to any file.  So we hook on one that is
 * there anyway, best of all one without a callback.  Where there is none
 * (error_log stderr and no access_log), logs still notice their renaming.
 */

static void
ngx_http_beacon_helper_hook(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_uint_t                 i;
    ngx_list_part_t           *part;
    ngx_open_file_t           *file, *chosen;
    ngx_http_beacon_reopen_t  *reopen;

    chosen = NULL;
    part = &cycle->open_files.part;
    file = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            file = part->elts;
            i = 0;
        }

        if (file[i].name.len && (chosen == NULL || chosen->flush)) {
            chosen = &file[i];
        }
    }

    if (chosen) {
        reopen = bmcf->supervise;
        reopen->flush = chosen->flush;
        chosen->flush = ngx_http_beacon_helper_flush;
    }
}


void
ngx_http_beacon_helper_renew(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_http_beacon_supervisor_t  *sv;

    ngx_http_beacon_helper_hook(cycle, bmcf);

    /* with master_process off, a reload is no new process */
    sv = ngx_http_beacon_supervisor;

    if (sv == NULL || sv->process != ngx_pid) {
        return;
    }

    sv->bmcf = bmcf;
    sv->generation = bmcf->generation;
    sv->external = bmcf->external;

    if (sv->state == NGX_HTTP_BEACON_PASSIVE) {
        sv->state = NGX_HTTP_BEACON_SEEK;
        ngx_add_timer(&sv->timer, 1);

    } else if (sv->state == NGX_HTTP_BEACON_ADOPT
               || sv->state == NGX_HTTP_BEACON_UP)
    {
        ngx_http_beacon_helper_adopt(sv);
    }
}


static void
ngx_http_beacon_helper_flush(ngx_open_file_t *file, ngx_log_t *log)
{
    ngx_http_beacon_reopen_t      *reopen;
    ngx_http_beacon_main_conf_t   *bmcf;
    ngx_http_beacon_supervisor_t  *sv;

    bmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_beacon_module);
    reopen = bmcf->supervise;

    if (reopen->flush) {
        reopen->flush(file, log);
    }

    sv = ngx_http_beacon_supervisor;

    if (sv && sv->process == ngx_pid) {
        /* later: by then standard error is the new file too */
        sv->reopen = 1;
        ngx_add_timer(&sv->timer, 1);
    }
}


static int64_t
ngx_http_beacon_helper_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/*
 * The manager leaves, and the master waits for it: time for the helper to
 * drain.  As PID 1 nginx would take it, and the ring's tmpfs, with it.
 */

void
ngx_http_beacon_helper_exit(void)
{
    char                           line[NGX_HTTP_BEACON_LINE];
    int64_t                        ms;
    ngx_http_beacon_supervisor_t  *sv;

    sv = ngx_http_beacon_supervisor;

    if (sv == NULL || sv->process != getpid() || sv->external
        || sv->fd == (ngx_socket_t) -1 || (!ngx_quit && !ngx_terminate))
    {
        return;
    }

    ms = ngx_terminate ? NGX_HTTP_BEACON_STOP_TERM : NGX_HTTP_BEACON_STOP_QUIT;

    /* an old master's manager may take over as soon as we are on our way */
    if (sv->held) {
        ngx_http_beacon_helper_unlock(sv->lock);
    }

    (void) snprintf(line, sizeof(line), "STOP %lld %llu", (long long) ms,
                    (unsigned long long) sv->generation);

    if (ngx_http_beacon_helper_send(sv->fd, line, 0) == NGX_OK) {
        ngx_http_beacon_helper_wait(sv->fd, ms);
    }
}


/* Until it has drained and is gone, says that it will not, or time is up. */

static void
ngx_http_beacon_helper_wait(ngx_socket_t s, int64_t ms)
{
    char           line[NGX_HTTP_BEACON_LINE];
    ssize_t        n;
    int64_t        now, until;
    ngx_uint_t     quit;
    struct pollfd  pfd;

    quit = !ngx_terminate;
    now = ngx_http_beacon_helper_now();
    until = now + ms + NGX_HTTP_BEACON_STOP_MARGIN;

    pfd.fd = s;
    pfd.events = POLLIN;

    while (now < until) {
        (void) poll(&pfd, 1, (int) (until - now));
        now = ngx_http_beacon_helper_now();

        /* QUIT, then TERM: less patience */
        if (quit && ngx_terminate) {
            quit = 0;
            until = ngx_min(until, now + NGX_HTTP_BEACON_STOP_TERM);
        }

        n = recv(s, line, sizeof(line) - 1, MSG_DONTWAIT);

        if (n == -1 && (ngx_errno == NGX_EAGAIN || ngx_errno == NGX_EINTR)) {
            continue;
        }

        if (n <= 0) {
            return;
        }

        line[n] = '\0';

        if (ngx_strncmp(line, "LEFT", 4) == 0
            || ngx_strncmp(line, "DISPLACED", 9) == 0)
        {
            return;
        }

        if (ngx_strncmp(line, "DRAINED", 7) == 0) {
            /* let it put things in order: end of file */
            until = ngx_min(until, now + NGX_HTTP_BEACON_STOP_MARGIN);
        }
    }
}
