/*
 * From batches to messages, with a producer that takes them or not, and topics
 * whose partitions become known, or more, at any moment: each line is sent
 * once; keys keep their order, and so does each partition while it is known
 * which there are; what goes to one partition goes together.
 */

#include "beacond_hash.h"
#include "beacond_kafka.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW  96
#define TOPICS  5
#define PARTS   8               /* at most */
#define RUNS    64              /* that a batch is sorted into */
#define KEYS    40
#define ROUNDS  1500
#define LINES   (ROUNDS * BEACOND_BATCH_HITS)
#define NONE    UINT32_MAX

/* A topic, as the cluster has it and the producer knows of it. */
struct beacond_producer_s {
    char      name[16];
    uint32_t  partitions;
    uint32_t  known;            /* 0: not yet */
    uint32_t  by_key[KEYS + 1];             /* the newest line that was sent, */
    uint32_t  by_partition[PARTS];          /*   plus 1 */
    uint32_t  in_chunk[PARTS];  /* the last chunk that had one, and */
    uint32_t  at[PARTS];        /*   where in it */
};

static beacond_conf_kafka_t        conf;
static beacond_kafka_t             kafka;
static struct beacond_producer_s   producer, cluster[TOPICS];
static beacond_names_t             names = { .n = 1 };
static beacond_batch_t             batch;
static beacond_line_t              lines[BEACOND_BATCH_HITS];
static beacond_hit_t               hits[BEACOND_BATCH_HITS];
static uint8_t                     arena[BEACOND_BATCH_HITS * 64];
static uint8_t                     sent[LINES], keys[LINES], topics[LINES];
static const void                 *queue[WINDOW];
static uint32_t                    nqueue, nlines, chunk, place;
static bool                        changes, refuses;
static const char                 *wrong;
static unsigned long               state = 1;

static unsigned
any(unsigned n)
{
    state = state * 6364136223846793005UL + 1442695040888963407UL;

    return (unsigned) (state >> 33) % n;
}

static void
expect(bool good, const char *what)
{
    if (!good && wrong == NULL) {
        wrong = what;
    }
}

/* The producer. */

beacond_producer_t *
beacond_producer_create(const beacond_conf_kafka_t *c,
    const beacond_producer_ops_t *ops, bool alone, beacon_err_t *err)
{
    (void) c;
    (void) ops;
    (void) alone;
    (void) err;

    return NULL;
}

void
beacond_producer_destroy(beacond_producer_t *p, void (*done)(void *data),
    void *data)
{
    (void) p;
    done(data);
}

void *
beacond_producer_topic(beacond_producer_t *p, const char *name,
    beacon_err_t *err)
{
    uint32_t  i;

    (void) p;
    (void) err;

    for (i = 0; strcmp(cluster[i].name, name) != 0; i++) {
        /* it is one of them */
    }

    return &cluster[i];
}

void
beacond_producer_release(void *topic)
{
    (void) topic;
}

static void
change(struct beacond_producer_s *topic)
{
    if (changes && any(50) == 0) {
        topic->partitions = 1U << any(4);
        topic->known = any(4) ? topic->partitions : 0;
    }
}

uint32_t
beacond_producer_partitions(const void *topic)
{
    change(&cluster[(const struct beacond_producer_s *) topic - cluster]);

    return ((const struct beacond_producer_s *) topic)->known;
}

uint32_t
beacond_producer_partition(const void *topic, uint32_t partitions,
    const beacond_message_t *message)
{
    change(&cluster[(const struct beacond_producer_s *) topic - cluster]);

    return message->key == NULL ? 0 : message->key[0] % partitions;
}

static uint32_t
number(const beacond_message_t *message)
{
    char  text[16];

    snprintf(text, sizeof(text), "%.*s", (int) message->len,
             (const char *) message->value);

    return (uint32_t) strtoul(text, NULL, 10);
}

/* Is nothing but its own between this message and its partition's last of the
   chunk? */
static void
together(struct beacond_producer_s *topic, uint32_t p)
{
    if (kafka.nsent == 0) {
        chunk++;
        place = 0;
    }

    place++;
    expect(topic->in_chunk[p] != chunk || topic->at[p] == place - 1,
           "what goes to one partition goes together");
    topic->in_chunk[p] = chunk;
    topic->at[p] = place;
}

