/*
 * The sums of a hit's bytes: each variant gives the same, they are copied as
 * they are, and what is another than it was is seen.
 */

#include "live_fixture.h"
#include "beacon_live_sum.h"

#define SUM_LONG  2048

static uint8_t  sum_src[SUM_LONG + 64];
static uint8_t  sum_head[BEACON_LIVE_SUM_HEAD];

static const beacon_live_sum_t  sum_begin = { { 1, 2, 3, 0 } };

static void
test_variants(void)
{
    int       same, copied, within;
    size_t    len, at;
    uint8_t   one[SUM_LONG + 64], two[SUM_LONG + 64];
    uint32_t  sum;
    void     *head;

    same = 1;
    copied = 1;
    within = 1;

    for (len = 0; len <= SUM_LONG; len += len < 300 ? 1 : 61) {
        at = live_random(32);
        head = len % 3 ? sum_head : NULL;
        memset(one, 0xaa, sizeof(one));
        memset(two, 0xaa, sizeof(two));
        sum = beacon_live_sum_copy(&sum_begin, head, one + at, sum_src + at,
                                   len);
        same &= sum == beacon_live_sum_plain(&sum_begin, head, two + at,
                                             sum_src + at, len);
        same &= sum == beacon_live_sum_copy(&sum_begin, head, one + at,
                                            one + at, len)
                && sum == beacon_live_sum_plain(&sum_begin, head, two + at,
                                                two + at, len);
        copied &= memcmp(one + at, sum_src + at, len) == 0
                  && memcmp(two + at, sum_src + at, len) == 0;
        within &= (at == 0 || one[at - 1] == 0xaa) && one[at + len] == 0xaa
                  && two[at + len] == 0xaa;
    }

    ok(same, "variants_give_the_same_of_any_length_in_place_or_not");
    ok(copied, "the_bytes_are_copied");
    ok(within, "and_no_others");
}

/* Of two words that are sums of each other's, whichever bits. */
static void
test_seen(void)
{
    int       one, two, moved;
    size_t    len, a, b, i;
    uint8_t   copy[SUM_LONG], byte;
    uint32_t  sum;

    one = 1;
    two = 1;
    moved = 1;

    for (i = 0; i < 200000; i++) {
        len = 1 + live_random(SUM_LONG - 1);
        memcpy(copy, sum_src, len);
        sum = beacon_live_sum_copy(&sum_begin, NULL, copy, copy, len);

        a = live_random((uint32_t) len);
        copy[a] ^= (uint8_t) (1 << live_random(8));
        one &= beacon_live_sum_copy(&sum_begin, NULL, copy, copy, len) != sum;

        /* upper bits of words far from each other, too, which sums lose */

        b = (a + 8 * live_random(256)) % len;
        copy[b] ^= (uint8_t) (i % 2 ? 0x80 : 1 << live_random(8));

        if (memcmp(copy, sum_src, len) != 0) {
            two &= beacon_live_sum_copy(&sum_begin, NULL, copy, copy, len)
                   != sum;
        }

        memcpy(copy, sum_src, len);
        byte = copy[a];
        copy[a] = copy[b];
        copy[b] = byte;

        if (memcmp(copy, sum_src, len) != 0) {
            moved &= beacon_live_sum_copy(&sum_begin, NULL, copy, copy, len)
                     != sum;
        }
    }

    ok(one, "a_bit_that_flips_is_seen");
    ok(two, "so_are_two");
    ok(moved, "so_are_bytes_that_change_places");
}

/* The bit that sums carry out of a word, in any two words of it. */
static void
test_carried(void)
{
    int       seen;
    size_t    a, b;
    uint8_t   copy[1024];
    uint32_t  sum;

    seen = 1;
    memcpy(copy, sum_src, sizeof(copy));
    sum = beacon_live_sum_copy(&sum_begin, sum_head, copy, copy, sizeof(copy));

    for (a = 7; a < sizeof(copy); a += 8) {
        for (b = a + 8; b < sizeof(copy); b += 8) {
            copy[a] ^= 0x80;
            copy[b] ^= 0x80;
            seen &= beacon_live_sum_copy(&sum_begin, sum_head, copy, copy,
                                         sizeof(copy))
                    != sum;
            copy[a] ^= 0x80;
            copy[b] ^= 0x80;
        }
    }

    ok(seen, "no_two_upper_bits_cancel_each_other");
}

/* Words of one sum whose changes are each other's, as in numbers that follow
   each other: a few of such places can't be told. */
static void
test_together(void)
{
    size_t     a, n, near, turned;
    uint8_t    copy[SUM_LONG];
    uint32_t   sum;
    uint16_t  *at;

    near = 0;
    turned = 0;
    memset(copy, 'a', sizeof(copy));
    sum = beacon_live_sum_copy(&sum_begin, NULL, copy, copy, sizeof(copy));

    for (a = 0, n = 0; a + 64 < sizeof(copy); a += 2, n++) {
        at = (void *) (copy + a);
        at[0]++;
        at[16] = (uint16_t) (at[16] - 2);
        at[32]++;
        near += beacon_live_sum_copy(&sum_begin, NULL, copy, copy,
                                     sizeof(copy))
                == sum;
        memset(copy, 'a', sizeof(copy));

        if (a % 4 == 0) {
            at[0]++;
            at[1]--;
            at[16]--;
            at[17]++;
            turned += beacon_live_sum_copy(&sum_begin, NULL, copy, copy,
                                           sizeof(copy))
                      == sum;
            memset(copy, 'a', sizeof(copy));
        }
    }

    ok(near * 100 < n && turned * 100 < n,
       "changes_that_make_up_for_each_other_are_seen (%zu, %zu of %zu not)",
       near, turned, n);
}

static void
test_begin(void)
{
    int                 seen;
    unsigned            i;
    uint8_t             copy[100];
    uint32_t            sum;
    beacon_live_sum_t   begin;

    sum = beacon_live_sum_copy(&sum_begin, sum_head, copy, sum_src, 100);
    seen = sum != beacon_live_sum_copy(&sum_begin, NULL, copy, sum_src, 100);

    for (i = 0; i < 256; i++) {
        begin = sum_begin;
        begin.words[i / 64] ^= 1ULL << i % 64;
        seen &= sum != beacon_live_sum_copy(&begin, sum_head, copy, sum_src,
                                            100);
    }

    ok(seen, "so_is_another_site_chunk_or_sequence");
}

int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(sum_src); i++) {
        sum_src[i] = (uint8_t) live_random(256);
    }

    for (i = 0; i < sizeof(sum_head); i++) {
        sum_head[i] = (uint8_t) live_random(256);
    }

    test_variants();
    test_seen();
    test_carried();
    test_together();
    test_begin();

    return done_testing();
}
