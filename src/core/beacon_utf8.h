/*
 * UTF-8 as the WHATWG encoding standard decodes it: what may follow a lead
 * byte.  A sequence that ends too early is one U+FFFD, and the byte that ended
 * it is looked at again.
 */

#ifndef BEACON_UTF8_H
#define BEACON_UTF8_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t  need;              /* continuation bytes; 0: no lead byte */
    uint8_t  low;               /* the first of them is low .. low + span, */
    uint8_t  span;              /*   the others 0x80 .. 0xbf */
} beacon_utf8_t;

/* For a byte >= 0x80. */
static inline beacon_utf8_t
beacon_utf8_lead(uint8_t lead)
{
    beacon_utf8_t  utf8 = { 0, 0x80, 0x3f };

    if (lead >= 0xc2 && lead <= 0xdf) {
        utf8.need = 1;

    } else if (lead >= 0xe0 && lead <= 0xef) {
        utf8.need = 2;
        utf8.low = (lead == 0xe0) ? 0xa0 : 0x80;
        utf8.span = (lead == 0xe0 || lead == 0xed) ? 0x1f : 0x3f;

    } else if (lead >= 0xf0 && lead <= 0xf4) {
        utf8.need = 3;
        utf8.low = (lead == 0xf0) ? 0x90 : 0x80;
        utf8.span = (lead == 0xf0) ? 0x2f : (lead == 0xf4) ? 0x0f : 0x3f;
    }

    return utf8;
}

/* Behind the sequence that begins at p (*p >= 0x80); NULL: broken. */
static inline const uint8_t *
beacon_utf8_next(const uint8_t *p, const uint8_t *end)
{
    beacon_utf8_t  utf8;

    utf8 = beacon_utf8_lead(*p++);

    if (utf8.need == 0) {
        return NULL;
    }

    for ( /* void */ ; utf8.need; utf8.need--, p++) {
        if (p == end || *p < utf8.low || *p > utf8.low + utf8.span) {
            return NULL;
        }

        utf8.low = 0x80;
        utf8.span = 0x3f;
    }

    return p;
}

#endif /* BEACON_UTF8_H */
