#include "live_fixture.h"
#include "beacon_live_counts.h"

#define PEOPLE_START  1795301760000ULL
#define PEOPLE_FEW    200
#define PEOPLE_HITS   5000

static void
people_put(live_t *l, const char *visitor, const char *page, uint64_t now_ms)
{
    live_hit_t  hit;

    memset(&hit, 0, sizeof(hit));
    hit.site = "shop";
    hit.visitor = visitor;
    hit.page = page;
    (void) live_put(l, &hit, now_ms);
}

static void
test_person(void)
{
    live_t                l;
    uint32_t              n;
    uint64_t              seqs[8], now;
    live_hit_t            hit;
    beacon_live_info_t    info;
    beacon_live_person_t  p;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    now = PEOPLE_START;
    memset(&hit, 0, sizeof(hit));
    hit.site = "shop";
    hit.visitor = "8f1c\\u0001";
    hit.page = "https://a.example/in?utm_source=x";
    hit.referrer = "https://news.example/today?q";
    hit.country = "GR";
    (void) live_put(&l, &hit, now);
    people_put(&l, "other", "/x", now + 5);
    hit.page = "https://b.example/out";
    hit.referrer = "https://a.example/in";
    hit.flags = "[\"bot\",\"macro\"]";
    (void) live_put(&l, &hit, now + 10);
    hit.page = NULL;
    hit.referrer = NULL;
    hit.country = NULL;
    (void) live_put(&l, &hit, now + 20000);

    info = live_site(&l, "shop");
    ok(beacon_live_visitor(&l.live, &info, live_str("8f1c\\u0001"), &p)
       == BEACON_OK, "a_visitor_is_found_by_its_id_as_it_stands_in_a_line");
    ok(live_is(p.id, "8f1c\\u0001") && live_is(p.entry, "/in")
       && live_is(p.page, "b.example/out")
       && live_is(p.referrer, "news.example/today")
       && live_is(p.country, "GR") && live_is(p.flags, "[\"bot\",\"macro\"]"),
       "entry_and_referrer_are_the_first_ones_page_the_last_one");
    ok(p.hits == 3 && p.first_ms == now && p.last_ms == now + 20000
       && p.seq == info.last, "first_and_last_time_and_hits_are_told");

    n = 8;
    ok(beacon_live_trail(&l.live, &info, &p, seqs, &n) == BEACON_OK && n == 3
       && seqs[0] == p.seq && seqs[1] == p.seq - 1 && seqs[2] == p.seq - 3,
       "the_trail_has_the_visitor_s_hits_newest_first");
    n = 2;
    ok(beacon_live_trail(&l.live, &info, &p, seqs, &n) == BEACON_OK && n == 2
       && seqs[1] == p.seq - 1, "and_no_more_than_asked_for");

    ok(beacon_live_visitor(&l.live, &info, live_str("8f1c"), &p)
       == BEACON_INVALID
       && beacon_live_visitor(&l.live, &info, live_str(""), &p)
          == BEACON_INVALID, "an_unknown_visitor_is_not_found");

    info.tenant += 2;
    ok(beacon_live_visitor(&l.live, &info, live_str("other"), &p)
       == BEACON_INVALID, "nor_one_of_a_site_that_has_gone");

    live_remove(&l);
}

/* A trail of long hits is short. */
static void
test_trail_bytes(void)
{
    char                  page[3000];
    live_t                l;
    uint32_t              i, n;
    uint64_t              seqs[100];
    beacon_live_info_t    info;
    beacon_live_person_t  p;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    memset(page, 'x', sizeof(page) - 1);
    page[0] = '/';
    page[sizeof(page) - 1] = '\0';

    for (i = 0; i < 100; i++) {
        people_put(&l, "joe", page, PEOPLE_START + i);
    }

    info = live_site(&l, "shop");
    n = 100;
    ok(beacon_live_visitor(&l.live, &info, live_str("joe"), &p) == BEACON_OK
       && beacon_live_trail(&l.live, &info, &p, seqs, &n) == BEACON_OK
       && n >= 8 && n <= (256 << 10) / sizeof(page) && seqs[0] == p.seq
       && seqs[n - 1] == p.seq - n + 1, "a_trail_is_bounded_by_its_bytes");

    live_remove(&l);
}

