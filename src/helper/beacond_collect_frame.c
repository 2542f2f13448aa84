#include "beacond_collect_frame.h"

#include <string.h>

static int
beacond_collect_hex(beacon_str_t word, size_t len)
{
    size_t  i;

    if (word.len != len) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (!(word.data[i] >= '0' && word.data[i] <= '9')
            && !(word.data[i] >= 'a' && word.data[i] <= 'f'))
        {
            return 0;
        }
    }

    return 1;
}

/* The number of the digits at p. */
static unsigned
beacond_collect_digits(const uint8_t *p, unsigned n)
{
    unsigned  i, value = 0;

    for (i = 0; i < n; i++) {
        value = value * 10 + (unsigned) (p[i] - '0');
    }

    return value;
}

/* Days of a month, from 1. */
static unsigned
beacond_collect_month(unsigned year, unsigned month)
{
    static const uint8_t  days[] = { 31, 28, 31, 30, 31, 30,
                                     31, 31, 30, 31, 30, 31 };

    return days[month - 1]
           + (month == 2 && year % 4 == 0
              && (year % 100 != 0 || year % 400 == 0));
}

uint64_t
beacond_collect_time(beacon_str_t text)
{
    size_t          i;
    uint64_t        days, s;
    unsigned        year, month, day;
    const uint8_t  *p = text.data;

    static const char  form[] = "0000-00-00T00:00:00.000Z";

    if (text.len != sizeof(form) - 1) {
        return 0;
    }

    for (i = 0; i < text.len; i++) {
        if (form[i] == '0' ? p[i] < '0' || p[i] > '9'
                           : p[i] != (uint8_t) form[i])
        {
            return 0;
        }
    }

    year = beacond_collect_digits(p, 4);
    month = beacond_collect_digits(p + 5, 2);
    day = beacond_collect_digits(p + 8, 2);

    if (year < 1970 || month < 1 || month > 12 || day < 1
        || day > beacond_collect_month(year, month)
        || beacond_collect_digits(p + 11, 2) > 23
        || beacond_collect_digits(p + 14, 2) > 59
        || beacond_collect_digits(p + 17, 2) > 59)
    {
        return 0;
    }

    /* days of the civil calendar, its years begun in March */

    year -= month < 3;
    month = (month + 9) % 12;
    days = 365ULL * year + year / 4 - year / 100 + year / 400
           + (month * 306 + 5) / 10 + day - 1 - 719468;
    s = days * 86400 + beacond_collect_digits(p + 11, 2) * 3600ULL
        + beacond_collect_digits(p + 14, 2) * 60ULL
        + beacond_collect_digits(p + 17, 2);

    return s * 1000 + beacond_collect_digits(p + 20, 3);
}

static int
beacond_collect_same(beacon_str_t a, beacon_str_t b)
{
    return a.len == b.len && (a.len == 0
                              || memcmp(a.data, b.data, a.len) == 0);
}

static int
beacond_collect_broken(beacon_str_t line)
{
    return line.len > 0 && (memchr(line.data, '\n', line.len) != NULL
                            || memchr(line.data, '\r', line.len) != NULL);
}

/* Behind the string that begins at p, in JSON that is valid. */
static const uint8_t *
beacond_collect_string(const uint8_t *p, const uint8_t *end)
{
    const uint8_t  *q, *back;

    for (q = p + 1; /* void */ ; q++) {
        q = memchr(q, '"', (size_t) (end - q));

        if (q == NULL) {
            return end;
        }

        for (back = q; back[-1] == '\\'; back--) { /* void */ }

        if ((q - back) % 2 == 0) {
            return q + 1;
        }
    }
}

/* Strings, and what stands between them; all of "args". */
static int
beacond_collect_args(beacon_str_t args)
{
    const uint8_t  *p = args.data + 1;
    const uint8_t  *last = args.data + args.len - 1;

    while (p < last) {
        if (*p == '"') {
            p = beacond_collect_string(p, last);

        } else if (*p == ':' || *p == ',') {
            p++;

        } else {
            return 0;
        }
    }

    return p == last;
}

/* May a key stand behind "args"?  Not these two, however they are written. */
static int
beacond_collect_key(beacon_str_t key)
{
    return memchr(key.data, '\\', key.len) == NULL
           && !beacond_collect_same(key, beacon_string("ip"))
           && !beacond_collect_same(key, beacon_string("visitor"));
}

/* All keys behind "args"; up to there they stand in order. */
static int
beacond_collect_keys(const uint8_t *p, const uint8_t *end)
{
    unsigned        depth = 1;
    beacon_str_t    key;

    while (p < end) {
        if (*p != '"') {
            depth += *p == '{' || *p == '[';
            depth -= *p == '}' || *p == ']';
            p++;
            continue;
        }

        key.data = p + 1;
        p = beacond_collect_string(p, end);
        key.len = (size_t) (p - 1 - key.data);

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if (depth == 1 && p < end && *p == ':' && !beacond_collect_key(key)) {
            return 0;
        }
    }

    return 1;
}

static beacon_rc_t
beacond_collect_line(beacond_collect_frame_t *frame, beacon_json_t *json,
    const char **why)
{
    beacon_rc_t           rc;
    beacon_line_parts_t  *parts = &frame->parts;

    *why = "its JSON is none of version 1";

    /* it goes out again as a line of an event stream */

    if (beacond_collect_broken(frame->line)
        || beacon_line_parts(frame->line, parts) != BEACON_OK)
    {
        return BEACON_INVALID;
    }

    rc = beacon_json_check(json, frame->line);

    if (rc != BEACON_OK) {
        return rc;
    }

    if (!beacond_collect_args(parts->args)
        || !beacond_collect_keys(parts->args.data + parts->args.len,
                                 frame->line.data + frame->line.len))
    {
        return BEACON_INVALID;
    }

    frame->time_ms = beacond_collect_time(parts->time);

    if (frame->time_ms == 0) {
        return BEACON_INVALID;
    }

    if (!beacond_collect_same(parts->site, frame->head.site)) {
        *why = "its JSON is of another site";
        return BEACON_INVALID;
    }

    if (!beacond_collect_same(parts->edge, frame->head.edge)) {
        *why = "its JSON is of another edge";
        return BEACON_INVALID;
    }

    /* a hashed one stands between quotes as it is; others do in the line */

    if (parts->visitor.len > 0) {
        frame->visitor = parts->visitor;
        return BEACON_OK;
    }

    *why = "its visitor is none";

    return beacond_collect_hex(frame->visitor, BEACON_VISITOR_HASH)
           ? BEACON_OK : BEACON_INVALID;
}

beacon_rc_t
beacond_collect_read(beacond_collect_frame_t *frame,
    const beacon_str_t *frames, unsigned n, beacon_json_t *json,
    const char **why)
{
    *why = "it is no frame of a feed";

    if (n < 2
        || beacon_spy_parse(frames[0], frames[1], &frame->head) != BEACON_OK
        || n != (frame->head.stat ? 2 : 3))
    {
        return BEACON_INVALID;
    }

    if (frame->head.stat) {
        return BEACON_OK;
    }

    frame->line = frames[2];
    frame->visitor = frame->head.visitor;

    return beacond_collect_line(frame, json, why);
}
