/*
 * Inside the log sink ("slog"): the parts of beacond_sink_log.c.
 *
 *     beacond_sink_log.c         the ops: taking a batch, flush, status
 *     beacond_slog_path.c        from a line to its file: time, cache, overflow
 *     beacond_slog_file.c        the files: opening, closing, reopening
 *     beacond_slog_write.c       from pieces to write(2), and to the disk
 *     beacond_slog_divert.c      what waits for a file that is refused by now
 *     beacond_slog_checkpoint.c  what is written down before it is acknowledged
 *     beacond_slog_load.c        the checkpoint read back
 *     beacond_slog_scan.c        what stands in files behind it
 *     beacond_slog_recover.c     rolling forward after a death
 *     beacond_slog_ids.c         the set of ids that files hold already
 *     beacond_slog_sync.c        fdatasync in a thread of its own
 *
 * There are no buffers.  A line stays in its batch's arena, to which the sink
 * holds a reference until the batch is acknowledged, and a file keeps a list
 * of pieces that are to be written: runs of neighbouring lines.  The engine
 * gives at most 24 batches that are not acknowledged, or 8 MB, so what waits is
 * bounded whatever the number of files, and nothing is copied: a template
 * without site goes out arena by arena.
 *
 * Batches are numbered as they are taken (seq).  A file keeps a mark for each
 * of them that gave it lines: where its bytes end.  A batch is complete when
 * no file has an unwritten byte up to its mark; the complete prefix goes into
 * a checkpoint and is then acknowledged.  Bytes are counted from the opening
 * of the file's entry ("logical") and become offsets by adding delta, so marks
 * outlive a rotation.
 *
 * The checkpoint lists every file that may be written: a file is listed before
 * its first byte.  So whenever the helper dies, what followed the checkpoint
 * is found behind the listed lengths.
 */

#ifndef BEACOND_SLOG_H
#define BEACOND_SLOG_H

#include "beacond_sink.h"
#include "beacond_log.h"
#include "beacon_tz.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define BEACOND_SLOG_WINDOW      24     /* batches, as in beacond_sink.h */
#define BEACOND_SLOG_PRESSURE    12     /* batches: write and acknowledge; or
                                           bytes, by the number of files: */
#define BEACOND_SLOG_SHARE       16384
#define BEACOND_SLOG_BYTES_MIN   (1 << 20)
#define BEACOND_SLOG_BYTES_MAX   (4 << 20)
#define BEACOND_SLOG_BLOCK       65536  /* writes end on multiples of it */
#define BEACOND_SLOG_AGE_MS      200    /* of a line, unwritten or not acked */
#define BEACOND_SLOG_CHECK_MS    200    /* is the path still this file? */
#define BEACOND_SLOG_RETRY_MS    200
#define BEACOND_SLOG_REFUSED_MS  2000   /* a refused path is tried again */
#define BEACOND_SLOG_CLOSE_MS    60000  /* an idle file is closed */
#define BEACOND_SLOG_IDLE_MS     3600000        /* a file's place is given up */
#define BEACOND_SLOG_LISTED_MS   2000   /* an idle file leaves the checkpoint */
#define BEACOND_SLOG_ZONES       256
#define BEACOND_SLOG_VALUES      64     /* variables of path and time zone */

typedef struct beacond_slog_s       beacond_slog_t;
typedef struct beacond_slog_file_s  beacond_slog_file_t;
typedef struct beacond_slog_slot_s  beacond_slog_slot_t;
typedef struct beacond_slog_sync_s  beacond_slog_sync_t;
typedef struct beacond_slog_rest_s  beacond_slog_rest_t;

/* Bytes to be written, in a batch's arena. */
typedef struct beacond_slog_piece_s  beacond_slog_piece_t;

struct beacond_slog_piece_s {
    const uint8_t         *data;
    size_t                 len;
    beacond_slog_slot_t   *slot;
    beacond_slog_piece_t  *next;
};

/* A batch that was taken and is not acknowledged. */
struct beacond_slog_slot_s {
    beacond_batch_t        *batch;
    uint64_t                seq;
    int64_t                 taken_ms;
    uint64_t                before;     /* bytes taken before it */
    beacond_slog_piece_t   *pieces;     /* [size] */
    beacond_slog_file_t   **files;      /* [size]: of each line, NULL: skip */
    uint32_t                npieces;
    uint32_t                size;
    bool                    single;     /* all lines go to files[0] */
};

/* An open file; closed by whoever drops the last reference. */
typedef struct {
    int               fd;
    _Atomic int       refs;
    _Atomic int       syncing;
    uint64_t          dev;
    uint64_t          ino;
    int64_t           btime;            /* ns; 0: unknown */
} beacond_slog_handle_t;

