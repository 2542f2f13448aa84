/* What the hashes here mix by: 64 x 64 -> 128 bits, folded. */

#ifndef BEACON_FOLD_H
#define BEACON_FOLD_H

#include <stdint.h>

static inline uint64_t
beacon_fold(uint64_t a, uint64_t b)
{
    unsigned __int128  product;

    product = (unsigned __int128) a * b;

    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

#endif /* BEACON_FOLD_H */
