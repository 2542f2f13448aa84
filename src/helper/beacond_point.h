/*
 * Named points at which tests kill the helper: BEACON_KILL_AT=name[:n] in its
 * environment raises SIGKILL at the n-th pass (n = 1 when absent).  A pass
 * costs one load and one predictable branch.
 *
 * Every name stands in the table in beacond_point.c; beacond --points prints
 * them, so that a test meets each of them.
 */

#ifndef BEACOND_POINT_H
#define BEACOND_POINT_H

#include <stdio.h>

extern int beacond_point_armed;         /* written at start, before threads */

#define BEACOND_POINT(name)                                                   \
    do {                                                                      \
        if (__builtin_expect(beacond_point_armed, 0)) {                       \
            beacond_point_pass(name);                                         \
        }                                                                     \
    } while (0)

/* Reads the environment, once, before there are threads.  A name that is not
   in the table is logged. */
void beacond_point_init(void);

/* Use BEACOND_POINT(). */
void beacond_point_pass(const char *name);

/* One line for each point: its name, a tab, where it is. */
void beacond_point_print(FILE *out);

#endif /* BEACOND_POINT_H */
