/* Sinks: made and destroyed, and what an op may ask of the engine. */

#include "beacond_parts.h"

#include <stdlib.h>
#include <string.h>

static const beacond_sink_ops_t *
beacond_sink_ops(const char *type)
{
    size_t  i;

    for (i = 0; beacond_sinks[i] != NULL; i++) {
        if (strcmp(beacond_sinks[i]->type, type) == 0) {
            return beacond_sinks[i];
        }
    }

    return NULL;
}

/* Did the last helper's books have it?  Its numbers there are all that is
   left of a sink without a checkpoint. */
static void
beacond_sinker_known(beacond_sinker_t *sinker)
{
    uint32_t                    i;
    const beacon_books_sink_t  *old;

    for (i = 0; i < sinker->engine->prev.nsinks && i < BEACON_BOOKS_SINKS;
         i++)
    {
        old = &sinker->engine->prev.sinks[i];

        if (strncmp(old->name, sinker->name, sizeof(old->name)) == 0) {
            sinker->known = true;
            sinker->before = old->before;
            sinker->done = old->done;
        }
    }
}

/* NULL: no memory, no such type.  It is not made yet. */
beacond_sinker_t *
beacond_sinker_create(beacond_engine_t *engine, const beacond_conf_t *conf,
    const beacond_conf_sink_t *sink, beacon_err_t *err)
{
    beacond_sinker_t          *s;
    const beacond_sink_ops_t  *ops;

    ops = beacond_sink_ops(sink->type);

    if (ops == NULL) {
        beacon_err(err, "no sink is of type \"%s\"", sink->type);
        return NULL;
    }

    s = calloc(1, sizeof(beacond_sinker_t));
    if (s == NULL) {
        beacon_err(err, "no memory for sink \"%s\"", sink->name);
        return NULL;
    }

    beacond_cond_init(&s->cond);
    beacond_pool_init(&s->pool, BEACOND_OWN, NULL, NULL);
    snprintf(s->name, sizeof(s->name), "%s", sink->name);
    s->engine = engine;
    s->sink.ops = ops;
    s->sink.name = s->name;
    s->sink.conf = conf;
    s->sink.engine = s;
    s->json = beacond_conf_placeless(sink->json);
    beacond_sinker_known(s);

    if (s->json == NULL
        || beacond_puller_init(&s->puller, engine) != BEACON_OK
        || (s->puller.needs = calloc(BEACOND_LANES, sizeof(beacond_need_t)))
           == NULL)
    {
        beacon_err(err, "no memory for sink \"%s\"", sink->name);
        beacond_sinker_destroy(s);
        return NULL;
    }

    return s;
}

/* The sink itself.  If it cannot be, why says so; may be tried again. */
beacon_rc_t
beacond_sinker_make(beacond_sinker_t *sinker)
{
    beacon_rc_t  rc;

    sinker->why.text[0] = '\0';
    rc = sinker->sink.ops->create(&sinker->sink, sinker->json, &sinker->why);
    sinker->made = rc == BEACON_OK;

    return rc;
}

/* Its thread has ended, or never began. */
void
beacond_sinker_destroy(beacond_sinker_t *sinker)
{
    uint32_t  i;

    if (sinker->made) {
        sinker->sink.ops->destroy(&sinker->sink);
    }

    if (sinker->copier != NULL) {
        beacond_copier_leave(sinker->copier);
    }

    for (i = 0; i < BEACOND_LANES; i++) {
        beacond_ranges_dispose(&sinker->stands[i].acked);
    }

    beacond_puller_dispose(&sinker->puller);
    beacond_pool_dispose(&sinker->pool);
    pthread_cond_destroy(&sinker->cond);
    json_decref(sinker->json);
    free(sinker);
}

beacon_rc_t
beacond_sinker_start(beacond_sinker_t *sinker)
{
    sinker->ended = false;

    if (pthread_create(&sinker->thread, NULL, beacond_sinker_run, sinker)
        != 0)
    {
        return BEACON_SYS;
    }

    sinker->running = true;

    return BEACON_OK;
}

/* So long, or until the thread has ended.  One that builds from the ring does
   not do so for long, and is always waited for. */
