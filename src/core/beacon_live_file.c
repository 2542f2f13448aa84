/* Stores' files: what they are made of, found, made, set aside. */

#include "beacon_live_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BEACON_LIVE_NAME  sizeof("live.0123456789abcdef.aside")

void  (*beacon_live_point)(const char *name);

static void
beacon_live_name(char *name, uint64_t epoch, const char *suffix)
{
    (void) snprintf(name, BEACON_LIVE_NAME, "live.%016llx%s",
                    (unsigned long long) epoch, suffix);
}

/* 1: "live.<epoch>" and what is behind it. */
static int
beacon_live_named(const char *name, const char *suffix, uint64_t *epoch)
{
    int                 n;
    char                again[BEACON_LIVE_NAME];
    unsigned long long  number;

    n = 0;

    if (sscanf(name, "live.%16llx%n", &number, &n) != 1 || n == 0) {
        return 0;
    }

    *epoch = number;
    beacon_live_name(again, number, suffix);

    return strcmp(name, again) == 0;
}


/* Find. */

/* OK; AGAIN: retired; CORRUPT. */
static beacon_rc_t
beacon_live_file_check(const beacon_live_head_t *head, uint64_t epoch,
    uint64_t size, const char *name, beacon_err_t *err)
{
    beacon_live_head_t  right;

    if (atomic_load_explicit(&head->magic, memory_order_relaxed)
        != BEACON_LIVE_MAGIC)
    {
        beacon_err(err, "\"%s\" is no live store", name);
        return BEACON_CORRUPT;
    }

    if (head->layout != BEACON_LIVE_LAYOUT) {
        beacon_err(err, "\"%s\" has layout %lu, not %d", name,
                   (unsigned long) head->layout, BEACON_LIVE_LAYOUT);
        return BEACON_CORRUPT;
    }

    if (size < BEACON_LIVE_SIZE_MIN || size > BEACON_LIVE_SIZE_MAX
        || (size & (BEACON_LIVE_PAGE - 1)) != 0)
    {
        beacon_err(err, "\"%s\" has %llu bytes", name,
                   (unsigned long long) size);
        return BEACON_CORRUPT;
    }

    memset(&right, 0, sizeof(right));
    beacon_live_geometry(&right, size);

    /* what it must say follows from its size */

    if (head->epoch != epoch
        || memcmp(&head->layout, &right.layout,
                  offsetof(beacon_live_head_t, epoch)
                  - offsetof(beacon_live_head_t, layout))
           != 0
        || memcmp(&head->site_slots, &right.site_slots,
                  offsetof(beacon_live_head_t, seed)
                  - offsetof(beacon_live_head_t, site_slots))
           != 0)
    {
        beacon_err(err, "the head of \"%s\" contradicts itself", name);
        return BEACON_CORRUPT;
    }

    return atomic_load_explicit(&head->retired, memory_order_relaxed)
           ? BEACON_AGAIN : BEACON_OK;
}

/* file->fd is open only if OK. */
static beacon_rc_t
beacon_live_file_open(int dirfd, const char *name, uint64_t epoch,
    int writable, beacon_live_file_t *file, beacon_err_t *err)
{
    ssize_t      n;
    struct stat  st;
    beacon_rc_t  rc;

    /* O_NONBLOCK: a FIFO must not hold us */

    file->fd = openat(dirfd, name, (writable ? O_RDWR : O_RDONLY)
                      |O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK);

    if (file->fd == -1) {
        rc = errno == ENOENT ? BEACON_AGAIN
             : errno == ELOOP || errno == EISDIR || errno == ENXIO
               ? BEACON_CORRUPT : BEACON_SYS;
        beacon_err(err, "open(\"%s\") failed: %s", name, strerror(errno));
        return rc;
    }

    if (fstat(file->fd, &st) == -1 || !S_ISREG(st.st_mode)) {
        beacon_err(err, "\"%s\" is not a regular file", name);
        rc = BEACON_CORRUPT;
        goto failed;
    }

    memset(&file->is, 0, sizeof(beacon_live_head_t));

    n = pread(file->fd, &file->is, sizeof(beacon_live_head_t), 0);

    if (n != (ssize_t) sizeof(beacon_live_head_t)) {
        beacon_err(err, "\"%s\" is too short", name);
        rc = BEACON_CORRUPT;
        goto failed;
    }

    file->epoch = epoch;
    file->size = (uint64_t) st.st_size;

    rc = beacon_live_file_check(&file->is, epoch, file->size, name, err);
    if (rc == BEACON_OK) {
        return BEACON_OK;
    }

failed:

    (void) close(file->fd);
    file->fd = -1;

    return rc;
}

