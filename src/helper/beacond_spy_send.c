/* The spy feed's frames. */

#include "beacond_spy.h"
#include "beacon_line.h"

#include <zmq.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_SPY_FRAMES  3

/* Each frame is a reference.  They are given in advance, so many that they do
   not run out, and the rest taken back when the chunk is full. */
#define BEACOND_SPY_REFS    (1U << 30)

struct beacond_spy_chunk_s {
    beacond_spy_t     *spy;
    size_t             size;            /* of it all */
    size_t             room;            /* of data */
    size_t             used;
    uint32_t           frames;
    _Atomic uint32_t   refs;
    uint8_t            data[];
};

static void
beacond_spy_unref(beacond_spy_chunk_t *chunk, uint32_t n)
{
    if (atomic_fetch_sub_explicit(&chunk->refs, n, memory_order_acq_rel) == n)
    {
        atomic_fetch_add_explicit(&chunk->spy->freed_bytes, chunk->size,
                                  memory_order_relaxed);
        free(chunk);
    }
}

/* In an I/O thread, as a rule: of a head, of a line. */

static void
beacond_spy_free_head(void *data, void *hint)
{
    (void) data;
    beacond_spy_unref(hint, 1);
}

static void
beacond_spy_free_line(void *data, void *hint)
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
        beacond_spy_unref(chunk, BEACOND_SPY_REFS - chunk->frames);
    }
}

/* The chunk to write so many bytes to; NULL: no memory. */
static beacond_spy_chunk_t *
beacond_spy_chunk(beacond_spy_t *spy, size_t need)
{
    size_t                room, size;
    beacond_spy_chunk_t  *chunk = spy->chunk;

    if (chunk != NULL && chunk->room - chunk->used >= need) {
        return chunk;
    }

    beacond_spy_drop(spy);
    room = need < BEACOND_SPY_CHUNK ? BEACOND_SPY_CHUNK : need;
    size = sizeof(beacond_spy_chunk_t) + room;
    chunk = malloc(size);

    if (chunk == NULL) {
        return NULL;
    }

    chunk->spy = spy;
    chunk->size = size;
    chunk->room = room;
    chunk->used = 0;
    chunk->frames = 0;
    atomic_init(&chunk->refs, BEACOND_SPY_REFS);
    spy->given_bytes += size;
    spy->chunk = chunk;

    return chunk;
}

static void
beacond_spy_nodrop(beacond_spy_t *spy, int on)
{
    spy->full = !on;
    zmq_setsockopt(spy->socket, ZMQ_XPUB_NODROP, &on, sizeof(on));
}

/* The first says whether a queue is full; the others go where it went. */
static int
beacond_spy_frame(beacond_spy_t *spy, zmq_msg_t *frame, int more)
{
    int  rc;

    more = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
    rc = zmq_msg_send(frame, spy->socket, more);

    if (rc < 0 && errno == EAGAIN && !spy->full) {
        beacond_spy_nodrop(spy, 0);
        rc = zmq_msg_send(frame, spy->socket, more);
    }

    return rc;
}

/* All of them go, or are closed. */
static void
beacond_spy_message(beacond_spy_t *spy, zmq_msg_t *frames, int n)
{
    int  i, rc = 0;

    if (spy->full && beacond_spy_queued(spy) <= BEACOND_SPY_MARK / 2) {
        beacond_spy_nodrop(spy, 1);
    }

    for (i = 0; i < n && rc >= 0; i++) {
        rc = beacond_spy_frame(spy, &frames[i], i + 1 < n);
    }

    if (rc >= 0) {
        return;
    }

    for (i--; i < n; i++) {
        zmq_msg_close(&frames[i]);
    }

    beacond_spy_reset(spy, zmq_strerror(errno));
}

static int
beacond_spy_copy(zmq_msg_t *frame, const uint8_t *data, size_t len)
{
    if (zmq_msg_init_size(frame, len) != 0) {
        return -1;
    }

    memcpy(zmq_msg_data(frame), data, len);

    return 0;
}

void
beacond_spy_stat(beacond_spy_t *spy, const beacon_spy_head_t *head)
{
    size_t     n;
    uint8_t    buf[BEACON_SPY_HEAD > BEACON_SPY_TOPIC ? BEACON_SPY_HEAD
                                                      : BEACON_SPY_TOPIC];
    zmq_msg_t  frames[2];

    n = beacon_spy_topic(1, head->site, buf);

    if (beacond_spy_copy(&frames[0], buf, n) != 0) {
        return;
    }

    n = beacon_spy_head(head, buf);

    if (beacond_spy_copy(&frames[1], buf, n) != 0) {
        zmq_msg_close(&frames[0]);
        return;
    }

    beacond_spy_message(spy, frames, 2);
}

