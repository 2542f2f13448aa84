/* The room that parked and dead messages take: the spool's size; without a
   spool, a little beside the ring. */

#include "beacond_kafka.h"

#include <errno.h>
#include <string.h>

/* Has the disk so much left that the spool's min_free stays?  SYS: it does not
   say. */
static beacon_rc_t
beacond_kafka_disk(beacond_kafka_t *kafka, uint64_t n)
{
    beacon_rc_t          rc;
    beacond_disk_job_t  *job = beacond_disk_job(BEACOND_DISK_ROOM, 0);

    if (job == NULL) {
        return BEACON_SYS;
    }

    snprintf(job->path, sizeof(job->path), "%s", kafka->dir);

    if (beacond_disk_do(kafka, job) != BEACON_OK) {
        return BEACON_SYS;
    }

    rc = job->error == 0
         && job->room >= n + job->size / 100
                             * kafka->sink->conf->spool_min_free
         ? BEACON_OK : BEACON_FULL;
    beacond_disk_free(job);

    return rc;
}

/* Of the spool, in larger pieces than it is used. */
beacon_rc_t
beacond_kafka_take(beacond_kafka_t *kafka, uint64_t n)
{
    uint64_t     more;
    beacon_rc_t  rc;

    if (kafka->beside) {
        if (kafka->taken + n > BEACOND_KAFKA_BESIDE) {
            kafka->full_why = "without a spool there are 16 MiB";
            return BEACON_FULL;
        }

    } else if (n > kafka->reserved) {
        more = n - kafka->reserved;
        more = more > BEACOND_KAFKA_RESERVE ? more : BEACOND_KAFKA_RESERVE;
        rc = beacond_kafka_disk(kafka, more);
        kafka->full_why = "its disk would have less than \"min_free\"";

        if (rc == BEACON_OK) {
            rc = beacond_sink_spool_take(kafka->sink, more);
            kafka->full_why = "the spool has its size";
        }

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
beacond_kafka_full(beacond_kafka_t *kafka, const char *what)
{
    beacond_kafka_error(kafka, &kafka->room_limit, "no room for %s in %s: %s",
                        what, kafka->dir, kafka->full_why);
}

/* What is kept for the next time is not kept of a spool that nothing is in: it
   could not be left for another one. */
void
beacond_kafka_give(beacond_kafka_t *kafka, uint64_t n)
{
    uint64_t  keep;

    kafka->taken -= n;

    if (kafka->beside) {
        return;
    }

    kafka->reserved += n;
    keep = kafka->taken > 0 ? BEACOND_KAFKA_RESERVE : 0;

    if (kafka->reserved > 2 * keep) {
        n = kafka->reserved - keep;
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
beacond_kafka_unwritten(beacond_kafka_t *kafka, const char *what, int error)
{
    beacond_kafka_error(kafka, &kafka->file_limit, "%s: %s", what,
                        strerror(error));

    return error == ENOMEM || error == EMFILE || error == ENFILE
           || error == EINTR || error == EAGAIN ? BEACON_SYS : BEACON_FULL;
}

bool
beacond_kafka_stalled(const beacond_kafka_t *kafka)
{
    uint64_t  since = beacond_disk_stuck(kafka);

    return since != 0 && kafka->now > since + BEACOND_KAFKA_STALLED
           && (kafka->used - kafka->ended > kafka->conf->window / 4 * 3
               || kafka->held_bytes > BEACOND_KAFKA_BYTES / 4 * 3);
}
