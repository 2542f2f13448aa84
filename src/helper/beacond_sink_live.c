/*
 * The live store's sink: what this host's workers take.
 *
 *     {"type":"live","name":"live","size":134217728,"visitors":300,
 *      "key":"/etc/beacon/live.key"}
 *
 * Not durable: it holds up nobody, and misses what comes while its queue is
 * full.  What it misses is told as a gap of the site, to the hit.  It keeps
 * places (beacond_live_places.h), so that the next helper's goes on where this
 * one was, from the ring: no hit is twice in the store.  Of what the ring has
 * no more then, beacond_passed.h knows the sites.
 */

#include "beacond_slive.h"
#include "beacond_clock.h"
#include "beacond_point.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_SLIVE_TICK  (1000 * BEACOND_MS)

/* What is rare stays out of the way of what is not. */
static beacon_str_t beacond_slive_nameless(beacond_slive_t *slive,
    const uint8_t *text, const beacon_line_t *line) __attribute__((noinline));

static beacon_rc_t
beacond_slive_create(beacond_sink_t *sink, const json_t *conf,
    beacon_err_t *err)
{
    beacond_slive_t  *slive;

    slive = calloc(1, sizeof(beacond_slive_t));

    if (slive == NULL) {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    slive->size = (uint64_t) json_integer_value(json_object_get(conf, "size"));
    slive->present = (uint32_t)
                     json_integer_value(json_object_get(conf, "visitors"));

    if (beacond_live_room(sink->conf->dir, slive->size, err) != BEACON_OK
        || beacond_visitor_key(sink->conf->dir,
                               json_string_value(json_object_get(conf,
                                                                 "key")),
                               slive->key, err)
           != BEACON_OK)
    {
        free(slive);
        return BEACON_INVALID;
    }

    slive->shown = beacon_line_shown_fastest();
    beacond_missed_init(&slive->missed);
    beacond_passed_open(sink->conf->dir);
    sink->data = slive;

    return BEACON_OK;
}

static void
beacond_slive_destroy(beacond_sink_t *sink)
{
    beacond_slive_t  *slive = sink->data;

    if (slive->open) {
        beacond_live_close();
    }

    beacond_places_close(&slive->places);
    beacond_missed_dispose(&slive->missed);
    beacond_passed_close();
    free(slive);
}

static bool
beacond_slive_again(const beacond_conf_t *all, const json_t *conf)
{
    return beacond_live_grows(all->dir, (uint64_t)
                              json_integer_value(json_object_get(conf,
                                                                 "size")));
}

static void
beacond_slive_checkpoint(const beacond_places_note_t *note,
    beacond_checkpoint_t *checkpoint)
{
    char             epoch[17];
    json_t          *root, *lanes;
    uint32_t         i;
    const beacond_place_t  *place;

    lanes = json_array();

    for (i = 0; i < note->nplaces; i++) {
        place = &note->places[i];
        snprintf(epoch, sizeof(epoch), "%016llx",
                 (unsigned long long) place->epoch);
        json_array_append_new(lanes,
                              json_pack("[s, i, I, I]", epoch,
                                        (int) place->lane,
                                        (json_int_t) place->at.offset,
                                        (json_int_t) place->at.ordinal));
    }

    root = json_pack("{s:i, s:I, s:o}", "v", 1, "done",
                     (json_int_t) note->done, "lanes", lanes);
    checkpoint->text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    checkpoint->len = checkpoint->text ? strlen(checkpoint->text) : 0;
    json_decref(root);
}

/* 1: no room for what it is to be; why says so. */
static bool
beacond_slive_smaller(beacond_slive_t *slive, const beacon_live_stats_t *stats)
{
    if (stats->size / BEACON_LIVE_PAGE == slive->size / BEACON_LIVE_PAGE) {
        return false;
    }

    beacon_err(&slive->why, "there is no room for %llu bytes: the store of "
               "%llu that there was goes on",
               (unsigned long long) slive->size,
               (unsigned long long) stats->size);

    return true;
}

/* It is open. */
static void
beacond_slive_opened(beacond_sink_t *sink, beacond_live_t *live)
{
    beacond_slive_t      *slive = sink->data;
    beacon_live_stats_t   stats;

    beacon_live_stats(live->writer, &stats);

    if (beacond_slive_smaller(slive, &stats)) {
        sink->errors++;
        beacond_log(BEACOND_ERROR, "sink \"%s\": %s", sink->name,
                    slive->why.text);
    }
}

static beacon_rc_t
beacond_slive_load(beacond_sink_t *sink, beacond_checkpoint_t *checkpoint)
{
    bool                    blank;
    beacond_live_t         *live;
    beacond_slive_t        *slive = sink->data;
    beacond_places_note_t  *note;

    if (slive->places.file == NULL
        && beacond_places_open(&slive->places, sink->conf->dir, &slive->why)
           != BEACON_OK)
    {
        goto failed;
    }

    if (beacond_live_open(sink->conf->dir, slive->size, slive->present,
                          &slive->why) != BEACON_OK)
    {
        goto failed;
    }

    slive->open = true;
    blank = beacond_places_blank(&slive->places);
    live = beacond_live_lock();
    note = beacond_places_load(&slive->places, live);

    if (note != NULL) {
        slive->unknown = note->unknown;
        beacond_slive_checkpoint(note, checkpoint);

    } else if (!blank) {
        beacond_passed_tidy(NULL);      /* it was another store's */
    }

    beacond_slive_opened(sink, live);
    beacond_live_unlock(live);

    return BEACON_OK;

failed:

    sink->errors++;

    if (beacond_log_due(&slive->limit, NULL)) {
        beacond_log(BEACOND_ERROR, "sink \"%s\" has no store: %s", sink->name,
                    slive->why.text);
    }

    return BEACON_AGAIN;
}

/* Under the engine's mutex: these two. */

static void
beacond_slive_passing(beacond_sink_t *sink, const beacond_batch_t *batch,
    uint64_t ordinal)
{
    (void) sink;
    beacond_passed_note(batch, ordinal);
    BEACOND_POINT("live.passed");
}

static void
beacond_slive_missed(beacond_sink_t *sink, const beacond_batch_t *batch,
    uint64_t turn)
{
    beacond_slive_t  *slive = sink->data;

    beacond_missed_add(&slive->missed, batch, turn);
}

/* What the span has no hits for, behind the lane's place, nobody knows the
   sites of. */
static uint32_t
beacond_slive_place(beacond_slive_t *slive, beacond_places_note_t *note,
    const beacond_span_t *span)
{
    uint32_t          i;
    beacond_place_t  *place;

    i = beacond_places_find(note, span->epoch, span->number, &span->from);
    place = &note->places[i];

    if (place->at.ordinal + span->hits < span->to.ordinal) {
        slive->unknown += span->to.ordinal - span->hits - place->at.ordinal;
    }

    if (span->hits == 0) {
        place->at = span->to;
    }

    return i;
}

/* What goes with these lines: the first of its site takes it. */
static void
beacond_slive_carried(beacond_places_note_t *note,
    const beacond_batch_t *batch)
{
    uint32_t  i, line, carried;

    for (line = 0; line < batch->nlines; line++) {
        carried = beacond_places_carried(note,
                                         beacond_line_site(batch,
                                                   &batch->lines[line]));

        for (i = 0; i < line && carried > 0; i++) {
            if (note->hits[i].carried == carried) {
                carried = 0;
            }
        }

        note->hits[line].carried = carried;
    }
}

/* A span ends where its last hit does, or behind that. */
static void
beacond_slive_last(beacond_places_note_t *note, const beacond_batch_t *batch,
    const beacond_span_t *span)
{
    uint32_t              i;
    const beacond_hit_t  *hit;

    if (span->hits > 0) {
        hit = &batch->hits[span->last];

        for (i = hit->lines; i < hit->lines + hit->nlines; i++) {
            note->hits[i].to = span->to;
        }
    }
}

/* Notes what the batch is going to do. */
static const beacond_places_note_t *
beacond_slive_note(beacond_sink_t *sink, beacond_live_t *live,
    const beacond_batch_t *batch)
{
    uint32_t                i, places[BEACOND_BATCH_LANES];
    beacond_slive_t        *slive = sink->data;
    const beacond_hit_t    *hit;
    const beacond_line_t   *line, *end;
    beacond_place_hit_t    *entry;
    beacond_places_note_t  *note;

    note = beacond_slive_next(sink, live, batch);
    note->mark = live->mark;
    note->done = beacond_sink_done(sink);

    for (i = 0; i < batch->nspans; i++) {
        places[i] = beacond_slive_place(slive, note, &batch->spans[i]);
    }

    entry = note->hits;
    end = batch->lines + batch->nlines;

    for (line = batch->lines; line < end; line++, entry++) {
        hit = &batch->hits[line->hit];
        entry->place = places[hit->span];
        entry->carried = 0;
        entry->to.ordinal = hit->ordinal + 1;
        entry->to.offset = hit->offset + hit->length;
    }

    for (i = 0; i < batch->nspans; i++) {
        beacond_slive_last(note, batch, &batch->spans[i]);
    }

    if (note->ncarry > 0) {
        beacond_slive_carried(note, batch);
    }

    note->nhits = batch->nlines;
    note->unknown = slive->unknown;
    beacond_places_publish(&slive->places);

    return note;
}

/* What a visitor without a name is shown by. */
static beacon_str_t
beacond_slive_nameless(beacond_slive_t *slive, const uint8_t *text,
    const beacon_line_t *line)
{
    beacon_line_parts_t  parts;

    beacon_line_known(text, line, &parts);
    beacon_line_visitor(&parts, slive->key, slive->hash);

    return (beacon_str_t) { BEACON_VISITOR_HASH, slive->hash };
}

/* A line of a batch, with what is missing before it; the lock is held.  Its
   shown form goes where "put" says. */
static inline void
beacond_slive_put(beacond_slive_t *slive, beacond_live_t *live,
    const beacond_batch_t *batch, const beacond_line_t *line,
    beacon_live_put_t *put, beacon_line_shown_t *shown, uint64_t now_ms)
{
    beacon_line_text_t  visitor;

    put->line.data = batch->arena + line->offset;
    put->line.len = line->line.len - 1;
    put->site.data = put->line.data + line->line.site_offset;
    put->site.len = line->line.site_len;
    put->time_ms = batch->hits[line->hit].time_ns / 1000000;

    /* places[] go by marks: each line has one, and the store knows it, or the
       next batch's note would be of another store's */

    if (__builtin_expect(put->site.len > BEACON_SITE_MAX, 0)) {
        slive->unknown++;
        (void) beacond_live_gap(live, put->site, 0);
        return;
    }

    slive->shown(put->line.data, &line->line, shown);
    visitor = shown->texts[BEACON_SHORT_VISITOR];
    put->visitor.data = put->line.data + visitor.offset;
    put->visitor.len = visitor.len;

    if (put->visitor.len == 0) {
        put->visitor = beacond_slive_nameless(slive, put->line.data,
                                              &line->line);
    }

    (void) beacond_live_put_more(live, put, now_ms);
}

static beacon_rc_t
beacond_slive_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    uint32_t                      carried;
    uint64_t                      now_ms;
    beacon_live_put_t             put;
    beacond_live_t               *live;
    beacond_slive_t              *slive = sink->data;
    const beacond_line_t         *line, *end;
    const beacond_place_hit_t    *hit;
    beacon_line_shown_t           shown;
    const beacond_places_note_t  *note;

    live = beacond_live_lock();
    beacond_slive_tell(sink, live);
    put.shown = &shown;
    note = beacond_slive_note(sink, live, batch);
    now_ms = beacond_clock_date() / 1000000;

    hit = note->hits;
    line = batch->lines;

    for (end = line + batch->nlines; line < end; line++, hit++) {
        carried = hit->carried;
        put.missing = carried > 0 ? note->carry[carried - 1].n : 0;
        beacond_slive_put(slive, live, batch, line, &put, &shown, now_ms);
    }

    beacond_live_put_end(live);
    beacond_live_unlock(live);
    BEACOND_POINT("live.put");

    slive->turn++;
    sink->last_success_ns = now_ms * 1000000;
    beacond_sink_ack(sink, batch, 0, batch->nhits);

    return BEACON_OK;
}

