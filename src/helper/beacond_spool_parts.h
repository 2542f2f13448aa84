/* What the spool's files share. */

#ifndef BEACOND_SPOOL_PARTS_H
#define BEACOND_SPOOL_PARTS_H

#include "beacond_spool.h"

uint32_t beacond_segment_crc(const beacond_segment_head_t *head);

/* A segment behind all others.  SYS: no memory. */
beacon_rc_t beacond_segment_add(beacond_spool_t *spool, uint64_t start,
    uint64_t end);

/* Adds what a record is, or several are, to what is held.  SYS: no memory. */
beacon_rc_t beacond_spool_note(beacond_spool_lane_t **lanes, uint32_t *nlanes,
    const beacond_spool_lane_t *add);
void beacond_spool_noted(const beacon_record_t *record, uint64_t epoch,
    uint32_t lane, beacond_spool_lane_t *add);

/* A segment that is complete. */
void beacond_spool_index_write(const beacond_spool_t *spool,
    const beacond_segment_t *segment);
bool beacond_spool_index_read(const beacond_spool_t *spool,
    beacond_segment_t *segment);
void beacond_spool_index_unlink(const beacond_spool_t *spool,
    const beacond_segment_t *segment);

#endif /* BEACOND_SPOOL_PARTS_H */
