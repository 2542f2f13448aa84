/*
 * How a sink begins: made, if that had to wait; loaded; shown what is behind
 * its checkpoint.  And what it says of itself.
 */

#include "beacond_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_MAKE_MIN    (1000 * BEACOND_MS)
#define BEACOND_MAKE_MAX    (60000 * BEACOND_MS)
#define BEACOND_REFUSED     (60000 * BEACOND_MS)

/* Why there is no sink yet. */
static void
beacond_sinker_why(beacond_sinker_t *sinker, json_t *object)
{
    if (json_object_set_new(object, "last_error",
                            json_string(sinker->why.text)) != 0)
    {
        json_object_set_new(object, "last_error",
                            json_string("cannot be made"));
    }
}

/* A reload was refused for what the sink was to be, within a minute. */
static void
beacond_sinker_refused(beacond_sinker_t *sinker, json_t *object)
{
    beacon_err_t       why;
    beacond_engine_t  *engine = sinker->engine;

    pthread_mutex_lock(&engine->mutex);
    why = sinker->refused_why;

    if (sinker->refused == 0
        || beacond_clock_ns() - sinker->refused_ns > BEACOND_REFUSED)
    {
        why.text[0] = '\0';
    }

    pthread_mutex_unlock(&engine->mutex);

    if (why.text[0] != '\0'
        && json_object_get(object, "last_error") == NULL)
    {
        json_object_set_new(object, "last_error",
                            json_sprintf("a reload was refused: %s",
                                         why.text));
    }
}

void
beacond_sinker_status(beacond_sinker_t *sinker)
{
    bool               behind;
    char              *text = NULL;
    json_t            *object;
    size_t             len;
    beacond_engine_t  *engine = sinker->engine;

    object = json_object();

    if (object != NULL && !sinker->made) {
        beacond_sinker_why(sinker, object);

    } else if (object != NULL && sinker->sink.ops->status != NULL) {
        sinker->sink.ops->status(&sinker->sink, object);
    }

    if (object != NULL) {
        beacond_sinker_refused(sinker, object);
    }

    text = object ? json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER)
                  : NULL;
    json_decref(object);

    pthread_mutex_lock(&engine->mutex);

    sinker->errors = sinker->sink.errors + sinker->refused;
    sinker->last_success_ns = sinker->sink.last_success_ns;
    sinker->more[0] = '\0';

    /* {"a":1} becomes ,"a":1 */

    len = text ? strlen(text) : 0;

    if (len > 2 && len < sizeof(sinker->more)) {
        snprintf(sinker->more, sizeof(sinker->more), ",%.*s", (int) len - 2,
                 text + 1);
    }

    engine->dirty = true;
    behind = sinker->mode != BEACOND_ALIVE;
    pthread_mutex_unlock(&engine->mutex);
    free(text);

    /* a segment that is unlinked takes its space while it is open */

    if (!behind) {
        beacond_spool_reader_dispose(&sinker->puller.spool);
    }
}

/* So long, or until a reload says that it may be worth trying; false: quit. */
static bool
beacond_sinker_pause(beacond_sinker_t *sinker, uint64_t ns, bool *reload)
{
    bool               quit;
    uint64_t           now, until;
    beacond_engine_t  *engine = sinker->engine;

    pthread_mutex_lock(&engine->mutex);
    now = beacond_clock_ns();
    until = now + ns;

    while (!sinker->quit && !sinker->reopen && now < until) {
        beacond_cond_wait(&sinker->cond, &engine->mutex, until - now);
        now = beacond_clock_ns();
    }

    quit = sinker->quit;
    *reload = sinker->reopen;
    sinker->reopen = false;
    pthread_mutex_unlock(&engine->mutex);

    return !quit;
}

/* One that could not be made at start waits alone, and is tried again here:
   its hits are held like those of one that cannot load.  false: quit. */
