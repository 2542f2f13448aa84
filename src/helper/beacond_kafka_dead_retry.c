/* Dead letters, once more. */

#include "beacond_kafka_dead.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_DEAD_LOOK  (1000 * BEACOND_MS)
#define BEACOND_DEAD_TELL  (1000 * BEACOND_MS)

/* From UTF-8 back to bytes, in place; returns how many. */
static size_t
beacond_dead_bytes(char *s, size_t len)
{
    size_t    n = 0;
    uint8_t  *p = (uint8_t *) s, *end = p + len;

    for ( /* void */ ; p < end; p++) {
        if ((*p & 0xfc) == 0xc0 && p + 1 < end) {
            s[n++] = (char) ((*p & 3) << 6 | (p[1] & 0x3f));
            p++;

        } else {
            s[n++] = (char) *p;
        }
    }

    return n;
}

/* The members before the value, which is not parsed: it may hold numbers that
   no integer can. */
static json_t *
beacond_dead_head(const char *line, size_t len)
{
    char    *text;
    json_t  *root;

    text = malloc(len + 1);

    if (text == NULL) {
        return NULL;
    }

    memcpy(text, line, len);
    text[len] = '}';
    root = json_loadb(text, len + 1, JSON_ALLOW_NUL, NULL);
    free(text);

    return root;
}

/* One that can be: of another, a producer never hears. */
static bool
beacond_dead_topic(const json_t *topic)
{
    beacon_str_t  name = { json_string_length(topic),
                           (const uint8_t *) json_string_value(topic) };

    return name.data != NULL && beacon_kafka_topic_name(name);
}

/* The message in a line; the value's bytes stand in it.  NULL: somebody has
   edited it. */