typedef struct {
    uint64_t  seq;
    uint64_t  end;              /* logical */
} beacond_slog_mark_t;

/*
 * A path that lines go to.  In the table it is found by its path and may be
 * without handle; in the retired list it was closed (or is what recovery
 * found), waits for the checkpoint that covers it, and cannot be found.
 */
struct beacond_slog_file_s {
    char                   *path;
    char                   *entry;      /* what a checkpoint says of it */
    size_t                  entry_len;
    size_t                  path_len;
    uint64_t                hash;
    beacond_slog_file_t    *chain;      /* in the table, or in retired */
    beacond_slog_file_t    *older;      /* in the order of use */
    beacond_slog_file_t    *newer;
    beacond_slog_file_t    *dirty_next;
    beacond_slog_handle_t  *handle;
    beacond_slog_piece_t   *head;       /* to be written */
    beacond_slog_piece_t   *tail;
    uint64_t                total;      /* logical: all bytes given to it */
    uint64_t                written;
    uint64_t                base;       /* covered by the last checkpoint */
    int64_t                 delta;      /* logical + delta = offset */
    beacond_slog_mark_t     marks[BEACOND_SLOG_WINDOW + 2];
    uint32_t                nmarks;
    uint64_t                pin;        /* seq of the batch that last used it */
    uint64_t                unsynced;   /* lines */
    int64_t                 until;      /* UNIX s: its time text is over */
    int64_t                 used_ms;
    int64_t                 checked_ms;
    int64_t                 refused_ms; /* refused until then */
    uint64_t                id_dev;     /* as listed in the checkpoint */
    uint64_t                id_ino;
    int64_t                 id_btime;
    bool                    dirty;
    bool                    listed;     /* in the last checkpoint */
    bool                    midline;    /* written ends inside a line */
    bool                    reopen;
    bool                    overflow;
    bool                    recovered;  /* covered when all ids were met */
    bool                    sync_failed;
};

/* The file of lines with this key, at times [from, until). */
typedef struct {
    uint64_t              hash;
    uint64_t              generation;
    beacond_slog_file_t  *file;
    int64_t               from;
    int64_t               until;
    int64_t               again_ms;     /* overflow: look again then */
    uint32_t              key_len;
    uint8_t               key[];
} beacond_slog_cached_t;

typedef struct {
    char          name[72];
    beacon_tz_t  *tz;           /* NULL: names no zone */
} beacond_slog_zone_t;

/* An id, in the set of those that files hold already. */
typedef struct {
    uint64_t  epoch;
    uint64_t  offset;
    uint32_t  lane;
    uint32_t  sub;              /* of a record with several lines; 0 */
    uint32_t  used;
    uint32_t  state;            /* 1: exists to be offered again; 2: was */
} beacond_slog_id_t;

typedef struct {
    beacond_slog_id_t  *ids;
    size_t              size;   /* power of two, or 0 */
    size_t              n;
    size_t              seen;   /* offered to recover */
    size_t              left;   /* not yet met by batch */
} beacond_slog_ids_t;

struct beacond_slog_s {
    beacond_sink_t          *sink;
    int64_t                  now;       /* ms, monotonic; of this call */

    /* configuration */
    beacon_template_t       *path;
    beacon_template_t       *timezone;  /* NULL: zone is constant */
    beacon_tz_t             *zone;      /* constant, or UTC */
    char                     dir[PATH_MAX];     /* the fixed directory */
    size_t                   dir_len;
    int                      sync_ms;   /* 0 always, -1 off */
    uint32_t                 max_files;
    uint32_t                 max_open;
    unsigned                 uses;
    uint32_t                 period;
    uint32_t                 nkeys;     /* values in a key */
    uint32_t                 keys[BEACOND_SLOG_VALUES];

    /* paths */
    uint8_t                 *cache;
    uint32_t                 cache_mask;
    size_t                   cache_stride;
    size_t                   key_max;
    uint64_t                 seed;      /* of the cache: clients choose keys */
    uint64_t                 generation;        /* of pointers to files */
    beacond_slog_zone_t     *zones;
    uint32_t                 nzones;

    /* files */
    beacond_slog_file_t    **table;
    size_t                   table_mask;
    uint32_t                 nfiles;    /* in the table, without overflow */
    uint32_t                 nopen;     /* with a handle, in the table */
    beacond_slog_file_t     *oldest;
    beacond_slog_file_t     *newest;
    beacond_slog_file_t     *dirty;
    beacond_slog_file_t     *retired;
    int64_t                  room_ms;   /* the table is full until then */

    /* batches */
    beacond_slog_slot_t      slots[BEACOND_SLOG_WINDOW];
    uint64_t                 seq;       /* taken */
    uint64_t                 taken;     /* bytes */
    uint64_t                 acked;

