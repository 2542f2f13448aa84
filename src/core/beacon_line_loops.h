/*
 * Where a line's parts stand, and what of it is shown: for each variant.
 *
 * A line's keys are in a known order, so it is hopped along from string to
 * string; "args", most of it, is looked through for what is wanted alone.  '/',
 * '?', '#', '&' and '=' never stand in a JSON escape, so that a text may be cut
 * there as it is.
 */

#include "beacon_line_scan.h"

/* A call of it costs a third of what it does. */
#define BEACON_LINE_HOT  __attribute__((always_inline))

/* No line is shorter. */
#define BEACON_LINE_LEAST  32

/* Does this text follow?  Its own length is known when it is compiled. */
#define beacon_line_is(p, end, text)                                          \
    ((size_t) ((end) - (p)) >= sizeof(text) - 1                               \
     && memcmp(p, text, sizeof(text) - 1) == 0)

/* As above, where 16 bytes are left: more than any key takes. */
#define beacon_line_is_near(p, last, text)                                    \
    ((p) <= (last) && memcmp((p) + 1, text, sizeof(text) - 1) == 0)

/*
 * A member that is a string; at: the last byte of the one before.  Without a
 * member that it must have, with which all that must follow has 16 bytes and
 * more, a line is INVALID.
 */
#define beacon_line_must(at, end, name, str)                                  \
    if (!beacon_line_is_near(at, (end) - 16, ",\"" name "\":\"")) {           \
        return BEACON_INVALID;                                                \
    }                                                                         \
                                                                              \
    beacon_line_value(at, end, name, str)

#define beacon_line_may(at, end, name, str)                                   \
    if (beacon_line_is_near(at, (end) - 16, ",\"" name "\":\"")) {            \
        beacon_line_value(at, end, name, str);                                \
                                                                              \
    } else {                                                                  \
        *(str) = (beacon_str_t) { 0, NULL };                                  \
    }

/* At a line's end. */
#define beacon_line_may_last(at, end, name, str)                              \
    if (beacon_line_is((at) + 1, end, ",\"" name "\":\"")) {                  \
        beacon_line_value(at, end, name, str);                                \
                                                                              \
    } else {                                                                  \
        *(str) = (beacon_str_t) { 0, NULL };                                  \
    }

#define beacon_line_value(at, end, name, str)                                 \
    (str)->data = (at) + sizeof(",\"" name "\":\"");                          \
    (at) = beacon_line_string((str)->data, end, quote);                       \
                                                                              \
    if ((at) == NULL) {                                                       \
        return BEACON_INVALID;                                                \
    }                                                                         \
                                                                              \
    (str)->len = (size_t) ((at) - (str)->data)

/*
 * The brace at p, is it the one of "args"?  It is behind a quote; where that
 * is a string's first one, a comma and a quote that follow are the string's
 * end, behind which no letter stands.
 */
static inline BEACON_TARGET int
beacon_line_args_end(const uint8_t *p, const uint8_t *end)
{
    if (p[-1] != '"' || beacon_line_escaped(p - 1)) {
        return 0;
    }

    return end - p >= 4 && p[1] == ',' && p[2] == '"'
           ? p[3] >= 'a' && p[3] <= 'z'
           : end - p == 2 && p[1] == '}';
}

/* Quotes at 0, 4 and 6, known from the bits that the three have together: a
   space or a control character among them gives a false alarm. */
static inline BEACON_TARGET beacon_block_t
beacon_line_args_three(const uint8_t *p, beacon_block_t block,
    beacon_block_t quote)
{
    block = beacon_block_or(block, beacon_block(p + 4));
    block = beacon_block_or(block, beacon_block(p + 6));

    return beacon_block_equal(block, quote);
}

/* What may be "url":" or "ref":", or a closing brace, or near the end. */
static inline BEACON_TARGET const uint8_t *
beacon_line_args_next(const uint8_t *p, const uint8_t *end,
    beacon_block_t quote, beacon_block_t brace)
{
    uint32_t        bits;
    beacon_block_t  block;
    const uint8_t  *last;

    last = end - BEACON_LINE_BLOCK - 8;

    for ( /* void */ ; p <= last; p += BEACON_LINE_BLOCK) {
        block = beacon_block(p);
        bits = beacon_block_bits(beacon_block_or(
                                     beacon_line_args_three(p, block, quote),
                                     beacon_block_equal(block, brace)));

        if (bits) {
            return p + __builtin_ctz(bits);
        }
    }

    return p;
}

