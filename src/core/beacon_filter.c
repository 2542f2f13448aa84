/*
 * The filter.  On the path of a request: it allocates nothing, and where no
 * name begins like an argument's, only looks for the separators.
 */

#include "beacon_filter.h"
#include "beacon_query.h"

#include <string.h>

/* A name as it is once decoded; no more of it than the longest one wanted and
   a byte, which no name equals. */
typedef struct {
    size_t   len;
    size_t   stem;              /* up to the first '['; len: there is none */
    uint8_t  text[BEACON_FILTER_NAME_MAX + 1];
} beacon_filter_name_t;

static inline uint8_t
beacon_filter_lower(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') ? c | 0x20 : c;
}

void
beacon_filter_init(beacon_filter_t *filter, const beacon_str_t *drop,
    uint32_t ndrop, const beacon_str_t *keep, uint32_t nkeep)
{
    uint32_t  i;
    unsigned  c;

    memset(filter, 0, sizeof(*filter));
    filter->drop = drop;
    filter->ndrop = ndrop;
    filter->keep = keep;
    filter->nkeep = nkeep;

    for (i = 0; i < ndrop; i++) {
        filter->longest = (drop[i].len > filter->longest)
                          ? (uint32_t) drop[i].len : filter->longest;
    }

    for (i = 0; i < nkeep; i++) {
        filter->longest = (keep[i].len > filter->longest)
                          ? (uint32_t) keep[i].len : filter->longest;
    }

    filter->plain = (nkeep == 0);

    for (i = 0; i < ndrop; i++) {
        for (c = 0; c < drop[i].len; c++) {
            if (strchr("%+=&[", drop[i].data[c])) {     /* or NUL */
                filter->plain = 0;
            }
        }
    }

    for (c = 0; c < 256; c++) {
        filter->first[c] = (nkeep > 0 || c == '%' || c == '+');

        for (i = 0; i < ndrop; i++) {
            filter->first[c] |= (drop[i].data[0]
                                 == beacon_filter_lower((uint8_t) c));
        }
    }

    filter->first['&'] = 0;     /* nothing stands between two of them */
}

/* names in lower case; text in any, unless it is to be exact. */
static int
beacon_filter_find(const beacon_str_t *names, uint32_t n, const uint8_t *text,
    size_t len, int exact)
{
    size_t    k;
    uint8_t   c;
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (names[i].len != len) {
            continue;
        }

        for (k = 0; k < len; k++) {
            c = exact ? text[k] : beacon_filter_lower(text[k]);

            if (c != names[i].data[k]) {
                break;
            }
        }

        if (k == len) {
            return 1;
        }
    }

    return 0;
}

/* 1: what has this name is taken out. */
static int
beacon_filter_drops(const beacon_filter_t *filter,
    const beacon_filter_name_t *name)
{
    if (filter->nkeep
        && !beacon_filter_find(filter->keep, filter->nkeep, name->text,
                               name->len, 1))
    {
        return 1;
    }

    return beacon_filter_find(filter->drop, filter->ndrop, name->text,
                              name->len, 0)
           || (name->stem < name->len
               && beacon_filter_find(filter->drop, filter->ndrop, name->text,
                                     name->stem, 0));
}

/*
 * The same for the sequence at p of a query, if filter->plain.  -1: there is an
 * escape, so it has to be decoded.
 */
static int
beacon_filter_plain(const beacon_filter_t *filter, const uint8_t *p,
    const uint8_t *end)
{
    uint8_t              c;
    const uint8_t       *q, *n, *last;
    const beacon_str_t  *name, *names;

    c = beacon_filter_lower(*p);

    if (c == '%' || c == '+') {
        return -1;
    }

    names = filter->drop + filter->ndrop;

    for (name = filter->drop; name < names; name++) {
        n = name->data;

        if (*n++ != beacon_filter_lower(*p)) {
            continue;
        }

        last = name->data + name->len;

        for (q = p + 1; q < end && n < last; q++, n++) {
            if (*q != *n && beacon_filter_lower(*q) != *n) {
                break;
            }
        }

        c = (q < end) ? *q : '&';

        if (c == '%' || c == '+') {
            return -1;
        }

        if (n == last && (c == '=' || c == '&' || c == '[')) {
            return 1;
        }
    }

    return 0;
}

