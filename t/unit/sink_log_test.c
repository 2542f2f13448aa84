/*
 * The log sink under an engine made for this test: hits are a function of
 * their number, the engine's checkpoint is the number of the next one.  A
 * child runs the sink and is killed; the next one goes on; then the files must
 * hold every hit once, in order.
 */

#include "beacond_point.h"
#include "beacond_sink.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HITS   64               /* a batch */
#define EPOCH  0xfedcba9876543210ULL

static char      top[] = "/dev/shm/beacon-test.XXXXXX";
static char      spool[64];
static unsigned  sites = 1;
static uint64_t  acked;         /* hits, as the checkpoint says */
static int       behind;        /* the sink reads from the spool */
static int       batches_out;
static uint64_t  start_ns = 1795300561ULL * 1000000000;
static uint64_t  step_ns;
static const char *odd_site;    /* every seventh hit has it */

/* The engine. */

void
beacond_batch_ref(beacond_batch_t *batch)
{
    batch->refs++;
}

void
beacond_batch_unref(beacond_batch_t *batch)
{
    if (--batch->refs == 0) {
        free(batch->hits);
        free(batch->lines);
        free(batch->arena);
        free(batch);
        batches_out--;
    }
}

void
beacond_span_lane(const beacond_batch_t *batch, uint32_t span, uint64_t *epoch,
    uint32_t *lane)
{
    *epoch = batch->spans[span].epoch;
    *lane = batch->spans[span].number;
}

beacon_str_t
beacond_line_value(const beacond_batch_t *batch, const beacond_line_t *line,
    uint32_t i)
{
    const uint8_t  *p = batch->arena + line->values;

    for ( ; i; i--) {
        p += 1 + p[0];
    }

    return (beacon_str_t) { p[0], p + 1 };
}

beacon_rc_t
beacond_sink_template(beacond_sink_t *sink, beacon_template_t *tmpl)
{
    uint32_t  i;

    (void) sink;

    for (i = 0; i < beacon_template_nvars(tmpl); i++) {
        beacon_template_bind(tmpl, i, i);
    }

    return BEACON_OK;
}

const char *
beacond_sink_spool_dir(beacond_sink_t *sink)
{
    (void) sink;
    return behind ? spool : NULL;
}

beacon_rc_t
beacond_sink_copy(beacond_sink_t *sink, const char *path, const char *text,
    size_t len)
{
    int   fd;
    char  temp[PATH_MAX + 8];

    (void) sink;
    snprintf(temp, sizeof(temp), "%s.temp", path);
    fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, text, len) != (ssize_t) len) {
        return BEACON_SYS;
    }

    close(fd);

    return rename(temp, path) == 0 ? BEACON_OK : BEACON_SYS;
}

beacon_rc_t
beacond_sink_checkpoint(beacond_sink_t *sink, const beacond_acked_t *a,
    size_t n, beacond_checkpoint_t *checkpoint)
{
    uint64_t  next = acked;
    size_t    i;

    (void) sink;

    for (i = 0; i < n; i++) {
        if (a[i].batch->hits[0].ordinal != next) {
            return BEACON_INVALID;
        }

        next += a[i].n;
    }

    checkpoint->text = malloc(64);
    checkpoint->len = (size_t) sprintf(checkpoint->text,
                                       "{\"next\":%" PRIu64 "}\n", next);

    return BEACON_OK;
}

void
beacond_sink_ack(beacond_sink_t *sink, const beacond_batch_t *batch,
    uint32_t first, uint32_t n)
{
    (void) sink;
    (void) first;

    if (batch->hits[0].ordinal == acked) {
        acked += n;
    }
}

