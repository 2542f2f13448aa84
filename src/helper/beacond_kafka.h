/*
 * Inside the Kafka sink: the parts of beacond_sink_kafka.c.
 *
 *     beacond_sink_kafka.c       the ops: batch, flush, status
 *     beacond_kafka_batch.c      from a batch to messages, in turn
 *     beacond_kafka_topics.c     from a line to its topic and key; overflow
 *     beacond_kafka_window.c     the places of messages, those that wait
 *     beacond_kafka_send.c       sending them, and what became of them
 *     beacond_kafka_lanes.c      which of them a checkpoint is to cover
 *     beacond_kafka_trouble.c    topics that fail: held, probed, parked, back
 *     beacond_kafka_parked.c     the files of parked topics, written; read:
 *                                _parked_read.c; found at load: _load.c; what
 *                                goes out from there: _parked_send.c
 *     beacond_kafka_dead.c       the dead-letter file; _dead_retry.c: once more
 *     beacond_kafka_checkpoint.c what is written down before it is acknowledged
 *     beacond_kafka_load.c       and read by the next one
 *     beacond_kafka_copy.c       its copy beside parked hits and dead letters
 *     beacond_kafka_stats.c      librdkafka's statistics, for the status
 *     beacond_kafka_room.c       what they may take of the spool's size
 *     beacond_kafka_disk.c       who reads and writes those files; how: _job.c
 *     beacond_kafka_former.c     files of sinks that are configured no more
 *     beacond_kafka_producer.c   all that is librdkafka, with _letters.c:
 *                                messages' headers; _handles.c: topics and
 *                                their partitions; _properties.c; _calm.c: how
 *                                its threads wait
 *
 * A line becomes a message (beacond_kafka_msg_t), which stands for its hit
 * until the hit is acknowledged to the engine, in one of these states:
 *
 *     READY  it is about to be sent, behind others of its batch
 *     SENT   librdkafka has it; its report is to come
 *     HELD   it came back, or its topic fails: a copy waits in the topic's list
 *     ENDED  delivered, parked or lost; to be in the next checkpoint
 *
 * The window is the number of messages: what a helper's death can double, and
 * the bound of memory.  Batches are not kept, so that a topic that fails pins
 * no other's hits.
 *
 * A topic is FINE; or FAILING: its hits are held, and one is sent each second
 * to see; after 30 s, or when the window is nearly full of them, PARKED: they
 * go to its file, whose frames are sent again from the first one on, until none
 * is left.  Order within a partition is kept through all of this.
 *
 * Files, all 0640, in the spool's directory (without a spool: the ring's, where
 * they may take 16 MiB):
 *
 *     <name>.parked/<topic>  a head, then frames (beacond_kafka_parked.h)
 *     <name>.dead            a line each; messages that are refused
 *                            (beacond_kafka_dead.h)
 *     <name>.checkpoint      beside the ring, with a copy in the spool's
 *                            directory (beacond_kafka_checkpoint.c)
 *
 * What stands in the first two is pending in the books, though ring and spool
 * are free of it.  Where some that a checkpoint tells of are missing, so may
 * their disk be, and the sink waits; unless somebody says, by a file
 * <ring>/<name>.gone, that they are gone for good: then they are lost.
 */

#ifndef BEACOND_KAFKA_H
#define BEACOND_KAFKA_H

#include "beacond_clock.h"
#include "beacond_conf_kafka.h"
#include "beacond_kafka_disk.h"
#include "beacond_kafka_producer.h"
#include "beacond_log.h"
#include "beacond_point.h"
#include "beacond_sink.h"
#include "beacond_spare.h"
#include "beacon_kafka.h"

#include <limits.h>
#include <time.h>

