/* The live store's own part. */

#include "beacond_conf_check.h"
#include "beacond_visitor.h"
#include "beacon_live_write.h"

#include <string.h>
#include <sys/statvfs.h>

/* Does the arena fit on its file system at all?  How much of that is free, the
   sink finds out when it makes it: some of it may be its own. */
static void
beacond_conf_live_room(beacond_conf_check_t *check, const char *dir,
    uint64_t size)
{
    uint64_t        room;
    struct statvfs  st;

    if (statvfs(dir, &st) == -1) {
        return;                 /* it is made later */
    }

    room = (uint64_t) st.f_blocks * st.f_frsize;

    if (room < size) {
        beacond_conf_fail(check, "the live store of %llu bytes is larger than "
                          "the file system of \"%s\", %llu bytes",
                          (unsigned long long) size, dir,
                          (unsigned long long) room);
    }
}

void
beacond_conf_check_live(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf)
{
    size_t        i;
    int64_t       size;
    uint8_t       key[BEACOND_VISITOR_KEY];
    const char   *path;
    beacon_err_t  err;

    size = beacond_conf_integer(check, sink, "size", 0, BEACON_LIVE_SIZE_MIN,
                                1LL << 40);
    (void) beacond_conf_integer(check, sink, "visitors", 0, 1, 86400);

    if (json_object_get(sink, "size") == NULL
        || json_object_get(sink, "visitors") == NULL)
    {
        beacond_conf_fail(check, "a live store needs \"size\" and "
                          "\"visitors\"");
    }

    if (size > 0 && conf->dir != NULL) {
        beacond_conf_live_room(check, conf->dir, (uint64_t) size);
    }

    path = beacond_conf_string(check, sink, "key", false);

    if (path != NULL && !beacond_conf_plain_path(path)) {
        beacond_conf_fail(check, "\"%s\" must be an absolute path without "
                          "\".\" and \"..\"", path);

    } else if (path != NULL
               && beacond_visitor_key(conf->dir, path, key, &err) != BEACON_OK)
    {
        beacond_conf_fail(check, "%s", err.text);
    }

    for (i = 0; i < conf->nsinks; i++) {
        if (strcmp(conf->sinks[i].type, "live") == 0
            && conf->sinks[i].json != sink)
        {
            beacond_conf_fail(check, "there is a live store already: \"%s\"",
                              conf->sinks[i].name);
            return;
        }
    }
}
