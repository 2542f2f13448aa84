/*
 * A live store to ask things of.
 *
 *     live_fill HITS SITES SIZE DIR
 *
 * Makes a store of SIZE bytes in DIR: HITS hits of site "shop", the last ten of
 * them as long as browsers make them, and one of each other site.  Prints the
 * cursor behind which those ten are.
 */

#include "beacon_live.h"
#include "beacon_live_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILL_LAST  10

static const char  *fill_args =
    "\"e\":\"pageview\",\"url\":\"https://shop.example/c/165/mobile-phones/p/"
    "91823\",\"title\":\"mobile-phones at the best shop in the whole of the "
    "town\",\"ref\":\"https://news.example.org/a-long-read-about-phones\","
    "\"r\":\"1920x1080\",\"lang\":\"el-GR\",\"t\":\"1795301460123\","
    "\"rnd\":\"0.84131\"";

static const char  *fill_agent =
    "\"referer\":\"https://shop.example/c/165/mobile-phones\",\"user_agent\":"
    "\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Safari/537.36\",";

static void
fill_put(beacon_live_writer_t *writer, const char *site, uint64_t n, int large)
{
    char                 line[2048];
    struct timespec      now;
    beacon_live_put_t    put;
    beacon_line_parts_t  parts;
    beacon_line_shown_t  shown;

    memset(&put, 0, sizeof(put));

    put.line.data = (uint8_t *) line;
    put.line.len = (size_t) snprintf(line, sizeof(line),
        "{\"v\":1,\"id\":\"9f3c0a1b2c3d4e5f-3-%llx\","
        "\"time\":\"2026-11-21T22:56:01.204Z\",\"edge\":\"web7\","
        "\"site\":\"%s\",\"visitor\":\"8f1c2d7e9b3a4c5d6e7f8091%08llx\","
        "\"ip\":\"203.0.113.7\",\"method\":\"GET\","
        "\"host\":\"px.example.com\",\"path\":\"/px.gif\",\"args\":{%s},%s"
        "\"fields\":{\"country\":\"GR\"}}",
        (unsigned long long) n, site, (unsigned long long) n % 5000,
        large ? fill_args : "\"url\":\"/a\"", large ? fill_agent : "");

    if (beacon_line_parts(put.line, &parts) != BEACON_OK) {
        exit(1);
    }

    beacon_line_shown_of(put.line.data, &parts, &shown);
    clock_gettime(CLOCK_REALTIME, &now);

    put.site = parts.site;
    put.visitor = parts.visitor;
    put.shown = &shown;
    put.time_ms = (uint64_t) now.tv_sec * 1000
                  + (uint64_t) now.tv_nsec / 1000000;

    if (beacon_live_put(writer, &put, put.time_ms) != BEACON_OK) {
        exit(1);
    }

    if (n % 1000 == 0) {
        beacon_live_tick(writer, put.time_ms);
    }
}

int
main(int argc, char **argv)
{
    char                   site[32];
    uint64_t               i, hits, sites;
    beacon_err_t           err;
    beacon_live_t          live;
    beacon_live_info_t     info;
    beacon_live_writer_t  *writer;

    if (argc != 5) {
        fprintf(stderr, "usage: live_fill HITS SITES SIZE DIR\n");
        return 2;
    }

    hits = strtoull(argv[1], NULL, 10);
    sites = strtoull(argv[2], NULL, 10);

    if (beacon_live_open(&writer, argv[4], strtoull(argv[3], NULL, 10), 300,
                         &err)
        != BEACON_OK)
    {
        fprintf(stderr, "live_fill: %s\n", err.text);
        return 1;
    }

    for (i = 1; i < sites; i++) {
        (void) snprintf(site, sizeof(site), "site%llu", (unsigned long long) i);
        fill_put(writer, site, i, 0);
    }

    for (i = 1; i <= hits; i++) {
        fill_put(writer, "shop", i, i + FILL_LAST > hits);
    }

    beacon_live_close(writer);

    if (beacon_live_attach(&live, argv[4], &err) != BEACON_OK
        || beacon_live_find(&live, (beacon_str_t) { 4, (uint8_t *) "shop" },
                            &info)
           != BEACON_OK)
    {
        return 1;
    }

    printf("%016llx.%llu stored=%llu\n", (unsigned long long) live.epoch,
           (unsigned long long) (info.last - FILL_LAST),
           (unsigned long long) (info.last - info.first + 1));

    return 0;
}
