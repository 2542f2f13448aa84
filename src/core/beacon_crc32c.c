/*
 * CRC-32C: eight table look-ups for eight bytes anywhere; where SSE 4.2 and
 * PCLMULQDQ are, crc32 on three streams at once.  That instruction takes three
 * cycles but one can start in each, so one stream would leave two thirds of
 * the unit idle.  The streams are joined by carry-less multiplication with
 * x^n, n the number of bits that follow a stream.
 */

#include "beacon_crc32c.h"
#include "beacon_format.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#define BEACON_CRC32C_X86  1
#include <immintrin.h>
#else
#define BEACON_CRC32C_X86  0
#endif

/* The word of the header that holds schema and crc, and what follows it. */
#define BEACON_CRC32C_HOLE   (offsetof(beacon_record_header_t, schema))
#define BEACON_CRC32C_HEAD   (BEACON_CRC32C_HOLE + 8)

/* Words, the one with payload_len and the payload's first bytes included. */
#define BEACON_CRC32C_HEAD_WORDS  6

static_assert(BEACON_CRC32C_HOLE == 32
              && offsetof(beacon_record_header_t, crc) == 36,
              "schema and crc share an aligned word");

typedef struct {
    const char  *name;

    /* on the register as it is, without inversions */
    uint32_t   (*update)(uint32_t crc, const uint8_t *data, size_t len);

    /* with them */
    uint32_t   (*record)(const uint8_t *record, size_t len);
} beacon_crc32c_variant_t;

static inline uint64_t
beacon_crc32c_load(const uint8_t *p)
{
    uint64_t  word;

    memcpy(&word, p, 8);

    return word;
}

/* The word with schema and crc, crc taken for 0. */
static inline uint64_t
beacon_crc32c_load_hole(const uint8_t *p)
{
    uint64_t  word;

    word = 0;
    memcpy(&word, p, 4);

    return word;
}

/*
 * A CRC is linear: the entry of a byte is the sum of the entries of its bits,
 * so eight of them define a table of 256, which the compiler unfolds.
 */
#define BEACON_E(i, a, b, c, d, e, f, g, h)                                   \
    (((i) & 1 ? a : 0) ^ ((i) & 2 ? b : 0) ^ ((i) & 4 ? c : 0)                \
     ^ ((i) & 8 ? d : 0) ^ ((i) & 16 ? e : 0) ^ ((i) & 32 ? f : 0)            \
     ^ ((i) & 64 ? g : 0) ^ ((i) & 128 ? h : 0))
#define BEACON_E4(i, ...)                                                     \
    BEACON_E(i, __VA_ARGS__), BEACON_E(i + 1, __VA_ARGS__),                   \
    BEACON_E(i + 2, __VA_ARGS__), BEACON_E(i + 3, __VA_ARGS__)
#define BEACON_E16(i, ...)                                                    \
    BEACON_E4(i, __VA_ARGS__), BEACON_E4(i + 4, __VA_ARGS__),                 \
    BEACON_E4(i + 8, __VA_ARGS__), BEACON_E4(i + 12, __VA_ARGS__)
#define BEACON_E64(i, ...)                                                    \
    BEACON_E16(i, __VA_ARGS__), BEACON_E16(i + 16, __VA_ARGS__),              \
    BEACON_E16(i + 32, __VA_ARGS__), BEACON_E16(i + 48, __VA_ARGS__)
#define BEACON_E256(...)                                                      \
    { BEACON_E64(0, __VA_ARGS__), BEACON_E64(64, __VA_ARGS__),                \
      BEACON_E64(128, __VA_ARGS__), BEACON_E64(192, __VA_ARGS__) }

