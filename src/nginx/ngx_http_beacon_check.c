/*
 * nginx -t asks beacond -t: what only the helper can judge (templates of its
 * sinks, time zones).  Only there: in a live master somebody else's waitpid(-1)
 * would take the child's exit code, and the answer would have to be waited for.
 */

#include "ngx_http_beacon_publish.h"

#include <sys/wait.h>


#define NGX_HTTP_BEACON_CHECK_MAX  65536        /* bytes of complaints */


static ngx_pid_t ngx_http_beacon_check_spawn(ngx_http_beacon_main_conf_t *bmcf,
    ngx_socket_t s, ngx_log_t *log);
static ngx_int_t ngx_http_beacon_check_ask(ngx_http_beacon_main_conf_t *bmcf,
    ngx_socket_t s, ngx_str_t *said, ngx_log_t *log);
static ngx_int_t ngx_http_beacon_check_send(ngx_socket_t s, u_char *data,
    size_t len);
static void ngx_http_beacon_check_tell(ngx_str_t *said, ngx_log_t *log);
static void ngx_http_beacon_check_line(u_char *line, u_char *end,
    ngx_log_t *log);


ngx_int_t
ngx_http_beacon_check(ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log)
{
    int           status;
    ngx_int_t     rc;
    ngx_str_t     said;
    ngx_pid_t     pid;
    ngx_uint_t    level;
    ngx_socket_t  s[2];

    if (access((char *) bmcf->helper.data, X_OK) == -1) {
        level = bmcf->external ? NGX_LOG_WARN : NGX_LOG_EMERG;

        ngx_log_error(level, log, ngx_errno,
                      "\"beacon_helper\": \"%V\" cannot be run%s%s%V",
                      &bmcf->helper,
                      bmcf->external ? ", so what it knows of spool and sinks "
                                       "is not checked" : "",
                      bmcf->helper_at.len ? " in " : "", &bmcf->helper_at);

        return bmcf->external ? NGX_OK : NGX_ERROR;
    }

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0, s) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "socketpair() failed");
        return NGX_ERROR;
    }

    pid = ngx_http_beacon_check_spawn(bmcf, s[1], log);
    (void) close(s[1]);

    if (pid == -1) {
        (void) close(s[0]);
        return NGX_ERROR;
    }

    rc = ngx_http_beacon_check_ask(bmcf, s[0], &said, log);
    (void) close(s[0]);

    while (waitpid(pid, &status, 0) == -1 && ngx_errno == NGX_EINTR) {
        /* void */
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_beacon_check_tell(&said, log);

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return NGX_OK;
    }

    if (said.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "\"%V -t\" failed without a word, status %d",
                      &bmcf->helper, status);
    }

    return NGX_ERROR;
}


static ngx_pid_t
ngx_http_beacon_check_spawn(ngx_http_beacon_main_conf_t *bmcf, ngx_socket_t s,
    ngx_log_t *log)
{
    char       *argv[5];
    ngx_pid_t   pid;

    argv[0] = (char *) bmcf->helper.data;
    argv[1] = "-t";
    argv[2] = "-c";
    argv[3] = "-";
    argv[4] = NULL;

    pid = fork();

    if (pid == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "fork() failed");
        return -1;
    }

    if (pid == 0) {
        if (dup2(s, STDIN_FILENO) != -1 && dup2(s, STDOUT_FILENO) != -1) {
            (void) execve(argv[0], argv, environ);
        }

        _exit(127);
    }

    return pid;
}


/* Sends the configuration; collects what is said about it. */

static ngx_int_t
ngx_http_beacon_check_ask(ngx_http_beacon_main_conf_t *bmcf, ngx_socket_t s,
    ngx_str_t *said, ngx_log_t *log)
{
    u_char                     *p, head[64];
    ssize_t                     n;
    ngx_http_beacon_publish_t  *publish;

    publish = bmcf->publish;

    said->len = 0;
    said->data = ngx_pnalloc(publish->cycle->pool, NGX_HTTP_BEACON_CHECK_MAX);
    if (said->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(head, NGX_HTTP_BEACON_JSON_HEAD, (uint64_t) 0);

    /* one that does not listen says why by its exit code */
    if (ngx_http_beacon_check_send(s, head, p - head) == NGX_OK) {
        (void) ngx_http_beacon_check_send(s, publish->tail.data,
                                          publish->tail.len);
    }

    (void) shutdown(s, SHUT_WR);

    while (said->len < NGX_HTTP_BEACON_CHECK_MAX) {
        n = recv(s, said->data + said->len,
                 NGX_HTTP_BEACON_CHECK_MAX - said->len, 0);

        if (n == 0 || (n == -1 && ngx_errno == ECONNRESET)) {
            break;
        }

        if (n == -1 && ngx_errno != NGX_EINTR) {
            ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                          "reading from \"%V -t\" failed", &bmcf->helper);
            return NGX_ERROR;
        }

        said->len += ngx_max(n, 0);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_check_send(ngx_socket_t s, u_char *data, size_t len)
{
    ssize_t  n;

    while (len) {
        n = send(s, data, len, MSG_NOSIGNAL);

        if (n == -1 && ngx_errno == NGX_EINTR) {
            continue;
        }

        if (n == -1) {
            return NGX_ERROR;
        }

        data += n;
        len -= n;
    }

    return NGX_OK;
}


static void
ngx_http_beacon_check_tell(ngx_str_t *said, ngx_log_t *log)
{
    u_char  *line, *end, *last;

    last = said->data + said->len;

    for (line = said->data; line < last; line = end + 1) {
        end = ngx_strlchr(line, last, LF);

        if (end == NULL) {
            end = last;
        }

        ngx_http_beacon_check_line(line, end, log);
    }
}


/* "FILE:LINE: [warning: ]sentence" in the words of nginx. */

static void
ngx_http_beacon_check_line(u_char *line, u_char *end, ngx_log_t *log)
{
    u_char      *text, *p;
    ngx_str_t    at, what;
    ngx_uint_t   level;

    text = line;

    for (p = line; p + 1 < end; p++) {
        if (p[0] == ':' && p[1] == ' ') {
            text = p + 2;
            break;
        }
    }

    at.data = line;
    at.len = (text > line) ? (size_t) (text - 2 - line) : 0;

    if (at.len == sizeof("beacond") - 1
        && ngx_strncmp(at.data, "beacond", at.len) == 0)
    {
        at.len = 0;
    }

    level = NGX_LOG_EMERG;

    if (end - text > (ssize_t) sizeof("warning: ") - 1
        && ngx_strncmp(text, "warning: ", sizeof("warning: ") - 1) == 0)
    {
        level = NGX_LOG_WARN;
        text += sizeof("warning: ") - 1;
    }

    what.data = text;
    what.len = end - text;

    if (what.len) {
        ngx_log_error(level, log, 0, "beacon: %V%s%V", &what,
                      at.len ? " in " : "", &at);
    }
}
