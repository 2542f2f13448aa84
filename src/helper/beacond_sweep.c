/*
 * Temporary files that a kill has left.  In the ring's directory nginx makes
 * some, too, and is not to be disturbed: what is younger than a minute stays.
 * What lies in the spool's is ours alone.
 */

#include "beacond_sweep.h"
#include "beacond_log.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BEACOND_SWEEP_AGE  60           /* s */

typedef bool (*beacond_sweep_pt)(const char *name);

static bool
beacond_sweep_ends(const char *name, const char *with)
{
    size_t  len = strlen(name), n = strlen(with);

    return len > n && strcmp(name + len - n, with) == 0;
}

/* ring.<epoch>.tmp, beacon.json.new.<pid> */
static bool
beacond_sweep_ring_name(const char *name)
{
    return (strncmp(name, "ring.", 5) == 0 && beacond_sweep_ends(name, ".tmp"))
           || strncmp(name, "beacon.json.new.", 16) == 0;
}

/* .<hash>.json.<pid>.<number> */
static bool
beacond_sweep_schema_name(const char *name)
{
    return name[0] == '.' && strlen(name) > 15
           && strncmp(name + 9, ".json.", 6) == 0;
}

static bool
beacond_sweep_spool_name(const char *name)
{
    return beacond_sweep_ends(name, ".temp");
}

static void
beacond_sweep_dir(const char *path, beacond_sweep_pt swept, time_t age)
{
    int             fd;
    DIR            *dir;
    time_t          now = time(NULL);
    struct stat     st;
    struct dirent  *entry;

    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        if (fd >= 0) {
            close(fd);
        }

        return;
    }

    while ((entry = readdir(dir)) != NULL) {
        if (swept(entry->d_name)
            && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0
            && S_ISREG(st.st_mode) && now - st.st_mtime >= age
            && unlinkat(fd, entry->d_name, 0) == 0)
        {
            beacond_log(BEACOND_INFO, "%s/%s was left over: removed", path,
                        entry->d_name);
        }
    }

    closedir(dir);
}

void
beacond_sweep_ring(const char *dir)
{
    char  path[PATH_MAX];

    beacond_sweep_dir(dir, beacond_sweep_ring_name, BEACOND_SWEEP_AGE);
    snprintf(path, sizeof(path), "%s/schemas", dir);
    beacond_sweep_dir(path, beacond_sweep_schema_name, BEACOND_SWEEP_AGE);
}

void
beacond_sweep_spool(const char *dir)
{
    char  path[PATH_MAX];

    beacond_sweep_dir(dir, beacond_sweep_spool_name, 0);
    snprintf(path, sizeof(path), "%s/schemas", dir);
    beacond_sweep_dir(path, beacond_sweep_spool_name, 0);
}
