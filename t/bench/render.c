/*
 * Renders one kind of hit many times.
 *
 *     render KIND VARIANT [ROUNDS]
 *     render all VARIANT
 *     render units VARIANT HEX...
 *
 * KIND: "normal", 4,096 different requests with ten arguments, twenty escapes
 * in six runs and some 550 bytes of strings; or one of the hostile 16 KiB
 * queries below ("list" prints their names); or what to fill one with, in hex.
 * Prints nanoseconds and bytes a hit (best of five); for instructions run it
 * under callgrind with --toggle-collect=beacon_render, whose total is that of
 * ROUNDS passes over the kind's hits (the number printed as "hits").
 *
 * "all" renders one hit of each kind, and 64 normal ones; "units" one of each
 * unit.  Each goes through bench_one(), whose name it prints: with
 * --dump-after=bench_one, callgrind says what each took.
 */

#include "beacon_render.h"
#include "bench_random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_NORMAL   4096
#define BENCH_FEW      64
#define BENCH_HOSTILE  16384
#define BENCH_SLACK    64
#define BENCH_UNIT     256

typedef struct {
    beacon_str_t     payload;
    beacon_hit_t     hit;
    beacon_record_t  record;
} bench_hit_t;

static uint64_t  bench_count;

static void
bench_set(beacon_hit_t *hit, int which, const char *text, size_t len)
{
    hit->strings[which].data = (const uint8_t *) text;
    hit->strings[which].len = len;
}

/* Packs a hit as a worker does, and parses it as the helper does. */
static void
bench_pack(bench_hit_t *b, const beacon_hit_t *hit)
{
    uint8_t  *payload;

    b->payload.len = beacon_hit_size(hit);
    payload = calloc(1, b->payload.len + BENCH_SLACK);
    beacon_hit_write(hit, payload);
    b->payload.data = payload;

    if (beacon_hit_parse(b->payload, &b->hit) != BEACON_OK) {
        abort();
    }

    memset(&b->record, 0, sizeof(b->record));
    b->record.offset = 0x100000 + 640ULL * bench_random(100000);
    b->record.time_ns = 1795301761204000000ULL
                        + 250000ULL * (b->record.ordinal = bench_count++);
}

static void
bench_common(beacon_hit_t *hit)
{
    static const char  agent[] = "Mozilla/5.0 (X11; Linux x86_64) "
                                 "AppleWebKit/537.36 (KHTML, like Gecko) "
                                 "Chrome/131.0.0.0 Safari/537.36 Edg/131.0";

    memset(hit, 0, sizeof(*hit));
    bench_set(hit, BEACON_HIT_SITE, "shop", 4);
    bench_set(hit, BEACON_HIT_IP, "203.0.113.7", 11);
    bench_set(hit, BEACON_HIT_HOST, "px.example.com", 14);
    bench_set(hit, BEACON_HIT_PATH, "/px.gif", 7);
    bench_set(hit, BEACON_HIT_USER_AGENT, agent, sizeof(agent) - 1);
    hit->method = BEACON_METHOD_GET;
    hit->max_args = 256;
}

static void
bench_normal(bench_hit_t *b)
{
    int            n;
    char           query[1024], visitor[40], referer[128];
    beacon_hit_t   hit;

    static const char *const  titles[] = {
        "%CE%A4%CE%AF%CF%84%CE%BB%CE%BF%CF%82",
        "%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82",
        "%E6%97%A5%E6%9C%AC%E8%AA%9E%E3%81%AE",
        "%F0%9F%91%8D%F0%9F%8F%BD%CE%BB%CE%BF"
    };

    bench_common(&hit);

    /* twenty escapes: 12, 3, 1, 1, 2, 1 */
    n = snprintf(query, sizeof(query),
                 "e=pageview&url=https%%3A%%2F%%2Fshop.example%%2F%u-mobile"
                 "-phones-and-tablets-item%u.html%%23top&title=%s+menu+and+bar"
                 "&ref=news.example%%2F%%3Fq%%3D%u&sr=%ux%u&ul=en-us"
                 "&tz=-%u&cb=0.%u%u&pv=%08x%08x-%08x%08x&site=shop",
                 bench_random(1000), bench_random(100000),
                 titles[bench_random(4)], bench_random(10000),
                 800 + bench_random(2000), 600 + bench_random(1000),
                 bench_random(720), bench_random(100000),
                 bench_random(100000), bench_random(1U << 31),
                 bench_random(1U << 31), bench_random(1U << 31),
                 bench_random(1U << 31));
    bench_set(&hit, BEACON_HIT_QUERY, query, (size_t) n);

    n = snprintf(visitor, sizeof(visitor), "%08x%08x%08x%08x",
                 bench_random(1U << 31), bench_random(1U << 31),
                 bench_random(1U << 31), bench_random(1U << 31));
    bench_set(&hit, BEACON_HIT_VISITOR, visitor, (size_t) n);

    n = snprintf(referer, sizeof(referer),
                 "https://shop.example/c/%u/mobile-phones-and-tablets/"
                 "item%u.html?from=newsletter",
                 bench_random(1000), bench_random(100000));
    bench_set(&hit, BEACON_HIT_REFERER, referer, (size_t) n);

    hit.nfields = 1;
    hit.fields[0] = beacon_string("GR");

    bench_pack(b, &hit);
}

