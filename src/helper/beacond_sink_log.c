/*
 * The log sink: append-only files, each committed hit in exactly one of them,
 * exactly once.  beacond_slog.h tells how.
 */

#include "beacond_slog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BEACOND_SLOG_MAX_FILES  512
#define BEACOND_SLOG_ERROR_MS   60000   /* status shows an error so long */
#define BEACOND_SLOG_TIDY_MS    5000
#define BEACOND_SLOG_IDLE_FLUSH 1000    /* ms; nothing waits */

void
beacond_slog_error(beacond_slog_t *slog, const char *what, const char *path,
    int err)
{
    char      why[128];
    uint64_t  missed;

    slog->sink->errors++;
    slog->error_ms = slog->now;
    snprintf(slog->error, sizeof(slog->error), "%s \"%.160s\": %s", what,
             path, err ? strerror_r(err, why, sizeof(why)) : "not whole");

    if (beacond_log_due(&slog->limit, &missed)) {
        beacond_log(BEACOND_ERROR, "%s: %s (and %llu more in the last "
                    "minute)", slog->sink->name, slog->error,
                    (unsigned long long) missed);
    }
}

static void
beacond_sink_log_destroy(beacond_sink_t *sink)
{
    uint32_t         i;
    beacond_slog_t  *slog = sink->data;

    if (slog == NULL) {
        return;
    }

    slog->now = beacond_slog_clock();

    if (slog->loaded) {
        beacond_slog_checkpoint_last(slog);
    }

    for (i = 0; i < BEACOND_SLOG_WINDOW; i++) {
        if (slog->slots[i].batch) {
            beacond_batch_unref(slog->slots[i].batch);
        }

        free(slog->slots[i].pieces);
        free(slog->slots[i].files);
    }

    beacond_slog_recover_destroy(slog);
    beacond_slog_files_destroy(slog);
    beacond_slog_paths_destroy(slog);
    beacond_slog_sync_destroy(slog);
    free(slog->engine.text);
    free(slog->text);
    free(slog);
    sink->data = NULL;
}

static beacon_rc_t
beacond_sink_log_create(beacond_sink_t *sink, const json_t *conf,
    beacon_err_t *err)
{
    json_int_t       max;
    beacon_rc_t      rc;
    const char      *sync;
    beacond_slog_t  *slog = calloc(1, sizeof(beacond_slog_t));

    if (slog == NULL) {
        beacon_err(err, "no memory for a log");
        return BEACON_SYS;
    }

    sink->data = slog;
    slog->sink = sink;
    slog->generation = 1;
    slog->sync_ms = 1000;
    slog->max_files = BEACOND_SLOG_MAX_FILES;

    sync = json_string_value(json_object_get(conf, "sync"));
    max = json_integer_value(json_object_get(conf, "max_files"));

    if (max > 0 && max <= 1000000) {
        slog->max_files = (uint32_t) max;
    }

    if (getrandom(&slog->seed, sizeof(slog->seed), GRND_NONBLOCK) == -1) {
        slog->seed = (uint64_t) beacond_slog_clock();
    }

    if (sync && beacond_conf_sync(sync, &slog->sync_ms) != BEACON_OK) {
        beacon_err(err, "sync \"%.80s\" is none", sync);
        rc = BEACON_INVALID;

    } else if (strchr(sink->name, '/')) {
        beacon_err(err, "a name with a slash");
        rc = BEACON_INVALID;

    } else {
        rc = beacond_slog_paths_create(slog, conf, err);
    }

    if (rc == BEACON_OK) {
        rc = beacond_slog_files_create(slog);
    }

    if (rc != BEACON_OK) {
        beacond_sink_log_destroy(sink);
    }

    return rc;
}

static beacon_rc_t
beacond_sink_log_load(beacond_sink_t *sink, beacond_checkpoint_t *checkpoint)
{
    return beacond_slog_load(sink->data, checkpoint);
}

static beacon_rc_t
beacond_sink_log_recover(beacond_sink_t *sink, const beacond_batch_t *batch)
{
    return beacond_slog_recover(sink->data, batch);
}

static bool
beacond_sink_log_slot(beacond_slog_slot_t *slot, uint32_t lines)
{
    if (lines <= slot->size) {
        return true;
    }

    free(slot->pieces);
    free(slot->files);
    slot->pieces = calloc(lines, sizeof(beacond_slog_piece_t));
    slot->files = calloc(lines, sizeof(beacond_slog_file_t *));
    slot->size = slot->pieces && slot->files ? lines : 0;

    return slot->size != 0;
}