/* The line's own, which stands behind the site, or the hash. */
static beacon_str_t
beacond_spy_visitor(const beacond_spy_t *spy, const uint8_t *text,
    const beacon_line_t *line, uint8_t hash[BEACON_VISITOR_HASH])
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
static size_t
beacond_spy_json(const beacond_spy_t *spy, const uint8_t *text,
    const beacon_line_t *line, uint8_t *dst)
{
    size_t  rest, len = line->len - 1;

    if (spy->ip || line->ip_len == 0) {
        memcpy(dst, text, len);
        return len;
    }

    rest = line->ip_offset + line->ip_len;
    memcpy(dst, text, line->ip_offset);
    memcpy(dst + line->ip_offset, text + rest, len - rest);

    return len - line->ip_len;
}

/* Edge and feed are those of the last hit, as a rule. */
static size_t
beacond_spy_head(beacond_spy_t *spy, const beacon_spy_head_t *head,
    uint8_t *dst)
{
    size_t  n = spy->prefix_len;

    if (head->feed != spy->prefix_feed
        || n != head->edge.len + 1 + BEACON_SPY_FEED + 1
        || memcmp(spy->prefix, head->edge.data, head->edge.len) != 0)
    {
        n = spy->prefix_len = beacon_spy_prefix(head, spy->prefix);
        spy->prefix_feed = head->feed;
    }

    memcpy(dst, spy->prefix, n);
    n += beacon_spy_rest(head, dst + n);
    memcpy(dst + n, head->visitor.data, head->visitor.len);

    return n + head->visitor.len;
}

/* Head and line, one behind the other.  1: made. */
static int
beacond_spy_frames(beacond_spy_t *spy, const uint8_t *text,
    const beacon_line_t *line, const beacon_spy_head_t *head,
    zmq_msg_t *frames)
{
    size_t                n, len;
    uint8_t              *p;
    beacond_spy_chunk_t  *chunk;

    chunk = beacond_spy_chunk(spy, BEACON_SPY_HEAD + head->visitor.len
                                   + line->len);
    if (chunk == NULL) {
        return 0;
    }

    p = chunk->data + chunk->used;
    n = beacond_spy_head(spy, head, p);
    len = beacond_spy_json(spy, text, line, p + n);

    if (zmq_msg_init_data(&frames[0], p, n, beacond_spy_free_head, chunk)
        != 0)
    {
        return 0;
    }

    chunk->used += n;
    chunk->frames++;

    if (zmq_msg_init_data(&frames[1], p + n, len, beacond_spy_free_line,
                          chunk) != 0)
    {
        zmq_msg_close(&frames[0]);
        return 0;
    }

    chunk->used += len;
    chunk->frames++;
    spy->given++;

    return 1;
}

void
beacond_spy_hit(beacond_spy_t *spy, const beacond_batch_t *batch,
    const beacond_line_t *line, const beacond_spy_number_t *number)
{
    size_t              n;
    uint8_t             topic[BEACON_SPY_TOPIC], hash[BEACON_VISITOR_HASH];
    zmq_msg_t           frames[BEACOND_SPY_FRAMES];
    const uint8_t      *text = batch->arena + line->offset;
    beacon_spy_head_t   head;

    if (line->line.len > BEACON_SPY_MAX) {
        spy->large++;
        return;
    }

    head.stat = 0;
    head.site.data = text + line->line.site_offset;
    head.site.len = line->line.site_len;
    head.edge = number->edge;
    head.feed = number->feed;
    head.seq = number->seq;
    head.visitor = beacond_spy_visitor(spy, text, &line->line, hash);

    n = beacon_spy_topic(0, head.site, topic);

    if (beacond_spy_copy(&frames[0], topic, n) != 0) {
        spy->dropped++;
        return;
    }

    if (!beacond_spy_frames(spy, text, &line->line, &head, &frames[1])) {
        zmq_msg_close(&frames[0]);
        spy->dropped++;
        return;
    }

    beacond_spy_message(spy, frames, BEACOND_SPY_FRAMES);
    spy->sent++;
    spy->dropped += spy->full;
}
