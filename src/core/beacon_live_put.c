/* A hit goes into the store. */

#include "beacon_live_count_hit.h"

/* Of a fragment with so many bytes of a hit. */
#define BEACON_LIVE_LENGTH(bytes)                                             \
    ((uint32_t) ((sizeof(beacon_live_fragment_t) + (bytes) + 7)               \
                 & ~(size_t) 7))

/* A hit that is parted, on its way: what is left to write, and where. */
typedef struct {
    uint32_t      site;
    uint32_t      chunk;
    uint32_t      offset;
    uint64_t      seq;
    size_t        left;
    uint8_t       first;
    beacon_str_t  line;                 /* what is left of it, */
    beacon_str_t  more;                 /*   and of what is behind it */
} beacon_live_writing_t;

/* What is rare stays out of the way of what is not. */
static int beacon_live_elsewhere(beacon_live_writer_t *w,
    beacon_live_count_t *count, size_t left) __attribute__((noinline));
static void beacon_live_parts_write(beacon_live_writer_t *w,
    const beacon_live_count_t *count, size_t left) __attribute__((noinline));


/* It is in one piece where it goes, as nearly always. */
static inline int
beacon_live_whole(const beacon_live_count_t *count, size_t left)
{
    return count->offset + sizeof(beacon_live_fragment_t) + left
           <= BEACON_LIVE_CHUNK;
}

/*
 * Chunks for a hit of so many bytes, in the site's chain: the fragments go to
 * the newest that there was, if there is room, and on from there.  That one
 * stays, or who has no other would have no hit but this.  0: there are not so
 * many to be had.
 */
static int
beacon_live_make_room(beacon_live_writer_t *w, beacon_live_count_t *count,
    size_t left)
{
    size_t                          most, have;
    uint32_t                        chunk, least;
    uint64_t                        keep;
    const beacon_live_own_site_t   *own;
    const beacon_live_own_chunk_t  *newest;

    /* a chunk that changes hands has no hit that is not committed */

    beacon_live_put_end(w);

    own = count->own;
    newest = &w->chunk[own->newest];
    count->chunk = 0;
    most = BEACON_LIVE_CHUNK - sizeof(beacon_live_chunk_t)
           - sizeof(beacon_live_fragment_t);
    least = 1 + (uint32_t) (left / most) + (own->newest != 0);
    keep = own->newest ? newest->index : own->index + 1;
    have = 0;

    if (newest->committed + BEACON_LIVE_LEAST <= BEACON_LIVE_CHUNK) {
        count->chunk = own->newest;
        have = BEACON_LIVE_CHUNK - newest->committed
               - sizeof(beacon_live_fragment_t);
    }

    while (have < left) {
        chunk = beacon_live_chunk_add(w, own->slot,
                                      count->seq + (count->chunk != 0), keep,
                                      least, count->chunk == 0);

        if (chunk == 0 && count->chunk == 0 && keep <= own->index) {
            keep = own->index + 1;
            continue;
        }

        if (chunk == 0) {
            for (chunk = count->chunk; chunk; chunk = w->chunk[chunk].next) {
                beacon_live_chunk_lead(w, chunk);
            }

            return 0;
        }

        if (count->chunk == 0) {
            count->chunk = chunk;
        }

        have += most;
    }

    count->in = &w->chunk[count->chunk];
    count->offset = count->in->committed;

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

/* What fits where the hit stands; its head is there. */
static void
beacon_live_fragment_write(beacon_live_writer_t *w, beacon_live_writing_t *hit)
{
    size_t                   bytes, room, head;
    uint8_t                 *at, *text;
    const uint8_t           *from;
    beacon_live_sum_t        begin;
    beacon_live_fragment_t   fragment;

    at = (uint8_t *) w->chunk[hit->chunk].seen + hit->offset;
    room = BEACON_LIVE_CHUNK - hit->offset - sizeof(fragment);
    bytes = hit->left < room ? hit->left : room;
    head = hit->first ? sizeof(beacon_live_hit_t) : 0;
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
    fragment.check = w->sum(&begin, head ? at + sizeof(fragment) : NULL, text,
                            from, bytes - head);
    beacon_live_copy(at, &fragment, sizeof(fragment));

    hit->first = 0;
    hit->offset += fragment.length;
}

/* A fragment's header, in whole words. */
static inline void
beacon_live_fragment_put(uint8_t *at, const beacon_live_sum_t *begin,
    uint32_t length, uint32_t check)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && !defined(__SANITIZE_THREAD__)
    uint64_t  first;

    first = length | (uint64_t) check << 32;
    memcpy(at, &first, sizeof(first));
    memcpy(at + 8, &begin->words[0], sizeof(first));
    memcpy(at + 16, &begin->words[1], sizeof(first));
#else
    beacon_live_fragment_t  fragment;

    fragment.length = length;
    fragment.check = check;
    fragment.site = (uint32_t) begin->words[0];
    fragment.bytes = (uint16_t) (begin->words[0] >> 32);
    fragment.first = (uint8_t) (begin->words[0] >> 48);
    fragment.last = (uint8_t) (begin->words[0] >> 56);
    fragment.seq = begin->words[1];
    beacon_live_copy(at, &fragment, sizeof(fragment));
#endif
}

