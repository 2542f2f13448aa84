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
 *     beacon_loop_find(r, tag, from, n)
 *                                 first i >= from with tags[i] == tag, or n
 *
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
 * A sequence whose lead byte is >= 0x80: itself, or (query) as an escape, as
 * may be the bytes behind it.  s: behind the lead.
 */
BEACON_LOOP beacon_place_t
beacon_loop_utf8(beacon_render_t *r, unsigned lead, const uint8_t *s,
    uint8_t *d, int query)
{
    unsigned        value, need;
    beacon_utf8_t   utf8;
    const uint8_t  *next;

    /* a continuation byte into d[k], or the end of what is decodable */
#define beacon_loop_next(k, low, high)                                        \
    value = *s;                                                               \
    next = s + 1;                                                             \
                                                                              \
    if (query && value == '%') {                                              \
        value = (unsigned) beacon_loop_hex(r, s);                             \
        next = s + 3;                                                         \
    }                                                                         \
                                                                              \
    if (value - (low) > (unsigned) (high) - (low)) {                          \
        return (beacon_place_t) { s, beacon_loop_replace(r, d) };             \
    }                                                                         \
                                                                              \
    d[k] = (uint8_t) value;                                                   \
    s = next

    /* what is broken is mostly alone */
    if (*s - 0x80U > 0x3f && !(query && *s == '%')) {
        return (beacon_place_t) { s, beacon_loop_replace(r, d) };
    }

    utf8 = r->utf8[lead - 0x80];
    need = utf8.need;

    if (need == 0) {
        return (beacon_place_t) { s, beacon_loop_replace(r, d) };
    }

    d[0] = (uint8_t) lead;
    beacon_loop_next(1, utf8.low, utf8.high);

    if (need == 1) {
        return (beacon_place_t) { s, d + 2 };
    }

    beacon_loop_next(2, 0x80, 0xbf);

    if (need == 2) {
        return (beacon_place_t) { s, d + 3 };
    }

    beacon_loop_next(3, 0x80, 0xbf);

    return (beacon_place_t) { s, d + 4 };

#undef beacon_loop_next
}

/*
 * A string from an event on, a byte at a time.  Each event buys some bytes
 * more: where events are dense that is cheaper than to go back to the vectors
 * after each.
 */
static BEACON_TARGET __attribute__((noinline)) beacon_place_t
beacon_loop_rare(beacon_render_t *r, const uint8_t *s, uint8_t *d,
    const uint8_t *end)
{
    const uint8_t   *until, *escape;
    beacon_place_t   at = { s, d };

    until = s + 1;

    do {
        while (*at.s >= 0x80) {
            at = beacon_loop_utf8(r, *at.s, at.s + 1, at.d, 0);
            until = at.s + BEACON_LOOP_CREDIT;
        }

        if (at.s == end) {
            break;
        }

        escape = r->escape[*at.s++];
        memcpy(at.d, escape, 8);
        until += escape[6];
        at.d += escape[7];
    } while (at.s < until);

    return at;
}

/*
 * The same for a key (r->key) or value (r->value) of a query, where escapes
 * are decoded, and what ends it stands in the table with length 0; so does
 * NUL, which may be the end.
 */
