/*
 * The validator: a loop with a bit of state for each level, no recursion.
 * Keys of all objects go into one hash table, told apart by their object's
 * serial, so that it stays linear however keys are spread over objects.
 */

#include "beacon_json.h"
#include "beacon_fold.h"
#include "beacon_utf8.h"

#include <stdlib.h>
#include <string.h>

/* The shortest member is "":0 and a comma. */
#define BEACON_JSON_MEMBER_MIN  5

#define BEACON_JSON_KEYS_MIN    64

typedef struct {
    const uint8_t      *p;
    const uint8_t      *end;
    const uint8_t      *start;
    uint32_t            depth;
    uint32_t            objects;                    /* serials given */
    uint32_t            object[BEACON_JSON_DEPTH];  /* 0: an array */
    beacon_json_key_t  *keys;
    size_t              mask;
    uint64_t            seed;
} beacon_json_state_t;

void
beacon_json_init(beacon_json_t *json, uint64_t seed)
{
    json->seed = seed;
    json->keys = NULL;
    json->size = 0;
}

void
beacon_json_dispose(beacon_json_t *json)
{
    free(json->keys);
    json->keys = NULL;
    json->size = 0;
}

/* Four hex digits at p, or -1. */
static int
beacon_json_hex4(const uint8_t *p, const uint8_t *end)
{
    int      value, i;
    uint8_t  c;

    if (end - p < 4) {
        return -1;
    }

    for (value = 0, i = 0; i < 4; i++) {
        c = p[i];

        if (c >= '0' && c <= '9') {
            c -= '0';

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            c = (uint8_t) ((c | 0x20) - 'a' + 10);

        } else {
            return -1;
        }

        value = value << 4 | c;
    }

    return value;
}

/* Behind an escape (p: behind its backslash); NULL: not one. */
static const uint8_t *
beacon_json_escape(const uint8_t *p, const uint8_t *end)
{
    int  unit;

    if (p == end) {
        return NULL;
    }

    if (*p != 'u') {
        return (*p && strchr("\"\\/bfnrt", *p)) ? p + 1 : NULL;
    }

    unit = beacon_json_hex4(++p, end);
    p += 4;

    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) {
        return NULL;
    }

    if (unit < 0xd800 || unit > 0xdbff) {
        return p;
    }

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return NULL;
    }

    unit = beacon_json_hex4(p + 2, end);

    return (unit >= 0xdc00 && unit <= 0xdfff) ? p + 6 : NULL;
}

/* Behind a string (p: behind its opening quote); NULL: not one. */
static const uint8_t *
beacon_json_string(const uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        if (*p == '"') {
            return p + 1;
        }

        if (*p == '\\') {
            p = beacon_json_escape(p + 1, end);

        } else if (*p >= 0x80) {
            p = beacon_utf8_next(p, end);

        } else if (*p < 0x20) {
            return NULL;

        } else {
            p++;
        }

        if (p == NULL) {
            return NULL;
        }
    }

    return NULL;
}

/* Behind digits, at least one; or NULL. */
static const uint8_t *
beacon_json_digits(const uint8_t *p, const uint8_t *end)
{
    const uint8_t  *start;

    for (start = p; p < end && *p >= '0' && *p <= '9'; p++) { /* void */ }

    return (p == start) ? NULL : p;
}

/* Behind a number, or NULL. */
static const uint8_t *
beacon_json_number(const uint8_t *p, const uint8_t *end)
{
    if (*p == '-') {
        p++;
    }

    p = (p < end && *p == '0') ? p + 1 : beacon_json_digits(p, end);

    if (p && p < end && *p == '.') {
        p = beacon_json_digits(p + 1, end);
    }

    if (p && p < end && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < end && (*p == '+' || *p == '-')) {
            p++;
        }

        p = beacon_json_digits(p, end);
    }

    return p;
}

