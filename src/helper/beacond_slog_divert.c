/*
 * What waits for a file that may not be opened any more: it was closed for a
 * rotation, and something that is refused stands at its path now.  Its lines
 * go to the overflow's file, as they would had they come a moment later; else
 * one such path would stop all others.
 */

#include "beacond_slog.h"

#include <string.h>

static const beacond_line_t *
beacond_slog_line_at(const beacond_batch_t *batch, const uint8_t *data)
{
    uint32_t  i;

    for (i = 0; i < batch->nlines; i++) {
        if (batch->arena + batch->lines[i].offset == data) {
            return &batch->lines[i];
        }
    }

    return NULL;
}

/* The overflow's file for the first line that waits, with nothing of its own
   that is not covered: in a checkpoint batches must stand in their order. */
static beacond_slog_file_t *
beacond_slog_diversion(beacond_slog_t *slog, const beacond_slog_file_t *file)
{
    char                   path[PATH_MAX], overflow[PATH_MAX];
    const beacond_line_t  *line;
    beacond_slog_file_t   *over;

    line = beacond_slog_line_at(file->head->slot->batch, file->head->data);

    if (line == NULL) {
        return NULL;
    }

    beacond_slog_path(slog, file->head->slot->batch, line, path, overflow);

    if (strcmp(path, overflow) == 0
        || beacond_slog_file(slog, overflow, strlen(overflow), file->until, 0,
                             true, &over) != BEACON_OK)
    {
        return NULL;
    }

    if (over->nmarks > 0
        && (!beacond_slog_write_all(slog, over)
            || !beacond_slog_reopen(slog, over)
            || beacond_slog_open(slog, over) != BEACON_OK))
    {
        return NULL;
    }

    return over->nmarks == 0 ? over : NULL;
}

bool
beacond_slog_divert(beacond_slog_t *slog, beacond_slog_file_t *file)
{
    uint32_t                     i, n;
    uint64_t                     before;
    const uint8_t               *p;
    beacond_slog_file_t         *over = beacond_slog_diversion(slog, file);
    const beacond_slog_piece_t  *piece;

    if (over == NULL) {
        return false;
    }

    before = over->total;
    over->head = file->head;
    over->tail = file->tail;
    over->total += file->total - file->written;

    for (i = n = 0; i < file->nmarks; i++) {
        if (file->marks[i].end <= file->written) {
            file->marks[n++] = file->marks[i];
            continue;
        }

        over->marks[over->nmarks].seq = file->marks[i].seq;
        over->marks[over->nmarks++].end = before + file->marks[i].end
                                          - file->written;
    }

    for (piece = over->head; piece; piece = piece->next) {
        for (p = piece->data; p < piece->data + piece->len; p++) {
            over->unsynced += *p == '\n';
            slog->overflowed += *p == '\n';
        }
    }

    file->nmarks = n;
    file->head = file->tail = NULL;
    file->total = file->written;

    if (!over->dirty) {
        over->dirty = true;
        over->dirty_next = slog->dirty;
        slog->dirty = over;
    }

    return true;
}
