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
 * No loop checks a bound: each string ends in a NUL, which is an event, and
 * dst has room for whatever may come.  What is stored beyond l->d does not
 * count.
 */

/* The byte that the escape at s stands for; negative: it is broken. */
BEACON_LOOP int
beacon_loop_hex(const beacon_render_t *r, const uint8_t *s)
{
    return (r->hex[s[1]] * 16) | r->hex[s[2]];
}

/*
 * A sequence whose lead byte is >= 0x80: itself, or (query) as an escape, as
 * may be the bytes behind it.  s: behind the lead.  What cannot be decoded is
 * one U+FFFD.
 */
BEACON_LOOP beacon_place_t
beacon_loop_utf8(beacon_render_t *r, uint8_t lead, const uint8_t *s,
    uint8_t *d, int query)
{
    int             value;
    uint32_t        i;
    const uint8_t  *next;
    beacon_utf8_t   utf8;

    utf8 = r->utf8[lead - 0x80];
    d[0] = lead;

    for (i = 1; i <= utf8.need; i++) {
        value = *s;
        next = s + 1;

        if (query && value == '%') {
            value = beacon_loop_hex(r, s);
            next = s + 3;
        }

        if (value < utf8.low || value > utf8.high) {
            break;
        }

        d[i] = (uint8_t) value;
        s = next;
        utf8.low = 0x80;
        utf8.high = 0xbf;
    }

    if (utf8.need == 0 || i <= utf8.need) {
        memcpy(d, "\xef\xbf\xbd", 3);
        i = 3;
        r->malformed = 1;
    }

    return (beacon_place_t) { s, d + i };
}

/* A decoded byte < 0x80; returns where the next goes. */
BEACON_LOOP uint8_t *
beacon_loop_ascii(const beacon_render_t *r, unsigned c, uint8_t *d)
{
    const uint8_t  *escape;

    escape = r->escape[c];
    memcpy(d, escape, 8);

    return d + escape[7];
}

/*
 * Bytes at s that are an event in a string, and those behind them as long as
 * they are not ASCII.  Never a NUL that ends it.
 */
static BEACON_TARGET __attribute__((noinline)) beacon_place_t
beacon_loop_rare(beacon_render_t *r, const uint8_t *s, uint8_t *d)
{
    beacon_place_t  at = { s, d };

    if (*s < 0x80) {
        at.d = beacon_loop_ascii(r, *s, d);
        at.s++;
    }

    while (*at.s >= 0x80) {
        at = beacon_loop_utf8(r, *at.s, at.s + 1, at.d, 0);
    }

    return at;
}

/* The same for a query, where escapes may be among them. */
static BEACON_TARGET __attribute__((noinline)) beacon_place_t
beacon_loop_rare_query(beacon_render_t *r, const uint8_t *s, uint8_t *d)
{
    int             value;
    beacon_place_t  at = { s, d };

    if (*s < 0x80 && *s != '%') {
        at.d = beacon_loop_ascii(r, *s, d);
        at.s++;
    }

    for ( ;; ) {
        if (*at.s >= 0x80) {
            at = beacon_loop_utf8(r, *at.s, at.s + 1, at.d, 1);

        } else if (*at.s != '%') {
            return at;

        } else if ((value = beacon_loop_hex(r, at.s)) < 0) {
            *at.d++ = '%';
            at.s++;
            r->malformed = 1;

        } else if (value < 0x80) {
            at.d = beacon_loop_ascii(r, (unsigned) value, at.d);
            at.s += 3;

        } else {
            at = beacon_loop_utf8(r, (uint8_t) value, at.s + 3, at.d, 1);
        }
    }
}

/* A string to its end; returns the end of what was written. */
static BEACON_TARGET uint8_t *
beacon_loop_string(beacon_render_t *r, uint8_t *dst, const beacon_str_t *str)
{
    beacon_place_t   at = { str->data, dst };
    const uint8_t   *end;

    end = str->data + str->len;

    for ( ;; ) {
        at = beacon_loop_plain(r, at);

        if (at.s == end) {
            return at.d;
        }

        at = beacon_loop_rare(r, at.s, at.d);
    }
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

        if (c == '&' || (key && c == '=') || (c == 0 && l->s == end)) {
            return c;
        }

        /* a run of escapes that are ASCII, or two to a character */
        while (*l->s == '%') {
            value = beacon_loop_hex(l->r, l->s);

            if ((unsigned) value < 0x80) {
                l->d = beacon_loop_ascii(l->r, (unsigned) value, l->d);
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
            at = beacon_loop_rare_query(l->r, l->s, l->d);
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

            beacon_loop_step(l);
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
