#include "beacond_names.h"

#include <stdlib.h>
#include <string.h>

int
beacond_names_find(const beacond_names_t *names, beacon_str_t name)
{
    uint32_t  i;

    for (i = 0; names != NULL && i < names->n; i++) {
        if (strlen(names->names[i]) == name.len
            && memcmp(names->names[i], name.data, name.len) == 0)
        {
            return (int) i;
        }
    }

    return -1;
}

beacond_names_t *
beacond_names_add(const beacond_names_t *names, uint32_t used,
    beacon_str_t name, int *index)
{
    uint32_t          i, n = names != NULL ? names->n : 0, place = 0;
    beacond_names_t  *next;

    while (place < n && (used & 1U << place)) {
        place++;
    }

    if (place == BEACOND_NAMES_MAX) {
        return NULL;
    }

    next = calloc(1, sizeof(beacond_names_t));
    if (next == NULL) {
        return NULL;
    }

    next->refs = 1;
    next->n = place == n ? n + 1 : n;
    next->turn = names != NULL ? names->turn + 1 : 1;

    for (i = 0; i < next->n; i++) {
        next->names[i] = i == place
                         ? strndup((const char *) name.data, name.len)
                         : strdup(names->names[i]);

        if (next->names[i] == NULL) {
            beacond_names_unref(next);
            return NULL;
        }
    }

    *index = (int) place;

    return next;
}

beacond_names_t *
beacond_names_ref(beacond_names_t *names)
{
    if (names != NULL) {
        atomic_fetch_add_explicit(&names->refs, 1, memory_order_relaxed);
    }

    return names;
}

void
beacond_names_unref(beacond_names_t *names)
{
    uint32_t  i;

    if (names == NULL
        || atomic_fetch_sub_explicit(&names->refs, 1, memory_order_acq_rel)
           != 1)
    {
        return;
    }

    for (i = 0; i < names->n; i++) {
        free(names->names[i]);
    }

    free(names);
}
