/*
 * Where a line's parts stand: for each variant.
 *
 * A line's keys are in a known order, so it is hopped along from string to
 * string; "args", most of it, is looked through for what is wanted alone.  '/',
 * '?', '#', '&' and '=' never stand in a JSON escape, so that a text may be cut
 * there as it is.
 */

#include "beacon_line_scan.h"

/* A call of it costs a third of what it does. */
#define BEACON_LINE_HOT  __attribute__((always_inline))

/* No line is shorter. */
#define BEACON_LINE_LEAST  32

/* Does this text follow?  Its own length is known when it is compiled. */
#define beacon_line_is(p, end, text)                                          \
    ((size_t) ((end) - (p)) >= sizeof(text) - 1                               \
     && memcmp(p, text, sizeof(text) - 1) == 0)

/* As above, where 16 bytes are left: more than any key takes. */
#define beacon_line_is_near(p, last, text)                                    \
    ((p) <= (last) && memcmp((p) + 1, text, sizeof(text) - 1) == 0)

/*
 * A member that is a string; at: the last byte of the one before.  Without a
 * member that it must have, with which all that must follow has 16 bytes and
 * more, a line is INVALID.
 */
#define beacon_line_must(at, end, name, str)                                  \
    if (!beacon_line_is_near(at, (end) - 16, ",\"" name "\":\"")) {           \
        return BEACON_INVALID;                                                \
    }                                                                         \
                                                                              \
    beacon_line_value(at, end, name, str)

#define beacon_line_may(at, end, name, str)                                   \
    if (beacon_line_is_near(at, (end) - 16, ",\"" name "\":\"")) {            \
        beacon_line_value(at, end, name, str);                                \
                                                                              \
    } else {                                                                  \
        *(str) = (beacon_str_t) { 0, NULL };                                  \
    }

/* At a line's end. */
#define beacon_line_may_last(at, end, name, str)                              \
    if (beacon_line_is((at) + 1, end, ",\"" name "\":\"")) {                  \
        beacon_line_value(at, end, name, str);                                \
                                                                              \
    } else {                                                                  \
        *(str) = (beacon_str_t) { 0, NULL };                                  \
    }

#define beacon_line_value(at, end, name, str)                                 \
    (str)->data = (at) + sizeof(",\"" name "\":\"");                          \
    (at) = beacon_line_string((str)->data, end, quote);                       \
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
static inline BEACON_TARGET int
beacon_line_args_end(const uint8_t *p, const uint8_t *end)
{
    if (p[-1] != '"' || beacon_line_escaped(p - 1)) {
        return 0;
    }

    return end - p >= 4 && p[1] == ',' && p[2] == '"'
           ? p[3] >= 'a' && p[3] <= 'z'
           : end - p == 2 && p[1] == '}';
}

/* Quotes at 0, 4 and 6, known from the bits that the three have together: a
   space or a control character among them gives a false alarm. */
static inline BEACON_TARGET beacon_block_t
beacon_line_args_three(const uint8_t *p, beacon_block_t block,
    beacon_block_t quote)
{
    block = beacon_block_or(block, beacon_block(p + 4));
    block = beacon_block_or(block, beacon_block(p + 6));

    return beacon_block_equal(block, quote);
}

/* What may be "url":" or "ref":", or a closing brace, or near the end. */
static inline BEACON_TARGET const uint8_t *
beacon_line_args_next(const uint8_t *p, const uint8_t *end,
    beacon_block_t quote, beacon_block_t brace)
{
    uint32_t        bits;
    beacon_block_t  block;
    const uint8_t  *last;

    last = end - BEACON_LINE_BLOCK - 8;

    for ( /* void */ ; p <= last; p += BEACON_LINE_BLOCK) {
        block = beacon_block(p);
        bits = beacon_block_bits(beacon_block_or(
                                     beacon_line_args_three(p, block, quote),
                                     beacon_block_equal(block, brace)));

        if (bits) {
            return p + __builtin_ctz(bits);
        }
    }

    return p;
}

/* The brace that ends "args", NULL: none does; p: behind the one that begins
   it. */
static inline BEACON_TARGET const uint8_t *
beacon_line_args_brace(const uint8_t *p, const uint8_t *end,
    beacon_block_t brace)
{
    do {
        p = beacon_line_either(p, end, brace, brace);

        if (p == end) {
            return NULL;
        }

    } while (!beacon_line_args_end(p++, end));

    return p - 1;
}

