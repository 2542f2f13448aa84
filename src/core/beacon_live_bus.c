/*
 * A store's file that somebody cuts short, or a page of it that cannot be had,
 * is a SIGBUS for who has it mapped.  Where it strikes, memory of nobody takes
 * the file's place, all zeros: a reader finds damage there, which it is ready
 * for, and the writer has what it needs on its heap.  Both look at the file's
 * length now and then, and leave it.
 *
 * Any other SIGBUS is who handled it before's.
 */

#include "beacon_live_int.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

/* Stores that a process has mapped at a time; more are not looked after. */
#define BEACON_LIVE_MAPS  16

typedef struct {
    _Atomic uintptr_t  from;            /* 0: free */
    _Atomic uintptr_t  to;
    _Atomic int        prot;
} beacon_live_map_t;

static beacon_live_map_t  beacon_live_maps[BEACON_LIVE_MAPS];
static struct sigaction   beacon_live_bus_before;
static atomic_flag        beacon_live_bus_taken = ATOMIC_FLAG_INIT;

/* From the page on, which is in one of ours; 0: it is in none. */
static int
beacon_live_bus_cover(uintptr_t page)
{
    void                     *at;
    unsigned                  i;
    uintptr_t                 from, to;
    const beacon_live_map_t  *map;

    for (i = 0; i < BEACON_LIVE_MAPS; i++) {
        map = &beacon_live_maps[i];
        from = atomic_load_explicit(&map->from, memory_order_acquire);
        to = atomic_load_explicit(&map->to, memory_order_relaxed);

        if (from == 0 || page < from || page >= to) {
            continue;
        }

        at = mmap((void *) page, to - page,
                  atomic_load_explicit(&map->prot, memory_order_relaxed),
                  MAP_FIXED|MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);

        return at != MAP_FAILED;
    }

    return 0;
}

static void
beacon_live_bus(int signo, siginfo_t *info, void *context)
{
    int  keep;

    (void) context;
    keep = errno;

    /* by the kernel, at an address */

    if (info->si_code <= 0
        || !beacon_live_bus_cover((uintptr_t) info->si_addr
                                  & ~(uintptr_t) (BEACON_LIVE_PAGE - 1)))
    {
        (void) sigaction(signo, &beacon_live_bus_before, NULL);
        (void) raise(signo);
    }

    errno = keep;
}

void
beacon_live_bus_watch(const void *start, uint64_t size, int prot)
{
    unsigned            i;
    uintptr_t           none;
    beacon_live_map_t  *map;
    struct sigaction    sa;

    for (i = 0; i < BEACON_LIVE_MAPS; i++) {
        map = &beacon_live_maps[i];
        none = 0;

        /* 1: ours, and no page's yet */

        if (atomic_compare_exchange_strong(&map->from, &none, 1)) {
            atomic_store_explicit(&map->to, (uintptr_t) start + size,
                                  memory_order_relaxed);
            atomic_store_explicit(&map->prot, prot, memory_order_relaxed);
            atomic_store_explicit(&map->from, (uintptr_t) start,
                                  memory_order_release);
            break;
        }
    }

    if (atomic_flag_test_and_set(&beacon_live_bus_taken)) {
        return;
    }

    memset(&sa, 0, sizeof(sa));
    sa.sa_sigaction = beacon_live_bus;
    sa.sa_flags = SA_SIGINFO|SA_RESTART;
    (void) sigemptyset(&sa.sa_mask);
    (void) sigaction(SIGBUS, &sa, &beacon_live_bus_before);
}

void
beacon_live_bus_leave(const void *start)
{
    unsigned   i;
    uintptr_t  from;

    for (i = 0; i < BEACON_LIVE_MAPS; i++) {
        from = (uintptr_t) start;

        if (atomic_compare_exchange_strong(&beacon_live_maps[i].from, &from,
                                           0))
        {
            return;
        }
    }
}
