/*
 * The live store under SIGKILL and flipped bits, with readers beside it.
 *
 *     live_store kill TIMES RANDOM SEED   a writer is killed TIMES at each
 *                                         point, RANDOM times anywhere
 *     live_store flip FLIPS SEED          bits are flipped under readers, under
 *                                         a writer, and before one opens
 *
 * What the writer does follows from a number; the store's mark says how far he
 * came.  So what must be in the store is known to the hit.
 */

#include "../unit/live_store_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <sys/wait.h>

#define OPS       2000000
#define STEADY    5                     /* sites that never go */
#define PASSING   600                   /* others, more than there are slots */
#define SITES     (STEADY + PASSING)
#define READERS   2
#define START_MS  1795301460000ULL
#define PRESENT   2                     /* s */
#define LARGE     8000

typedef struct {
    uint32_t  site;
    uint32_t  length;                   /* 0: a gap */
    uint32_t  missing;
    uint32_t  sum;                      /* of the site's hits and missing ones,
                                           this included */
    uint32_t  before;                   /* the site's hit before this that is
                                           not large; 0: none */
} op_t;

/* What readers tell; shared with them. */
typedef struct {
    _Atomic int       stop;
    _Atomic uint64_t  records;
    _Atomic uint64_t  failures;
    char              text[200];
} told_t;

static op_t    *ops;
static told_t  *told;
static uint32_t sums[SITES];

static const char *const  points[] = {
    "live.site_take", "live.site_made", "live.evict", "live.evicted",
    "live.chunk_odd", "live.chunk_moved", "live.chunk_linked",
    "live.counting", "live.counted", "live.fragment", "live.before_commit",
    "live.after_commit", "live.before_clear", "live.before_gap",
    "live.after_gap", "live.undone", "live.rebuilt", NULL
};

static const char *const  makings[] = {
    "live.made", "live.named", "live.retired", NULL
};

static uint64_t
mix(uint64_t n)
{
    n += 0x9e3779b97f4a7c15;
    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
    n = (n ^ (n >> 27)) * 0x94d049bb133111eb;

    return n ^ (n >> 31);
}

static const char *
site_name(uint32_t site, char *name)
{
    (void) sprintf(name, site < STEADY ? "steady-%u" : "passing-%u", site);

    return name;
}

static void
failure(const char *fmt, ...)
{
    va_list  args;

    if (atomic_fetch_add(&told->failures, 1) == 0) {
        va_start(args, fmt);
        (void) vsnprintf(told->text, sizeof(told->text), fmt, args);
        va_end(args);
    }
}


/* What is done, from its number. */

static void
plan(uint64_t seed)
{
    uint32_t         k;
    uint64_t         r;
    op_t            *op;
    static uint32_t  before[SITES];

    for (k = 1; k < OPS; k++) {
        op = &ops[k];
        r = mix(seed * OPS + k);

        op->site = r % 8 ? (uint32_t) (r >> 8) % STEADY & (r >> 12 & 7)
                   : STEADY + (uint32_t) (r >> 8) % PASSING;
        op->length = (r >> 20) % 32 == 0 ? 0
                     : (r >> 25) % 64 == 0
                       ? LARGE + (uint32_t) (r >> 32) % 50000
                       : 200 + (uint32_t) (r >> 32) % 900;
        op->missing = op->length == 0 ? 1 + (uint32_t) (r >> 50) % 5
                      : (r >> 40) % 64 == 0 ? 1 + (uint32_t) (r >> 50) % 3 : 0;
        op->before = before[op->site];

        /* the store knows of no gap of a site before its first hit */

        if (op->length == 0 && op->site < STEADY && sums[op->site] == 0) {
            op->length = 300;
            op->missing = 0;
        }

        sums[op->site] += op->missing + (op->length != 0);
        op->sum = sums[op->site];

        if (op->length && op->length < LARGE) {
            before[op->site] = k;
        }
    }
}