/* Is the i-th line in a file already? */
static beacond_slog_id_t *
beacond_sink_log_known(beacond_slog_t *slog, const beacond_batch_t *batch,
    uint32_t i)
{
    beacond_slog_id_t  id, *found;

    if (slog->ids.left == 0) {
        return NULL;
    }

    beacond_slog_id_of(batch, i, &id);
    found = beacond_slog_ids_find(&slog->ids, &id);

    return found && found->state == 1 ? found : NULL;
}

/* Finds every line's file; changes nothing that another try would miss. */
static bool
beacond_sink_log_resolve(beacond_slog_t *slog, beacond_slog_slot_t *slot,
    const beacond_batch_t *batch)
{
    uint32_t  i, n = batch->nlines;

    slot->single = slog->uses == 0 && slog->ids.left == 0;

    if (slot->single) {
        n = 1;                          /* the first speaks for all */
    }

    for (i = 0; i < n; i++) {
        if (beacond_sink_log_known(slog, batch, i)) {
            slot->files[i] = NULL;
            continue;
        }

        slot->files[i] = beacond_slog_resolve(slog, batch, &batch->lines[i]);

        if (slot->files[i] == NULL) {
            return false;
        }
    }

    return true;
}

/* Gives every line to its file; neighbours together. */
static void
beacond_sink_log_distribute(beacond_slog_t *slog, beacond_slog_slot_t *slot)
{
    size_t                  len;
    uint32_t                i, first, n = slot->batch->nlines;
    beacond_slog_id_t      *known;
    beacond_slog_file_t    *file;
    const beacond_batch_t  *batch = slot->batch;

    if (slot->single) {
        file = slot->files[0];
        slog->overflowed += file->overflow ? n : 0;
        beacond_slog_append(slog, slot, file, batch->arena, batch->lines_len,
                            n);
        return;
    }

    for (i = 0; i < n; /* void */) {
        first = i;
        file = slot->files[i];

        if (file == NULL) {
            known = beacond_sink_log_known(slog, batch, i++);
            known->state = 2;
            slog->ids.left--;
            continue;
        }

        for (len = 0; i < n && slot->files[i] == file; i++) {
            len += batch->lines[i].line.len;
        }

        slog->overflowed += file->overflow ? i - first : 0;
        beacond_slog_append(slog, slot, file,
                            batch->arena + batch->lines[first].offset, len,
                            i - first);
    }
}

static beacon_rc_t
beacond_sink_log_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    beacond_slog_t       *slog = sink->data;
    beacond_slog_slot_t  *slot;

    slog->now = beacond_slog_clock();
    slot = &slog->slots[(slog->seq + 1) % BEACOND_SLOG_WINDOW];

    if (!slog->loaded || slog->failed || slog->rests || slot->batch
        || !beacond_sink_log_slot(slot, batch->nlines)
        || !beacond_sink_log_resolve(slog, slot, batch))
    {
        return BEACON_AGAIN;
    }

    beacond_batch_ref(batch);
    slot->batch = batch;
    slot->seq = ++slog->seq;
    slot->taken_ms = slog->now;
    slot->before = slog->taken;
    slog->taken += batch->lines_len;
    slot->npieces = 0;
    beacond_sink_log_distribute(slog, slot);

    if (slog->recovering && slog->ids.left == 0) {
        beacond_slog_met(slog);
    }

    return BEACON_OK;
}

/* sync=always: false as long as something is not durable. */
static bool
beacond_sink_log_sync(beacond_slog_t *slog)
{
    bool                  good = true;
    beacond_slog_file_t  *file;

    for (file = slog->newest; file; file = file->older) {
        if (file->handle == NULL || file->unsynced == 0) {
            continue;
        }

        if (fdatasync(file->handle->fd) == -1) {
            beacond_slog_error(slog, "fdatasync()", file->path, errno);
            file->sync_failed = true;
            good = false;
            continue;
        }

        /* the kernel tells of a page only once: what it dropped is unknown */

        slog->unsynced += file->sync_failed ? file->unsynced : 0;
        file->sync_failed = false;
        file->unsynced = 0;
    }

    return good;
}

/* sync=TIME: a job for each file that was written since. */
static void
beacond_sink_log_sync_later(beacond_slog_t *slog)
{
    beacond_slog_file_t  *file;

    if (slog->sync_ms <= 0 || slog->now - slog->synced_ms < slog->sync_ms) {
        return;
    }

    slog->synced_ms = slog->now;

    for (file = slog->newest; file; file = file->older) {
        if (file->handle && file->unsynced
            && atomic_load(&file->handle->syncing) == 0)
        {
            beacond_slog_sync_post(slog, file->handle, file->unsynced);
            file->unsynced = 0;
        }
    }
}

