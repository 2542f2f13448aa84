/* The collector's thread: from frames to hits and gaps. */

#include "beacond_collect.h"
#include "beacond_clock.h"
#include "beacond_point.h"

#include <zmq.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BEACOND_COLLECT_PAUSE   50      /* ms */
#define BEACOND_COLLECT_CLOSED  20      /* while there is no store */
#define BEACOND_COLLECT_TURN    256     /* messages */
#define BEACOND_COLLECT_FRAMES  3

/* A message; frames beyond the third are let go. */
typedef struct {
    zmq_msg_t     parts[BEACOND_COLLECT_FRAMES];
    beacon_str_t  frames[BEACOND_COLLECT_FRAMES];
    unsigned      n;
} beacond_collect_message_t;

/* Waits so long, with sockets for what comes there; false: to end. */
static bool
beacond_collect_wait(beacond_collect_t *collect, bool sockets, long ms)
{
    int             n = 1;
    uint32_t        i;
    zmq_pollitem_t  items[1 + 2 * BEACOND_ENDPOINTS];

    memset(items, 0, sizeof(items));
    items[0].fd = collect->wake;
    items[0].events = ZMQ_POLLIN;

    for (i = 0; i < collect->nends && sockets; i++) {
        if (collect->ends[i].socket != NULL) {
            items[n].socket = collect->ends[i].socket;
            items[n++].events = ZMQ_POLLIN;
        }
    }

    (void) zmq_poll(items, n, ms);

    if (collect->zmq != NULL) {
        beacond_zmq_turn(collect->zmq);
    }

    return (items[0].revents & ZMQ_POLLIN) == 0;
}

static void
beacond_collect_ignore(beacond_collect_t *collect, const char *why)
{
    uint64_t  n;

    pthread_mutex_lock(&collect->mutex);
    n = ++collect->ignored;
    pthread_mutex_unlock(&collect->mutex);

    if (beacond_log_due(&collect->ignored_limit, NULL)) {
        beacond_log(BEACOND_WARN, "sink \"%s\" ignored %llu frames, the last "
                    "because %s", collect->name, (unsigned long long) n, why);
    }
}

/* The feeds' table, opened with the first frame that there is a store for. */
static beacond_feeds_t *
beacond_collect_feeds(beacond_collect_t *collect, beacond_live_t *live)
{
    beacon_err_t  err;

    if (live->feeds == NULL) {
        live->feeds = beacond_feeds_open(collect->dir, live->mark, &err);

        if (live->feeds == NULL && beacond_log_due(&collect->limit, NULL)) {
            beacond_log(BEACOND_ERROR, "sink \"%s\": %s", collect->name,
                        err.text);
        }
    }

    return live->feeds;
}

static void
beacond_collect_put(beacond_live_t *live,
    const beacond_collect_frame_t *frame, uint64_t missing, uint64_t now_ms)
{
    beacon_live_put_t    put;
    beacon_line_shown_t  shown;

    beacon_line_shown_of(frame->line.data, &frame->parts, &shown);
    put.site = frame->head.site;
    put.line = frame->line;
    put.visitor = frame->visitor;
    put.time_ms = frame->time_ms;
    put.missing = missing;
    put.shown = &shown;

    (void) beacond_live_put(live, &put, now_ms);
    beacond_feeds_done(live->feeds);
}

static void
beacond_collect_gap(beacond_live_t *live,
    const beacond_collect_frame_t *frame, uint64_t missing)
{
    if (beacond_live_gap(live, frame->head.site, missing) == BEACON_OK) {
        beacond_feeds_done(live->feeds);

    } else {
        beacond_feeds_untold(live->feeds, missing);
    }
}

/* What is said of a frame, once the store has it. */
static void
beacond_collect_count(beacond_collect_t *collect,
    const beacond_collect_frame_t *frame, beacon_rc_t rc, uint64_t lacking,
    uint64_t now_ms)
{
    if (rc == BEACON_FULL) {
        beacond_collect_ignore(collect, "its number cannot be right");
        return;
    }

    pthread_mutex_lock(&collect->mutex);

    if (rc == BEACON_INVALID) {
        collect->repeated++;

    } else if (!frame->head.stat) {
        collect->hits++;
        collect->last_ns = now_ms * 1000000;
    }

    if (lacking > 0) {
        beacond_lacks_add(&collect->gaps, frame->head.edge, frame->head.site,
                          lacking);
    }

    pthread_mutex_unlock(&collect->mutex);
}