/* Its partition as it was sorted by, and as it is. */
static void
judge(struct beacond_producer_s *topic, const beacond_kafka_msg_t *msg,
    uint32_t n)
{
    uint8_t   key = keys[n];
    uint32_t  sorted = msg->topic->partitions, p = 0;

    if (key < KEYS && sorted > 1) {
        p = key % sorted;
    }

    together(topic, p);
    expect(topic->by_key[key] <= n, "a key keeps its order");
    topic->by_key[key] = n + 1;

    if (key == KEYS || (sorted > 1 && sorted != topic->partitions)) {
        return;
    }

    p = key % topic->partitions;
    expect(topic->by_partition[p] <= n, "a partition keeps its order");
    topic->by_partition[p] = n + 1;
}

beacon_rc_t
beacond_producer_send(beacond_producer_t *p, void *data,
    const beacond_message_t *message, void *opaque, const char **reason)
{
    uint32_t                    n = number(message);
    struct beacond_producer_s  *topic = data;
    const beacond_kafka_msg_t  *msg = opaque;

    (void) p;
    (void) reason;

    change(topic);

    if (nqueue == WINDOW || (refuses && any(40) == 0)) {
        return BEACON_FULL;
    }

    if (n >= nlines || sent[n] != 0) {
        expect(false, "a line is sent once");
        return BEACON_FULL;
    }

    expect(topic == &cluster[topics[n]]
           && (keys[n] < KEYS ? message->key_len == 1
                                && message->key[0] == keys[n]
                              : message->key == NULL),
           "a line has its topic and key");
    judge(topic, msg, n);
    sent[n] = 1;
    queue[nqueue++] = msg;
    topic->known = changes && any(2) ? topic->known : topic->partitions;

    return BEACON_OK;
}

/* Reports of some, in any order, and a checkpoint. */
static void
serve(bool all)
{
    size_t      i, n;
    unsigned    k;
    const void *msg;

    for (n = all ? nqueue : any(nqueue + 1); n > 0; n--) {
        k = any(nqueue);
        msg = queue[k];
        queue[k] = queue[--nqueue];
        expect(number(&((const beacond_kafka_msg_t *) msg)->message) < nlines,
               "what is out is not written over");
        beacond_kafka_producer_ops.report(&kafka, (void *) msg,
                                          BEACOND_DELIVERED, "");
    }

    n = beacond_kafka_gather(&kafka, true);

    for (i = 0; i < n; i++) {
        kafka.pieces[i]->told = true;
    }

    beacond_kafka_told(&kafka);
}

void
beacond_producer_poll(beacond_producer_t *p, int ms)
{
    (void) p;
    (void) ms;
}

void
beacond_producer_flush(beacond_producer_t *p, int ms)
{
    (void) p;
    (void) ms;
}

void
beacond_producer_purge(beacond_producer_t *p, bool inflight)
{
    (void) p;
    (void) inflight;
}

uint32_t
beacond_producer_out(beacond_producer_t *p)
{
    (void) p;

    return nqueue;
}

const char *
beacond_producer_fatal(beacond_producer_t *p)
{
    (void) p;

    return NULL;
}

/* The sink, and what it is given. */

static beacon_template_t *
template(const char *text)
{
    beacon_err_t        err;
    beacon_str_t        s = { strlen(text), (const uint8_t *) text };
    beacon_template_t  *tmpl;

    if (beacon_template_create(s, &tmpl, &err) != BEACON_OK) {
        exit(1);
    }

    if (beacon_template_nvars(tmpl) > 0) {
        beacon_template_bind(tmpl, 0, 0);
    }

    return tmpl;
}

/* Names whose partitions share no run: each topic has eight of its own. */
static void
name(uint32_t i)
{
    uint32_t                    n;
    struct beacond_producer_s  *topic = &cluster[i];

    for (n = 0; n == 0 || beacond_hash(topic->name, strlen(topic->name)) % RUNS
                          != i * PARTS; n++)
    {
        snprintf(topic->name, sizeof(topic->name), "t%u-%u", i, n);
    }

    topic->partitions = 1U << any(4);
}

