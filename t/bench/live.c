/*
 * The live store: what a hit costs, and what a reader's "now" does.
 *
 *     live put HITS DIR           hits of one busy site and some others
 *     live full HITS VISITORS MIB DIR  a store of that size, with an hour's
 *                                 hits of one site, by so many visitors, that
 *                                 fill its lists of keys, for
 *     live now WINDOW ROUNDS DIR  its now and four top lists of ten
 *     live fill HITS SITES MIB DIR  a store of that size, with hits of so many
 *                                 sites, for
 *     live scan ROUNDS DIR        who reads ten new hits of one of them
 *
 * DIR: a directory on tmpfs, in which a store is made.  For instructions run
 * it under callgrind with --toggle-collect=bench_puts, bench_nows or
 * bench_scans, whose total is that of the number it prints; it prints
 * nanoseconds, too.
 */

#include "beacon_live.h"
#include "beacon_live_write.h"
#include "bench_random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_SIZE   (128ULL << 20)
#define BENCH_START  1795301760000ULL
#define BENCH_LINES  8192
#define BENCH_ROOM   1024

typedef struct {
    beacon_str_t   line;
    beacon_line_t  known;
} bench_line_t;

/* Small numbers far more often than large ones. */
static uint32_t
bench_often(uint32_t n)
{
    return bench_random(1 + bench_random(1 + bench_random(n)));
}

static size_t
bench_line(char *line, const char *site)
{
    uint32_t  visitor;

    static const char *const  countries[] = {
        "GR", "DE", "FR", "US", "GB", "IT", "CY", "NL", "SE", "AU"
    };

    visitor = bench_random(5000);

    return (size_t) snprintf(line, BENCH_ROOM,
        "{\"v\":1,\"id\":\"9f3c0a1b2c3d4e5f-3-%x\","
        "\"time\":\"2026-11-21T22:56:%02u.%03uZ\",\"edge\":\"web7\","
        "\"site\":\"%s\",\"visitor\":\"%08x%08x%08x%08x\","
        "\"ip\":\"203.0.113.%u\",\"method\":\"GET\","
        "\"host\":\"px.example.com\",\"path\":\"/px.gif\",\"args\":{"
        "\"e\":\"pageview\",\"url\":\"https://shop.example/%u-mobile-phones-"
        "and-tablets-item%u.html#top\",\"title\":\"T menu and bar\","
        "\"ref\":\"https://news%u.example/?q=%u\",\"sr\":\"%ux%u\","
        "\"ul\":\"en-us\",\"tz\":\"-%u\",\"cb\":\"0.%u%u\","
        "\"pv\":\"%08x%08x-%08x%08x\",\"site\":\"shop\"},"
        "\"referer\":\"https://shop.example/c/%u/mobile-"
        "phones-and-tablets/item%u.html?from=newsletter\",\"user_agent\":"
        "\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0\","
        "\"fields\":{\"country\":\"%s\"}}",
        0x1a0000 + bench_random(100000), bench_random(60), bench_random(1000),
        site, visitor * 7919, visitor * 104729, visitor, ~visitor,
        bench_random(256), bench_often(10), bench_often(300),
        bench_often(150), bench_random(10000), 800 + bench_random(2000),
        600 + bench_random(1000), bench_random(720), bench_random(100000),
        bench_random(100000), bench_random(1U << 31), bench_random(1U << 31),
        bench_random(1U << 31), bench_random(1U << 31), bench_random(1000),
        bench_random(100000), countries[visitor % 10]);
}

static void
bench_text(const bench_line_t *line, beacon_str_t part,
    beacon_line_text_t *text)
{
    text->offset = (uint32_t) (part.data - line->line.data);
    text->len = (uint32_t) part.len;
}

