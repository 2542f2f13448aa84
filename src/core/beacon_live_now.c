/*
 * The steps of a site and the keys it was hit with, for readers.
 *
 * All that is read may change meanwhile, and may be damaged: indexes are
 * looked at before they are used, lists end after as many as there can be.
 */

#include "beacon_live_counts.h"

/* Lists are walked anew if a key went elsewhere under the reader's feet. */
#define BEACON_LIVE_ROUNDS  3

/*
 * All of a site: OK.  INVALID: it has gone.  Where a writer was stopped in the
 * midst of a hit, the words are taken as they are: each is one that it wrote.
 */
static beacon_rc_t
beacon_live_site_read(const beacon_live_t *live,
    const beacon_live_info_t *info, beacon_live_site_t *copy)
{
    unsigned             tries;
    uint64_t             serial;
    beacon_live_site_t  *site;

    site = beacon_live_site(live, info->index);

    if (site == NULL || BEACON_LIVE_LOAD(site->tenant) != info->tenant) {
        return BEACON_INVALID;
    }

    for (tries = 0; tries < BEACON_LIVE_TRIES; tries++) {
        serial = beacon_live_serial(&site->serial);
        beacon_live_copy(copy, site, sizeof(*copy));

        if (beacon_live_same(&site->serial, serial)) {
            break;
        }
    }

    atomic_thread_fence(memory_order_acquire);

    return atomic_load_explicit(&site->tenant, memory_order_relaxed)
           == info->tenant ? BEACON_OK : BEACON_INVALID;
}

/*
 * The number of the last step of a window that ends at now_ms: the running one
 * or, as nobody knows yet that the clock was set back, one that is an hour
 * later.
 */
static uint32_t
beacon_live_now_end(uint32_t running, uint32_t base, uint64_t now_ms)
{
    int32_t  ahead;

    ahead = (int32_t) ((uint32_t) (now_ms / 1000 / BEACON_LIVE_STEP) - base
                       - running);

    return running + (ahead >= 0 ? (uint32_t) ahead
                      : ahead < -BEACON_LIVE_BACK ? BEACON_LIVE_STEPS : 0);
}

static uint32_t
beacon_live_now_steps(uint32_t window)
{
    uint32_t  steps;

    steps = window / BEACON_LIVE_STEP + (window % BEACON_LIVE_STEP != 0);

    return steps == 0 ? 1 : steps < BEACON_LIVE_STEPS ? steps
                                                      : BEACON_LIVE_STEPS;
}

beacon_rc_t
beacon_live_now(const beacon_live_t *live, const beacon_live_info_t *info,
    uint64_t now_ms, uint32_t window, beacon_live_now_t *now)
{
    uint32_t                   i, step, end;
    beacon_rc_t                rc;
    beacon_live_site_t         site;
    const beacon_live_step_t  *at;

    rc = beacon_live_site_read(live, info, &site);

    if (rc != BEACON_OK) {
        return rc;
    }

    end = beacon_live_now_end(site.step, site.base, now_ms);
    memset(now, 0, sizeof(*now));
    now->steps = beacon_live_now_steps(window);
    now->start = now_ms / 1000 / BEACON_LIVE_STEP;

    if (end == site.step) {
        now->start = (uint64_t) (uint32_t) (site.base + end);
    }

    now->start = (now->start - now->steps + 1) * BEACON_LIVE_STEP;

    for (i = 0; i < now->steps; i++) {
        step = end - now->steps + 1 + i;

        if (site.step - step >= BEACON_LIVE_STEPS) {
            continue;                   /* older than it knows, or to come */
        }

        at = &site.steps[step % BEACON_LIVE_STEPS];
        now->hits[i] = at->hits;
        now->all += at->hits;
        now->visitors += at->visitors;
    }

    return BEACON_OK;
}


/* ---- keys */

/* What of a key is in a window. */
typedef struct {
    uint32_t  first;                    /* steps; or minutes, */
    uint32_t  last;
    uint32_t  minutes;                  /*   if this is 1 */
} beacon_live_span_t;

