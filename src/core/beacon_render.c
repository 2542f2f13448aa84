/*
 * A record's line, member by member.  What loops over bytes is in
 * beacon_render_loops.h, compiled for each variant.
 */

#include "beacon_render_int.h"

#include <stdio.h>

/* All that stands around the values, numbers in their longest form, and the
   names that stand for lost ones: "field4294967295". */
#define BEACON_RENDER_FIXED  512
#define BEACON_RENDER_NAME   24

/* A byte of a string: \u0001.  Of a query or form: that twice, in "args" and
   in "repeated", and %01 in "query" or "body". */
#define BEACON_RENDER_BYTE  6
#define BEACON_RENDER_RAW   3

#define beacon_render_text(dst, text)                                         \
    (memcpy(dst, text, sizeof(text) - 1), (dst) + sizeof(text) - 1)

/* Sequences that len bytes can hold at most: "a&b". */
static inline uint64_t
beacon_render_sequences(uint64_t len)
{
    return len / 2 + 1;
}

static uint64_t
beacon_render_bound_query(uint64_t len)
{
    /* "":"",  in args;  "":["",""],  for every two in repeated */
    return (2 * BEACON_RENDER_BYTE + BEACON_RENDER_RAW) * len
           + (6 + 6) * beacon_render_sequences(len);
}

size_t
beacon_render_bound(const beacon_hit_t *hit, const beacon_schema_t *schema)
{
    uint64_t  bound, len;
    uint32_t  i;

    bound = BEACON_RENDER_FIXED;

    for (i = 0; i < BEACON_HIT_STRINGS; i++) {
        len = hit->strings[i].len;

        if (i == BEACON_HIT_QUERY
            || (i == BEACON_HIT_BODY && hit->body_kind == BEACON_BODY_FORM))
        {
            bound += beacon_render_bound_query(len);

        } else {
            bound += BEACON_RENDER_BYTE * len;
        }
    }

    for (i = 0; i < hit->nfields; i++) {
        bound += BEACON_RENDER_BYTE * (uint64_t) hit->fields[i].len
                 + sizeof("\"\":\"\",");
        bound += (schema && i < schema->nfields) ? schema->fields[i].len
                                                 : BEACON_RENDER_NAME;
    }

    for (i = 0; i < BEACON_FLAGS_MAX; i++) {
        bound += sizeof("\"\",");
        bound += (schema && i < schema->nflags) ? schema->flags[i].len
                                                : BEACON_RENDER_NAME;
    }

    bound += schema ? schema->edge.len : 0;

    return (bound < SIZE_MAX - 64) ? (size_t) bound : SIZE_MAX - 64;
}

/* n decimal digits. */
static inline uint8_t *
beacon_render_digits(uint8_t *dst, unsigned value, int n)
{
    int  i;

    for (i = n - 1; i >= 0; i--) {
        dst[i] = (uint8_t) ('0' + value % 10);
        value /= 10;
    }

    return dst + n;
}

/* "2026-11-21T22:56:01." of a UNIX second, into r->time: the Gregorian
   calendar, counted in eras of 400 years from 1 March of year 0. */
static void
beacon_render_second(beacon_render_t *r, uint64_t second)
{
    uint8_t   *dst;
    uint64_t   days;
    unsigned   era, day, year, month, rest;

    days = second / 86400 + 719468;
    rest = (unsigned) (second % 86400);
    era = (unsigned) (days / 146097);
    day = (unsigned) (days % 146097);
    year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;
    year += 400 * era + (month >= 10);
    month = (month >= 10) ? month - 9 : month + 3;

    dst = beacon_render_digits(r->time, year, 4);
    *dst++ = '-';
    dst = beacon_render_digits(dst, month, 2);
    *dst++ = '-';
    dst = beacon_render_digits(dst, day + 1, 2);
    *dst++ = 'T';
    dst = beacon_render_digits(dst, rest / 3600, 2);
    *dst++ = ':';
    dst = beacon_render_digits(dst, rest / 60 % 60, 2);
    *dst++ = ':';
    dst = beacon_render_digits(dst, rest % 60, 2);
    *dst = '.';

    r->second = second;
}

