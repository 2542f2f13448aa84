/*
 * The spy feed's line: the batch's without its address.
 *
 * dst gets src's first "cut" bytes, and the len of "rest", which ends where src
 * does.  64 bytes behind both may be looked at, and be written.  Returns dst's
 * end.  These functions can't fail.
 */

#ifndef BEACOND_SPY_COPY_H
#define BEACOND_SPY_COPY_H

#include "beacon.h"

#define BEACOND_SPY_SLACK  64

uint8_t *beacond_spy_copy(uint8_t *dst, const uint8_t *src, size_t cut,
    const uint8_t *rest, size_t len);

/* Without vectors of 32 bytes. */
uint8_t *beacond_spy_copy_plain(uint8_t *dst, const uint8_t *src, size_t cut,
    const uint8_t *rest, size_t len);

#endif /* BEACOND_SPY_COPY_H */