static int
beacon_json_encode(beacon_json_chars_t *chars, uint32_t code)
{
    if (code < 0x80) {
        return (int) code;
    }

    if (code < 0x800) {
        chars->more = 0x80 | (code & 0x3f);
        return (int) (0xc0 | code >> 6);
    }

    if (code < 0x10000) {
        chars->more = (0x80 | (code >> 6 & 0x3f))
                      | (0x80 | (code & 0x3f)) << 8;
        return (int) (0xe0 | code >> 12);
    }

    chars->more = (0x80 | (code >> 12 & 0x3f))
                  | (0x80 | (code >> 6 & 0x3f)) << 8
                  | (0x80 | (code & 0x3f)) << 16;
    return (int) (0xf0 | code >> 18);
}

int
beacon_json_char(beacon_json_chars_t *chars)
{
    int             c;
    uint32_t        code;
    const uint8_t  *p;

    if (chars->more) {
        c = chars->more & 0xff;
        chars->more >>= 8;
        return c;
    }

    p = chars->p++;

    if (*p == '"') {
        return -1;
    }

    if (*p != '\\') {
        return *p;
    }

    chars->p++;

    switch (p[1]) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        break;
    default:
        return p[1];
    }

    code = (uint32_t) beacon_json_hex4(p + 2, p + 6);
    chars->p += 4;

    if (code >= 0xd800 && code <= 0xdbff) {
        code = 0x10000 + ((code - 0xd800) << 10)
               + ((uint32_t) beacon_json_hex4(p + 8, p + 12) - 0xdc00);
        chars->p += 6;
    }

    return beacon_json_encode(chars, code);
}

static int
beacon_json_equal(const uint8_t *a, const uint8_t *b)
{
    int                  c;
    beacon_json_chars_t  x = { a, 0 }, y = { b, 0 };

    do {
        c = beacon_json_char(&x);

        if (c != beacon_json_char(&y)) {
            return 0;
        }

    } while (c >= 0);

    return 1;
}

/* 0: its object has such a key already.  key: behind its opening quote. */
static int
beacon_json_add(beacon_json_state_t *st, const uint8_t *key, uint32_t object)
{
    int                   c;
    size_t                i;
    uint32_t              hash;
    beacon_json_key_t    *slot;
    beacon_json_chars_t   chars = { key, 0 };
    uint64_t              h;

    h = st->seed ^ object;

    do {
        c = beacon_json_char(&chars);
        h = beacon_fold(h ^ (uint64_t) (c + 2), st->seed | 1);
    } while (c >= 0);

    hash = (uint32_t) (h >> 32);

    for (i = h & st->mask; /* void */ ; i = (i + 1) & st->mask) {
        slot = &st->keys[i];

        if (slot->object == 0) {
            slot->hash = hash;
            slot->object = object;
            slot->offset = (uint32_t) (key - st->start);
            return 1;
        }

        if (slot->hash == hash && slot->object == object
            && beacon_json_equal(st->start + slot->offset, key))
        {
            return 0;
        }
    }
}

static void
beacon_json_space(beacon_json_state_t *st)
{
    while (st->p < st->end
           && (*st->p == ' ' || *st->p == '\n' || *st->p == '\r'
               || *st->p == '\t'))
    {
        st->p++;
    }
}

/* A key and its colon. */
static int
beacon_json_key(beacon_json_state_t *st)
{
    const uint8_t  *key;

    beacon_json_space(st);

    if (st->p == st->end || *st->p != '"') {
        return 0;
    }

    key = st->p + 1;
    st->p = beacon_json_string(key, st->end);

    if (st->p == NULL
        || !beacon_json_add(st, key, st->object[st->depth - 1]))
    {
        return 0;
    }

    beacon_json_space(st);

    return st->p < st->end && *st->p++ == ':';
}

static int
beacon_json_word(beacon_json_state_t *st, const char *word)
{
    size_t  len;

    len = strlen(word);

    if ((size_t) (st->end - st->p) < len || memcmp(st->p, word, len) != 0) {
        return 0;
    }

    st->p += len;

    return 1;
}