static inline uint8_t *
beacon_render_time(beacon_render_t *r, uint8_t *dst, uint64_t time_ns)
{
    if (time_ns / 1000000000 != r->second) {
        beacon_render_second(r, time_ns / 1000000000);
    }

    memcpy(dst, r->time, sizeof("2026-11-21T22:56:01.") - 1);
    dst += sizeof("2026-11-21T22:56:01.") - 1;
    dst = beacon_render_digits(dst, (unsigned) (time_ns / 1000000 % 1000), 3);
    *dst++ = 'Z';

    return dst;
}

uint8_t *
beacon_render_percent(beacon_render_t *r, uint8_t *dst,
    const beacon_str_t *str)
{
    uint32_t        entry;
    const uint8_t  *p, *end;

    p = str->data;
    end = p + str->len;

#define beacon_render_percent_byte()                                          \
    memcpy(&entry, r->percent[*p++], 4);                                      \
    memcpy(dst, &entry, 4);                                                   \
    dst += beacon_render_last(entry)

    while (end - p >= 8) {
        beacon_render_percent_byte();
        beacon_render_percent_byte();
        beacon_render_percent_byte();
        beacon_render_percent_byte();
        beacon_render_percent_byte();
        beacon_render_percent_byte();
        beacon_render_percent_byte();
        beacon_render_percent_byte();
    }

    while (p < end) {
        beacon_render_percent_byte();
    }

#undef beacon_render_percent_byte

    return dst;
}

/* Valid JSON is one line but for line breaks between tokens. */
static uint8_t *
beacon_render_data(uint8_t *dst, const beacon_str_t *str)
{
    size_t  i;

    for (i = 0; i < str->len; i++) {
        dst[i] = (str->data[i] == '\n' || str->data[i] == '\r')
                 ? ' ' : str->data[i];
    }

    return dst + str->len;
}

static int
beacon_render_utf8_valid(const beacon_str_t *str)
{
    const uint8_t  *p, *end;

    p = str->data;
    end = p + str->len;

    while (p && p < end) {
        p = (*p < 0x80) ? p + 1 : beacon_utf8_next(p, end);
    }

    return p != NULL;
}

/* A configured name, or "field3" where the schema does not say. */
static uint8_t *
beacon_render_name(uint8_t *dst, const beacon_str_t *names, uint32_t n,
    uint32_t i, const char *what)
{
    if (names && i < n) {
        memcpy(dst, names[i].data, names[i].len);
        return dst + names[i].len;
    }

    return dst + sprintf((char *) dst, "%s%u", what, i);
}

/* Where the values of a field stand that lines are looked through for. */
static inline void
beacon_render_field(beacon_line_t *line, const beacon_schema_t *schema,
    uint32_t i, uint32_t offset, size_t len)
{
    beacon_str_t         name;
    beacon_line_text_t  *text;

    if (schema == NULL || i >= schema->nfields) {
        return;
    }

    name = schema->fields[i];

    if (name.len == 7 && memcmp(name.data, "country", 7) == 0) {
        text = &line->texts[BEACON_LINE_FIELD_COUNTRY];

    } else if (name.len == 4 && memcmp(name.data, "page", 4) == 0) {
        text = &line->texts[BEACON_LINE_FIELD_PAGE];

    } else if (name.len == 8 && memcmp(name.data, "referrer", 8) == 0) {
        text = &line->texts[BEACON_LINE_FIELD_REFERRER];

    } else {
        return;
    }

    text->offset = offset;
    text->len = (uint32_t) len;
}

static uint8_t *
beacon_render_fields(beacon_render_t *r, const uint8_t *line, uint8_t *dst,
    const beacon_hit_t *hit, const beacon_schema_t *schema,
    beacon_line_t *known)
{
    uint8_t   *start, *value;
    uint32_t   i;

    start = dst;
    dst = beacon_render_text(dst, ",\"fields\":{");

    for (i = 0; i < hit->nfields; i++) {
        if (hit->fields[i].len == 0) {
            continue;
        }

        *dst++ = '"';
        dst = beacon_render_name(dst, schema ? schema->fields : NULL,
                                 schema ? schema->nfields : 0, i, "field");
        dst = beacon_render_text(dst, "\":\"");
        value = dst;
        dst = r->ops->string(r, dst, &hit->fields[i]);
        beacon_render_field(known, schema, i, (uint32_t) (value - line),
                            (size_t) (dst - value));
        dst = beacon_render_text(dst, "\",");
    }

    if (dst[-1] != ',') {
        return start;
    }

    dst[-1] = '}';

    return dst;
}

