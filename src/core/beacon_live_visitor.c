/* A site's visitors, for readers, and what they did. */

#include "beacon_live_counts.h"

/* Visitors that one call passes, and how often it begins anew when the way was
   lost; who is elsewhere by then is left out.  A trail, too, begins anew. */
#define BEACON_LIVE_PASSED  4096
#define BEACON_LIVE_ANEW    8

/* Bytes of hits that a trail is long. */
#define BEACON_LIVE_TRAIL   (256 << 10)

/*
 * In the midst of whose change the writer stands, or was stopped: as he was
 * before it.  0: he changes.
 */
static int
beacon_live_person_before(const beacon_live_t *live,
    const beacon_live_visitor_t *slot, beacon_live_visitor_t *copy)
{
    int       saved;
    uint64_t  serial;

    serial = beacon_live_serial(&slot->serial);
    beacon_live_copy(copy, slot, sizeof(*copy));
    saved = beacon_live_undo_view(live, slot, copy, sizeof(*copy));

    atomic_thread_fence(memory_order_acquire);

    return saved && (serial & 1)
           && atomic_load_explicit((_Atomic uint64_t *) (uintptr_t)
                                   &slot->serial, memory_order_relaxed)
              == serial;
}

/*
 * OK: a visitor of the site.  AGAIN: he changes, and goes on changing.
 * CORRUPT: there is none of the site's in the slot.
 */
static beacon_rc_t
beacon_live_person_read(const beacon_live_t *live, uint32_t index,
    uint32_t site, beacon_live_visitor_t *copy)
{
    unsigned                      tries;
    uint64_t                      serial;
    const beacon_live_visitor_t  *slot;

    slot = beacon_live_visitor_slot(live, index);

    if (slot == NULL) {
        return BEACON_CORRUPT;
    }

    for (tries = 0; tries < BEACON_LIVE_TRIES; tries++) {
        serial = beacon_live_serial(&slot->serial);
        beacon_live_copy(copy, slot, sizeof(*copy));

        if (beacon_live_same(&slot->serial, serial)) {
            return copy->site == site ? BEACON_OK : BEACON_CORRUPT;
        }
    }

    if (!beacon_live_person_before(live, slot, copy)) {
        return BEACON_AGAIN;
    }

    return copy->site == site ? BEACON_OK : BEACON_CORRUPT;
}

/* 0: its strings can't be, or its id is damaged or another site's, which its
   hash tells. */
static int
beacon_live_person(const beacon_live_t *live,
    const beacon_live_visitor_t *slot, uint32_t index,
    beacon_live_person_t *person)
{
    unsigned      i;
    beacon_str_t  parts[BEACON_LIVE_PERSON_PARTS];

    if (!beacon_live_person_parts(slot, parts)
        || beacon_live_hash(live->is.seed, slot->site,
                            parts[BEACON_LIVE_PERSON_ID])
           != slot->hash)
    {
        return 0;
    }

    memcpy(person->text, slot->text, sizeof(person->text));

    for (i = 0; i < BEACON_LIVE_PERSON_PARTS; i++) {
        parts[i].data = person->text + (parts[i].data - slot->text);
    }

    person->first_ms = slot->first_ms;
    person->last_ms = slot->last_ms;
    person->seq = slot->seq;
    person->hits = slot->hits;
    person->index = index;
    person->id = parts[BEACON_LIVE_PERSON_ID];
    person->entry = parts[BEACON_LIVE_PERSON_ENTRY];
    person->page = parts[BEACON_LIVE_PERSON_PAGE];
    person->referrer = parts[BEACON_LIVE_PERSON_REFERRER];
    person->country = parts[BEACON_LIVE_PERSON_COUNTRY];
    person->flags = parts[BEACON_LIVE_PERSON_FLAGS];

    return 1;
}

/* 1: the site is still the one that was found; 0: what was read of it may be
   another's. */
static int
beacon_live_person_tenant(const beacon_live_t *live,
    const beacon_live_info_t *info)
{
    const beacon_live_site_t  *site;

    site = beacon_live_site(live, info->index);
    atomic_thread_fence(memory_order_acquire);

    return site != NULL
           && atomic_load_explicit((_Atomic uint32_t *) (uintptr_t)
                                   &site->tenant, memory_order_relaxed)
              == info->tenant;
}

