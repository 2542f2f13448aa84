/* One chunk, for readers: nothing of it is believed that may have changed. */

#include "beacon_live_int.h"

/* A walk back takes 3 log2 of the chunks, at most. */
#define BEACON_LIVE_STRIDES  256

beacon_rc_t
beacon_live_chunk_see(const beacon_live_t *live, uint32_t chunk,
    beacon_live_seen_t *seen)
{
    unsigned                    tries;
    const beacon_live_chunk_t  *c;

    c = beacon_live_chunk(live, chunk);

    if (c == NULL) {
        return BEACON_CORRUPT;
    }

    for (tries = 0; tries < BEACON_LIVE_TRIES; tries++) {
        seen->serial = beacon_live_serial(&c->serial);
        seen->chunk = chunk;
        seen->site = BEACON_LIVE_GET(c->site);
        seen->index = BEACON_LIVE_GET(c->index);
        seen->first = BEACON_LIVE_GET(c->first);
        seen->previous = BEACON_LIVE_GET(c->previous);
        seen->jump = BEACON_LIVE_GET(c->jump);
        seen->jump_index = BEACON_LIVE_GET(c->jump_index);

        if (beacon_live_same(&c->serial, seen->serial)) {
            return BEACON_OK;
        }
    }

    return BEACON_AGAIN;
}

beacon_rc_t
beacon_live_fragment_see(const beacon_live_t *live, uint32_t chunk,
    uint32_t offset, beacon_live_fragment_t *fragment)
{
    uint32_t              committed;
    beacon_live_chunk_t  *c;

    c = beacon_live_chunk(live, chunk);

    if (c == NULL) {
        return BEACON_CORRUPT;
    }

    /* pairs with the release in beacon_live_commit() */

    committed = BEACON_LIVE_LOAD(c->committed);

    if (committed > BEACON_LIVE_CHUNK || offset < sizeof(*c) || offset % 8) {
        return BEACON_CORRUPT;
    }

    if (offset >= committed) {
        return BEACON_AGAIN;
    }

    if (committed - offset < sizeof(beacon_live_fragment_t)) {
        return BEACON_CORRUPT;
    }

    beacon_live_copy(fragment, (uint8_t *) c + offset,
                     sizeof(beacon_live_fragment_t));

    if (fragment->length > committed - offset
        || fragment->length
           != ((sizeof(beacon_live_fragment_t) + fragment->bytes + 7) & ~7UL)
        || (fragment->first && fragment->bytes < sizeof(beacon_live_hit_t)))
    {
        return BEACON_CORRUPT;
    }

    return BEACON_OK;
}

beacon_rc_t
beacon_live_fragment_read(const beacon_live_t *live, uint32_t chunk,
    uint64_t serial, uint32_t offset, const beacon_live_fragment_t *fragment,
    beacon_live_hit_t *hit, uint8_t *dst)
{
    size_t                left;
    uint32_t              check;
    const uint8_t        *at;
    beacon_live_sum_t     begin;
    beacon_live_chunk_t  *c;

    c = beacon_live_chunk(live, chunk);
    at = (const uint8_t *) c + offset + sizeof(beacon_live_fragment_t);
    left = fragment->bytes;

    begin = beacon_live_sum(fragment, serial);

    if (fragment->first) {
        beacon_live_copy(hit, at, sizeof(beacon_live_hit_t));
        at += sizeof(beacon_live_hit_t);
        left -= sizeof(beacon_live_hit_t);
    }

    check = beacon_live_sum_copy(&begin, fragment->first ? hit : NULL, dst,
                                 at, left);

    return beacon_live_same(&c->serial, serial) && check == fragment->check
           ? BEACON_OK : BEACON_CORRUPT;
}

int
beacon_live_hit_texts(const beacon_live_hit_t *hit, const uint8_t *text,
    beacon_str_t texts[BEACON_SHORT_TEXTS])
{
    size_t    len;
    unsigned  i;

    len = (size_t) hit->line_len + hit->more_len;

    for (i = 0; i < BEACON_SHORT_TEXTS; i++) {
        texts[i] = (beacon_str_t) { 0, NULL };

        if (hit->texts[i].len == 0) {
            continue;
        }

        if (hit->texts[i].offset > len
            || hit->texts[i].len > len - hit->texts[i].offset)
        {
            return 0;
        }

        texts[i].data = text + hit->texts[i].offset;
        texts[i].len = hit->texts[i].len;
    }

    return 1;
}


/* The chain, backwards. */

/* 1: this chunk is still the one with the index, in the site's chain. */
static int
beacon_live_chunk_is(const beacon_live_t *live, uint32_t chunk, uint32_t site,
    uint64_t index, beacon_live_seen_t *seen)
{
    return beacon_live_chunk_see(live, chunk, seen) == BEACON_OK
           && seen->site == site && seen->index == index;
}

/* "key" at most so much: the hits' sequences, or the index in the chain. */
static uint64_t
beacon_live_chunk_key(const beacon_live_seen_t *seen, int by_index)
{
    return by_index ? seen->index : seen->first;
}

static beacon_rc_t
beacon_live_chunk_walk(const beacon_live_t *live, uint32_t site, uint64_t key,
    int by_index, beacon_live_seen_t *seen)
{
    unsigned            strides;
    beacon_live_seen_t  to;

    for (strides = 0; strides < BEACON_LIVE_STRIDES; strides++) {

        if (beacon_live_chunk_key(seen, by_index) <= key) {
            return BEACON_OK;
        }

        if (seen->jump_index < seen->index
            && beacon_live_chunk_is(live, seen->jump, site, seen->jump_index,
                                    &to)
            && beacon_live_chunk_key(&to, by_index) > key)
        {
            *seen = to;
            continue;
        }

        /* where the one before is gone, this is the oldest */

        if (!beacon_live_chunk_is(live, seen->previous, site, seen->index - 1,
                                  &to))
        {
            return BEACON_OK;
        }

        *seen = to;
    }

    return BEACON_AGAIN;
}

beacon_rc_t
beacon_live_chunk_locate(const beacon_live_t *live, uint32_t site,
    uint64_t key, int by_index, beacon_live_seen_t *seen)
{
    unsigned             tries;
    beacon_live_site_t  *s;

    s = beacon_live_site(live, site);

    for (tries = 0; s != NULL && tries < BEACON_LIVE_TRIES; tries++) {
        if (beacon_live_chunk_see(live, BEACON_LIVE_LOAD(s->newest), seen)
            == BEACON_OK
            && seen->site == site)
        {
            return beacon_live_chunk_walk(live, site, key, by_index, seen);
        }
    }

    return BEACON_AGAIN;
}
