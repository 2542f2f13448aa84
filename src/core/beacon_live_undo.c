/* What hits that are not committed have changed, and how it was before. */

#include "beacon_live_undo.h"

#define BEACON_LIVE_UNDO_MOST                                                 \
    (BEACON_LIVE_UNDO / sizeof(beacon_live_undo_entry_t))

typedef struct {
    uint64_t            offset;
    uint64_t            len;
    const uint8_t      *data;
    _Atomic uint64_t   *serial;         /* of the thing */
} beacon_live_undo_part_t;

/* At open. */

/* The serial of the thing in which "offset" is; 0: not all of it is in one. */
static int
beacon_live_undo_thing(const beacon_live_t *live, uint64_t at, uint32_t slots,
    uint32_t things, uint64_t size, beacon_live_undo_part_t *part)
{
    uint64_t  items, n;

    items = BEACON_LIVE_ITEMS(at, slots);

    if (part->offset < items + size || part->offset >= items + things * size) {
        return 0;
    }

    n = (part->offset - items) / size;
    part->serial = (void *) beacon_live_bytes(live, items + n * size);

    return part->len <= items + (n + 1) * size - part->offset;
}

static int
beacon_live_undo_part(const beacon_live_t *live, beacon_live_undo_part_t *part)
{
    const beacon_live_head_t  *is;

    is = &live->is;

    return beacon_live_undo_thing(live, is->sites_at, is->site_slots,
                                  is->sites_max, sizeof(beacon_live_site_t),
                                  part)
           || beacon_live_undo_thing(live, is->visitors_at, is->visitor_slots,
                                     is->visitors_max,
                                     sizeof(beacon_live_visitor_t), part)
           || beacon_live_undo_thing(live, is->keys_at, is->key_slots,
                                     is->keys_max, sizeof(beacon_live_key_t),
                                     part);
}

/* The bytes as they were, but for a serial that is among them. */
static void
beacon_live_undo_apply(const beacon_live_t *live,
    const beacon_live_undo_part_t *part)
{
    uint8_t   *dst;
    uint64_t   skip;

    dst = beacon_live_bytes(live, part->offset);
    skip = 0;
    beacon_live_begin(part->serial);

    if (dst < (uint8_t *) (part->serial + 1)) {
        skip = (uint64_t) ((uint8_t *) (part->serial + 1) - dst);
    }

    if (skip < part->len) {
        beacon_live_copy(dst + skip, part->data + skip, part->len - skip);
    }
}

/* What a site is now, and a step of its. */
static inline void
beacon_live_undo_site(beacon_live_site_t *site, beacon_live_step_t *step,
    const beacon_live_outcome_t *outcome)
{
    BEACON_LIVE_SET(site->hits, outcome->hits);
    BEACON_LIVE_SET(site->last_ms, outcome->last_ms);
    BEACON_LIVE_SET(step->hits, outcome->now.hits);
    BEACON_LIVE_SET(step->visitors, outcome->now.visitors);
}

static inline void
beacon_live_undo_head(beacon_live_writer_t *w)
{
    atomic_store_explicit(&w->head->hits, w->undo->hits,
                          memory_order_relaxed);
    atomic_store_explicit(&w->head->missing, w->undo->missing,
                          memory_order_relaxed);
    BEACON_LIVE_SET(w->head->mark, w->undo->mark);
}

void
beacon_live_undo_commit(beacon_live_writer_t *w, uint32_t sites,
    uint64_t hits, uint64_t missing, uint64_t mark)
{
    uint32_t                      i;
    beacon_live_site_t           *site;
    const beacon_live_run_t      *run;
    const beacon_live_outcome_t  *outcome;

    w->undo->hits = w->head->hits + hits;
    w->undo->missing = w->head->missing + missing;
    w->undo->mark = mark ? mark : w->head->mark;

    beacon_live_in_order();
    BEACON_LIVE_POINT("live.before_commit");
    atomic_store_explicit(&w->undo->sites, sites, memory_order_relaxed);
    beacon_live_in_order();
    BEACON_LIVE_POINT("live.after_commit");

    for (i = 0; i < sites; i++) {
        run = &w->run[i];
        outcome = &w->undo->outcomes[i];
        site = run->own->seen;

        if (run->chunk) {
            beacon_live_undo_site(site, &site->steps[run->step], outcome);
            beacon_live_end(&site->serial);

            /* pairs with the acquire in beacon_live_fragment_see() */

            BEACON_LIVE_PUBLISH(beacon_live_chunk_at(&w->live, run->chunk)
                                ->committed, outcome->committed);
        }

        BEACON_LIVE_PUBLISH(site->last, outcome->last);
    }

    beacon_live_undo_head(w);
    BEACON_LIVE_POINT("live.before_clear");
    beacon_live_undo_clear(w);
}

