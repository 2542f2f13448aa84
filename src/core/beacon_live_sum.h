/*
 * What tells that bytes of a hit are those that were written: products of their
 * words of 16 bits, each with a number of its place, in eight sums of 32 bits;
 * of these a CRC32C.  The numbers are odd, and no two the same: so of one word
 * whatever changes, two bits that flip, wherever, and two bytes that change
 * places make other sums.  Then, of 2^32 damages one is not seen; of those to
 * two words of one sum and no other, up to one of 2^22.
 *
 * It costs two instructions for 32 bytes, beside those that copy them, where
 * sums of sums take three, and CRC32C of all of them four, and a walk of its
 * own.  Good for one machine's memory; each variant gives the same.
 */

#ifndef BEACON_LIVE_SUM_H
#define BEACON_LIVE_SUM_H

#include "beacon.h"

/* What stands before the bytes: the fragment's header, its chunk's serial. */
typedef struct {
    uint64_t  words[4];
} beacon_live_sum_t;

/* Of a hit's head, if there is one, which has 96 bytes. */
#define BEACON_LIVE_SUM_HEAD  96

/*
 * Copies len bytes, which may stand at dst already, and sums them up as they
 * are there: no more than a chunk has.  head: NULL, or what comes before them.
 * Can't fail.
 */
typedef uint32_t (*beacon_live_sum_f)(const beacon_live_sum_t *begin,
    const void *head, uint8_t *dst, const uint8_t *src, size_t len);

uint32_t beacon_live_sum_copy(const beacon_live_sum_t *begin,
    const void *head, uint8_t *dst, const uint8_t *src, size_t len);

/* The variant that it takes, for who has many. */
beacon_live_sum_f beacon_live_sum_fastest(void);

/* For tests: the same without vectors. */
uint32_t beacon_live_sum_plain(const beacon_live_sum_t *begin,
    const void *head, uint8_t *dst, const uint8_t *src, size_t len);

#endif /* BEACON_LIVE_SUM_H */
