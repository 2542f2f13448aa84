/* How many hits are missing, by edge and site: those that were missed first
   have names, so many at most; all count. */

#ifndef BEACOND_LACKS_H
#define BEACOND_LACKS_H

#include "beacon.h"

#include <jansson.h>

#define BEACOND_LACKS_MAX   64
#define BEACOND_LACKS_TEXT  640         /* bytes that they may take in status */

typedef struct {
    uint64_t  n;
    char      edge[256];
    char      site[BEACON_SITE_MAX + 1];
} beacond_lack_t;

typedef struct {
    uint64_t       all;
    uint32_t       count;
    beacond_lack_t  gaps[BEACOND_LACKS_MAX];
} beacond_lacks_t;

void beacond_lacks_add(beacond_lacks_t *gaps, beacon_str_t edge,
    beacon_str_t site, uint64_t n);

/* {"<edge>":{"<site>":n}}, most first, as far as there is room; NULL: no
   memory. */
json_t *beacond_lacks_json(const beacond_lacks_t *gaps);

#endif /* BEACOND_LACKS_H */
