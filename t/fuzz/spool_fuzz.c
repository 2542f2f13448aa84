/* A segment of any bytes is read to its end without harm. */

#include "beacond_log.h"
#include "beacond_spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char  beacon_dir[64];
static char  beacon_path[128];

static void
beacon_fuzz_clean(void)
{
    char  aside[160];

    snprintf(aside, sizeof(aside), "%s.aside", beacon_path);
    unlink(aside);
    unlink(beacon_path);
    rmdir(beacon_dir);
}

static void
beacon_fuzz_init(void)
{
    snprintf(beacon_dir, sizeof(beacon_dir), "/dev/shm/beacon-fuzz.%d",
             (int) getpid());
    snprintf(beacon_path, sizeof(beacon_path), "%s/journal.%016x", beacon_dir,
             8);
    mkdir(beacon_dir, 0700);
    beacond_log_level(BEACOND_EMERG);
    atexit(beacon_fuzz_clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                      fd, ok;
    uint64_t                 last = 0;
    beacon_err_t             err;
    beacond_frame_t          frame;
    beacond_spool_t         *spool;
    beacond_spool_reader_t   reader;

    if (beacon_dir[0] == '\0') {
        beacon_fuzz_init();
    }

    fd = open(beacon_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ok = fd >= 0 && write(fd, data, size) == (ssize_t) size;
    close(fd);

    if (!ok || beacond_spool_open(beacon_dir, 1 << 20, 0, &spool, &err)
               != BEACON_OK)
    {
        return 0;
    }

    beacond_spool_reader_init(&reader, spool);

    while (beacond_spool_next(&reader, &frame) == BEACON_OK) {
        if (reader.position <= last
            || frame.record.payload.len > frame.length)
        {
            abort();
        }

        last = reader.position;
    }

    beacond_spool_reader_dispose(&reader);
    beacond_spool_close(spool);

    return 0;
}
