/*
 * The inner loops with AVX2 and BMI; compiled wherever the compiler targets
 * x86-64, run only where beacon_render_variants() has found both.
 */

#include "beacon_render_int.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define BEACON_TARGET  __attribute__((target("avx2,bmi,bmi2")))

/*
 * Events in 32 bytes, by the two halves of a byte: a byte is plain if the two
 * table entries have a bit in common.  A shuffle gives 0 for an index >= 0x80,
 * so such bytes are events.
 *
 *     high half  bit  plain with low half
 *     0 1        -    none
 *     2          1    all but 2 (quote), in a query 5 6 (% &)
 *     3          2    all; in a query but d (=)
 *     5          4    all but c (backslash)
 *     4 6 7      8    all
 */
static inline BEACON_TARGET uint64_t
beacon_avx2_events(const uint8_t *p, int mode)
{
    __m256i  c, low, high;

    c = _mm256_loadu_si256((const __m256i *) p);
    high = _mm256_and_si256(_mm256_srli_epi16(c, 4), _mm256_set1_epi8(15));
    high = _mm256_shuffle_epi8(
               _mm256_setr_epi8(0, 0, 1, 2, 8, 4, 8, 8,
                                0, 0, 0, 0, 0, 0, 0, 0,
                                0, 0, 1, 2, 8, 4, 8, 8,
                                0, 0, 0, 0, 0, 0, 0, 0), high);

    if (mode == BEACON_PLAIN_QUERY) {
        low = _mm256_setr_epi8(15, 15, 14, 15, 15, 14, 14, 15,
                               15, 15, 15, 15, 11, 13, 15, 15,
                               15, 15, 14, 15, 15, 14, 14, 15,
                               15, 15, 15, 15, 11, 13, 15, 15);

    } else {
        low = _mm256_setr_epi8(15, 15, 14, 15, 15, 15, 15, 15,
                               15, 15, 15, 15, 11, 15, 15, 15,
                               15, 15, 14, 15, 15, 15, 15, 15,
                               15, 15, 15, 15, 11, 15, 15, 15);
    }

    low = _mm256_shuffle_epi8(low, c);
    c = _mm256_cmpeq_epi8(_mm256_and_si256(low, high),
                          _mm256_setzero_si256());

    return (uint32_t) _mm256_movemask_epi8(c);
}

static inline BEACON_TARGET uint64_t
beacon_simd_events(const uint8_t *p, int mode)
{
    return beacon_avx2_events(p, mode)
           | beacon_avx2_events(p + 32, mode) << 32;
}

/* Copies 32 bytes; in a query '+' becomes a space. */
static inline BEACON_TARGET void
beacon_simd_copy(uint8_t *d, const uint8_t *s, int mode)
{
    __m256i  c, plus;

    c = _mm256_loadu_si256((const __m256i *) s);

    if (mode == BEACON_PLAIN_QUERY) {
        plus = _mm256_cmpeq_epi8(c, _mm256_set1_epi8('+'));
        c = _mm256_xor_si256(c, _mm256_and_si256(plus,
                                          _mm256_set1_epi8('+' ^ ' ')));
    }

    _mm256_storeu_si256((__m256i *) d, c);
}

static inline BEACON_TARGET uint32_t
beacon_loop_find(const beacon_render_t *r, uint16_t tag, uint32_t from,
    uint32_t n)
{
    __m256i   tags;
    uint32_t  i, mask;

    for (i = from; i < n; i += 16) {
        tags = _mm256_loadu_si256((const __m256i *) &r->tags[i]);
        mask = (uint32_t) _mm256_movemask_epi8(_mm256_cmpeq_epi16(tags,
                                          _mm256_set1_epi16((short) tag)));
        if (mask) {
            i += (uint32_t) __builtin_ctz(mask) / 2;
            return (i < n) ? i : n;
        }
    }

    return n;
}

#include "beacon_render_simd.h"
#include "beacon_render_loops.h"

const beacon_render_ops_t  beacon_render_avx2 = {
    "avx2", beacon_loop_string, beacon_loop_args
};

#endif
