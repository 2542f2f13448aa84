/* A live store in a directory of its own, and hits for it. */

#ifndef LIVE_FIXTURE_H
#define LIVE_FIXTURE_H

#include "beacon_live.h"
#include "beacon_live_write.h"
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char                   dir[64];
    uint64_t               size;
    beacon_live_writer_t  *writer;
    beacon_live_t          live;
} live_t;

typedef struct {
    const char  *site;
    const char  *visitor;
    const char  *page;          /* NULL: none, as all below; may have utm_ */
    const char  *referrer;
    const char  *country;
    const char  *flags;
    uint64_t     mark;
} live_hit_t;

static inline beacon_str_t
live_str(const char *text)
{
    return (beacon_str_t) { strlen(text), (const uint8_t *) text };
}

static inline int
live_is(beacon_str_t str, const char *text)
{
    return str.len == strlen(text) && memcmp(str.data, text, str.len) == 0;
}

static inline void
live_open(live_t *l)
{
    beacon_err_t  err;

    err.text[0] = '\0';

    if (beacon_live_open(&l->writer, l->dir, l->size, 300, &err) != BEACON_OK
        || beacon_live_attach(&l->live, l->dir, &err) != BEACON_OK)
    {
        printf("Bail out! no store: %s\n", err.text);
        exit(2);
    }
}

static inline void
live_close(live_t *l)
{
    beacon_live_detach(&l->live);
    beacon_live_close(l->writer);
}

static inline void
live_make(live_t *l, uint64_t size)
{
    memset(l, 0, sizeof(*l));
    l->size = size;

    snprintf(l->dir, sizeof(l->dir), "%s/beacon-live-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");

    if (mkdtemp(l->dir) == NULL) {
        printf("Bail out! mkdtemp(\"%s\") failed\n", l->dir);
        exit(2);
    }

    live_open(l);
}

static inline void
live_remove(live_t *l)
{
    DIR            *d;
    struct dirent  *entry;

    live_close(l);

    d = opendir(l->dir);

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            unlinkat(dirfd(d), entry->d_name, 0);
        }
    }

    if (d != NULL) {
        closedir(d);
    }

    rmdir(l->dir);
}

/* The file, for who wants to damage it. */
static inline uint8_t *
live_bytes(const live_t *l)
{
    int    fd;
    char   path[128];
    void  *map;

    snprintf(path, sizeof(path), "%s/live.%016llx", l->dir,
             (unsigned long long) l->live.epoch);
    fd = open(path, O_RDWR);
    map = mmap(NULL, l->live.size, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);

    if (map == MAP_FAILED) {
        printf("Bail out! mmap(\"%s\") failed\n", path);
        exit(2);
    }

    return map;
}

/* Its line, as Beacon would render it; returns the length. */
static inline size_t
live_line(const live_hit_t *hit, uint64_t time_ms, char *line, size_t size)
{
    int  n;

    n = snprintf(line, size, "{\"v\":1,\"id\":\"9f3c-1-%llx\",\"time\":"
                 "\"2026-11-21T22:56:01.204Z\",\"edge\":\"web7\","
                 "\"site\":\"%s\",\"visitor\":\"%s\",\"method\":\"GET\","
                 "\"host\":\"a.example\",\"path\":\"/px.gif\",\"args\":{",
                 (unsigned long long) time_ms, hit->site, hit->visitor);

    n += snprintf(line + n, size - (size_t) n, "%s%s%s%s%s%s%s%s}",
                  hit->page ? "\"url\":\"" : "", hit->page ? hit->page : "",
                  hit->page ? "\"" : "",
                  hit->page && hit->referrer ? "," : "",
                  hit->referrer ? "\"ref\":\"" : "",
                  hit->referrer ? hit->referrer : "",
                  hit->referrer ? "\"" : "", "");

    if (hit->country) {
        n += snprintf(line + n, size - (size_t) n,
                      ",\"fields\":{\"country\":\"%s\"}", hit->country);
    }

    if (hit->flags) {
        n += snprintf(line + n, size - (size_t) n, ",\"flags\":%s",
                      hit->flags);
    }

    n += snprintf(line + n, size - (size_t) n, "}");

    return (size_t) n;
}

/* 1: hits that are put are committed with some that follow. */
static int  live_runs;

static inline beacon_rc_t
live_put(live_t *l, const live_hit_t *hit, uint64_t now_ms)
{
    char                 line[4096];
    beacon_live_put_t    put;
    beacon_line_parts_t  parts;
    beacon_line_shown_t  shown;

    memset(&put, 0, sizeof(put));
    put.site = live_str(hit->site);
    put.line.len = live_line(hit, now_ms, line, sizeof(line));
    put.line.data = (uint8_t *) line;
    put.visitor = live_str(hit->visitor);
    put.time_ms = now_ms;
    put.mark = hit->mark;
    put.shown = &shown;

    if (beacon_line_parts(put.line, &parts) != BEACON_OK) {
        printf("Bail out! %.*s\n", (int) put.line.len, line);
        exit(2);
    }

    beacon_line_shown_of(put.line.data, &parts, &shown);

    return live_runs ? beacon_live_put_more(l->writer, &put, now_ms)
           : beacon_live_put(l->writer, &put, now_ms);
}

static inline beacon_live_info_t
live_site(live_t *l, const char *name)
{
    beacon_live_info_t  info;

    memset(&info, 0, sizeof(info));

    if (beacon_live_find(&l->live, live_str(name), &info) != BEACON_OK) {
        printf("# there is no site \"%s\"\n", name);
    }

    return info;
}

static uint64_t  live_state = 88172645463325252ULL;

/* 0 .. n - 1 */
static inline uint32_t
live_random(uint32_t n)
{
    live_state ^= live_state << 13;
    live_state ^= live_state >> 7;
    live_state ^= live_state << 17;

    return (uint32_t) (live_state >> 33) % n;
}

#endif /* LIVE_FIXTURE_H */
