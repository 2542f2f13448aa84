/* Schemas go along with their records into the spool. */

#include "beacond_schemas.h"
#include "beacon_schema.h"
#include "tap.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char  beacon_top[64];

static const char *
beacon_path(const char *name)
{
    static char  path[128];

    snprintf(path, sizeof(path), "%s/%s", beacon_top, name);

    return path;
}

/* In a directory of its own, made for it. */
static uint32_t
beacon_publish(const char *name)
{
    beacon_err_t     err;
    beacon_schema_t  schema;

    memset(&schema, 0, sizeof(schema));
    schema.edge = beacon_string("e");
    mkdir(beacon_path(name), 0700);

    return beacon_schema_publish(beacon_path(name), &schema, (uid_t) -1,
                                 (gid_t) -1, &err) == BEACON_OK
           ? schema.hash : 0;
}

static int
beacon_copied(uint32_t hash)
{
    char  name[64];

    snprintf(name, sizeof(name), "spool/schemas/%08x.json", hash);

    return access(beacon_path(name), R_OK) == 0;
}

int
main(void)
{
    char                command[128], ring[128];
    uint32_t            hash;
    beacond_schemas_t  *schemas;

    strcpy(beacon_top, "/tmp/beacon-test.XXXXXX");

    if (mkdtemp(beacon_top) == NULL) {
        return 1;
    }

    hash = beacon_publish("other");
    mkdir(beacon_path("ring"), 0700);
    mkdir(beacon_path("spool"), 0700);
    strcpy(ring, beacon_path("ring"));
    schemas = beacond_schemas_create(ring, beacon_path("spool"));

    ok(beacond_schemas_copy(schemas, hash) == BEACON_OK
       && !beacon_copied(hash), "one_that_cannot_be_read_refuses_no_record");
    ok(beacon_publish("ring") == hash
       && beacond_schemas_copy(schemas, hash) == BEACON_OK
       && beacon_copied(hash), "it_is_copied_once_it_can");
    beacond_schemas_destroy(schemas);

    snprintf(command, sizeof(command), "rm -rf %s", beacon_top);
    ok(system(command) == 0, "nothing_is_left_behind");

    return done_testing();
}
