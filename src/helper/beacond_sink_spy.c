/* The spy feed's ops.  beacond_spy.h tells how it works. */

#include "beacond_spy.h"
#include "beacond_zmq_guard.h"
#include "beacon_random.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_SPY_IDLE    20          /* ms; how soon a subscriber is heard */

/* The ops. */

static void
beacond_sink_spy_destroy(beacond_sink_t *sink)
{
    beacond_spy_t  *spy = sink->data;

    if (spy == NULL) {
        return;
    }

    beacond_spy_close(spy);
    beacond_spy_drop(spy);

    /* waits for the I/O thread, which frees chunks until then */

    beacond_zmq_destroy(spy->zmq);
    beacond_spy_release(spy);
    beacond_endpoints_dispose(&spy->endpoints);

    if (spy->seqs.seqs != NULL) {
        beacond_seqs_dispose(&spy->seqs);
    }

    explicit_bzero(spy->key, sizeof(spy->key));
    json_decref(spy->json);
    free(spy);
    sink->data = NULL;
}

static void
beacond_sink_spy_say(void *data, const char *at, const char *text)
{
    beacon_err_t  *err = data;

    (void) at;

    if (strncmp(text, "warning: ", 9) != 0) {
        beacon_err(err, "%.250s", text);
    }
}

