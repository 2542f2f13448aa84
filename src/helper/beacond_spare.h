/*
 * Places that are free, given out from the lowest number on, as jemalloc does:
 * those that are wanted together stand together, however mixed they come back,
 * and hardly more of them are ever used than are out at once.  Two levels of a
 * bitmap: a bit for each place, a bit for each word of them.
 */

#ifndef BEACOND_SPARE_H
#define BEACOND_SPARE_H

#include "beacon.h"

#include <stdint.h>

#define BEACOND_SPARE_AHEAD  8          /* a power of two */
#define BEACOND_SPARE_NONE   UINT32_MAX

typedef struct {
    uint64_t  *words;
    uint64_t  *sums;
    uint32_t   nsums;
    uint32_t   low;             /* sums before it are 0 */
    uint32_t   ahead[BEACOND_SPARE_AHEAD];      /* the next ones, */
    uint32_t   come;            /*   into it; */
    uint32_t   gone;            /*   and out of it */
} beacond_spare_t;

/* 0 to n - 1, all free.  SYS: no memory. */
beacon_rc_t beacond_spare_init(beacond_spare_t *spare, uint32_t n);
void beacond_spare_dispose(beacond_spare_t *spare);

/* NONE: there is none. */
uint32_t beacond_spare_take(beacond_spare_t *spare);

/* What the k-th take() from now will give, if nothing comes back, k from 0 to
   AHEAD - 2; NONE: not known. */
uint32_t beacond_spare_peek(const beacond_spare_t *spare, uint32_t k);

void beacond_spare_put(beacond_spare_t *spare, uint32_t i);

#endif /* BEACOND_SPARE_H */
