/* A hit goes into the store. */

#include "beacon_live_int.h"
#include "beacon_crc32c.h"

/* A hit's head, its line, and what is behind that. */
#define BEACON_LIVE_PIECES  3

/* A hit on its way: what is left to write, and where. */
typedef struct {
    uint32_t      site;
    uint32_t      chunk;
    uint32_t      offset;
    uint64_t      seq;
    size_t        left;
    uint8_t       first;
    uint32_t      piece;
    beacon_str_t  pieces[BEACON_LIVE_PIECES];
} beacon_live_writing_t;

static void
beacon_live_add(_Atomic uint64_t *n, uint64_t more)
{
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed)
                          + more, memory_order_relaxed);
}

/* All words of the head that a hit or gap changes. */
static void
beacon_live_head_save(beacon_live_writer_t *w)
{
    (void) beacon_live_undo_save(w, &w->head->hits,
                                 offsetof(beacon_live_head_t, mark)
                                 + sizeof(uint64_t)
                                 - offsetof(beacon_live_head_t, hits));
}

static void
beacon_live_set_mark(beacon_live_writer_t *w, uint64_t mark)
{
    if (mark) {
        BEACON_LIVE_SET(w->head->mark, mark);
    }
}

/* So many hits are missing behind its newest. */
static void
beacon_live_missed(beacon_live_writer_t *w, uint32_t site, uint64_t n,
    uint64_t mark)
{
    beacon_live_undo_t      *undo;
    beacon_live_own_site_t  *own;

    own = &w->site[site];
    undo = w->undo;

    if (n > BEACON_LIVE_SEQ_MAX - own->last) {
        n = BEACON_LIVE_SEQ_MAX - own->last;
    }

    if (n == 0) {
        beacon_live_set_mark(w, mark);
        return;
    }

    own->last += n;

    beacon_live_undo_begin(w);
    beacon_live_head_save(w);

    beacon_live_add(&w->head->missing, n);
    beacon_live_set_mark(w, mark);

    undo->seq = own->last;
    beacon_live_in_order();
    atomic_store_explicit(&undo->site, site, memory_order_relaxed);
    beacon_live_in_order();

    BEACON_LIVE_POINT("live.before_gap");
    BEACON_LIVE_PUBLISH(beacon_live_site_at(&w->live, site)->last, own->last);
    BEACON_LIVE_POINT("live.after_gap");

    beacon_live_undo_clear(w);
}

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

    own = &w->site[hit->site];
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

/* As much as fits there; the pieces are then what is left. */
static void
beacon_live_pieces_write(beacon_live_writing_t *hit, uint8_t *to, size_t room)
{
    size_t         n;
    beacon_str_t  *piece;

    for ( /* void */ ; room && hit->piece < BEACON_LIVE_PIECES; room -= n) {
        piece = &hit->pieces[hit->piece];
        n = piece->len < room ? piece->len : room;

        beacon_live_copy(to, piece->data, n);

        to += n;
        piece->data += n;
        piece->len -= n;
        hit->piece += piece->len == 0;
    }
}

/* All of a hit, as nearly always: its head has a length that is known. */
static inline void
beacon_live_whole_write(const beacon_live_writing_t *hit, uint8_t *to)
{
    beacon_live_copy(to, hit->pieces[0].data, sizeof(beacon_live_hit_t));
    to += sizeof(beacon_live_hit_t);
    beacon_live_copy(to, hit->pieces[1].data, hit->pieces[1].len);

    if (__builtin_expect(hit->pieces[2].len != 0, 0)) {
        beacon_live_copy(to + hit->pieces[1].len, hit->pieces[2].data,
                         hit->pieces[2].len);
    }
}

/* What fits where the hit stands. */
static inline void
beacon_live_fragment_write(beacon_live_writer_t *w, beacon_live_writing_t *hit)
{
    size_t                         bytes, room;
    uint8_t                       *at;
    beacon_live_fragment_t         fragment;
    const beacon_live_own_chunk_t *own;

    own = &w->chunk[hit->chunk];
    at = (uint8_t *) beacon_live_chunk_at(&w->live, hit->chunk) + hit->offset;

    room = BEACON_LIVE_CHUNK - hit->offset - sizeof(fragment);
    bytes = hit->left < room ? hit->left : room;

    if (hit->first && bytes == hit->left) {
        beacon_live_whole_write(hit, at + sizeof(fragment));

    } else {
        beacon_live_pieces_write(hit, at + sizeof(fragment), bytes);
    }

    hit->left -= bytes;

    fragment.length = (uint32_t) ((sizeof(fragment) + bytes + 7)
                                  & ~(size_t) 7);
    fragment.crc = 0;
    fragment.site = hit->site;
    fragment.bytes = (uint16_t) bytes;
    fragment.first = hit->first;
    fragment.last = hit->left == 0;
    fragment.seq = hit->seq;

    beacon_live_copy(at, &fragment, sizeof(fragment));
    fragment.crc = beacon_crc32c((uint32_t) own->serial,
                                 at + offsetof(beacon_live_fragment_t, site),
                                 sizeof(fragment)
                                 - offsetof(beacon_live_fragment_t, site)
                                 + bytes);
    beacon_live_copy(at + offsetof(beacon_live_fragment_t, crc), &fragment.crc,
                     sizeof(fragment.crc));

    hit->first = 0;
    hit->offset += fragment.length;
}

