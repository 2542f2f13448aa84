/*
 * What the live store finds texts by: their hash, and what they are.  Inline,
 * as most are short and each hit asks for a handful.
 */

#ifndef BEACON_LIVE_TEXT_H
#define BEACON_LIVE_TEXT_H

#include "beacon.h"
#include "beacon_fold.h"

#include <string.h>

static inline uint64_t
beacon_live_word(const uint8_t *p)
{
    uint64_t  word;

    memcpy(&word, p, sizeof(word));

    return word;
}

static inline uint64_t
beacon_live_half(const uint8_t *p)
{
    uint32_t  half;

    memcpy(&half, p, sizeof(half));

    return half;
}

/*
 * Of text in the context of salt (site, kind); not for strangers' eyes.  After
 * wyhash (Wang Yi): sixteen bytes a multiplication, both sides keyed; the last
 * ones may overlap those before, as the length is in the hash.  It turns what
 * is secret: as a number beside the text, another text could make up for it.
 * What the salt makes of the seed can be kept.
 */
static inline uint64_t
beacon_live_salted(const uint64_t seed[2], uint64_t salt)
{
    return seed[0] ^ beacon_fold(salt ^ 0xa0761d6478bd642f, seed[1]);
}

static inline uint64_t
beacon_live_hash_on(uint64_t salted, uint64_t seed, beacon_str_t text)
{
    uint64_t        hash, first, last;
    const uint8_t  *p, *end;

    p = text.data;
    end = p + text.len;
    hash = salted << (text.len & 63) | salted >> (-text.len & 63);

    if (text.len >= 16) {
        for (end -= 16; p < end; p += 16) {
            hash = beacon_fold(beacon_live_word(p) ^ seed,
                               beacon_live_word(p + 8) ^ hash);
        }

        first = beacon_live_word(end);
        last = beacon_live_word(end + 8);

    } else if (text.len >= 8) {
        first = beacon_live_word(p);
        last = beacon_live_word(end - 8);

    } else if (text.len >= 4) {
        first = beacon_live_half(p);
        last = beacon_live_half(end - 4);

    } else {
        first = text.len ? (uint64_t) p[0] << 16
                           | (uint64_t) p[text.len / 2] << 8 | end[-1] : 0;
        last = 0;
    }

    return beacon_fold(first ^ seed, last ^ hash);
}

static inline uint64_t
beacon_live_hash(const uint64_t seed[2], uint64_t salt, beacon_str_t text)
{
    return beacon_live_hash_on(beacon_live_salted(seed, salt), seed[1], text);
}

static inline int
beacon_live_equal_two(const uint8_t *a, const uint8_t *b, size_t last)
{
    return ((beacon_live_word(a) ^ beacon_live_word(b))
            | (beacon_live_word(a + last) ^ beacon_live_word(b + last))) == 0;
}

/* Short texts, as most are: a call would cost more than the comparison. */
static inline int
beacon_live_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len > 16) {
        for ( /* void */ ; len > 16; len -= 16, a += 16, b += 16) {
            if (!beacon_live_equal_two(a, b, 8)) {
                return 0;
            }
        }

        a += len - 16;
        b += len - 16;
        len = 16;
    }

    if (len >= 8) {
        return beacon_live_equal_two(a, b, len - 8);
    }

    if (len >= 4) {
        return beacon_live_half(a) == beacon_live_half(b)
               && beacon_live_half(a + len - 4)
                  == beacon_live_half(b + len - 4);
    }

    return len == 0
           || (a[0] == b[0] && a[len / 2] == b[len / 2]
               && a[len - 1] == b[len - 1]);
}
#endif /* BEACON_LIVE_TEXT_H */