static void
begin(bool change_them, bool refuse)
{
    uint32_t  i;

    memset(&kafka, 0, sizeof(kafka));
    memset(cluster, 0, sizeof(cluster));
    memset(sent, 0, sizeof(sent));
    nlines = nqueue = 0;
    chunk = place = 0;
    wrong = NULL;
    changes = change_them;
    refuses = refuse;
    conf.window = WINDOW;
    conf.max_topics = TOPICS + 1;
    kafka.conf = &conf;
    kafka.now = 1000 * BEACOND_MS;
    kafka.loaded = true;
    kafka.producer = &producer;
    kafka.mask = 63;
    kafka.buckets = calloc(64, sizeof(beacond_kafka_topic_t *));
    kafka.topic_tmpl = template("$beacon_site");
    kafka.key_tmpl = template("$beacon_visitor");
    kafka.uses = beacon_template_uses(kafka.topic_tmpl);

    if (kafka.buckets == NULL
        || beacond_kafka_window_create(&kafka) != BEACON_OK)
    {
        exit(1);
    }

    for (i = 0; i < TOPICS; i++) {
        name(i);
    }
}

static void
end(void)
{
    beacond_kafka_topics_destroy(&kafka);
    beacond_kafka_window_leave(kafka.window);
    beacond_spare_dispose(&kafka.spare);
    free(kafka.pieces);
}

/* A line is its number, "\n", its site and its key's length and byte. */
static void
put(uint32_t i, uint32_t hit)
{
    uint8_t          *at = arena + (size_t) i * 64;
    uint32_t          n = nlines++;
    unsigned          topic = any(any(3) ? TOPICS : 2);
    beacond_line_t   *line = &lines[i];

    keys[n] = (uint8_t) any(KEYS + 1);
    topics[n] = (uint8_t) topic;
    memset(line, 0, sizeof(*line));
    line->offset = i * 64;
    line->hit = hit;
    line->line.site_offset = 12;
    line->line.site_len = (uint16_t) strlen(cluster[topic].name);
    line->line.len = 32;
    line->values = i * 64 + 40;
    memset(at, ' ', 64);
    snprintf((char *) at, 12, "%u", n);
    memcpy(at + 12, cluster[topic].name, line->line.site_len);
    at[40] = keys[n] < KEYS;
    at[41] = keys[n];
}

static void
make(void)
{
    uint32_t        n, i = 0, want = 1 + any(BEACOND_BATCH_HITS);
    beacond_hit_t  *hit;

    memset(&batch, 0, sizeof(batch));
    memset(hits, 0, sizeof(hits));
    batch.hits = hits;
    batch.lines = lines;
    batch.arena = arena;
    batch.names = &names;
    batch.nspans = 2;
    batch.spans[0].last = batch.spans[1].last = NONE;
    batch.spans[1].lane = 1;

    while (i < want) {
        hit = &hits[batch.nhits];
        hit->span = any(2);
        hit->lines = i;
        hit->nlines = 1 + (any(8) == 0 ? any(3) : 0);

        if (hit->nlines > want - i) {
            hit->nlines = want - i;
        }

        for (n = 0; n < hit->nlines; n++) {
            put(i++, batch.nhits);
        }

        batch.nhits++;
    }

    batch.nlines = i;
}

/* Are as many ready, of each topic, as were not sent? */
static void
count(void)
{
    uint32_t                      i, ready = 0;
    const beacond_kafka_topic_t  *topic;

    for (topic = kafka.topics; topic != NULL; topic = topic->next) {
        ready += topic->ready;
    }

    expect(ready == kafka.nready - kafka.nsent, "who is ready is counted");

    for (i = kafka.nsent; i < kafka.nready; i++) {
        ready -= kafka.ready[i]->state == BEACOND_MSG_READY;
    }

    expect(ready == 0, "who is counted is ready");
}

static void
test(bool change_them, bool refuse, const char *what)
{
    uint32_t  i, round, again = 0;

    begin(change_them, refuse);

    for (round = 0; round < ROUNDS && wrong == NULL; round++) {
        make();

        while (beacond_kafka_batch(&kafka, &batch) != BEACON_OK
               && wrong == NULL)
        {
            count();
            serve(++again % 100 == 0);
        }

        count();
        expect(kafka.nready == 0, "a batch that is taken leaves nothing");

        for (i = nlines - batch.nlines; i < nlines; i++) {
            expect(sent[i] == 1, "each line is sent");
        }

        serve(any(3) == 0);
    }

    ok(wrong == NULL, "%s: %u lines of %u batches%s%s", what, nlines, round,
       wrong ? ", not so: " : "", wrong ? wrong : "");
    serve(true);
    ok(kafka.used == 0 && kafka.out == 0, "%s: all come back", what);
    end();
}

int
main(void)
{
    test(false, false, "partitions that stay");
    test(false, true, "a producer that refuses");
    test(true, false, "partitions that change at any time");
    test(true, true, "both");

    return done_testing();
}
