#include "beacond_gaps.h"
#include "beacon_siphash.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_GAPS_WAYS  4            /* places that a pair may have */

beacon_rc_t
beacond_gaps_init(beacond_gaps_t *gaps, size_t max, const uint8_t key[16])
{
    memcpy(gaps->key, key, sizeof(gaps->key));
    gaps->max = max;
    gaps->gaps = calloc(max, sizeof(beacond_gap_t));

    return gaps->gaps != NULL ? BEACON_OK : BEACON_SYS;
}

void
beacond_gaps_dispose(beacond_gaps_t *gaps)
{
    free(gaps->gaps);
    gaps->gaps = NULL;
}

/* Its place, the most recent first; or the last one's of those it may have. */
static beacond_gap_t *
beacond_gaps_place(beacond_gaps_t *gaps, const beacon_spy_head_t *head)
{
    size_t          i;
    uint64_t        who;
    beacon_str_t    strings[3];
    beacond_gap_t   found, *row;

    strings[0] = head->edge;
    strings[1] = beacon_string(" ");
    strings[2] = head->site;
    who = beacon_siphash(gaps->key, strings, 3) | 1;
    row = &gaps->gaps[(who >> 8) & (gaps->max - 1)
                      & ~(size_t) (BEACOND_GAPS_WAYS - 1)];

    for (i = 0; i < BEACOND_GAPS_WAYS - 1 && row[i].who != who; i++) {
        /* void */
    }

    found = row[i];
    memmove(row + 1, row, i * sizeof(beacond_gap_t));
    row[0] = found;

    if (row[0].who != who) {
        row[0].who = who;
        row[0].feed = head->feed;
        row[0].seq = 0;
    }

    return row;
}

uint64_t
beacond_gaps_see(beacond_gaps_t *gaps, const beacon_spy_head_t *head)
{
    uint64_t        last, missing = 0;
    beacond_gap_t  *gap;

    gap = beacond_gaps_place(gaps, head);

    if (gap->feed != head->feed || gap->seq == 0) {
        gap->feed = head->feed;
        gap->seq = head->seq;
        return 0;
    }

    last = gap->seq;

    if (head->seq > last) {
        gap->seq = head->seq;
        missing = head->seq - last - (head->stat ? 0 : 1);
    }

    return missing;
}