/* Readers have it from here on. */
static void
beacon_live_commit(beacon_live_writer_t *w, const beacon_live_writing_t *hit)
{
    w->chunk[hit->chunk].committed = hit->offset;

    /* pairs with the acquire in beacon_live_fragment() */

    BEACON_LIVE_PUBLISH(beacon_live_chunk_at(&w->live, hit->chunk)->committed,
                        hit->offset);
}

static void
beacon_live_hit_write(beacon_live_writer_t *w, beacon_live_writing_t *hit)
{
    beacon_live_undo_t  *undo;

    for ( ;; ) {
        beacon_live_fragment_write(w, hit);

        if (hit->left == 0) {
            break;
        }

        beacon_live_commit(w, hit);
        BEACON_LIVE_POINT("live.fragment");

        hit->chunk = w->chunk[hit->chunk].next;
        hit->offset = sizeof(beacon_live_chunk_t);
    }

    /* from the commit on, what the hit changed is to stay */

    undo = w->undo;
    undo->serial = w->chunk[hit->chunk].serial;
    undo->committed = hit->offset;
    beacon_live_in_order();
    atomic_store_explicit(&undo->chunk, hit->chunk, memory_order_relaxed);
    beacon_live_in_order();

    BEACON_LIVE_POINT("live.before_commit");
    beacon_live_commit(w, hit);
    BEACON_LIVE_POINT("live.after_commit");
}

/* All that is known of the site and changes with the hit. */
static void
beacon_live_hit_count(beacon_live_writer_t *w, beacon_live_count_t *count,
    uint64_t missing)
{
    beacon_live_site_t  *s;

    s = beacon_live_site_at(&w->live, count->site);

    beacon_live_undo_begin(w);
    beacon_live_head_save(w);
    (void) beacon_live_undo_save(w, &s->hits, 2 * sizeof(uint64_t));

    beacon_live_begin(&s->serial);
    BEACON_LIVE_POINT("live.counting");

    beacon_live_add(&w->head->hits, 1);
    if (missing) {
        beacon_live_add(&w->head->missing, missing);
    }

    beacon_live_set_mark(w, count->put->mark);
    BEACON_LIVE_SET(s->hits, s->hits + 1);
    BEACON_LIVE_SET(s->last_ms, count->put->time_ms);
    beacon_live_count(w, count);

    beacon_live_end(&s->serial);
    BEACON_LIVE_POINT("live.counted");
}

/* A text of the line's. */
static inline beacon_line_text_t
beacon_live_text(const beacon_live_put_t *put, beacon_str_t text)
{
    if (text.len == 0) {
        return (beacon_line_text_t) { 0, 0 };
    }

    return (beacon_line_text_t) { (uint32_t) (text.data - put->line.data),
                                  (uint32_t) text.len };
}

