#include "beacon_random.h"

#include <string.h>
#include <sys/random.h>

static inline uint32_t
beacon_random_rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static inline void
beacon_random_quarter(uint32_t *x, int a, int b, int c, int d)
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
beacon_random_block(const uint32_t *key, uint32_t counter, uint8_t *dst)
{
    int       i;
    uint32_t  start[16], x[16];

    start[0] = 0x61707865;      /* "expand 32-byte k" */
    start[1] = 0x3320646e;
    start[2] = 0x79622d32;
    start[3] = 0x6b206574;
    memcpy(start + 4, key, BEACON_RANDOM_KEY * sizeof(*key));
    start[12] = counter;
    start[13] = start[14] = start[15] = 0;
    memcpy(x, start, sizeof(x));

    for (i = 0; i < 10; i++) {
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
    uint32_t  i;

    for (i = 0; i < BEACON_RANDOM_BLOCKS; i++) {
        beacon_random_block(random->key, i, random->stream + 64 * i);
    }

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
