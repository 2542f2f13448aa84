/*
 * A store's file that somebody cuts short, or a page of it that cannot be had,
 * is a SIGBUS for who has it mapped.  Where it strikes, memory of nobody takes
 * the file's place, all zeros: a reader finds damage there, which it is ready
 * for, and the writer has what it needs on its heap.  From there on neither has
 * what others see, even when the file has its length again: both look now and
 * then whether they were struck, or the file is short, and leave it.
 *
 * Any other SIGBUS is who handled it before's, as often as it comes.
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
    _Atomic int        struck;          /* memory of nobody is in it */
} beacon_live_map_t;

static beacon_live_map_t  beacon_live_maps[BEACON_LIVE_MAPS];
static struct sigaction   beacon_live_bus_before;
static atomic_flag        beacon_live_bus_taken = ATOMIC_FLAG_INIT;

/* From the page on, which is in one of ours; 0: it is in none. */
static int
beacon_live_bus_cover(uintptr_t page)
{
    void                     *at;
    int                       prot;
    unsigned                  i;
    uintptr_t                 from, to;
    beacon_live_map_t        *map;

    for (i = 0; i < BEACON_LIVE_MAPS; i++) {
        map = &beacon_live_maps[i];
        from = atomic_load_explicit(&map->from, memory_order_acquire);
        to = atomic_load_explicit(&map->to, memory_order_relaxed);
        prot = atomic_load_explicit(&map->prot, memory_order_relaxed);

        /* pairs with the fence in beacon_live_bus_watch(): all three of one */

        atomic_thread_fence(memory_order_acquire);

        if (from <= 1 || page < from || page >= to
            || atomic_load_explicit(&map->from, memory_order_relaxed) != from)
        {
            continue;
        }

        /* before: who reads zeros may ask then */

        atomic_store(&map->struck, 1);
        at = mmap((void *) page, to - page, prot,
                  MAP_FIXED|MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);

        return at != MAP_FAILED;
    }

    return 0;
}

/* Not ours: as if we were not there. */
static void
beacon_live_bus_pass(int signo, siginfo_t *info, void *context)
{
    int                      again;
    const struct sigaction  *before;

    before = &beacon_live_bus_before;

    /* where a fault is, it comes once more by itself */

    again = info->si_code > 0 && info->si_code != BUS_MCEERR_AO;

    if (before->sa_handler == SIG_IGN && !again) {
        return;
    }

    if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN) {
        (void) sigaction(signo, before, NULL);

        if (!again) {
            (void) raise(signo);
        }

    } else if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(signo, info, context);

    } else {
        before->sa_handler(signo);
    }
}

static void
beacon_live_bus(int signo, siginfo_t *info, void *context)
{
    int  keep;

    keep = errno;

    /* a page that is not there, or is broken; not an address that is odd */

    if ((info->si_code != BUS_ADRERR && info->si_code != BUS_MCEERR_AR)
        || !beacon_live_bus_cover((uintptr_t) info->si_addr
                                  & ~(uintptr_t) (BEACON_LIVE_PAGE - 1)))
    {
        beacon_live_bus_pass(signo, info, context);
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
            atomic_thread_fence(memory_order_release);
            atomic_store_explicit(&map->to, (uintptr_t) start + size,
                                  memory_order_relaxed);
            atomic_store_explicit(&map->prot, prot, memory_order_relaxed);
            atomic_store_explicit(&map->struck, 0, memory_order_relaxed);
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

int
beacon_live_bus_struck(const void *start)
{
    unsigned  i;

    for (i = 0; i < BEACON_LIVE_MAPS; i++) {
        if (atomic_load_explicit(&beacon_live_maps[i].from,
                                 memory_order_relaxed)
            == (uintptr_t) start)
        {
            return atomic_load(&beacon_live_maps[i].struck);
        }
    }

    return 0;
}
