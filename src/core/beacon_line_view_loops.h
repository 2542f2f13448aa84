/*
 * What of a line is shown: for each variant, behind beacon_line_loops.h.
 *
 * '/', '?', '#', '&' and '=' never stand in a JSON escape, so that a text may
 * be cut there as it is.
 */

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
    uint64_t  word, https, http, seven;

    if (text.len < 8) {
        return 0;
    }

    memcpy(&word, text.data, 8);
    memcpy(&https, "https://", 8);
    memcpy(&http, "http://", 8);
    memcpy(&seven, "\xff\xff\xff\xff\xff\xff\xff", 8);
    word |= 0x2020202020202020ULL;

    return word == https ? 8 : (word & seven) == http ? 7 : 0;
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
    size_t  more;

    more = len - own.len;

    if (more != 0 && (more - 3 > 1
                      || !beacon_line_is_port(host + own.len, more, scheme)))
    {
        return 0;
    }

    return own.len != 0 && beacon_line_same_letters(host, own);
}

/* A page or a referrer of a line: its host, unless that is the request's own,
   and its place, with the host before its path. */
typedef struct {
    beacon_line_text_t  host;
    beacon_line_text_t  place;
} beacon_line_place_t;

static inline BEACON_TARGET beacon_line_text_t
beacon_line_at(const uint8_t *line, const uint8_t *from, const uint8_t *to)
{
    return (beacon_line_text_t) { (uint32_t) (from - line),
                                  (uint32_t) (to - from) };
}

/* Where the parts of an absolute URL are: host, path, and where it is cut. */
static inline BEACON_TARGET BEACON_LINE_HOT beacon_line_place_t
beacon_line_split(const uint8_t *line, beacon_str_t own, const uint8_t *slash,
    const uint8_t *p, const uint8_t *path, const uint8_t *cut, size_t scheme)
{
    beacon_line_place_t  to;

    if (path == p
        || beacon_line_same_host(p, (size_t) (path - p), own, scheme))
    {
        /* no path is "/", as stands before the host */

        to.host = (beacon_line_text_t) { 0, 0 };
        to.place = (path == cut) ? beacon_line_at(line, slash, slash + 1)
                                 : beacon_line_at(line, path, cut);
        return to;
    }

    to.host = beacon_line_at(line, p, path);
    to.place = beacon_line_at(line, p, cut);

    return to;
}

static BEACON_TARGET __attribute__((noinline)) const uint8_t *
beacon_line_cut_any(beacon_str_t text)
{
    return beacon_line_either(text.data, text.data + text.len,
                              beacon_block_of('?'), beacon_block_of('#'));
}