/* What the renderer says of a line that it made. */
static void
bench_known(bench_line_t *line)
{
    uint32_t              brace;
    beacon_line_t        *known;
    beacon_line_parts_t   parts;

    if (beacon_line_parts(line->line, &parts) != BEACON_OK) {
        exit(1);
    }

#define bench_at(part)  ((uint32_t) (parts.part.data - line->line.data))

    known = &line->known;
    known->id_len = (uint16_t) parts.id.len;
    known->site_offset = bench_at(site);
    known->site_len = (uint16_t) parts.site.len;
    known->ip_offset = bench_at(ip_member);
    known->ip_len = (uint16_t) (parts.ip_member.len + 1);
    known->host_offset = bench_at(host) - (uint32_t) strlen("\"host\":\"");
    known->path_offset = bench_at(host) + (uint32_t) parts.host.len + 2;
    known->args_offset = bench_at(args);
    known->args_end = known->args_offset + (uint32_t) parts.args.len;
    known->referer_end = bench_at(referer) + (uint32_t) parts.referer.len + 2;
    known->agent_end = bench_at(user_agent)
                       + (uint32_t) parts.user_agent.len + 2;
    brace = bench_at(fields) + (uint32_t) parts.fields.len;
    known->fields_end = brace;
    known->flags_end = brace;
    bench_text(line, parts.arg_url, &known->texts[BEACON_LINE_ARG_URL]);
    bench_text(line, parts.arg_ref, &known->texts[BEACON_LINE_ARG_REF]);
    bench_text(line, parts.field_country,
               &known->texts[BEACON_LINE_FIELD_COUNTRY]);

#undef bench_at
}

static void
bench_make(bench_line_t *lines)
{
    char    *text, site[16];
    size_t   i;

    text = malloc((size_t) BENCH_LINES * BENCH_ROOM);

    for (i = 0; i < BENCH_LINES; i++, text += BENCH_ROOM) {
        if (i % 2) {
            snprintf(site, sizeof(site), "site%u", bench_random(20));

        } else {
            snprintf(site, sizeof(site), "shop");
        }

        lines[i].line.data = (uint8_t *) text;
        lines[i].line.len = bench_line(text, site);
        bench_known(&lines[i]);
    }
}

/* Names that callgrind can be told of. */
static void bench_puts(beacon_live_writer_t *writer, const bench_line_t *lines,
    size_t n, uint64_t *now_ms) __attribute__((noinline, noclone));
static void bench_nows(const beacon_live_t *live,
    const beacon_live_info_t *site, uint64_t now_ms, uint32_t window, size_t n)
    __attribute__((noinline, noclone));
static size_t bench_scans(const beacon_live_t *live, beacon_str_t name,
    uint64_t since, uint8_t *buf) __attribute__((noinline, noclone));

static void
bench_puts(beacon_live_writer_t *writer, const bench_line_t *lines, size_t n,
    uint64_t *now_ms)
{
    size_t               i;
    beacon_live_put_t    put;
    beacon_line_text_t   visitor;
    beacon_line_shown_t  shown;

    memset(&put, 0, sizeof(put));
    put.shown = &shown;

    for (i = 0; i < n; i++) {
        beacon_line_shown(lines[i].line.data, &lines[i].known, &shown);
        put.site.data = lines[i].line.data + lines[i].known.site_offset;
        put.site.len = lines[i].known.site_len;
        put.line = lines[i].line;
        visitor = shown.texts[BEACON_SHORT_VISITOR];
        put.visitor.data = put.line.data + visitor.offset;
        put.visitor.len = visitor.len;
        put.time_ms = (*now_ms)++;

        if (beacon_live_put_more(writer, &put, put.time_ms) != BEACON_OK) {
            exit(1);
        }
    }

    beacon_live_put_end(writer);
}

static void
bench_nows(const beacon_live_t *live, const beacon_live_info_t *site,
    uint64_t now_ms, uint32_t window, size_t n)
{
    uint32_t           keys;
    unsigned           kind;
    beacon_live_now_t  now;
    beacon_live_top_t  top[10];

    while (n--) {
        if (beacon_live_now(live, site, now_ms, window, &now) != BEACON_OK) {
            exit(1);
        }

        for (kind = 0; kind < BEACON_LIVE_KINDS; kind++) {
            keys = 10;

            if (beacon_live_top(live, site, kind, now_ms, window, top, &keys)
                != BEACON_OK)
            {
                exit(1);
            }
        }
    }
}

