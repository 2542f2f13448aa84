/* The spy feed's sockets: made, bound, lost, made again. */

#include "beacond_spy.h"

#include <zmq.h>

#include <errno.h>
#include <string.h>

#define BEACOND_SPY_PAUSE      (100 * BEACOND_MS)
#define BEACOND_SPY_PAUSE_MAX  (10000 * BEACOND_MS)
#define BEACOND_SPY_LONGEST    1024     /* bytes of what subscribers send */
#define BEACOND_SPY_WAIT       1000     /* of those, a peer, until read */
#define BEACOND_SPY_NEWS       10000    /* subscriptions in one turn */
#define BEACOND_SPY_HEAR       (15 * BEACOND_MS)

static void
beacond_spy_error(beacond_spy_t *spy)
{
    uint64_t  more;

    spy->sink->errors++;

    if (beacond_log_due(&spy->limit, &more)) {
        beacond_log(BEACOND_ERROR, "sink \"%s\": %s (and %llu more in the "
                    "last minute)", spy->sink->name, spy->error.text,
                    (unsigned long long) more);
    }
}

static beacon_rc_t
beacond_spy_make(beacond_spy_t *spy)
{
    int  on = 1, wait = BEACOND_SPY_WAIT;

    spy->bound = spy->connected = 0;
    spy->subscriptions = 0;
    spy->topics = 0;
    spy->queues = BEACOND_SPY_EMPTY;
    spy->doubt = spy->narrow = false;
    spy->socket = beacond_zmq_socket(spy->zmq, ZMQ_XPUB, BEACOND_SPY_MARK,
                                     BEACOND_SPY_LONGEST, &spy->error);
    if (spy->socket == NULL) {
        return BEACON_SYS;
    }

    if (zmq_setsockopt(spy->socket, ZMQ_RCVHWM, &wait, sizeof(wait)) == 0
        && zmq_setsockopt(spy->socket, ZMQ_XPUB_VERBOSER, &on, sizeof(on))
           == 0
        && beacond_zmq_watch(spy->zmq, spy->socket, &spy->watch) == BEACON_OK)
    {
        return BEACON_OK;
    }

    beacon_err(&spy->error, "cannot make a ZeroMQ socket: %s",
               zmq_strerror(errno));
    beacond_spy_close(spy);

    return BEACON_SYS;
}

/* One that cannot be bound now is no reason to be without the others. */
static beacon_rc_t
beacond_spy_endpoints(beacond_spy_t *spy)
{
    uint32_t                    i;
    beacon_rc_t                 rc = BEACON_OK;
    const beacond_endpoints_t  *endpoints = &spy->endpoints;

    for (i = 0; i < endpoints->nbind; i++) {
        if ((spy->bound & 1U << i) != 0) {
            continue;
        }

        if (beacond_zmq_bind(spy->zmq, spy->socket, endpoints->bind[i],
                             &spy->error) == BEACON_OK)
        {
            spy->bound |= 1U << i;

        } else {
            rc = BEACON_SYS;
        }
    }

    for (i = 0; i < endpoints->nconnect; i++) {
        if ((spy->connected & 1U << i) != 0) {
            continue;
        }

        if (beacond_zmq_connect(spy->zmq, spy->socket, endpoints->connect[i],
                                &spy->error) == BEACON_OK)
        {
            spy->connected |= 1U << i;

        } else {
            rc = BEACON_SYS;
        }
    }

    return rc;
}

static void
beacond_spy_open(beacond_spy_t *spy)
{
    if (spy->now < spy->retry_ns) {
        return;
    }

    if ((spy->socket == NULL && beacond_spy_make(spy) != BEACON_OK)
        || beacond_spy_endpoints(spy) != BEACON_OK)
    {
        /* after a reset the old ones may take a moment to be gone */

        if (spy->pause_ns > 0) {
            beacond_spy_error(spy);
        }

        spy->pause_ns = spy->pause_ns == 0 ? BEACOND_SPY_PAUSE
                        : spy->pause_ns < BEACOND_SPY_PAUSE_MAX / 2
                        ? spy->pause_ns * 2 : BEACOND_SPY_PAUSE_MAX;
        spy->retry_ns = spy->now + spy->pause_ns;
        return;
    }

    spy->error.text[0] = '\0';
    spy->pause_ns = 0;
    spy->retry_ns = UINT64_MAX;
}

