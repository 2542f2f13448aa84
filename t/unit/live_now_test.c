#include "live_fixture.h"

#define NOW_START   1795301760000ULL
#define NOW_HITS    40000
#define NOW_PAGES   90
#define NOW_PEOPLE  400
#define NOW_SITES   2

/* A hit as the model knows it. */
typedef struct {
    uint32_t  site;
    uint32_t  step;             /* that it counts in, since 1970 */
    uint32_t  visitor;
    uint32_t  page;
    uint32_t  country;          /* 0: none */
} now_hit_t;

static now_hit_t  now_hits[NOW_HITS];
static uint32_t   now_nhits;
static uint32_t   now_running[NOW_SITES];

static const char *const  now_sites[NOW_SITES] = { "shop", "news" };
static const char *const  now_countries[] = { NULL, "GR", "DE", "FR" };

static void
now_put(live_t *l, uint64_t now_ms)
{
    char        page[64], visitor[64];
    now_hit_t  *hit;
    live_hit_t  put;

    hit = &now_hits[now_nhits++];
    hit->site = live_random(4) == 0;
    hit->visitor = live_random(live_random(2) ? 20 : NOW_PEOPLE);
    hit->page = live_random(live_random(2) ? 5 : NOW_PAGES);
    hit->country = live_random(4);
    hit->step = (uint32_t) (now_ms / 10000);

    if (hit->step < now_running[hit->site]) {
        hit->step = now_running[hit->site];
    }

    now_running[hit->site] = hit->step;

    snprintf(page, sizeof(page), "https://a.example/p/%u", hit->page);
    snprintf(visitor, sizeof(visitor), "v%u", hit->visitor);
    memset(&put, 0, sizeof(put));
    put.site = now_sites[hit->site];
    put.visitor = visitor;
    put.page = page;
    put.country = now_countries[hit->country];

    if (live_put(l, &put, now_ms) != BEACON_OK) {
        printf("Bail out! a hit was not taken\n");
        exit(2);
    }
}

typedef struct {
    uint32_t  hits[BEACON_LIVE_STEPS];
    uint64_t  all;
    uint32_t  visitors;
    uint32_t  pages[NOW_PAGES];
    uint32_t  countries[4];
    uint64_t  start;
} now_model_t;

/* What a window has, counted one by one. */
static void
now_count(now_model_t *m, uint32_t site, uint64_t now_ms, uint32_t window)
{
    uint32_t          i, end, steps, first;
    const now_hit_t  *hit;
    uint8_t           seen[NOW_PEOPLE];

    memset(m, 0, sizeof(*m));
    memset(seen, 0, sizeof(seen));

    end = (uint32_t) (now_ms / 10000);
    end = end < now_running[site] ? now_running[site] : end;
    steps = (window + 9) / 10;
    m->start = (end - steps + 1) * 10ULL;

    /* top lists of long windows have whole minutes */

    first = end - steps + 1;
    first = steps > 36 ? (first + 5) / 6 * 6 : first;

    for (i = 0; i < now_nhits; i++) {
        hit = &now_hits[i];

        if (hit->site != site || hit->step + steps <= end) {
            continue;
        }

        m->hits[hit->step - (end - steps + 1)]++;
        m->all++;
        m->visitors += !seen[hit->visitor];
        seen[hit->visitor] = 1;

        if (hit->step >= first) {
            m->pages[hit->page]++;
            m->countries[hit->country]++;
        }
    }
}

