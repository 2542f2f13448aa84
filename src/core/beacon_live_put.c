/* A hit goes into the store. */

#include "beacon_live_count_hit.h"

/* Of a fragment with so many bytes of a hit. */
#define BEACON_LIVE_LENGTH(bytes)                                             \
    ((uint32_t) ((sizeof(beacon_live_fragment_t) + (bytes) + 7)               \
                 & ~(size_t) 7))

/* A hit on its way: what is left to write, and where. */
typedef struct {
    uint32_t           site;
    uint32_t           chunk;
    uint32_t           offset;
    uint64_t           seq;
    size_t             left;
    uint8_t            first;
    beacon_str_t       line;            /* what is left of it, */
    beacon_str_t       more;            /*   and of what is behind it */
    beacon_live_hit_t  head;
} beacon_live_writing_t;

/* What is rare stays out of the way of what is not. */
static int beacon_live_make_room(beacon_live_writer_t *w,
    beacon_live_writing_t *hit) __attribute__((noinline));
static void beacon_live_parts_write(beacon_live_writer_t *w,
    beacon_live_writing_t *hit, const beacon_live_count_t *count)
    __attribute__((noinline));


/*
 * Chunks for a hit of so many bytes, in the site's chain: the fragments go to
 * the newest that there was, if there is room, and on from there.  0: there
 * are not so many to be had.
 */
static int
beacon_live_make_room(beacon_live_writer_t *w, beacon_live_writing_t *hit)
{
    size_t                   most, have;
    uint32_t                 chunk, least;
    uint64_t                 keep;
    beacon_live_own_site_t  *own;

    /* a chunk that changes hands has no hit that is not committed */

    beacon_live_put_end(w);

    own = &w->site[hit->site];
    hit->chunk = 0;
    most = BEACON_LIVE_CHUNK - sizeof(beacon_live_chunk_t)
           - sizeof(beacon_live_fragment_t);
    least = 1 + (uint32_t) (hit->left / most);

    chunk = own->newest;
    have = 0;

    if (chunk != 0
        && w->chunk[chunk].committed + BEACON_LIVE_LEAST <= BEACON_LIVE_CHUNK)
    {
        hit->chunk = chunk;
        have = BEACON_LIVE_CHUNK - w->chunk[chunk].committed
               - sizeof(beacon_live_fragment_t);
        least++;
    }

    keep = hit->chunk ? w->chunk[hit->chunk].index : own->index + 1;

    while (have < hit->left) {
        chunk = beacon_live_chunk_add(w, hit->site,
                                      hit->seq + (hit->chunk != 0), keep,
                                      least);
        if (chunk == 0) {
            return 0;
        }

        if (hit->chunk == 0) {
            hit->chunk = chunk;
        }

        have += most;
    }

    hit->offset = w->chunk[hit->chunk].committed;

    return 1;
}

/* The next bytes behind the head: where they stand now.  Those of the line are
   copied as they are summed up; with others among them they go "to" first. */
static const uint8_t *
beacon_live_parts_next(beacon_live_writing_t *hit, uint8_t *to, size_t bytes)
{
    size_t          n;
    const uint8_t  *from;

    from = hit->line.data;
    n = hit->line.len < bytes ? hit->line.len : bytes;
    hit->line.data += n;
    hit->line.len -= n;

    if (n == bytes) {
        return from;
    }

    beacon_live_copy(to, from, n);
    beacon_live_copy(to + n, hit->more.data, bytes - n);
    hit->more.data += bytes - n;
    hit->more.len -= bytes - n;

    return to;
}

/* What fits where the hit stands. */
static void
beacon_live_fragment_write(beacon_live_writer_t *w, beacon_live_writing_t *hit)
{
    size_t                   bytes, room, head;
    uint8_t                 *at, *text;
    const uint8_t           *from;
    beacon_live_sum_t        begin;
    beacon_live_fragment_t   fragment;

    at = (uint8_t *) beacon_live_chunk_at(&w->live, hit->chunk) + hit->offset;
    room = BEACON_LIVE_CHUNK - hit->offset - sizeof(fragment);
    bytes = hit->left < room ? hit->left : room;
    head = hit->first ? sizeof(hit->head) : 0;
    text = at + sizeof(fragment) + head;
    from = beacon_live_parts_next(hit, text, bytes - head);
    hit->left -= bytes;

    fragment.length = BEACON_LIVE_LENGTH(bytes);
    fragment.site = hit->site;
    fragment.bytes = (uint16_t) bytes;
    fragment.first = hit->first;
    fragment.last = hit->left == 0;
    fragment.seq = hit->seq;

    begin = beacon_live_sum(&fragment, w->chunk[hit->chunk].serial);
    fragment.check = w->sum(&begin, head ? &hit->head : NULL, text, from,
                            bytes - head);
    beacon_live_copy(at + sizeof(fragment), &hit->head, head);
    beacon_live_copy(at, &fragment, sizeof(fragment));

    hit->first = 0;
    hit->offset += fragment.length;
}

