/*
 * How far the live sink has come in each lane, exact after a SIGKILL at any
 * point: <ring>/live.places, mapped.
 *
 * Before the sink touches the store it notes here where it stands, and what it
 * is about to do: gaps to be told, then hits, each with the place that it
 * stands at once that is done.  Every one of them takes the next mark, which
 * the store commits with it: so the store's mark says how many of them are
 * done, whenever the helper dies.  Two notes, written in turn; "turn" is
 * stored last.
 *
 * The gaps that are noted and not told are told at start; the places are those
 * behind them.  What is missing of sites that the store has never seen is
 * carried from note to note, until a hit of the site is put that tells it.
 *
 * Of a store with a lower mark than the note's, or none, the note knows
 * nothing.
 */

#ifndef BEACOND_LIVE_PLACES_H
#define BEACOND_LIVE_PLACES_H

#include "beacond_live.h"
#include "beacond_missed.h"

#include <stdatomic.h>
#include <stdbool.h>

#define BEACOND_PLACES_MAGIC   0x31434c5043454242ULL
#define BEACOND_PLACES_LAYOUT  2
#define BEACOND_PLACES_CARRY   256

typedef struct {
    uint64_t         epoch;             /* 0: none */
    beacon_cursor_t  at;
    uint32_t         lane;
    uint32_t         reserved;
} beacond_place_t;

typedef struct {
    beacon_cursor_t  to;
    uint32_t         place;             /* index */
    uint32_t         carried;           /* index + 1 of the carry that goes
                                           with it; 0: none */
} beacond_place_hit_t;

typedef struct {
    uint64_t             mark;          /* last one before them */
    uint64_t             done;          /* hits, by the books */
    uint64_t             unknown;       /* missed, of sites nobody knows */
    uint32_t             nplaces;
    uint32_t             ngaps;
    uint32_t             nhits;
    uint32_t             ncarry;
    beacond_place_t      places[BEACON_BOOKS_LANES];
    beacond_missed_site_t  carry[BEACOND_PLACES_CARRY];     /* before them */
    beacond_missed_site_t  gaps[BEACOND_MISSED_SITES];
    beacond_place_hit_t  hits[BEACOND_BATCH_HITS];
} beacond_places_note_t;

typedef struct {
    _Atomic uint64_t       magic;       /* stored last, when it is made */
    uint32_t               layout;
    uint32_t               size;
    _Atomic uint32_t       turn;        /* which note holds */
    uint32_t               reserved;
    beacond_places_note_t  notes[2];
} beacond_places_file_t;

typedef struct {
    beacond_places_file_t  *file;
} beacond_places_t;

/* Maps the file, made anew if it is none of ours.  SYS: errno. */
beacon_rc_t beacond_places_open(beacond_places_t *places, const char *dir,
    beacon_err_t *err);
void beacond_places_close(beacond_places_t *places);
void beacond_places_remove(const char *dir);

/* Nothing was ever noted in it. */
bool beacond_places_blank(const beacond_places_t *places);

/*
 * After the store is open: tells it the gaps that are left, and returns what
 * beacond_places_next() does.  NULL: it says nothing of this store.
 */
beacond_places_note_t *beacond_places_load(beacond_places_t *places,
    beacond_live_t *live);

/* The note to be filled in: places, done and carry are those behind all of the
   last one, there are no gaps and no hits. */
beacond_places_note_t *beacond_places_next(beacond_places_t *places);

/* The lane's index in note->places; nplaces: it is not there. */
uint32_t beacond_places_look(const beacond_places_note_t *note, uint64_t epoch,
    uint32_t lane);

/* The same; one that is not there stands at "at".
   For BEACOND_BATCH_LANES new ones there is always room. */
uint32_t beacond_places_find(beacond_places_note_t *note, uint64_t epoch,
    uint32_t lane, const beacon_cursor_t *at);

/* So many more are missing of a site that the store does not know; false:
   there is no room for another site. */
bool beacond_places_carry(beacond_places_note_t *note,
    const beacond_missed_site_t *site);

/* Is something carried for the site?  An index + 1; 0: no. */
uint32_t beacond_places_carried(const beacond_places_note_t *note,
    beacon_str_t site);

/* It holds from now on. */
void beacond_places_publish(beacond_places_t *places);

#endif /* BEACOND_LIVE_PLACES_H */