static void
beacon_live_hit_head(beacon_live_hit_t *head, const beacon_live_count_t *count)
{
    beacon_line_text_t         *texts;
    const beacon_live_put_t    *put;
    const beacon_line_view_t   *view;
    const beacon_line_parts_t  *parts;

    put = count->put;
    view = count->view;
    parts = put->parts;
    texts = head->texts;

    head->time_ms = put->time_ms;
    head->line_len = (uint32_t) put->line.len;
    head->more_len = 0;
    head->visitor = count->visitor;
    head->before_chunk = count->before_chunk;
    head->before_offset = count->before_offset;
    head->reserved = 0;
    head->before_seq = count->before_seq;
    head->ip = beacon_live_text(put, parts->ip_member);
    texts[BEACON_SHORT_TIME] = beacon_live_text(put, parts->time);
    texts[BEACON_SHORT_PAGE] = beacon_live_text(put, view->page);
    texts[BEACON_SHORT_REFERRER] = beacon_live_text(put, view->referrer);
    texts[BEACON_SHORT_COUNTRY] = beacon_live_text(put, view->country);
    texts[BEACON_SHORT_FLAGS] = beacon_live_text(put, parts->flags);

    if (put->visitor.data == parts->visitor.data) {
        texts[BEACON_SHORT_VISITOR] = beacon_live_text(put, parts->visitor);

    } else {
        head->more_len = (uint32_t) put->visitor.len;
        texts[BEACON_SHORT_VISITOR] = (beacon_line_text_t) {
            (uint32_t) put->line.len, (uint32_t) put->visitor.len
        };
    }
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
beacon_live_fits(const beacon_live_put_t *put, const beacon_line_view_t *view)
{
    size_t        len;
    beacon_str_t  texts[BEACON_SHORT_TEXTS];

    len = put->line.len + put->visitor.len;

    if (__builtin_expect(len < (BEACON_LIVE_HIT_MAX - BEACON_SHORT_ROOM(0, 0))
                               / 2, 1))
    {
        return 1;
    }

    texts[BEACON_SHORT_TIME] = put->parts->time;
    texts[BEACON_SHORT_VISITOR] = put->visitor;
    texts[BEACON_SHORT_PAGE] = view->page;
    texts[BEACON_SHORT_REFERRER] = view->referrer;
    texts[BEACON_SHORT_COUNTRY] = view->country;
    texts[BEACON_SHORT_FLAGS] = put->parts->flags;

    return put->line.len < BEACON_LIVE_HIT_MAX
           && put->visitor.len < BEACON_LIVE_HIT_MAX
           && len + beacon_line_short_len(texts) <= BEACON_LIVE_HIT_MAX;
}

beacon_rc_t
beacon_live_put(beacon_live_writer_t *w, const beacon_live_put_t *put,
    uint64_t now_ms)
{
    uint64_t                 missing;
    beacon_live_hit_t        head;
    beacon_line_view_t       view;
    beacon_live_count_t      count;
    beacon_live_writing_t    hit;
    beacon_live_own_site_t  *own;

    beacon_live_clock(w, now_ms);

    hit.site = beacon_live_site_for(w, put->site);
    own = &w->site[hit.site];
    beacon_live_site_hit(w, hit.site);

    /* more than there can be is a mistake, not a gap */

    missing = put->missing < BEACON_LIVE_SEQ_MAX - own->last ? put->missing : 0;

    beacon_line_view(put->parts, &view);

    hit.seq = own->last + 1 + missing;
    hit.chunk = 0;
    hit.first = 1;
    hit.pieces[1] = put->line;
    hit.pieces[2].data = put->visitor.data;
    hit.pieces[2].len = put->visitor.data == put->parts->visitor.data
                        ? 0 : put->visitor.len;
    hit.left = sizeof(head) + put->line.len + hit.pieces[2].len;

    if (!beacon_live_fits(put, &view) || hit.seq > BEACON_LIVE_SEQ_MAX
        || !beacon_live_make_room(w, &hit))
    {
        return beacon_live_too_large(w, hit.site, missing, put->mark);
    }

    own->bytes += hit.left;

    count.site = hit.site;
    count.chunk = hit.chunk;
    count.offset = hit.offset;
    count.seq = hit.seq;
    count.now_ms = now_ms;
    count.put = put;
    count.view = &view;

    beacon_live_hit_count(w, &count, missing);
    beacon_live_hit_head(&head, &count);

    hit.piece = 0;
    hit.pieces[0] = (beacon_str_t) { sizeof(head), (const uint8_t *) &head };

    beacon_live_hit_write(w, &hit);

    own->last = hit.seq;
    BEACON_LIVE_PUBLISH(beacon_live_site_at(&w->live, hit.site)->last, hit.seq);

    BEACON_LIVE_POINT("live.before_clear");
    beacon_live_undo_clear(w);

    return BEACON_OK;
}

beacon_rc_t
beacon_live_gap(beacon_live_writer_t *w, beacon_str_t name, uint64_t n,
    uint64_t mark)
{
    uint32_t  site;

    site = beacon_live_site_find(w, name);

    if (site == 0) {
        beacon_live_set_mark(w, mark);
        return BEACON_INVALID;
    }

    beacon_live_missed(w, site, n, mark);

    return BEACON_OK;
}

uint64_t
beacon_live_mark(const beacon_live_writer_t *w)
{
    return BEACON_LIVE_GET(w->head->mark);
}

void
beacon_live_tick(beacon_live_writer_t *w, uint64_t now_ms)
{
    beacon_live_clock(w, now_ms);

    if (w->clock - w->evaluated_at >= BEACON_LIVE_EVALUATE * 1000) {
        w->evaluated_at = w->clock;
        beacon_live_evaluate(w);
    }
}

void
beacon_live_set_present(beacon_live_writer_t *w, uint32_t present)
{
    w->present = present;
    atomic_store_explicit(&w->head->present, present, memory_order_relaxed);
}

void
beacon_live_stats(const beacon_live_writer_t *w, beacon_live_stats_t *stats)
{
    *stats = w->stats;

    stats->hits = atomic_load_explicit(&w->head->hits, memory_order_relaxed);
    stats->missing = atomic_load_explicit(&w->head->missing,
                                          memory_order_relaxed);
    stats->size = w->live.size;
    stats->used_bytes = (uint64_t) (w->live.is.chunks - 1 - w->free_chunks)
                        * BEACON_LIVE_CHUNK;
}
