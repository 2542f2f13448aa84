/*
 * Files as more than one part of the helper has them: one that is replaced
 * whole, so that a reader, and who starts after a kill, finds the old one or
 * the new one; one that somebody else wrote; one that is mapped.
 */

#ifndef BEACOND_FILE_H
#define BEACOND_FILE_H

#include "beacon.h"

#include <stdbool.h>
#include <sys/stat.h>

/*
 * By way of temp, in the same directory, or path.temp where that is NULL; mode
 * 0600.  sync: it is on the disk before it has its name.  SYS: errno (ENOSPC
 * for a short write), path is as it was, and temp is gone.
 */
beacon_rc_t beacond_file_replace(const char *path, const char *temp,
    const char *text, size_t len, bool sync);

/*
 * The text of a file of at most max bytes, a NUL behind it, to be freed; *st
 * is the file's.  NULL with errno: EINVAL where it is no regular file, EFBIG.
 */
char *beacond_file_read(const char *path, size_t max, struct stat *st,
    size_t *len);

/*
 * A file of this size, mode 0600, mapped for reading and writing; made if it
 * is not there, all of it allocated: a sparse tmpfs turns ENOSPC into SIGBUS.
 * A larger one is another's, and begun anew.  NULL with errno; munmap(2) ends
 * it.
 */
void *beacond_file_map(const char *path, size_t size);

#endif /* BEACOND_FILE_H */
