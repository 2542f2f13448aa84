/* A checkpoint is loaded, and with it what it says is in files. */

#include "beacond_kafka_dead.h"
#include "beacond_kafka_parked.h"
#include "beacon_crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEACOND_KAFKA_LOAD  (200 * BEACOND_MS)  /* tried again */

/* Is anything of the sink's in that directory? */
static bool
beacond_kafka_holds(const beacond_kafka_t *kafka, const char *dir)
{
    size_t       i;
    char         path[BEACOND_DISK_PATH];
    const char  *suffixes[] = { "parked", "dead", "checkpoint" };

    for (i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s.%s", dir, kafka->sink->name,
                 suffixes[i]);

        if (access(path, F_OK) == 0) {
            return true;
        }
    }

    return false;
}

void
beacond_kafka_dir(beacond_kafka_t *kafka, const char *dir)
{
    const beacond_conf_t  *conf = kafka->sink->conf;

    snprintf(kafka->dir, sizeof(kafka->dir), "%s",
             dir != NULL ? dir : conf->spool != NULL ? conf->spool
                                                     : conf->dir);
    kafka->beside = strcmp(kafka->dir, conf->dir) == 0;
}

/* Files that hold something stay where they are, though the configuration may
   have a spool now, or another one; unless they have been moved there. */
static void
beacond_kafka_load_dir(beacond_kafka_t *kafka, const json_t *root)
{
    const char  *dir = json_string_value(json_object_get(root, "dir"));

    if (dir == NULL || dir[0] != '/' || strlen(dir) >= sizeof(kafka->dir)
        || kafka->waiting > 0)
    {
        return;
    }

    beacond_kafka_dir(kafka, NULL);

    if (strcmp(dir, kafka->dir) == 0
        || (!beacond_kafka_holds(kafka, dir)
            && beacond_kafka_holds(kafka, kafka->dir)))
    {
        return;
    }

    beacond_kafka_dir(kafka, dir);

    if (beacond_log_due(&kafka->park_limit, NULL)) {
        beacond_log(BEACOND_NOTICE, "sink \"%s\": its parked hits and dead "
                    "letters are in %s", kafka->sink->name, dir);
    }
}

void
beacond_kafka_gone_told(beacond_kafka_t *kafka)
{
    char  path[PATH_MAX];

    if (kafka->gone) {
        beacond_sink_gone(kafka->sink, path);
        (void) unlink(path);
        kafka->gone = false;
    }
}

/* Is all there that should be?  Else it is lost, if somebody says so; AGAIN:
   its disk may be away. */
static beacon_rc_t
beacond_kafka_load_missing(beacond_kafka_t *kafka, uint64_t waiting)
{
    char  path[PATH_MAX];

    if (!kafka->missing) {
        return BEACON_OK;
    }

    if (!kafka->gone) {
        beacond_sink_gone(kafka->sink, path);
        beacond_kafka_error(kafka, &kafka->file_limit, "of %llu parked hits "
                            "and dead letters some are missing in %s: it waits "
                            "for them, or for %s",
                            (unsigned long long) waiting, kafka->dir, path);
        return BEACON_AGAIN;
    }

    kafka->damaged = true;

    if (kafka->waiting == 0) {
        beacond_kafka_dir(kafka, NULL);
    }

    return BEACON_OK;
}

/* Topics' files, as far as they are there. */
static beacon_rc_t
beacond_kafka_load_parked(beacond_kafka_t *kafka, const json_t *root,
    bool strict)
{
    size_t        i;
    json_t       *entry, *parked = json_object_get(root, "parked");
    beacon_rc_t   rc = BEACON_OK;
    const char   *name;

    json_array_foreach(parked, i, entry) {
        name = json_string_value(json_array_get(entry, 0));

        if (rc == BEACON_OK && name != NULL && beacond_parked_topic(name)) {
            beacond_parked_entry_t  one = {
                name, (uint64_t) json_integer_value(json_array_get(entry, 1)),
                (uint64_t) json_integer_value(json_array_get(entry, 2)),
                (uint64_t) json_integer_value(json_array_get(entry, 3))
            };

            rc = beacond_kafka_parked_load(kafka, &one, strict);
        }
    }

    return rc;
}

/* AGAIN: what may be there cannot be read now.  Nothing is changed before all
   is known to be there. */
