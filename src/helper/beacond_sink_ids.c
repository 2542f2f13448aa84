/*
 * A file of ids, one a line: a second durable sink for tests, and for people
 * who want to count.
 *
 *     {"type":"ids","name":"ids","path":"/var/lib/beacon/ids","sync":"always"}
 *
 * The file is the sink's alone: each checkpoint keeps its length, and what is
 * beyond it at start is cut off and comes again.  So it holds every id once.
 * sync "always": acknowledged after fdatasync; else after write.
 */

#include "beacond_clock.h"
#include "beacond_file.h"
#include "beacond_log.h"
#include "beacond_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_IDS_BUFFER  (256 * 1024)
#define BEACOND_IDS_WRITE   (64 * 1024)
#define BEACOND_IDS_AGE     (100 * BEACOND_MS)
#define BEACOND_IDS_KEPT    16

typedef struct {
    char                 path[PATH_MAX];
    char                 checkpoint[PATH_MAX];
    char                 copy[PATH_MAX];        /* of it, in the spool */
    bool                 copied;
    bool                 sync;
    int                  fd;
    off_t                length;        /* of what was acknowledged */
    bool                 cut;           /* length is what the file must have */
    char                *buffer;
    size_t               len;
    uint64_t             since_ns;      /* of the first byte in it */
    beacond_acked_t      kept[BEACOND_IDS_KEPT];        /* in the buffer */
    size_t               nkept;
    uint64_t             retry_ns;      /* after a failure */
    uint64_t             lines;
    beacond_log_limit_t  limit;
} beacond_ids_t;