static beacon_rc_t
beacond_sink_spy_conf(beacond_spy_t *spy, beacon_err_t *err)
{
    const char            *file;
    beacond_conf_check_t   check = { beacond_sink_spy_say, err, "", false };

    if (spy->json == NULL) {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    spy->ip = beacond_conf_bool(&check, spy->json, "ip");
    file = beacond_conf_string(&check, spy->json, "key", false);

    if (beacond_endpoints_read(&check, spy->json, &spy->endpoints)
        != BEACON_OK || check.failed)
    {
        return BEACON_INVALID;
    }

    return beacond_visitor_key(spy->sink->conf->dir, file, spy->key, err);
}

static beacon_rc_t
beacond_sink_spy_begin(beacond_spy_t *spy, beacon_err_t *err)
{
    uint32_t         seed;
    uint64_t         feed;
    beacon_random_t  random;

    if (beacon_random_seed(&random) != BEACON_OK) {
        beacon_err(err, "there are no random bytes");
        return BEACON_SYS;
    }

    beacon_random_bytes(&random, (uint8_t *) &feed, sizeof(feed));
    beacon_random_bytes(&random, (uint8_t *) &seed, sizeof(seed));

    if (beacond_seqs_init(&spy->seqs, BEACOND_SPY_SITES, feed, seed)
        != BEACON_OK)
    {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    spy->zmq = beacond_zmq_create(spy->endpoints.curve, err);

    if (spy->zmq == NULL) {
        return BEACON_SYS;
    }

    spy->endpoints.curve = NULL;

    return BEACON_OK;
}

static beacon_rc_t
beacond_sink_spy_create(beacond_sink_t *sink, const json_t *conf,
    beacon_err_t *err)
{
    beacon_rc_t     rc;
    beacond_spy_t  *spy;

    spy = calloc(1, sizeof(beacond_spy_t));

    if (spy == NULL) {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    sink->data = spy;
    spy->sink = sink;
    spy->json = json_deep_copy(conf);
    rc = beacond_sink_spy_conf(spy, err);

    if (rc == BEACON_OK) {
        rc = beacond_sink_spy_begin(spy, err);
    }

    if (rc != BEACON_OK) {
        beacond_sink_spy_destroy(sink);
    }

    return rc;
}

/* The edge stands before the site. */
static beacon_str_t
beacond_spy_edge(const uint8_t *text, const beacon_line_t *line)
{
    beacon_str_t    edge = { 0, text };
    const uint8_t  *end, *quote;

    static const char  between[] = "\",\"site\":\"";

    end = text + line->site_offset - (sizeof(between) - 1);

    if (line->site_offset < sizeof(between)
        || memcmp(end, between, sizeof(between) - 1) != 0)
    {
        return edge;
    }

    quote = memrchr(text, '"', (size_t) (end - text));

    if (quote != NULL) {
        edge.data = quote + 1;
        edge.len = (size_t) (end - edge.data);
    }

    return edge;
}

/* Most are of 16 to 32 bytes, where memcmp() takes longer to be called. */
static inline bool
beacond_spy_same(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint64_t  x[4], y[4];

    if (len < 16 || len > 32) {
        return memcmp(a, b, len) == 0;
    }

    memcpy(x, a, 16);
    memcpy(y, b, 16);
    memcpy(x + 2, a + len - 16, 16);
    memcpy(y + 2, b + len - 16, 16);

    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

/* How many lines from this one on have what stands in it between the quote
   before the edge and the one behind the site. */
static uint32_t
beacond_spy_alike(const beacond_batch_t *batch, uint32_t first,
    const uint8_t *quote)
{
    size_t                 len, end;
    uint32_t               i;
    const uint8_t         *text;
    const beacond_line_t  *line = &batch->lines[first];

    text = batch->arena + line->offset;
    end = line->line.site_offset + line->line.site_len + 1;
    len = (size_t) (text + end - quote);

    for (i = first + 1; i < batch->nlines; i++) {
        line = &batch->lines[i];
        end = line->line.site_offset + line->line.site_len + 1;

        if (end <= len
            || !beacond_spy_same(batch->arena + line->offset + end - len,
                                 quote, len))
        {
            break;
        }
    }

    return i - first;
}

/* Returns how many runs there are; runs: NULL where nobody wants them. */
static uint32_t
beacond_spy_number(beacond_spy_t *spy, const beacond_batch_t *batch,
    beacond_spy_run_t *runs)
{
    uint32_t               i, n, nruns = 0;
    beacon_str_t           site, edge;
    const uint8_t         *text;
    beacond_spy_run_t     *run;
    const beacond_seq_t   *seq;
    const beacond_line_t  *line;

    pthread_mutex_lock(&spy->seqs.mutex);
    spy->seqs.now = (uint32_t) (beacond_clock_ns() / BEACOND_SPY_SECOND);

    for (i = 0; i < batch->nlines; i += n) {
        line = &batch->lines[i];
        text = batch->arena + line->offset;
        edge = beacond_spy_edge(text, &line->line);
        site.data = text + line->line.site_offset;
        site.len = line->line.site_len;
        seq = beacond_seqs_next(&spy->seqs, edge, site);
        n = edge.data > text ? beacond_spy_alike(batch, i, edge.data - 1) : 1;

        if (runs != NULL) {
            run = &runs[nruns++];
            run->edge = edge;
            run->at = seq->edge;
            run->feed = seq->feed;
            run->seq = seq->seq;
            run->first = i;
            run->n = n;
        }

        beacond_seqs_more(&spy->seqs, n - 1);
    }

    pthread_mutex_unlock(&spy->seqs.mutex);

    return nruns;
}

static beacon_rc_t
beacond_sink_spy_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    uint32_t        i, nruns = 0;
    beacond_spy_t  *spy = sink->data;

    beacond_spy_turn(spy);

    if (spy->counting) {
        nruns = beacond_spy_number(spy, batch, spy->runs);
    }

    for (i = 0; i < nruns && beacond_spy_wanted(spy); i++) {
        beacond_spy_hits(spy, batch, &spy->runs[i]);
    }

    if (i > 0) {
        sink->last_success_ns = beacond_clock_date();
    }

    beacond_sink_ack(sink, batch, 0, batch->nhits);

    return BEACON_OK;
}

static void
beacond_sink_spy_missed(beacond_sink_t *sink, const beacond_batch_t *batch,
    uint64_t turn)
{
    beacond_spy_t  *spy = sink->data;

    (void) turn;                        /* a gap has no place, but a size */
    spy->missed += batch->nlines;

    if (spy->counting) {
        beacond_spy_number(spy, batch, NULL);
    }
}

/* The next site before the due-th that somebody may not know the last number
   of; false: there is none. */
static bool
beacond_spy_next(beacond_spy_t *spy, uint64_t due, beacond_seq_t *seq,
    beacond_seq_edge_t *edge)
{
    bool             found = false;
    uint32_t         now = (uint32_t) (spy->now / BEACOND_SPY_SECOND);
    beacond_seq_t   *next;
    beacond_seqs_t  *seqs = &spy->seqs;

    pthread_mutex_lock(&seqs->mutex);

    while (!found && spy->beat < due && spy->beat < seqs->used) {
        next = &seqs->seqs[spy->beat++];

        if (spy->now < spy->all_ns || now <= next->last + BEACOND_SPY_RECENT) {
            *seq = *next;
            *edge = seqs->edges[next->edge];
            found = true;
        }
    }

    pthread_mutex_unlock(&seqs->mutex);

    return found;
}

/* Each site's once a second, spread over it: all at once would fill queues. */
static void
beacond_spy_beats(beacond_spy_t *spy)
{
    uint64_t             due, age = spy->now - spy->beat_ns;
    beacond_seq_t        seq;
    beacon_spy_head_t    head;
    beacond_seq_edge_t   edge;

    if (age >= 2 * BEACOND_SPY_SECOND) {
        spy->beat_ns = spy->now;
        spy->beat = 0;
        return;
    }

    if (spy->queues == BEACOND_SPY_FULL) {
        spy->all_ns = spy->now + BEACOND_SPY_ALL * BEACOND_SPY_SECOND;
    }

    due = age >= BEACOND_SPY_SECOND ? spy->seqs.max
          : beacond_seqs_used(&spy->seqs) * age / BEACOND_SPY_SECOND;

    while (beacond_spy_wanted(spy)
           && beacond_spy_next(spy, due, &seq, &edge))
    {
        head.stat = 1;
        head.site = (beacon_str_t) { seq.len, seq.site };
        head.edge = (beacon_str_t) { edge.name.len, edge.text };
        head.feed = seq.feed;
        head.seq = seq.seq;
        beacond_spy_stat(spy, &head);
    }

    if (age >= BEACOND_SPY_SECOND) {
        spy->beat_ns += BEACOND_SPY_SECOND;
        spy->beat = 0;
    }
}

static int
beacond_sink_spy_flush(beacond_sink_t *sink, bool force)
{
    beacond_spy_t  *spy = sink->data;

    (void) force;
    beacond_spy_turn(spy);

    if (beacond_spy_wanted(spy)) {
        beacond_spy_beats(spy);
    }

    return BEACOND_SPY_IDLE;
}

static void
beacond_sink_spy_set(json_t *object, const char *key, uint64_t n)
{
    json_object_set_new(object, key, json_integer((json_int_t) n));
}

static void
beacond_sink_spy_status(beacond_sink_t *sink, json_t *object)
{
    char                        feed[BEACON_SPY_FEED + 1];
    uint64_t                    id, evicted;
    beacond_spy_t              *spy = sink->data;
    beacond_zmq_guard_stats_t   guard;

    pthread_mutex_lock(&spy->seqs.mutex);
    id = spy->seqs.feed;
    evicted = spy->seqs.evicted;
    pthread_mutex_unlock(&spy->seqs.mutex);

    snprintf(feed, sizeof(feed), "%016llx", (unsigned long long) id);
    json_object_set_new(object, "feed", json_string(feed));
    beacond_sink_spy_set(object, "subscribers", spy->subscribers);
    beacond_sink_spy_set(object, "subscriptions", spy->subscriptions);
    beacond_sink_spy_set(object, "sites", beacond_seqs_used(&spy->seqs));
    beacond_sink_spy_set(object, "evicted", evicted);
    beacond_sink_spy_set(object, "sent", spy->sent);
    beacond_sink_spy_set(object, "dropped", spy->dropped);
    beacond_sink_spy_set(object, "missed", spy->missed);
    beacond_sink_spy_set(object, "too_large", spy->large);
    beacond_sink_spy_set(object, "queued", beacond_spy_queued(spy));
    beacond_sink_spy_set(object, "queued_bytes",
                         beacond_spy_queued_bytes(spy));
    beacond_sink_spy_set(object, "refused", beacond_zmq_refused(spy->zmq));
    beacond_zmq_guard_stats(&guard);
    beacond_sink_spy_set(object, "turned_away", guard.turned_away);
    beacond_sink_spy_set(object, "cut", guard.cut);
    beacond_sink_spy_set(object, "resets", spy->resets);

    if (spy->error.text[0] != '\0') {
        json_object_set_new(object, "last_error",
                            json_string(spy->error.text));
    }
}

const beacond_sink_ops_t  beacond_sink_spy = {
    .type = "spy",
    .durable = false,
    .create = beacond_sink_spy_create,
    .destroy = beacond_sink_spy_destroy,
    .batch = beacond_sink_spy_batch,
    .missed = beacond_sink_spy_missed,
    .flush = beacond_sink_spy_flush,
    .status = beacond_sink_spy_status,
    .retry_ms = BEACOND_SPY_IDLE
};
