/* Which hits of a feed have come: gaps, repeats, what cannot be, deaths. */

#include "beacond_feeds.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char              beacon_dir[64];
static beacond_feeds_t  *beacon_feeds;
static uint64_t          beacon_mark, beacon_now = 1000000;
static uint64_t          beacon_missing, beacon_lacking;

static beacond_feeds_at_t
beacon_at(const char *edge, uint64_t feed, const char *site, uint64_t seq)
{
    beacond_feeds_at_t  at;

    at.edge.data = (const uint8_t *) edge;
    at.edge.len = strlen(edge);
    at.feed = feed;
    at.site.data = (const uint8_t *) site;
    at.site.len = strlen(site);
    at.sites = beacon_string("/");
    at.seq = seq;
    at.id = beacon_string("");

    return at;
}

static void
beacon_open(void)
{
    beacon_err_t  err;

    if (beacon_feeds != NULL) {
        beacond_feeds_close(beacon_feeds);
    }

    beacon_feeds = beacond_feeds_open(beacon_dir, beacon_mark, &err);

    if (beacon_feeds == NULL) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }
}

/* As the collector does; -1: not put, else what was missing before it. */
static int
beacon_hit_id(const char *edge, uint64_t feed, const char *site, uint64_t seq,
    const char *id)
{
    beacon_rc_t         rc;
    beacond_feeds_at_t  at = beacon_at(edge, feed, site, seq);

    at.id.data = (const uint8_t *) id;
    at.id.len = strlen(id);
    rc = beacond_feeds_hit(beacon_feeds, &at, beacon_now, beacon_mark + 1,
                           &beacon_missing, &beacon_lacking);

    if (rc != BEACON_OK) {
        return rc == BEACON_INVALID ? -1 : -2;
    }

    beacon_mark++;
    beacond_feeds_done(beacon_feeds);

    return (int) beacon_missing;
}

static int
beacon_hit(const char *edge, uint64_t feed, const char *site, uint64_t seq)
{
    return beacon_hit_id(edge, feed, site, seq, "");
}

static int
beacon_said(const char *edge, uint64_t feed, const char *site, uint64_t seq)
{
    beacon_rc_t         rc;
    beacond_feeds_at_t  at = beacon_at(edge, feed, site, seq);

    rc = beacond_feeds_beat(beacon_feeds, &at, beacon_now, beacon_mark + 1,
                            &beacon_missing, &beacon_lacking);

    if (rc != BEACON_OK) {
        return -2;
    }

    if (beacon_missing > 0) {
        beacon_mark++;
        beacond_feeds_done(beacon_feeds);
    }

    return (int) beacon_missing;
}

/* Said, and not contradicted. */
static int
beacon_beat(const char *edge, uint64_t feed, const char *site, uint64_t seq)
{
    int  first;

    first = beacon_said(edge, feed, site, seq);
    beacon_now += BEACOND_FEEDS_SURE;

    return first != 0 ? first : beacon_said(edge, feed, site, seq);
}

static void
beacon_gaps(void)
{
    ok(beacon_hit("a", 1, "shop", 17) == 0, "a_feed_begins_anywhere");
    ok(beacon_hit("a", 1, "shop", 18) == 0 && beacon_hit("a", 1, "shop", 21)
       == 2, "what_lacks_is_a_gap");
    ok(beacon_hit("a", 1, "shop", 21) == -1
       && beacon_hit("a", 1, "shop", 18) == -1, "nothing_comes_twice");
    ok(beacon_beat("a", 1, "shop", 21) == 0
       && beacon_beat("a", 1, "shop", 25) == 4
       && beacon_beat("a", 1, "shop", 25) == 0
       && beacon_hit("a", 1, "shop", 26) == 0, "a_heartbeat_tells_once");
    ok(beacon_said("a", 1, "shop", 30) == 0
       && beacon_hit("a", 1, "shop", 31) == 4
       && beacon_said("a", 1, "shop", 31) == 0, "or_the_hit_that_comes_first");
    ok(beacon_hit("b", 1, "shop", 5) == 0 && beacon_hit("a", 1, "blog", 9)
       == 0, "edges_and_sites_have_their_own_numbers");
    ok(beacon_hit("a", 2, "shop", 3) == 0 && beacon_hit("a", 2, "shop", 5)
       == 1, "another_feed_begins_anywhere_too");
}

static void
beacon_late(void)
{
    beacon_now += BEACOND_FEEDS_NEW;
    ok(beacon_hit("a", 1, "late", 4) == 3,
       "a_site_that_comes_late_begins_at_one");
    ok(beacon_beat("a", 1, "later", 2) == 2 && beacon_hit("a", 1, "later", 3)
       == 0, "also_by_a_heartbeat");
    ok(beacon_hit("c", 7, "late", 4) == 0, "but_not_of_a_new_feed");
}

