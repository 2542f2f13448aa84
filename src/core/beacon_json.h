/*
 * Is a text JSON that every consumer will read alike?  RFC 8259, valid UTF-8,
 * nested at most BEACON_JSON_DEPTH deep, no object with two equal keys (as
 * they are after unescaping), no escape of half a surrogate pair.
 */

#ifndef BEACON_JSON_H
#define BEACON_JSON_H

#include "beacon.h"

#define BEACON_JSON_DEPTH  32

/* A key seen; all zeros: a free slot. */
typedef struct {
    uint32_t  hash;
    uint32_t  object;           /* serial of its object in the text, from 1 */
    uint32_t  offset;           /* of its first byte in the text */
} beacon_json_key_t;

/* Scratch for one thread. */
typedef struct {
    uint64_t            seed;   /* any: it decides no answer */
    beacon_json_key_t  *keys;   /* open addressing */
    size_t              size;   /* of keys; a power of two, or 0 */
} beacon_json_t;

void beacon_json_init(beacon_json_t *json, uint64_t seed);
void beacon_json_dispose(beacon_json_t *json);

/*
 * How many keys[] a text of len bytes needs.  Who brings that many (and sets
 * size) instead of beacon_json_init() has them back: they are not replaced.
 */
size_t beacon_json_slots(size_t len);

/*
 * OK; INVALID: it is not.  SYS: no memory.  Linear in the text's length, and
 * refused at the first byte that cannot stand.
 */
beacon_rc_t beacon_json_check(beacon_json_t *json, beacon_str_t text);

/*
 * A valid string's bytes, unescaped, one a call, -1 at its closing quote: p
 * begins behind the opening one, more is 0.
 */
typedef struct {
    const uint8_t  *p;
    uint32_t        more;       /* what is left of an escaped character's
                                   UTF-8, lowest byte first */
} beacon_json_chars_t;

int beacon_json_char(beacon_json_chars_t *chars);

#endif /* BEACON_JSON_H */
