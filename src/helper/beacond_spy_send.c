/* The spy feed's frames. */

#include "beacond_spy.h"
#include "beacond_spy_copy.h"
#include "beacon_line.h"

#include <zmq.h>

#include <errno.h>
#include <string.h>

#define BEACOND_SPY_WIDE    BEACOND_SPY_SLACK   /* bytes; copied at once */
#define BEACOND_SPY_SHORT   32          /* bytes of a topic; libzmq: 33 */
#define BEACOND_SPY_HOT     __attribute__((always_inline))

/* Feed and number, with what stands around them. */
#define BEACOND_SPY_NUMBER  (1 + BEACON_SPY_FEED + 1 + 20 + 1)

/* Is there room for so many bytes, or can it be made? */
static inline bool
beacond_spy_room(beacond_spy_t *spy, size_t need)
{
    return (ptrdiff_t) need <= spy->left
           || beacond_spy_fresh(spy, need, spy->narrow) != NULL;
}

static inline void
beacond_spy_written(beacond_spy_t *spy, uint8_t *end)
{
    spy->left -= end - spy->next;
    spy->next = end;
}

static void
beacond_spy_nodrop(beacond_spy_t *spy, beacond_spy_queues_t queues)
{
    int  on = queues == BEACOND_SPY_WATCHED;

    spy->queues = queues;
    zmq_setsockopt(spy->socket, ZMQ_XPUB_NODROP, &on, sizeof(on));
}

/*
 * libzmq hears of what its queues let go by halves: one of them may be full
 * for it while half is queued, and never below a quarter.
 */
static inline void
beacond_spy_queues(beacond_spy_t *spy)
{
    uint64_t  queued = beacond_spy_queued(spy);

    if (queued < BEACOND_SPY_MARK / 4
        && spy->queues == BEACOND_SPY_EMPTY)
    {
        return;
    }

    if (queued < BEACOND_SPY_MARK / 8) {
        beacond_spy_nodrop(spy, BEACOND_SPY_EMPTY);

    } else if (spy->queues == BEACOND_SPY_EMPTY
               || (spy->queues == BEACOND_SPY_FULL
                   && queued <= BEACOND_SPY_MARK / 2))
    {
        beacond_spy_nodrop(spy, BEACOND_SPY_WATCHED);
    }
}

/*
 * A frame that lies in the chunk, and is not the message's last, has no
 * reference to it, and costs libzmq no allocation: in each queue it is done
 * with a message's frames in their order.
 */
