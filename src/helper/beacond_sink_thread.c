/*
 * A sink's thread, once it has begun: batch after batch, from its queue or its
 * own hands, and flush.
 */

#include "beacond_parts.h"

#include <string.h>

#define BEACOND_FLUSH_MAX   (200 * BEACOND_MS)
#define BEACOND_FLUSH_SOON  (5 * BEACOND_MS)
#define BEACOND_STATUS      (500 * BEACOND_MS)

/* What a sink's thread has in hand. */
typedef struct {
    beacond_batch_t  *batch;
    uint64_t          retry_ns;         /* when to offer it again; 0: new */
    uint64_t          flush_ns;         /* when to flush next */
    uint64_t          status_ns;
    bool              reopen;
    bool              pressed;
    bool              stopping;
} beacond_hand_t;

/* It has to acknowledge before it is given more. */
static bool
beacond_sinker_full(const beacond_sinker_t *sinker)
{
    return sinker->nunacked == BEACOND_UNACKED
           || sinker->window >= BEACOND_WINDOW;
}

int
beacond_sinker_fits(const beacond_sinker_t *sinker)
{
    return sinker->queued < BEACOND_QUEUE / 2 && !beacond_sinker_full(sinker);
}

static void
beacond_sinker_drop_queue(beacond_sinker_t *sinker)
{
    beacond_batch_t  *batch;

    while (sinker->queued > 0) {
        batch = sinker->queue[sinker->head];
        sinker->head = (sinker->head + 1) % BEACOND_QUEUE;
        sinker->queued--;
        beacond_batch_unref(batch);
    }

    sinker->full_ns = 0;
}

/* From here on the sink catches up by itself. */
void
beacond_sinker_behind(beacond_sinker_t *sinker)
{
    if (sinker->mode != BEACOND_ALIVE) {
        return;
    }

    BEACOND_POINT("engine.behind");
    beacond_sinker_drop_queue(sinker);
    sinker->mode = BEACOND_BEHIND;
    pthread_cond_signal(&sinker->cond);
}

/* What another sink only misses is a hole before its next batch. */
void
beacond_sinker_missed(beacond_sinker_t *sinker, const beacond_batch_t *batch)
{
    uint32_t  i;
    uint64_t  turn = sinker->turns;

    sinker->missed = true;

    if (sinker->sink.ops->missed == NULL) {
        return;
    }

    for (i = 0; i < sinker->queued; i++) {
        turn += sinker->queue[(sinker->head + i) % BEACOND_QUEUE]->nhits > 0;
    }

    sinker->sink.ops->missed(&sinker->sink, batch, turn);
}

bool
beacond_sinker_offer(beacond_sinker_t *sinker, beacond_batch_t *batch)
{
    if (sinker->mode != BEACOND_ALIVE || sinker->quit) {
        return false;
    }

    if (sinker->queued == BEACOND_QUEUE
        || (batch->names != NULL ? batch->names->turn : 0) < sinker->names_turn)
    {
        if (sinker->sink.ops->durable) {
            beacond_sinker_behind(sinker);

        } else {
            beacond_sinker_missed(sinker, batch);
        }

        return false;
    }

    beacond_batch_ref(batch);
    sinker->queue[(sinker->head + sinker->queued++) % BEACOND_QUEUE] = batch;

    return true;
}

/* A durable sink's queue goes on where it stands, or is of no use. */
static bool
beacond_sinker_follows(beacond_sinker_t *sinker, const beacond_batch_t *batch)
{
    uint32_t               i;
    const beacond_lane_t  *lane;
    const beacond_span_t  *span;

    for (i = 0; i < batch->nspans; i++) {
        span = &batch->spans[i];
        lane = &sinker->engine->lanes[span->lane];

        if (lane->epoch != span->epoch || lane->number != span->number
            || sinker->stands[span->lane].taken.ordinal != span->from.ordinal)
        {
            return false;
        }
    }

    return true;
}

static beacond_batch_t *
beacond_sinker_pop(beacond_sinker_t *sinker)
{
    beacond_batch_t  *batch;

    if (sinker->queued == 0) {
        if (sinker->missed) {
            beacond_sinker_miss(sinker);
        }

        return NULL;
    }

    batch = sinker->queue[sinker->head];

    if (sinker->sink.ops->durable && !beacond_sinker_follows(sinker, batch)) {
        beacond_sinker_behind(sinker);
        return NULL;
    }

    sinker->head = (sinker->head + 1) % BEACOND_QUEUE;
    sinker->queued--;
    sinker->full_ns = 0;
    beacond_sinker_take(sinker, batch);
    pthread_cond_broadcast(&sinker->engine->work);

    return batch;
}

/*
 * It has caught up, and is told in each lane up to where nobody will bring
 * more, as a hole without a hit: what the ring gave back before it began would
 * else be heard of with the lane's next hit, and there may be none.
 */
