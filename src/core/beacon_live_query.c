/* What a request of the live API asks for. */

#include "beacon_live_query.h"

#include "beacon_query.h"

#include <string.h>

typedef struct {
    const char  *name;
    unsigned     bit;
} beacon_live_param_t;

static const beacon_live_param_t  beacon_live_params[] = {
    { "since", BEACON_LIVE_SINCE },
    { "limit", BEACON_LIVE_LIMIT },
    { "wait", BEACON_LIVE_WAIT },
    { "fields", BEACON_LIVE_FIELDS },
    { "window", BEACON_LIVE_WINDOW },
    { "id", BEACON_LIVE_ID },
    { NULL, 0 }
};

static int
beacon_live_is(beacon_str_t text, const char *name)
{
    return text.len == strlen(name) && memcmp(text.data, name, text.len) == 0;
}

/* Never longer than it was. */
static beacon_str_t
beacon_live_decode(uint8_t **dst, const uint8_t *p, const uint8_t *end)
{
    beacon_str_t  text;

    text.data = *dst;

    while (p < end) {
        *(*dst)++ = beacon_query_byte(p, end, &p);
    }

    text.len = (size_t) (*dst - text.data);

    return text;
}

/* A text of digits; what is too much for a number is very much. */
static const char *
beacon_live_number(beacon_str_t text, uint32_t *number, const char *wrong)
{
    size_t    i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return wrong;
        }

        n = n * 10 + (uint64_t) (text.data[i] - '0');
        n = n < INT32_MAX ? n : INT32_MAX;
    }

    *number = (uint32_t) n;

    return text.len != 0 ? NULL : wrong;
}

static const char *
beacon_live_filter(beacon_str_t name, beacon_str_t value,
    beacon_live_query_t *query)
{
    unsigned  n;

    if (query->nfilters == BEACON_LIVE_FILTERS) {
        return "more than 16 filters";
    }

    n = query->nfilters++;

    query->filters[n].name.data = name.data + 5;
    query->filters[n].name.len = name.len - 5;
    query->filters[n].value = value;

    return NULL;
}

static const char *
beacon_live_value(unsigned bit, beacon_str_t value, beacon_live_query_t *query)
{
    const char  *wrong;

    switch (bit) {

    case BEACON_LIVE_SINCE:
        beacon_live_query_since(value, query);
        return NULL;

    case BEACON_LIVE_LIMIT:
        return beacon_live_number(value, &query->limit, "limit is no number");

    case BEACON_LIVE_WAIT:
        return beacon_live_number(value, &query->wait,
                                  "wait is no number of seconds");

    case BEACON_LIVE_FIELDS:
        query->brief = 1;
        query->row = beacon_live_is(value, "row");
        return query->row || beacon_live_is(value, "short")
               ? NULL : "fields can be short, or row";

    case BEACON_LIVE_ID:
        query->id = value;
        return NULL;

    default: /* BEACON_LIVE_WINDOW */
        wrong = "window is no number of seconds from 10 to 3600";

        if (beacon_live_number(value, &query->window, wrong) != NULL
            || query->window < 10 || query->window > 3600)
        {
            return wrong;
        }

        return NULL;
    }
}

static const char *
beacon_live_param(unsigned may, beacon_str_t name, beacon_str_t value,
    beacon_live_query_t *query)
{
    const beacon_live_param_t  *param;

    if ((may & BEACON_LIVE_FILTER) != 0 && name.len > 5
        && memcmp(name.data, "args.", 5) == 0)
    {
        return beacon_live_filter(name, value, query);
    }

    for (param = beacon_live_params; param->name != NULL; param++) {
        if ((may & param->bit) != 0 && beacon_live_is(name, param->name)) {
            break;
        }
    }

    if (param->name == NULL) {
        return "unknown parameter";
    }

    if ((query->given & param->bit) != 0) {
        return "a parameter is given twice";
    }

    query->given |= param->bit;

    return beacon_live_value(param->bit, value, query);
}

const char *
beacon_live_query(beacon_str_t text, unsigned may, uint8_t *buf,
    beacon_live_query_t *query)
{
    const char     *wrong;
    beacon_str_t    name, value;
    const uint8_t  *p, *last, *end, *equal;

    if (text.len == 0) {
        return NULL;
    }

    last = text.data + text.len;

    for (p = text.data; p < last; p = end + 1) {

        end = memchr(p, '&', (size_t) (last - p));
        end = end ? end : last;

        if (end == p) {
            continue;
        }

        equal = memchr(p, '=', (size_t) (end - p));
        name = beacon_live_decode(&buf, p, equal ? equal : end);
        value = beacon_live_decode(&buf, equal ? equal + 1 : end, end);

        wrong = beacon_live_param(may, name, value, query);

        if (wrong != NULL) {
            return wrong;
        }
    }

    return NULL;
}

void
beacon_live_query_since(beacon_str_t text, beacon_live_query_t *query)
{
    size_t    i;
    uint8_t   digit;
    uint64_t  epoch, since;

    query->given |= BEACON_LIVE_SINCE;
    query->valid = 0;

    if (text.len < 18 || text.len > 33 || text.data[16] != '.') {
        return;
    }

    for (epoch = 0, i = 0; i < 16; i++) {
        digit = beacon_query_digits[text.data[i]];

        if (digit == 0) {
            return;
        }

        epoch = epoch << 4 | (uint64_t) (digit - 1);
    }

    for (since = 0, i = 17; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return;
        }

        since = since * 10 + (uint64_t) (text.data[i] - '0');
    }

    query->valid = 1;
    query->epoch = epoch;
    query->since = since;
}

int
beacon_live_site_valid(beacon_str_t name)
{
    return beacon_site_valid(name.data, name.len)
           || beacon_live_is(name, "_overflow");
}

int
beacon_live_sites_next(beacon_str_t sites, size_t *at, beacon_str_t *name)
{
    size_t  i;

    for (i = *at; i < sites.len && sites.data[i] == ' '; i++) { /* void */ }

    name->data = sites.data + i;
    name->len = 0;

    while (i < sites.len && sites.data[i] != ' ') {
        name->len++;
        i++;
    }

    *at = i;

    return name->len != 0;
}

int
beacon_live_sites_allow(beacon_str_t sites, beacon_str_t name)
{
    int           all;
    size_t        at;
    beacon_str_t  word;

    at = 0;
    all = 0;

    while (beacon_live_sites_next(sites, &at, &word)) {
        if (word.len == name.len
            && memcmp(word.data, name.data, word.len) == 0)
        {
            return 2;
        }

        all |= beacon_live_is(word, "*");
    }

    return all;
}
