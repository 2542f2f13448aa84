/* librdkafka's threads: beacond_kafka_calm.h. */

#include "beacond_kafka_calm.h"

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BEACOND_CALM_TIMES  3
#define BEACOND_CALM_MS     1
#define BEACOND_CALM_SLACK  2000000UL           /* ns */
#define BEACOND_CALM_NAME   "calm"

static _Thread_local bool      beacond_calm_ours;
static _Thread_local uint32_t  beacond_calm_times;      /* in turn, for
                                                           nothing */

static rd_kafka_resp_err_t
beacond_calm_start(rd_kafka_t *rk, rd_kafka_thread_type_t type,
    const char *name, void *data)
{
    (void) rk;
    (void) name;
    (void) data;

    if (type == RD_KAFKA_THREAD_BROKER) {
        beacond_calm_thread();

    } else if (type == RD_KAFKA_THREAD_MAIN) {
        beacond_calm_timers();
    }

    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
beacond_calm_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *data,
    char *text, size_t size)
{
    (void) conf;
    (void) text;
    (void) size;

    return rd_kafka_interceptor_add_on_thread_start(rk, BEACOND_CALM_NAME,
                                                    beacond_calm_start, data);
}

void
beacond_calm(rd_kafka_conf_t *conf)
{
    (void) rd_kafka_conf_interceptor_add_on_new(conf, BEACOND_CALM_NAME,
                                                beacond_calm_new, NULL);
}

void
beacond_calm_thread(void)
{
    beacond_calm_ours = true;
}

void
beacond_calm_timers(void)
{
    (void) prctl(PR_SET_TIMERSLACK, BEACOND_CALM_SLACK, 0UL, 0UL, 0UL);
}

/* By these names, for all of the process: libraries call the program's before
   libc's.  The other one is called by what was built with _FORTIFY_SOURCE. */

int beacond_calm_poll(struct pollfd *fds, nfds_t nfds, int timeout)
    __asm__("poll");
int beacond_calm_poll_chk(struct pollfd *fds, nfds_t nfds, int timeout,
    size_t size) __asm__("__poll_chk");

int
beacond_calm_poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
    int              n, ms = timeout;
    struct timespec  ts;

    if (beacond_calm_ours && timeout == 0
        && beacond_calm_times >= BEACOND_CALM_TIMES)
    {
        ms = BEACOND_CALM_MS;
    }

    ts.tv_sec = ms / 1000;
    ts.tv_nsec = ms % 1000 * 1000000L;

    n = (int) syscall(SYS_ppoll, fds, nfds, ms >= 0 ? &ts : NULL, NULL,
                      (size_t) 0);

    if (n == 0 && timeout == 0) {
        beacond_calm_times++;

    } else {
        beacond_calm_times = 0;
    }

    return n;
}

int
beacond_calm_poll_chk(struct pollfd *fds, nfds_t nfds, int timeout,
    size_t size)
{
    if (size / sizeof(struct pollfd) < nfds) {
        abort();
    }

    return beacond_calm_poll(fds, nfds, timeout);
}
