/* Ring files: those in a directory, whose they are, and set aside. */

#include "beacon_ring_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
beacon_ring_epoch(const char *name, uint64_t *epoch)
{
    int  i, digit;

    if (strncmp(name, "ring.", 5) != 0) {
        return 0;
    }

    name += 5;
    *epoch = 0;

    for (i = 0; i < BEACON_EPOCH_LEN; i++) {

        if (name[i] >= '0' && name[i] <= '9') {
            digit = name[i] - '0';

        } else if (name[i] >= 'a' && name[i] <= 'f') {
            digit = name[i] - 'a' + 10;

        } else {
            return 0;
        }

        *epoch = *epoch << 4 | (uint64_t) digit;
    }

    return name[i] == '\0';
}

beacon_rc_t
beacon_ring_scan(const char *dir, void (*found)(void *data, uint64_t epoch),
    void *data)
{
    DIR            *d;
    uint64_t        epoch;
    struct dirent  *entry;

    d = opendir(dir);
    if (d == NULL) {
        return BEACON_SYS;
    }

    for ( ;; ) {
        errno = 0;
        entry = readdir(d);

        if (entry == NULL) {
            break;
        }

        if (beacon_ring_epoch(entry->d_name, &epoch)) {
            found(data, epoch);
        }
    }

    if (errno != 0) {
        (void) closedir(d);
        return BEACON_SYS;
    }

    (void) closedir(d);

    return BEACON_OK;
}

typedef struct {
    const beacon_ring_geometry_t  *geometry;
    size_t                         owner_len;
    int                            dirfd;
    int                            ours;        /* rings of this owner */
    int                            matches;
    uint64_t                       epoch;       /* of the newest match */
    uint64_t                       created_ns;
    int                            owned;       /* foreign: a lane is */
    char                           foreign[BEACON_RING_OWNER];
    char                           owner[BEACON_RING_OWNER];
} beacon_ring_find_t;

static void
beacon_ring_find_one(void *data, uint64_t epoch)
{
    beacon_ring_find_t *find = data;

    int                    fd, owned;
    beacon_ring_control_t  control;

    if (beacon_ring_open(find->dirfd, epoch, O_RDONLY, &fd, &control, NULL)
        != BEACON_OK)
    {
        return;         /* the helper's to judge */
    }

    owned = beacon_ring_locked(fd, 0, 0);
    (void) close(fd);

    control.owner[sizeof(control.owner) - 1] = '\0';

    if (memcmp(control.owner, find->owner, find->owner_len) != 0) {

        if (!find->owned) {
            find->owned = owned;
            memcpy(find->foreign, control.owner, sizeof(find->foreign));
        }

        return;
    }

    find->ours++;

    if (control.layout != BEACON_LAYOUT
        || control.lane_size != find->geometry->lane_size
        || control.lanes != find->geometry->lanes)
    {
        return;
    }

    if (find->matches++ == 0 || control.created_ns > find->created_ns
        || (control.created_ns == find->created_ns && epoch > find->epoch))
    {
        find->epoch = epoch;
        find->created_ns = control.created_ns;
    }
}

/* Does a helper hold the directory? */
static int
beacon_ring_helped(int dirfd)
{
    int  fd, held;

    fd = openat(dirfd, "beacond.lock",
                O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK);
    if (fd == -1) {
        return 0;
    }

    held = beacon_ring_locked(fd, 0, 1);
    (void) close(fd);

    return held;
}

beacon_rc_t
beacon_ring_find(const char *dir, const beacon_ring_geometry_t *geometry,
    uint64_t *epoch, beacon_err_t *err)
{
    const char          *conf;
    beacon_rc_t          rc;
    beacon_ring_find_t   find;

    memset(&find, 0, sizeof(find));

    find.geometry = geometry;
    find.owner_len = beacon_ring_owner(geometry, find.owner);

    if (find.owner_len == 0) {
        beacon_err(err, "prefix and configuration file are too long");
        return BEACON_INVALID;
    }

    find.dirfd = beacon_ring_dir(dir);

    if (find.dirfd == -1
        || beacon_ring_scan(dir, beacon_ring_find_one, &find) != BEACON_OK)
    {
        rc = BEACON_SYS;
        beacon_err(err, "open(\"%s\") failed: %s", dir, strerror(errno));
        goto done;
    }

    /*
     * A helper beside a foreign ring and none of ours is theirs.  Beside one
     * of ours it is ours, and drains what another left.
     */

    if (find.owned
        || (find.foreign[0] != '\0' && find.ours == 0
            && beacon_ring_helped(find.dirfd)))
    {
        conf = find.foreign + strnlen(find.foreign, sizeof(find.foreign) - 1)
               + 1;

        rc = BEACON_FULL;
        beacon_err(err, "\"%s\" is in use by the nginx with prefix \"%.*s\" "
                   "and configuration \"%.*s\"", dir, 80, find.foreign, 80,
                   conf < find.foreign + sizeof(find.foreign) ? conf : "");
        goto done;
    }

    rc = find.matches ? BEACON_OK : BEACON_AGAIN;
    *epoch = find.epoch;

done:

    if (find.dirfd != -1) {
        beacon_ring_close(find.dirfd);
    }

    return rc;
}

beacon_rc_t
beacon_ring_set_aside(const char *dir, uint64_t epoch)
{
    int   dirfd, rc;
    char  name[BEACON_RING_NAME], aside[BEACON_RING_NAME];

    dirfd = beacon_ring_dir(dir);
    if (dirfd == -1) {
        return BEACON_SYS;
    }

    beacon_ring_name(name, epoch, "");
    beacon_ring_name(aside, epoch, ".aside");

    rc = renameat(dirfd, name, dirfd, aside);
    beacon_ring_close(dirfd);

    return rc == 0 ? BEACON_OK : BEACON_SYS;
}
