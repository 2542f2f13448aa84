/* Letters: the headers of messages, which go from one to the next. */

#include "beacond_kafka_letters.h"
#include "beacond_prefetch.h"
#include "beacon_render.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

beacon_rc_t
beacond_letters_init(beacond_letters_t *letters, uint32_t n)
{
    letters->all = calloc(n, sizeof(beacond_letter_t));

    return letters->all != NULL ? beacond_spare_init(&letters->spare, n)
                                : BEACON_SYS;
}

void
beacond_letters_dispose(beacond_letters_t *letters)
{
    uint32_t           i;
    beacond_letter_t  *letter;

    while (letters->spare.words != NULL
           && (i = beacond_spare_take(&letters->spare)) != BEACOND_SPARE_NONE)
    {
        letter = &letters->all[i];

        if (letter->headers != NULL) {
            rd_kafka_headers_destroy(letter->headers);
        }
    }

    beacond_spare_dispose(&letters->spare);
    free(letters->all);
}

static size_t
beacond_letter_id(const beacond_message_t *message, const uint8_t **id)
{
    const uint8_t  *end;

    *id = message->value + BEACON_LINE_ID;
    end = message->len > BEACON_LINE_ID
          ? memchr(*id, '"', message->len - BEACON_LINE_ID) : NULL;

    return end != NULL ? (size_t) (end - *id) : 0;
}

/* New headers, if there is memory. */
static void
beacond_letter_write(beacond_letter_t *letter, const uint8_t *id, size_t len)
{
    const char          *name;
    const void          *value;
    rd_kafka_headers_t  *headers;

    static const char  version[] = "beacon-version";
    static const char  type[] = "content-type";
    static const char  json[] = "application/json";

    letter->id = NULL;
    letter->headers = headers = rd_kafka_headers_new(3);

    if (headers == NULL) {
        return;
    }

    rd_kafka_header_add(headers, "beacon-id", sizeof("beacon-id") - 1, id,
                        (ssize_t) len);
    rd_kafka_header_add(headers, version, sizeof(version) - 1, "1", 1);
    rd_kafka_header_add(headers, type, sizeof(type) - 1, json,
                        sizeof(json) - 1);

    /* the library's own copy, in memory that is no constant */

    if (rd_kafka_header_get_all(headers, 0, &name, &value, &letter->size)
        == RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        letter->id = (void *) value;
    }
}

/* Brings into the cache what those to come will need: letters four before their
   turn, what they point to two before. */
BEACOND_TO_WRITE static beacond_letter_t *
beacond_letters_take(beacond_letters_t *letters)
{
    uint32_t                 i, further;
    const beacond_letter_t  *next;

    i = beacond_spare_take(&letters->spare);
    further = beacond_spare_peek(&letters->spare, 3);

    if (further != BEACOND_SPARE_NONE) {
        next = &letters->all[beacond_spare_peek(&letters->spare, 1)];
        __builtin_prefetch(&letters->all[further], 1);
        __builtin_prefetch(next->headers);
        __builtin_prefetch(next->id, 1);
    }

    return i != BEACOND_SPARE_NONE ? &letters->all[i] : NULL;
}

beacond_letter_t *
beacond_letters_get(beacond_letters_t *letters,
    const beacond_message_t *message)
{
    size_t             len;
    const uint8_t     *id;
    beacond_letter_t  *letter = beacond_letters_take(letters);

    if (letter == NULL) {
        return NULL;
    }

    len = beacond_letter_id(message, &id);

    if (letter->headers != NULL && letter->id != NULL && letter->size == len) {
        memcpy(letter->id, id, len);
        return letter;
    }

    if (letter->headers != NULL) {
        rd_kafka_headers_destroy(letter->headers);
    }

    beacond_letter_write(letter, id, len);

    if (letter->headers == NULL) {
        beacond_letters_put(letters, letter);
        return NULL;
    }

    return letter;
}

void
beacond_letters_put(beacond_letters_t *letters, beacond_letter_t *letter)
{
    beacond_spare_put(&letters->spare, (uint32_t) (letter - letters->all));
}

rd_kafka_headers_t *
beacond_letters_open(const rd_kafka_message_t *rkm)
{
    rd_kafka_headers_t  *headers;

    return rd_kafka_message_detach_headers((rd_kafka_message_t *) rkm, &headers)
           == RD_KAFKA_RESP_ERR_NO_ERROR ? headers : NULL;
}

void
beacond_letters_back(beacond_letters_t *letters, beacond_letter_t *letter,
    rd_kafka_headers_t *headers)
{
    letter->id = headers == letter->headers ? letter->id : NULL;
    letter->headers = headers;
    beacond_letters_put(letters, letter);
}
