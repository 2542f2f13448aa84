/* Parked topics' files, found at load. */

#include "beacond_kafka_parked.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One may begin with a dot, but "." and ".." are none. */
bool
beacond_parked_topic(const char *name)
{
    return strlen(name) <= BEACON_KAFKA_TOPIC_MAX && name[0] != '\0'
           && strchr(name, '/') == NULL && strcmp(name, ".") != 0
           && strcmp(name, "..") != 0;
}

static void
beacond_parked_damaged(beacond_kafka_t *kafka, const char *topic,
    const char *what)
{
    kafka->damaged = true;
    beacond_log(BEACOND_ERROR, "sink \"%s\": parked hits of topic \"%s\" are "
                "damaged%s", kafka->sink->name, topic, what);
}

static void
beacond_parked_aside_path(const beacond_kafka_t *kafka, const char *topic,
    char *path)
{
    snprintf(path, BEACOND_DISK_PATH, "%s/%s.parked.%s.aside", kafka->dir,
             kafka->sink->name, topic);
}

/* A file that is none is kept for who can read it. */
static void
beacond_parked_aside(beacond_kafka_t *kafka, const char *topic)
{
    char  path[BEACOND_DISK_PATH], aside[BEACOND_DISK_PATH];

    beacond_parked_path(kafka, topic, path, sizeof(path));
    beacond_parked_aside_path(kafka, topic, aside);
    beacond_parked_damaged(kafka, topic, rename(path, aside) == 0
                           ? ", and set aside" : ", and cannot be set aside");
}

/* A file of which something waits is not there: it has been set aside before,
   or its disk is away. */
static void
beacond_parked_lacks(beacond_kafka_t *kafka, const char *topic)
{
    char  path[BEACOND_DISK_PATH];

    beacond_parked_aside_path(kafka, topic, path);

    if (access(path, F_OK) == 0) {
        beacond_parked_damaged(kafka, topic, ", and set aside");

    } else {
        kafka->missing = true;
    }
}

/* What is behind the file's end comes again. */
static void
beacond_parked_cut(beacond_kafka_t *kafka, const char *topic, uint64_t end)
{
    beacond_disk_job_t  *job = beacond_disk_job(BEACOND_DISK_WRITE, 0);

    if (job != NULL) {
        beacond_parked_path(kafka, topic, job->path, sizeof(job->path));
        job->place = end;
        (void) beacond_disk_do(kafka, job);
        beacond_disk_free(job);
    }
}

/* What waits in the file.  AGAIN: it cannot be read now. */
static beacon_rc_t
beacond_parked_scan(beacond_kafka_t *kafka, beacond_kafka_topic_t *topic)
{
    bool                     damaged = false, again = false;
    uint64_t                 place = topic->place, waiting = 0;
    beacond_parked_frame_t  *frame;

    while ((frame = beacond_parked_read(kafka, topic, &place, &damaged,
                                        &again)) != NULL)
    {
        waiting += frame->state == 0 ? frame->hits : 0;
        place += frame->length;
    }

    if (again) {
        return BEACON_AGAIN;
    }

    if (damaged) {
        beacond_parked_damaged(kafka, topic->name, "");
    }

    topic->waiting = waiting;

    return BEACON_OK;
}

/* The head.  SYS: there is no file; INVALID: it is none of ours; named: by the
   checkpoint, so it should be.  AGAIN: it cannot be read now. */
static beacon_rc_t
beacond_parked_head(beacond_kafka_t *kafka, const char *topic, bool named,
    beacond_parked_head_t *head, uint64_t *size)
{
    int                   error;
    size_t                n;
    beacond_disk_job_t   *job;

    job = beacond_disk_job(BEACOND_DISK_READ, sizeof(*head));

    if (job == NULL) {
        return BEACON_AGAIN;
    }

    beacond_parked_path(kafka, topic, job->path, sizeof(job->path));
    (void) beacond_disk_do(kafka, job);
    error = job->error;
    n = job->len;
    *size = job->size;
    memcpy(head, job->data, n);
    beacond_disk_free(job);
    errno = error;

    if (error != 0) {
        return error == ENOENT || error == ENODEV ? BEACON_SYS
               : error == EISDIR ? BEACON_INVALID : BEACON_AGAIN;
    }

    if (n != sizeof(*head)
        || (head->magic != beacond_parked_magic(head->generation)
            && head->magic != BEACOND_PARKED_MAGIC))
    {
        if (named || n == sizeof(*head)) {
            beacond_parked_aside(kafka, topic);
        }

        return BEACON_INVALID;
    }

    return BEACON_OK;
}

