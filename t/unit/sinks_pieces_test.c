/*
 * A sink that is done with hits one by one, in any order, and keeps that in
 * its checkpoint: the next helper must give it the others only.
 */

#include "engine_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define BEACON_HITS  8000               /* in all */

/* What the sink does with a hit. */
typedef enum {
    BEACON_KEEP,                /* for now: it is not done with */
    BEACON_TAKE,
    BEACON_PARK
} beacon_test_what_e;

static struct {
    char                *text;          /* the checkpoint */
    size_t               len;
    beacon_test_what_e (*_Atomic what)(uint64_t ordinal);
    _Atomic unsigned     given;
    _Atomic unsigned     again;         /* hits that it was done with */
    beacond_piece_t      pieces[BEACON_HITS];
    size_t               npieces;
    _Atomic unsigned     parked;
    _Atomic unsigned     unpark;        /* to be done */
    _Atomic bool         down;          /* takes nothing */
    _Atomic unsigned     show_ms;       /* for each batch that it is shown */
    _Atomic uint64_t     shown_lost;    /* by the books, when it has been */
    uint8_t              done[BEACON_ALL_LANES][BEACON_HITS];
} beacon_test;

static beacon_rc_t
beacon_test_create(beacond_sink_t *sink, const json_t *conf, beacon_err_t *err)
{
    (void) conf;
    (void) err;
    sink->data = &beacon_test;
    beacon_test.npieces = 0;

    return BEACON_OK;
}

static beacon_rc_t
beacon_test_load(beacond_sink_t *sink, beacond_checkpoint_t *checkpoint)
{
    (void) sink;

    if (beacon_test.text != NULL) {
        checkpoint->text = strdup(beacon_test.text);
        checkpoint->len = beacon_test.len;
    }

    return BEACON_OK;
}

static beacon_rc_t
beacon_test_recover(beacond_sink_t *sink, const beacond_batch_t *batch)
{
    beacon_books_t  *books;

    (void) sink;
    usleep(beacon_test.show_ms * 1000);

    if (batch == NULL) {
        books = calloc(1, sizeof(beacon_books_t));
        beacon_test.shown_lost = beacon_books(books) ? books->sinks[1].lost : 1;
        free(books);
    }

    return BEACON_OK;
}

static beacon_rc_t
beacon_test_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    uint32_t          i;
    beacond_piece_t  *p;

    if (beacon_test.down || beacon_test.npieces + batch->nhits > BEACON_HITS) {
        return BEACON_AGAIN;
    }

    for (i = 0; i < batch->nhits; i++) {
        p = &beacon_test.pieces[beacon_test.npieces++];
        beacond_sink_piece(batch, i, p);
        beacon_test.again += beacon_test.done[p->number][batch->hits[i]
                                                         .ordinal];
    }

    beacon_test.given += batch->nhits;
    beacond_sink_release(sink, batch);

    return BEACON_OK;
}

/* One checkpoint of all that is to be done with. */
static int
beacon_pieces_flush(beacond_sink_t *sink, bool force)
{
    size_t                 i, kept = 0;
    beacond_piece_t       *list[BEACON_HITS], *p;
    beacond_settled_t      settled = { list, 0, 0, 0, false };
    beacon_test_what_e     what, (*decide)(uint64_t ordinal);
    beacond_checkpoint_t   checkpoint;

    (void) force;
    decide = atomic_load(&beacon_test.what);

    for (i = 0; i < beacon_test.npieces; i++) {
        p = &beacon_test.pieces[i];
        what = decide(p->to.ordinal - 1);
        p->told = false;

        if (what != BEACON_KEEP) {
            p->fate = what == BEACON_PARK ? BEACOND_PARKED : BEACOND_DONE;
            list[settled.npieces++] = p;
        }
    }

    settled.unparked_done = beacon_test.unpark;
    beacon_test.unpark = 0;

    if (settled.npieces + settled.unparked_done == 0
        || beacond_sink_tell(sink, &settled, &checkpoint) != BEACON_OK)
    {
        return 5;
    }

    free(beacon_test.text);
    beacon_test.text = checkpoint.text;
    beacon_test.len = checkpoint.len;
    beacond_sink_settle(sink, &settled);

    for (i = 0; i < beacon_test.npieces; i++) {
        p = &beacon_test.pieces[i];

        if (p->told) {
            beacon_test.done[p->number][p->to.ordinal - 1] = 1;
            beacon_test.parked += p->fate == BEACOND_PARKED;

        } else {
            beacon_test.pieces[kept++] = *p;
        }
    }

    beacon_test.npieces = kept;

    return 5;
}

