/*
 * A query or string that is dense in what must be decoded, up to 62 bytes at a
 * time: whatever it is made of, a byte costs much the same, and no branch hangs
 * on it.  First the escapes are taken out, then masks of 64 bits tell what
 * UTF-8 does not allow, then a table writes byte after byte.  For a few bytes
 * that is too much: the loops come here once they have taken
 * BEACON_BULK_AFTER bytes of a hit singly.
 *
 * Including files define
 *
 *     beacon_vec_t                a vector of BEACON_VEC bytes
 *     beacon_vec_load(p), beacon_vec_store(p, v), beacon_vec_add(v, w),
 *     beacon_vec_is(v, w), beacon_vec_above(v, w) (signed), beacon_vec_and(),
 *     beacon_vec_or(), beacon_vec_xor(), beacon_vec_but(v, w) (v and not w),
 *     beacon_vec_blend(v, w, mask)    w where the mask is set
 *     beacon_vec_shl4(v)          four bits up, where the upper ones are 0
 *     beacon_vec_bits(v)          the upper bits
 *     beacon_vec_spread(bits)     0xff for each bit set
 *     beacon_vec_count(bits)      how many are set
 *     beacon_vec_squeeze(r, d, s, n, escapes)
 *                                 copies n bytes, but the two behind each one
 *                                 that has a bit; returns how many
 */

/* Which bytes are one of these, a bit each. */
typedef struct {
    uint64_t  high;             /* >= 0x80 */
    uint64_t  more;             /* 0x80 .. 0xbf */
    uint64_t  three;            /* >= 0xe0, or < 0x80 */
    uint64_t  four;             /* >= 0xf0, or < 0x80 */
    uint64_t  never;            /* begins nothing, or not with the next byte */
} beacon_kinds_t;

