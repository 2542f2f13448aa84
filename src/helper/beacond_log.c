#include "beacond_clock.h"
#include "beacond_log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BEACOND_LOG_LINE   2048
#define BEACOND_LOG_MS     60000
#define BEACOND_LOG_QUEUE  131072       /* bytes that wait; power of two */
#define BEACOND_LOG_STUCK  4            /* writers left behind at a time */

static const char *const beacond_log_names[] = {
    "", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"
};

static _Atomic int  beacond_log_max = BEACOND_NOTICE;

/*
 * Lines that wait, each behind its length (16 bits).  The writer is known by
 * its descriptor: with a new one (beacond_log_take) comes a new writer, and an
 * old one that may be stuck ends when it can.  The mutex is held for no more
 * than a copy of a line, and taken last.
 */
static struct {
    pthread_mutex_t  mutex;
    pthread_mutex_t  leaving;   /* old writers, one by one; before mutex */
    pthread_cond_t   more;
    pthread_cond_t   done;
    int              fd;        /* -1: no writer; each line is one write */
    unsigned         stuck;     /* old writers that have not ended */
    bool             busy;      /* the writer has a line in hand */
    uint64_t         head;      /* bytes taken out, ever */
    uint64_t         tail;      /* bytes put in */
    uint64_t         dropped;   /* lines, since it was last told */
    uint8_t          bytes[BEACOND_LOG_QUEUE];
} beacond_log_queue = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .leaving = PTHREAD_MUTEX_INITIALIZER,
    .fd = -1
};

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

/* The queue; its mutex is held. */

static void
beacond_log_put(const void *data, size_t len)
{
    size_t  at, n;

    at = beacond_log_queue.tail % BEACOND_LOG_QUEUE;
    n = len < BEACOND_LOG_QUEUE - at ? len : BEACOND_LOG_QUEUE - at;
    memcpy(beacond_log_queue.bytes + at, data, n);
    memcpy(beacond_log_queue.bytes, (const uint8_t *) data + n, len - n);
    beacond_log_queue.tail += len;
}

static void
beacond_log_get(void *data, size_t len)
{
    size_t  at, n;

    at = beacond_log_queue.head % BEACOND_LOG_QUEUE;
    n = len < BEACOND_LOG_QUEUE - at ? len : BEACOND_LOG_QUEUE - at;
    memcpy(data, beacond_log_queue.bytes + at, n);
    memcpy((uint8_t *) data + n, beacond_log_queue.bytes, len - n);
    beacond_log_queue.head += len;
}

static size_t
beacond_log_head(char *line, beacond_level_e level)
{
    time_t     now;
    struct tm  tm;

    now = time(NULL);
    localtime_r(&now, &tm);

    return (size_t) snprintf(line, BEACOND_LOG_LINE,
                             "%04d/%02d/%02d %02d:%02d:%02d [%s] %ld#0: "
                             "beacond: ", tm.tm_year + 1900, tm.tm_mon + 1,
                             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                             beacond_log_names[level], (long) getpid());
}

/* The next line, 0: none.  *told: it stands for so many that were dropped. */
static size_t
beacond_log_next(char *line, uint64_t *told)
{
    size_t    n;
    uint16_t  len = 0;

    *told = beacond_log_queue.dropped;

    if (*told > 0) {
        beacond_log_queue.dropped = 0;
        n = beacond_log_head(line, BEACOND_WARN);
        n += (size_t) snprintf(line + n, BEACOND_LOG_LINE - n, "%llu lines "
                               "were dropped: this log could not be written\n",
                               (unsigned long long) *told);
        return n;
    }

    if (beacond_log_queue.head != beacond_log_queue.tail) {
        beacond_log_get(&len, sizeof(len));
        beacond_log_get(line, len);
    }

    return len;
}

/* The writer. */

static bool
beacond_log_write(int fd, const char *line, size_t len)
{
    ssize_t  rc;

    do {
        rc = write(fd, line, len);
    } while (rc < 0 && errno == EINTR);

    return rc >= 0;
}

/*
 * An old writer goes, and what it wrote to.  Closing may block like writing,
 * so that it is done here.  Standard error becomes what is in use by now: its
 * own writer, if that is an old one too by then, waits for us.
 */
static void
beacond_log_leave(int fd)
{
    int  now;

    pthread_mutex_lock(&beacond_log_queue.leaving);

    pthread_mutex_lock(&beacond_log_queue.mutex);
    now = beacond_log_queue.fd;
    pthread_mutex_unlock(&beacond_log_queue.mutex);

    dup2(now, STDERR_FILENO);

    if (fd != STDERR_FILENO) {
        close(fd);
    }

    pthread_mutex_unlock(&beacond_log_queue.leaving);

    pthread_mutex_lock(&beacond_log_queue.mutex);
    beacond_log_queue.stuck--;
    pthread_mutex_unlock(&beacond_log_queue.mutex);
}

