/* What of a line's texts is kept, and the short form. */

#include "beacon_line.h"

#include <string.h>

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
        p = memchr(p, '\\', (size_t) (end - p));

        if (p == NULL) {
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
beacon_line_short_of(const beacon_str_t texts[BEACON_SHORT_TEXTS],
    uint8_t *dst)
{
    uint8_t  *p;

    p = beacon_line_text(dst, "{\"time\":\"");
    p = beacon_line_copy(p, texts[BEACON_SHORT_TIME]);

#define beacon_line_short_member(name, str)                                   \
    if ((str).len) {                                                          \
        p = beacon_line_text(p, "\",\"" name "\":\"");                        \
        p = beacon_line_copy(p, str);                                         \
    }

    beacon_line_short_member("visitor", texts[BEACON_SHORT_VISITOR]);
    beacon_line_short_member("page", texts[BEACON_SHORT_PAGE]);
    beacon_line_short_member("referrer", texts[BEACON_SHORT_REFERRER]);
    beacon_line_short_member("country", texts[BEACON_SHORT_COUNTRY]);

#undef beacon_line_short_member

    *p++ = '"';

    if (texts[BEACON_SHORT_FLAGS].len) {
        p = beacon_line_text(p, ",\"flags\":");
        p = beacon_line_copy(p, texts[BEACON_SHORT_FLAGS]);
    }

    *p++ = '}';

    return (size_t) (p - dst);
}

size_t
beacon_line_short_len(const beacon_str_t texts[BEACON_SHORT_TEXTS])
{
    size_t    len;
    unsigned  i;

    static const uint8_t  names[BEACON_SHORT_TEXTS] = {
        [BEACON_SHORT_TIME] = sizeof("{\"time\":\"") - 1,
        [BEACON_SHORT_VISITOR] = sizeof("\",\"visitor\":\"") - 1,
        [BEACON_SHORT_PAGE] = sizeof("\",\"page\":\"") - 1,
        [BEACON_SHORT_REFERRER] = sizeof("\",\"referrer\":\"") - 1,
        [BEACON_SHORT_COUNTRY] = sizeof("\",\"country\":\"") - 1,
        [BEACON_SHORT_FLAGS] = sizeof(",\"flags\":") - 1
    };

    len = names[BEACON_SHORT_TIME] + texts[BEACON_SHORT_TIME].len
          + sizeof("\"}") - 1;

    for (i = BEACON_SHORT_TIME + 1; i < BEACON_SHORT_TEXTS; i++) {
        if (texts[i].len) {
            len += names[i] + texts[i].len;
        }
    }

    return len;
}

size_t
beacon_line_short(const beacon_line_parts_t *parts,
    const beacon_line_view_t *view, beacon_str_t visitor, uint8_t *dst)
{
    beacon_str_t  texts[BEACON_SHORT_TEXTS];

    texts[BEACON_SHORT_TIME] = parts->time;
    texts[BEACON_SHORT_VISITOR] = visitor;
    texts[BEACON_SHORT_PAGE] = view->page;
    texts[BEACON_SHORT_REFERRER] = view->referrer;
    texts[BEACON_SHORT_COUNTRY] = view->country;
    texts[BEACON_SHORT_FLAGS] = parts->flags;

    return beacon_line_short_of(texts, dst);
}