static beacon_rc_t
beacond_ids_create(beacond_sink_t *sink, const json_t *conf,
    beacon_err_t *err)
{
    const char     *path, *sync;
    beacond_ids_t  *ids;

    path = json_string_value(json_object_get(conf, "path"));
    sync = json_string_value(json_object_get(conf, "sync"));

    if (path == NULL || path[0] != '/' || strlen(path) >= PATH_MAX) {
        beacon_err(err, "sink \"%s\" has no absolute path", sink->name);
        return BEACON_INVALID;
    }

    ids = calloc(1, sizeof(beacond_ids_t));
    if (ids == NULL) {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    ids->buffer = malloc(BEACOND_IDS_BUFFER);
    if (ids->buffer == NULL) {
        free(ids);
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    ids->fd = -1;
    ids->copied = true;
    ids->sync = sync != NULL && strcmp(sync, "always") == 0;
    snprintf(ids->path, PATH_MAX, "%s", path);
    snprintf(ids->checkpoint, PATH_MAX, "%s/%s.checkpoint", sink->conf->dir,
             sink->name);

    if (sink->conf->spool != NULL) {
        snprintf(ids->copy, PATH_MAX, "%s/%s.checkpoint", sink->conf->spool,
                 sink->name);
    }

    sink->data = ids;

    return BEACON_OK;
}

static void
beacond_ids_forget(beacond_ids_t *ids)
{
    while (ids->nkept > 0) {
        beacond_batch_unref((beacond_batch_t *) ids->kept[--ids->nkept].batch);
    }

    ids->len = 0;
}

static void
beacond_ids_destroy(beacond_sink_t *sink)
{
    beacond_ids_t  *ids = sink->data;

    beacond_ids_forget(ids);

    if (ids->fd >= 0) {
        close(ids->fd);
    }

    free(ids->buffer);
    free(ids);
}

/* {"v":1,"length":n,"engine":{...}} */
static beacon_rc_t
beacond_ids_load(beacond_sink_t *sink, beacond_checkpoint_t *checkpoint)
{
    json_t         *root;
    beacond_ids_t  *ids = sink->data;

    root = json_load_file(ids->checkpoint, 0, NULL);

    if (root == NULL && ids->copy[0] != '\0') {
        root = json_load_file(ids->copy, 0, NULL);
    }

    if (root == NULL) {
        return BEACON_OK;
    }

    if (json_is_integer(json_object_get(root, "length"))) {
        ids->length = (off_t) json_integer_value(json_object_get(root,
                                                                 "length"));
        ids->cut = true;
    }

    checkpoint->text = json_dumps(json_object_get(root, "engine"),
                                  JSON_COMPACT);
    checkpoint->len = checkpoint->text ? strlen(checkpoint->text) : 0;
    json_decref(root);

    return BEACON_OK;
}

static beacon_rc_t
beacond_ids_failed(beacond_sink_t *sink, const char *what)
{
    int             error = errno;
    beacond_ids_t  *ids = sink->data;

    sink->errors++;
    ids->retry_ns = beacond_clock_ns()
                    + (uint64_t) sink->ops->retry_ms * BEACOND_MS;

    if (beacond_log_due(&ids->limit, NULL)) {
        beacond_log(BEACOND_ERROR, "sink \"%s\": %s: %s", sink->name, what,
                    strerror(error));
    }

    return BEACON_AGAIN;
}

static beacon_rc_t
beacond_ids_open(beacond_sink_t *sink)
{
    struct stat     st;
    beacond_ids_t  *ids = sink->data;

    if (ids->fd >= 0) {
        return BEACON_OK;
    }

    ids->fd = open(ids->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW
                              | O_NONBLOCK, 0640);

    if (ids->fd < 0) {
        return beacond_ids_failed(sink, ids->path);
    }

    if (fstat(ids->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        errno = EINVAL;
        goto failed;
    }

    if (ids->cut && st.st_size > ids->length
        && ftruncate(ids->fd, ids->length) != 0)
    {
        goto failed;
    }

    /* shorter than we left it: somebody else's doing; go on at its end */

    if (!ids->cut || st.st_size < ids->length) {
        ids->length = st.st_size;
    }

    ids->cut = true;

    return BEACON_OK;

failed:

    (void) beacond_ids_failed(sink, ids->path);
    close(ids->fd);
    ids->fd = -1;
    return BEACON_AGAIN;
}

/* The buffer behind what is acknowledged; a part of it is no harm. */
static beacon_rc_t
beacond_ids_write(beacond_sink_t *sink)
{
    size_t          done = 0;
    ssize_t         n;
    beacond_ids_t  *ids = sink->data;

    while (done < ids->len) {
        n = pwrite(ids->fd, ids->buffer + done, ids->len - done,
                   ids->length + (off_t) done);

        if (n < 0 && errno == EINTR) {
            continue;
        }

        if (n <= 0) {
            (void) beacond_ids_failed(sink, ids->path);

            if (ftruncate(ids->fd, ids->length) != 0) {
                close(ids->fd);
                ids->fd = -1;
            }

            return BEACON_AGAIN;
        }

        done += (size_t) n;
    }

    if (ids->sync && fdatasync(ids->fd) != 0) {
        return beacond_ids_failed(sink, ids->path);
    }

    return BEACON_OK;
}

/* First where it outlives the ring's directory, while hits do.  What becomes
   of that copy is no reason not to go on. */
static beacon_rc_t
beacond_ids_save(beacond_sink_t *sink)
{
    int                    n;
    bool                   spool;
    char                  *text;
    off_t                  length;
    beacon_rc_t            rc;
    beacond_ids_t         *ids = sink->data;
    beacond_checkpoint_t   checkpoint;

    spool = beacond_sink_spool_dir(sink) != NULL && ids->copy[0] != '\0';

    if (beacond_sink_checkpoint(sink, ids->kept, ids->nkept, &checkpoint)
        != BEACON_OK)
    {
        return BEACON_SYS;
    }

    length = ids->length + (off_t) ids->len;
    n = asprintf(&text, "{\"v\":1,\"length\":%lld,\"engine\":%s}\n",
                 (long long) length, checkpoint.text);
    free(checkpoint.text);

    if (n < 0) {
        return BEACON_SYS;
    }

    if (spool) {
        sink->errors += beacond_sink_copy(sink, ids->copy, text, (size_t) n)
                        == BEACON_SYS;
        ids->copied = true;

    } else if (ids->copied && ids->copy[0] != '\0') {
        ids->copied = beacond_sink_copy(sink, ids->copy, NULL, 0)
                      == BEACON_AGAIN;
    }

    rc = beacond_file_replace(ids->checkpoint, NULL, text, (size_t) n,
                              ids->sync);
    free(text);

    return rc;
}

static beacon_rc_t
beacond_ids_commit(beacond_sink_t *sink)
{
    size_t          i;
    beacond_ids_t  *ids = sink->data;

    if (beacond_ids_open(sink) != BEACON_OK
        || beacond_ids_write(sink) != BEACON_OK)
    {
        return BEACON_AGAIN;
    }

    if (beacond_ids_save(sink) != BEACON_OK) {
        return beacond_ids_failed(sink, ids->checkpoint);
    }

    for (i = 0; i < ids->nkept; i++) {
        beacond_sink_ack(sink, ids->kept[i].batch, 0, ids->kept[i].n);
    }

    ids->length += (off_t) ids->len;
    sink->last_success_ns = beacond_clock_date();
    beacond_ids_forget(ids);

    return BEACON_OK;
}

static beacon_rc_t
beacond_ids_batch(beacond_sink_t *sink, beacond_batch_t *batch)
{
    char                  *p;
    uint32_t               i;
    beacond_ids_t         *ids = sink->data;
    const beacond_line_t  *line;

    if (beacond_clock_ns() < ids->retry_ns
        || beacond_ids_open(sink) != BEACON_OK)
    {
        return BEACON_AGAIN;
    }

    if ((ids->nkept == BEACOND_IDS_KEPT
         || batch->nlines * (BEACON_ID_MAX + 8) > BEACOND_IDS_BUFFER
                                                  - ids->len)
        && beacond_ids_commit(sink) != BEACON_OK)
    {
        return BEACON_AGAIN;
    }

    if (ids->len == 0) {
        ids->since_ns = beacond_clock_ns();
    }

    p = ids->buffer + ids->len;

    for (i = 0; i < batch->nlines; i++) {
        line = &batch->lines[i];
        memcpy(p, batch->arena + line->offset + BEACON_LINE_ID,
               line->line.id_len);
        p += line->line.id_len;
        *p++ = '\n';
    }

    ids->lines += batch->nlines;
    ids->len = (size_t) (p - ids->buffer);
    beacond_batch_ref(batch);
    ids->kept[ids->nkept].batch = batch;
    ids->kept[ids->nkept].first = 0;
    ids->kept[ids->nkept++].n = batch->nhits;

    return BEACON_OK;
}

static int
beacond_ids_flush(beacond_sink_t *sink, bool force)
{
    uint64_t        age, now = beacond_clock_ns();
    beacond_ids_t  *ids = sink->data;

    if (ids->nkept == 0) {
        return 50;
    }

    age = now - ids->since_ns;

    if ((force || age >= BEACOND_IDS_AGE || ids->len >= BEACOND_IDS_WRITE)
        && (now >= ids->retry_ns))
    {
        (void) beacond_ids_commit(sink);
        return 50;
    }

    return age < BEACOND_IDS_AGE ? (int) ((BEACOND_IDS_AGE - age) / BEACOND_MS)
                                   + 1 : 50;
}

static void
beacond_ids_reopen(beacond_sink_t *sink)
{
    beacond_ids_t  *ids = sink->data;

    (void) beacond_ids_flush(sink, true);

    if (ids->fd >= 0 && ids->nkept == 0) {
        close(ids->fd);
        ids->fd = -1;
        ids->cut = false;
    }
}

static void
beacond_ids_status(beacond_sink_t *sink, json_t *object)
{
    beacond_ids_t  *ids = sink->data;

    json_object_set_new(object, "lines",
                        json_integer((json_int_t) ids->lines));
}

const beacond_sink_ops_t  beacond_sink_ids = {
    .type = "ids",
    .durable = true,
    .create = beacond_ids_create,
    .destroy = beacond_ids_destroy,
    .load = beacond_ids_load,
    .batch = beacond_ids_batch,
    .flush = beacond_ids_flush,
    .reopen = beacond_ids_reopen,
    .status = beacond_ids_status,
    .retry_ms = 100
};