#define beacon_bulk_all(r, which)                                             \
    beacon_vec_load((r)->wide[BEACON_WIDE_##which])
#define beacon_bulk_is(r, v, which)                                           \
    beacon_vec_is(v, beacon_bulk_all(r, which))
#define beacon_bulk_above(r, v, which)                                        \
    beacon_vec_above(v, beacon_bulk_all(r, which))
#define beacon_bulk_below(r, v, which)                                        \
    beacon_vec_above(beacon_bulk_all(r, which), v)

/* What is done to 64 bytes, or the first n of them; a loop would keep nothing
   in registers. */
#if BEACON_VEC == 32
#define beacon_bulk_each(step)  step(0); step(32)
#else
#define beacon_bulk_each(step)  step(0); step(16); step(32); step(48)
#endif

#define beacon_bulk_some(n, step)                                             \
    step(0);                                                                  \
    if ((n) > BEACON_VEC) { step(BEACON_VEC); }                               \
    if (BEACON_VEC == 16 && (n) > 32) { step(32); }                           \
    if (BEACON_VEC == 16 && (n) > 48) { step(48); }

/* Bits of the BEACON_VEC bytes at p + at. */
BEACON_LOOP void
beacon_bulk_kinds(const beacon_render_t *r, const uint8_t *p,
    beacon_kinds_t *kinds, unsigned at)
{
    beacon_vec_t  c, next, low, never;

    c = beacon_vec_load(p + at);
    next = beacon_vec_load(p + at + 1);

    /* as signed numbers, 0x80 .. 0xff are in order, below the others */
    low = beacon_bulk_below(r, next, A0);
    never = beacon_vec_and(low, beacon_bulk_is(r, c, E0));
    never = beacon_vec_or(never,
                          beacon_vec_but(beacon_bulk_is(r, c, ED), low));
    low = beacon_bulk_below(r, next, 90);
    never = beacon_vec_or(never,
                          beacon_vec_and(low, beacon_bulk_is(r, c, F0)));
    never = beacon_vec_or(never,
                          beacon_vec_but(beacon_bulk_is(r, c, F4), low));
    never = beacon_vec_or(never, beacon_bulk_above(r, c, F4));
    never = beacon_vec_or(never, beacon_bulk_below(r, c, C2));

    kinds->high |= beacon_vec_bits(c) << at;
    kinds->more |= beacon_vec_bits(beacon_bulk_below(r, c, C0)) << at;
    kinds->three |= beacon_vec_bits(beacon_bulk_above(r, c, DF)) << at;
    kinds->four |= beacon_vec_bits(beacon_bulk_above(r, c, EF)) << at;
    kinds->never |= beacon_vec_bits(never) << at;
}

/* Each byte with a bit in "broken" becomes 0xff, or with one in "within", too,
   0xfe. */
BEACON_LOOP void
beacon_bulk_apply(uint8_t *p, size_t n, uint64_t broken, uint64_t within)
{
    beacon_vec_t  c;

#define beacon_bulk_step(at)                                                  \
    c = beacon_vec_or(beacon_vec_load(p + (at)),                              \
                      beacon_vec_spread(broken >> (at)));                     \
    c = beacon_vec_add(c, beacon_vec_spread(within >> (at)));                 \
    beacon_vec_store(p + (at), c)

    beacon_bulk_some(n, beacon_bulk_step)

#undef beacon_bulk_step
}

/*
 * Marks what UTF-8 does not allow in n > 0 bytes, at most 62, all of which are
 * decoded: a byte that becomes U+FFFD is made 0xff, one that vanishes in the
 * U+FFFD before it 0xfe.  "cut": more follow them.  Then a sequence may go on
 * behind them; returns how many bytes of it are to be left for then.
 */
BEACON_LOOP size_t
beacon_bulk_mark(beacon_render_t *r, uint8_t *p, size_t n, int cut)
{
    size_t          tail;
    uint64_t        all, pair, whole, two, three, four, broken, within;
    beacon_kinds_t  kinds;

    memset(&kinds, 0, sizeof(kinds));

#define beacon_bulk_step(at)  beacon_bulk_kinds(r, p, &kinds, at)
    beacon_bulk_some(n, beacon_bulk_step)
#undef beacon_bulk_step

    all = ~0ULL >> (64 - n);
    kinds.high &= all;

    if (kinds.high == 0) {
        return 0;
    }

    /* at a lead byte: it has a second byte; then its third, its fourth */
    kinds.more &= all;
    pair = ~kinds.never & kinds.high & kinds.more >> 1;
    two = pair & ~kinds.three;
    three = pair & kinds.three & kinds.more >> 2;
    four = three & kinds.four;
    tail = 0;

    if (cut) {
        tail = ((kinds.high & ~kinds.more) >> (n - 1) & 1)
               + 2 * ((pair & kinds.three) >> (n - 2) & 1)
               + 3 * (four >> (n - 3) & 1);
        all >>= tail;
    }

    within = pair << 1 | four << 2;
    four &= kinds.more >> 3;
    three = (three & ~kinds.four) | four;
    two |= three;
    whole = two | two << 1 | three << 2 | four << 3;

    broken = kinds.high & ~whole & all;
    within &= broken;

    if (broken) {
        r->malformed = 1;
        beacon_bulk_apply(p, n, broken, within);
    }

    return tail;
}

/* What was marked, as JSON text. */
BEACON_LOOP uint8_t *
beacon_bulk_text(const beacon_render_t *r, uint8_t *d, const uint8_t *p,
    const uint8_t *end)
{
    uint64_t  entry;

#define beacon_bulk_put()                                                     \
    memcpy(&entry, r->text[*p++], 8);                                         \
    memcpy(d, &entry, 8);                                                     \
    d += beacon_render_last(entry)

    while (end - p >= 8) {
        beacon_bulk_put();
        beacon_bulk_put();
        beacon_bulk_put();
        beacon_bulk_put();
        beacon_bulk_put();
        beacon_bulk_put();
        beacon_bulk_put();
        beacon_bulk_put();
    }

    if (end - p >= 4) {
        beacon_bulk_put();
        beacon_bulk_put();
        beacon_bulk_put();
        beacon_bulk_put();
    }

    while (p < end) {
        beacon_bulk_put();
    }

#undef beacon_bulk_put

    return d;
}

/* The rest of a string. */
static BEACON_TARGET __attribute__((noinline)) uint8_t *
beacon_bulk_string(beacon_render_t *r, const uint8_t *s, uint8_t *d,
    const uint8_t *end)
{
    int       cut;
    size_t    n;
    uint8_t  *bytes;

    bytes = r->bulk.bytes;
    r->bulk.used = 0;

    do {
        cut = (end - s > BEACON_BULK_MOST);
        n = cut ? BEACON_BULK_MOST : (size_t) (end - s);
        memcpy(bytes, s, 64);
        n -= beacon_bulk_mark(r, bytes, n, cut);
        d = beacon_bulk_text(r, d, bytes, bytes + n);
        s += n;
    } while (s != end);

    return d;
}

/* Which of 64 bytes are digits of an escape, or could be. */
BEACON_LOOP uint64_t
beacon_bulk_hex(const beacon_render_t *r, const uint8_t *s)
{
    uint64_t      hex;
    beacon_vec_t  c, digit, letter;

    hex = 0;

#define beacon_bulk_step(at)                                                  \
    c = beacon_vec_load(s + (at));                                            \
    digit = beacon_vec_but(beacon_bulk_above(r, c, BEFORE_0),                 \
                           beacon_bulk_above(r, c, 9));                       \
    c = beacon_vec_or(c, beacon_bulk_all(r, SPACE));                          \
    letter = beacon_vec_but(beacon_bulk_above(r, c, BEFORE_A),                \
                            beacon_bulk_above(r, c, F));                      \
    hex |= beacon_vec_bits(beacon_vec_or(digit, letter)) << (at)

    beacon_bulk_each(beacon_bulk_step);

#undef beacon_bulk_step

    return hex;
}

/* The four bits that each digit stands for. */
BEACON_LOOP beacon_vec_t
beacon_bulk_digit(const beacon_render_t *r, const uint8_t *s)
{
    beacon_vec_t  c, letter;

    c = beacon_vec_load(s);
    letter = beacon_vec_and(beacon_bulk_above(r, c, 9),
                            beacon_bulk_all(r, TAB));

    return beacon_vec_add(beacon_vec_and(c, beacon_bulk_all(r, LOW)), letter);
}

/* Makes of each escape the byte that it stands for, in b->bytes, a copy of the
   n bytes at s with spaces for '+'; returns how many bytes are left. */
BEACON_LOOP size_t
beacon_bulk_unescape(const beacon_render_t *r, beacon_bulk_t *b,
    const uint8_t *s, size_t n, uint64_t escapes)
{
    beacon_vec_t  value;

#define beacon_bulk_step(at)                                                  \
    value = beacon_vec_shl4(beacon_bulk_digit(r, s + (at) + 1));              \
    value = beacon_vec_or(value, beacon_bulk_digit(r, s + (at) + 2));         \
    value = beacon_vec_blend(beacon_vec_load(b->bytes + (at)), value,         \
                             beacon_vec_spread(escapes >> (at)));             \
    beacon_vec_store(b->plain + (at), value)

    beacon_bulk_each(beacon_bulk_step);

#undef beacon_bulk_step

    return beacon_vec_squeeze(r, b->bytes, b->plain, n, escapes);
}

/* The '%', '&' and '=' of 64 bytes; they are copied, '+' as a space. */
BEACON_LOOP uint64_t
beacon_bulk_look(const beacon_render_t *r, beacon_bulk_t *b, const uint8_t *s,
    uint64_t all)
{
    uint64_t      percent, amp, equal;
    beacon_vec_t  c, plus;

    percent = 0;
    amp = 0;
    equal = 0;

#define beacon_bulk_step(at)                                                  \
    c = beacon_vec_load(s + (at));                                            \
    percent |= beacon_vec_bits(beacon_bulk_is(r, c, PERCENT)) << (at);        \
    amp |= beacon_vec_bits(beacon_bulk_is(r, c, AMP)) << (at);                \
    equal |= beacon_vec_bits(beacon_bulk_is(r, c, EQUAL)) << (at);            \
    plus = beacon_vec_and(beacon_bulk_is(r, c, PLUS),                         \
                          beacon_bulk_all(r, BLEND));                         \
    beacon_vec_store(b->bytes + (at), beacon_vec_xor(c, plus))

    beacon_bulk_each(beacon_bulk_step);

#undef beacon_bulk_step

    b->stops[0] = amp & all;
    b->stops[1] = (amp | equal) & all;

    return percent & all;
}

/*
 * The next bytes of a query: where they end, in terms of the source, and
 * unescaped and marked in "bytes".
 */
static BEACON_TARGET __attribute__((noinline)) void
beacon_bulk_fill(beacon_render_t *r, const uint8_t *s, const uint8_t *end)
{
    int             cut;
    size_t          n, used, tail;
    uint64_t        percent, escapes, hex;
    beacon_bulk_t  *b;

    b = &r->bulk;
    cut = (end - s > BEACON_BULK_MOST);
    n = cut ? BEACON_BULK_MOST : (size_t) (end - s);
    percent = beacon_bulk_look(r, b, s, ~0ULL >> (64 - n));
    escapes = 0;
    used = n;

    if (percent) {
        hex = beacon_bulk_hex(r, s);
        escapes = percent & hex >> 1 & hex >> 2;
        r->malformed |= (escapes != percent);
    }

    b->base = s;
    b->escapes = escapes;
    b->last = SIZE_MAX;
    b->last_at = SIZE_MAX;

    if (escapes) {
        /* digits of the last may lie behind n */
        used += (escapes >> (n - 1) & 1) * 2 + (escapes << 1 >> (n - 1) & 1);

        n = beacon_bulk_unescape(r, b, s, n, escapes);
    }

    tail = beacon_bulk_mark(r, b->bytes, n, cut);

    for (n -= tail; tail; tail--) {
        used -= (s[used - 1] >= 0x80) ? 1 : 3;
    }

    b->n = n;
    b->used = used;
}

/* Where in r->bulk.bytes the byte p of the source is. */
BEACON_LOOP size_t
beacon_bulk_index(const beacon_bulk_t *b, size_t p)
{
    return p - 2 * beacon_vec_count(b->escapes & ((1ULL << p) - 1));
}

/* A key or value of a query, from any character of it to its end. */
static BEACON_TARGET __attribute__((noinline)) beacon_place_t
beacon_bulk_query(beacon_render_t *r, const uint8_t *s, uint8_t *d,
    const uint8_t *end, int key)
{
    size_t          at, from, to;
    uint64_t        stops;
    beacon_bulk_t  *b;

    b = &r->bulk;

    do {
        at = (size_t) ((uintptr_t) s - (uintptr_t) b->base);

        if (at >= b->used) {
            beacon_bulk_fill(r, s, end);
            at = 0;
        }

        stops = b->stops[key] >> at;
        from = (at - b->last == 1) ? b->last_at + 1 : beacon_bulk_index(b, at);

        if (stops) {
            at += (size_t) __builtin_ctzll(stops);
            to = beacon_bulk_index(b, at);
            b->last = at;
            b->last_at = to;

        } else {
            at = b->used;
            to = b->n;
        }

        s = b->base + at;
        d = beacon_bulk_text(r, d, b->bytes + from, b->bytes + to);
    } while (stops == 0 && s != end);

    return (beacon_place_t) { s, d };
}

/* As beacon_loop_decode(). */
BEACON_LOOP uint8_t
beacon_bulk_decode(beacon_loop_t *l, const uint8_t *end, int key)
{
    beacon_place_t  at;

    if (l->s == end) {
        return 0;
    }

    at = beacon_bulk_query(l->r, l->s, l->d, end, key);
    l->s = at.s;
    l->d = at.d;

    return *l->s;
}

/* In place of single bytes, if they were too many: the rest of a key or value,
   of a string; or 0. */
BEACON_LOOP int
beacon_loop_bulk(beacon_loop_t *l, const uint8_t *end, int key)
{
    if (l->r->rare < BEACON_BULK_AFTER) {
        return 0;
    }

    (void) beacon_bulk_decode(l, end, key);

    /* back here for the next key or value, without a look at what it is */
    l->base = l->s;
    l->bits = ~0ULL;

    return 1;
}

BEACON_LOOP int
beacon_loop_bulk_string(beacon_render_t *r, beacon_place_t *at,
    const uint8_t *end)
{
    if (r->rare < BEACON_BULK_AFTER) {
        return 0;
    }

    at->d = beacon_bulk_string(r, at->s, at->d, end);
    at->s = end;

    return 1;
}
