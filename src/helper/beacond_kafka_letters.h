/*
 * A producer's letters: what librdkafka is given with each message and gives
 * back with its report.  A message's headers are five pieces of memory, which
 * differ from those of any other in the id alone: with a quarter of the
 * instructions of sending, they were made and freed for each.  So a letter
 * keeps them, and where the id stands in them.
 */

#ifndef BEACOND_KAFKA_LETTERS_H
#define BEACOND_KAFKA_LETTERS_H

#include "beacond_kafka_producer.h"
#include "beacond_spare.h"

struct rd_kafka_headers_s;
struct rd_kafka_message_s;

typedef struct {
    void                       *opaque;         /* the sender's */
    struct rd_kafka_headers_s  *headers;        /* NULL: none yet */
    void                       *id;             /* in them; NULL: not known */
    size_t                      size;           /* its */
} beacond_letter_t;

typedef struct {
    beacond_letter_t           *all;
    beacond_spare_t             spare;          /* those that are not out */
} beacond_letters_t;

/* n: messages that are out at once.  SYS: no memory; dispose() all the same. */
beacon_rc_t beacond_letters_init(beacond_letters_t *letters, uint32_t n);

/* Headers of letters that are out are librdkafka's, and freed by it. */
void beacond_letters_dispose(beacond_letters_t *letters);

/* One with this message's headers.  NULL: no memory, or all are out. */
beacond_letter_t *beacond_letters_get(beacond_letters_t *letters,
    const beacond_message_t *message);

/* It was not sent: its headers are still ours. */
void beacond_letters_put(beacond_letters_t *letters, beacond_letter_t *letter);

/* Takes a report's headers from it: NULL, there are none. */
struct rd_kafka_headers_s *beacond_letters_open(
    const struct rd_kafka_message_s *rkm);

/* It came back with these headers, which it keeps.  What it points to stays
   until the next get(). */
void beacond_letters_back(beacond_letters_t *letters, beacond_letter_t *letter,
    struct rd_kafka_headers_s *headers);

#endif /* BEACOND_KAFKA_LETTERS_H */
