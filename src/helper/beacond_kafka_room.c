/* The room that parked and dead messages take: the spool's size; without a
   spool, a little beside the ring. */

#include "beacond_kafka.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

/* Has the disk so much left that the spool's min_free stays? */
static bool
beacond_kafka_disk(const beacond_kafka_t *kafka, uint64_t n)
{
    uint64_t        least;
    struct statvfs  vfs;

    if (statvfs(kafka->dir, &vfs) != 0) {
        return false;
    }

    least = (uint64_t) vfs.f_blocks / 100 * kafka->sink->conf->spool_min_free;

    return (uint64_t) vfs.f_bavail * vfs.f_frsize
           >= n + least * vfs.f_frsize;
}

/* Of the spool, in larger pieces than it is used. */
beacon_rc_t
beacond_kafka_take(beacond_kafka_t *kafka, uint64_t n)
{
    uint64_t     more;
    beacon_rc_t  rc;

    if (kafka->beside) {
        if (kafka->taken + n > BEACOND_KAFKA_BESIDE) {
            return BEACON_FULL;
        }

    } else if (n > kafka->reserved) {
        more = n - kafka->reserved;
        more = more > BEACOND_KAFKA_RESERVE ? more : BEACOND_KAFKA_RESERVE;
        rc = beacond_kafka_disk(kafka, more)
             ? beacond_sink_spool_take(kafka->sink, more) : BEACON_FULL;

        if (rc != BEACON_OK) {
            return rc;
        }

        kafka->reserved += more;
    }

    kafka->reserved -= kafka->beside ? 0 : n;
    kafka->taken += n;

    return BEACON_OK;
}

void
beacond_kafka_give(beacond_kafka_t *kafka, uint64_t n)
{
    kafka->taken -= n;

    if (kafka->beside) {
        return;
    }

    kafka->reserved += n;

    if (kafka->reserved > 2 * BEACOND_KAFKA_RESERVE) {
        n = kafka->reserved - BEACOND_KAFKA_RESERVE;
        beacond_sink_spool_give(kafka->sink, n);
        kafka->reserved -= n;
    }
}

/* What is there already counts, whatever the size is now. */
void
beacond_kafka_owe(beacond_kafka_t *kafka, uint64_t n)
{
    if (beacond_kafka_take(kafka, n) != BEACON_OK) {
        kafka->taken += n;
    }
}

/* A disk that fails has no room either: else the hits of one topic would wait
   for it in the window, and all others behind them. */
beacon_rc_t
beacond_kafka_unwritten(beacond_kafka_t *kafka, const char *what, ssize_t n)
{
    int  code = n >= 0 ? ENOSPC : errno;

    beacond_kafka_error(kafka, &kafka->file_limit, "%s: %s", what,
                        strerror(code));

    return code == ENOSPC || code == EDQUOT || code == EROFS || code == EIO
           ? BEACON_FULL : BEACON_SYS;
}
