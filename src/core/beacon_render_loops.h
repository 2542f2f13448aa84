/*
 * The renderer's inner loops, written once.  Each variant's .c includes this
 * file after it has defined
 *
 *     BEACON_TARGET               attribute of its functions, or nothing
 *     BEACON_LOOP                 how they begin: static inline, and that
 *     beacon_loop_plain(r, at)    copies bytes of a string up to the next event
 *     beacon_loop_t               r, s (source), d (destination) and what
 *                                 else it needs
 *     beacon_loop_start(l)        looks at l->s for the first time
 *     beacon_loop_run(l)          copies plain bytes of a query up to the next
 *                                 event
 *     beacon_loop_step(l)         takes that event's one byte
 *     beacon_loop_skip(l)         l->s was moved, over any number of events
 *     beacon_loop_until(l)        up to where bytes are best taken singly
 *     beacon_loop_find(r, tag, from, n)
 *                                 first i >= from with tags[i] == tag, or n
 *
 * and what beacon_render_bulk.h wants, if there are vectors (BEACON_VEC),
 * and defines nothing else that can change a byte of the output.  Events are
 * the bytes without an entry in plain[].
 *
 * No loop checks a bound of what it reads or writes: each string ends in a
 * NUL, which is an event, and dst has room for whatever may come.  What is
 * stored beyond l->d does not count.
 */

/* The byte that the escape at s stands for; negative: it is broken. */
BEACON_LOOP int
beacon_loop_hex(const beacon_render_t *r, const uint8_t *s)
{
    return (r->hex[s[1]] * 16) | r->hex[s[2]];
}

#ifdef BEACON_VEC
#include "beacon_render_bulk.h"
#else
#define beacon_loop_bulk(l, end, key)           0
#define beacon_loop_bulk_string(r, at, end)     0
#define beacon_bulk_decode(l, end, key)         0
#endif

/* A decoded byte < 0x80; returns where the next goes. */
BEACON_LOOP uint8_t *
beacon_loop_ascii(const uint8_t (*escape)[8], unsigned c, uint8_t *d)
{
    memcpy(d, escape[c], 8);

    return d + escape[c][7];
}

/* What cannot be decoded. */
BEACON_LOOP uint8_t *
beacon_loop_replace(beacon_render_t *r, uint8_t *d)
{
    memcpy(d, "\xef\xbf\xbd", 4);
    r->malformed = 1;

    return d + 3;
}

/*
 * A sequence whose lead byte is >= 0x80, of a query: it and any byte behind it
 * may be an escape.  s: behind the lead.
 */
static BEACON_TARGET __attribute__((noinline)) beacon_place_t
beacon_loop_utf8(beacon_render_t *r, unsigned lead, const uint8_t *s,
    uint8_t *d)
{
    unsigned        value, need;
    beacon_utf8_t   utf8;
    const uint8_t  *next;

    /* a continuation byte into d[k], or the end of what is decodable */
#define beacon_loop_next(k, low, span)                                        \
    value = *s;                                                               \
    next = s + 1;                                                             \
                                                                              \
    if (value == '%') {                                                       \
        value = (unsigned) beacon_loop_hex(r, s);                             \
        next = s + 3;                                                         \
    }                                                                         \
                                                                              \
    if (value - (low) > (unsigned) (span)) {                                  \
        return (beacon_place_t) { s, beacon_loop_replace(r, d) };             \
    }                                                                         \
                                                                              \
    d[k] = (uint8_t) value;                                                   \
    s = next

    /* what is broken is mostly alone */
    if (*s - 0x80U > 0x3f && *s != '%') {
        return (beacon_place_t) { s, beacon_loop_replace(r, d) };
    }

    utf8 = r->utf8[lead - 0x80];
    need = utf8.need;

    if (need == 0) {
        return (beacon_place_t) { s, beacon_loop_replace(r, d) };
    }

    d[0] = (uint8_t) lead;
    beacon_loop_next(1, utf8.low, utf8.span);

    if (need == 1) {
        return (beacon_place_t) { s, d + 2 };
    }

    beacon_loop_next(2, 0x80, 0x3f);

    if (need == 2) {
        return (beacon_place_t) { s, d + 3 };
    }

    beacon_loop_next(3, 0x80, 0x3f);

    return (beacon_place_t) { s, d + 4 };

#undef beacon_loop_next
}

/* May c be the second byte of a sequence? */
#define beacon_loop_follows(r, lead, c)                                       \
    ((r)->follow[lead] >> ((c) >> 4) & 1)

/* 0x80 .. 0xbf; as a signed byte, one comparison. */
#define beacon_loop_continues(c)  ((int8_t) (c) < -64)

