/* What is done to files of parked hits and dead letters, and who does it. */

#include "beacond_kafka_disk.h"
#include "beacond_file.h"
#include "beacond_kafka.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BEACOND_DISK_WAIT  (250 * BEACOND_MS)
#define BEACOND_DISK_OPS   (BEACOND_DISK_SYNC + 1)

/* Who is last frees it; nobody joins a thread that may never come back. */
struct beacond_disk_s {
    pthread_mutex_t      mutex;
    pthread_cond_t       posted;
    pthread_cond_t       done;
    beacond_disk_job_t  *job;           /* not done */
    bool                 given_up;      /* nobody waits for it */
    bool                 left;          /* the sink has */
    uint64_t             since_ns;      /* given_up: it began */
    uint64_t             begun_ns;
    uint64_t             took_ns[BEACOND_DISK_OPS];     /* the last of each */
};

/* Jobs. */

beacond_disk_job_t *
beacond_disk_job(beacond_disk_op_e op, size_t size)
{
    beacond_disk_job_t  *job;

    job = calloc(1, sizeof(beacond_disk_job_t));

    if (job == NULL) {
        return NULL;
    }

    job->op = op;
    job->len = size;
    job->data = malloc(size > 0 ? size : 1);

    if (job->data == NULL) {
        free(job);
        return NULL;
    }

    return job;
}

void
beacond_disk_free(beacond_disk_job_t *job)
{
    if (job != NULL) {
        free(job->data);
        free(job->places);
        free(job->names);
        free(job);
    }
}

