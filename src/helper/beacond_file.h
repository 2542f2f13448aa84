/*
 * A small file that is replaced whole: a reader, and who starts after a kill,
 * finds the old one or the new one.
 */

#ifndef BEACOND_FILE_H
#define BEACOND_FILE_H

#include "beacon.h"

#include <stdbool.h>

/*
 * By way of temp, in the same directory, or path.temp where that is NULL; mode
 * 0600.  sync: it is on the disk before it has its name.  SYS: errno (ENOSPC
 * for a short write), path is as it was, and temp is gone.
 */
beacon_rc_t beacond_file_replace(const char *path, const char *temp,
    const char *text, size_t len, bool sync);

#endif /* BEACOND_FILE_H */
