/*
 * The inside of the live store's sink: beacond_sink_live.c puts hits,
 * beacond_slive_gaps.c tells what is missing.  Both hold the store's lock.
 */

#ifndef BEACOND_SLIVE_H
#define BEACOND_SLIVE_H

#include "beacond_live.h"
#include "beacond_live_places.h"
#include "beacond_log.h"
#include "beacond_missed.h"
#include "beacond_passed.h"
#include "beacond_sink.h"
#include "beacond_visitor.h"

typedef struct {
    uint64_t               size;
    uint32_t               present;     /* s */
    uint8_t                key[BEACOND_VISITOR_KEY];
    uint8_t                hash[BEACON_VISITOR_HASH];   /* shown in place of
                                           the hit's visitor, who has no name */
    beacon_line_shown_f    shown;
    bool                   open;        /* the store, by us */
    beacon_err_t           why;         /* it is not */
    beacond_places_t       places;
    beacond_missed_t       missed;
    beacond_missed_run_t   hole;        /* its thread's */
    uint64_t               turn;        /* batches taken */
    uint64_t               unknown;     /* missed, of sites nobody knows */
    uint64_t               tick_ns;
    beacond_log_limit_t    limit;
} beacond_slive_t;

/* What was missed behind the batches that it has taken. */
void beacond_slive_tell(beacond_sink_t *sink, beacond_live_t *live);

/* The note for a batch, behind the holes before it, which are told. */
beacond_places_note_t *beacond_slive_next(beacond_sink_t *sink,
    beacond_live_t *live, const beacond_batch_t *batch);

#endif /* BEACOND_SLIVE_H */