/* Whoever asks while the writer stands somewhere in a hit, or was stopped. */

static struct {
    live_t                 *l;
    beacon_live_visitor_t  *slot;       /* NULL: only looked at */
    unsigned                asked;
    unsigned                wrong;
    uint64_t                hits;       /* that are there already */
} people_amid;

/* A visitor, and his newest hits. */
typedef struct {
    beacon_rc_t           rc;
    beacon_live_person_t  p;
    beacon_rc_t           trail;
    uint32_t              n;
    uint64_t              seqs[100];
} people_seen_t;

static void
people_look(const beacon_live_info_t *info, const char *id,
    people_seen_t *seen)
{
    const beacon_live_t  *live = &people_amid.l->live;

    seen->n = 100;
    seen->rc = beacon_live_visitor(live, info, live_str(id), &seen->p);
    seen->trail = seen->rc;

    if (seen->rc == BEACON_OK) {
        seen->trail = beacon_live_trail(live, info, &seen->p, seen->seqs,
                                        &seen->n);
    }
}

static void
people_ask(const char *name)
{
    people_seen_t       seen;
    beacon_live_info_t  info;

    info = live_site(people_amid.l, "shop");
    people_look(&info, "joe", &seen);
    people_amid.asked++;

    if (seen.trail != BEACON_OK || seen.n < people_amid.hits
        || seen.n > people_amid.hits + 1
        || seen.seqs[0] > beacon_live_last(&people_amid.l->live, &info))
    {
        people_amid.wrong++;
        printf("# at %s: %u hits of %llu\n", name, seen.n,
               (unsigned long long) people_amid.hits);
    }
}

/* As if it stood in the midst of his slot: of the page a part is written. */
static void
people_ask_torn(const char *name)
{
    beacon_live_info_t    info;
    beacon_live_person_t  p;

    if (strcmp(name, "live.counted") != 0) {
        return;
    }

    people_amid.slot->serial--;
    people_amid.slot->text[sizeof("joe/before") - 1] = '"';
    people_ask(name);

    info = live_site(people_amid.l, "shop");

    if (beacon_live_visitor(&people_amid.l->live, &info, live_str("joe"), &p)
        != BEACON_OK || !live_is(p.page, "/before") || p.hits != 3)
    {
        people_amid.wrong++;
    }

    people_amid.slot->serial++;
}

static void
test_amid(void)
{
    live_t                l;
    unsigned              n;
    uint8_t              *bytes;
    beacon_live_info_t    info;
    beacon_live_person_t  p;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    memset(&people_amid, 0, sizeof(people_amid));
    people_amid.l = &l;
    people_put(&l, "joe", "/before", PEOPLE_START);
    beacon_live_point = people_ask;

    for (n = 1; n < 50; n++) {
        people_amid.hits = n;
        people_put(&l, "joe", n % 2 ? "/x" : "/longer", PEOPLE_START + n);
        people_ask("end");
    }

    beacon_live_point = NULL;
    ok(people_amid.asked > 4 * 49 && people_amid.wrong == 0,
       "who_asks_amid_a_hit_is_told_of_those_before_(%u)", people_amid.asked);
    live_remove(&l);

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    people_amid.asked = 0;
    people_amid.hits = 3;

    for (n = 0; n < 3; n++) {
        people_put(&l, "joe", "/before", PEOPLE_START + n);
    }

    info = live_site(&l, "shop");
    (void) beacon_live_visitor(&l.live, &info, live_str("joe"), &p);
    bytes = live_bytes(&l);
    people_amid.slot = (void *) (bytes
        + ((uint8_t *) beacon_live_visitor_slot(&l.live, p.index)
           - (const uint8_t *) l.live.head));
    beacon_live_point = people_ask_torn;
    people_put(&l, "joe", "/a/page/that/is/longer", PEOPLE_START + n);
    beacon_live_point = NULL;
    ok(people_amid.asked == 1 && people_amid.wrong == 0,
       "a_visitor_who_is_half_changed_is_as_he_was_before");

    munmap(bytes, l.live.size);
    live_remove(&l);
}

