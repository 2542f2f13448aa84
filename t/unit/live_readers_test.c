/*
 * Readers beside the writer: what they see is whole and of the site that they
 * asked for.  Under ThreadSanitizer, too (t/04-threads.t).
 */

#include "live_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define READERS_START  1795301760000ULL
#define READERS_HITS   40000
#define READERS        3

/* More hits, of one visitor.  ThreadSanitizer takes a minute for a few. */
#if defined(__SANITIZE_THREAD__)
#define READERS_TRAIL  10000
#else
#define READERS_TRAIL  200000
#endif

#define READERS_BACK   60000           /* ms */

typedef struct {
    live_t            *l;
    const char        *site;
    _Atomic uint64_t  *now;
    _Atomic int       *done;
    uint64_t           rounds;
    uint64_t           strange;
    uint64_t           seen;
} readers_t;

/* "/shop/17", "shop17": the site's name stands in all that is its own. */
static int
readers_own(const readers_t *r, beacon_str_t text, const char *before)
{
    size_t  n, len;

    n = strlen(before);
    len = strlen(r->site);

    return text.len > n + len && memcmp(text.data, before, n) == 0
           && memcmp(text.data + n, r->site, len) == 0;
}

static void
readers_top(readers_t *r, const beacon_live_info_t *info, uint64_t now,
    uint32_t window)
{
    uint32_t           i, n;
    beacon_live_top_t  top[20];

    n = 20;

    if (beacon_live_top(&r->l->live, info, BEACON_LIVE_PAGE_KEY, now, window,
                        top, &n)
        != BEACON_OK)
    {
        return;
    }

    for (i = 0; i < n; i++) {
        r->seen++;
        r->strange += top[i].n == 0 || (i && top[i].n > top[i - 1].n)
                      || !readers_own(r, (beacon_str_t) { top[i].len,
                                                          top[i].text }, "/");
    }
}

static void
readers_people(readers_t *r, const beacon_live_info_t *info)
{
    uint32_t              i, at, n;
    uint64_t              before, last, seqs[10];
    beacon_live_person_t  p, again;

    at = 0;
    before = UINT64_MAX;
    last = UINT64_MAX;

    for (i = 0; i < 30 && beacon_live_next_visitor(&r->l->live, info, &at,
                                                   &before, &p)
                          == BEACON_OK; i++)
    {
        r->seen++;
        r->strange += p.seq >= last || p.hits == 0
                      || !readers_own(r, p.id, "")
                      || !readers_own(r, p.page, "/")
                      || !readers_own(r, p.entry, "/");
        last = p.seq;

        if (beacon_live_visitor(&r->l->live, info, p.id, &again) == BEACON_OK) {
            r->strange += again.seq < p.seq
                          || again.id.len != p.id.len
                          || memcmp(again.id.data, p.id.data, p.id.len) != 0;
        }

        n = 10;

        if (beacon_live_trail(&r->l->live, info, &p, seqs, &n) == BEACON_OK) {
            for (at = 1; at < n; at++) {
                r->strange += seqs[at] >= seqs[at - 1];
            }
        }

        at = p.index;
    }
}

/* A visitor who hits all the time has a trail, whenever it is asked for. */
static void *
readers_trail(void *data)
{
    uint32_t              n;
    uint64_t              seqs[10];
    readers_t            *r;
    beacon_live_info_t    info;
    beacon_live_person_t  p;

    r = data;

    while (!atomic_load(r->done)) {
        if (beacon_live_find(&r->l->live, live_str(r->site), &info)
            != BEACON_OK
            || beacon_live_visitor(&r->l->live, &info, live_str("joe"), &p)
               != BEACON_OK || p.hits < 2 * BEACON_LIVE_RUN)
        {
            continue;
        }

        n = 10;
        r->rounds++;
        r->seen++;
        r->strange += beacon_live_trail(&r->l->live, &info, &p, seqs, &n)
                      != BEACON_OK || n == 0;
    }

    return NULL;
}

static void *
readers_run(void *data)
{
    uint64_t             now, all;
    readers_t           *r;
    beacon_live_now_t    counted;
    beacon_live_info_t   info;

    r = data;
    all = 0;

    while (!atomic_load(r->done)) {
        if (beacon_live_find(&r->l->live, live_str(r->site), &info)
            != BEACON_OK)
        {
            continue;
        }

        r->rounds++;
        now = atomic_load(r->now);

        /* to the store, a clock that is more than a minute behind its newest
           hit was set back; ours is, where this thread had no turn for some
           milliseconds */

        if (beacon_live_now(&r->l->live, &info, now, 3600, &counted)
            == BEACON_OK
            && atomic_load(r->now) - now < READERS_BACK)
        {
            r->strange += counted.all < all || counted.all > READERS_HITS
                          || counted.visitors > counted.all;
            all = counted.all;
        }

        readers_top(r, &info, now, 300);
        readers_top(r, &info, now, 3600);
        readers_people(r, &info);
    }

    return NULL;
}

int
main(void)
{
    char               page[64], visitor[64];
    live_t             l;
    uint32_t           i, n;
    pthread_t          threads[READERS];
    readers_t          readers[READERS];
    live_hit_t         hit;
    _Atomic int        done;
    _Atomic uint64_t   now;

    static const char *const  sites[] = { "shop", "news", "club" };

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    atomic_init(&done, 0);
    atomic_init(&now, READERS_START);
    memset(readers, 0, sizeof(readers));

    for (i = 0; i < READERS; i++) {
        readers[i].l = &l;
        readers[i].site = sites[i];
        readers[i].now = &now;
        readers[i].done = &done;
        pthread_create(&threads[i], NULL,
                       i < 2 ? readers_run : readers_trail, &readers[i]);
    }

    memset(&hit, 0, sizeof(hit));
    hit.page = page;
    hit.visitor = visitor;

    for (i = 0; i < READERS_HITS; i++) {
        hit.site = sites[live_random(2)];
        live_runs = live_random(8) != 0;

        /* many: slots go from one site to the other all the time */

        n = live_random(live_random(2) ? 20 : 10000);
        snprintf(page, sizeof(page), "/%s/%u", hit.site, n);
        n = live_random(live_random(2) ? 20 : 100000);
        snprintf(visitor, sizeof(visitor), "%s%u", hit.site, n);
        (void) live_put(&l, &hit, atomic_fetch_add(&now, live_random(100)));
    }

    hit.site = sites[2];
    hit.visitor = "joe";
    live_runs = 1;

    for (i = 0; i < READERS_TRAIL; i++) {
        (void) live_put(&l, &hit, atomic_load(&now));
    }

    atomic_store(&done, 1);

    for (i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        ok(readers[i].rounds > 1 && readers[i].seen > 20
           && readers[i].strange == 0,
           "a_reader_of_%s_saw_nothing_strange", readers[i].site);
        printf("# %llu rounds, %llu keys and visitors, %llu strange\n",
               (unsigned long long) readers[i].rounds,
               (unsigned long long) readers[i].seen,
               (unsigned long long) readers[i].strange);
    }

    live_remove(&l);

    return done_testing();
}
