/* A site's hits, for readers: forwards, and how far back. */

#include "beacon_live_int.h"

/* Fragments and chunks that one call passes without finding a hit. */
#define BEACON_LIVE_HOPS  1024

/* Hits that begin in one chunk. */
#define BEACON_LIVE_BEGUN                                                     \
    (BEACON_LIVE_CHUNK / (sizeof(beacon_live_fragment_t)                      \
                          + sizeof(beacon_live_hit_t)))

void
beacon_live_scan_begin(beacon_live_scan_t *scan, const beacon_live_t *live,
    const beacon_live_info_t *site, uint64_t since, uint8_t *buf, size_t size)
{
    uint64_t                   first;
    const beacon_live_site_t  *s;

    memset(scan, 0, sizeof(beacon_live_scan_t));

    scan->live = live;
    scan->site = *site;
    scan->buf = buf;
    scan->size = size;

    if (since == 0) {
        s = beacon_live_site(live, site->index);
        first = s ? atomic_load_explicit(&s->first, memory_order_acquire) : 1;
        since = first ? first - 1 : 0;
    }

    scan->since = since > site->start ? since : site->start;
}

/* Stands at the front of a chunk. */
static void
beacon_live_scan_enter(beacon_live_scan_t *scan, const beacon_live_seen_t *seen)
{
    scan->chunk = seen->chunk;
    scan->serial = seen->serial;
    scan->offset = sizeof(beacon_live_chunk_t);
}

/* 1: the chunk where it stands is still what it was. */
static int
beacon_live_scan_holds(const beacon_live_scan_t *scan)
{
    const beacon_live_chunk_t  *c;

    c = beacon_live_chunk(scan->live, scan->chunk);

    return c != NULL && beacon_live_same(&c->serial, scan->serial);
}

/*
 * On to the next chunk of the chain: OK.  AGAIN: there is none, and nothing
 * more in this one.  CORRUPT: the chunk is another's now, and where the scan
 * stands has to be found anew.  damaged: what is left of it is of no use.
 */
static beacon_rc_t
beacon_live_scan_next(beacon_live_scan_t *scan, int damaged)
{
    uint64_t                 index;
    uint32_t                 next;
    beacon_rc_t              rc;
    beacon_live_seen_t       seen;
    beacon_live_chunk_t     *c;
    beacon_live_fragment_t   fragment;

    c = beacon_live_chunk(scan->live, scan->chunk);

    if (c == NULL) {
        return BEACON_CORRUPT;
    }

    next = BEACON_LIVE_LOAD(c->next);
    index = BEACON_LIVE_GET(c->index);

    if (!beacon_live_scan_holds(scan)) {
        return BEACON_CORRUPT;
    }

    if (next == 0) {
        return BEACON_AGAIN;
    }

    /* the writer may have gone on here before he went on there */

    rc = damaged ? BEACON_AGAIN
         : beacon_live_fragment_see(scan->live, scan->chunk, scan->offset,
                                    &fragment);
    if (rc == BEACON_OK) {
        return BEACON_OK;
    }

    if (beacon_live_chunk_see(scan->live, next, &seen) != BEACON_OK
        || seen.site != scan->site.index || seen.index != index + 1)
    {
        /* the link is damaged, or old: from the newest back */

        if (beacon_live_chunk_locate(scan->live, scan->site.index, index + 1,
                                     1, &seen)
            != BEACON_OK
            || seen.index <= index)
        {
            return BEACON_AGAIN;
        }
    }

    beacon_live_scan_enter(scan, &seen);

    return BEACON_OK;
}

/*
 * What stands where the scan does: OK, and its header.  AGAIN: nothing yet, or
 * nothing to be had.
 */
static beacon_rc_t
beacon_live_scan_see(beacon_live_scan_t *scan, unsigned *hops,
    beacon_live_fragment_t *fragment)
{
    beacon_rc_t         rc;
    beacon_live_seen_t  seen;

    while (++*hops < BEACON_LIVE_HOPS) {

        if (scan->chunk == 0) {
            rc = beacon_live_chunk_locate(scan->live, scan->site.index,
                                          scan->since + 1, 0, &seen);
            if (rc != BEACON_OK) {
                return rc;
            }

            beacon_live_scan_enter(scan, &seen);
        }

        rc = beacon_live_fragment_see(scan->live, scan->chunk, scan->offset,
                                      fragment);

        if (rc == BEACON_OK && fragment->site == scan->site.index
            && beacon_live_scan_holds(scan))
        {
            return BEACON_OK;
        }

        rc = beacon_live_scan_next(scan, rc != BEACON_AGAIN);

        if (rc == BEACON_AGAIN) {
            return rc;
        }

        if (rc == BEACON_CORRUPT) {
            scan->chunk = 0;
        }
    }

    return BEACON_AGAIN;
}

