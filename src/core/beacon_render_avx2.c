/*
 * The inner loops with AVX2 and BMI; compiled wherever the compiler targets
 * x86-64, run only where beacon_render_variants() has found both.
 */

#include "beacon_render_int.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define BEACON_TARGET  __attribute__((target("avx2,bmi,bmi2,popcnt")))

#define beacon_avx2_wide(r, which)                                            \
    _mm256_loadu_si256((const __m256i *) (r)->wide[BEACON_WIDE_##which])

/* As signed numbers, controls and what is >= 0x80 are both below a space. */
static inline BEACON_TARGET beacon_place_t
beacon_loop_plain(const beacon_render_t *r, beacon_place_t at)
{
    __m256i   c, events;
    uint32_t  mask;

    for ( ;; ) {
        c = _mm256_loadu_si256((const __m256i *) at.s);
        _mm256_storeu_si256((__m256i *) at.d, c);
        events = _mm256_cmpgt_epi8(beacon_avx2_wide(r, SPACE), c);
        events = _mm256_or_si256(events,
                     _mm256_cmpeq_epi8(c, beacon_avx2_wide(r, QUOTE)));
        events = _mm256_or_si256(events,
                     _mm256_cmpeq_epi8(c, beacon_avx2_wide(r, BACKSLASH)));
        mask = (uint32_t) _mm256_movemask_epi8(events);

        if (mask) {
            at.s += _tzcnt_u32(mask);
            at.d += _tzcnt_u32(mask);
            return at;
        }

        at.s += 32;
        at.d += 32;
    }
}

/*
 * A query's events in 32 bytes, by the two halves of a byte: a byte is plain
 * if the two table entries have a bit in common.  A shuffle gives 0 for an
 * index >= 0x80, so such bytes are events.
 *
 *     high half  bit  plain with low half
 *     0 1        -    none
 *     2          1    all but 2 5 6 (quote % &)
 *     3          2    all but d (=)
 *     5          4    all but c (backslash)
 *     4 6 7      8    all
 */
static inline BEACON_TARGET uint64_t
beacon_avx2_query(const uint8_t *p)
{
    __m256i  c, low, high;

    c = _mm256_loadu_si256((const __m256i *) p);
    high = _mm256_and_si256(_mm256_srli_epi16(c, 4), _mm256_set1_epi8(15));
    high = _mm256_shuffle_epi8(
               _mm256_setr_epi8(0, 0, 1, 2, 8, 4, 8, 8,
                                0, 0, 0, 0, 0, 0, 0, 0,
                                0, 0, 1, 2, 8, 4, 8, 8,
                                0, 0, 0, 0, 0, 0, 0, 0), high);
    low = _mm256_shuffle_epi8(
              _mm256_setr_epi8(15, 15, 14, 15, 15, 14, 14, 15,
                               15, 15, 15, 15, 11, 13, 15, 15,
                               15, 15, 14, 15, 15, 14, 14, 15,
                               15, 15, 15, 15, 11, 13, 15, 15), c);
    c = _mm256_cmpeq_epi8(_mm256_and_si256(low, high),
                          _mm256_setzero_si256());

    return (uint32_t) _mm256_movemask_epi8(c);
}

static inline BEACON_TARGET uint64_t
beacon_simd_events(const beacon_render_t *r, const uint8_t *p)
{
    (void) r;

    return beacon_avx2_query(p) | beacon_avx2_query(p + 32) << 32;
}

static inline BEACON_TARGET void
beacon_simd_copy(const beacon_render_t *r, uint8_t *d, const uint8_t *s)
{
    __m256i  c, plus;

    c = _mm256_loadu_si256((const __m256i *) s);
    plus = _mm256_cmpeq_epi8(c, beacon_avx2_wide(r, PLUS));
    plus = _mm256_and_si256(plus, beacon_avx2_wide(r, BLEND));
    _mm256_storeu_si256((__m256i *) d, _mm256_xor_si256(c, plus));
}

static inline BEACON_TARGET size_t
beacon_simd_first(uint64_t bits)
{
    return (size_t) _tzcnt_u64(bits);
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

typedef __m256i  beacon_vec_t;

#define BEACON_VEC              32
#define beacon_vec_load(p)      _mm256_loadu_si256((const __m256i *) (p))
#define beacon_vec_store(p, v)  _mm256_storeu_si256((__m256i *) (p), v)
#define beacon_vec_is           _mm256_cmpeq_epi8
#define beacon_vec_above        _mm256_cmpgt_epi8
#define beacon_vec_and          _mm256_and_si256
#define beacon_vec_but(v, w)    _mm256_andnot_si256(w, v)
#define beacon_vec_or           _mm256_or_si256
#define beacon_vec_add          _mm256_add_epi8
#define beacon_vec_xor          _mm256_xor_si256
#define beacon_vec_blend        _mm256_blendv_epi8
#define beacon_vec_shl4(v)      _mm256_slli_epi16(v, 4)
#define beacon_vec_bits(v)      ((uint64_t) (uint32_t) _mm256_movemask_epi8(v))

static inline BEACON_TARGET __m256i
beacon_vec_spread(uint64_t bits)
{
    __m256i  v, each;

    v = _mm256_set1_epi32((int) bits);
    v = _mm256_shuffle_epi8(v, _mm256_setr_epi64x(0, 0x0101010101010101,
                                                  0x0202020202020202,
                                                  0x0303030303030303));
    each = _mm256_set1_epi64x((long long) 0x8040201008040201);

    return _mm256_cmpeq_epi8(_mm256_and_si256(v, each), each);
}

#define beacon_vec_count(bits)  (size_t) _mm_popcnt_u64(bits)

/* Eight bytes at a time. */
static inline BEACON_TARGET size_t
beacon_vec_squeeze(const beacon_render_t *r, uint8_t *dst, const uint8_t *s,
    size_t n, uint64_t escapes)
{
    __m128i   c;
    uint8_t  *d;

    d = dst;

    /* what stays */
    escapes = ~(escapes << 1 | escapes << 2) & ~0ULL >> (64 - n);

#define beacon_avx2_pick()                                                    \
    c = _mm_loadl_epi64((const __m128i *) s);                                 \
    c = _mm_shuffle_epi8(c, _mm_loadu_si128((const __m128i *)                 \
                                            r->pick[escapes & 0xff]));        \
    _mm_storel_epi64((__m128i *) d, c);                                       \
    d += _mm_popcnt_u32(escapes & 0xff);                                      \
    escapes >>= 8;                                                            \
    s += 8

    beacon_avx2_pick();
    beacon_avx2_pick();
    beacon_avx2_pick();
    beacon_avx2_pick();
    beacon_avx2_pick();
    beacon_avx2_pick();
    beacon_avx2_pick();
    beacon_avx2_pick();

#undef beacon_avx2_pick

    return (size_t) (d - dst);
}

#include "beacon_render_simd.h"
#include "beacon_render_loops.h"

/* Four groups {first, second, third, none}; which: sixteen times the place in
   r->squeeze[], whose last byte says how many are taken. */
BEACON_LOOP uint8_t *
beacon_avx2_squeeze(const beacon_render_t *r, uint8_t *d, __m128i groups,
    size_t which)
{
    __m128i         taken;
    const uint8_t  *order;

    order = (const uint8_t *) r->squeeze + which;
    taken = _mm_shuffle_epi8(groups,
                             _mm_load_si128((const __m128i *) order));
    _mm_storeu_si128((__m128i *) d, taken);

    return d + order[15];
}

/* 32 bytes, of which some become %XX, and some get a backslash. */
BEACON_LOOP uint8_t *
beacon_avx2_digits(const beacon_render_t *r, uint8_t *d, __m256i c,
    __m256i plain, __m256i quoted)
{
    __m256i   digits, first, second, third, a, b, groups[4];
    uint32_t  which[8];

    digits = _mm256_broadcastsi128_si256(_mm_loadu_si128(
                               (const __m128i *) "0123456789ABCDEF"));
    second = _mm256_and_si256(_mm256_srli_epi16(c, 4),
                              beacon_avx2_wide(r, LOW));
    second = _mm256_shuffle_epi8(digits, second);
    third = _mm256_and_si256(c, beacon_avx2_wide(r, LOW));
    third = _mm256_shuffle_epi8(digits, third);
    first = _mm256_blendv_epi8(beacon_avx2_wide(r, PERCENT), c, plain);
    first = _mm256_blendv_epi8(first, beacon_avx2_wide(r, BACKSLASH), quoted);
    second = _mm256_blendv_epi8(second, c, quoted);

    /* a bit for each of four bytes that is three, or two: in one number */
    a = _mm256_or_si256(
            _mm256_andnot_si256(plain, _mm256_set1_epi32(0x08040201)),
            _mm256_and_si256(quoted, _mm256_set1_epi32((int) 0x80402010)));
    a = _mm256_maddubs_epi16(a, _mm256_set1_epi8(1));
    a = _mm256_madd_epi16(a, _mm256_set1_epi16(16));
    _mm256_storeu_si256((__m256i *) which, a);

    a = _mm256_unpacklo_epi8(first, second);
    b = _mm256_unpacklo_epi8(third, third);
    groups[0] = _mm256_unpacklo_epi16(a, b);
    groups[1] = _mm256_unpackhi_epi16(a, b);
    a = _mm256_unpackhi_epi8(first, second);
    b = _mm256_unpackhi_epi8(third, third);
    groups[2] = _mm256_unpacklo_epi16(a, b);
    groups[3] = _mm256_unpackhi_epi16(a, b);

#define beacon_avx2_low(i)                                                    \
    beacon_avx2_squeeze(r, d, _mm256_castsi256_si128(groups[i]), which[i])
#define beacon_avx2_high(i)                                                   \
    beacon_avx2_squeeze(r, d, _mm256_extracti128_si256(groups[i], 1),         \
                        which[4 + (i)])

    d = beacon_avx2_low(0);
    d = beacon_avx2_low(1);
    d = beacon_avx2_low(2);
    d = beacon_avx2_low(3);
    d = beacon_avx2_high(0);
    d = beacon_avx2_high(1);
    d = beacon_avx2_high(2);
    d = beacon_avx2_high(3);

#undef beacon_avx2_low
#undef beacon_avx2_high

    return d;
}

static BEACON_TARGET uint8_t *
beacon_avx2_percent(beacon_render_t *r, uint8_t *d, const beacon_str_t *str)
{
    size_t        i;
    __m256i       c, plain, quoted;
    beacon_str_t  part;

    for (i = 0; str->len - i >= 32; i += 32) {
        c = _mm256_loadu_si256((const __m256i *) (str->data + i));
        plain = _mm256_and_si256(
                    _mm256_cmpgt_epi8(c, _mm256_set1_epi8(0x1f)),
                    _mm256_cmpgt_epi8(_mm256_set1_epi8(0x7f), c));
        quoted = _mm256_or_si256(
                     _mm256_cmpeq_epi8(c, beacon_avx2_wide(r, QUOTE)),
                     _mm256_cmpeq_epi8(c, beacon_avx2_wide(r, BACKSLASH)));

        /* a quote is plain, too */
        if (_mm256_movemask_epi8(_mm256_andnot_si256(quoted, plain)) == -1) {
            _mm256_storeu_si256((__m256i *) d, c);
            d += 32;

        } else {
            d = beacon_avx2_digits(r, d, c, plain, quoted);
        }
    }

    part.data = str->data + i;
    part.len = str->len - i;

    return beacon_render_percent(r, d, &part);
}

const beacon_render_ops_t  beacon_render_avx2 = {
    "avx2", beacon_loop_string, beacon_loop_args, beacon_avx2_percent,
    beacon_macro_avx2
};

#endif