/* Its file may be removed while it is open, or cut short: who comes then would
   find none. */
static void
beacond_slive_renew(beacond_sink_t *sink)
{
    beacon_rc_t       rc;
    beacond_live_t   *live;
    beacond_slive_t  *slive = sink->data;

    rc = beacond_live_renew(sink->conf->dir, slive->size, slive->present,
                            &slive->why);

    if (rc == BEACON_AGAIN) {
        return;
    }

    sink->errors++;

    if (beacond_log_due(&slive->limit, NULL)) {
        beacond_log(BEACOND_ERROR, "the file of sink \"%s\" was removed, or "
                    "cut short: %s", sink->name,
                    rc == BEACON_OK ? "it begins anew, empty"
                    : slive->why.text);
    }

    if (rc == BEACON_OK) {
        live = beacond_live_lock();
        (void) beacond_places_load(&slive->places, live);
        beacond_passed_tidy(NULL);
        beacond_live_unlock(live);
    }
}

static int
beacond_slive_flush(beacond_sink_t *sink, bool force)
{
    bool              tick;
    uint64_t          now = beacond_clock_ns();
    beacond_live_t   *live;
    beacond_slive_t  *slive = sink->data;

    (void) force;
    tick = slive->open && now - slive->tick_ns >= BEACOND_SLIVE_TICK;

    if (tick) {
        beacond_slive_renew(sink);
    }

    live = beacond_live_lock();

    if (live == NULL) {
        return 50;
    }

    beacond_slive_tell(sink, live);
    beacond_passed_tidy(&slive->places);

    if (tick) {
        slive->tick_ns = now;
        beacon_live_tick(live->writer, beacond_clock_date() / 1000000);
    }

    beacond_live_unlock(live);

    return 50;
}