static bool
beacond_sinker_join(beacond_sinker_t *sinker, uint64_t ns)
{
    bool               ended;
    uint64_t           now = beacond_clock_ns(), until = now + ns;
    beacond_engine_t  *engine = sinker->engine;

    pthread_mutex_lock(&engine->mutex);

    while (!sinker->ended && (now < until || sinker->puller.building)) {
        beacond_cond_wait(&engine->work, &engine->mutex,
                          now < until ? until - now : BEACOND_MS);
        now = beacond_clock_ns();
    }

    ended = sinker->ended;
    pthread_mutex_unlock(&engine->mutex);

    return ended && pthread_join(sinker->thread, NULL) == 0;
}

/*
 * Tells it to flush and end, and waits so long; 0: for ever.  false: it is
 * stuck in an op.  What was queued is in the ring; one that resumes, which the
 * ring keeps hits for only while there is room, takes it before it ends.
 */
bool
beacond_sinker_stop(beacond_sinker_t *sinker, uint64_t ns)
{
    beacond_engine_t  *engine = sinker->engine;

    pthread_mutex_lock(&engine->mutex);
    sinker->quit = true;

    if (!sinker->sink.ops->resumes || !sinker->running) {
        beacond_sinker_behind(sinker);
    }

    pthread_cond_signal(&sinker->cond);
    pthread_mutex_unlock(&engine->mutex);

    if (sinker->running) {
        if (ns == 0) {
            pthread_join(sinker->thread, NULL);

        } else if (!beacond_sinker_join(sinker, ns)) {
            pthread_mutex_lock(&engine->mutex);
            beacond_sinker_behind(sinker);
            pthread_mutex_unlock(&engine->mutex);
            return false;
        }

        sinker->running = false;
    }

    return true;
}

/* What ops ask for. */

const char *
beacond_sink_spool_dir(beacond_sink_t *sink)
{
    const char        *dir = NULL;
    beacond_sinker_t  *sinker = beacond_sinker(sink);
    beacond_engine_t  *engine = sinker->engine;

    pthread_mutex_lock(&engine->mutex);

    /* while there is anything in it: its lanes may be all that is left */

    if (engine->spool != NULL && beacond_spool_used(engine->spool) > 0) {
        snprintf(sinker->spool_dir, sizeof(sinker->spool_dir), "%s",
                 engine->spool->dir);
        dir = sinker->spool_dir;        /* a reload may bring another spool */
    }

    pthread_mutex_unlock(&engine->mutex);

    return dir;
}

bool
beacond_sink_spared(beacond_sink_t *sink, const beacond_piece_t *piece)
{
    bool                     spared = false;
    uint32_t                 i;
    const beacond_sinker_t  *other, *sinker = beacond_sinker(sink);
    beacond_engine_t        *engine = sinker->engine;

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nsinks && !spared; i++) {
        other = engine->sinks[i];
        spared = other != sinker && other->sink.ops->durable
                 && other->mode != BEACOND_STARTING
                 && other->stands[piece->lane].acked.prefix.ordinal
                    >= piece->to.ordinal;
    }

    pthread_mutex_unlock(&engine->mutex);

    return spared;
}

static uint64_t
beacond_sinker_read(beacond_sinker_t *sinker, const uint64_t *counter)
{
    uint64_t  n;

    pthread_mutex_lock(&sinker->engine->mutex);
    n = *counter;
    pthread_mutex_unlock(&sinker->engine->mutex);

    return n;
}

uint64_t
beacond_sink_done(beacond_sink_t *sink)
{
    beacond_sinker_t  *sinker = beacond_sinker(sink);

    return beacond_sinker_read(sinker, &sinker->done);
}

uint64_t
beacond_sink_parked(beacond_sink_t *sink)
{
    beacond_sinker_t  *sinker = beacond_sinker(sink);

    return beacond_sinker_read(sinker, &sinker->parked);
}

bool
beacond_sink_ending(beacond_sink_t *sink)
{
    bool               ending;
    beacond_sinker_t  *sinker = beacond_sinker(sink);

    pthread_mutex_lock(&sinker->engine->mutex);
    ending = sinker->quit;
    pthread_mutex_unlock(&sinker->engine->mutex);

    return ending;
}