static json_t *
beacond_dead_message(const char *line, size_t len, beacond_message_t *message)
{
    char        *key;
    json_t      *root;
    const char  *value;

    static const char  name[] = ",\"value\":";

    value = strstr(line, name);

    if (value == NULL) {
        return NULL;
    }

    root = beacond_dead_head(line, (size_t) (value - line));

    if (!beacond_dead_topic(json_object_get(root, "topic"))) {
        json_decref(root);
        return NULL;
    }

    value += sizeof(name) - 1;

    if (line + len < value + sizeof("{}}") || *value != '{'
        || memcmp(line + len - 3, "}}\n", 3) != 0)
    {
        json_decref(root);
        return NULL;
    }

    message->value = (const uint8_t *) value;
    message->len = len - (size_t) (value - line) - 2;   /* "}\n" */
    message->time_ms = json_integer_value(json_object_get(root, "time"));
    key = (char *) json_string_value(json_object_get(root, "key"));
    message->key = (const uint8_t *) key;
    message->key_len = key == NULL ? 0 : beacond_dead_bytes(key,
                           json_string_length(json_object_get(root, "key")));

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
    topic = beacond_kafka_alone(kafka)
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

/* Marks what was delivered.  false: not now. */
static bool
beacond_dead_mark(beacond_kafka_t *kafka)
{
    int                  error;
    uint32_t             n = kafka->ndead_sent;
    beacond_disk_job_t  *job;

    if (n == 0) {
        return true;
    }

    job = beacond_dead_job(kafka, BEACOND_DISK_MARK, 1);

    if (job != NULL) {
        job->places = calloc(n, sizeof(uint64_t));
    }

    if (job == NULL || job->places == NULL) {
        beacond_disk_free(job);
        return false;
    }

    job->data[0] = '1';
    job->nplaces = n;
    memcpy(job->places, kafka->dead_sent, n * sizeof(uint64_t));

    if (beacond_disk_do(kafka, job) != BEACON_OK) {
        return false;
    }

    error = job->error;
    beacond_disk_free(job);

    if (error != 0) {
        beacond_kafka_error(kafka, &kafka->file_limit, "dead letters: %s",
                            strerror(error));
        return false;
    }

    kafka->ndead_sent = 0;
    kafka->dead_out -= n;
    kafka->dead -= n;
    kafka->waiting -= n;
    kafka->unparked += n;

    return true;
}

void
beacond_kafka_dead_close(beacond_kafka_t *kafka)
{
    (void) beacond_dead_mark(kafka);
}

void
beacond_kafka_dead_report(beacond_kafka_t *kafka, beacond_kafka_msg_t *msg,
    bool delivered)
{
    uint64_t  place = msg->place;

    kafka->dead_moved = true;
    beacond_kafka_msg_put(kafka, msg);

    if (delivered) {
        kafka->dead_sent[kafka->ndead_sent++] = place + BEACOND_DEAD_SENT;

    } else {
        kafka->dead_out--;
    }
}

/* Somebody may have made the file shorter, or edited it.  false: not now. */
static bool
beacond_dead_missing(beacond_kafka_t *kafka)
{
    uint64_t  n, end = kafka->dead_end;

    if (beacond_dead_count(kafka, &end, &n) != BEACON_OK) {
        return false;
    }

    beacond_kafka_give(kafka, kafka->dead_end - end);
    kafka->dead_end = end;

    if (n < kafka->dead) {
        n = kafka->dead - n;
        kafka->dead -= n;
        kafka->waiting -= n;
        kafka->unparked_lost += n;
        beacond_kafka_error(kafka, &kafka->file_limit, "%llu dead letters are "
                            "no longer in their file",
                            (unsigned long long) n);
    }

    return true;
}

/* No letter waits: whether the file is emptied now or when its disk comes
   back, nothing in it counts. */
static void
beacond_dead_empty(beacond_kafka_t *kafka)
{
    beacon_rc_t          rc;
    beacond_disk_job_t  *job;

    job = beacond_dead_job(kafka, BEACOND_DISK_EMPTY, 0);
    rc = job != NULL ? beacond_disk_do(kafka, job) : BEACON_SYS;

    if (rc == BEACON_OK && job->error != 0) {
        rc = BEACON_SYS;
        beacond_disk_free(job);

    } else if (rc == BEACON_OK) {
        beacond_disk_free(job);
    }

    if (rc == BEACON_OK || rc == BEACON_AGAIN) {
        beacond_kafka_give(kafka, kafka->dead_end);
        kafka->dead_end = 0;
    }
}

/* All that waited have been tried. */
static void
beacond_dead_tried(beacond_kafka_t *kafka)
{
    beacond_disk_job_t  *job;

    if (!beacond_dead_missing(kafka)) {
        return;
    }

    job = beacond_disk_job(BEACOND_DISK_UNLINK, 0);

    if (job == NULL) {
        return;
    }

    beacond_dead_path(kafka, ".retry", job->path, sizeof(job->path));

    if (beacond_disk_do(kafka, job) != BEACON_OK) {
        return;
    }

    beacond_disk_free(job);
    kafka->dead_retry = false;
    kafka->dead_place = 0;
    beacond_log(BEACOND_NOTICE, "sink \"%s\": dead letters have been tried "
                "again, %llu wait", kafka->sink->name,
                (unsigned long long) kafka->dead);

    if (kafka->dead == 0) {
        beacond_dead_empty(kafka);
    }
}

/* Does somebody wish that they are tried again? */
static bool
beacond_dead_wished(beacond_kafka_t *kafka)
{
    bool                 wished;
    beacond_disk_job_t  *job;

    /* without letters it has no business with the spool's disk */

    if (kafka->dead_end == 0
        || kafka->now - kafka->dead_ns < BEACOND_DEAD_LOOK)
    {
        return false;
    }

    kafka->dead_ns = kafka->now;
    job = beacond_disk_job(BEACOND_DISK_LOOK, 0);

    if (job == NULL) {
        return false;
    }

    beacond_dead_path(kafka, ".retry", job->path, sizeof(job->path));

    if (beacond_disk_do(kafka, job) != BEACON_OK) {
        return false;
    }

    wished = job->error == 0;
    beacond_disk_free(job);

    return wished;
}

/* Who wished it hears that it goes on: his file, which may not be ours to write
   to, is replaced. */
static void
beacond_dead_tell(beacond_kafka_t *kafka)
{
    char                 text[32];
    size_t               len;
    beacond_disk_job_t  *job;

    if (!kafka->dead_moved
        || kafka->now - kafka->dead_ns < BEACOND_DEAD_TELL)
    {
        return;
    }

    kafka->dead_ns = kafka->now;
    len = (size_t) snprintf(text, sizeof(text), "%llu\n",
                            (unsigned long long) kafka->dead_place);
    job = beacond_disk_job(BEACOND_DISK_TELL, len);

    if (job == NULL) {
        return;
    }

    memcpy(job->data, text, len);
    beacond_dead_path(kafka, ".retry", job->path, sizeof(job->path));

    if (beacond_disk_do(kafka, job) == BEACON_OK) {
        beacond_disk_free(job);
        kafka->dead_moved = false;
    }
}

void
beacond_kafka_dead_turn(beacond_kafka_t *kafka)
{
    bool    sent = true, again = false;
    char   *line;
    size_t  len;

    if (!kafka->dead_retry) {
        kafka->dead_retry = beacond_dead_wished(kafka);
        kafka->dead_until = kafka->dead_end;
        kafka->dead_place = 0;
        kafka->dead_moved = kafka->dead_retry;
    }

    if (!kafka->dead_retry || !beacond_dead_mark(kafka)) {
        return;
    }

    while (sent && kafka->dead_out < BEACOND_KAFKA_LETTERS
           && kafka->dead_place < kafka->dead_until)
    {
        line = beacond_dead_read(kafka, kafka->dead_place, &len, &again);

        if (line == NULL) {
            kafka->dead_place = again ? kafka->dead_place
                                      : kafka->dead_until;      /* not there */
            break;
        }

        if (len > BEACOND_DEAD_SENT && line[BEACOND_DEAD_SENT] == '0') {
            sent = beacond_dead_send(kafka, line, len);
        }

        kafka->dead_place += sent ? len : 0;
        free(line);
    }

    if (kafka->dead_place >= kafka->dead_until && kafka->dead_out == 0) {
        beacond_dead_tried(kafka);

    } else {
        beacond_dead_tell(kafka);
    }
}