static int
now_top_is(const live_t *l, const beacon_live_info_t *info,
    beacon_live_kind_e kind, uint64_t now_ms, uint32_t window,
    const uint32_t *counts, uint32_t ncounts)
{
    uint32_t           i, n, found, number;
    char               text[64];
    beacon_live_top_t  top[256];

    n = 256;

    if (beacon_live_top(&l->live, info, kind, now_ms, window, top, &n)
        != BEACON_OK)
    {
        return 0;
    }

    for (found = 0, i = 0; i < ncounts; i++) {
        found += counts[i] != 0 && (kind == BEACON_LIVE_PAGE_KEY || i != 0);
    }

    if (found != n) {
        printf("# %u keys, not %u\n", n, found);
        return 0;
    }

    for (i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "%.*s", (int) top[i].len,
                 (const char *) top[i].text);

        if (kind == BEACON_LIVE_PAGE_KEY) {
            number = (uint32_t) atoi(text + 3);

        } else {
            number = 1;

            while (strcmp(now_countries[number], text) != 0) {
                number++;
            }
        }

        if (counts[number] != top[i].n) {
            printf("# %s: %llu, not %u\n", text,
                   (unsigned long long) top[i].n, counts[number]);
            return 0;
        }

        if (i && (top[i].n > top[i - 1].n
                  || (top[i].n == top[i - 1].n
                      && (top[i].len == top[i - 1].len)
                      && memcmp(top[i - 1].text, top[i].text, top[i].len)
                         >= 0)))
        {
            printf("# %s: out of order\n", text);
            return 0;
        }
    }

    return 1;
}

static int
now_same(live_t *l, uint32_t site, uint64_t now_ms, uint32_t window)
{
    now_model_t         m;
    beacon_live_now_t   now;
    beacon_live_info_t  info;

    now_count(&m, site, now_ms, window);
    info = live_site(l, now_sites[site]);

    if (beacon_live_now(&l->live, &info, now_ms, window, &now) != BEACON_OK) {
        return 0;
    }

    if (now.steps != (window + 9) / 10 || now.start != m.start
        || now.all != m.all || now.visitors != m.visitors
        || memcmp(now.hits, m.hits, now.steps * sizeof(now.hits[0])) != 0)
    {
        printf("# %s, %u s: start %llu, %llu hits, %llu visitors; not %llu, "
               "%llu, %u\n", now_sites[site], window,
               (unsigned long long) now.start, (unsigned long long) now.all,
               (unsigned long long) now.visitors,
               (unsigned long long) m.start, (unsigned long long) m.all,
               m.visitors);
        return 0;
    }

    return now_top_is(l, &info, BEACON_LIVE_PAGE_KEY, now_ms, window, m.pages,
                      NOW_PAGES)
           && now_top_is(l, &info, BEACON_LIVE_COUNTRY_KEY, now_ms, window,
                         m.countries, 4);
}

/* Hours of hits: in bursts, in silence, by a clock that is set. */
static void
test_model(void)
{
    int       same, again;
    live_t    l;
    uint32_t  i, site, window;
    uint64_t  now;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    now = NOW_START;
    same = 1;
    again = 1;

    for (i = 0; i < 2; i++) {
        while (now_running[i] == 0) {
            now_put(&l, now);
        }
    }

    while (now_nhits < NOW_HITS) {
        now_put(&l, now);

        switch (live_random(600)) {
        case 0:
            now += live_random(4000000);
            break;
        case 1:
            now -= live_random(55000);
            break;
        case 2:
        case 3:
            now += live_random(200000);
            break;
        case 4:
            live_close(&l);
            live_open(&l);
            again++;
            break;
        default:
            now += live_random(3000);
        }

        if (live_random(50) == 0 || now_nhits > NOW_HITS - 100) {
            window = live_random(2) ? 10 + live_random(3590)
                                    : (uint32_t []) { 10, 11, 60, 300, 360,
                                                      361, 3599, 3600
                                                    }[live_random(8)];
            for (site = 0; site < NOW_SITES && same; site++) {
                same = now_same(&l, site, now, window);
            }
        }
    }

    ok(same, "all_windows_are_as_a_model_counts_them_over_%llu_hours",
       (unsigned long long) ((now - NOW_START) / 3600000));

    for (window = 10; window <= 3600 && same; window++) {
        same = now_same(&l, 0, now, window) && now_same(&l, 1, now, window);
    }

    ok(same, "and_each_window_from_10_s_to_an_hour");
    ok(again > 1, "also_after_%d_openings", again);

    now += 3601 * 1000;
    ok(now_same(&l, 0, now, 3600) && now_same(&l, 1, now, 60),
       "after_an_hour_s_silence_there_is_nothing");

    live_remove(&l);
}

static void
now_n(live_t *l, const char *visitor, uint64_t now_ms, uint32_t n)
{
    uint32_t    i;
    live_hit_t  hit;

    memset(&hit, 0, sizeof(hit));
    hit.site = "shop";
    hit.visitor = visitor;
    hit.page = "/x";

    for (i = 0; i < n; i++) {
        (void) live_put(l, &hit, now_ms);
    }
}

