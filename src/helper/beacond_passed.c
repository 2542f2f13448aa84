#include "beacond_passed.h"
#include "beacond_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BEACOND_PASSED_MAGIC   0x3153415043454242ULL
#define BEACOND_PASSED_LAYOUT  1
#define BEACOND_PASSED_SLOTS   (2 * BEACOND_PASSED_SITES)

typedef struct {
    uint32_t  ordinal;                  /* its low half */
    uint16_t  lane;                     /* index */
    uint16_t  site;                     /* index, or NONE */
} beacond_passed_hit_t;

typedef struct {
    uint64_t  epoch;
    uint32_t  lane;
    uint32_t  reserved;
} beacond_passed_lane_t;

typedef struct {
    uint8_t  len;
    uint8_t  site[BEACON_SITE_MAX];
} beacond_passed_site_t;

typedef struct {
    _Atomic uint64_t       magic;       /* stored last, when it is made */
    uint32_t               layout;
    uint32_t               size;
    _Atomic uint32_t       nsites;
    _Atomic uint32_t       nlanes;
    _Atomic uint64_t       tail;
    _Atomic uint64_t       head;
    beacond_passed_lane_t  lanes[BEACON_BOOKS_LANES];
    beacond_passed_site_t  sites[BEACOND_PASSED_SITES];
    beacond_passed_hit_t   hits[BEACOND_PASSED_HITS];
} beacond_passed_file_t;

typedef struct {
    pthread_mutex_t         mutex;
    unsigned                users;
    beacond_passed_file_t  *file;       /* NULL: nothing is noted */
    bool                    some[BEACON_BOOKS_LANES];   /* of a lane, and */
    uint32_t                noted[BEACON_BOOKS_LANES];  /*   up to where */
    uint16_t                slots[BEACOND_PASSED_SLOTS];    /* of sites:
                                                               index + 1 */
} beacond_passed_t;

static beacond_passed_t  beacond_passed = {
    .mutex = PTHREAD_MUTEX_INITIALIZER
};

static void
beacond_passed_path(char *path, const char *dir)
{
    snprintf(path, PATH_MAX, "%s/live.passed", dir);
}

/* Its slot: where it is, or where it would be. */
static uint16_t *
beacond_passed_slot(const uint8_t *name, size_t len)
{
    size_t                        i;
    uint32_t                      slot, hash = 2166136261u;
    const beacond_passed_site_t  *site;

    for (i = 0; i < len; i++) {
        hash = (hash ^ name[i]) * 16777619u;
    }

    slot = (hash ^ hash >> 15) % BEACOND_PASSED_SLOTS;

    while (beacond_passed.slots[slot] != 0) {
        site = &beacond_passed.file->sites[beacond_passed.slots[slot] - 1];

        if (site->len == len && memcmp(site->site, name, len) == 0) {
            break;
        }

        slot = (slot + 1) % BEACOND_PASSED_SLOTS;
    }

    return &beacond_passed.slots[slot];
}

static void
beacond_passed_clear(beacond_passed_file_t *file)
{
    atomic_store(&file->tail, file->head);
    atomic_store(&file->nsites, 0);
    atomic_store(&file->nlanes, 0);
    memset(beacond_passed.some, 0, sizeof(beacond_passed.some));
    memset(beacond_passed.slots, 0, sizeof(beacond_passed.slots));
}

static void
beacond_passed_noted(const beacond_passed_hit_t *hit)
{
    if (hit->lane < BEACON_BOOKS_LANES) {
        beacond_passed.some[hit->lane] = true;
        beacond_passed.noted[hit->lane] = hit->ordinal + 1;
    }
}

/* The index of what the file has; what makes no sense is forgotten. */
static void
beacond_passed_index(beacond_passed_file_t *file)
{
    uint16_t  *slot;
    uint32_t   i;
    uint64_t   n;

    if (file->nsites > BEACOND_PASSED_SITES
        || file->nlanes > BEACON_BOOKS_LANES
        || file->head - file->tail > BEACOND_PASSED_HITS)
    {
        beacond_passed_clear(file);
    }

    memset(beacond_passed.some, 0, sizeof(beacond_passed.some));
    memset(beacond_passed.slots, 0, sizeof(beacond_passed.slots));

    for (n = file->tail; n < file->head; n++) {
        beacond_passed_noted(&file->hits[n % BEACOND_PASSED_HITS]);
    }

    for (i = 0; i < file->nsites; i++) {
        if (file->sites[i].len > BEACON_SITE_MAX) {
            beacond_passed_clear(file);
            return;
        }

        slot = beacond_passed_slot(file->sites[i].site, file->sites[i].len);
        *slot = (uint16_t) (i + 1);
    }
}