/* What its visitor does not say. */
static inline void
beacon_live_hit_head(const beacon_live_count_t *count,
    const beacon_live_put_t *put)
{
    beacon_live_hit_t          *head;
    const beacon_line_shown_t  *shown;

    head = count->head;
    shown = put->shown;

    BEACON_LIVE_SET(head->time_ms, put->time_ms);
    BEACON_LIVE_SET(head->line_len, (uint32_t) put->line.len);
    BEACON_LIVE_SET(head->more_len, (uint32_t) count->more);
    BEACON_LIVE_SET(head->reserved, 0);
    beacon_live_copy(&head->ip, &shown->ip, sizeof(head->ip));
    beacon_live_copy(head->texts, shown->texts, sizeof(head->texts));

    if (__builtin_expect(count->more != 0, 0)) {
        BEACON_LIVE_SET(head->texts[BEACON_SHORT_VISITOR].offset,
                        (uint32_t) put->line.len);
        BEACON_LIVE_SET(head->texts[BEACON_SHORT_VISITOR].len,
                        (uint32_t) count->more);
    }
}

static inline void
beacon_live_whole_write(beacon_live_writer_t *w,
    const beacon_live_count_t *count, const beacon_live_put_t *put)
{
    size_t                    more, bytes;
    uint8_t                  *at, *to;
    uint32_t                  length;
    const uint8_t            *text;
    beacon_live_own_chunk_t  *chunk;

    more = count->more;
    at = (uint8_t *) count->head - sizeof(beacon_live_fragment_t);
    to = (uint8_t *) (count->head + 1);
    chunk = count->in;
    bytes = sizeof(*count->head) + put->line.len + more;

    beacon_live_hit_head(count, put);
    w->begin.words[0] = beacon_live_sum_word(count->own->slot, bytes, 1, 1);
    w->begin.words[1] = count->seq;
    w->begin.words[2] = chunk->serial;
    text = put->line.data;

    if (__builtin_expect(more != 0, 0)) {
        text = to;
        beacon_live_copy(to, put->line.data, put->line.len);
        beacon_live_copy(to + put->line.len, put->visitor.data, more);
    }

    length = BEACON_LIVE_LENGTH(bytes);
    beacon_live_fragment_put(at, &w->begin, length,
                             w->sum(&w->begin, count->head, to, text,
                                    put->line.len + more));
    chunk->committed = count->offset + length;
}