/* The same, decoded; an escape never holds a sequence's end. */
static int
beacon_filter_sequence(const beacon_filter_t *filter, const uint8_t *p,
    const uint8_t *end)
{
    uint8_t               c;
    size_t                n;
    beacon_filter_name_t  name;

    name.stem = SIZE_MAX;

    for (n = 0; p < end && n <= filter->longest; n++) {
        c = *p;

        if (c == '=' || c == '&') {
            break;
        }

        if (c == '%' || c == '+') {
            c = beacon_query_byte(p, end, &p);

        } else {
            p++;
        }

        if (c == '[' && name.stem == SIZE_MAX) {
            name.stem = n;
        }

        name.text[n] = c;
    }

    name.len = n;

    return beacon_filter_drops(filter, &name);
}

/* run .. is what stays and is not yet copied; to: where it will be. */
typedef struct {
    const beacon_filter_t  *filter;
    const uint8_t          *run;
    const uint8_t          *end;
    uint8_t                *to;
} beacon_filter_state_t;

/* Does the sequence that begins at p, if one does, have to go? */
static inline int
beacon_filter_goes(const beacon_filter_state_t *st, const uint8_t *p)
{
    int  drops;

    if (p == st->end || !st->filter->first[*p]) {
        return 0;
    }

    drops = st->filter->plain ? beacon_filter_plain(st->filter, p, st->end)
                              : -1;

    return (drops < 0) ? beacon_filter_sequence(st->filter, p, st->end)
                       : drops;
}

/* The next sequence that has to go, from the one at p on; NULL: none has. */
static const uint8_t *
beacon_filter_next(const beacon_filter_state_t *st, const uint8_t *p)
{
    if (beacon_filter_goes(st, p)) {
        return p;
    }

#if defined(__SSE2__)
    {
        uint32_t        mask;
        const uint8_t  *q;

        for ( /* void */ ; st->end - p >= 32; p += 32) {
            mask = beacon_query_amps(p) | beacon_query_amps(p + 16) << 16;

            for ( /* void */ ; mask; mask &= mask - 1) {
                q = p + (unsigned) __builtin_ctz(mask) + 1;

                if (beacon_filter_goes(st, q)) {
                    return q;
                }
            }
        }
    }
#endif

    for ( ;; ) {
        p = beacon_query_amp(p, st->end);

        if (p == st->end) {
            return NULL;
        }

        if (beacon_filter_goes(st, ++p)) {
            return p;
        }
    }
}

void
beacon_filter_query(const beacon_filter_t *filter, beacon_str_t query,
    uint8_t *dst, beacon_str_t *out)
{
    const uint8_t          *p, *stop;
    beacon_filter_state_t   st;

    *out = query;

    if (query.len == 0) {
        return;
    }

    p = query.data;
    st.filter = filter;
    st.run = p;
    st.end = p + query.len;
    st.to = dst;

    while ((p = beacon_filter_next(&st, p)) != NULL) {
        stop = beacon_query_amp(p, st.end);
        memcpy(st.to, st.run, (size_t) (p - st.run));
        st.to += p - st.run;
        out->data = dst;

        if (stop == st.end) {
            st.run = stop;
            st.to -= (st.to > dst);     /* the '&' in front of it */
            break;
        }

        st.run = p = stop + 1;
    }

    if (out->data == dst) {
        memcpy(st.to, st.run, (size_t) (st.end - st.run));
        out->len = (size_t) (st.to - dst) + (size_t) (st.end - st.run);
    }
}

int
beacon_filter_is_json(beacon_str_t text)
{
    uint8_t         c;
    const uint8_t  *p, *last;

    last = text.data + text.len;

    for (p = text.data; p < last; /* void */ ) {
        c = beacon_query_byte(p, last, &p);

        if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '[') {
            return c == '{';
        }
    }

    return 0;
}

