/* Numbers that are the same in each run of a benchmark. */

#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <stdint.h>

static uint64_t  bench_random_state = 20261121;

/* Below n. */
static uint32_t
bench_random(uint32_t n)
{
    bench_random_state = bench_random_state * 6364136223846793005ULL
                         + 1442695040888963407ULL;

    return (uint32_t) (bench_random_state >> 33) % n;
}

#endif /* BENCH_RANDOM_H */
