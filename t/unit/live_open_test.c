/* What the next writer makes of a store that one left who was killed. */

#include "live_store_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#define NOW   1795301460000ULL
#define HITS  20

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

    clean();
    (void) rmdir(live_dir);

    return done_testing();
}
