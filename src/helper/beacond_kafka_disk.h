/*
 * The disk that parked hits and dead letters are on.  It may freeze, and the
 * cluster's other hits have no business with it: so what is to be done there
 * is a job for a thread of its own, for which the sink waits 250 ms; or twice
 * as long as the last of its kind took, 5 s at most.  What takes longer goes on
 * without it.  While it does, nothing else is begun; then the sink asks again
 * for what it wants.  So each job can be done twice, and nobody counts on one
 * that he has not heard of.  A file that was begun by one is removed then.
 *
 * Jobs name a path and leave nothing open.  The sink's thread only; before it
 * is loaded, they are done by that thread itself, however long it takes.
 */

#ifndef BEACOND_KAFKA_DISK_H
#define BEACOND_KAFKA_DISK_H

#include "beacon.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define BEACOND_DISK_PATH  (PATH_MAX + 320)

typedef struct beacond_disk_s     beacond_disk_t;
typedef struct beacond_kafka_s    beacond_kafka_t;

typedef enum {
    BEACOND_DISK_WRITE,         /* data at place, where the file then ends */
    BEACOND_DISK_READ,          /* len bytes at place; len is what there is */
    BEACOND_DISK_MARK,          /* data[0] at each of places */
    BEACOND_DISK_UNLINK,
    BEACOND_DISK_EMPTY,         /* no byte is left in it */
    BEACOND_DISK_LOOK,          /* is it there? */
    BEACOND_DISK_ROOM,          /* free bytes, and all, of the file system */
    BEACOND_DISK_TELL,          /* path holds data; not for a crash */
    BEACOND_DISK_SYNC           /* files whose paths are in names, each with its
                                   '\0', if any; then path holds data */
} beacond_disk_op_e;

typedef struct {
    beacond_disk_op_e   op;
    char                path[BEACOND_DISK_PATH];
    bool                create; /* WRITE: if it is not there */
    bool                make;   /* and its directory */
    uint64_t            place;
    uint8_t            *data;
    size_t              len;
    uint64_t           *places;
    size_t              nplaces;
    char               *names;  /* SYNC */
    size_t              names_len;
    uint64_t            room;
    uint64_t            size;   /* READ: of the file; ROOM: of the disk */
    int                 error;  /* errno, or 0; ENOENT: the file is missing,
                                   ENODEV: its directory, too */
} beacond_disk_job_t;

/* One with data of that size, zeroed otherwise; NULL: no memory. */
beacond_disk_job_t *beacond_disk_job(beacond_disk_op_e op, size_t size);
void beacond_disk_free(beacond_disk_job_t *job);

/* Does it, however long it takes.  beacond_kafka_job.c */
void beacond_disk_run(beacond_disk_job_t *job);

/*
 * OK: it is done, well or not, and the caller's again.  AGAIN: it will be, and
 * is freed then.  FULL: something else is being done; it is freed.  SYS: no
 * thread; it is freed.
 */
beacon_rc_t beacond_disk_do(beacond_kafka_t *kafka, beacond_disk_job_t *job);

/* Since when the disk has not come back; 0: it does. */
uint64_t beacond_disk_stuck(const beacond_kafka_t *kafka);

/* The thread ends when it can. */
void beacond_disk_leave(beacond_disk_t *disk);

/* Has a sink of this name left with a job that is not done yet?  What the next
   one of the name finds may change until it is. */
bool beacond_disk_busy(const char *sink);

#endif /* BEACOND_KAFKA_DISK_H */
