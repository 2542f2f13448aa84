/* The helper as a process: started, found, told, recognized. */

#include "ngx_http_beacon_supervise.h"

#include <grp.h>
#include <sys/syscall.h>
#include <sys/un.h>


#define NGX_HTTP_BEACON_HELPER_FD  3


static void ngx_http_beacon_helper_exec(ngx_http_beacon_main_conf_t *bmcf,
    char *const argv[], ngx_socket_t s);
static ngx_int_t ngx_http_beacon_helper_user(
    ngx_http_beacon_main_conf_t *bmcf);


ngx_socket_t
ngx_http_beacon_helper_spawn(ngx_http_beacon_main_conf_t *bmcf, ngx_pid_t *pid,
    ngx_log_t *log)
{
    char                       *argv[5];
    ngx_err_t                   err;
    sigset_t                    all, old;
    ngx_socket_t                s[2];
    ngx_http_beacon_publish_t  *publish;

    publish = bmcf->publish;

    argv[0] = (char *) bmcf->helper.data;
    argv[1] = "-c";
    argv[2] = (char *) publish->file;
    argv[3] = "--supervised";
    argv[4] = NULL;

    if (access(argv[0], X_OK) == -1) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "beacon: \"%s\" cannot be run", argv[0]);
        return -1;
    }

    if (socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_NONBLOCK|SOCK_CLOEXEC, 0, s)
        == -1)
    {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "beacon: socketpair() failed");
        return -1;
    }

    /* nginx's signal handlers must not run in the child */
    (void) sigfillset(&all);
    (void) sigprocmask(SIG_SETMASK, &all, &old);

    *pid = fork();
    err = ngx_errno;

    if (*pid == 0) {
        ngx_http_beacon_helper_exec(bmcf, argv, s[1]);
    }

    (void) sigprocmask(SIG_SETMASK, &old, NULL);
    (void) close(s[1]);

    if (*pid == -1) {
        ngx_log_error(NGX_LOG_ERR, log, err, "beacon: fork() failed");
        (void) close(s[0]);
        return -1;
    }

    return s[0];
}


/* The child, up to its execve(); never returns, never runs atexit handlers. */

static void
ngx_http_beacon_helper_exec(ngx_http_beacon_main_conf_t *bmcf,
    char *const argv[], ngx_socket_t s)
{
    int               fd;
    sigset_t          set;
    ngx_int_t         i;
    struct rlimit     rl;
    struct sigaction  sa;

    static const int  taken[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1 };

    (void) setsid();

    ngx_memzero(&sa, sizeof(struct sigaction));
    sa.sa_handler = SIG_DFL;

    for (i = 1; i < NSIG; i++) {
        (void) sigaction(i, &sa, NULL);
    }

    fd = open("/dev/null", O_RDWR);

    if (fd != -1) {
        (void) dup2(fd, STDIN_FILENO);
        (void) dup2(fd, STDOUT_FILENO);
    }

    /* where it is 3 already, dup2() would leave the close-on-exec flag */
    if (s == NGX_HTTP_BEACON_HELPER_FD) {
        (void) fcntl(s, F_SETFD, 0);

    } else {
        (void) dup2(s, NGX_HTTP_BEACON_HELPER_FD);
    }

    if (syscall(SYS_close_range, NGX_HTTP_BEACON_HELPER_FD + 1, ~0U, 0) == -1
        && getrlimit(RLIMIT_NOFILE, &rl) == 0)
    {
        for (i = NGX_HTTP_BEACON_HELPER_FD + 1; i < (ngx_int_t) rl.rlim_cur;
             i++)
        {
            (void) close(i);
        }
    }

    /*
     * Those that the helper takes stay blocked, and wait until it does: by
     * default they would end it in its first milliseconds.
     */
    (void) sigemptyset(&set);

    for (i = 0; i < (ngx_int_t) (sizeof(taken) / sizeof(taken[0])); i++) {
        (void) sigaddset(&set, taken[i]);
    }

    (void) sigprocmask(SIG_SETMASK, &set, NULL);

    if (ngx_http_beacon_helper_user(bmcf) == NGX_OK) {
        (void) execve(argv[0], argv, environ);
    }

    ngx_log_stderr(ngx_errno, "beacon: \"%V\" cannot be started",
                   &bmcf->helper);
    _exit(127);
}


/* The cache manager is the worker user; with master_process off we are still
   root. */

