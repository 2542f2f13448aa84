#include "beacon_random.h"
#include "tap.h"

#include <string.h>

/* Block n of the four from counter on. */
static void
test_block(const uint32_t *key, uint32_t counter, size_t n, uint8_t *block)
{
    size_t   i;
    uint8_t  blocks[256];

    beacon_random_blocks(key, counter, blocks);

    for (i = 0; i < 16; i++) {
        memcpy(block + 4 * i, blocks + 16 * i + 4 * n, 4);
    }
}

/* ChaCha8: the first is TC1 (256 bits) of draft-strombergson-chacha-test-
   vectors; the others come from a plain implementation that gives it, too, and
   with 20 rounds RFC 8439's A.1. */
static void
test_vectors(void)
{
    uint32_t  key[BEACON_RANDOM_KEY] = { 0 };
    uint8_t   block[64];

    static const uint8_t  first[16] = {
        0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6,
        0x7f, 0x5b, 0xb8, 0xe8, 0x1f, 0x09, 0xa5, 0xa1
    };
    static const uint8_t  second[16] = {
        0xd2, 0xae, 0xfa, 0x0d, 0xea, 0xa5, 0xc1, 0x51,
        0xbf, 0x0a, 0xdb, 0x6c, 0x01, 0xf2, 0xa5, 0xad
    };
    static const uint8_t  third[16] = {
        0xda, 0x90, 0x5a, 0xb4, 0x1a, 0xbf, 0xd9, 0xf6,
        0x0c, 0x77, 0xea, 0x90, 0x11, 0xc8, 0xc4, 0xd8
    };

    test_block(key, 0, 0, block);
    ok(memcmp(block, first, sizeof(first)) == 0,
       "the first block is as published");
    test_block(key, 0, 1, block);
    ok(memcmp(block, second, sizeof(second)) == 0, "so is the second");
    test_block(key, 1, 0, block);
    ok(memcmp(block, second, sizeof(second)) == 0, "also as the first of four");
    key[7] = 0x01000000;
    test_block(key, 0, 1, block);
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

static void
test_ids(void)
{
    size_t           i, wrong;
    uint8_t          id[BEACON_RANDOM_ID + 1];
    unsigned         seen[256] = { 0 };
    beacon_random_t  random;

    (void) beacon_random_seed(&random);
    id[BEACON_RANDOM_ID] = 0;

    for (wrong = 0, i = 0; i < 10000; i++) {
        beacon_random_id(&random, id);
        wrong += strspn((char *) id, "0123456789abcdef") != BEACON_RANDOM_ID;
        seen[id[i % BEACON_RANDOM_ID]]++;
    }

    ok(wrong == 0, "ids are 32 hex digits in lower case");

    for (i = 0; "0123456789abcdef"[i]; i++) {
        wrong += seen[(uint8_t) "0123456789abcdef"[i]] < 400;
    }

    ok(wrong == 0, "every digit comes as often");
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
    test_ids();
    test_erasure();
    test_many();

    (void) beacon_random_seed(&random);
    beacon_random_bytes(&random, bytes, sizeof(bytes));
    ok(memcmp(bytes, bytes + 224, 224) != 0, "more than one refill is given");

    return done_testing();
}
