/*
 * The spy feed's line without its address: each variant gives the same,
 * wherever the address stands, and writes nothing far behind it.
 */

#include "beacond_spy_copy.h"
#include "tap.h"

#include <string.h>

#define COPY_LONG  1500
#define COPY_GUARD 16

static uint8_t  copy_src[COPY_LONG + BEACOND_SPY_SLACK];

typedef uint8_t *(*copy_t)(uint8_t *dst, const uint8_t *src, size_t cut,
    const uint8_t *rest, size_t len);

typedef struct {
    int  whole;                 /* what came is what was to come */
    int  ended;                 /* where it was to */
    int  within;                /* nothing before, nor far behind */
} copy_seen_t;

static void
copy_try(copy_t copy, size_t cut, size_t from, size_t len, copy_seen_t *seen)
{
    size_t    i, n = cut + len - from;
    uint8_t  *dst, *end;
    uint8_t   room[COPY_GUARD + COPY_LONG + BEACOND_SPY_SLACK + COPY_GUARD];

    memset(room, 0xaa, sizeof(room));
    dst = room + COPY_GUARD;
    end = copy(dst, copy_src, cut, copy_src + from, len - from);

    seen->ended &= end == dst + n;
    seen->whole &= memcmp(dst, copy_src, cut) == 0
                   && memcmp(dst + cut, copy_src + from, len - from) == 0;

    for (i = 0; i < COPY_GUARD; i++) {
        seen->within &= room[i] == 0xaa
                        && dst[n + BEACOND_SPY_SLACK + i] == 0xaa;
    }
}

static void
test_variant(copy_t copy, const char *name)
{
    size_t       len, cut, ip;
    copy_seen_t  seen = { 1, 1, 1 };

    static const size_t  ips[] = { 0, 1, 19, 31, 64, 300 };

    for (len = 0; len < COPY_LONG; len += len < 400 ? 1 : 37) {
        for (cut = 0; cut <= len; cut += cut < 16 || len < 64 ? 1 : 13) {
            for (ip = 0; ip < sizeof(ips) / sizeof(ips[0]); ip++) {
                if (cut + ips[ip] <= len) {
                    copy_try(copy, cut, cut + ips[ip], len, &seen);
                }
            }
        }
    }

    ok(seen.whole, "%s_leaves_out_the_address_and_nothing_else", name);
    ok(seen.ended, "%s_returns_where_it_ends", name);
    ok(seen.within, "%s_writes_no_more_than_its_slack_behind", name);
}

int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(copy_src); i++) {
        copy_src[i] = (uint8_t) (i * 167 + i / 256);
    }

    test_variant(beacond_spy_copy, "the_widest");
    test_variant(beacond_spy_copy_plain, "the_plain_one");

    return done_testing();
}
