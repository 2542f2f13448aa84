/*
 * The spool: a journal of raw records for durable sinks that lag.
 *
 *     <dir>/journal.<16 hex digits>   segments; the digits are the position of
 *                                     the segment's first byte in the journal
 *     <dir>/index.<16 hex digits>     what a complete segment holds: a start
 *                                     reads only segments that have none
 *     <dir>/cursors.json              where each durable sink stands
 *     <dir>/schemas/<hash>.json       as beside the ring
 *
 * Positions are 64-bit and only grow; byte p of the journal is byte p - start
 * of its segment.  A segment:
 *
 *     beacond_segment_head_t, then frames, each
 *     beacond_frame_head_t, then a record as it stood in its lane (header,
 *     payload, padding): its offset and ordinal are its place in the lane
 *
 * crc of a frame is the CRC-32C of the whole frame with crc = 0.  Integers are
 * in host order.  A segment is written by one helper and never again: the next
 * helper starts a new one, so a torn tail needs no repair.  After a failed or
 * short write the file is cut back to its last whole frame.
 *
 * Reading goes from frame to frame; what is no frame is passed over to the
 * next place (frames are 8-aligned) where magic, length and crc are right.
 * A segment that somebody has truncated or removed is such a place.  What that
 * loses is known by the ordinals.  Versions BEACOND_SPOOL_VERSION and the one
 * before are read; a whole head of any other version means that the segment is
 * set aside (renamed *.aside) and never written to.
 *
 * Threads: append, write, sync and drop belong to one; any may read.
 */

#ifndef BEACOND_SPOOL_H
#define BEACOND_SPOOL_H

#include "beacon.h"
#include "beacon_ring.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#define BEACOND_SEGMENT_MAGIC   0x31474553434542ULL     /* "BECSEG1" */
#define BEACOND_FRAME_MAGIC     0x4d524642U             /* "BFRM" */
#define BEACOND_SPOOL_VERSION   2                       /* and 1 */
#define BEACOND_SEGMENT_SIZE    (64 * 1024 * 1024)
#define BEACOND_SEGMENT_MIN     (64 * 1024)             /* in a small spool */

typedef struct {
    uint64_t  magic;
    uint32_t  version;
    uint32_t  size;             /* of this head */
    uint64_t  position;
    uint64_t  created_ns;       /* CLOCK_REALTIME */
    uint32_t  reserved;
    uint32_t  crc;              /* of the head with crc = 0 */
} beacond_segment_head_t;

typedef struct {
    uint32_t  magic;
    uint32_t  length;           /* of this head and the record */
    uint64_t  epoch;
    uint32_t  lane;
    uint32_t  crc;
} beacond_frame_head_t;

/* A frame in memory. */
typedef struct {
    uint64_t         epoch;
    uint32_t         lane;
    uint32_t         length;
    beacon_record_t  record;    /* points into the reader's buffer */
} beacond_frame_t;

/*
 * Judges the bytes at data.  OK; AGAIN: they may be a frame of *need bytes,
 * more than avail; CORRUPT.  64 bytes behind avail must be readable.
 */
beacon_rc_t beacond_frame_check(const uint8_t *data, size_t avail,
    beacond_frame_t *frame, size_t *need);

/* What a segment holds of one lane. */
typedef struct {
    uint64_t         epoch;
    uint32_t         lane;
    beacon_cursor_t  from;      /* its first record */
    beacon_cursor_t  to;        /* behind its last */
} beacond_spool_lane_t;

typedef struct {
    uint64_t               start;
    uint64_t               end;         /* behind the last whole frame */
    uint64_t               file_size;
    uint64_t               oldest_ns;   /* of its hits; 0: it has none */
    beacond_spool_lane_t  *lanes;
    uint32_t               nlanes;
} beacond_segment_t;

