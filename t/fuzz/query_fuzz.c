/*
 * beacon_query_arg() against the plainest way to do it: every sequence decoded
 * whole.  Input: a length byte, a name of that length, a query.
 */

#include "beacon_hit.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
fuzz_digit(uint8_t c)
{
    static const char  digits[] = "0123456789abcdefABCDEF";

    const char  *p = c ? strchr(digits, c) : NULL;

    return p == NULL ? -1 : p - digits < 16 ? (int) (p - digits)
                                            : (int) (p - digits) - 6;
}

static size_t
fuzz_decode(const uint8_t *src, size_t len, uint8_t *dst)
{
    size_t  i, n;

    for (i = 0, n = 0; i < len; n++) {
        dst[n] = (src[i] == '+') ? ' ' : src[i];

        if (src[i] == '%' && i + 2 < len && fuzz_digit(src[i + 1]) >= 0
            && fuzz_digit(src[i + 2]) >= 0)
        {
            dst[n] = (uint8_t) (fuzz_digit(src[i + 1]) * 16
                                + fuzz_digit(src[i + 2]));
            i += 2;
        }

        i++;
    }

    return n;
}

/* The value's length, or -1. */
static long
fuzz_expect(const uint8_t *query, size_t len, const uint8_t *name,
    size_t name_len, uint8_t *value)
{
    long            found;
    size_t          n, key_len;
    uint8_t        *key;
    const uint8_t  *end, *amp, *equal;

    key = malloc(len + 1);
    end = query + len;
    found = -1;

    for ( /* void */ ; query < end && found < 0; query = amp + 1) {
        amp = memchr(query, '&', (size_t) (end - query));
        amp = amp ? amp : end;
        n = (size_t) (amp - query);
        equal = n ? memchr(query, '=', n) : NULL;
        key_len = fuzz_decode(query, equal ? (size_t) (equal - query) : n,
                              key);

        if (n && key_len == name_len && memcmp(key, name, key_len) == 0) {
            found = equal ? (long) fuzz_decode(equal + 1, (size_t) (amp - equal)
                                                          - 1, value) : 0;
        }
    }

    free(key);

    return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    long           expected;
    size_t         name_len, len;
    uint8_t       *query, *buf, *plain;
    beacon_rc_t    rc;
    beacon_str_t   value;

    if (size < 1 || (size_t) (data[0] & 15) + 1 > size) {
        return 0;
    }

    name_len = data[0] & 15;
    len = size - 1 - name_len;
    query = malloc(len ? len : 1);
    memcpy(query, data + 1 + name_len, len);
    buf = malloc(len ? len : 1);
    plain = malloc(len + 1);

    expected = fuzz_expect(query, len, data + 1, name_len, plain);
    rc = beacon_query_arg((beacon_str_t) { len, query },
                          (beacon_str_t) { name_len, data + 1 }, buf, &value);

    if ((rc == BEACON_OK) != (expected >= 0)
        || (rc == BEACON_OK
            && ((long) value.len != expected
                || memcmp(value.data, plain, value.len) != 0)))
    {
        abort();
    }

    free(plain);
    free(buf);
    free(query);

    return 0;
}
