/*
 * Where a line's parts stand.  Its keys are in a known order, so it is hopped
 * along from string to string; "args", most of it, is looked through for what
 * is wanted alone.
 */

#include "beacon_line.h"
#include "beacon_line_scan.h"

const uint8_t *
beacon_line_string_far(const uint8_t *p, const uint8_t *end)
{
    uint32_t        bits;
    beacon_block_t  low, high;

    while (end - p >= 32) {
        low = beacon_block_is(beacon_block(p), '"');
        high = beacon_block_is(beacon_block(p + 16), '"');

        if (beacon_block_bits(beacon_block_or(low, high)) == 0) {
            p += 32;
            continue;
        }

        bits = beacon_block_bits(low) | beacon_block_bits(high) << 16;
        p += __builtin_ctz(bits);

        if (p[-1] != '\\' || !beacon_line_escaped(p)) {
            return p;
        }

        p++;
    }

    for ( /* void */ ; p < end; p++) {
        if (*p == '"' && !beacon_line_escaped(p)) {
            return p;
        }
    }

    return NULL;
}

/* Does this text follow?  Its own length is known when it is compiled. */
#define beacon_line_is(p, end, text)                                          \
    ((size_t) ((end) - (p)) >= sizeof(text) - 1                               \
     && memcmp(p, text, sizeof(text) - 1) == 0)

/*
 * A member that is a string, or was found: at is the last byte of the one
 * before.  MUST: INVALID without it; MAY: it is skipped.
 */
#define beacon_line_must(at, end, name, str)                                  \
    if (!beacon_line_is((at) + 1, end, ",\"" name "\":\"")) {                 \
        return BEACON_INVALID;                                                \
    }                                                                         \
                                                                              \
    beacon_line_value(at, end, name, str)

#define beacon_line_may(at, end, name, str)                                   \
    if (beacon_line_is((at) + 1, end, ",\"" name "\":\"")) {                  \
        beacon_line_value(at, end, name, str);                                \
    }

#define beacon_line_value(at, end, name, str)                                 \
    (str)->data = (at) + sizeof(",\"" name "\":\"");                          \
    (at) = beacon_line_string((str)->data, end);                              \
                                                                              \
    if ((at) == NULL) {                                                       \
        return BEACON_INVALID;                                                \
    }                                                                         \
                                                                              \
    (str)->len = (size_t) ((at) - (str)->data)

/*
 * The brace at p, is it the one of "args"?  It is behind a quote; where that
 * is a string's first one, a comma and a quote that follow are the string's
 * end, behind which no letter stands.
 */
static inline int
beacon_line_args_end(const uint8_t *p, const uint8_t *end)
{
    if (p[-1] != '"' || beacon_line_escaped(p - 1)) {
        return 0;
    }

    return end - p >= 4 && p[1] == ',' && p[2] == '"'
           ? p[3] >= 'a' && p[3] <= 'z'
           : end - p == 2 && p[1] == '}';
}

/*
 * What may be "url":" or "ref":", or a closing brace, or end - p < 32.  Quotes
 * at 0, 4 and 6 are known from the bits that the three have together: a space
 * or a control character among them gives a false alarm.
 */
static inline const uint8_t *
beacon_line_args_next(const uint8_t *p, const uint8_t *end)
{
    uint32_t        bits;
    beacon_block_t  block, three;

    for ( /* void */ ; end - p >= 32; p += 16) {
        block = beacon_block(p);
        three = beacon_block_or(block, beacon_block(p + 4));
        three = beacon_block_or(three, beacon_block(p + 6));
        bits = beacon_block_bits(beacon_block_or(
                                     beacon_block_is(three, '"'),
                                     beacon_block_is(block, '}')));

        if (bits) {
            return p + __builtin_ctz(bits);
        }
    }

    return p;
}

/* The brace that ends "args", NULL: none does; p: behind the one that begins
   it. */
static const uint8_t *
beacon_line_args_brace(const uint8_t *p, const uint8_t *end)
{
    uint32_t        bits;
    beacon_block_t  low, high;

    while (end - p >= 32) {
        low = beacon_block_is(beacon_block(p), '}');
        high = beacon_block_is(beacon_block(p + 16), '}');

        if (beacon_block_bits(beacon_block_or(low, high)) == 0) {
            p += 32;
            continue;
        }

        bits = beacon_block_bits(low) | beacon_block_bits(high) << 16;
        p += __builtin_ctz(bits);

        if (beacon_line_args_end(p, end)) {
            return p;
        }

        p++;
    }

    for ( /* void */ ; p < end; p++) {
        if (*p == '}' && beacon_line_args_end(p, end)) {
            return p;
        }
    }

    return NULL;
}

static const uint8_t *
beacon_line_args(const uint8_t *p, const uint8_t *end,
    beacon_line_parts_t *parts)
{
    beacon_str_t  *str;

    if (p < end && *p == '}') {
        return p;
    }

    while (end - p >= (ptrdiff_t) sizeof("\"url\":\"\"}}") - 1) {
        p = beacon_line_args_next(p, end);

        if (*p == '}' && beacon_line_args_end(p, end)) {
            return p;
        }

        if (*p != '"' || (p[-1] != ',' && p[-1] != '{')) {
            p++;
            continue;
        }

        if (beacon_line_is(p, end, "\"url\":\"")) {
            str = &parts->arg_url;

        } else if (beacon_line_is(p, end, "\"ref\":\"")) {
            str = &parts->arg_ref;

        } else {
            p++;
            continue;
        }

        str->data = p + sizeof("\"url\":\"") - 1;
        p = beacon_line_string(str->data, end);

        if (p == NULL) {
            return NULL;
        }

        str->len = (size_t) (p++ - str->data);

        if (parts->arg_url.data && parts->arg_ref.data) {
            break;
        }
    }

    return beacon_line_args_brace(p, end);
}

