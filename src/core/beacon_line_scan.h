/*
 * What looks through a line's bytes, a block at a time: 32 with AVX2 (the
 * including file defines BEACON_LINE_AVX2), 16 with SSE2 and where there are no
 * vectors.  None looks behind "end"; near it, the block that ends there is
 * looked at: so a block must stand before, as a line's head does before all of
 * its strings.
 */

#ifndef BEACON_LINE_SCAN_H
#define BEACON_LINE_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(BEACON_LINE_AVX2)

#include <immintrin.h>

#define BEACON_TARGET      __attribute__((target("avx2,bmi,bmi2")))
#define BEACON_LINE_BLOCK  32

typedef __m256i  beacon_block_t;

#define beacon_block(p)                                                       \
    _mm256_loadu_si256((const __m256i *) (const void *) (p))
#define beacon_block_or(a, b)    _mm256_or_si256(a, b)
#define beacon_block_of(c)       _mm256_set1_epi8(c)
/* 0xff where they are equal, else 0 */
#define beacon_block_equal(a, b) _mm256_cmpeq_epi8(a, b)
/* of such blocks: bit i is byte i */
#define beacon_block_bits(block)                                              \
    ((uint32_t) _mm256_movemask_epi8(block))

#elif defined(__SSE2__) && !defined(BEACON_PORTABLE)

#include <emmintrin.h>

#define BEACON_TARGET
#define BEACON_LINE_BLOCK  16

typedef __m128i  beacon_block_t;

#define beacon_block(p)                                                       \
    _mm_loadu_si128((const __m128i *) (const void *) (p))
#define beacon_block_or(a, b)      _mm_or_si128(a, b)
#define beacon_block_of(c)         _mm_set1_epi8(c)
#define beacon_block_equal(a, b)   _mm_cmpeq_epi8(a, b)
#define beacon_block_bits(block)   ((uint32_t) _mm_movemask_epi8(block))

#else

#define BEACON_TARGET
#define BEACON_LINE_BLOCK  16

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
beacon_block_of(char c)
{
    beacon_block_t  block;

    memset(block.bytes, c, sizeof(block.bytes));

    return block;
}

static inline beacon_block_t
beacon_block_equal(beacon_block_t a, beacon_block_t b)
{
    int  i;

    for (i = 0; i < 16; i++) {
        a.bytes[i] = (a.bytes[i] == b.bytes[i]) ? 0xff : 0;
    }

    return a;
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

/* Blocks of a byte where each look would make them anew, which takes three
   instructions: beacon_line.c. */
enum {
    BEACON_LINE_PATH,                   /* '/' */
    BEACON_LINE_NAME,                   /* '@' */
    BEACON_LINE_QUERY,                  /* '?' */
    BEACON_LINE_FRAGMENT,               /* '#' */
    BEACON_LINE_MARKS
};

extern const uint8_t  beacon_line_marks[BEACON_LINE_MARKS][32]
    __attribute__((visibility("hidden")));

#define beacon_line_mark(mark)  beacon_block(beacon_line_marks[mark])

/* Is what stands at p within a string, as an odd number of backslashes is
   before it?  A quote or a brace stands before them. */
static inline int
beacon_line_escaped(const uint8_t *p)
{
    const uint8_t  *q;

    for (q = p; q[-1] == '\\'; q--) { /* void */ }

    return (p - q) & 1;
}

/* Bit i: p[i] is this byte; or one of two. */
static inline BEACON_TARGET uint32_t
beacon_line_one(const uint8_t *p, beacon_block_t c)
{
    return beacon_block_bits(beacon_block_equal(beacon_block(p), c));
}

static inline BEACON_TARGET uint32_t
beacon_line_two(const uint8_t *p, beacon_block_t a, beacon_block_t b)
{
    beacon_block_t  block;

    block = beacon_block(p);

    return beacon_block_bits(beacon_block_or(beacon_block_equal(block, a),
                                             beacon_block_equal(block, b)));
}

/* The bits of the block that ends at "end", of its bytes from p on. */
#define beacon_line_left(bits, p, end)                                        \
    ((bits) >> (BEACON_LINE_BLOCK - ((end) - (p))))

/* The first of these bytes of a text in a line, or end. */
static inline BEACON_TARGET const uint8_t *
beacon_line_either(const uint8_t *p, const uint8_t *end, beacon_block_t a,
    beacon_block_t b)
{
    uint32_t        bits;
    const uint8_t  *last;

    last = end - BEACON_LINE_BLOCK;

    for ( /* void */ ; p <= last; p += BEACON_LINE_BLOCK) {
        bits = beacon_line_two(p, a, b);

        if (bits) {
            return p + (unsigned) __builtin_ctz(bits);
        }
    }

    if (p == end) {
        return end;
    }

    bits = beacon_line_left(beacon_line_two(last, a, b), p, end);

    return bits ? p + (unsigned) __builtin_ctz(bits) : end;
}

/* The next quote, escaped or not; NULL: there is none. */
static inline BEACON_TARGET const uint8_t *
beacon_line_quote(const uint8_t *p, const uint8_t *end, beacon_block_t quote)
{
    uint32_t        bits;
    const uint8_t  *last;

    last = end - BEACON_LINE_BLOCK;

    for ( /* void */ ; p <= last; p += BEACON_LINE_BLOCK) {
        bits = beacon_line_one(p, quote);

        if (bits) {
            return p + (unsigned) __builtin_ctz(bits);
        }
    }

    if (p == end) {
        return NULL;
    }

    bits = beacon_line_left(beacon_line_one(last, quote), p, end);

    return bits ? p + (unsigned) __builtin_ctz(bits) : NULL;
}

/* The quote that ends the string in which p stands; NULL: none does. */
static inline BEACON_TARGET const uint8_t *
beacon_line_string(const uint8_t *p, const uint8_t *end, beacon_block_t quote)
{
    for ( ;; ) {
        p = beacon_line_quote(p, end, quote);

        if (p == NULL
            || __builtin_expect(p[-1] != '\\', 1)
            || !beacon_line_escaped(p))
        {
            return p;
        }

        p++;
    }
}

#endif /* BEACON_LINE_SCAN_H */
