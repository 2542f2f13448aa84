/*
 * The dead-letter file, <dir>/<name>.dead: messages that the broker refuses
 * because of their size, one a line.
 *
 *     {"sent":0,"topic":"hits","key":"v1","time":1763769361204,
 *      "reason":"Broker: Message size too large","value":{"v":1,...}}
 *
 * without the line break.  value is the last member, and the record's bytes as
 * they are; key is absent where there is none, its bytes beyond ASCII as
 * \u00xx; time in ms.  sent becomes 1, in place, when the message is delivered
 * after all.  The file is emptied when no letter waits.
 *
 * beacond dead-letter retry makes <dir>/<name>.dead.retry, at which the helper
 * looks once a second: then all letters that wait are sent once more, each in
 * a request of its own, and the file is removed.
 */

#include "beacond_kafka.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_DEAD_LOOK  (1000 * BEACOND_MS)
#define BEACOND_DEAD_SENT  (sizeof("{\"sent\":") - 1)
#define BEACOND_DEAD_OUT   16           /* letters on their way again */
#define BEACOND_DEAD_MAX   (32 * 1024 * 1024)   /* bytes of a line */

static void
beacond_dead_path(const beacond_kafka_t *kafka, const char *suffix,
    char *path, size_t size)
{
    snprintf(path, size, "%s/%s.dead%s", kafka->dir, kafka->sink->name,
             suffix);
}

static beacon_rc_t
beacond_dead_open(beacond_kafka_t *kafka, int flags)
{
    char  path[PATH_MAX + 80];

    if (kafka->dead_fd < 0) {
        beacond_dead_path(kafka, "", path, sizeof(path));
        kafka->dead_fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags,
                              0640);
    }

    return kafka->dead_fd >= 0 ? BEACON_OK : BEACON_SYS;
}

