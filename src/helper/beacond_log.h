/*
 * The helper's log: standard error, in the style of nginx's error log, which
 * it is when nginx started us.  A line is one write(2).  Once the writer is
 * started, that is a thread's of its own: whoever logs, under whatever lock,
 * waits for no disk.  What finds no room in the queue before it, is dropped,
 * and how much that was is told with the next line that goes through.
 */

#ifndef BEACOND_LOG_H
#define BEACOND_LOG_H

#include <stdatomic.h>
#include <stdint.h>

/* Severities, as nginx numbers them. */
typedef enum {
    BEACOND_EMERG = 1,
    BEACOND_ALERT,
    BEACOND_CRIT,
    BEACOND_ERROR,
    BEACOND_WARN,
    BEACOND_NOTICE,
    BEACOND_INFO,
    BEACOND_DEBUG
} beacond_level_e;

/* Starts the writer; if it cannot be, lines are written by who logs. */
void beacond_log_start(void);

/*
 * Lines go to this descriptor from now on, also while the writer is stuck in a
 * write to the old one, and standard error does as soon as that is possible.
 * fd is the log's then.
 */
void beacond_log_take(int fd);

/* Waits until all is written, but no longer.  Before the end. */
void beacond_log_flush(int ms);

/* Less severe ones than this are left out; BEACOND_NOTICE at first. */
void beacond_log_level(beacond_level_e level);

/* "warn" and the like; 0: no such severity. */
int beacond_log_level_parse(const char *name);

/*
 * Logs "2026/11/22 02:20:00 [notice] PID#0: beacond: ..." and a newline; no
 * newline in fmt.  Control characters in the text become '?'.  errno is kept.
 * This function can't fail.
 */
void beacond_log(beacond_level_e level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Once a minute: what goes wrong with every hit is told once and counted.
 * Starts as zeros; may be shared by threads.
 */
typedef struct {
    _Atomic int64_t   next_ms;          /* CLOCK_MONOTONIC; 0: at once */
    _Atomic uint64_t  missed;
} beacond_log_limit_t;

/* 1 when it is time to log, else 0.  *missed (may be NULL): how often this
   said 0 since the last 1. */
int beacond_log_due(beacond_log_limit_t *limit, uint64_t *missed);

#endif /* BEACOND_LOG_H */