/* Their last brace; NULL: they are broken.  p: behind the first. */
static const uint8_t *
beacon_line_fields(const uint8_t *p, const uint8_t *end,
    beacon_line_parts_t *parts)
{
    beacon_str_t    skipped, *str;
    const uint8_t  *name;

    for ( /* void */ ; p < end && *p == '"'; p += 2) {
        name = p;

        if (beacon_line_is(name, end, "\"country\":\"")) {
            str = &parts->field_country;
            p = name + sizeof("\"country\":\"") - 1;

        } else if (beacon_line_is(name, end, "\"page\":\"")) {
            str = &parts->field_page;
            p = name + sizeof("\"page\":\"") - 1;

        } else if (beacon_line_is(name, end, "\"referrer\":\"")) {
            str = &parts->field_referrer;
            p = name + sizeof("\"referrer\":\"") - 1;

        } else {
            str = &skipped;
            p = beacon_line_string(name + 1, end);

            if (p == NULL || !beacon_line_is(p, end, "\":\"")) {
                return NULL;
            }

            p += sizeof("\":\"") - 1;
        }

        str->data = p;
        p = beacon_line_string(p, end);

        if (p == NULL || end - p < 2) {
            return NULL;
        }

        str->len = (size_t) (p - str->data);

        if (p[1] == '}') {
            return p + 1;
        }

        if (p[1] != ',') {
            return NULL;
        }
    }

    return NULL;
}

/* Their bracket; NULL: they are broken. */
static const uint8_t *
beacon_line_flags(const uint8_t *p, const uint8_t *end)
{
    for ( /* void */ ; p < end && *p == '"'; p += 2) {
        p = beacon_line_string(p + 1, end);

        if (p == NULL || end - p < 2) {
            return NULL;
        }

        if (p[1] == ']') {
            return p + 1;
        }

        if (p[1] != ',') {
            return NULL;
        }
    }

    return NULL;
}

/* What stands behind "args". */
static inline beacon_rc_t
beacon_line_rest(const uint8_t *at, const uint8_t *end,
    beacon_line_parts_t *parts)
{
    const uint8_t  *p;

    beacon_line_may(at, end, "referer", &parts->referer);
    beacon_line_may(at, end, "user_agent", &parts->user_agent);

    if (beacon_line_is(at + 1, end, ",\"fields\":{")) {
        p = at + sizeof(",\"fields\":");
        at = beacon_line_fields(p + 1, end, parts);

        if (at == NULL) {
            return BEACON_INVALID;
        }

        parts->fields.data = p;
        parts->fields.len = (size_t) (at + 1 - p);
    }

    if (beacon_line_is(at + 1, end, ",\"flags\":[")) {
        p = at + sizeof(",\"flags\":");
        at = beacon_line_flags(p + 1, end);

        if (at == NULL) {
            return BEACON_INVALID;
        }

        parts->flags.data = p;
        parts->flags.len = (size_t) (at + 1 - p);
    }

    at++;

    return (end - at == 1 || beacon_line_is(at, end, ",\"")) && end[-1] == '}'
           ? BEACON_OK : BEACON_INVALID;
}

beacon_rc_t
beacon_line_parts(beacon_str_t line, beacon_line_parts_t *parts)
{
    beacon_str_t    skipped;
    const uint8_t  *at, *end, *args;

    memset(parts, 0, sizeof(beacon_line_parts_t));

    end = line.data + line.len;

    if (!beacon_line_is(line.data, end, "{\"v\":1,\"id\":\"")) {
        return BEACON_INVALID;
    }

    at = line.data + sizeof("{\"v\":") - 1;

    beacon_line_value(at, end, "id", &parts->id);
    beacon_line_must(at, end, "time", &parts->time);
    beacon_line_must(at, end, "edge", &parts->edge);
    beacon_line_must(at, end, "site", &parts->site);
    beacon_line_may(at, end, "visitor", &parts->visitor);

    if (beacon_line_is(at + 1, end, ",\"ip\":\"")) {
        parts->ip_member.data = at + sizeof(",");
        beacon_line_value(at, end, "ip", &parts->ip);
        parts->ip_member.len = (size_t) (at + 1 - parts->ip_member.data);
    }

    beacon_line_must(at, end, "method", &skipped);
    beacon_line_may(at, end, "host", &parts->host);
    beacon_line_must(at, end, "path", &skipped);

    if (!beacon_line_is(at + 1, end, ",\"args\":{")) {
        return BEACON_INVALID;
    }

    args = at + sizeof(",\"args\":");
    at = beacon_line_args(args + 1, end, parts);

    if (at == NULL) {
        return BEACON_INVALID;
    }

    parts->args.data = args;
    parts->args.len = (size_t) (at + 1 - args);

    return beacon_line_rest(at, end, parts);
}
