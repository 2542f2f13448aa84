/* The live store: hits in, hits out; sites, shares, sizes. */

#include "live_store_fixture.h"

#include <sys/statvfs.h>

/* 2026-11-21 */
#define NOW  1795301460000ULL

static void
hits(void)
{
    int                   bad;
    uint64_t              n, missed;
    beacon_live_info_t    site;
    beacon_live_stats_t   stats;

    ok(open_store(SIZE_8M, 300) == BEACON_OK, "an empty store is made");
    ok(find("shop", &site) == BEACON_INVALID, "it knows no site");

    for (n = 1; n <= 1000; n++) {
        (void) put_mark("shop", n, 100 + n * 7 % 900, 0, NOW + n, n);
    }

    ok(find("shop", &site) == BEACON_OK && site.hits == 1000
       && site.last == 1000 && site.first == 1 && site.start == 0
       && site.last_ms == NOW + 1000, "a site tells its hits");
    ok(follow("shop", 0, &missed, NULL) == 1000 && missed == 0,
       "all hits are read as they were put");
    ok(follow("shop", 990, &missed, NULL) == 10 && missed == 0,
       "those behind a cursor are read");
    ok(follow("shop", 1000, &missed, NULL) == 0 && missed == 0,
       "there is none behind the newest");
    ok(beacon_live_mark(writer) == 1000, "the mark is the last hit's");

    for (bad = 0, n = 0; n < 1000; n += 13) {
        bad += follow("shop", n, &missed, NULL) != (long) (1000 - n)
               || missed != 0;
    }

    ok(bad == 0, "a cursor anywhere is found");

    for (bad = 0, n = 1; n < 300; n += 11) {
        bad += beacon_live_back(&reader, &site, (uint32_t) n, 1 << 20)
               != 1000 - n;
    }

    ok(bad == 0, "so many hits back is so many sequences back");
    ok(beacon_live_back(&reader, &site, 0, 1 << 20) == 1000
       && beacon_live_back(&reader, &site, 5000, 1 << 20) == 0,
       "none back is the newest, too many the oldest");
    ok(1000 - beacon_live_back(&reader, &site, 500, 32768) < 100,
       "a walk back ends where its bytes do");

    beacon_live_stats(writer, &stats);
    ok(stats.hits == 1000 && stats.missing == 0 && stats.sites == 1
       && stats.size == SIZE_8M && stats.repaired == 0
       && stats.used_bytes == site.chunks * (uint64_t) BEACON_LIVE_CHUNK,
       "the books say so");

    ok(open_store(SIZE_8M, 300) == BEACON_OK && repaired() == 0
       && follow("shop", 0, &missed, NULL) == 1000 && missed == 0,
       "a store that is opened again has them all");
    ok(put("shop", 1001, NOW + 1001) == BEACON_OK
       && follow("shop", 1000, &missed, NULL) == 1, "and goes on");
}

/* Hits that are committed in one. */
static void
runs(void)
{
    uint64_t             missed, i;
    beacon_live_info_t   shop, other;

    clean();
    (void) open_store(SIZE_8M, 300);
    (void) put("shop", 1, NOW);
    (void) put("other", 1, NOW);
    put_runs = 1;

    (void) put_mark("shop", 2, 0, 0, NOW, 2);
    (void) put_mark("other", 2, 0, 4, NOW, 3);
    (void) put_mark("shop", 3, 0, 0, NOW, 4);
    ok(find("shop", &shop) == BEACON_OK && shop.last == 1 && shop.hits == 1
       && follow("shop", 0, &missed, NULL) == 1
       && beacon_live_mark(writer) == 0, "no reader has a run that goes on");

    beacon_live_put_end(writer);
    ok(find("shop", &shop) == BEACON_OK && shop.last == 3 && shop.hits == 3
       && find("other", &other) == BEACON_OK && other.last == 6
       && other.hits == 2 && beacon_live_mark(writer) == 4,
       "all of its sites have it at its end, and the mark");
    ok(follow("shop", 0, &missed, NULL) == 3 && missed == 0
       && follow("other", 0, &missed, NULL) == 2 && missed == 4,
       "each of its hits is read, and what is missing is told");

    for (i = 4; i < 4 + 5 * BEACON_LIVE_RUN; i++) {
        (void) put_mark("shop", i, i % 7 ? 0 : 9000, 0, NOW, i);
    }

    ok(find("shop", &shop) == BEACON_OK && shop.last > i - BEACON_LIVE_RUN - 2,
       "a run is so long and no longer");
    (void) beacon_live_gap(writer, beacon_string("shop"), 2, i);
    ok(find("shop", &shop) == BEACON_OK && shop.last == i + 1
       && follow("shop", 0, &missed, NULL) == (long) i - 1 && missed == 2,
       "a gap comes behind it");

    (void) put_mark("shop", i, 0, 0, NOW, i + 1);
    (void) put_mark("third", 1, 0, 0, NOW, i + 2);
    put_runs = 0;
    ok(open_store(SIZE_8M, 300) == BEACON_OK && repaired() == 0
       && beacon_live_mark(writer) == i + 2
       && follow("third", 0, &missed, NULL) == 1
       && follow("shop", i + 1, &missed, NULL) == 1,
       "a store that is closed has all that was put");
}

