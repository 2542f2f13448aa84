/*
 * Bits of the indexes flip; whatever is read then, it ends, and is nothing of
 * another site's.
 */

#include "live_fixture.h"
#include "beacon_live_counts.h"

#define DAMAGE_OTHERS  10

/* How many of the others are there. */
static unsigned
damage_others(live_t *l, const beacon_live_info_t *info)
{
    char                  visitor[16];
    unsigned              i, found;
    beacon_live_person_t  person;

    for (i = 0, found = 0; i < DAMAGE_OTHERS; i++) {
        snprintf(visitor, sizeof(visitor), "v%u", i);
        found += beacon_live_visitor(&l->live, info, live_str(visitor),
                                     &person) == BEACON_OK;
    }

    return found;
}

/* The longest id there is gets longer by a bit; then he hits again, with much
   to say. */
static void
damage_writer(void)
{
    char                    id[BEACON_LIVE_ID_MAX + 1], page[3000];
    char                    visitor[16];
    live_t                  l;
    uint8_t                *bytes;
    unsigned                i;
    uint64_t                now;
    live_hit_t              hit;
    beacon_live_info_t      info;
    beacon_live_person_t    person;
    beacon_live_visitor_t  *slot;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    now = 1795301760000ULL;
    memset(id, 'a', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    memset(page, 'x', sizeof(page) - 1);
    page[0] = '/';
    page[sizeof(page) - 1] = '\0';
    hit = (live_hit_t) { .site = "shop", .visitor = id, .page = "/" };
    (void) live_put(&l, &hit, now);

    for (i = 0; i < DAMAGE_OTHERS; i++) {
        snprintf(visitor, sizeof(visitor), "v%u", i);
        hit.visitor = visitor;
        (void) live_put(&l, &hit, now);
    }

    info = live_site(&l, "shop");
    (void) beacon_live_visitor(&l.live, &info, live_str(id), &person);
    bytes = live_bytes(&l);
    slot = (void *) (bytes + ((uint8_t *) beacon_live_visitor_slot(&l.live,
                                                                person.index)
                              - (const uint8_t *) l.live.head));
    slot->lens[0] ^= 128;

    hit = (live_hit_t) {
        .site = "shop", .visitor = id, .page = page,
        .country = "0123456789abcdef",
        .flags = "[\"aaaaaaaaaaaaaaaaaaaa\",\"bbbbbbbbbbbbbbbbbbbb\"]"
    };
    (void) live_put(&l, &hit, now);

    ok(damage_others(&l, &info) == DAMAGE_OTHERS
       && beacon_live_visitor(&l.live, &info, live_str(id), &person)
          == BEACON_OK && live_is(person.id, id),
       "a_slot_with_a_damaged_length_costs_nobody_else_his");

    munmap(bytes, l.live.size);
    live_remove(&l);
}

/* A bit of an id flips: he is left out, and is not shown as another. */
static void
damage_id(void)
{
    char                    visitor[16];
    live_t                  l;
    uint8_t                *bytes;
    unsigned                i;
    uint32_t                at;
    uint64_t                before;
    live_hit_t              hit;
    beacon_live_info_t      info;
    beacon_live_person_t    person;
    beacon_live_visitor_t  *slot;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    hit = (live_hit_t) { .site = "shop", .visitor = visitor, .page = "/" };

    for (i = 0; i < DAMAGE_OTHERS; i++) {
        snprintf(visitor, sizeof(visitor), "v%u", i);
        (void) live_put(&l, &hit, 1795301760000ULL);
    }

    info = live_site(&l, "shop");
    (void) beacon_live_visitor(&l.live, &info, live_str("v3"), &person);
    bytes = live_bytes(&l);
    slot = (void *) (bytes + ((uint8_t *) beacon_live_visitor_slot(&l.live,
                                                                person.index)
                              - (const uint8_t *) l.live.head));
    slot->text[1] ^= 1;                 /* v2 */
    at = 0;
    before = UINT64_MAX;

    for (i = 0; beacon_live_next_visitor(&l.live, &info, &at, &before, &person)
                == BEACON_OK; i++)
    {
        /* void */
    }

    ok(i == DAMAGE_OTHERS - 1 && damage_others(&l, &info) == i,
       "a_visitor_with_a_damaged_id_is_left_out");

    munmap(bytes, l.live.size);
    live_remove(&l);
}

/* Where a run, or a gap, is put down to be told, bits flip before it is. */
static uint8_t   *damage_bytes;
static uint64_t   damage_undo;
static unsigned   damage_done;

static void
damage_point(const char *name)
{
    beacon_live_undo_t  *undo;

    if (strcmp(name, "live.before_commit") == 0) {
        undo = (void *) (damage_bytes + damage_undo);
        undo->outcomes[0].site ^= 1U << 30;
        undo->outcomes[0].step ^= 1U << 29;
        undo->outcomes[0].chunk ^= 1U << 28;
        damage_done++;
    }
}

static void
damage_outcome(void)
{
    live_t              l;
    unsigned            i;
    live_hit_t          hit;
    beacon_live_now_t   now;
    beacon_live_info_t  info;

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    damage_bytes = live_bytes(&l);
    damage_undo = l.live.is.undo_at;
    beacon_live_point = damage_point;
    hit = (live_hit_t) { .site = "shop", .visitor = "v", .page = "/" };

    for (i = 0; i < 100; i++) {
        (void) live_put(&l, &hit, 1795301760000ULL);
    }

    beacon_live_put_end(l.writer);
    (void) beacon_live_gap(l.writer, live_str("shop"), 11, 0);
    beacon_live_point = NULL;

    info = live_site(&l, "shop");
    ok(damage_done > 1 && info.last - info.start == 111
       && beacon_live_now(&l.live, &info, 1795301760000ULL, 60, &now)
          == BEACON_OK && now.all == 100 && now.visitors == 1,
       "what_a_writer_put_down_leads_him_nowhere_when_its_bits_flip");

    munmap(damage_bytes, l.live.size);
    live_remove(&l);
}

int
main(void)
{
    int                   within, own;
    live_t                l;
    uint32_t              i, n, k, at, nseqs;
    uint64_t              now, before, seqs[20], from, to;
    uint8_t              *bytes;
    live_hit_t            hit;
    char                  page[64], visitor[64];
    beacon_live_top_t     top[20];
    beacon_live_now_t     counted;
    beacon_live_info_t    info;
    beacon_live_person_t  person;

    damage_writer();
    damage_id();
    damage_outcome();

    live_make(&l, BEACON_LIVE_SIZE_MIN);
    memset(&hit, 0, sizeof(hit));
    hit.visitor = visitor;
    hit.page = page;
    now = 1795301760000ULL;

    for (i = 0; i < 2000; i++) {
        snprintf(page, sizeof(page), "/%s/%u", i & 1 ? "shop" : "news",
                 i % 50);
        snprintf(visitor, sizeof(visitor), "%s%u", i & 1 ? "shop" : "news",
                 i % 300);
        hit.site = i & 1 ? "shop" : "news";
        (void) live_put(&l, &hit, now + i * 100);
    }

    now += 200000;
    info = live_site(&l, "shop");
    beacon_live_detach(&l.live);
    beacon_live_close(l.writer);
    live_open(&l);
    within = 1;
    own = 1;

    bytes = live_bytes(&l);
    from = l.live.is.sites_at;
    to = l.live.is.chunks_at;

    for (i = 0; i < 100000; i++) {
        bytes[from + live_random(1 << 30) % (to - from)]
            ^= (uint8_t) (1 << live_random(8));
        n = 20;
        (void) beacon_live_now(&l.live, &info, now, 3600, &counted);

        if (beacon_live_top(&l.live, &info, BEACON_LIVE_PAGE_KEY, now, 3600,
                            top, &n)
            == BEACON_OK)
        {
            for (k = 0; k < n; k++) {
                within &= top[k].len <= BEACON_LIVE_KEY_TEXT;
                own &= memcmp(top[k].text, "/shop/", 6) == 0;
            }
        }

        at = 0;
        before = UINT64_MAX;

        for (k = 0; k < 50 && beacon_live_next_visitor(&l.live, &info, &at,
                                                       &before, &person)
                              == BEACON_OK; k++)
        {
            within &= person.page.data >= person.text
                      && person.page.data + person.page.len
                         <= person.text + sizeof(person.text);
            own &= memcmp(person.id.data, "shop", 4) == 0;
        }

        nseqs = 20;
        (void) beacon_live_visitor(&l.live, &info, live_str("shop7"), &person);
        (void) beacon_live_trail(&l.live, &info, &person, seqs, &nseqs);
    }

    ok(within, "readers_of_damaged_indexes_come_to_an_end");

    ok(own, "and_see_nothing_of_another_site");

    munmap(bytes, l.live.size);
    live_close(&l);
    live_open(&l);

    for (i = 0; i < 2000; i++) {
        snprintf(page, sizeof(page), "/%u", i % 50);
        hit.site = "shop";
        (void) live_put(&l, &hit, now + i);
    }

    info = live_site(&l, "shop");
    n = 20;
    ok(beacon_live_now(&l.live, &info, now + 2000, 60, &counted) == BEACON_OK
       && beacon_live_top(&l.live, &info, BEACON_LIVE_PAGE_KEY, now + 2000, 60,
                          top, &n) == BEACON_OK && n > 10,
       "a_writer_that_opens_them_goes_on");

    live_remove(&l);

    return done_testing();
}
