/* A collector's sockets: opened, subscribed, made anew. */

#include "beacond_collect.h"
#include "beacond_clock.h"

#include <zmq.h>

#include <errno.h>
#include <stdio.h>

#define BEACOND_COLLECT_RETRY  1000     /* ms */
#define BEACOND_COLLECT_ALONE  5000

static int
beacond_collect_subscribe(void *socket, const char *prefix, const char *site)
{
    int   n;
    char  topic[BEACON_SITE_MAX + 16];

    n = site == NULL ? snprintf(topic, sizeof(topic), "%s/", prefix)
                     : snprintf(topic, sizeof(topic), "%s/%s/", prefix, site);

    return zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, (size_t) n);
}

static int
beacond_collect_subscribe_all(const beacond_collect_t *collect, void *socket)
{
    size_t  i;

    if (collect->nsites == 0) {
        return beacond_collect_subscribe(socket, "hit", NULL) == 0
               && beacond_collect_subscribe(socket, "stat", NULL) == 0;
    }

    for (i = 0; i < collect->nsites; i++) {
        if (beacond_collect_subscribe(socket, "hit", collect->sites[i]) != 0
            || beacond_collect_subscribe(socket, "stat", collect->sites[i])
               != 0)
        {
            return 0;
        }
    }

    return 1;
}

void
beacond_collect_close(beacond_collect_end_t *end)
{
    beacond_zmq_unwatch(end->socket, &end->watch);
    beacond_zmq_close(end->socket);
    end->socket = NULL;
    end->peers = 0;
}

static beacon_rc_t
beacond_collect_open(beacond_collect_t *collect, beacond_collect_end_t *end,
    beacon_err_t *err)
{
    beacon_rc_t  rc;

    end->socket = beacond_zmq_socket(collect->zmq, ZMQ_SUB,
                                     BEACOND_COLLECT_MARK,
                                     BEACOND_COLLECT_LONGEST, err);

    if (end->socket == NULL) {
        return BEACON_SYS;
    }

    if (!beacond_collect_subscribe_all(collect, end->socket)
        || beacond_zmq_watch(collect->zmq, end->socket, &end->watch)
           != BEACON_OK)
    {
        beacon_err(err, "cannot make a ZeroMQ socket: %s",
                   zmq_strerror(errno));
        rc = BEACON_SYS;

    } else {
        rc = end->binds ? beacond_zmq_bind(collect->zmq, end->socket,
                                           end->endpoint, err)
                        : beacond_zmq_connect(collect->zmq, end->socket,
                                              end->endpoint, err);
    }

    if (rc != BEACON_OK) {
        beacond_collect_close(end);
    }

    end->since_ns = beacond_clock_ns();

    return rc;
}

/* Opens what is not open.  One that cannot be is no reason to be without the
   others. */
static beacon_rc_t
beacond_collect_open_all(beacond_collect_t *collect, beacon_err_t *err)
{
    uint32_t     i;
    beacon_rc_t  rc = BEACON_OK;

    if (collect->zmq == NULL) {
        collect->zmq = beacond_zmq_create(collect->endpoints.curve, err);

        if (collect->zmq == NULL) {
            return BEACON_SYS;
        }

        collect->endpoints.curve = NULL;
    }

    for (i = 0; i < collect->nends; i++) {
        if (collect->ends[i].socket == NULL
            && beacond_collect_open(collect, &collect->ends[i], err)
               != BEACON_OK)
        {
            rc = BEACON_SYS;
        }
    }

    return rc;
}

/* Who is there. */
static void
beacond_collect_count(beacond_collect_t *collect, uint64_t now)
{
    uint32_t                i;
    beacond_collect_end_t  *end;

    for (i = 0; i < collect->nends; i++) {
        end = &collect->ends[i];
        end->peers = end->socket != NULL ? beacond_zmq_count(&end->watch) : 0;

        if (end->peers > 0) {
            end->since_ns = now;
        }
    }
}

/* A socket that connects and has been alone for long is made anew: libzmq does
   not come back to a peer that it has cut off. */
static void
beacond_collect_look(beacond_collect_t *collect, uint64_t now)
{
    uint32_t                i;
    beacond_collect_end_t  *end;

    for (i = 0; i < collect->nends; i++) {
        end = &collect->ends[i];

        if (end->socket != NULL && end->peers == 0 && !end->binds
            && now - end->since_ns > BEACOND_COLLECT_ALONE * BEACOND_MS)
        {
            beacond_collect_close(end);
        }
    }
}

/* 0: not yet. */
static uint64_t
beacond_collect_due(beacond_collect_t *collect)
{
    uint64_t  now = beacond_clock_ns();

    if (now < collect->retry_ns) {
        return 0;
    }

    collect->retry_ns = now + BEACOND_COLLECT_RETRY * BEACOND_MS;

    return now;
}

static void
beacond_collect_tell(beacond_collect_t *collect, beacon_rc_t rc,
    const beacon_err_t *err)
{
    uint32_t  i, peers = 0;

    for (i = 0; i < collect->nends; i++) {
        peers += collect->ends[i].peers;
    }

    pthread_mutex_lock(&collect->mutex);
    collect->why.text[0] = '\0';

    if (rc != BEACON_OK) {
        collect->why = *err;
        collect->errors += rc != BEACON_AGAIN;
    }

    collect->peers = peers;
    collect->refused = collect->zmq != NULL
                       ? beacond_zmq_refused(collect->zmq) : 0;
    pthread_mutex_unlock(&collect->mutex);
}

void
beacond_collect_tend(beacond_collect_t *collect)
{
    uint64_t      now = beacond_collect_due(collect);
    beacon_rc_t   rc;
    beacon_err_t  err;

    if (now == 0) {
        return;
    }

    err.text[0] = '\0';
    beacond_collect_count(collect, now);
    beacond_collect_look(collect, now);
    rc = beacond_collect_open_all(collect, &err);

    if (rc != BEACON_OK && beacond_log_due(&collect->limit, NULL)) {
        beacond_log(BEACOND_ERROR, "sink \"%s\" does not collect all: %s",
                    collect->name, err.text);
    }

    beacond_collect_tell(collect, rc, &err);
}

void
beacond_collect_idle(beacond_collect_t *collect)
{
    uint64_t      now = beacond_collect_due(collect);
    beacon_err_t  err;

    if (now > 0) {
        beacon_err(&err, "there is no live store yet: frames wait");
        beacond_collect_count(collect, now);
        beacond_collect_tell(collect, BEACON_AGAIN, &err);
    }
}
