/* Topics that fail: held, probed, parked, and back. */

#include "beacond_kafka.h"
#include "beacond_kafka_parked.h"

#include <string.h>

#define BEACOND_KAFKA_STUCK  (1000 * BEACOND_MS)        /* looked for */
#define BEACOND_KAFKA_ALIVE  (5000 * BEACOND_MS)
#define BEACOND_KAFKA_OVERTAKEN (10000 * BEACOND_MS)
#define BEACOND_KAFKA_CLOGGED (15000 * BEACOND_MS)      /* beyond
                                           socket.timeout.ms */

static void
beacond_kafka_state(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    beacond_topic_state_e state)
{
    kafka->ntroubled -= topic->state != BEACOND_TOPIC_FINE;
    kafka->ntroubled += state != BEACOND_TOPIC_FINE;
    topic->state = state;
}

void
beacond_kafka_failed(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    const char *reason)
{
    snprintf(topic->reason, sizeof(topic->reason), "%s", reason);

    if (topic->state == BEACOND_TOPIC_PARKED) {
        topic->chunk_failed = true;
        topic->retry_ns = kafka->now + BEACOND_KAFKA_RETRY;
        return;
    }

    if (topic->state == BEACOND_TOPIC_FINE) {
        beacond_kafka_state(kafka, topic, BEACOND_TOPIC_FAILING);
        topic->failing_ns = kafka->now;
    }

    topic->retry_ns = kafka->now + BEACOND_KAFKA_PROBE;
    beacond_kafka_error(kafka, &kafka->topic_limit, "topic \"%s\": %s",
                        topic->name, reason);
}

void
beacond_kafka_well(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    if (topic->state == BEACOND_TOPIC_FAILING) {
        beacond_kafka_state(kafka, topic, BEACOND_TOPIC_FINE);
        topic->retry_ns = 0;
    }
}

/* Parking. */

static void
beacond_kafka_set_aside(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    const char *reason)
{
    uint64_t  missed;

    beacond_kafka_state(kafka, topic, BEACOND_TOPIC_PARKED);
    topic->retry_ns = kafka->now + BEACOND_KAFKA_RETRY;
    topic->chunk_failed = true;

    if (reason != NULL) {
        snprintf(topic->reason, sizeof(topic->reason), "%s", reason);
    }

    if (beacond_log_due(&kafka->park_limit, &missed)) {
        beacond_log(BEACOND_WARN, "sink \"%s\": topic \"%s\" is parked: %s "
                    "(and %llu more in the last minute)", kafka->sink->name,
                    topic->name, topic->reason, (unsigned long long) missed);
    }
}

bool
beacond_kafka_lose(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg)
{
    if (!beacond_sink_spared(kafka->sink, &msg->first->piece)) {
        return false;
    }

    kafka->lost_room++;
    beacond_kafka_end(kafka, msg, BEACOND_LOST);

    if (beacond_log_due(&kafka->lost_limit, NULL)) {
        beacond_log(BEACOND_ERROR, "sink \"%s\" lost hits of topic \"%s\" for "
                    "want of room, %llu since it began", kafka->sink->name,
                    msg->topic->name, (unsigned long long) kafka->lost_room);
    }

    return true;
}

void
beacond_kafka_park(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg)
{
    if (!beacond_kafka_stalled(kafka) || !beacond_kafka_lose(kafka, msg)) {
        beacond_kafka_hold(kafka, msg);
    }
}

/* Where the disk does not come back, the newest of what is held make room. */
static void
beacond_kafka_relieve(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    beacond_kafka_msg_t  *msg;

    while ((msg = topic->tail) != NULL && beacond_kafka_stalled(kafka)
           && beacond_sink_spared(kafka->sink, &msg->first->piece))
    {
        beacond_kafka_unhold(kafka, msg);
        (void) beacond_kafka_lose(kafka, msg);
    }
}

/* What is held, as far as there is room: where there is none for all that goes
   together, one by one. */