void
beacond_spy_close(beacond_spy_t *spy)
{
    beacond_zmq_unwatch(spy->socket, &spy->watch);
    beacond_zmq_close(spy->socket);
    spy->socket = NULL;
    spy->subscriptions = spy->subscribers = 0;
}

void
beacond_spy_reset(beacond_spy_t *spy, const char *why)
{
    uint64_t  more;

    if (beacond_log_due(&spy->limit, &more)) {
        beacond_log(BEACOND_WARN, "sink \"%s\": its sockets are closed and "
                    "opened anew: %s", spy->sink->name, why);
    }

    spy->sink->errors++;
    spy->resets++;
    beacond_spy_close(spy);
    spy->retry_ns = spy->now + BEACOND_SPY_PAUSE;
    spy->pause_ns = 0;
}

typedef struct {
    uint32_t  subscriptions;
    uint32_t  topics;
} beacond_spy_added_t;

/* A subscription begins with 1, its end with 0. */
static void
beacond_spy_news(beacond_spy_t *spy, beacond_spy_added_t *added)
{
    static const char  all[] = "\1hit/";

    int      i, n;
    uint8_t  news[sizeof(all)];

    for (i = 0; i < BEACOND_SPY_NEWS; i++) {
        n = zmq_recv(spy->socket, news, sizeof(news), ZMQ_DONTWAIT);

        if (n < 0) {
            return;
        }

        if (n > 0 && news[0] == 1) {
            added->subscriptions++;
            added->topics += (uint32_t) n;
            spy->subscriptions++;
            spy->topics += (uint32_t) n;
            spy->narrow |= n >= (int) sizeof(all)
                           && memcmp(news, all, sizeof(all) - 1) == 0;
            spy->counting = true;
            spy->all_ns = spy->now + BEACOND_SPY_ALL * BEACOND_SPY_SECOND;

        } else if (n > 0 && news[0] == 0) {
            spy->subscriptions -= spy->subscriptions > 0;
            spy->doubt |= spy->subscriptions == 0;
            spy->topics -= spy->subscriptions == 0
                           || spy->topics < (uint32_t) n
                           ? spy->topics : (uint32_t) n;
        }
    }
}

/*
 * libzmq keeps the subscriptions of a peer that we connect to while he is away,
 * and he tells them again when he is back: of the first who comes, what was
 * counted before is not to be counted twice.
 */
static void
beacond_spy_peers(beacond_spy_t *spy, const beacond_spy_added_t *added)
{
    uint32_t  before = spy->subscribers;

    spy->subscribers = beacond_zmq_count(&spy->watch);

    if (spy->endpoints.nconnect == 0 || before > 0 || spy->subscribers == 0) {
        return;
    }

    if (spy->subscriptions > added->subscriptions) {
        spy->subscriptions = added->subscriptions;
    }

    if (spy->topics > added->topics) {
        spy->topics = added->topics;
    }
}

static void
beacond_spy_hear(beacond_spy_t *spy)
{
    beacond_spy_added_t  added = { 0, 0 };

    beacond_zmq_turn(spy->zmq);
    beacond_spy_open(spy);
    spy->heard_ns = spy->now;

    if (spy->socket == NULL) {
        return;
    }

    beacond_spy_news(spy, &added);
    beacond_spy_peers(spy, &added);
    spy->narrow &= spy->subscribers > 0;

    if (spy->narrow) {
        spy->left = 0;
    }

    if (spy->subscriptions > BEACOND_SPY_SUBSCRIPTIONS
        || spy->topics > BEACOND_SPY_TOPICS)
    {
        beacond_spy_reset(spy, "there are too many subscriptions");
    }
}

void
beacond_spy_turn(beacond_spy_t *spy)
{
    spy->now = beacond_clock_ns();

    if (spy->now - spy->heard_ns >= BEACOND_SPY_HEAR) {
        beacond_spy_hear(spy);
    }

    if (beacond_spy_queued_bytes(spy) > BEACOND_SPY_BYTES
        && spy->socket != NULL)
    {
        beacond_spy_reset(spy, "what subscribers have not read takes too "
                          "much memory");
    }
}