static inline BEACON_TARGET const uint8_t *
beacon_line_args(const uint8_t *p, const uint8_t *end, beacon_block_t quote,
    beacon_line_parts_t *parts)
{
    beacon_str_t   *str;
    beacon_block_t  brace;

    brace = beacon_block_of('}');

    if (p < end && *p == '}') {
        return p;
    }

    while (end - p >= (ptrdiff_t) sizeof("\"url\":\"\"}}") - 1) {
        p = beacon_line_args_next(p, end, quote, brace);

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
        p = beacon_line_string(str->data, end, quote);

        if (p == NULL) {
            return NULL;
        }

        str->len = (size_t) (p++ - str->data);

        if (parts->arg_url.data && parts->arg_ref.data) {
            break;
        }
    }

    return beacon_line_args_brace(p, end, brace);
}

/* Their last brace; NULL: they are broken.  p: behind the first. */
static inline BEACON_TARGET BEACON_LINE_HOT const uint8_t *
beacon_line_fields(const uint8_t *p, const uint8_t *end, beacon_block_t quote,
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
            p = beacon_line_string(name + 1, end, quote);

            if (p == NULL || !beacon_line_is(p, end, "\":\"")) {
                return NULL;
            }

            p += sizeof("\":\"") - 1;
        }

        str->data = p;
        p = beacon_line_string(p, end, quote);

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
static BEACON_TARGET const uint8_t *
beacon_line_flags(const uint8_t *p, const uint8_t *end, beacon_block_t quote)
{
    for ( /* void */ ; p < end && *p == '"'; p += 2) {
        p = beacon_line_string(p + 1, end, quote);

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
static inline BEACON_TARGET beacon_rc_t
beacon_line_rest(const uint8_t *at, const uint8_t *end, beacon_block_t quote,
    beacon_line_parts_t *parts)
{
    const uint8_t  *p;

    beacon_line_may_last(at, end, "referer", &parts->referer);
    beacon_line_may_last(at, end, "user_agent", &parts->user_agent);

    if (beacon_line_is(at + 1, end, ",\"fields\":{")) {
        p = at + sizeof(",\"fields\":");
        at = beacon_line_fields(p + 1, end, quote, parts);

        if (at == NULL) {
            return BEACON_INVALID;
        }

        parts->fields.data = p;
        parts->fields.len = (size_t) (at + 1 - p);
    }

    if (beacon_line_is(at + 1, end, ",\"flags\":[")) {
        p = at + sizeof(",\"flags\":");
        at = beacon_line_flags(p + 1, end, quote);

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

/* What may be found and need not. */
static inline BEACON_TARGET void
beacon_line_none(beacon_line_parts_t *parts)
{
    static const beacon_str_t  none;

    parts->ip = none;
    parts->ip_member = none;
    parts->flags = none;
    parts->fields = none;
    parts->arg_url = none;
    parts->arg_ref = none;
    parts->field_page = none;
    parts->field_referrer = none;
    parts->field_country = none;
}

BEACON_TARGET beacon_rc_t
BEACON_LINE_PARTS(beacon_str_t line, beacon_line_parts_t *parts)
{
    beacon_str_t    skipped;
    beacon_block_t  quote;
    const uint8_t  *at, *end, *args;

    end = line.data + line.len;

    if (line.len < BEACON_LINE_LEAST
        || memcmp(line.data, "{\"v\":1,\"id\":\"",
                  sizeof("{\"v\":1,\"id\":\"") - 1)
           != 0)
    {
        return BEACON_INVALID;
    }

    beacon_line_none(parts);

    quote = beacon_block_of('"');
    at = line.data + sizeof("{\"v\":") - 1;

    beacon_line_value(at, end, "id", &parts->id);
    beacon_line_must(at, end, "time", &parts->time);
    beacon_line_must(at, end, "edge", &parts->edge);
    beacon_line_must(at, end, "site", &parts->site);
    beacon_line_may(at, end, "visitor", &parts->visitor);

    if (beacon_line_is_near(at, end - 16, ",\"ip\":\"")) {
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
    at = beacon_line_args(args + 1, end, quote, parts);

    if (at == NULL) {
        return BEACON_INVALID;
    }

    parts->args.data = args;
    parts->args.len = (size_t) (at + 1 - args);

    return beacon_line_rest(at, end, quote, parts);
}
