/*
 * A store's file that is cut short, at any place, while its writer and a reader
 * have it mapped: neither dies, and another store takes its place.
 */

#include "live_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define CUT_START   1795301760000ULL
#define CUT_HITS    3000

#if defined(__SANITIZE_THREAD__)
#define CUT_ROUNDS  6
#else
#define CUT_ROUNDS  40
#endif

typedef struct {
    live_t        *l;
    _Atomic int    done;
    uint64_t       strange;
} cut_t;

/* A hit of this site, whole. */
static int
cut_whole(const beacon_live_record_t *record)
{
    return record->line.len > 2 && record->line.data[0] == '{'
           && record->line.data[record->line.len - 1] == '}'
           && memmem(record->line.data, record->line.len, "\"shop\"", 6)
              != NULL;
}

static void *
cut_read(void *data)
{
    cut_t                 *cut;
    size_t                 need;
    uint32_t               at;
    uint64_t               before;
    beacon_live_now_t      now;
    beacon_live_info_t     info;
    beacon_live_scan_t     scan;
    beacon_live_person_t   person;
    beacon_live_record_t   record;
    static uint8_t         buf[BEACON_LIVE_HIT_MAX];

    cut = data;

    while (!atomic_load(&cut->done)) {
        if (beacon_live_find(&cut->l->live, live_str("shop"), &info)
            != BEACON_OK)
        {
            continue;
        }

        beacon_live_scan_begin(&scan, &cut->l->live, &info, 0, buf,
                               sizeof(buf));

        while (beacon_live_scan(&scan, &record, &need) == BEACON_OK) {
            cut->strange += !cut_whole(&record);
        }

        (void) beacon_live_now(&cut->l->live, &info, CUT_START, 300, &now);
        at = 0;
        before = UINT64_MAX;

        while (beacon_live_next_visitor(&cut->l->live, &info, &at, &before,
                                        &person)
               == BEACON_OK)
        {
            cut->strange += person.id.len == 0;
        }
    }

    return NULL;
}

static void
cut_put(live_t *l, uint32_t n)
{
    char        page[64], visitor[64];
    live_hit_t  hit;

    memset(&hit, 0, sizeof(hit));
    snprintf(page, sizeof(page), "/%u", live_random(500));
    snprintf(visitor, sizeof(visitor), "v%u", live_random(3000));
    hit.site = live_random(3) ? "shop" : "news";
    hit.page = page;
    hit.visitor = visitor;
    (void) live_put(l, &hit, CUT_START + n);
}

/* 1: the file was cut while hits came, and another was found. */
static int
cut_once(live_t *l, cut_t *cut, uint64_t to)
{
    char       path[128];
    uint32_t   i;
    uint64_t   epoch;
    pthread_t  thread;

    epoch = l->live.epoch;
    snprintf(path, sizeof(path), "%s/live.%016llx", l->dir,
             (unsigned long long) epoch);
    atomic_store(&cut->done, 0);
    pthread_create(&thread, NULL, cut_read, cut);

    for (i = 0; i < 2 * CUT_HITS; i++) {
        cut_put(l, i);

        if (i == CUT_HITS && truncate(path, (off_t) to) == -1) {
            return 0;
        }
    }

    beacon_live_put_end(l->writer);
    atomic_store(&cut->done, 1);
    pthread_join(thread, NULL);

    if (!beacon_live_gone(l->writer)) {
        return 0;
    }

    live_close(l);
    live_open(l);

    return l->live.epoch != epoch;
}

int
main(void)
{
    live_t    l;
    cut_t     cut;
    uint32_t  i, right;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    memset(&cut, 0, sizeof(cut));
    cut.l = &l;
    live_runs = 1;
    right = 0;

    for (i = 0; i < CUT_ROUNDS; i++) {
        right += (uint32_t) cut_once(&l, &cut,
                                     i == 0 ? 0 : live_random(8 << 20));
    }

    ok(right == CUT_ROUNDS, "who_has_a_file_that_is_cut_short_goes_on_(%u)",
       right);
    ok(cut.strange == 0, "and_reads_nothing_that_was_not_there");

    live_remove(&l);

    return done_testing();
}