static void
beacond_sinker_lives(beacond_sinker_t *sinker)
{
    uint32_t               i;
    beacond_batch_t        batch;
    beacond_span_t        *span = &batch.spans[0];
    const beacond_lane_t  *lane;

    BEACOND_POINT("engine.live");
    sinker->mode = BEACOND_ALIVE;
    pthread_cond_broadcast(&sinker->engine->work);

    if (!sinker->sink.ops->resumes || sinker->sink.ops->missed == NULL) {
        return;
    }

    memset(&batch, 0, sizeof(batch));
    batch.nspans = 1;

    for (i = 0; i < sinker->engine->nlanes; i++) {
        lane = &sinker->engine->lanes[i];

        if (lane->used) {
            span->epoch = lane->epoch;
            span->number = lane->number;
            span->lane = i;
            span->from = span->to = sinker->stands[i].taken;
            sinker->sink.ops->missed(&sinker->sink, &batch, sinker->turns);
        }
    }
}

/*
 * The next batch, if there is one and the sink may have it; mutex held.
 * hand->pressed: it may not before it acknowledges.  *busy: ask again at once.
 */
static beacond_batch_t *
beacond_sinker_next(beacond_sinker_t *sinker, beacond_hand_t *hand, bool *busy)
{
    beacond_batch_t   *batch;
    beacond_engine_t  *engine = sinker->engine;

    if (beacond_sinker_full(sinker)) {
        hand->pressed = true;
        return NULL;
    }

    if (sinker->mode == BEACOND_BEHIND && beacond_sinker_caught_up(sinker)) {
        beacond_sinker_lives(sinker);
    }

    if (sinker->mode == BEACOND_ALIVE) {
        batch = beacond_sinker_pop(sinker);

    } else {
        hand->pressed = beacond_pool_used(&sinker->pool) == BEACOND_OWN;
        batch = hand->pressed ? NULL : beacond_sinker_build(sinker, NULL);
    }

    if (batch == NULL || batch->nhits > 0) {
        sinker->turns += batch != NULL;
        return batch;
    }

    /* nothing for the sink in it: only hits that are lost */

    *busy = true;
    beacond_sinker_ack_all(sinker, batch);

    if (sinker->sink.ops->missed != NULL) {
        sinker->sink.ops->missed(&sinker->sink, batch, sinker->turns);
    }

    pthread_mutex_unlock(&engine->mutex);
    beacond_batch_unref(batch);
    pthread_mutex_lock(&engine->mutex);

    return NULL;
}

/* It has told what it missed of what it acknowledged. */
static void
beacond_sinker_sure(beacond_sinker_t *sinker)
{
    uint32_t           i;
    beacond_engine_t  *engine = sinker->engine;

    if (!sinker->sink.ops->resumes) {
        return;
    }

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nlanes && sinker->inflight == 0; i++) {
        sinker->stands[i].sure = sinker->stands[i].acked.prefix;
    }

    pthread_mutex_unlock(&engine->mutex);
}

/* Flushes; returns the time of the next one. */
static uint64_t
beacond_sinker_flush(beacond_sinker_t *sinker, bool force, uint64_t now)
{
    int       ms;
    uint64_t  ns;

    ms = sinker->sink.ops->flush(&sinker->sink, force);
    beacond_sinker_sure(sinker);
    ns = (uint64_t) (ms > 0 ? ms : 1) * BEACOND_MS;

    return now + (ns < BEACOND_FLUSH_MAX ? ns : BEACOND_FLUSH_MAX);
}

/* Gives the batch to the sink.  Listed first: acks may come before batch()
   returns, from other threads. */
static beacon_rc_t
beacond_sinker_give(beacond_sinker_t *sinker, beacond_batch_t *batch,
    bool again)
{
    beacond_engine_t  *engine = sinker->engine;

    if (!again) {
        pthread_mutex_lock(&engine->mutex);
        sinker->unacked[sinker->nunacked].batch = batch;
        sinker->unacked[sinker->nunacked++].left = batch->nhits;
        sinker->window += batch->lines_len;
        pthread_mutex_unlock(&engine->mutex);
    }

    return sinker->sink.ops->batch(&sinker->sink, batch);
}

/* It was told to end.  One that resumes takes what is queued before, unless it
   is refused: some of that may be in no ring any more. */
static bool
beacond_sinker_ends(const beacond_sinker_t *sinker, const beacond_hand_t *hand)
{
    if (!sinker->quit || !sinker->sink.ops->resumes) {
        return sinker->quit;
    }

    return hand->batch != NULL ? hand->retry_ns != 0
           : sinker->mode != BEACOND_ALIVE || sinker->queued == 0;
}