#if defined(__SSE2__)

static inline int
beacon_filter_marks(const uint8_t *p)
{
    __m128i  bytes;

    bytes = _mm_loadu_si128((const __m128i *) p);

    return _mm_movemask_epi8(
               _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(';')),
                   _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('?')),
                                _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')))));
}

#endif

/* Is there a ';', '?' or '#'?  Most have none. */
static inline int
beacon_filter_marked(beacon_str_t url)
{
    const uint8_t  *p, *end;

    if (url.len == 0) {
        return 0;
    }

    p = url.data;
    end = p + url.len;

#if defined(__SSE2__)
    if (url.len >= 16) {
        for ( /* void */ ; p < end - 16; p += 16) {
            if (beacon_filter_marks(p)) {
                return 1;
            }
        }

        return beacon_filter_marks(end - 16) != 0;
    }
#endif

    for ( /* void */ ; p < end; p++) {
        if (*p <= '?' && (*p == ';' || *p == '?' || *p == '#')) {
            return 1;
        }
    }

    return 0;
}

/* Without a fragment. */
static void
beacon_filter_params(const beacon_filter_t *filter, beacon_str_t path,
    uint8_t *dst, beacon_str_t *out)
{
    uint8_t        *to;
    const uint8_t  *p, *run, *end, *stop;

    *out = path;
    p = path.len ? memchr(path.data, ';', path.len) : NULL;

    if (p == NULL) {
        return;
    }

    run = path.data;
    end = run + path.len;
    to = dst;

    for ( /* void */ ; p < end; p = stop) {
        stop = memchr(p + 1, ';', (size_t) (end - p - 1));
        stop = stop ? stop : end;

        if (stop - p > 1 && beacon_filter_sequence(filter, p + 1, stop)) {
            memcpy(to, run, (size_t) (p - run));
            to += p - run;
            run = stop;
            out->data = dst;
        }
    }

    if (out->data == dst) {
        memcpy(to, run, (size_t) (end - run));
        out->len = (size_t) (to - dst) + (size_t) (end - run);
    }
}

void
beacon_filter_path(const beacon_filter_t *filter, beacon_str_t path,
    uint8_t *dst, beacon_str_t *out)
{
    const uint8_t  *p;

    *out = path;

    if (!beacon_filter_marked(path)) {
        return;
    }

    p = memchr(path.data, '#', path.len);

    if (p) {
        path.len = (size_t) (p - path.data);
    }

    beacon_filter_params(filter, path, dst, out);
}

/* One that has some of these. */
static void
beacon_filter_address(const beacon_filter_t *filter, beacon_str_t url,
    uint8_t *dst, beacon_str_t *out)
{
    beacon_str_t    query, path, left;
    const uint8_t  *p;

    p = memchr(url.data, '#', url.len);

    if (p) {
        url.len = (size_t) (p - url.data);
    }

    p = url.len ? memchr(url.data, '?', url.len) : NULL;

    path.data = url.data;
    path.len = p ? (size_t) (p - url.data) : url.len;
    beacon_filter_params(filter, path, dst, out);

    if (p == NULL) {
        return;
    }

    query.data = p + 1;
    query.len = url.len - path.len - 1;

    if (beacon_filter_is_json(query)) {
        return;                     /* without it and its '?' */
    }

    beacon_filter_query(filter, query, dst + path.len + 1, &left);

    if (left.data == query.data && out->data == url.data) {
        out->len = url.len;
        return;
    }

    if (left.data != query.data && left.len == 0) {
        return;
    }

    if (out->data != dst) {
        memcpy(dst, url.data, out->len);
        out->data = dst;
    }

    dst[out->len] = '?';
    memmove(dst + out->len + 1, left.data, left.len);
    out->len += 1 + left.len;
}

