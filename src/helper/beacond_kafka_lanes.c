/*
 * Hits that no checkpoint covers, a queue for each lane: so what a checkpoint
 * is to cover is found without a look at all that is out.
 */

#include "beacond_kafka.h"

#define BEACOND_KAFKA_HOLE     (5000 * BEACOND_MS)
#define BEACOND_KAFKA_PATIENT  (1000 * BEACOND_MS)      /* holes looked for */

void
beacond_kafka_enlist(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg)
{
    beacond_kafka_msg_t  **recent;
    beacond_kafka_lane_t  *lane;

    lane = &kafka->lanes[msg->piece.lane % BEACOND_KAFKA_LANES];
    recent = &lane->recent[lane->turn++ % BEACOND_KAFKA_AHEAD];

    if (*recent != NULL) {
        (*recent)->further = msg;
    }

    *recent = msg;

    if (lane->first != NULL) {
        lane->last->after = msg;

    } else {
        lane->first = msg;
    }

    lane->last = msg;
}

/* Of each lane what has ended up to a hole, and behind one what has ended by
   "since"; 0: nothing. */
static size_t
beacond_kafka_pick(beacond_kafka_t *kafka, uint64_t since)
{
    bool                   hole;
    size_t                 n = 0;
    beacond_kafka_msg_t   *msg;
    beacond_kafka_lane_t  *lane;

    for (lane = kafka->lanes; lane < kafka->lanes + BEACOND_KAFKA_LANES;
         lane++)
    {
        lane->picked = 0;
        hole = false;

        for (msg = lane->first; msg != NULL; msg = msg->after) {
            if (msg->further != NULL) {
                __builtin_prefetch(&msg->further->piece, 1);
                __builtin_prefetch(&msg->further->first, 1);
            }

            if (msg->left > 0) {
                hole = true;
            }

            if (hole && since == 0) {
                break;
            }

            if (msg->left == 0 && (!hole || msg->ended_ns <= since)) {
                msg->piece.told = true;         /* to be */
                kafka->pieces[n++] = &msg->piece;
                lane->picked++;
            }
        }
    }

    return n;
}

/*
 * A partition's reports come together, so most holes are filled by the next
 * one, and holes are what makes a checkpoint long: what lies behind one waits
 * for 5 s, unless it keeps the window from what librdkafka could send.
 */
size_t
beacond_kafka_gather(beacond_kafka_t *kafka, bool force)
{
    size_t    n;
    uint32_t  window = kafka->conf->window;

    n = beacond_kafka_pick(kafka, force ? kafka->now : 0);

    if (force || n == kafka->ended) {
        return n;
    }

    if (n < window / 16
        && (kafka->ended > window / 2
            || (kafka->used > window / 4 * 3 && kafka->out < window / 4)))
    {
        return beacond_kafka_pick(kafka, kafka->now);
    }

    if (kafka->now - kafka->patient_ns >= BEACOND_KAFKA_PATIENT) {
        kafka->patient_ns = kafka->now;
        n = beacond_kafka_pick(kafka, kafka->now - BEACOND_KAFKA_HOLE);
    }

    return n;
}

void
beacond_kafka_told(beacond_kafka_t *kafka)
{
    size_t                 k = 0;
    beacond_kafka_msg_t   *msg, *next, *last;
    beacond_kafka_lane_t  *lane;

    for (lane = kafka->lanes; lane < kafka->lanes + BEACOND_KAFKA_LANES;
         lane++)
    {
        last = NULL;

        for (msg = lane->first; lane->picked > 0; msg = next) {
            next = msg->after;

            if (&msg->piece != kafka->pieces[k]) {
                last = msg;
                continue;
            }

            k++;
            lane->picked--;

            if (!msg->piece.told) {
                last = msg;
                continue;
            }

            *(last != NULL ? &last->after : &lane->first) = next;
            lane->last = lane->last == msg ? last : lane->last;
            kafka->ended--;
            beacond_kafka_msg_put(kafka, msg);
        }
    }
}
