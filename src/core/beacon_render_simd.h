/*
 * The loops' primitives for variants with vectors.  Including files define
 *
 *     beacon_simd_events(r, p)    bit i: p[i] is an event of a query; 64 bytes
 *     beacon_simd_copy(r, d, s)   copies 32 bytes of a query, '+' as a space
 *     beacon_simd_first(bits)     the lowest bit set; 64: none is
 *
 * A query is looked at 64 bytes at a time; "bits" says which of the block's
 * bytes from l->s on are events.  So the next event is a count of zeros away,
 * and where the next block's bits come from does not hang on how the events of
 * this one are dealt with: nothing waits for a load, a comparison and an
 * advance in turn.  A run of plain bytes is copied whole, and too much of it.
 */

#define BEACON_LOOP                                                           \
    static inline BEACON_TARGET __attribute__((always_inline))

typedef struct {
    beacon_render_t  *r;
    const uint8_t    *s;
    uint8_t          *d;
    const uint8_t    *base;     /* of the block; base <= s <= base + 64 */
    uint64_t          bits;
} beacon_loop_t;

BEACON_LOOP void
beacon_loop_start(beacon_loop_t *l)
{
    l->base = l->s;
    l->bits = beacon_simd_events(l->r, l->s);
}

BEACON_LOOP void
beacon_loop_run(beacon_loop_t *l)
{
    size_t  n;

    for ( ;; ) {
        n = beacon_simd_first(l->bits) - (size_t) (l->s - l->base);

        beacon_simd_copy(l->r, l->d, l->s);

        if (n > 32) {
            beacon_simd_copy(l->r, l->d + 32, l->s + 32);
        }

        l->d += n;
        l->s += n;

        if (l->bits) {
            return;
        }

        beacon_loop_start(l);
    }
}

/* *l->s is the event that is the lowest bit. */
BEACON_LOOP void
beacon_loop_step(beacon_loop_t *l)
{
    l->bits &= l->bits - 1;
    l->s++;
}

BEACON_LOOP void
beacon_loop_skip(beacon_loop_t *l)
{
    size_t  n;

    n = (size_t) (l->s - l->base);

    if (n < 64) {
        l->bits &= ~0ULL << n;

    } else {
        beacon_loop_start(l);
    }
}

/* Singly where three events or more are near: a run of plain bytes, or a call
   for one event, must not be paid for by a few bytes. */
BEACON_LOOP const uint8_t *
beacon_loop_until(beacon_loop_t *l)
{
    uint32_t  near;

    if (l->s - l->base > 32) {
        beacon_loop_start(l);
    }

    near = (uint32_t) (l->bits >> (l->s - l->base));
    near &= near - 1;
    near &= near - 1;

    return near ? l->s + 128 : l->s + 1;
}