static int
now_is(live_t *l, uint64_t now_ms, uint32_t window, uint64_t hits,
    uint64_t visitors, uint64_t start)
{
    uint32_t            n;
    beacon_live_now_t   now;
    beacon_live_top_t   top[1];
    beacon_live_info_t  info;

    n = 1;
    info = live_site(l, "shop");

    if (beacon_live_now(&l->live, &info, now_ms, window, &now) != BEACON_OK
        || beacon_live_top(&l->live, &info, BEACON_LIVE_PAGE_KEY, now_ms,
                           window, top, &n)
           != BEACON_OK)
    {
        return 0;
    }

    if (now.all != hits || now.visitors != visitors || now.start != start
        || (n ? top[0].n : 0) != hits)
    {
        printf("# %llu hits, %llu visitors, start %llu, top %llu\n",
               (unsigned long long) now.all,
               (unsigned long long) now.visitors,
               (unsigned long long) now.start,
               (unsigned long long) (n ? top[0].n : 0));
        return 0;
    }

    return 1;
}

static void
test_clock(void)
{
    live_t    l;
    uint64_t  now, year;

    year = 31536000000ULL;
    now = NOW_START;
    live_make(&l, BEACON_LIVE_SIZE_MIN);

    now_n(&l, "a", now, 5);
    now_n(&l, "b", now, 1);
    now_n(&l, "a", now - 30000, 2);
    ok(now_is(&l, now, 10, 8, 2, now / 1000)
       && now_is(&l, now - 30000, 10, 8, 2, now / 1000),
       "a_clock_that_goes_back_a_little_does_not_count_back");

    ok(now_is(&l, now - year, 3600, 0, 0, (now - year) / 1000 - 3590),
       "nothing_is_in_the_window_of_a_clock_set_back_a_year");

    now_n(&l, "a", now - year, 3);
    ok(now_is(&l, now - year, 3600, 3, 1, (now - year) / 1000 - 3590),
       "what_comes_then_counts_alone");

    now_n(&l, "b", now - year + 20000, 1);
    ok(now_is(&l, now - year + 20000, 20, 1, 1, (now - year) / 1000 + 10)
       && now_is(&l, now - year + 20000, 30, 4, 2, (now - year) / 1000),
       "and_time_goes_on_from_there");

    live_close(&l);
    live_open(&l);
    ok(now_is(&l, now - year + 20000, 30, 4, 2, (now - year) / 1000),
       "also_after_opening_again");

    now_n(&l, "a", now, 1);
    ok(now_is(&l, now, 3600, 1, 1, now / 1000 - 3590),
       "a_clock_set_right_again_counts_anew");
    ok(now_is(&l, now + 3600 * 1000, 3600, 0, 0, now / 1000 + 10),
       "until_an_hour_is_over");

    live_remove(&l);
}

static const char  *page_site = "shop";

static void
page_put(live_t *l, const char *name, uint32_t number, uint32_t times,
    uint64_t now)
{
    char        page[32];
    live_hit_t  hit;

    memset(&hit, 0, sizeof(hit));
    snprintf(page, sizeof(page), "/%s/%u", name, number);
    hit.site = page_site;
    hit.visitor = "v";
    hit.page = page;

    while (times--) {
        (void) live_put(l, &hit, now);
    }
}

