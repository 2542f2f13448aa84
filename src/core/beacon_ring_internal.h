/* What the ring's own files share with nobody else. */

#ifndef BEACON_RING_INTERNAL_H
#define BEACON_RING_INTERNAL_H

#include "beacon_ring.h"

#include <stdatomic.h>
#include <string.h>

typedef struct {
    beacon_ring_t    ring;      /* first: callers hold a pointer to it */

    /*
     * 1: the lane is claimed or punched through this mapping.  The kernel
     * can't tell: a lock never conflicts with its own file description.
     */
    _Atomic uint8_t  mine[BEACON_LANES_MAX];
} beacon_ring_mapping_t;

/* Where the lane's header page stands in the file. */
static inline uint64_t
beacon_ring_lane_offset(const beacon_ring_t *ring, uint32_t lane)
{
    return BEACON_PAGE + (uint64_t) lane * (BEACON_PAGE + ring->lane_size);
}

/* What stands in a position's place. */
static inline uint8_t *
beacon_ring_bytes(const beacon_ring_t *ring, uint32_t lane)
{
    return ring->map + beacon_ring_lane_offset(ring, lane) + BEACON_PAGE;
}

/* Fewer bytes than this before the wrap are skipped without a PAD. */
#define BEACON_RECORD_MIN  48

static inline uint64_t
beacon_record_length(uint64_t payload_len)
{
    return (BEACON_RECORD_HEADER + payload_len + 7) & ~7ULL;
}

static_assert(((BEACON_RECORD_HEADER + 7) & ~7) == BEACON_RECORD_MIN,
              "the shortest record");

/*
 * A header goes to memory and comes from it by aligned words of eight bytes:
 * a load that covers several smaller stores has to wait for them.
 */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BEACON_WORD_FIRST   0           /* where bytes 0 to 3 of memory are */
#define BEACON_WORD_SECOND  32
#define BEACON_WORD_TYPE    32
#define BEACON_WORD_VERSION 48
#else
#define BEACON_WORD_FIRST   32
#define BEACON_WORD_SECOND  0
#define BEACON_WORD_TYPE    16
#define BEACON_WORD_VERSION 0
#endif

/* Writes a header but for its crc, which then is 0. */
static inline void
beacon_record_head(uint8_t *at, uint64_t length, uint16_t type,
    uint64_t offset, uint64_t ordinal, uint64_t time_ns, uint32_t schema,
    uint32_t payload_len)
{
    uint64_t  *words;

    words = (uint64_t *) (void *) at;

    words[0] = length << BEACON_WORD_FIRST
               | (uint64_t) type << BEACON_WORD_TYPE
               | (uint64_t) BEACON_RECORD_VERSION << BEACON_WORD_VERSION;
    words[1] = offset;
    words[2] = ordinal;
    words[3] = time_ns;
    words[4] = (uint64_t) schema << BEACON_WORD_FIRST;

    memcpy(at + offsetof(beacon_record_header_t, payload_len), &payload_len,
           sizeof(payload_len));
}


/* beacon_ring_lock.c */

/*
 * The lane's lock, without waiting.  AGAIN: held, by this mapping or another.
 * SYS: errno.
 */
beacon_rc_t beacon_ring_lock(beacon_ring_t *ring, uint32_t lane);
void beacon_ring_unlock(beacon_ring_t *ring, uint32_t lane);

/* 1: any lock from byte "start" on, "len" bytes (0: to the end), is held
   through another file description than fd's; 0: none, or unknown. */
int beacon_ring_locked(int fd, uint64_t start, uint64_t len);


/* beacon_ring_file.c */

#define BEACON_RING_NAME   sizeof("ring.0123456789abcdef.aside")
#define BEACON_RING_OWNER  sizeof(((beacon_ring_control_t *) 0)->owner)

void beacon_ring_name(char *name, uint64_t epoch, const char *suffix);

/* open() of the directory; close() that keeps errno for the caller to tell. */
int beacon_ring_dir(const char *dir);
void beacon_ring_close(int fd);

/* Writes prefix and conf, each with its NUL; 0: they do not fit. */
size_t beacon_ring_owner(const beacon_ring_geometry_t *geometry, char *owner);

/*
 * Opens a ring file and copies its control page, checked.  *fd is open only
 * if OK.  Otherwise as beacon_ring_attach().
 */
beacon_rc_t beacon_ring_open(int dirfd, uint64_t epoch, int flags, int *fd,
    beacon_ring_control_t *control, beacon_err_t *err);


/* beacon_ring_read.c */

/*
 * From cursor to the tail given: the first record's word on cursor's ordinal,
 * if a good one stands there; and on to the tail, counting.
 */
void beacon_lane_peek(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
    beacon_cursor_t *cursor);
void beacon_lane_walk(const beacon_ring_t *ring, uint32_t lane, uint64_t tail,
    beacon_cursor_t *cursor);


/* beacon_ring_tail.c */

/*
 * The commit slot whose tail is the lane's: OK, *tail and *slot.  CORRUPT:
 * neither is; tail->offset is the lane's, tail->ordinal 0, *slot 1.
 */
beacon_rc_t beacon_lane_pair(const beacon_lane_header_t *lane,
    beacon_cursor_t *tail, uint32_t *slot);

/* As beacon_lane_tail(), and the slot that the next commit may write. */
void beacon_lane_last(const beacon_ring_t *ring, uint32_t lane,
    beacon_cursor_t *tail, uint32_t *slot);

#endif /* BEACON_RING_INTERNAL_H */