/* A value without others in it. */
static int
beacon_json_scalar(beacon_json_state_t *st)
{
    switch (*st->p) {
    case '"':
        st->p = beacon_json_string(st->p + 1, st->end);
        return st->p != NULL;
    case 't':
        return beacon_json_word(st, "true");
    case 'f':
        return beacon_json_word(st, "false");
    case 'n':
        return beacon_json_word(st, "null");
    default:
        st->p = beacon_json_number(st->p, st->end);
        return st->p != NULL;
    }
}

/*
 * What begins with a bracket, p behind it.  1: go on with a value; 0: it was
 * empty and is closed again; -1: not JSON.
 */
static int
beacon_json_open(beacon_json_state_t *st, uint8_t bracket)
{
    if (st->depth == BEACON_JSON_DEPTH) {
        return -1;
    }

    beacon_json_space(st);

    if (st->p < st->end && *st->p == bracket + 2) {     /* [] {} */
        st->p++;
        return 0;
    }

    st->object[st->depth++] = (bracket == '{') ? ++st->objects : 0;

    if (bracket == '{' && !beacon_json_key(st)) {
        return -1;
    }

    return 1;
}

/* Behind a value: 1: another follows; 0: the text is whole; -1: not JSON. */
static int
beacon_json_after(beacon_json_state_t *st)
{
    uint8_t  c;

    for ( ;; ) {
        beacon_json_space(st);

        if (st->depth == 0) {
            return (st->p == st->end) ? 0 : -1;
        }

        if (st->p == st->end) {
            return -1;
        }

        c = *st->p++;

        if (c == ',') {
            return (st->object[st->depth - 1] == 0 || beacon_json_key(st))
                   ? 1 : -1;
        }

        if (c != (st->object[st->depth - 1] ? '}' : ']')) {
            return -1;
        }

        st->depth--;
    }
}

static int
beacon_json_valid(beacon_json_state_t *st)
{
    int      rc;
    uint8_t  c;

    for ( ;; ) {
        beacon_json_space(st);

        if (st->p == st->end) {
            return 0;
        }

        c = *st->p;

        if (c == '{' || c == '[') {
            st->p++;
            rc = beacon_json_open(st, c);

            if (rc < 0) {
                return 0;
            }

            if (rc > 0) {
                continue;
            }

        } else if (!beacon_json_scalar(st)) {
            return 0;
        }

        rc = beacon_json_after(st);

        if (rc <= 0) {
            return rc == 0;
        }
    }
}

/* At most half full: a search always ends, and soon. */
size_t
beacon_json_slots(size_t len)
{
    size_t  need;

    for (need = BEACON_JSON_KEYS_MIN;
         need / 2 < len / BEACON_JSON_MEMBER_MIN + 1;
         need *= 2)
    {
        /* void */
    }

    return need;
}

beacon_rc_t
beacon_json_check(beacon_json_t *json, beacon_str_t text)
{
    size_t               need;
    beacon_json_key_t   *keys;
    beacon_json_state_t  st;

    if (text.len == 0 || text.len > UINT32_MAX) {
        return BEACON_INVALID;
    }

    need = beacon_json_slots(text.len);

    if (json->size < need) {
        keys = malloc(need * sizeof(*keys));
        if (keys == NULL) {
            return BEACON_SYS;
        }

        free(json->keys);
        json->keys = keys;
        json->size = need;
    }

    memset(json->keys, 0, need * sizeof(*json->keys));

    st.p = text.data;
    st.start = text.data;
    st.end = text.data + text.len;
    st.depth = 0;
    st.objects = 0;
    st.keys = json->keys;
    st.mask = need - 1;
    st.seed = json->seed;

    return beacon_json_valid(&st) ? BEACON_OK : BEACON_INVALID;
}
