/*
 * The inner loops a byte at a time: what the others are held against.
 */

#include "beacon_render_int.h"

#define BEACON_TARGET
#define BEACON_LOOP  static inline

typedef struct {
    beacon_render_t  *r;
    const uint8_t    *s;
    uint8_t          *d;
} beacon_loop_t;

#define beacon_loop_start(l)
#define beacon_loop_skip(l)
#define beacon_loop_step(l)   ((l)->s++)
#define beacon_loop_until(l)  ((l)->s + BEACON_LOOP_BYTES)

BEACON_LOOP beacon_place_t
beacon_portable_copy(const uint8_t *plain, beacon_place_t at)
{
    uint8_t  c;

    while ((c = plain[*at.s]) != 0) {
        *at.d++ = c;
        at.s++;
    }

    return at;
}

BEACON_LOOP beacon_place_t
beacon_loop_plain(const beacon_render_t *r, beacon_place_t at)
{
    return beacon_portable_copy(r->plain[BEACON_PLAIN_STRING], at);
}

BEACON_LOOP void
beacon_loop_run(beacon_loop_t *l)
{
    beacon_place_t  at = { l->s, l->d };

    at = beacon_portable_copy(l->r->plain[BEACON_PLAIN_QUERY], at);
    l->s = at.s;
    l->d = at.d;
}

BEACON_LOOP uint32_t
beacon_loop_find(const beacon_render_t *r, uint16_t tag, uint32_t from,
    uint32_t n)
{
    while (from < n && r->tags[from] != tag) {
        from++;
    }

    return from;
}

#include "beacon_render_loops.h"

const beacon_render_ops_t  beacon_render_portable = {
    "portable", beacon_loop_string, beacon_loop_args, beacon_render_percent,
    beacon_macro_portable
};
