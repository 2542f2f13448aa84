/*
 * A line's arguments by what they mean, and the hash of a visitor without a
 * name.
 */

#include "beacon_line.h"
#include "beacon_line_scan.h"
#include "beacon_siphash.h"

/* Four hex digits, or UINT32_MAX. */
static uint32_t
beacon_line_hex(const uint8_t *p, const uint8_t *end)
{
    int       i, c;
    uint32_t  code;

    if (end - p < 4) {
        return UINT32_MAX;
    }

    for (code = 0, i = 0; i < 4; i++) {
        c = p[i];

        if (c >= '0' && c <= '9') {
            c -= '0';

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            c = (c | 0x20) - 'a' + 10;

        } else {
            return UINT32_MAX;
        }

        code = code << 4 | (uint32_t) c;
    }

    return code;
}

static size_t
beacon_line_utf8(uint32_t code, uint8_t *bytes)
{
    if (code < 0x80) {
        bytes[0] = (uint8_t) code;
        return 1;
    }

    if (code < 0x800) {
        bytes[0] = (uint8_t) (0xc0 | code >> 6);
        bytes[1] = (uint8_t) (0x80 | (code & 0x3f));
        return 2;
    }

    if (code < 0x10000) {
        bytes[0] = (uint8_t) (0xe0 | code >> 12);
        bytes[1] = (uint8_t) (0x80 | (code >> 6 & 0x3f));
        bytes[2] = (uint8_t) (0x80 | (code & 0x3f));
        return 3;
    }

    bytes[0] = (uint8_t) (0xf0 | code >> 18);
    bytes[1] = (uint8_t) (0x80 | (code >> 12 & 0x3f));
    bytes[2] = (uint8_t) (0x80 | (code >> 6 & 0x3f));
    bytes[3] = (uint8_t) (0x80 | (code & 0x3f));

    return 4;
}

/* What the escape at *at (its backslash) stands for: bytes, and how many; 0:
   it is broken.  *at moves behind it. */
static size_t
beacon_line_unescape(const uint8_t **at, const uint8_t *end, uint8_t *bytes)
{
    uint32_t        code, low;
    const char     *found;
    const uint8_t  *p;

    static const char  from[] = "\"\\/bfnrt";
    static const char  to[] = "\"\\/\b\f\n\r\t";

    p = *at + 1;

    if (p == end) {
        return 0;
    }

    if (*p != 'u') {
        found = *p ? strchr(from, *p) : NULL;
        bytes[0] = found ? (uint8_t) to[found - from] : 0;
        *at = p + 1;
        return found != NULL;
    }

    code = beacon_line_hex(p + 1, end);

    if (code == UINT32_MAX) {
        return 0;
    }

    p += 5;

    if (code >= 0xd800 && code <= 0xdbff) {
        low = (end - p >= 2 && p[0] == '\\' && p[1] == 'u')
              ? beacon_line_hex(p + 2, end) : 0;

        if (low < 0xdc00 || low > 0xdfff) {
            return 0;
        }

        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }

    *at = p;

    return beacon_line_utf8(code, bytes);
}

/* Does this text in JSON mean these bytes? */
static int
beacon_line_means(const uint8_t *p, const uint8_t *end, beacon_str_t plain)
{
    size_t          n;
    uint8_t         bytes[4];
    const uint8_t  *q, *last;

    q = plain.data;
    last = q + plain.len;

    while (p < end && q < last) {
        if (*p != '\\') {
            if (*p++ != *q++) {
                return 0;
            }

            continue;
        }

        n = beacon_line_unescape(&p, end, bytes);

        if (n == 0 || n > (size_t) (last - q) || memcmp(q, bytes, n) != 0) {
            return 0;
        }

        q += n;
    }

    return p == end && q == last;
}

/* Members of "args"; p: at a quote.  *key, *value: 1 if they mean these. */
static int
beacon_line_args_are(beacon_str_t args, beacon_str_t name, beacon_str_t value,
    int *named)
{
    int             key;
    const uint8_t  *p, *q, *end;

    p = args.data + 1;
    end = args.data + args.len;

    while (p < end && *p == '"') {
        q = beacon_line_string(p + 1, end, beacon_block_of('\"'));

        if (q == NULL || end - q < 3 || q[1] != ':' || q[2] != '"') {
            return 0;
        }

        key = beacon_line_means(p + 1, q, name);
        p = q + 3;
        q = beacon_line_string(p, end, beacon_block_of('\"'));

        if (q == NULL) {
            return 0;
        }

        if (key) {
            *named = 1;
            return beacon_line_means(p, q, value);
        }

        p = q + 2;
    }

    return 0;
}

/* "repeated":{"k":["1","2"]}; p: behind its first brace. */
static int
beacon_line_repeated(const uint8_t *p, const uint8_t *end, beacon_str_t name,
    beacon_str_t value)
{
    int             key;
    const uint8_t  *q;

    for ( /* void */ ; p < end && *p == '"'; p += 2) {
        q = beacon_line_string(p + 1, end, beacon_block_of('\"'));

        if (q == NULL || end - q < 4 || memcmp(q, "\":[\"", 4) != 0) {
            return 0;
        }

        key = beacon_line_means(p + 1, q, name);

        for (p = q + 3; p < end && *p == '"'; p = q + 2) {
            q = beacon_line_string(p + 1, end, beacon_block_of('\"'));

            if (q == NULL || end - q < 2) {
                return 0;
            }

            if (key && beacon_line_means(p + 1, q, value)) {
                return 1;
            }

            if (q[1] != ',') {
                p = q + 1;
                break;
            }
        }

        /* at the bracket */

        if (key || end - p < 2 || p[1] != ',') {
            return 0;
        }
    }

    return 0;
}

int
beacon_line_arg_is(const beacon_line_parts_t *parts, beacon_str_t line,
    beacon_str_t name, beacon_str_t value)
{
    int             named;
    const uint8_t  *p, *end;

    static const char  repeated[] = ",\"repeated\":{";

    named = 0;

    if (beacon_line_args_are(parts->args, name, value, &named)) {
        return 1;
    }

    if (!named) {
        return 0;
    }

    /* it follows the last of what was found */

    p = parts->flags.data ? parts->flags.data + parts->flags.len
        : parts->fields.data ? parts->fields.data + parts->fields.len
        : parts->user_agent.data
          ? parts->user_agent.data + parts->user_agent.len + 1
        : parts->referer.data ? parts->referer.data + parts->referer.len + 1
        : parts->args.data + parts->args.len;
    end = line.data + line.len;

    return (size_t) (end - p) > sizeof(repeated)
           && memcmp(p, repeated, sizeof(repeated) - 1) == 0
           && beacon_line_repeated(p + sizeof(repeated) - 1, end, name, value);
}

void
beacon_line_visitor(const beacon_line_parts_t *parts, const uint8_t key[16],
    uint8_t dst[BEACON_VISITOR_HASH])
{
    int           i;
    uint64_t      hash;
    beacon_str_t  strings[3];

    strings[0] = parts->ip;
    strings[1] = beacon_string("\n");       /* never in a line's string */
    strings[2] = parts->user_agent;
    hash = beacon_siphash(key, strings, 3);

    for (i = 0; i < BEACON_VISITOR_HASH; i++) {
        dst[i] = (uint8_t) "0123456789abcdef"[hash >> 60];
        hash <<= 4;
    }
}