static BEACON_TARGET __attribute__((noinline)) beacon_line_place_t
beacon_line_place_any(const uint8_t *line, beacon_str_t own, beacon_str_t text)
{
    size_t               scheme;
    const uint8_t       *p, *cut, *path, *start;
    beacon_line_place_t  to;

    cut = beacon_line_cut_any(text);
    scheme = beacon_line_http(text);
    start = scheme ? text.data + scheme : beacon_line_scheme_any(text);
    p = start;

    if (p == NULL || p > cut) {
        to.host = (beacon_line_text_t) { 0, 0 };
        to.place = beacon_line_at(line, text.data, cut);
        return to;
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

    return beacon_line_split(line, own, start - 1, p, path, cut, scheme);
}

/* Of so many bytes: bit i is byte i. */
#define BEACON_LINE_BITS  32

/* Where such a text is cut; and where its host may end, which is there, too,
   and at '/' and '@'. */
static inline BEACON_TARGET BEACON_LINE_HOT uint32_t
beacon_line_cuts(const uint8_t *p)
{
    size_t    i;
    uint32_t  bits;

    for (bits = 0, i = 0; i < BEACON_LINE_BITS; i += BEACON_LINE_BLOCK) {
        bits |= beacon_line_two(p + i, beacon_line_mark(BEACON_LINE_QUERY),
                                beacon_line_mark(BEACON_LINE_FRAGMENT)) << i;
    }

    return bits;
}

static inline BEACON_TARGET BEACON_LINE_HOT uint32_t
beacon_line_stops(const uint8_t *p)
{
    size_t    i;
    uint32_t  bits;

    for (bits = 0, i = 0; i < BEACON_LINE_BITS; i += BEACON_LINE_BLOCK) {
        bits |= beacon_line_two(p + i, beacon_line_mark(BEACON_LINE_PATH),
                                beacon_line_mark(BEACON_LINE_NAME)) << i;
    }

    return bits;
}

/* Of a text of so many bytes or more that is not cut in its first ones. */
static inline BEACON_TARGET BEACON_LINE_HOT const uint8_t *
beacon_line_cut_behind(beacon_str_t text)
{
    uint32_t        cuts;
    const uint8_t  *last;

    if (__builtin_expect(text.len > 2 * BEACON_LINE_BITS, 0)) {
        return beacon_line_cut_any(text);
    }

    last = text.data + text.len - BEACON_LINE_BITS;
    cuts = beacon_line_cuts(last);

    return cuts ? last + __builtin_ctz(cuts) : text.data + text.len;
}

/* As beacon_line_place_any(), and where the text is cut: of most texts a look
   at what stands in front tells. */
static inline BEACON_TARGET BEACON_LINE_HOT beacon_line_place_t
beacon_line_place(const uint8_t *line, beacon_str_t own, beacon_str_t text,
    const uint8_t **cut)
{
    size_t          from, less;
    uint32_t        cuts, stops;
    const uint8_t  *p, *path;

    p = text.data;
    from = beacon_line_http(text);

    if (__builtin_expect(from == 0, 0)) {
        *cut = beacon_line_cut_any(text);
        return beacon_line_place_any(line, own, text);
    }

    if (text.len >= BEACON_LINE_BITS) {
        cuts = beacon_line_cuts(p);
        stops = (cuts | beacon_line_stops(p)) >> from;
        *cut = cuts ? p + __builtin_ctz(cuts) : beacon_line_cut_behind(text);

    } else {
        less = BEACON_LINE_BITS - text.len;
        cuts = beacon_line_cuts(p - less);
        stops = (cuts | beacon_line_stops(p - less)) >> less >> from;
        cuts >>= less;
        *cut = p + (cuts ? (size_t) __builtin_ctz(cuts) : text.len);
    }

    /* a host that ends there, and no name before it */

    if (__builtin_expect(stops != 0, 1)) {
        p += from;
        path = p + __builtin_ctz(stops);

        if (__builtin_expect(*path != '@', 1)) {
            return beacon_line_split(line, own, p - 1, p, path, *cut, from);
        }
    }

    return beacon_line_place_any(line, own, text);
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
    found = (beacon_str_t) { 0, query };

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

/* Both of a line's, where "page" and "referrer" are what it says of them. */
static inline BEACON_TARGET BEACON_LINE_HOT void
beacon_line_places(const uint8_t *line, beacon_str_t own, beacon_str_t page,
    beacon_str_t referrer, beacon_line_shown_t *shown)
{
    beacon_str_t         campaign;
    const uint8_t       *cut, *end;
    beacon_line_place_t  to;

    static const beacon_line_place_t  none;

    to = none;
    shown->campaign = none.place;

    if (page.len) {
        end = page.data + page.len;
        to = beacon_line_place(line, own, page, &cut);

        if (cut < end && *cut == '?') {
            campaign = beacon_line_campaign(cut + 1, end);
            shown->campaign = beacon_line_at(line, campaign.data,
                                             campaign.data + campaign.len);
        }
    }

    shown->page_host = to.host;
    shown->texts[BEACON_SHORT_PAGE] = to.place;

    to = referrer.len ? beacon_line_place(line, own, referrer, &cut) : none;

    shown->referrer_host = to.host;
    shown->texts[BEACON_SHORT_REFERRER] = to.place;
}

BEACON_TARGET void
BEACON_LINE_SHOWN(const uint8_t *line, const beacon_line_t *known,
    beacon_line_shown_t *shown)
{
    beacon_line_text_t         host, page, referrer;
    const beacon_line_text_t  *texts;

    texts = known->texts;
    page = texts[BEACON_LINE_FIELD_PAGE].len ? texts[BEACON_LINE_FIELD_PAGE]
           : texts[BEACON_LINE_ARG_URL].len ? texts[BEACON_LINE_ARG_URL]
           : beacon_line_known_referer(known);
    referrer = texts[BEACON_LINE_FIELD_REFERRER].len
               ? texts[BEACON_LINE_FIELD_REFERRER]
               : texts[BEACON_LINE_ARG_REF];
    host = beacon_line_known_host(known);

    shown->ip = beacon_line_known_ip(known);
    shown->texts[BEACON_SHORT_TIME] = (beacon_line_text_t) {
        beacon_line_time(known), BEACON_LINE_TIME
    };
    shown->texts[BEACON_SHORT_VISITOR] = beacon_line_known_visitor(known);
    shown->texts[BEACON_SHORT_COUNTRY] = texts[BEACON_LINE_FIELD_COUNTRY];
    shown->texts[BEACON_SHORT_FLAGS] = beacon_line_known_flags(known);

    beacon_line_places(line, (beacon_str_t) { host.len, line + host.offset },
                       (beacon_str_t) { page.len, line + page.offset },
                       (beacon_str_t) { referrer.len, line + referrer.offset },
                       shown);
}

/* Of what beacon_line_places() says of the line that text is from. */
static inline BEACON_TARGET beacon_str_t
beacon_line_in(const uint8_t *line, beacon_line_text_t text)
{
    return (beacon_str_t) { text.len, text.len ? line + text.offset : NULL };
}

BEACON_TARGET void
BEACON_LINE_VIEW(const beacon_line_parts_t *parts, beacon_line_view_t *view)
{
    beacon_str_t          page, referrer;
    const uint8_t        *line;
    beacon_line_shown_t   shown;

    page = parts->field_page.len ? parts->field_page
           : parts->arg_url.len ? parts->arg_url : parts->referer;
    referrer = parts->field_referrer.len ? parts->field_referrer
                                         : parts->arg_ref;
    line = parts->time.data;

    beacon_line_places(line, parts->host, page, referrer, &shown);

    view->page_host = beacon_line_in(line, shown.page_host);
    view->page = beacon_line_in(line, shown.texts[BEACON_SHORT_PAGE]);
    view->referrer_host = beacon_line_in(line, shown.referrer_host);
    view->referrer = beacon_line_in(line, shown.texts[BEACON_SHORT_REFERRER]);
    view->campaign = beacon_line_in(line, shown.campaign);
    view->country = parts->field_country;
}