static void
gaps(void)
{
    uint64_t             missed;
    beacon_live_info_t   site;

    clean();
    (void) open_store(SIZE_8M, 300);

    (void) put("shop", 1, NOW);
    (void) put_mark("shop", 2, 0, 5, NOW, 0);
    ok(find("shop", &site) == BEACON_OK && site.last == 7 && site.hits == 2,
       "missing hits have sequences");
    ok(follow("shop", 1, &missed, NULL) == 1 && missed == 5,
       "and are told as missed");

    ok(beacon_live_gap(writer, beacon_string("shop"), 3, 77) == BEACON_OK
       && beacon_live_mark(writer) == 77
       && follow("shop", 7, &missed, NULL) == 0 && missed == 3,
       "those behind the newest are told, too");
    ok(beacon_live_gap(writer, beacon_string("other"), 3, 78)
       == BEACON_INVALID && beacon_live_mark(writer) == 78,
       "a site that is not known has no gap, the mark is kept");

    (void) put("shop", 3, NOW);
    ok(follow("shop", 1, &missed, NULL) == 2 && missed == 8,
       "later hits are behind the gap");

    ok(put_mark("shop", 4, 0, UINT64_MAX, NOW, 0) == BEACON_OK
       && find("shop", &site) == BEACON_OK && site.last == 12,
       "a gap that cannot be is none");
    ok(beacon_live_gap(writer, beacon_string("shop"), UINT64_MAX, 0)
       == BEACON_OK && put("shop", 5, NOW) == BEACON_FULL
       && find("shop", &site) == BEACON_OK
       && site.last == BEACON_LIVE_SEQ_MAX, "sequences have an end");
}

static void
large(void)
{
    int                    bad;
    size_t                 need;
    uint8_t                small[1000];
    uint64_t               n, missed;
    beacon_live_info_t     site;
    beacon_live_scan_t     scan;
    beacon_live_record_t   record;
    beacon_live_stats_t    stats;

    clean();
    (void) open_store(SIZE_8M, 300);

    for (n = 1; n <= 400; n++) {
        (void) put_mark("shop", n, n % 5 ? 300 : 200 * 1024, 0, NOW, n);
        (void) put_mark("quiet", n, 8000 + n, 0, NOW, n);
    }

    ok(find("shop", &site) == BEACON_OK && site.hits == 400
       && follow("shop", 400 - 10, &missed, NULL) == 10 && missed == 0
       && follow("quiet", 400 - 10, &missed, NULL) == 10 && missed == 0,
       "hits larger than a chunk are read whole");

    for (bad = 0, n = site.first; n < 400; n++) {
        bad += follow("shop", n, &missed, NULL) != (long) (400 - n)
               || missed != 0;
    }

    ok(bad == 0, "a cursor anywhere is found among them");
    ok(beacon_live_back(&reader, &site, 7, 4 << 20) == 393,
       "so many back is found among them");

    (void) find("shop", &site);
    beacon_live_scan_begin(&scan, &reader, &site, 394, small, sizeof(small));

    ok(beacon_live_scan(&scan, &record, &need) == BEACON_FULL
       && need > 200 * 1024 && scan.since == 394,
       "a buffer that is too small is told so");

    scan.buf = live_buf;
    scan.size = sizeof(live_buf);
    ok(beacon_live_scan(&scan, &record, &need) == BEACON_OK
       && record.seq == 395 && record_number("shop", &record) == 395,
       "a larger one has the hit");

    ok(put_mark("shop", 401, BEACON_LIVE_HIT_MAX, 2, NOW, 999) == BEACON_FULL
       && beacon_live_mark(writer) == 999
       && follow("shop", 400, &missed, NULL) == 0 && missed == 3,
       "a hit that is too large is a gap");

    beacon_live_stats(writer, &stats);
    ok(stats.too_large == 1 && stats.missing == 3 && stats.hits == 800,
       "and counted");
    ok(open_store(SIZE_8M, 300) == BEACON_OK && repaired() == 0
       && follow("shop", 390, &missed, NULL) == 10 && missed == 3,
       "all is there when the store is opened again");
}

