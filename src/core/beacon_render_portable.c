/*
 * The inner loops a byte at a time: what the others are held against.
 */

#include "beacon_render_int.h"

#define BEACON_TARGET

typedef struct {
    beacon_render_t  *r;
    const uint8_t    *s;
    uint8_t          *d;
    unsigned          malformed;
} beacon_loop_t;

#define beacon_loop_start(l, mode)  ((void) (mode))
#define beacon_loop_skip(l, mode)   ((void) (mode))
#define beacon_loop_step(l, n)      ((l)->s += (n))

/* The byte that the escape at s stands for; negative: it is broken. */
static inline int
beacon_loop_hex(const beacon_loop_t *l, const uint8_t *s)
{
    return (l->r->hex[s[1]] * 16) | l->r->hex[s[2]];
}

static inline void
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

static inline uint32_t
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