/* A hit's line; its length varies, now and then it is long. */
static size_t
render(uint64_t k, char *dst)
{
    size_t       n, fill;
    const char  *site = "s";

    n = (size_t) sprintf(dst, "{\"v\":1,\"id\":\"%016llx-1-%" PRIx64
                         "\",\"site\":\"", EPOCH, k * 8);

    if (odd_site && k % 7 == 3) {
        n += (size_t) sprintf(dst + n, "%s", odd_site);
    } else {
        n += (size_t) sprintf(dst + n, "%s%llu", site,
                              (unsigned long long) (k * 2654435761u % sites));
    }

    n += (size_t) sprintf(dst + n, "\",\"n\":%" PRIu64 ",\"x\":\"", k);
    fill = k % 100 == 99 ? 3000 : 100 + k * 37 % 900;
    memset(dst + n, (int) ('a' + k % 26), fill);
    n += fill;

    return n + (size_t) sprintf(dst + n, "\"}\n");
}

static beacond_batch_t *
batch_of(uint64_t from, uint64_t to)
{
    char             *site;
    uint64_t          k;
    beacond_hit_t    *hit;
    beacond_line_t   *line;
    beacond_batch_t  *batch = calloc(1, sizeof(beacond_batch_t));

    batches_out++;
    batch->refs = 1;
    batch->nhits = batch->nlines = (uint32_t) (to - from);
    batch->hits = calloc(batch->nhits, sizeof(beacond_hit_t));
    batch->lines = calloc(batch->nhits, sizeof(beacond_line_t));
    batch->arena = malloc(batch->nhits * 4096 + 64);
    batch->nspans = 1;
    batch->spans[0].epoch = EPOCH;
    batch->spans[0].number = 1;
    hit = batch->hits;
    line = batch->lines;

    for (k = from; k < to; k++, hit++, line++) {
        hit->offset = k * 8;
        hit->ordinal = k;
        hit->time_ns = start_ns + k * step_ns;
        hit->lines = line->hit = (uint32_t) (k - from);
        hit->nlines = 1;
        line->offset = (uint32_t) batch->lines_len;
        line->line.len = (uint32_t) render(k, (char *) batch->arena
                                              + batch->lines_len);
        site = strstr((char *) batch->arena + line->offset, "\"site\":\"") + 8;
        line->line.site_offset = (uint32_t) (site - (char *) batch->arena
                                             - line->offset);
        line->line.site_len = (uint16_t) strcspn(site, "\"");
        batch->lines_len += line->line.len;
    }

    return batch;
}

static void
nap(int ms)
{
    struct timespec  ts = { ms / 1000, ms % 1000 * 1000000 };

    nanosleep(&ts, NULL);
}

static beacond_sink_t  sink;
static beacond_conf_t  conf;
static json_t         *object;

static beacon_rc_t
create(const char *path, const char *more)
{
    char          text[1024];
    beacon_err_t  err;

    snprintf(text, sizeof(text), "{\"type\":\"log\",\"path\":\"%s/%s\"%s}",
             top, path, more);
    object = json_loads(text, 0, NULL);
    memset(&sink, 0, sizeof(sink));
    memset(&conf, 0, sizeof(conf));
    conf.dir = top;
    conf.spool = spool;
    sink.ops = &beacond_sink_log;
    sink.name = "log";
    sink.conf = &conf;

    if (sink.ops->create(&sink, object, &err) != BEACON_OK) {
        printf("# %s\n", err.text);
        return BEACON_INVALID;
    }

    return BEACON_OK;
}

/* What an engine does at start, with hits [acked, to) there. */
static int
start(uint64_t to)
{
    int                   i;
    uint64_t              k, end;
    beacon_rc_t           rc = BEACON_OK;
    beacond_batch_t      *batch;
    beacond_checkpoint_t  checkpoint;

    for (i = 0; sink.ops->load(&sink, &checkpoint) != BEACON_OK; i++) {
        if (i == 50) {
            return 0;
        }

        nap(20);
    }

    acked = 0;

    if (checkpoint.text) {
        sscanf(checkpoint.text, "{\"next\":%" SCNu64 "}", &acked);
        free(checkpoint.text);
    }

    for (k = acked; k < to && rc == BEACON_OK; k = end) {
        end = k + HITS < to ? k + HITS : to;
        batch = batch_of(k, end);
        rc = sink.ops->recover(&sink, batch);
        beacond_batch_unref(batch);
    }

    if (rc == BEACON_OK) {
        sink.ops->recover(&sink, NULL);
    }

    return 1;
}