static void
beacond_slive_status(beacond_sink_t *sink, json_t *object)
{
    size_t                i;
    beacond_live_t       *live;
    beacond_slive_t      *slive = sink->data;
    beacon_live_stats_t   stats;

    live = slive->open ? beacond_live_lock() : NULL;

    if (live == NULL) {
        json_object_set_new(object, "last_error",
                            json_string(slive->why.text));
        return;
    }

    beacon_live_stats(live->writer, &stats);
    beacond_live_unlock(live);

    if (beacond_slive_smaller(slive, &stats)) {
        json_object_set_new(object, "last_error",
                            json_string(slive->why.text));
    }

    const struct {
        const char  *name;
        uint64_t     n;
    } members[] = {
        { "hits", stats.hits },
        { "missing", stats.missing },
        { "missed_unknown", slive->unknown },
        { "too_large", stats.too_large },
        { "overflow", stats.overflow },
        { "sites", stats.sites },
        { "visitors", stats.visitors },
        { "keys", stats.keys },
        { "evicted_sites", stats.evicted_sites },
        { "evicted_visitors", stats.evicted_visitors },
        { "repaired", stats.repaired },
        { "used_bytes", stats.used_bytes },
        { "size", stats.size }
    };

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        json_object_set_new(object, members[i].name,
                            json_integer((json_int_t) members[i].n));
    }
}

const beacond_sink_ops_t  beacond_sink_live = {
    .type = "live",
    .resumes = true,
    .create = beacond_slive_create,
    .destroy = beacond_slive_destroy,
    .again = beacond_slive_again,
    .load = beacond_slive_load,
    .batch = beacond_slive_batch,
    .missed = beacond_slive_missed,
    .passing = beacond_slive_passing,
    .flush = beacond_slive_flush,
    .status = beacond_slive_status,
    .retry_ms = 1000
};
