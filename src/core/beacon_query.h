/*
 * One byte of a query at a time, as application/x-www-form-urlencoded decodes
 * it, and where a sequence ends; for those who look for a name without decoding
 * the whole.
 */

#ifndef BEACON_QUERY_H
#define BEACON_QUERY_H

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Hexadecimal digits, each plus one. */
static const uint8_t  beacon_query_digits[256] = {
    ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6,
    ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16
};

/* The byte at p, decoded; *next stands behind it.  p < end. */
static inline uint8_t
beacon_query_byte(const uint8_t *p, const uint8_t *end, const uint8_t **next)
{
    unsigned  high, low;

    *next = p + 1;

    if (*p == '+') {
        return ' ';
    }

    if (*p == '%' && end - p >= 3) {
        high = beacon_query_digits[p[1]];
        low = beacon_query_digits[p[2]];

        if (high && low) {
            *next = p + 3;
            return (uint8_t) ((high - 1) << 4 | (low - 1));
        }
    }

    return *p;
}

#if defined(__SSE2__)

/* A bit for each '&' in 16 bytes. */
static inline uint32_t
beacon_query_amps(const uint8_t *p)
{
    return (uint32_t) _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_set1_epi8('&'),
                          _mm_loadu_si128((const __m128i *) p)));
}

#endif

/* The first '&' in p .. end, or end. */
static inline const uint8_t *
beacon_query_amp(const uint8_t *p, const uint8_t *end)
{
#if defined(__SSE2__)
    uint32_t  mask;

    for ( /* void */ ; end - p >= 16; p += 16) {
        mask = beacon_query_amps(p);

        if (mask) {
            return p + __builtin_ctz(mask);
        }
    }
#endif

    while (p < end && *p != '&') {
        p++;
    }

    return p;
}

#endif /* BEACON_QUERY_H */