/* The brace that ends "args", NULL: none does; p: behind the one that begins
   it. */
static inline BEACON_TARGET const uint8_t *
beacon_line_args_brace(const uint8_t *p, const uint8_t *end,
    beacon_block_t brace)
{
    do {
        p = beacon_line_either(p, end, brace, brace);

        if (p == end) {
            return NULL;
        }

    } while (!beacon_line_args_end(p++, end));

    return p - 1;
}

static inline BEACON_TARGET const uint8_t *
beacon_line_args(const uint8_t *p, const uint8_t *end, beacon_block_t quote,
    beacon_line_parts_t *parts)
{
    beacon_str_t   *str;
    beacon_block_t  brace;

    brace = beacon_block_of('}');

    if (p < end && *p == '}') {
        return p;
    }

    while (end - p >= (ptrdiff_t) sizeof("\"url\":\"\"}}") - 1) {
        p = beacon_line_args_next(p, end, quote, brace);

        if (*p == '}' && beacon_line_args_end(p, end)) {
            return p;
        }

        if (*p != '"' || (p[-1] != ',' && p[-1] != '{')) {
            p++;
            continue;
        }

        if (beacon_line_is(p, end, "\"url\":\"")) {
            str = &parts->arg_url;

        } else if (beacon_line_is(p, end, "\"ref\":\"")) {
            str = &parts->arg_ref;

        } else {
            p++;
            continue;
        }

        str->data = p + sizeof("\"url\":\"") - 1;
        p = beacon_line_string(str->data, end, quote);

        if (p == NULL) {
            return NULL;
        }

        str->len = (size_t) (p++ - str->data);

        if (parts->arg_url.data && parts->arg_ref.data) {
            break;
        }
    }

    return beacon_line_args_brace(p, end, brace);
}

/* Their last brace; NULL: they are broken.  p: behind the first. */
static inline BEACON_TARGET BEACON_LINE_HOT const uint8_t *
beacon_line_fields(const uint8_t *p, const uint8_t *end, beacon_block_t quote,
    beacon_line_parts_t *parts)
{
    beacon_str_t    skipped, *str;
    const uint8_t  *name;

    for ( /* void */ ; p < end && *p == '"'; p += 2) {
        name = p;

        if (beacon_line_is(name, end, "\"country\":\"")) {
            str = &parts->field_country;
            p = name + sizeof("\"country\":\"") - 1;

        } else if (beacon_line_is(name, end, "\"page\":\"")) {
            str = &parts->field_page;
            p = name + sizeof("\"page\":\"") - 1;

        } else if (beacon_line_is(name, end, "\"referrer\":\"")) {
            str = &parts->field_referrer;
            p = name + sizeof("\"referrer\":\"") - 1;

        } else {
            str = &skipped;
            p = beacon_line_string(name + 1, end, quote);

            if (p == NULL || !beacon_line_is(p, end, "\":\"")) {
                return NULL;
            }

            p += sizeof("\":\"") - 1;
        }

        str->data = p;
        p = beacon_line_string(p, end, quote);

        if (p == NULL || end - p < 2) {
            return NULL;
        }

        str->len = (size_t) (p - str->data);

        if (p[1] == '}') {
            return p + 1;
        }

        if (p[1] != ',') {
            return NULL;
        }
    }

    return NULL;
}

/* Their bracket; NULL: they are broken. */
static BEACON_TARGET const uint8_t *
beacon_line_flags(const uint8_t *p, const uint8_t *end, beacon_block_t quote)
{
    for ( /* void */ ; p < end && *p == '"'; p += 2) {
        p = beacon_line_string(p + 1, end, quote);

        if (p == NULL || end - p < 2) {
            return NULL;
        }

        if (p[1] == ']') {
            return p + 1;
        }

        if (p[1] != ',') {
            return NULL;
        }
    }

    return NULL;
}

