/* What a feed's frames mean, by what came of it before. */

#include "beacond_feeds_int.h"
#include "beacon_siphash.h"

#include <stdatomic.h>
#include <string.h>

static void
beacond_feeds_key(const beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    beacon_str_t what, uint64_t *key)
{
    beacon_str_t  strings[4] = { { sizeof(at->feed),
                                   (const uint8_t *) &at->feed },
                                 what, beacon_string(" "), at->edge };

    /* a feed has always as many bytes, and a space ends the site */

    key[0] = beacon_siphash(feeds->file->keys[0], strings, 4);
    key[1] = beacon_siphash(feeds->file->keys[1], strings, 4) | 1;
}

/* Is the feed known for so long that a site of it begins at 1? */
static int
beacond_feeds_known(beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    uint64_t now_ms)
{
    uint64_t         key[2];
    beacond_feed_t  *entry;

    beacond_feeds_key(feeds, at, at->sites, key);
    entry = beacond_feeds_find(feeds, key);

    if (entry == NULL) {
        entry = beacond_feeds_add(feeds, key);
        entry->seq = entry->next = now_ms;
    }

    entry->seen_ms = now_ms;

    return feeds->file->evicted == 0
           && now_ms >= entry->seq + BEACOND_FEEDS_NEW;
}

/* The entry; a new one stands at "first", or at 0. */
static beacond_feed_t *
beacond_feeds_at(beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    uint64_t now_ms, uint64_t first)
{
    int              known;
    uint64_t         key[2];
    beacond_feed_t  *entry;

    beacond_feeds_key(feeds, at, at->site, key);
    entry = beacond_feeds_find(feeds, key);

    if (entry == NULL) {
        known = beacond_feeds_known(feeds, at, now_ms);
        entry = beacond_feeds_add(feeds, key);
        entry->seq = entry->next = known ? 0 : first;
        entry->seen_ms = now_ms;
    }

    return entry;
}

/* Can a feed have come so far since it was seen? */
static int
beacond_feeds_likely(const beacond_feed_t *entry, uint64_t seq,
    uint64_t now_ms)
{
    uint64_t  s;

    if (seq <= entry->seq) {
        return 1;
    }

    s = now_ms > entry->seen_ms ? (now_ms - entry->seen_ms) / 1000 : 0;

    return (seq - entry->seq) / BEACOND_FEEDS_RATE < s + BEACOND_FEEDS_REST;
}

/* What is to be told of so many that lack, and of one that was told as missing
   but came.  Returns what is left for the next time. */
static int64_t
beacond_feeds_tell(const beacond_feed_t *entry, int came, uint64_t *missing,
    uint64_t *lacking)
{
    int64_t  n = (int64_t) *lacking + entry->carry - came;

    *missing = n > 0 ? (uint64_t) n : 0;
    *lacking = *lacking < *missing ? *lacking : *missing;

    return n > 0 ? 0 : n;
}

static void
beacond_feeds_doing(beacond_feeds_t *feeds, beacond_feed_t *entry,
    uint64_t seq, uint64_t hit, int64_t carry, uint64_t mark)
{
    entry->mark = mark;
    atomic_signal_fence(memory_order_release);
    entry->next = seq;
    entry->next_hit = hit;
    entry->next_carry = carry;
    feeds->doing = entry;
}

static uint64_t
beacond_feeds_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What need not be told to the store: no mark stands for it. */
static void
beacond_feeds_move(beacond_feed_t *entry, uint64_t seq, uint64_t hit)
{
    entry->next = beacond_feeds_max(seq, entry->seq);
    entry->next_hit = beacond_feeds_max(hit, entry->hit);
    entry->seq = entry->next;
    entry->hit = entry->next_hit;
}

/* Of those with the hash of the hit that is looked at. */
static uint64_t *
beacond_feeds_set(const beacond_feeds_t *feeds)
{
    return &feeds->recent[(feeds->id >> 1) % BEACOND_FEEDS_RECENT
                          * BEACOND_FEEDS_WAYS];
}

/* Has the hit been put lately, by whatever feed? */
static int
beacond_feeds_recent(beacond_feeds_t *feeds, const beacond_feeds_at_t *at)
{
    unsigned         i;
    const uint64_t  *set;
    beacon_str_t     strings[3] = { at->id, beacon_string(" "), at->edge };

    if (at->id.len == 0) {
        feeds->id = 0;
        return 0;
    }

    feeds->id = beacon_siphash(feeds->file->keys[0], strings, 3) | 1;
    set = beacond_feeds_set(feeds);

    for (i = 0; i < BEACOND_FEEDS_WAYS; i++) {
        if (set[i] == feeds->id) {
            return 1;
        }
    }

    return 0;
}

