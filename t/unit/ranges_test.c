/* Ranges against a plain array that marks each ordinal. */

#include "beacond_ranges.h"
#include "tap.h"

#include <string.h>

#define BEACON_N  200

static unsigned  beacon_seed = 12345;

static unsigned
beacon_random(unsigned n)
{
    beacon_seed = beacon_seed * 1103515245 + 12345;
    return (beacon_seed >> 8) % n;
}

static beacon_cursor_t
beacon_at(uint64_t ordinal)
{
    beacon_cursor_t  c = { ordinal * 64, ordinal };

    return c;
}

static int
beacon_agrees(const beacond_ranges_t *r, const char *mark)
{
    uint64_t  i, prefix = 0;

    while (prefix < BEACON_N && mark[prefix]) {
        prefix++;
    }

    if (r->prefix.ordinal != prefix || r->prefix.offset != prefix * 64) {
        return 0;
    }

    for (i = prefix; i < BEACON_N; i++) {
        if ((beacond_ranges_find(r, i) != NULL) != mark[i]) {
            return 0;
        }
    }

    return 1;
}

/* Adds random pieces until all is there; overlaps must be refused. */
static int
beacon_fill(void)
{
    int               good = 1;
    char              mark[BEACON_N];
    unsigned          i, from, n, taken;
    beacon_rc_t       rc;
    beacon_cursor_t   a, b, zero = { 0, 0 };
    beacond_ranges_t  r;

    memset(mark, 0, sizeof(mark));
    beacond_ranges_init(&r, &zero);

    while (good && r.prefix.ordinal < BEACON_N) {
        from = beacon_random(BEACON_N);
        n = 1 + beacon_random(7);
        n = from + n > BEACON_N ? BEACON_N - from : n;

        for (taken = 0, i = from; i < from + n; i++) {
            taken |= (unsigned) mark[i];
        }

        a = beacon_at(from);
        b = beacon_at(from + n);
        rc = beacond_ranges_add(&r, &a, &b, n);
        good = (rc == BEACON_OK) == !taken;

        if (rc == BEACON_OK) {
            memset(mark + from, 1, n);
        }

        good = good && beacon_agrees(&r, mark);
    }

    good = good && r.n == 0;
    beacond_ranges_dispose(&r);

    return good;
}

int
main(void)
{
    int               i, good = 1;
    uint64_t          hits, lost;
    beacon_cursor_t   a, b, zero = { 0, 0 };
    beacond_ranges_t  r, copy;

    for (i = 0; i < 200; i++) {
        good &= beacon_fill();
    }

    ok(good, "random_pieces_agree_with_an_array_of_marks");

    beacond_ranges_init(&r, &zero);
    a = beacon_at(5);
    b = beacon_at(9);
    ok(beacond_ranges_add(&r, &a, &b, 3) == BEACON_OK,
       "an_interval_ahead_may_lack_hits");
    beacond_ranges_ahead(&r, &hits, &lost);
    ok(hits == 3 && lost == 1, "hits_and_losses_ahead_are_told_apart");
    ok(beacond_ranges_add(&r, &a, &b, 5) == BEACON_INVALID,
       "more_hits_than_ordinals_are_refused");
    ok(beacond_ranges_add(&r, &b, &a, 0) == BEACON_INVALID,
       "an_interval_that_ends_before_it_starts_is_refused");
    ok(beacond_ranges_next(&r, 0) == 5
       && beacond_ranges_next(&r, 9) == UINT64_MAX,
       "the_next_interval_is_found");

    b = zero;
    b.offset = 64;
    ok(beacond_ranges_add(&r, &zero, &b, 0) == BEACON_OK
       && r.prefix.offset == 64 && r.prefix.ordinal == 0,
       "bytes_without_a_hit_move_the_prefix's_offset");

    ok(beacond_ranges_copy(&copy, &r) == BEACON_OK && copy.n == 1
       && copy.prefix.offset == 64, "a_copy_has_all_of_it");
    beacond_ranges_dispose(&copy);
    beacond_ranges_dispose(&r);

    return done_testing();
}