#define BEACOND_KAFKA_PARK      (30000 * BEACOND_MS)    /* a topic's patience */
#define BEACOND_KAFKA_PRESSED   (1000 * BEACOND_MS)     /* in a full window */
#define BEACOND_KAFKA_PROBE     (1000 * BEACOND_MS)
#define BEACOND_KAFKA_RETRY     (5000 * BEACOND_MS)     /* of a parked topic */
#define BEACOND_KAFKA_CHUNK     4096            /* parked messages, out */
#define BEACOND_KAFKA_BYTES     (64 * 1024 * 1024)      /* of copies held */
#define BEACOND_KAFKA_STALLED   (5000 * BEACOND_MS)     /* a disk, is no use */
#define BEACOND_KAFKA_FULL      (250 * BEACOND_MS)      /* not tried again */
#define BEACOND_KAFKA_RESERVE   (256 * 1024)    /* bytes of the spool at once */
#define BEACOND_KAFKA_BESIDE    (16 * 1024 * 1024)      /* without a spool */
#define BEACOND_KAFKA_VALUES    64
#define BEACOND_KAFKA_LANES     256     /* two of one number share a queue */
#define BEACOND_KAFKA_AHEAD     4
#define BEACOND_KAFKA_LETTERS   16      /* on their way again */
#define BEACOND_KAFKA_BROKERS   64              /* known by name */

typedef struct beacond_kafka_topic_s  beacond_kafka_topic_t;
typedef struct beacond_kafka_msg_s    beacond_kafka_msg_t;

typedef enum {
    BEACOND_MSG_FREE,
    BEACOND_MSG_READY,
    BEACOND_MSG_SENT,
    BEACOND_MSG_HELD,
    BEACOND_MSG_ENDED
} beacond_msg_state_e;

typedef enum {
    BEACOND_MSG_LIVE,           /* from a batch */
    BEACOND_MSG_PARKED,         /* from its topic's file */
    BEACOND_MSG_DEAD            /* from the dead-letter file */
} beacond_msg_source_e;

/*
 * There are thousands of them, cold when their turn comes.  So each cache line
 * has its occasion: the first two a checkpoint, the second a report; sending
 * takes three; the last one is for trouble.
 */
struct beacond_kafka_msg_s {
    _Alignas(64)
    beacond_piece_t         piece;      /* of a hit's first line; first */

    _Alignas(64)
    beacond_kafka_msg_t    *first;      /* the hit's first line */
    beacond_kafka_msg_t    *after;      /* hit of its lane */
    beacond_kafka_msg_t    *further;    /* hit of its lane, about: to be
                                           brought into the cache */
    beacond_kafka_topic_t  *topic;
    union {
        uint64_t            sent_ns;    /* SENT */
        uint64_t            ended_ns;   /* the whole hit has ENDED */
    };
    uint32_t                left;       /* lines of the hit without a fate */
    uint8_t                 state;      /* beacond_msg_state_e */
    uint8_t                 source;     /* beacond_msg_source_e */
    bool                    alone;      /* goes by the producer "alone" */
    uint8_t                 hits;       /* of its frame */
    uint8_t                *data;       /* kept from one use to the next */
    size_t                  size;

    _Alignas(64)
    beacond_message_t       message;    /* until ENDED: it stands in data */
    uint64_t                seq;        /* the order they came in */
    uint64_t                place;      /* of its frame or line in a file */

    _Alignas(64)
    beacond_kafka_msg_t    *before;     /* of those held for the topic, or */
    beacond_kafka_msg_t    *behind;     /*   sent from its file */
    uint64_t                next;       /* behind its frame */
    beacond_kafka_msg_t    *newer;      /* the window's next, whatever it is */
};

/* Hits of a lane that no checkpoint covers, in their order. */
typedef struct {
    beacond_kafka_msg_t    *first;
    beacond_kafka_msg_t    *last;
    beacond_kafka_msg_t    *recent[BEACOND_KAFKA_AHEAD];
    uint32_t                turn;       /* of them */
    uint32_t                picked;     /* for the checkpoint being made */
} beacond_kafka_lane_t;

