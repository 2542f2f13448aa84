#include "beacon_hit.h"
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const  test_strings[BEACON_HIT_STRINGS] = {
    "shop", "8f1c", "203.0.113.7", "px.example.com", "/px.gif", "a=1&b=2",
    "", "Mozilla/5.0", "body"
};

static void
test_fill(beacon_hit_t *hit)
{
    int  i;

    memset(hit, 0, sizeof(*hit));

    for (i = 0; i < BEACON_HIT_STRINGS; i++) {
        hit->strings[i].data = (const uint8_t *) test_strings[i];
        hit->strings[i].len = strlen(test_strings[i]);
    }

    hit->fields[0] = beacon_string("GR");
    hit->fields[1] = beacon_string("");
    hit->fields[2] = beacon_string("a\0b");
    hit->nfields = 3;
    hit->flags = 5;
    hit->max_args = 256;
    hit->method = BEACON_METHOD_POST;
    hit->body_kind = BEACON_BODY_OTHER;
}

static int
test_same(const beacon_hit_t *a, const beacon_hit_t *b)
{
    uint32_t  i;

    if (a->nfields != b->nfields || a->flags != b->flags
        || a->max_args != b->max_args || a->method != b->method
        || a->body_kind != b->body_kind)
    {
        return 0;
    }

    for (i = 0; i < BEACON_HIT_STRINGS + a->nfields; i++) {
        const beacon_str_t  *x, *y;

        x = i < BEACON_HIT_STRINGS ? &a->strings[i]
                                   : &a->fields[i - BEACON_HIT_STRINGS];
        y = i < BEACON_HIT_STRINGS ? &b->strings[i]
                                   : &b->fields[i - BEACON_HIT_STRINGS];

        if (x->len != y->len || memcmp(x->data, y->data, x->len) != 0
            || y->data[y->len] != 0)
        {
            return 0;
        }
    }

    return 1;
}

static void
test_payload(void)
{
    int            good;
    size_t         size, i;
    uint8_t        buf[512], copy[512];
    beacon_hit_t   hit, parsed;

    test_fill(&hit);
    size = beacon_hit_size(&hit);
    memset(buf, 0xee, sizeof(buf));
    beacon_hit_write(&hit, buf);
    ok(buf[size] == 0xee, "write_writes_as_much_as_size_says");
    ok(beacon_hit_parse((beacon_str_t) { size, buf }, &parsed) == BEACON_OK
       && test_same(&hit, &parsed), "parse_gives_what_write_took");

    good = 1;

    for (i = 0; i < size; i++) {
        good &= beacon_hit_parse((beacon_str_t) { i, buf }, &parsed)
                == BEACON_CORRUPT;
    }

    ok(good, "parse_of_a_shorter_payload_is_corrupt");
    ok(beacon_hit_parse((beacon_str_t) { size + 1, buf }, &parsed)
       == BEACON_CORRUPT, "parse_of_a_longer_payload_is_corrupt");

    good = 1;

    for (i = 0; i < 12 * sizeof(uint32_t); i++) {
        memcpy(copy, buf, size);
        copy[sizeof(beacon_hit_head_t) + i] ^= 0xff;
        good &= beacon_hit_parse((beacon_str_t) { size, copy }, &parsed)
                == BEACON_CORRUPT;
    }

    ok(good, "parse_with_another_length_is_corrupt");
}

static void
test_head(void)
{
    size_t         size, i;
    uint8_t        buf[512];
    beacon_hit_t   hit;

    static const struct {
        size_t       offset;
        uint8_t      value;
        const char  *name;
    } bad[] = {
        { offsetof(beacon_hit_head_t, method), 0, "no method" },
        { offsetof(beacon_hit_head_t, method), 4, "an unknown method" },
        { offsetof(beacon_hit_head_t, body_kind), 4, "an unknown body" },
        { offsetof(beacon_hit_head_t, nfields), 65, "too many fields" },
        { offsetof(beacon_hit_head_t, reserved), 1, "a reserved bit" }
    };

    test_fill(&hit);
    size = beacon_hit_size(&hit);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        beacon_hit_t  parsed;

        beacon_hit_write(&hit, buf);
        buf[bad[i].offset] = bad[i].value;
        ok(beacon_hit_parse((beacon_str_t) { size, buf }, &parsed)
           == BEACON_CORRUPT, "parse with %s is corrupt", bad[i].name);
    }

    hit.strings[BEACON_HIT_SITE] = beacon_string("../x");
    beacon_hit_write(&hit, buf);
    ok(beacon_hit_parse((beacon_str_t) { size, buf }, &hit)
       == BEACON_CORRUPT, "parse with a site that names a path is corrupt");
}

/* The value as text, or NULL. */
static const char *
test_arg(const char *query, const char *name)
{
    size_t         page, len;
    uint8_t       *map, *copy;
    beacon_rc_t    rc;
    beacon_str_t   value;
    static char    text[256];
    uint8_t        buf[256];

    /* the query ends where memory does: nothing is loaded behind it */
    page = (size_t) sysconf(_SC_PAGESIZE);
    len = strlen(query);
    map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(map + page, page, PROT_NONE);
    copy = map + page - len;
    memcpy(copy, query, len);

    rc = beacon_query_arg((beacon_str_t) { len, copy },
                          (beacon_str_t) { strlen(name),
                                           (const uint8_t *) name },
                          buf, &value);

    if (rc == BEACON_OK) {
        memcpy(text, value.data, value.len);
        text[value.len] = 0;
    }

    munmap(map, 2 * page);

    return (rc == BEACON_OK) ? text : NULL;
}

