/*
 * The ids of lines that stand in files behind the checkpoint: open addressing,
 * never shrinks; empty in all but the first moments of a helper's life.
 */

#include "beacond_slog.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_SLOG_IDS_MAX  (1u << 22)        /* about 100 MB */

static size_t
beacond_slog_id_hash(const beacond_slog_id_t *id)
{
    uint64_t  h;

    h = id->offset * 0x9e3779b97f4a7c15ULL;
    h ^= (id->epoch + id->lane * 0x100000001b3ULL + id->sub) ^ (h >> 29);
    h *= 0xbf58476d1ce4e5b9ULL;

    return (size_t) (h ^ (h >> 32));
}

/* The id's place, or the empty one for it. */
static beacond_slog_id_t *
beacond_slog_ids_place(const beacond_slog_ids_t *set,
    const beacond_slog_id_t *id)
{
    size_t              i = beacond_slog_id_hash(id);
    beacond_slog_id_t  *p;

    for ( ;; i++) {
        p = &set->ids[i & (set->size - 1)];

        if (!p->used
            || (p->offset == id->offset && p->epoch == id->epoch
                && p->lane == id->lane && p->sub == id->sub))
        {
            return p;
        }
    }
}

static bool
beacond_slog_ids_grow(beacond_slog_ids_t *set)
{
    size_t              i;
    beacond_slog_ids_t  bigger = *set;

    bigger.size = set->size ? set->size * 2 : 1024;

    if (bigger.size > BEACOND_SLOG_IDS_MAX) {
        return false;
    }

    bigger.ids = calloc(bigger.size, sizeof(beacond_slog_id_t));

    if (bigger.ids == NULL) {
        return false;
    }

    for (i = 0; i < set->size; i++) {
        if (set->ids[i].used) {
            *beacond_slog_ids_place(&bigger, &set->ids[i]) = set->ids[i];
        }
    }

    free(set->ids);
    *set = bigger;

    return true;
}

bool
beacond_slog_ids_add(beacond_slog_ids_t *set, const beacond_slog_id_t *id)
{
    beacond_slog_id_t  *p;

    if (set->n * 2 >= set->size && !beacond_slog_ids_grow(set)) {
        return false;
    }

    p = beacond_slog_ids_place(set, id);

    if (!p->used) {
        *p = *id;
        p->used = 1;
        p->state = 0;
        set->n++;
    }

    return true;
}

beacond_slog_id_t *
beacond_slog_ids_find(const beacond_slog_ids_t *set,
    const beacond_slog_id_t *id)
{
    beacond_slog_id_t  *p;

    if (set->size == 0) {
        return NULL;
    }

    p = beacond_slog_ids_place(set, id);

    return p->used ? p : NULL;
}

void
beacond_slog_ids_dispose(beacond_slog_ids_t *set)
{
    free(set->ids);
    memset(set, 0, sizeof(beacond_slog_ids_t));
}

void
beacond_slog_id_of(const beacond_batch_t *batch, uint32_t i,
    beacond_slog_id_t *id)
{
    const beacond_hit_t  *hit = &batch->hits[batch->lines[i].hit];

    memset(id, 0, sizeof(beacond_slog_id_t));
    beacond_span_lane(batch, hit->span, &id->epoch, &id->lane);
    id->offset = hit->offset;
    id->sub = hit->nlines > 1 ? i - hit->lines + 1 : 0;
}

/* Lower-case hex up to stop; NULL: something else, or too long. */
static const uint8_t *
beacond_slog_hex(const uint8_t *p, const uint8_t *end, const char *stop,
    size_t max, uint64_t *value)
{
    const uint8_t  *start = p;

    for (*value = 0; p < end; p++) {
        if (*p >= '0' && *p <= '9') {
            *value = *value << 4 | (uint64_t) (*p - '0');

        } else if (*p >= 'a' && *p <= 'f') {
            *value = *value << 4 | (uint64_t) (*p - 'a' + 10);

        } else {
            break;
        }
    }

    if (p == end || p == start || (size_t) (p - start) > max
        || strchr(stop, *p) == NULL)
    {
        return NULL;
    }

    return p;
}

bool
beacond_slog_id_parse(const uint8_t *line, size_t len, beacond_slog_id_t *id)
{
    uint64_t        lane, sub = 0;
    const uint8_t  *p = line + BEACON_LINE_ID, *end = line + len;

    memset(id, 0, sizeof(beacond_slog_id_t));

    if (len <= BEACON_LINE_ID
        || memcmp(line, "{\"v\":1,\"id\":\"", BEACON_LINE_ID) != 0)
    {
        return false;
    }

    p = beacond_slog_hex(p, end, "-", 16, &id->epoch);
    p = p ? beacond_slog_hex(p + 1, end, "-", 8, &lane) : NULL;
    p = p ? beacond_slog_hex(p + 1, end, "-\"", 16, &id->offset) : NULL;

    if (p && *p == '-') {
        p = beacond_slog_hex(p + 1, end, "\"", 8, &sub);
    }

    if (p == NULL) {
        return false;
    }

    id->lane = (uint32_t) lane;
    id->sub = (uint32_t) sub;

    return true;
}
