/*
 * What is noted of hits that the ring gave back: found by lane and ordinal,
 * also by the next helper; let go when it is of no use; bounded.
 */

#include "beacond_passed.h"
#include "tap.h"

#include <string.h>
#include <unistd.h>

#define BEACON_EPOCH  0x9f3c0a1100000001ULL

static char                   beacon_dir[64];
static beacond_pool_t         beacon_pool;
static beacond_missed_run_t   beacon_run;
static beacond_places_file_t  beacon_file;
static beacond_places_t       beacon_places = { &beacon_file };

/* n hits of a lane from this ordinal on; of site s<ordinal % sites>. */
static void
beacon_note(uint32_t lane, uint64_t ordinal, uint32_t n, unsigned sites,
    uint64_t from)
{
    char              name[32];
    uint32_t          i;
    beacond_batch_t  *batch = beacond_pool_get(&beacon_pool);
    beacond_line_t   *line;

    batch->nspans = 1;
    batch->spans[0].epoch = BEACON_EPOCH;
    batch->spans[0].number = lane;

    for (i = 0; i < n; i++) {
        line = &batch->lines[i];
        memset(line, 0, sizeof(beacond_line_t));
        snprintf(name, sizeof(name), "s%u",
                 (unsigned) ((ordinal + i) % sites));
        line->hit = i;
        line->offset = (uint32_t) batch->lines_len;
        line->line.len = line->line.site_len = (uint16_t) strlen(name);
        memcpy(batch->arena + line->offset, name, strlen(name));
        batch->lines_len += strlen(name);
        batch->hits[i].ordinal = ordinal + i;
    }

    batch->nhits = batch->nlines = n;
    beacond_passed_note(batch, from);
    beacond_batch_unref(batch);
}

/* Hits that are found, and how many of them are of that site. */
static uint64_t
beacon_count(uint32_t lane, uint64_t from, uint64_t to, const char *name,
    uint64_t *of)
{
    uint32_t  i;

    beacond_missed_reset(&beacon_run, 0);
    beacond_passed_count(BEACON_EPOCH, lane, from, to, &beacon_run);

    for (*of = 0, i = 0; i < beacon_run.nsites; i++) {
        if (beacon_run.sites[i].len == strlen(name)
            && memcmp(beacon_run.sites[i].site, name, strlen(name)) == 0)
        {
            *of += beacon_run.sites[i].n;
        }
    }

    return beacon_run.hits;
}

/* The sink's place in a lane. */
static void
beacon_at(uint32_t lane, uint64_t ordinal)
{
    uint32_t                i;
    beacon_cursor_t         at = { ordinal * 64, ordinal };
    beacond_places_note_t  *note = beacond_places_next(&beacon_places);

    i = beacond_places_find(note, BEACON_EPOCH, lane, &at);
    note->places[i].at = at;
    beacond_places_publish(&beacon_places);
    beacond_passed_tidy(&beacon_places);
}

static void
beacon_finds(void)
{
    uint64_t  of;

    beacon_note(3, 1000, 100, 4, 1000);
    beacon_note(5, 1000, 60, 4, 1020);
    ok(beacon_count(3, 1000, 1100, "s1", &of) == 100 && of == 25,
       "a_lane_s_hits_are_found_by_their_sites");
    ok(beacon_count(3, 1010, 1018, "s2", &of) == 8 && of == 2,
       "or_some_of_them");
    ok(beacon_count(5, 1000, 1060, "s0", &of) == 40 && of == 10,
       "not_those_before_the_ordinal_that_was_asked_for");
    ok(beacon_count(4, 0, 2000, "s0", &of) == 0, "nor_of_another_lane");

    beacon_note(3, 1050, 100, 4, 1050);
    ok(beacon_count(3, 1000, 1150, "s1", &of) == 150,
       "what_is_noted_twice_is_there_once");

    beacond_passed_close();
    beacond_passed_open(beacon_dir);
    ok(beacon_count(3, 1000, 1150, "s1", &of) == 150 && of == 38,
       "the_next_helper_finds_them");
    beacon_note(3, 1100, 60, 4, 1100);
    ok(beacon_count(3, 1000, 1160, "s1", &of) == 160,
       "and_what_the_last_one_noted_is_not_noted_again");
}

