#include "beacond_lacks.h"

#include <stdlib.h>
#include <string.h>

void
beacond_lacks_add(beacond_lacks_t *gaps, beacon_str_t edge, beacon_str_t site,
    uint64_t n)
{
    uint32_t        i;
    beacond_lack_t  *gap;

    gaps->all += n;

    for (i = 0; i < gaps->count; i++) {
        gap = &gaps->gaps[i];

        if (strncmp(gap->site, (const char *) site.data, site.len) == 0
            && gap->site[site.len] == '\0'
            && strncmp(gap->edge, (const char *) edge.data, edge.len) == 0
            && gap->edge[edge.len] == '\0')
        {
            gap->n += n;
            return;
        }
    }

    if (i == BEACOND_LACKS_MAX || site.len > BEACON_SITE_MAX
        || edge.len >= sizeof(gap->edge))
    {
        return;
    }

    gap = &gaps->gaps[gaps->count++];
    memset(gap, 0, sizeof(beacond_lack_t));
    memcpy(gap->edge, edge.data, edge.len);
    memcpy(gap->site, site.data, site.len);
    gap->n = n;
}

static int
beacond_lacks_more(const void *a, const void *b)
{
    const beacond_lack_t *const  *one = a, *const  *two = b;

    return (*one)->n < (*two)->n ? 1 : -((*one)->n > (*two)->n);
}

json_t *
beacond_lacks_json(const beacond_lacks_t *gaps)
{
    json_t               *object, *edge;
    size_t                size = 0;
    uint32_t              i;
    const beacond_lack_t  *sorted[BEACOND_LACKS_MAX];

    for (i = 0; i < gaps->count; i++) {
        sorted[i] = &gaps->gaps[i];
    }

    qsort(sorted, gaps->count, sizeof(sorted[0]), beacond_lacks_more);
    object = json_object();

    for (i = 0; i < gaps->count && object != NULL; i++) {

        /* quotes, colons, braces, and the digits */

        size += strlen(sorted[i]->edge) + strlen(sorted[i]->site) + 32;

        if (size > BEACOND_LACKS_TEXT) {
            break;
        }

        edge = json_object_get(object, sorted[i]->edge);

        if (edge == NULL) {
            edge = json_object();

            if (json_object_set_new(object, sorted[i]->edge, edge) != 0) {
                continue;
            }
        }

        json_object_set_new(edge, sorted[i]->site,
                            json_integer((json_int_t) sorted[i]->n));
    }

    return object;
}