beacon_rc_t
beacond_kafka_parked_load(beacond_kafka_t *kafka,
    const beacond_parked_entry_t *entry, bool strict)
{
    uint64_t                size;
    beacon_rc_t             rc;
    beacond_kafka_topic_t  *topic;
    beacond_parked_head_t   head;

    topic = beacond_kafka_topic_named(kafka, entry->topic,
                                      strlen(entry->topic), false);

    if (topic == NULL) {
        return BEACON_AGAIN;
    }

    if (topic->generation != 0) {
        return BEACON_OK;
    }

    rc = beacond_parked_head(kafka, entry->topic, entry->generation != 0,
                             &head, &size);

    if (strict && entry->done < entry->end
        && (rc == BEACON_SYS || (rc == BEACON_OK && head.generation
                                                    != entry->generation)))
    {
        beacond_parked_lacks(kafka, entry->topic);
        return BEACON_OK;
    }

    if (rc != BEACON_OK || (strict && head.generation != entry->generation)) {
        return rc == BEACON_AGAIN ? rc : BEACON_OK;
    }

    if (strict && entry->end > size) {
        beacond_parked_damaged(kafka, entry->topic, ": the end is missing");
    }

    topic->end = strict && entry->end < size ? entry->end : size;
    topic->place = sizeof(head);

    if (head.generation == entry->generation && entry->done <= topic->end
        && entry->done > sizeof(head))
    {
        topic->place = entry->done;
    }

    topic->generation = head.generation;
    rc = beacond_parked_scan(kafka, topic);

    if (rc != BEACON_OK) {
        topic->generation = 0;
        return rc;
    }

    beacond_parked_cut(kafka, entry->topic, topic->end);
    topic->done = topic->place;
    topic->told = strict ? topic->done : 0;
    topic->taken = topic->end;
    snprintf(topic->reason, sizeof(topic->reason), "parked before");
    topic->state = BEACOND_TOPIC_PARKED;
    topic->chunk_failed = true;
    kafka->ntroubled++;
    kafka->waiting += topic->waiting;
    beacond_kafka_owe(kafka, topic->end);

    return BEACON_OK;
}

/* A file that the checkpoint does not name: what is in it will be given again,
   unless it is of another lineage. */
static beacon_rc_t
beacond_parked_unnamed(beacond_kafka_t *kafka, const char *name)
{
    char                    path[BEACOND_DISK_PATH];
    uint64_t                size;
    beacon_rc_t             rc = BEACON_INVALID;
    beacond_parked_head_t   head;
    beacond_parked_entry_t  entry = { name, 0, 0, 0 };

    if (kafka->lineage != 0) {
        rc = beacond_parked_head(kafka, name, false, &head, &size);
    }

    if (rc == BEACON_AGAIN) {
        return rc;
    }

    if (rc == BEACON_OK && (head.generation & BEACOND_PARKED_LINEAGE)
                           != kafka->lineage)
    {
        beacond_log(BEACOND_NOTICE, "sink \"%s\": hits of topic \"%s\" were "
                    "parked before the ring began", kafka->sink->name, name);
        return beacond_kafka_parked_load(kafka, &entry, false);
    }

    beacond_parked_path(kafka, name, path, sizeof(path));
    unlink(path);

    return BEACON_OK;
}

/* Files that no checkpoint names; without one (not strict) they are all there
   is. */
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
        if (!beacond_parked_topic(entry->d_name)) {
            continue;
        }

        if (!strict) {
            beacond_parked_entry_t  one = { entry->d_name, 0, 0, 0 };

            rc = beacond_kafka_parked_load(kafka, &one, false);
            continue;
        }

        topic = beacond_kafka_topic_find(kafka, entry->d_name,
                                         strlen(entry->d_name));

        if (topic == NULL || topic->generation == 0) {
            rc = beacond_parked_unnamed(kafka, entry->d_name);
        }
    }

    closedir(dir);

    return rc;
}