static void
beacon_tidies(void)
{
    uint64_t  of;

    beacon_at(3, 1100);
    ok(beacon_count(3, 0, 1100, "s1", &of) == 0
       && beacon_count(3, 1100, 1160, "s1", &of) == 60,
       "what_the_sink_is_behind_is_let_go");
    beacon_at(5, 1030);
    beacon_at(3, 1160);
    ok(beacon_count(5, 1030, 1060, "s1", &of) == 30,
       "a_lane_keeps_what_it_is_not_behind");
    beacon_at(5, 1060);
    ok(beacon_count(3, 0, 2000, "s1", &of) == 0
       && beacon_count(5, 0, 2000, "s1", &of) == 0, "at_last_all_goes");
    beacon_note(5, 500, 10, 1, 500);
    ok(beacon_count(5, 500, 510, "s0", &of) == 10,
       "an_empty_list_knows_nothing_of_before");
    beacond_passed_tidy(NULL);
    ok(beacon_count(5, 500, 510, "s0", &of) == 0,
       "another_store_begins_without");
}

static void
beacon_bounds(void)
{
    uint64_t  n, of, last;

    for (n = 0; n < BEACOND_PASSED_HITS + 4096; n += BEACOND_BATCH_HITS) {
        beacon_note(7, n, BEACOND_BATCH_HITS, 8, 0);
    }

    last = n;
    ok(beacon_count(7, 0, last, "s0", &of) == BEACOND_PASSED_HITS
       && beacon_count(7, last - 100, last, "s0", &of) == 100,
       "when_there_are_too_many_the_oldest_go");
    beacond_passed_tidy(NULL);

    for (n = 0; n < 2 * BEACOND_PASSED_SITES; n += BEACOND_BATCH_HITS) {
        beacon_note(7, n, BEACOND_BATCH_HITS, 1000000, 0);
    }

    ok(beacon_count(7, 0, n, "s17", &of) == BEACOND_PASSED_SITES && of == 1,
       "of_more_sites_than_there_is_room_for_nothing_is_known");
    beacond_passed_tidy(NULL);

    n = (1ULL << 32) - 100;
    beacon_note(7, n, 200, 8, n);
    ok(beacon_count(7, n, n + 200, "s0", &of) == 200
       && beacon_count(7, n + 150, n + 160, "s0", &of) == 10,
       "ordinals_may_pass_2_32");
    beacon_at(7, n + 120);
    ok(beacon_count(7, n + 120, n + 200, "s0", &of) == 80
       && beacon_count(7, n, n + 120, "s0", &of) == 0, "places_too");
    beacond_passed_tidy(NULL);
}

static void
beacon_damage(void)
{
    char      path[128];
    FILE     *file;
    unsigned  i, k;
    uint64_t  of;

    snprintf(path, sizeof(path), "%s/live.passed", beacon_dir);
    srand(7);

    for (i = 0; i < 200; i++) {
        beacon_note(1, i * 64, 64, 9, 0);
        beacond_passed_close();
        file = fopen(path, "r+");

        for (k = 0; k < 8; k++) {
            fseek(file, rand() % (k < 4 ? 64 : 32768), SEEK_SET);
            fputc(rand(), file);
        }

        fclose(file);
        beacond_passed_open(beacon_dir);
        (void) beacon_count(1, 0, i * 64, "s0", &of);
        beacon_at(1, i * 64 + 32);
    }

    beacond_passed_tidy(NULL);
    beacon_note(1, 1, 10, 1, 0);
    ok(beacon_count(1, 1, 11, "s0", &of) == 10,
       "a_damaged_list_is_forgotten_or_harmless");
}

int
main(void)
{
    char  command[128];

    strcpy(beacon_dir, "/dev/shm/beacon-test.XXXXXX");

    if (mkdtemp(beacon_dir) == NULL) {
        return 1;
    }

    beacond_pool_init(&beacon_pool, 1, NULL, NULL);
    beacond_passed_open(beacon_dir);
    beacon_finds();
    beacon_tidies();
    beacon_bounds();
    beacon_damage();
    beacond_passed_close();
    beacond_passed_remove(beacon_dir);
    snprintf(command, sizeof(command), "rmdir %s", beacon_dir);
    ok(system(command) == 0, "it_can_be_removed");
    beacond_pool_dispose(&beacon_pool);

    return done_testing();
}