void
beacond_kafka_dead_close(beacond_kafka_t *kafka)
{
    if (kafka->dead_fd >= 0) {
        close(kafka->dead_fd);
    }
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

beacon_rc_t
beacond_kafka_dead_put(beacond_kafka_t *kafka,
    const beacond_kafka_topic_t *topic, const beacond_message_t *message,
    const char *reason)
{
    char        *line;
    size_t       len;
    ssize_t      n = -1;
    beacon_rc_t  rc;

    if (!beacond_kafka_found(kafka)) {
        return BEACON_SYS;
    }

    line = beacond_dead_line(topic, message, reason, &len);

    if (line == NULL || beacond_kafka_take(kafka, len) != BEACON_OK) {
        free(line);
        return BEACON_FULL;
    }

    BEACOND_POINT("kafka.before_dead");

    if (beacond_dead_open(kafka, O_CREAT) == BEACON_OK) {
        n = pwrite(kafka->dead_fd, line, len, (off_t) kafka->dead_end);
    }

    if (n != (ssize_t) len) {
        rc = beacond_kafka_unwritten(kafka, "dead letters", n);
        beacond_kafka_give(kafka, len);
        free(line);
        return rc;
    }

    BEACOND_POINT("kafka.after_dead");
    kafka->dead_end += len;
    kafka->dead++;
    kafka->waiting++;
    kafka->dead_dirty = true;
    free(line);
    beacond_kafka_error(kafka, &kafka->dead_limit, "a message of %zu bytes "
                        "for topic \"%s\" is a dead letter: %s", message->len,
                        topic->name, reason);

    return BEACON_OK;
}

/* Reading. */

/* The line at place, with its line break, terminated; to be freed.  NULL: no
   whole one. */
static char *
beacond_dead_read(const beacond_kafka_t *kafka, uint64_t place, size_t *len)
{
    char     *line = NULL, *more, *end;
    size_t    size = 4096, have = 0;
    ssize_t   n;

    while (size <= BEACOND_DEAD_MAX) {
        more = realloc(line, size + 1);

        if (more == NULL) {
            break;
        }

        line = more;
        n = pread(kafka->dead_fd, line + have, size - have,
                  (off_t) (place + have));

        if (n <= 0) {
            break;
        }

        end = memchr(line + have, '\n', (size_t) n);
        have += (size_t) n;

        if (end != NULL) {
            *len = (size_t) (end - line) + 1;
            line[*len] = '\0';
            return line;
        }

        size *= 2;
    }

    free(line);

    return NULL;
}

/* Letters that wait before end; *end is then where the last line ends. */
static uint64_t
beacond_dead_count(const beacond_kafka_t *kafka, uint64_t *end)
{
    char      *line;
    size_t     len;
    uint64_t   n = 0, place = 0;

    while (place < *end
           && (line = beacond_dead_read(kafka, place, &len)) != NULL)
    {
        n += len > BEACOND_DEAD_SENT && line[BEACOND_DEAD_SENT] == '0';
        place += len;
        free(line);
    }

    *end = place;

    return n;
}

beacon_rc_t
beacond_kafka_dead_load(beacond_kafka_t *kafka, uint64_t end, bool strict)
{
    struct stat  st;

    if (beacond_dead_open(kafka, 0) != BEACON_OK
        || fstat(kafka->dead_fd, &st) != 0)
    {
        return errno == ENOENT ? BEACON_OK : BEACON_AGAIN;
    }

    if (!strict || end > (uint64_t) st.st_size) {
        end = (uint64_t) st.st_size;
    }

    kafka->dead = beacond_dead_count(kafka, &end);
    kafka->dead_end = end;
    (void) !ftruncate(kafka->dead_fd, (off_t) end);
    kafka->waiting += kafka->dead;
    beacond_kafka_owe(kafka, end);

    return BEACON_OK;
}

/* Once more. */

/* From UTF-8 back to bytes, in place; returns how many. */
static size_t
beacond_dead_bytes(char *s)
{
    size_t    n = 0;
    uint8_t  *p = (uint8_t *) s;

    for ( /* void */ ; *p != '\0'; p++) {
        if ((*p & 0xfc) == 0xc0 && p[1] != '\0') {
            s[n++] = (char) ((*p & 3) << 6 | (p[1] & 0x3f));
            p++;

        } else {
            s[n++] = (char) *p;
        }
    }

    return n;
}

/* The message in a line; the value's bytes stand in it. */
static json_t *
beacond_dead_message(const char *line, size_t len, beacond_message_t *message)
{
    char        *key;
    json_t      *root;
    const char  *value;

    static const char  name[] = "\"value\":";

    root = json_loadb(line, len, 0, NULL);
    value = strstr(line, name);

    if (root == NULL || value == NULL
        || json_string_value(json_object_get(root, "topic")) == NULL)
    {
        json_decref(root);
        return NULL;
    }

    value += sizeof(name) - 1;
    message->value = (const uint8_t *) value;
    message->len = len - (size_t) (value - line) - 2;   /* "}\n" */
    message->time_ms = json_integer_value(json_object_get(root, "time"));
    key = (char *) json_string_value(json_object_get(root, "key"));
    message->key = (const uint8_t *) key;
    message->key_len = key != NULL ? beacond_dead_bytes(key) : 0;

    return root;
}

/* false: not now. */
static bool
beacond_dead_send(beacond_kafka_t *kafka, const char *line, size_t len)
{
    bool                    done = true;
    json_t                 *root;
    beacon_rc_t             rc;
    const char             *name, *reason = "";
    beacon_err_t            err;
    beacond_message_t       message;
    beacond_kafka_msg_t    *msg;
    beacond_kafka_topic_t  *topic;

    root = beacond_dead_message(line, len, &message);

    if (root == NULL) {
        return true;
    }

    name = json_string_value(json_object_get(root, "topic"));
    topic = strlen(name) <= BEACON_KAFKA_TOPIC_MAX && beacond_kafka_alone(kafka)
            ? beacond_kafka_topic_named(kafka, name, strlen(name), true)
            : NULL;

    if (topic != NULL && topic->handle[1] == NULL) {
        topic->handle[1] = beacond_producer_topic(kafka->alone, name, &err);
    }

    msg = topic != NULL && topic->handle[1] != NULL
          ? beacond_kafka_msg_get(kafka, topic, BEACOND_MSG_DEAD) : NULL;

    if (msg == NULL) {
        json_decref(root);
        return false;
    }

    msg->alone = true;
    msg->place = kafka->dead_place;
    rc = beacond_kafka_keep(msg, &message) == BEACON_OK
         ? beacond_producer_send(kafka->alone, topic->handle[1],
                                 &msg->message, msg, &reason)
         : BEACON_FULL;

    if (rc == BEACON_OK) {
        msg->state = BEACOND_MSG_SENT;
        msg->sent_ns = kafka->now;
        kafka->out++;
        topic->out++;
        kafka->dead_out++;

    } else {
        beacond_kafka_msg_put(kafka, msg);
        done = rc != BEACON_FULL;
    }

    json_decref(root);

    return done;
}

void
beacond_kafka_dead_report(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    bool delivered)
{
    uint64_t  place = msg->place;

    beacond_kafka_msg_put(kafka, msg);
    kafka->dead_out--;

    if (delivered) {
        (void) !pwrite(kafka->dead_fd, "1", 1,
                       (off_t) (place + BEACOND_DEAD_SENT));
        kafka->dead--;
        kafka->waiting--;
        kafka->unparked++;
    }
}

/* Somebody may have made the file shorter, or edited it. */
static void
beacond_dead_missing(beacond_kafka_t *kafka)
{
    uint64_t  n, end = kafka->dead_end;

    n = beacond_dead_count(kafka, &end);
    beacond_kafka_give(kafka, kafka->dead_end - end);
    kafka->dead_end = end;

    if (n >= kafka->dead) {
        return;
    }

    n = kafka->dead - n;
    kafka->dead -= n;
    kafka->waiting -= n;
    kafka->unparked_lost += n;
    beacond_kafka_error(kafka, &kafka->file_limit, "%llu dead letters are no "
                        "longer in their file", (unsigned long long) n);
}

/* All that waited have been tried. */
static void
beacond_dead_tried(beacond_kafka_t *kafka)
{
    char  path[PATH_MAX + 80];

    kafka->dead_retry = false;
    kafka->dead_place = 0;

    if (kafka->dead_fd >= 0) {
        beacond_dead_missing(kafka);
    }

    beacond_dead_path(kafka, ".retry", path, sizeof(path));
    unlink(path);
    beacond_log(BEACOND_NOTICE, "sink \"%s\": dead letters have been tried "
                "again, %llu wait", kafka->sink->name,
                (unsigned long long) kafka->dead);

    if (kafka->dead == 0 && kafka->dead_fd >= 0
        && ftruncate(kafka->dead_fd, 0) == 0)
    {
        beacond_kafka_give(kafka, kafka->dead_end);
        kafka->dead_end = 0;
    }
}

void
beacond_kafka_dead_turn(beacond_kafka_t *kafka)
{
    bool    sent = true;
    char    path[PATH_MAX + 80], *line;
    size_t  len;

    if (!kafka->dead_retry) {
        /* without letters it has no business with the spool's disk */

        if (kafka->dead_end == 0
            || kafka->now - kafka->dead_ns < BEACOND_DEAD_LOOK)
        {
            return;
        }

        kafka->dead_ns = kafka->now;
        beacond_dead_path(kafka, ".retry", path, sizeof(path));
        kafka->dead_retry = access(path, F_OK) == 0;
        kafka->dead_place = 0;
    }

    while (kafka->dead_retry && sent && kafka->dead_out < BEACOND_DEAD_OUT
           && kafka->dead_place < kafka->dead_end)
    {
        line = beacond_dead_read(kafka, kafka->dead_place, &len);

        if (line == NULL) {
            kafka->dead_place = kafka->dead_end;        /* not there */
            break;
        }

        if (len > BEACOND_DEAD_SENT && line[BEACOND_DEAD_SENT] == '0') {
            sent = beacond_dead_send(kafka, line, len);
        }

        kafka->dead_place += sent ? len : 0;
        free(line);
    }

    if (kafka->dead_retry && kafka->dead_place >= kafka->dead_end
        && kafka->dead_out == 0)
    {
        beacond_dead_tried(kafka);
    }
}
