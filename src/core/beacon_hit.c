/*
 * A hit's payload, and one argument out of a query.  The worker's side of this
 * file is on the path of a request: it allocates nothing and touches each byte
 * once.
 */

#include "beacon_hit.h"
#include "beacon_query.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The longest "ip" a worker writes is a UNIX socket's path. */
#define BEACON_HIT_IP_MAX  255

size_t
beacon_hit_size(const beacon_hit_t *hit)
{
    size_t    size, n;
    uint32_t  i;

    n = BEACON_HIT_STRINGS + hit->nfields;
    size = sizeof(beacon_hit_head_t) + n * (sizeof(uint32_t) + 1);

#pragma GCC unroll 9
    for (i = 0; i < BEACON_HIT_STRINGS; i++) {
        size += hit->strings[i].len;
    }

    for (i = 0; i < hit->nfields; i++) {
        size += hit->fields[i].len;
    }

    return size;
}

/* memcpy() of what is short more often than not. */
static inline void
beacon_hit_copy(uint8_t *dst, const uint8_t *src, size_t len)
{
    uint64_t  first, last;
    uint32_t  begin, end;

    if (len > 16) {
        memcpy(dst, src, len);

    } else if (len >= 8) {
        memcpy(&first, src, 8);
        memcpy(&last, src + len - 8, 8);
        memcpy(dst, &first, 8);
        memcpy(dst + len - 8, &last, 8);

    } else if (len >= 4) {
        memcpy(&begin, src, 4);
        memcpy(&end, src + len - 4, 4);
        memcpy(dst, &begin, 4);
        memcpy(dst + len - 4, &end, 4);

    } else {
        for ( /* void */ ; len; len--) {
            *dst++ = *src++;
        }
    }
}

static inline uint8_t *
beacon_hit_put(const beacon_str_t *str, uint8_t **length, uint8_t *p)
{
    uint32_t  len;

    len = (uint32_t) str->len;
    memcpy(*length, &len, sizeof(len));
    *length += sizeof(len);

    beacon_hit_copy(p, str->data, len);
    p[len] = 0;

    return p + len + 1;
}

void
beacon_hit_write(const beacon_hit_t *hit, uint8_t *dst)
{
    uint8_t           *length, *p;
    uint32_t           i;
    beacon_hit_head_t  head;

    head.method = hit->method;
    head.body_kind = hit->body_kind;
    head.max_args = hit->max_args;
    head.nfields = (uint16_t) hit->nfields;
    head.reserved = 0;
    head.flags = hit->flags;
    memcpy(dst, &head, sizeof(head));

    length = dst + sizeof(head);
    p = length + (BEACON_HIT_STRINGS + hit->nfields) * sizeof(uint32_t);

#pragma GCC unroll 9
    for (i = 0; i < BEACON_HIT_STRINGS; i++) {
        p = beacon_hit_put(&hit->strings[i], &length, p);
    }

    for (i = 0; i < hit->nfields; i++) {
        p = beacon_hit_put(&hit->fields[i], &length, p);
    }
}

/* 0 unless every value in the head is one that a worker writes. */
static int
beacon_hit_head_valid(const beacon_hit_head_t *head)
{
    return head->method >= BEACON_METHOD_GET
           && head->method <= BEACON_METHOD_POST
           && head->body_kind <= BEACON_BODY_OTHER
           && head->nfields <= BEACON_FIELDS_MAX
           && head->reserved == 0;
}

/*
 * Takes over n lengths, and returns the bytes of their strings with their
 * NULs.  A length is loaded here and nowhere else: what is summed up and
 * checked is what is used, even if someone writes to it meanwhile.
 */
static inline uint64_t
beacon_hit_sum(beacon_str_t *str, size_t n, const uint8_t *lengths)
{
    size_t    i;
    uint32_t  len;
    uint64_t  sum;

#pragma GCC unroll 9
    for (sum = n, i = 0; i < n; i++) {
        memcpy(&len, lengths + i * sizeof(len), sizeof(len));
        str[i].len = len;
        sum += len;
    }

    return sum;
}

