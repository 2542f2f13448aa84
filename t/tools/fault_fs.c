/*
 * fault_fs BACKING POINT -f: mounts a directory once more, by FUSE, as a disk
 * that can fail.  Nothing is cached: every call comes here.
 *
 *     SIGSTOP         freezes it, SIGCONT thaws it
 *     BACKING.write   while this file is there, writes fail with EIO
 *     BACKING.short   half of what is to be written is, then EIO
 *     BACKING.fsync   fsync and fdatasync fail with EIO
 *     BACKING.read    reads fail with EIO
 *     BACKING.open    opening fails with EIO
 */

#define FUSE_USE_VERSION    31
#define _FILE_OFFSET_BITS   64

#include <fuse3/fuse.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char  fault_top[PATH_MAX];

/* A path in the backing directory; static storage of the thread's own. */
static const char *
fault_path(const char *path, int i)
{
    static _Thread_local char  full[2][2 * PATH_MAX];

    snprintf(full[i], sizeof(full[i]), "%s%s", fault_top, path);

    return full[i];
}

static int
fault_wanted(const char *what)
{
    char  name[PATH_MAX + 16];

    snprintf(name, sizeof(name), "%s.%s", fault_top, what);

    return access(name, F_OK) == 0;
}

static int
fault_rc(int rc)
{
    return rc == -1 ? -errno : 0;
}

static void *
fault_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
    (void) conn;
    config->use_ino = 1;
    config->attr_timeout = config->entry_timeout = 0;
    config->negative_timeout = 0;

    return NULL;
}

static int
fault_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    return fault_rc(fi != NULL ? fstat((int) fi->fh, st)
                               : lstat(fault_path(path, 0), st));
}

static int
fault_readdir(const char *path, void *buffer, fuse_fill_dir_t fill,
    off_t offset, struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    DIR            *dir;
    struct dirent  *entry;

    (void) offset;
    (void) fi;
    (void) flags;

    dir = opendir(fault_path(path, 0));

    if (dir == NULL) {
        return -errno;
    }

    while ((entry = readdir(dir)) != NULL) {
        if (fill(buffer, entry->d_name, NULL, 0, 0) != 0) {
            break;
        }
    }

    closedir(dir);

    return 0;
}

static int
fault_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    int  fd;

    if (fault_wanted("open")) {
        return -EIO;
    }

    fd = open(fault_path(path, 0), fi->flags, mode);

    if (fd == -1) {
        return -errno;
    }

    fi->fh = (uint64_t) fd;
    fi->direct_io = 1;

    return 0;
}

static int
fault_open(const char *path, struct fuse_file_info *fi)
{
    return fault_create(path, 0, fi);
}

static int
fault_read(const char *path, char *data, size_t len, off_t at,
    struct fuse_file_info *fi)
{
    ssize_t  n;

    (void) path;

    if (fault_wanted("read")) {
        return -EIO;
    }

    n = pread((int) fi->fh, data, len, at);

    return n == -1 ? -errno : (int) n;
}

static int
fault_write(const char *path, const char *data, size_t len, off_t at,
    struct fuse_file_info *fi)
{
    ssize_t  n;

    (void) path;

    if (fault_wanted("write")) {
        return -EIO;
    }

    if (fault_wanted("short")) {
        len /= 2;

        if (len == 0 || random() % 2) {
            return -EIO;
        }
    }

    n = pwrite((int) fi->fh, data, len, at);

    return n == -1 ? -errno : (int) n;
}

static int
fault_fsync(const char *path, int data, struct fuse_file_info *fi)
{
    (void) path;

    if (fault_wanted("fsync")) {
        return -EIO;
    }

    return fault_rc(data ? fdatasync((int) fi->fh) : fsync((int) fi->fh));
}

static int
fault_release(const char *path, struct fuse_file_info *fi)
{
    (void) path;
    close((int) fi->fh);

    return 0;
}

static int
fault_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
    return fault_rc(fi != NULL ? ftruncate((int) fi->fh, size)
                               : truncate(fault_path(path, 0), size));
}

static int
fault_unlink(const char *path)
{
    return fault_rc(unlink(fault_path(path, 0)));
}

static int
fault_rename(const char *from, const char *to, unsigned flags)
{
    return fault_rc(renameat2(AT_FDCWD, fault_path(from, 0), AT_FDCWD,
                              fault_path(to, 1), flags));
}

static int
fault_mkdir(const char *path, mode_t mode)
{
    return fault_rc(mkdir(fault_path(path, 0), mode));
}

static int
fault_rmdir(const char *path)
{
    return fault_rc(rmdir(fault_path(path, 0)));
}

static int
fault_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    (void) fi;

    return fault_rc(chmod(fault_path(path, 0), mode));
}

static int
fault_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
    (void) fi;

    return fault_rc(lchown(fault_path(path, 0), uid, gid));
}

static int
fault_utimens(const char *path, const struct timespec times[2],
    struct fuse_file_info *fi)
{
    (void) fi;

    return fault_rc(utimensat(AT_FDCWD, fault_path(path, 0), times,
                              AT_SYMLINK_NOFOLLOW));
}

static int
fault_statfs(const char *path, struct statvfs *vfs)
{
    return fault_rc(statvfs(fault_path(path, 0), vfs));
}

static const struct fuse_operations  fault_operations = {
    .init = fault_init,
    .getattr = fault_getattr,
    .readdir = fault_readdir,
    .create = fault_create,
    .open = fault_open,
    .read = fault_read,
    .write = fault_write,
    .fsync = fault_fsync,
    .release = fault_release,
    .truncate = fault_truncate,
    .unlink = fault_unlink,
    .rename = fault_rename,
    .mkdir = fault_mkdir,
    .rmdir = fault_rmdir,
    .chmod = fault_chmod,
    .chown = fault_chown,
    .utimens = fault_utimens,
    .statfs = fault_statfs
};

int
main(int argc, char *argv[])
{
    if (argc < 3 || realpath(argv[1], fault_top) == NULL) {
        fprintf(stderr, "fault_fs BACKING POINT [options of FUSE]\n");
        return 1;
    }

    umask(0);
    argv[1] = argv[0];

    return fuse_main(argc - 1, argv + 1, &fault_operations, NULL);
}
