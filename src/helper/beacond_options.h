/* The command line. */

#ifndef BEACOND_OPTIONS_H
#define BEACOND_OPTIONS_H

#include <stdbool.h>

typedef struct {
    const char  *file;          /* -c */
    bool         check;         /* -t */
    bool         supervised;
} beacond_options_t;

/* Returns -1 to go on, or what to exit with: -V and the like, and complaints,
   are printed. */
int beacond_options(beacond_options_t *o, int argc, char *argv[]);

/* -t: prints what is wrong with a configuration; returns what to exit with. */
int beacond_check(const char *file);

#endif /* BEACOND_OPTIONS_H */