/* At a stop: is what it has on its way still waited for? */
static void
beacond_sinker_await(beacond_sinker_t *sinker)
{
    bool  awaited = sinker->sink.ops->awaits(&sinker->sink);

    pthread_mutex_lock(&sinker->engine->mutex);
    sinker->awaited = awaited;
    pthread_mutex_unlock(&sinker->engine->mutex);
}

/* Waits until there is something to do; false: quit. */
static bool
beacond_sinker_wait(beacond_sinker_t *sinker, beacond_hand_t *hand)
{
    bool               quit, closing, busy = false;
    uint64_t           now, until;
    beacond_engine_t  *engine = sinker->engine;

    pthread_mutex_lock(&engine->mutex);

    hand->pressed = false;
    closing = engine->closing && sinker->sink.ops->awaits != NULL;

    if (hand->batch == NULL && !closing && !beacond_sinker_ends(sinker, hand)) {
        hand->batch = beacond_sinker_next(sinker, hand, &busy);
        hand->retry_ns = 0;
    }

    now = beacond_clock_ns();
    until = hand->flush_ns;

    if (hand->retry_ns != 0 && hand->retry_ns < until && !closing) {
        until = hand->retry_ns;
    }

    /* one that is behind and can do nothing about it now: soon again */

    if (hand->batch == NULL && sinker->mode == BEACOND_BEHIND
        && until > now + BEACOND_FLUSH_SOON)
    {
        until = now + BEACOND_FLUSH_SOON;
    }

    busy |= hand->batch != NULL && hand->retry_ns == 0 && !closing;

    if (!busy && !sinker->quit && !sinker->reopen && now < until) {
        beacond_cond_wait(&sinker->cond, &engine->mutex, until - now);
    }

    quit = beacond_sinker_ends(sinker, hand);
    hand->reopen = sinker->reopen;
    sinker->reopen = false;
    hand->stopping = engine->stopping || engine->tight;
    sinker->closing = engine->closing && sinker->sink.ops->awaits != NULL;
    pthread_mutex_unlock(&engine->mutex);

    return !quit;
}

/* true: the sink has the batch. */
static bool
beacond_sinker_turn(beacond_sinker_t *sinker, beacond_hand_t *hand)
{
    uint64_t  now = beacond_clock_ns();

    if (hand->batch == NULL || sinker->closing
        || (hand->retry_ns != 0 && now < hand->retry_ns))
    {
        return false;
    }

    if (beacond_sinker_give(sinker, hand->batch, hand->retry_ns != 0)
        != BEACON_OK)
    {
        hand->retry_ns = now + (uint64_t) sinker->sink.ops->retry_ms
                               * BEACOND_MS;
        return false;
    }

    beacond_batch_unref(hand->batch);
    hand->batch = NULL;

    return true;
}

/* Until it is told to end. */
static void
beacond_sinker_go(beacond_sinker_t *sinker)
{
    bool                       given, force;
    uint64_t                   now;
    beacond_hand_t             hand;
    const beacond_sink_ops_t  *ops = sinker->sink.ops;

    memset(&hand, 0, sizeof(hand));

    while (beacond_sinker_wait(sinker, &hand)) {

        if (hand.reopen && ops->reopen != NULL) {
            ops->reopen(&sinker->sink);
        }

        given = beacond_sinker_turn(sinker, &hand);
        now = beacond_clock_ns();
        force = hand.pressed || (hand.stopping && !given);

        if (given || force || now >= hand.flush_ns) {
            hand.flush_ns = beacond_sinker_flush(sinker, force, now);

            if (force && hand.flush_ns > now + BEACOND_FLUSH_SOON) {
                hand.flush_ns = now + BEACOND_FLUSH_SOON;
            }

            if (sinker->closing) {
                beacond_sinker_await(sinker);
            }
        }

        if (now - hand.status_ns >= BEACOND_STATUS) {
            beacond_sinker_status(sinker);
            hand.status_ns = now;
        }
    }

    ops->flush(&sinker->sink, true);
    beacond_sinker_sure(sinker);
    beacond_sinker_status(sinker);

    pthread_mutex_lock(&sinker->engine->mutex);
    beacond_sinker_behind(sinker);
    pthread_mutex_unlock(&sinker->engine->mutex);

    if (hand.batch != NULL) {
        beacond_batch_unref(hand.batch);
    }
}

void *
beacond_sinker_run(void *data)
{
    char               name[16];
    beacond_sinker_t  *sinker = data;

    snprintf(name, sizeof(name), "%s", sinker->sink.name);
    pthread_setname_np(pthread_self(), name);

    if (beacond_sinker_begin(sinker)) {
        beacond_sinker_go(sinker);
    }

    pthread_mutex_lock(&sinker->engine->mutex);
    sinker->ended = true;
    pthread_cond_broadcast(&sinker->engine->work);
    pthread_mutex_unlock(&sinker->engine->mutex);

    return NULL;
}
