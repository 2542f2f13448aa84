#include "beacond_live_places.h"
#include "beacond_point.h"
#include "beacond_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void
beacond_places_path(char *path, const char *dir)
{
    snprintf(path, PATH_MAX, "%s/live.places", dir);
}

beacon_rc_t
beacond_places_open(beacond_places_t *places, const char *dir,
    beacon_err_t *err)
{
    char                    path[PATH_MAX];
    beacond_places_file_t  *file;

    beacond_places_path(path, dir);
    file = beacond_file_map(path, sizeof(beacond_places_file_t));

    if (file == NULL) {
        beacon_err(err, "%.160s: %s", path, strerror(errno));
        return BEACON_SYS;
    }

    if (file->magic != BEACOND_PLACES_MAGIC
        || file->layout != BEACOND_PLACES_LAYOUT
        || file->size != sizeof(beacond_places_file_t) || file->turn > 1)
    {
        file->magic = 0;
        file->turn = 0;
        memset(&file->notes[0], 0, offsetof(beacond_places_note_t, places));
        file->layout = BEACOND_PLACES_LAYOUT;
        file->size = sizeof(beacond_places_file_t);
        file->magic = BEACOND_PLACES_MAGIC;
    }

    places->file = file;

    return BEACON_OK;
}

void
beacond_places_close(beacond_places_t *places)
{
    if (places->file != NULL) {
        munmap(places->file, sizeof(beacond_places_file_t));
        places->file = NULL;
    }
}

void
beacond_places_remove(const char *dir)
{
    char  path[PATH_MAX];

    beacond_places_path(path, dir);
    unlink(path);
}

/* So many of its hits are in the store.  Said twice, it says the same. */
static void
beacond_places_cut(beacond_places_note_t *note, uint64_t n)
{
    note->nhits = n < note->nhits ? (uint32_t) n : note->nhits;
}

static bool
beacond_places_sane(const beacond_places_note_t *note)
{
    uint32_t  i;

    if (note->nplaces > BEACON_BOOKS_LANES
        || note->ngaps > BEACOND_MISSED_SITES
        || note->nhits > BEACOND_BATCH_HITS
        || note->ncarry > BEACOND_PLACES_CARRY
        || (note->ngaps > 0 && note->nhits > 0))
    {
        return false;
    }

    for (i = 0; i < note->nhits; i++) {
        if (note->hits[i].place >= note->nplaces
            || note->hits[i].carried > note->ncarry)
        {
            return false;
        }
    }

    for (i = 0; i < note->ncarry; i++) {
        if (note->carry[i].len > BEACON_SITE_MAX) {
            return false;
        }
    }

    return true;
}

bool
beacond_places_blank(const beacond_places_t *places)
{
    const beacond_places_note_t  *note;

    note = &places->file->notes[places->file->turn];

    return note->mark == 0 && note->nplaces == 0;
}

beacond_places_note_t *
beacond_places_load(beacond_places_t *places, beacond_live_t *live)
{
    uint64_t                k;
    beacon_str_t            name;
    beacond_places_note_t  *note;

    note = &places->file->notes[places->file->turn];

    if (live->mark == 0 || live->mark < note->mark || note->nplaces == 0
        || !beacond_places_sane(note))
    {
        memset(note, 0, offsetof(beacond_places_note_t, places));
        return NULL;
    }

    for (k = live->mark - note->mark; k < note->ngaps; k++) {
        name = beacond_missed_name(&note->gaps[k]);

        if (name.len <= BEACON_SITE_MAX) {
            (void) beacond_live_gap(live, name, note->gaps[k].n);
        }
    }

    beacond_places_cut(note, live->mark - note->mark);

    return beacond_places_next(places);
}

/* Without what has gone with the hits. */
static void
beacond_places_pass_on(const beacond_places_note_t *note,
    beacond_places_note_t *next)
{
    bool      gone[BEACOND_PLACES_CARRY + 1] = { false };
    uint32_t  i;

    next->ncarry = 0;

    for (i = 0; i < note->nhits && note->ncarry > 0; i++) {
        gone[note->hits[i].carried] = true;
    }

    for (i = 0; i < note->ncarry; i++) {
        if (!gone[i + 1]) {
            next->carry[next->ncarry++] = note->carry[i];
        }
    }
}

beacond_places_note_t *
beacond_places_next(beacond_places_t *places)
{
    uint32_t                    turn = places->file->turn;
    beacond_places_note_t      *note = &places->file->notes[turn];
    beacond_places_note_t      *next = &places->file->notes[!turn];
    const beacond_place_hit_t  *hit, *end;

    next->mark = note->mark;
    next->done = note->done + note->nhits;
    next->unknown = note->unknown;
    next->nplaces = note->nplaces;
    next->ngaps = next->nhits = 0;
    memcpy(next->places, note->places,
           note->nplaces * sizeof(beacond_place_t));

    hit = note->hits;

    for (end = hit + note->nhits; hit < end; hit++) {
        next->places[hit->place].at = hit->to;
    }

    beacond_places_pass_on(note, next);

    /* lanes of long ago go: a batch's are to have room */

    if (next->nplaces > BEACON_BOOKS_LANES - BEACOND_BATCH_LANES) {
        next->nplaces -= BEACOND_BATCH_LANES;
        memmove(next->places, next->places + BEACOND_BATCH_LANES,
                next->nplaces * sizeof(beacond_place_t));
    }

    return next;
}

uint32_t
beacond_places_look(const beacond_places_note_t *note, uint64_t epoch,
    uint32_t lane)
{
    uint32_t                i;
    const beacond_place_t  *place;

    for (i = 0; i < note->nplaces; i++) {
        place = &note->places[i];

        if (place->epoch == epoch && place->lane == lane) {
            break;
        }
    }

    return i;
}

uint32_t
beacond_places_find(beacond_places_note_t *note, uint64_t epoch,
    uint32_t lane, const beacon_cursor_t *at)
{
    uint32_t          i = beacond_places_look(note, epoch, lane);
    beacond_place_t  *place;

    if (i < note->nplaces) {
        return i;
    }

    note->nplaces = i + 1;
    place = &note->places[i];
    place->epoch = epoch;
    place->lane = lane;
    place->reserved = 0;
    place->at = *at;

    return i;
}

uint32_t
beacond_places_carried(const beacond_places_note_t *note, beacon_str_t site)
{
    uint32_t  i;

    for (i = 0; i < note->ncarry; i++) {
        if (note->carry[i].len == site.len
            && memcmp(note->carry[i].site, site.data, site.len) == 0)
        {
            return i + 1;
        }
    }

    return 0;
}

bool
beacond_places_carry(beacond_places_note_t *note,
    const beacond_missed_site_t *site)
{
    uint32_t      i;
    beacon_str_t  name = beacond_missed_name(site);

    i = beacond_places_carried(note, name);

    if (i > 0) {
        note->carry[i - 1].n += site->n;
        return true;
    }

    if (note->ncarry == BEACOND_PLACES_CARRY) {
        return false;
    }

    note->carry[note->ncarry++] = *site;

    return true;
}

void
beacond_places_publish(beacond_places_t *places)
{
    atomic_store_explicit(&places->file->turn, !places->file->turn,
                          memory_order_release);
    BEACOND_POINT("live.noted");
}
