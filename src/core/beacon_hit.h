/*
 * A hit's payload (beacon_format.h): written by the worker into its lane, read
 * by the helper in place.
 */

#ifndef BEACON_HIT_H
#define BEACON_HIT_H

#include "beacon.h"
#include "beacon_format.h"

typedef struct {
    beacon_str_t  strings[BEACON_HIT_STRINGS];
    beacon_str_t  fields[BEACON_FIELDS_MAX];
    uint32_t      nfields;
    uint32_t      flags;
    uint16_t      max_args;
    uint8_t       method;
    uint8_t       body_kind;
} beacon_hit_t;

/* Bytes that beacon_hit_write() will write.  This function can't fail. */
size_t beacon_hit_size(const beacon_hit_t *hit);

/*
 * Writes the payload: beacon_hit_size() bytes.  The strings' data may lie
 * anywhere but in dst.  This function can't fail.
 */
void beacon_hit_write(const beacon_hit_t *hit, uint8_t *dst);

/*
 * Points hit's strings into payload.  CORRUPT unless head, lengths and
 * terminators fit payload exactly, the method is known and the site valid (it
 * will name files); after OK every string is followed by a NUL.
 */
beacon_rc_t beacon_hit_parse(beacon_str_t payload, beacon_hit_t *hit);

/*
 * The first value of argument NAME in a query, decoded as in "args" but for
 * UTF-8, which is left as it is.  AGAIN: no such argument.  Where nothing had
 * to be decoded, value->data points into query; else into buf, which holds at
 * least query.len bytes.
 */
beacon_rc_t beacon_query_arg(beacon_str_t query, beacon_str_t name,
    uint8_t *buf, beacon_str_t *value);

#endif /* BEACON_HIT_H */