/* What is broken from s on: a U+FFFD, which stands at d already, and one for
   each byte >= 0xc0 behind it that nothing follows either. */
BEACON_LOOP beacon_place_t
beacon_loop_broken(beacon_render_t *r, const uint8_t *s, uint8_t *d,
    int query)
{
    r->malformed = 1;
    d += 3;

    while (*s >= 0xc0 && !beacon_loop_continues(s[1])
           && !(query && s[1] == '%'))
    {
        memcpy(d, "\xef\xbf\xbd", 4);
        d += 3;
        s++;
    }

    return (beacon_place_t) { s, d };
}

/* A byte at s that may begin a sequence.  What is broken ends before the byte
   that cannot follow. */
BEACON_LOOP beacon_place_t
beacon_loop_lead(beacon_render_t *r, unsigned lead, const uint8_t *s,
    uint8_t *d, int query)
{
    int             value;
    const uint8_t  *next;

    if (!beacon_loop_follows(r, lead, s[1])) {
        if (!query || s[1] != '%') {
            return beacon_loop_broken(r, s + 1, d, query);
        }

        value = beacon_loop_hex(r, s + 1);

        if (value >= 0 && beacon_loop_follows(r, lead, (unsigned) value)) {
            return beacon_loop_utf8(r, lead, s + 1, d);
        }

        r->malformed = 1;

        if (value < 0) {
            d[3] = '%';
            return (beacon_place_t) { s + 2, d + 4 };
        }

        if (value < 0x80) {
            d = beacon_loop_ascii(r->escape, (unsigned) value, d + 3);
            return (beacon_place_t) { s + 4, d };
        }

        return (beacon_place_t) { s + 1, d + 3 };
    }

    if (lead < 0xe0) {
        memcpy(d, s, 2);
        return (beacon_place_t) { s + 2, d + 2 };
    }

    next = s + 2;

    if (beacon_loop_continues(*next)) {
        if (lead < 0xf0) {
            memcpy(d, s, 4);
            return (beacon_place_t) { s + 3, d + 3 };
        }

        if (beacon_loop_continues(*++next)) {
            memcpy(d, s, 4);
            return (beacon_place_t) { s + 4, d + 4 };
        }
    }

    if (query && *next == '%') {
        value = beacon_loop_hex(r, next);

        if ((value & ~0x3f) == 0x80) {
            return beacon_loop_utf8(r, lead, s + 1, d);
        }

        if (value < 0) {
            d[3] = '%';
            d++;
            next++;
        }
    }

    r->malformed = 1;

    return (beacon_place_t) { next, d + 3 };
}

/* The '%' at s, which stands at d already. */
BEACON_LOOP beacon_place_t
beacon_loop_escape(beacon_render_t *r, const uint8_t *s, uint8_t *d)
{
    int             value, second;
    const uint8_t  *entry;

    if (r->hex[s[1]] < 0 || r->hex[s[2]] < 0) {
        r->malformed = 1;

        do {
            *d++ = '%';
            s++;
        } while (s[0] == '%' && s[1] == '%');

        return (beacon_place_t) { s, d };
    }

    value = beacon_loop_hex(r, s);
    entry = r->escape[value];

    memcpy(d, entry, 8);

    if (entry[7] == 0) {
        second = (s[3] == '%') ? beacon_loop_hex(r, s + 3) : s[3];

        if (second >= 0 && beacon_loop_follows(r, value, second)) {
            return beacon_loop_utf8(r, (unsigned) value, s + 3, d);
        }

        r->malformed = 1;

        return (beacon_place_t) { s + 3, d + 3 };
    }

    r->malformed |= entry[6];

    return (beacon_place_t) { s + 3, d + entry[7] };
}

/*
 * Bytes from an event on, one at a time, up to "until" or (query) to what ends
 * a key or value.  Where events are dense that is cheaper than to go back to
 * the vectors after each, and it bounds what a byte can cost.
 *
 * An entry of the table is what a byte becomes; 0 long is what begins
 * something, or ends it.
 */
BEACON_LOOP beacon_place_t
beacon_loop_bytes(beacon_render_t *r, const uint8_t (*table)[8],
    beacon_place_t at, const uint8_t *until, int query)
{
    size_t          len;
    uint8_t         lost[8], c;
    uint64_t        entry, entries;
    const uint8_t  *from;

    entries = 0;
    from = at.s;

    do {
        c = *at.s;
        memcpy(&entry, table[c], 8);
        memcpy(at.d, &entry, 8);
        entries |= entry;
        len = (size_t) beacon_render_last(entry);

        if (len) {
            at.d += len;
            at.s++;

        } else if (c >= 0x80) {
            at = beacon_loop_lead(r, c, at.s, at.d, query);

        } else if (query && c == '%') {
            at = beacon_loop_escape(r, at.s, at.d);

        } else {
            break;
        }
    } while (at.s < until);

    memcpy(lost, &entries, 8);
    r->malformed |= lost[6];
    r->rare += (size_t) (at.s - from);

    return at;
}