/* Within one step of a list that is full. */
static void
test_waiting(void)
{
    live_t              l;
    uint32_t            i, n, left;
    beacon_live_top_t   top[300];
    beacon_live_info_t  info;

    live_make(&l, BEACON_LIVE_SIZE_MIN);

    for (i = 0; i < 256; i++) {
        page_put(&l, "there", i, 3, NOW_START);
    }

    for (i = 0; i < 3000; i++) {
        page_put(&l, "once", i, 1, NOW_START);
    }

    page_put(&l, "new", 1, 10, NOW_START);
    info = live_site(&l, "shop");
    n = 300;
    (void) beacon_live_top(&l.live, &info, BEACON_LIVE_PAGE_KEY, NOW_START, 10,
                           top, &n);

    for (i = 0, left = 0; i < n; i++) {
        left += top[i].n == 3 && memcmp(top[i].text, "/there/", 7) == 0;
    }

    ok(n == 256 && left == 255, "who_comes_once_puts_out_nobody_of_that_step");
    ok(top[0].n == 10 && top[0].len == 6
       && memcmp(top[0].text, "/new/1", 6) == 0,
       "who_comes_more_often_does_and_has_all_hits");

    page_put(&l, "once", 1, 1, NOW_START + 10000);
    n = 300;
    (void) beacon_live_top(&l.live, &info, BEACON_LIVE_PAGE_KEY,
                           NOW_START + 10000, 10, top, &n);
    ok(n == 1 && top[0].n == 1 && top[0].len == 7,
       "in_the_next_step_the_first_does");

    live_remove(&l);
}

#define NOW_NOTED  16

/* A list that is full, and pages that come more often than those in it: how
   many of them have all hits, and no others. */
static uint32_t
page_noted(live_t *l, const char *site)
{
    uint32_t            i, n, found;
    beacon_live_top_t   top[300];
    beacon_live_info_t  info;

    page_site = site;

    for (i = 0; i < 256; i++) {
        page_put(l, "there", i, 3, NOW_START);
    }

    for (i = 0; i < NOW_NOTED; i++) {
        page_put(l, "new", i, 10, NOW_START);
    }

    page_site = "shop";
    info = live_site(l, site);
    n = 300;
    (void) beacon_live_top(&l->live, &info, BEACON_LIVE_PAGE_KEY, NOW_START,
                           10, top, &n);

    for (i = 0, found = 0; i < n; i++) {
        found += top[i].n == 10 && memcmp(top[i].text, "/new/", 5) == 0;
    }

    return found;
}

/* A clock that is set back comes to the same step once more, and another site
   is in the slot by then: what was noted of the first one is not its. */
static void
test_tenant(void)
{
    char                 name[32];
    live_t               l;
    uint32_t             i;
    live_hit_t           hit;
    beacon_live_stats_t  stats;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    ok(page_noted(&l, "shop") == NOW_NOTED, "who_comes_often_has_all_hits");

    memset(&hit, 0, sizeof(hit));
    hit.site = name;
    hit.visitor = "v";
    i = 0;

    do {
        snprintf(name, sizeof(name), "site%u", i++);
        (void) live_put(&l, &hit, NOW_START);
        beacon_live_stats(l.writer, &stats);
    } while (stats.overflow == 0);

    beacon_live_tick(l.writer, NOW_START + 300000);
    beacon_live_tick(l.writer, NOW_START);
    i = page_noted(&l, "heir");
    beacon_live_stats(l.writer, &stats);
    ok(stats.evicted_sites == 1 && i == NOW_NOTED,
       "and_none_of_a_site_that_had_the_slot_before (%u)", i);

    live_remove(&l);
}

/* Thousands of pages that are hit once each must not wash out what is hit all
   the time. */
