/* What a spool holds, and may: asked by any thread. */

#include "beacond_spool.h"
#include "beacond_spool_parts.h"

void
beacond_spool_limits(beacond_spool_t *spool, uint64_t size, unsigned min_free)
{
    pthread_mutex_lock(&spool->mutex);
    spool->size = size;
    spool->min_free = min_free;
    pthread_mutex_unlock(&spool->mutex);
}

uint64_t
beacond_spool_find(beacond_spool_t *spool,
    int (*wanted)(void *data, const beacond_spool_lane_t *lane), void *data)
{
    bool                found = false;
    uint32_t            i, k;
    uint64_t            start = UINT64_MAX / 2;
    beacond_segment_t  *s;

    pthread_mutex_lock(&spool->mutex);

    for (i = 0; i < spool->nsegments && !found; i++) {
        s = &spool->segments[i];

        for (k = 0; k < s->nlanes && !found; k++) {
            found = wanted(data, &s->lanes[k]);
        }

        start = found ? s->start : s->end;
    }

    pthread_mutex_unlock(&spool->mutex);

    return start;
}

void
beacond_spool_each(beacond_spool_t *spool,
    void (*found)(void *data, const beacond_spool_lane_t *lane), void *data)
{
    uint32_t  i, k;

    pthread_mutex_lock(&spool->mutex);

    for (i = 0; i < spool->nsegments; i++) {
        for (k = 0; k < spool->segments[i].nlanes; k++) {
            found(data, &spool->segments[i].lanes[k]);
        }
    }

    pthread_mutex_unlock(&spool->mutex);
}

uint64_t
beacond_spool_oldest(beacond_spool_t *spool)
{
    uint32_t  i;
    uint64_t  ns, oldest = 0;

    pthread_mutex_lock(&spool->mutex);

    for (i = 0; i < spool->nsegments; i++) {
        ns = spool->segments[i].oldest_ns;

        if (ns != 0 && (oldest == 0 || ns < oldest)) {
            oldest = ns;
        }
    }

    pthread_mutex_unlock(&spool->mutex);

    return oldest;
}

uint64_t
beacond_spool_used(beacond_spool_t *spool)
{
    uint64_t  used;

    pthread_mutex_lock(&spool->mutex);
    used = spool->used;
    pthread_mutex_unlock(&spool->mutex);

    return used;
}

beacon_rc_t
beacond_spool_take(beacond_spool_t *spool, uint64_t n)
{
    beacon_rc_t  rc = BEACON_FULL;

    pthread_mutex_lock(&spool->mutex);

    if (spool->used + spool->others + n <= spool->size) {
        spool->others += n;
        rc = BEACON_OK;
    }

    pthread_mutex_unlock(&spool->mutex);

    return rc;
}

void
beacond_spool_give(beacond_spool_t *spool, uint64_t n)
{
    pthread_mutex_lock(&spool->mutex);
    spool->others -= n < spool->others ? n : spool->others;
    pthread_mutex_unlock(&spool->mutex);
}

uint64_t
beacond_spool_taken(beacond_spool_t *spool)
{
    uint64_t  others;

    pthread_mutex_lock(&spool->mutex);
    others = spool->others;
    pthread_mutex_unlock(&spool->mutex);

    return others;
}
