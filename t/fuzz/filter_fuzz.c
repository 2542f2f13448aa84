/*
 * The filter against the plainest way to do it: a query taken apart, each name
 * decoded whole, what is left joined again; parameters of a path the same way;
 * JSON by what jansson makes of it before and after.
 *
 * Input: a byte (bit 0: names are kept, not dropped; the others: what the text
 * is), names with a space between them, a line break, the text.
 */

#include "beacon_filter.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_NAMES  8

static beacon_str_t  fuzz_names[FUZZ_NAMES];
static uint32_t      fuzz_nnames;
static int           fuzz_keep;

static void
fuzz_check(int good)
{
    if (!good) {
        abort();
    }
}

static uint8_t
fuzz_lower(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') ? (uint8_t) (c - 'A' + 'a') : c;
}

/* Is it this name; with "any", in any case or with a subscript? */
static int
fuzz_is(beacon_str_t name, const uint8_t *text, size_t len, int any)
{
    size_t  i;

    if (len < name.len || (len > name.len && !(any && text[name.len] == '[')))
    {
        return 0;
    }

    /* a subscript begins at the first bracket */
    if (len > name.len && memchr(text, '[', name.len)) {
        return 0;
    }

    for (i = 0; i < name.len; i++) {
        if (name.data[i] != (any ? fuzz_lower(text[i]) : text[i])) {
            return 0;
        }
    }

    return 1;
}

static int
fuzz_goes(const uint8_t *text, size_t len)
{
    uint32_t  i;

    for (i = 0; i < fuzz_nnames; i++) {
        if (fuzz_is(fuzz_names[i], text, len, !fuzz_keep)) {
            return !fuzz_keep;
        }
    }

    return fuzz_keep;
}

static int
fuzz_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') ? c - '0'
           : (c >= 'a' && c <= 'f') ? c - 'a' + 10
           : (c >= 'A' && c <= 'F') ? c - 'A' + 10 : -1;
}

static size_t
fuzz_decode(const uint8_t *src, size_t len, uint8_t *dst)
{
    size_t  i, n;

    for (i = 0, n = 0; i < len; i++, n++) {
        dst[n] = (src[i] == '+') ? ' ' : src[i];

        if (src[i] == '%' && i + 2 < len && fuzz_digit(src[i + 1]) >= 0
            && fuzz_digit(src[i + 2]) >= 0)
        {
            dst[n] = (uint8_t) (fuzz_digit(src[i + 1]) * 16
                                + fuzz_digit(src[i + 2]));
            i += 2;
        }
    }

    return n;
}

/* What must be left; returns its length. */
static size_t
fuzz_query(const uint8_t *p, size_t len, uint8_t *left)
{
    int             some;
    size_t          n, name, out;
    uint8_t        *key;
    const uint8_t  *end, *amp, *equal;

    key = malloc(len + 1);
    end = p + len;
    out = 0;

    for (some = 0; p <= end; p = amp + 1) {
        amp = (p < end) ? memchr(p, '&', (size_t) (end - p)) : NULL;
        amp = amp ? amp : end;
        n = (size_t) (amp - p);
        equal = n ? memchr(p, '=', n) : NULL;
        name = fuzz_decode(p, equal ? (size_t) (equal - p) : n, key);

        if (n && fuzz_goes(key, name)) {
            continue;
        }

        if (some++) {
            left[out++] = '&';
        }

        memcpy(left + out, p, n);
        out += n;
    }

    free(key);

    return out;
}

/* As many members of both, in the same order, but for those that go. */
static void
fuzz_object(json_t *before, json_t *after)
{
    void        *a, *b;
    const char  *key;

    b = json_object_iter(after);

    for (a = json_object_iter(before); a; a = json_object_iter_next(before, a))
    {
        key = json_object_iter_key(a);

        if (fuzz_goes((const uint8_t *) key, strlen(key))) {
            continue;
        }

        fuzz_check(b && strcmp(key, json_object_iter_key(b)) == 0
                   && json_equal(json_object_iter_value(a),
                                 json_object_iter_value(b)));
        b = json_object_iter_next(after, b);
    }

    fuzz_check(b == NULL);
}

/* 0: neither an object nor an array of objects. */
static int
fuzz_searchable(json_t *value)
{
    size_t   i;
    json_t  *element;

    json_array_foreach(value, i, element) {
        if (!json_is_object(element)) {
            return 0;
        }
    }

    return json_is_object(value) || json_is_array(value);
}

static void
fuzz_objects(json_t *before, json_t *after)
{
    size_t   i;
    json_t  *element;

    if (json_is_object(before)) {
        fuzz_object(before, after);
        return;
    }

    fuzz_check(json_is_array(after)
               && json_array_size(before) == json_array_size(after));

    json_array_foreach(before, i, element) {
        fuzz_object(element, json_array_get(after, i));
    }
}

static void
fuzz_json(beacon_str_t text, beacon_rc_t rc, beacon_str_t out)
{
    int            valid;
    json_t        *before, *after;
    beacon_json_t  json;

    beacon_json_init(&json, 5);
    valid = beacon_json_check(&json, text) == BEACON_OK;

    if (rc == BEACON_OK) {
        fuzz_check(valid && beacon_json_check(&json, out) == BEACON_OK);
    }

    beacon_json_dispose(&json);

    before = valid ? json_loadb((const char *) text.data, text.len,
                                JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL) : NULL;

    if (before == NULL) {           /* numbers too large, NUL in a key */
        fuzz_check(valid || rc == BEACON_INVALID);
        return;
    }

    fuzz_check((rc == BEACON_OK) == fuzz_searchable(before));

    if (rc == BEACON_OK) {
        after = json_loadb((const char *) out.data, out.len,
                           JSON_ALLOW_NUL, NULL);
        fuzz_objects(before, after);
        json_decref(after);
    }

    json_decref(before);
}

