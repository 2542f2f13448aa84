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
 * OK; INVALID: it is not.  SYS: no memory.  Linear in the text's length, and
 * refused at the first byte that cannot stand.
 */
beacon_rc_t beacon_json_check(beacon_json_t *json, beacon_str_t text);

#endif /* BEACON_JSON_H */