static uint64_t
bench_time(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * 1000000000ULL + (uint64_t) now.tv_nsec;
}

static void
bench_put(beacon_live_writer_t *writer, const bench_line_t *lines, size_t hits,
    uint64_t *now_ms)
{
    size_t    done;
    uint64_t  start;

    start = bench_time();

    for (done = 0; done < hits; done += BENCH_LINES) {
        bench_puts(writer, lines, BENCH_LINES, now_ms);
    }

    printf("hits=%zu ns=%.0f\n", done,
           (double) (bench_time() - start) / (double) done);
}

static beacon_live_writer_t *
bench_open(const char *dir, uint64_t size)
{
    beacon_err_t           err;
    beacon_live_writer_t  *writer;

    if (beacon_live_open(&writer, dir, size, 300, &err) != BEACON_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }

    return writer;
}

/* Full lists: every key that there may be, in every minute of an hour. */
static int
bench_full(const char *dir, uint64_t hits, uint64_t visitors, uint64_t size)
{
    char                   line[BENCH_ROOM];
    uint32_t               k;
    uint64_t               i;
    beacon_live_put_t      put;
    beacon_line_parts_t    parts;
    beacon_line_shown_t    shown;
    beacon_live_writer_t  *writer;

    writer = bench_open(dir, size);
    memset(&put, 0, sizeof(put));
    put.shown = &shown;

    for (i = 0; i < hits; i++) {
        k = (uint32_t) (i % 256);
        put.line.data = (uint8_t *) line;
        put.line.len = (size_t) snprintf(line, sizeof(line),
            "{\"v\":1,\"id\":\"9f\",\"time\":\"2026-11-21T22:56:01.000Z\","
            "\"edge\":\"web7\",\"site\":\"shop\",\"visitor\":\"v%llu\","
            "\"method\":\"GET\",\"path\":\"/\",\"args\":{\"url\":\"https://"
            "shop.example/%u-mobile-phones-and-tablets?utm_source=n%u\","
            "\"ref\":\"https://news%u.example/\"},\"fields\":{\"country\":"
            "\"C%u\"}}", (unsigned long long) (i % visitors), k, k % 64,
            k % 128, k);

        if (beacon_line_parts(put.line, &parts) != BEACON_OK) {
            exit(1);
        }

        beacon_line_shown_of(put.line.data, &parts, &shown);
        put.site = parts.site;
        put.visitor = parts.visitor;
        put.time_ms = BENCH_START + i * 3600000 / hits;
        (void) beacon_live_put(writer, &put, put.time_ms);
    }

    beacon_live_close(writer);

    return 0;
}

static int
bench_now(const char *dir, uint32_t window, size_t rounds)
{
    uint64_t            start;
    beacon_err_t        err;
    beacon_live_t       live;
    beacon_live_info_t  site;

    if (beacon_live_attach(&live, dir, &err) != BEACON_OK
        || beacon_live_find(&live, beacon_string("shop"), &site) != BEACON_OK)
    {
        return 1;
    }

    start = bench_time();
    bench_nows(&live, &site, site.last_ms, window, rounds);
    printf("nows=%zu ns=%.0f stored=%llu\n", rounds,
           (double) (bench_time() - start) / (double) rounds,
           (unsigned long long) (site.last + 1 - site.first));
    beacon_live_detach(&live);

    return 0;
}

/* What a request does for hits?since=, but for its answer. */
static size_t
bench_scans(const beacon_live_t *live, beacon_str_t name, uint64_t since,
    uint8_t *buf)
{
    size_t                n, need;
    beacon_live_info_t    site;
    beacon_live_scan_t    scan;
    beacon_live_record_t  record;

    if (beacon_live_find(live, name, &site) != BEACON_OK) {
        exit(1);
    }

    beacon_live_scan_begin(&scan, live, &site, since, buf,
                           BEACON_LIVE_HIT_MAX);

    for (n = 0; beacon_live_scan(&scan, &record, &need) == BEACON_OK; n++) {
        /* void */
    }

    return n;
}