/* head: in the chunk, or what goes there. */
static inline void
beacon_live_hit_head(beacon_live_hit_t *head, const beacon_live_count_t *count)
{
    const beacon_live_put_t    *put;
    const beacon_line_shown_t  *shown;

    put = count->put;
    shown = put->shown;

    BEACON_LIVE_SET(head->time_ms, put->time_ms);
    BEACON_LIVE_SET(head->line_len, (uint32_t) put->line.len);
    BEACON_LIVE_SET(head->more_len, (uint32_t) count->more);
    BEACON_LIVE_SET(head->visitor, count->visitor);
    BEACON_LIVE_SET(head->before_chunk, count->before_chunk);
    BEACON_LIVE_SET(head->before_offset, count->before_offset);
    BEACON_LIVE_SET(head->reserved, 0);
    BEACON_LIVE_SET(head->before_seq, count->before_seq);
    beacon_live_copy(&head->ip, &shown->ip, sizeof(head->ip));
    beacon_live_copy(head->texts, shown->texts, sizeof(head->texts));

    if (__builtin_expect(count->more != 0, 0)) {
        BEACON_LIVE_SET(head->texts[BEACON_SHORT_VISITOR].offset,
                        (uint32_t) put->line.len);
        BEACON_LIVE_SET(head->texts[BEACON_SHORT_VISITOR].len,
                        (uint32_t) count->more);
    }
}

/* All of a hit in one, as nearly always. */
static inline void
beacon_live_whole_write(const beacon_live_writer_t *w,
    const beacon_live_count_t *count, const beacon_live_put_t *put,
    beacon_live_own_chunk_t *chunk)
{
    size_t                   more;
    uint8_t                 *at, *to;
    const uint8_t           *text;
    beacon_live_hit_t       *head;
    beacon_live_sum_t        begin;
    beacon_live_fragment_t   fragment;

    more = count->more;
    at = (uint8_t *) beacon_live_chunk_at(&w->live, count->chunk)
         + count->offset;
    head = (void *) (at + sizeof(fragment));
    to = (uint8_t *) (head + 1);

    fragment.length = BEACON_LIVE_LENGTH(sizeof(*head) + put->line.len + more);
    fragment.site = count->site;
    fragment.bytes = (uint16_t) (sizeof(*head) + put->line.len + more);
    fragment.first = 1;
    fragment.last = 1;
    fragment.seq = count->seq;
    beacon_live_hit_head(head, count);

    text = put->line.data;
    begin = beacon_live_sum(&fragment, chunk->serial);

    if (__builtin_expect(more != 0, 0)) {
        text = to;
        beacon_live_copy(to, put->line.data, put->line.len);
        beacon_live_copy(to + put->line.len, put->visitor.data, more);
    }

    fragment.check = w->sum(&begin, head, to, text, put->line.len + more);
    beacon_live_copy(at, &fragment, sizeof(fragment));
    chunk->committed = count->offset + fragment.length;
}

/* One that does not fit into what is left of a chunk. */
static void
beacon_live_parts_write(beacon_live_writer_t *w, beacon_live_writing_t *hit,
    const beacon_live_count_t *count)
{
    beacon_live_hit_head(&hit->head, count);
    hit->first = 1;
    hit->line = count->put->line;
    hit->more.data = count->put->visitor.data;
    hit->more.len = count->more;

    for ( ;; ) {
        beacon_live_fragment_write(w, hit);

        if (hit->left == 0) {
            break;
        }

        /* of what has no end yet, readers make nothing */

        w->chunk[hit->chunk].committed = hit->offset;
        BEACON_LIVE_PUBLISH(beacon_live_chunk_at(&w->live, hit->chunk)
                            ->committed, hit->offset);
        BEACON_LIVE_POINT("live.fragment");

        hit->chunk = w->chunk[hit->chunk].next;
        hit->offset = sizeof(beacon_live_chunk_t);
    }

    w->chunk[hit->chunk].committed = hit->offset;
}

/* The slot for a hit.  A few sites have most of the hits; one that is free has
   no name. */
static inline beacon_live_own_site_t *
beacon_live_site_for(beacon_live_writer_t *w, beacon_str_t name)
{
    beacon_live_own_site_t  **near, *own;

    if (__builtin_expect(name.len == 0, 0)) {
        return beacon_live_site_found(w, name, &w->near[0]);
    }

    near = &w->near[(name.len + name.data[name.len - 1]
                     + 8U * name.data[name.len / 2]) % BEACON_LIVE_NEAR];
    own = *near;

    return own->name_len == name.len
           && beacon_live_equal(own->name, name.data, name.len)
           ? own : beacon_live_site_found(w, name, near);
}

