/* The dead-letter file: written, read, and what is found in it at load. */

#include "beacond_kafka_dead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_DEAD_PIECE (64 * 1024)
#define BEACOND_DEAD_MAX   (32 * 1024 * 1024)   /* bytes of a line */

void
beacond_dead_path(const beacond_kafka_t *kafka, const char *suffix,
    char *path, size_t size)
{
    snprintf(path, size, "%s/%s.dead%s", kafka->dir, kafka->sink->name,
             suffix);
}

beacond_disk_job_t *
beacond_dead_job(const beacond_kafka_t *kafka, beacond_disk_op_e op,
    size_t size)
{
    beacond_disk_job_t  *job = beacond_disk_job(op, size);

    if (job != NULL) {
        beacond_dead_path(kafka, "", job->path, sizeof(job->path));
    }

    return job;
}

/* Writing. */

static void
beacond_dead_string(FILE *out, const void *data, size_t len)
{
    size_t          i;
    const uint8_t  *p = data;

    putc('"', out);

    for (i = 0; i < len; i++) {
        if (p[i] < 0x20 || p[i] > 0x7e || p[i] == '"' || p[i] == '\\') {
            fprintf(out, "\\u%04x", p[i]);

        } else {
            putc(p[i], out);
        }
    }

    putc('"', out);
}

/* The whole line, to be freed. */
static char *
beacond_dead_line(const beacond_kafka_topic_t *topic,
    const beacond_message_t *message, const char *reason, size_t *len)
{
    char  *line = NULL;
    FILE  *out;

    out = open_memstream(&line, len);

    if (out == NULL) {
        return NULL;
    }

    fprintf(out, "{\"sent\":0,\"topic\":\"%s\",", topic->name);

    if (message->key != NULL) {
        fputs("\"key\":", out);
        beacond_dead_string(out, message->key, message->key_len);
        putc(',', out);
    }

    fprintf(out, "\"time\":%lld,\"reason\":", (long long) message->time_ms);
    beacond_dead_string(out, reason, strlen(reason));
    fputs(",\"value\":", out);
    fwrite(message->value, 1, message->len, out);
    fputs("}\n", out);

    if (fclose(out) != 0) {
        free(line);
        return NULL;
    }

    return line;
}

static beacon_rc_t
beacond_dead_write(beacond_kafka_t *kafka, const char *line, size_t len)
{
    beacon_rc_t          rc = BEACON_OK;
    beacond_disk_job_t  *job;

    job = beacond_dead_job(kafka, BEACOND_DISK_WRITE, len);

    if (job == NULL) {
        return BEACON_SYS;
    }

    memcpy(job->data, line, len);
    job->place = kafka->dead_end;
    job->create = true;

    if (beacond_disk_do(kafka, job) != BEACON_OK) {
        return BEACON_SYS;
    }

    if (job->error != 0) {
        rc = beacond_kafka_unwritten(kafka, "dead letters", job->error);
    }

    beacond_disk_free(job);

    return rc;
}

beacon_rc_t
beacond_kafka_dead_put(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, const beacond_message_t *message,
    const char *reason)
{
    char        *line;
    size_t       len = 0;
    beacon_rc_t  rc;

    if (!beacond_kafka_found(kafka)) {
        return BEACON_SYS;
    }

    if (kafka->now < kafka->dead_full_ns) {
        return BEACON_FULL;
    }

    line = beacond_dead_line(topic, message, reason, &len);
    rc = line != NULL ? beacond_kafka_take(kafka, len) : BEACON_FULL;

    if (line != NULL && rc == BEACON_FULL) {
        beacond_kafka_full(kafka, "dead letters");
    }

    if (rc == BEACON_OK) {
        BEACOND_POINT("kafka.before_dead");
        rc = beacond_dead_write(kafka, line, len);

        if (rc != BEACON_OK) {
            beacond_kafka_give(kafka, len);
        }
    }

    free(line);

    if (rc == BEACON_SYS) {
        return rc;
    }

    if (rc != BEACON_OK) {
        kafka->dead_full_ns = kafka->now + BEACOND_KAFKA_FULL;
        return BEACON_FULL;
    }

    BEACOND_POINT("kafka.after_dead");
    kafka->dead_end += len;
    kafka->dead++;
    kafka->waiting++;
    kafka->dead_dirty = true;
    beacond_kafka_error(kafka, &kafka->dead_limit, "a message of %zu bytes "
                        "for topic \"%s\" is a dead letter: %s", message->len,
                        topic->name, reason);

    return BEACON_OK;
}

/* Reading. */

