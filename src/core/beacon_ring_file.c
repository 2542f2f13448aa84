/* Ring files: their names, made, and mapped. */

#include "beacon_ring_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void
beacon_ring_name(char *name, uint64_t epoch, const char *suffix)
{
    (void) snprintf(name, BEACON_RING_NAME, "ring.%016llx%s",
                    (unsigned long long) epoch, suffix);
}

int
beacon_ring_dir(const char *dir)
{
    return open(dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
}

static uint64_t
beacon_ring_file_size(uint64_t lane_size, uint32_t lanes)
{
    return BEACON_PAGE + lanes * (BEACON_PAGE + lane_size) + BEACON_PAGE;
}

static int
beacon_ring_sizes_valid(uint64_t lane_size, uint64_t lanes)
{
    return lane_size >= BEACON_LANE_MIN && lane_size <= BEACON_LANE_MAX
           && (lane_size & (lane_size - 1)) == 0
           && lanes >= 1 && lanes <= BEACON_LANES_MAX;
}

void
beacon_ring_close(int fd)
{
    int  keep;

    keep = errno;
    (void) close(fd);
    errno = keep;
}

size_t
beacon_ring_owner(const beacon_ring_geometry_t *geometry, char *owner)
{
    size_t  prefix, conf;

    prefix = strlen(geometry->prefix) + 1;
    conf = strlen(geometry->conf) + 1;

    if (prefix + conf > sizeof(((beacon_ring_control_t *) 0)->owner)) {
        return 0;
    }

    memcpy(owner, geometry->prefix, prefix);
    memcpy(owner + prefix, geometry->conf, conf);

    return prefix + conf;
}


/* Create. */

static int
beacon_ring_write(int fd, const void *page, uint64_t offset)
{
    ssize_t  n;

    do {
        n = pwrite(fd, page, BEACON_PAGE, (off_t) offset);
    } while (n == -1 && errno == EINTR);

    if (n == -1) {
        return -1;
    }

    if (n != BEACON_PAGE) {
        errno = ENOSPC;
        return -1;
    }

    return 0;
}

/* Writing a page allocates it; the lanes between stay holes until claimed. */
static int
beacon_ring_fill(int fd, const beacon_ring_control_t *control)
{
    uint32_t  i;
    union {
        uint8_t                bytes[BEACON_PAGE];
        beacon_ring_control_t  control;
        beacon_lane_header_t   lane;
    } page;

    if (ftruncate(fd, (off_t) control->file_size) == -1) {
        return -1;
    }

    memset(&page, 0, sizeof(page));

    if (beacon_ring_write(fd, &page, control->file_size - BEACON_PAGE) == -1) {
        return -1;
    }

    page.lane.size = control->lane_size;
    page.lane.mask = control->lane_size - 1;
    page.lane.tail = control->start;
    page.lane.cached_reclaim = control->start;
    page.lane.commit[0].tail = control->start;
    page.lane.reclaim = control->start;

    for (i = 0; i < control->lanes; i++) {
        if (beacon_ring_write(fd, &page, BEACON_PAGE
                              + i * control->lane_stride)
            == -1)
        {
            return -1;
        }
    }

    memset(&page, 0, sizeof(page));
    memcpy(&page.control, control, sizeof(beacon_ring_control_t));

    return beacon_ring_write(fd, &page, 0);
}

static int
beacon_ring_random(uint64_t *n)
{
    ssize_t  rc;

    do {
        rc = getrandom(n, sizeof(*n), 0);
    } while ((rc == -1 && errno == EINTR)
             || (rc == sizeof(*n) && *n == 0));

    return rc == sizeof(*n) ? 0 : -1;
}

static beacon_rc_t
beacon_ring_prepare(const beacon_ring_geometry_t *geometry,
    beacon_ring_control_t *control, beacon_err_t *err)
{
    struct timespec  now;

    memset(control, 0, sizeof(beacon_ring_control_t));

    if (!beacon_ring_sizes_valid(geometry->lane_size, geometry->lanes)
        || (geometry->start & 7) != 0)
    {
        beacon_err(err, "a ring of %lu lanes of %llu bytes cannot be",
                   (unsigned long) geometry->lanes,
                   (unsigned long long) geometry->lane_size);
        return BEACON_INVALID;
    }

    if (beacon_ring_owner(geometry, control->owner) == 0) {
        beacon_err(err, "prefix and configuration file are longer than "
                   "%zu bytes", sizeof(control->owner) - 2);
        return BEACON_INVALID;
    }

    if (beacon_ring_random(&control->epoch) == -1) {
        beacon_err(err, "getrandom() failed: %s", strerror(errno));
        return BEACON_SYS;
    }

    (void) clock_gettime(CLOCK_REALTIME, &now);

    control->layout = BEACON_LAYOUT;
    control->lanes = geometry->lanes;
    control->lane_size = geometry->lane_size;
    control->lane_stride = BEACON_PAGE + geometry->lane_size;
    control->file_size = beacon_ring_file_size(geometry->lane_size,
                                               geometry->lanes);
    control->start = geometry->start;
    control->created_ns = (uint64_t) now.tv_sec * 1000000000
                          + (uint64_t) now.tv_nsec;

    atomic_store_explicit(&control->magic, BEACON_RING_MAGIC,
                          memory_order_release);

    return BEACON_OK;
}

beacon_rc_t
beacon_ring_create(const char *dir, const beacon_ring_geometry_t *geometry,
    uint64_t *epoch, beacon_err_t *err)
{
    int                    fd, dirfd, keep;
    char                   name[BEACON_RING_NAME], tmp[BEACON_RING_NAME];
    beacon_rc_t            rc;
    beacon_ring_control_t  control;

    rc = beacon_ring_prepare(geometry, &control, err);
    if (rc != BEACON_OK) {
        return rc;
    }

    dirfd = beacon_ring_dir(dir);
    if (dirfd == -1) {
        beacon_err(err, "open(\"%s\") failed: %s", dir, strerror(errno));
        return BEACON_SYS;
    }

    beacon_ring_name(name, control.epoch, "");
    beacon_ring_name(tmp, control.epoch, ".tmp");

    fd = openat(dirfd, tmp, O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);
    if (fd == -1) {
        beacon_err(err, "open(\"%s/%s\") failed: %s", dir, tmp,
                   strerror(errno));
        beacon_ring_close(dirfd);
        return BEACON_SYS;
    }

    if (beacon_ring_fill(fd, &control) == -1
        || fchmod(fd, 0600) == -1
        || (geometry->uid != (uid_t) -1
            && fchown(fd, geometry->uid, geometry->gid) == -1)
        || renameat(dirfd, tmp, dirfd, name) == -1)
    {
        keep = errno;
        beacon_err(err, "could not make \"%s/%s\": %s", dir, name,
                   strerror(keep));
        (void) unlinkat(dirfd, tmp, 0);
        errno = keep;
        rc = BEACON_SYS;
    }

    beacon_ring_close(fd);
    beacon_ring_close(dirfd);

    *epoch = control.epoch;

    return rc;
}


/* Attach. */

/* Is this control page one of a file that we can work with? */
static beacon_rc_t
beacon_ring_check(beacon_ring_control_t *control, uint64_t epoch,
    uint64_t file_size, const char *name, beacon_err_t *err)
{
    uint64_t  magic;

    magic = atomic_load_explicit(&control->magic, memory_order_acquire);

    if (magic != BEACON_RING_MAGIC) {
        beacon_err(err, "\"%s\" is not a ring", name);
        return BEACON_CORRUPT;
    }

    if (control->layout != BEACON_LAYOUT
        && control->layout != BEACON_LAYOUT - 1)
    {
        beacon_err(err, "\"%s\" has layout %lu, this build reads %d and %d",
                   name, (unsigned long) control->layout, BEACON_LAYOUT - 1,
                   BEACON_LAYOUT);
        return BEACON_INVALID;
    }

    if (!beacon_ring_sizes_valid(control->lane_size, control->lanes)
        || control->epoch != epoch
        || control->lane_stride != BEACON_PAGE + control->lane_size
        || control->file_size != beacon_ring_file_size(control->lane_size,
                                                       control->lanes))
    {
        beacon_err(err, "the control page of \"%s\" contradicts itself",
                   name);
        return BEACON_CORRUPT;
    }

    if (control->file_size != file_size) {
        beacon_err(err, "\"%s\" has %llu bytes instead of %llu", name,
                   (unsigned long long) file_size,
                   (unsigned long long) control->file_size);
        return BEACON_CORRUPT;
    }

    return BEACON_OK;
}

beacon_rc_t
beacon_ring_open(int dirfd, uint64_t epoch, int flags, int *fd,
    beacon_ring_control_t *control, beacon_err_t *err)
{
    char         name[BEACON_RING_NAME];
    ssize_t      n;
    struct stat  st;
    beacon_rc_t  rc;

    beacon_ring_name(name, epoch, "");

    /* O_NONBLOCK: a FIFO must not hold us */

    *fd = openat(dirfd, name, flags|O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK);

    if (*fd == -1 || fstat(*fd, &st) == -1) {
        rc = BEACON_SYS;
        beacon_err(err, "open(\"%s\") failed: %s", name, strerror(errno));
        goto failed;
    }

    rc = BEACON_CORRUPT;

    if (!S_ISREG(st.st_mode)) {
        beacon_err(err, "\"%s\" is not a regular file", name);
        goto failed;
    }

    memset(control, 0, sizeof(beacon_ring_control_t));

    n = pread(*fd, control, sizeof(beacon_ring_control_t), 0);

    if (n != (ssize_t) sizeof(beacon_ring_control_t)) {
        beacon_err(err, "\"%s\" is too short", name);
        goto failed;
    }

    rc = beacon_ring_check(control, epoch, (uint64_t) st.st_size, name, err);
    if (rc == BEACON_OK) {
        return BEACON_OK;
    }

failed:

    if (*fd != -1) {
        beacon_ring_close(*fd);
        *fd = -1;
    }

    return rc;
}

beacon_rc_t
beacon_ring_attach(const char *dir, uint64_t epoch, int writable,
    beacon_ring_t **ringp, beacon_err_t *err)
{
    int                     fd, dirfd;
    void                   *map;
    beacon_rc_t             rc;
    beacon_ring_t          *ring;
    beacon_ring_control_t   control;
    beacon_ring_mapping_t  *mapping;

    *ringp = NULL;

    dirfd = beacon_ring_dir(dir);
    if (dirfd == -1) {
        beacon_err(err, "open(\"%s\") failed: %s", dir, strerror(errno));
        return BEACON_SYS;
    }

    rc = beacon_ring_open(dirfd, epoch, writable ? O_RDWR : O_RDONLY, &fd,
                          &control, err);
    beacon_ring_close(dirfd);

    if (rc != BEACON_OK) {
        return rc;
    }

    map = MAP_FAILED;
    mapping = calloc(1, sizeof(beacon_ring_mapping_t));

    if (mapping != NULL) {
        map = mmap(NULL, control.file_size,
                   writable ? PROT_READ|PROT_WRITE : PROT_READ, MAP_SHARED,
                   fd, 0);
    }

    if (map == MAP_FAILED) {
        beacon_err(err, "could not map ring.%016llx: %s",
                   (unsigned long long) epoch, strerror(errno));
        beacon_ring_close(fd);
        free(mapping);
        return BEACON_SYS;
    }

    /* sizes are those that were checked, whatever the page comes to say */

    ring = &mapping->ring;
    ring->epoch = epoch;
    ring->lane_size = control.lane_size;
    ring->lanes = control.lanes;
    ring->layout = control.layout;
    ring->fd = fd;
    ring->writable = writable;
    ring->map_size = control.file_size;
    ring->map = map;
    ring->control = map;

    *ringp = ring;

    return BEACON_OK;
}

void
beacon_ring_detach(beacon_ring_t *ring)
{
    (void) munmap(ring->map, ring->map_size);
    (void) close(ring->fd);

    free((beacon_ring_mapping_t *) (void *) ring);
}