static void
act(uint32_t k)
{
    char        name[32];
    uint64_t    now_ms;
    const op_t  *op;

    op = &ops[k];
    now_ms = START_MS + k * 50ULL;
    (void) site_name(op->site, name);

    if (op->length) {
        (void) put_mark(name, k, op->length, op->missing, now_ms, k);

    } else {
        (void) beacon_live_gap(writer, (beacon_str_t) { strlen(name),
                                                    (const uint8_t *) name },
                               op->missing, k);
    }

    if (k % 20 == 0) {
        beacon_live_put_end(writer);
        beacon_live_tick(writer, now_ms);
    }
}


/* What was read. */

/*
 * A record behind another of the same site: everything between is told of, and
 * was no hit, or is not there any more.
 */
static void
check_pair(const beacon_live_info_t *site, uint64_t seq1, uint32_t k1,
    uint64_t seq2, uint32_t k2)
{
    uint32_t             between;
    uint64_t             seq;
    beacon_live_info_t   now;

    if (k2 >= OPS || k1 >= OPS || ops[k1].site != ops[k2].site
        || seq2 - seq1 != ops[k2].sum - ops[k1].sum)
    {
        failure("%.*s: %llu is number %u, %llu is number %u", site->name_len,
                site->name, (unsigned long long) seq1, k1,
                (unsigned long long) seq2, k2);
        return;
    }

    between = ops[k2].before;

    if (between > k1) {
        seq = seq2 - (ops[k2].sum - ops[between].sum);

        if (beacon_live_find(&reader, (beacon_str_t) { site->name_len,
                                                       site->name }, &now)
            == BEACON_OK && now.tenant == site->tenant && seq >= now.first)
        {
            failure("%.*s: %llu, number %u, is not found", site->name_len,
                    site->name, (unsigned long long) seq, between);
        }
    }
}

/*
 * All of a site from a place on; what was read before is seq1 and k1.  mark:
 * the last thing that was done, when nobody is at it; 0: the writer is.
 */
static void
check_site(beacon_live_info_t *site, uint64_t *seq1, uint32_t *k1,
    uint32_t mark)
{
    char                  name[BEACON_SITE_MAX + 1];
    size_t                need;
    uint32_t              k, rounds;
    beacon_rc_t           rc;
    beacon_live_scan_t    scan;
    beacon_live_record_t  record;

    memcpy(name, site->name, site->name_len);
    name[site->name_len] = '\0';

    beacon_live_scan_begin(&scan, &reader, site, *seq1, live_buf,
                           sizeof(live_buf));

    for (rounds = 0;
         (rc = beacon_live_scan(&scan, &record, &need)) == BEACON_OK;
         rounds++)
    {
        k = (uint32_t) record_number(name, &record);

        if (k == 0 || rounds > 10 * OPS) {
            failure("%s: %llu is not what was put", name,
                    (unsigned long long) record.seq);
            return;
        }

        if (*k1) {
            check_pair(site, *seq1, *k1, record.seq, k);
        }

        *seq1 = record.seq;
        *k1 = k;
        atomic_fetch_add(&told->records, 1);
    }

    if (mark == 0) {
        return;
    }

    if (rc != BEACON_AGAIN || scan.since != site->last) {
        failure("%s: %d at the end, since %llu, last %llu", name, (int) rc,
                (unsigned long long) scan.since,
                (unsigned long long) site->last);
    }
}

/* The site's last thing that was done, up to the mark. */
static void
check_end(const beacon_live_info_t *site, uint32_t index, uint64_t seq1,
    uint32_t k1, uint32_t mark)
{
    uint32_t  k;

    for (k = mark; k > 0 && ops[k].site != index; k--) { /* void */ }

    if (k1 && k && site->last - seq1 != ops[k].sum - ops[k1].sum) {
        failure("%.*s: last is %llu, number %u is %llu, done %u",
                site->name_len, site->name, (unsigned long long) site->last,
                k1, (unsigned long long) seq1, k);
    }

    if (index < STEADY && k && site->last - site->start != ops[k].sum) {
        failure("%.*s: %llu sequences, not %u", site->name_len, site->name,
                (unsigned long long) (site->last - site->start), ops[k].sum);
    }
}

