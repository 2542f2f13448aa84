/*
 * A schema: the names a record's positions stand for (beacon_field,
 * beacon_flag, and this host's beacon_edge).  Records carry its hash; the
 * names are in schemas/<hash>.json beside the ring, and in the spool's copy,
 * written before the first record that uses them.  So a record can be
 * rendered, to the same bytes, whatever the configuration is by then.
 *
 *     {"v":1,"salt":0,"edge":"web7","fields":["country"],"flags":["bot"]}
 *
 * The hash is the CRC-32C of that text, never 0.  If the file of a hash holds
 * another text, "salt" is raised until it fits.
 */

#ifndef BEACON_SCHEMA_H
#define BEACON_SCHEMA_H

#include "beacon.h"
#include "beacon_format.h"

#include <sys/types.h>

typedef struct {
    beacon_str_t   edge;
    beacon_str_t   fields[BEACON_FIELDS_MAX];
    beacon_str_t   flags[BEACON_FLAGS_MAX];
    uint32_t       nfields;
    uint32_t       nflags;
    uint32_t       hash;        /* set by beacon_schema_publish / _parse */
} beacon_schema_t;

/*
 * Writes dir/schemas/<hash>.json (and the directory) unless it stands there,
 * by temporary file and rename, mode 0600, owned by uid:gid unless -1.  Sets
 * schema->hash.
 */
beacon_rc_t beacon_schema_publish(const char *dir, beacon_schema_t *schema,
    uid_t uid, gid_t gid, beacon_err_t *err);

/* Names: of fields and flags [A-Za-z0-9_]{1,64}; an edge: 1 to 255 bytes of
   valid UTF-8 without space, control characters, quote or backslash. */
int beacon_schema_name_valid(const uint8_t *data, size_t len);
int beacon_schema_edge_valid(const uint8_t *data, size_t len);

/* The canonical text above; returns its length (cap must allow 16 KiB). */
size_t beacon_schema_text(const beacon_schema_t *schema, uint32_t salt,
    char *dst, size_t cap);

#endif /* BEACON_SCHEMA_H */