static BEACON_TARGET __attribute__((noinline)) beacon_place_t
beacon_loop_rare(beacon_render_t *r, const uint8_t *s, uint8_t *d,
    const uint8_t *until)
{
    return beacon_loop_bytes(r, r->escape, (beacon_place_t) { s, d }, until,
                             0);
}

/* The same for a key (r->key) or value (r->value) of a query. */
static BEACON_TARGET __attribute__((noinline)) beacon_place_t
beacon_loop_rare_query(beacon_render_t *r, const uint8_t (*table)[8],
    const uint8_t *s, uint8_t *d, const uint8_t *until)
{
    return beacon_loop_bytes(r, table, (beacon_place_t) { s, d }, until, 1);
}

/* The rest of a string, from an event on. */
static BEACON_TARGET __attribute__((noinline)) uint8_t *
beacon_loop_string_rest(beacon_render_t *r, beacon_place_t at,
    const uint8_t *end)
{
    do {
        if (beacon_loop_bulk_string(r, &at, end)) {
            break;
        }

        at = beacon_loop_rare(r, at.s, at.d,
                              (end - at.s > BEACON_LOOP_BYTES)
                              ? at.s + BEACON_LOOP_BYTES : end);
        at = beacon_loop_plain(r, at);
    } while (at.s != end);

    return at.d;
}

/* A string to its end; returns the end of what was written. */
static BEACON_TARGET uint8_t *
beacon_loop_string(beacon_render_t *r, uint8_t *dst, const beacon_str_t *str)
{
    beacon_place_t   at = { str->data, dst };
    const uint8_t   *end;

    end = at.s + str->len;
    at = beacon_loop_plain(r, at);

    return (at.s == end) ? at.d : beacon_loop_string_rest(r, at, end);
}

/* A run of escapes that are whole characters. */
BEACON_LOOP void
beacon_loop_escapes(beacon_loop_t *l)
{
    int             value, second, third, fourth;
    beacon_utf8_t   utf8;
    const uint8_t  *s;

    /* a continuation byte as an escape; 0: something else */
#define beacon_loop_more(s)  ((*(s) == '%') ? beacon_loop_hex(l->r, s) : 0)

    for (s = l->s; *s == '%'; l->s = s) {
        value = beacon_loop_hex(l->r, s);

        if ((unsigned) value < 0x80) {
            l->d = beacon_loop_ascii(l->r->escape, (unsigned) value, l->d);
            s += 3;
            continue;
        }

        second = beacon_loop_more(s + 3);

        if (value < 0xc2 || (second & ~0x3f) != 0x80) {
            break;
        }

        l->d[0] = (uint8_t) value;
        l->d[1] = (uint8_t) second;

        if (value < 0xe0) {
            l->d += 2;
            s += 6;
            continue;
        }

        utf8 = l->r->utf8[value - 0x80];
        third = beacon_loop_more(s + 6);

        if ((unsigned) second - utf8.low > utf8.span
            || (third & ~0x3f) != 0x80)
        {
            break;
        }

        l->d[2] = (uint8_t) third;

        if (utf8.need == 2) {
            l->d += 3;
            s += 9;
            continue;
        }

        fourth = beacon_loop_more(s + 9);

        if (utf8.need != 3 || (fourth & ~0x3f) != 0x80) {
            break;
        }

        l->d[3] = (uint8_t) fourth;
        l->d += 4;
        s += 12;
    }

#undef beacon_loop_more
}

/*
 * Decodes up to the next '&', the end, or (key) the next '='; returns which,
 * the end as 0, and so '&' behind what was decoded in bulk.  l->s is there.
 */
BEACON_LOOP uint8_t
beacon_loop_decode(beacon_loop_t *l, const uint8_t *end, int key)
{
    uint8_t         c;
    beacon_place_t  at;
    const uint8_t  *until;

    for ( ;; ) {
        beacon_loop_run(l);
        c = *l->s;

        if ((key && c == '=') || c == '&' || (c == 0 && l->s == end)) {
            return c;
        }

        if (c == '%') {
            beacon_loop_escapes(l);
        }

        if (*l->s == '%' || c != '%') {
            if (beacon_loop_bulk(l, end, key)) {
                return (*l->s == '=') ? '=' : 0;
            }

            until = beacon_loop_until(l);
            at = beacon_loop_rare_query(l->r, key ? l->r->key : l->r->value,
                                        l->s, l->d, until < end ? until : end);
            l->s = at.s;
            l->d = at.d;
        }

        beacon_loop_skip(l);
    }
}

