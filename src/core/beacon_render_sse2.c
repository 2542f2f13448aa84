/*
 * The inner loops with SSE2, which every x86-64 has.
 */

#include "beacon_render_int.h"

#if defined(__x86_64__)

#include <emmintrin.h>

#define BEACON_TARGET

#define beacon_sse2_wide(r, which)                                            \
    _mm_load_si128((const __m128i *) (r)->wide[BEACON_WIDE_##which])
#define beacon_sse2_is(r, c, which)                                           \
    _mm_cmpeq_epi8(c, beacon_sse2_wide(r, which))

/* A string's events.  As signed numbers, controls and what is >= 0x80 are both
   below a space. */
static inline __m128i
beacon_sse2_events(const beacon_render_t *r, __m128i c)
{
    __m128i  events;

    events = _mm_cmplt_epi8(c, beacon_sse2_wide(r, SPACE));
    events = _mm_or_si128(events, beacon_sse2_is(r, c, QUOTE));

    return _mm_or_si128(events, beacon_sse2_is(r, c, BACKSLASH));
}

static inline beacon_place_t
beacon_loop_plain(const beacon_render_t *r, beacon_place_t at)
{
    __m128i   c;
    uint32_t  mask;

    for ( ;; ) {
        c = _mm_loadu_si128((const __m128i *) at.s);
        _mm_storeu_si128((__m128i *) at.d, c);
        mask = (uint32_t) _mm_movemask_epi8(beacon_sse2_events(r, c));

        if (mask) {
            at.s += __builtin_ctz(mask);
            at.d += __builtin_ctz(mask);
            return at;
        }

        at.s += 16;
        at.d += 16;
    }
}

static inline uint64_t
beacon_sse2_query(const beacon_render_t *r, const uint8_t *p)
{
    __m128i  c, events;

    c = _mm_loadu_si128((const __m128i *) p);
    events = beacon_sse2_events(r, c);
    events = _mm_or_si128(events, beacon_sse2_is(r, c, PERCENT));
    events = _mm_or_si128(events, beacon_sse2_is(r, c, AMP));
    events = _mm_or_si128(events, beacon_sse2_is(r, c, EQUAL));

    return (uint64_t) _mm_movemask_epi8(events);
}

static inline uint64_t
beacon_simd_events(const beacon_render_t *r, const uint8_t *p)
{
    return beacon_sse2_query(r, p)
           | beacon_sse2_query(r, p + 16) << 16
           | beacon_sse2_query(r, p + 32) << 32
           | beacon_sse2_query(r, p + 48) << 48;
}

static inline void
beacon_simd_copy(const beacon_render_t *r, uint8_t *d, const uint8_t *s)
{
    int      i;
    __m128i  c, plus;

    for (i = 0; i < 32; i += 16) {
        c = _mm_loadu_si128((const __m128i *) (s + i));
        plus = _mm_and_si128(beacon_sse2_is(r, c, PLUS),
                             beacon_sse2_wide(r, BLEND));
        _mm_storeu_si128((__m128i *) (d + i), _mm_xor_si128(c, plus));
    }
}

static inline size_t
beacon_simd_first(uint64_t bits)
{
    return bits ? (size_t) __builtin_ctzll(bits) : 64;
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

typedef __m128i  beacon_vec_t;

#define BEACON_VEC              16
#define beacon_vec_load(p)      _mm_loadu_si128((const __m128i *) (p))
#define beacon_vec_store(p, v)  _mm_storeu_si128((__m128i *) (p), v)
#define beacon_vec_is           _mm_cmpeq_epi8
#define beacon_vec_above        _mm_cmpgt_epi8
#define beacon_vec_and          _mm_and_si128
#define beacon_vec_but(v, w)    _mm_andnot_si128(w, v)
#define beacon_vec_or           _mm_or_si128
#define beacon_vec_add          _mm_add_epi8
#define beacon_vec_xor          _mm_xor_si128
#define beacon_vec_shl4(v)      _mm_slli_epi16(v, 4)
#define beacon_vec_blend(v, w, mask)                                          \
    _mm_or_si128(_mm_and_si128(w, mask), _mm_andnot_si128(mask, v))
#define beacon_vec_bits(v)      ((uint64_t) (uint32_t) _mm_movemask_epi8(v))

static inline __m128i
beacon_vec_spread(uint64_t bits)
{
    __m128i  v, each;

    v = _mm_cvtsi32_si128((int) bits);
    v = _mm_unpacklo_epi8(v, v);
    v = _mm_unpacklo_epi16(v, v);
    v = _mm_shuffle_epi32(v, 0x50);
    each = _mm_set1_epi64x((long long) 0x8040201008040201);

    return _mm_cmpeq_epi8(_mm_and_si128(v, each), each);
}

static inline size_t
beacon_vec_count(uint64_t bits)
{
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;

    return (size_t) (bits * 0x0101010101010101 >> 56);
}

/* Up to "to" and with it, by sixteen bytes. */
static inline void
beacon_sse2_move(uint8_t *d, const uint8_t *s, size_t at, size_t to)
{
    do {
        _mm_storeu_si128((__m128i *) (d + at),
                         _mm_loadu_si128((const __m128i *) (s + at)));
        at += 16;
    } while (at <= to);
}

/* From one escape to the next; d: where s[0] would be. */
static inline size_t
beacon_vec_squeeze(const beacon_render_t *r, uint8_t *dst, const uint8_t *s,
    size_t n, uint64_t escapes)
{
    size_t    at, next;
    uint8_t  *d;

    (void) r;
    d = dst;

    for (at = 0; escapes; escapes &= escapes - 1) {
        next = (size_t) __builtin_ctzll(escapes);
        beacon_sse2_move(d, s, at, next);
        at = next + 3;
        d -= 2;
    }

    if (at < n) {
        beacon_sse2_move(d, s, at, n - 1);
        at = n;
    }

    return (size_t) (d + at - dst);
}

#include "beacon_render_simd.h"
#include "beacon_render_loops.h"

const beacon_render_ops_t  beacon_render_sse2 = {
    "sse2", beacon_loop_string, beacon_loop_args, beacon_render_percent,
    beacon_macro_sse2
};

#endif