/* All that is there, when no writer is at work; mark 0: not opened again. */
static void
check_all(uint32_t mark)
{
    char                name[32];
    uint32_t            i, k1;
    uint64_t            seq1;
    beacon_live_info_t  site;

    for (i = 0; i < SITES; i++) {
        if (find(site_name(i, name), &site) != BEACON_OK) {
            continue;
        }

        seq1 = 0;
        k1 = 0;
        check_site(&site, &seq1, &k1, mark);

        if (mark) {
            check_end(&site, i, seq1, k1, mark);
        }
    }
}

/* Reads all along, whoever is killed. */
static pid_t
start_reader(uint32_t which)
{
    char                name[32];
    pid_t               pid;
    uint32_t            i, n, k1[SITES];
    uint64_t            seq1[SITES];
    beacon_err_t        err;
    beacon_live_info_t  site;

    pid = fork();

    if (pid != 0) {
        return pid;
    }

    (void) alarm(900);
    memset(k1, 0, sizeof(k1));
    memset(seq1, 0, sizeof(seq1));

    if (beacon_live_attach(&reader, live_dir, &err) != BEACON_OK) {
        failure("%s", err.text);
        _exit(1);
    }

    for (n = which; !atomic_load(&told->stop); n++) {
        i = n % 2 ? n / 2 % STEADY : n / 2 % SITES;

        if (find(site_name(i, name), &site) != BEACON_OK) {
            continue;
        }

        if (site.start > seq1[i]) {
            k1[i] = 0;
            seq1[i] = 0;
        }

        check_site(&site, &seq1[i], &k1[i], 0);
    }

    _exit(0);
}


/* Killed. */

static const char  *kill_at;
static uint32_t     kill_pass;

static void
pass(const char *name)
{
    if (strcmp(name, kill_at) == 0 && --kill_pass == 0) {
        (void) raise(SIGKILL);
    }
}

/* A writer goes on where the mark is; 1: it was killed; 0: it came to no such
   point. */
