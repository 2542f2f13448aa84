#include "beacon_macro.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Classes of bytes. */
enum {
    BEACON_MACRO_FIRST = 1 << 0,        /* of a name */
    BEACON_MACRO_WORD = 1 << 1,         /* of a name in brackets */
    BEACON_MACRO_NAME = 1 << 2,
    BEACON_MACRO_BEFORE = 1 << 3,       /* what brackets may stand between */
    BEACON_MACRO_AFTER = 1 << 4
};

#define F  (BEACON_MACRO_FIRST | BEACON_MACRO_WORD | BEACON_MACRO_NAME)
#define W  (BEACON_MACRO_WORD | BEACON_MACRO_NAME)
#define S  (BEACON_MACRO_BEFORE | BEACON_MACRO_AFTER)

static const uint8_t  beacon_macro_class[256] = {
    ['a'] = F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
            F, F, F, F,
    ['A'] = F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
            F, F, F, F,
    ['0'] = W, W, W, W, W, W, W, W, W, W,
    ['_'] = F,
    ['.'] = BEACON_MACRO_NAME | BEACON_MACRO_AFTER,
    [':'] = BEACON_MACRO_NAME | S,
    ['-'] = BEACON_MACRO_NAME | S,
    ['"'] = S, ['='] = S, ['/'] = S, [';'] = S, [','] = S, ['&'] = S,
    ['?'] = S, ['|'] = S, ['#'] = S
};

#undef F
#undef W
#undef S

static inline int
beacon_macro_is(uint8_t c, int class)
{
    return beacon_macro_class[c] & class;
}

/* Behind a name of the class at p; NULL: there is none. */
static const uint8_t *
beacon_macro_name(const uint8_t *p, const uint8_t *end, int class)
{
    if (p == end || !beacon_macro_is(*p, BEACON_MACRO_FIRST)) {
        return NULL;
    }

    while (p < end && beacon_macro_is(*p, class)) {
        p++;
    }

    return p;
}

/* %%NAME%%, p behind the first two. */
static int
beacon_macro_percent(const uint8_t *p, const uint8_t *end)
{
    p = beacon_macro_name(p, end, BEACON_MACRO_NAME);

    return p && end - p >= 2 && p[0] == '%' && p[1] == '%';
}

static int
beacon_macro_bracket(const uint8_t *text, const uint8_t *p, const uint8_t *end)
{
    const uint8_t  *name;

    if (p > text && !beacon_macro_is(p[-1], BEACON_MACRO_BEFORE)) {
        return 0;
    }

    name = p + 1;
    p = beacon_macro_name(name, end, BEACON_MACRO_WORD);

    return p && p - name >= 3 && p < end && *p == ']'
           && (p + 1 == end || beacon_macro_is(p[1], BEACON_MACRO_AFTER));
}

static int
beacon_macro_braces(const uint8_t *p, const uint8_t *end)
{
    const uint8_t  *start;

    for (start = p; p < end && *p != '{' && *p != '}' && *p != '"'; p++) {
        /* void */
    }

    return p > start && end - p >= 2 && p[0] == '}' && p[1] == '}';
}

/* Is p, one of $ % [ {, where one begins? */
static int
beacon_macro_at(const uint8_t *text, const uint8_t *p, const uint8_t *end)
{
    if (end - p < 4) {
        return 0;
    }

    switch (*p) {
    case '$':
        if (p[1] != '{') {
            return 0;
        }

        p = beacon_macro_name(p + 2, end, BEACON_MACRO_NAME);
        return p && p < end && *p == '}';

    case '%':
        return p[1] == '%' && beacon_macro_percent(p + 2, end);

    case '[':
        return beacon_macro_bracket(text, p, end);

    default:
        return p[1] == '{' && beacon_macro_braces(p + 2, end);
    }
}

/* 0: none of eight bytes is $ % [ {: the first two differ in bit 0, the others
   in bit 5, and a byte that becomes 0 borrows. */
static inline uint64_t
beacon_macro_eight(const uint8_t *p)
{
    uint64_t        x, first, second;
    const uint64_t  ones = 0x0101010101010101;

    memcpy(&x, p, sizeof(x));
    first = (x | ones) ^ ones * '%';
    second = (x | ones * 0x20) ^ ones * '{';

    return (((first - ones) & ~first) | ((second - ones) & ~second))
           & ones * 0x80;
}

/* %% ${ {{ [, and of a run of a byte only its end. */
static inline int
beacon_macro_place(const uint8_t *p)
{
    switch (*p) {
    case '[':
        return p[1] != '[';
    case '%':
    case '{':
        return p[1] == p[0] && p[2] != p[0];
    default:
        return p[0] == '$' && p[1] == '{';
    }
}

int
beacon_macro_portable(const uint8_t *text, size_t len)
{
    const uint8_t  *p, *end, *next;

    end = text + len;

    for (p = text; p < end; p = next) {
        next = (end - p >= 8) ? p + 8 : end;

        if (next - p == 8 && beacon_macro_eight(p) == 0) {
            continue;
        }

        for ( /* void */ ; p < next; p++) {
            if (end - p >= 4 && beacon_macro_place(p)
                && beacon_macro_at(text, p, end))
            {
                return 1;
            }
        }
    }

    return 0;
}

#if defined(__x86_64__)

/*
 * Bit i: at p[i] one may begin, by it and the byte that follows; behind the
 * end they do not count.  Where two bits are set side by side the first cannot
 * be one, as no name follows: so runs of a byte are cheap.
 */
