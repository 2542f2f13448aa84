/* What the hashes here mix by: 64 x 64 -> 128 bits, folded. */

#ifndef BEACON_FOLD_H
#define BEACON_FOLD_H

#include <stdint.h>

static inline uint64_t
beacon_fold(uint64_t a, uint64_t b)
{
#if defined(__x86_64__) && defined(__GNUC__)

    /* in a loop gcc puts both halves of a product away, to take one back */

    __asm__ ("mulq %2" : "+a" (a), "=d" (b) : "r" (b) : "cc");

    return a ^ b;

#else

    unsigned __int128  product;

    product = (unsigned __int128) a * b;

    return (uint64_t) product ^ (uint64_t) (product >> 64);

#endif
}

#endif /* BEACON_FOLD_H */