/* Past a fragment. */
static void
beacon_live_scan_pass(beacon_live_scan_t *scan,
    const beacon_live_fragment_t *fragment)
{
    scan->offset += fragment->length;
    scan->scanned += fragment->length;
}

/* What stands behind a hit's head, and its short form; SIZE_MAX: it is none. */
static size_t
beacon_live_scan_need(const beacon_live_hit_t *hit, const uint8_t *text,
    beacon_str_t texts[BEACON_SHORT_TEXTS])
{
    size_t  need;

    if (!beacon_live_hit_texts(hit, text, texts)) {
        return SIZE_MAX;
    }

    need = (size_t) hit->line_len + hit->more_len
           + beacon_line_short_len(texts);

    return need <= BEACON_LIVE_HIT_MAX ? need : SIZE_MAX;
}

/*
 * The hit whose first fragment was seen: OK, the scan stands behind it.  AGAIN:
 * it has no end yet.  FULL: no room, *need.  CORRUPT: it is none, or no more.
 */
static beacon_rc_t
beacon_live_scan_hit(beacon_live_scan_t *scan, unsigned *hops,
    beacon_live_fragment_t *fragment, beacon_live_hit_t *hit, size_t *need)
{
    size_t        n, have, size;
    uint64_t      seq;
    beacon_rc_t   rc;
    const void   *at;
    beacon_str_t  texts[BEACON_SHORT_TEXTS];

    at = (const uint8_t *) beacon_live_chunk(scan->live, scan->chunk)
         + scan->offset + sizeof(*fragment);
    beacon_live_copy(hit, at, sizeof(*hit));

    *need = beacon_live_scan_need(hit, scan->buf, texts);
    size = (size_t) hit->line_len + hit->more_len;
    seq = fragment->seq;

    if (*need == SIZE_MAX || (size_t) fragment->bytes - sizeof(*hit) > size) {
        return BEACON_CORRUPT;
    }

    if (*need > scan->size) {
        return BEACON_FULL;
    }

    for (have = 0; /* void */; have += n) {

        n = fragment->bytes - (fragment->first ? sizeof(*hit) : 0);

        if (n > size - have
            || beacon_live_fragment_read(scan->live, scan->chunk, scan->serial,
                                         scan->offset, fragment, hit,
                                         scan->buf + have)
               != BEACON_OK
            || (size_t) hit->line_len + hit->more_len != size
            || beacon_live_scan_need(hit, scan->buf, texts) != *need)
        {
            return BEACON_CORRUPT;
        }

        beacon_live_scan_pass(scan, fragment);

        if (fragment->last) {
            return have + n == size ? BEACON_OK : BEACON_CORRUPT;
        }

        rc = beacon_live_scan_see(scan, hops, fragment);

        if (rc != BEACON_OK) {
            return rc;
        }

        if (fragment->first || fragment->seq != seq) {
            return BEACON_CORRUPT;
        }
    }
}

static void
beacon_live_scan_record(const beacon_live_scan_t *scan, uint64_t seq,
    const beacon_live_hit_t *hit, beacon_live_record_t *record)
{
    uint8_t       *brief;
    beacon_str_t   texts[BEACON_SHORT_TEXTS];

    brief = scan->buf + hit->line_len + hit->more_len;
    (void) beacon_live_hit_texts(hit, scan->buf, texts);

    record->seq = seq;
    record->time_ms = hit->time_ms;
    record->line = (beacon_str_t) { hit->line_len, scan->buf };
    record->brief = (beacon_str_t) { beacon_line_short_of(texts, brief),
                                     brief };
    record->ip_offset = hit->ip.offset;
    record->ip_len = hit->ip.len;

    if (hit->ip.offset > hit->line_len
        || hit->ip.len > hit->line_len - hit->ip.offset)
    {
        record->ip_offset = 0;
        record->ip_len = 0;
    }
}

/* Hits between are missing. */
static void
beacon_live_scan_since(beacon_live_scan_t *scan, uint64_t seq, uint64_t found)
{
    scan->missed += seq - scan->since - found;
    scan->since = seq;
}

/*
 * The next hit behind since, ascending; AGAIN: none up to last.  A hit that is
 * committed while "last" does not say so is not there yet: nobody gets a cursor
 * that is ahead of it.
 */