static BEACON_TARGET __attribute__((noinline)) beacon_place_t
beacon_loop_rare_query(beacon_render_t *r, const uint8_t (*table)[8],
    const uint8_t *s, uint8_t *d, const uint8_t *end)
{
    int              value;
    const uint8_t   *until, *escape;
    beacon_place_t   at = { s, d };

    until = s + 1;

    do {
        if (*at.s >= 0x80) {
            do {
                at = beacon_loop_utf8(r, *at.s, at.s + 1, at.d, 1);
            } while (*at.s >= 0x80);

            until = at.s + BEACON_LOOP_CREDIT;
        }

        if (*at.s == '%') {
            value = beacon_loop_hex(r, at.s);

            if (value < 0) {
                *at.d++ = '%';
                at.s++;
                r->malformed = 1;

            } else if (value < 0x80) {
                at.d = beacon_loop_ascii(r->escape, (unsigned) value, at.d);
                at.s += 3;

            } else {
                at = beacon_loop_utf8(r, (unsigned) value, at.s + 3, at.d, 1);
            }

            until = at.s + BEACON_LOOP_CREDIT;
            continue;
        }

        escape = table[*at.s];

        if (escape[7] == 0) {
            if (*at.s != 0 || at.s == end) {
                break;
            }

            escape = r->escape[0];
        }

        memcpy(at.d, escape, 8);
        until += escape[6];
        at.d += escape[7];
        at.s++;
    } while (at.s < until);

    return at;
}

/* The rest of a string, from an event on. */
static BEACON_TARGET __attribute__((noinline)) uint8_t *
beacon_loop_string_rest(beacon_render_t *r, beacon_place_t at,
    const uint8_t *end)
{
    do {
        at = beacon_loop_rare(r, at.s, at.d, end);
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

/*
 * Decodes up to the next '&', the end, or (key) the next '='; returns which,
 * the end as 0.  l->s stands at it.
 */
BEACON_LOOP uint8_t
beacon_loop_decode(beacon_loop_t *l, const uint8_t *end, int key)
{
    int             value, second;
    uint8_t         c;
    beacon_place_t  at;

    for ( ;; ) {
        beacon_loop_run(l);
        c = *l->s;

        if ((key && c == '=') || c == '&' || (c == 0 && l->s == end)) {
            return c;
        }

        /* a run of escapes that are ASCII, or two to a character */
        while (*l->s == '%') {
            value = beacon_loop_hex(l->r, l->s);

            if ((unsigned) value < 0x80) {
                l->d = beacon_loop_ascii(l->r->escape, (unsigned) value,
                                         l->d);
                l->s += 3;
                continue;
            }

            second = (l->s[3] == '%') ? beacon_loop_hex(l->r, l->s + 3) : 0;

            if (value < 0xc2 || value > 0xdf || (second & ~0x3f) != 0x80) {
                break;
            }

            l->d[0] = (uint8_t) value;
            l->d[1] = (uint8_t) second;
            l->d += 2;
            l->s += 6;
        }

        if (*l->s == '%' || c != '%') {
            at = beacon_loop_rare_query(l->r, key ? l->r->key : l->r->value,
                                        l->s, l->d, end);
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

/*
 * The sequences of a query or form as members, each with a comma behind it.
 * A key seen before is not written: its value is kept for "repeated".
 */
static BEACON_TARGET uint8_t *
beacon_loop_args(beacon_render_t *r, uint8_t *dst, const beacon_str_t *str)
{
    uint8_t         stop;
    uint32_t        first;
    beacon_arg_t   *arg;
    beacon_loop_t   loop, *l = &loop;
    const uint8_t  *end;

    l->r = r;
    l->s = str->data;
    l->d = dst;
    end = str->data + str->len;
    beacon_loop_start(l);

    for ( ;; ) {
        if (r->left == 0) {
            while (*l->s == '&') {
                l->s++;
            }

            r->malformed |= (l->s != end);
            break;
        }

        dst = l->d;
        *l->d++ = '"';
        stop = beacon_loop_decode(l, end, 1);

        if (l->d == dst + 1 && stop != '=') {
            l->d = dst;

            if (stop == 0) {
                break;
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
            stop = beacon_loop_decode(l, end, 0);
        }

        arg->value_len = (uint32_t) (l->d - arg->value);
        first = beacon_loop_lookup(r, arg);

        if (first == BEACON_ARG_NONE) {
            memcpy(l->d, "\",", 2);
            l->d += 2;

        } else {
            beacon_args_again(r, first);
            l->d = dst;
        }

        if (stop == 0) {
            break;
        }

        beacon_loop_step(l);
    }

    return l->d;
}