/* The hits before it that are missing, and may come yet. */
static void
beacond_feeds_hole(beacond_feed_t *entry, uint64_t seq)
{
    uint64_t  known = entry->hit > 0 ? entry->hit : entry->seq;

    if (seq > known + 1) {
        entry->hole_from = known;
        entry->hole_to = seq;
    }
}

/* Was it counted as missing, and may come yet?  Then it is no repeated one:
   the number that made it missing may be forged. */
static int
beacond_feeds_late(beacond_feed_t *entry, uint64_t seq)
{
    if (seq <= entry->hole_from || seq >= entry->hole_to) {
        return 0;
    }

    entry->hole_from = seq;

    return 1;
}

beacon_rc_t
beacond_feeds_hit(beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    uint64_t now_ms, uint64_t mark, uint64_t *missing, uint64_t *lacking)
{
    int              came, recent;
    int64_t          carry;
    beacond_feed_t  *entry;

    entry = beacond_feeds_at(feeds, at, now_ms, at->seq - 1);
    recent = beacond_feeds_recent(feeds, at);

    if (!beacond_feeds_likely(entry, at->seq, now_ms)) {
        return BEACON_FULL;
    }

    entry->seen_ms = now_ms;

    if (recent) {
        entry->twin |= at->seq > entry->hit;
        beacond_feeds_move(entry, at->seq, at->seq);
        return BEACON_INVALID;
    }

    if (entry->hit > 0 && at->seq <= entry->hit
        && !beacond_feeds_late(entry, at->seq))
    {
        return BEACON_INVALID;
    }

    /* a baseline that a heartbeat set is a stranger's, maybe */

    if (entry->hit == 0 && at->seq <= entry->seq) {
        entry->next = entry->seq = at->seq - 1;
    }

    came = at->seq <= entry->seq;
    *lacking = came ? 0 : at->seq - 1 - entry->seq;
    carry = beacond_feeds_tell(entry, came, missing, lacking);

    if (at->seq > entry->hit) {
        beacond_feeds_hole(entry, at->seq);
    }

    entry->beat = entry->twin = 0;
    beacond_feeds_doing(feeds, entry, beacond_feeds_max(at->seq, entry->seq),
                        beacond_feeds_max(at->seq, entry->hit), carry, mark);

    return BEACON_OK;
}

/*
 * Is a heartbeat of that number to be believed?  Once what it says has stood
 * for so long that the feed's own would have contradicted: numbers never fall.
 */
static int
beacond_feeds_sure(beacond_feed_t *entry, uint64_t seq, uint64_t now_ms)
{
    if (entry->beat == 0 || seq < entry->beat || now_ms < entry->beat_ms) {
        entry->beat = seq;
        entry->beat_ms = now_ms;
    }

    return now_ms - entry->beat_ms >= BEACOND_FEEDS_SURE;
}

beacon_rc_t
beacond_feeds_beat(beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    uint64_t now_ms, uint64_t mark, uint64_t *missing, uint64_t *lacking)
{
    int64_t          carry;
    beacond_feed_t  *entry;

    entry = beacond_feeds_at(feeds, at, now_ms, at->seq);
    *missing = *lacking = 0;
    feeds->id = 0;

    if (!beacond_feeds_likely(entry, at->seq, now_ms)) {
        return BEACON_FULL;
    }

    entry->seen_ms = now_ms;

    if (at->seq <= entry->seq) {
        entry->beat = 0;
        return BEACON_OK;
    }

    if (entry->twin) {
        beacond_feeds_move(entry, at->seq, 0);
        return BEACON_OK;
    }

    if (!beacond_feeds_sure(entry, at->seq, now_ms)) {
        return BEACON_OK;
    }

    *lacking = entry->beat - entry->seq;
    carry = beacond_feeds_tell(entry, 0, missing, lacking);
    beacond_feeds_doing(feeds, entry, entry->beat, entry->hit, carry, mark);
    entry->beat = at->seq > entry->beat ? at->seq : 0;
    entry->beat_ms = now_ms;

    if (*missing == 0) {
        beacond_feeds_done(feeds);
    }

    return BEACON_OK;
}

void
beacond_feeds_done(beacond_feeds_t *feeds)
{
    uint64_t        *set;
    beacond_feed_t  *entry = feeds->doing;

    entry->carry = entry->next_carry;
    entry->seq = entry->next;
    entry->hit = entry->next_hit;

    if (feeds->id != 0) {
        set = beacond_feeds_set(feeds);
        memmove(set + 1, set, (BEACOND_FEEDS_WAYS - 1) * sizeof(*set));
        set[0] = feeds->id;
    }
}

void
beacond_feeds_untold(beacond_feeds_t *feeds, uint64_t missing)
{
    feeds->doing->next_carry = (int64_t) missing;
    feeds->doing->carry = (int64_t) missing;
    feeds->doing->seq = feeds->doing->next;
}