/* Points n strings at p and behind one another; each NUL is in *ends. */
static inline const uint8_t *
beacon_hit_take(beacon_str_t *str, size_t n, const uint8_t *p, unsigned *ends)
{
    size_t  i;

#pragma GCC unroll 9
    for (i = 0; i < n; i++) {
        str[i].data = p;
        p += str[i].len + 1;
        *ends |= p[-1];
    }

    return p;
}

beacon_rc_t
beacon_hit_parse(beacon_str_t payload, beacon_hit_t *hit)
{
    size_t             n;
    uint64_t           size;
    unsigned           ends;
    const uint8_t     *first, *rest, *p;
    beacon_hit_head_t  head;

    if (payload.len < sizeof(head)) {
        return BEACON_CORRUPT;
    }

    memcpy(&head, payload.data, sizeof(head));

    if (!beacon_hit_head_valid(&head)) {
        return BEACON_CORRUPT;
    }

    hit->method = head.method;
    hit->body_kind = head.body_kind;
    hit->max_args = head.max_args;
    hit->nfields = head.nfields;
    hit->flags = head.flags;

    n = BEACON_HIT_STRINGS + hit->nfields;
    size = sizeof(head) + n * sizeof(uint32_t);

    if (payload.len < size) {
        return BEACON_CORRUPT;
    }

    first = payload.data + sizeof(head);
    rest = first + BEACON_HIT_STRINGS * sizeof(uint32_t);
    size += beacon_hit_sum(hit->strings, BEACON_HIT_STRINGS, first)
            + beacon_hit_sum(hit->fields, hit->nfields, rest);

    if (payload.len != size) {
        return BEACON_CORRUPT;
    }

    /* so no string leaves the payload */
    ends = 0;
    p = beacon_hit_take(hit->strings, BEACON_HIT_STRINGS,
                        first + n * sizeof(uint32_t), &ends);
    (void) beacon_hit_take(hit->fields, hit->nfields, p, &ends);

    /* a site names files: nobody behind this point has to doubt it */
    if (ends != 0
        || hit->strings[BEACON_HIT_IP].len > BEACON_HIT_IP_MAX
        || !beacon_site_valid(hit->strings[BEACON_HIT_SITE].data,
                              hit->strings[BEACON_HIT_SITE].len))
    {
        return BEACON_CORRUPT;
    }

    return BEACON_OK;
}

/*
 * Behind the name and its '=' in the sequence at p, which a '&' or end ends;
 * NULL: another one.
 */
static const uint8_t *
beacon_query_match(const uint8_t *p, const uint8_t *end, beacon_str_t name)
{
    size_t   i;
    uint8_t  c;

    for (i = 0; i < name.len; i++) {
        if (p == end) {
            return NULL;
        }

        c = *p;

        if (c == name.data[i] && c > '=') {
            /* neither '=' nor '&', '%', '+' */
            p++;
            continue;
        }

        if (c == '=' || c == '&'
            || beacon_query_byte(p, end, &p) != name.data[i])
        {
            return NULL;
        }
    }

    if (p == end || *p == '&') {
        return name.len ? p : NULL;     /* nothing at all is no argument */
    }

    return (*p == '=') ? p + 1 : NULL;
}

#if defined(__SSE2__)

/* The first '%' or '+' in sixteen bytes; 16: none. */
static inline unsigned
beacon_query_plain(__m128i bytes)
{
    __m128i  escapes;

    escapes = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('%')),
                           _mm_cmpeq_epi8(bytes, _mm_set1_epi8('+')));

    return (unsigned) __builtin_ctz((unsigned) _mm_movemask_epi8(escapes)
                                    | 1U << 16);
}

#endif

/*
 * Decodes p .. end to dst, which has as many bytes as p .. limit; returns dst's
 * end.  What lies between end and limit is read, and written to, but not taken.
 */
static uint8_t *
beacon_query_unescape(const uint8_t *p, const uint8_t *end,
    const uint8_t *limit, uint8_t *dst)
{
#if defined(__SSE2__)
    unsigned  n;
    __m128i   bytes;

    while (limit - p >= 16) {
        bytes = _mm_loadu_si128((const __m128i *) p);
        _mm_storeu_si128((__m128i *) dst, bytes);
        n = beacon_query_plain(bytes);

        if (n >= (size_t) (end - p)) {
            return dst + (end - p);
        }

        p += n;
        dst += n;

        if (n < 16) {
            *dst++ = beacon_query_byte(p, end, &p);
        }
    }
#else
    (void) limit;
#endif

    while (p < end) {
        *dst++ = beacon_query_byte(p, end, &p);
    }

    return dst;
}

