#include "beacon_random.h"
#include "tap.h"

#include <string.h>

/* RFC 8439, appendix A.1: vectors 1 and 2 (a key of zeros), and 3 without its
   nonce being any other than zeros. */
static void
test_vectors(void)
{
    uint32_t  key[BEACON_RANDOM_KEY] = { 0 };
    uint8_t   block[64];

    static const uint8_t  first[16] = {
        0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
        0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28
    };
    static const uint8_t  second[16] = {
        0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a,
        0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08, 0x0d
    };
    static const uint8_t  third[16] = {
        0x3a, 0xeb, 0x52, 0x24, 0xec, 0xf8, 0x49, 0x92,
        0x9b, 0x9d, 0x82, 0x8d, 0xb1, 0xce, 0xd4, 0xdd
    };

    beacon_random_block(key, 0, block);
    ok(memcmp(block, first, sizeof(first)) == 0,
       "the first block is RFC 8439's");
    beacon_random_block(key, 1, block);
    ok(memcmp(block, second, sizeof(second)) == 0, "so is the second");
    key[7] = 0x01000000;
    beacon_random_block(key, 1, block);
    ok(memcmp(block, third, sizeof(third)) == 0, "so is that of another key");
}

static void
test_erasure(void)
{
    size_t           i, found;
    uint8_t          key[sizeof(((beacon_random_t *) 0)->key)], id[16];
    beacon_random_t  random, copy;

    memset(&random, 0xff, sizeof(random));
    ok(beacon_random_seed(&random) == BEACON_OK, "the kernel gives a seed");
    memcpy(key, random.key, sizeof(key));
    copy = random;

    beacon_random_bytes(&random, id, sizeof(id));
    ok(memcmp(key, random.key, sizeof(key)) != 0,
       "the key is another after the first bytes");

    for (found = 0, i = 0; i + sizeof(id) <= sizeof(random); i++) {
        found += memcmp((uint8_t *) &random + i, id, sizeof(id)) == 0;
    }

    ok(found == 0, "what was given is nowhere in it");

    beacon_random_bytes(&copy, key, sizeof(id));
    ok(memcmp(key, id, sizeof(id)) == 0, "a copy gives the same bytes");
}

static int
test_order(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static void
test_many(void)
{
    enum { N = 100000 };

    size_t           i, equal, bits;
    uint8_t        (*ids)[16];
    beacon_random_t  random;

    ids = malloc(sizeof(*ids) * N);
    (void) beacon_random_seed(&random);
    bits = 0;

    for (i = 0; i < N; i++) {
        beacon_random_bytes(&random, ids[i], sizeof(ids[i]));
        bits += (size_t) __builtin_popcount(ids[i][i & 15]);
    }

    qsort(ids, N, sizeof(*ids), test_order);

    for (equal = 0, i = 1; i < N; i++) {
        equal += memcmp(ids[i - 1], ids[i], sizeof(*ids)) == 0;
    }

    ok(equal == 0, "100,000 ids are all different");
    ok(bits > 4 * N - 4500 && bits < 4 * N + 4500,
       "half of their bits are set (10 sigma)");
    free(ids);
}

int
main(void)
{
    uint8_t          bytes[1000];
    beacon_random_t  random;

    test_vectors();
    test_erasure();
    test_many();

    (void) beacon_random_seed(&random);
    beacon_random_bytes(&random, bytes, sizeof(bytes));
    ok(memcmp(bytes, bytes + 224, 224) != 0, "more than one refill is given");

    return done_testing();
}
