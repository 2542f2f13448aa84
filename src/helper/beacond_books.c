/* The books: beacon_counters.h says what they are. */

#include "beacond_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before anything is attached: where the last helper's books ended. */
void
beacond_books_start(beacond_engine_t *engine)
{
    char             path[PATH_MAX];
    beacon_books_t  *prev = &engine->prev;

    engine->fresh = beacon_books_read(engine->counters, prev) != BEACON_OK;

    if (prev->nlanes > BEACON_BOOKS_LANES) {
        prev->nlanes = 0;
    }

    if (prev->nsinks > BEACON_BOOKS_SINKS) {
        prev->nsinks = 0;
    }

    engine->accepted_base = prev->accepted_base;
    engine->retired_epoch = prev->retired_epoch;
    engine->corrupt = prev->corrupt;
    engine->gaps = prev->gaps;
    engine->set_aside = prev->set_aside;
    engine->starts = prev->helper_starts + 1;
    engine->books = *prev;

    /* counted, but the helper died before it could unlink it */

    if (engine->retired_epoch != 0) {
        snprintf(path, sizeof(path), "%s/ring.%016llx", engine->conf->dir,
                 (unsigned long long) engine->retired_epoch);
        unlink(path);
    }
}

static bool
beacond_books_configured(const beacond_conf_t *conf, const char *name)
{
    size_t  i;

    for (i = 0; i < conf->nsinks; i++) {
        if (strcmp(conf->sinks[i].name, name) == 0) {
            return true;
        }
    }

    return false;
}

void
beacond_books_former(const beacond_engine_t *engine)
{
    uint32_t                    i;
    const beacon_books_sink_t  *sink;

    for (i = 0; i < engine->books.nsinks; i++) {
        sink = &engine->books.sinks[i];

        if (sink->durable && sink->pending > 0
            && !beacond_books_configured(engine->conf, sink->name))
        {
            beacond_log(BEACOND_WARN, "sink \"%s\" is configured no more: of "
                        "the %llu hits that waited for it, parked ones and "
                        "dead letters are kept, others are not", sink->name,
                        (unsigned long long) sink->pending);
        }
    }
}

static bool
beacond_books_counted(const beacon_books_t *books, uint64_t epoch,
    uint32_t lane)
{
    uint32_t  i;

    for (i = 0; i < books->nlanes; i++) {
        if (books->lanes[i].epoch == epoch && books->lanes[i].lane == lane) {
            return true;
        }
    }

    return false;
}

/*
 * After rings and spool have been looked at.  A lane that the books counted
 * and that is nowhere now goes into the base; one that a spool brings along
 * after the books were lost counts from its floor on.
 */
void
beacond_books_gone(beacond_engine_t *engine)
{
    uint32_t                    i;
    beacond_lane_t             *lane;
    const beacon_books_lane_t  *old;

    engine->gone = calloc(BEACON_BOOKS_LANES, sizeof(beacond_gone_t));

    for (i = 0; i < engine->prev.nlanes; i++) {
        old = &engine->prev.lanes[i];

        if (old->epoch == engine->retired_epoch
            || beacond_lanes_find(engine, old->epoch, old->lane, NULL))
        {
            continue;
        }

        engine->accepted_base += old->ordinal;

        if (engine->gone != NULL) {
            engine->gone[engine->ngone].epoch = old->epoch;
            engine->gone[engine->ngone].lane = old->lane;
            engine->gone[engine->ngone++].ordinal = old->ordinal;
        }
    }

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (!lane->used || lane->ring != NULL) {
            continue;
        }

        if (beacond_books_counted(&engine->prev, lane->epoch, lane->number)) {
            lane->floor.offset = lane->floor.ordinal = 0;

        } else {
            engine->accepted_base -= lane->floor.ordinal;
        }
    }
}

static void
beacond_books_lanes(beacond_engine_t *engine, beacon_books_t *books)
{
    uint32_t               i;
    beacond_lane_t        *lane;
    beacon_books_lane_t   *entry;

    books->nlanes = 0;
    books->oldest_ns = 0;

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];

        if (!lane->used) {
            continue;
        }

        entry = &books->lanes[books->nlanes++];
        entry->epoch = lane->epoch;
        entry->lane = lane->number;
        entry->owned = lane->owned;
        entry->ordinal = lane->tail.ordinal;
        entry->used_bytes = lane->tail.offset - lane->reclaim.offset;

        if (lane->oldest_ns != 0 && (books->oldest_ns == 0
                                     || lane->oldest_ns < books->oldest_ns))
        {
            books->oldest_ns = lane->oldest_ns;
        }
    }
}

/* A sink that has not loaded yet: as it was, and what came since waits. */
static void
beacond_books_starting(const beacon_books_t *last, uint64_t accepted,
    beacon_books_sink_t *entry)
{
    uint32_t                    i;
    const beacon_books_sink_t  *old;

    for (i = 0; i < last->nsinks; i++) {
        old = &last->sinks[i];

        if (strncmp(old->name, entry->name, sizeof(old->name)) == 0
            && old->done + old->lost <= accepted)
        {
            entry->before = old->before;
            entry->done = old->done;
            entry->lost = old->lost;
            entry->errors = old->errors;
            entry->last_success_ns = old->last_success_ns;
            break;
        }
    }

    entry->pending = accepted - entry->done - entry->lost;
}