static void
beacond_kafka_park_held(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    uint32_t              n = UINT32_MAX;
    beacon_rc_t           rc;
    beacond_kafka_msg_t  *msg;

    while ((msg = topic->head) != NULL) {
        rc = beacond_kafka_parked_put(kafka, topic, n);

        if (rc == BEACON_OK) {
            continue;
        }

        if (rc == BEACON_FULL && n > 1) {
            n = 1;
            continue;
        }

        if (rc != BEACON_FULL
            || !beacond_sink_spared(kafka->sink, &msg->first->piece))
        {
            return;
        }

        beacond_kafka_unhold(kafka, msg);
        (void) beacond_kafka_lose(kafka, msg);
    }
}

/*
 * Is anything delivered that tells one topic's trouble from the cluster's?  A
 * window that is full of one topic lets no other show that it is well: then
 * brokers that are up for longer than a request may take have to do.
 */
static bool
beacond_kafka_alive(const beacond_kafka_t *kafka)
{
    uint64_t  clogged = kafka->conf->timeout_ms * BEACOND_MS
                        + BEACOND_KAFKA_CLOGGED;

    return kafka->now - kafka->ok_ns <= BEACOND_KAFKA_ALIVE
           || (kafka->nup > 0 && kafka->now - kafka->ok_ns > clogged
               && kafka->now - kafka->up_ns > clogged);
}

static bool
beacond_kafka_waits(const beacond_kafka_msg_t *msg)
{
    return msg->source == BEACOND_MSG_LIVE && msg->state == BEACOND_MSG_SENT
           && msg->topic->state != BEACOND_TOPIC_PARKED;
}

/* Out for long, while what was sent later has been delivered. */
static bool
beacond_kafka_overtaken(const beacond_kafka_t *kafka,
    const beacond_kafka_msg_t *msg)
{
    return beacond_kafka_waits(msg) && msg->sent_ns < kafka->ok_sent_ns
           && kafka->now - msg->sent_ns > BEACOND_KAFKA_OVERTAKEN;
}

/*
 * Does what is overtaken have more than half of a window that is nearly full?
 * Then others have no room because of it, and it has less patience.  With one
 * topic only there are no others.
 */
static bool
beacond_kafka_crowded(const beacond_kafka_t *kafka)
{
    uint32_t              n = 0, window = kafka->conf->window;
    beacond_kafka_msg_t  *msg;

    if (kafka->used <= window / 4 * 3
        || kafka->ntopics + kafka->noverflow < 2)
    {
        return false;
    }

    for (msg = kafka->oldest; msg != NULL; msg = msg->newer) {
        n += beacond_kafka_overtaken(kafka, msg);
    }

    return n > window / 2;
}

/*
 * A topic without an error whose messages stay where they are, while others'
 * are delivered: its leader is gone, say.  librdkafka gives messages back for
 * all topics together only.
 */
static void
beacond_kafka_stuck(beacond_kafka_t *kafka)
{
    bool                    alive, crowded, found = false;
    uint64_t                oldest = kafka->now;
    beacond_kafka_msg_t    *msg;
    beacond_kafka_topic_t  *topic;

    if (kafka->now < kafka->stuck_ns || kafka->producer == NULL
        || kafka->ending)
    {
        return;
    }

    alive = beacond_kafka_alive(kafka);
    crowded = beacond_kafka_crowded(kafka);

    for (msg = kafka->oldest; msg != NULL; msg = msg->newer) {
        topic = msg->topic;

        if (msg->state == BEACOND_MSG_SENT && msg->sent_ns < oldest) {
            oldest = msg->sent_ns;
        }

        if ((crowded && beacond_kafka_overtaken(kafka, msg))
            || (alive && beacond_kafka_waits(msg)
                && kafka->now - msg->sent_ns > BEACOND_KAFKA_PARK
                && kafka->now - topic->ok_ns > BEACOND_KAFKA_PARK))
        {
            beacond_kafka_set_aside(kafka, topic, crowded
                ? "nothing is delivered, and others have no room"
                : "nothing is delivered");
            found = true;
        }
    }

    /* not before one of them can be old enough: it is a look at all of the
       window, which is cold */

    kafka->stuck_ns = oldest + BEACOND_KAFKA_OVERTAKEN;

    if (kafka->stuck_ns < kafka->now + BEACOND_KAFKA_STUCK) {
        kafka->stuck_ns = kafka->now + BEACOND_KAFKA_STUCK;
    }

    if (found) {
        beacond_producer_purge(kafka->producer, false);
    }
}