/* What stands behind "args". */
static inline BEACON_TARGET beacon_rc_t
beacon_line_rest(const uint8_t *at, const uint8_t *end, beacon_block_t quote,
    beacon_line_parts_t *parts)
{
    const uint8_t  *p;

    beacon_line_may_last(at, end, "referer", &parts->referer);
    beacon_line_may_last(at, end, "user_agent", &parts->user_agent);

    if (beacon_line_is(at + 1, end, ",\"fields\":{")) {
        p = at + sizeof(",\"fields\":");
        at = beacon_line_fields(p + 1, end, quote, parts);

        if (at == NULL) {
            return BEACON_INVALID;
        }

        parts->fields.data = p;
        parts->fields.len = (size_t) (at + 1 - p);
    }

    if (beacon_line_is(at + 1, end, ",\"flags\":[")) {
        p = at + sizeof(",\"flags\":");
        at = beacon_line_flags(p + 1, end, quote);

        if (at == NULL) {
            return BEACON_INVALID;
        }

        parts->flags.data = p;
        parts->flags.len = (size_t) (at + 1 - p);
    }

    at++;

    return (end - at == 1 || beacon_line_is(at, end, ",\"")) && end[-1] == '}'
           ? BEACON_OK : BEACON_INVALID;
}

/* What may be found and need not. */
static inline BEACON_TARGET void
beacon_line_none(beacon_line_parts_t *parts)
{
    static const beacon_str_t  none;

    parts->ip = none;
    parts->ip_member = none;
    parts->flags = none;
    parts->fields = none;
    parts->arg_url = none;
    parts->arg_ref = none;
    parts->field_page = none;
    parts->field_referrer = none;
    parts->field_country = none;
}

BEACON_TARGET beacon_rc_t
BEACON_LINE_PARTS(beacon_str_t line, beacon_line_parts_t *parts)
{
    beacon_str_t    skipped;
    beacon_block_t  quote;
    const uint8_t  *at, *end, *args;

    end = line.data + line.len;

    if (line.len < BEACON_LINE_LEAST
        || memcmp(line.data, "{\"v\":1,\"id\":\"",
                  sizeof("{\"v\":1,\"id\":\"") - 1)
           != 0)
    {
        return BEACON_INVALID;
    }

    beacon_line_none(parts);

    quote = beacon_block_of('"');
    at = line.data + sizeof("{\"v\":") - 1;

    beacon_line_value(at, end, "id", &parts->id);
    beacon_line_must(at, end, "time", &parts->time);
    beacon_line_must(at, end, "edge", &parts->edge);
    beacon_line_must(at, end, "site", &parts->site);
    beacon_line_may(at, end, "visitor", &parts->visitor);

    if (beacon_line_is_near(at, end - 16, ",\"ip\":\"")) {
        parts->ip_member.data = at + sizeof(",");
        beacon_line_value(at, end, "ip", &parts->ip);
        parts->ip_member.len = (size_t) (at + 1 - parts->ip_member.data);
    }

    beacon_line_must(at, end, "method", &skipped);
    beacon_line_may(at, end, "host", &parts->host);
    beacon_line_must(at, end, "path", &skipped);

    if (!beacon_line_is(at + 1, end, ",\"args\":{")) {
        return BEACON_INVALID;
    }

    args = at + sizeof(",\"args\":");
    at = beacon_line_args(args + 1, end, quote, parts);

    if (at == NULL) {
        return BEACON_INVALID;
    }

    parts->args.data = args;
    parts->args.len = (size_t) (at + 1 - args);

    return beacon_line_rest(at, end, quote, parts);
}


/* ---- what is shown */

/* Behind an absolute URL's "://"; NULL: the text is none. */
static BEACON_TARGET __attribute__((noinline)) const uint8_t *
beacon_line_scheme_any(beacon_str_t text)
{
    uint8_t         c;
    const uint8_t  *p, *end;

    end = text.data + text.len;
    p = beacon_line_either(text.data, end, beacon_block_of(':'),
                           beacon_block_of('/'));

    if (end - p < 3 || memcmp(p, "://", 3) != 0 || p == text.data) {
        return NULL;
    }

    for (end = p, p = text.data; p < end; p++) {
        c = *p | 0x20;

        if (!(c >= 'a' && c <= 'z')
            && (p == text.data
                || !((*p >= '0' && *p <= '9') || *p == '+' || *p == '-'
                     || *p == '.')))
        {
            return NULL;
        }
    }

    return end + 3;
}

/* How long http:// or https:// is, if the text begins with it; or 0. */
static inline BEACON_TARGET size_t
beacon_line_http(beacon_str_t text)
{
    uint8_t   lower[8];
    uint64_t  word;

    if (text.len < 8) {
        return 0;
    }

    memcpy(&word, text.data, 8);
    word |= 0x2020202020202020ULL;
    memcpy(lower, &word, 8);

    return memcmp(lower, "https://", 8) == 0 ? 8
           : memcmp(lower, "http://", 7) == 0 ? 7 : 0;
}

