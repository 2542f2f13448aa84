/* The chunks that the spy feed's frames lie in. */

#include "beacond_spy.h"

#include <stdlib.h>

#define BEACOND_SPY_SPARE  256          /* that are kept, once nobody has any
                                           of them: 4 MB at most, which do not
                                           count as BEACOND_SPY_BYTES */

/* Each message is a reference.  They are given in advance, so many that they
   do not run out, and the rest taken back when the chunk is full. */
#define BEACOND_SPY_REFS    (1U << 30)

/* The chunks that I/O threads are done with are taken all at once, and so one
   that goes meanwhile cannot come back in its place. */

static void
beacond_spy_keep(beacond_spy_t *spy, beacond_spy_chunk_t *chunk)
{
    beacond_spy_chunk_t  *head;

    if (chunk->size != sizeof(beacond_spy_chunk_t) + BEACOND_SPY_CHUNK
        || atomic_load_explicit(&spy->spares, memory_order_relaxed)
           >= BEACOND_SPY_SPARE)
    {
        free(chunk);
        return;
    }

    atomic_fetch_add_explicit(&spy->spares, 1, memory_order_relaxed);
    head = atomic_load_explicit(&spy->spare, memory_order_relaxed);

    do {
        chunk->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&spy->spare, &head, chunk,
                                                    memory_order_release,
                                                    memory_order_relaxed));
}

static void
beacond_spy_unref(beacond_spy_chunk_t *chunk, uint32_t n)
{
    beacond_spy_t  *spy = chunk->spy;

    if (atomic_fetch_sub_explicit(&chunk->refs, n, memory_order_acq_rel) == n)
    {
        atomic_fetch_add_explicit(&spy->freed_bytes, chunk->size,
                                  memory_order_relaxed);
        beacond_spy_keep(spy, chunk);
    }
}

void
beacond_spy_free(void *data, void *hint)
{
    beacond_spy_chunk_t  *chunk = hint;

    (void) data;
    atomic_fetch_add_explicit(&chunk->spy->freed, 1, memory_order_relaxed);
    beacond_spy_unref(chunk, 1);
}

void
beacond_spy_drop(beacond_spy_t *spy)
{
    beacond_spy_chunk_t  *chunk = spy->chunk;

    if (chunk != NULL) {
        spy->chunk = NULL;
        spy->left = 0;
        beacond_spy_unref(chunk, BEACOND_SPY_REFS - chunk->messages);
    }
}

void
beacond_spy_release(beacond_spy_t *spy)
{
    beacond_spy_chunk_t  *chunk;

    beacond_spy_drop(spy);

    if (spy->ready == NULL) {
        spy->ready = atomic_exchange_explicit(&spy->spare, NULL,
                                              memory_order_acquire);
    }

    while ((chunk = spy->ready) != NULL) {
        spy->ready = chunk->next;
        free(chunk);
    }
}

/* One of those that were used before, or NULL. */
static beacond_spy_chunk_t *
beacond_spy_again(beacond_spy_t *spy)
{
    beacond_spy_chunk_t  *chunk;

    if (spy->ready == NULL) {
        spy->ready = atomic_exchange_explicit(&spy->spare, NULL,
                                              memory_order_acquire);
    }

    chunk = spy->ready;

    if (chunk != NULL) {
        spy->ready = chunk->next;
        atomic_fetch_sub_explicit(&spy->spares, 1, memory_order_relaxed);
    }

    return chunk;
}

beacond_spy_chunk_t *
beacond_spy_fresh(beacond_spy_t *spy, size_t need, bool alone)
{
    size_t                room;
    beacond_spy_chunk_t  *chunk;

    beacond_spy_drop(spy);
    room = need < BEACOND_SPY_CHUNK && !alone ? BEACOND_SPY_CHUNK : need;
    chunk = room == BEACOND_SPY_CHUNK ? beacond_spy_again(spy) : NULL;

    if (chunk == NULL) {
        chunk = malloc(sizeof(beacond_spy_chunk_t) + room);
    }

    if (chunk == NULL) {
        return NULL;
    }

    chunk->spy = spy;
    chunk->size = sizeof(beacond_spy_chunk_t) + room;
    chunk->messages = 0;
    atomic_init(&chunk->refs, BEACOND_SPY_REFS);
    spy->given_bytes += chunk->size;
    spy->chunk = chunk;
    spy->next = chunk->data;
    spy->left = alone ? 0 : (ptrdiff_t) room;
    spy->topic_len = 0;

    return chunk;
}
