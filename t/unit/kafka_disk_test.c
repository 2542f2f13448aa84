/* The thread for parked hits and dead letters: nobody waits for a disk that
   hangs; one that is slow, but works, is heard of in the end; what nobody heard
   of leaves nothing behind, and is done before the sink's successor looks. */

#include "beacond_kafka.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOW  600000            /* us: more than is waited for at first */

static _Atomic unsigned  slow;  /* us, each write */
static _Atomic bool      hangs;
static char     dir[] = "/tmp/kafka_disk_test.XXXXXX";
static char     path[64];

/* libc's, but for when. */
ssize_t
pwrite(int fd, const void *data, size_t len, off_t place)
{
    usleep(slow);

    while (hangs) {
        usleep(1000);
    }

    return syscall(SYS_pwrite64, fd, data, len, place);
}

static beacond_disk_job_t *
job_of(beacond_disk_op_e op, const char *text)
{
    beacond_disk_job_t  *job = beacond_disk_job(op, strlen(text));

    memcpy(job->data, text, strlen(text));
    memcpy(job->path, path, sizeof(path));
    job->create = true;

    return job;
}

/* Until it is taken: what hangs, or is given up, is asked for again. */
static bool
heard(beacond_kafka_t *kafka, beacond_disk_op_e op, const char *text)
{
    int                  i;
    bool                 done;
    beacon_rc_t          rc;
    beacond_disk_job_t  *job;

    for (i = 0; i < 40; i++) {
        job = job_of(op, text);
        rc = beacond_disk_do(kafka, job);

        if (rc == BEACON_OK) {
            done = job->error == 0;
            beacond_disk_free(job);
            return done;
        }

        usleep(50000);
    }

    return false;
}

static bool
there(void)
{
    struct stat  st;

    return stat(path, &st) == 0;
}

/* What an op says of a file; -1: nothing. */
static int
error_of(beacond_kafka_t *kafka, beacond_disk_op_e op, const char *name)
{
    int                  error = -1;
    beacond_disk_job_t  *job = job_of(op, "x");

    job->create = false;
    snprintf(job->path, sizeof(job->path), "%s/%s", dir, name);

    if (beacond_disk_do(kafka, job) == BEACON_OK) {
        error = job->error;
        beacond_disk_free(job);
    }

    return error;
}

static void
test_missing(beacond_kafka_t *kafka)
{
    ok(error_of(kafka, BEACOND_DISK_READ, "none") == ENOENT,
       "a file that is missing is told");
    ok(error_of(kafka, BEACOND_DISK_READ, "no/none") == ENODEV,
       "from one whose directory is");
    ok(error_of(kafka, BEACOND_DISK_WRITE, "none") == ENOENT,
       "so when it is written to");
    ok(!there(), "none is made");
}

/* A sink goes while its disk hangs; calls for one of its name come later. */
static void
test_left(beacond_kafka_t *kafka)
{
    int  i;

    hangs = true;
    ok(beacond_disk_do(kafka, job_of(BEACOND_DISK_WRITE, "begun"))
       == BEACON_AGAIN && there(), "a file is begun on a disk that hangs");
    ok(!beacond_disk_busy("kafka"), "its sink knows of it");
    beacond_disk_leave(kafka->disk);
    kafka->disk = NULL;
    ok(beacond_disk_busy("kafka"), "the next of its name does, too");
    ok(!beacond_disk_busy("other"), "others need not");
    hangs = false;

    for (i = 0; i < 6000 && beacond_disk_busy("kafka"); i++) {
        usleep(10000);
    }

    ok(!beacond_disk_busy("kafka"), "until the disk has come back");
    ok(!there(), "then the file that was begun is gone");
}

static void
test_slow(beacond_kafka_t *kafka)
{
    struct stat  st;

    hangs = true;
    ok(beacond_disk_do(kafka, job_of(BEACOND_DISK_WRITE, "first, longer"))
       == BEACON_AGAIN, "a write that hangs is given up");
    ok(beacond_disk_stuck(kafka) != 0, "it is known since when");
    ok(beacond_disk_do(kafka, job_of(BEACOND_DISK_LOOK, "")) == BEACON_FULL,
       "nothing is begun meanwhile");
    slow = SLOW;
    hangs = false;
    ok(heard(kafka, BEACOND_DISK_UNLINK, ""), "what is quick is heard of then");
    ok(heard(kafka, BEACOND_DISK_WRITE, "second"),
       "so is a write that takes long each time");
    ok(beacond_disk_stuck(kafka) == 0, "that disk is not stuck");
    ok(stat(path, &st) == 0 && st.st_size == 6,
       "the file ends where the last write does");
    slow = 0;
    ok(heard(kafka, BEACOND_DISK_UNLINK, ""), "it is removed");
    ok(heard(kafka, BEACOND_DISK_UNLINK, ""), "twice is as good");
}

int
main(void)
{
    beacond_sink_t    sink = { .name = "kafka" };
    beacond_kafka_t  *kafka = calloc(1, sizeof(beacond_kafka_t));

    if (kafka == NULL || mkdtemp(dir) == NULL) {
        return 1;
    }

    snprintf(path, sizeof(path), "%s/file", dir);
    kafka->sink = &sink;
    kafka->loaded = true;
    test_slow(kafka);
    test_missing(kafka);
    test_left(kafka);
    free(kafka);
    rmdir(dir);

    return done_testing();
}
