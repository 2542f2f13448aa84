/* Of a line of 750 bytes, two calls of memcpy() take as long again as what they
   copy. */

#include "beacond_spy_copy.h"

#include <string.h>

#if defined(__x86_64__) && !defined(BEACON_PORTABLE)
#define BEACOND_SPY_AVX2  1
#include <immintrin.h>
#endif

uint8_t *
beacond_spy_copy_plain(uint8_t *dst, const uint8_t *src, size_t cut,
    const uint8_t *rest, size_t len)
{
    memcpy(dst, src, cut);

    return (uint8_t *) mempcpy(dst + cut, rest, len);
}

#if (BEACOND_SPY_AVX2)

/* What mostly stands before an address (id, time, edge, site, visitor), and
   behind it. */
#define BEACOND_SPY_BEFORE  192
#define BEACOND_SPY_BEHIND  1024

#define BEACOND_SPY_TARGET  __attribute__((target("avx2")))

#define beacond_spy_copy_32(dst, src)                                         \
    _mm256_storeu_si256((__m256i *) (void *) (dst),                           \
        _mm256_loadu_si256((const __m256i *) (const void *) (src)))

/* The n-th 64 bytes. */
#define beacond_spy_copy_64(dst, src, n)                                      \
    beacond_spy_copy_32((dst) + 64 * ((n) - 1), (src) + 64 * ((n) - 1));      \
    beacond_spy_copy_32((dst) + 64 * ((n) - 1) + 32,                          \
                        (src) + 64 * ((n) - 1) + 32)

/* The last of so many, and then those before it. */
#define BEACOND_SPY_CASE(n)                                                   \
    case n:                                                                   \
        beacond_spy_copy_64(dst, rest, n);                                    \
        __attribute__((fallthrough))

static BEACOND_SPY_TARGET uint8_t *
beacond_spy_copy_avx2(uint8_t *dst, const uint8_t *src, size_t cut,
    const uint8_t *rest, size_t len)
{
    beacond_spy_copy_64(dst, src, 1);
    beacond_spy_copy_64(dst, src, 2);
    beacond_spy_copy_64(dst, src, 3);
    dst += cut;

    switch ((len + 63) / 64) {
    BEACOND_SPY_CASE(16);
    BEACOND_SPY_CASE(15);
    BEACOND_SPY_CASE(14);
    BEACOND_SPY_CASE(13);
    BEACOND_SPY_CASE(12);
    BEACOND_SPY_CASE(11);
    BEACOND_SPY_CASE(10);
    BEACOND_SPY_CASE(9);
    BEACOND_SPY_CASE(8);
    BEACOND_SPY_CASE(7);
    BEACOND_SPY_CASE(6);
    BEACOND_SPY_CASE(5);
    BEACOND_SPY_CASE(4);
    BEACOND_SPY_CASE(3);
    BEACOND_SPY_CASE(2);
    BEACOND_SPY_CASE(1);
    default:
        break;
    }

    return dst + len;
}

#endif

/* With too little behind the address, too much behind all would be seen. */
uint8_t *
beacond_spy_copy(uint8_t *dst, const uint8_t *src, size_t cut,
    const uint8_t *rest, size_t len)
{
#if (BEACOND_SPY_AVX2)
    if (cut <= BEACOND_SPY_BEFORE && len <= BEACOND_SPY_BEHIND
        && len >= BEACOND_SPY_BEFORE - BEACOND_SPY_SLACK
        && __builtin_cpu_supports("avx2"))
    {
        return beacond_spy_copy_avx2(dst, src, cut, rest, len);
    }
#endif

    return beacond_spy_copy_plain(dst, src, cut, rest, len);
}