static void
wrap(void)
{
    int                  bad;
    uint64_t             n, missed, first;
    beacon_live_info_t   site;

    clean();
    (void) open_store(SIZE_8M, 300);

    for (n = 1; n <= 30000; n++) {
        (void) put_mark("shop", n, 500, 0, NOW + n, n);
    }

    (void) find("shop", &site);
    ok(site.first > 1 && site.chunks == reader.is.chunks - 1,
       "a lone site has the whole arena, old hits go");
    ok(follow("shop", 0, &missed, &first) == (long) (30000 - site.first + 1)
       && missed == 0 && first == site.first, "what is left begins at first");
    ok(follow("shop", 10, &missed, &first) == (long) (30000 - site.first + 1)
       && missed == site.first - 1 - 10,
       "a reader who was too late is told how many he missed");

    for (bad = 0, n = site.first - 1; n < 30000; n += 97) {
        bad += follow("shop", n, &missed, &first) != (long) (30000 - n)
               || missed != 0 || first != n + 1;
    }

    ok(bad == 0, "a cursor anywhere is found when chunks went round");

    ok(open_store(SIZE_8M, 300) == BEACON_OK && repaired() == 0
       && follow("shop", 0, &missed, &first) == (long) (30000 - site.first + 1)
       && first == site.first, "and when the store is opened again");
}

/* A second of simulated time: so many hits of each. */
static void
second(uint64_t *now, uint32_t busy, uint32_t quiet)
{
    uint32_t         i;
    static uint64_t  n = 1;

    for (i = 0; i < busy || i < quiet; i++) {
        if (i < busy) {
            (void) put_mark("busy", n++, 700, 0, *now, 0);
        }
        if (i < quiet) {
            (void) put_mark("quiet", n++, 700, 0, *now, 0);
        }
    }

    *now += 1000;
    beacon_live_tick(writer, *now);
}

static void
shares(void)
{
    int                  i, least;
    uint64_t             now, evaluated;
    uint32_t             before, held;
    beacon_live_info_t   busy, quiet;

    clean();
    (void) open_store(SIZE_8M, 300);

    now = NOW;
    least = 1;

    for (i = 0; i < 60; i++) {
        second(&now, 1000, 1);

        if (find("quiet", &quiet) == BEACON_OK) {
            least &= quiet.chunks >= 1;
        }
    }

    (void) find("busy", &busy);
    ok(least && quiet.chunks >= 1 && follow("quiet", 0, NULL, NULL) > 0,
       "beside a site with 1,000 hits/s one with 1 hit/s keeps a chunk");
    ok(busy.share > 500 && quiet.share < 10 && quiet.share >= 1
       && busy.share + quiet.share <= reader.is.chunks - 1,
       "shares follow traffic, and are never more than there is");
    ok(busy.chunks + quiet.chunks == reader.is.chunks - 1,
       "all chunks are in use");

    before = busy.share;
    evaluated = reader.head->evaluated;

    while (reader.head->evaluated < evaluated + 2) {
        second(&now, 0, 1);
    }

    (void) find("busy", &busy);
    ok(busy.share < before, "when the busy one stops, its share falls within "
       "two evaluations");

    for (i = 0; i < 10; i++) {
        second(&now, 0, 1);
    }

    (void) find("busy", &busy);
    (void) find("quiet", &quiet);
    held = busy.chunks;
    ok(busy.share < 50 && quiet.share > 500, "soon the other has the share");

    for (i = 0; i < 20; i++) {
        second(&now, 0, 100);
    }

    (void) find("busy", &busy);
    ok(busy.chunks < held && busy.chunks >= 1
       && follow("busy", 0, NULL, NULL) > 0
       && follow("quiet", 0, NULL, NULL) > 2000,
       "and chunks move to who needs them");

    ok(open_store(SIZE_8M, 300) == BEACON_OK && repaired() == 0
       && find("busy", &quiet) == BEACON_OK && quiet.chunks == busy.chunks
       && quiet.share == busy.chunks,
       "a store that is opened again begins with the shares that there are");
}

