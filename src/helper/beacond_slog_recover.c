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

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_SLOG_READ      (1024 * 1024)
#define BEACOND_SLOG_TEXT_MAX  (256 * 1024 * 1024)

/* A file as the checkpoint lists it. */
typedef struct {
    uint64_t     length;
    uint64_t     dev;
    uint64_t     ino;
    int64_t      btime;
    const char  *path;
} beacond_slog_entry_t;

static bool
beacond_slog_is(int fd, const beacond_slog_entry_t *entry)
{
    int64_t   btime;
    uint64_t  dev, ino;

    return beacond_slog_identity(fd, &dev, &ino, &btime) && dev == entry->dev
           && ino == entry->ino
           && (btime == entry->btime || btime == 0 || entry->btime == 0);
}

/* Looks for a renamed file in its directory; -1: it is not there. */
static int
beacond_slog_search(const beacond_slog_entry_t *entry, const char *dir)
{
    int             fd = -1;
    DIR            *d = opendir(dir);
    struct dirent  *e;

    if (d == NULL) {
        return -1;
    }

    while (fd == -1 && (e = readdir(d)) != NULL) {
        if (e->d_ino != entry->ino
            || (e->d_type != DT_REG && e->d_type != DT_UNKNOWN))
        {
            continue;
        }

        fd = openat(dirfd(d), e->d_name, O_RDWR|O_APPEND|O_NOFOLLOW|O_CLOEXEC
                                         |O_NONBLOCK|O_NOCTTY);

        if (fd != -1 && !beacond_slog_is(fd, entry)) {
            close(fd);
            fd = -1;
        }
    }

    closedir(d);

    return fd;
}

/*
 * Opens a listed file.  -1: errno; ENOENT: it is not there any more, though
 * the template's directory is.
 */
static int
beacond_slog_find(const beacond_slog_t *slog,
    const beacond_slog_entry_t *entry)
{
    int          fd, err;
    char         dir[PATH_MAX];
    size_t       len;
    struct stat  st;

    len = (size_t) (strrchr(entry->path, '/') - entry->path);
    memcpy(dir, entry->path, len);
    dir[len] = '\0';

    fd = beacond_slog_walk(dir, len, entry->path, false);

    if (fd != -1 && beacond_slog_is(fd, entry)) {
        return fd;
    }

    err = errno;

    if (fd != -1) {
        close(fd);
        err = ENOENT;
    }

    if (err == EIO || err == EMFILE || err == ENFILE || err == ENOMEM
        || err == EROFS)
    {
        errno = err;
        return -1;
    }

    fd = beacond_slog_search(entry, dir);

    if (fd == -1 && strncmp(entry->path, slog->dir, slog->dir_len) == 0
        && stat(slog->dir, &st) == -1)
    {
        errno = ENOTDIR;                /* not mounted, it seems: wait */
        return -1;
    }

    if (fd == -1) {
        errno = ENOENT;
    }

    return fd;
}

/* What a scan of a file keeps between two reads. */
typedef struct {
    uint8_t  *buf;
    size_t    size;
    size_t    len;              /* of an unfinished line, at buf's start */
} beacond_slog_scan_t;

/* Takes whole lines out of the buffer; false: no place for an id. */
static bool
beacond_slog_scan_lines(beacond_slog_t *slog, beacond_slog_scan_t *scan)
{
    bool               good = true;
    uint8_t           *line = scan->buf, *end;
    beacond_slog_id_t  id;

    while ((end = memchr(line, '\n', scan->len)) != NULL) {
        if (beacond_slog_id_parse(line, (size_t) (end - line), &id)) {
            good = beacond_slog_ids_add(&slog->ids, &id) && good;
        }

        scan->len -= (size_t) (end + 1 - line);
        line = end + 1;
    }

    memmove(scan->buf, line, scan->len);

    return good;
}

/* Reads from an offset to the end, which it returns; -1: errno. */
static off_t
beacond_slog_scan(beacond_slog_t *slog, int fd, off_t at,
    beacond_slog_scan_t *scan)
{
    ssize_t   n;
    uint8_t  *buf;

    for (scan->len = 0; ; at += n) {
        if (scan->len + BEACOND_SLOG_READ > scan->size) {
            buf = realloc(scan->buf, scan->len + BEACOND_SLOG_READ);

            if (buf == NULL) {
                errno = ENOMEM;
                return -1;
            }

            scan->buf = buf;
            scan->size = scan->len + BEACOND_SLOG_READ;
        }

        n = pread(fd, scan->buf + scan->len, BEACOND_SLOG_READ, at);

        if (n <= 0) {
            return n == 0 ? at : -1;
        }

        scan->len += (size_t) n;

        if (!beacond_slog_scan_lines(slog, scan)) {
            slog->possible_duplicates++;
        }
    }
}