/* false: there is no store. */
static bool
beacond_collect_take(beacond_collect_t *collect,
    const beacond_collect_frame_t *frame)
{
    uint64_t             missing = 0, lacking = 0, now_ms;
    beacon_rc_t          rc;
    beacond_live_t      *live;
    beacond_feeds_at_t   at;

    at.edge = frame->head.edge;
    at.feed = frame->head.feed;
    at.site = frame->head.site;
    at.sites = collect->acquaintance;
    at.seq = frame->head.seq;
    at.id = frame->head.stat ? beacon_string("") : frame->parts.id;
    now_ms = beacond_clock_date() / 1000000;
    live = beacond_live_lock();

    if (live == NULL) {
        return false;
    }

    if (beacond_collect_feeds(collect, live) == NULL) {
        beacond_live_unlock(live);
        return false;
    }

    if (!frame->head.stat) {
        rc = beacond_feeds_hit(live->feeds, &at, now_ms, live->mark + 1,
                               &missing, &lacking);

    } else {
        rc = beacond_feeds_beat(live->feeds, &at, now_ms, live->mark + 1,
                                &missing, &lacking);
    }

    if (rc == BEACON_OK && !frame->head.stat) {
        BEACOND_POINT("live.collected");
        beacond_collect_put(live, frame, missing, now_ms);

    } else if (rc == BEACON_OK && missing > 0) {
        beacond_collect_gap(live, frame, missing);
    }

    beacond_live_unlock(live);
    beacond_collect_count(collect, frame, rc, lacking, now_ms);

    return true;
}

/* A message; false: there is none now. */
static bool
beacond_collect_receive(void *socket, beacond_collect_message_t *message)
{
    int         n;
    zmq_msg_t   extra, *part;

    message->n = 0;

    do {
        part = message->n < BEACOND_COLLECT_FRAMES
               ? &message->parts[message->n] : &extra;
        zmq_msg_init(part);

        do {
            n = zmq_msg_recv(part, socket, ZMQ_DONTWAIT);
        } while (n < 0 && errno == EINTR);

        if (n < 0) {
            zmq_msg_close(part);
            return message->n > 0;
        }

        n = zmq_msg_more(part);

        if (part == &extra) {
            zmq_msg_close(part);

        } else {
            message->frames[message->n].data = zmq_msg_data(part);
            message->frames[message->n].len = zmq_msg_size(part);
        }

        message->n++;

    } while (n);

    return true;
}

static void
beacond_collect_release(beacond_collect_message_t *message)
{
    unsigned  i;

    for (i = 0; i < message->n && i < BEACOND_COLLECT_FRAMES; i++) {
        zmq_msg_close(&message->parts[i]);
    }
}

/* Messages that are there; false: to end.  One that finds no store waits for
   it, as at a reload. */
static bool
beacond_collect_turn(beacond_collect_t *collect, void *socket)
{
    bool                       goes_on = true;
    unsigned                   i;
    const char                *why;
    beacond_collect_frame_t    frame;
    beacond_collect_message_t  message;

    for (i = 0; i < BEACOND_COLLECT_TURN && goes_on; i++) {
        if (!beacond_collect_receive(socket, &message)) {
            break;
        }

        if (beacond_collect_read(&frame, message.frames, message.n,
                                 &collect->json, &why) == BEACON_OK)
        {
            while (goes_on && !beacond_collect_take(collect, &frame)) {
                beacond_collect_idle(collect);
                goes_on = beacond_collect_wait(collect, false,
                                               BEACOND_COLLECT_CLOSED);
            }

        } else {
            beacond_collect_ignore(collect, why);
        }

        beacond_collect_release(&message);
    }

    pthread_mutex_lock(&collect->mutex);
    collect->received += i;
    pthread_mutex_unlock(&collect->mutex);

    return goes_on;
}

void *
beacond_collect_run(void *data)
{
    bool                goes_on = true;
    uint32_t            i;
    beacond_collect_t  *collect = data;

    while (goes_on) {
        beacond_collect_tend(collect);

        for (i = 0; i < collect->nends && goes_on; i++) {
            if (collect->ends[i].socket != NULL) {
                goes_on = beacond_collect_turn(collect,
                                               collect->ends[i].socket);
            }
        }

        goes_on = goes_on && beacond_collect_wait(collect, true,
                                                  BEACOND_COLLECT_PAUSE);
    }

    for (i = 0; i < collect->nends; i++) {
        beacond_collect_close(&collect->ends[i]);
    }

    beacond_zmq_destroy(collect->zmq);
    collect->zmq = NULL;

    return NULL;
}
