/* What is done to files of parked hits and dead letters. */

#include "beacond_kafka_disk.h"
#include "beacond_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

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

static void
beacond_disk_dir(const beacond_disk_job_t *job, char *dir)
{
    char  *slash;

    memcpy(dir, job->path, BEACOND_DISK_PATH);
    slash = strrchr(dir, '/');

    if (slash != NULL) {
        *slash = '\0';
    }
}

static int
beacond_disk_open(const beacond_disk_job_t *job, int flags)
{
    int   fd;
    char  dir[BEACOND_DISK_PATH];

    beacond_disk_dir(job, dir);

    if (job->make) {
        (void) mkdir(dir, 0750);
    }

    fd = open(job->path, flags | (job->create ? O_CREAT : 0) | O_NOFOLLOW
                         | O_CLOEXEC | O_NONBLOCK, 0640);

    if (fd < 0 && errno == ENOENT) {
        errno = access(dir, F_OK) == 0 ? ENOENT : ENODEV;
    }

    return fd;
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
    const char  *p, *end = job->names ? job->names + job->names_len : NULL;

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
                                job->len,
                                job->op == BEACOND_DISK_SYNC)
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

void
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

    case BEACOND_DISK_TELL:
    case BEACOND_DISK_SYNC:
        job->error = beacond_disk_sync(job);
        break;

    default:
        beacond_disk_file(job);
        break;
    }
}
