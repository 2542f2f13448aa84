/*
 * Readers beside the writer: chunks move, sites come and go, and what a reader
 * gets is whole, in order, and of the site he asked for.  Under
 * ThreadSanitizer, too (t/04-threads.t).
 */

#include "live_store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define NOW      1795301460000ULL
#define HITS     30000
#define READERS  2
#define STEADY   3
#define PASSING  400

typedef struct {
    pthread_t   thread;
    uint32_t    which;
    uint64_t    records;
    uint64_t    strange;
    uint8_t    *buf;
} scan_reader_t;

static _Atomic int  done;

static const char *
name_of(uint32_t n, char *name)
{
    (void) sprintf(name, n < STEADY ? "steady-%u" : "passing-%u", n);

    return name;
}

/* On from where it was; what is missed is gone, not passed by. */
static uint64_t
read_on(scan_reader_t *r, const char *name, const beacon_live_info_t *site,
    uint64_t since)
{
    size_t                need;
    uint64_t              seq, number, before;
    beacon_live_info_t    now;
    beacon_live_scan_t    scan;
    beacon_live_record_t  record;

    beacon_live_scan_begin(&scan, &reader, site, since, r->buf,
                           BEACON_LIVE_HIT_MAX);
    before = 0;

    for (seq = scan.since;
         beacon_live_scan(&scan, &record, &need) == BEACON_OK;
         seq = record.seq)
    {
        number = record_number(name, &record);
        r->records++;
        r->strange += number <= before || record.seq <= seq;

        /* the writer leaves no gaps here */

        if (record.seq != seq + 1
            && (beacon_live_find(&reader, (beacon_str_t) { site->name_len,
                                                           site->name }, &now)
                != BEACON_OK
                || (now.tenant == site->tenant && now.first < record.seq)))
        {
            printf("# %s: %llu behind %llu, first %llu\n", name,
                   (unsigned long long) record.seq, (unsigned long long) seq,
                   (unsigned long long) now.first);
            r->strange++;
        }

        before = number;
    }

    return scan.since;
}

static void *
run_reader(void *data)
{
    char                 name[32];
    uint32_t             n, which;
    uint64_t             since[STEADY];
    scan_reader_t       *r;
    beacon_live_info_t   site;

    r = data;
    memset(since, 0, sizeof(since));

    for (n = r->which; !atomic_load(&done); n++) {
        which = n % 2 ? n / 2 % STEADY : n % PASSING;

        if (find(name_of(which, name), &site) != BEACON_OK) {
            r->strange += which < STEADY && r->records > 1000;
            continue;
        }

        if (which >= STEADY) {
            (void) read_on(r, name, &site,
                           beacon_live_back(&reader, &site, 5, 1 << 20));
            continue;
        }

        since[which] = read_on(r, name, &site, since[which]);
        r->strange += since[which] > beacon_live_last(&reader, &site);
    }

    return NULL;
}

/* Whoever asks while the writer stands somewhere in a hit, or was killed. */

static struct {
    unsigned            asked;
    unsigned            ahead;
    unsigned            followed;       /* by one who goes on where he was */
    beacon_live_scan_t  scan;
} amid;

static void
amid_follow(const beacon_live_info_t *site)
{
    size_t                need;
    beacon_live_record_t  record;

    if (amid.scan.live == NULL) {
        beacon_live_scan_begin(&amid.scan, &reader, site, site->last, live_buf,
                               sizeof(live_buf));
    }

    while (beacon_live_scan(&amid.scan, &record, &need) == BEACON_OK) {
        amid.followed++;
    }
}

static void
amid_ask(const char *point)
{
    size_t                need;
    uint64_t              last, seq;
    beacon_live_info_t    site;
    beacon_live_scan_t    scan;
    beacon_live_record_t  record;

    (void) point;

    if (find("amid", &site) != BEACON_OK) {
        return;
    }

    last = beacon_live_last(&reader, &site);
    beacon_live_scan_begin(&scan, &reader, &site, 0, live_buf,
                           sizeof(live_buf));

    for (seq = 0; beacon_live_scan(&scan, &record, &need) == BEACON_OK;
         seq = record.seq)
    {
        /* void */
    }

    amid.asked++;
    amid.ahead += seq != last || scan.since != last || scan.missed != 0;
    amid_follow(&site);
}

static void
test_amid(int runs)
{
    uint64_t  n;

    memset(&amid, 0, sizeof(amid));
    put_runs = runs;
    beacon_live_point = amid_ask;

    for (n = 1; n <= 70; n++) {
        (void) put_mark("amid", n, n % 7 ? 700 : n % 3 * 9000, 0, NOW, 0);
    }

    beacon_live_point = NULL;
    put_runs = 0;
    beacon_live_put_end(writer);
    amid_ask("");

    ok(amid.asked > 70 && amid.ahead == 0,
       "who asks amid a %s gets those before, and no cursor ahead of them",
       runs ? "run" : "hit");

    ok(amid.followed > 60 && amid.scan.missed == 0,
       "who follows has each, also one that begins in one chunk and ends in "
       "others");
}

int
main(void)
{
    char           name[32];
    uint32_t       i, n;
    scan_reader_t  readers[READERS];

    if (mkdtemp(live_dir) == NULL || open_store(SIZE_8M, 1) != BEACON_OK) {
        return 1;
    }

    test_amid(0);
    test_amid(1);

    memset(readers, 0, sizeof(readers));

    for (i = 0; i < READERS; i++) {
        readers[i].which = i * 7;
        readers[i].buf = malloc(BEACON_LIVE_HIT_MAX);

        if (readers[i].buf == NULL
            || pthread_create(&readers[i].thread, NULL, run_reader,
                              &readers[i])
               != 0)
        {
            return 1;
        }
    }

    for (n = 1; n <= HITS; n++) {
        i = n % 4 ? n % 16 < 12 ? 0 : n % STEADY : (uint32_t) rand() % PASSING;
        (void) put_mark(name_of(i, name), n, n % 50 ? 300 + n % 900 : 20000, 0,
                        NOW + n * 20ULL, 0);
        if (n % 25 == 0) {
            beacon_live_tick(writer, NOW + n * 20ULL);
        }
    }

    atomic_store(&done, 1);

    for (i = 0; i < READERS; i++) {
        (void) pthread_join(readers[i].thread, NULL);
        ok(readers[i].strange == 0 && readers[i].records > 1000,
           "a reader beside the writer sees nothing strange");
        printf("# %llu records, %llu strange\n",
               (unsigned long long) readers[i].records,
               (unsigned long long) readers[i].strange);
        free(readers[i].buf);
    }

    clean();
    (void) rmdir(live_dir);

    return done_testing();
}
