/* What the next writer makes of a store that one left who was killed. */

#include "live_store_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define NOW   1795301460000ULL
#define HITS  20

#define SIZE_64M  (64ULL << 20)

static const char  *killed_at;

static void
kill_point(const char *name)
{
    if (strcmp(name, killed_at) == 0) {
        (void) raise(SIGKILL);
    }
}

/* A writer that is killed at a point of this hit; then the next one. */
static int
put_killed(const char *point, const char *site, uint64_t n, size_t length)
{
    int    status;
    pid_t  pid;

    killed_at = point;
    pid = fork();

    if (pid == 0) {
        beacon_live_point = kill_point;
        (void) put_mark(site, n, length, 0, NOW + n, n);
        _exit(0);
    }

    (void) waitpid(pid, &status, 0);

    return WIFSIGNALED(status) && open_store(SIZE_8M, 300) == BEACON_OK;
}

/* The chunks that a hit was to have are there, and it is not, or not all of it:
   another, a shorter one, begins in the newest of them. */
static void
test_first(const char *point, const char *name)
{
    uint64_t            n, first, missed;
    beacon_live_info_t  site;

    for (n = 1; n <= HITS; n++) {
        (void) put_mark(name, n, 0, 0, NOW + n, n);
    }

    ok(put_killed(point, name, n, 30000), "a_writer_is_killed_at_%s", point);

    (void) put_mark(name, n, 0, 0, NOW + n, n);
    (void) find(name, &site);
    first = 0;
    missed = 0;

    ok(beacon_live_back(&reader, &site, 1, 1 << 20) == HITS
       && beacon_live_back(&reader, &site, 2, 1 << 20) == HITS - 1,
       "the_hit_in_its_place_is_the_newest");
    ok(follow(name, HITS, &missed, &first) == 1 && missed == 0
       && first == HITS + 1, "and_is_found_behind_the_one_before");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/* Entries of /proc/self/fd. */
static int
open_files(void)
{
    int             n;
    DIR            *d;
    struct dirent  *entry;

    d = opendir("/proc/self/fd");

    for (n = 0; d != NULL && (entry = readdir(d)) != NULL; n++) { /* void */ }

    if (d != NULL) {
        (void) closedir(d);
    }

    return n;
}

/* A process that has room for the store's mapping, and for no more.  1: it
   opens it in vain, and has then what it had before. */
static int
open_in_vain(void)
{
    int            before;
    FILE          *statm;
    unsigned long  pages;
    beacon_err_t   err;
    struct rlimit  limit;

    statm = fopen("/proc/self/statm", "r");

    if (statm == NULL || fscanf(statm, "%lu", &pages) != 1) {
        return 0;
    }

    (void) fclose(statm);
    limit.rlim_cur = limit.rlim_max = pages * (rlim_t) sysconf(_SC_PAGESIZE)
                                      + SIZE_64M + 256 * 1024;
    before = open_files();
    (void) setrlimit(RLIMIT_AS, &limit);
    writer = NULL;

    return beacon_live_open(&writer, live_dir, SIZE_64M, 300, &err)
           == BEACON_SYS
           && beacon_live_open(&writer, live_dir, SIZE_64M, 300, &err)
              == BEACON_SYS
           && strstr(err.text, "no memory") != NULL
           && open_files() == before;
}

static void
test_memory(void)
{
    int    status;
    pid_t  pid;

    clean();
    (void) open_store(SIZE_64M, 300);
    beacon_live_detach(&reader);
    beacon_live_close(writer);
    writer = NULL;

    pid = fork();

    if (pid == 0) {
        _exit(open_in_vain() ? 0 : 1);
    }

    (void) waitpid(pid, &status, 0);

    ok(status == 0, "without_memory_a_store_is_closed_again");
    ok(open_store(SIZE_64M, 300) == BEACON_OK && files("", NULL) == 1,
       "and_is_there_for_the_next");
}

#else

/* A sanitizer wants an address space of its own. */
static void
test_memory(void)
{
}

#endif

int
main(void)
{
    if (mkdtemp(live_dir) == NULL || open_store(SIZE_8M, 300) != BEACON_OK) {
        printf("Bail out! no store\n");
        return 2;
    }

    test_first("live.chunk_linked", "linked");
    test_first("live.counted", "counted");
    test_first("live.fragment", "fragment");
    test_memory();

    clean();
    (void) rmdir(live_dir);

    return done_testing();
}