static BEACON_TARGET __attribute__((noinline)) int
beacon_line_same_letters(const uint8_t *host, beacon_str_t own)
{
    size_t   i;
    uint8_t  a, b;

    for (i = 0; i < own.len; i++) {
        a = host[i];
        b = own.data[i];

        if (a != b
            && ((a ^ b) != 0x20 || (a | 0x20) < 'a' || (a | 0x20) > 'z'))
        {
            return 0;
        }
    }

    return 1;
}

/* A scheme's default port: scheme is how long it is, with "://". */
static BEACON_TARGET __attribute__((noinline)) int
beacon_line_is_port(const uint8_t *p, size_t len, size_t scheme)
{
    return (scheme == 8 && len == 4 && memcmp(p, ":443", 4) == 0)
           || (scheme == 7 && len == 3 && memcmp(p, ":80", 3) == 0);
}

static inline BEACON_TARGET int
beacon_line_same_host(const uint8_t *host, size_t len, beacon_str_t own,
    size_t scheme)
{
    if (len != own.len
        && (len - own.len != scheme - 4
            || !beacon_line_is_port(host + own.len, len - own.len, scheme)))
    {
        return 0;
    }

    return own.len != 0 && beacon_line_same_letters(host, own);
}

/* Where the parts of an absolute URL are: host, path, and where it is cut. */
static inline BEACON_TARGET void
beacon_line_split(const uint8_t *slash, const uint8_t *p, const uint8_t *path,
    const uint8_t *cut, beacon_str_t own, size_t scheme, beacon_str_t *host,
    beacon_str_t *place)
{
    if (path == p
        || beacon_line_same_host(p, (size_t) (path - p), own, scheme))
    {
        /* no path is "/", as stands before the host */

        place->data = (path == cut) ? slash : path;
        place->len = (path == cut) ? 1 : (size_t) (cut - path);
        return;
    }

    host->data = p;
    host->len = (size_t) (path - p);
    place->data = p;
    place->len = (size_t) (cut - p);
}

/* A page's, or a referrer's, place; returns where its text was cut. */
static BEACON_TARGET __attribute__((noinline)) const uint8_t *
beacon_line_place_any(beacon_str_t text, beacon_str_t own, beacon_str_t *host,
    beacon_str_t *place)
{
    size_t          scheme;
    const uint8_t  *p, *cut, *path, *start;

    cut = beacon_line_either(text.data, text.data + text.len,
                             beacon_block_of('?'), beacon_block_of('#'));
    scheme = beacon_line_http(text);
    start = scheme ? text.data + scheme : beacon_line_scheme_any(text);
    p = start;

    if (p == NULL || p > cut) {
        place->data = (cut > text.data) ? text.data : NULL;
        place->len = (size_t) (cut - text.data);
        return cut;
    }

    for ( ;; ) {
        path = beacon_line_either(p, text.data + text.len,
                                  beacon_block_of('/'), beacon_block_of('@'));

        if (path >= cut) {
            path = cut;
            break;
        }

        if (*path == '/') {
            break;
        }

        p = path + 1;           /* a name, and a password, before the host */
    }

    beacon_line_split(start - 1, p, path, cut, own, scheme, host, place);

    return cut;
}

/* Bit i: text i bytes on is '/'; '@'; or one that it is cut at. */
typedef struct {
    uint64_t  slash;
    uint64_t  at;
    uint64_t  cut;
} beacon_line_bits_t;

#define BEACON_LINE_BITS  64

static inline BEACON_TARGET BEACON_LINE_HOT void
beacon_line_bits_add(beacon_line_bits_t *bits, const uint8_t *p, size_t at)
{
    beacon_block_t  block, cut;

    block = beacon_block(p);
    cut = beacon_block_or(beacon_block_equal(block, beacon_block_of('?')),
                          beacon_block_equal(block, beacon_block_of('#')));
    bits->cut |= (uint64_t) beacon_block_bits(cut) << at;
    bits->slash |= (uint64_t) beacon_line_one(p, beacon_block_of('/')) << at;
    bits->at |= (uint64_t) beacon_line_one(p, beacon_block_of('@')) << at;
}

