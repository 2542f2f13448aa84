/*
 * The locks of lanes: OFD write locks, which belong to an open file
 * description and which the kernel gives back when its last holder dies.
 */

#include "beacon_ring_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int
beacon_ring_setlk(int fd, short type, uint64_t start)
{
    int           rc;
    struct flock  lock;

    memset(&lock, 0, sizeof(lock));     /* l_pid must be 0 */

    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = (off_t) start;
    lock.l_len = 1;

    do {
        rc = fcntl(fd, F_OFD_SETLK, &lock);
    } while (rc == -1 && errno == EINTR);

    return rc;
}

int
beacon_ring_locked(int fd, uint64_t start, uint64_t len)
{
    struct flock  lock;

    memset(&lock, 0, sizeof(lock));

    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = (off_t) start;
    lock.l_len = (off_t) len;

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

beacon_rc_t
beacon_ring_lock(beacon_ring_t *ring, uint32_t lane)
{
    beacon_ring_mapping_t  *mapping;

    mapping = (beacon_ring_mapping_t *) (void *) ring;

    /* acquire: pairs with the release in beacon_ring_unlock() */

    if (atomic_exchange_explicit(&mapping->mine[lane], 1,
                                 memory_order_acquire))
    {
        return BEACON_AGAIN;
    }

    if (beacon_ring_setlk(ring->fd, F_WRLCK,
                          beacon_ring_lane_offset(ring, lane))
        == 0)
    {
        return BEACON_OK;
    }

    atomic_store_explicit(&mapping->mine[lane], 0, memory_order_relaxed);

    return errno == EAGAIN || errno == EACCES ? BEACON_AGAIN : BEACON_SYS;
}

void
beacon_ring_unlock(beacon_ring_t *ring, uint32_t lane)
{
    beacon_ring_mapping_t  *mapping;

    mapping = (beacon_ring_mapping_t *) (void *) ring;

    (void) beacon_ring_setlk(ring->fd, F_UNLCK,
                             beacon_ring_lane_offset(ring, lane));

    /* last, release: or the lock given back would be the next claimant's */

    atomic_store_explicit(&mapping->mine[lane], 0, memory_order_release);
}

int
beacon_lane_owned(const beacon_ring_t *ring, uint32_t lane)
{
    const beacon_ring_mapping_t  *mapping;

    mapping = (const beacon_ring_mapping_t *) (const void *) ring;

    return atomic_load_explicit(&mapping->mine[lane], memory_order_relaxed)
           || beacon_ring_locked(ring->fd,
                                 beacon_ring_lane_offset(ring, lane), 1);
}
