/* A live store in a directory of its own, and hits that can be told apart. */

#ifndef LIVE_STORE_FIXTURE_H
#define LIVE_STORE_FIXTURE_H

#include "beacon_live_int.h"
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_8M  (8ULL << 20)

static char                   live_dir[] = "/dev/shm/beacon-live.XXXXXX";
static beacon_live_writer_t  *writer;
static beacon_live_t          reader;
static uint8_t                live_buf[BEACON_LIVE_HIT_MAX];

/* The line of a site's hit number n, so long at least. */
__attribute__((unused))
static size_t
make_line(char *line, const char *site, uint64_t n, size_t length)
{
    int  len, more;

    len = sprintf(line, "{\"v\":1,\"id\":\"9f3c-3-%llx\",\"time\":"
                  "\"2026-11-21T22:56:01.204Z\",\"edge\":\"web7\",\"site\":"
                  "\"%s\",\"ip\":\"203.0.113.7\",\"method\":\"GET\",\"host\":"
                  "\"px.example.com\",\"path\":\"/px.gif\",\"args\":{\"n\":"
                  "\"%llu\",\"x\":\"",
                  (unsigned long long) n, site, (unsigned long long) n);

    for (more = 0; (size_t) len + 3 < length; len++, more++) {
        line[len] = (char) ('a' + (n + (uint64_t) more) % 26);
    }

    len += sprintf(line + len, "\"}}");

    return (size_t) len;
}

/* 1: hits that are put are committed with some that follow. */
__attribute__((unused))
static int  put_runs;

__attribute__((unused))
static beacon_rc_t
put_mark(const char *site, uint64_t n, size_t length, uint64_t missing,
    uint64_t now_ms, uint64_t mark)
{
    char                 *line;
    beacon_rc_t           rc;
    beacon_live_put_t     put;
    beacon_line_parts_t   parts;
    beacon_line_shown_t   shown;

    line = malloc(length + 512);
    if (line == NULL) {
        abort();
    }

    memset(&put, 0, sizeof(put));
    put.site = (beacon_str_t) { strlen(site), (const uint8_t *) site };
    put.line = (beacon_str_t) { make_line(line, site, n, length),
                                (const uint8_t *) line };
    put.visitor = beacon_string("8f1c2d7e9b3a4c5d");
    put.time_ms = now_ms;
    put.missing = missing;
    put.mark = mark;
    put.shown = &shown;

    if (beacon_line_parts(put.line, &parts) != BEACON_OK) {
        abort();
    }

    beacon_line_shown_of(put.line.data, &parts, &shown);
    rc = put_runs ? beacon_live_put_more(writer, &put, now_ms)
         : beacon_live_put(writer, &put, now_ms);

    free(line);

    return rc;
}

__attribute__((unused))
static beacon_rc_t
put(const char *site, uint64_t n, uint64_t now_ms)
{
    return put_mark(site, n, 0, 0, now_ms, 0);
}

/* The number of the hit in a record, if all of its line is what it was; 0. */
__attribute__((unused))
static uint64_t
record_number(const char *site, const beacon_live_record_t *record)
{
    char      *line;
    size_t     len;
    uint64_t   n;

    static const char  before[] = "{\"v\":1,\"id\":\"9f3c-3-";

    if (record->line.len < 100
        || memcmp(record->line.data, before, sizeof(before) - 1) != 0)
    {
        return 0;
    }

    n = strtoull((const char *) record->line.data + sizeof(before) - 1, NULL,
                 16);

    line = malloc(record->line.len + 512);
    if (line == NULL) {
        abort();
    }

    len = make_line(line, site, n, record->line.len);

    if (len != record->line.len
        || memcmp(line, record->line.data, len) != 0
        || record->brief.len < 10
        || memcmp(record->brief.data, "{\"time\":\"2026-11-21T22:56:01.204Z\"",
                  34) != 0
        || record->ip_len != sizeof("\"ip\":\"203.0.113.7\"") - 1
        || memcmp(record->line.data + record->ip_offset,
                  "\"ip\":\"203.0.113.7\"", record->ip_len) != 0)
    {
        n = 0;
    }

    free(line);

    return n;
}

__attribute__((unused))
static beacon_rc_t
find(const char *name, beacon_live_info_t *site)
{
    return beacon_live_find(&reader,
                            (beacon_str_t) { strlen(name),
                                             (const uint8_t *) name },
                            site);
}

/* How many hits of a site follow "since", whole and in order; -1: not so. */
__attribute__((unused))
static long
follow(const char *name, uint64_t since, uint64_t *missed, uint64_t *first)
{
    long                  n;
    size_t                need;
    uint64_t              number, before;
    beacon_rc_t           rc;
    beacon_live_info_t    site;
    beacon_live_scan_t    scan;
    beacon_live_record_t  record;

    if (find(name, &site) != BEACON_OK) {
        return -1;
    }

    beacon_live_scan_begin(&scan, &reader, &site, since, live_buf,
                           sizeof(live_buf));
    before = 0;

    for (n = 0;
         (rc = beacon_live_scan(&scan, &record, &need)) == BEACON_OK;
         n++)
    {
        number = record_number(name, &record);

        if (number <= before) {
            printf("# %s: number %llu behind %llu\n", name,
                   (unsigned long long) number, (unsigned long long) before);
            return -1;
        }

        if (n == 0 && first != NULL) {
            *first = record.seq;
        }

        before = number;
    }

    if (missed != NULL) {
        *missed = scan.missed;
    }

    return rc == BEACON_AGAIN && scan.since == site.last ? n : -1;
}

__attribute__((unused))
static uint64_t
repaired(void)
{
    beacon_live_stats_t  stats;

    beacon_live_stats(writer, &stats);

    return stats.repaired;
}

__attribute__((unused))
static beacon_rc_t
open_store(uint64_t size, uint32_t present)
{
    beacon_rc_t   rc;
    beacon_err_t  err;

    beacon_live_detach(&reader);

    if (writer != NULL) {
        beacon_live_close(writer);
        writer = NULL;
    }

    rc = beacon_live_open(&writer, live_dir, size, present, &err);

    if (rc == BEACON_OK) {
        rc = beacon_live_attach(&reader, live_dir, &err);
    }

    if (rc != BEACON_OK) {
        printf("# %s\n", err.text);
    }

    return rc;
}

/* How many names in the directory end so; the last of them. */
__attribute__((unused))
static int
files(const char *end, char *path)
{
    DIR            *d;
    int             n;
    size_t          len;
    struct dirent  *entry;

    n = 0;
    d = opendir(live_dir);

    while (d != NULL && (entry = readdir(d)) != NULL) {
        len = strlen(entry->d_name);

        if (entry->d_name[0] != '.' && len >= strlen(end)
            && strcmp(entry->d_name + len - strlen(end), end) == 0)
        {
            if (path != NULL) {
                (void) sprintf(path, "%s/%s", live_dir, entry->d_name);
            }
            n++;
        }
    }

    if (d != NULL) {
        (void) closedir(d);
    }

    return n;
}

/* Nothing is left behind. */
__attribute__((unused))
static void
clean(void)
{
    char  path[512];

    beacon_live_detach(&reader);

    if (writer != NULL) {
        beacon_live_close(writer);
        writer = NULL;
    }

    while (files("", path)) {
        (void) unlink(path);
    }
}

#endif /* LIVE_STORE_FIXTURE_H */