static beacon_rc_t
beacon_live_too_large(beacon_live_writer_t *w, uint32_t site,
    uint64_t missing, uint64_t mark)
{
    beacon_live_missed(w, site, missing + 1, mark);
    w->stats.too_large++;

    return BEACON_FULL;
}

/* Is it short enough, with what a reader makes of it?  Most are by far. */
static int
beacon_live_fits(const beacon_live_put_t *put)
{
    size_t        len;
    unsigned      i;
    beacon_str_t  texts[BEACON_SHORT_TEXTS];

    len = put->line.len + put->visitor.len;

    if (__builtin_expect(len < (BEACON_LIVE_HIT_MAX - BEACON_SHORT_ROOM(0, 0))
                               / 2, 1))
    {
        return 1;
    }

    for (i = 0; i < BEACON_SHORT_TEXTS; i++) {
        texts[i] = beacon_live_shown(put, i);
    }

    texts[BEACON_SHORT_VISITOR] = put->visitor;

    return put->line.len < BEACON_LIVE_HIT_MAX
           && put->visitor.len < BEACON_LIVE_HIT_MAX
           && len + beacon_line_short_len(texts) <= BEACON_LIVE_HIT_MAX;
}

/* All that its visitor and its keys say of it; what its site and the head say
   is counted with the run. */
static inline void
beacon_live_count(beacon_live_writer_t *w, beacon_live_own_site_t *own,
    beacon_live_count_t *count, const beacon_live_put_t *put)
{
    beacon_live_run_t  *run;

    run = beacon_live_run_of(w, own);
    run->hits++;
    run->last_ms = put->time_ms;
    w->hits++;

    if (put->mark) {
        w->mark = put->mark;
    }

    BEACON_LIVE_POINT("live.counting");
    beacon_live_count_visitor(w, count, own, put, run);
    beacon_live_count_keys(w, own->counts, own->slot, put);
}

beacon_rc_t
beacon_live_put_more(beacon_live_writer_t *w, const beacon_live_put_t *put,
    uint64_t now_ms)
{
    int                       whole;
    size_t                    left;
    uint64_t                  missing;
    beacon_live_count_t       count;
    beacon_live_writing_t     hit;
    beacon_live_own_site_t   *own;
    beacon_live_own_chunk_t  *chunk;

    beacon_live_time(w, now_ms);

    own = beacon_live_site_for(w, put->site);
    count.site = own->slot;
    count.put = put;
    count.more = put->visitor.data
                 == beacon_live_shown(put, BEACON_SHORT_VISITOR).data
                 ? 0 : put->visitor.len;

    /* more than there can be is a mistake, not a gap */

    missing = put->missing;

    if (__builtin_expect(missing != 0, 0)
        && missing >= BEACON_LIVE_SEQ_MAX - own->last)
    {
        missing = 0;
    }

    count.seq = own->last + 1 + missing;
    count.chunk = own->newest;
    chunk = &w->chunk[own->newest];
    count.offset = chunk->committed;
    left = sizeof(beacon_live_hit_t) + put->line.len + count.more;

    whole = count.chunk != 0
            && left <= BEACON_LIVE_CHUNK
            && left + sizeof(beacon_live_fragment_t)
               <= BEACON_LIVE_CHUNK - count.offset;

    if (__builtin_expect(!whole || count.seq > BEACON_LIVE_SEQ_MAX, 0)) {
        hit.left = left;
        hit.site = count.site;
        hit.seq = count.seq;

        if (!beacon_live_fits(put) || hit.seq > BEACON_LIVE_SEQ_MAX
            || !beacon_live_make_room(w, &hit))
        {
            return beacon_live_too_large(w, count.site, missing, put->mark);
        }

        count.chunk = hit.chunk;
        count.offset = hit.offset;
    }

    own->bytes += left;
    beacon_live_count(w, own, &count, put);

    if (__builtin_expect(whole, 1)) {
        beacon_live_whole_write(w, &count, put, chunk);

    } else {
        beacon_live_parts_write(w, &hit, &count);
    }

    own->last = count.seq;
    w->missing += missing;

    if (w->hits == BEACON_LIVE_RUN || !beacon_live_undo_room(w)) {
        beacon_live_put_end(w);
    }

    return BEACON_OK;
}

beacon_rc_t
beacon_live_put(beacon_live_writer_t *w, const beacon_live_put_t *put,
    uint64_t now_ms)
{
    beacon_rc_t  rc;

    rc = beacon_live_put_more(w, put, now_ms);
    beacon_live_put_end(w);

    return rc;
}