static const beacond_sink_ops_t  beacon_sink_pieces = {
    .type = "pieces",
    .durable = true,
    .create = beacon_test_create,
    .destroy = beacon_test_destroy,
    .load = beacon_test_load,
    .recover = beacon_test_recover,
    .batch = beacon_test_batch,
    .flush = beacon_pieces_flush,
    .retry_ms = 10
};

const beacond_sink_ops_t *const  beacond_sinks[] = {
    &beacond_sink_ids,
    &beacon_sink_pieces,
    NULL
};

static void
beacon_begin(void)
{
    beacon_fixture_begin();
    free(beacon_test.text);
    memset(&beacon_test, 0, sizeof(beacon_test));
}

static beacond_engine_t *
beacon_engine(beacon_test_what_e (*what)(uint64_t ordinal), int spool)
{
    beacon_test.what = what;
    beacon_test.given = 0;

    return beacond_engine_create(beacon_conf("pieces", spool),
                                 &beacon_counters, &beacon_error);
}

/* More of them than half a lane has room for: the sink takes some before the
   next come, as without a spool it would lose what it is behind by. */
static int
beacon_push_many(unsigned n)
{
    int       i, good = 1;
    unsigned  goal;

    for ( ; n > 0 && good; n -= 100) {
        goal = beacon_test.given + 100;
        good = beacon_push(100);

        for (i = 0; i < BEACON_WAIT && beacon_test.given < goal; i++) {
            usleep(10000);
        }
    }

    return good;
}

/* The sink's books, once so much is done; balanced all the time. */
static int
beacon_done(uint64_t done, uint64_t pending)
{
    int              i, good = 0;
    beacon_books_t  *books = calloc(1, sizeof(beacon_books_t));

    for (i = 0; i < BEACON_WAIT && !good && beacon_books(books); i++) {
        good = books->nsinks == 2 && books->sinks[1].done == done
               && books->sinks[1].pending == pending
               && books->sinks[1].lost == 0;
        usleep(10000);
    }

    if (!good) {
        printf("# done %llu pending %llu lost %llu\n",
               (unsigned long long) books->sinks[1].done,
               (unsigned long long) books->sinks[1].pending,
               (unsigned long long) books->sinks[1].lost);
    }

    free(books);

    return good;
}

static beacon_test_what_e
beacon_all(uint64_t ordinal)
{
    (void) ordinal;

    return BEACON_TAKE;
}

static beacon_test_what_e
beacon_odd(uint64_t ordinal)
{
    return ordinal & 1 ? BEACON_TAKE : BEACON_KEEP;
}

static beacon_test_what_e
beacon_tenth(uint64_t ordinal)
{
    return ordinal % 10 == 3 ? BEACON_PARK : BEACON_TAKE;
}

static void
beacon_ahead(void)
{
    beacond_engine_t  *engine;

    beacon_begin();
    engine = beacon_engine(beacon_odd, 0);
    ok(engine != NULL && beacon_push_many(800) && beacon_done(400, 400),
       "every_other_hit_is_done_and_the_rest_pends");
    beacond_engine_destroy(engine);
    ok(strstr(beacon_test.text, ",[0,1,") == NULL
       && strchr(beacon_test.text, '[') != NULL, "there is a checkpoint");

    engine = beacon_engine(beacon_all, 0);
    ok(engine != NULL && beacon_push(20) && beacon_done(820, 0),
       "the_next_helper_gives_the_rest");
    ok(beacon_test.again == 0 && beacon_test.given == 420,
       "and_nothing_that_was_done_with");
    beacond_engine_destroy(engine);

    engine = beacon_engine(beacon_all, 0);
    ok(engine != NULL && beacon_push(20) && beacon_done(840, 0)
       && beacon_test.again == 0 && beacon_test.given == 20,
       "nor_does_the_one_after");
    beacond_engine_destroy(engine);
    beacon_end();
}

/* The other sink is stuck, so that nobody else needs the readers. */
static void
beacon_apart(void)
{
    char                  path[80];
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    snprintf(path, sizeof(path), "%s/one", beacon_out);
    ok(mkdir(path, 0700) == 0, "the other sink cannot write");
    engine = beacon_engine(beacon_odd, 0);
    ok(engine != NULL && beacon_push(200) && beacon_done(100, 100),
       "half of it is done");
    beacond_engine_destroy(engine);

    ok(beacon_push(100), "hits meanwhile");
    engine = beacon_engine(beacon_odd, 0);
    ok(beacon_done(150, 150), "it_goes_on_behind_what_was_ahead");
    beacon_test.what = beacon_all;
    ok(beacon_done(300, 0) && beacon_test.again == 0,
       "and_gets_nothing_twice");
    ok(rmdir(path) == 0 && beacon_settled("one", &sink) && sink.done == 300,
       "the_other_has_all_at_last");
    beacond_engine_destroy(engine);
    beacon_end();
}

