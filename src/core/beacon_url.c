/*
 * URLs that a click may be sent to.
 */

#include "beacon_url.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BEACON_LABEL_MAX  63

/* Bytes of a host, in lower case; 0: what is none.  From 0x28 on. */
static const uint8_t  beacon_url_bytes[128 - 0x28] = {
      0,   0,   0,   0,   0, '-', '.',   0,
    '0', '1', '2', '3', '4', '5', '6', '7',
    '8', '9',   0,   0,   0,   0,   0,   0,
      0, 'a', 'b', 'c', 'd', 'e', 'f', 'g',
    'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w',
    'x', 'y', 'z',   0,   0,   0,   0, '_',
      0, 'a', 'b', 'c', 'd', 'e', 'f', 'g',
    'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w',
    'x', 'y', 'z',   0,   0,   0,   0,   0
};

static inline uint8_t
beacon_url_byte(uint8_t c)
{
    return (c >= 0x28 && c < 128) ? beacon_url_bytes[c - 0x28] : 0;
}

static int
beacon_url_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* "http://" or "https://", in any case: its length; 0: neither. */
static size_t
beacon_url_scheme(beacon_str_t text)
{
    size_t         n;
    unsigned char  name[5];

    if (text.len < sizeof("https://") - 1) {
        /* "http://" and no host */
        return 0;
    }

    memcpy(name, text.data, 5);

    for (n = 0; n < 5; n++) {
        name[n] |= 0x20;
    }

    if (memcmp(name, "http", 4) != 0) {
        return 0;
    }

    n = (name[4] == 's') ? 5 : 4;

    return (memcmp(text.data + n, "://", 3) == 0) ? n + 3 : 0;
}

/*
 * Not one of the labels that a browser may read as another one: punycode of
 * nothing but ASCII ("xn--shop-" is "shop" to some).
 */
static inline int
beacon_url_label_valid(const uint8_t *p, size_t len)
{
    return len != 0 && len <= BEACON_LABEL_MAX
           && (len < 4 || memcmp(p, "xn--", 4) != 0 || p[len - 1] != '-');
}

/* What browsers take for a number, and the whole host then for an address. */
static int
beacon_url_label_number(const uint8_t *p, size_t len)
{
    size_t  i;

    if (len >= 2 && p[0] == '0' && p[1] == 'x') {
        for (i = 2; i < len; i++) {
            if (!beacon_url_is_digit(p[i]) && !(p[i] >= 'a' && p[i] <= 'f')) {
                return 0;
            }
        }

        return 1;
    }

    for (i = 0; i < len; i++) {
        if (!beacon_url_is_digit(p[i])) {
            return 0;
        }
    }

    return 1;
}

/* Decimal, without a zero in front, at most max; p < end. */
static int
beacon_url_decimal(const uint8_t *p, const uint8_t *end, unsigned max)
{
    unsigned  n;

    if (p == end || end - p > 5 || (*p == '0' && end - p > 1)) {
        return 0;
    }

    for (n = 0; p < end; p++) {
        if (!beacon_url_is_digit(*p)) {
            return 0;
        }

        n = n * 10 + (*p - '0');
    }

    return n <= max;
}

static int
beacon_url_ipv4(const uint8_t *p, const uint8_t *end)
{
    int             parts;
    const uint8_t  *dot;

    for (parts = 1; /* void */ ; parts++) {
        dot = memchr(p, '.', (size_t) (end - p));

        if (!beacon_url_decimal(p, dot ? dot : end, 255)) {
            return 0;
        }

        if (dot == NULL) {
            return parts == 4;
        }

        p = dot + 1;
    }
}

/* Bytes are those of beacon_url_bytes[]; is it made of labels? */
static int
beacon_url_host_valid(const uint8_t *host, size_t len)
{
    const uint8_t  *p, *label, *end;

    if (len > BEACON_HOST_MAX) {
        return 0;
    }

    end = host + len;

    for (label = p = host; p < end; p++) {
        if (*p != '.') {
            continue;
        }

        if (!beacon_url_label_valid(label, (size_t) (p - label))) {
            return 0;
        }

        label = p + 1;
    }

    return beacon_url_label_valid(label, (size_t) (end - label))
           && (!beacon_url_label_number(label, (size_t) (end - label))
               || beacon_url_ipv4(host, end));
}

