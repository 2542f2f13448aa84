#include "beacon_counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACON_COUNTERS_ROUND(n)                                              \
    (((n) + BEACON_PAGE - 1) / BEACON_PAGE * BEACON_PAGE)

#define BEACON_COUNTERS_WORKERS  BEACON_PAGE
#define BEACON_COUNTERS_BOOKS                                                 \
    (BEACON_COUNTERS_WORKERS                                                  \
     + BEACON_COUNTERS_ROUND((BEACON_LANES_MAX + 1)                           \
                             * sizeof(beacon_worker_counters_t)))
#define BEACON_COUNTERS_SIZE                                                  \
    (BEACON_COUNTERS_BOOKS                                                    \
     + BEACON_COUNTERS_ROUND(2 * sizeof(beacon_books_t)))

#define BEACON_BOOKS_WORDS  (sizeof(beacon_books_t) / 8)
#define BEACON_BOOKS_TRIES  100

static_assert(sizeof(beacon_worker_counters_t) % 64 == 0, "cache lines");
static_assert(sizeof(beacon_books_t) % 8 == 0, "books are copied by words");


/* The file. */

/* OK and a mapping; CORRUPT: not ours, to be set aside; SYS: errno. */
static beacon_rc_t
beacon_counters_open(int dirfd, beacon_counters_t *counters)
{
    int                      fd;
    void                    *map;
    struct stat              st;
    beacon_rc_t              rc;
    beacon_counters_head_t  *head;

    fd = openat(dirfd, "counters", O_RDWR|O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK);

    if (fd == -1) {
        /* a symbolic link, a directory, a FIFO's or a socket's file */
        return errno == ELOOP || errno == EISDIR || errno == ENXIO
               ? BEACON_CORRUPT : BEACON_SYS;
    }

    rc = BEACON_SYS;

    if (fstat(fd, &st) == -1) {
        goto failed;
    }

    rc = BEACON_CORRUPT;

    if (!S_ISREG(st.st_mode)
        || st.st_size != (off_t) BEACON_COUNTERS_SIZE)
    {
        goto failed;
    }

    map = mmap(NULL, BEACON_COUNTERS_SIZE, PROT_READ|PROT_WRITE, MAP_SHARED,
               fd, 0);
    if (map == MAP_FAILED) {
        rc = BEACON_SYS;
        goto failed;
    }

    head = map;

    if (atomic_load_explicit(&head->magic, memory_order_acquire)
        != BEACON_COUNTERS_MAGIC
        || head->layout != BEACON_COUNTERS_LAYOUT
        || head->size != BEACON_COUNTERS_SIZE)
    {
        (void) munmap(map, BEACON_COUNTERS_SIZE);
        goto failed;
    }

    counters->fd = fd;
    counters->map_size = BEACON_COUNTERS_SIZE;
    counters->head = head;
    counters->workers = (void *) ((uint8_t *) map + BEACON_COUNTERS_WORKERS);
    counters->books = (void *) ((uint8_t *) map + BEACON_COUNTERS_BOOKS);

    return BEACON_OK;

failed:

    (void) close(fd);

    return rc;
}

/* Gives the file its name when it is whole. */
static int
beacon_counters_make(int dirfd, uid_t uid, gid_t gid)
{
    int                     fd, rc, keep;
    beacon_counters_head_t  head;

    /* whoever left it there does not hold the directory's lock any more */

    (void) unlinkat(dirfd, "counters.tmp", 0);

    fd = openat(dirfd, "counters.tmp",
                O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);
    if (fd == -1) {
        return -1;
    }

    memset(&head, 0, sizeof(head));
    head.layout = BEACON_COUNTERS_LAYOUT;
    head.size = BEACON_COUNTERS_SIZE;
    atomic_store_explicit(&head.magic, BEACON_COUNTERS_MAGIC,
                          memory_order_release);

    do {
        rc = posix_fallocate(fd, 0, (off_t) BEACON_COUNTERS_SIZE);
    } while (rc == EINTR);

    if (rc != 0) {
        errno = rc;
        rc = -1;

    } else if (pwrite(fd, &head, sizeof(head), 0) != (ssize_t) sizeof(head)
               || fchmod(fd, 0600) == -1
               || (uid != (uid_t) -1 && fchown(fd, uid, gid) == -1)
               || renameat(dirfd, "counters.tmp", dirfd, "counters") == -1)
    {
        rc = -1;
    }

    keep = errno;

    if (rc == -1) {
        (void) unlinkat(dirfd, "counters.tmp", 0);
    }

    (void) close(fd);
    errno = keep;

    return rc;
}