/* One that does not fit into what is left of a chunk. */
static void
beacon_live_parts_write(beacon_live_writer_t *w,
    const beacon_live_count_t *count, size_t left)
{
    beacon_live_writing_t  hit;

    beacon_live_hit_head(count, count->put);
    hit.site = count->own->slot;
    hit.chunk = count->chunk;
    hit.offset = count->offset;
    hit.seq = count->seq;
    hit.left = left;
    hit.first = 1;
    hit.line = count->put->line;
    hit.more.data = count->put->visitor.data;
    hit.more.len = count->more;

    for ( ;; ) {
        beacon_live_fragment_write(w, &hit);

        if (hit.left == 0) {
            break;
        }

        /* of what has no end yet, readers make nothing */

        w->chunk[hit.chunk].committed = hit.offset;
        BEACON_LIVE_PUBLISH(w->chunk[hit.chunk].seen->committed, hit.offset);
        beacon_live_chunk_lead(w, hit.chunk);
        BEACON_LIVE_POINT("live.fragment");

        hit.chunk = w->chunk[hit.chunk].next;
        hit.offset = sizeof(beacon_live_chunk_t);
    }

    w->chunk[hit.chunk].committed = hit.offset;
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

/* It goes elsewhere than to its site's newest chunk alone.  0: nowhere. */
static int
beacon_live_elsewhere(beacon_live_writer_t *w, beacon_live_count_t *count,
    size_t left)
{
    return beacon_live_fits(count->put) && count->seq <= BEACON_LIVE_SEQ_MAX
           && (beacon_live_whole(count, left)
               || beacon_live_make_room(w, count, left));
}

/* All that its visitor and its keys say of it; what its site and the head say
   is counted with the run. */
static inline void
beacon_live_count(beacon_live_writer_t *w, beacon_live_own_site_t *own,
    const beacon_live_count_t *count, const beacon_live_put_t *put)
{
    beacon_live_run_t  *run;

    run = beacon_live_run_of(w, own);
    run->hits++;
    run->last_ms = put->time_ms;
    w->hits++;

    if (__builtin_expect(put->mark != 0, 1)) {
        w->mark = put->mark;
    }

    BEACON_LIVE_POINT("live.counting");
    beacon_live_count_visitor(w, count, own, put, run);
    beacon_live_count_keys(w, own, put);
}

/* Hits that are missing before it.  More than there can be is a mistake, not a
   gap. */
static inline uint64_t
beacon_live_missing(const beacon_live_own_site_t *own,
    const beacon_live_put_t *put)
{
    return put->missing < BEACON_LIVE_SEQ_MAX - own->last ? put->missing : 0;
}

beacon_rc_t
beacon_live_put_more(beacon_live_writer_t *w, const beacon_live_put_t *put,
    uint64_t now_ms)
{
    size_t                   left;
    beacon_live_count_t     *count;
    beacon_live_own_site_t  *own;

    beacon_live_time(w, now_ms);

    own = beacon_live_site_for(w, put->site);
    count = &w->count;
    count->own = own;
    count->put = put;
    count->more = put->visitor.data
                 == beacon_live_shown(put, BEACON_SHORT_VISITOR).data
                 ? 0 : put->visitor.len;
    count->seq = own->last + 1;

    if (__builtin_expect(put->missing != 0, 0)) {
        count->seq += beacon_live_missing(own, put);
    }

    count->chunk = own->newest;
    count->in = &w->chunk[own->newest];
    count->offset = count->in->committed;
    left = sizeof(beacon_live_hit_t) + put->line.len + count->more;

    if (__builtin_expect(!beacon_live_whole(count, left)
                         || count->seq > BEACON_LIVE_SEQ_MAX, 0)
        && !beacon_live_elsewhere(w, count, left))
    {
        return beacon_live_too_large(w, own->slot, count->seq - 1 - own->last,
                                     put->mark);
    }

    count->head = (void *) ((uint8_t *) count->in->seen + count->offset
                            + sizeof(beacon_live_fragment_t));
    own->bytes += left;
    beacon_live_count(w, own, count, put);

    if (__builtin_expect(beacon_live_whole(count, left), 1)) {
        beacon_live_whole_write(w, count, put);

    } else {
        beacon_live_parts_write(w, count, left);
    }

    if (__builtin_expect(put->missing != 0, 0)) {
        w->missing += count->seq - 1 - own->last;
    }

    own->last = count->seq;

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