    /* checkpoint */
    char                    *text;
    size_t                   text_size;
    beacond_checkpoint_t     engine;    /* as last written or loaded */
    int64_t                  spooled_ms;        /* copy made; 0: never */
    char                     copy[PATH_MAX];    /* it; "": there is none */

    /* recovery */
    beacond_slog_ids_t       ids;
    beacond_slog_rest_t     *rests;
    bool                     loaded;    /* recover has seen all it wants */
    bool                     recovering;        /* not all ids were met */

    /* trouble */
    bool                     failed;
    int64_t                  retry_ms;
    int64_t                  error_ms;
    char                     error[256];
    beacond_log_limit_t      limit;
    uint64_t                 possible_duplicates;
    uint64_t                 overflowed;
    uint64_t                 reopened;
    uint64_t                 zone_fallbacks;
    uint64_t                 unsynced;  /* lines; without the thread's */

    beacond_slog_sync_t     *sync;
    int64_t                  synced_ms;
    int64_t                  tidied_ms;
};

/* An unfinished last line, and the bytes that finish it. */
struct beacond_slog_rest_s {
    beacond_slog_file_t  *file;
    uint8_t              *text;         /* what stands in the file */
    size_t                len;
    uint8_t              *rest;         /* NULL: not found yet */
    size_t                rest_len;
    beacond_slog_rest_t  *next;
};