/* Of len bytes, at most BEACON_LINE_BITS; the last block ends with them. */
static inline BEACON_TARGET BEACON_LINE_HOT void
beacon_line_bits(beacon_line_bits_t *bits, const uint8_t *p, size_t len)
{
    size_t          i, less;
    const uint8_t  *last;

    bits->slash = 0;
    bits->at = 0;
    bits->cut = 0;
    last = p + len - BEACON_LINE_BLOCK;

    if (len < BEACON_LINE_BLOCK) {
        less = BEACON_LINE_BLOCK - len;
        beacon_line_bits_add(bits, last, 0);
        bits->slash >>= less;
        bits->at >>= less;
        bits->cut >>= less;
        return;
    }

    for (i = 0; i + BEACON_LINE_BLOCK < len; i += BEACON_LINE_BLOCK) {
        beacon_line_bits_add(bits, p + i, i);
    }

    beacon_line_bits_add(bits, last, len - BEACON_LINE_BLOCK);
}

/* As beacon_line_place_any(): what stands in front is looked through once. */
static inline BEACON_TARGET BEACON_LINE_HOT const uint8_t *
beacon_line_place(beacon_str_t text, beacon_str_t own, beacon_str_t *host,
    beacon_str_t *place)
{
    size_t               from, path, n;
    const uint8_t       *cut, *p;
    beacon_line_bits_t   bits;

    from = beacon_line_http(text);

    if (from == 0) {
        return beacon_line_place_any(text, own, host, place);
    }

    p = text.data;
    n = (text.len < BEACON_LINE_BITS) ? text.len : BEACON_LINE_BITS;
    beacon_line_bits(&bits, p, n);

    /* a path, or none and an end, and no name before the host */

    bits.slash = (bits.slash | bits.cut) >> from;
    path = bits.slash ? (size_t) __builtin_ctzll(bits.slash) + from : n;

    if (path == BEACON_LINE_BITS || (bits.at & ((1ULL << path) - 1))) {
        return beacon_line_place_any(text, own, host, place);
    }

    cut = bits.cut ? p + __builtin_ctzll(bits.cut)
                   : beacon_line_either(p + n, p + text.len,
                                        beacon_block_of('?'),
                                        beacon_block_of('#'));

    beacon_line_split(p + from - 1, p + from, p + path, cut, own, from, host,
                      place);

    return cut;
}

/* query: behind the '?'. */
static BEACON_TARGET __attribute__((noinline)) beacon_str_t
beacon_line_campaign(const uint8_t *query, const uint8_t *end)
{
    unsigned        i, best;
    beacon_str_t    found;
    const uint8_t  *p, *next;

    static const beacon_str_t  names[] = {
        { 13, (const uint8_t *) "utm_campaign=" },
        { 11, (const uint8_t *) "utm_source=" },
        { 11, (const uint8_t *) "utm_medium=" }
    };

    best = sizeof(names) / sizeof(names[0]);
    found = (beacon_str_t) { 0, NULL };

    for (p = query; p < end; p = next + 1) {
        next = beacon_line_either(p, end, beacon_block_of('&'),
                                  beacon_block_of('#'));

        for (i = 0; *p == 'u' && i < best; i++) {
            if ((size_t) (next - p) > names[i].len
                && memcmp(p, names[i].data, names[i].len) == 0)
            {
                found.data = p + names[i].len;
                found.len = (size_t) (next - found.data);
                best = i;
            }
        }

        if (next == end || *next == '#') {
            break;
        }
    }

    return found;
}

BEACON_TARGET void
BEACON_LINE_VIEW(const beacon_line_parts_t *parts, beacon_line_view_t *view)
{
    beacon_str_t    text;
    const uint8_t  *cut;

    view->page_host = (beacon_str_t) { 0, NULL };
    view->page = (beacon_str_t) { 0, NULL };
    view->referrer_host = (beacon_str_t) { 0, NULL };
    view->referrer = (beacon_str_t) { 0, NULL };
    view->campaign = (beacon_str_t) { 0, NULL };

    text = parts->field_page.len ? parts->field_page
           : parts->arg_url.len ? parts->arg_url : parts->referer;

    if (text.len) {
        cut = beacon_line_place(text, parts->host, &view->page_host,
                                &view->page);

        if (cut < text.data + text.len && *cut == '?') {
            view->campaign = beacon_line_campaign(cut + 1,
                                                  text.data + text.len);
        }
    }

    text = parts->field_referrer.len ? parts->field_referrer : parts->arg_ref;

    if (text.len) {
        (void) beacon_line_place(text, parts->host, &view->referrer_host,
                                 &view->referrer);
    }

    view->country = parts->field_country;
}
