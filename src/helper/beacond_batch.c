#include "beacond_batch.h"

#include <stdlib.h>
#include <string.h>

static void
beacond_batch_destroy(beacond_batch_t *batch)
{
    free(batch->hits);
    free(batch->lines);
    free(batch->arena);
    free(batch);
}

static beacond_batch_t *
beacond_batch_create(beacond_pool_t *pool)
{
    beacond_batch_t  *batch;

    batch = calloc(1, sizeof(beacond_batch_t));
    if (batch == NULL) {
        return NULL;
    }

    batch->pool = pool;
    batch->hits = malloc(BEACOND_BATCH_HITS * sizeof(beacond_hit_t));
    batch->lines = malloc(BEACOND_BATCH_HITS * sizeof(beacond_line_t));
    batch->arena = malloc(BEACOND_BATCH_ARENA);
    batch->arena_size = BEACOND_BATCH_ARENA;

    if (batch->hits == NULL || batch->lines == NULL || batch->arena == NULL) {
        beacond_batch_destroy(batch);
        return NULL;
    }

    return batch;
}

void
beacond_pool_init(beacond_pool_t *pool, uint32_t max,
    void (*freed)(void *data), void *data)
{
    memset(pool, 0, sizeof(beacond_pool_t));
    pthread_mutex_init(&pool->mutex, NULL);
    pool->max = max;
    pool->freed = freed;
    pool->data = data;
}

void
beacond_pool_dispose(beacond_pool_t *pool)
{
    beacond_batch_t  *batch;

    while ((batch = pool->free) != NULL) {
        pool->free = batch->next;
        beacond_batch_destroy(batch);
    }

    pthread_mutex_destroy(&pool->mutex);
}

beacond_batch_t *
beacond_pool_get(beacond_pool_t *pool)
{
    beacond_batch_t  *batch;

    pthread_mutex_lock(&pool->mutex);

    batch = pool->free;

    if (batch != NULL) {
        pool->free = batch->next;

    } else if (pool->made < pool->max) {
        batch = beacond_batch_create(pool);
        pool->made += (batch != NULL);
    }

    pool->used += (batch != NULL);

    pthread_mutex_unlock(&pool->mutex);

    if (batch == NULL) {
        return NULL;
    }

    batch->nhits = batch->nlines = batch->nspans = 0;
    batch->lines_len = 0;
    batch->values_start = batch->arena_size;
    batch->has_flags = 0;
    atomic_store_explicit(&batch->refs, 1, memory_order_relaxed);

    return batch;
}

uint32_t
beacond_pool_used(beacond_pool_t *pool)
{
    uint32_t  used;

    pthread_mutex_lock(&pool->mutex);
    used = pool->used;
    pthread_mutex_unlock(&pool->mutex);

    return used;
}

void
beacond_batch_ref(beacond_batch_t *batch)
{
    atomic_fetch_add_explicit(&batch->refs, 1, memory_order_relaxed);
}

void
beacond_batch_unref(beacond_batch_t *batch)
{
    uint8_t         *arena;
    beacond_pool_t  *pool = batch->pool;

    /* what others did with the batch happens before it is used anew */
    if (atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel) != 1)
    {
        return;
    }

    if (batch->arena_size > BEACOND_BATCH_ARENA) {
        arena = realloc(batch->arena, BEACOND_BATCH_ARENA);

        if (arena != NULL) {
            batch->arena = arena;
            batch->arena_size = BEACOND_BATCH_ARENA;
        }
    }

    beacond_names_unref(batch->names);
    batch->names = NULL;

    pthread_mutex_lock(&pool->mutex);
    batch->next = pool->free;
    pool->free = batch;
    pool->used--;
    pthread_mutex_unlock(&pool->mutex);

    if (pool->freed != NULL) {
        pool->freed(pool->data);
    }
}

beacon_rc_t
beacond_batch_grow(beacond_batch_t *batch, size_t size)
{
    uint8_t  *arena;

    if (size <= batch->arena_size) {
        return BEACON_OK;
    }

    arena = malloc(size);
    if (arena == NULL) {
        return BEACON_SYS;
    }

    free(batch->arena);
    batch->arena = arena;
    batch->arena_size = size;
    batch->values_start = size;

    return BEACON_OK;
}
