/*
 * The renderer's inner loops, written once.  Each variant's .c includes this
 * file after it has defined
 *
 *     BEACON_TARGET               attribute of its functions, or nothing
 *     BEACON_LOOP                 how they begin: static inline, and that
 *     beacon_loop_t               r, s (source), d (destination), malformed
 *                                 and what else it needs
 *     beacon_loop_start(l, mode)  looks at l->s for the first time
 *     beacon_loop_run(l, mode)    copies plain bytes up to the next event:
 *                                 after it, *l->s has no entry in plain[mode]
 *     beacon_loop_step(l)         takes that event's one byte
 *     beacon_loop_skip(l, mode)   l->s was moved, over any number of events
 *     beacon_loop_find(r, tag, from, n)
 *                                 first i >= from with tags[i] == tag, or n
 *
 * and defines nothing else that can change a byte of the output.
 *
 * No loop checks a bound: each string ends in a NUL, which is an event, and
 * dst has room for whatever may come.  What is stored beyond l->d does not
 * count.
 */

/* The byte that the escape at s stands for; negative: it is broken. */
BEACON_LOOP int
beacon_loop_hex(const beacon_loop_t *l, const uint8_t *s)
{
    return (l->r->hex[s[1]] * 16) | l->r->hex[s[2]];
}

/* U+FFFD for what cannot be decoded. */
BEACON_LOOP void
beacon_loop_replace(beacon_loop_t *l)
{
    memcpy(l->d, "\xef\xbf\xbd", 3);
    l->d += 3;
    l->malformed = 1;
}

/*
 * A sequence whose lead byte, at l->s, is >= 0x80: itself, or (query) as an
 * escape, as may be the bytes behind it.  after: behind the lead.
 */
BEACON_LOOP void
beacon_loop_utf8(beacon_loop_t *l, uint8_t lead, const uint8_t *after,
    int query)
{
    int             value;
    uint32_t        i;
    const uint8_t  *next;
    beacon_utf8_t   utf8;

    utf8 = l->r->utf8[lead - 0x80];
    l->s = after;

    if (utf8.need == 0) {
        beacon_loop_replace(l);
        return;
    }

    l->d[0] = lead;

    for (i = 1; i <= utf8.need; i++) {
        value = *after;
        next = after + 1;

        if (query && value == '%') {
            value = beacon_loop_hex(l, after);
            next = after + 3;
        }

        if (value < utf8.low || value > utf8.high) {
            beacon_loop_replace(l);
            l->s = after;
            return;
        }

        l->d[i] = (uint8_t) value;
        after = next;
        utf8.low = 0x80;
        utf8.high = 0xbf;
    }

    l->s = after;
    l->d += i;
}

/* A decoded byte < 0x80. */
BEACON_LOOP void
beacon_loop_ascii(beacon_loop_t *l, unsigned c)
{
    const uint8_t  *escape;

    escape = l->r->escape[c];
    memcpy(l->d, escape, 8);
    l->d += escape[7];
}

/* A string to its end; returns the end of what was written. */
static BEACON_TARGET uint8_t *
beacon_loop_string(beacon_render_t *r, uint8_t *dst, const beacon_str_t *str,
    unsigned *malformed)
{
    uint8_t        c;
    beacon_loop_t  loop, *l = &loop;

    l->r = r;
    l->s = str->data;
    l->d = dst;
    l->malformed = 0;
    beacon_loop_start(l, BEACON_PLAIN_STRING);

    for ( ;; ) {
        beacon_loop_run(l, BEACON_PLAIN_STRING);
        c = *l->s;

        if (c >= 0x80) {
            do {
                beacon_loop_utf8(l, *l->s, l->s + 1, 0);
            } while (*l->s >= 0x80);

            beacon_loop_skip(l, BEACON_PLAIN_STRING);
            continue;
        }

        if (c == 0 && l->s == str->data + str->len) {
            *malformed |= l->malformed;
            return l->d;
        }

        beacon_loop_ascii(l, c);
        beacon_loop_step(l);
    }
}

