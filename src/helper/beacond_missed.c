#include "beacond_missed.h"

#include <stdlib.h>
#include <string.h>

void
beacond_missed_init(beacond_missed_t *missed)
{
    memset(missed, 0, sizeof(beacond_missed_t));
    pthread_mutex_init(&missed->mutex, NULL);
}

void
beacond_missed_dispose(beacond_missed_t *missed)
{
    while (missed->nruns > 0) {
        free(missed->runs[--missed->nruns]);
    }

    free(missed->spare);
    pthread_mutex_destroy(&missed->mutex);
}

void
beacond_missed_reset(beacond_missed_run_t *run, uint64_t turn)
{
    memset(run, 0, offsetof(beacond_missed_run_t, sites));
    run->turn = turn;
}

static beacond_span_t *
beacond_missed_lane(beacond_missed_run_t *run, const beacond_span_t *span)
{
    uint32_t  i;

    for (i = 0; i < run->nspans; i++) {
        if (run->spans[i].epoch == span->epoch
            && run->spans[i].number == span->number)
        {
            return &run->spans[i];
        }
    }

    return NULL;
}

/* Does the batch go on where the run ends, in every lane?  One without hits
   is a hole. */
static bool
beacond_missed_follows(beacond_missed_run_t *run, const beacond_batch_t *batch)
{
    uint32_t               i;
    const beacond_span_t  *span, *last;

    for (i = 0; i < batch->nspans; i++) {
        span = &batch->spans[i];
        last = beacond_missed_lane(run, span);

        if (last != NULL
            && (span->hits == 0 || last->to.ordinal < span->from.ordinal))
        {
            return false;
        }
    }

    return true;
}

/* The newest run, if it is the same one that goes on; else another. */
static beacond_missed_run_t *
beacond_missed_run(beacond_missed_t *missed, const beacond_batch_t *batch,
    uint64_t turn)
{
    beacond_missed_run_t  *run;

    run = missed->nruns > 0 ? missed->runs[missed->nruns - 1] : NULL;

    if (run != NULL && (missed->nruns == BEACOND_MISSED_RUNS
                        || (run->turn == turn
                            && beacond_missed_follows(run, batch))))
    {
        run->turn = turn;
        return run;
    }

    run = missed->spare;
    missed->spare = NULL;

    if (run == NULL) {
        run = malloc(sizeof(beacond_missed_run_t));
    }

    if (run == NULL) {
        return NULL;
    }

    beacond_missed_reset(run, turn);
    missed->runs[missed->nruns++] = run;

    return run;
}

void
beacond_missed_count(beacond_missed_run_t *run, const uint8_t *name,
    size_t len)
{
    size_t                  i;
    uint32_t                slot, hash = 2166136261u;
    beacond_missed_site_t  *site;

    for (i = 0; i < len; i++) {
        hash = (hash ^ name[i]) * 16777619u;
    }

    slot = (hash ^ hash >> 15) % (2 * BEACOND_MISSED_SITES);

    while (run->slots[slot] != 0) {
        site = &run->sites[run->slots[slot] - 1];

        if (site->len == len && memcmp(site->site, name, len) == 0) {
            site->n++;
            return;
        }

        slot = (slot + 1) % (2 * BEACOND_MISSED_SITES);
    }

    if (run->nsites == BEACOND_MISSED_SITES) {
        run->unknown++;
        return;
    }

    site = &run->sites[run->nsites++];
    run->slots[slot] = (uint16_t) run->nsites;
    site->n = 1;
    site->len = (uint8_t) len;
    memcpy(site->site, name, len);
}

static void
beacond_missed_span(beacond_missed_run_t *run, const beacond_span_t *span)
{
    beacond_span_t  *last = beacond_missed_lane(run, span);

    if (last != NULL) {
        if (span->hits == 0 || last->to.ordinal < span->from.ordinal) {
            run->unknown += (span->hits == 0 ? span->to : span->from).ordinal
                            - last->to.ordinal;
        }

        last->to = span->to;
        return;
    }

    if (run->nspans < BEACON_BOOKS_LANES) {
        last = &run->spans[run->nspans++];
        *last = *span;

        /* a hole: somebody may know more of it */

        if (span->hits == 0) {
            last->from = span->to;
        }
    }
}

void
beacond_missed_add(beacond_missed_t *missed, const beacond_batch_t *batch,
    uint64_t turn)
{
    uint32_t               i;
    const beacond_line_t  *line;
    beacond_missed_run_t  *run;

    pthread_mutex_lock(&missed->mutex);
    run = beacond_missed_run(missed, batch, turn);

    if (run == NULL) {
        pthread_mutex_unlock(&missed->mutex);
        return;
    }

    for (i = 0; i < batch->nlines; i++) {
        line = &batch->lines[i];

        if (line->line.site_len <= BEACON_SITE_MAX) {
            beacond_missed_count(run, batch->arena + line->offset
                                      + line->line.site_offset,
                                 line->line.site_len);
        }
    }

    for (i = 0; i < batch->nhits; i++) {
        run->unknown += batch->hits[i].missing;
    }

    for (i = 0; i < batch->nspans; i++) {
        beacond_missed_span(run, &batch->spans[i]);
    }

    run->hits += batch->nhits;
    pthread_mutex_unlock(&missed->mutex);
}

beacond_missed_run_t *
beacond_missed_take(beacond_missed_t *missed, uint64_t turn)
{
    beacond_missed_run_t  *run = NULL;

    pthread_mutex_lock(&missed->mutex);

    if (missed->nruns > 0 && missed->runs[0]->turn <= turn) {
        run = missed->runs[0];
        missed->nruns--;
        memmove(missed->runs, missed->runs + 1,
                missed->nruns * sizeof(missed->runs[0]));
    }

    pthread_mutex_unlock(&missed->mutex);

    return run;
}

void
beacond_missed_give(beacond_missed_t *missed, beacond_missed_run_t *run)
{
    pthread_mutex_lock(&missed->mutex);

    if (missed->spare == NULL) {
        missed->spare = run;
        run = NULL;
    }

    pthread_mutex_unlock(&missed->mutex);
    free(run);
}