/* Producers that are ended with messages out read them to their last. */
typedef struct {
    _Atomic uint32_t        users;
    uint32_t                n;
    beacond_kafka_msg_t     msgs[];
} beacond_kafka_window_t;

typedef enum {
    BEACOND_TOPIC_FINE,
    BEACOND_TOPIC_FAILING,
    BEACOND_TOPIC_PARKED
} beacond_topic_state_e;

/* What became of one of these that are tried again counts for the topic. */
struct beacond_kafka_topic_s {
    char                     name[BEACON_KAFKA_TOPIC_MAX + 1];
    uint64_t                 hash;
    beacond_kafka_topic_t   *chain;
    beacond_kafka_topic_t   *next;      /* of all */
    void                    *handle[2]; /* of the producer, and of "alone" */
    bool                     overflow;
    beacond_topic_state_e    state;
    char                     reason[128];
    uint32_t                 ready;     /* READY */
    uint32_t                 partitions;        /* when the first of them was;
                                           0: not known */
    uint32_t                 out;       /* SENT */
    uint32_t                 held;
    beacond_kafka_msg_t     *head;      /* HELD, in order */
    beacond_kafka_msg_t     *tail;
    beacond_kafka_msg_t     *probe;
    uint64_t                 failing_ns;
    uint64_t                 retry_ns;
    uint64_t                 used_ns;
    uint64_t                 ok_ns;

    uint64_t                 generation;        /* of its file; 0: none */
    uint64_t                 end;       /* where the next frame goes */
    uint64_t                 taken;     /* bytes of the spool's size */
    uint64_t                 done;      /* of the first frame that waits */
    uint64_t                 told;      /* done, in the last checkpoint */
    uint64_t                 place;     /* of the next frame to be sent */
    uint64_t                 waiting;   /* hits in frames not delivered */
    uint32_t                 parked_out;        /* frames that are SENT */
    uint32_t                 parked_ended;      /* of those sent, delivered */
    beacond_kafka_msg_t     *sent_head; /* frames that were sent, in order, */
    beacond_kafka_msg_t     *sent_tail; /*   until a checkpoint tells it */
    bool                     parked_failed;     /* one of those sent */
    bool                     chunk_failed;
    bool                     alone;     /* its frames go by "alone" */
    bool                     dirty;     /* not synced */
};

/* What was read of a parked topic's file last. */
typedef struct {
    const void  *topic;
    uint64_t     generation;
    uint64_t     place;
    uint8_t     *data;
    size_t       len;
    uint64_t     size;          /* of the file */
} beacond_kafka_chunk_t;

typedef struct {
    char      name[80];
    char      state[24];
    double    rtt_ms;
    uint64_t  waits_ns;         /* a request does, without an answer, since */
} beacond_kafka_broker_t;

struct beacond_kafka_s {
    beacond_sink_t          *sink;
    beacond_conf_kafka_t    *conf;
    beacond_producer_t      *producer;  /* NULL: to be made at retry_ns */
    beacond_producer_t      *alone;     /* NULL: not needed */
    bool                     ending;    /* the producer is past use */
    bool                     renewing;  /* it has seen many topics */
    uint64_t                 renew_ns;
    uint32_t                 released;  /* topics that it still remembers */
    bool                     alone_ending;
    uint64_t                 alone_ns;  /* used last */
    uint64_t                 retry_ns;
    uint64_t                 closing_ns;        /* a stop's end began; 0: none
                                           does */
    bool                     there;     /* by then, a broker was */
    uint64_t                 hope_ns;   /* until then, for answers */
    uint64_t                 back_ns;   /* what was queued is taken back */
    uint64_t                 trouble_ns;        /* a connection's, last */
    bool                     waited;    /* at the very end */
    uint64_t                 now;
    uint32_t                 part;      /* lines of the batch in hand that are
                                           messages already */
    beacond_kafka_msg_t     *first;     /* of the hit that they end in */
    beacond_kafka_msg_t     *ready[BEACOND_BATCH_HITS]; /* of them, in the order
                                           in which they are sent */
    uint32_t                 nready;
    uint32_t                 nsent;     /* of these */

