#include "beacond_zmq_memory.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

/* jemalloc's; NULL where it is not linked. */
int mallctl(const char *name, void *old, size_t *old_len, void *new,
    size_t new_len) __attribute__((weak));

static pthread_once_t        beacond_zmq_memory_once = PTHREAD_ONCE_INIT;
static unsigned              beacond_zmq_memory_arena;  /* 0: none */
static _Thread_local bool    beacond_zmq_memory_joined;

static void
beacond_zmq_memory_make(void)
{
    size_t  size = sizeof(beacond_zmq_memory_arena);

    if (mallctl != NULL
        && mallctl("arenas.create", &beacond_zmq_memory_arena, &size, NULL, 0)
           != 0)
    {
        beacond_zmq_memory_arena = 0;
    }
}

void
beacond_zmq_memory_join(void)
{
    if (beacond_zmq_memory_joined) {
        return;
    }

    beacond_zmq_memory_joined = true;
    pthread_once(&beacond_zmq_memory_once, beacond_zmq_memory_make);

    if (beacond_zmq_memory_arena != 0) {
        (void) mallctl("thread.arena", NULL, NULL, &beacond_zmq_memory_arena,
                       sizeof(beacond_zmq_memory_arena));
    }
}

static uint64_t
beacond_zmq_memory_of(const char *kind)
{
    char    name[64];
    size_t  bytes = 0, size = sizeof(bytes);

    snprintf(name, sizeof(name), "stats.arenas.%u.%s.allocated",
             beacond_zmq_memory_arena, kind);

    return mallctl(name, &bytes, &size, NULL, 0) == 0 ? bytes : 0;
}

uint64_t
beacond_zmq_memory(void)
{
    uint64_t  epoch = 1;

    pthread_once(&beacond_zmq_memory_once, beacond_zmq_memory_make);

    /* the numbers are those of when this was last set */

    if (beacond_zmq_memory_arena == 0
        || mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) != 0)
    {
        return 0;
    }

    return beacond_zmq_memory_of("small") + beacond_zmq_memory_of("large");
}

void
beacond_zmq_memory_purge(void)
{
    char  name[32];

    if (beacond_zmq_memory_arena != 0) {
        snprintf(name, sizeof(name), "arena.%u.purge",
                 beacond_zmq_memory_arena);
        (void) mallctl(name, NULL, NULL, NULL, 0);
    }
}