/* Offers hits up to "to"; flushes as an engine does.  0: it gave up. */
static int
offer(uint64_t from, uint64_t to, int tries)
{
    uint64_t          k, end;
    beacond_batch_t  *batch;

    for (k = from; k < to; k = end) {
        end = k + HITS < to ? k + HITS : to;
        batch = batch_of(k, end);

        while (batches_out > 25
               || sink.ops->batch(&sink, batch) == BEACON_AGAIN)
        {
            sink.ops->flush(&sink, false);

            if (tries-- == 0) {
                beacond_batch_unref(batch);
                return 0;
            }

            nap(1);
        }

        sink.ops->flush(&sink, false);
        beacond_batch_unref(batch);
    }

    return 1;
}

static int
settle(uint64_t to)
{
    int  i;

    for (i = 0; i < 2000 && acked < to; i++) {
        sink.ops->flush(&sink, true);

        if (acked < to) {
            nap(5);
        }
    }

    return acked == to;
}

static void
stop(void)
{
    sink.ops->destroy(&sink);
    json_decref(object);
}

static int
status(const char *key)
{
    int      n;
    json_t  *o = json_object();

    sink.ops->status(&sink, o);
    n = (int) json_integer_value(json_object_get(o, key));
    json_decref(o);

    return n;
}

/* Looking at files. */

static uint8_t   seen[1 << 20];
static uint64_t  bad, files;

static void
look_file(const char *path, uint64_t to)
{
    char      line[8192], want[8192], *n;
    FILE     *file = fopen(path, "r");
    size_t    len;
    uint64_t  k, last = 0;

    if (file == NULL) {
        return;
    }

    files++;

    while (fgets(line, sizeof(line), file)) {
        n = strstr(line, "\"n\":");
        k = n ? strtoull(n + 4, NULL, 10) : to;
        len = k < to ? render(k, want) : 0;

        if (k >= to || strlen(line) != len || memcmp(line, want, len) != 0
            || (last && k + 1 <= last))
        {
            if (bad++ == 0) {
                printf("# %s: after %" PRIu64 ": %.60s\n", path, last, line);
            }

            continue;
        }

        seen[k]++;
        last = k + 1;
    }

    fclose(file);
}

static void
look_dir(const char *dir, uint64_t to)
{
    char            path[512];
    DIR            *d = opendir(dir);
    struct stat     st;
    struct dirent  *e;

    while (d && (e = readdir(d)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);

        if (e->d_name[0] == '.' || lstat(path, &st) == -1) {
            continue;
        }

        if (S_ISDIR(st.st_mode)) {
            look_dir(path, to);
        } else if (S_ISREG(st.st_mode)) {
            look_file(path, to);
        }
    }

    if (d) {
        closedir(d);
    }
}

/* 1: below "logs", every hit up to "to" stands exactly once, in order. */
static int
complete(uint64_t to)
{
    char      dir[64];
    uint64_t  k, missing = 0, doubled = 0;

    snprintf(dir, sizeof(dir), "%s/logs", top);
    memset(seen, 0, sizeof(seen));
    bad = files = 0;
    look_dir(dir, to);

    for (k = 0; k < to; k++) {
        missing += seen[k] == 0;
        doubled += seen[k] > 1;
    }

    if (missing || doubled || bad) {
        printf("# %" PRIu64 " missing, %" PRIu64 " doubled, %" PRIu64
               " bad in %" PRIu64 " files\n", missing, doubled, bad, files);
    }

    return !missing && !doubled && !bad;
}