/*
 * Where to go on: behind the one who came last, if he is still where he was;
 * else at the front again, where all who have hit since are passed by.
 */
static uint32_t
beacon_live_person_next(const beacon_live_t *live,
    const beacon_live_info_t *info, uint32_t at, uint64_t before)
{
    beacon_live_visitor_t      slot;
    const beacon_live_site_t  *site;

    if (at && beacon_live_person_read(live, at, info->index, &slot)
              == BEACON_OK
        && slot.seq == before)
    {
        return slot.older;
    }

    site = beacon_live_site(live, info->index);

    return site ? BEACON_LIVE_GET(site->visitors) : 0;
}

beacon_rc_t
beacon_live_next_visitor(const beacon_live_t *live,
    const beacon_live_info_t *info, uint32_t *at, uint64_t *before,
    beacon_live_person_t *person)
{
    uint32_t               index, passed, anew;
    beacon_rc_t            rc;
    beacon_live_visitor_t  slot;

    anew = 0;
    index = beacon_live_person_next(live, info, *at, *before);

    for (passed = 0; index && passed < BEACON_LIVE_PASSED; passed++) {
        rc = beacon_live_person_read(live, index, info->index, &slot);

        if (rc == BEACON_CORRUPT) {
            if (++anew == BEACON_LIVE_ANEW) {
                break;
            }

            index = beacon_live_person_next(live, info, 0, *before);
            continue;
        }

        if (rc == BEACON_OK && slot.seq < *before
            && beacon_live_person(live, &slot, index, person))
        {
            *at = index;
            *before = slot.seq;

            return beacon_live_person_tenant(live, info) ? BEACON_OK
                                                         : BEACON_INVALID;
        }

        index = BEACON_LIVE_GET(beacon_live_visitor_slot(live, index)->older);
    }

    return BEACON_INVALID;
}

/* The visitor's slot, copied; 0: not found. */
static uint32_t
beacon_live_person_find(const beacon_live_t *live,
    const beacon_live_info_t *info, beacon_str_t id,
    beacon_live_visitor_t *slot)
{
    uint8_t   buf[BEACON_LIVE_ID_MAX];
    uint32_t  step, index;
    uint64_t  hash;

    id = beacon_live_id(live->is.seed, id, buf);
    hash = beacon_live_hash(live->is.seed, info->index, id);

    for (step = 0; step < BEACON_LIVE_PROBES; step++) {
        index = beacon_live_probe(live, live->is.visitors_at,
                                  live->is.visitor_slots, (uint32_t) hash,
                                  step);
        if (index == 0) {
            return 0;
        }

        if (beacon_live_person_read(live, index, info->index, slot)
            == BEACON_OK
            && slot->hash == hash && slot->lens[BEACON_LIVE_PERSON_ID] == id.len
            && memcmp(slot->text, id.data, id.len) == 0)
        {
            return index;
        }
    }

    return 0;
}

beacon_rc_t
beacon_live_visitor(const beacon_live_t *live, const beacon_live_info_t *info,
    beacon_str_t id, beacon_live_person_t *person)
{
    unsigned               tries;
    uint32_t               index;
    uint64_t               moves;
    _Atomic uint64_t      *serial;
    beacon_live_visitor_t  slot;

    serial = &((beacon_live_head_t *) (uintptr_t) live->head)->visitor_moves;

    for (tries = 0; tries < BEACON_LIVE_TRIES; tries++) {
        moves = beacon_live_serial(serial);
        index = beacon_live_person_find(live, info, id, &slot);

        if (index) {
            return beacon_live_person(live, &slot, index, person)
                   && beacon_live_person_tenant(live, info) ? BEACON_OK
                                                            : BEACON_INVALID;
        }

        if (beacon_live_same(serial, moves)) {
            break;
        }
    }

    return BEACON_INVALID;
}

