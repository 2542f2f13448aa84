/* Intervals by CLOCK_MONOTONIC; dates by CLOCK_REALTIME. */

#ifndef BEACOND_CLOCK_H
#define BEACOND_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define BEACOND_MS  1000000ULL          /* ns */

static inline uint64_t
beacond_clock_of(clockid_t id)
{
    struct timespec  ts;

    clock_gettime(id, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static inline uint64_t
beacond_clock_ns(void)
{
    return beacond_clock_of(CLOCK_MONOTONIC);
}

static inline uint64_t
beacond_clock_date(void)
{
    return beacond_clock_of(CLOCK_REALTIME);
}

/* A condition variable that waits by CLOCK_MONOTONIC.  Can't fail on Linux. */
static inline void
beacond_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t  attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static inline void
beacond_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t ns)
{
    uint64_t         t = beacond_clock_ns() + ns;
    struct timespec  ts;

    ts.tv_sec = (time_t) (t / 1000000000);
    ts.tv_nsec = (long) (t % 1000000000);
    pthread_cond_timedwait(cond, mutex, &ts);
}

#endif /* BEACOND_CLOCK_H */
