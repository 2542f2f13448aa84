/*
 * A writer is killed again and again: at a named point, or wherever it is.  The
 * next one finds of each hit, or of each run of them, all that it counts, or
 * nothing; the mark says up to which.
 */

#include "live_fixture.h"
#include "beacon_live_int.h"

#include <signal.h>
#include <sys/wait.h>

#define KILL_START   1795301760000ULL
#define KILL_SITES   3
#define KILL_PEOPLE  800
#define KILL_PAGES   80
#define KILL_ROUNDS  120

static long  kill_after;

static void
kill_point(const char *name)
{
    (void) name;

    if (--kill_after == 0) {
        (void) raise(SIGKILL);
    }
}

/* The hit with this number: always the same. */
typedef struct {
    uint32_t  site;
    uint32_t  visitor;
    uint32_t  page;
    uint64_t  time_ms;
} kill_hit_t;

static kill_hit_t
kill_hit(uint64_t n)
{
    uint64_t    x;
    kill_hit_t  hit;

    x = n * 0x9e3779b97f4a7c15ULL;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 32;

    hit.site = (uint32_t) (x >> 3) % KILL_SITES;
    hit.visitor = (x & 1) ? (uint32_t) (x >> 8) % 10
                          : (uint32_t) (x >> 8) % KILL_PEOPLE;
    hit.page = (uint32_t) (x >> 24) % KILL_PAGES;
    hit.time_ms = KILL_START + n * 40 + n / 5000 * 700000;

    return hit;
}

static void
kill_put(live_t *l, uint64_t n)
{
    char        page[64], visitor[64], site[16];
    kill_hit_t  hit;
    live_hit_t  put;

    hit = kill_hit(n);
    snprintf(site, sizeof(site), "shop%u", hit.site);
    snprintf(page, sizeof(page), "/p/%u", hit.page);
    snprintf(visitor, sizeof(visitor), "v%u", hit.visitor);
    memset(&put, 0, sizeof(put));
    put.site = site;
    put.visitor = visitor;
    put.page = page;
    put.country = "GR";
    put.mark = n;
    (void) live_put(l, &put, hit.time_ms);

    if (n % 37 == 0) {
        beacon_live_put_end(l->writer);
    }
}

/* Writes until it is killed, then 1; 0: the time was over before. */
static int
kill_writer(live_t *l, int named)
{
    int       status;
    pid_t     pid;
    uint64_t  n;

    live_close(l);
    kill_after = 1 + live_random(4000);

    pid = fork();

    if (pid == 0) {
        beacon_live_point = named ? kill_point : NULL;
        live_open(l);
        n = beacon_live_mark(l->writer);

        for ( ;; ) {
            kill_put(l, ++n);
        }
    }

    if (!named) {
        usleep(2000 + live_random(8000));
        (void) kill(pid, SIGKILL);
    }

    (void) waitpid(pid, &status, 0);
    live_open(l);

    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* What the store says of a site is what its hits up to the mark make. */
static int
kill_same_site(live_t *l, uint32_t site)
{
    char                  name[16];
    uint32_t              i, n, end, pages[KILL_PAGES], people, at;
    uint8_t               seen[KILL_PEOPLE];
    uint64_t              number, mine, hits, before;
    kill_hit_t            hit;
    beacon_live_now_t     now;
    beacon_live_top_t     top[256];
    beacon_live_info_t    info;
    beacon_live_person_t  p;

    number = beacon_live_mark(l->writer);

    if (number < 100) {
        return 1;
    }

    snprintf(name, sizeof(name), "shop%u", site);
    info = live_site(l, name);
    end = (uint32_t) (kill_hit(number).time_ms / 10000);
    memset(pages, 0, sizeof(pages));
    memset(seen, 0, sizeof(seen));
    mine = 0;
    hits = 0;
    people = 0;

    for (i = 1; i <= number; i++) {
        hit = kill_hit(i);

        if (hit.site != site) {
            continue;
        }

        mine++;
        n = (uint32_t) (hit.time_ms / 10000);

        if (n + 360 > end) {
            hits++;
            people += !seen[hit.visitor];
            seen[hit.visitor] = 1;
        }

        if (n >= (end - 360 + 1 + 5) / 6 * 6) {
            pages[hit.page]++;
        }
    }

    n = 256;

    if (beacon_live_now(&l->live, &info, end * 10000ULL, 3600, &now)
        != BEACON_OK
        || beacon_live_top(&l->live, &info, BEACON_LIVE_PAGE_KEY,
                           end * 10000ULL, 3600, top, &n)
           != BEACON_OK
        || now.all != hits || now.visitors != people || info.hits != mine)
    {
        printf("# %llu hits of %llu, not %llu; %llu visitors, not %u\n",
               (unsigned long long) now.all, (unsigned long long) info.hits,
               (unsigned long long) mine,
               (unsigned long long) now.visitors, people);
        return 0;
    }

    for (i = 0; i < n; i++) {
        top[i].text[top[i].len] = '\0';
        at = (uint32_t) atoi((char *) top[i].text + 3);

        if (pages[at] != top[i].n) {
            printf("# page %u: %llu, not %u\n", at,
                   (unsigned long long) top[i].n, pages[at]);
            return 0;
        }
    }

    at = 0;
    before = UINT64_MAX;
    hits = 0;

    while (beacon_live_next_visitor(&l->live, &info, &at, &before, &p)
           == BEACON_OK)
    {
        hits += p.hits;
    }

    if (hits != mine) {
        printf("# visitors have %llu hits, not %llu\n",
               (unsigned long long) hits, (unsigned long long) mine);
        return 0;
    }

    return 1;
}

/* A run has hits of all of them. */
static int
kill_same(live_t *l)
{
    int       same;
    uint32_t  site;

    for (same = 1, site = 0; site < KILL_SITES; site++) {
        same &= kill_same_site(l, site);
    }

    return same;
}

static void
test_kill(int named, int runs)
{
    int       same, killed;
    live_t    l;
    uint32_t  i;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    live_runs = runs;
    same = 1;
    killed = 1;

    for (i = 0; i < KILL_ROUNDS && same && killed; i++) {
        killed = kill_writer(&l, named);
        same = kill_same(&l);
    }

    ok(same && killed, "%s, %u times: all of a %s is counted or nothing",
       named ? "killed_at_named_points" : "killed_anywhere", i,
       runs ? "run" : "hit");
    ok(beacon_live_mark(l.writer) > 1000, "there_were_%llu_hits",
       (unsigned long long) beacon_live_mark(l.writer));

    live_remove(&l);
}

int
main(void)
{
    test_kill(1, 0);
    test_kill(0, 0);
    test_kill(1, 1);
    test_kill(0, 1);

    return done_testing();
}
