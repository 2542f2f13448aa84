/* Parked topics' files, found at load. */

#include "beacond_kafka_parked.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What waits in a file, up to end; what is behind that is cut off. */
static void
beacond_parked_scan(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic,
    uint64_t end)
{
    bool                     damaged = false;
    uint64_t                 place = sizeof(beacond_parked_head_t);
    beacond_parked_frame_t  *frame;

    topic->end = end;
    topic->place = place;

    while ((frame = beacond_parked_read(topic, &place, &damaged)) != NULL) {
        topic->waiting += frame->state == 0 ? frame->hits : 0;
        place += frame->length;
        free(frame);
    }

    if (damaged) {
        kafka->damaged = true;
        beacond_log(BEACOND_ERROR, "sink \"%s\": parked hits of topic \"%s\" "
                    "are damaged", kafka->sink->name, topic->name);
    }

    (void) !ftruncate(topic->fd, (off_t) end);
    kafka->waiting += topic->waiting;
    topic->taken = end;
    beacond_kafka_owe(kafka, end);
}

beacon_rc_t
beacond_kafka_parked_load(beacond_kafka_t *kafka, const char *name,
    uint64_t generation, uint64_t end, bool strict)
{
    ssize_t                 n;
    struct stat             st;
    beacond_kafka_topic_t  *topic;
    beacond_parked_head_t   head;

    topic = beacond_kafka_topic_named(kafka, name, strlen(name), false);

    if (topic == NULL) {
        return BEACON_AGAIN;
    }

    if (topic->generation != 0) {
        return BEACON_OK;
    }

    if (beacond_parked_open(kafka, topic, 0) != BEACON_OK) {
        return errno == ENOENT || errno == EISDIR ? BEACON_OK : BEACON_AGAIN;
    }

    n = pread(topic->fd, &head, sizeof(head), 0);

    if (n < 0 || fstat(topic->fd, &st) != 0) {
        beacond_kafka_parked_close(kafka, topic);
        return BEACON_AGAIN;
    }

    if (n != (ssize_t) sizeof(head) || head.magic != BEACOND_PARKED_MAGIC
        || (strict && head.generation != generation))
    {
        beacond_kafka_parked_close(kafka, topic);
        return BEACON_OK;
    }

    if (!strict || end > (uint64_t) st.st_size) {
        end = (uint64_t) st.st_size;
    }

    topic->generation = head.generation;
    snprintf(topic->reason, sizeof(topic->reason), "parked before");
    topic->state = BEACOND_TOPIC_PARKED;
    topic->chunk_failed = true;
    kafka->ntroubled++;
    beacond_parked_scan(kafka, topic, end);

    return BEACON_OK;
}

/* Files that no checkpoint names.  strict: what is in them will be given
   again; else they are all there is. */
beacon_rc_t
beacond_kafka_parked_sweep(beacond_kafka_t *kafka, bool strict)
{
    DIR                    *dir;
    char                    path[PATH_MAX + 320];
    beacon_rc_t             rc = BEACON_OK;
    struct dirent          *entry;
    beacond_kafka_topic_t  *topic;

    beacond_parked_path(kafka, "", path, sizeof(path));
    dir = opendir(path);

    if (dir == NULL) {
        return errno == ENOENT || errno == ENOTDIR ? BEACON_OK : BEACON_AGAIN;
    }

    while (rc == BEACON_OK && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.'
            || strlen(entry->d_name) > BEACON_KAFKA_TOPIC_MAX)
        {
            continue;
        }

        if (!strict) {
            rc = beacond_kafka_parked_load(kafka, entry->d_name, 0, 0, false);
            continue;
        }

        topic = beacond_kafka_topic_find(kafka, entry->d_name,
                                         strlen(entry->d_name));

        if (topic == NULL || topic->generation == 0) {
            beacond_parked_path(kafka, entry->d_name, path, sizeof(path));
            unlink(path);
        }
    }

    closedir(dir);

    return rc;
}