bool
beacond_sink_closing(const beacond_sink_t *sink)
{
    return ((const beacond_sinker_t *) sink->engine)->closing;
}

bool
beacond_sink_stopping(beacond_sink_t *sink)
{
    bool               stopping;
    beacond_sinker_t  *sinker = beacond_sinker(sink);

    pthread_mutex_lock(&sinker->engine->mutex);
    stopping = sinker->engine->stopping;
    pthread_mutex_unlock(&sinker->engine->mutex);

    return stopping;
}

/* Under the mutex: an adoption may close the spool. */

beacon_rc_t
beacond_sink_spool_take(beacond_sink_t *sink, uint64_t n)
{
    beacon_rc_t        rc = BEACON_INVALID;
    beacond_engine_t  *engine = beacond_sinker(sink)->engine;

    pthread_mutex_lock(&engine->mutex);

    if (engine->spool != NULL) {
        rc = engine->spool_leaving ? BEACON_FULL
             : beacond_spool_take(engine->spool, n);
    }

    pthread_mutex_unlock(&engine->mutex);

    return rc;
}

void
beacond_sink_spool_give(beacond_sink_t *sink, uint64_t n)
{
    beacond_engine_t  *engine = beacond_sinker(sink)->engine;

    pthread_mutex_lock(&engine->mutex);

    if (engine->spool != NULL) {
        beacond_spool_give(engine->spool, n);
    }

    pthread_mutex_unlock(&engine->mutex);
}

/* The places that sinks have a use for, those that are being made too. */
static uint32_t
beacond_sink_used(const beacond_engine_t *engine, uint32_t used)
{
    uint32_t  i;

    used |= engine->names_new;

    for (i = 0; i < engine->nsinks; i++) {
        used |= engine->sinks[i]->names;
    }

    for (i = 0; i < engine->nleaving; i++) {
        used |= engine->leaving[i]->names;
    }

    return used;
}

static int
beacond_sink_name(beacond_sinker_t *sinker, beacon_str_t name)
{
    int                index;
    beacond_names_t   *next;
    beacond_engine_t  *engine = sinker->engine;

    index = beacond_names_find(engine->names, name);

    if (index < 0) {
        next = beacond_names_add(engine->names,
                                 beacond_sink_used(engine, sinker->names),
                                 name, &index);
        if (next == NULL) {
            return -1;
        }

        beacond_names_unref(engine->names);
        engine->names = next;
    }

    sinker->names |= 1U << index;
    engine->names_new |= 1U << index;

    return index;
}

beacon_rc_t
beacond_sink_template(beacond_sink_t *sink, beacon_template_t *tmpl)
{
    int                index = 0;
    uint32_t           i, n;
    beacond_sinker_t  *sinker = beacond_sinker(sink);
    beacond_engine_t  *engine = sinker->engine;

    n = beacon_template_nvars(tmpl);

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < n && index >= 0; i++) {
        index = beacond_sink_name(sinker, beacon_template_var(tmpl, i));

        if (index >= 0) {
            beacon_template_bind(tmpl, i, (uint32_t) index);
        }
    }

    if (n > 0 && engine->names != NULL) {
        sinker->names_turn = engine->names->turn;
    }

    pthread_mutex_unlock(&engine->mutex);

    return index >= 0 ? BEACON_OK : BEACON_FULL;
}

beacon_str_t
beacond_line_value(const beacond_batch_t *batch, const beacond_line_t *line,
    uint32_t i)
{
    beacon_str_t    value = beacon_string("_");
    const uint8_t  *p;

    if (batch->names == NULL || i >= batch->names->n) {
        return value;
    }

    for (p = batch->arena + line->values; i > 0; i--) {
        p += 1 + *p;
    }

    value.len = *p;
    value.data = p + 1;

    return value;
}

void
beacond_span_lane(const beacond_batch_t *batch, uint32_t span,
    uint64_t *epoch, uint32_t *lane)
{
    *epoch = batch->spans[span].epoch;
    *lane = batch->spans[span].number;
}