static int
run_writer(const char *point, uint32_t passes, useconds_t us)
{
    int       status;
    pid_t     pid;
    uint32_t  k, end;

    pid = fork();

    if (pid == 0) {
        kill_at = point;
        kill_pass = passes;
        beacon_live_point = point ? pass : NULL;
        put_runs = passes % 2 == us % 2;

        if (open_store(SIZE_8M, PRESENT) != BEACON_OK) {
            _exit(2);
        }

        k = (uint32_t) beacon_live_mark(writer);
        end = point ? k + 20000 : OPS - 1;

        while (++k < OPS && k < end) {
            act(k);
        }

        _exit(0);
    }

    if (us) {
        (void) usleep(us);
        (void) kill(pid, SIGKILL);
    }

    (void) waitpid(pid, &status, 0);

    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static uint64_t  damaged, hits;

/* What is there, as it was left, and when it is opened again. */
static void
judge(void)
{
    beacon_err_t         err;
    beacon_live_stats_t  stats;

    if (beacon_live_attach(&reader, live_dir, &err) != BEACON_OK) {
        failure("%s", err.text);
        return;
    }

    check_all(0);

    if (open_store(SIZE_8M, PRESENT) != BEACON_OK) {
        failure("it cannot be opened");
        return;
    }

    check_all((uint32_t) beacon_live_mark(writer));

    beacon_live_stats(writer, &stats);
    damaged += stats.repaired;
    hits = stats.hits;

    beacon_live_detach(&reader);
    beacon_live_close(writer);
    writer = NULL;
}

static uint64_t
faults(const char *what)
{
    uint64_t  n;

    n = atomic_exchange(&told->failures, 0);

    if (n) {
        printf("# %s: %llu failures, the first: %s\n", what,
               (unsigned long long) n, told->text);
    }

    return n;
}

static void
kill_points(uint32_t times)
{
    int       killed;
    uint32_t  i, n;

    for (i = 0; points[i] != NULL; i++) {
        killed = 0;

        for (n = 0; n < times; n++) {
            if (strcmp(points[i], "live.undone") == 0
                || strcmp(points[i], "live.rebuilt") == 0)
            {
                (void) run_writer("live.before_commit", 1 + n * 7, 0);
                killed += run_writer(points[i], 1, 0);

            } else {
                killed += run_writer(points[i],
                                     1 + (uint32_t) rand() % (1 + 20 * n), 0);
            }

            judge();
        }

        ok(killed > 0 && killed >= (int) times - 1
           && faults(points[i]) == 0, "killed %d times at %s", killed,
           points[i]);
    }
}

static void
kill_anywhere(uint32_t times)
{
    uint32_t  n, killed;

    for (n = 0, killed = 0; n < times; n++) {
        killed += run_writer(NULL, 0, 500 + (useconds_t) rand() % 8000);
        judge();
    }

    ok(killed == times && faults("anywhere") == 0, "killed %u times anywhere",
       killed);
}

/* A store that is made in the place of another. */
static void
kill_makings(uint32_t times)
{
    int       good, status;
    pid_t     pid;
    uint32_t  i, n;
    uint64_t  size;

    for (i = 0; makings[i] != NULL; i++) {
        good = 1;

        for (n = 0; n < times; n++) {
            size = SIZE_8M + (n % 2) * 4096;
            good &= open_store(size, PRESENT) == BEACON_OK;
            (void) put("steady-0", 1, START_MS);

            pid = fork();

            if (pid == 0) {
                kill_at = makings[i];
                kill_pass = 1;
                beacon_live_point = pass;
                (void) open_store(SIZE_8M * 2, PRESENT);
                _exit(0);
            }

            (void) waitpid(pid, &status, 0);

            good &= WIFSIGNALED(status);
            good &= open_store(SIZE_8M * 2, PRESENT) == BEACON_OK;
            good &= files("", NULL) == 1 && reader.size == 2 * SIZE_8M
                    && put("steady-0", 1, START_MS) == BEACON_OK
                    && follow("steady-0", 0, NULL, NULL) == 1;
        }

        ok(good, "killed %u times at %s, the next has one store", times,
           makings[i]);
    }

    clean();
}

static int
kill_main(uint32_t times, uint32_t anywhere)
{
    int       i, status, good;
    pid_t     pids[READERS];

    kill_makings(times);

    (void) open_store(SIZE_8M, PRESENT);
    beacon_live_detach(&reader);
    beacon_live_close(writer);
    writer = NULL;

    for (i = 0; i < READERS; i++) {
        pids[i] = start_reader((uint32_t) i * 77);
    }

    kill_points(times);
    kill_anywhere(anywhere);

    atomic_store(&told->stop, 1);
    good = 1;

    for (i = 0; i < READERS; i++) {
        (void) waitpid(pids[i], &status, 0);
        good &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

    ok(good && faults("readers") == 0, "readers beside saw nothing else");
    ok(damaged == 0, "a kill is no damage");
    printf("# %llu hits, %llu records read\n", (unsigned long long) hits,
           (unsigned long long) atomic_load(&told->records));
    ok(hits > 1000 && told->records > 1000, "there were hits to be read");

    return done_testing();
}


/* Bits. */

/* Where a bit is worth most: heads, tables, sites, chunks' headers. */
static uint64_t
place(const beacon_live_head_t *is)
{
    uint64_t  r, chunk;

    r = mix((uint64_t) rand() << 31 ^ (uint64_t) rand());
    chunk = is->chunks_at + BEACON_LIVE_CHUNK
            * (1 + (r >> 20) % (is->chunks - 1));

    switch (r % 8) {

    case 0:
        return (r >> 8) % is->size;

    case 1:
        return (r >> 8) % sizeof(beacon_live_head_t);

    case 2:
        return is->sites_at + (r >> 8) % (4ULL * is->site_slots);

    case 3:
        return BEACON_LIVE_ITEMS(is->sites_at, is->site_slots)
               + (r >> 20) % is->sites_max * sizeof(beacon_live_site_t)
               + (r >> 8) % 144;

    case 4:
        return is->visitors_at + (r >> 8) % (is->chunks_at - is->visitors_at);

    case 5:
        return chunk + (r >> 8) % sizeof(beacon_live_chunk_t);

    case 6:
        return chunk + (r >> 8) % 200;

    default:
        return chunk + (r >> 8) % BEACON_LIVE_CHUNK;
    }
}

/* All that a reader can ask; what it gets is the site's, and it ends. */
static void
ask(uint32_t which)
{
    char                  name[32];
    size_t                need;
    uint32_t              n, at, rounds;
    uint64_t              before, seqs[64], now_ms;
    beacon_rc_t           rc;
    beacon_live_now_t     now;
    beacon_live_top_t     top[16];
    beacon_live_info_t    site;
    beacon_live_scan_t    scan;
    beacon_live_person_t  person;
    beacon_live_record_t  record;

    (void) site_name(which, name);
    now_ms = START_MS + 50ULL * 20000;

    at = 0;
    for (n = 0; beacon_live_next_site(&reader, &at, &site) == BEACON_OK; n++) {
        if (site.name_len > BEACON_SITE_MAX || n > 10000) {
            failure("sites without end");
            return;
        }
    }

    if (find(name, &site) != BEACON_OK) {
        return;
    }

    if (site.name_len != strlen(name)
        || memcmp(site.name, name, site.name_len) != 0)
    {
        failure("%s is another site", name);
    }

    before = beacon_live_back(&reader, &site, 50, 1 << 20);
    beacon_live_scan_begin(&scan, &reader, &site, rand() % 3 ? before : 0,
                           live_buf, sizeof(live_buf));

    for (rounds = 0; rounds < 300; rounds++) {
        before = scan.since;
        rc = beacon_live_scan(&scan, &record, &need);

        if (rc != BEACON_OK) {
            break;
        }

        if (record_number(name, &record) == 0 || record.seq <= before) {
            failure("%s: %llu behind %llu is not what was put", name,
                    (unsigned long long) record.seq,
                    (unsigned long long) before);
        }
    }

    (void) beacon_live_now(&reader, &site, now_ms, 300, &now);
    n = 16;
    (void) beacon_live_top(&reader, &site, BEACON_LIVE_PAGE_KEY, now_ms, 300,
                           top, &n);

    at = 0;
    before = UINT64_MAX;

    for (n = 0; n < 50 && beacon_live_next_visitor(&reader, &site, &at,
                                                   &before, &person)
                          == BEACON_OK; n++)
    {
        rounds = 64;
        (void) beacon_live_trail(&reader, &site, &person, seqs, &rounds);
    }

    atomic_fetch_add(&told->records, 1);
}

/* Some hits, by a writer who then is gone. */
static void
fill(uint32_t n)
{
    uint32_t  k;

    clean();
    (void) open_store(SIZE_8M, PRESENT);

    for (k = 1; k <= n; k++) {
        act(k);
    }
}

/* One at a time, or some; what was is put back. */
static void
flip_under_readers(uint8_t *map, uint32_t flips)
{
    uint32_t  done, n, i;
    uint64_t  at[16];
    uint8_t   bit[16];

    for (done = 0; done < flips; done += n) {
        n = 1 + (uint32_t) rand() % 16;

        for (i = 0; i < n; i++) {
            at[i] = place(&reader.is);
            bit[i] = (uint8_t) (1 << rand() % 8);
            __atomic_fetch_xor(&map[at[i]], bit[i], __ATOMIC_RELAXED);
        }

        ask((uint32_t) rand() % (STEADY * 2));

        while (i-- > 0) {
            __atomic_fetch_xor(&map[at[i]], bit[i], __ATOMIC_RELAXED);
        }
    }

    ok(faults("flipped") == 0, "%u bits flipped under readers", done);
}

/* The writer goes on, whatever becomes of the file. */
static void
flip_under_writer(uint32_t flips)
{
    uint32_t  i, k;
    uint8_t  *map;

    map = (uint8_t *) writer->file.head;
    k = (uint32_t) beacon_live_mark(writer);

    for (i = 0; i < flips; i++) {
        __atomic_fetch_xor(&map[place(&reader.is)], 1 << rand() % 8,
                           __ATOMIC_RELAXED);
        act(++k);

        if (i % 8 == 0) {
            ask((uint32_t) rand() % (STEADY * 2));
        }
    }

    ok(faults("flipped") == 0, "%u bits flipped under a writer", flips);
}

/* A writer makes of it what he can. */
static void
flip_and_open(uint32_t rounds)
{
    uint32_t  i, n, k, aside, mended;
    uint64_t  at;
    uint8_t  *map;

    aside = 0;
    mended = 0;

    for (i = 0; i < rounds; i++) {
        fill(3000);
        map = (uint8_t *) writer->file.head;

        for (n = 1 + i % 50 * 2; n > 0; n--) {
            at = place(&reader.is);

            /* the head's bits, every fourth time */

            if (i % 4 == 0 || at >= sizeof(beacon_live_head_t)) {
                map[at] ^= (uint8_t) (1 << rand() % 8);
            }
        }

        if (open_store(SIZE_8M, PRESENT) != BEACON_OK) {
            failure("a damaged store keeps a new one from being made");
            continue;
        }

        aside += files(".aside", NULL) != 0;
        mended += repaired() != 0;

        for (k = 3001; k < 4000; k++) {
            act(k);
        }

        for (n = 0; n < STEADY * 2; n++) {
            ask(n);
        }

        if (put("another", 1, START_MS) != BEACON_OK
            || follow("another", 0, NULL, NULL) != 1)
        {
            failure("a mended store takes no hits");
        }
    }

    ok(faults("damaged") == 0 && aside + mended > rounds / 4,
       "%u damaged stores opened, %u set aside, %u mended", rounds, aside,
       mended);
}

static int
flip_main(uint32_t flips)
{
    int       fd;
    char      path[512];
    uint8_t  *map;

    (void) alarm(900);
    fill(20000);
    (void) files("", path);

    fd = open(path, O_RDWR);
    map = mmap(NULL, SIZE_8M, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd == -1 || map == MAP_FAILED) {
        return 1;
    }

    (void) close(fd);

    flip_under_readers(map, flips);
    (void) munmap(map, SIZE_8M);

    flip_under_writer(flips / 5);
    flip_and_open(flips / 2000);

    return done_testing();
}

int
main(int argc, char **argv)
{
    int       rc;
    unsigned  seed;

    if (argc < 4 || mkdtemp(live_dir) == NULL) {
        fprintf(stderr, "live_store kill TIMES RANDOM SEED\n"
                        "live_store flip FLIPS SEED\n");
        return 2;
    }

    seed = (unsigned) atoi(argv[argc - 1]);
    printf("# seed %u\n", seed);
    srand(seed);

    ops = mmap(NULL, OPS * sizeof(op_t), PROT_READ|PROT_WRITE,
               MAP_SHARED|MAP_ANONYMOUS, -1, 0);
    told = mmap(NULL, sizeof(told_t), PROT_READ|PROT_WRITE,
                MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (ops == MAP_FAILED || told == MAP_FAILED) {
        return 2;
    }

    plan(seed);

    rc = strcmp(argv[1], "kill") == 0
         ? kill_main((uint32_t) atoi(argv[2]), (uint32_t) atoi(argv[3]))
         : flip_main((uint32_t) atoi(argv[2]));

    clean();
    (void) rmdir(live_dir);

    return rc;
}