static beacon_live_span_t
beacon_live_span(uint32_t end, uint32_t steps)
{
    beacon_live_span_t  span;

    span.first = end - steps + 1;
    span.last = end;
    span.minutes = steps >= BEACON_LIVE_RECENT;

    if (span.minutes) {
        span.first = (span.first + BEACON_LIVE_MINUTE - 1)
                     / BEACON_LIVE_MINUTE;
        span.last /= BEACON_LIVE_MINUTE;
    }

    return span;
}

/* In the file: they may change meanwhile, which the key's serial tells. */
static inline uint64_t
beacon_live_key_range(const uint32_t *counts, uint32_t from, uint32_t to)
{
    uint64_t         one, two;
    const uint32_t  *p, *end;

    one = 0;
    two = 0;
    end = counts + to;

    for (p = counts + from; end - p >= 4; p += 4) {
        one += BEACON_LIVE_GET(p[0]);
        two += BEACON_LIVE_GET(p[1]);
        one += BEACON_LIVE_GET(p[2]);
        two += BEACON_LIVE_GET(p[3]);
    }

    for ( /* void */ ; p < end; p++) {
        one += BEACON_LIVE_GET(*p);
    }

    return one + two;
}

/* Of number "at" there are "running", of the size - 1 before it counts[]. */
static uint64_t
beacon_live_key_sum(const uint32_t *counts, uint32_t size, uint32_t at,
    uint32_t running, const beacon_live_span_t *span)
{
    uint32_t  n, newest, end;

    if ((int32_t) (at - span->first) < 0) {
        return 0;
    }

    newest = at - 1;
    n = at - span->first;
    n = (n < size) ? n : size - 1;

    if ((int32_t) (at - span->last) > 0) {      /* hit since that was known */
        running = 0;
        end = newest - span->last;
        n = (n > end) ? n - end : 0;
        newest -= end;
    }

    end = newest % size + 1;

    return running + (n <= end
                      ? beacon_live_key_range(counts, end - n, end)
                      : beacon_live_key_range(counts, 0, end)
                        + beacon_live_key_range(counts, size - (n - end),
                                                size));
}

/* head: a copy of what stands before the counts. */
static uint64_t
beacon_live_key_hits(const beacon_live_key_t *key,
    const beacon_live_key_t *head, beacon_live_span_t span)
{
    uint32_t  since;

    since = span.minutes ? head->since / BEACON_LIVE_MINUTE : head->since;

    if ((int32_t) (since - span.first) > 0) {
        span.first = since;
    }

    return span.minutes
           ? beacon_live_key_sum(key->minutes, BEACON_LIVE_MINUTES + 1,
                                 head->step / BEACON_LIVE_MINUTE,
                                 head->running.hits.minute, &span)
           : beacon_live_key_sum(key->recent, BEACON_LIVE_RECENT, head->step,
                                 head->running.hits.step, &span);
}

/* Is it before this one in the list? */
static int
beacon_live_top_before(uint64_t n, const beacon_live_key_t *key,
    const beacon_live_top_t *top)
{
    int     order;
    size_t  len;

    if (n != top->n) {
        return n > top->n;
    }

    len = (key->len < top->len) ? key->len : top->len;
    order = memcmp(key->text, top->text, len);

    return order ? order < 0 : key->len < top->len;
}

/* Has the list a place for it? */
static inline int
beacon_live_top_takes(const beacon_live_top_t *top, uint32_t room,
    uint32_t filled, uint64_t n, const beacon_live_key_t *key)
{
    return filled < room || beacon_live_top_before(n, key, &top[room - 1]);
}