static int
beacond_disk_open(const beacond_disk_job_t *job, int flags)
{
    char  *slash, dir[BEACOND_DISK_PATH];

    if (job->create) {
        snprintf(dir, sizeof(dir), "%s", job->path);
        slash = strrchr(dir, '/');

        if (slash != NULL) {
            *slash = '\0';
            (void) mkdir(dir, 0750);
        }

        flags |= O_CREAT;
    }

    return open(job->path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
}

/* All of it, or errno. */
static int
beacond_disk_write(beacond_disk_job_t *job, int fd)
{
    ssize_t  n;

    n = pwrite(fd, job->data, job->len, (off_t) job->place);

    if (n == (ssize_t) job->len) {
        return ftruncate(fd, (off_t) (job->place + job->len)) == 0 ? 0 : errno;
    }

    n = n < 0 ? errno : ENOSPC;
    (void) !ftruncate(fd, (off_t) job->place);

    return (int) n;
}

static int
beacond_disk_read(beacond_disk_job_t *job, int fd)
{
    size_t       len = 0;
    ssize_t      n;
    struct stat  st;

    if (fstat(fd, &st) != 0) {
        return errno;
    }

    if (!S_ISREG(st.st_mode)) {
        return EISDIR;
    }

    /* less than was asked for is no end yet: an error may be behind it */

    do {
        n = pread(fd, job->data + len, job->len - len,
                  (off_t) (job->place + len));
        len += n > 0 ? (size_t) n : 0;
    } while (n > 0 && len < job->len);

    job->size = (uint64_t) st.st_size;
    job->len = len;

    return n < 0 ? errno : 0;
}

static int
beacond_disk_mark(beacond_disk_job_t *job, int fd)
{
    size_t  i;

    for (i = 0; i < job->nplaces; i++) {
        if (pwrite(fd, job->data, 1, (off_t) job->places[i]) != 1) {
            return errno;
        }
    }

    return 0;
}

static int
beacond_disk_room(beacond_disk_job_t *job)
{
    struct statvfs  vfs;

    if (statvfs(job->path, &vfs) != 0) {
        return errno;
    }

    job->room = (uint64_t) vfs.f_bavail * vfs.f_frsize;
    job->size = (uint64_t) vfs.f_blocks * vfs.f_frsize;

    return 0;
}

/* What cannot be synced is no reason to have an older copy. */
static int
beacond_disk_sync(const beacond_disk_job_t *job)
{
    int          fd;
    char         temp[BEACOND_DISK_PATH + 32];
    const char  *p, *end = job->names + job->names_len;

    /* one of a former sink's may be stuck in the same */

    static _Atomic unsigned  number;

    for (p = job->names; p < end; p += strlen(p) + 1) {
        fd = open(p, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0) {
            (void) fdatasync(fd);
            close(fd);
        }
    }

    snprintf(temp, sizeof(temp), "%s.disk-%u.temp", job->path,
             atomic_fetch_add(&number, 1));

    return beacond_file_replace(job->path, temp, (const char *) job->data,
                                job->len, true)
           == BEACON_OK ? 0 : errno;
}

static void
beacond_disk_file(beacond_disk_job_t *job)
{
    int  fd;

    fd = beacond_disk_open(job, job->op == BEACOND_DISK_READ ? O_RDONLY
                                                             : O_RDWR);

    if (fd < 0) {
        job->error = errno;
        return;
    }

    switch (job->op) {

    case BEACOND_DISK_WRITE:
        job->error = beacond_disk_write(job, fd);
        break;

    case BEACOND_DISK_READ:
        job->error = beacond_disk_read(job, fd);
        break;

    case BEACOND_DISK_MARK:
        job->error = beacond_disk_mark(job, fd);
        break;

    default:    /* BEACOND_DISK_EMPTY */
        job->error = ftruncate(fd, 0) == 0 ? 0 : errno;
        break;
    }

    close(fd);
}

static void
beacond_disk_run(beacond_disk_job_t *job)
{
    job->error = 0;

    switch (job->op) {

    case BEACOND_DISK_UNLINK:
        job->error = unlink(job->path) == 0 || errno == ENOENT ? 0 : errno;
        break;

    case BEACOND_DISK_LOOK:
        job->error = access(job->path, F_OK) == 0 ? 0 : errno;
        break;

    case BEACOND_DISK_ROOM:
        job->error = beacond_disk_room(job);
        break;

    case BEACOND_DISK_SYNC:
        job->error = beacond_disk_sync(job);
        break;

    default:
        beacond_disk_file(job);
        break;
    }
}

/* The thread. */

static void
beacond_disk_destroy(beacond_disk_t *disk)
{
    pthread_mutex_destroy(&disk->mutex);
    pthread_cond_destroy(&disk->posted);
    pthread_cond_destroy(&disk->done);
    free(disk);
}

static void *
beacond_disk_thread(void *data)
{
    beacond_disk_op_e    op;
    beacond_disk_t      *disk = data;
    beacond_disk_job_t  *job;

    pthread_mutex_lock(&disk->mutex);

    while (disk->job != NULL || !disk->left) {
        job = disk->job;

        if (job == NULL) {
            pthread_cond_wait(&disk->posted, &disk->mutex);
            continue;
        }

        op = job->op;
        pthread_mutex_unlock(&disk->mutex);
        beacond_disk_run(job);
        pthread_mutex_lock(&disk->mutex);

        if (disk->given_up) {
            beacond_disk_free(job);
        }

        disk->took_ns[op] = beacond_clock_ns() - disk->begun_ns;
        disk->job = NULL;
        disk->given_up = false;
        disk->since_ns = 0;
        pthread_cond_signal(&disk->done);
    }

    pthread_mutex_unlock(&disk->mutex);
    beacond_disk_destroy(disk);

    return NULL;
}

static beacond_disk_t *
beacond_disk_create(void)
{
    pthread_t        thread;
    beacond_disk_t  *disk;

    disk = calloc(1, sizeof(beacond_disk_t));

    if (disk == NULL) {
        return NULL;
    }

    pthread_mutex_init(&disk->mutex, NULL);
    beacond_cond_init(&disk->posted);
    beacond_cond_init(&disk->done);

    if (pthread_create(&thread, NULL, beacond_disk_thread, disk) != 0) {
        beacond_disk_destroy(disk);
        return NULL;
    }

    pthread_detach(thread);

    return disk;
}

void
beacond_disk_leave(beacond_disk_t *disk)
{
    if (disk != NULL) {
        pthread_mutex_lock(&disk->mutex);
        disk->left = true;
        pthread_cond_signal(&disk->posted);
        pthread_mutex_unlock(&disk->mutex);
    }
}

/*
 * One that is slow, but works, has twice as long as it took: what is given up
 * is done again, and would be given up for ever.  What takes longer than that
 * allows is a disk that is stalled.  Copies of checkpoints are there, heard of
 * or not.
 */
static uint64_t
beacond_disk_patience(const beacond_disk_t *disk, beacond_disk_op_e op)
{
    uint64_t  ns = op == BEACOND_DISK_SYNC ? 0 : 2 * disk->took_ns[op];

    return ns < BEACOND_DISK_WAIT ? BEACOND_DISK_WAIT
           : ns < BEACOND_KAFKA_STALLED ? ns : BEACOND_KAFKA_STALLED;
}

/* The mutex is held. */
static beacon_rc_t
beacond_disk_post(beacond_disk_t *disk, beacond_disk_job_t *job)
{
    uint64_t  now = beacond_clock_ns(), until;

    if (disk->job != NULL) {
        beacond_disk_free(job);
        return BEACON_FULL;
    }

    disk->job = job;
    disk->begun_ns = now;
    until = now + beacond_disk_patience(disk, job->op);
    pthread_cond_signal(&disk->posted);

    while (disk->job != NULL && now < until) {
        beacond_cond_wait(&disk->done, &disk->mutex, until - now);
        now = beacond_clock_ns();
    }

    if (disk->job == NULL) {
        return BEACON_OK;
    }

    disk->given_up = true;
    disk->since_ns = disk->begun_ns;

    return BEACON_AGAIN;
}

beacon_rc_t
beacond_disk_do(beacond_kafka_t *kafka, beacond_disk_job_t *job)
{
    beacon_rc_t  rc;

    if (!kafka->loaded) {
        beacond_disk_run(job);
        return BEACON_OK;
    }

    if (kafka->disk == NULL) {
        kafka->disk = beacond_disk_create();
    }

    if (kafka->disk == NULL) {
        beacond_disk_free(job);
        return BEACON_SYS;
    }

    pthread_mutex_lock(&kafka->disk->mutex);
    rc = beacond_disk_post(kafka->disk, job);
    pthread_mutex_unlock(&kafka->disk->mutex);

    return rc;
}

uint64_t
beacond_disk_stuck(const beacond_kafka_t *kafka)
{
    uint64_t  since;

    if (kafka->disk == NULL) {
        return 0;
    }

    pthread_mutex_lock(&kafka->disk->mutex);
    since = kafka->disk->since_ns;
    pthread_mutex_unlock(&kafka->disk->mutex);

    return since;
}