static uint8_t *
beacon_render_flags(uint8_t *dst, uint32_t flags,
    const beacon_schema_t *schema, unsigned own)
{
    uint32_t  i;

    if (flags == 0 && own == 0) {
        return dst;
    }

    dst = beacon_render_text(dst, ",\"flags\":[");

    for ( /* void */ ; flags; flags &= flags - 1) {
        i = (uint32_t) __builtin_ctz(flags);
        *dst++ = '"';
        dst = beacon_render_name(dst, schema ? schema->flags : NULL,
                                 schema ? schema->nflags : 0, i, "flag");
        dst = beacon_render_text(dst, "\",");
    }

    if (own & BEACON_FLAG_MALFORMED) {
        dst = beacon_render_text(dst, "\"malformed\",");
    }

    if (own & BEACON_FLAG_MACRO) {
        dst = beacon_render_text(dst, "\"macro\",");
    }

    dst[-1] = ']';

    return dst;
}

/* Where a body goes, and whether that loses bytes. */
typedef enum {
    BEACON_RENDER_NOTHING,
    BEACON_RENDER_DATA,
    BEACON_RENDER_BODY
} beacon_render_body_e;

static beacon_rc_t
beacon_render_body_kind(beacon_render_t *r, const beacon_hit_t *hit,
    beacon_render_body_e *kind)
{
    beacon_rc_t          rc;
    const beacon_str_t  *body;

    body = &hit->strings[BEACON_HIT_BODY];
    *kind = BEACON_RENDER_NOTHING;

    if (body->len == 0 || hit->body_kind == BEACON_BODY_FORM) {
        return BEACON_OK;
    }

    *kind = BEACON_RENDER_BODY;

    if (hit->body_kind == BEACON_BODY_DATA) {
        rc = beacon_json_check(&r->json, *body);

        if (rc == BEACON_OK) {
            *kind = BEACON_RENDER_DATA;
        }

        if (rc != BEACON_INVALID) {
            return rc;
        }
    }

    r->malformed |= !beacon_render_utf8_valid(body);

    return BEACON_OK;
}

/* Room for the arguments of query and form. */
static beacon_rc_t
beacon_render_prepare(beacon_render_t *r, const beacon_hit_t *hit)
{
    uint64_t  n;

    n = beacon_render_sequences(hit->strings[BEACON_HIT_QUERY].len);

    if (hit->body_kind == BEACON_BODY_FORM) {
        n += beacon_render_sequences(hit->strings[BEACON_HIT_BODY].len);
    }

    if (hit->max_args && n > hit->max_args) {
        n = hit->max_args;
    }

    r->left = (uint32_t) n;
    r->malformed = 0;
    r->nargs = 0;
    memset(r->named, 0, sizeof(r->named));
    r->nagain = 0;
    r->nkept = 0;
    r->rare = 0;
    r->bulk.used = 0;
    r->hashed = 0;
    r->failed = 0;

    if (n <= BEACON_TAGS) {
        return BEACON_OK;
    }

    return beacon_args_reserve(r, (size_t) n) ? BEACON_OK : BEACON_SYS;
}

/* As beacon_id_format(), which is asked once for each lane in turn. */
static inline uint8_t *
beacon_render_id(beacon_render_t *r, uint8_t *dst, uint64_t epoch,
    uint32_t lane, uint64_t offset)
{
    unsigned               i, digits;
    beacon_render_lane_t  *known;

    known = &r->lanes[lane % BEACON_RENDER_LANES];

    if (epoch != known->epoch || lane != known->lane || known->len == 0) {
        known->len = (uint32_t) beacon_id_format(known->text, epoch, lane, 0)
                     - 1;
        known->epoch = epoch;
        known->lane = lane;
    }

    memcpy(dst, known->text, sizeof(known->text));
    dst += known->len;

    digits = offset ? (unsigned) (67 - __builtin_clzll(offset)) / 4 : 1;
    offset <<= 64 - 4 * digits;

    for (i = 0; i < digits; i += 2) {
        memcpy(dst + i, r->digits[offset >> 56], 2);
        offset <<= 8;
    }

    return dst + digits;
}

