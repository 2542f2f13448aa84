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

/* Blocks that are taken without a loop. */
#define BEACON_LIVE_SUM_ONCE   32

/* Numbers by which words are multiplied, 16 a block: of what stands before the
   text, then of a chunk's text.  All are odd, and no two of them the same; nor
   do they rise by the same from place to place, or what changes by 1, -2, 1
   would be seen by none. */
#define BEACON_LIVE_SUM_BEFORE  (1 + BEACON_LIVE_SUM_HEAD                     \
                                     / BEACON_LIVE_SUM_BLOCK)

#define BEACON_LIVE_SUM_MIX(n)  (((n) ^ (n) >> 7) * 9973U % 16384)
#define BEACON_LIVE_SUM_ODD(n)  (int16_t) (2 * ((n) ^ (n) >> 6) + 1)
#define BEACON_LIVE_SUM_1(n)                                                  \
    BEACON_LIVE_SUM_ODD(BEACON_LIVE_SUM_MIX((n) * 10007U % 16384))
#define BEACON_LIVE_SUM_4(n)                                                  \
    BEACON_LIVE_SUM_1(n), BEACON_LIVE_SUM_1((n) + 1),                         \
    BEACON_LIVE_SUM_1((n) + 2), BEACON_LIVE_SUM_1((n) + 3)
#define BEACON_LIVE_SUM_16(n)                                                 \
    BEACON_LIVE_SUM_4(n), BEACON_LIVE_SUM_4((n) + 4),                         \
    BEACON_LIVE_SUM_4((n) + 8), BEACON_LIVE_SUM_4((n) + 12)
#define BEACON_LIVE_SUM_64(n)                                                 \
    BEACON_LIVE_SUM_16(n), BEACON_LIVE_SUM_16((n) + 16),                      \
    BEACON_LIVE_SUM_16((n) + 32), BEACON_LIVE_SUM_16((n) + 48)
#define BEACON_LIVE_SUM_256(n)                                                \
    BEACON_LIVE_SUM_64(n), BEACON_LIVE_SUM_64((n) + 64),                      \
    BEACON_LIVE_SUM_64((n) + 128), BEACON_LIVE_SUM_64((n) + 192)
#define BEACON_LIVE_SUM_1024(n)                                               \
    BEACON_LIVE_SUM_256(n), BEACON_LIVE_SUM_256((n) + 256),                   \
    BEACON_LIVE_SUM_256((n) + 512), BEACON_LIVE_SUM_256((n) + 768)

_Alignas(32) static const int16_t  beacon_live_sum_by[] = {
    BEACON_LIVE_SUM_64(0),
    BEACON_LIVE_SUM_1024(64), BEACON_LIVE_SUM_1024(1088),
    BEACON_LIVE_SUM_1024(2112), BEACON_LIVE_SUM_1024(3136)
};

static_assert(BEACON_LIVE_SUM_BEFORE * BEACON_LIVE_SUM_BLOCK / 2 == 64
              && sizeof(beacon_live_sum_by) / 2
                 == 64 + BEACON_LIVE_CHUNK / 2
              && sizeof(beacon_live_sum_by) / 2 <= 16384, "words of a chunk");

typedef struct {
    uint32_t  sums[8];
} beacon_live_lanes_t;


/* Without vectors. */

static inline void
beacon_live_sum_block(beacon_live_lanes_t *lanes, const uint8_t *p,
    const int16_t *by)
{
    int16_t   words[BEACON_LIVE_SUM_BLOCK / 2];
    unsigned  i;

    memcpy(words, p, sizeof(words));

    for (i = 0; i < 8; i++) {
        lanes->sums[i] += (uint32_t) (words[2 * i] * by[2 * i]
                                      + words[2 * i + 1] * by[2 * i + 1]);
    }
}

uint32_t
beacon_live_sum_plain(const beacon_live_sum_t *begin, const void *head,
    uint8_t *dst, const uint8_t *src, size_t len)
{
    size_t                at;
    uint8_t               last[BEACON_LIVE_SUM_BLOCK];
    const int16_t        *by;
    beacon_live_lanes_t   lanes;

    if (dst != src) {
        beacon_live_copy(dst, src, len);
    }

    by = beacon_live_sum_by;
    memset(&lanes, 0, sizeof(lanes));
    beacon_live_sum_block(&lanes, (const uint8_t *) begin, by);

    for (at = 0; head != NULL && at < BEACON_LIVE_SUM_HEAD;
         at += sizeof(last))
    {
        by += sizeof(last) / 2;
        beacon_live_sum_block(&lanes, (const uint8_t *) head + at, by);
    }

    by = beacon_live_sum_by + BEACON_LIVE_SUM_BEFORE * sizeof(last) / 2;

    for (at = 0; len - at >= sizeof(last); at += sizeof(last)) {
        beacon_live_sum_block(&lanes, dst + at, by + at / 2);
    }

    if (len > at && len >= sizeof(last)) {
        beacon_live_sum_block(&lanes, dst + len - sizeof(last), by + at / 2);

    } else if (len > at) {
        memset(last, 0, sizeof(last));
        memcpy(last, dst, len);
        beacon_live_sum_block(&lanes, last, by + at / 2);
    }

    return beacon_crc32c(0, &lanes, sizeof(lanes));
}