/* What one repeats until the query is full; %d: a running number. */
static const struct {
    const char  *name;
    const char  *unit;
    unsigned     len;           /* of a unit with a NUL or no number; or 0 */
} bench_kinds[] = {
    { "distinct_keys",        "%d&", 0 },
    { "equal_keys",           "a=%d&", 0 },
    { "equal_empty",          "a&", 2 },
    { "long_equal_tails",     "%dxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                              "xxxxxxxx&", 0 },
    { "ampersands",           "&", 1 },
    { "equals",               "=", 1 },
    { "plus",                 "+", 1 },
    { "quotes",               "\"", 1 },
    { "controls",             "%01", 3 },
    { "raw_controls",         "\x01", 1 },
    { "nuls",                 "\0", 1 },
    { "broken_bytes",         "\xff", 1 },
    { "broken_leads",         "\xf0", 1 },
    { "broken_sequences",     "\xf0\x90", 2 },
    { "broken_and_plain",     "\xff" "a", 2 },
    { "plain_and_quote",      "a\"", 2 },
    { "broken_escapes",       "%", 1 },
    { "broken_escapes_zz",    "%z", 2 },
    { "broken_escapes_half",  "%4", 2 },
    { "escaped_broken",       "%ff", 3 },
    { "escaped_leads",        "%e1%80", 6 },
    { "utf8",                 "\xce\xa4", 2 },
    { "utf8_and_plain",       "\xce\xa4" "a", 3 },
    { "mixed",                "%\xff" "a\"%f", 6 },
    { "mixed_args",           "a=\xff%&", 5 },
    { "lead_escape",          "\xce%a4", 4 },
    { "lead_plain",           "\xe1\x80" "a", 3 },
    { "leads_twice",          "\xed\xf4\x90", 3 },
    { "lead_quote",           "\xf4\"", 2 },
    { "escape_sequence",      "%22\xf0\x90", 5 },
    { "escape_lead_twice",    "%e1%4%\xce", 7 },
    { "leads_escape",         "\x90\xe0\xf0%e1", 6 },
    { "noise",                NULL, 0 }
};

#define BENCH_KINDS  (sizeof(bench_kinds) / sizeof(bench_kinds[0]))

/* What no branch can be predicted in. */
static void
bench_noise(char *query, size_t len)
{
    size_t  i;

    static const char  bytes[] = "%%%%0123489aef\"\\\x01+azq=\x80\x90\xa4"
                                 "\xbf\xce\xe0\xe1\xed\xf0\xf4\xff";

    for (i = 0; i < len; i++) {
        query[i] = bytes[bench_random(sizeof(bytes) - 1)];
    }
}

/* A query of a unit over and over; unit_len 0: with a number in it.  NULL:
   noise. */
static void
bench_hostile(bench_hit_t *b, const char *unit, size_t unit_len)
{
    char          *query, text[128];
    size_t         n, len, i;
    beacon_hit_t   hit;

    query = malloc(BENCH_HOSTILE + BENCH_UNIT);
    len = 0;

    if (unit == NULL) {
        bench_noise(query, len = BENCH_HOSTILE);
    }

    for (i = 0; len < BENCH_HOSTILE; i++) {
        n = unit_len;

        if (n) {
            memcpy(query + len, unit, n);

        } else {
            n = (size_t) snprintf(text, sizeof(text), unit, (int) i);
            memcpy(query + len, text, n);
        }

        len += n;
    }

    bench_common(&hit);
    bench_set(&hit, BEACON_HIT_QUERY, query, BENCH_HOSTILE);
    bench_pack(b, &hit);
    free(query);
}

static uint64_t
bench_now(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * 1000000000ULL + (uint64_t) now.tv_nsec;
}

/* n hits of a kind, but fewer of a hostile one; returns how many. */
static size_t
bench_make(bench_hit_t *hits, const char *kind, size_t n)
{
    char         hex[BENCH_UNIT];
    size_t       i, len;
    const char  *unit;

    if (strcmp(kind, "normal") == 0) {
        for (i = 0; i < n; i++) {
            bench_normal(&hits[i]);
        }

        return n;
    }

    for (i = 0; i < BENCH_KINDS; i++) {
        if (strcmp(bench_kinds[i].name, kind) == 0) {
            break;
        }
    }

    if (i < BENCH_KINDS) {
        unit = bench_kinds[i].unit;
        len = bench_kinds[i].len;

    } else {
        for (len = 0; kind[2 * len] && len < BENCH_UNIT; len++) {
            if (sscanf(kind + 2 * len, "%2hhx", (unsigned char *) &hex[len])
                != 1)
            {
                return 0;
            }
        }

        unit = hex;

        if (len == 0) {
            return 0;
        }
    }

    n = (n > BENCH_FEW) ? 8 : n;

    for (i = 0; i < n; i++) {
        bench_hostile(&hits[i], unit, len);
    }

    return n;
}

static int
bench_run(bench_hit_t *hits, size_t n, const char *variant, unsigned rounds)
{
    size_t            i, bound, bytes, strings;
    uint64_t          start, best, took;
    uint8_t          *dst;
    unsigned          round, again;
    beacon_line_t     line;
    beacon_schema_t   schema;
    beacon_render_t  *render;

    memset(&schema, 0, sizeof(schema));
    schema.edge = beacon_string("web7");
    schema.fields[schema.nfields++] = beacon_string("country");
    render = beacon_render_create();

    if (beacon_render_select(render, variant) != BEACON_OK) {
        fprintf(stderr, "no variant \"%s\" here\n", variant);
        return 1;
    }

    for (bound = 0, strings = 0, i = 0; i < n; i++) {
        took = beacon_render_bound(&hits[i].hit, &schema);
        bound = took > bound ? took : bound;
        strings += hits[i].payload.len;
    }

    dst = malloc(bound + BENCH_SLACK);
    best = UINT64_MAX;
    bytes = 0;

    for (again = 0; again < (rounds > 1 ? 5 : 1); again++) {
        start = bench_now();
        bytes = 0;

        for (round = 0; round < rounds; round++) {
            for (i = 0; i < n; i++) {
                beacon_render(render, &hits[i].record, &hits[i].hit, &schema,
                              0x9f3c0a1b2c3d4e5fULL, 3, dst, &line);
                bytes += line.len;
            }
        }

        took = bench_now() - start;
        best = took < best ? took : best;
    }

    printf("%s ns=%.1f line=%.1f payload=%.1f hits=%zu\n", variant,
           (double) best / (double) (n * rounds),
           (double) bytes / (double) (n * rounds),
           (double) strings / (double) n, n * rounds);

    beacon_render_destroy(render);
    free(dst);

    return 0;
}

/* A name that callgrind can be told of. */
static void bench_one(const char *name, bench_hit_t *hits, size_t n,
    const char *variant) __attribute__((noinline));

static void
bench_one(const char *name, bench_hit_t *hits, size_t n, const char *variant)
{
    printf("%s ", name);

    if (bench_run(hits, n, variant, 1)) {
        exit(1);
    }

    fflush(stdout);
}

static int
bench_all(bench_hit_t *hits, const char *variant)
{
    size_t  i;

    bench_one("normal", hits, bench_make(hits, "normal", BENCH_FEW), variant);

    for (i = 0; i < BENCH_KINDS; i++) {
        bench_one(bench_kinds[i].name, hits,
                  bench_make(hits, bench_kinds[i].name, 1), variant);
    }

    return 0;
}

/* Units in hex. */
static int
bench_units(bench_hit_t *hits, const char *variant, char **units)
{
    for ( /* void */ ; *units; units++) {
        if (bench_make(hits, *units, 1) == 0) {
            fprintf(stderr, "%s: what is this?\n", *units);
            return 1;
        }

        bench_one(*units, hits, 1, variant);
        free((void *) (uintptr_t) hits->payload.data);
    }

    return 0;
}

int
main(int argc, char **argv)
{
    size_t               i, n;
    unsigned             rounds;
    static bench_hit_t   hits[BENCH_NORMAL];

    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (i = 0; i < BENCH_KINDS; i++) {
            puts(bench_kinds[i].name);
        }

        return 0;
    }

    if (argc == 3 && strcmp(argv[1], "all") == 0) {
        return bench_all(hits, argv[2]);
    }

    if (argc > 3 && strcmp(argv[1], "units") == 0) {
        return bench_units(hits, argv[2], argv + 3);
    }

    if (argc < 3 || (n = bench_make(hits, argv[1], BENCH_NORMAL)) == 0) {
        fprintf(stderr, "usage: render KIND VARIANT [ROUNDS] | list | "
                "all VARIANT | units VARIANT HEX...\n");
        return 2;
    }

    rounds = argc > 3 ? (unsigned) atoi(argv[3]) : 50;

    return bench_run(hits, n, argv[2], rounds ? rounds : 1);
}
