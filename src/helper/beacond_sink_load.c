/*
 * Where a sink goes on: from its checkpoint, the spool's cursors.json, or
 * where the lanes begin.
 */

#include "beacond_parts.h"

#include <stdlib.h>
#include <string.h>

/* A lane in a "lanes" array: [epoch, lane, offset, ordinal, ...].  *found may
   be NULL. */
bool
beacond_load_find(const json_t *lanes, const beacond_lane_t *lane,
    beacon_cursor_t *cursor, const json_t **found)
{
    size_t         i;
    const json_t  *entry, *epoch;

    for (i = 0; i < json_array_size(lanes); i++) {
        entry = json_array_get(lanes, i);
        epoch = json_array_get(entry, 0);

        if (json_is_string(epoch)
            && strtoull(json_string_value(epoch), NULL, 16) == lane->epoch
            && json_integer_value(json_array_get(entry, 1))
               == (json_int_t) lane->number)
        {
            cursor->offset = (uint64_t)
                             json_integer_value(json_array_get(entry, 2));
            cursor->ordinal = (uint64_t)
                              json_integer_value(json_array_get(entry, 3));

            if (found != NULL) {
                *found = entry;
            }

            return true;
        }
    }

    return false;
}

/* Five numbers an interval, as beacond_sink_checkpoint.c tells.  What makes no
   sense ends it: it is asked for again. */
static void
beacond_load_ahead(const beacond_lane_t *lane, beacond_stand_t *stand,
    const json_t *ahead)
{
    size_t           i, k;
    uint64_t         n[5];
    json_int_t       number;
    beacon_cursor_t  from, to = stand->acked.prefix;

    for (i = 0; i + 5 <= json_array_size(ahead); i += 5) {
        for (k = 0; k < 5; k++) {
            number = json_integer_value(json_array_get(ahead, i + k));

            if (number < 0 || number > (json_int_t) 1 << 48) {
                return;
            }

            n[k] = (uint64_t) number;
        }

        from.offset = to.offset + n[0];
        from.ordinal = to.ordinal + n[1];
        to.offset = from.offset + n[2];
        to.ordinal = from.ordinal + n[3];

        if (n[1] == 0 || n[3] == 0 || to.ordinal > lane->tail.ordinal
            || to.offset > lane->tail.offset
            || beacond_ranges_add(&stand->acked, &from, &to, n[4])
               != BEACON_OK)
        {
            return;
        }

        stand->ahead += n[3];
    }
}

/*
 * Without an entry: a lane of a ring begins where the sink joined; its reclaim
 * may have moved since, over what is spooled.  One that only the spool knows
 * is read from its beginning, unless the spool's cursors tell that the sink is
 * newer than they are.
 */
static void
beacond_load_lane(beacond_sinker_t *sinker, uint32_t i, const json_t *lanes,
    const json_t *spooled)
{
    const json_t      *entry = NULL;
    beacon_cursor_t    at, told;
    beacond_lane_t    *lane = &sinker->engine->lanes[i];
    beacond_stand_t   *stand = &sinker->stands[i];

    if (!beacond_load_find(lanes, lane, &at, &entry)
        && !beacond_load_find(spooled, lane, &at, NULL))
    {
        at = stand->acked.prefix;

        /* spooled, and the helper before died before it wrote cursors.json */

        if (sinker->known && lane->ring != NULL
            && lane->spool_from.ordinal < at.ordinal)
        {
            at = lane->spool_from;
        }

        if (lane->ring == NULL
            && (sinker->engine->cursors == NULL || spooled != NULL))
        {
            at.offset = at.ordinal = 0;
        }
    }

    told = at;

    if (lane->gone && at.ordinal > lane->tail.ordinal) {
        beacond_lanes_raise(sinker->engine, lane, at.ordinal);
    }

    /* a stranger's numbers */

    if (at.ordinal > lane->tail.ordinal || at.offset > lane->tail.offset) {
        at = stand->acked.prefix;
    }

    if (at.ordinal < lane->floor.ordinal) {
        at = lane->floor;
    }

    /* one that is not durable begins now; if it resumes, and has nowhere to,
       with what the ring still has */

    if (!sinker->sink.ops->durable && lanes == NULL) {
        at = sinker->sink.ops->resumes && lane->ring != NULL ? lane->reclaim
                                                             : lane->reader;
    }

    beacond_ranges_dispose(&stand->acked);
    beacond_ranges_init(&stand->acked, &at);
    stand->taken = stand->free_to = at;
    stand->ahead = 0;

    if (sinker->known && at.ordinal == told.ordinal) {
        beacond_load_ahead(lane, stand, json_array_get(entry, 4));
    }
}

