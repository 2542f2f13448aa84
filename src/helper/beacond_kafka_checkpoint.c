/*
 * The checkpoint: <ring>/<name>.checkpoint, and a copy in the spool's directory
 * while that holds anything (a ring may go with its tmpfs).
 *
 *     {"v":1,"lineage":n,"waiting":hits,"dead":length,
 *      "dir":"<of these files>",
 *      "parked":[["<topic>",generation,length,place],...],"engine":{...}}
 *
 * Frames and letters are written before the checkpoint that covers them, and
 * are acknowledged after it; so what stands beyond those lengths comes again.
 * Frames before the place are delivered.  One behind it that is, too, is marked
 * before the checkpoint that says so: waiting tells the next helper how many
 * more were, by what it finds.  A file goes only after a checkpoint with the
 * place at its length.
 *
 * The copy is up to a second older.  Where it is all there is, files are taken
 * as they are: better twice than never.
 */

#include "beacond_file.h"
#include "beacond_kafka_dead.h"
#include "beacond_kafka_parked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEACOND_KAFKA_AGE   (100 * BEACOND_MS)  /* of what has ended */

void
beacond_kafka_path(const beacond_kafka_t *kafka, const char *dir, char *path)
{
    snprintf(path, BEACOND_DISK_PATH, "%s/%s.checkpoint", dir,
             kafka->sink->name);
}

static beacon_rc_t
beacond_kafka_write(beacond_kafka_t *kafka)
{
    char  path[BEACOND_DISK_PATH];

    beacond_kafka_path(kafka, kafka->sink->conf->dir, path);

    return beacond_file_replace(path, NULL, kafka->text, kafka->text_len,
                                false);
}

static void
beacond_kafka_compose_dir(const beacond_kafka_t *kafka, FILE *out)
{
    json_t  *dir = json_string(kafka->dir);

    if (dir != NULL) {
        fprintf(out, "\"dir\":");
        json_dumpf(dir, out, JSON_ENCODE_ANY);
        fprintf(out, ",");
        json_decref(dir);
    }
}

/* The engine's text in ours. */
static beacon_rc_t
beacond_kafka_compose(beacond_kafka_t *kafka,
    const beacond_checkpoint_t *engine)
{
    char                   *text = NULL;
    FILE                   *out;
    size_t                  len;
    const char             *comma = "";
    beacond_kafka_topic_t  *topic;

    out = open_memstream(&text, &len);

    if (out == NULL) {
        return BEACON_SYS;
    }

    fprintf(out, "{\"v\":1,\"lineage\":%u,\"waiting\":%llu,\"dead\":%llu,",
            kafka->lineage, (unsigned long long) kafka->waiting,
            (unsigned long long) kafka->dead_end);

    if (kafka->waiting > 0) {
        beacond_kafka_compose_dir(kafka, out);
    }

    fprintf(out, "\"parked\":[");

    for (topic = kafka->topics; topic != NULL; topic = topic->next) {
        if (topic->generation != 0) {
            fprintf(out, "%s[\"%s\",%llu,%llu,%llu]", comma, topic->name,
                    (unsigned long long) topic->generation,
                    (unsigned long long) topic->end,
                    (unsigned long long) topic->done);
            comma = ",";
        }
    }

    fprintf(out, "],\"engine\":%.*s}\n", (int) engine->len, engine->text);

    if (fclose(out) != 0) {
        free(text);
        return BEACON_SYS;
    }

    free(kafka->text);
    kafka->text = text;
    kafka->text_len = len;

    return BEACON_OK;
}

/* Did the parked ones get fewer? */
static bool
beacond_kafka_unparked(const beacond_kafka_t *kafka)
{
    return kafka->parked_ended != 0 || kafka->unparked_lost != 0
           || kafka->unparked != kafka->leftover || kafka->parked_due;
}

static bool
beacond_kafka_due(const beacond_kafka_t *kafka, bool force)
{
    uint32_t  enough;

    if (kafka->ended == 0 && !beacond_kafka_unparked(kafka)) {
        return false;
    }

    /* where room is wanted, little will do */

    enough = kafka->conf->window / (beacond_kafka_room(kafka) ? 8 : 32);

    return force || kafka->ended - kafka->behind >= enough
           || kafka->parked_ended - kafka->parked_behind >= enough
           || kafka->now - kafka->ended_ns >= BEACOND_KAFKA_AGE;
}

