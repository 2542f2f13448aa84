/* The spy feed's frames. */

#include "beacond_spy.h"
#include "beacon_line.h"

#include <zmq.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_SPY_WIDE    64          /* bytes that are copied at once */
#define BEACOND_SPY_SPARE   64          /* chunks that are kept */
#define BEACOND_SPY_HOT     __attribute__((always_inline))

/* Feed and number, with what stands around them. */
#define BEACOND_SPY_NUMBER  (1 + BEACON_SPY_FEED + 1 + 20 + 1)

/* Each message is a reference.  They are given in advance, so many that they
   do not run out, and the rest taken back when the chunk is full. */
#define BEACOND_SPY_REFS    (1U << 30)

struct beacond_spy_chunk_s {
    beacond_spy_t        *spy;
    beacond_spy_chunk_t  *next;         /* among those that are free */
    size_t                size;         /* of it all */
    uint32_t              messages;
    _Atomic uint32_t      refs;
    uint8_t               data[];
};

/* The chunks that I/O threads are done with are taken all at once, and so one
   that goes meanwhile cannot come back in its place. */

static void
beacond_spy_keep(beacond_spy_t *spy, beacond_spy_chunk_t *chunk)
{
    beacond_spy_chunk_t  *head;

    if (chunk->size != sizeof(beacond_spy_chunk_t) + BEACOND_SPY_CHUNK
        || atomic_load_explicit(&spy->spares, memory_order_relaxed)
           >= BEACOND_SPY_SPARE)
    {
        free(chunk);
        return;
    }

    atomic_fetch_add_explicit(&spy->spares, 1, memory_order_relaxed);
    head = atomic_load_explicit(&spy->spare, memory_order_relaxed);

    do {
        chunk->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&spy->spare, &head, chunk,
                                                    memory_order_release,
                                                    memory_order_relaxed));
}

static void
beacond_spy_unref(beacond_spy_chunk_t *chunk, uint32_t n)
{
    beacond_spy_t  *spy = chunk->spy;

    if (atomic_fetch_sub_explicit(&chunk->refs, n, memory_order_acq_rel) == n)
    {
        atomic_fetch_add_explicit(&spy->freed_bytes, chunk->size,
                                  memory_order_relaxed);
        beacond_spy_keep(spy, chunk);
    }
}

/* In an I/O thread, as a rule. */
static void
beacond_spy_free(void *data, void *hint)
{
    beacond_spy_chunk_t  *chunk = hint;

    (void) data;
    atomic_fetch_add_explicit(&chunk->spy->freed, 1, memory_order_relaxed);
    beacond_spy_unref(chunk, 1);
}

void
beacond_spy_drop(beacond_spy_t *spy)
{
    beacond_spy_chunk_t  *chunk = spy->chunk;

    if (chunk != NULL) {
        spy->chunk = NULL;
        spy->left = 0;
        beacond_spy_unref(chunk, BEACOND_SPY_REFS - chunk->messages);
    }
}

void
beacond_spy_release(beacond_spy_t *spy)
{
    beacond_spy_chunk_t  *chunk;

    beacond_spy_drop(spy);

    if (spy->ready == NULL) {
        spy->ready = atomic_exchange_explicit(&spy->spare, NULL,
                                              memory_order_acquire);
    }

    while ((chunk = spy->ready) != NULL) {
        spy->ready = chunk->next;
        free(chunk);
    }
}

/* One of those that were used before, or NULL. */
static beacond_spy_chunk_t *
beacond_spy_again(beacond_spy_t *spy)
{
    beacond_spy_chunk_t  *chunk;

    if (spy->ready == NULL) {
        spy->ready = atomic_exchange_explicit(&spy->spare, NULL,
                                              memory_order_acquire);
    }

    chunk = spy->ready;

    if (chunk != NULL) {
        spy->ready = chunk->next;
        atomic_fetch_sub_explicit(&spy->spares, 1, memory_order_relaxed);
    }

    return chunk;
}

/* A new chunk to write so many bytes to; alone: nothing else.  NULL: no
   memory. */
static beacond_spy_chunk_t *
beacond_spy_fresh(beacond_spy_t *spy, size_t need, bool alone)
{
    size_t                room;
    beacond_spy_chunk_t  *chunk;

    beacond_spy_drop(spy);
    room = need < BEACOND_SPY_CHUNK && !alone ? BEACOND_SPY_CHUNK : need;
    chunk = room == BEACOND_SPY_CHUNK ? beacond_spy_again(spy) : NULL;

    if (chunk == NULL) {
        chunk = malloc(sizeof(beacond_spy_chunk_t) + room);
    }

    if (chunk == NULL) {
        return NULL;
    }

    chunk->spy = spy;
    chunk->size = sizeof(beacond_spy_chunk_t) + room;
    chunk->messages = 0;
    atomic_init(&chunk->refs, BEACOND_SPY_REFS);
    spy->given_bytes += chunk->size;
    spy->chunk = chunk;
    spy->next = chunk->data;
    spy->left = alone ? 0 : (ptrdiff_t) room;
    spy->topic_len = 0;

    return chunk;
}

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

/* The first says whether a queue is full; the others go where it went. */
static inline bool
beacond_spy_first(beacond_spy_t *spy, uint8_t *data, size_t len)
{
    beacond_spy_queues(spy);

    if (beacond_spy_frame(spy, data, len)) {
        return true;
    }

    if (errno != EAGAIN || spy->queues != BEACOND_SPY_WATCHED) {
        return false;
    }

    beacond_spy_nodrop(spy, BEACOND_SPY_FULL);

    return beacond_spy_frame(spy, data, len);
}

static inline bool
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
beacond_spy_copy(uint8_t *dst, const uint8_t *src, size_t len)
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
    size_t  rest, len = line->len - 1, ip = line->ip_offset;

    if (spy->ip || line->ip_len == 0) {
        memcpy(dst, text, len);
        return dst + len;
    }

    rest = len - ip - line->ip_len;

    if (ip <= 2 * BEACOND_SPY_WIDE && rest >= BEACOND_SPY_WIDE) {
        memcpy(dst, text, 2 * BEACOND_SPY_WIDE);

    } else {
        memcpy(dst, text, ip);
    }

    return (uint8_t *) mempcpy(dst + ip, text + len - rest, rest);
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
    dst = beacond_spy_copy(dst, spy->head, spy->head_len);

    return beacond_spy_copy(dst, visitor.data, visitor.len);
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