/* Texts that do not fit are cut, and stay JSON. */
static void
test_cut(void)
{
    char                  page[1024], id[1024];
    live_t                l;
    size_t                i, n;
    int                   good;
    live_hit_t            hit;
    beacon_live_info_t    info;
    beacon_live_person_t  p, q;

    static const char *const  units[] = {
        "x", "\xce\xa4", "\xf0\x9f\x91\x8d", "\\u0001", "\\ud83d\\udc4d",
        "\\\"", "\\\\"
    };

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    memset(&hit, 0, sizeof(hit));
    hit.site = "shop";
    hit.visitor = id;
    hit.page = page;
    hit.referrer = page;
    hit.flags = "[\"one\",\"two\",\"three\",\"four\",\"five\",\"six\","
                "\"seven\",\"eight\"]";
    good = 1;

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        snprintf(page, sizeof(page), "/%zu", i);
        snprintf(id, sizeof(id), "%zu", i);

        for (n = 0; n < 40; n++) {
            strcat(page, units[i]);
            strcat(page, units[i]);
            strcat(id, n < 30 ? units[i] : "y");
        }

        (void) live_put(&l, &hit, PEOPLE_START + i);
        (void) live_put(&l, &hit, PEOPLE_START + i);
        info = live_site(&l, "shop");

        if (beacon_live_visitor(&l.live, &info, live_str(id), &p)
            != BEACON_OK)
        {
            good = 0;
            continue;
        }

        n = strlen(units[i]);
        good &= (p.entry.len - 2) % n == 0 && (p.page.len - 2) % n == 0
                && (p.referrer.len - 2) % n == 0 && p.entry.len > 40
                && p.page.len > 40 && p.hits == 2
                && memcmp(p.page.data, page, p.page.len) == 0
                && live_is(p.flags, "[\"one\",\"two\",\"three\",\"four\","
                                    "\"five\",\"six\"]");

        strcat(id, "z");
        good &= beacon_live_visitor(&l.live, &info, live_str(id), &q)
                == BEACON_INVALID;
    }

    ok(good, "what_does_not_fit_is_cut_at_a_character_and_an_element");

    live_remove(&l);
}

/* A long id is listed as something that can be asked for, too. */
static void
test_long_ids(void)
{
    char                  ids[4][256], listed[2][65];
    live_t                l;
    size_t                i, n;
    int                   good, found;
    uint32_t              at;
    uint64_t              before;
    beacon_live_info_t    info;
    beacon_live_person_t  p, q;

    live_make(&l, BEACON_LIVE_SIZE_MIN);

    for (i = 0; i < 4; i++) {
        memset(ids[i], 'x', 200);
        memcpy(ids[i] + 30, "\\\"\\ud83d\\udc4d\xce\xa4", 16);
        ids[i][200] = '\0';
    }

    ids[1][199] = 'y';                  /* the same first 64 bytes */
    ids[2][64] = '\0';                  /* fits as it is */
    ids[3][65] = '\0';                  /* and does not */

    for (i = 0; i < 8; i++) {
        people_put(&l, ids[i % 4], "/a", PEOPLE_START + i);
    }

    live_close(&l);
    live_open(&l);
    people_put(&l, ids[0], "/b", PEOPLE_START + 8);
    people_put(&l, ids[1], "/b", PEOPLE_START + 9);
    info = live_site(&l, "shop");

    for (good = 1, i = 0; i < 4; i++) {
        good &= beacon_live_visitor(&l.live, &info, live_str(ids[i]), &p)
                == BEACON_OK && p.hits == (i < 2 ? 3 : 2)
                && p.id.len <= 64 && memcmp(p.id.data, ids[i], 46) == 0;
    }

    ok(good, "long_ids_that_begin_alike_are_visitors_of_their_own");

    at = 0;
    before = UINT64_MAX;
    memset(listed, 0, sizeof(listed));

    for (n = 0, good = 1;
         beacon_live_next_visitor(&l.live, &info, &at, &before, &p)
         == BEACON_OK;
         n++)
    {
        found = beacon_live_visitor(&l.live, &info, p.id, &q) == BEACON_OK;
        good &= found && q.index == p.index;

        if (n < 2) {
            memcpy(listed[n], p.id.data, p.id.len);
        }
    }

    ok(good && n == 4, "what_is_listed_can_be_asked_for");
    ok(strcmp(listed[0], listed[1]) != 0 && listed[0][47] == '~'
       && strspn(listed[0] + 48, "0123456789abcdef") == 16,
       "a_long_one_is_listed_with_its_hash");

    listed[0][63] ^= 1;
    ok(beacon_live_visitor(&l.live, &info, live_str(listed[0]), &q)
       == BEACON_INVALID, "and_by_no_other");

    live_remove(&l);
}