/* Lanes that are nowhere now: what the sink had not done of them is lost. */
static void
beacond_load_gone(beacond_sinker_t *sinker, const json_t *lanes)
{
    uint32_t           i;
    beacond_lane_t     lane;
    beacon_cursor_t    at;
    beacond_engine_t  *engine = sinker->engine;

    for (i = 0; i < engine->ngone; i++) {
        lane.epoch = engine->gone[i].epoch;
        lane.number = engine->gone[i].lane;

        if (beacond_load_find(lanes, &lane, &at, NULL)
            && at.ordinal < engine->gone[i].ordinal)
        {
            sinker->lost += engine->gone[i].ordinal - at.ordinal;
            beacond_log(BEACOND_ERROR, "sink \"%s\" lost %llu hits of "
                        "%016llx-%x: they are in no ring and no spool",
                        sinker->name, (unsigned long long)
                        (engine->gone[i].ordinal - at.ordinal),
                        (unsigned long long) lane.epoch, lane.number);
        }
    }
}

/*
 * Hits that were accepted and are in no place that the sink could have them
 * from, nor in its checkpoint: a loss that the last helper knew of, but could
 * not write down before it died.
 */
static void
beacond_load_rest(beacond_sinker_t *sinker, uint64_t accepted)
{
    uint64_t  known;

    known = sinker->done + sinker->lost + sinker->parked
            + beacond_sinker_pending(sinker);

    if (known < accepted) {
        sinker->lost += accepted - known;
        beacond_log(BEACOND_ERROR, "sink \"%s\" lost %llu hits that its "
                    "checkpoint does not tell of", sinker->name,
                    (unsigned long long) (accepted - known));
    }
}

static void
beacond_load_flags(beacond_sinker_t *sinker, json_t *flags)
{
    void        *it;
    unsigned     i;
    const char  *name;

    for (it = json_object_iter(flags); it != NULL;
         it = json_object_iter_next(flags, it))
    {
        name = json_object_iter_key(it);

        if (!beacon_schema_name_valid((const uint8_t *) name, strlen(name))) {
            continue;
        }

        i = beacond_schemas_flag_index(sinker->engine->schemas, name,
                                       strlen(name));

        if (i < BEACOND_FLAGS_MAX) {
            sinker->flags[i] = (uint64_t)
                           json_integer_value(json_object_iter_value(it));
        }
    }
}

static uint64_t
beacond_load_number(const json_t *object, const char *key)
{
    return (uint64_t) json_integer_value(json_object_get(object, key));
}

/* Where what was left of a lane began when the sink came: in the ring, or in
   the spool.  What it did not get since, for want of room, is lost. */
static const beacon_cursor_t *
beacond_load_first(const beacond_sinker_t *sinker, uint32_t i)
{
    const beacond_engine_t  *engine = sinker->engine;

    return engine->spool != NULL && beacond_spool_used(engine->spool) > 0
           ? &engine->lanes[i].spool_from : &sinker->stands[i].joined;
}

/* Of one that only resumes: what it did not get in the end is lost. */
static void
beacond_load_resumed(beacond_sinker_t *sinker, const json_t *json,
    uint64_t accepted)
{
    uint64_t  had = accepted - beacond_sinker_pending(sinker);

    sinker->done = beacond_load_number(json, "done");

    if (sinker->done > had) {
        sinker->done = had;
    }

    if (sinker->before > sinker->done) {
        sinker->before = sinker->done;
    }

    sinker->lost = had - sinker->done;
}

/*
 * The numbers of a checkpoint go on if the books do: the last helper had this
 * sink, and its counters are there.  Else the sink begins now: what it will
 * not get was before it.
 */
