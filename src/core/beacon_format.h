/*
 * The formats in shared memory: ring file, record, hit payload.  Prose first;
 * what is written here is what others build against.
 *
 * All integers are in host order: a ring never leaves its machine.  Positions
 * are 64-bit byte offsets that only grow; the place of offset o in a lane of
 * 2^n bytes is o & (2^n - 1).  There are no pointers.
 *
 *
 * Directory
 *
 *     ring.<epoch>         one ring; epoch: 64 random bits as 16 hex digits
 *     counters             beacon_counters.h; outlives every ring
 *     schemas/<hash>.json  names of fields and flags; 8 hex digits
 *     beacon.json          the helper's configuration (src/README.md)
 *     beacond.sock         the helper's control socket
 *     beacond.lock         OFD write lock on byte 0: held by the one helper
 *     <sink>.checkpoint    a durable sink's own
 *
 *
 * Ring file
 *
 *     0          control page (beacon_ring_control_t), BEACON_PAGE bytes
 *     BEACON_PAGE + i * lane_stride
 *                lane i: its header page (beacon_lane_header_t), then
 *                lane_size bytes; lane_stride = BEACON_PAGE + lane_size
 *     at the end one page of zeros, so that a reader may load a vector's
 *                width beyond the last lane's last record
 *
 * The control page is written once, by the creator, before the file has its
 * name; "magic" is stored last, with release order.  An attacher loads magic
 * with acquire order and then checks layout, sizes and file length.
 *
 * Layouts BEACON_LAYOUT and BEACON_LAYOUT - 1 are read; any other is left
 * alone and, once no lane is owned, set aside (renamed ring.<epoch>.aside),
 * never written to.  So is one with a lane whose header makes no sense, when
 * the others are drained.  Layout 1 was the number before the first release;
 * its bytes are those of layout 2, so the path for N-1 has run from the first
 * day.
 *
 *
 * Lane: who writes what
 *
 *     size, mask          the creator, before the magic
 *     tail                the lane's owner: release-stored after the record's
 *                         bytes; pairs with the helper's acquire load.  This
 *                         store is the commit.
 *     commit[2]           the owner: {tail, ordinal} of the next commit goes
 *                         into the slot that does not hold the current tail,
 *                         before tail is stored.  Whoever finds tail == T
 *                         finds the ordinal in the slot whose tail is T: the
 *                         number of hits ever committed in this lane.
 *     cached_reclaim      the owner: its last look at reclaim
 *     drops, drops_told   the owner: hits refused for want of room; how many
 *                         of them a GAP record has told
 *     owner, claims       the owner, at claim and release: for people only.
 *                         Ownership is the OFD write lock on the byte at the
 *                         lane header's offset in the file, on the owner's own
 *                         open file description; the kernel gives it back.
 *     reclaim             the helper: release-stored when it is done with the
 *                         bytes before it; pairs with the owner's acquire load
 *     reclaim_ordinal     the helper, before reclaim: hits before reclaim
 *
 * Invariants
 *
 *     1. reclaim <= tail <= reclaim + size
 *     2. only the holder of the lane's lock writes tail; only the holder of
 *        beacond.lock writes reclaim
 *     3. a record never straddles the wrap: a PAD fills what is left
 *     4. a record's "offset" is the position it stands at, so bytes left over
 *        from an earlier lap, or zeros, are never taken for a record
 *     5. ordinals of a lane's HIT records are 0, 1, 2, ... without a hole,
 *        over all its owners; a hole that a reader meets was corruption
 *     6. whoever reads shared memory checks it as if a stranger had written it
 *
 * A record that is being written when its worker dies was never committed:
 * the next owner goes on at tail.  There is no repair code.
 *
 *
 * Record: beacon_record_header_t, payload, zero to seven bytes of padding.
 *
 *     length       of header, payload and padding; a multiple of 8
 *     type         PAD: length counts, the rest is unset but for offset
 *                  HIT: payload is a hit, below
 *                  GAP: payload is one u64: hits refused since the last GAP
 *     version      of the payload: 1
 *     offset       see invariant 4
 *     ordinal      hits committed in this lane before this record
 *     time_ns      CLOCK_REALTIME as nginx caches it (milliseconds)
 *     schema       beacon_schema.h; 0 in PAD and GAP
 *     crc          CRC-32C of the header with crc = 0, then the payload
 *     payload_len  without padding
 *
 * A PAD is not checksummed.  A tail smaller than a header before the wrap is
 * filled without one: readers skip it.
 *
 *
 * Hit payload, version 1: beacon_hit_head_t, then one u32 length for each of
 * the strings, then the strings, each followed by one NUL that its length does
 * not count:
 *
 *     site visitor ip host path query referer user_agent body  field 0 .. n-1
 *
 * Strings are as the client sent them: any byte may stand in them, NUL too.
 * Fields are in the order of the record's schema.
 */