static void
run(const char *fmt, ...)
{
    char     command[512];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);

    if (system(command) != 0) {
        printf("# failed: %s\n", command);
    }
}

static void
clean(void)
{
    acked = 0;
    sites = 1;
    step_ns = 0;
    odd_site = NULL;
    behind = 0;
    run("rm -rf %s && mkdir -p %s/logs %s", top, top, spool);
}

/* A whole life in a child; returns its wait status. */
static int
life(const char *path, const char *more, uint64_t to, const char *kill_at,
    int kill_ms)
{
    int    st;
    pid_t  pid;

    fflush(stdout);
    pid = fork();

    if (pid == 0) {
        if (kill_at) {
            setenv("BEACON_KILL_AT", kill_at, 1);
            beacond_point_init();
        }

        if (create(path, more) != BEACON_OK || !start(to)
            || !offer(acked, to, 2000) || !settle(to))
        {
            _exit(1);
        }

        stop();
        _exit(batches_out ? 2 : 0);
    }

    if (kill_ms) {
        nap(kill_ms);
        kill(pid, SIGKILL);
    }

    waitpid(pid, &st, 0);

    return st;
}

static void
simple(void)
{
    char         path[128];
    struct stat  st;

    clean();
    ok(create("logs/all.jsonl", "") == BEACON_OK && start(0),
       "a sink starts without a checkpoint");
    ok(offer(0, 5000, 100) && settle(5000) && complete(5000) && files == 1,
       "a constant path takes every hit, in order");
    snprintf(path, sizeof(path), "%s/logs/all.jsonl", top);
    stat(path, &st);
    ok((st.st_mode & 07777) == 0640, "files are for owner and group");
    stop();
    ok(batches_out == 0, "no batch is kept");

    ok(create("logs/all.jsonl", "") == BEACON_OK && start(5000)
       && acked == 5000, "the next start goes on where it was");
    ok(offer(5000, 6000, 100) && settle(6000) && complete(6000),
       "and appends");
    stop();

    clean();
    sites = 50;
    step_ns = 1000000000ULL * 60;
    create("logs/$beacon_site/%Y-%m-%d.jsonl", "");
    start(0);
    ok(offer(0, 4000, 1000) && settle(4000) && complete(4000) && files > 150,
       "sites and days have files of their own");
    snprintf(path, sizeof(path), "%s/logs/s1", top);
    stat(path, &st);
    ok((st.st_mode & 07777) == 0750, "directories too");
    stop();
    ok(batches_out == 0, "no batch is kept by them");
}

static void
zones(void)
{
    char  path[128];

    clean();
    sites = 1;
    start_ns = 1795300561ULL * 1000000000;      /* 2026-11-21 22:36:01 UTC */
    create("logs/%Y-%m-%d-%H.jsonl", ",\"timezone\":\"Asia/Kathmandu\"");
    start(0);
    offer(0, 10, 10);
    settle(10);
    snprintf(path, sizeof(path), "%s/logs/2026-11-22-04.jsonl", top);
    ok(access(path, F_OK) == 0, "time text is the zone's");
    stop();

    clean();
    step_ns = 1000000000ULL * 60 * 10;
    create("logs/%Y-%m-%d.jsonl", ",\"timezone\":\"$beacon_site\"");
    start(0);
    ok(offer(0, 10, 10) && settle(10) && status("zone_fallbacks") > 0,
       "a value that is no zone falls back to UTC, and is counted");
    stop();
}

static void
overflow(void)
{
    clean();
    sites = 500;
    create("logs/$beacon_site.jsonl", ",\"max_files\":10");
    start(0);
    ok(offer(0, 3000, 1000) && settle(3000) && complete(3000) && files == 11,
       "past max_files hits go to the overflow's file");
    ok(status("overflow") > 2000, "and are counted");
    stop();

    clean();
    sites = 3;
    step_ns = 1000000000ULL * 3600;
    create("logs/$beacon_site/%Y-%m-%d-%H.jsonl", ",\"max_files\":80");
    start(0);
    offer(0, 500, 1000);
    settle(500);
    ok(complete(500) && status("overflow") == 0 && files == 500,
       "a path whose time is over gives up its place");
    stop();
}