static int
beacon_macro_places(const uint8_t *text, const uint8_t *p, const uint8_t *end,
    uint64_t bits)
{
    bits &= ~(bits >> 1);

    if (end - p < 64) {
        bits &= (1ULL << (end - p)) - 1;
    }

    for ( /* void */ ; bits; bits &= bits - 1) {
        if (beacon_macro_at(text, p + __builtin_ctzll(bits), end)) {
            return 1;
        }
    }

    return 0;
}

/* $ % [ {: the first two differ in bit 0, the others in bit 5. */
static inline __m128i
beacon_macro_sse2_any(const uint8_t *p)
{
    __m128i  c;

    c = _mm_loadu_si128((const __m128i *) p);

    return _mm_or_si128(
               _mm_cmpeq_epi8(_mm_or_si128(c, _mm_set1_epi8(1)),
                              _mm_set1_epi8('%')),
               _mm_cmpeq_epi8(_mm_or_si128(c, _mm_set1_epi8(0x20)),
                              _mm_set1_epi8('{')));
}

/* %% ${ {{ [ */
static inline uint64_t
beacon_macro_sse2_two(const uint8_t *p)
{
    __m128i  c, next, percent, brace;

    c = _mm_loadu_si128((const __m128i *) p);
    next = _mm_loadu_si128((const __m128i *) (p + 1));
    percent = _mm_set1_epi8('%');
    brace = _mm_set1_epi8('{');
    percent = _mm_and_si128(_mm_cmpeq_epi8(c, percent),
                            _mm_cmpeq_epi8(next, percent));
    brace = _mm_and_si128(_mm_cmpeq_epi8(next, brace),
                          _mm_or_si128(_mm_cmpeq_epi8(c, brace),
                                       _mm_cmpeq_epi8(c, _mm_set1_epi8('$'))));
    c = _mm_or_si128(_mm_cmpeq_epi8(c, _mm_set1_epi8('[')),
                     _mm_or_si128(percent, brace));

    return (uint32_t) _mm_movemask_epi8(c);
}

int
beacon_macro_sse2(const uint8_t *text, size_t len)
{
    __m128i         any;
    const uint8_t  *p, *end;

    end = text + len;

    for (p = text; p < end; p += 64) {
        any = _mm_or_si128(
                  _mm_or_si128(beacon_macro_sse2_any(p),
                               beacon_macro_sse2_any(p + 16)),
                  _mm_or_si128(beacon_macro_sse2_any(p + 32),
                               beacon_macro_sse2_any(p + 48)));

        if (_mm_movemask_epi8(any)
            && beacon_macro_places(text, p, end,
                                   beacon_macro_sse2_two(p)
                                   | beacon_macro_sse2_two(p + 16) << 16
                                   | beacon_macro_sse2_two(p + 32) << 32
                                   | beacon_macro_sse2_two(p + 48) << 48))
        {
            return 1;
        }
    }

    return 0;
}

#define BEACON_MACRO_AVX2                                                     \
    static inline __attribute__((target("avx2"), always_inline))

/* By the lower half of a byte, without bit 5: 4, 5 and 0x5b are themselves. */
BEACON_MACRO_AVX2 __m256i
beacon_macro_avx2_any(const uint8_t *p)
{
    __m256i  c;

    c = _mm256_and_si256(_mm256_loadu_si256((const __m256i *) p),
                         _mm256_set1_epi8((char) ~0x20));

    return _mm256_cmpeq_epi8(c, _mm256_shuffle_epi8(
               _mm256_setr_epi8(-1, -1, -1, -1, 4, 5, -1, -1,
                                -1, -1, -1, 0x5b, -1, -1, -1, -1,
                                -1, -1, -1, -1, 4, 5, -1, -1,
                                -1, -1, -1, 0x5b, -1, -1, -1, -1), c));
}

BEACON_MACRO_AVX2 uint64_t
beacon_macro_avx2_two(const uint8_t *p)
{
    __m256i  c, next, percent, brace;

    c = _mm256_loadu_si256((const __m256i *) p);
    next = _mm256_loadu_si256((const __m256i *) (p + 1));
    percent = _mm256_set1_epi8('%');
    brace = _mm256_set1_epi8('{');
    percent = _mm256_and_si256(_mm256_cmpeq_epi8(c, percent),
                               _mm256_cmpeq_epi8(next, percent));
    brace = _mm256_and_si256(
                _mm256_cmpeq_epi8(next, brace),
                _mm256_or_si256(_mm256_cmpeq_epi8(c, brace),
                                _mm256_cmpeq_epi8(c, _mm256_set1_epi8('$'))));
    c = _mm256_or_si256(_mm256_cmpeq_epi8(c, _mm256_set1_epi8('[')),
                        _mm256_or_si256(percent, brace));

    return (uint32_t) _mm256_movemask_epi8(c);
}

__attribute__((target("avx2")))
int
beacon_macro_avx2(const uint8_t *text, size_t len)
{
    __m256i         any;
    const uint8_t  *p, *end;

    end = text + len;

    for (p = text; p < end; p += 64) {
        any = _mm256_or_si256(beacon_macro_avx2_any(p),
                              beacon_macro_avx2_any(p + 32));

        if (_mm256_movemask_epi8(any)
            && beacon_macro_places(text, p, end,
                                   beacon_macro_avx2_two(p)
                                   | beacon_macro_avx2_two(p + 32) << 32))
        {
            return 1;
        }
    }

    return 0;
}

#endif