/* len bytes at place, terminated, or as many as there are; NULL: not now. */
static char *
beacond_dead_bytes_at(beacond_kafka_t *kafka, uint64_t place, size_t *len)
{
    char                *text = NULL;
    beacond_disk_job_t  *job;

    job = beacond_dead_job(kafka, BEACOND_DISK_READ, *len + 1);

    if (job == NULL) {
        return NULL;
    }

    job->len = *len;
    job->place = place;

    if (beacond_disk_do(kafka, job) != BEACON_OK) {
        return NULL;
    }

    if (job->error == 0 || job->error == ENOENT) {
        *len = job->error == 0 ? job->len : 0;
        text = (char *) job->data;
        text[*len] = '\0';
        job->data = NULL;

    } else {
        beacond_kafka_error(kafka, &kafka->file_limit, "dead letters: %s",
                            strerror(job->error));
    }

    beacond_disk_free(job);

    return text;
}

char *
beacond_dead_read(beacond_kafka_t *kafka, uint64_t place, size_t *len,
    bool *again)
{
    char    *line, *end;
    size_t   size, have;

    for (size = BEACOND_DEAD_PIECE; size <= BEACOND_DEAD_MAX; size *= 8) {
        have = size;
        line = beacond_dead_bytes_at(kafka, place, &have);

        if (line == NULL) {
            *again = true;
            return NULL;
        }

        end = memchr(line, '\n', have);

        if (end != NULL) {
            *len = (size_t) (end - line) + 1;
            line[*len] = '\0';
            return line;
        }

        free(line);

        if (have < size) {
            break;
        }
    }

    return NULL;
}

/* The bytes of whole lines that begin before end; how many of those wait is
   added. */
static size_t
beacond_dead_lines(const char *text, size_t len, uint64_t end,
    uint64_t *count)
{
    size_t       n = 0;
    const char  *line = text, *newline;

    while (n < len && n < end
           && (newline = memchr(line, '\n', len - n)) != NULL)
    {
        *count += newline - line >= (ptrdiff_t) BEACOND_DEAD_SENT
                  && line[BEACOND_DEAD_SENT] == '0';
        line = newline + 1;
        n = (size_t) (line - text);
    }

    return n;
}

beacon_rc_t
beacond_dead_count(beacond_kafka_t *kafka, uint64_t *end, uint64_t *count)
{
    char      *text;
    size_t     have, n, size = BEACOND_DEAD_PIECE;
    uint64_t   place = 0;

    *count = 0;

    while (place < *end) {
        have = size;
        text = beacond_dead_bytes_at(kafka, place, &have);

        if (text == NULL) {
            return BEACON_AGAIN;
        }

        n = beacond_dead_lines(text, have, *end - place, count);
        free(text);

        if (n == 0 && (have < size || size >= BEACOND_DEAD_MAX)) {
            break;
        }

        place += n;
        size = n > 0 ? BEACOND_DEAD_PIECE : size * 8;
    }

    *end = place;

    return BEACON_OK;
}

/* Its size; AGAIN: cannot be told now. */
static beacon_rc_t
beacond_dead_size(beacond_kafka_t *kafka, uint64_t *size, bool *there)
{
    int                  error;
    beacond_disk_job_t  *job;

    job = beacond_dead_job(kafka, BEACOND_DISK_READ, 1);

    if (job == NULL || beacond_disk_do(kafka, job) != BEACON_OK) {
        return BEACON_AGAIN;
    }

    error = job->error;
    *size = job->size;
    *there = error == 0;
    beacond_disk_free(job);
    errno = error;

    return error == 0 || error == ENOENT || error == ENODEV ? BEACON_OK
                                                            : BEACON_AGAIN;
}

beacon_rc_t
beacond_kafka_dead_load(beacond_kafka_t *kafka, uint64_t end, bool strict)
{
    bool                 there;
    uint64_t             size;
    beacond_disk_job_t  *job;

    if (beacond_dead_size(kafka, &size, &there) != BEACON_OK) {
        return BEACON_AGAIN;
    }

    /* we empty it, but never remove it, nor make it shorter */

    if (strict && end > size && (!there || size > 0)) {
        kafka->damaged = true;
        beacond_log(BEACOND_ERROR, "sink \"%s\": dead letters are no longer "
                    "in their file", kafka->sink->name);
    }

    end = strict && end < size ? end : size;

    if (beacond_dead_count(kafka, &end, &kafka->dead) != BEACON_OK) {
        return BEACON_AGAIN;
    }

    job = beacond_dead_job(kafka, BEACOND_DISK_WRITE, 0);

    if (there && job != NULL) {
        job->place = end;
        (void) beacond_disk_do(kafka, job);
    }

    beacond_disk_free(job);
    kafka->dead_end = end;
    kafka->waiting += kafka->dead;
    beacond_kafka_owe(kafka, end);

    return BEACON_OK;
}