static void
planted(void)
{
    char         path[128];
    struct stat  st;

    clean();
    sites = 4;
    run("cd %s/logs && mkdir ../out && mkdir s0 && ln -s ../out s1"
        " && ln -s ../../out/x s0/a && mkfifo s0/b", top);
    run("cd %s/logs && mkdir s2 s3 && ln -s ../../out/y s2/log"
        " && mkfifo s3/log", top);
    create("logs/$beacon_site/log", "");
    start(0);
    ok(offer(0, 1000, 1000) && settle(1000) && complete(1000),
       "nothing is lost to planted links and pipes");
    snprintf(path, sizeof(path), "%s/logs/_overflow/log", top);
    ok(stat(path, &st) == 0 && sink.errors > 0,
       "hits of refused paths go to the overflow's file");
    snprintf(path, sizeof(path), "%s/out", top);
    ok(rmdir(path) == 0, "nothing is written outside");
    stop();

    clean();
    odd_site = "../../../../out";
    create("logs/$beacon_site/log", "");
    start(0);
    ok(offer(0, 1000, 1000) && settle(1000) && complete(1000)
       && access(path, F_OK) == -1, "a site cannot leave the directory");
    stop();
}

static void
rotation(void)
{
    int  i;

    clean();
    sites = 3;
    create("logs/$beacon_site.log", "");
    start(0);

    for (i = 0; i < 20; i++) {
        offer((uint64_t) i * 500, (uint64_t) i * 500 + 500, 1000);
        run("cd %s/logs && for i in *.log; do test ! -e $i || mv $i $i.%d;"
            " done", top, i);

        if (i % 2) {
            sink.ops->reopen(&sink);
        }
    }

    nap(250);
    offer(10000, 10500, 1000);
    ok(settle(10500) && complete(10500), "renamed files lose nothing");
    ok(status("reopened") >= 20, "files are opened anew");
    run("rm %s/logs/*", top);
    nap(250);
    offer(10500, 11000, 1000);
    settle(11000);
    run("ls %s/logs | wc -l | grep -q 3", top);
    ok(status("files") == 3, "removed files are made again");
    stop();
    ok(batches_out == 0, "no batch is kept by old files");
}