static void
beacon_forged(void)
{
    ok(beacon_beat("a", 1, "shop", 1ULL << 52) == -2
       && beacon_hit("a", 1, "shop", 1ULL << 52) == -2
       && beacon_hit("a", 1, "shop", 32) == 0, "a_number_must_be_likely");
    ok(beacon_beat("d", 1, "shop", 1ULL << 52) == 0
       && beacon_hit("d", 1, "shop", 12) == 0
       && beacon_hit("d", 1, "shop", 14) == 1,
       "a_stranger_s_baseline_gives_way_to_a_hit_s");
    ok(beacon_said("d", 1, "shop", 900014) == 0
       && beacon_said("d", 1, "shop", 14) == 0
       && beacon_beat("d", 1, "shop", 900014) == 900000,
       "a_heartbeat_that_lies_is_contradicted_if_anybody_is_there");
    ok(beacon_hit("d", 1, "shop", 15) == 0 && beacon_lacking == 0
       && beacon_hit("d", 1, "shop", 17) == 0 && beacon_lacking == 0,
       "it_silences_no_hits_and_tells_its_gap_once");
    beacon_open();
    ok(beacon_hit("d", 1, "shop", 17) == -1
       && beacon_hit("d", 1, "shop", 15) == -1
       && beacon_hit("d", 1, "shop", 18) == 0, "and_brings_none_twice");
    ok(beacon_hit("d", 1, "shop", 900020) == 2 && beacon_lacking == 2
       && beacon_hit("d", 1, "shop", 20) == 0
       && beacon_hit("d", 1, "shop", 20) == -1,
       "what_was_told_but_came_is_told_no_more");
    beacon_now += 3600 * 1000;
    ok(beacon_hit("a", 1, "shop", 50000000) == 50000000 - 33,
       "after_long_more_is_likely");
}

/* One forged hit, in the midst of a feed's own. */
static void
beacon_forged_hit(void)
{
    int       good = 1;
    uint64_t  seq;

    ok(beacon_hit("f", 1, "shop", 10) == 0
       && beacon_hit("f", 1, "shop", 500000) == 499989,
       "a_forged_hit_tells_a_gap");

    for (seq = 11; seq < 100; seq++) {
        good &= beacon_hit("f", 1, "shop", seq) == 0;
        good &= beacon_hit("f", 1, "shop", seq) == -1;
    }

    ok(good, "but_the_feed_s_own_are_put_once_each");
    beacon_open();
    ok(beacon_hit("f", 1, "shop", 105) == 0 && beacon_lacking == 0
       && beacon_hit("f", 1, "shop", 101) == -1
       && beacon_hit("f", 1, "shop", 500050) == 0
       && beacon_hit("f", 1, "shop", 500101) == 9,
       "and_so_many_gaps_less_are_told");
}

/* Two feeds of one edge. */
static void
beacon_twins(void)
{
    ok(beacon_hit_id("t", 1, "shop", 5, "e-0-40") == 0
       && beacon_hit_id("t", 2, "shop", 1005, "e-0-40") == -1
       && beacon_hit_id("t", 2, "shop", 1006, "e-0-80") == 0
       && beacon_hit_id("t", 1, "shop", 6, "e-0-80") == -1,
       "a_hit_comes_by_one_of_them");
    ok(beacon_hit_id("t", 2, "shop", 1007, "e-0-c0") == 0
       && beacon_hit_id("t", 2, "shop", 1008, "e-0-100") == 0
       && beacon_hit_id("t", 1, "shop", 8, "e-0-100") == -1
       && beacon_hit_id("t", 2, "shop", 1009, "e-0-140") == 0
       && beacon_beat("t", 1, "shop", 9) == 0
       && beacon_hit_id("t", 1, "shop", 10, "e-0-180") == 0,
       "what_one_lacks_and_the_other_has_is_no_gap");
    ok(beacon_hit_id("t", 2, "shop", 1010, "e-0-180") == -1
       && beacon_hit_id("t", 1, "shop", 12, "e-0-200") == 1,
       "what_both_lack_is_one");
    ok(beacon_hit_id("u", 1, "shop", 5, "e-0-40") == 0,
       "another_edge_s_is_another_hit");
}

/* As of two feeds, or of one that begins anew with what it had sent. */
static void
beacon_echo(void)
{
    int       put, again;
    char      id[32];
    unsigned  n;

    put = again = 0;

    for (n = 1; n <= 20000; n++) {
        snprintf(id, sizeof(id), "e-1-%x", n * 64);
        put += beacon_hit_id("v", 1, "shop", n, id) == 0;
    }

    for (n = 1; n <= 20000; n++) {
        snprintf(id, sizeof(id), "e-1-%x", n * 64);
        again += beacon_hit_id("v", 2, "shop", n, id) != -1;
    }

    ok(put == 20000 && again == 0, "20,000_hits_that_come_again_are_known");
}

