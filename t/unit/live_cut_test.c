/*
 * A store's file that is cut short, at any place, while its writer and a reader
 * have it mapped: neither dies, and another store takes its place.  A SIGBUS of
 * anybody else is his.
 */

#include "live_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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

/* All that a reader can see. */
static void
cut_look(cut_t *cut)
{
    size_t                 need;
    uint32_t               at;
    uint64_t               before;
    beacon_live_now_t      now;
    beacon_live_info_t     info;
    beacon_live_scan_t     scan;
    beacon_live_person_t   person;
    beacon_live_record_t   record;
    static uint8_t         buf[BEACON_LIVE_HIT_MAX];

    if (beacon_live_find(&cut->l->live, live_str("shop"), &info)
        != BEACON_OK)
    {
        return;
    }

    beacon_live_scan_begin(&scan, &cut->l->live, &info, 0, buf, sizeof(buf));

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

static void *
cut_read(void *data)
{
    cut_t  *cut;

    cut = data;

    while (!atomic_load(&cut->done)) {
        cut_look(cut);
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

static void
cut_path(const live_t *l, char *path, size_t size)
{
    snprintf(path, size, "%s/live.%016llx", l->dir,
             (unsigned long long) l->live.epoch);
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
    cut_path(l, path, sizeof(path));
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

/* A copy of before takes the place of a file that was cut.  1: both who have it
   leave it, and nobody comes to it. */
static int
cut_back(cut_t *cut, uint64_t to)
{
    int            fd, right;
    char           path[128];
    live_t        *l;
    uint8_t       *copy;
    uint32_t       i;
    uint64_t       epoch;
    beacon_err_t   err;
    beacon_live_t  live;

    l = cut->l;
    epoch = l->live.epoch;
    cut_path(l, path, sizeof(path));
    fd = open(path, O_RDWR);
    copy = malloc(l->live.size);

    for (i = 0; i < CUT_HITS; i++) {
        cut_put(l, i);
    }

    beacon_live_put_end(l->writer);
    right = pread(fd, copy, l->live.size, 0) == (ssize_t) l->live.size
            && ftruncate(fd, (off_t) to) == 0;

    for ( /* void */ ; i < 2 * CUT_HITS; i++) {
        cut_put(l, i);
    }

    beacon_live_put_end(l->writer);
    cut_look(cut);

    right = right && pwrite(fd, copy, l->live.size, 0)
                     == (ssize_t) l->live.size
            && !beacon_live_current(&l->live) && beacon_live_gone(l->writer)
            && beacon_live_attach(&live, l->dir, &err) != BEACON_OK;

    free(copy);
    close(fd);
    live_close(l);
    live_open(l);

    return right && l->live.epoch != epoch;
}

/* A page of a file that is cut; not a store. */
static uint8_t *
cut_page(void)
{
    int       fd;
    uint8_t  *page;

    fd = memfd_create("page", 0);

    if (ftruncate(fd, 4096) == -1) {
        _exit(3);
    }

    page = mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    if (page == MAP_FAILED || ftruncate(fd, 0) == -1) {
        _exit(3);
    }

    close(fd);
    alarm(5);                           /* it may strike for ever */

    return page;
}

static int
cut_status(pid_t pid)
{
    int  status;

    return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* How one ends whose own page is gone. */
static int
cut_dies(void)
{
    pid_t  pid;

    fflush(stdout);
    pid = fork();

    if (pid == 0) {
        *(volatile uint8_t *) cut_page() = 1;
        _exit(0);
    }

    return cut_status(pid);
}

static siginfo_t              cut_had;
static volatile sig_atomic_t  cut_times;

static void
cut_handler(int signo, siginfo_t *info, void *context)
{
    (void) signo;
    (void) context;
    cut_had = *info;
    cut_times++;

    if (info->si_code == BUS_ADRERR) {
        (void) mmap(info->si_addr, 4096, PROT_READ|PROT_WRITE,
                    MAP_FIXED|MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
    }
}

/* One who had a handler before there was a store; 0: it has all its own, and
   nothing else. */
static int
cut_own(void)
{
    int                right;
    char               path[128];
    live_t             l;
    uint8_t           *page;
    uint32_t           i;
    siginfo_t          odd;
    struct sigaction   sa;

    memset(&sa, 0, sizeof(sa));
    sa.sa_sigaction = cut_handler;
    sa.sa_flags = SA_SIGINFO;
    (void) sigaction(SIGBUS, &sa, NULL);
    live_make(&l, BEACON_LIVE_SIZE_MIN);
    right = 1;

    for (i = 1; i <= 2; i++) {
        page = cut_page();
        *(volatile uint8_t *) page = 1;
        right &= cut_times == (int) i && cut_had.si_addr == page
                 && cut_had.si_code == BUS_ADRERR;
    }

    /* in a store, but no fault of its file */

    memset(&odd, 0, sizeof(odd));
    odd.si_signo = SIGBUS;
    odd.si_code = BUS_ADRALN;
    odd.si_addr = (void *) (uintptr_t) l.live.head;
    right &= syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &odd)
             == 0
             && cut_times == 3 && cut_had.si_code == BUS_ADRALN
             && beacon_live_current(&l.live);

    right &= raise(SIGBUS) == 0 && cut_times == 4;

    cut_path(&l, path, sizeof(path));
    right &= truncate(path, 0) == 0 && beacon_live_gone(l.writer)
             && cut_times == 4;
    live_remove(&l);

    return right ? 0 : 1;
}

static int
cut_handled(void)
{
    pid_t  pid;

    fflush(stdout);
    pid = fork();

    if (pid == 0) {
        _exit(cut_own());
    }

    return cut_status(pid);
}

int
main(void)
{
    int       status;
    live_t    l;
    cut_t     cut;
    uint32_t  i, right;

    status = cut_handled();
    ok(status == 0, "who_had_a_handler_has_his_own_with_its_address_(%#x)",
       (unsigned) status);

    (void) signal(SIGBUS, SIG_DFL);     /* a sanitizer may have one */
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
    right = (uint32_t) (cut_back(&cut, 0) + cut_back(&cut, 1 << 20));
    ok(right == 2, "who_was_struck_leaves_a_file_that_is_put_back_(%u)",
       right);
    ok(cut.strange == 0, "and_reads_nothing_that_was_not_there");

    status = cut_dies();
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
       "a_fault_of_anybody_else_ends_him_(%#x)", (unsigned) status);

    live_remove(&l);

    return done_testing();
}
