/*
 * The filter.  On the path of a request: it allocates nothing, and where no
 * name begins like an argument's, only looks for the separators.
 */

#include "beacon_filter.h"
#include "beacon_query.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

    for (c = 0; c < 256; c++) {
        filter->first[c] = (nkeep > 0 || c == '%' || c == '+');

        for (i = 0; i < ndrop; i++) {
            filter->first[c] |= (drop[i].data[0]
                                 == beacon_filter_lower((uint8_t) c));
        }
    }

    filter->first['&'] = 0;     /* nothing stands between two of them */
}

static int
beacon_filter_find(const beacon_str_t *names, uint32_t n, const uint8_t *text,
    size_t len)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (names[i].len == len && memcmp(names[i].data, text, len) == 0) {
            return 1;
        }
    }

    return 0;
}

/* 1: what has this name is taken out. */
static int
beacon_filter_drops(const beacon_filter_t *filter, beacon_filter_name_t *name)
{
    size_t  i;

    if (filter->nkeep
        && !beacon_filter_find(filter->keep, filter->nkeep, name->text,
                               name->len))
    {
        return 1;
    }

    for (i = 0; i < name->len; i++) {
        name->text[i] = beacon_filter_lower(name->text[i]);
    }

    return beacon_filter_find(filter->drop, filter->ndrop, name->text,
                              name->len)
           || (name->stem < name->len
               && beacon_filter_find(filter->drop, filter->ndrop, name->text,
                                     name->stem));
}

/* The same for the sequence p .. end of a query. */
static int
beacon_filter_sequence(const beacon_filter_t *filter, const uint8_t *p,
    const uint8_t *end)
{
    uint8_t               c;
    beacon_filter_name_t  name;

    name.len = 0;
    name.stem = SIZE_MAX;

    while (p < end && *p != '=' && name.len <= filter->longest) {
        c = beacon_query_byte(p, end, &p);

        if (c == '[' && name.stem == SIZE_MAX) {
            name.stem = name.len;
        }

        name.text[name.len++] = c;
    }

    return beacon_filter_drops(filter, &name);
}

/* The first '&' in p .. end, or end. */
static const uint8_t *
beacon_filter_amp(const uint8_t *p, const uint8_t *end)
{
#if defined(__SSE2__)
    unsigned  mask;
    __m128i   amp;

    amp = _mm_set1_epi8('&');

    for ( /* void */ ; end - p >= 16; p += 16) {
        mask = (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(amp,
                                      _mm_loadu_si128((const __m128i *) p)));

        if (mask) {
            return p + __builtin_ctz(mask);
        }
    }
#endif

    while (p < end && *p != '&') {
        p++;
    }

    return p;
}

/* Where the next sequence stands that has to be looked at, p being where one
   begins; NULL: none. */
static const uint8_t *
beacon_filter_next(const beacon_filter_t *filter, const uint8_t *p,
    const uint8_t *end)
{
    while (p < end) {
        if (filter->first[*p]) {
            return p;
        }

        p = beacon_filter_amp(p, end);
        p += (p < end);
    }

    return NULL;
}

void
beacon_filter_query(const beacon_filter_t *filter, beacon_str_t query,
    uint8_t *dst, beacon_str_t *out)
{
    uint8_t        *to;
    const uint8_t  *p, *end, *run, *stop;

    *out = query;

    if (query.len == 0) {
        return;
    }

    /* run .. p is what stays and is not yet copied */
    run = query.data;
    end = run + query.len;
    to = dst;
    p = run;

    while ((p = beacon_filter_next(filter, p, end)) != NULL) {
        stop = beacon_filter_amp(p, end);

        if (!beacon_filter_sequence(filter, p, stop)) {
            p = stop + (stop < end);
            continue;
        }

        out->data = dst;
        memcpy(to, run, (size_t) (p - run));
        to += p - run;

        if (stop == end) {
            to -= (to > dst);       /* the '&' in front of the last one */
        }

        p = stop + (stop < end);
        run = p;
    }

    if (out->data == dst) {
        memcpy(to, run, (size_t) (end - run));
        out->len = (size_t) (to - dst) + (size_t) (end - run);
    }
}

void
beacon_filter_url(const beacon_filter_t *filter, beacon_str_t url,
    uint8_t *dst, beacon_str_t *out)
{
    size_t          head;
    beacon_str_t    query, left;
    const uint8_t  *p;

    *out = url;

    if (url.len == 0) {
        return;
    }

    p = memchr(url.data, '#', url.len);

    if (p) {
        out->len = (size_t) (p - url.data);
    }

    p = memchr(url.data, '?', out->len);

    if (p == NULL) {
        return;
    }

    head = (size_t) (p + 1 - url.data);
    query.data = p + 1;
    query.len = out->len - head;
    beacon_filter_query(filter, query, dst + head, &left);

    if (left.data == query.data) {
        return;
    }

    if (left.len == 0) {
        out->len = head - 1;        /* without the '?' */
        return;
    }

    memcpy(dst, url.data, head);
    out->data = dst;
    out->len = head + left.len;
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

beacon_rc_t
beacon_filter_json(const beacon_filter_t *filter, beacon_json_t *json,
    beacon_str_t text, uint8_t *dst, beacon_str_t *out)
{
    uint8_t        *to;
    beacon_rc_t     rc;
    const uint8_t  *p, *end, *run, *stop;

    rc = beacon_json_check(json, text);

    if (rc != BEACON_OK) {
        return rc;
    }

    for (p = text.data; *p == ' ' || *p == '\n' || *p == '\r' || *p == '\t';
         p++)
    {
        /* void */
    }

    if (*p != '{') {
        return BEACON_INVALID;
    }

    *out = text;
    run = text.data;
    end = run + text.len;
    to = dst;
    p++;

    do {
        stop = beacon_filter_member_end(p);

        if (beacon_filter_member(filter, p, stop)) {
            out->data = dst;
            memcpy(to, run, (size_t) (p - run));
            to += p - run;

            if (*stop == '}') {
                to -= (to[-1] == ',');
                run = stop;

            } else {
                run = stop + 1;
            }
        }

        p = stop + 1;
    } while (*stop == ',');

    if (out->data == dst) {
        memcpy(to, run, (size_t) (end - run));
        out->len = (size_t) (to - dst) + (size_t) (end - run);
    }

    return BEACON_OK;
}
