/*
 * Rolling forward.  Whatever followed the last checkpoint stands behind the
 * listed lengths, in whole lines and at most one unfinished one a file.
 *
 *     load      reads the files from there, collects the ids of whole lines
 *               and keeps the unfinished ends
 *     recover   looks through what will be offered again: a line that begins
 *               with an unfinished end finishes it, and its id joins the set;
 *               ids that are not offered again leave it
 *     batch     skips lines whose ids are in the set, and acknowledges them
 *
 * Until the last of them was met, the files stay listed at their old lengths:
 * dying meanwhile starts the same again.  Whole lines are never removed: a
 * follower would start at the beginning of the file.
 */

#include "beacond_slog.h"
#include "beacond_point.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Does this line finish that end? */
static bool
beacond_slog_finishes(beacond_slog_t *slog, const beacond_batch_t *batch,
    uint32_t i, const beacond_slog_rest_t *rest)
{
    char                   path[PATH_MAX], overflow[PATH_MAX];
    beacond_slog_id_t      id;
    const beacond_line_t  *line = &batch->lines[i];

    if (line->line.len <= rest->len
        || memcmp(batch->arena + line->offset, rest->text, rest->len) != 0)
    {
        return false;
    }

    if (beacond_slog_id_parse(rest->text, rest->len, &id)) {
        return true;
    }

    /* cut within the id: the first line of this file that is not in it */

    beacond_slog_path(slog, batch, line, path, overflow);

    return strcmp(path, rest->file->path) == 0
           || strcmp(overflow, rest->file->path) == 0;
}

static void
beacond_slog_recover_line(beacond_slog_t *slog, const beacond_batch_t *batch,
    uint32_t i)
{
    beacond_slog_id_t     id, *seen;
    beacond_slog_rest_t  *rest;

    beacond_slog_id_of(batch, i, &id);
    seen = beacond_slog_ids_find(&slog->ids, &id);

    if (seen) {
        slog->ids.seen += seen->state == 0;
        seen->state = 1;
        return;
    }

    for (rest = slog->rests; rest; rest = rest->next) {
        if (rest->rest || !beacond_slog_finishes(slog, batch, i, rest)) {
            continue;
        }

        rest->rest_len = batch->lines[i].line.len - rest->len;
        rest->rest = malloc(rest->rest_len);

        if (rest->rest == NULL || !beacond_slog_ids_add(&slog->ids, &id)) {
            free(rest->rest);
            rest->rest = NULL;
            return;
        }

        memcpy(rest->rest, batch->arena + batch->lines[i].offset + rest->len,
               rest->rest_len);
        beacond_slog_ids_find(&slog->ids, &id)->state = 1;
        slog->ids.seen++;
        return;
    }
}

/* Everything was looked at: what was not met will not come. */
static void
beacond_slog_recovered(beacond_slog_t *slog)
{
    size_t  i;

    for (i = 0; i < slog->ids.size; i++) {
        if (slog->ids.ids[i].used && slog->ids.ids[i].state == 0) {
            slog->ids.ids[i].state = 2;
        }
    }

    slog->ids.left = slog->ids.seen;
    slog->loaded = true;
    slog->recovering = true;

    BEACOND_POINT("log.recover");

    (void) beacond_slog_finish(slog);
}

beacon_rc_t
beacond_slog_recover(beacond_slog_t *slog, const beacond_batch_t *batch)
{
    uint32_t              i;
    beacond_slog_rest_t  *rest;

    slog->now = beacond_slog_clock();

    for (i = 0; batch && i < batch->nlines; i++) {
        beacond_slog_recover_line(slog, batch, i);
    }

    for (rest = slog->rests; rest && rest->rest; rest = rest->next) {
        /* one that nothing finishes yet? */
    }

    if (batch && (rest || slog->ids.seen < slog->ids.n)) {
        return BEACON_OK;
    }

    if (!slog->loaded) {
        beacond_slog_recovered(slog);
    }

    return batch ? BEACON_FULL : BEACON_OK;
}

/* Writes the rest of a line, or cuts its beginning.  false: an error. */
static bool
beacond_slog_finish_one(beacond_slog_t *slog, beacond_slog_rest_t *rest)
{
    ssize_t               n;
    beacond_slog_file_t  *file = rest->file;

    if (rest->rest == NULL) {
        if (ftruncate(file->handle->fd, (off_t) (file->total - rest->len))
            == -1)
        {
            goto failed;
        }

        file->total -= rest->len;
        return true;
    }

    while (rest->rest_len) {
        n = write(file->handle->fd, rest->rest, rest->rest_len);

        if (n <= 0) {
            goto failed;
        }

        memmove(rest->rest, rest->rest + n, rest->rest_len - (size_t) n);
        rest->rest_len -= (size_t) n;
        file->total += (uint64_t) n;
    }

    if (slog->sync_ms == 0 && fdatasync(file->handle->fd) == -1) {
        goto failed;
    }

    return true;

failed:

    beacond_slog_error(slog, "recovery", file->path, errno);

    return false;
}

bool
beacond_slog_finish(beacond_slog_t *slog)
{
    beacond_slog_rest_t  *rest;

    while ((rest = slog->rests) != NULL) {
        if (!beacond_slog_finish_one(slog, rest)) {
            return false;
        }

        rest->file->written = rest->file->total;
        beacond_slog_handle_close(rest->file->handle);
        rest->file->handle = NULL;
        slog->rests = rest->next;
        free(rest->text);
        free(rest->rest);
        free(rest);
    }

    if (slog->recovering && slog->ids.left == 0) {
        beacond_slog_met(slog);
    }

    return true;
}

void
beacond_slog_met(beacond_slog_t *slog)
{
    beacond_slog_file_t  *file;

    slog->recovering = false;

    for (file = slog->retired; file; file = file->chain) {
        if (file->recovered) {
            file->recovered = false;
            file->marks[0].seq = slog->seq;
            file->marks[0].end = file->total;
            file->nmarks = 1;
        }
    }

    beacond_slog_ids_dispose(&slog->ids);
}

void
beacond_slog_recover_destroy(beacond_slog_t *slog)
{
    beacond_slog_rest_t  *rest;
    beacond_slog_file_t  *file;

    while ((rest = slog->rests) != NULL) {
        slog->rests = rest->next;
        free(rest->text);
        free(rest->rest);
        free(rest);
    }

    while ((file = slog->retired) != NULL) {
        slog->retired = file->chain;
        beacond_slog_file_free(file);
    }

    beacond_slog_ids_dispose(&slog->ids);
}
