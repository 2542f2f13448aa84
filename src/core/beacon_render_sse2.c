/*
 * The inner loops with SSE2, which every x86-64 has.
 */

#include "beacon_render_int.h"

#if defined(__x86_64__)

#include <emmintrin.h>

#define BEACON_TARGET

/* Events in 16 bytes.  As signed numbers, controls and what is >= 0x80 are
   both below a space. */
static inline uint64_t
beacon_sse2_events(const uint8_t *p, int mode)
{
    __m128i  c, events;

#define beacon_sse2_is(byte)                                                  \
    _mm_cmpeq_epi8(c, _mm_set1_epi8(byte))

    c = _mm_loadu_si128((const __m128i *) p);
    events = _mm_cmplt_epi8(c, _mm_set1_epi8(0x20));
    events = _mm_or_si128(events, beacon_sse2_is('"'));
    events = _mm_or_si128(events, beacon_sse2_is('\\'));

    if (mode == BEACON_PLAIN_QUERY) {
        events = _mm_or_si128(events, beacon_sse2_is('%'));
        events = _mm_or_si128(events, beacon_sse2_is('&'));
        events = _mm_or_si128(events, beacon_sse2_is('='));
    }

    return (uint64_t) _mm_movemask_epi8(events);

#undef beacon_sse2_is
}

static inline uint64_t
beacon_simd_events(const uint8_t *p, int mode)
{
    return beacon_sse2_events(p, mode)
           | beacon_sse2_events(p + 16, mode) << 16
           | beacon_sse2_events(p + 32, mode) << 32
           | beacon_sse2_events(p + 48, mode) << 48;
}

/* Copies 32 bytes; in a query '+' becomes a space. */
static inline void
beacon_simd_copy(uint8_t *d, const uint8_t *s, int mode)
{
    int      i;
    __m128i  c, plus;

    for (i = 0; i < 32; i += 16) {
        c = _mm_loadu_si128((const __m128i *) (s + i));

        if (mode == BEACON_PLAIN_QUERY) {
            plus = _mm_cmpeq_epi8(c, _mm_set1_epi8('+'));
            c = _mm_xor_si128(c, _mm_and_si128(plus,
                                               _mm_set1_epi8('+' ^ ' ')));
        }

        _mm_storeu_si128((__m128i *) (d + i), c);
    }
}

static inline uint32_t
beacon_loop_find(const beacon_render_t *r, uint16_t tag, uint32_t from,
    uint32_t n)
{
    __m128i   tags;
    uint32_t  i, mask;

    for (i = from; i < n; i += 8) {
        tags = _mm_loadu_si128((const __m128i *) &r->tags[i]);
        mask = (uint32_t) _mm_movemask_epi8(_mm_cmpeq_epi16(tags,
                                             _mm_set1_epi16((short) tag)));
        if (mask) {
            i += (uint32_t) __builtin_ctz(mask) / 2;
            return (i < n) ? i : n;
        }
    }

    return n;
}

#include "beacon_render_simd.h"
#include "beacon_render_loops.h"

const beacon_render_ops_t  beacon_render_sse2 = {
    "sse2", beacon_loop_string, beacon_loop_args
};

#endif
