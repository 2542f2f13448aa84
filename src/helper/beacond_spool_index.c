/*
 * The index of a segment that nobody writes to any more: what it holds of each
 * lane, so that a start need not read it.  Believed only if its CRC is right
 * and the segment is as long as it says; else the segment is scanned.
 */

#include "beacond_spool.h"
#include "beacond_spool_parts.h"
#include "beacon_crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_INDEX_MAGIC    0x31584449434542ULL      /* "BECIDX1" */
#define BEACOND_INDEX_VERSION  1
#define BEACOND_INDEX_LANES    65536

typedef struct {
    uint64_t  magic;
    uint32_t  version;
    uint32_t  nlanes;           /* beacond_spool_lane_t that follow */
    uint64_t  start;            /* as in beacond_segment_t */
    uint64_t  end;
    uint64_t  file_size;
    uint64_t  oldest_ns;
    uint32_t  reserved;
    uint32_t  crc;              /* of the whole file with crc = 0 */
} beacond_index_head_t;

static void
beacond_index_path(const beacond_spool_t *spool, const beacond_segment_t *s,
    char *path)
{
    snprintf(path, PATH_MAX, "%s/index.%016llx", spool->dir,
             (unsigned long long) s->start);
}

void
beacond_spool_index_unlink(const beacond_spool_t *spool,
    const beacond_segment_t *s)
{
    char  path[PATH_MAX];

    beacond_index_path(spool, s, path);
    unlink(path);
}

/* One that cannot be written is missed by the next start only. */
void
beacond_spool_index_write(const beacond_spool_t *spool,
    const beacond_segment_t *s)
{
    int                     fd, ok;
    char                    path[PATH_MAX];
    size_t                  len;
    uint8_t                *data;
    uint32_t                i;
    beacond_index_head_t    head;
    beacond_spool_lane_t   *lanes;

    len = sizeof(head) + s->nlanes * sizeof(beacond_spool_lane_t);

    if (s->nlanes == 0 || s->nlanes > BEACOND_INDEX_LANES
        || (data = calloc(1, len)) == NULL)
    {
        return;
    }

    memset(&head, 0, sizeof(head));
    head.magic = BEACOND_INDEX_MAGIC;
    head.version = BEACOND_INDEX_VERSION;
    head.nlanes = s->nlanes;
    head.start = s->start;
    head.end = s->end;
    head.file_size = s->file_size;
    head.oldest_ns = s->oldest_ns;
    lanes = (beacond_spool_lane_t *) (void *) (data + sizeof(head));

    for (i = 0; i < s->nlanes; i++) {
        lanes[i].epoch = s->lanes[i].epoch;
        lanes[i].lane = s->lanes[i].lane;
        lanes[i].from = s->lanes[i].from;
        lanes[i].to = s->lanes[i].to;
    }

    memcpy(data, &head, sizeof(head));
    head.crc = beacon_crc32c(0, data, len);
    memcpy(data, &head, sizeof(head));

    beacond_index_path(spool, s, path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW
                    | O_NONBLOCK, 0600);

    if (fd >= 0) {
        ok = write(fd, data, len) == (ssize_t) len;

        if (close(fd) != 0 || !ok) {
            unlink(path);
        }
    }

    free(data);
}

/* The whole file, checked; NULL: not to be believed. */
static uint8_t *
beacond_index_load(int fd, const beacond_segment_t *s,
    beacond_index_head_t *head)
{
    size_t        len;
    uint8_t      *data = NULL;
    uint32_t      crc;
    struct stat   st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)
        || pread(fd, head, sizeof(*head), 0) != (ssize_t) sizeof(*head)
        || head->magic != BEACOND_INDEX_MAGIC
        || head->version != BEACOND_INDEX_VERSION
        || head->nlanes == 0 || head->nlanes > BEACOND_INDEX_LANES
        || head->start != s->start || head->file_size != s->file_size
        || head->end > s->end
        || head->end < s->start + sizeof(beacond_segment_head_t))
    {
        return NULL;
    }

    len = sizeof(*head) + head->nlanes * sizeof(beacond_spool_lane_t);

    if ((uint64_t) st.st_size != len || (data = malloc(len)) == NULL
        || pread(fd, data, len, 0) != (ssize_t) len)
    {
        goto failed;
    }

    memcpy(head, data, sizeof(*head));
    crc = head->crc;
    memset(data + offsetof(beacond_index_head_t, crc), 0, sizeof(crc));

    if (beacon_crc32c(0, data, len) == crc
        && len == sizeof(*head)
                  + head->nlanes * sizeof(beacond_spool_lane_t))
    {
        return data;
    }

failed:

    free(data);
    return NULL;
}

/* s has its start and the file's size.  false: it has to be scanned. */
bool
beacond_spool_index_read(const beacond_spool_t *spool, beacond_segment_t *s)
{
    int                    fd;
    char                   path[PATH_MAX];
    size_t                 len;
    uint8_t               *data;
    beacond_index_head_t   head;

    beacond_index_path(spool, s, path);

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }

    data = beacond_index_load(fd, s, &head);
    close(fd);

    if (data == NULL) {
        return false;
    }

    len = head.nlanes * sizeof(beacond_spool_lane_t);
    memmove(data, data + sizeof(head), len);
    s->lanes = (beacond_spool_lane_t *) (void *) data;
    s->nlanes = head.nlanes;
    s->end = head.end;
    s->oldest_ns = head.oldest_ns;

    return true;
}