/*
 * Who finds no file, or a foreign one, looks again under the directory's lock,
 * or one of two would put the other's new file aside.  It is held for the few
 * calls below; the kernel gives it back.
 */
static beacon_rc_t
beacon_counters_settle(int dirfd, uid_t uid, gid_t gid,
    beacon_counters_t *counters)
{
    int          rc;
    beacon_rc_t  status;

    do {
        rc = flock(dirfd, LOCK_EX);
    } while (rc == -1 && errno == EINTR);

    if (rc == -1) {
        return BEACON_SYS;
    }

    status = beacon_counters_open(dirfd, counters);

    if (status == BEACON_OK || (status == BEACON_SYS && errno != ENOENT)) {
        return status;
    }

    if (status == BEACON_CORRUPT
        && renameat(dirfd, "counters", dirfd, "counters.aside") == -1)
    {
        return BEACON_SYS;
    }

    if (beacon_counters_make(dirfd, uid, gid) == -1) {
        return BEACON_SYS;
    }

    return beacon_counters_open(dirfd, counters);
}

beacon_rc_t
beacon_counters_attach(const char *dir, uid_t uid, gid_t gid,
    beacon_counters_t *counters, beacon_err_t *err)
{
    int          dirfd, keep;
    beacon_rc_t  rc;

    memset(counters, 0, sizeof(beacon_counters_t));
    counters->fd = -1;

    dirfd = open(dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    if (dirfd == -1) {
        beacon_err(err, "open(\"%s\") failed: %s", dir, strerror(errno));
        return BEACON_SYS;
    }

    rc = beacon_counters_open(dirfd, counters);

    if (rc == BEACON_CORRUPT || (rc == BEACON_SYS && errno == ENOENT)) {
        rc = beacon_counters_settle(dirfd, uid, gid, counters);
    }

    keep = errno;

    if (rc != BEACON_OK) {
        beacon_err(err, "could not open \"%s/counters\": %s", dir,
                   strerror(keep));
    }

    (void) close(dirfd);            /* with it, its lock */
    errno = keep;

    return rc;
}

void
beacon_counters_detach(beacon_counters_t *counters)
{
    if (counters->head != NULL) {
        (void) munmap(counters->head, counters->map_size);
        (void) close(counters->fd);
        counters->head = NULL;
        counters->fd = -1;
    }
}

uint64_t
beacon_counters_generation(beacon_counters_t *counters)
{
    return atomic_fetch_add_explicit(&counters->head->generation, 1,
                                     memory_order_relaxed) + 1;
}


/* The books. */

beacon_rc_t
beacon_books_read(const beacon_counters_t *counters, beacon_books_t *books)
{
    size_t           i;
    uint64_t         serial, *to;
    unsigned         tries;
    const uint64_t  *from;

    to = (uint64_t *) (void *) books;

    for (tries = 0; tries < BEACON_BOOKS_TRIES; tries++) {

        /* acquire: pairs with the store of serial in beacon_books_publish() */

        serial = atomic_load_explicit(&counters->head->serial,
                                      memory_order_acquire);
        if (serial == 0) {
            break;
        }

        from = (const uint64_t *) (const void *) &counters->books[serial & 1];

        for (i = 0; i < BEACON_BOOKS_WORDS; i++) {
            to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
        }

        /* pairs with the release fence: new words come with a new serial */

        atomic_thread_fence(memory_order_acquire);

        if (atomic_load_explicit(&counters->head->serial,
                                 memory_order_relaxed)
            == serial)
        {
            return BEACON_OK;
        }
    }

    memset(books, 0, sizeof(beacon_books_t));

    return BEACON_AGAIN;
}

void
beacon_books_publish(beacon_counters_t *counters, const beacon_books_t *books)
{
    size_t           i;
    uint64_t         serial, *to;
    const uint64_t  *from;

    serial = atomic_load_explicit(&counters->head->serial,
                                  memory_order_relaxed)
             + 1;

    /* pairs with the acquire fence in beacon_books_read() */

    atomic_thread_fence(memory_order_release);

    to = (uint64_t *) (void *) &counters->books[serial & 1];
    from = (const uint64_t *) (const void *) books;

    for (i = 0; i < BEACON_BOOKS_WORDS; i++) {
        __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
    }

    atomic_store_explicit(&counters->head->serial, serial,
                          memory_order_release);
}