#ifndef BEACON_FORMAT_H
#define BEACON_FORMAT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define BEACON_RING_MAGIC    0x31474e4952434542ULL     /* "BECRING1" */
#ifndef BEACON_LAYOUT                   /* tests build a module of another */
#define BEACON_LAYOUT        2
#endif
#define BEACON_PAGE          4096
#define BEACON_LANES_MAX     256
#define BEACON_LANE_MIN      (64 * 1024)
#define BEACON_LANE_MAX      (1024 * 1024 * 1024)

/* A record may take at most this part of a lane ("size", 414, beyond it). */
#define BEACON_RECORD_SHARE  8

typedef struct {
    _Atomic uint64_t  magic;
    uint32_t          layout;
    uint32_t          lanes;
    uint64_t          epoch;
    uint64_t          lane_size;        /* bytes; a power of two */
    uint64_t          lane_stride;
    uint64_t          file_size;
    uint64_t          start;            /* first offset of every lane */
    uint64_t          created_ns;       /* CLOCK_REALTIME */
    char              owner[2048];      /* nginx prefix, NUL, its conf path,
                                           NUL: whose directory this is */
} beacon_ring_control_t;

typedef struct {
    _Atomic uint64_t  tail;
    _Atomic uint64_t  ordinal;
} beacon_commit_t;

typedef struct {
    /* line 0: read-only after creation */
    uint64_t                       size;
    uint64_t                       mask;
    _Alignas(64) _Atomic uint64_t  tail;                 /* line 1: owner */
    uint64_t                       cached_reclaim;
    beacon_commit_t                commit[2];
    _Atomic uint64_t               drops;
    uint64_t                       drops_told;
    _Alignas(64) _Atomic uint32_t  owner;                /* line 2: a pid, 0 */
    _Atomic uint32_t               claims;
    _Alignas(64) _Atomic uint64_t  reclaim;              /* line 3: helper */
    _Atomic uint64_t               reclaim_ordinal;
} beacon_lane_header_t;

enum {
    BEACON_RECORD_PAD = 1,
    BEACON_RECORD_HIT = 2,
    BEACON_RECORD_GAP = 3
};

#define BEACON_RECORD_VERSION  1

typedef struct {
    uint32_t  length;
    uint16_t  type;
    uint16_t  version;
    uint64_t  offset;
    uint64_t  ordinal;
    uint64_t  time_ns;
    uint32_t  schema;
    uint32_t  crc;
    uint32_t  payload_len;
    /* the payload follows at once, at BEACON_RECORD_HEADER */
} beacon_record_header_t;

#define BEACON_RECORD_HEADER  44        /* sizeof would be 48 */

enum {
    BEACON_METHOD_GET = 1,
    BEACON_METHOD_HEAD = 2,
    BEACON_METHOD_POST = 3
};

enum {
    BEACON_BODY_NONE = 0,
    BEACON_BODY_FORM = 1,       /* application/x-www-form-urlencoded */
    BEACON_BODY_DATA = 2,       /* application/json, text/plain: "data" if it
                                   is JSON, else "body" */
    BEACON_BODY_OTHER = 3       /* "body" */
};

enum {
    BEACON_HIT_SITE,
    BEACON_HIT_VISITOR,
    BEACON_HIT_IP,
    BEACON_HIT_HOST,
    BEACON_HIT_PATH,
    BEACON_HIT_QUERY,
    BEACON_HIT_REFERER,
    BEACON_HIT_USER_AGENT,
    BEACON_HIT_BODY,
    BEACON_HIT_STRINGS          /* their number; fields follow */
};

#define BEACON_FIELDS_MAX  64
#define BEACON_FLAGS_MAX   32           /* configured ones; a bit each */

typedef struct {
    uint8_t   method;
    uint8_t   body_kind;
    uint16_t  max_args;         /* beacon_max_args where the hit came in */
    uint16_t  nfields;
    uint16_t  reserved;         /* 0 */
    uint32_t  flags;            /* bit i: flag i of the schema */
} beacon_hit_head_t;

static_assert(sizeof(beacon_ring_control_t) <= BEACON_PAGE, "control page");
static_assert(sizeof(beacon_lane_header_t) <= BEACON_PAGE, "lane page");
static_assert(sizeof(beacon_hit_head_t) == 12, "hit head");
static_assert(offsetof(beacon_record_header_t, payload_len) + 4
              == BEACON_RECORD_HEADER, "record header");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free");

#endif /* BEACON_FORMAT_H */
