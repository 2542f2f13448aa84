/*
 * Random bytes that nobody can foretell, without a system call for each: a
 * ChaCha8 key stream whose key is replaced by its own first bytes whenever the
 * rest has been given out ("fast key erasure").  What was given cannot be found
 * in memory afterwards, nor from the key.
 *
 * One for each process: a copy of it would give the same bytes.
 */

#ifndef BEACON_RANDOM_H
#define BEACON_RANDOM_H

#include "beacon.h"

#define BEACON_RANDOM_KEY     8         /* words */
#define BEACON_RANDOM_BLOCKS  4

typedef struct {
    uint32_t  key[BEACON_RANDOM_KEY];
    uint32_t  left;                     /* bytes at the end of stream */
    uint8_t   stream[64 * BEACON_RANDOM_BLOCKS];
} beacon_random_t;

/* Takes a key from the kernel.  SYS: there is none (errno). */
beacon_rc_t beacon_random_seed(beacon_random_t *random);

/* Needs a seed.  This function can't fail. */
void beacon_random_bytes(beacon_random_t *random, uint8_t *dst, size_t n);

/* 128 bits as BEACON_RANDOM_ID hex digits.  Needs a seed.  This function can't
   fail. */
void beacon_random_id(beacon_random_t *random, uint8_t *dst);

#define BEACON_RANDOM_ID  32

/*
 * Four blocks of the key stream, with a nonce of zeros, from counter on: their
 * first words, then their second ones, ...
 */
void beacon_random_blocks(const uint32_t *key, uint32_t counter, uint8_t *dst);

#endif /* BEACON_RANDOM_H */