static beacon_rc_t
beacon_live_file_map(beacon_live_file_t *file, int writable, beacon_err_t *err)
{
    int    prot;
    void  *map;

    prot = writable ? PROT_READ|PROT_WRITE : PROT_READ;
    map = mmap(NULL, file->size, prot, MAP_SHARED, file->fd, 0);

    if (map == MAP_FAILED) {
        beacon_err(err, "could not map live.%016llx: %s",
                   (unsigned long long) file->epoch, strerror(errno));
        beacon_live_file_close(file);
        return BEACON_SYS;
    }

    file->head = map;
    beacon_live_bus_watch(map, file->size, prot);

    return BEACON_OK;
}

static DIR *
beacon_live_dir(const char *dir, beacon_err_t *err)
{
    DIR  *d;

    d = opendir(dir);

    if (d == NULL) {
        beacon_err(err, "open(\"%s\") failed: %s", dir, strerror(errno));
    }

    return d;
}

beacon_rc_t
beacon_live_file_find(const char *dir, int writable, beacon_live_file_t *file,
    beacon_err_t *err)
{
    DIR                 *d;
    uint64_t             epoch;
    beacon_rc_t          rc, all;
    struct dirent       *entry;
    beacon_live_file_t   one;

    memset(file, 0, sizeof(beacon_live_file_t));
    file->fd = -1;

    d = beacon_live_dir(dir, err);
    if (d == NULL) {
        return BEACON_SYS;
    }

    all = BEACON_AGAIN;
    beacon_err(err, "there is no live store in \"%s\"", dir);

    while ((entry = readdir(d)) != NULL) {
        if (!beacon_live_named(entry->d_name, "", &epoch)) {
            continue;
        }

        memset(&one, 0, sizeof(one));
        rc = beacon_live_file_open(dirfd(d), entry->d_name, epoch, writable,
                                   &one, err);

        if (rc != BEACON_OK) {
            all = rc != BEACON_AGAIN ? rc : all;
            continue;
        }

        if (file->fd != -1 && file->is.made_ns > one.is.made_ns) {
            beacon_live_file_close(&one);
            continue;
        }

        beacon_live_file_close(file);
        *file = one;
    }

    (void) closedir(d);

    return file->fd == -1 ? all : beacon_live_file_map(file, writable, err);
}


/* Make. */

static int
beacon_live_random(beacon_live_head_t *head)
{
    ssize_t   n;
    uint64_t  words[3];

    do {
        n = getrandom(words, sizeof(words), 0);
    } while ((n == -1 && errno == EINTR)
             || (n == sizeof(words) && words[0] == 0));

    if (n != sizeof(words)) {
        return -1;
    }

    head->epoch = words[0];
    head->seed[0] = words[1];
    head->seed[1] = words[2];

    return 0;
}

/* All of it is there from now on, or it is ENOSPC. */
static int
beacon_live_fill(int fd, const beacon_live_head_t *head)
{
    int  rc;

    do {
        rc = posix_fallocate(fd, 0, (off_t) head->size);
    } while (rc == EINTR);

    if (rc != 0) {
        errno = rc;
        return -1;
    }

    if (pwrite(fd, head, sizeof(beacon_live_head_t), 0)
        != (ssize_t) sizeof(beacon_live_head_t))
    {
        errno = ENOSPC;
        return -1;
    }

    return fchmod(fd, 0600);
}

static beacon_rc_t
beacon_live_file_make(int dirfd, const beacon_live_head_t *head,
    beacon_err_t *err)
{
    int   fd, keep;
    char  name[BEACON_LIVE_NAME], tmp[BEACON_LIVE_NAME];

    beacon_live_name(name, head->epoch, "");
    beacon_live_name(tmp, head->epoch, ".tmp");

    fd = openat(dirfd, tmp, O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);

    if (fd != -1 && beacon_live_fill(fd, head) == 0) {
        BEACON_LIVE_POINT("live.made");

        if (renameat(dirfd, tmp, dirfd, name) == 0) {
            BEACON_LIVE_POINT("live.named");
            (void) close(fd);
            return BEACON_OK;
        }
    }

    keep = errno;
    beacon_err(err, "could not make \"%s\" of %llu bytes: %s", name,
               (unsigned long long) head->size, strerror(keep));

    if (fd != -1) {
        (void) unlinkat(dirfd, tmp, 0);
        (void) close(fd);
    }

    errno = keep;

    return BEACON_SYS;
}