/* A run of escapes; *l->s is '%'. */
BEACON_LOOP void
beacon_loop_escapes(beacon_loop_t *l)
{
    int  value;

    do {
        value = beacon_loop_hex(l, l->s);

        if (value < 0) {
            *l->d++ = '%';
            l->s++;
            l->malformed = 1;

        } else if (value < 0x80) {
            beacon_loop_ascii(l, (unsigned) value);
            l->s += 3;

        } else {
            beacon_loop_utf8(l, (uint8_t) value, l->s + 3, 1);
        }

    } while (*l->s == '%');

    beacon_loop_skip(l, BEACON_PLAIN_QUERY);
}

/*
 * Decodes up to the next '&', the end, or (key) the next '='; returns which,
 * the end as 0.  l->s stands at it.
 */
BEACON_LOOP uint8_t
beacon_loop_decode(beacon_loop_t *l, const uint8_t *end, int key)
{
    uint8_t  c;

    for ( ;; ) {
        beacon_loop_run(l, BEACON_PLAIN_QUERY);
        c = *l->s;

        if (c == '&' || (key && c == '=')) {
            return c;
        }

        if (c == '%') {
            beacon_loop_escapes(l);

        } else if (c >= 0x80) {
            do {
                beacon_loop_utf8(l, *l->s, l->s + 1, 1);
            } while (*l->s >= 0x80);

            beacon_loop_skip(l, BEACON_PLAIN_QUERY);

        } else {
            if (c == 0 && l->s == end) {
                return 0;
            }

            beacon_loop_ascii(l, c);
            beacon_loop_step(l);
        }
    }
}

/* The argument with this key, or BEACON_ARG_NONE, and then it is added. */
BEACON_LOOP uint32_t
beacon_loop_lookup(beacon_render_t *r, const beacon_arg_t *arg)
{
    uint32_t  i;
    uint16_t  tag;

    if (r->nargs >= BEACON_TAGS) {
        return beacon_args_lookup(r, arg);
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

    r->tags[r->nargs] = tag;
    r->args[r->nargs++] = *arg;

    return BEACON_ARG_NONE;
}

/*
 * The sequences of a query or form as members, each with a comma behind it.
 * A key seen before is not written: its value is kept for "repeated".
 */
static BEACON_TARGET uint8_t *
beacon_loop_args(beacon_render_t *r, uint8_t *dst, const beacon_str_t *str,
    unsigned *malformed)
{
    uint8_t         stop;
    uint32_t        first;
    beacon_arg_t    arg;
    beacon_loop_t   loop, *l = &loop;
    const uint8_t  *end;

    l->r = r;
    l->s = str->data;
    l->d = dst;
    l->malformed = 0;
    end = str->data + str->len;
    beacon_loop_start(l, BEACON_PLAIN_QUERY);

    for ( ;; ) {
        if (r->left == 0) {
            while (*l->s == '&') {
                l->s++;
            }

            l->malformed |= (l->s != end);
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
        arg.key = dst + 1;
        arg.key_len = (uint32_t) (l->d - arg.key);
        arg.hash = beacon_args_hash(r, arg.key, arg.key_len);
        arg.again = BEACON_ARG_NONE;
        memcpy(l->d, "\":\"", 3);
        l->d += 3;
        arg.value = l->d;

        if (stop == '=') {
            beacon_loop_step(l);
            stop = beacon_loop_decode(l, end, 0);
        }

        arg.value_len = (uint32_t) (l->d - arg.value);
        first = beacon_loop_lookup(r, &arg);

        if (first == BEACON_ARG_NONE) {
            memcpy(l->d, "\",", 2);
            l->d += 2;

        } else {
            beacon_args_again(r, first, &arg);
            l->d = dst;
        }

        if (stop == 0) {
            break;
        }

        beacon_loop_step(l);
    }

    *malformed |= l->malformed;

    return l->d;
}
