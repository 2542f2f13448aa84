/*
 * What is missing in the live store: what the sink's full queue cost, and
 * holes in lanes; by site, or counted where nobody knows the site.
 */

#include "beacond_slive.h"

/* Sites that the store has, to be told; others are carried.  n = 0 asks. */
static void
beacond_slive_sort(beacond_slive_t *slive, beacond_live_t *live,
    beacond_places_note_t *note, const beacond_missed_run_t *run)
{
    uint32_t                      i;
    beacon_str_t                  name;
    const beacond_missed_site_t  *site;

    for (i = 0; i < run->nsites; i++) {
        site = &run->sites[i];
        name = beacond_missed_name(site);

        if (beacond_live_gap(live, name, 0) == BEACON_OK) {
            note->gaps[note->ngaps++] = *site;

        } else if (!beacond_places_carry(note, site)) {
            slive->unknown += site->n;
        }
    }
}

/* Tells what was missed in one run of batches. */
static void
beacond_slive_run(beacond_sink_t *sink, beacond_live_t *live,
    const beacond_missed_run_t *run)
{
    uint32_t                i, k;
    beacon_str_t            name;
    beacond_slive_t        *slive = sink->data;
    const beacond_span_t   *span;
    beacond_places_note_t  *note;

    note = beacond_places_next(&slive->places);
    slive->unknown += run->unknown;

    for (i = 0; i < run->nspans; i++) {
        span = &run->spans[i];

        if (note->nplaces < BEACON_BOOKS_LANES) {
            k = beacond_places_find(note, span->epoch, span->number,
                                    &span->to);
            note->places[k].at = span->to;
        }
    }

    beacond_slive_sort(slive, live, note, run);
    note->mark = live->mark;
    note->unknown = slive->unknown;
    beacond_places_publish(&slive->places);

    for (i = 0; i < note->ngaps; i++) {
        name = beacond_missed_name(&note->gaps[i]);
        (void) beacond_live_gap(live, name, note->gaps[i].n);
    }
}

/*
 * Nobody will bring what is missing between the lane's place and "to": it is
 * told, of the sites that were noted when the ring gave it back.  true: the
 * note is another one now.
 */
static bool
beacond_slive_hole(beacond_sink_t *sink, beacond_live_t *live,
    const beacond_places_note_t *note, const beacond_span_t *span,
    const beacon_cursor_t *to)
{
    bool                   known;
    uint32_t               k;
    uint64_t               lack;
    beacond_slive_t       *slive = sink->data;
    beacond_missed_run_t  *run = &slive->hole;

    /* of a lane without a place yet, nothing is there that was not noted */

    k = beacond_places_look(note, span->epoch, span->number);
    known = k < note->nplaces;
    lack = known ? to->ordinal - note->places[k].at.ordinal
           : to->ordinal < INT32_MAX ? to->ordinal : INT32_MAX;

    if (lack == 0 || (known && note->places[k].at.ordinal > to->ordinal)) {
        return false;
    }

    beacond_missed_reset(run, 0);
    beacond_passed_count(span->epoch, span->number, to->ordinal - lack,
                         to->ordinal, run);

    if (!known && run->hits == 0) {
        return false;
    }

    if (known && run->hits < lack) {
        run->unknown += lack - run->hits;
    }

    run->spans[0] = *span;
    run->spans[0].to = *to;
    run->nspans = 1;
    beacond_slive_run(sink, live, run);

    return true;
}

void
beacond_slive_tell(beacond_sink_t *sink, beacond_live_t *live)
{
    uint32_t                i;
    beacond_slive_t        *slive = sink->data;
    beacond_missed_run_t   *run;
    beacond_places_note_t  *note;

    for ( ;; ) {
        run = beacond_missed_take(&slive->missed, slive->turn);

        if (run == NULL) {
            return;
        }

        note = beacond_places_next(&slive->places);

        for (i = 0; i < run->nspans; i++) {
            if (beacond_slive_hole(sink, live, note, &run->spans[i],
                                   &run->spans[i].from))
            {
                note = beacond_places_next(&slive->places);
            }
        }

        /* of a hole nothing else is known */

        if (run->hits > 0 || run->unknown > 0) {
            beacond_slive_run(sink, live, run);
        }

        beacond_missed_give(&slive->missed, run);
    }
}

beacond_places_note_t *
beacond_slive_next(beacond_sink_t *sink, beacond_live_t *live,
    const beacond_batch_t *batch)
{
    uint32_t                i, k;
    beacon_cursor_t         to;
    beacond_slive_t        *slive = sink->data;
    const beacond_span_t   *span;
    beacond_places_note_t  *note = beacond_places_next(&slive->places);

    for (i = 0; i < batch->nspans; i++) {
        span = &batch->spans[i];
        to = span->to;

        for (k = 0; k < batch->nhits && span->hits > 0; k++) {
            if (batch->hits[k].span == i) {
                to.ordinal = batch->hits[k].ordinal;
                to.offset = batch->hits[k].offset;
                break;
            }
        }

        if (beacond_slive_hole(sink, live, note, span, &to)) {
            note = beacond_places_next(&slive->places);
        }
    }

    return note;
}