/* Before anything more is parked: how many of the hits that were found in files
   are not in the books, as those went with a ring. */
static void
beacond_kafka_meet(beacond_kafka_t *kafka)
{
    uint64_t  found, parked;

    if (!kafka->met) {
        kafka->met = true;
        found = kafka->waiting + kafka->unparked + kafka->unparked_lost;
        parked = beacond_sink_parked(kafka->sink);
        kafka->strangers = found > parked ? found - parked : 0;
    }
}

static void
beacond_kafka_forget(beacond_kafka_t *kafka, uint64_t *n)
{
    uint64_t  some = *n < kafka->strangers ? *n : kafka->strangers;

    *n -= some;
    kafka->strangers -= some;
}

/* Was anything delivered?  What is parked, dead or lost was not. */
static bool
beacond_kafka_delivered(const beacond_settled_t *settled)
{
    size_t  i;

    for (i = 0; i < settled->npieces; i++) {
        if (settled->pieces[i]->fate == BEACOND_DONE) {
            return true;
        }
    }

    return settled->unparked_done > 0;
}

/* Writes what is told, and acknowledges it. */
static void
beacond_kafka_conclude(beacond_kafka_t *kafka, bool force)
{
    bool                   fewer, delivered;
    beacon_rc_t            rc;
    beacond_settled_t      settled = { kafka->pieces, 0, 0, 0, kafka->waited };
    beacond_checkpoint_t   engine;

    beacond_kafka_meet(kafka);
    beacond_kafka_parked_settle(kafka);
    fewer = beacond_kafka_unparked(kafka);
    beacond_kafka_forget(kafka, &kafka->unparked);
    beacond_kafka_forget(kafka, &kafka->unparked_lost);
    settled.npieces = beacond_kafka_gather(kafka, force);
    settled.unparked_done = kafka->unparked;
    delivered = beacond_kafka_delivered(&settled);
    settled.unparked_lost = kafka->unparked_lost;
    kafka->ended_ns = kafka->now;

    if (settled.npieces == 0 && !force && !fewer) {
        kafka->behind = kafka->ended;
        return;
    }

    if (beacond_sink_tell(kafka->sink, &settled, &engine) != BEACON_OK) {
        return;
    }

    rc = beacond_kafka_compose(kafka, &engine);
    free(engine.text);

    BEACOND_POINT("kafka.before_checkpoint");

    if (rc != BEACON_OK || beacond_kafka_write(kafka) != BEACON_OK) {
        beacond_kafka_error(kafka, &kafka->file_limit, "its checkpoint: %s",
                            strerror(errno));
        return;
    }

    BEACOND_POINT("kafka.after_checkpoint");

    kafka->founded = true;
    beacond_sink_settle(kafka->sink, &settled);
    beacond_kafka_told(kafka);
    beacond_kafka_parked_told(kafka);
    kafka->behind = kafka->ended;
    kafka->parked_behind = kafka->parked_ended;
    kafka->unparked -= settled.unparked_done;
    kafka->unparked_lost = 0;
    kafka->leftover = kafka->unparked;
    kafka->parked_due = false;
    kafka->copy_due = true;
    beacond_kafka_gone_told(kafka);

    if (delivered) {
        kafka->sink->last_success_ns = beacond_clock_date();
    }
}

void
beacond_kafka_settle(beacond_kafka_t *kafka, bool force)
{
    if (beacond_kafka_due(kafka, force)) {
        beacond_kafka_conclude(kafka, force);
    }
}

void
beacond_kafka_checkpoint(beacond_kafka_t *kafka, bool force)
{
    beacond_kafka_settle(kafka, force);
    beacond_kafka_keep_copy(kafka);
}

bool
beacond_kafka_found(beacond_kafka_t *kafka)
{
    beacond_kafka_meet(kafka);

    if (!kafka->founded) {
        beacond_kafka_conclude(kafka, true);
    }

    return kafka->founded;
}