typedef struct {
    pthread_mutex_t     mutex;          /* of the segments */
    char               *dir;
    dev_t               dev;            /* its own */
    ino_t               ino;
    uint64_t            size;           /* the limit */
    unsigned            min_free;       /* per cent of the file system */
    uint64_t            segment_size;
    beacond_segment_t  *segments;       /* in order */
    uint32_t            nsegments;
    int                 fd;             /* of the last one, if it is ours to
                                           write to; else -1 */
    uint8_t            *buffer;         /* frames not yet written */
    size_t              len;
    size_t              cap;
    beacond_spool_lane_t *pending;      /* what they hold */
    uint32_t            npending;
    uint64_t            pending_oldest;
    bool                unsynced;
    uint64_t            corrupt;        /* places found at opening */
    uint32_t            set_aside;
    uint64_t            used;           /* bytes of all segments */
    uint64_t            others;         /* that sinks have taken for files of
                                           their own */
    uint64_t            next;           /* no segment starts before it */
} beacond_spool_t;

/*
 * Opens dir (made if its parent is there) and reads what is in it.
 * SYS: cannot be used.
 */
beacon_rc_t beacond_spool_open(const char *dir, uint64_t size,
    unsigned min_free, beacond_spool_t **spool, beacon_err_t *err);
void beacond_spool_close(beacond_spool_t *spool);

/* New limits, from any thread. */
void beacond_spool_limits(beacond_spool_t *spool, uint64_t size,
    unsigned min_free);

/* Takes a record into the buffer, which the next write puts into the journal.
   SYS: no memory. */
beacon_rc_t beacond_spool_append(beacond_spool_t *spool, uint64_t epoch,
    uint32_t lane, const beacon_record_t *record);

/*
 * Puts the buffer into the journal.  OK: all of it stands there.  FULL (the
 * limit, or too little left free) or SYS: none of it does, and the buffer is
 * empty.
 */
beacon_rc_t beacond_spool_write(beacond_spool_t *spool);

/* fdatasync, if there is something to.  SYS. */
beacon_rc_t beacond_spool_sync(beacond_spool_t *spool);

/*
 * Unlinks the segments from the first on for as long as needed() says 0 to
 * each lane of theirs.  Returns how many went.  dry: tells, but does nothing.
 */
uint32_t beacond_spool_drop(beacond_spool_t *spool, bool dry,
    int (*needed)(void *data, const beacond_spool_lane_t *lane), void *data);

/* Calls found() for what each segment holds of each lane, in order. */
void beacond_spool_each(beacond_spool_t *spool,
    void (*found)(void *data, const beacond_spool_lane_t *lane), void *data);

/* The start of the first segment that holds a wanted lane; else of what is
   behind all of them. */
uint64_t beacond_spool_find(beacond_spool_t *spool,
    int (*wanted)(void *data, const beacond_spool_lane_t *lane), void *data);

/* Time of the oldest hit in it, or 0; bytes it takes. */
uint64_t beacond_spool_oldest(beacond_spool_t *spool);
uint64_t beacond_spool_used(beacond_spool_t *spool);

/* Sinks' own files in the directory count, too: takes n bytes of the size,
   from any thread.  FULL: there are not so many; what the disk has, the sink
   sees for itself. */
beacon_rc_t beacond_spool_take(beacond_spool_t *spool, uint64_t n);
void beacond_spool_give(beacond_spool_t *spool, uint64_t n);
uint64_t beacond_spool_taken(beacond_spool_t *spool);


/* A place in the journal from which one thread reads on. */
typedef struct {
    beacond_spool_t  *spool;
    uint64_t          position; /* of the next frame */
    uint64_t          only;     /* start of the only one to look at, or
                                   UINT64_MAX */
    uint64_t          segment;  /* start of the one that fd is; */
    uint64_t          end;      /*   its end, as known then */
    int               fd;       /* -1: none */
    uint8_t          *buffer;
    size_t            cap;
    size_t            at;       /* of position, in buffer */
    size_t            len;
    bool              cut;      /* the file ended before "end" */
    uint64_t          corrupt;  /* places passed over */
} beacond_spool_reader_t;

void beacond_spool_reader_init(beacond_spool_reader_t *reader,
    beacond_spool_t *spool);
void beacond_spool_reader_dispose(beacond_spool_reader_t *reader);

/* To a position: 0 is the beginning of what there is. */
void beacond_spool_seek(beacond_spool_reader_t *reader, uint64_t position);

/*
 * The next frame; it stays in the buffer until the next call.  AGAIN: there
 * is none yet.  SYS: errno; the position has not moved.
 */
beacon_rc_t beacond_spool_next(beacond_spool_reader_t *reader,
    beacond_frame_t *frame);

#endif /* BEACOND_SPOOL_H */