/* The first '&', '%' or '+' in p .. end, or end. */
static inline const uint8_t *
beacon_query_stop(const uint8_t *p, const uint8_t *end)
{
#if defined(__SSE2__)
    __m128i   bytes;
    unsigned  mask;

    for ( /* void */ ; end - p >= 16; p += 16) {
        bytes = _mm_loadu_si128((const __m128i *) p);
        mask = (unsigned) _mm_movemask_epi8(
                   _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('&')),
                       _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('%')),
                                    _mm_cmpeq_epi8(bytes,
                                                   _mm_set1_epi8('+')))));

        if (mask) {
            return p + (unsigned) __builtin_ctz(mask);
        }
    }
#endif

    while (p < end
           && (*p > '+' || (*p != '&' && *p != '%' && *p != '+')))
    {
        p++;
    }

    return p;
}

/* What is looked for, where, and where it goes. */
typedef struct {
    const uint8_t  *end;
    beacon_str_t    name;
    uint8_t        *buf;
    beacon_str_t   *value;
} beacon_query_search_t;

/* Is the sequence at p the one?  p may be the query's end. */
__attribute__((noinline))
static int
beacon_query_try(const beacon_query_search_t *search, const uint8_t *p)
{
    size_t          n;
    const uint8_t  *stop;

    p = beacon_query_match(p, search->end, search->name);

    if (p == NULL) {
        return 0;
    }

    stop = beacon_query_stop(p, search->end);
    n = (size_t) (stop - p);

    if (stop == search->end || *stop == '&') {
        search->value->data = p;
        search->value->len = n;
        return 1;
    }

    memcpy(search->buf, p, n);

    p = beacon_query_unescape(stop, beacon_query_amp(stop, search->end),
                              search->end, search->buf + n);
    search->value->data = search->buf;
    search->value->len = (size_t) (p - search->buf);

    return 1;
}

/*
 * May the name begin with this byte?  With its first one, c, or with what
 * stands for another: '%' and '+' are rare enough below '+' to say so of all.
 */
static inline int
beacon_query_may(uint8_t byte, uint8_t c)
{
    return byte == c || byte <= '+';
}

#if defined(__SSE2__)

/* Is one of the sequences that follow these '&' the one? */
static inline int
beacon_query_block(const beacon_query_search_t *search, uint8_t c,
    const uint8_t *p, uint32_t amps)
{
    unsigned  n;

    for ( /* void */ ; amps; amps &= amps - 1) {
        n = (unsigned) __builtin_ctz(amps) + 1;

        if (beacon_query_may(p[n], c) && beacon_query_try(search, p + n)) {
            return 1;
        }
    }

    return 0;
}

#endif

beacon_rc_t
beacon_query_arg(beacon_str_t query, beacon_str_t name, uint8_t *buf,
    beacon_str_t *value)
{
    size_t                 n;
    uint8_t                c;
    const uint8_t         *p, *end;
    beacon_query_search_t  search;

    if (query.len == 0) {
        return BEACON_AGAIN;
    }

    p = query.data;
    end = p + query.len;
    search.end = end;
    search.name = name;
    search.buf = buf;
    search.value = value;
    c = name.len ? name.data[0] : '=';

    if (beacon_query_may(*p, c) && beacon_query_try(&search, p)) {
        return BEACON_OK;
    }

#if defined(__SSE2__)
    for (n = (query.len - 1) / 32; n; n--, p += 32) {
        if (beacon_query_block(&search, c, p,
                               beacon_query_amps(p)
                               | beacon_query_amps(p + 16) << 16))
        {
            return BEACON_OK;
        }
    }

    if (end - p > 16) {
        if (beacon_query_block(&search, c, p, beacon_query_amps(p))) {
            return BEACON_OK;
        }

        p += 16;
    }
#endif

    for ( /* void */ ; p < end; p++) {
        if (*p == '&' && beacon_query_try(&search, p + 1)) {
            return BEACON_OK;
        }
    }

    return BEACON_AGAIN;
}