static void
descriptors(void)
{
    struct rlimit  limit, few;

    clean();
    sites = 300;
    getrlimit(RLIMIT_NOFILE, &limit);
    few = limit;
    few.rlim_cur = 40;
    setrlimit(RLIMIT_NOFILE, &few);
    create("logs/$beacon_site.log", "");
    start(0);
    ok(offer(0, 3000, 5000) && settle(3000) && complete(3000)
       && status("overflow") == 0, "few descriptors are enough");
    stop();
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void
syncs(void)
{
    static const char *const  all[] = { "always", "off", "10ms" };
    size_t                    i;
    char                      more[64];

    for (i = 0; i < 3; i++) {
        clean();
        sites = 3;
        snprintf(more, sizeof(more), ",\"sync\":\"%s\"", all[i]);
        create("logs/$beacon_site.log", more);
        start(0);
        ok(offer(0, 3000, 1000) && settle(3000) && complete(3000)
           && status("unsynced") == 0, "sync=%s takes every hit", all[i]);
        stop();
    }
}

static void
points(void)
{
    int                       i, n, st, killed;
    char                      at[128], name[64], *tab;
    FILE                     *list = tmpfile();
    size_t                    c;
    uint64_t                  to;
    static const int          counts[] = { 1, 2, 5, 17 };
    static const unsigned     some[] = { 1, 7 };

    beacond_point_print(list);

    for (c = 0; c < 2; c++) {
        rewind(list);

        while (fgets(name, sizeof(name), list)) {
            if (strncmp(name, "log.", 4) != 0) {
                continue;
            }

            tab = strchr(name, '\t');
            *tab = '\0';

            if (strcmp(name, "log.before_reopen") == 0) {
                continue;
            }

            clean();
            sites = some[c];
            killed = 0;
            to = 0;

            for (i = 0; i < 12; i++) {
                to += 1500;
                n = counts[i % 4];
                snprintf(at, sizeof(at), "%s:%d", name, n);
                st = life("logs/$beacon_site.log", "", to, at, 0);
                killed += WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
            }

            st = life("logs/$beacon_site.log", "", to, NULL, 0);
            ok(killed && st == 0 && complete(to),
               "%d deaths at %s with %u files lose and double nothing",
               killed, name, sites);
        }
    }

    fclose(list);
}

static void
deaths(void)
{
    int       i, st;
    uint64_t  to = 0;

    clean();
    sites = 5;
    srand((unsigned) getpid());

    for (i = 0; i < 40; i++) {
        to += 2000;
        life("logs/$beacon_site.log", i % 3 ? "" : ",\"sync\":\"always\"", to,
             NULL, 1 + rand() % 15);

        if (i % 5 == 4) {
            run("cd %s/logs && for i in *.log; do test ! -e $i"
                " || mv $i $i.%d; done", top, i);
        }
    }

    st = life("logs/$beacon_site.log", "", to, NULL, 0);
    ok(st == 0 && complete(to),
       "40 random deaths, with renames between, lose and double nothing");

    clean();
    to = 0;
    behind = 1;

    for (i = 0; i < 12; i++) {
        to += 2000;
        life("logs/$beacon_site.log", "", to, "log.mid_write:9", 0);
        run("rm -f %s/*.checkpoint*", top);
    }

    st = life("logs/$beacon_site.log", "", to, NULL, 0);
    ok(st == 0 && complete(to),
       "the spool's copy of the checkpoint does as well");
}

static void
trouble(void)
{
    int   i;
    char  path[128];

    clean();
    sites = 3;
    create("logs/sub/$beacon_site.log", "");
    start(0);
    ok(!offer(0, 200, 3), "without its directory a log takes nothing");
    run("mkdir %s/logs/sub", top);
    ok(offer(0, 1000, 1000) && settle(1000) && complete(1000),
       "once it is there, everything");
    stop();

    clean();
    snprintf(path, sizeof(path), "%s/logs/all.log", top);
    run("printf 'somebody was here' > %s", path);
    create("logs/all.log", "");
    start(0);
    offer(0, 10, 10);
    ok(settle(10) && !complete(10) && bad == 1,
       "a foreign unfinished line gets a line break");
    stop();

    clean();
    run("printf '{\"v\":1,\"id\":\"0123' > %s", path);
    create("logs/all.log", "");
    start(0);
    offer(0, 10, 10);
    ok(settle(10) && complete(10), "an own one that nobody knows is cut");
    stop();

    clean();
    run("head -c 100 /dev/urandom > %s/log.checkpoint", top);
    create("logs/all.log", "");
    start(0);
    offer(0, 10, 10);
    ok(settle(10) && complete(10) && status("possible_duplicates") == 1,
       "a damaged checkpoint is counted");
    stop();

    for (i = 0; i < 2; i++) {
        ok(create(i ? "logs/x" : "../x/%Q", i ? ",\"sync\":\"maybe\"" : "")
           == BEACON_INVALID, "a configuration that is none is refused");
        json_decref(object);
    }
}

int
main(void)
{
    if (mkdtemp(top) == NULL) {
        return 1;
    }

    snprintf(spool, sizeof(spool), "%s/spool", top);
    simple();
    zones();
    overflow();
    planted();
    rotation();
    descriptors();
    syncs();
    trouble();
    points();
    deaths();
    run("rm -rf %s", top);

    return done_testing();
}
