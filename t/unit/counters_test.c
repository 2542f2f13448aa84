#include "beacon_counters.h"
#include "tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char            dir[] = "/dev/shm/beacon-test.XXXXXX";
static beacon_books_t  books, copy;
static _Atomic int     stop;

static char *
path(const char *name)
{
    static char  buf[2][256];
    static int   i;

    i ^= 1;
    (void) snprintf(buf[i], sizeof(buf[i]), "%s/%s", dir, name);

    return buf[i];
}

/* Every word of a snapshot says its number. */
static void
fill(beacon_books_t *b, uint64_t n)
{
    size_t  at;

    for (at = 0; at < sizeof(beacon_books_t); at += sizeof(n)) {
        memcpy((uint8_t *) b + at, &n, sizeof(n));
    }
}

static int
torn(const beacon_books_t *b)
{
    /* each word is as the one before it */

    return memcmp(b, (const uint8_t *) b + 8, sizeof(beacon_books_t) - 8)
           != 0;
}

static void *
publish(void *data)
{
    uint64_t               n;
    static beacon_books_t  b;

    for (n = 1; !stop; n++) {
        fill(&b, n);
        beacon_books_publish(data, &b);
    }

    return NULL;
}

static void
race(void)
{
    int                i, status, bad;
    pid_t              pids[8];
    beacon_counters_t  counters;

    (void) unlink(path("counters"));

    for (i = 0; i < 8; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            if (beacon_counters_attach(dir, (uid_t) -1, (gid_t) -1, &counters,
                                       NULL)
                != BEACON_OK)
            {
                _exit(1);
            }

            counters.workers[3].dropped++;
            _exit(0);
        }
    }

    for (bad = 0, i = 0; i < 8; i++) {
        bad += waitpid(pids[i], &status, 0) == -1 || status != 0;
    }

    ok(bad == 0 && beacon_counters_attach(dir, (uid_t) -1, (gid_t) -1,
                                          &counters, NULL) == BEACON_OK
       && counters.workers[3].dropped == 8,
       "eight processes that make the file at once share one");

    beacon_counters_detach(&counters);
}

static void
killed(void)
{
    int                i, bad, whole;
    pid_t              pid;
    uint64_t           n;
    beacon_counters_t  counters;

    bad = 0;
    whole = 0;

    (void) beacon_counters_attach(dir, (uid_t) -1, (gid_t) -1, &counters,
                                  NULL);

    for (i = 0; i < 30; i++) {
        pid = fork();

        if (pid == 0) {
            for (n = 1; ; n++) {
                fill(&books, n);
                beacon_books_publish(&counters, &books);
            }
        }

        while (beacon_books_read(&counters, &copy) != BEACON_OK) {
            /* until the first */
        }

        (void) usleep((useconds_t) (rand() % 2000));
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);

        whole += beacon_books_read(&counters, &copy) == BEACON_OK;
        bad += torn(&copy);
    }

    ok(whole == 30 && bad == 0,
       "a helper killed at any moment leaves a whole snapshot");

    beacon_counters_detach(&counters);
}

int
main(void)
{
    int                fd, i, bad, good;
    char               command[256];
    pthread_t          thread;
    struct stat        st;
    beacon_err_t       err;
    beacon_counters_t  one, two;

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    ok(beacon_counters_attach(dir, (uid_t) -1, (gid_t) -1, &one, &err)
       == BEACON_OK, "the file is made by the first who attaches");
    ok(stat(path("counters"), &st) == 0 && (st.st_mode & 07777) == 0600,
       "with mode 0600");
    ok(beacon_counters_attach(dir, (uid_t) -1, (gid_t) -1, &two, &err)
       == BEACON_OK, "and found by the second");

    one.workers[BEACON_LANES_MAX].rejected[BEACON_REJECT_BODY]++;
    ok(two.workers[BEACON_LANES_MAX].rejected[BEACON_REJECT_BODY] == 1,
       "what one counts the other sees, the last worker's too");

    ok(beacon_counters_generation(&one) == 1
       && beacon_counters_generation(&two) == 2
       && beacon_counters_generation(&one) == 3,
       "generations only grow, whoever asks");

    copy.nlanes = 9;
    ok(beacon_books_read(&one, &copy) == BEACON_AGAIN && copy.nlanes == 0,
       "before the first books there are none, and zeros");

    books.nlanes = 1;
    beacon_books_publish(&one, &books);
    books.nlanes = 2;
    beacon_books_publish(&one, &books);
    ok(beacon_books_read(&two, &copy) == BEACON_OK && copy.nlanes == 2,
       "the last books published are read");

    beacon_counters_detach(&two);

    bad = 0;
    good = 0;

    (void) pthread_create(&thread, NULL, publish, &one);

    for (i = 0; i < 3000; i++) {
        if (beacon_books_read(&one, &copy) == BEACON_OK) {
            good++;
            bad += copy.published_ns > 2 && torn(&copy);
        }
    }

    stop = 1;
    (void) pthread_join(thread, NULL);

    ok(beacon_books_read(&one, &copy) == BEACON_OK && !torn(&copy)
       && bad == 0, "no reader sees half a snapshot while others are "
       "published");

    beacon_counters_detach(&one);
    beacon_counters_detach(&one);
    ok(one.head == NULL, "detaching twice does no harm");

    fd = open(path("counters"), O_WRONLY);
    ok(pwrite(fd, "XXXXXXXX", 8, 0) == 8
       && beacon_counters_attach(dir, (uid_t) -1, (gid_t) -1, &one, &err)
          == BEACON_OK && beacon_counters_generation(&one) == 1
       && access(path("counters.aside"), F_OK) == 0,
       "a foreign file is put aside, whole, and a new one made");
    (void) close(fd);
    beacon_counters_detach(&one);

    ok(truncate(path("counters"), 100) == 0
       && beacon_counters_attach(dir, (uid_t) -1, (gid_t) -1, &one, &err)
          == BEACON_OK, "so is one that was truncated");
    beacon_counters_detach(&one);

    (void) unlink(path("counters"));
    ok(symlink("/etc/passwd", path("counters")) == 0
       && beacon_counters_attach(dir, (uid_t) -1, (gid_t) -1, &one, &err)
          == BEACON_OK, "and a symbolic link");
    beacon_counters_detach(&one);

    (void) unlink(path("counters"));
    ok(mkfifo(path("counters"), 0600) == 0
       && beacon_counters_attach(dir, (uid_t) -1, (gid_t) -1, &one, &err)
          == BEACON_OK, "and a FIFO");
    beacon_counters_detach(&one);

    race();
    killed();

    ok(beacon_counters_attach("/nowhere", (uid_t) -1, (gid_t) -1, &one, &err)
       == BEACON_SYS && err.text[0] != '\0',
       "a missing directory is told with a sentence");

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);
    ok(system(command) == 0, "the directory is removed");

    return done_testing();
}