static void
test_query_arg(void)
{
    size_t  i;

    static const struct {
        const char  *query;
        const char  *name;
        const char  *value;             /* NULL: none */
    } cases[] = {
        { "", "site", NULL },
        { "site", "site", "" },
        { "site=", "site", "" },
        { "site=shop", "site", "shop" },
        { "a=1&b=2&site=shop", "site", "shop" },
        { "a=1&b=2&site=shop&c=3", "site", "shop" },
        { "sites=1&sit=2&site=3", "site", "3" },
        { "xsite=1&site=2", "site", "2" },
        { "site=1&site=2", "site", "1" },
        { "Site=1", "site", NULL },
        { "a=site=2", "site", NULL },
        { "a=b&&&site=2&&", "site", "2" },
        { "%73ite=1", "site", "1" },
        { "s%69t%65=1", "site", "1" },
        { "site%3d=1", "site", NULL },
        { "site%3D=1", "site=", "1" },
        { "a+b=1", "a b", "1" },
        { "a%20b=1", "a b", "1" },
        { "a=x%20y+z%2b", "a", "x y z+" },
        { "a=%", "a", "%" },
        { "a=%4", "a", "%4" },
        { "a=%4&b=1", "a", "%4" },
        { "a=%zz%41", "a", "%zzA" },
        { "a=%ff", "a", "\xff" },
        { "a=1=2", "a", "1=2" },
        { "=1", "", "1" },
        { "a=1&=2", "", "2" },
        { "0123456789abcdef=1&0123456789abcde=2", "0123456789abcde", "2" },
        { "a=aaaaaaaaaaaa&b=2&c=3", "b", "2" },
        { "a=aaaaaaaaaaaaa&b=2&c=3", "b", "2" },
        { "a=aaaaaaaaaaaaaa&b=2&c=3", "b", "2" },
        { "a=aaaaaaaaaaaaaaaaaaaaaaaaaaaaa&b=2&c=3", "c", "3" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char  *value;

        value = test_arg(cases[i].query, cases[i].name);
        ok(value == cases[i].value
           || (value && cases[i].value && strcmp(value, cases[i].value) == 0),
           "argument '%s' of '%s' is %s", cases[i].name, cases[i].query,
           cases[i].value ? cases[i].value : "none");
    }
}

/* A payload in shared memory that a stranger writes to. */

static uint8_t      test_shared[1024];
static _Atomic int  test_writing;

static void *
test_write(void *data)
{
    volatile uint32_t  *length = data;
    uint32_t            right = *length;

    while (test_writing) {
        *length = 0x7fffff00;
        *length = right;
    }

    return NULL;
}

__attribute__((unused))
static void
test_stranger(void)
{
    int              i, bad;
    uint32_t         k;
    uint8_t         *length, address[256] = { 0 };
    pthread_t        thread;
    beacon_hit_t     hit, read;
    beacon_str_t     payload;
    const uint8_t   *end;

    test_fill(&hit);
    beacon_hit_write(&hit, test_shared);
    payload.data = test_shared;
    payload.len = beacon_hit_size(&hit);
    end = payload.data + payload.len;
    length = test_shared + sizeof(beacon_hit_head_t)
             + BEACON_HIT_PATH * sizeof(uint32_t);

    test_writing = 1;
    (void) pthread_create(&thread, NULL, test_write, length);

    for (i = 0, bad = 0; i < 500000; i++) {
        if (beacon_hit_parse(payload, &read) != BEACON_OK) {
            continue;
        }

        for (k = 0; k < BEACON_HIT_STRINGS; k++) {
            bad += read.strings[k].data + read.strings[k].len >= end;
        }
    }

    test_writing = 0;
    (void) pthread_join(thread, NULL);

    ok(bad == 0, "lengths that change while they are read lead nowhere");

    hit.strings[BEACON_HIT_IP].data = address;
    hit.strings[BEACON_HIT_IP].len = 255;
    beacon_hit_write(&hit, test_shared);
    payload.len = beacon_hit_size(&hit);
    ok(payload.len < sizeof(test_shared)
       && beacon_hit_parse(payload, &read) == BEACON_OK,
       "an address has up to 255 bytes");
    hit.strings[BEACON_HIT_IP].len = 256;
    hit.strings[BEACON_HIT_USER_AGENT].len = 0;
    beacon_hit_write(&hit, test_shared);
    payload.len = beacon_hit_size(&hit);
    ok(payload.len < sizeof(test_shared)
       && beacon_hit_parse(payload, &read) == BEACON_CORRUPT, "not more");
}

int
main(void)
{
    test_payload();
    test_head();
    test_query_arg();

#if !defined(__SANITIZE_THREAD__)        /* it is a race */
    test_stranger();
#endif

    return done_testing();
}