static void *
beacond_log_run(void *data)
{
    int       fd = (int) (intptr_t) data;
    bool      good;
    char      line[BEACOND_LOG_LINE];
    size_t    len;
    uint64_t  told;

    pthread_mutex_lock(&beacond_log_queue.mutex);

    while (beacond_log_queue.fd == fd) {
        len = beacond_log_next(line, &told);
        beacond_log_queue.busy = len > 0;

        if (len == 0) {
            pthread_cond_broadcast(&beacond_log_queue.done);
            pthread_cond_wait(&beacond_log_queue.more,
                              &beacond_log_queue.mutex);
            continue;
        }

        pthread_mutex_unlock(&beacond_log_queue.mutex);
        good = beacond_log_write(fd, line, len);
        pthread_mutex_lock(&beacond_log_queue.mutex);

        if (!good) {
            beacond_log_queue.dropped += told ? told : 1;
        }

        /* a full disk is not asked again before there is something new */

        if (!good && told) {
            beacond_log_queue.busy = false;
            pthread_cond_broadcast(&beacond_log_queue.done);
            pthread_cond_wait(&beacond_log_queue.more,
                              &beacond_log_queue.mutex);
        }
    }

    pthread_mutex_unlock(&beacond_log_queue.mutex);
    beacond_log_leave(fd);

    return NULL;
}

static bool
beacond_log_thread(int fd)
{
    pthread_t  thread;

    if (pthread_create(&thread, NULL, beacond_log_run,
                       (void *) (intptr_t) fd) != 0)
    {
        return false;
    }

    pthread_detach(thread);

    return true;
}

void
beacond_log_start(void)
{
    beacond_cond_init(&beacond_log_queue.more);
    beacond_cond_init(&beacond_log_queue.done);

    pthread_mutex_lock(&beacond_log_queue.mutex);

    if (beacond_log_thread(STDERR_FILENO)) {
        beacond_log_queue.fd = STDERR_FILENO;
    }

    pthread_mutex_unlock(&beacond_log_queue.mutex);
}

void
beacond_log_take(int fd)
{
    bool  direct, taken = false;

    pthread_mutex_lock(&beacond_log_queue.mutex);

    if (beacond_log_queue.fd != -1
        && beacond_log_queue.stuck < BEACOND_LOG_STUCK
        && beacond_log_thread(fd))
    {
        taken = true;
        beacond_log_queue.fd = fd;
        beacond_log_queue.stuck++;
        beacond_log_queue.busy = false;
        pthread_cond_broadcast(&beacond_log_queue.more);
    }

    direct = beacond_log_queue.fd == -1;
    pthread_mutex_unlock(&beacond_log_queue.mutex);

    if (taken) {
        return;
    }

    if (direct) {
        dup2(fd, STDERR_FILENO);

    } else {
        beacond_log(BEACOND_ERROR, "the new error log cannot be used: there "
                    "is no thread for it");
    }

    close(fd);
}

void
beacond_log_flush(int ms)
{
    uint64_t  now, until;

    now = beacond_clock_ns();
    until = now + (uint64_t) ms * BEACOND_MS;

    pthread_mutex_lock(&beacond_log_queue.mutex);

    while (beacond_log_queue.fd != -1 && now < until
           && (beacond_log_queue.busy
               || beacond_log_queue.head != beacond_log_queue.tail))
    {
        beacond_cond_wait(&beacond_log_queue.done, &beacond_log_queue.mutex,
                          until - now);
        now = beacond_clock_ns();
    }

    pthread_mutex_unlock(&beacond_log_queue.mutex);
}

static void
beacond_log_send(const char *line, size_t len)
{
    bool      direct;
    uint16_t  size = (uint16_t) len;

    pthread_mutex_lock(&beacond_log_queue.mutex);

    direct = beacond_log_queue.fd == -1;

    if (!direct && beacond_log_queue.tail - beacond_log_queue.head
                   + sizeof(size) + len > BEACOND_LOG_QUEUE)
    {
        beacond_log_queue.dropped++;

    } else if (!direct) {
        beacond_log_put(&size, sizeof(size));
        beacond_log_put(line, len);
        pthread_cond_broadcast(&beacond_log_queue.more);
    }

    pthread_mutex_unlock(&beacond_log_queue.mutex);

    /* there is nobody to tell when the log cannot be written */

    if (direct) {
        (void) beacond_log_write(STDERR_FILENO, line, len);
    }
}

void
beacond_log(beacond_level_e level, const char *fmt, ...)
{
    int      saved = errno;
    int      n;
    char     line[BEACOND_LOG_LINE];
    size_t   len, i, head;
    va_list  args;

    if ((int) level > atomic_load_explicit(&beacond_log_max,
                                           memory_order_relaxed))
    {
        return;
    }

    len = head = beacond_log_head(line, level);

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
    beacond_log_send(line, len);
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