static void
test_caps(void)
{
    char                page[64], visitor[32];
    live_t              l;
    uint32_t            i, n, often, seldom;
    uint64_t            now;
    live_hit_t          hit;
    beacon_live_top_t   top[300];
    beacon_live_info_t  info;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    memset(&hit, 0, sizeof(hit));
    hit.site = "shop";
    hit.visitor = visitor;
    hit.page = page;
    now = NOW_START;
    often = 0;
    seldom = 0;

    for (i = 0; i < 60000; i++) {
        now += 20;
        snprintf(visitor, sizeof(visitor), "v%u", i % 100);

        if (live_random(20) == 0) {
            strcpy(page, "/often");
            often += i >= 45000;

        } else if (live_random(100) == 0) {
            strcpy(page, "/seldom");
            seldom += i >= 45000;

        } else {
            snprintf(page, sizeof(page), "/once/%u", i);
        }

        (void) live_put(&l, &hit, now);
    }

    info = live_site(&l, "shop");
    n = 300;
    (void) beacon_live_top(&l.live, &info, BEACON_LIVE_PAGE_KEY, now, 300,
                           top, &n);
    ok(n == 256, "a_site_keeps_256_pages (%u)", n);
    ok(top[0].n >= often * 95ULL / 100 && top[0].n <= often + 60
       && top[0].len == 6 && memcmp(top[0].text, "/often", 6) == 0,
       "one_of_20_hits_is_counted_among_57000_pages (%llu of %u)",
       (unsigned long long) top[0].n, often);
    ok(top[1].n >= seldom * 9ULL / 10 && top[1].len == 7
       && memcmp(top[1].text, "/seldom", 7) == 0,
       "so_is_one_of_100 (%llu of %u)", (unsigned long long) top[1].n, seldom);

    n = 3;
    (void) beacon_live_top(&l.live, &info, BEACON_LIVE_PAGE_KEY, now, 300,
                           top, &n);
    ok(n == 3 && top[0].n >= top[1].n && top[1].n > top[2].n,
       "a_list_is_as_long_as_there_is_room");

    /* the pages of other sites push out who was hit last before them */

    hit.page = page;

    for (i = 0; i < 5000; i++) {
        snprintf(page, sizeof(page), "/other/%u", i);
        snprintf(visitor, sizeof(visitor), "site%u", i % 100);
        hit.site = visitor;
        (void) live_put(&l, &hit, now + 20000 + i * 100);
    }

    now += 520000;
    info = live_site(&l, "site7");
    n = 300;
    (void) beacon_live_top(&l.live, &info, BEACON_LIVE_PAGE_KEY, now, 3600,
                           top, &n);
    ok(n > 0 && top[n - 1].len > 7 && memcmp(top[0].text, "/other/", 7) == 0,
       "of_the_pool_of_keys_a_site_has_its_newest (%u)", n);
    info = live_site(&l, "shop");
    n = 300;
    (void) beacon_live_top(&l.live, &info, BEACON_LIVE_PAGE_KEY, now, 3600,
                           top, &n);
    ok(n < 256, "at_the_cost_of_who_was_not_hit_since (%u)", n);

    live_close(&l);
    live_open(&l);
    i = n;
    n = 300;
    (void) beacon_live_top(&l.live, &info, BEACON_LIVE_PAGE_KEY, now, 3600,
                           top, &n);
    ok(n == i, "opening_again_changes_nothing");

    live_remove(&l);
}

/* 1: of the pages there is one that begins with "/new", with n hits. */
static int
now_new_is(const live_t *l, const beacon_live_info_t *info, uint64_t now,
    uint32_t window, uint64_t n)
{
    int                found;
    uint32_t           i, keys;
    beacon_live_top_t  top[300];

    keys = 300;
    found = 0;
    (void) beacon_live_top(&l->live, info, BEACON_LIVE_PAGE_KEY, now, window,
                           top, &keys);

    for (i = 0; i < keys; i++) {
        if (memcmp(top[i].text, "/new", 4) == 0) {
            found += top[i].n == n ? 1 : 1000;
        }
    }

    return found == 1;
}

/* A page takes the place of one with hits in many steps: none are its own. */
static void
test_heir(void)
{
    int                 own;
    char                page[64];
    live_t              l;
    uint32_t            i, k;
    uint64_t            now;
    live_hit_t          hit;
    beacon_live_info_t  info;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    memset(&hit, 0, sizeof(hit));
    hit.site = "shop";
    hit.visitor = "v";
    hit.page = page;
    now = NOW_START;
    own = 1;

    for (i = 0; i < 12; i++, now += 10000) {
        for (k = 0; k < 512; k++) {
            snprintf(page, sizeof(page), "/old/%u", k % 256);
            (void) live_put(&l, &hit, now);
        }
    }

    for (i = 0; i < 8; i++, now += 10000) {
        strcpy(page, "/new");
        (void) live_put(&l, &hit, now);
        info = live_site(&l, "shop");
        own &= now_new_is(&l, &info, now, 10, 1)
               && now_new_is(&l, &info, now, 300, i + 1)
               && now_new_is(&l, &info, now, 3600, i + 1);
        live_close(&l);
        live_open(&l);
    }

    ok(own, "one_that_takes_anothers_place_has_its_own_hits_only");

    live_remove(&l);
}

int
main(void)
{
    test_model();
    test_clock();
    test_waiting();
    test_tenant();
    test_caps();
    test_heir();

    return done_testing();
}