/* Texts of two lengths are two, whatever the bytes of one make up for. */
static void
test_lengths(void)
{
    int                   good;
    live_t                l;
    size_t                i;
    uint32_t              n;
    live_hit_t            hit;
    beacon_live_top_t     top[4];
    beacon_live_info_t    info;
    beacon_live_person_t  p;

    static const char  *texts[] = {
        "00000111", "000001111",
        "0123456789abAcd88901234567890123", "0123456789ab~cd8901234567890123"
    };

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    memset(&hit, 0, sizeof(hit));
    hit.site = "shop";

    for (i = 0; i < 4; i++) {
        hit.visitor = texts[i];
        hit.country = texts[i];
        (void) live_put(&l, &hit, PEOPLE_START + i);
    }

    info = live_site(&l, "shop");

    for (good = 1, i = 0; i < 4; i++) {
        good &= beacon_live_visitor(&l.live, &info, live_str(texts[i]), &p)
                == BEACON_OK && p.hits == 1;
    }

    ok(good, "ids_of_two_lengths_are_two_visitors");

    n = 4;
    ok(beacon_live_top(&l.live, &info, BEACON_LIVE_COUNTRY_KEY, PEOPLE_START,
                       60, top, &n)
       == BEACON_OK && n == 4 && top[0].n == 1, "and_texts_two_keys");

    live_remove(&l);
}

/* All of them, each once, last seen first. */
static int
people_listed(live_t *l, const uint64_t *last, uint32_t npeople)
{
    int                   good;
    char                  id[32];
    uint32_t              at, n, who;
    uint64_t              before, newest;
    beacon_live_info_t    info;
    beacon_live_person_t  p;

    info = live_site(l, "shop");
    at = 0;
    before = UINT64_MAX;
    newest = UINT64_MAX;
    good = 1;

    for (n = 0; beacon_live_next_visitor(&l->live, &info, &at, &before, &p)
                == BEACON_OK; n++)
    {
        snprintf(id, sizeof(id), "%.*s", (int) p.id.len,
                 (const char *) p.id.data);
        who = (uint32_t) atoi(id + 1);
        good &= who < npeople && p.last_ms == last[who]
                && p.last_ms <= newest;
        newest = p.last_ms;
    }

    for (who = 0; who < npeople; who++) {
        n -= last[who] != 0;
    }

    return good && n == 0;
}

static void
test_list(void)
{
    int                   good;
    char                  id[32];
    live_t                l;
    uint32_t              i, who, at;
    uint64_t              last[PEOPLE_FEW], before;
    beacon_live_info_t    info;
    beacon_live_person_t  p;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    memset(last, 0, sizeof(last));
    good = 1;

    for (i = 0; i < PEOPLE_HITS; i++) {
        who = live_random(live_random(2) ? 10 : PEOPLE_FEW);
        snprintf(id, sizeof(id), "v%u", who);
        last[who] = PEOPLE_START + i * 37;
        people_put(&l, id, "/x", last[who]);

        if (i % 1000 == 999) {
            good &= people_listed(&l, last, PEOPLE_FEW);
            live_close(&l);
            live_open(&l);
            good &= people_listed(&l, last, PEOPLE_FEW);
        }
    }

    ok(good, "visitors_are_listed_last_seen_first_also_after_opening_again");

    info = live_site(&l, "shop");
    at = 0;
    before = UINT64_MAX;
    good = 1;

    /* each who was listed hits again: nobody is left out, none comes twice */

    for (i = 0; beacon_live_next_visitor(&l.live, &info, &at, &before, &p)
                == BEACON_OK; i++)
    {
        snprintf(id, sizeof(id), "%.*s", (int) p.id.len,
                 (const char *) p.id.data);
        who = (uint32_t) atoi(id + 1);
        good &= p.last_ms == last[who];
        people_put(&l, id, "/x", PEOPLE_START + 3600000 + i);
    }

    ok(good && i == PEOPLE_FEW, "who_moves_to_the_front_does_not_come_twice");

    live_remove(&l);
}