static inline int64_t
beacond_slog_clock(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Counts an error, keeps it for status, logs it once a minute. */
void beacond_slog_error(beacond_slog_t *slog, const char *what,
    const char *path, int err);


/* beacond_slog_path.c */

beacon_rc_t beacond_slog_paths_create(beacond_slog_t *slog,
    const json_t *conf, beacon_err_t *err);
void beacond_slog_paths_destroy(beacond_slog_t *slog);

/* The file of a line, opened; NULL: cannot be had now. */
beacond_slog_file_t *beacond_slog_resolve(beacond_slog_t *slog,
    const beacond_batch_t *batch, const beacond_line_t *line);

/* A line's path, and the overflow's at its time, into PATH_MAX bytes each. */
void beacond_slog_path(beacond_slog_t *slog, const beacond_batch_t *batch,
    const beacond_line_t *line, char *path, char *overflow);


/* beacond_slog_file.c */

beacon_rc_t beacond_slog_files_create(beacond_slog_t *slog);
void beacond_slog_files_destroy(beacond_slog_t *slog);

/*
 * The file at a path, opened.  OK; FULL: no place for another path, or the
 * path is refused; AGAIN: an error that may pass.
 */
beacon_rc_t beacond_slog_file(beacond_slog_t *slog, const char *path,
    size_t len, int64_t until, int64_t seconds, bool overflow,
    beacond_slog_file_t **file);

/* The batch that is being taken uses the file: it keeps its place until all
   of that batch's lines are given to files. */
void beacond_slog_use(beacond_slog_t *slog, beacond_slog_file_t *file);

/* Gives a descriptor back: of the file that was used least lately. */
bool beacond_slog_spare(beacond_slog_t *slog,
    const beacond_slog_file_t *but);

/* Goes over to what is now at the path.  false: not yet. */
bool beacond_slog_reopen(beacond_slog_t *slog, beacond_slog_file_t *file);

/* Before a write: was the file removed, is the path another one by now?  Then
   it is to be reopened. */
void beacond_slog_check(beacond_slog_t *slog, beacond_slog_file_t *file);

/* Closes what was idle for long. */
void beacond_slog_tidy(beacond_slog_t *slog);

/* Sets what a checkpoint says of a file.  false: no memory. */
bool beacond_slog_describe(beacond_slog_file_t *file);

void beacond_slog_file_free(beacond_slog_file_t *file);


/* beacond_slog_open.c */

/* Opens a file that has no handle; as above. */
beacon_rc_t beacond_slog_open(beacond_slog_t *slog,
    beacond_slog_file_t *file);

beacond_slog_handle_t *beacond_slog_handle(int fd);
void beacond_slog_handle_unref(beacond_slog_handle_t *handle);

/* Of a file that is ours to write; a handle's end gives it up.  false: EBUSY,
   another writer has it. */
bool beacond_slog_lock(int fd);
void beacond_slog_handle_close(beacond_slog_handle_t *handle);

/* dev, ino and birth time of a file descriptor; false: errno. */
bool beacond_slog_identity(int fd, uint64_t *dev, uint64_t *ino,
    int64_t *btime);

/* Opens what is at path (absolute, below dir or not), walking from dir without
   following links; create: makes it and its directories.  -1: errno. */
int beacond_slog_walk(const char *dir, size_t dir_len, const char *path,
    bool create);


/* beacond_slog_write.c */

/* Gives a run of lines to a file. */
void beacond_slog_append(beacond_slog_t *slog, beacond_slog_slot_t *slot,
    beacond_slog_file_t *file, const uint8_t *data, size_t len,
    uint32_t lines);

/* Writes pieces, at most limit bytes.  false: an error, which is told. */
bool beacond_slog_write(beacond_slog_t *slog, beacond_slog_file_t *file,
    uint64_t limit);

/* All that a file has, before it is closed: listed first, and not into one
   that was removed.  false: something is left. */
bool beacond_slog_write_all(beacond_slog_t *slog, beacond_slog_file_t *file);

/* Writes what is due in all files; all: everything. */
void beacond_slog_write_due(beacond_slog_t *slog, bool all);

/* Takes files without pieces off the dirty list. */
void beacond_slog_clean(beacond_slog_t *slog);

/* Are batches from this one up to that one as much as is to wait? */
bool beacond_slog_pressed(const beacond_slog_t *slog, uint64_t from,
    uint64_t to);

/* The last complete batch. */
uint64_t beacond_slog_complete(const beacond_slog_t *slog);


/* beacond_slog_divert.c */

/* Gives all that waits for a file that is refused to the overflow's.  false:
   not now. */
bool beacond_slog_divert(beacond_slog_t *slog, beacond_slog_file_t *file);


/* beacond_slog_checkpoint.c */

/* Writes a checkpoint that acknowledges up to seq, then acknowledges.  false:
   an error, which is told. */
bool beacond_slog_checkpoint(beacond_slog_t *slog, uint64_t seq);

/* At the end, without the engine: lists only what is not covered. */
void beacond_slog_checkpoint_last(beacond_slog_t *slog);

/* The spool's copy of the last one, if it wants one and has none; away with it
   when the spool is empty. */
void beacond_slog_checkpoint_keep(beacond_slog_t *slog);

/* Writes text to dir/<name>.checkpoint. */
bool beacond_slog_checkpoint_put(beacond_slog_t *slog, const char *dir,
    const char *text, size_t len);


/* beacond_slog_scan.c */

/* A file as the checkpoint lists it. */
typedef struct {
    uint64_t     length;
    uint64_t     dev;
    uint64_t     ino;
    int64_t      btime;
    const char  *path;
} beacond_slog_entry_t;

/* What a scan of a file keeps between two reads. */
typedef struct {
    uint8_t  *buf;
    size_t    size;
    size_t    len;              /* of an unfinished line, at buf's start */
} beacond_slog_scan_t;

/* Reads a listed file.  AGAIN: it cannot be read now. */
beacon_rc_t beacond_slog_load_file(beacond_slog_t *slog,
    const beacond_slog_entry_t *entry, beacond_slog_scan_t *scan);


/* beacond_slog_load.c, beacond_slog_recover.c */

beacon_rc_t beacond_slog_load(beacond_slog_t *slog,
    beacond_checkpoint_t *checkpoint);
beacon_rc_t beacond_slog_recover(beacond_slog_t *slog,
    const beacond_batch_t *batch);

/* Writes what finishes unfinished lines.  false: not yet. */
bool beacond_slog_finish(beacond_slog_t *slog);

/* All ids were met: with the last batch the files that recovery found are
   covered. */
void beacond_slog_met(beacond_slog_t *slog);
void beacond_slog_recover_destroy(beacond_slog_t *slog);


/* beacond_slog_ids.c */

/* false: no memory, or too many. */
bool beacond_slog_ids_add(beacond_slog_ids_t *set,
    const beacond_slog_id_t *id);
beacond_slog_id_t *beacond_slog_ids_find(const beacond_slog_ids_t *set,
    const beacond_slog_id_t *id);
void beacond_slog_ids_dispose(beacond_slog_ids_t *set);

/* The id of a batch's i-th line; of a line's text (false: there is none). */
void beacond_slog_id_of(const beacond_batch_t *batch, uint32_t i,
    beacond_slog_id_t *id);
bool beacond_slog_id_parse(const uint8_t *line, size_t len,
    beacond_slog_id_t *id);


/* beacond_slog_sync.c */

/* The thread is made with the first job. */
void beacond_slog_sync_post(beacond_slog_t *slog,
    beacond_slog_handle_t *handle, uint64_t lines);

/* Until its thread is not far behind: a file that was closed keeps its
   descriptor until then. */
void beacond_slog_sync_wait(beacond_slog_t *slog);

/* Lines that its thread could not make durable. */
uint64_t beacond_slog_sync_failed(beacond_slog_t *slog);

/* Ends the thread if it can be had within a second; else leaves it behind. */
void beacond_slog_sync_destroy(beacond_slog_t *slog);

#endif /* BEACOND_SLOG_H */