#if (BEACON_LIVE_SUM_AVX2)

#define BEACON_TARGET  __attribute__((target("avx2,sse4.2")))

#define beacon_live_load(p)                                                   \
    _mm256_loadu_si256((const __m256i *) (const void *) (p))
#define beacon_live_store(p, block)                                           \
    _mm256_storeu_si256((__m256i *) (void *) (p), block)

/* A block, and the numbers that are so many bytes on. */
#define beacon_live_sum_add(block, at)                                        \
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(block,                    \
               _mm256_load_si256((const __m256i *) (const void *)             \
                                 (by + (at)))))

/* CRC-32C, as beacon_crc32c() has it. */
static inline BEACON_TARGET uint32_t
beacon_live_sum_fold(__m256i sums)
{
    __m128i   low, high;
    uint64_t  crc;

    low = _mm256_castsi256_si128(sums);
    high = _mm256_extracti128_si256(sums, 1);

    crc = _mm_crc32_u64(0xffffffff, (uint64_t) _mm_cvtsi128_si64(low));
    crc = _mm_crc32_u64(crc, (uint64_t) _mm_extract_epi64(low, 1));
    crc = _mm_crc32_u64(crc, (uint64_t) _mm_cvtsi128_si64(high));
    crc = _mm_crc32_u64(crc, (uint64_t) _mm_extract_epi64(high, 1));

    return ~(uint32_t) crc;
}

/* The block of so many bytes from here on, copied; so many blocks before here,
   and those behind it. */
#define beacon_live_sum_take(at)                                              \
    block = beacon_live_load(src + (at));                                     \
    beacon_live_store(dst + (at), block);                                     \
    beacon_live_sum_add(block, at)

#define beacon_live_sum_before(n)                                             \
    case n:                                                                   \
        beacon_live_sum_take(-(n) * BEACON_LIVE_SUM_BLOCK);                   \
        __attribute__((fallthrough))

#define beacon_live_sum_four_before(n)                                        \
    beacon_live_sum_before(n);                                                \
    beacon_live_sum_before((n) - 1);                                          \
    beacon_live_sum_before((n) - 2);                                          \
    beacon_live_sum_before((n) - 3)

static BEACON_TARGET uint32_t
beacon_live_sum_avx2(const beacon_live_sum_t *begin, const void *head,
    uint8_t *dst, const uint8_t *src, size_t len)
{
    size_t          n;
    __m256i         sums, block, last;
    const uint8_t  *by;

    if (__builtin_expect(len < BEACON_LIVE_SUM_BLOCK, 0)) {
        return beacon_live_sum_plain(begin, head, dst, src, len);
    }

    by = (const uint8_t *) beacon_live_sum_by;
    sums = _mm256_setzero_si256();
    beacon_live_sum_add(beacon_live_load(begin->words), 0);

    if (head != NULL) {
        beacon_live_sum_add(beacon_live_load(head), 32);
        beacon_live_sum_add(beacon_live_load((const uint8_t *) head + 32), 64);
        beacon_live_sum_add(beacon_live_load((const uint8_t *) head + 64), 96);
    }

    by += BEACON_LIVE_SUM_BEFORE * BEACON_LIVE_SUM_BLOCK;

    /* the last bytes may be those before, too, which are where they were: what
       is loaded before they are written is the same after */

    last = beacon_live_load(src + len - BEACON_LIVE_SUM_BLOCK);
    for (n = len / BEACON_LIVE_SUM_BLOCK; n > BEACON_LIVE_SUM_ONCE; n--) {
        beacon_live_sum_take(0);
        src += BEACON_LIVE_SUM_BLOCK;
        dst += BEACON_LIVE_SUM_BLOCK;
        by += BEACON_LIVE_SUM_BLOCK;
    }

    /* no loop for what most have: it costs a tenth of the rest */

    src += n * BEACON_LIVE_SUM_BLOCK;
    dst += n * BEACON_LIVE_SUM_BLOCK;
    by += n * BEACON_LIVE_SUM_BLOCK;

    switch (n) {
    beacon_live_sum_four_before(32);
    beacon_live_sum_four_before(28);
    beacon_live_sum_four_before(24);
    beacon_live_sum_four_before(20);
    beacon_live_sum_four_before(16);
    beacon_live_sum_four_before(12);
    beacon_live_sum_four_before(8);
    beacon_live_sum_four_before(4);

    default:
        break;
    }

    if (len % BEACON_LIVE_SUM_BLOCK) {
        beacon_live_store(dst + len % BEACON_LIVE_SUM_BLOCK
                          - BEACON_LIVE_SUM_BLOCK, last);
        beacon_live_sum_add(last, 0);
    }

    return beacon_live_sum_fold(sums);
}

#endif

beacon_live_sum_f
beacon_live_sum_fastest(void)
{
#if (BEACON_LIVE_SUM_AVX2)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("sse4.2")) {
        return beacon_live_sum_avx2;
    }
#endif

    return beacon_live_sum_plain;
}

uint32_t
beacon_live_sum_copy(const beacon_live_sum_t *begin, const void *head,
    uint8_t *dst, const uint8_t *src, size_t len)
{
    return beacon_live_sum_fastest()(begin, head, dst, src, len);
}
