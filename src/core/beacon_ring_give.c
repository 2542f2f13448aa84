/* The directory's files, handed to another worker user. */

#include "beacon_ring_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The last user may still write to the directory, and root must not be made to
 * give away what is not that user's: so no links, and nothing of root's own.
 */
static int
beacon_ring_give_file(int dirfd, const char *name, uid_t uid, gid_t gid)
{
    int          fd, rc;
    struct stat  st;

    fd = openat(dirfd, name, O_PATH|O_NOFOLLOW|O_CLOEXEC);
    if (fd == -1) {
        return errno == ENOENT ? 0 : -1;
    }

    rc = fstat(fd, &st);

    if (rc == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1
        && st.st_uid != uid && st.st_uid != 0)
    {
        rc = fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
    }

    beacon_ring_close(fd);

    return rc;
}

/* Takes dirfd over. */
static int
beacon_ring_give_files(int dirfd, uid_t uid, gid_t gid)
{
    int             rc, keep;
    DIR            *d;
    struct dirent  *entry;

    d = fdopendir(dirfd);
    if (d == NULL) {
        beacon_ring_close(dirfd);
        return -1;
    }

    do {
        errno = 0;
        entry = readdir(d);

        rc = entry == NULL ? -(errno != 0)
             : beacon_ring_give_file(dirfd, entry->d_name, uid, gid);

    } while (entry != NULL && rc == 0);

    keep = errno;
    (void) closedir(d);
    errno = keep;

    return rc;
}

beacon_rc_t
beacon_ring_give(const char *dir, uid_t uid, gid_t gid, beacon_err_t *err)
{
    int  rc, fd, schemas;

    rc = -1;
    fd = beacon_ring_dir(dir);

    if (fd != -1) {
        schemas = openat(fd, "schemas",
                         O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);
        rc = beacon_ring_give_files(fd, uid, gid);

        if (rc == -1 && schemas != -1) {
            beacon_ring_close(schemas);

        } else if (schemas != -1) {
            rc = beacon_ring_give_files(schemas, uid, gid);
        }
    }

    if (rc == -1) {
        beacon_err(err, "could not give the files in \"%s\" to user %ld: %s",
                   dir, (long) uid, strerror(errno));
        return BEACON_SYS;
    }

    return BEACON_OK;
}