int
beacon_host_valid(const uint8_t *host, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (beacon_url_byte(host[i]) != host[i] || host[i] == 0) {
            return 0;
        }
    }

    return beacon_url_host_valid(host, len);
}

#if defined(__SSE2__)

/* Copies sixteen bytes; 0: not all of them may stay as they are. */
static inline int
beacon_url_block(const uint8_t *p, uint8_t *dst)
{
    __m128i  bytes, good;

    /* those beyond 0x7f are negative */
    bytes = _mm_loadu_si128((const __m128i *) p);
    good = _mm_andnot_si128(
               _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')),
               _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x20)),
                             _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x7f))));
    _mm_storeu_si128((__m128i *) dst, bytes);

    return _mm_movemask_epi8(good) == 0xffff;
}

#endif

/*
 * Copies what stands behind the host.  NULL: a control byte or a backslash,
 * which some take for a slash.
 */
static uint8_t *
beacon_url_rest(const uint8_t *p, const uint8_t *end, uint8_t *dst)
{
    static const uint8_t  hex[] = "0123456789ABCDEF";

#if defined(__SSE2__)
    if (end - p >= 16) {
        while (end - p >= 16 && beacon_url_block(p, dst)) {
            p += 16;
            dst += 16;
        }

        /* the last one may begin in the one before */
        if (end - p < 16 && beacon_url_block(end - 16, dst + (end - p) - 16)) {
            return dst + (end - p);
        }
    }
#endif

    for ( /* void */ ; p < end; p++) {

        if (*p < 0x20 || *p == 0x7f || *p == '\\') {
            return NULL;
        }

        if (*p > 0x20 && *p < 0x7f) {
            *dst++ = *p;
            continue;
        }

        *dst++ = '%';
        *dst++ = hex[*p >> 4];
        *dst++ = hex[*p & 0xf];
    }

    return dst;
}

/*
 * Copies what stands behind the colon at p, a port; returns where it ends.
 * NULL: it is none.
 */
static const uint8_t *
beacon_url_port(const uint8_t *p, const uint8_t *end, uint8_t **dst)
{
    const uint8_t  *start;

    start = p++;

    while (p < end && beacon_url_is_digit(*p)) {
        p++;
    }

    if (!beacon_url_decimal(start + 1, p, 65535) || start[1] == '0') {
        return NULL;
    }

    memcpy(*dst, start, (size_t) (p - start));
    *dst += p - start;

    return p;
}

beacon_rc_t
beacon_url_judge(beacon_str_t text, uint8_t *buf, beacon_url_t *url)
{
    size_t          n;
    uint8_t         c, *dst;
    const uint8_t  *p, *end;

    n = beacon_url_scheme(text);
    if (n == 0) {
        return BEACON_INVALID;
    }

    memcpy(buf, "https://", n);
    memcpy(buf + n - 3, "://", 3);

    p = text.data + n;
    end = text.data + text.len;
    dst = buf + n;
    url->host.data = dst;

    while (p < end && (c = beacon_url_byte(*p)) != 0) {
        *dst++ = c;
        p++;
    }

    if (dst > url->host.data && dst[-1] == '.') {
        dst--;
    }

    url->host.len = (size_t) (dst - url->host.data);

    if (!beacon_url_host_valid(url->host.data, url->host.len)) {
        return BEACON_INVALID;
    }

    if (p < end && *p == ':') {
        p = beacon_url_port(p, end, &dst);
    }

    if (p == NULL || (p < end && *p != '/' && *p != '?' && *p != '#')) {
        return BEACON_INVALID;
    }

    if (p == end || *p != '/') {
        *dst++ = '/';
    }

    dst = beacon_url_rest(p, end, dst);
    if (dst == NULL) {
        return BEACON_INVALID;
    }

    url->url.data = buf;
    url->url.len = (size_t) (dst - buf);

    return BEACON_OK;
}