/* Up to and with "time" and "edge". */
static uint8_t *
beacon_render_head(beacon_render_t *r, const beacon_record_t *record,
    const beacon_schema_t *schema, uint64_t epoch, uint32_t lane,
    uint8_t *dst, beacon_line_t *line)
{
    uint8_t  *id;

    id = beacon_render_text(dst, "{\"v\":1,\"id\":\"");
    dst = beacon_render_id(r, id, epoch, lane, record->offset);
    line->id_len = (uint16_t) (dst - id);
    dst = beacon_render_text(dst, "\",\"time\":\"");
    dst = beacon_render_time(r, dst, record->time_ns);
    dst = beacon_render_text(dst, "\",\"edge\":\"");

    if (schema) {
        memcpy(dst, schema->edge.data, schema->edge.len);
        dst += schema->edge.len;
    }

    return beacon_render_text(dst, "\",\"site\":\"");
}

/* A member that is left out when it is empty; the comma is behind it. */
#define beacon_render_string(r, dst, name, str)                               \
    if ((str)->len) {                                                         \
        dst = beacon_render_text(dst, "\"" name "\":\"");                     \
        dst = r->ops->string(r, dst, str);                                    \
        dst = beacon_render_text(dst, "\",");                                 \
    }

/* From "site" to "path". */
static uint8_t *
beacon_render_request(beacon_render_t *r, const beacon_hit_t *hit,
    const uint8_t *start, uint8_t *dst, beacon_line_t *line)
{
    uint8_t             *p;
    const beacon_str_t  *str;

    str = hit->strings;
    line->site_offset = (uint32_t) (dst - start);
    p = dst;
    dst = r->ops->string(r, dst, &str[BEACON_HIT_SITE]);
    line->site_len = (uint16_t) (dst - p);
    dst = beacon_render_text(dst, "\",");

    beacon_render_string(r, dst, "visitor", &str[BEACON_HIT_VISITOR]);

    p = dst;
    beacon_render_string(r, dst, "ip", &str[BEACON_HIT_IP]);
    line->ip_offset = (uint32_t) (p - start);
    line->ip_len = (uint16_t) (dst - p);

    switch (hit->method) {
    case BEACON_METHOD_GET:
        dst = beacon_render_text(dst, "\"method\":\"GET\",");
        break;
    case BEACON_METHOD_HEAD:
        dst = beacon_render_text(dst, "\"method\":\"HEAD\",");
        break;
    default:
        dst = beacon_render_text(dst, "\"method\":\"POST\",");
    }

    line->host_offset = (uint32_t) (dst - start);
    beacon_render_string(r, dst, "host", &str[BEACON_HIT_HOST]);
    line->path_offset = (uint32_t) (dst - start);

    dst = beacon_render_text(dst, "\"path\":\"");
    dst = r->ops->string(r, dst, &str[BEACON_HIT_PATH]);

    return beacon_render_text(dst, "\",\"args\":{");
}

/* Which of the two loses bytes, and carries them raw. */
enum {
    BEACON_LOST_QUERY = 1 << 0,
    BEACON_LOST_FORM = 1 << 1
};

/* The value of an argument that lines are looked through for. */
static inline beacon_line_text_t
beacon_render_named(const beacon_render_t *r, const uint8_t *start,
    beacon_named_e name)
{
    const beacon_arg_t  *arg;

    if (r->named[name] == 0) {
        return (beacon_line_text_t) { 0, 0 };
    }

    arg = &r->args[r->named[name] - 1];

    return (beacon_line_text_t) { (uint32_t) (arg->value - start),
                                  arg->value_len };
}

/* Query, then form. */
static uint8_t *
beacon_render_args(beacon_render_t *r, const beacon_hit_t *hit, uint8_t *dst,
    unsigned *lost)
{
    uint32_t  before;

    before = r->malformed;
    r->malformed = 0;
    dst = r->ops->args(r, dst, &hit->strings[BEACON_HIT_QUERY]);
    *lost = r->malformed ? BEACON_LOST_QUERY : 0;

    if (hit->body_kind == BEACON_BODY_FORM) {
        r->malformed = 0;
        dst = r->ops->args(r, dst, &hit->strings[BEACON_HIT_BODY]);
        *lost |= r->malformed ? BEACON_LOST_FORM : 0;
    }

    r->malformed = before | *lost;
    dst -= (dst[-1] == ',');
    *dst++ = '}';

    return dst;
}

static int
beacon_render_macro(const beacon_render_t *r, const uint8_t *text, size_t len)
{
    return r->ops->macro(text, len < BEACON_MACRO_LEN ? len : BEACON_MACRO_LEN);
}

