/*
 * SipHash-2-4 (Aumasson, Bernstein, 2012): a hash of 64 bits that says nothing
 * about what was hashed to who does not know the key.
 */

#ifndef BEACON_SIPHASH_H
#define BEACON_SIPHASH_H

#include "beacon.h"

/* Of n strings, as if they stood one behind the other. */
uint64_t beacon_siphash(const uint8_t key[16], const beacon_str_t *strings,
    unsigned n);

#endif /* BEACON_SIPHASH_H */
