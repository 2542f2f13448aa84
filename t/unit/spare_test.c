/* Places that are free: from the lowest number on, each once; beside a table
   that is searched from its beginning. */

#include "beacond_spare.h"
#include "tap.h"

#include <stdbool.h>
#include <string.h>

#define BEACON_MOST   20000
#define BEACON_TURNS  200000

static bool           beacon_out[BEACON_MOST];
static unsigned long  beacon_state = 1;

static uint32_t
beacon_any(uint32_t n)
{
    beacon_state = beacon_state * 6364136223846793005UL
                   + 1442695040888963407UL;

    return (uint32_t) (beacon_state >> 33) % n;
}

static void
beacon_all(uint32_t n)
{
    bool             good = true;
    uint32_t         i;
    beacond_spare_t  spare;

    good &= beacond_spare_init(&spare, n) == BEACON_OK;

    for (i = 0; i < n; i++) {
        good &= beacond_spare_take(&spare) == i;
    }

    good &= beacond_spare_take(&spare) == BEACOND_SPARE_NONE;
    good &= beacond_spare_peek(&spare, 0) == BEACOND_SPARE_NONE;

    for (i = n; i-- > 0; /* void */ ) {
        beacond_spare_put(&spare, i);
    }

    for (i = 0; i < n; i++) {
        good &= beacond_spare_take(&spare) == i;
    }

    ok(good && beacond_spare_take(&spare) == BEACOND_SPARE_NONE,
       "%u_in_order_and_again", n);
    beacond_spare_dispose(&spare);
}

static uint32_t
beacon_take(beacond_spare_t *spare, bool *good)
{
    uint32_t  next = beacond_spare_peek(spare, 0);
    uint32_t  i = beacond_spare_take(spare);

    *good &= next == BEACOND_SPARE_NONE || next == i;

    if (i != BEACOND_SPARE_NONE) {
        *good &= !beacon_out[i];
        beacon_out[i] = true;
    }

    return i;
}

/* Where nothing comes back, those that were taken ahead are used up at last. */
static bool
beacon_lowest(beacond_spare_t *spare, uint32_t n, bool *good)
{
    uint32_t  i, low = 0;

    for (i = 0; i < BEACOND_SPARE_AHEAD; i++) {
        (void) beacon_take(spare, good);
    }

    while (low < n && beacon_out[low]) {
        low++;
    }

    return beacon_take(spare, good) == (low < n ? low : BEACOND_SPARE_NONE);
}

static void
beacon_mixed(uint32_t n)
{
    bool             good = true, lowest = true;
    uint32_t         i, turn;
    beacond_spare_t  spare;

    memset(beacon_out, 0, sizeof(beacon_out));
    (void) beacond_spare_init(&spare, n);

    for (turn = 0; turn < BEACON_TURNS; turn++) {
        i = beacon_any(n);

        if (beacon_any(20) == 0) {
            lowest &= beacon_lowest(&spare, n, &good);

        } else if (beacon_out[i]) {
            beacond_spare_put(&spare, i);
            beacon_out[i] = false;

        } else {
            (void) beacon_take(&spare, &good);
        }
    }

    ok(good, "of_%u_each_is_out_once_and_known_before", n);
    ok(lowest, "low_ones_come_first");
    beacond_spare_dispose(&spare);
}

int
main(void)
{
    static const uint32_t  sizes[] = { 1, 7, 8, 9, 63, 64, 65, 4095, 4096,
                                       4097, 10000, BEACON_MOST };
    size_t                 i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        beacon_all(sizes[i]);
        beacon_mixed(sizes[i]);
    }

    return done_testing();
}
