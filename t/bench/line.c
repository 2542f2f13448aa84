/*
 * What a live view takes of a line, many times.
 *
 *     line [ROUNDS]
 *
 * The lines are such as t/bench/render.c's normal hits become.  For
 * instructions run it under callgrind with --toggle-collect=bench_lines, whose
 * total is that of the number of lines that it prints.
 */

#include "beacon_line.h"
#include "bench_random.h"

#include <stdio.h>
#include <stdlib.h>

#define BENCH_LINES  1024
#define BENCH_ROOM   1024

static size_t
bench_line(char *line)
{
    static const char *const  titles[] = {
        "\xce\xa4\xce\xaf\xcf\x84\xce\xbb\xce\xbf\xcf\x82",
        "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"
    };

    return (size_t) snprintf(line, BENCH_ROOM,
        "{\"v\":1,\"id\":\"9f3c0a1b2c3d4e5f-3-%x\","
        "\"time\":\"2026-11-21T22:56:%02u.%03uZ\",\"edge\":\"web7\","
        "\"site\":\"shop\",\"visitor\":\"%08x%08x%08x%08x\","
        "\"ip\":\"203.0.113.%u\",\"method\":\"GET\","
        "\"host\":\"px.example.com\",\"path\":\"/px.gif\",\"args\":{"
        "\"e\":\"pageview\",\"url\":\"https://shop.example/%u-mobile-phones-"
        "and-tablets-item%u.html#top\",\"title\":\"%s menu and bar\","
        "\"ref\":\"news.example/?q=%u\",\"sr\":\"%ux%u\",\"ul\":\"en-us\","
        "\"tz\":\"-%u\",\"cb\":\"0.%u%u\",\"pv\":\"%08x%08x-%08x%08x\","
        "\"site\":\"shop\"},\"referer\":\"https://shop.example/c/%u/mobile-"
        "phones-and-tablets/item%u.html?from=newsletter\",\"user_agent\":"
        "\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0\","
        "\"fields\":{\"country\":\"GR\"}}",
        0x1a0000 + bench_random(100000), bench_random(60), bench_random(1000),
        bench_random(1U << 31), bench_random(1U << 31),
        bench_random(1U << 31), bench_random(1U << 31), bench_random(256),
        bench_random(1000), bench_random(100000), titles[bench_random(2)],
        bench_random(10000), 800 + bench_random(2000),
        600 + bench_random(1000), bench_random(720), bench_random(100000),
        bench_random(100000), bench_random(1U << 31), bench_random(1U << 31),
        bench_random(1U << 31), bench_random(1U << 31), bench_random(1000),
        bench_random(100000));
}

/* A name that callgrind can be told of. */
static size_t bench_lines(const beacon_str_t *lines, size_t n)
    __attribute__((noinline));

static size_t
bench_lines(const beacon_str_t *lines, size_t n)
{
    size_t               i, bytes;
    uint8_t              brief[BEACON_SHORT_ROOM(BENCH_ROOM, 64)];
    beacon_line_view_t   view;
    beacon_line_parts_t  parts;

    for (bytes = 0, i = 0; i < n; i++) {
        if (beacon_line_parts(lines[i], &parts) != BEACON_OK) {
            exit(1);
        }

        beacon_line_view(&parts, &view);
        bytes += beacon_line_short(&parts, &view, parts.visitor, brief);
    }

    return bytes;
}

int
main(int argc, char **argv)
{
    int           rounds, round;
    char         *text;
    size_t        i, all, brief;
    beacon_str_t  lines[BENCH_LINES];

    rounds = (argc > 1) ? atoi(argv[1]) : 1;
    text = malloc((size_t) BENCH_LINES * BENCH_ROOM);
    all = 0;
    brief = 0;

    for (i = 0; i < BENCH_LINES; i++) {
        lines[i].data = (uint8_t *) text + i * BENCH_ROOM;
        lines[i].len = bench_line(text + i * BENCH_ROOM);
        all += lines[i].len;
    }

    for (round = 0; round < rounds; round++) {
        brief = bench_lines(lines, BENCH_LINES);
    }

    printf("lines=%d line=%.1f short=%.1f\n", BENCH_LINES * rounds,
           (double) all / BENCH_LINES, (double) brief / BENCH_LINES);
    free(text);

    return 0;
}
