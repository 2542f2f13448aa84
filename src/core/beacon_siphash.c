#include "beacon_siphash.h"

typedef struct {
    uint64_t  v[4];
} beacon_siphash_t;

#define beacon_siphash_rotate(x, n)  ((x) << (n) | (x) >> (64 - (n)))

/* Little-endian, wherever it runs. */
static inline uint64_t
beacon_siphash_load(const uint8_t *p)
{
    int       i;
    uint64_t  word;

    for (word = 0, i = 7; i >= 0; i--) {
        word = word << 8 | p[i];
    }

    return word;
}

static inline void
beacon_siphash_rounds(beacon_siphash_t *hash, int n)
{
    uint64_t  *v;

    for (v = hash->v; n; n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = beacon_siphash_rotate(v[1], 13) ^ v[0];
        v[3] = beacon_siphash_rotate(v[3], 16) ^ v[2];
        v[0] = beacon_siphash_rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = beacon_siphash_rotate(v[1], 17) ^ v[2];
        v[3] = beacon_siphash_rotate(v[3], 21) ^ v[0];
        v[2] = beacon_siphash_rotate(v[2], 32);
    }
}

static inline void
beacon_siphash_word(beacon_siphash_t *hash, uint64_t word)
{
    hash->v[3] ^= word;
    beacon_siphash_rounds(hash, 2);
    hash->v[0] ^= word;
}

uint64_t
beacon_siphash(const uint8_t key[16], const beacon_str_t *strings, unsigned n)
{
    size_t             len;
    uint64_t           k0, k1, word;
    const uint8_t     *p, *end;
    beacon_siphash_t   hash;

    k0 = beacon_siphash_load(key);
    k1 = beacon_siphash_load(key + 8);
    hash.v[0] = k0 ^ 0x736f6d6570736575ULL;
    hash.v[1] = k1 ^ 0x646f72616e646f6dULL;
    hash.v[2] = k0 ^ 0x6c7967656e657261ULL;
    hash.v[3] = k1 ^ 0x7465646279746573ULL;
    word = 0;

    for (len = 0; n; n--, strings++) {
        p = strings->data;
        end = strings->len ? p + strings->len : p;

        while (p < end) {
            if (len % 8 == 0 && end - p >= 8) {
                beacon_siphash_word(&hash, beacon_siphash_load(p));
                p += 8;
                len += 8;
                continue;
            }

            word |= (uint64_t) *p++ << 8 * (len++ % 8);

            if (len % 8 == 0) {
                beacon_siphash_word(&hash, word);
                word = 0;
            }
        }
    }

    beacon_siphash_word(&hash, word | (uint64_t) len << 56);
    hash.v[2] ^= 0xff;
    beacon_siphash_rounds(&hash, 4);

    return hash.v[0] ^ hash.v[1] ^ hash.v[2] ^ hash.v[3];
}