    beacond_kafka_window_t  *window;
    beacond_spare_t          spare;     /* its places that are free */
    beacond_kafka_msg_t     *oldest;    /* the window's first */
    uint32_t                 used;
    uint32_t                 out;       /* SENT */
    uint32_t                 held;
    uint32_t                 ended;
    uint32_t                 behind;    /* of them, at the last checkpoint */
    size_t                   held_bytes;
    uint64_t                 seq;
    uint64_t                 ok_ns;     /* something was delivered */
    uint64_t                 ok_sent_ns;        /* the newest of what was */

    beacon_template_t       *topic_tmpl;
    beacon_template_t       *key_tmpl;
    unsigned                 uses;      /* of the topic template */
    uint32_t                 keys[BEACOND_KAFKA_VALUES];
    uint32_t                 nkeys;
    int64_t                  tm_seconds;
    struct tm                tm;
    beacond_kafka_topic_t   *fixed;     /* the only one there can be */
    beacond_kafka_topic_t   *topics;
    beacond_kafka_topic_t  **buckets;
    uint32_t                 mask;
    uint32_t                 ntopics;   /* without overflow */
    uint32_t                 noverflow;
    uint32_t                 ntroubled; /* topics that are not FINE */
    uint64_t                 evicted_ns;
    uint64_t                 overflowed;

    beacond_piece_t        **pieces;    /* [window] for a checkpoint */
    beacond_kafka_lane_t     lanes[BEACOND_KAFKA_LANES];
    uint64_t                 patient_ns;        /* looked behind holes */
    uint32_t                 parked_ended;      /* frames, for the next */
    uint32_t                 parked_behind;     /* of them, at the last */
    uint64_t                 unparked;  /* hits delivered since the last */
    uint64_t                 unparked_lost;     /* damaged */
    bool                     parked_due;        /* all of a file is done, which
                                           a checkpoint is to tell */
    bool                     damaged;   /* some file was, at load */
    bool                     missing;   /* or is not where it should be */
    bool                     gone;      /* which somebody knows of */
    uint64_t                 load_ns;   /* tried again then */
    uint32_t                 lineage;   /* of its checkpoints; 0: unknown */
    bool                     loaded;
    bool                     founded;   /* there is a checkpoint */
    uint64_t                 waiting;   /* hits in parked and dead files */
    uint64_t                 leftover;  /* of them, not in the books yet */
    bool                     met;       /* it is known, of how many of those */
    uint64_t                 strangers; /*   found at load they never were */
    uint64_t                 ended_ns;  /* since when something has ended */
    uint64_t                 copied_ns; /* a copy in the spool's directory */
    bool                     copy_due;  /* it is not the last */
    bool                     copied;    /* there may be one */
    char                    *text;      /* the last checkpoint */
    size_t                   text_len;

    char                     dir[PATH_MAX];     /* of parked and dead */
    bool                     beside;    /* it is the ring's */
    uint64_t                 reserved;  /* of the spool's size, not in use */
    uint64_t                 taken;
    const char              *full_why;  /* what was the last refusal's reason */
    uint64_t                 full_ns;   /* until then there is no room, not */
    uint64_t                 dead_full_ns;      /* for one hit, or letter */
    beacond_disk_t          *disk;
    beacond_kafka_chunk_t    chunk;
    uint64_t                 stuck_ns;  /* when topics that are, are looked
                                           for */

    uint64_t                 dead_end;
    uint64_t                 dead;      /* letters that wait */
    uint64_t                 dead_place;
    uint64_t                 dead_until;        /* what comes meanwhile is not
                                           tried again */
    uint64_t                 dead_ns;   /* looked for a wish to try again */
    uint32_t                 dead_out;
    uint64_t                 dead_sent[BEACOND_KAFKA_LETTERS];  /* places that
                                           are to be marked */
    uint32_t                 ndead_sent;
    bool                     dead_retry;
    bool                     dead_moved;        /* it has begun, or one had an
                                           answer, which is not told */
    bool                     dead_dirty;