/* Checkpoint and acknowledge, if it is time to.  false: not possible now. */
static bool
beacond_sink_log_ack(beacond_slog_t *slog, bool force)
{
    uint64_t              seq = beacond_slog_complete(slog);
    beacond_slog_slot_t  *oldest;

    if (seq == slog->acked) {
        return true;
    }

    oldest = &slog->slots[(slog->acked + 1) % BEACOND_SLOG_WINDOW];

    if (!force && !beacond_slog_pressed(slog, slog->acked + 1, seq)
        && slog->seq - slog->acked < BEACOND_SLOG_WINDOW - 1
        && slog->now - oldest->taken_ms < BEACOND_SLOG_AGE_MS)
    {
        return true;
    }

    if (slog->sync_ms == 0 && !beacond_sink_log_sync(slog)) {
        return false;
    }

    return beacond_slog_checkpoint(slog, seq);
}

static int
beacond_sink_log_flush(beacond_sink_t *sink, bool force)
{
    int64_t          left;
    beacond_slog_t  *slog = sink->data;

    slog->now = beacond_slog_clock();
    beacond_slog_checkpoint_keep(slog);

    if (slog->failed && !force && slog->now < slog->retry_ms) {
        return (int) (slog->retry_ms - slog->now);
    }

    slog->failed = false;

    if (!beacond_slog_finish(slog)) {
        slog->failed = true;

    } else {
        beacond_slog_write_due(slog, force);
        slog->failed = !beacond_sink_log_ack(slog, force) || slog->failed;
    }

    if (slog->failed) {
        slog->retry_ms = slog->now + BEACOND_SLOG_RETRY_MS;
        return BEACOND_SLOG_RETRY_MS;
    }

    beacond_sink_log_sync_later(slog);

    if (slog->now - slog->tidied_ms >= BEACOND_SLOG_TIDY_MS) {
        slog->tidied_ms = slog->now;
        beacond_slog_tidy(slog);
    }

    if (slog->seq == slog->acked) {
        return BEACOND_SLOG_IDLE_FLUSH;
    }

    left = slog->slots[(slog->acked + 1) % BEACOND_SLOG_WINDOW].taken_ms
           + BEACOND_SLOG_AGE_MS - slog->now;

    return left > 1 ? (int) left : 1;
}

static void
beacond_sink_log_reopen(beacond_sink_t *sink)
{
    beacond_slog_t       *slog = sink->data;
    beacond_slog_file_t  *file;

    slog->now = beacond_slog_clock();

    for (file = slog->newest; file; file = file->older) {
        if (file->handle == NULL) {
            continue;
        }

        if (file->head || !beacond_slog_reopen(slog, file)) {
            file->reopen = true;        /* before its next write */
        }
    }

    (void) beacond_sink_log_flush(sink, true);
}

static void
beacond_sink_log_status(beacond_sink_t *sink, json_t *object)
{
    beacond_slog_t  *slog = sink->data;

    json_object_set_new(object, "files", json_integer(slog->nopen));
    json_object_set_new(object, "overflow",
                        json_integer((json_int_t) slog->overflowed));
    json_object_set_new(object, "reopened",
                        json_integer((json_int_t) slog->reopened));
    json_object_set_new(object, "unsynced",
                        json_integer((json_int_t) slog->unsynced
                                     + (json_int_t)
                                       beacond_slog_sync_failed(slog)));
    json_object_set_new(object, "possible_duplicates",
                        json_integer((json_int_t)
                                     slog->possible_duplicates));

    if (slog->timezone) {
        json_object_set_new(object, "zone_fallbacks",
                            json_integer((json_int_t) slog->zone_fallbacks));
    }

    if (slog->error[0]
        && beacond_slog_clock() - slog->error_ms < BEACOND_SLOG_ERROR_MS)
    {
        json_object_set_new(object, "last_error", json_string(slog->error));
    }
}

const beacond_sink_ops_t  beacond_sink_log = {
    .type = "log",
    .durable = true,
    .gathers = true,
    .create = beacond_sink_log_create,
    .destroy = beacond_sink_log_destroy,
    .load = beacond_sink_log_load,
    .recover = beacond_sink_log_recover,
    .batch = beacond_sink_log_batch,
    .flush = beacond_sink_log_flush,
    .reopen = beacond_sink_log_reopen,
    .status = beacond_sink_log_status,
    .retry_ms = BEACOND_SLOG_RETRY_MS
};
