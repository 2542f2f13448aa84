#include "beacond_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BEACOND_LOG_LINE   2048
#define BEACOND_LOG_MS     60000

static const char *const beacond_log_names[] = {
    "", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"
};

static _Atomic int  beacond_log_max = BEACOND_NOTICE;

void
beacond_log_level(beacond_level_e level)
{
    atomic_store_explicit(&beacond_log_max, (int) level,
                          memory_order_relaxed);
}

int
beacond_log_level_parse(const char *name)
{
    int  i;

    for (i = BEACOND_EMERG; i <= BEACOND_DEBUG; i++) {
        if (strcmp(name, beacond_log_names[i]) == 0) {
            return i;
        }
    }

    return 0;
}

void
beacond_log(beacond_level_e level, const char *fmt, ...)
{
    int        saved = errno;
    int        n;
    char       line[BEACOND_LOG_LINE];
    size_t     len, i, head;
    time_t     now;
    ssize_t    rc;
    va_list    args;
    struct tm  tm;

    if ((int) level > atomic_load_explicit(&beacond_log_max,
                                           memory_order_relaxed))
    {
        return;
    }

    now = time(NULL);
    localtime_r(&now, &tm);

    n = snprintf(line, sizeof(line),
                 "%04d/%02d/%02d %02d:%02d:%02d [%s] %ld#0: beacond: ",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min, tm.tm_sec, beacond_log_names[level],
                 (long) getpid());
    len = head = (size_t) n;

    va_start(args, fmt);
    n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, args);
    va_end(args);

    if (n > 0) {
        len += (size_t) n;
    }

    if (len > sizeof(line) - 2) {
        len = sizeof(line) - 2;
    }

    for (i = head; i < len; i++) {
        if ((unsigned char) line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }

    line[len++] = '\n';

    /* there is nobody to tell when the log cannot be written */
    do {
        rc = write(STDERR_FILENO, line, len);
    } while (rc < 0 && errno == EINTR);

    errno = saved;
}

int
beacond_log_due(beacond_log_limit_t *limit, uint64_t *missed)
{
    int64_t          now, next;
    uint64_t         n;
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    now = (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    next = atomic_load_explicit(&limit->next_ms, memory_order_relaxed);

    /* of several threads that find it due, one wins */
    if ((next != 0 && now < next)
        || !atomic_compare_exchange_strong(&limit->next_ms, &next,
                                           now + BEACOND_LOG_MS))
    {
        atomic_fetch_add_explicit(&limit->missed, 1, memory_order_relaxed);
        return 0;
    }

    n = atomic_exchange_explicit(&limit->missed, 0, memory_order_relaxed);

    if (missed != NULL) {
        *missed = n;
    }

    return 1;
}