void
beacon_filter_url(const beacon_filter_t *filter, beacon_str_t url,
    uint8_t *dst, beacon_str_t *out)
{
    *out = url;

    if (beacon_filter_marked(url)) {
        beacon_filter_address(filter, url, dst, out);
    }
}

/* As beacon_filter_sequence(), for a member of a JSON object that is valid; a
   place without one, in "{ }", is none. */
static int
beacon_filter_member(const beacon_filter_t *filter, const uint8_t *p,
    const uint8_t *end)
{
    int                   c;
    beacon_json_chars_t   chars;
    beacon_filter_name_t  name;

    p = memchr(p, '"', (size_t) (end - p));

    if (p == NULL) {
        return 0;
    }

    chars.p = p + 1;
    chars.more = 0;
    name.len = 0;
    name.stem = SIZE_MAX;

    while (name.len <= filter->longest
           && (c = beacon_json_char(&chars)) >= 0)
    {
        if (c == '[' && name.stem == SIZE_MAX) {
            name.stem = name.len;
        }

        name.text[name.len++] = (uint8_t) c;
    }

    return beacon_filter_drops(filter, &name);
}

/* The comma or brace that ends the member at p, in a valid object. */
static const uint8_t *
beacon_filter_member_end(const uint8_t *p)
{
    size_t  depth;

    for (depth = 0; /* void */ ; p++) {
        switch (*p) {

        case '"':
            for (p++; *p != '"'; p++) {
                p += (*p == '\\');
            }
            break;

        case '{':
        case '[':
            depth++;
            break;

        case ',':
            if (depth == 0) {
                return p;
            }
            break;

        case '}':
        case ']':
            if (depth-- == 0) {
                return p;
            }
            break;
        }
    }
}

static const uint8_t *
beacon_filter_space(const uint8_t *p)
{
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') {
        p++;
    }

    return p;
}

/* The members of the object at p; returns what is behind it. */
static const uint8_t *
beacon_filter_object(beacon_filter_state_t *st, const uint8_t *p)
{
    const uint8_t  *stop;

    p++;

    do {
        stop = beacon_filter_member_end(p);

        if (beacon_filter_member(st->filter, p, stop)) {
            memcpy(st->to, st->run, (size_t) (p - st->run));
            st->to += p - st->run;

            if (*stop == '}') {
                st->to -= (st->to[-1] == ',');
                st->run = stop;

            } else {
                st->run = stop + 1;
            }
        }

        p = stop + 1;
    } while (*stop == ',');

    return p;
}

/* The objects of the array at p.  INVALID: it holds something else, too. */
static beacon_rc_t
beacon_filter_array(beacon_filter_state_t *st, const uint8_t *p)
{
    p = beacon_filter_space(p + 1);

    if (*p == ']') {
        return BEACON_OK;
    }

    for ( ;; ) {
        if (*p != '{') {
            return BEACON_INVALID;
        }

        p = beacon_filter_space(beacon_filter_object(st, p));

        if (*p == ']') {
            return BEACON_OK;
        }

        p = beacon_filter_space(p + 1);
    }
}

beacon_rc_t
beacon_filter_json(const beacon_filter_t *filter, beacon_json_t *json,
    beacon_str_t text, uint8_t *dst, beacon_str_t *out)
{
    size_t                  n;
    beacon_rc_t             rc;
    const uint8_t          *p;
    beacon_filter_state_t   st;

    rc = beacon_json_check(json, text);

    if (rc != BEACON_OK) {
        return rc;
    }

    st.filter = filter;
    st.run = text.data;
    st.end = text.data + text.len;
    st.to = dst;

    p = beacon_filter_space(text.data);

    if (*p == '{') {
        (void) beacon_filter_object(&st, p);

    } else if (*p != '[' || beacon_filter_array(&st, p) != BEACON_OK) {
        return BEACON_INVALID;
    }

    *out = text;

    if (st.run != text.data) {
        n = (size_t) (st.end - st.run);
        memcpy(st.to, st.run, n);
        out->data = dst;
        out->len = (size_t) (st.to - dst) + n;
    }

    return BEACON_OK;
}
