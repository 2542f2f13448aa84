/*
 * What of a line is shown.  '/', '?', '#', '&' and '=' never stand in a JSON
 * escape, so that a text may be cut there as it is.
 */

#include "beacon_line.h"
#include "beacon_line_scan.h"

/* The default port of an absolute URL's scheme; *host: behind its "://", NULL:
   the text is none. */
static inline beacon_str_t
beacon_line_scheme(beacon_str_t text, const uint8_t **host)
{
    uint8_t         c, lower[8];
    uint64_t        word;
    const uint8_t  *p, *end;

    if (text.len >= 8) {
        memcpy(&word, text.data, 8);
        word |= 0x2020202020202020ULL;
        memcpy(lower, &word, 8);

        if (memcmp(lower, "https://", 8) == 0) {
            *host = text.data + 8;
            return beacon_string(":443");
        }

        if (memcmp(lower, "http://", 7) == 0) {
            *host = text.data + 7;
            return beacon_string(":80");
        }
    }

    *host = NULL;
    end = text.data + text.len;
    p = beacon_line_either(text.data, end, ':', '/');

    if (end - p < 3 || memcmp(p, "://", 3) != 0 || p == text.data) {
        return beacon_string("");
    }

    for (end = p, p = text.data; p < end; p++) {
        c = *p | 0x20;

        if (!(c >= 'a' && c <= 'z')
            && (p == text.data
                || !((*p >= '0' && *p <= '9') || *p == '+' || *p == '-'
                     || *p == '.')))
        {
            return beacon_string("");
        }
    }

    *host = end + 3;

    return beacon_string("");
}

static int
beacon_line_same_host(const uint8_t *host, size_t len, beacon_str_t own,
    beacon_str_t port)
{
    size_t   i;
    uint8_t  a, b;

    if (len != own.len
        && (len != own.len + port.len
            || memcmp(host + own.len, port.data, port.len) != 0))
    {
        return 0;
    }

    for (i = 0; i < own.len; i++) {
        a = host[i];
        b = own.data[i];

        if (a != b
            && ((a ^ b) != 0x20 || (a | 0x20) < 'a' || (a | 0x20) > 'z'))
        {
            return 0;
        }
    }

    return own.len != 0;
}

/* A page's, or a referrer's, place; returns where its text was cut. */
static inline const uint8_t *
beacon_line_place(beacon_str_t text, beacon_str_t own, beacon_str_t *host,
    beacon_str_t *place)
{
    beacon_str_t    port;
    const uint8_t  *p, *cut, *path;

    cut = beacon_line_either(text.data, text.data + text.len, '?', '#');
    port = beacon_line_scheme(text, &p);

    if (p == NULL || p > cut) {
        place->data = (cut > text.data) ? text.data : NULL;
        place->len = (size_t) (cut - text.data);
        return cut;
    }

    for ( ;; ) {
        path = beacon_line_either(p, text.data + text.len, '/', '@');

        if (path >= cut) {
            path = cut;
            break;
        }

        if (*path == '/') {
            break;
        }

        p = path + 1;           /* a name, and a password, before the host */
    }

    if (path == p || beacon_line_same_host(p, (size_t) (path - p), own, port))
    {
        *place = (path == cut) ? beacon_string("/")
                 : ((beacon_str_t) { (size_t) (cut - path), path });
        return cut;
    }

    host->data = p;
    host->len = (size_t) (path - p);
    place->data = p;
    place->len = (size_t) (cut - p);

    return cut;
}

/* query: behind the '?'. */
static beacon_str_t
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
        next = beacon_line_either(p, end, '&', '#');

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

void
beacon_line_view(const beacon_line_parts_t *parts, beacon_line_view_t *view)
{
    beacon_str_t    text;
    const uint8_t  *cut;

    memset(view, 0, sizeof(beacon_line_view_t));

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

    if (parts->field_country.len) {
        view->country = parts->field_country;
    }
}

/* Bytes of the escape at p, both halves of a surrogate pair in one. */
static inline size_t
beacon_line_escape_len(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 2 || p[1] != 'u') {
        return 2;
    }

    return end - p >= 12 && (p[2] | 0x20) == 'd' && p[6] == '\\'
           && (p[3] == '8' || p[3] == '9' || (p[3] | 0x20) == 'a'
               || (p[3] | 0x20) == 'b')
           ? 12 : 6;
}

size_t
beacon_line_cut(beacon_str_t text, size_t max)
{
    size_t          n;
    const uint8_t  *p, *end;

    if (text.len <= max) {
        return text.len;
    }

    p = text.data;
    end = p + max;

    for ( ;; ) {
        p = beacon_line_either(p, end, '\\', '\\');

        if (p == end) {
            break;
        }

        n = beacon_line_escape_len(p, text.data + text.len);

        if ((size_t) (end - p) < n) {
            return (size_t) (p - text.data);
        }

        p += n;
    }

    for (n = max; n && (text.data[n] & 0xc0) == 0x80; n--) { /* void */ }

    return n;
}

/* Up to 15 bytes too many are never written: the last 16 overlap. */
static inline uint8_t *
beacon_line_copy(uint8_t *dst, beacon_str_t str)
{
    size_t  i;

    if (str.len >= 16) {
        for (i = 0; i < str.len - 16; i += 16) {
            memcpy(dst + i, str.data + i, 16);
        }

        memcpy(dst + str.len - 16, str.data + str.len - 16, 16);

    } else if (str.len >= 8) {
        memcpy(dst, str.data, 8);
        memcpy(dst + str.len - 8, str.data + str.len - 8, 8);

    } else {
        for (i = 0; i < str.len; i++) {
            dst[i] = str.data[i];
        }
    }

    return dst + str.len;
}

#define beacon_line_text(dst, text)                                           \
    (memcpy(dst, text, sizeof(text) - 1), (dst) + sizeof(text) - 1)

size_t
beacon_line_short(const beacon_line_parts_t *parts,
    const beacon_line_view_t *view, beacon_str_t visitor, uint8_t *dst)
{
    uint8_t  *p;

    p = beacon_line_text(dst, "{\"time\":\"");
    p = beacon_line_copy(p, parts->time);

#define beacon_line_short_member(name, str)                                   \
    if ((str).len) {                                                          \
        p = beacon_line_text(p, "\",\"" name "\":\"");                        \
        p = beacon_line_copy(p, str);                                         \
    }

    beacon_line_short_member("visitor", visitor);
    beacon_line_short_member("page", view->page);
    beacon_line_short_member("referrer", view->referrer);
    beacon_line_short_member("country", view->country);

#undef beacon_line_short_member

    *p++ = '"';

    if (parts->flags.len) {
        p = beacon_line_text(p, ",\"flags\":");
        p = beacon_line_copy(p, parts->flags);
    }

    *p++ = '}';

    return (size_t) (p - dst);
}