/* The same of a run that was committed by somebody who was killed. */
static void
beacon_live_undo_done(beacon_live_writer_t *w,
    const beacon_live_outcome_t *outcome)
{
    beacon_live_site_t   *site;
    beacon_live_chunk_t  *chunk;

    site = beacon_live_site(&w->live, outcome->site);
    chunk = beacon_live_chunk(&w->live, outcome->chunk);

    if (site == NULL || outcome->last < site->last
        || outcome->last > BEACON_LIVE_SEQ_MAX
        || outcome->step >= BEACON_LIVE_STEPS)
    {
        w->stats.repaired++;
        return;
    }

    if (chunk != NULL) {
        beacon_live_begin(&site->serial);
        beacon_live_undo_site(site, &site->steps[outcome->step], outcome);
        beacon_live_end(&site->serial);

        if (chunk->serial == outcome->serial
            && outcome->committed > chunk->committed
            && outcome->committed <= BEACON_LIVE_CHUNK)
        {
            BEACON_LIVE_PUBLISH(chunk->committed, outcome->committed);
        }
    }

    BEACON_LIVE_PUBLISH(site->last, outcome->last);
}

int
beacon_live_undo_restore(beacon_live_writer_t *w)
{
    uint32_t                         n, i, sites;
    uint64_t                         at, len, used;
    const beacon_live_undo_entry_t  *entry;
    beacon_live_undo_part_t          part;
    uint16_t                         place[BEACON_LIVE_UNDO_MOST];

    sites = w->undo->sites;

    if (sites) {
        for (i = 0; i < sites && sites <= BEACON_LIVE_RUN; i++) {
            beacon_live_undo_done(w, &w->undo->outcomes[i]);
        }

        if (sites <= BEACON_LIVE_RUN) {
            beacon_live_undo_head(w);
        }

        beacon_live_undo_clear(w);
        return 0;
    }

    if (w->undo->end == 0) {
        beacon_live_undo_clear(w);
        return 0;
    }

    used = w->undo->end - w->undo->base - w->live.is.undo_at
           - sizeof(beacon_live_undo_t);

    if (used > BEACON_LIVE_UNDO_ROOM) {
        beacon_live_undo_clear(w);
        return 0;
    }

    for (n = 0, at = 0; at + sizeof(*entry) <= used
         && n < BEACON_LIVE_UNDO_MOST; n++)
    {
        entry = (const void *) ((uint8_t *) (w->undo + 1) + at);
        at += sizeof(*entry);

        len = entry->len;

        if (len > used - at) {
            break;
        }

        place[n] = (uint16_t) ((at - sizeof(*entry)) / 8);
        at += (len + 7) & ~7ULL;
    }

    /* backwards: the first to save a byte knew how it was */

    for (i = 2 * n; i > 0; i--) {
        entry = (const void *) ((uint8_t *) (w->undo + 1)
                                + place[(i - 1) % n] * 8ULL);

        part.offset = entry->where - w->undo->base;
        part.len = entry->len;
        part.data = (const uint8_t *) (entry + 1);

        if (!beacon_live_undo_part(&w->live, &part)) {
            w->stats.repaired += i > n;
            continue;
        }

        if (i > n) {
            beacon_live_undo_apply(&w->live, &part);

        } else if (*part.serial & 1) {
            beacon_live_end(part.serial);
        }
    }

    BEACON_LIVE_POINT("live.undone");
    beacon_live_undo_clear(w);

    return 1;
}


/* For readers. */

/* Entries that one thing has, at most. */
#define BEACON_LIVE_UNDO_OF  (2 * BEACON_LIVE_RUN)

/* Those of the bytes from "offset" on, in order; how many. */
static uint32_t
beacon_live_undo_of(const beacon_live_t *live, uint64_t offset, size_t size,
    beacon_live_undo_part_t parts[BEACON_LIVE_UNDO_OF])
{
    uint32_t                   n;
    uint64_t                   at, used, base, from;
    beacon_live_undo_t        *undo;
    beacon_live_undo_entry_t   entry;

    undo = (void *) beacon_live_bytes(live, live->is.undo_at);
    base = BEACON_LIVE_GET(undo->base);
    used = BEACON_LIVE_LOAD(undo->end) - base - live->is.undo_at
           - sizeof(beacon_live_undo_t);

    if (used > BEACON_LIVE_UNDO_ROOM) {
        return 0;
    }

    for (n = 0, at = 0; at + sizeof(entry) <= used && n < BEACON_LIVE_UNDO_OF;
         at += (entry.len + 7) & ~7ULL)
    {
        beacon_live_copy(&entry, (uint8_t *) (undo + 1) + at, sizeof(entry));
        at += sizeof(entry);

        if (entry.len > used - at) {
            break;
        }

        from = entry.where - base - offset;

        if (from < size && entry.len <= size - from) {
            parts[n].offset = from;
            parts[n].len = entry.len;
            parts[n++].data = (uint8_t *) (undo + 1) + at;
        }
    }

    return n;
}

int
beacon_live_undo_view(const beacon_live_t *live, const void *thing, void *copy,
    size_t size)
{
    uint32_t                 i, n;
    beacon_live_undo_part_t  parts[BEACON_LIVE_UNDO_OF];

    /* what was changed was saved before */

    atomic_thread_fence(memory_order_acquire);

    n = beacon_live_undo_of(live, (uint64_t) ((const uint8_t *) thing
                                              - beacon_live_bytes(live, 0)),
                            size, parts);

    for (i = n; i > 0; i--) {
        beacon_live_copy((uint8_t *) copy + parts[i - 1].offset,
                         parts[i - 1].data, parts[i - 1].len);
    }

    return n != 0;
}
