/*
 * The schemas that records name, read from schemas/<hash>.json beside the ring
 * or in the spool and kept: there are as many as configurations have been.
 */

#ifndef BEACOND_SCHEMAS_H
#define BEACOND_SCHEMAS_H

#include "beacon_schema.h"

#define BEACOND_FLAGS_MAX  64           /* BEACON_BOOKS_FLAGS */

typedef struct beacond_schemas_s  beacond_schemas_t;

typedef struct {
    beacon_schema_t  schema;
    uint8_t          flags[BEACON_FLAGS_MAX];   /* flag i of the schema in the
                                                   engine's flag table; 255:
                                                   the table is full */
} beacond_schema_t;

/* dir: the ring's; spool: its directory or NULL.  NULL: no memory. */
beacond_schemas_t *beacond_schemas_create(const char *dir, const char *spool);
void beacond_schemas_destroy(beacond_schemas_t *schemas);

/* From now on the spool is elsewhere, or nowhere. */
void beacond_schemas_spool(beacond_schemas_t *schemas, const char *spool);

/*
 * The schema of this hash, valid until destroy; from any thread.  NULL: it
 * cannot be read, or does not hash to its name; looked for again at most once
 * a second.
 */
const beacond_schema_t *beacond_schemas_get(beacond_schemas_t *schemas,
    uint32_t hash);

/* The table of flags met so far: number, and the i-th name; 0 is malformed, 1
   macro. */
uint32_t beacond_schemas_nflags(beacond_schemas_t *schemas);
const char *beacond_schemas_flag(beacond_schemas_t *schemas, uint32_t i);

/* The place of a name in it, added if need be; 255: the table is full. */
unsigned beacond_schemas_flag_index(beacond_schemas_t *schemas,
    const char *name, size_t len);

/* Copies a schema's file into the spool's directory, durably, unless it is
   there.  SYS: errno. */
beacon_rc_t beacond_schemas_copy(beacond_schemas_t *schemas, uint32_t hash);

#endif /* BEACOND_SCHEMAS_H */