/* Keeps a file listed at its old length, and its unfinished end. */
static bool
beacond_slog_keep(beacond_slog_t *slog, const beacond_slog_entry_t *entry,
    int fd, off_t end, const beacond_slog_scan_t *scan)
{
    beacond_slog_file_t  *file = calloc(1, sizeof(beacond_slog_file_t));
    beacond_slog_rest_t  *rest = calloc(1, sizeof(beacond_slog_rest_t));

    if (file) {
        file->id_dev = entry->dev;
        file->id_ino = entry->ino;
        file->id_btime = entry->btime;
    }

    if (file == NULL || rest == NULL
        || (file->path = strdup(entry->path)) == NULL
        || !beacond_slog_describe(file)
        || (rest->text = malloc(scan->len + 1)) == NULL
        || (file->handle = beacond_slog_handle(fd)) == NULL)
    {
        free(rest ? rest->text : NULL);
        free(rest);

        if (file) {
            beacond_slog_file_free(file);
        }

        return false;
    }

    file->path_len = strlen(file->path);
    file->base = entry->length;
    file->total = file->written = (uint64_t) end;
    file->recovered = true;
    file->chain = slog->retired;
    slog->retired = file;

    if (scan->len == 0) {
        beacond_slog_handle_unref(file->handle);
        file->handle = NULL;
        free(rest->text);
        free(rest);
        return true;
    }

    memcpy(rest->text, scan->buf, scan->len);
    rest->len = scan->len;
    rest->file = file;
    rest->next = slog->rests;
    slog->rests = rest;

    return true;
}

/* One listed file.  AGAIN: it cannot be read now. */
static beacon_rc_t
beacond_slog_load_file(beacond_slog_t *slog,
    const beacond_slog_entry_t *entry, beacond_slog_scan_t *scan)
{
    int                   fd;
    off_t                 end, at = (off_t) entry->length;
    struct stat           st;
    beacond_slog_file_t  *file;

    fd = beacond_slog_find(slog, entry);

    if (fd == -1 && errno == ENOENT) {
        beacond_slog_error(slog, "recovery", entry->path, ENOENT);
        slog->possible_duplicates++;
        return BEACON_OK;
    }

    if (fd == -1 || fstat(fd, &st) == -1) {
        goto failed;
    }

    if (st.st_size < at) {
        at = 0;                         /* cut by somebody */
    }

    end = beacond_slog_scan(slog, fd, at, scan);

    if (end == -1) {
        goto failed;
    }

    for (file = slog->retired; file; file = file->chain) {
        if (file->id_dev == entry->dev && file->id_ino == entry->ino) {
            break;                      /* listed twice: closed and opened */
        }
    }

    if (file && entry->length < file->base) {
        file->base = entry->length;
    }

    if (file || end == at) {
        close(fd);
        return BEACON_OK;
    }

    if (!beacond_slog_keep(slog, entry, fd, end, scan)) {
        errno = ENOMEM;
        goto failed;
    }

    return BEACON_OK;

failed:

    beacond_slog_error(slog, "recovery", entry->path, errno);

    if (fd != -1) {
        close(fd);
    }

    return BEACON_AGAIN;
}

/* A whole checkpoint, terminated; NULL: there is none, or errno. */
static char *
beacond_slog_read(const char *dir, const char *name, size_t *len)
{
    int          fd;
    char         path[PATH_MAX], *text = NULL;
    ssize_t      n;
    struct stat  st;

    if ((size_t) snprintf(path, sizeof(path), "%s/%s.checkpoint", dir, name)
        >= sizeof(path))
    {
        errno = ENOENT;
        return NULL;
    }

    fd = open(path, O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK);

    if (fd == -1) {
        return NULL;
    }

    errno = ENOENT;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
        && st.st_size <= BEACOND_SLOG_TEXT_MAX)
    {
        text = malloc((size_t) st.st_size + 1);
    }

    for (*len = 0; text && *len < (size_t) st.st_size; *len += (size_t) n) {
        n = read(fd, text + *len, (size_t) st.st_size - *len);

        if (n <= 0) {
            free(text);
            text = NULL;
        }
    }

    if (text) {
        text[*len] = '\0';
    }

    close(fd);

    return text;
}

/* The line at *p, terminated in place; *p moves behind it; NULL: none. */
static char *
beacond_slog_line(char **p)
{
    char  *line = *p, *end = strchr(line, '\n');

    if (end == NULL) {
        return NULL;
    }

    *end = '\0';
    *p = end + 1;

    return line;
}