/* Turns. */

static void
beacond_kafka_turn_failing(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic)
{
    uint64_t  since = kafka->now - topic->failing_ns;

    if (since >= BEACOND_KAFKA_PARK
        || (since >= BEACOND_KAFKA_PRESSED
            && (kafka->used > kafka->conf->window / 4 * 3
                || kafka->held_bytes > BEACOND_KAFKA_BYTES / 4 * 3)))
    {
        beacond_kafka_set_aside(kafka, topic, NULL);
        beacond_kafka_park_held(kafka, topic);
        return;
    }

    if (topic->held == 0 && topic->out == 0) {
        beacond_kafka_well(kafka, topic);
        return;
    }

    if (topic->probe == NULL && topic->head != NULL
        && kafka->now >= topic->retry_ns)
    {
        topic->probe = topic->head;
        beacond_kafka_resend(kafka, topic, 1);

        if (topic->head == topic->probe) {
            topic->probe = NULL;        /* it could not be sent */
        }
    }
}

/*
 * All that is in its file is on its way, and nothing of it has failed: what
 * comes meanwhile waits in the window, as far as there is room.  Else a topic
 * that always has hits would be parked for ever.
 */
static bool
beacond_kafka_nearly(const beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic)
{
    return topic->generation != 0 && topic->place >= topic->end
           && !topic->chunk_failed && !topic->parked_failed
           && kafka->used - kafka->ended <= kafka->conf->window / 2
           && kafka->held_bytes <= BEACOND_KAFKA_BYTES / 2;
}

static void
beacond_kafka_unpark(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    uint64_t  missed;

    beacond_kafka_state(kafka, topic, BEACOND_TOPIC_FINE);
    topic->alone = false;
    topic->retry_ns = 0;

    if (beacond_log_due(&kafka->unpark_limit, &missed)) {
        beacond_log(BEACOND_NOTICE, "sink \"%s\": topic \"%s\" is parked no "
                    "more (and %llu more in the last minute)",
                    kafka->sink->name, topic->name,
                    (unsigned long long) missed);
    }
}

static void
beacond_kafka_turn_parked(beacond_kafka_t *kafka,
    beacond_kafka_topic_t *topic)
{
    bool      had = topic->generation != 0;
    uint32_t  n = kafka->conf->window / 4;

    if (!beacond_kafka_nearly(kafka, topic)) {
        beacond_kafka_park_held(kafka, topic);
        beacond_kafka_relieve(kafka, topic);
    }

    /* its file cannot be begun, so there is none to be tried: then these are */

    if (topic->generation == 0 && topic->held > 0
        && kafka->now >= topic->retry_ns)
    {
        beacond_kafka_state(kafka, topic, BEACOND_TOPIC_FAILING);
        topic->failing_ns = topic->retry_ns = kafka->now;
        return;
    }

    /* after a failure, nothing goes before all are back: in order */

    n = n > BEACOND_KAFKA_CHUNK ? BEACOND_KAFKA_CHUNK : n > 0 ? n : 1;
    n = topic->chunk_failed ? 1 : n;

    if (topic->parked_out >= n || kafka->now < topic->retry_ns) {
        return;
    }

    beacond_kafka_parked_send(kafka, topic, n - topic->parked_out);

    if (topic->generation == 0 && (had || topic->held == 0)) {
        beacond_kafka_unpark(kafka, topic);
    }
}

void
beacond_kafka_trouble(beacond_kafka_t *kafka)
{
    beacond_kafka_topic_t  *topic;

    beacond_kafka_stuck(kafka);

    if (kafka->ntroubled == 0 && kafka->held == 0) {
        return;
    }

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        switch (topic->state) {

        case BEACOND_TOPIC_FINE:
            if (topic->held > 0 && kafka->now >= topic->retry_ns) {
                beacond_kafka_resend(kafka, topic, topic->held);
            }
            break;

        case BEACOND_TOPIC_FAILING:
            beacond_kafka_turn_failing(kafka, topic);
            break;

        case BEACOND_TOPIC_PARKED:
            beacond_kafka_turn_parked(kafka, topic);
            break;
        }
    }
}
