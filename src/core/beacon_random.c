#include "beacon_random.h"

#include <string.h>
#include <sys/random.h>

/* As many as Go's runtime has for the same purpose; RFC 8439 has 20. */
#define BEACON_RANDOM_ROUNDS  8

/* One word of four blocks, which differ in their counters. */
typedef uint32_t  beacon_random_word_t __attribute__((vector_size(16)));

#define beacon_random_rotate(x, n)  ((x) << (n) | (x) >> (32 - (n)))

static inline void
beacon_random_quarter(beacon_random_word_t *x, int a, int b, int c, int d)
{
    x[a] += x[b];
    x[d] = beacon_random_rotate(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = beacon_random_rotate(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = beacon_random_rotate(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = beacon_random_rotate(x[b] ^ x[c], 7);
}

void
beacon_random_blocks(const uint32_t *key, uint32_t counter, uint8_t *dst)
{
    int                    i;
    beacon_random_word_t   start[16], x[16];

    static const uint32_t  words[4] = {         /* "expand 32-byte k" */
        0x61707865, 0x3320646e, 0x79622d32, 0x6b206574
    };

    for (i = 0; i < 16; i++) {
        start[i] = (beacon_random_word_t) { 0, 0, 0, 0 };
    }

    for (i = 0; i < 4; i++) {
        start[i] += words[i];
    }

    for (i = 0; i < BEACON_RANDOM_KEY; i++) {
        start[i + 4] += key[i];
    }

    start[12] += (beacon_random_word_t) { 0, 1, 2, 3 } + counter;
    memcpy(x, start, sizeof(x));

    for (i = 0; i < BEACON_RANDOM_ROUNDS; i += 2) {
        beacon_random_quarter(x, 0, 4, 8, 12);
        beacon_random_quarter(x, 1, 5, 9, 13);
        beacon_random_quarter(x, 2, 6, 10, 14);
        beacon_random_quarter(x, 3, 7, 11, 15);
        beacon_random_quarter(x, 0, 5, 10, 15);
        beacon_random_quarter(x, 1, 6, 11, 12);
        beacon_random_quarter(x, 2, 7, 8, 13);
        beacon_random_quarter(x, 3, 4, 9, 14);
    }

    for (i = 0; i < 16; i++) {
        x[i] += start[i];
    }

    memcpy(dst, x, sizeof(x));
}

beacon_rc_t
beacon_random_seed(beacon_random_t *random)
{
    random->left = 0;

    return (getrandom(random->key, sizeof(random->key), 0)
            == (ssize_t) sizeof(random->key)) ? BEACON_OK : BEACON_SYS;
}

static void
beacon_random_refill(beacon_random_t *random)
{
    beacon_random_blocks(random->key, 0, random->stream);
    memcpy(random->key, random->stream, sizeof(random->key));
    memset(random->stream, 0, sizeof(random->key));
    random->left = sizeof(random->stream) - sizeof(random->key);
}

void
beacon_random_bytes(beacon_random_t *random, uint8_t *dst, size_t n)
{
    size_t    some;
    uint8_t  *from;

    while (n) {
        if (random->left == 0) {
            beacon_random_refill(random);
        }

        some = (n < random->left) ? n : random->left;
        from = random->stream + sizeof(random->stream) - random->left;
        memcpy(dst, from, some);
        memset(from, 0, some);
        random->left -= (uint32_t) some;
        dst += some;
        n -= some;
    }
}

/* Eight hex digits, in lower case, of 32 bits; their order does not matter. */
static inline uint64_t
beacon_random_digits(uint32_t bytes)
{
    uint64_t  x, letters;

    x = bytes;
    x = (x | x << 16) & 0x0000ffff0000ffff;
    x = (x | x << 8) & 0x00ff00ff00ff00ff;
    x = (x >> 4 | x << 8) & 0x0f0f0f0f0f0f0f0f;
    letters = (x + 0x0606060606060606) >> 4 & 0x0101010101010101;

    return x + 0x3030303030303030 + letters * ('a' - '9' - 1);
}

void
beacon_random_id(beacon_random_t *random, uint8_t *dst)
{
    int       i;
    uint8_t  *from;
    uint32_t  words[4];
    uint64_t  digits;

    if (random->left < sizeof(words)) {
        beacon_random_refill(random);
    }

    from = random->stream + sizeof(random->stream) - random->left;
    memcpy(words, from, sizeof(words));
    memset(from, 0, sizeof(words));
    random->left -= sizeof(words);

    for (i = 0; i < 4; i++) {
        digits = beacon_random_digits(words[i]);
        memcpy(dst + i * sizeof(digits), &digits, sizeof(digits));
    }
}