static inline bool
beacond_spy_frame(beacond_spy_t *spy, uint8_t *data, size_t len)
{
    zmq_msg_t  frame;

    zmq_msg_init_data(&frame, data, len, NULL, NULL);

    return zmq_msg_send(&frame, spy->socket, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0;
}

/* What is so short lies in the message itself, and costs libzmq less than to
   look where it lies. */
static inline BEACOND_SPY_HOT bool
beacond_spy_short(beacond_spy_t *spy, const uint8_t *data, size_t len)
{
    uint8_t    *dst;
    zmq_msg_t   frame;

    if (zmq_msg_init_size(&frame, len) != 0) {
        return false;
    }

    dst = zmq_msg_data(&frame);

    if (len >= 16) {
        memcpy(dst, data, 16);
        memcpy(dst + len - 16, data + len - 16, 16);

    } else {
        memcpy(dst, data, 8);
        memcpy(dst + len - 8, data + len - 8, 8);
    }

    return zmq_msg_send(&frame, spy->socket, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0;
}

static inline BEACOND_SPY_HOT bool
beacond_spy_topic_frame(beacond_spy_t *spy, uint8_t *data, size_t len)
{
    return len >= 8 && len <= BEACOND_SPY_SHORT
           ? beacond_spy_short(spy, data, len)
           : beacond_spy_frame(spy, data, len);
}

/* It did not go, as a rule because a queue became full. */
static bool
beacond_spy_refused(beacond_spy_t *spy, uint8_t *data, size_t len)
{
    if (errno != EAGAIN || spy->queues != BEACOND_SPY_WATCHED) {
        return false;
    }

    beacond_spy_nodrop(spy, BEACOND_SPY_FULL);

    return beacond_spy_topic_frame(spy, data, len);
}

/* The first says whether a queue is full; the others go where it went. */
static inline BEACOND_SPY_HOT bool
beacond_spy_first(beacond_spy_t *spy, uint8_t *data, size_t len)
{
    beacond_spy_queues(spy);

    return beacond_spy_topic_frame(spy, data, len)
           || beacond_spy_refused(spy, data, len);
}

static inline BEACOND_SPY_HOT bool
beacond_spy_last(beacond_spy_t *spy, uint8_t *data, size_t len)
{
    zmq_msg_t             frame;
    beacond_spy_chunk_t  *chunk = spy->chunk;

    if (zmq_msg_init_data(&frame, data, len, beacond_spy_free, chunk) != 0) {
        return false;
    }

    chunk->messages++;
    spy->given++;

    if (zmq_msg_send(&frame, spy->socket, ZMQ_DONTWAIT) >= 0) {
        return true;
    }

    zmq_msg_close(&frame);

    return false;
}

/* BEACOND_SPY_WIDE bytes are loaded and stored, at least. */
static inline uint8_t *
beacond_spy_put(uint8_t *dst, const uint8_t *src, size_t len)
{
    if (len <= BEACOND_SPY_WIDE) {
        memcpy(dst, src, BEACOND_SPY_WIDE);

    } else {
        memcpy(dst, src, len);
    }

    return dst + len;
}

void
beacond_spy_stat(beacond_spy_t *spy, const beacon_spy_head_t *head)
{
    size_t                n, len;
    uint8_t              *p;
    beacond_spy_chunk_t  *chunk;

    chunk = beacond_spy_fresh(spy, sizeof("stat//") + head->site.len
                                   + head->edge.len + BEACOND_SPY_NUMBER,
                              true);

    if (chunk == NULL) {
        return;
    }

    p = chunk->data;
    n = beacon_spy_topic(1, head->site, p);
    len = beacon_spy_head(head, p + n);

    if (!beacond_spy_first(spy, p, n) || !beacond_spy_last(spy, p + n, len)) {
        beacond_spy_reset(spy, zmq_strerror(errno));
    }
}

/* The line's own, which stands behind the site, or the hash. */
static inline beacon_str_t
beacond_spy_visitor(const beacond_spy_t *spy, const uint8_t *text,
    const beacon_line_t *line, uint8_t *hash)
{
    beacon_str_t         visitor;
    beacon_line_parts_t  parts;

    static const char  key[] = "\",\"visitor\":\"";

    visitor.data = text + line->site_offset + line->site_len + sizeof(key) - 1;

    if (visitor.data < text + line->ip_offset) {
        visitor.len = (size_t) (text + line->ip_offset - visitor.data)
                      - (sizeof("\",") - 1);
        return visitor;
    }

    beacon_line_known(text, line, &parts);
    beacon_line_visitor(&parts, spy->key, hash);

    return (beacon_str_t) { BEACON_VISITOR_HASH, hash };
}

/* The line without its newline, and without its address unless that is
   wanted. */
static inline uint8_t *
beacond_spy_json(const beacond_spy_t *spy, const uint8_t *text,
    const beacon_line_t *line, uint8_t *dst)
{
    size_t  ip = line->ip_offset, behind = ip + (spy->ip ? 0 : line->ip_len);

    return beacond_spy_copy(dst, text, ip, text + behind,
                            line->len - 1 - behind);
}

/* What is the same in all of the run, unless it was in the last one, too. */
static void
beacond_spy_begin(beacond_spy_t *spy, const beacond_spy_run_t *run)
{
    beacon_spy_head_t  head;

    spy->topic_len = 0;

    if (run->feed == spy->feed && run->at == spy->at && spy->prefix_len > 0) {
        return;
    }

    head.edge = run->edge;
    head.feed = run->feed;
    spy->feed = run->feed;
    spy->at = run->at;
    spy->seq = run->seq;                /* not the one before the first */
    spy->prefix_len = beacon_spy_prefix(&head, spy->head);
    spy->head_len = spy->prefix_len;
}

/* Adds one to the number that stands before the head's last space; false: it
   has no digit more. */
static inline bool
beacond_spy_up(beacond_spy_t *spy)
{
    uint8_t  *digit = spy->head + spy->head_len - 2;

    while (*digit == '9') {
        *digit-- = '0';
    }

    return (*digit)++ != ' ';
}

/* As a rule the number is the one behind the last hit's. */
static inline uint8_t *
beacond_spy_head(beacond_spy_t *spy, uint64_t seq, beacon_str_t visitor,
    uint8_t *dst)
{
    beacon_spy_head_t  head;

    if (seq != spy->seq + 1 || !beacond_spy_up(spy)) {
        head.stat = 0;
        head.seq = seq;
        spy->head[spy->prefix_len - 1] = ' ';
        spy->head_len = spy->prefix_len
                        + beacon_spy_rest(&head, spy->head + spy->prefix_len);
    }

    spy->seq = seq;
    dst = beacond_spy_put(dst, spy->head, spy->head_len);

    return beacond_spy_put(dst, visitor.data, visitor.len);
}

/* A run's stands once in a chunk. */
static inline void
beacond_spy_topic(beacond_spy_t *spy, const uint8_t *text,
    const beacon_line_t *line)
{
    beacon_str_t  site = { line->site_len, text + line->site_offset };

    if (spy->topic_len == 0) {
        spy->topic = spy->next;
        spy->topic_len = beacon_spy_topic(0, site, spy->topic);
        beacond_spy_written(spy, spy->topic + spy->topic_len);
    }
}

/* Head and line, one behind the other; 64 bytes behind a line may be loaded,
   and are free behind what is written. */
static inline BEACOND_SPY_HOT bool
beacond_spy_hit(beacond_spy_t *spy, const uint8_t *text,
    const beacon_line_t *line, uint64_t seq)
{
    uint8_t       *head, *json, *end, hash[BEACOND_SPY_WIDE];
    beacon_str_t   visitor;

    if (line->len > BEACON_SPY_MAX) {
        spy->large++;
        return false;
    }

    visitor = beacond_spy_visitor(spy, text, line, hash);

    if (!beacond_spy_room(spy, BEACON_SPY_TOPIC + BEACON_SPY_HEAD + visitor.len
                               + line->len + BEACOND_SPY_WIDE))
    {
        spy->dropped++;
        return false;
    }

    beacond_spy_topic(spy, text, line);
    head = spy->next;
    json = beacond_spy_head(spy, seq, visitor, head);
    end = beacond_spy_json(spy, text, line, json);
    beacond_spy_written(spy, end);

    if (!beacond_spy_first(spy, spy->topic, spy->topic_len)
        || !beacond_spy_frame(spy, head, (size_t) (json - head))
        || !beacond_spy_last(spy, json, (size_t) (end - json)))
    {
        beacond_spy_reset(spy, zmq_strerror(errno));
    }

    spy->dropped += spy->queues == BEACOND_SPY_FULL;

    return true;
}

void
beacond_spy_hits(beacond_spy_t *spy, const beacond_batch_t *batch,
    const beacond_spy_run_t *run)
{
    uint64_t               seq = run->seq, sent = 0;
    const beacond_line_t  *line, *end;

    beacond_spy_begin(spy, run);
    line = &batch->lines[run->first];
    end = line + run->n;

    for ( /* void */ ; line < end && spy->socket != NULL; line++) {
        sent += beacond_spy_hit(spy, batch->arena + line->offset, &line->line,
                                seq++);
    }

    spy->sent += sent;
}
