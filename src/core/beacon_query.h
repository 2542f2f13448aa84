/*
 * One byte of a query at a time, as application/x-www-form-urlencoded decodes
 * it; for those who look for a name without decoding the whole.
 */

#ifndef BEACON_QUERY_H
#define BEACON_QUERY_H

#include <stdint.h>

/* -1: no digit. */
static inline int
beacon_query_hex(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}

/* The byte at p, decoded; *next stands behind it.  p < end. */
static inline uint8_t
beacon_query_byte(const uint8_t *p, const uint8_t *end, const uint8_t **next)
{
    int  high, low;

    *next = p + 1;

    if (*p == '+') {
        return ' ';
    }

    if (*p == '%' && end - p >= 3) {
        high = beacon_query_hex(p[1]);
        low = beacon_query_hex(p[2]);

        if (high >= 0 && low >= 0) {
            *next = p + 3;
            return (uint8_t) (high << 4 | low);
        }
    }

    return *p;
}

#endif /* BEACON_QUERY_H */