/* More holes than a checkpoint has room for: fewer hits are acknowledged. */
static void
beacon_holes(void)
{
    unsigned              n;
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    engine = beacon_engine(beacon_odd, 1);
    ok(beacon_push(6000) && beacon_settled("one", &sink),
       "hits with a hole between any two");
    usleep(200000);
    n = beacon_test.given;
    beacond_engine_destroy(engine);

    engine = beacon_engine(beacon_all, 1);
    ok(beacon_done(6000, 0) && beacon_test.again == 0,
       "all_of_them_are_done_once_in_the_end");
    printf("# %u given at first, %u then\n", n, beacon_test.given);
    beacond_engine_destroy(engine);
    beacon_end();
}

/* One that is down loses what it has not, between what it has, or would hold
   up the other. */
static void
beacon_lost(void)
{
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    engine = beacon_engine(beacon_odd, 0);
    ok(engine != NULL && beacon_push(200) && beacon_done(100, 100),
       "half of it is done");
    beacond_engine_destroy(engine);

    beacon_test.down = true;
    engine = beacon_engine(beacon_all, 0);
    ok(engine != NULL && beacon_push(3000) && beacon_settled("one", &sink)
       && sink.done == 3200, "the_other_goes_on_while_it_takes_nothing");
    beacon_test.down = false;
    ok(beacon_settled("two", &sink) && sink.lost > 0 && sink.done > 100,
       "what_it_has_not_got_is_lost_and_counted");
    ok(beacon_test.again == 0, "and_nothing_is_given_twice");
    beacond_engine_destroy(engine);
    beacon_end();
}

/* Hits until a lane has hardly room for more; none has to wait. */
static int
beacon_fill(void)
{
    int               good = 1;
    uint32_t          lane;
    uint64_t          used = 0;
    beacon_ring_t    *ring;
    beacon_cursor_t   tail, reclaimed;

    if (beacon_ring_attach(beacon_dir, beacon_epoch, 1, &ring, NULL)
        != BEACON_OK)
    {
        return 0;
    }

    while (good && used < 65536 / 8 * 7) {
        good = beacon_push(10);

        for (lane = 0; lane < BEACON_ALL_LANES; lane++) {
            beacon_lane_tail(ring, lane, &tail);
            beacon_lane_reclaimed(ring, lane, &reclaimed);

            if (used < tail.offset - reclaimed.offset) {
                used = tail.offset - reclaimed.offset;
            }
        }
    }

    beacon_ring_detach(ring);

    return good;
}

/* One that is being shown what is behind its checkpoint takes nothing yet. */
static void
beacon_shown(void)
{
    beacond_engine_t     *engine;
    beacon_books_sink_t   sink;

    beacon_begin();
    beacon_test.down = true;
    engine = beacon_engine(beacon_all, 0);
    ok(engine != NULL && beacon_push(200) && beacon_settled("one", &sink)
       && sink.done == 200, "one has hits that the other has not");
    beacond_engine_destroy(engine);

    ok(beacon_fill(), "the ring fills while there is no helper");
    beacon_test.down = false;
    beacon_test.show_ms = 500;
    beacon_test.shown_lost = 1;
    engine = beacon_engine(beacon_all, 0);
    ok(engine != NULL && beacon_settled("two", &sink)
       && beacon_test.shown_lost == 0,
       "one_that_is_shown_what_it_has_not_does_not_lose_it_meanwhile");
    beacond_engine_destroy(engine);
    beacon_end();
}

static void
beacon_parked(void)
{
    int                i;
    beacond_engine_t  *engine;

    beacon_begin();
    engine = beacon_engine(beacon_tenth, 0);
    ok(beacon_push_many(1000) && beacon_done(900, 100)
       && beacon_test.parked == 100, "what_is_parked_pends");

    for (i = 0; i < BEACON_WAIT && !beacond_engine_drained(engine, NULL); i++)
    {
        usleep(10000);
    }

    ok(i < BEACON_WAIT, "but_the_ring_is_given_back");
    beacond_engine_destroy(engine);

    engine = beacon_engine(beacon_all, 0);
    ok(beacon_push(10) && beacon_done(910, 100),
       "it_pends_in_the_next_helper_too");
    beacon_test.unpark = 60;
    ok(beacon_done(970, 40), "until_it_is_done");
    beacond_engine_destroy(engine);
    beacon_end();
}

int
main(void)
{
    beacond_log_level(BEACOND_ALERT);
    beacon_ahead();
    beacon_apart();
    beacon_holes();
    beacon_lost();
    beacon_shown();
    beacon_parked();

    return done_testing();
}
