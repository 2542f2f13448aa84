/*
 * The ring: a tmpfs file of single-producer single-consumer byte lanes.  The
 * format, its invariants and the memory order are in beacon_format.h.
 *
 * Create and attach make system calls.  beacon_lane_reserve() and
 * beacon_lane_commit() make none, allocate nothing and wait for nothing.
 */

#ifndef BEACON_RING_H
#define BEACON_RING_H

#include "beacon.h"
#include "beacon_format.h"

#include <sys/types.h>

typedef struct {
    uint64_t     lane_size;     /* bytes, power of two, BEACON_LANE_MIN.. */
    uint32_t     lanes;         /* 1..BEACON_LANES_MAX */
    uint64_t     start;         /* first offset of each lane, multiple of 8;
                                   0 but in tests, which start near a wrap */
    const char  *prefix;        /* nginx prefix and configuration file: */
    const char  *conf;          /*   whose directory this is */
    uid_t        uid;           /* new files belong to the worker user; */
    gid_t        gid;           /*   (uid_t) -1: as created */
} beacon_ring_geometry_t;

/* One attached ring.  Immutable after attach; share between threads freely. */
typedef struct {
    uint64_t                epoch;
    uint64_t                lane_size;
    uint32_t                lanes;
    uint32_t                layout;
    int                     fd;         /* this mapping's open description:
                                           holds the lanes claimed through it */
    int                     writable;
    size_t                  map_size;
    uint8_t                *map;
    beacon_ring_control_t  *control;
} beacon_ring_t;

/* An epoch as in file names and ids: 16 hex digits. */
#define BEACON_EPOCH_LEN  16

/*
 * Makes a ring file under a temporary name and gives it its name whole, mode
 * 0600.  Sets *epoch.  SYS: errno; nothing is left behind.
 */
beacon_rc_t beacon_ring_create(const char *dir,
    const beacon_ring_geometry_t *geometry, uint64_t *epoch,
    beacon_err_t *err);

/*
 * Maps ring.<epoch>: O_NOFOLLOW, a regular file; magic, layout, sizes and file
 * length checked.  One open file description for each call.
 * INVALID: a layout that this build does not read (err says which; the file
 * is not ours to touch).  CORRUPT: not a ring, or truncated.  SYS: errno.
 */
beacon_rc_t beacon_ring_attach(const char *dir, uint64_t epoch, int writable,
    beacon_ring_t **ring, beacon_err_t *err);

/* Unmaps, closes: the lanes claimed through this mapping are free.  */
void beacon_ring_detach(beacon_ring_t *ring);

/*
 * Finds a ring in dir with this geometry and owner, of BEACON_LAYOUT, not set
 * aside: OK and *epoch, the newest if there are several.  AGAIN: none.
 * FULL: the directory holds a ring of another owner that is in use (a lane is
 * owned, or beacond.lock is held): err says whose.
 */
beacon_rc_t beacon_ring_find(const char *dir,
    const beacon_ring_geometry_t *geometry, uint64_t *epoch,
    beacon_err_t *err);

/* Calls found() for each ring.<epoch> file name in dir, set-aside ones not. */
beacon_rc_t beacon_ring_scan(const char *dir,
    void (*found)(void *data, uint64_t epoch), void *data);

/*
 * Gives what another worker user left in dir and dir/schemas to uid:gid, or
 * neither a worker nor the helper could open it.  For root, before it attaches
 * or finds anything.  Regular files with one name, not root's own; others are
 * left as they are.  SYS: errno.
 */
beacon_rc_t beacon_ring_give(const char *dir, uid_t uid, gid_t gid,
    beacon_err_t *err);

/* Renames ring.<epoch> to ring.<epoch>.aside: never written to again. */
beacon_rc_t beacon_ring_set_aside(const char *dir, uint64_t epoch);

static inline beacon_lane_header_t *
beacon_ring_lane(const beacon_ring_t *ring, uint32_t lane)
{
    return (beacon_lane_header_t *) (void *) (ring->map + BEACON_PAGE
               + (uint64_t) lane * (BEACON_PAGE + ring->lane_size));
}


/* Producer: a worker, one thread. */