/* Who takes another's slot has no hit yet while his first one is counted. */
static void
people_ask_new(const char *name)
{
    people_seen_t       seen;
    beacon_live_info_t  info;

    info = live_site(people_amid.l, "shop");
    people_look(&info, "new", &seen);

    if (seen.rc != BEACON_OK) {
        return;
    }

    people_amid.asked++;

    if (seen.trail != BEACON_OK || seen.n > 1
        || (seen.n == 1 && seen.seqs[0] != seen.p.seq))
    {
        people_amid.wrong++;
        printf("# at %s: %u hits\n", name, seen.n);
    }
}

static void
test_evicting(void)
{
    char      id[32];
    live_t    l;
    uint32_t  i, max;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    max = l.live.is.visitors_max - 1;
    memset(&people_amid, 0, sizeof(people_amid));
    people_amid.l = &l;

    for (i = 0; i < 2 * max; i++) {
        snprintf(id, sizeof(id), "v%u", i % max);
        people_put(&l, id, "/x", PEOPLE_START + i);
    }

    beacon_live_point = people_ask_new;
    people_put(&l, "new", "/x", PEOPLE_START + i);
    beacon_live_point = NULL;
    people_ask_new("end");
    ok(people_amid.asked > 4 && people_amid.wrong == 0,
       "who_takes_another_s_slot_does_not_take_his_hits_(%u)",
       people_amid.asked);

    live_remove(&l);
}

/* Ten times as many as there is room for. */
static void
test_eviction(void)
{
    char                  id[32];
    live_t                l;
    uint32_t              i, max, here, people;
    uint64_t              now;
    beacon_live_now_t     counted;
    beacon_live_info_t    info;
    beacon_live_stats_t   stats;
    beacon_live_person_t  p;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    max = l.live.is.visitors_max - 1;
    people = 10 * max;
    now = PEOPLE_START;

    for (i = 0; i < people; i++) {
        now += 20;
        snprintf(id, sizeof(id), "v%u", i);
        people_put(&l, id, "/x", now);

        if (i % 100 == 0) {
            people_put(&l, "often", "/x", now);
        }
    }

    info = live_site(&l, "shop");
    beacon_live_stats(l.writer, &stats);
    ok(stats.visitors == max && stats.evicted_visitors == people + 1 - max,
       "of_%u_visitors_%u_are_kept", people + 1, max);

    for (here = 0, i = people - max + 1000; i < people; i++) {
        snprintf(id, sizeof(id), "v%u", i);
        here += beacon_live_visitor(&l.live, &info, live_str(id), &p)
                == BEACON_OK;
    }

    ok(here == max - 1000
       && beacon_live_visitor(&l.live, &info, live_str("often"), &p)
          == BEACON_OK && p.hits == (people + 99) / 100
       && beacon_live_visitor(&l.live, &info, live_str("v7"), &p)
          == BEACON_INVALID, "those_who_came_last");

    (void) beacon_live_now(&l.live, &info, now, 3600, &counted);
    ok(counted.visitors == people + 1 && counted.all == people
                                                       + (people + 99) / 100,
       "but_all_are_counted_(%llu)", (unsigned long long) counted.visitors);

    live_close(&l);
    live_open(&l);
    (void) beacon_live_now(&l.live, &info, now, 3600, &counted);
    beacon_live_stats(l.writer, &stats);
    ok(counted.visitors == people + 1 && stats.visitors == max,
       "also_after_opening_again");

    for (i = 0; i < max / 2; i++) {
        snprintf(id, sizeof(id), "w%u", i);
        people_put(&l, id, "/x", now + 20000);
    }

    (void) beacon_live_now(&l.live, &info, now + 20000, 3600, &counted);
    snprintf(id, sizeof(id), "v%u", people - 1);
    ok(counted.visitors == people + 1 + max / 2
       && beacon_live_visitor(&l.live, &info, live_str(id), &p) == BEACON_OK,
       "and_who_goes_is_who_was_not_seen_for_longest");

    live_remove(&l);
}

int
main(void)
{
    test_person();
    test_trail_bytes();
    test_amid();
    test_cut();
    test_long_ids();
    test_lengths();
    test_list();
    test_evicting();
    test_eviction();

    return done_testing();
}
