/*
 * Supervision's own: the state machine (ngx_http_beacon_helper.c), the process
 * it watches (..._process.c), reload, reopen and exit (..._hooks.c).
 */

#ifndef NGX_HTTP_BEACON_SUPERVISE_H
#define NGX_HTTP_BEACON_SUPERVISE_H


#include "ngx_http_beacon_publish.h"


typedef enum {
    NGX_HTTP_BEACON_SEEK = 0,
    NGX_HTTP_BEACON_HELLO,
    NGX_HTTP_BEACON_ADOPT,
    NGX_HTTP_BEACON_UP,
    NGX_HTTP_BEACON_REPLACE,
    NGX_HTTP_BEACON_PASSIVE
} ngx_http_beacon_supervise_e;


typedef struct {
    ngx_http_beacon_main_conf_t  *bmcf;
    ngx_pid_t                     process;      /* ours: a forked child is not
                                                   the supervisor */
    uint64_t                      generation;
    ngx_uint_t                    external;
    ngx_http_beacon_supervise_e   state;
    ngx_event_t                   timer;
    ngx_connection_t              dummy;        /* of the timer */
    ngx_connection_t             *connection;   /* to the helper, or NULL */
    ngx_socket_t                  fd;           /* of the connection, or -1 */
    ngx_pid_t                     pid;          /* the helper's, or -1 */
    ngx_uint_t                    started;      /* by us: not adopted */
    ngx_uint_t                    reopen;       /* USR1 came */
    ngx_msec_t                    since;        /* connected */
    ngx_msec_t                    delay;        /* of the next restart */
    uint64_t                      done;         /* hits, at the last one */
    ngx_fd_t                      lock;
    ngx_uint_t                    held;         /* the lock is */
    ngx_msec_t                    vacant;       /* PASSIVE: since when nobody
                                                   has it; 0: somebody does */
} ngx_http_beacon_supervisor_t;


/* bmcf->supervise */

typedef struct {
    void       (*flush)(ngx_open_file_t *file, ngx_log_t *log);
} ngx_http_beacon_reopen_t;


/*
 * A property of this process, not of a configuration: atexit() handlers take
 * no argument, and run after the cycle's pool may be gone.  NULL: this process
 * supervises nothing.
 */

extern ngx_http_beacon_supervisor_t  *ngx_http_beacon_supervisor;

#define NGX_HTTP_BEACON_LINE  512       /* of the control socket */


void ngx_http_beacon_helper_adopt(ngx_http_beacon_supervisor_t *sv);
void ngx_http_beacon_helper_exit(void);         /* for atexit() */


/* Starts beacond, with one end of a socketpair as its descriptor 3.  Returns
   the other end, non-blocking, or -1, logged. */
ngx_socket_t ngx_http_beacon_helper_spawn(ngx_http_beacon_main_conf_t *bmcf,
    ngx_pid_t *pid, ngx_log_t *log);

/* Connects to a helper that runs; -1: there is none. */
ngx_socket_t ngx_http_beacon_helper_connect(ngx_http_beacon_main_conf_t *bmcf,
    ngx_pid_t *pid);

/* Hits that the books say the sinks are done with, together; 0: no books. */
uint64_t ngx_http_beacon_helper_done(ngx_http_beacon_main_conf_t *bmcf);

/* 1: what runs as pid is what the configuration names, as far as one can
   tell; 0: the file there is another one by now. */
ngx_uint_t ngx_http_beacon_helper_same(ngx_http_beacon_main_conf_t *bmcf,
    ngx_pid_t pid);

/* One message; with_log: and our standard error, which is the error log. */
ngx_int_t ngx_http_beacon_helper_send(ngx_socket_t s, const char *line,
    ngx_uint_t with_log);

/* Byte 1 of beacond.lock: the mark of the one active manager. */
ngx_fd_t ngx_http_beacon_helper_lock_open(ngx_http_beacon_main_conf_t *bmcf);
ngx_uint_t ngx_http_beacon_helper_lock_free(ngx_fd_t fd);
ngx_uint_t ngx_http_beacon_helper_lock(ngx_fd_t fd);
void ngx_http_beacon_helper_unlock(ngx_fd_t fd);


#endif /* NGX_HTTP_BEACON_SUPERVISE_H */