static bool
beacond_sinker_try(beacond_sinker_t *sinker)
{
    bool      reload;
    uint64_t  pause = BEACOND_MAKE_MIN;

    if (sinker->made) {
        return true;
    }

    do {
        sinker->sink.errors++;
        beacond_sinker_status(sinker);

        if (beacond_log_due(&sinker->make_limit, NULL)) {
            beacond_log(BEACOND_ERROR, "sink \"%s\" cannot be made, and "
                        "waits: %s", sinker->name, sinker->why.text);
        }

        if (!beacond_sinker_pause(sinker, pause, &reload)) {
            return false;
        }

        pause = reload ? BEACOND_MAKE_MIN
                : pause < BEACOND_MAKE_MAX / 2 ? pause * 2 : BEACOND_MAKE_MAX;

    } while (beacond_sinker_make(sinker) != BEACON_OK);

    beacond_log(BEACOND_NOTICE, "sink \"%s\" is made at last", sinker->name);

    return true;
}

/* Is a hit left, of those that were there at first, that has not been shown? */
static bool
beacond_begin_left(const beacond_engine_t *engine, const beacon_cursor_t *at,
    const beacon_cursor_t *until)
{
    uint32_t               i;
    const beacond_lane_t  *lane;

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (lane->used && !lane->broken && at[i].ordinal < until[i].ordinal
            && at[i].offset < until[i].offset)
        {
            return true;
        }
    }

    return false;
}

/* Waits so long, or until it is told something; the mutex is held. */
static void
beacond_begin_wait(beacond_sinker_t *sinker)
{
    beacond_cond_wait(&sinker->cond, &sinker->engine->mutex,
                      (uint64_t) sinker->sink.ops->retry_ms * BEACOND_MS);
}

/*
 * Shows a sink what is behind its checkpoint: all of it, however long the
 * spool cannot be read.  What the sink was not shown, it would write again.
 * false: quit.
 */
static bool
beacond_sinker_show(beacond_sinker_t *sinker)
{
    bool               full = false, quit;
    uint32_t           i;
    beacond_batch_t   *batch;
    beacon_cursor_t   *at, *until = NULL;
    beacond_engine_t  *engine = sinker->engine;

    pthread_mutex_lock(&engine->mutex);

    while ((at = calloc(2 * BEACOND_LANES, sizeof(beacon_cursor_t))) == NULL
           && !sinker->quit)
    {
        beacond_begin_wait(sinker);
    }

    for (i = 0; at != NULL && i < engine->nlanes; i++) {
        until = at + BEACOND_LANES;
        at[i] = sinker->stands[i].acked.prefix;
        until[i] = engine->lanes[i].tail;
    }

    while (!sinker->quit && !full && until != NULL
           && beacond_begin_left(engine, at, until))
    {
        batch = beacond_sinker_build(sinker, at);

        if (batch == NULL) {
            beacond_begin_wait(sinker);
            continue;
        }

        pthread_mutex_unlock(&engine->mutex);
        full = sinker->sink.ops->recover(&sinker->sink, batch) == BEACON_FULL;
        beacond_batch_unref(batch);
        pthread_mutex_lock(&engine->mutex);
    }

    quit = sinker->quit;
    sinker->puller.journal = false;
    pthread_mutex_unlock(&engine->mutex);
    free(at);

    return !quit;
}

/* Before any batch: where it goes on, and what it may have left unfinished. */
bool
beacond_sinker_begin(beacond_sinker_t *sinker)
{
    bool                  quit = false;
    beacond_engine_t     *engine = sinker->engine;
    beacond_checkpoint_t  checkpoint = { NULL, 0 };

    if (!beacond_sinker_try(sinker)) {
        return false;
    }

    while (sinker->sink.ops->load != NULL
           && sinker->sink.ops->load(&sinker->sink, &checkpoint) != BEACON_OK)
    {
        beacond_sinker_status(sinker);
        pthread_mutex_lock(&engine->mutex);
        beacond_begin_wait(sinker);
        quit = sinker->quit;
        pthread_mutex_unlock(&engine->mutex);

        if (quit) {
            return false;
        }
    }

    beacond_sinker_load(sinker, checkpoint.text, checkpoint.len);
    free(checkpoint.text);

    if (sinker->sink.ops->recover == NULL) {
        return true;
    }

    /* asked to end before all was seen: the sink must not judge by it */

    if (!beacond_sinker_show(sinker)) {
        return false;
    }

    sinker->sink.ops->recover(&sinker->sink, NULL);

    pthread_mutex_lock(&engine->mutex);
    sinker->showing = false;
    sinker->fresh_ns = beacond_clock_ns();
    pthread_mutex_unlock(&engine->mutex);

    return true;
}
