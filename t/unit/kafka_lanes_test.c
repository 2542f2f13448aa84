/* The queues of hits that no checkpoint covers: what a checkpoint is to cover
   is found in order, up to a hole, and leaves; beside a list that is searched
   from one end to the other. */

#include "beacond_kafka.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW  256
#define LANES   5
#define TURNS   20000

static beacond_conf_kafka_t   conf;
static beacond_kafka_t       *kafka;
static beacond_kafka_topic_t  topic;
static unsigned long          state = 1;

/* In the order they came, as far as no checkpoint covers them. */
static beacond_kafka_msg_t   *list[WINDOW];
static size_t                 nlist;

static unsigned
any(unsigned n)
{
    state = state * 6364136223846793005UL + 1442695040888963407UL;

    return (unsigned) (state >> 33) % n;
}

static void
begin(void)
{
    kafka = calloc(1, sizeof(beacond_kafka_t));
    conf.window = WINDOW;
    kafka->conf = &conf;
    kafka->now = 100 * 1000 * BEACOND_MS;
    nlist = 0;

    if (beacond_kafka_window_create(kafka) != BEACON_OK) {
        exit(1);
    }
}

static void
end(void)
{
    beacond_kafka_window_leave(kafka->window);
    beacond_spare_dispose(&kafka->spare);
    free(kafka->pieces);
    free(kafka);
}

/* A hit of that lane, out. */
static beacond_kafka_msg_t *
out(uint32_t lane)
{
    beacond_kafka_msg_t  *msg;

    msg = beacond_kafka_msg_get(kafka, &topic, BEACOND_MSG_LIVE);

    if (msg != NULL) {
        msg->piece.lane = lane;
        beacond_kafka_enlist(kafka, msg);
        list[nlist++] = msg;
    }

    return msg;
}

/* Does pieces[] hold what is to be there, lane by lane in order?  behind: what
   has ended by then counts beyond a hole, too. */
static bool
right(size_t n, uint64_t behind)
{
    bool      hole;
    size_t    i, k = 0;
    uint32_t  lane;

    for (lane = 0; lane < BEACOND_KAFKA_LANES; lane++) {
        hole = false;

        for (i = 0; i < nlist; i++) {
            if (list[i]->piece.lane % BEACOND_KAFKA_LANES != lane) {
                continue;
            }

            hole |= list[i]->left > 0;

            if (list[i]->left == 0 && (!hole || list[i]->ended_ns <= behind)
                && (k == n || kafka->pieces[k++] != &list[i]->piece))
            {
                return false;
            }
        }
    }

    return k == n;
}

/* A checkpoint covers them, but for one in so many (0: for none). */
static void
checkpoint(size_t n, unsigned but)
{
    size_t  i, k, left = 0;

    for (k = 0; k < n; k++) {
        kafka->pieces[k]->told = but == 0 || any(but) != 0;
    }

    for (i = 0; i < nlist; i++) {
        for (k = 0; k < n; k++) {
            if (kafka->pieces[k] == &list[i]->piece) {
                break;
            }
        }

        if (k == n || !kafka->pieces[k]->told) {
            list[left++] = list[i];
        }
    }

    beacond_kafka_told(kafka);
    nlist = left;
}

