/* librdkafka's threads: they wait where they would turn in circles. */

#include "beacond_clock.h"
#include "beacond_kafka_calm.h"
#include "tap.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BEACON_LOOKS  20
#define BEACON_CALM   (10 * BEACOND_MS)     /* at least, of so many looks */

int  __poll_chk(struct pollfd *fds, nfds_t nfds, int timeout, size_t size);

static struct pollfd  beacon_pipe = { .events = POLLIN };

/* How long so many looks took, which were for nothing. */
static uint64_t
beacon_looks(bool checked, bool *nothing)
{
    int       i, n;
    uint64_t  start = beacond_clock_ns();

    *nothing = true;

    for (i = 0; i < BEACON_LOOKS; i++) {
        n = checked ? __poll_chk(&beacon_pipe, 1, 0, sizeof(beacon_pipe))
                    : poll(&beacon_pipe, 1, 0);
        *nothing &= n == 0 && beacon_pipe.revents == 0;
    }

    return beacond_clock_ns() - start;
}

static void
beacon_waits(void)
{
    bool      nothing;
    uint64_t  ns;

    (void) beacon_looks(false, &nothing);
    ok(nothing, "any_thread_looks_and_there_is_nothing");

    beacond_calm_thread();

    ns = beacon_looks(false, &nothing);
    ok(nothing && ns >= BEACON_CALM, "one_of_librdkafkas_waits_in_between");

    ns = beacon_looks(true, &nothing);
    ok(nothing && ns >= BEACON_CALM, "so_it_does_where_poll_is_checked");

    ok(poll(&beacon_pipe, 1, 3) == 0, "a_wait_that_is_asked_for_ends");
}

static void
beacon_sees(int to)
{
    ok(write(to, "x", 1) == 1 && poll(&beacon_pipe, 1, 0) == 1
       && beacon_pipe.revents == POLLIN, "what_has_come_is_seen");
    ok(poll(&beacon_pipe, 1, -1) == 1, "and_without_a_limit");
    ok(close(beacon_pipe.fd) == 0 && poll(&beacon_pipe, 1, 0) == 1
       && beacon_pipe.revents == POLLNVAL, "and_what_is_wrong");
}

static void
beacon_lasts(void)
{
    beacond_calm_timers();
    ok(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL) >= (int) BEACOND_MS,
       "the_main_ones_waits_may_last_a_millisecond_longer");
}

int
main(void)
{
    int  fds[2];

    if (pipe(fds) != 0) {
        return 1;
    }

    beacon_pipe.fd = fds[0];
    beacon_waits();
    beacon_sees(fds[1]);
    beacon_lasts();

    return done_testing();
}
