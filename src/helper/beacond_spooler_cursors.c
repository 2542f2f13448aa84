/* cursors.json: where each durable sink stands in what the spool holds. */

#include "beacond_file.h"
#include "beacond_parts.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static json_t *
beacond_spooler_sink(beacond_sinker_t *sinker)
{
    char                    epoch[BEACON_EPOCH_LEN + 1];
    json_t                 *lanes;
    uint32_t                i;
    const beacond_lane_t   *lane;
    const beacon_cursor_t  *c;

    lanes = json_array();

    for (i = 0; i < sinker->engine->nlanes; i++) {
        lane = &sinker->engine->lanes[i];

        if (!lane->used || lane->spooled.ordinal == 0) {
            continue;
        }

        c = &sinker->stands[i].acked.prefix;
        snprintf(epoch, sizeof(epoch), "%016llx",
                 (unsigned long long) lane->epoch);
        json_array_append_new(lanes, json_pack("[s,i,I,I]", epoch,
                                               (int) lane->number,
                                               (json_int_t) c->offset,
                                               (json_int_t) c->ordinal));
    }

    return json_pack("{s:o}", "lanes", lanes);
}

static char *
beacond_spooler_cursors(beacond_engine_t *engine)
{
    char      *text;
    bool       ready = true;
    json_t    *root, *sinks;
    uint32_t   i;

    root = json_pack("{s:i,s:{}}", "v", 1, "sinks");
    sinks = json_object_get(root, "sinks");

    pthread_mutex_lock(&engine->mutex);

    for (i = 0; i < engine->nsinks; i++) {
        if (engine->sinks[i]->sink.ops->durable) {
            ready &= engine->sinks[i]->mode != BEACOND_STARTING;
            json_object_set_new(sinks, engine->sinks[i]->name,
                                beacond_spooler_sink(engine->sinks[i]));
        }
    }

    pthread_mutex_unlock(&engine->mutex);

    text = ready ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);

    return text;
}

/* The file is replaced whole, and stands on disk before anything is unlinked
   that it makes superfluous. */
beacon_rc_t
beacond_spooler_save(beacond_engine_t *engine)
{
    char         path[PATH_MAX], *text;
    beacon_rc_t  rc;

    text = beacond_spooler_cursors(engine);
    if (text == NULL) {
        return BEACON_AGAIN;
    }

    if (engine->cursors_text != NULL
        && strcmp(text, engine->cursors_text) == 0)
    {
        free(text);
        return BEACON_OK;
    }

    snprintf(path, sizeof(path), "%s/cursors.json", engine->spool->dir);

    BEACOND_POINT("spool.before_cursor");
    rc = beacond_file_replace(path, NULL, text, strlen(text), true);
    BEACOND_POINT("spool.after_cursor");

    if (rc != BEACON_OK) {
        free(text);
        return rc;
    }

    free(engine->cursors_text);
    engine->cursors_text = text;

    return BEACON_OK;
}

json_t *
beacond_spooler_load(const char *dir)
{
    char  path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/cursors.json", dir);

    return json_load_file(path, 0, NULL);
}