beacon_rc_t
beacon_live_file_create(const char *dir, uint64_t size, uint32_t present,
    beacon_live_file_t *file, beacon_err_t *err)
{
    DIR                 *d;
    char                 name[BEACON_LIVE_NAME];
    beacon_rc_t          rc;
    struct timespec      now;
    beacon_live_head_t   head;

    memset(file, 0, sizeof(beacon_live_file_t));
    file->fd = -1;

    memset(&head, 0, sizeof(head));
    beacon_live_geometry(&head, size);

    if (beacon_live_random(&head) == -1) {
        beacon_err(err, "getrandom() failed: %s", strerror(errno));
        return BEACON_SYS;
    }

    (void) clock_gettime(CLOCK_REALTIME, &now);

    head.made_ns = (uint64_t) now.tv_sec * 1000000000
                   + (uint64_t) now.tv_nsec;
    atomic_init(&head.present, present);
    atomic_init(&head.magic, BEACON_LIVE_MAGIC);

    d = beacon_live_dir(dir, err);
    if (d == NULL) {
        return BEACON_SYS;
    }

    rc = beacon_live_file_make(dirfd(d), &head, err);

    if (rc == BEACON_OK) {
        beacon_live_name(name, head.epoch, "");
        rc = beacon_live_file_open(dirfd(d), name, head.epoch, 1, file, err);
    }

    (void) closedir(d);

    return rc == BEACON_OK ? beacon_live_file_map(file, 1, err) : rc;
}

void
beacon_live_file_close(beacon_live_file_t *file)
{
    if (file->head != NULL) {
        beacon_live_bus_leave(file->head);
        (void) munmap(file->head, file->size);
        file->head = NULL;
    }

    if (file->fd != -1) {
        (void) close(file->fd);
        file->fd = -1;
    }
}

void
beacon_live_file_view(const beacon_live_file_t *file, beacon_live_t *live)
{
    live->head = file->head;
    live->size = file->size;
    live->epoch = file->epoch;
    live->is = file->is;
}


/* Those that there were. */

void
beacon_live_file_forget(const char *dir)
{
    DIR            *d;
    uint64_t        epoch;
    struct dirent  *entry;

    d = beacon_live_dir(dir, NULL);
    if (d == NULL) {
        return;
    }

    while ((entry = readdir(d)) != NULL) {
        if (beacon_live_named(entry->d_name, ".aside", &epoch)) {
            (void) unlinkat(dirfd(d), entry->d_name, 0);
        }
    }

    (void) closedir(d);
}

/* One of another layout: readers of before are told to leave it, too.  Where
   they are told is the same in all layouts from 2 on. */
static void
beacon_live_file_leave(int dirfd, const char *name)
{
    int                 fd;
    beacon_live_head_t  head;

    fd = openat(dirfd, name, O_RDWR|O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK);

    if (fd != -1 && pread(fd, &head, sizeof(head), 0) == (ssize_t) sizeof(head)
        && head.magic == BEACON_LIVE_MAGIC && head.layout > 1)
    {
        head.retired = 1;
        (void) !pwrite(fd, &head.retired, sizeof(head.retired),
                       offsetof(beacon_live_head_t, retired));
    }

    if (fd != -1) {
        (void) close(fd);
    }
}

/* Its readers look for another. */
static void
beacon_live_file_retire(const char *dir, int dirfd, const char *name,
    uint64_t epoch)
{
    char                aside[BEACON_LIVE_NAME];
    beacon_rc_t         rc;
    beacon_live_file_t  file;

    memset(&file, 0, sizeof(file));
    rc = beacon_live_file_open(dirfd, name, epoch, 1, &file, NULL);

    if (rc == BEACON_OK && beacon_live_file_map(&file, 1, NULL) == BEACON_OK) {
        atomic_store_explicit(&file.head->retired, 1, memory_order_release);
        BEACON_LIVE_POINT("live.retired");
        beacon_live_file_close(&file);
    }

    if (rc == BEACON_CORRUPT) {
        beacon_live_file_leave(dirfd, name);
        beacon_live_file_forget(dir);
        beacon_live_name(aside, epoch, ".aside");
        (void) renameat(dirfd, name, dirfd, aside);

    } else if (rc != BEACON_SYS) {
        (void) unlinkat(dirfd, name, 0);
    }
}

void
beacon_live_file_sweep(const char *dir, uint64_t epoch)
{
    DIR            *d;
    uint64_t        other;
    struct dirent  *entry;

    d = beacon_live_dir(dir, NULL);
    if (d == NULL) {
        return;
    }

    while ((entry = readdir(d)) != NULL) {
        if (beacon_live_named(entry->d_name, ".tmp", &other)) {
            (void) unlinkat(dirfd(d), entry->d_name, 0);

        } else if (beacon_live_named(entry->d_name, "", &other)
                   && other != epoch)
        {
            beacon_live_file_retire(dir, dirfd(d), entry->d_name, other);
        }
    }

    (void) closedir(d);
}