/* It shows in the status, too: how often, since the helper began. */
static void
beacond_books_balance(beacond_engine_t *engine, beacond_sinker_t *sinker,
    beacon_books_sink_t *entry, uint64_t accepted)
{
    size_t  len;
    bool    balanced;

    balanced = entry->done + entry->lost + entry->pending == accepted;
    sinker->unbalanced += !balanced;
    len = strlen(entry->more);

    if (sinker->unbalanced > 0 && len < sizeof(entry->more) - 40) {
        snprintf(entry->more + len, sizeof(entry->more) - len,
                 ",\"unbalanced\":%llu",
                 (unsigned long long) sinker->unbalanced);
    }

    if (balanced) {
        return;
    }

    if (beacond_log_due(&engine->unbalanced_limit, NULL)) {
        beacond_log(BEACOND_ALERT, "the books do not balance: sink \"%s\" has "
                    "%llu done, %llu lost, %llu pending of %llu accepted",
                    entry->name, (unsigned long long) entry->done,
                    (unsigned long long) entry->lost,
                    (unsigned long long) entry->pending,
                    (unsigned long long) accepted);
    }
}

static void
beacond_books_sinks(beacond_engine_t *engine, const beacon_books_t *last,
    beacon_books_t *books)
{
    uint32_t              i;
    uint64_t              accepted;
    beacond_sinker_t     *sinker;
    beacon_books_sink_t  *entry;

    accepted = beacond_lanes_accepted(engine);

    for (i = 0; i < engine->nsinks; i++) {
        sinker = engine->sinks[i];
        entry = &books->sinks[books->nsinks++];
        snprintf(entry->name, sizeof(entry->name), "%s", sinker->name);
        snprintf(entry->type, sizeof(entry->type), "%s",
                 sinker->sink.ops->type);
        entry->durable = sinker->sink.ops->durable;

        if (sinker->mode == BEACOND_STARTING) {
            beacond_books_starting(last, accepted, entry);

            if (entry->errors < sinker->errors) {
                entry->errors = sinker->errors;
            }

            memcpy(entry->more, sinker->more, sizeof(entry->more));
            continue;
        }

        entry->before = sinker->before;
        entry->done = sinker->done;
        entry->lost = sinker->lost;
        entry->pending = beacond_sinker_pending(sinker)
                             + sinker->parked;
        entry->errors = sinker->errors;
        entry->last_success_ns = sinker->last_success_ns;
        memcpy(entry->more, sinker->more, sizeof(entry->more));
        beacond_books_balance(engine, sinker, entry, accepted);
    }
}

/* As the first durable sink has counted them. */
static void
beacond_books_flags(beacond_engine_t *engine, beacon_books_t *books)
{
    uint32_t                i, n;
    const beacond_sinker_t *sinker = NULL;

    for (i = 0; i < engine->nsinks && sinker == NULL; i++) {
        if (engine->sinks[i]->sink.ops->durable) {
            sinker = engine->sinks[i];
        }
    }

    if (sinker == NULL) {
        return;
    }

    n = beacond_schemas_nflags(engine->schemas);

    for (i = 0; i < n && i < BEACON_BOOKS_FLAGS; i++) {
        snprintf(books->flags[i].name, sizeof(books->flags[i].name), "%.63s",
                 beacond_schemas_flag(engine->schemas, i));
        books->flags[i].n = sinker->flags[i];
    }

    books->nflags = i;
}

/* One consistent snapshot; admin is held. */
void
beacond_books_make(beacond_engine_t *engine)
{
    beacon_books_t  *last = &engine->prev, *books = &engine->books;

    /* prev has served its turn once all is attached: now it is the last */

    *last = *books;
    memset(books->sinks, 0, sizeof(books->sinks));
    memset(books->flags, 0, sizeof(books->flags));
    books->nsinks = books->nflags = 0;

    pthread_mutex_lock(&engine->mutex);

    engine->dirty = false;
    beacond_lanes_tails(engine);
    beacond_books_lanes(engine, books);
    beacond_books_sinks(engine, last, books);
    beacond_books_flags(engine, books);
    books->accepted_base = engine->accepted_base;
    books->retired_epoch = engine->retired_epoch;
    books->corrupt = engine->corrupt;
    books->gaps = engine->gaps;
    books->set_aside = engine->set_aside;

    pthread_mutex_unlock(&engine->mutex);

    if (engine->spool != NULL) {
        books->spool_used = beacond_spool_used(engine->spool)
                            + beacond_spool_taken(engine->spool);
        books->spool_oldest_ns = beacond_spool_oldest(engine->spool);
    }

    books->spool_size = engine->spool ? engine->spool->size : 0;
    books->published_ns = beacond_clock_date();
    books->helper_started_ns = engine->started_ns;
    books->helper_starts = engine->starts;
    books->helper_rss = engine->rss;
    books->helper_pid = (uint32_t) getpid();
    snprintf(books->helper_version, sizeof(books->helper_version), "%s",
             BEACON_VERSION);

    beacon_books_publish(engine->counters, books);
}