static void
many_sites(void)
{
    int                  bad;
    char                 name[32];
    uint64_t             n, now, missed, base;
    beacon_live_info_t   site, before;
    beacon_live_stats_t  stats;

    clean();
    (void) open_store(SIZE_8M, 60);
    now = NOW;

    for (n = 0; n < 1000; n++) {
        (void) sprintf(name, "s%llu", (unsigned long long) n);
        (void) put(name, n + 1, now);
    }

    beacon_live_stats(writer, &stats);
    ok(stats.sites == reader.is.sites_max - 2
       && stats.overflow == 1000 - stats.sites && stats.evicted_sites == 0,
       "sites beyond the slots are _overflow's while all are here");
    ok(find("_overflow", &site) == BEACON_OK && site.hits == stats.overflow
       && find("s999", &site) == BEACON_INVALID, "and have no slot");

    for (n = 0; n < 10; n++) {
        (void) put("s5", 2000 + n, now);
    }

    (void) find("s5", &before);
    now += 61000;
    (void) put("s5", 2010, now);
    (void) put("fresh", 1, now);

    beacon_live_stats(writer, &stats);
    ok(find("fresh", &site) == BEACON_OK && stats.evicted_sites == 1
       && find("s0", &site) == BEACON_INVALID
       && find("s5", &site) == BEACON_OK && site.tenant == before.tenant,
       "who was not hit for that long gives its slot, least recent first");

    (void) find("s1", &site);
    base = 0;

    for (n = 0; n < 1000000; n++) {
        (void) sprintf(name, "many%llu", (unsigned long long) n);
        now += 1000;
        (void) put(name, n + 1, now);
    }

    beacon_live_stats(writer, &stats);
    ok(beacon_live_last(&reader, &site) == 0, "a site that went is gone");
    ok(stats.sites == reader.is.sites_max - 2 && stats.hits == 1001012
       && stats.used_bytes <= reader.is.chunks * BEACON_LIVE_CHUNK,
       "a million sites stay within the slots");

    for (bad = 0, n = 1000000 - 300; n < 1000000; n++) {
        (void) sprintf(name, "many%llu", (unsigned long long) n);
        bad += follow(name, 0, &missed, NULL) != 1 || missed != 0;
        bad += find(name, &site) != BEACON_OK || site.start < base
               || site.last != site.start + 1;
        base = site.start;
    }

    ok(bad == 0 && base > 0, "each begins above the sequences of those that "
       "went");

    ok(open_store(SIZE_8M, 60) == BEACON_OK && repaired() == 0
       && find("many999999", &site) == BEACON_OK && site.hits == 1,
       "a store that is opened again knows them");

    for (n = 0, base = 0; beacon_live_next_site(&reader, (uint32_t *) &base,
                                                &site) == BEACON_OK; n++)
    {
        /* void */
    }

    ok(n == reader.is.sites_max - 1, "all are listed");
}

/* Its own last sequence was the highest of all that went. */
static void
comes_again(void)
{
    char                 name[32];
    uint64_t             n;
    beacon_live_info_t   before, site;
    beacon_live_stats_t  stats;

    clean();
    (void) open_store(SIZE_8M, 60);

    for (n = 1; n <= 5; n++) {
        (void) put("shop", n, NOW);
    }

    (void) find("shop", &before);

    for (n = 0; n < reader.is.sites_max - 3; n++) {
        (void) sprintf(name, "s%llu", (unsigned long long) n);
        (void) put(name, n + 1, NOW);
    }

    (void) put("fresh", 1, NOW + 61000);
    beacon_live_stats(writer, &stats);
    ok(stats.evicted_sites == 1 && find("shop", &site) == BEACON_INVALID,
       "the least recent of as many sites as there are slots goes");

    (void) put("shop", 6, NOW + 61000);
    ok(find("shop", &site) == BEACON_OK && before.last < site.start
       && site.last == site.start + 1,
       "no cursor from before is one of the site that came again");
}

/* All chunks are in use, as shares say, or as is left to those who came since
   they were evaluated. */