    uint64_t                 lost_room; /* hits, for want of room to park */
    uint64_t                 producers; /* made */
    beacond_log_limit_t      trouble_limit;
    beacond_log_limit_t      topic_limit;
    beacond_log_limit_t      park_limit;
    beacond_log_limit_t      unpark_limit;
    beacond_log_limit_t      lost_limit;
    beacond_log_limit_t      file_limit;
    beacond_log_limit_t      room_limit;
    beacond_log_limit_t      dead_limit;
    char                     error[256];
    uint64_t                 error_ns;
    beacond_kafka_broker_t   brokers[BEACOND_KAFKA_BROKERS];
    beacond_kafka_broker_t   were[BEACOND_KAFKA_BROKERS];
    uint32_t                 nbrokers;
    uint32_t                 nwere;     /* in the statistics before */
    uint32_t                 nup;
    uint32_t                 nall;
    double                   rtt_ms;    /* the worst of brokers that are up */
    uint64_t                 stats_ns;
    uint64_t                 up_ns;     /* since when some broker is up */
};

/* Something went wrong: counted, shown for a minute, logged once a minute. */
void beacond_kafka_error(beacond_kafka_t *kafka, beacond_log_limit_t *limit,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Makes, and when past use ends, the producers.  false: there is none now. */
bool beacond_kafka_producers(beacond_kafka_t *kafka);
bool beacond_kafka_alone(beacond_kafka_t *kafka);

/* beacond_kafka_batch.c */

/* OK: all of the batch is messages that were sent.  FULL: not now; goes on
   where it was, with the same batch. */
beacon_rc_t beacond_kafka_batch(beacond_kafka_t *kafka,
    const beacond_batch_t *batch);

/* beacond_kafka_topics.c */

beacon_rc_t beacond_kafka_topics_create(beacond_kafka_t *kafka,
    beacon_err_t *err);
void beacond_kafka_topics_destroy(beacond_kafka_t *kafka);

/* The handles of a producer that is about to be destroyed. */
void beacond_kafka_topics_release(beacond_kafka_t *kafka, unsigned which);

/* NULL: no memory, or no place for an overflow topic. */
beacond_kafka_topic_t *beacond_kafka_topic(beacond_kafka_t *kafka,
    const beacond_batch_t *batch, const beacond_line_t *line);
beacond_kafka_topic_t *beacond_kafka_topic_find(beacond_kafka_t *kafka,
    const char *name, size_t len);
beacond_kafka_topic_t *beacond_kafka_topic_named(beacond_kafka_t *kafka,
    const char *name, size_t len, bool overflow);

/* Fills in the message of a line; key points into buf or the batch. */
void beacond_kafka_message(beacond_kafka_t *kafka,
    const beacond_batch_t *batch, const beacond_line_t *line, char *buf,
    size_t size, beacond_message_t *message);

/* beacond_kafka_window.c */

beacon_rc_t beacond_kafka_window_create(beacond_kafka_t *kafka);

/* A user less; the last one's is the memory's end.  From any thread. */
void beacond_kafka_window_leave(void *window);

/* NULL: the window is full. */
beacond_kafka_msg_t *beacond_kafka_msg_get(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, beacond_msg_source_e source);
void beacond_kafka_msg_put(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg);

/* Is there room for one message more?  A little is left for parked ones. */
bool beacond_kafka_room(const beacond_kafka_t *kafka);

/* Copies the message into msg, where it is as long as msg is used.  SYS: no
   memory. */
beacon_rc_t beacond_kafka_keep(beacond_kafka_msg_t *msg,
    const beacond_message_t *message);

/* In, and out of, what waits for its topic. */
void beacond_kafka_hold(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg);
void beacond_kafka_unhold(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg);

/* beacond_kafka_send.c */

/* OK: it is SENT, or what the answer was is seen to.  FULL: not now; as it
   was. */
beacon_rc_t beacond_kafka_send(beacond_kafka_t *kafka,
    beacond_kafka_msg_t *msg);

/* Sends what is held for a topic, n messages at most. */
void beacond_kafka_resend(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, uint32_t n);

/* The fate of a live message. */
void beacond_kafka_end(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    beacond_fate_e fate);

extern const beacond_producer_ops_t  beacond_kafka_producer_ops;

/* beacond_kafka_lanes.c */

/* The first line of a hit of a batch, before it is sent: its place is to be in
   a checkpoint. */
void beacond_kafka_enlist(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg);

/* Puts into pieces[] what a checkpoint is to cover; force: all that has ended.
   How many. */
size_t beacond_kafka_gather(beacond_kafka_t *kafka, bool force);

/* There is one: those of pieces[] that are told leave the window. */
void beacond_kafka_told(beacond_kafka_t *kafka);

/* beacond_kafka_trouble.c */

void beacond_kafka_failed(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic, const char *reason);
void beacond_kafka_well(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic);
void beacond_kafka_trouble(beacond_kafka_t *kafka);

/* A live message of a parked topic: held, until it is written to its file; or
   lost, where that takes too long. */
void beacond_kafka_park(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg);

/* Where there is no room for it: lost, but only if somebody else has it.
   false: it has to wait. */
bool beacond_kafka_lose(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg);

/* beacond_kafka_room.c: bytes of the spool's size, or of what there is beside
   the ring. */
beacon_rc_t beacond_kafka_take(beacond_kafka_t *kafka, uint64_t n);
void beacond_kafka_give(beacond_kafka_t *kafka, uint64_t n);
void beacond_kafka_owe(beacond_kafka_t *kafka, uint64_t n);

/* Says that those could not be taken. */
void beacond_kafka_full(beacond_kafka_t *kafka, const char *what);

/* Says that a write failed, by its errno.  FULL: there is no room now; SYS:
   something else, which passes. */
beacon_rc_t beacond_kafka_unwritten(beacond_kafka_t *kafka, const char *what,
    int error);

/* Is a disk that does not come back about to hold up other topics? */
bool beacond_kafka_stalled(const beacond_kafka_t *kafka);

/* beacond_kafka_load.c */

beacon_rc_t beacond_kafka_load(beacond_kafka_t *kafka,
    beacond_checkpoint_t *checkpoint);

/* Where parked hits and dead letters go; NULL: what is configured. */
void beacond_kafka_dir(beacond_kafka_t *kafka, const char *dir);

/* There is a checkpoint without what is gone: nobody has to say so again. */
void beacond_kafka_gone_told(beacond_kafka_t *kafka);

/* beacond_kafka_checkpoint.c */

/* Writes a checkpoint and acknowledges, if there is reason to. */
void beacond_kafka_checkpoint(beacond_kafka_t *kafka, bool force);

/* Without the copy in the spool's directory. */
void beacond_kafka_settle(beacond_kafka_t *kafka, bool force);

/* Of the checkpoint in that directory: BEACOND_DISK_PATH bytes. */
void beacond_kafka_path(const beacond_kafka_t *kafka, const char *dir,
    char *path);

/* The copy of the last checkpoint: once a second, and not without need, as the
   disk is slow.  beacond_kafka_copy.c */
void beacond_kafka_keep_copy(beacond_kafka_t *kafka);

/* Before a message goes to a file: without a checkpoint, the next helper takes
   what it finds there for all there is, and is given the same hits again, of
   which its books then know but one.  false: none can be written now. */
bool beacond_kafka_found(beacond_kafka_t *kafka);

/* beacond_kafka_stats.c */

void beacond_kafka_stats(void *data, const char *text, size_t len);
void beacond_kafka_status(beacond_kafka_t *kafka, json_t *object);

#endif /* BEACOND_KAFKA_H */