/* [k][b]: byte b, then k bytes of zeros. */
static const uint32_t  beacon_crc32c_table[8][256] = {
    BEACON_E256(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf,
                0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
    BEACON_E256(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8,
                0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
    BEACON_E256(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5,
                0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
    BEACON_E256(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6,
                0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
    BEACON_E256(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91,
                0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
    BEACON_E256(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f,
                0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
    BEACON_E256(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53,
                0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
    BEACON_E256(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da,
                0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664)
};

static inline uint32_t
beacon_crc32c_byte(uint32_t crc, uint8_t byte)
{
    return (crc >> 8) ^ beacon_crc32c_table[0][(crc ^ byte) & 0xff];
}

/* Eight bytes, in the order in which they stand in memory. */
static inline uint32_t
beacon_crc32c_word(uint32_t crc, uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif

    word ^= crc;

    return beacon_crc32c_table[7][word & 0xff]
           ^ beacon_crc32c_table[6][(word >> 8) & 0xff]
           ^ beacon_crc32c_table[5][(word >> 16) & 0xff]
           ^ beacon_crc32c_table[4][(word >> 24) & 0xff]
           ^ beacon_crc32c_table[3][(word >> 32) & 0xff]
           ^ beacon_crc32c_table[2][(word >> 40) & 0xff]
           ^ beacon_crc32c_table[1][(word >> 48) & 0xff]
           ^ beacon_crc32c_table[0][word >> 56];
}

static uint32_t
beacon_crc32c_portable(uint32_t crc, const uint8_t *p, size_t len)
{
    for (/* void */; len >= 8; p += 8, len -= 8) {
        crc = beacon_crc32c_word(crc, beacon_crc32c_load(p));
    }

    for (/* void */; len; p++, len--) {
        crc = beacon_crc32c_byte(crc, *p);
    }

    return crc;
}

static uint32_t
beacon_crc32c_portable_record(const uint8_t *record, size_t len)
{
    uint32_t  crc;

    crc = beacon_crc32c_portable(0xffffffff, record, BEACON_CRC32C_HOLE);
    crc = beacon_crc32c_word(crc,
                    beacon_crc32c_load_hole(record + BEACON_CRC32C_HOLE));

    return ~beacon_crc32c_portable(crc, record + BEACON_CRC32C_HEAD,
                                   len - BEACON_CRC32C_HEAD);
}

#if (BEACON_CRC32C_X86)

#define BEACON_CRC32C_TARGET  __attribute__((target("sse4.2,pclmul")))

/* Words of eight bytes in a stream: below the least, one stream is faster. */
#define BEACON_CRC32C_STREAM_MIN  8
#define BEACON_CRC32C_STREAM_MAX  64

/*
 * [w - 1]: x^(64 w - 33), to move a register w words on.  The product of two
 * reflected 32-bit polynomials stands one bit off in 64 bits, and crc32
 * multiplies by x^32 itself: together the 33.
 */
static const uint32_t
beacon_crc32c_shift[2 * BEACON_CRC32C_STREAM_MAX] = {
    0x00000001, 0x493c7d27, 0xf20c0dfe, 0xba4fc28e,
    0x3da6d0cb, 0xddc0152b, 0x1c291d04, 0x9e4addf8,
    0x740eef02, 0x39d3b296, 0x083a6eec, 0x0715ce53,
    0xc49f4f67, 0x47db8317, 0x2ad91c30, 0x0d3b6092,
    0x6992cea2, 0xc96cfdc0, 0x7e908048, 0x878a92a7,
    0x1b3d8f29, 0xdaece73e, 0xf1d0f55e, 0xab7aff2a,
    0xa87ab8a8, 0x2162d385, 0x8462d800, 0x83348832,
    0x71d111a8, 0x299847d5, 0xffd852c6, 0xb9e02b86,
    0xdcb17aa4, 0x18b33a4e, 0xf37c5aee, 0xb6dd949b,
    0x6051d5a2, 0x78d9ccb7, 0x18b0d4ff, 0xbac2fd7b,
    0x21f3d99c, 0xa60ce07b, 0x8f158014, 0xce7f39f4,
    0xa00457f7, 0x61d82e56, 0x8d6d2c43, 0xd270f1a2,
    0x00ac29cf, 0xc619809d, 0xe9adf796, 0x2b3cac5d,
    0x96638b34, 0x65863b64, 0xe0e9f351, 0x1b03397f,
    0x9af01f2d, 0xebb883bd, 0x2cff42cf, 0xb3e32c28,
    0x88f25a3a, 0x064f7f26, 0x4e36f0b0, 0xdd7e3b0c,
    0xbd6f81f8, 0xf285651c, 0x91c9bd4b, 0x10746f3c,
    0x885f087b, 0xc7a68855, 0x4c144932, 0x271d9844,
    0x52148f02, 0x8e766a0c, 0xa3c6f37a, 0x93a5f730,
    0xd7c0557f, 0x6cb08e5c, 0x63ded06a, 0x6b749fb2,
    0x4d56973c, 0x1393e203, 0x9669c9df, 0xcec3662e,
    0xe417f38a, 0x96c515bb, 0x4b9e0f71, 0xe6fc4e6a,
    0xd104b8fc, 0x8227bb8a, 0x5b397730, 0xb0cd4768,
    0xe78eb416, 0x39c7ff35, 0x61ff0e01, 0xd7a4825c,
    0x8d96551c, 0x0ab3844b, 0x0bf80dd2, 0x0167d312,
    0x8821abed, 0xf6076544, 0x6a45d2b2, 0x26f6a60a,
    0xd8d26619, 0xa741c1bf, 0xde87806c, 0x98d8d9cb,
    0x14338754, 0x49c3cc9c, 0x5bd2011f, 0x68bce87a,
    0xdd07448e, 0x57a3d037, 0xdde8f5b9, 0x6956fc3b,
    0xa3e3e02c, 0x42d98888, 0xd73c7bea, 0x3771e98f,
    0x80ff0093, 0xb42ae3d9, 0x8fe4c34d, 0x2178513a,
    0xdf99fc11, 0xe0ac139e, 0x6c23e841, 0x170076fa
};

BEACON_CRC32C_TARGET
static inline uint32_t
beacon_crc32c_sse42_one(uint32_t crc, const uint8_t *p, size_t len)
{
    uint32_t  word;

    for (/* void */; len >= 8; p += 8, len -= 8) {
        crc = (uint32_t) _mm_crc32_u64(crc, beacon_crc32c_load(p));
    }

    if (len & 4) {
        memcpy(&word, p, 4);
        crc = _mm_crc32_u32(crc, word);
        p += 4;
    }

    for (len &= 3; len; p++, len--) {
        crc = _mm_crc32_u8(crc, *p);
    }

    return crc;
}

/*
 * Three streams, one behind the other from p on: "first" words, then twice n.
 * first <= n: where crc is still being computed, a shorter first stream lets
 * all three end at about the same time.
 */
BEACON_CRC32C_TARGET __attribute__((always_inline))
static inline uint32_t
beacon_crc32c_sse42_three(uint64_t crc, const uint8_t *p, size_t first,
    size_t n)
{
    uint64_t        a, b, c;
    ptrdiff_t       i, joint;
    __m128i         wa, wb, shift;
    const uint8_t  *pb, *pc, *last;

    /* the third's last word is for the end */

    joint = 8 * (ptrdiff_t) (first < n ? first : n - 1);

    p += joint;
    pb = p + 8 * first;
    pc = pb + 8 * n;

    a = crc;
    b = 0;
    c = 0;

    /* one index for all three, below zero: its sign ends the loop */

    i = -joint;

    if (joint & 8) {
        a = _mm_crc32_u64(a, beacon_crc32c_load(p + i));
        b = _mm_crc32_u64(b, beacon_crc32c_load(pb + i));
        c = _mm_crc32_u64(c, beacon_crc32c_load(pc + i));
        i += 8;
    }

    if (joint & 16) {
        a = _mm_crc32_u64(a, beacon_crc32c_load(p + i));
        b = _mm_crc32_u64(b, beacon_crc32c_load(pb + i));
        c = _mm_crc32_u64(c, beacon_crc32c_load(pc + i));
        a = _mm_crc32_u64(a, beacon_crc32c_load(p + i + 8));
        b = _mm_crc32_u64(b, beacon_crc32c_load(pb + i + 8));
        c = _mm_crc32_u64(c, beacon_crc32c_load(pc + i + 8));
        i += 16;
    }

    for (/* void */; i != 0; i += 32) {
        a = _mm_crc32_u64(a, beacon_crc32c_load(p + i));
        b = _mm_crc32_u64(b, beacon_crc32c_load(pb + i));
        c = _mm_crc32_u64(c, beacon_crc32c_load(pc + i));
        a = _mm_crc32_u64(a, beacon_crc32c_load(p + i + 8));
        b = _mm_crc32_u64(b, beacon_crc32c_load(pb + i + 8));
        c = _mm_crc32_u64(c, beacon_crc32c_load(pc + i + 8));
        a = _mm_crc32_u64(a, beacon_crc32c_load(p + i + 16));
        b = _mm_crc32_u64(b, beacon_crc32c_load(pb + i + 16));
        c = _mm_crc32_u64(c, beacon_crc32c_load(pc + i + 16));
        a = _mm_crc32_u64(a, beacon_crc32c_load(p + i + 24));
        b = _mm_crc32_u64(b, beacon_crc32c_load(pb + i + 24));
        c = _mm_crc32_u64(c, beacon_crc32c_load(pc + i + 24));
    }

    if (first == n) {
        a = _mm_crc32_u64(a, beacon_crc32c_load(p));
    }

    for (last = pb + 8 * (n - 1) - joint; pb < last; pb += 8, pc += 8) {
        b = _mm_crc32_u64(b, beacon_crc32c_load(pb));
        c = _mm_crc32_u64(c, beacon_crc32c_load(pc));
    }

    b = _mm_crc32_u64(b, beacon_crc32c_load(pb));

    shift = _mm_set_epi64x(beacon_crc32c_shift[n - 1],
                           beacon_crc32c_shift[2 * n - 1]);
    wa = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long) a), shift, 0x00);
    wb = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long) b), shift, 0x10);

    return (uint32_t) _mm_crc32_u64(c, beacon_crc32c_load(pc)
               ^ (uint64_t) _mm_cvtsi128_si64(_mm_xor_si128(wa, wb)));
}

BEACON_CRC32C_TARGET
static uint32_t
beacon_crc32c_sse42(uint32_t crc, const uint8_t *p, size_t len)
{
    size_t  n;

    for ( ;; ) {
        n = len / 24;

        if (n < BEACON_CRC32C_STREAM_MIN) {
            return beacon_crc32c_sse42_one(crc, p, len);
        }

        if (n > BEACON_CRC32C_STREAM_MAX) {
            n = BEACON_CRC32C_STREAM_MAX;
        }

        crc = beacon_crc32c_sse42_three(crc, p, n, n);
        p += 24 * n;
        len -= 24 * n;
    }
}

/*
 * The header's words and the payload were just stored, each on its own.  No
 * load may span both, or it waits for the stores to leave the core: so
 * payload_len and the payload's first bytes are taken one by one.
 */
BEACON_CRC32C_TARGET
static uint32_t
beacon_crc32c_sse42_record(const uint8_t *record, size_t len)
{
    size_t    n, words;
    uint32_t  payload_len, payload;
    uint64_t  crc;

    crc = _mm_crc32_u64(0xffffffff, beacon_crc32c_load(record));
    crc = _mm_crc32_u64(crc, beacon_crc32c_load(record + 8));
    crc = _mm_crc32_u64(crc, beacon_crc32c_load(record + 16));
    crc = _mm_crc32_u64(crc, beacon_crc32c_load(record + 24));
    crc = _mm_crc32_u64(crc,
                    beacon_crc32c_load_hole(record + BEACON_CRC32C_HOLE));

    record += BEACON_CRC32C_HEAD;
    len -= BEACON_CRC32C_HEAD;

    words = len / 8 - 1;
    n = (words + BEACON_CRC32C_HEAD_WORDS) / 3;

    if (len < 8 || n < BEACON_CRC32C_STREAM_MIN
        || n > BEACON_CRC32C_STREAM_MAX)
    {
        return ~beacon_crc32c_sse42((uint32_t) crc, record, len);
    }

    memcpy(&payload_len, record, 4);
    memcpy(&payload, record + 4, 4);

    crc = _mm_crc32_u32((uint32_t) crc, payload_len);
    crc = _mm_crc32_u32((uint32_t) crc, payload);
    crc = beacon_crc32c_sse42_three(crc, record + 8, words - 2 * n, n);

    return ~beacon_crc32c_sse42_one((uint32_t) crc, record + 8 + 8 * words,
                                    len & 7);
}

#endif

/* Best first; the last runs everywhere. */
static const beacon_crc32c_variant_t  beacon_crc32c_all[] = {
#if (BEACON_CRC32C_X86)
    { "sse4.2", beacon_crc32c_sse42, beacon_crc32c_sse42_record },
#endif
    { "portable", beacon_crc32c_portable, beacon_crc32c_portable_record }
};

/*
 * NULL until the first call.  Relaxed is enough: what it points to is
 * constant, and threads that race choose the same.
 */
static _Atomic(const beacon_crc32c_variant_t *)  beacon_crc32c_chosen;

static int
beacon_crc32c_can(const beacon_crc32c_variant_t *variant)
{
#if (BEACON_CRC32C_X86)
    if (variant->update == beacon_crc32c_sse42) {
        return __builtin_cpu_supports("sse4.2")
               && __builtin_cpu_supports("pclmul");
    }
#endif

    return variant->update == beacon_crc32c_portable;
}

__attribute__((cold, noinline))
static const beacon_crc32c_variant_t *
beacon_crc32c_choose(void)
{
    const beacon_crc32c_variant_t  *variant;

    for (variant = beacon_crc32c_all; !beacon_crc32c_can(variant); variant++) {
        /* the last one can */
    }

    atomic_store_explicit(&beacon_crc32c_chosen, variant,
                          memory_order_relaxed);

    return variant;
}

static inline const beacon_crc32c_variant_t *
beacon_crc32c_variant(void)
{
    const beacon_crc32c_variant_t  *variant;

    variant = atomic_load_explicit(&beacon_crc32c_chosen,
                                   memory_order_relaxed);

    return __builtin_expect(variant != NULL, 1) ? variant
                                                : beacon_crc32c_choose();
}

uint32_t
beacon_crc32c(uint32_t crc, const void *data, size_t len)
{
    return ~beacon_crc32c_variant()->update(~crc, data, len);
}

uint32_t
beacon_crc32c_record(const uint8_t *record, size_t len)
{
    return beacon_crc32c_variant()->record(record, len);
}

const char *const *
beacon_crc32c_variants(void)
{
    static const char *const  names[] = { "sse4.2", "portable", NULL };

    return beacon_crc32c_all[0].update != beacon_crc32c_portable
           && beacon_crc32c_can(&beacon_crc32c_all[0])
           ? names : names + 1;
}

beacon_rc_t
beacon_crc32c_select(const char *name)
{
    const beacon_crc32c_variant_t  *variant;

    variant = beacon_crc32c_all;

    while (strcmp(variant->name, name) != 0 || !beacon_crc32c_can(variant)) {

        if (variant->update == beacon_crc32c_portable) {
            return BEACON_INVALID;
        }

        variant++;
    }

    atomic_store_explicit(&beacon_crc32c_chosen, variant,
                          memory_order_relaxed);

    return BEACON_OK;
}
