/*
 * URLs that a click may be sent to.
 */

#include "beacon_url.h"

#include <string.h>

#define BEACON_LABEL_MAX  63

static int
beacon_url_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static uint8_t
beacon_url_lower(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') ? c | 0x20 : c;
}

/* "http://" or "https://", in any case: its length; 0: neither. */
static size_t
beacon_url_scheme(beacon_str_t text)
{
    size_t  i;

    static const uint8_t  scheme[] = "http";

    for (i = 0; i < 4; i++) {
        if (i == text.len || beacon_url_lower(text.data[i]) != scheme[i]) {
            return 0;
        }
    }

    if (i < text.len && beacon_url_lower(text.data[i]) == 's') {
        i++;
    }

    if (text.len - i < 3 || memcmp(text.data + i, "://", 3) != 0) {
        return 0;
    }

    return i + 3;
}

/*
 * Not one of the labels that a browser may read as another one: punycode of
 * nothing but ASCII ("xn--shop-" is "shop" to some).
 */
static int
beacon_url_label_valid(const uint8_t *p, size_t len)
{
    size_t  i;

    if (len == 0 || len > BEACON_LABEL_MAX) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (!beacon_url_is_digit(p[i]) && !(p[i] >= 'a' && p[i] <= 'z')
            && p[i] != '-' && p[i] != '_')
        {
            return 0;
        }
    }

    return len < 4 || memcmp(p, "xn--", 4) != 0 || p[len - 1] != '-';
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

int
beacon_host_valid(const uint8_t *host, size_t len)
{
    const uint8_t  *p, *end, *dot;

    if (len == 0 || len > BEACON_HOST_MAX) {
        return 0;
    }

    end = host + len;

    for (p = host; /* void */ ; p = dot + 1) {
        dot = memchr(p, '.', (size_t) (end - p));

        if (!beacon_url_label_valid(p, (size_t) ((dot ? dot : end) - p))) {
            return 0;
        }

        if (dot == NULL) {
            break;
        }
    }

    return !beacon_url_label_number(p, (size_t) (end - p))
           || beacon_url_ipv4(host, end);
}

/*
 * Copies what stands behind the host.  NULL: a control byte or a backslash,
 * which some take for a slash.
 */
static uint8_t *
beacon_url_rest(const uint8_t *p, const uint8_t *end, uint8_t *dst)
{
    static const uint8_t  hex[] = "0123456789ABCDEF";

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

/* From the scheme's end to the first of '/', '?', '#', or the text's end. */
static const uint8_t *
beacon_url_authority_end(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p != '/' && *p != '?' && *p != '#') {
        p++;
    }

    return p;
}

beacon_rc_t
beacon_url_judge(beacon_str_t text, uint8_t *buf, beacon_url_t *url)
{
    size_t          n, i;
    uint8_t        *dst;
    const uint8_t  *p, *end, *last, *port;

    n = beacon_url_scheme(text);
    if (n == 0) {
        return BEACON_INVALID;
    }

    p = text.data + n;
    end = text.data + text.len;
    last = beacon_url_authority_end(p, end);

    for (i = 0, dst = buf; i < n; i++) {
        *dst++ = beacon_url_lower(text.data[i]);
    }

    url->host.data = dst;

    while (p < last && *p != ':') {
        *dst++ = beacon_url_lower(*p++);
    }

    port = p;

    if (dst > url->host.data && dst[-1] == '.') {
        dst--;
    }

    url->host.len = (size_t) (dst - url->host.data);

    if (!beacon_host_valid(url->host.data, url->host.len)
        || (port < last && (!beacon_url_decimal(port + 1, last, 65535)
                            || port[1] == '0')))
    {
        return BEACON_INVALID;
    }

    memcpy(dst, port, (size_t) (last - port));
    dst += last - port;

    if (last == end || *last != '/') {
        *dst++ = '/';
    }

    dst = beacon_url_rest(last, end, dst);
    if (dst == NULL) {
        return BEACON_INVALID;
    }

    url->url.data = buf;
    url->url.len = (size_t) (dst - buf);

    return BEACON_OK;
}