static int
bench_fill_sites(const char *dir, const bench_line_t *lines, uint64_t hits,
    uint32_t sites, uint64_t size)
{
    char                   name[16];
    uint64_t               i, now_ms;
    beacon_live_put_t      put;
    beacon_line_parts_t    parts;
    beacon_line_shown_t    shown;
    beacon_live_writer_t  *writer;

    writer = bench_open(dir, size);
    memset(&put, 0, sizeof(put));
    put.shown = &shown;
    now_ms = BENCH_START;

    for (i = 0; i < hits; i++) {
        put.line = lines[i % BENCH_LINES].line;
        (void) beacon_line_parts(put.line, &parts);
        beacon_line_shown_of(put.line.data, &parts, &shown);

        put.site.len = (size_t) sprintf(name, "site%u",
                                        (unsigned) (i % sites));
        put.site.data = (const uint8_t *) name;
        put.visitor = parts.visitor;
        put.time_ms = now_ms + i / 20;
        (void) beacon_live_put(writer, &put, put.time_ms);
    }

    beacon_live_close(writer);

    return 0;
}

static int
bench_scan(const char *dir, size_t rounds)
{
    size_t               i, n;
    uint8_t             *buf;
    uint64_t             start;
    beacon_err_t         err;
    beacon_live_t        live;
    beacon_live_info_t   site;

    buf = malloc(BEACON_LIVE_HIT_MAX);

    if (buf == NULL || beacon_live_attach(&live, dir, &err) != BEACON_OK
        || beacon_live_find(&live, beacon_string("site0"), &site) != BEACON_OK)
    {
        return 1;
    }

    start = bench_time();

    for (i = 0, n = 0; i < rounds; i++) {
        n += bench_scans(&live, beacon_string("site0"), site.last - 10, buf);
    }

    printf("scans=%zu hits=%zu ns=%.0f stored=%llu\n", rounds, n,
           (double) (bench_time() - start) / (double) rounds,
           (unsigned long long) (site.last + 1 - site.first));

    beacon_live_detach(&live);
    free(buf);

    return 0;
}

int
main(int argc, char **argv)
{
    uint64_t               now_ms;
    static bench_line_t    lines[BENCH_LINES];
    beacon_live_writer_t  *writer;

    if (argc == 4 && strcmp(argv[1], "scan") == 0) {
        return bench_scan(argv[3], (size_t) atol(argv[2]));
    }

    if (argc == 5 && strcmp(argv[1], "now") == 0) {
        return bench_now(argv[4], (uint32_t) atol(argv[2]),
                         (size_t) atol(argv[3]));
    }

    if (argc == 6 && strcmp(argv[1], "full") == 0) {
        return bench_full(argv[5], (uint64_t) atoll(argv[2]),
                          (uint64_t) atoll(argv[3]),
                          (uint64_t) atoll(argv[4]) << 20);
    }

    if (argc == 6 && strcmp(argv[1], "fill") == 0) {
        bench_make(lines);
        return bench_fill_sites(argv[5], lines, (uint64_t) atoll(argv[2]),
                                (uint32_t) atol(argv[3]),
                                (uint64_t) atoll(argv[4]) << 20);
    }

    if (argc != 4 || strcmp(argv[1], "put") != 0) {
        fprintf(stderr, "live put HITS DIR | live full HITS VISITORS MIB DIR "
                        "| live now WINDOW ROUNDS DIR\n"
                        "live fill HITS SITES MIB DIR | live scan ROUNDS DIR"
                        "\n");
        return 2;
    }

    now_ms = BENCH_START;
    bench_make(lines);
    writer = bench_open(argv[3], BENCH_SIZE);
    bench_put(writer, lines, (size_t) atol(argv[2]), &now_ms);
    beacon_live_close(writer);

    return 0;
}