/* It has. */
static void
beacon_live_top_add(beacon_live_top_t *top, uint32_t room, uint32_t *filled,
    uint64_t n, const beacon_live_key_t *key)
{
    uint32_t  low, high, middle;

    if (*filled == room) {
        (*filled)--;
    }

    for (low = 0, high = *filled; low < high; /* void */ ) {
        middle = (low + high) / 2;

        if (beacon_live_top_before(n, key, &top[middle])) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    memmove(&top[low + 1], &top[low], (*filled - low) * sizeof(*top));
    (*filled)++;

    top[low].n = n;
    top[low].len = key->len;
    memcpy(top[low].text, key->text, key->len);
}

/*
 * A key of the site's: OK, with its hits, and its text if that are "least" or
 * more.  AGAIN: it changes, and goes on changing.  CORRUPT: it is none of
 * this list.  *older: the next.
 */
static beacon_rc_t
beacon_live_key_read(const beacon_live_t *live, uint32_t index, uint32_t site,
    unsigned kind, const beacon_live_span_t *span, uint64_t least,
    beacon_live_key_t *copy, uint64_t *hits)
{
    unsigned                  tries;
    uint64_t                  serial;
    const beacon_live_key_t  *key;

    key = beacon_live_key_slot(live, index);

    if (key == NULL) {
        return BEACON_CORRUPT;
    }

    for (tries = 0; tries < BEACON_LIVE_TRIES; tries++) {
        serial = beacon_live_serial(&key->serial);
        beacon_live_copy(copy, key, offsetof(beacon_live_key_t, recent));
        *hits = beacon_live_key_hits(key, copy, *span);

        if (*hits && *hits >= least && copy->len <= BEACON_LIVE_KEY_TEXT) {
            beacon_live_copy(copy->text, key->text, copy->len);
        }

        if (beacon_live_same(&key->serial, serial)) {
            return copy->site == site && copy->kind == kind
                   && copy->len <= BEACON_LIVE_KEY_TEXT ? BEACON_OK
                                                        : BEACON_CORRUPT;
        }
    }

    return BEACON_AGAIN;
}

/* 1: all of the list; 0: the way was lost. */
static int
beacon_live_top_walk(const beacon_live_t *live, uint32_t site, uint32_t index,
    beacon_live_kind_e kind, const beacon_live_span_t *span,
    beacon_live_top_t *top, uint32_t room, uint32_t *n)
{
    uint32_t            left;
    uint64_t            hits, least;
    beacon_rc_t         rc;
    beacon_live_key_t   key;

    *n = 0;

    for (left = beacon_live_keys_most[kind]; index; left--) {
        if (left == 0) {
            return 0;
        }

        least = (*n == room) ? top[room - 1].n : 0;
        rc = beacon_live_key_read(live, index, site, kind, span, least, &key,
                                  &hits);

        if (rc == BEACON_CORRUPT) {
            return 0;
        }

        if (rc == BEACON_OK && hits && hits >= least
            && beacon_live_top_takes(top, room, *n, hits, &key)
            && beacon_live_key_whole(live, &key))
        {
            beacon_live_top_add(top, room, n, hits, &key);
        }

        index = BEACON_LIVE_GET(beacon_live_key_slot(live, index)->older);
    }

    return 1;
}

beacon_rc_t
beacon_live_top(const beacon_live_t *live, const beacon_live_info_t *info,
    beacon_live_kind_e kind, uint64_t now_ms, uint32_t window,
    beacon_live_top_t *top, uint32_t *n)
{
    uint32_t             room, rounds, steps, end;
    beacon_live_span_t   span;
    beacon_live_site_t  *site;

    room = *n;
    *n = 0;
    site = beacon_live_site(live, info->index);

    if (site == NULL || BEACON_LIVE_LOAD(site->tenant) != info->tenant
        || (unsigned) kind >= BEACON_LIVE_KINDS)
    {
        return BEACON_INVALID;
    }

    if (room == 0) {
        return BEACON_OK;
    }

    steps = beacon_live_now_steps(window);
    end = beacon_live_now_end(BEACON_LIVE_GET(site->step),
                              BEACON_LIVE_GET(site->base), now_ms);
    span = beacon_live_span(end, steps);

    for (rounds = 0; rounds < BEACON_LIVE_ROUNDS; rounds++) {
        if (beacon_live_top_walk(live, info->index,
                                 BEACON_LIVE_GET(site->keys[kind]), kind,
                                 &span, top, room, n))
        {
            break;
        }
    }

    /* all of them are this tenant's */

    atomic_thread_fence(memory_order_acquire);

    if (atomic_load_explicit(&site->tenant, memory_order_relaxed)
        != info->tenant)
    {
        *n = 0;
        return BEACON_INVALID;
    }

    return BEACON_OK;
}
