/*
 * What tells that bytes of a hit are those that were written: sums of 64-bit
 * words, and sums of these sums, in four lanes, so that it counts where a word
 * stands.  The latter are turned by 32 bits each time: a bit that leaves them
 * at their upper end was elsewhere in them, too.  A word that is another one is
 * seen in the lanes, and so are two; then a CRC32C of these is made, and of
 * 2^32 damages one is not seen.
 *
 * It costs three instructions for 32 bytes, beside those that copy them, where
 * CRC32C of all of them takes four, and a walk of its own.  Good for one
 * machine's memory; each variant gives the same.
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
 * are there.  head: NULL, or what comes before them.  Can't fail.
 */
uint32_t beacon_live_sum_copy(const beacon_live_sum_t *begin,
    const void *head, uint8_t *dst, const uint8_t *src, size_t len);

/* For tests: the same without vectors. */
uint32_t beacon_live_sum_plain(const beacon_live_sum_t *begin,
    const void *head, uint8_t *dst, const uint8_t *src, size_t len);

#endif /* BEACON_LIVE_SUM_H */
