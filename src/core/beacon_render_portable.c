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
    unsigned          malformed;
} beacon_loop_t;

#define beacon_loop_start(l, mode)  ((void) (mode))
#define beacon_loop_skip(l, mode)   ((void) (mode))
#define beacon_loop_step(l)         ((l)->s++)

BEACON_LOOP void
beacon_loop_run(beacon_loop_t *l, int mode)
{
    uint8_t         c, *d;
    const uint8_t  *s, *plain;

    s = l->s;
    d = l->d;
    plain = l->r->plain[mode];

    while ((c = plain[*s]) != 0) {
        *d++ = c;
        s++;
    }

    l->s = s;
    l->d = d;
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
    "portable", beacon_loop_string, beacon_loop_args
};