static beacond_passed_file_t *
beacond_passed_map(const char *dir)
{
    char                    path[PATH_MAX];
    beacond_passed_file_t  *file;

    beacond_passed_path(path, dir);
    file = beacond_file_map(path, sizeof(beacond_passed_file_t));

    if (file != NULL && (file->magic != BEACOND_PASSED_MAGIC
                         || file->layout != BEACOND_PASSED_LAYOUT
                         || file->size != sizeof(beacond_passed_file_t)))
    {
        file->magic = 0;
        file->head = file->tail = 0;
        file->nsites = file->nlanes = 0;
        file->layout = BEACOND_PASSED_LAYOUT;
        file->size = sizeof(beacond_passed_file_t);
        file->magic = BEACOND_PASSED_MAGIC;
    }

    return file;
}

void
beacond_passed_open(const char *dir)
{
    pthread_mutex_lock(&beacond_passed.mutex);

    if (beacond_passed.users++ == 0) {
        beacond_passed.file = beacond_passed_map(dir);

        if (beacond_passed.file != NULL) {
            beacond_passed_index(beacond_passed.file);
        }
    }

    pthread_mutex_unlock(&beacond_passed.mutex);
}

void
beacond_passed_close(void)
{
    pthread_mutex_lock(&beacond_passed.mutex);

    if (--beacond_passed.users == 0 && beacond_passed.file != NULL) {
        munmap(beacond_passed.file, sizeof(beacond_passed_file_t));
        beacond_passed.file = NULL;
    }

    pthread_mutex_unlock(&beacond_passed.mutex);
}

void
beacond_passed_remove(const char *dir)
{
    char  path[PATH_MAX];

    beacond_passed_path(path, dir);
    unlink(path);
}

/* An index, or NONE. */
static uint16_t
beacond_passed_site(beacond_passed_file_t *file, beacon_str_t name)
{
    uint16_t               *slot;
    beacond_passed_site_t  *site;

    if (name.len == 0 || name.len > BEACON_SITE_MAX) {
        return BEACOND_PASSED_NONE;
    }

    slot = beacond_passed_slot(name.data, name.len);

    if (*slot == 0) {
        if (file->nsites == BEACOND_PASSED_SITES) {
            return BEACOND_PASSED_NONE;
        }

        site = &file->sites[file->nsites];
        site->len = (uint8_t) name.len;
        memcpy(site->site, name.data, name.len);
        *slot = (uint16_t) (file->nsites + 1);
        atomic_fetch_add(&file->nsites, 1);
    }

    return (uint16_t) (*slot - 1);
}

/* nlanes: it is not there. */
static uint32_t
beacond_passed_lane(const beacond_passed_file_t *file, uint64_t epoch,
    uint32_t number)
{
    uint32_t  i;

    for (i = 0; i < file->nlanes; i++) {
        if (file->lanes[i].epoch == epoch && file->lanes[i].lane == number) {
            break;
        }
    }

    return i;
}

static void
beacond_passed_add(beacond_passed_file_t *file, uint16_t lane,
    uint64_t ordinal, beacon_str_t site)
{
    uint64_t               head = file->head;
    beacond_passed_hit_t  *hit;

    /* a helper that was killed had noted it, and not given it back */

    if (beacond_passed.some[lane]
        && (int32_t) ((uint32_t) ordinal - beacond_passed.noted[lane]) < 0)
    {
        return;
    }

    if (head - file->tail == BEACOND_PASSED_HITS) {
        atomic_fetch_add(&file->tail, 1);
    }

    hit = &file->hits[head % BEACOND_PASSED_HITS];
    hit->ordinal = (uint32_t) ordinal;
    hit->lane = lane;
    hit->site = beacond_passed_site(file, site);
    atomic_store(&file->head, head + 1);
    beacond_passed_noted(hit);
}

