/*
 * Words and bytes of the store that one writes and others read at any time.
 */

#ifndef BEACON_LIVE_SYNC_H
#define BEACON_LIVE_SYNC_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* ---- words and bytes that others may be reading */

/* Of plain fields; the _Atomic ones have stdatomic.h. */
#define BEACON_LIVE_GET(field)     __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define BEACON_LIVE_SET(field, n)                                             \
    __atomic_store_n(&(field), (n), __ATOMIC_RELAXED)

/*
 * Bytes are copied while they may change, and believed only if the serial
 * behind them has not moved.  ThreadSanitizer wants to see atomics there.
 */
static inline void
beacon_live_copy(void *dst, const void *src, size_t len)
{
#if defined(__SANITIZE_THREAD__)
    size_t  i;

    for (i = 0; i < len; i++) {
        __atomic_store_n((uint8_t *) dst + i,
                         __atomic_load_n((const uint8_t *) src + i,
                                         __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
    }
#else
    memcpy(dst, src, len);
#endif
}

/* As memcpy(): short texts, for which a call would cost more than the rest. */
static inline void beacon_live_move(void *dst, const void *src, size_t len)
    __attribute__((always_inline));

static inline void
beacon_live_move(void *dst, const void *src, size_t len)
{
    size_t          i;
    uint8_t        *d = dst;
    const uint8_t  *s = src, *last;

    if (__builtin_constant_p(len)) {
        memcpy(d, s, len);

    } else if (len >= 16) {
        last = s + len - 16;

        for ( /* void */ ; s < last; s += 16, d += 16) {
            memcpy(d, s, 16);
        }

        memcpy(d - (s - last), last, 16);

    } else if (len >= 8) {
        memcpy(d, s, 8);
        memcpy(d + len - 8, s + len - 8, 8);

    } else {
        for (i = 0; i < len; i++) {
            d[i] = s[i];
        }
    }
}

/* The same into what others may be reading. */
#if defined(__SANITIZE_THREAD__)
#define beacon_live_copy_text  beacon_live_copy
#else
#define beacon_live_copy_text  beacon_live_move
#endif


/* ---- seqlocks: one writer, readers who do not wait for him */

/* Before the first change.  Returns what the serial is now, which is odd. */
static inline uint64_t
beacon_live_begin(_Atomic uint64_t *serial)
{
    uint64_t  odd;

    odd = atomic_load_explicit(serial, memory_order_relaxed) | 1;
    atomic_store_explicit(serial, odd, memory_order_relaxed);

    /* pairs with the acquire fence in beacon_live_same() */

    atomic_thread_fence(memory_order_release);

    return odd;
}

/* Behind the last change since beacon_live_begin(), which returned this. */
static inline void
beacon_live_end_of(_Atomic uint64_t *serial, uint64_t odd)
{
    atomic_store_explicit(serial, odd + 1, memory_order_release);
}

/* Behind the last one.  From an even serial: the next even one all the same. */
static inline void
beacon_live_end(_Atomic uint64_t *serial)
{
    atomic_store_explicit(serial,
                          (atomic_load_explicit(serial, memory_order_relaxed)
                           | 1) + 1,
                          memory_order_release);
}

/* The serial to compare with; odd: somebody is writing, or died doing so. */
static inline uint64_t
beacon_live_serial(const _Atomic uint64_t *serial)
{
    return atomic_load_explicit((_Atomic uint64_t *) (uintptr_t) serial,
                                memory_order_acquire);
}

/* 1: what was copied since beacon_live_serial() may be believed. */
static inline int
beacon_live_same(const _Atomic uint64_t *serial, uint64_t then)
{
    atomic_thread_fence(memory_order_acquire);

    return (then & 1) == 0
           && atomic_load_explicit((_Atomic uint64_t *) (uintptr_t) serial,
                                   memory_order_relaxed)
              == then;
}

/* How often a reader tries again while something changes. */
#define BEACON_LIVE_TRIES  64

/*
 * What a SIGKILL leaves behind is a prefix of the program's stores: only the
 * compiler has to be told that their order matters.
 */
static inline void
beacon_live_in_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

/* What readers see of a word that is not counted up under a seqlock. */
#define BEACON_LIVE_PUBLISH(field, n)                                         \
    atomic_store_explicit(&(field), (n), memory_order_release)
#define BEACON_LIVE_LOAD(field)                                               \
    atomic_load_explicit(&(field), memory_order_acquire)

#endif /* BEACON_LIVE_SYNC_H */
