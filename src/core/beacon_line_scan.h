/*
 * What looks through a line's bytes: 16 at a time where there are vectors, one
 * after the other at an end.  None looks behind "end".
 */

#ifndef BEACON_LINE_SCAN_H
#define BEACON_LINE_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(BEACON_PORTABLE)

#include <emmintrin.h>

typedef __m128i  beacon_block_t;

static inline beacon_block_t
beacon_block(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *) (const void *) p);
}

static inline beacon_block_t
beacon_block_or(beacon_block_t a, beacon_block_t b)
{
    return _mm_or_si128(a, b);
}

/* 0xff where it is c, else 0. */
static inline beacon_block_t
beacon_block_is(beacon_block_t block, char c)
{
    return _mm_cmpeq_epi8(block, _mm_set1_epi8(c));
}

/* Of such blocks: bit i is byte i. */
static inline uint32_t
beacon_block_bits(beacon_block_t block)
{
    return (uint32_t) _mm_movemask_epi8(block);
}

#else

typedef struct {
    uint8_t  bytes[16];
} beacon_block_t;

static inline beacon_block_t
beacon_block(const uint8_t *p)
{
    beacon_block_t  block;

    memcpy(block.bytes, p, sizeof(block.bytes));

    return block;
}

static inline beacon_block_t
beacon_block_or(beacon_block_t a, beacon_block_t b)
{
    int  i;

    for (i = 0; i < 16; i++) {
        a.bytes[i] |= b.bytes[i];
    }

    return a;
}

static inline beacon_block_t
beacon_block_is(beacon_block_t block, char c)
{
    int  i;

    for (i = 0; i < 16; i++) {
        block.bytes[i] = (block.bytes[i] == (uint8_t) c) ? 0xff : 0;
    }

    return block;
}

static inline uint32_t
beacon_block_bits(beacon_block_t block)
{
    int       i;
    uint32_t  bits;

    for (bits = 0, i = 0; i < 16; i++) {
        bits |= (uint32_t) (block.bytes[i] & 1) << i;
    }

    return bits;
}

#endif

/* Is what stands at p within a string, as an odd number of backslashes is
   before it?  A quote or a brace stands before them. */
static inline int
beacon_line_escaped(const uint8_t *p)
{
    const uint8_t  *q;

    for (q = p; q[-1] == '\\'; q--) { /* void */ }

    return (p - q) & 1;
}

/* The first of these bytes, or end. */
static inline const uint8_t *
beacon_line_either(const uint8_t *p, const uint8_t *end, char a, char b)
{
    uint32_t        bits;
    beacon_block_t  block;
    const uint8_t  *start;

    for (start = p; p < end; p += 16) {
        if (end - p < 16) {
            if (end - start < 16) {
                while (p < end && *p != (uint8_t) a && *p != (uint8_t) b) {
                    p++;
                }

                return p;
            }

            p = end - 16;
        }

        block = beacon_block(p);
        bits = beacon_block_bits(beacon_block_or(beacon_block_is(block, a),
                                                 beacon_block_is(block, b)));

        if (bits) {
            return p + __builtin_ctz(bits);
        }
    }

    return end;
}

/* The quote that ends the string in which p stands; NULL: none does. */
const uint8_t *beacon_line_string_far(const uint8_t *p, const uint8_t *end);

/* Inline for what is short. */
static inline const uint8_t *
beacon_line_string(const uint8_t *p, const uint8_t *end)
{
    uint32_t  bits;

    if (end - p >= 16) {
        bits = beacon_block_bits(beacon_block_is(beacon_block(p), '"'));

        if (bits) {
            p += __builtin_ctz(bits);

            if (p[-1] != '\\') {
                return p;
            }

        } else {
            p += 16;
        }
    }

    return beacon_line_string_far(p, end);
}

#endif /* BEACON_LINE_SCAN_H */
