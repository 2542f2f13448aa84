#include "beacond_live_places.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void
beacond_places_path(char *path, const char *dir)
{
    snprintf(path, PATH_MAX, "%s/live.places", dir);
}

/* All of it is allocated: a sparse tmpfs turns ENOSPC into SIGBUS. */
static int
beacond_places_size(int fd)
{
    int          rc;
    struct stat  st;

    if (fstat(fd, &st) == -1) {
        return -1;
    }

    if (st.st_size > (off_t) sizeof(beacond_places_file_t)
        && ftruncate(fd, 0) == -1)
    {
        return -1;
    }

    rc = posix_fallocate(fd, 0, sizeof(beacond_places_file_t));

    if (rc != 0) {
        errno = rc;
        return -1;
    }

    return 0;
}

beacon_rc_t
beacond_places_open(beacond_places_t *places, const char *dir,
    beacon_err_t *err)
{
    int                     fd;
    char                    path[PATH_MAX];
    beacond_places_file_t  *file = MAP_FAILED;

    beacond_places_path(path, dir);
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd >= 0 && beacond_places_size(fd) == 0) {
        file = mmap(NULL, sizeof(beacond_places_file_t),
                    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }

    if (file == MAP_FAILED) {
        beacon_err(err, "%.160s: %s", path, strerror(errno));

        if (fd >= 0) {
            close(fd);
        }

        return BEACON_SYS;
    }

    close(fd);

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
        || (note->ngaps > 0 && note->nhits > 0))
    {
        return false;
    }

    for (i = 0; i < note->nhits; i++) {
        if (note->hits[i].place >= note->nplaces) {
            return false;
        }
    }

    return true;
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
        name.data = note->gaps[k].site;
        name.len = note->gaps[k].len;

        if (name.len <= BEACON_SITE_MAX) {
            (void) beacond_live_gap(live, name, note->gaps[k].n);
        }
    }

    beacond_places_cut(note, live->mark - note->mark);

    return beacond_places_next(places);
}

beacond_places_note_t *
beacond_places_next(beacond_places_t *places)
{
    uint32_t                i, turn = places->file->turn;
    beacond_places_note_t  *note = &places->file->notes[turn];
    beacond_places_note_t  *next = &places->file->notes[!turn];

    next->mark = note->mark;
    next->done = note->done + note->nhits;
    next->unknown = note->unknown;
    next->nplaces = note->nplaces;
    next->ngaps = next->nhits = 0;
    memcpy(next->places, note->places,
           note->nplaces * sizeof(beacond_place_t));

    for (i = 0; i < note->nhits; i++) {
        next->places[note->hits[i].place].at = note->hits[i].to;
    }

    /* lanes of long ago go: a batch's are to have room */

    if (next->nplaces > BEACON_BOOKS_LANES - BEACOND_BATCH_LANES) {
        next->nplaces -= BEACOND_BATCH_LANES;
        memmove(next->places, next->places + BEACOND_BATCH_LANES,
                next->nplaces * sizeof(beacond_place_t));
    }

    return next;
}

uint32_t
beacond_places_find(beacond_places_note_t *note, uint64_t epoch,
    uint32_t lane, const beacon_cursor_t *at)
{
    uint32_t          i;
    beacond_place_t  *place;

    for (i = 0; i < note->nplaces; i++) {
        place = &note->places[i];

        if (place->epoch == epoch && place->lane == lane) {
            return i;
        }
    }

    note->nplaces = i + 1;
    place = &note->places[i];
    place->epoch = epoch;
    place->lane = lane;
    place->reserved = 0;
    place->at = *at;

    return i;
}

void
beacond_places_publish(beacond_places_t *places)
{
    atomic_store_explicit(&places->file->turn, !places->file->turn,
                          memory_order_release);
}