/* The hit with this sequence: OK if that is what stands there. */
static beacon_rc_t
beacon_live_trail_read(const beacon_live_t *live, uint32_t site, uint64_t seq,
    uint32_t chunk, uint32_t offset, beacon_live_hit_t *hit)
{
    uint8_t                  bytes[BEACON_LIVE_CHUNK];
    beacon_live_seen_t       seen;
    beacon_live_fragment_t   fragment;

    if (beacon_live_chunk_see(live, chunk, &seen) != BEACON_OK
        || seen.site != site
        || beacon_live_fragment_see(live, chunk, offset, &fragment)
           != BEACON_OK
        || fragment.site != site || fragment.seq != seq || !fragment.first)
    {
        return BEACON_CORRUPT;
    }

    return beacon_live_fragment_read(live, chunk, seen.serial, offset,
                                     &fragment, hit, bytes);
}

static int
beacon_live_trail_his(const beacon_live_visitor_t *slot,
    const beacon_live_info_t *info, const beacon_live_person_t *person)
{
    return slot->site == info->index
           && slot->lens[BEACON_LIVE_PERSON_ID] == person->id.len
           && memcmp(slot->text, person->id.data, person->id.len) == 0;
}

/*
 * The visitor's slot, copied, with a newest hit that is there: what is counted
 * is committed in a moment; where the writer was stopped in between, it is the
 * hit before, if he had one: else the slot was another's, or free, and seq is
 * 0.  Returns 0: he is here no more.
 */
static int
beacon_live_trail_slot(const beacon_live_t *live,
    const beacon_live_info_t *info, const beacon_live_person_t *person,
    beacon_live_visitor_t *slot)
{
    unsigned     tries;
    beacon_rc_t  rc;

    for (tries = 0; tries < BEACON_LIVE_TRIES; tries++) {
        rc = beacon_live_person_read(live, person->index, info->index, slot);

        if (rc == BEACON_AGAIN) {
            continue;
        }

        if (rc != BEACON_OK || !beacon_live_trail_his(slot, info, person)) {
            return 0;
        }

        if (slot->seq <= beacon_live_last(live, info)) {
            return 1;
        }
    }

    (void) beacon_live_undo_view(live,
                                 beacon_live_visitor_slot(live, person->index),
                                 slot, sizeof(*slot));

    if (!beacon_live_trail_his(slot, info, person)) {
        slot->seq = 0;
    }

    return 1;
}

/* From the slot's newest hit back; how many. */
static uint32_t
beacon_live_trail_back(const beacon_live_t *live,
    const beacon_live_info_t *info, const beacon_live_person_t *person,
    const beacon_live_visitor_t *slot, uint64_t *seqs, uint32_t room)
{
    uint32_t           n, chunk, offset;
    uint64_t           seq, bytes;
    beacon_live_hit_t  hit;

    n = 0;
    bytes = 0;
    seq = slot->seq;
    chunk = slot->chunk;
    offset = slot->offset;

    while (n < room && seq != 0
           && beacon_live_trail_read(live, info->index, seq, chunk, offset,
                                     &hit)
              == BEACON_OK
           && hit.visitor == person->index)
    {
        bytes += (uint64_t) hit.line_len + hit.more_len;

        if (n > 0 && bytes > BEACON_LIVE_TRAIL) {
            break;
        }

        seqs[n++] = seq;

        if (hit.before_seq >= seq) {
            break;
        }

        seq = hit.before_seq;
        chunk = hit.before_chunk;
        offset = hit.before_offset;
    }

    return n;
}

beacon_rc_t
beacon_live_trail(const beacon_live_t *live, const beacon_live_info_t *info,
    const beacon_live_person_t *person, uint64_t *seqs, uint32_t *n)
{
    uint32_t                room;
    uint64_t                seq;
    unsigned                tries;
    beacon_live_visitor_t   slot;

    room = *n;
    *n = 0;
    seq = 0;

    for (tries = 0; tries < BEACON_LIVE_ANEW; tries++) {
        if (!beacon_live_trail_slot(live, info, person, &slot)) {
            return BEACON_INVALID;
        }

        *n = beacon_live_trail_back(live, info, person, &slot, seqs, room);

        /* nothing there: his newest hit has gone, unless it is another now, or
           nobody could tell in this moment */

        if (*n > 0 || (slot.seq != 0 && slot.seq == seq)) {
            break;
        }

        seq = slot.seq;
    }

    return beacon_live_person_tenant(live, info) ? BEACON_OK : BEACON_INVALID;
}
