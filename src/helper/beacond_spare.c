/* Places that are free. */

#include "beacond_spare.h"

#include <stdlib.h>

beacon_rc_t
beacond_spare_init(beacond_spare_t *spare, uint32_t n)
{
    uint32_t  i;

    spare->nsums = n / 4096 + 1;
    spare->low = spare->come = spare->gone = 0;
    spare->words = calloc(spare->nsums, 64 * sizeof(uint64_t));
    spare->sums = calloc(spare->nsums, sizeof(uint64_t));

    if (spare->words == NULL || spare->sums == NULL) {
        beacond_spare_dispose(spare);
        return BEACON_SYS;
    }

    for (i = 0; i < n; i++) {
        beacond_spare_put(spare, i);
    }

    return BEACON_OK;
}

void
beacond_spare_dispose(beacond_spare_t *spare)
{
    free(spare->words);
    free(spare->sums);
    spare->words = spare->sums = NULL;
}

static uint32_t
beacond_spare_lowest(beacond_spare_t *spare)
{
    uint32_t   i, word;
    uint64_t  *sum;

    while (spare->low < spare->nsums && spare->sums[spare->low] == 0) {
        spare->low++;
    }

    if (spare->low == spare->nsums) {
        return BEACOND_SPARE_NONE;
    }

    sum = &spare->sums[spare->low];
    word = spare->low * 64 + (uint32_t) __builtin_ctzll(*sum);
    i = word * 64 + (uint32_t) __builtin_ctzll(spare->words[word]);
    spare->words[word] &= spare->words[word] - 1;

    if (spare->words[word] == 0) {
        *sum &= *sum - 1;
    }

    return i;
}

uint32_t
beacond_spare_take(beacond_spare_t *spare)
{
    uint32_t  i;

    while (spare->come - spare->gone < BEACOND_SPARE_AHEAD) {
        i = beacond_spare_lowest(spare);

        if (i == BEACOND_SPARE_NONE) {
            break;
        }

        spare->ahead[spare->come++ % BEACOND_SPARE_AHEAD] = i;
    }

    if (spare->come == spare->gone) {
        return BEACOND_SPARE_NONE;
    }

    return spare->ahead[spare->gone++ % BEACOND_SPARE_AHEAD];
}

uint32_t
beacond_spare_peek(const beacond_spare_t *spare, uint32_t k)
{
    if (k >= spare->come - spare->gone) {
        return BEACOND_SPARE_NONE;
    }

    return spare->ahead[(spare->gone + k) % BEACOND_SPARE_AHEAD];
}

void
beacond_spare_put(beacond_spare_t *spare, uint32_t i)
{
    uint32_t  sum = i / 4096;

    spare->words[i / 64] |= 1ULL << (i % 64);
    spare->sums[sum] |= 1ULL << (i / 64 % 64);

    if (sum < spare->low) {
        spare->low = sum;
    }
}
