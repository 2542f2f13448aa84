/*
 * The names in sinks' templates, whose values batches carry.  A sink knows a
 * value by its name's place in the table.  A table never changes: a new name
 * makes another one, and a batch holds on to the one that it was rendered
 * with.  A place that no sink has a use for any more is given to a new name;
 * "turn" tells a sink whether a batch is one with its names.
 */

#ifndef BEACOND_NAMES_H
#define BEACOND_NAMES_H

#include "beacon.h"

#include <stdatomic.h>

#define BEACOND_NAMES_MAX  32           /* bits of who uses which */

typedef struct {
    _Atomic uint32_t   refs;
    uint32_t           n;
    uint64_t           turn;            /* from 1 on, one more each time */
    char              *names[BEACOND_NAMES_MAX];
} beacond_names_t;

/* Where a name is; -1: nowhere.  names may be NULL: no table yet. */
int beacond_names_find(const beacond_names_t *names, beacon_str_t name);

/*
 * The next table, with one reference: it has the name too, in the first place
 * whose bit is not set in used, and says where.  NULL: all of them are used,
 * or there is no memory.
 */
beacond_names_t *beacond_names_add(const beacond_names_t *names,
    uint32_t used, beacon_str_t name, int *index);

/* Both take NULL. */
beacond_names_t *beacond_names_ref(beacond_names_t *names);
void beacond_names_unref(beacond_names_t *names);

#endif /* BEACOND_NAMES_H */