typedef struct {
    beacon_ring_t         *ring;        /* NULL: owns no lane */
    beacon_lane_header_t  *lane;
    uint8_t               *bytes;
    uint64_t               size;
    uint64_t               mask;
    uint64_t               tail;
    uint64_t               ordinal;
    uint64_t               cached_reclaim;
    uint64_t               reserved;    /* where the reserved record starts */
    uint32_t               index;       /* the lane's number */
    uint32_t               payload_len; /* of the reserved record */
    uint32_t               slot;        /* commit slot to write next */
} beacon_producer_t;

/*
 * Takes the first free lane that has its bytes or gets them: lock,
 * posix_fallocate, then go on at its tail.  AGAIN: all are owned.  FULL: no
 * space on the file system for those that are not.  Neither blocks.  p need
 * not be initialized.
 */
beacon_rc_t beacon_lane_claim(beacon_ring_t *ring, beacon_producer_t *p);

/* Gives the lane back.  p->ring becomes NULL.  This function can't fail. */
void beacon_lane_release(beacon_producer_t *p);

/*
 * Room for a record with payload_len bytes of payload: *payload is where to
 * write them.  At most one reservation at a time; dropping it needs no call:
 * the next reserve takes its place.
 * INVALID: larger than the lane's share.  FULL: no room now; the drop is
 * counted in the lane, and a GAP record precedes the next hit that fits.
 */
beacon_rc_t beacon_lane_reserve(beacon_producer_t *p, size_t payload_len,
    uint8_t **payload);

/*
 * Commits what was reserved and written as a HIT.  Returns its offset, for
 * its id.  This function can't fail.
 */
uint64_t beacon_lane_commit(beacon_producer_t *p, uint64_t time_ns,
    uint32_t schema);


/* Consumer: the helper. */

/* Where a reader stands: the next byte, and the hits of the lane before it. */
typedef struct {
    uint64_t  offset;
    uint64_t  ordinal;
} beacon_cursor_t;

typedef struct {
    uint16_t        type;       /* HIT or GAP */
    uint16_t        version;
    uint32_t        schema;
    uint64_t        offset;
    uint64_t        ordinal;
    uint64_t        time_ns;
    uint32_t        length;     /* in the lane */
    beacon_str_t    payload;    /* in the mapping, until reclaimed; at least 64
                                   more bytes may be loaded behind it */
    const uint8_t  *raw;        /* the record's header: what a spool copies */
    uint64_t        gap;        /* GAP: hits refused */
} beacon_record_t;

/*
 * The next HIT or GAP from *cursor on; moves *cursor behind it.
 * AGAIN: cursor is at the tail (as loaded with acquire order by this call).
 * CORRUPT: one or more bad records were skipped, *lost is their number as far
 * as the ordinals tell (0 where none was a hit); *cursor stands at the next
 * good record, or at the tail: go on.  INVALID: the cursor is not between
 * reclaim and tail, or the lane header makes no sense.  *record is set only
 * if OK, *lost only if CORRUPT.
 */
beacon_rc_t beacon_lane_read(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *cursor, beacon_record_t *record, uint64_t *lost);

/* Checks one record in memory (a spool's): header, CRC, length <= avail.
   The caller gives 64 readable bytes behind it.  OK or CORRUPT. */
beacon_rc_t beacon_record_check(const uint8_t *raw, size_t avail,
    beacon_record_t *record);

/* Tail and the ordinal that belongs to it, as one consistent pair. */
void beacon_lane_tail(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *tail);

/* What the helper has given back so far, as one pair; helper only. */
void beacon_lane_reclaimed(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *cursor);

/* Gives bytes before cursor back to the producer.  INVALID: out of bounds. */
beacon_rc_t beacon_lane_reclaim(beacon_ring_t *ring, uint32_t lane,
    const beacon_cursor_t *cursor);

/* 1: some process holds the lane's lock; 0: nobody. */
int beacon_lane_owned(const beacon_ring_t *ring, uint32_t lane);

/*
 * Punches out the bytes of a lane that is drained and unowned (it is locked
 * meanwhile).  OK; AGAIN: owned or not drained.
 */
beacon_rc_t beacon_lane_punch(beacon_ring_t *ring, uint32_t lane);


/* Ids: epoch-lane-offset in lower-case hex: 16 digits, then no leading 0s. */

#define BEACON_ID_MAX  (16 + 1 + 8 + 1 + 16)

/* Writes at most BEACON_ID_MAX bytes, no NUL; returns how many. */
size_t beacon_id_format(uint8_t *dst, uint64_t epoch, uint32_t lane,
    uint64_t offset);

#endif /* BEACON_RING_H */