static beacon_rc_t
beacon_live_scan_find(beacon_live_scan_t *scan, uint64_t last,
    beacon_live_record_t *record, size_t *need, unsigned *hops)
{
    uint32_t                 chunk, offset;
    uint64_t                 seq, serial;
    beacon_rc_t              rc;
    beacon_live_hit_t        hit;
    beacon_live_fragment_t   fragment;

    while ((rc = beacon_live_scan_see(scan, hops, &fragment)) == BEACON_OK) {

        seq = fragment.seq;

        if (!fragment.first || seq <= scan->since) {
            beacon_live_scan_pass(scan, &fragment);
            continue;
        }

        chunk = scan->chunk;
        serial = scan->serial;
        offset = scan->offset;

        rc = beacon_live_scan_hit(scan, hops, &fragment, &hit, need);

        if (rc == BEACON_OK && seq <= last) {
            beacon_live_scan_record(scan, seq, &hit, record);
            beacon_live_scan_since(scan, seq, 1);
            return BEACON_OK;
        }

        if (rc == BEACON_CORRUPT) {

            /* on behind its first fragment, if that can be told */

            if (scan->chunk == chunk && scan->offset == offset) {
                beacon_live_scan_pass(scan, &fragment);
            }

            continue;
        }

        /* it may have an end, or be there, when it is looked at again */

        scan->chunk = chunk;
        scan->serial = serial;
        scan->offset = offset;

        return rc == BEACON_OK ? BEACON_AGAIN : rc;
    }

    return rc;
}

/*
 * Nothing but damage for so long: where this chunk begins, or if that is no
 * progress, at the end.
 */
static uint64_t
beacon_live_scan_give_up(const beacon_live_scan_t *scan, uint64_t last)
{
    beacon_live_seen_t  seen;

    return beacon_live_chunk_see(scan->live, scan->chunk, &seen) == BEACON_OK
           && seen.first > scan->since + 1 && seen.first <= last
           ? seen.first - 1 : last;
}

beacon_rc_t
beacon_live_scan(beacon_live_scan_t *scan, beacon_live_record_t *record,
    size_t *need)
{
    uint64_t      last;
    unsigned      hops;
    beacon_rc_t   rc;

    /* first: what is committed up to it is seen then */

    last = beacon_live_last(scan->live, &scan->site);
    hops = 0;

    rc = beacon_live_scan_find(scan, last, record, need, &hops);

    /* what was read is the site's only if it still has the slot */

    if (!beacon_live_has_slot(scan->live, &scan->site)) {
        return BEACON_INVALID;
    }

    if (rc == BEACON_AGAIN && last > scan->since) {
        if (hops >= BEACON_LIVE_HOPS) {
            last = beacon_live_scan_give_up(scan, last);
        }

        beacon_live_scan_since(scan, last, 0);
    }

    return rc;
}


/* Backwards. */

/*
 * The sequences of the hits that begin in a chunk, ascending, none behind
 * "last"; how many.
 */
static uint32_t
beacon_live_back_chunk(const beacon_live_t *live,
    const beacon_live_seen_t *seen, uint64_t last, uint64_t *seqs)
{
    uint32_t                n, offset;
    beacon_live_fragment_t  fragment;

    n = 0;

    for (offset = sizeof(beacon_live_chunk_t);
         beacon_live_fragment_see(live, seen->chunk, offset, &fragment)
         == BEACON_OK && n < BEACON_LIVE_BEGUN;
         offset += fragment.length)
    {
        if (fragment.first && fragment.site == seen->site
            && fragment.seq >= seen->first && fragment.seq <= last
            && (n == 0 || fragment.seq > seqs[n - 1]))
        {
            seqs[n++] = fragment.seq;
        }
    }

    return n;
}

uint64_t
beacon_live_back(const beacon_live_t *live, const beacon_live_info_t *site,
    uint32_t n, uint64_t bytes)
{
    uint32_t                    have;
    uint64_t                    last, since, walked;
    beacon_live_seen_t          seen, to;
    const beacon_live_chunk_t  *c;
    uint64_t                    seqs[BEACON_LIVE_BEGUN];

    last = beacon_live_last(live, site);
    since = last;

    if (n == 0
        || beacon_live_chunk_locate(live, site->index, last + 1, 0, &seen)
           != BEACON_OK)
    {
        return since;
    }

    for (walked = 0; walked < bytes; walked += BEACON_LIVE_CHUNK) {
        have = beacon_live_back_chunk(live, &seen, last, seqs);
        c = beacon_live_chunk(live, seen.chunk);

        if (!beacon_live_same(&c->serial, seen.serial)) {
            break;
        }

        if (have >= n) {
            return seqs[have - n] - 1;
        }

        /* before it is none with its sequence but what was never whole */

        if (have) {
            since = seqs[0] - 1;
            last = since;
            n -= have;
        }

        if (beacon_live_chunk_see(live, seen.previous, &to) != BEACON_OK
            || to.site != site->index || to.index != seen.index - 1)
        {
            break;
        }

        seen = to;
    }

    return since;
}