static void
beacond_passed_batch(beacond_passed_file_t *file,
    const beacond_batch_t *batch, uint64_t ordinal)
{
    uint32_t               i, lane;
    uint64_t               at;
    const beacond_span_t  *span = &batch->spans[0];

    lane = beacond_passed_lane(file, span->epoch, span->number);

    if (lane == BEACON_BOOKS_LANES) {
        return;
    }

    if (lane == file->nlanes) {
        file->lanes[lane].epoch = span->epoch;
        file->lanes[lane].lane = span->number;
        atomic_store(&file->nlanes, lane + 1);
    }

    for (i = 0; i < batch->nlines; i++) {
        at = batch->hits[batch->lines[i].hit].ordinal;

        if (at >= ordinal) {
            beacond_passed_add(file, (uint16_t) lane, at,
                               beacond_line_site(batch, &batch->lines[i]));
        }
    }
}

void
beacond_passed_note(const beacond_batch_t *batch, uint64_t ordinal)
{
    pthread_mutex_lock(&beacond_passed.mutex);

    if (beacond_passed.file != NULL) {
        beacond_passed_batch(beacond_passed.file, batch, ordinal);
    }

    pthread_mutex_unlock(&beacond_passed.mutex);
}

static void
beacond_passed_look(const beacond_passed_file_t *file, uint32_t lane,
    uint64_t from, uint64_t to, beacond_missed_run_t *run)
{
    uint64_t                      i;
    const beacond_passed_hit_t   *hit;
    const beacond_passed_site_t  *site;

    for (i = file->tail; i < file->head; i++) {
        hit = &file->hits[i % BEACOND_PASSED_HITS];

        /* lanes do not hold 2^31 hits */

        if (hit->lane == lane && hit->site < file->nsites
            && (int32_t) (hit->ordinal - (uint32_t) to) < 0
            && (int32_t) (hit->ordinal - (uint32_t) from) >= 0)
        {
            site = &file->sites[hit->site];
            beacond_missed_count(run, site->site, site->len);
            run->hits++;
        }
    }
}

void
beacond_passed_count(uint64_t epoch, uint32_t number, uint64_t from,
    uint64_t to, beacond_missed_run_t *run)
{
    uint32_t                      lane;
    const beacond_passed_file_t  *file;

    pthread_mutex_lock(&beacond_passed.mutex);
    file = beacond_passed.file;

    if (file != NULL && file->tail < file->head) {
        lane = beacond_passed_lane(file, epoch, number);

        if (lane < file->nlanes) {
            beacond_passed_look(file, lane, from, to, run);
        }
    }

    pthread_mutex_unlock(&beacond_passed.mutex);
}

/* Up to where each lane is of no use any more. */
static void
beacond_passed_behind(beacond_passed_file_t *file,
    const beacond_places_note_t *note)
{
    uint32_t                     i, lane;
    bool                         known[BEACON_BOOKS_LANES] = { false };
    uint32_t                     at[BEACON_BOOKS_LANES];
    const beacond_passed_hit_t  *hit;

    for (i = 0; i < note->nplaces; i++) {
        lane = beacond_passed_lane(file, note->places[i].epoch,
                                   note->places[i].lane);

        if (lane < file->nlanes) {
            known[lane] = true;
            at[lane] = (uint32_t) note->places[i].at.ordinal;
        }
    }

    while (file->tail < file->head) {
        hit = &file->hits[file->tail % BEACOND_PASSED_HITS];

        if (hit->lane >= BEACON_BOOKS_LANES || !known[hit->lane]
            || (int32_t) (hit->ordinal - at[hit->lane]) >= 0)
        {
            return;
        }

        atomic_fetch_add(&file->tail, 1);
    }
}

void
beacond_passed_tidy(beacond_places_t *places)
{
    beacond_passed_file_t  *file;

    pthread_mutex_lock(&beacond_passed.mutex);
    file = beacond_passed.file;

    if (file != NULL && file->head > 0) {
        if (places != NULL && file->tail < file->head) {
            beacond_passed_behind(file, beacond_places_next(places));
        }

        if (places == NULL || file->tail == file->head) {
            beacond_passed_clear(file);
        }
    }

    pthread_mutex_unlock(&beacond_passed.mutex);
}