static beacon_rc_t
beacond_kafka_load_files(beacond_kafka_t *kafka, const json_t *root,
    bool strict)
{
    char         path[PATH_MAX];
    uint64_t     waiting, gone;
    beacon_rc_t  rc;

    waiting = (uint64_t) json_integer_value(json_object_get(root, "waiting"));
    kafka->lineage = (uint32_t) json_integer_value(json_object_get(root,
                                                                   "lineage"))
                     & BEACOND_PARKED_LINEAGE;
    beacond_kafka_load_dir(kafka, root);
    beacond_sink_gone(kafka->sink, path);
    kafka->gone = kafka->parked_due = access(path, F_OK) == 0;
    kafka->missing = waiting > 0 && !beacond_kafka_holds(kafka, kafka->dir);

    rc = beacond_kafka_load_parked(kafka, root, strict);
    rc = rc != BEACON_OK ? rc : beacond_kafka_load_missing(kafka, waiting);
    rc = rc != BEACON_OK ? rc : beacond_kafka_parked_sweep(kafka, strict);
    rc = rc != BEACON_OK ? rc
         : beacond_kafka_dead_load(kafka, (uint64_t) json_integer_value(
                                              json_object_get(root, "dead")),
                                   strict);

    if (rc != BEACON_OK) {
        return rc;
    }

    gone = waiting > kafka->waiting ? waiting - kafka->waiting : 0;

    if (kafka->damaged) {
        kafka->unparked_lost = gone;

    } else {
        kafka->unparked = gone;
    }

    return BEACON_OK;
}

/* AGAIN: it may be there, but cannot be read now. */
static beacon_rc_t
beacond_kafka_load_from(beacond_kafka_t *kafka, const char *dir,
    json_t **root)
{
    int           fd;
    char          path[BEACOND_DISK_PATH];
    json_error_t  error;

    beacond_kafka_path(kafka, dir, path);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return errno == ENOENT || errno == ELOOP || errno == ENOTDIR
               ? BEACON_OK : BEACON_AGAIN;
    }

    *root = json_loadfd(fd, 0, &error);
    close(fd);

    if (*root == NULL) {
        beacond_log(BEACOND_ERROR, "sink \"%s\": %s: %s", kafka->sink->name,
                    path, error.text);
    }

    return BEACON_OK;
}

/* The ring's; or its copy, which is up to a second older.  AGAIN: not now. */
static beacon_rc_t
beacond_kafka_load_text(beacond_kafka_t *kafka, json_t **root, bool *strict)
{
    beacon_rc_t            rc;
    const beacond_conf_t  *conf = kafka->sink->conf;

    rc = beacond_kafka_load_from(kafka, conf->dir, root);
    *strict = *root != NULL;

    if (rc == BEACON_OK && *root == NULL && conf->spool != NULL) {
        rc = beacond_kafka_load_from(kafka, conf->spool, root);
    }

    return rc;
}

/* The first checkpoint of a ring, or of this version, begins one. */
static void
beacond_kafka_lineage(beacond_kafka_t *kafka)
{
    uint64_t  seed[] = { beacond_clock_date(), (uint64_t) getpid() };

    if (kafka->lineage == 0) {
        kafka->lineage = beacon_crc32c(0, seed, sizeof(seed))
                         % BEACOND_PARKED_LINEAGE + 1;
    }
}

/* The checkpoint, and what it tells of. */
static beacon_rc_t
beacond_kafka_load_all(beacond_kafka_t *kafka, json_t **root)
{
    bool         strict;
    beacon_rc_t  rc;

    if (beacond_disk_busy(kafka->sink->name)) {
        beacond_kafka_error(kafka, &kafka->file_limit, "the disk of its parked "
                            "hits has not come back since the last reload");
        return BEACON_AGAIN;
    }

    rc = beacond_kafka_load_text(kafka, root, &strict);
    rc = rc != BEACON_OK ? rc : beacond_kafka_load_files(kafka, *root, strict);

    if (rc == BEACON_OK) {
        beacond_kafka_lineage(kafka);
        kafka->loaded = true;
        kafka->founded = strict;

    } else if (!kafka->missing) {
        beacond_kafka_error(kafka, &kafka->file_limit, "its checkpoint, or "
                            "what is parked, cannot be read: %s",
                            strerror(errno));
    }

    return rc;
}

beacon_rc_t
beacond_kafka_load(beacond_kafka_t *kafka, beacond_checkpoint_t *checkpoint)
{
    json_t      *root = NULL;
    beacon_rc_t  rc;

    kafka->now = beacond_clock_ns();

    if (kafka->now < kafka->load_ns) {
        return BEACON_AGAIN;
    }

    rc = beacond_kafka_load_all(kafka, &root);
    kafka->load_ns = kafka->now + BEACOND_KAFKA_LOAD;

    if (rc == BEACON_OK && root != NULL) {
        checkpoint->text = json_dumps(json_object_get(root, "engine"),
                                      JSON_COMPACT);
        checkpoint->len = checkpoint->text ? strlen(checkpoint->text) : 0;
    }

    json_decref(root);

    return rc;
}