static bool
beacond_slog_parse_file(const char *line, beacond_slog_entry_t *entry)
{
    int  n = 0;

    if (sscanf(line, "file %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64
               " %n", &entry->length, &entry->dev, &entry->ino, &entry->btime,
               &n) != 4
        || n == 0 || line[n] != '/' || strlen(line + n) >= PATH_MAX
        || entry->length > INT64_MAX)
    {
        return false;
    }

    entry->path = line + n;

    return true;
}

/* Is the text whole?  Its last line says how long it is. */
static bool
beacond_slog_whole(const char *text, size_t len)
{
    char         end[32];
    size_t       n;
    const char  *last;

    last = len > 1 ? memrchr(text, '\n', len - 1) : NULL;

    if (last == NULL) {
        return false;
    }

    n = (size_t) snprintf(end, sizeof(end), "\nend %zu\n",
                          (size_t) (last - text));

    return len - (size_t) (last - text) == n && memcmp(last, end, n) == 0;
}

/* Files, counts and the engine's part of a text.  INVALID: it is none. */
static beacon_rc_t
beacond_slog_parse(beacond_slog_t *slog, char *text, size_t len,
    beacond_checkpoint_t *checkpoint)
{
    char                 *p = text, *line;
    size_t                n;
    uint64_t              errors;
    beacon_rc_t           rc = BEACON_OK;
    beacond_slog_scan_t   scan = { NULL, 0, 0 };
    beacond_slog_entry_t  entry;

    if (!beacond_slog_whole(text, len)
        || (line = beacond_slog_line(&p)) == NULL
        || strcmp(line, "beacon log checkpoint 1") != 0
        || (line = beacond_slog_line(&p)) == NULL
        || sscanf(line, "counts %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                  " %" SCNu64, &slog->possible_duplicates, &slog->overflowed,
                  &slog->reopened, &slog->unsynced, &errors) != 5)
    {
        return BEACON_INVALID;
    }

    if (slog->sink->errors < errors) {
        slog->sink->errors = errors;
    }

    while (rc == BEACON_OK && (line = beacond_slog_line(&p)) != NULL
           && strncmp(line, "file ", 5) == 0)
    {
        rc = beacond_slog_parse_file(line, &entry)
             ? beacond_slog_load_file(slog, &entry, &scan) : BEACON_INVALID;
    }

    free(scan.buf);

    if (rc != BEACON_OK) {
        return rc;
    }

    if (line == NULL || sscanf(line, "engine %zu", &n) != 1
        || n >= len - (size_t) (p - text))
    {
        return BEACON_INVALID;
    }

    checkpoint->text = strndup(p, n);
    checkpoint->len = n;

    return checkpoint->text ? BEACON_OK : BEACON_AGAIN;
}

/* From one directory.  INVALID: there is none, or it is damaged. */
static beacon_rc_t
beacond_slog_load_from(beacond_slog_t *slog, const char *dir,
    beacond_checkpoint_t *checkpoint)
{
    char         *text;
    size_t        len;
    beacon_rc_t   rc;

    if (dir == NULL) {
        return BEACON_INVALID;
    }

    text = beacond_slog_read(dir, slog->sink->name, &len);

    if (text == NULL) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
            return BEACON_INVALID;
        }

        beacond_slog_error(slog, "checkpoint", dir, errno);
        return BEACON_AGAIN;
    }

    rc = beacond_slog_parse(slog, text, len, checkpoint);
    free(text);

    if (rc == BEACON_INVALID) {
        beacond_slog_error(slog, "damaged checkpoint", dir, 0);
        slog->possible_duplicates++;
    }

    if (rc != BEACON_OK) {
        beacond_slog_recover_destroy(slog);     /* begins anew */
    }

    return rc;
}

beacon_rc_t
beacond_slog_load(beacond_slog_t *slog, beacond_checkpoint_t *checkpoint)
{
    beacon_rc_t  rc;

    checkpoint->text = NULL;
    checkpoint->len = 0;
    slog->now = beacond_slog_clock();

    rc = beacond_slog_load_from(slog, slog->sink->conf->dir, checkpoint);

    if (rc == BEACON_INVALID) {
        rc = beacond_slog_load_from(slog, slog->sink->conf->spool,
                                    checkpoint);
    }

    if (rc == BEACON_AGAIN) {
        return BEACON_AGAIN;
    }

    slog->ids.left = slog->ids.n;

    if (checkpoint->text) {
        slog->engine.text = strndup(checkpoint->text, checkpoint->len);
        slog->engine.len = slog->engine.text ? checkpoint->len : 0;
    }

    return BEACON_OK;
}


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
        beacond_slog_handle_unref(rest->file->handle);
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
