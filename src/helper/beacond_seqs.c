#include "beacond_seqs.h"

#include <stdlib.h>
#include <string.h>

beacon_rc_t
beacond_seqs_init(beacond_seqs_t *seqs, uint32_t max, uint64_t feed,
    uint32_t seed)
{
    memset(seqs, 0, sizeof(beacond_seqs_t));
    seqs->seqs = calloc(max, sizeof(beacond_seq_t));
    seqs->chains = calloc(max, sizeof(uint32_t));

    if (seqs->seqs == NULL || seqs->chains == NULL) {
        free(seqs->seqs);
        free(seqs->chains);
        return BEACON_SYS;
    }

    pthread_mutex_init(&seqs->mutex, NULL);
    seqs->max = max;
    seqs->feed = feed;
    seqs->seed = seed;

    return BEACON_OK;
}

void
beacond_seqs_dispose(beacond_seqs_t *seqs)
{
    pthread_mutex_destroy(&seqs->mutex);
    free(seqs->seqs);
    free(seqs->chains);
}

/* Seeded: sites are what clients say, and a chain is bounded by the table
   alone. */
static uint32_t
beacond_seqs_hash(const beacond_seqs_t *seqs, uint8_t edge, beacon_str_t site)
{
    size_t    i;
    uint64_t  hash = 0xcbf29ce484222325ULL ^ ((uint64_t) seqs->seed << 16)
                     ^ edge;

    for (i = 0; i < site.len; i++) {
        hash = (hash ^ site.data[i]) * 0x100000001b3ULL;
    }

    return (uint32_t) (hash ^ hash >> 32);
}

static int
beacond_seqs_is(const beacond_seq_t *seq, uint8_t edge, beacon_str_t site)
{
    return seq->len == site.len && seq->edge == edge
           && memcmp(seq->site, site.data, site.len) == 0;
}

/* Nothing is known any more, and nobody shall mistake what comes for it. */
static void
beacond_seqs_forget(beacond_seqs_t *seqs)
{
    memset(seqs->chains, 0, seqs->max * sizeof(uint32_t));
    seqs->evicted += seqs->used;
    seqs->used = seqs->hand = seqs->nedges = 0;
    seqs->last = NULL;
    seqs->feed++;
}

static uint8_t
beacond_seqs_edge(beacond_seqs_t *seqs, beacon_str_t edge)
{
    uint32_t             i;
    beacond_seq_edge_t  *new;

    for (i = 0; i < seqs->nedges; i++) {
        if (seqs->edges[i].name.len == edge.len
            && memcmp(seqs->edges[i].text, edge.data, edge.len) == 0)
        {
            return (uint8_t) i;
        }
    }

    if (seqs->nedges == BEACOND_SEQS_EDGES) {
        beacond_seqs_forget(seqs);
    }

    new = &seqs->edges[seqs->nedges++];
    new->name.data = new->text;
    new->name.len = edge.len < sizeof(new->text) ? edge.len
                                                 : sizeof(new->text);
    memcpy(new->text, edge.data, new->name.len);

    return (uint8_t) (seqs->nedges - 1);
}

/* One that nobody asked for since the hand was there last; out of its chain. */
static beacond_seq_t *
beacond_seqs_evict(beacond_seqs_t *seqs)
{
    uint32_t       *link, index;
    beacond_seq_t  *seq;

    for ( ;; ) {
        index = seqs->hand++ & (seqs->max - 1);
        seq = &seqs->seqs[index];

        if (!seq->recent) {
            break;
        }

        seq->recent = 0;
    }

    link = &seqs->chains[seq->hash & (seqs->max - 1)];

    while (*link != index + 1) {
        link = &seqs->seqs[*link - 1].next;
    }

    *link = seq->next;
    seqs->evicted++;
    seqs->feed++;

    return seq;
}

static beacond_seq_t *
beacond_seqs_add(beacond_seqs_t *seqs, uint8_t edge, beacon_str_t site,
    uint32_t hash)
{
    uint32_t       *chain = &seqs->chains[hash & (seqs->max - 1)];
    beacond_seq_t  *seq;

    seq = seqs->used < seqs->max ? &seqs->seqs[seqs->used++]
                                 : beacond_seqs_evict(seqs);
    seq->feed = seqs->feed;
    seq->seq = 0;
    seq->recent = 0;    /* those that are hit once push out one another */
    seq->hash = hash;
    seq->edge = edge;
    seq->len = (uint8_t) site.len;
    memcpy(seq->site, site.data, site.len);
    seq->next = *chain;
    *chain = (uint32_t) (seq - seqs->seqs) + 1;

    return seq;
}

const beacond_seq_t *
beacond_seqs_next(beacond_seqs_t *seqs, beacon_str_t edge, beacon_str_t site)
{
    uint8_t         e;
    uint32_t        hash, i;
    beacond_seq_t  *seq = NULL;

    e = beacond_seqs_edge(seqs, edge);

    if (seqs->last != NULL && beacond_seqs_is(seqs->last, e, site)) {
        beacond_seqs_more(seqs, 1);
        seqs->last->last = seqs->now;
        return seqs->last;
    }

    hash = beacond_seqs_hash(seqs, e, site);

    for (i = seqs->chains[hash & (seqs->max - 1)]; i != 0; i = seq->next) {
        seq = &seqs->seqs[i - 1];

        if (seq->hash == hash && beacond_seqs_is(seq, e, site)) {
            break;
        }
    }

    if (i == 0) {
        seq = beacond_seqs_add(seqs, e, site, hash);

    } else {
        seq->recent = 1;
    }

    seqs->last = seq;
    seq->last = seqs->now;
    seq->seq++;

    return seq;
}

uint32_t
beacond_seqs_used(beacond_seqs_t *seqs)
{
    uint32_t  used;

    pthread_mutex_lock(&seqs->mutex);
    used = seqs->used;
    pthread_mutex_unlock(&seqs->mutex);

    return used;
}