static void
nobody_over(void)
{
    int                 full, kept;
    uint32_t            i;
    uint64_t            n;
    char                name[2];
    beacon_live_info_t  site;

    clean();
    (void) open_store(SIZE_8M, 300);

    for (n = 1; n < 30000; n++) {
        (void) put_mark("busy", n, 700, 0, NOW, 0);
    }

    beacon_live_tick(writer, NOW + 6000);
    beacon_live_tick(writer, NOW + 12000);

    for (n = 1, full = 0; n < 1000; n++) {
        for (i = 0; i < 4; i++) {
            name[0] = (char) ('a' + i);
            name[1] = '\0';
            full += put_mark(name, n, 300 + n, 0, NOW + 12000, 0) != BEACON_OK;
        }
    }

    ok(full == 0 && find("a", &site) == BEACON_OK && site.hits == 999
       && follow("a", site.last - 4, NULL, NULL) == 4,
       "a site with one chunk gets another for a hit that is larger than what "
       "is left in it");

    /* 288 bytes are left of its first chunk */

    for (n = 1, kept = 1; n <= 12; n++) {
        (void) put_mark("late", n, 1000, 0, NOW + 12000, 0);
        kept &= (uint64_t) follow("late", 0, NULL, NULL) == n;
    }

    ok(kept, "and keeps the one when the hit begins in the other");
}

static void
sizes(void)
{
    int                  fd;
    char                 path[512];
    uint32_t             layout;
    beacon_err_t         err;
    beacon_live_t        old, before;
    struct stat          st;
    struct statvfs       fs;
    beacon_live_info_t   site;

    clean();
    (void) open_store(SIZE_8M + 100, 300);
    (void) put("shop", 1, NOW);

    ok(files("", path) == 1 && stat(path, &st) == 0
       && st.st_size == (off_t) SIZE_8M
       && st.st_blocks * 512 == (off_t) SIZE_8M && (st.st_mode & 0777) == 0600,
       "the file is size= down to a page, all of it allocated");

    ok(beacon_live_attach(&old, live_dir, &err) == BEACON_OK
       && beacon_live_current(&old), "a reader is current");
    ok(open_store(2 * SIZE_8M, 300) == BEACON_OK
       && reader.epoch != old.epoch && find("shop", &site) == BEACON_INVALID,
       "another size is another store");
    ok(!beacon_live_current(&old) && files("", NULL) == 1,
       "readers of the old one see that it is retired, its file is gone");
    beacon_live_detach(&old);

    (void) put("shop", 1, NOW);
    (void) files("", path);
    (void) beacon_live_attach(&before, live_dir, &err);
    beacon_live_close(writer);
    writer = NULL;

    fd = open(path, O_RDWR);
    layout = BEACON_LIVE_LAYOUT + 1;
    (void) !pwrite(fd, &layout, sizeof(layout),
                   offsetof(beacon_live_head_t, layout));
    (void) close(fd);

    ok(beacon_live_attach(&old, live_dir, &err) == BEACON_CORRUPT
       && strstr(err.text, "layout") != NULL,
       "a store of another layout is none for readers");
    ok(open_store(2 * SIZE_8M, 300) == BEACON_OK && files(".aside", NULL) == 1
       && files("", NULL) == 2 && find("shop", &site) == BEACON_INVALID,
       "a writer sets it aside");
    ok(!beacon_live_current(&before), "and tells those who read it");
    beacon_live_detach(&before);

    clean();
    (void) mkfifo(strcat(strcpy(path, live_dir), "/live.0123456789abcdef"),
                  0600);
    ok(open_store(SIZE_8M, 300) == BEACON_OK && files(".aside", NULL) == 1,
       "a FIFO by its name is set aside");

    clean();
    ok(beacon_live_open(&writer, live_dir, 1 << 20, 300, &err)
       == BEACON_INVALID, "too small a store is refused");
    ok(beacon_live_open(&writer, "/nonexistent", SIZE_8M, 300, &err)
       == BEACON_SYS, "a directory that is not there is told");
    ok(beacon_live_open(&writer, live_dir, 1ULL << 41, 300, &err)
       == BEACON_INVALID, "too large a store, too");
    ok(statvfs(live_dir, &fs) == 0
       && (fs.f_blocks == 0 || fs.f_blocks * fs.f_frsize > 1ULL << 36
           || (beacon_live_open(&writer, live_dir,
                                fs.f_blocks * fs.f_frsize + (1 << 30), 300,
                                &err)
               == BEACON_SYS
               && strstr(err.text, "No space") != NULL))
       && files("", NULL) == 0, "more than the tmpfs has is told, nothing is "
       "left");
    ok(beacon_live_attach(&old, live_dir, &err) == BEACON_AGAIN,
       "an empty directory has no store");
}

int
main(void)
{
    if (mkdtemp(live_dir) == NULL) {
        return 1;
    }

    hits();
    runs();
    gaps();
    large();
    wrap();
    shares();
    many_sites();
    comes_again();
    nobody_over();
    sizes();

    clean();
    (void) rmdir(live_dir);

    return done_testing();
}
