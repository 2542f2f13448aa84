/* Reading a checkpoint back (beacond_slog_checkpoint.c tells its format). */

#include "beacond_slog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_SLOG_TEXT_MAX  (256 * 1024 * 1024)

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
    char         gone[PATH_MAX];
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

    beacond_sink_gone(slog->sink, gone);
    (void) unlink(gone);                /* it has served its turn */

    slog->ids.left = slog->ids.n;

    if (checkpoint->text) {
        slog->engine.text = strndup(checkpoint->text, checkpoint->len);
        slog->engine.len = slog->engine.text ? checkpoint->len : 0;
    }

    return BEACON_OK;
}
