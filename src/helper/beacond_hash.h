/*
 * The hash of the sinks' tables of names: FNV-1a, its upper half folded into
 * the lower, which is what a table's mask looks at.  What is hashed is bounded
 * in number, so nobody gains by collisions.
 */

#ifndef BEACOND_HASH_H
#define BEACOND_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t
beacond_hash(const char *name, size_t len)
{
    size_t    i;
    uint64_t  hash = 0xcbf29ce484222325ULL;

    for (i = 0; i < len; i++) {
        hash = (hash ^ (uint8_t) name[i]) * 0x100000001b3ULL;
    }

    return hash ^ hash >> 32;
}

#endif /* BEACOND_HASH_H */