static void
beacond_load_books(beacond_sinker_t *sinker, json_t *json, const json_t *lanes)
{
    uint32_t                i;
    uint64_t                have, accepted;
    beacond_engine_t       *engine = sinker->engine;
    const beacon_cursor_t  *first;

    accepted = beacond_lanes_accepted(engine);
    sinker->lost = 0;
    sinker->inflight = sinker->parked = 0;

    if (json != NULL && sinker->known && !sinker->sink.ops->durable) {
        beacond_load_resumed(sinker, json, accepted);
        return;
    }

    if (json != NULL && sinker->known) {
        sinker->before = beacond_load_number(json, "before");
        sinker->done = beacond_load_number(json, "done");
        sinker->lost = beacond_load_number(json, "lost");
        sinker->parked = beacond_load_number(json, "parked");
        beacond_load_flags(sinker, json_object_get(json, "flags"));
        beacond_load_gone(sinker, lanes);
        beacond_load_rest(sinker, accepted);
        return;
    }

    /* what it may have been given by the last helper, nobody knows */

    have = accepted - beacond_sinker_pending(sinker);

    if (!sinker->sink.ops->durable && sinker->known && sinker->done <= have) {
        sinker->lost = have - sinker->done;
        return;
    }

    for (i = 0; i < engine->nlanes; i++) {
        first = beacond_load_first(sinker, i);

        if (engine->lanes[i].used && !sinker->known
            && sinker->stands[i].taken.ordinal < first->ordinal)
        {
            beacond_ranges_dispose(&sinker->stands[i].acked);
            beacond_ranges_init(&sinker->stands[i].acked, first);
            sinker->stands[i].taken = *first;
            sinker->stands[i].ahead = 0;
        }
    }

    sinker->before = sinker->done = accepted
                                    - beacond_sinker_pending(sinker);
}

/* Where a sink has got to in a lane: what is ahead counts too. */
static beacon_cursor_t
beacond_load_furthest(const beacond_stand_t *stand)
{
    const beacond_ranges_t  *acked = &stand->acked;

    return acked->n > 0 ? acked->ahead[acked->n - 1].to : stand->taken;
}

/* Before they have begun, the readers go where the first sink goes on that
   has got furthest: hits are rendered once then. */
static void
beacond_load_readers(beacond_sinker_t *sinker)
{
    bool               moved = false;
    uint32_t           i;
    beacond_lane_t    *lane;
    beacon_cursor_t    at;
    beacond_engine_t  *engine = sinker->engine;

    if (engine->reading || !sinker->sink.ops->durable) {
        return;
    }

    for (i = 0; i < engine->nlanes; i++) {
        lane = &engine->lanes[i];
        at = beacond_load_furthest(&sinker->stands[i]);

        if (lane->used && lane->reader.offset < at.offset) {
            lane->reader = at;
            moved = true;
        }
    }

    /* one that resumes and was with them wants what they pass over */

    for (i = 0; moved && i < engine->nsinks; i++) {
        if (engine->sinks[i]->sink.ops->resumes) {
            beacond_sinker_behind(engine->sinks[i]);
        }
    }
}

void
beacond_sinker_load(beacond_sinker_t *sinker, const char *text, size_t len)
{
    json_t            *json = NULL;
    uint32_t           i;
    const json_t      *lanes, *spooled;
    beacond_engine_t  *engine = sinker->engine;

    if (text != NULL) {
        json = json_loadb(text, len, 0, NULL);

        if (json == NULL) {
            beacond_log(BEACOND_ERROR, "sink \"%s\": its checkpoint cannot "
                        "be read", sinker->name);
        }
    }

    lanes = json_object_get(json, "lanes");

    pthread_mutex_lock(&engine->mutex);

    spooled = json_object_get(json_object_get(json_object_get(engine->cursors,
                                                              "sinks"),
                                              sinker->name), "lanes");
    beacond_lanes_tails(engine);

    for (i = 0; i < engine->nlanes; i++) {
        if (engine->lanes[i].used) {
            beacond_load_lane(sinker, i, lanes, spooled);
        }
    }

    beacond_load_books(sinker, json, lanes);

    beacond_load_readers(sinker);

    sinker->showing = sinker->sink.ops->recover != NULL;
    sinker->fresh_ns = beacond_clock_ns();
    sinker->progress_ns = sinker->crowded_ns = sinker->fresh_ns;
    sinker->mode = sinker->sink.ops->durable || sinker->sink.ops->resumes
                   ? BEACOND_BEHIND : BEACOND_ALIVE;
    sinker->known = true;
    engine->dirty = true;

    pthread_mutex_unlock(&engine->mutex);
    json_decref(json);
}
