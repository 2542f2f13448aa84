/* What is carried from note to note for sites that the store does not know:
   there after a kill, until the hit is put that tells it. */

#include "beacond_live_places.h"
#include "tap.h"

#include <string.h>
#include <unistd.h>

static char              beacon_dir[64];
static beacon_err_t      beacon_error;
static beacond_places_t  beacon_places;

static uint64_t
beacon_carried(const beacond_places_note_t *note, const char *name)
{
    uint32_t      i;
    beacon_str_t  site = { strlen(name), (const uint8_t *) name };

    i = beacond_places_carried(note, site);

    return i > 0 ? note->carry[i - 1].n : 0;
}

static bool
beacon_carry(beacond_places_note_t *note, const char *name, uint64_t n)
{
    beacond_missed_site_t  site = { .n = n, .len = (uint8_t) strlen(name) };

    memcpy(site.site, name, strlen(name));

    return beacond_places_carry(note, &site);
}

/* A helper dies; the store of the next one has this mark. */
static beacond_places_note_t *
beacon_again(uint64_t mark)
{
    beacond_live_t  live = { NULL, mark, NULL };

    beacond_places_close(&beacon_places);

    if (beacond_places_open(&beacon_places, beacon_dir, &beacon_error)
        != BEACON_OK)
    {
        return NULL;
    }

    return beacond_places_load(&beacon_places, &live);
}

/* A note with three hits, the first and the last of which tell something. */
static void
beacon_hits(uint64_t mark)
{
    uint32_t                i;
    beacon_cursor_t         at = { 0, 0 };
    beacond_places_note_t  *note = beacond_places_next(&beacon_places);

    (void) beacond_places_find(note, 7, 0, &at);
    note->mark = mark;
    note->nhits = 3;

    for (i = 0; i < 3; i++) {
        note->hits[i].place = 0;
        note->hits[i].carried = i == 1 ? 0 : i / 2 + 1;
        note->hits[i].to.ordinal = i + 1;
        note->hits[i].to.offset = 64 * (i + 1);
    }

    beacond_places_publish(&beacon_places);
}

static void
beacon_carries(void)
{
    beacond_places_note_t  *note;

    note = beacond_places_next(&beacon_places);
    ok(beacon_carry(note, "shop", 3) && beacon_carry(note, "news", 5)
       && beacon_carry(note, "blog", 1) && beacon_carry(note, "shop", 4)
       && beacon_carried(note, "shop") == 7, "a_site_is_carried_once");
    beacond_places_publish(&beacon_places);

    beacon_hits(100);
    note = beacon_again(100);
    ok(note != NULL && note->ncarry == 3 && beacon_carried(note, "shop") == 7,
       "a_hit_that_was_not_put_tells_nothing");
    beacon_hits(100);
    note = beacon_again(102);
    ok(note != NULL && beacon_carried(note, "shop") == 0
       && beacon_carried(note, "news") == 5
       && beacon_carried(note, "blog") == 1,
       "one_that_was_has_told");
    note = beacond_places_next(&beacon_places);
    ok(note->ncarry == 2 && note->done == 2, "and_will_not_again");
}

static void
beacon_bounds(void)
{
    char                    name[16];
    uint32_t                i;
    beacond_places_note_t  *note = beacond_places_next(&beacon_places);

    for (i = note->ncarry; i < BEACOND_PLACES_CARRY; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        (void) beacon_carry(note, name, 1);
    }

    ok(!beacon_carry(note, "more", 1) && beacon_carry(note, "s100", 1)
       && beacon_carried(note, "s100") == 2, "there_is_room_for_so_many");
    beacond_places_publish(&beacon_places);
    note = beacon_again(50);
    ok(note == NULL && beacond_places_next(&beacon_places)->ncarry == 0,
       "another_store_has_nothing_to_be_told");
}

int
main(void)
{
    char  command[128];

    strcpy(beacon_dir, "/dev/shm/beacon-test.XXXXXX");

    if (mkdtemp(beacon_dir) == NULL
        || beacond_places_open(&beacon_places, beacon_dir, &beacon_error)
           != BEACON_OK)
    {
        return 1;
    }

    beacon_carries();
    beacon_bounds();
    beacond_places_close(&beacon_places);
    beacond_places_remove(beacon_dir);
    snprintf(command, sizeof(command), "rmdir %s", beacon_dir);
    ok(system(command) == 0, "nothing_is_left_behind");

    return done_testing();
}
