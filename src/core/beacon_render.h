/*
 * Renders a hit to one line of JSON, key by key as README's "The record" says.
 * The bytes are a function of record, epoch, lane and schema alone: not of
 * time, configuration, CPU or build, so a line can be rendered again and
 * compared.
 *
 * The inner loops exist several times (portable, SSE2, AVX2, ...), chosen once
 * at run time by what the CPU has; all give the same bytes.
 */

#ifndef BEACON_RENDER_H
#define BEACON_RENDER_H

#include "beacon.h"
#include "beacon_hit.h"
#include "beacon_ring.h"
#include "beacon_schema.h"

/* Flags that the renderer itself sets, in beacon_line_t.own_flags. */
enum {
    BEACON_FLAG_MALFORMED = 1 << 0,
    BEACON_FLAG_MACRO = 1 << 1          /* beacon_macro.h */
};

/* A string between its quotes; offset 0: there is none. */
typedef struct {
    uint32_t  offset;
    uint32_t  len;
} beacon_line_text_t;

/* What lines are looked through for. */
enum {
    BEACON_LINE_ARG_URL,        /* arguments */
    BEACON_LINE_ARG_REF,
    BEACON_LINE_FIELD_PAGE,     /* fields */
    BEACON_LINE_FIELD_REFERRER,
    BEACON_LINE_FIELD_COUNTRY,
    BEACON_LINE_TEXTS
};

/* One line.  Offsets are from the line's first byte. */
typedef struct {
    uint32_t  len;              /* with its '\n' */
    uint16_t  id_len;           /* the id starts at BEACON_LINE_ID */
    uint16_t  ip_len;           /* of  "ip":"203.0.113.7",  0: none */
    uint32_t  ip_offset;
    uint32_t  site_offset;      /* the site's bytes, unescaped by nature */
    uint16_t  site_len;
    uint16_t  own_flags;
    /* members that follow: where one ends, behind its comma, the next begins,
       if it is there */
    uint32_t  host_offset;
    uint32_t  path_offset;
    uint32_t  args_offset;      /* of its brace */
    uint32_t  args_end;         /* behind its brace, before the comma */
    uint32_t  referer_end;
    uint32_t  agent_end;
    uint32_t  fields_end;       /* from here on commas stand before */
    uint32_t  flags_end;
    beacon_line_text_t  texts[BEACON_LINE_TEXTS];
} beacon_line_t;

#define BEACON_LINE_ID  (sizeof("{\"v\":1,\"id\":\"") - 1)

/* Scratch for one thread. */
typedef struct beacon_render_s  beacon_render_t;

/* NULL: no memory. */
beacon_render_t *beacon_render_create(void);
void beacon_render_destroy(beacon_render_t *render);

/*
 * Which inner loops: "auto" or one of beacon_render_variants(), a NULL-ended
 * list of those this CPU can run, best first.  INVALID: not among them.
 */
beacon_rc_t beacon_render_select(beacon_render_t *render, const char *name);
const char *const *beacon_render_variants(void);

/* Bytes that a hit's lines can take at most. */
size_t beacon_render_bound(const beacon_hit_t *hit,
    const beacon_schema_t *schema);

/*
 * The same from the payload's length alone, for any schema that
 * beacon_schema_publish() takes: more than the exact one, for a multiplication.
 * Ask the exact one where this does not fit.
 *
 * A byte of a query takes 15 and a sequence of two bytes 12 more; what stands
 * around a field is covered by its length and its NUL, 5 bytes of payload.
 * Flags, edge and the line's own text take less than 4096.
 */
static inline size_t
beacon_render_bound_fast(size_t payload_len)
{
    return 21 * payload_len + 4096;
}

/*
 * Renders into dst, which has room for beacon_render_bound() and 64 bytes; what
 * lies behind the line is left undefined.  The hit comes from
 * beacon_hit_parse(): each string ends in a NUL.  It may be loaded 64 bytes
 * beyond its end.  schema may be NULL (lost): the edge is then "", fields are
 * named "field0" ..., flags "flag0" ...  Sets line[0]; returns the number of
 * lines, today always 1: one record may come to mean several.
 * No allocation but for hits with more arguments, longer repeated values or a
 * longer JSON body than any before them; no memory for those: 0 lines.
 *
 * Strings are escaped one way only: \" \\ \b \f \n \r \t, other bytes below
 * 0x20 as \u00xx with lower-case digits; everything else, DEL, U+2028 and
 * U+2029 too, stands as UTF-8 (a script that wants to hold a line as source
 * needs ECMAScript 2019 or its own escaping: "data" could hold them anyway).
 */
unsigned beacon_render(beacon_render_t *render, const beacon_record_t *record,
    const beacon_hit_t *hit, const beacon_schema_t *schema, uint64_t epoch,
    uint32_t lane, uint8_t *dst, beacon_line_t *line);

#endif /* BEACON_RENDER_H */
