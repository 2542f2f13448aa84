/* The spy feed's frames. */

#include "beacond_spy.h"
#include "beacon_line.h"

#include <zmq.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_SPY_FRAMES  3

/* What two frames of a hit lie in. */
typedef struct {
    beacond_spy_t     *spy;
    size_t             size;
    _Atomic uint32_t   refs;
    uint8_t            data[];
} beacond_spy_block_t;

/* In an I/O thread, as a rule. */
static void
beacond_spy_free(void *data, void *hint)
{
    beacond_spy_block_t  *block = hint;

    (void) data;

    if (atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) == 1)
    {
        atomic_fetch_sub_explicit(&block->spy->queued, 1,
                                  memory_order_relaxed);
        atomic_fetch_sub_explicit(&block->spy->queued_bytes, block->size,
                                  memory_order_relaxed);
        free(block);
    }
}

static beacond_spy_block_t *
beacond_spy_block(beacond_spy_t *spy, size_t size)
{
    beacond_spy_block_t  *block;

    size += sizeof(beacond_spy_block_t);
    block = malloc(size);

    if (block == NULL) {
        return NULL;
    }

    block->spy = spy;
    block->size = size;
    atomic_init(&block->refs, 1);
    atomic_fetch_add_explicit(&spy->queued, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&spy->queued_bytes, size, memory_order_relaxed);

    return block;
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

    if (spy->full && spy->queued <= BEACOND_SPY_MARK / 2) {
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

/* Up to the quote that no backslash escapes. */
static size_t
beacond_spy_text(const uint8_t *p, const uint8_t *end)
{
    const uint8_t  *start = p;

    while (p < end && *p != '"') {
        p += *p == '\\' ? 2 : 1;
    }

    return (size_t) ((p < end ? p : end) - start);
}

/* The line's own, which stands behind the site, or the hash. */
static beacon_str_t
beacond_spy_visitor(const beacond_spy_t *spy, const uint8_t *text,
    const beacon_line_t *line, uint8_t hash[BEACON_VISITOR_HASH])
{
    beacon_str_t         s, visitor;
    const uint8_t       *p, *end;
    beacon_line_parts_t  parts;

    static const char  key[] = "\",\"visitor\":\"";

    p = text + line->site_offset + line->site_len;
    end = text + line->len - 1;

    if (end - p > (ptrdiff_t) sizeof(key)
        && memcmp(p, key, sizeof(key) - 1) == 0)
    {
        visitor.data = p + sizeof(key) - 1;
        visitor.len = beacond_spy_text(visitor.data, end);
        return visitor;
    }

    s.data = text;
    s.len = line->len - 1;

    if (beacon_line_parts(s, &parts) == BEACON_OK) {
        beacon_line_visitor(&parts, spy->key, hash);

    } else {
        memset(hash, '0', BEACON_VISITOR_HASH);
    }

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

/* Head and line, in one block.  1: made. */
static int
beacond_spy_frames(beacond_spy_t *spy, const uint8_t *text,
    const beacon_line_t *line, const beacon_spy_head_t *head,
    zmq_msg_t *frames)
{
    size_t                n, len;
    uint8_t              *p;
    beacond_spy_block_t  *block;

    block = beacond_spy_block(spy, BEACON_SPY_HEAD + head->visitor.len
                                   + line->len);
    if (block == NULL) {
        return 0;
    }

    p = block->data;
    n = beacon_spy_head(head, p);
    memcpy(p + n, head->visitor.data, head->visitor.len);
    n += head->visitor.len;
    len = beacond_spy_json(spy, text, line, p + n);

    if (zmq_msg_init_data(&frames[0], p, n, beacond_spy_free, block) != 0) {
        beacond_spy_free(NULL, block);
        return 0;
    }

    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);

    if (zmq_msg_init_data(&frames[1], p + n, len, beacond_spy_free, block)
        != 0)
    {
        beacond_spy_free(NULL, block);
        zmq_msg_close(&frames[0]);
        return 0;
    }

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
