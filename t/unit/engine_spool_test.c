/*
 * A reload brings a spool of so many lanes that the table has no room for
 * them: it is refused, and nothing of it is in place.
 */

#include "beacond_spool.h"
#include "engine_fixture.h"

#define BEACON_MANY  (BEACON_BOOKS_LANES + 100)

const beacond_sink_ops_t *const  beacond_sinks[] = {
    &beacond_sink_ids,
    NULL
};

static uint8_t          beacon_raw[1024];
static beacon_record_t  beacon_record;

/* The first hit of the ring, as long as it is there. */
static int
beacon_first(void)
{
    int              good;
    uint64_t         lost;
    beacon_ring_t   *ring;
    beacon_cursor_t  at = { 0, 0 };

    if (beacon_ring_attach(beacon_dir, beacon_epoch, 1, &ring, NULL)
        != BEACON_OK)
    {
        return 0;
    }

    good = beacon_lane_read(ring, 0, &at, &beacon_record, &lost) == BEACON_OK
           && beacon_record.length <= sizeof(beacon_raw);

    if (good) {
        memcpy(beacon_raw, beacon_record.raw, beacon_record.length);
        good = beacon_record_check(beacon_raw, beacon_record.length,
                                   &beacon_record) == BEACON_OK;
    }

    beacon_ring_detach(ring);

    return good;
}

/* It, as a hit of each of n lanes of another epoch, in the spool. */
static int
beacon_spooled(const char *dir, uint32_t n)
{
    int               good = 1;
    uint32_t          i;
    beacond_spool_t  *spool;

    if (beacond_spool_open(dir, 50000000, 0, &spool, &beacon_error)
        != BEACON_OK)
    {
        return 0;
    }

    for (i = 0; i < n && good; i++) {
        good = beacond_spool_append(spool, 7, i, &beacon_record) == BEACON_OK;
    }

    good = good && beacond_spool_write(spool) == BEACON_OK;
    beacond_spool_close(spool);

    return good;
}

int
main(void)
{
    char                  dir[128], command[256];
    beacon_books_t       *books = calloc(1, sizeof(beacon_books_t));
    beacond_conf_t       *conf;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacond_log_level(BEACOND_ALERT);
    beacon_fixture_begin();
    snprintf(dir, sizeof(dir), "%s/spool", beacon_out);
    snprintf(command, sizeof(command), "rm %s/journal.*", dir);
    ok(beacon_push(2) && beacon_first() && beacon_spooled(dir, BEACON_MANY),
       "a spool of many lanes");

    engine = beacond_engine_create(beacon_conf(NULL, 0), &beacon_counters,
                                   &beacon_error);
    ok(engine != NULL && beacon_settled("one", &sink),
       "an engine without a spool");

    conf = beacon_conf(NULL, 1);
    ok(beacond_engine_configure(engine, conf, &beacon_error) != BEACON_OK,
       "a_spool_of_too_many_lanes_is_refused");
    printf("# %s\n", beacon_error.text);
    beacond_conf_destroy(conf);
    ok(beacon_push(100) && beacon_settled("one", &sink) && sink.done == 102,
       "the_engine_goes_on_as_it_was");
    ok(beacon_books(books) && books->nlanes <= BEACON_ALL_LANES,
       "its_lanes_are_not_in_the_table");

    ok(system(command) == 0 && beacon_spooled(dir, 10), "one of a few lanes");
    ok(beacond_engine_configure(engine, beacon_conf(NULL, 1), &beacon_error)
       == BEACON_OK, "is_taken_by_the_next_reload");
    beacon_pushed += 10;
    ok(beacon_settled("one", &sink) && sink.done == 112,
       "and_its_hits_are_drained");
    beacond_engine_destroy(engine);
    free(books);
    beacon_end();

    return done_testing();
}
