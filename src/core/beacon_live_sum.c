/* The sums of a hit's bytes. */

#include "beacon_crc32c.h"
#include "beacon_live_int.h"
#include "beacon_live_sum.h"

#if defined(__x86_64__) && !defined(BEACON_PORTABLE)                          \
    && !defined(__SANITIZE_THREAD__)
#define BEACON_LIVE_SUM_AVX2  1
#include <immintrin.h>
#else
#define BEACON_LIVE_SUM_AVX2  0
#endif

/* Bytes that all lanes take at once. */
#define BEACON_LIVE_SUM_BLOCK  32

typedef struct {
    uint64_t  one[4];                   /* sums, */
    uint64_t  two[4];                   /*   and of them */
} beacon_live_lanes_t;


/* Without vectors. */

/* In each pair of lanes, four halves move on by one. */
static inline void
beacon_live_sum_block(beacon_live_lanes_t *lanes, const uint8_t *p)
{
    unsigned  i;
    uint64_t  low, high;

    for (i = 0; i < 4; i += 2) {
        lanes->one[i] += beacon_live_word(p + 8 * (size_t) i);
        lanes->one[i + 1] += beacon_live_word(p + 8 * (size_t) i + 8);

        low = lanes->two[i];
        high = lanes->two[i + 1];
        lanes->two[i] = (low >> 32 | high << 32) + lanes->one[i];
        lanes->two[i + 1] = (high >> 32 | low << 32) + lanes->one[i + 1];
    }
}

uint32_t
beacon_live_sum_plain(const beacon_live_sum_t *begin, const void *head,
    uint8_t *dst, const uint8_t *src, size_t len)
{
    size_t                at;
    uint8_t               last[BEACON_LIVE_SUM_BLOCK];
    beacon_live_lanes_t   lanes;

    if (dst != src) {
        beacon_live_copy(dst, src, len);
    }

    memcpy(lanes.one, begin->words, sizeof(lanes.one));
    memcpy(lanes.two, begin->words, sizeof(lanes.two));

    if (head != NULL) {
        for (at = 0; at < BEACON_LIVE_SUM_HEAD; at += sizeof(last)) {
            beacon_live_sum_block(&lanes, (const uint8_t *) head + at);
        }
    }

    for (at = 0; len - at >= sizeof(last); at += sizeof(last)) {
        beacon_live_sum_block(&lanes, dst + at);
    }

    if (len > at && len >= sizeof(last)) {
        beacon_live_sum_block(&lanes, dst + len - sizeof(last));

    } else if (len > at) {
        memset(last, 0, sizeof(last));
        memcpy(last, dst, len);
        beacon_live_sum_block(&lanes, last);
    }

    return beacon_crc32c(0, &lanes, sizeof(lanes));
}


#if (BEACON_LIVE_SUM_AVX2)

#define BEACON_TARGET  __attribute__((target("avx2,sse4.2")))

#define beacon_live_load(p)                                                   \
    _mm256_loadu_si256((const __m256i *) (const void *) (p))
#define beacon_live_store(p, block)                                           \
    _mm256_storeu_si256((__m256i *) (void *) (p), block)

/* The next block; as beacon_live_sum_block(). */
#define beacon_live_sum_add(block)                                            \
    one = _mm256_add_epi64(one, block);                                       \
    two = _mm256_add_epi64(_mm256_shuffle_epi32(two, 0x39), one)

/* CRC-32C, as beacon_crc32c() has it. */
static inline BEACON_TARGET uint64_t
beacon_live_sum_fold(uint64_t crc, __m256i lanes)
{
    __m128i  low, high;

    low = _mm256_castsi256_si128(lanes);
    high = _mm256_extracti128_si256(lanes, 1);

    crc = _mm_crc32_u64(crc, (uint64_t) _mm_cvtsi128_si64(low));
    crc = _mm_crc32_u64(crc, (uint64_t) _mm_extract_epi64(low, 1));
    crc = _mm_crc32_u64(crc, (uint64_t) _mm_cvtsi128_si64(high));

    return _mm_crc32_u64(crc, (uint64_t) _mm_extract_epi64(high, 1));
}

/* The block of so many bytes from here on, copied. */
#define beacon_live_sum_take(at)                                              \
    block = beacon_live_load(src + (at));                                     \
    beacon_live_store(dst + (at), block);                                     \
    beacon_live_sum_add(block)

#define beacon_live_sum_four(at)                                              \
    beacon_live_sum_take(at);                                                 \
    beacon_live_sum_take((at) + 32);                                          \
    beacon_live_sum_take((at) + 64);                                          \
    beacon_live_sum_take((at) + 96)

/* Of at least a block. */
static BEACON_TARGET uint32_t
beacon_live_sum_avx2(const beacon_live_sum_t *begin, const void *head,
    uint8_t *dst, const uint8_t *src, size_t len)
{
    size_t    at, whole;
    __m256i   one, two, block, last;

    one = beacon_live_load(begin->words);
    two = one;

    if (head != NULL) {
        beacon_live_sum_add(beacon_live_load(head));
        beacon_live_sum_add(beacon_live_load((const uint8_t *) head + 32));
        beacon_live_sum_add(beacon_live_load((const uint8_t *) head + 64));
    }

    /* the last bytes may be those before, too, which are where they were: what
       is loaded before they are written is the same after */

    last = beacon_live_load(src + len - BEACON_LIVE_SUM_BLOCK);
    whole = len & ~(size_t) 255;

    for (at = 0; at < whole; at += 256) {
        beacon_live_sum_four(at);
        beacon_live_sum_four(at + 128);
    }

    if (len & 128) {
        beacon_live_sum_four(at);
        at += 128;
    }

    if (len & 64) {
        beacon_live_sum_take(at);
        beacon_live_sum_take(at + 32);
        at += 64;
    }

    if (len & 32) {
        beacon_live_sum_take(at);
    }

    if (len & 31) {
        beacon_live_store(dst + len - BEACON_LIVE_SUM_BLOCK, last);
        beacon_live_sum_add(last);
    }

    return ~(uint32_t) beacon_live_sum_fold(
                           beacon_live_sum_fold(0xffffffff, one), two);
}

#endif

uint32_t
beacon_live_sum_copy(const beacon_live_sum_t *begin, const void *head,
    uint8_t *dst, const uint8_t *src, size_t len)
{
#if (BEACON_LIVE_SUM_AVX2)
    if (len >= BEACON_LIVE_SUM_BLOCK && __builtin_cpu_supports("avx2")
        && __builtin_cpu_supports("sse4.2"))
    {
        return beacon_live_sum_avx2(begin, head, dst, src, len);
    }
#endif

    return beacon_live_sum_plain(begin, head, dst, src, len);
}