static ngx_int_t
ngx_http_beacon_helper_user(ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_core_conf_t            *ccf;
    ngx_http_beacon_publish_t  *publish;

    publish = bmcf->publish;

    ccf = (ngx_core_conf_t *) ngx_get_conf(publish->cycle->conf_ctx,
                                           ngx_core_module);

    if (geteuid() != 0 || ccf->user == (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        return NGX_OK;
    }

    if (setgid(ccf->group) == -1
        || initgroups(ccf->username, ccf->group) == -1
        || setuid(ccf->user) == -1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_socket_t
ngx_http_beacon_helper_connect(ngx_http_beacon_main_conf_t *bmcf,
    ngx_pid_t *pid)
{
    socklen_t           len;
    ngx_socket_t        s;
    struct ucred        cred;
    struct sockaddr_un  addr;

    s = socket(AF_UNIX, SOCK_SEQPACKET|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (s == -1) {
        return -1;
    }

    ngx_memzero(&addr, sizeof(struct sockaddr_un));
    addr.sun_family = AF_UNIX;
    (void) ngx_snprintf((u_char *) addr.sun_path, sizeof(addr.sun_path) - 1,
                        "%V/beacond.sock", &bmcf->ring);

    if (connect(s, (struct sockaddr *) &addr, sizeof(addr)) == -1) {
        (void) close(s);
        return -1;
    }

    len = sizeof(cred);
    *pid = (getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
           ? cred.pid : -1;

    return s;
}


ngx_uint_t
ngx_http_beacon_helper_same(ngx_http_beacon_main_conf_t *bmcf, ngx_pid_t pid)
{
    char         self[NGX_INT64_LEN + 1];
    u_char       name[sizeof("/proc//exe") + NGX_INT64_LEN];
    ssize_t      n;
    struct stat  running, named;

    /* /proc may be that of another pid namespace, or none */
    n = readlink("/proc/self", self, sizeof(self));

    if (n <= 0 || ngx_atoi((u_char *) self, n) != (ngx_int_t) getpid()) {
        return 1;
    }

    (void) ngx_sprintf(name, "/proc/%P/exe%Z", pid);

    if (pid <= 0 || stat((char *) name, &running) == -1
        || stat((char *) bmcf->helper.data, &named) == -1)
    {
        return 1;
    }

    return running.st_dev == named.st_dev && running.st_ino == named.st_ino;
}


ngx_int_t
ngx_http_beacon_helper_send(ngx_socket_t s, const char *line,
    ngx_uint_t with_log)
{
    int              fd;
    struct iovec     iov;
    struct msghdr    msg;
    struct cmsghdr  *cmsg;
    union {
        u_char          bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr  align;
    } rights;

    ngx_memzero(&msg, sizeof(struct msghdr));
    iov.iov_base = (void *) line;
    iov.iov_len = ngx_strlen(line);
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;

    if (with_log) {
        ngx_memzero(&rights, sizeof(rights));
        msg.msg_control = rights.bytes;
        msg.msg_controllen = sizeof(rights.bytes);

        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        fd = STDERR_FILENO;
        ngx_memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }

    return (sendmsg(s, &msg, MSG_NOSIGNAL|MSG_DONTWAIT) == -1) ? NGX_ERROR
                                                              : NGX_OK;
}


ngx_fd_t
ngx_http_beacon_helper_lock_open(ngx_http_beacon_main_conf_t *bmcf)
{
    u_char  name[NGX_MAX_PATH];

    (void) ngx_snprintf(name, NGX_MAX_PATH, "%V/beacond.lock%Z", &bmcf->ring);

    return open((char *) name, O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0600);
}


static int
ngx_http_beacon_helper_flock(ngx_fd_t fd, int command, short type,
    struct flock *fl)
{
    ngx_memzero(fl, sizeof(struct flock));
    fl->l_type = type;
    fl->l_start = 1;
    fl->l_len = 1;

    return fcntl(fd, command, fl);
}


ngx_uint_t
ngx_http_beacon_helper_lock_free(ngx_fd_t fd)
{
    struct flock  fl;

    return ngx_http_beacon_helper_flock(fd, F_OFD_GETLK, F_WRLCK, &fl) == 0
           && fl.l_type == F_UNLCK;
}


ngx_uint_t
ngx_http_beacon_helper_lock(ngx_fd_t fd)
{
    struct flock  fl;

    return ngx_http_beacon_helper_flock(fd, F_OFD_SETLK, F_WRLCK, &fl) == 0;
}


void
ngx_http_beacon_helper_unlock(ngx_fd_t fd)
{
    struct flock  fl;

    (void) ngx_http_beacon_helper_flock(fd, F_OFD_SETLK, F_UNLCK, &fl);
}


uint64_t
ngx_http_beacon_helper_done(ngx_http_beacon_main_conf_t *bmcf)
{
    uint64_t           done;
    uint32_t           i;
    beacon_err_t       err;
    beacon_books_t    *books;
    beacon_counters_t  counters;

    if (beacon_counters_attach((char *) bmcf->ring.data, (uid_t) -1,
                               (gid_t) -1, &counters, &err)
        != BEACON_OK)
    {
        return 0;
    }

    done = 0;
    books = ngx_alloc(sizeof(beacon_books_t), ngx_cycle->log);

    if (books && beacon_books_read(&counters, books) == BEACON_OK) {
        for (i = 0; i < books->nsinks && i < BEACON_BOOKS_SINKS; i++) {
            done += books->sinks[i].done;
        }
    }

    ngx_free(books);
    beacon_counters_detach(&counters);

    return done;
}