/* args: that member's text behind its opening brace. */
static unsigned
beacon_render_own_flags(beacon_render_t *r, const beacon_hit_t *hit,
    const uint8_t *args, size_t len, unsigned lost)
{
    unsigned             own;
    const beacon_str_t  *query, *body;

    query = &hit->strings[BEACON_HIT_QUERY];
    body = &hit->strings[BEACON_HIT_BODY];
    own = r->malformed ? BEACON_FLAG_MALFORMED : 0;

    if (beacon_render_macro(r, args, len)
        || (r->nkept && beacon_render_macro(r, r->kept, r->nkept))
        || ((lost & BEACON_LOST_QUERY)
            && beacon_render_macro(r, query->data, query->len))
        || ((lost & BEACON_LOST_FORM)
            && beacon_render_macro(r, body->data, body->len)))
    {
        own |= BEACON_FLAG_MACRO;
    }

    return own;
}

/* "repeated" and what follows it. */
static uint8_t *
beacon_render_tail(beacon_render_t *r, const beacon_hit_t *hit, uint8_t *dst,
    beacon_render_body_e kind, unsigned lost)
{
    const beacon_str_t  *body;

    body = &hit->strings[BEACON_HIT_BODY];

    if (r->nagain) {
        dst = beacon_args_repeated(r, dst);
    }

    if (lost & BEACON_LOST_QUERY) {
        dst = beacon_render_text(dst, ",\"query\":\"");
        dst = r->ops->percent(r, dst, &hit->strings[BEACON_HIT_QUERY]);
        *dst++ = '"';
    }

    if (lost & BEACON_LOST_FORM) {
        dst = beacon_render_text(dst, ",\"body\":\"");
        dst = r->ops->percent(r, dst, body);
        *dst++ = '"';
    }

    if (kind == BEACON_RENDER_DATA) {
        dst = beacon_render_text(dst, ",\"data\":");
        dst = beacon_render_data(dst, body);

    } else if (kind == BEACON_RENDER_BODY) {
        dst = beacon_render_text(dst, ",\"body\":\"");
        dst = r->ops->string(r, dst, body);
        *dst++ = '"';
    }

    return beacon_render_text(dst, "}\n");
}

unsigned
beacon_render(beacon_render_t *r, const beacon_record_t *record,
    const beacon_hit_t *hit, const beacon_schema_t *schema, uint64_t epoch,
    uint32_t lane, uint8_t *dst, beacon_line_t *line)
{
    uint8_t               *start, *args;
    size_t                 args_len;
    unsigned               lost, own;
    const beacon_str_t    *str;
    beacon_render_body_e   kind;

    if (beacon_render_prepare(r, hit) != BEACON_OK
        || beacon_render_body_kind(r, hit, &kind) != BEACON_OK)
    {
        return 0;
    }

    start = dst;
    str = hit->strings;

    dst = beacon_render_head(r, record, schema, epoch, lane, dst, line);
    dst = beacon_render_request(r, hit, start, dst, line);
    args = dst;
    dst = beacon_render_args(r, hit, dst, &lost);

    if (r->failed) {
        return 0;
    }

    memset(line->texts, 0, sizeof(line->texts));
    line->texts[BEACON_LINE_ARG_URL] = beacon_render_named(r, start,
                                                           BEACON_NAMED_URL);
    line->texts[BEACON_LINE_ARG_REF] = beacon_render_named(r, start,
                                                           BEACON_NAMED_REF);

    args_len = (size_t) (dst - args);
    line->args_offset = (uint32_t) (args - start) - 1;
    line->args_end = (uint32_t) (dst - start);

    *dst++ = ',';
    beacon_render_string(r, dst, "referer", &str[BEACON_HIT_REFERER]);
    line->referer_end = (uint32_t) (dst - start);
    beacon_render_string(r, dst, "user_agent", &str[BEACON_HIT_USER_AGENT]);
    line->agent_end = (uint32_t) (dst - start);
    dst--;

    if (hit->nfields) {
        dst = beacon_render_fields(r, start, dst, hit, schema, line);
    }

    line->fields_end = (uint32_t) (dst - start);

    /* strings of all kinds have been looked at by now */
    own = beacon_render_own_flags(r, hit, args, args_len, lost);
    dst = beacon_render_flags(dst, hit->flags, schema, own);
    line->flags_end = (uint32_t) (dst - start);
    dst = beacon_render_tail(r, hit, dst, kind, lost);

    line->own_flags = (uint16_t) own;
    line->len = (uint32_t) (dst - start);

    return 1;
}