/* The argument with the key of args[nargs], or BEACON_ARG_NONE, and then that
   one is added. */
BEACON_LOOP uint32_t
beacon_loop_lookup(beacon_render_t *r, const beacon_arg_t *arg)
{
    uint32_t  i;
    uint16_t  tag;

    if (r->nargs >= BEACON_TAGS) {
        return beacon_args_lookup(r);
    }

    tag = (uint16_t) arg->hash;

    for (i = beacon_loop_find(r, tag, 0, r->nargs);
         i < r->nargs;
         i = beacon_loop_find(r, tag, i + 1, r->nargs))
    {
        if (beacon_args_equal(&r->args[i], arg)) {
            return i;
        }
    }

    r->tags[r->nargs++] = tag;

    return BEACON_ARG_NONE;
}

/* Is the argument that was added last, with a key of three bytes, one that a
   line tells the place of?  A quote is behind its key. */
BEACON_LOOP void
beacon_loop_named(beacon_render_t *r, const uint8_t *key)
{
    if (memcmp(key, "url\"", 4) == 0) {
        r->named[BEACON_NAMED_URL] = r->nargs;

    } else if (memcmp(key, "ref\"", 4) == 0) {
        r->named[BEACON_NAMED_REF] = r->nargs;
    }
}

/*
 * The sequences of a query or form as members, each with a comma behind it.
 * A key seen before is not written: its value is kept for "repeated".  Ends
 * with l->s at the end, or behind the first argument decoded in bulk.
 * "bulk": so is all from here on.
 */
BEACON_LOOP void
beacon_loop_members(beacon_loop_t *l, const uint8_t *end, int bulk)
{
    uint8_t           stop, *dst;
    uint32_t          first;
    beacon_arg_t     *arg;
    beacon_render_t  *r;

#define beacon_loop_part(key)                                                 \
    (bulk ? beacon_bulk_decode(l, end, key) : beacon_loop_decode(l, end, key))

    r = l->r;

    for ( ;; ) {
        if (r->left == 0) {
            while (*l->s == '&') {
                l->s++;
            }

            r->malformed |= (l->s != end);
            l->s = end;
            return;
        }

        dst = l->d;
        *l->d++ = '"';
        stop = beacon_loop_part(1);

        if (l->d == dst + 1 && stop != '=') {
            l->d = dst;

            if (stop == 0) {
                return;
            }

            while (*l->s == '&') {
                l->s++;
            }

            beacon_loop_skip(l);
            continue;
        }

        r->left--;
        arg = &r->args[r->nargs];
        arg->key = dst + 1;
        arg->key_len = (uint32_t) (l->d - arg->key);
        arg->hash = beacon_args_hash(r, arg->key, arg->key_len);
        arg->again = BEACON_ARG_NONE;
        memcpy(l->d, "\":\"", 3);
        l->d += 3;
        arg->value = l->d;

        if (stop == '=') {
            beacon_loop_step(l);
            stop = beacon_loop_part(0);
        }

        arg->value_len = (uint32_t) (l->d - arg->value);
        first = beacon_loop_lookup(r, arg);

        if (first == BEACON_ARG_NONE) {
            memcpy(l->d, "\",", 2);
            l->d += 2;

            if (arg->key_len == 3) {
                beacon_loop_named(r, dst + 1);
            }

        } else {
            beacon_args_again(r, first);
            l->d = dst;
        }

        if (stop == 0) {
            return;
        }

        beacon_loop_step(l);
    }

#undef beacon_loop_part
}

/* What is behind such an argument. */
static BEACON_TARGET __attribute__((noinline)) uint8_t *
beacon_loop_args_bulk(beacon_render_t *r, const uint8_t *s, uint8_t *d,
    const uint8_t *end)
{
    beacon_loop_t  loop, *l = &loop;

    l->r = r;
    l->s = s;
    l->d = d;
    beacon_loop_start(l);
    beacon_loop_members(l, end, 1);

    return l->d;
}

static BEACON_TARGET uint8_t *
beacon_loop_args(beacon_render_t *r, uint8_t *dst, const beacon_str_t *str)
{
    beacon_loop_t   loop, *l = &loop;
    const uint8_t  *end;

    l->r = r;
    l->s = str->data;
    l->d = dst;
    end = str->data + str->len;
    beacon_loop_start(l);
    beacon_loop_members(l, end, 0);

    return (l->s == end) ? l->d
                         : beacon_loop_args_bulk(r, l->s + 1, l->d, end);
}