/* The helper dies before and after the store has it. */
static void
beacon_died(void)
{
    beacond_feeds_at_t  at = beacon_at("e", 1, "shop", 12);

    (void) beacon_hit("e", 1, "shop", 10);
    (void) beacond_feeds_hit(beacon_feeds, &at, beacon_now, beacon_mark + 1,
                             &beacon_missing, &beacon_lacking);
    beacon_open();
    ok(beacon_hit("e", 1, "shop", 13) == 2, "what_was_not_put_is_a_gap");

    at.seq = 15;
    (void) beacond_feeds_hit(beacon_feeds, &at, beacon_now, beacon_mark + 1,
                             &beacon_missing, &beacon_lacking);
    beacon_mark++;
    beacon_open();
    ok(beacon_hit("e", 1, "shop", 15) == -1
       && beacon_hit("e", 1, "shop", 17) == 1, "what_was_put_is_none");

    (void) beacon_beat("e", 1, "shop", 19);     /* 18 and 19 */
    at.seq = 18;
    (void) beacond_feeds_hit(beacon_feeds, &at, beacon_now, beacon_mark + 1,
                             &beacon_missing, &beacon_lacking);
    beacon_open();
    ok(beacon_hit("e", 1, "shop", 18) == 0, "nor_below_a_heartbeat_s_number");
    at.seq = 19;
    (void) beacond_feeds_hit(beacon_feeds, &at, beacon_now, beacon_mark + 1,
                             &beacon_missing, &beacon_lacking);
    beacon_mark++;
    beacon_open();
    ok(beacon_hit("e", 1, "shop", 19) == -1, "put_or_not");

    at.seq = 24;        /* two of which pay for those that came */
    (void) beacond_feeds_beat(beacon_feeds, &at, beacon_now, beacon_mark + 1,
                              &beacon_missing, &beacon_lacking);
    beacon_now += BEACOND_FEEDS_SURE;
    (void) beacond_feeds_beat(beacon_feeds, &at, beacon_now, beacon_mark + 1,
                              &beacon_missing, &beacon_lacking);
    beacond_feeds_untold(beacon_feeds, beacon_missing);
    beacon_mark++;
    beacon_open();
    ok(beacon_hit("e", 1, "shop", 26) == 4 && beacon_lacking == 1,
       "what_the_store_could_not_be_told_goes_with_the_next_hit");
}

static void
beacon_many(void)
{
    int                    good = 1;
    char                   site[32], path[128];
    unsigned               i;
    struct stat            st;
    beacond_feeds_stats_t  stats;

    for (i = 0; i < 3 * BEACOND_FEEDS_MAX; i++) {
        beacon_now += i % 100 == 0;
        snprintf(site, sizeof(site), "s%u", i);
        good &= beacon_hit("many", 3, site, 7) >= 0;

        /* one that goes on being hit stays */

        if (i % 1000 == 0) {
            good &= beacon_hit("many", 4, "kept", 10 + i / 1000) == 0;
        }
    }

    beacond_feeds_stats(beacon_feeds, &stats);
    snprintf(path, sizeof(path), "%s/live.feeds", beacon_dir);
    ok(good && stats.entries == BEACOND_FEEDS_MAX && stats.evicted > 0
       && stat(path, &st) == 0
       && st.st_size < 120 * BEACOND_FEEDS_MAX + 4096,
       "there_are_never_more_than_so_many");
    ok(beacon_hit("many", 4, "kept", 11 + i / 1000) == 0
       && beacon_lacking == 0, "and_the_busy_ones_stay");
    ok(beacon_hit("many", 3, "s1", 9) == 0,
       "what_was_forgotten_has_a_baseline");
    beacon_open();
    ok(beacon_hit("many", 3, site, 8) == 0, "all_are_found_again");
}

static void
beacon_damaged(void)
{
    char   path[128];
    FILE  *file;

    snprintf(path, sizeof(path), "%s/live.feeds", beacon_dir);
    file = fopen(path, "w");
    fputs("none of ours", file);
    fclose(file);
    beacond_feeds_close(beacon_feeds);
    beacon_feeds = NULL;
    beacon_open();
    ok(beacon_hit("e", 1, "shop", 99) == 0, "a_damaged_file_is_made_anew");
}

int
main(void)
{
    char  command[128];

    strcpy(beacon_dir, "/dev/shm/beacon-feeds.XXXXXX");

    if (mkdtemp(beacon_dir) == NULL) {
        return 1;
    }

    beacon_open();
    beacon_gaps();
    beacon_late();
    beacon_forged();
    beacon_forged_hit();
    beacon_twins();
    beacon_echo();
    beacon_died();
    beacon_many();
    beacon_damaged();
    beacond_feeds_close(beacon_feeds);
    beacond_feeds_remove(beacon_dir);
    snprintf(command, sizeof(command), "rmdir %s", beacon_dir);
    ok(system(command) == 0, "nothing is left behind");

    return done_testing();
}