/* What must be left of a path's parameters; returns its length. */
static size_t
fuzz_params(const uint8_t *p, size_t len, uint8_t *left)
{
    size_t          i, n, out, name;
    uint8_t        *key;
    const uint8_t  *end;

    key = malloc(len + 1);
    end = p + len;

    for (out = 0; p < end && *p != ';'; p++) {
        left[out++] = *p;
    }

    for ( /* void */ ; p < end; p += n) {
        for (n = 1; p + n < end && p[n] != ';'; n++) {
            /* its length, with the ';' in front of it */
        }

        for (i = 1; i < n && p[i] != '=' && p[i] != '&'; i++) {
            /* its name's end */
        }

        name = fuzz_decode(p + 1, i - 1, key);

        if (n == 1 || !fuzz_goes(key, name)) {
            memcpy(left + out, p, n);
            out += n;
        }
    }

    free(key);

    return out;
}

static int
fuzz_is_json(const uint8_t *p, size_t len)
{
    int       found;
    size_t    i, n;
    uint8_t  *text;

    text = malloc(len + 1);
    n = fuzz_decode(p, len, text);

    for (i = 0; i < n && strchr(" \t\r\n[", text[i]) && text[i]; i++) {
        /* void */
    }

    found = i < n && text[i] == '{';
    free(text);

    return found;
}

/* A path's parameters and a URL's query; no fragment. */
static void
fuzz_url(beacon_str_t url, beacon_str_t out, uint8_t *left)
{
    size_t          len, head, n, m;
    const uint8_t  *p;

    p = url.len ? memchr(url.data, '#', url.len) : NULL;
    len = p ? (size_t) (p - url.data) : url.len;
    p = len ? memchr(url.data, '?', len) : NULL;
    head = p ? (size_t) (p - url.data) : len;
    n = fuzz_params(url.data, head, left);

    if (p && !fuzz_is_json(p + 1, len - head - 1)) {
        m = fuzz_query(p + 1, len - head - 1, left + n + 1);
        left[n] = '?';
        n += (m || len == head + 1) ? m + 1 : 0;
    }

    fuzz_check(n == out.len && memcmp(left, out.data, n) == 0);
    fuzz_check(out.len != len || out.data == url.data);
}

static void
fuzz_path(beacon_str_t path, beacon_str_t out, uint8_t *left)
{
    size_t          n;
    const uint8_t  *p;

    p = path.len ? memchr(path.data, '#', path.len) : NULL;
    n = fuzz_params(path.data, p ? (size_t) (p - path.data) : path.len, left);
    fuzz_check(n == out.len && memcmp(left, out.data, n) == 0);
}

static const uint8_t *
fuzz_read_names(const uint8_t *p, const uint8_t *end, uint8_t *names)
{
    uint8_t  *start;

    fuzz_nnames = 0;
    start = names;

    for ( /* void */ ; p < end; p++) {
        if (*p != ' ' && *p != '\n') {
            *names++ = fuzz_keep ? *p : fuzz_lower(*p);
            continue;
        }

        if (names > start && names - start <= BEACON_FILTER_NAME_MAX
            && fuzz_nnames < FUZZ_NAMES)
        {
            fuzz_names[fuzz_nnames].data = start;
            fuzz_names[fuzz_nnames++].len = (size_t) (names - start);
        }

        start = names;

        if (*p == '\n') {
            return p + 1;
        }
    }

    return NULL;
}

static void
fuzz_run(int what, const uint8_t *text, size_t len)
{
    uint8_t          *src, *dst, *left;
    beacon_rc_t       rc;
    beacon_str_t      in, out;
    beacon_json_t     json;
    beacon_filter_t   filter;

    beacon_filter_init(&filter, fuzz_names, fuzz_keep ? 0 : fuzz_nnames,
                       fuzz_names, fuzz_keep ? fuzz_nnames : 0);
    src = malloc(len ? len : 1);
    dst = malloc(len ? len : 1);
    left = malloc(len + 2);
    memcpy(src, text, len);
    in.data = src;
    in.len = len;

    switch (what) {

    case 0:
        beacon_json_init(&json, 3);
        rc = beacon_filter_json(&filter, &json, in, dst, &out);
        beacon_json_dispose(&json);
        fuzz_json(in, rc, out);
        break;

    case 1:
        beacon_filter_url(&filter, in, dst, &out);
        fuzz_url(in, out, left);
        break;

    case 3:
        beacon_filter_path(&filter, in, dst, &out);
        fuzz_path(in, out, left);
        break;

    default:
        beacon_filter_query(&filter, in, dst, &out);
        fuzz_check(out.len == fuzz_query(src, len, left)
                   && memcmp(out.data, left, out.len) == 0);
        fuzz_check(out.len != len || out.data == src);
        break;
    }

    free(left);
    free(dst);
    free(src);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t        *names;
    const uint8_t  *text;

    if (size < 2) {
        return 0;
    }

    fuzz_keep = data[0] & 1;
    names = malloc(size);
    text = fuzz_read_names(data + 1, data + size, names);

    if (text && (fuzz_nnames || !fuzz_keep)) {
        fuzz_run(data[0] >> 1 & 3, text, (size_t) (data + size - text));
    }

    free(names);

    return 0;
}
