/*
 * LD_PRELOAD=shift_clock.so: the wall clock is off by as many seconds as the
 * file named by SHIFT_CLOCK holds, an int64_t that may change at any time.
 * Clocks that only go on are left alone.
 *
 * It asks the kernel itself and allocates nothing: an allocator may want the
 * time while it starts.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Atomic(_Atomic int64_t *)  shift_clock;
static _Atomic int64_t             shift_none;

static int64_t
shift_clock_seconds(void)
{
    int               fd;
    void             *map;
    const char       *name;
    _Atomic int64_t  *seconds = atomic_load(&shift_clock);

    if (seconds == NULL) {
        seconds = &shift_none;
        name = getenv("SHIFT_CLOCK");
        fd = name ? (int) syscall(SYS_openat, AT_FDCWD, name,
                                  O_RDONLY|O_CLOEXEC)
                  : -1;

        if (fd != -1) {
            map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
            syscall(SYS_close, fd);

            if (map != MAP_FAILED) {
                seconds = map;
            }
        }

        atomic_store(&shift_clock, seconds);
    }

    return atomic_load(seconds);
}

int
clock_gettime(clockid_t id, struct timespec *time)
{
    int  rc = (int) syscall(SYS_clock_gettime, id, time);

    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        time->tv_sec += shift_clock_seconds();
    }

    return rc;
}

int
gettimeofday(struct timeval *restrict value, void *restrict zone)
{
    struct timespec  time;

    (void) zone;

    if (clock_gettime(CLOCK_REALTIME, &time) != 0) {
        return -1;
    }

    value->tv_sec = time.tv_sec;
    value->tv_usec = time.tv_nsec / 1000;

    return 0;
}

time_t
time(time_t *value)
{
    struct timespec  now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return -1;
    }

    if (value) {
        *value = now.tv_sec;
    }

    return now.tv_sec;
}
