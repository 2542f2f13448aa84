/*
 * A template as it is compiled: what beacon_template.c makes and
 * beacon_template_eval.c reads.
 */

#ifndef BEACON_TEMPLATE_PARTS_H
#define BEACON_TEMPLATE_PARTS_H

#include "beacon_template.h"

#include <stdbool.h>
#include <string.h>

enum {
    BEACON_PART_TEXT,
    BEACON_PART_SITE,
    BEACON_PART_TIME,
    BEACON_PART_VAR
};

typedef struct {
    uint8_t       kind;
    uint8_t       conversion;   /* TIME: its letter */
    uint32_t      var;          /* VAR: index in vars[] */
    beacon_str_t  text;         /* TEXT: in the template's bytes */
} beacon_part_t;

typedef struct {
    beacon_str_t  name;
    uint32_t      index;        /* in the caller's values[] */
} beacon_var_t;

struct beacon_template_s {
    beacon_part_t  *parts;
    beacon_var_t   *vars;
    uint8_t        *bytes;      /* a copy of the text, literals unescaped */
    size_t          used;
    uint32_t        nparts;
    uint32_t        nvars;
    uint32_t        period;
    unsigned        uses;
};

/* Bytes that a part can become at most. */
size_t beacon_part_width(const beacon_part_t *part);

static inline bool
beacon_template_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_';
}

#endif /* BEACON_TEMPLATE_PARTS_H */