static void
test_order(void)
{
    beacond_kafka_msg_t  *a, *b, *c, *d;

    begin();
    a = out(1);
    b = out(1);
    c = out(1);
    d = out(1 + BEACOND_KAFKA_LANES);
    ok(beacond_kafka_gather(kafka, false) == 0, "what is out is not covered");
    beacond_kafka_end(kafka, b, BEACOND_DONE);
    ok(beacond_kafka_gather(kafka, false) == 0, "nor is what is behind it");
    beacond_kafka_end(kafka, a, BEACOND_DONE);
    ok(beacond_kafka_gather(kafka, false) == 2
       && kafka->pieces[0] == &a->piece && kafka->pieces[1] == &b->piece,
       "up to a hole they are, in their order");
    kafka->pieces[0]->told = false;
    beacond_kafka_told(kafka);
    ok(kafka->used == 3 && kafka->ended == 1,
       "one that a checkpoint had no room for stays");
    ok(beacond_kafka_gather(kafka, false) == 1
       && kafka->pieces[0] == &a->piece, "and is the first of the next");
    beacond_kafka_told(kafka);
    beacond_kafka_end(kafka, d, BEACOND_PARKED);
    ok(beacond_kafka_gather(kafka, false) == 0,
       "a lane that shares a queue waits in it");
    kafka->now += 6000 * BEACOND_MS;
    ok(beacond_kafka_gather(kafka, false) == 1
       && kafka->pieces[0] == &d->piece, "but not for more than 5 s");
    beacond_kafka_told(kafka);
    beacond_kafka_end(kafka, c, BEACOND_LOST);
    ok(beacond_kafka_gather(kafka, false) == 1, "a hole is filled at last");
    beacond_kafka_told(kafka);
    ok(kafka->used == 0 && kafka->ended == 0, "nothing is left");
    end();
}

/* A hit of several lines ends with the last of them. */
static void
test_lines(void)
{
    beacond_kafka_msg_t  *first, *other;

    begin();
    first = out(0);
    first->left = 2;
    other = beacond_kafka_msg_get(kafka, &topic, BEACOND_MSG_LIVE);
    other->first = first;
    beacond_kafka_end(kafka, first, BEACOND_DONE);
    ok(beacond_kafka_gather(kafka, true) == 0,
       "a hit with a line out is not covered, not even by force");
    beacond_kafka_end(kafka, other, BEACOND_PARKED);
    ok(beacond_kafka_gather(kafka, false) == 1 && kafka->used == 1
       && first->piece.fate == BEACOND_PARKED, "with its last line it is");
    end();
}

/* What waits behind holes gives way where the window is full of it. */
static void
test_crowded(void)
{
    size_t                i;
    beacond_kafka_msg_t  *hole, *msg;

    begin();
    hole = out(0);

    for (i = 1; i < WINDOW; i++) {
        msg = out(0);
        beacond_kafka_end(kafka, msg, BEACOND_DONE);
    }

    ok(out(0) == NULL, "the window is full");
    ok(beacond_kafka_gather(kafka, false) == WINDOW - 1,
       "a window full behind one hole is covered at once");
    checkpoint(WINDOW - 1, 0);
    ok(kafka->used == 1 && nlist == 1 && list[0] == hole
       && out(0) != NULL, "and has room then");
    end();
}

static void
test_model(void)
{
    bool      force, good = true;
    size_t    n;
    unsigned  turn, i;

    begin();

    for (turn = 0; turn < TURNS && good; turn++) {
        for (i = any(8); i > 0; i--) {
            (void) out(any(LANES) * 64);        /* two share a queue */
        }

        for (i = any(9); i > 0 && nlist > 0; i--) {
            n = any((unsigned) nlist);

            if (list[n]->left > 0) {
                beacond_kafka_end(kafka, list[n], BEACOND_DONE);
            }
        }

        kafka->now += any(50) * BEACOND_MS;

        if (any(4) > 0) {
            continue;
        }

        force = any(8) == 0;
        kafka->patient_ns = kafka->now;         /* holes are waited for */
        n = beacond_kafka_gather(kafka, force);
        good = right(n, force ? kafka->now : 0)
               || (!force && right(n, kafka->now)
                   && kafka->used > WINDOW / 2);
        checkpoint(n, any(3));
        good = good && kafka->used == nlist;
    }

    ok(good, "as a search finds them, %u times", turn);
    checkpoint(beacond_kafka_gather(kafka, true), 0);

    for (i = 0; i < nlist; i++) {
        beacond_kafka_end(kafka, list[i], BEACOND_DONE);
    }

    checkpoint(beacond_kafka_gather(kafka, false), 0);
    ok(kafka->used == 0 && kafka->ended == 0 && nlist == 0,
       "in the end nothing is left");
    end();
}

int
main(void)
{
    test_order();
    test_lines();
    test_crowded();
    test_model();

    return done_testing();
}
