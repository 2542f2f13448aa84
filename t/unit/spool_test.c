/* The journal: what is written is read, and what is damaged is passed over. */

#include "beacond_spool.h"
#include "beacon_crc32c.h"
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACON_RECORDS  300

static char  beacon_dir[64];

static uint64_t
beacon_record(uint8_t *raw, uint64_t ordinal, beacon_record_t *record)
{
    uint32_t                 len = 20 + (uint32_t) (ordinal % 50);
    uint32_t                 length = (BEACON_RECORD_HEADER + len + 7) & ~7U;
    beacon_record_header_t   h;

    memset(raw, (int) ordinal, length);
    memset(&h, 0, sizeof(h));
    h.length = length;
    h.type = BEACON_RECORD_HIT;
    h.version = 1;
    h.offset = ordinal * 128;
    h.ordinal = ordinal;
    h.time_ns = 1000 + ordinal;
    h.payload_len = len;
    memcpy(raw, &h, BEACON_RECORD_HEADER);
    h.crc = beacon_crc32c_record(raw, BEACON_RECORD_HEADER + len);
    memcpy(raw, &h, BEACON_RECORD_HEADER);

    return beacon_record_check(raw, length, record) == BEACON_OK;
}

static void
beacon_clear(void)
{
    char            path[512];
    DIR            *dir = opendir(beacon_dir);
    struct dirent  *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", beacon_dir, entry->d_name);
        unlink(path);
    }

    if (dir != NULL) {
        closedir(dir);
    }
}

static beacond_spool_t *
beacon_open(uint64_t size)
{
    beacon_err_t      err;
    beacond_spool_t  *spool = NULL;

    if (beacond_spool_open(beacon_dir, size, 0, &spool, &err) != BEACON_OK) {
        printf("# %s\n", err.text);
    }

    return spool;
}

static beacon_rc_t
beacon_write(beacond_spool_t *spool, uint64_t from, uint64_t to)
{
    uint8_t          raw[512];
    uint64_t         i;
    beacon_record_t  record;

    for (i = from; i < to; i++) {
        if (!beacon_record(raw, i, &record)
            || beacond_spool_append(spool, 7, 1, &record) != BEACON_OK)
        {
            return BEACON_CORRUPT;
        }
    }

    return beacond_spool_write(spool);
}

/* Reads all; how many, and whether in order and as written. */
static int
beacon_read(beacond_spool_t *spool, int *ordered)
{
    int                      n = 0;
    uint8_t                  raw[512];
    uint64_t                 last = 0;
    beacon_record_t          record;
    beacond_frame_t          frame;
    beacond_spool_reader_t   reader;

    *ordered = 1;
    beacond_spool_reader_init(&reader, spool);

    while (beacond_spool_next(&reader, &frame) == BEACON_OK) {
        beacon_record(raw, frame.record.ordinal, &record);
        *ordered &= (n == 0 || frame.record.ordinal > last)
                    && frame.epoch == 7 && frame.lane == 1
                    && frame.record.length == record.length
                    && memcmp(frame.record.raw, raw, record.length) == 0;
        last = frame.record.ordinal;
        n++;
    }

    beacond_spool_reader_dispose(&reader);

    return n;
}

static void
beacon_segment(char *path)
{
    snprintf(path, 128, "%s/journal.%016x", beacon_dir, 8);
}

/* Damage at many places of a segment: at most the frame there is missing. */
static int
beacon_damage(int *worst)
{
    int               fd, n, ordered, good = 1;
    char              path[128];
    uint8_t           byte, bad;
    struct stat       st;
    off_t             at;
    beacond_spool_t  *spool;

    beacon_segment(path);
    fd = open(path, O_RDWR);
    fstat(fd, &st);
    *worst = 0;

    for (at = 0; at < st.st_size; at += 37) {
        good &= pread(fd, &byte, 1, at) == 1;
        bad = byte ^ 0x5a;
        good &= pwrite(fd, &bad, 1, at) == 1;

        spool = beacon_open(1 << 20);
        n = spool ? beacon_read(spool, &ordered) : 0;
        good &= spool != NULL && ordered;
        *worst = BEACON_RECORDS - n > *worst ? BEACON_RECORDS - n : *worst;

        if (spool != NULL) {
            beacond_spool_close(spool);
        }

        good &= pwrite(fd, &byte, 1, at) == 1;
    }

    close(fd);

    return good;
}

static int
beacon_needed(void *data, const beacond_spool_lane_t *lane)
{
    return lane->to.ordinal > *(uint64_t *) data;
}

static int
beacon_flip(const char *path, off_t at)
{
    int      fd = open(path, O_RDWR), good;
    uint8_t  byte = 0;

    good = pread(fd, &byte, 1, at) == 1;
    byte ^= 0x5a;
    good &= pwrite(fd, &byte, 1, at) == 1;
    close(fd);

    return good;
}

/* What a complete segment holds is known without reading it. */
static void
beacon_indexed(const char *path)
{
    int               ordered;
    char              index[128];
    beacond_spool_t  *spool;

    snprintf(index, sizeof(index), "%s/index.%016x", beacon_dir, 8);

    spool = beacon_open(1 << 20);
    beacon_write(spool, 0, BEACON_RECORDS);
    beacond_spool_close(spool);
    ok(access(index, R_OK) == 0, "a_complete_segment_has_an_index");

    beacon_flip(path, 5000);
    spool = beacon_open(1 << 20);
    ok(spool->corrupt == 0 && spool->segments[0].nlanes == 1
       && spool->segments[0].lanes[0].to.ordinal == BEACON_RECORDS
       && spool->segments[0].oldest_ns == 1000,
       "a_start_reads_the_index_only");
    ok(beacon_read(spool, &ordered) == BEACON_RECORDS - 1 && ordered,
       "damage_behind_an_index_costs_one_frame");
    beacond_spool_close(spool);

    beacon_flip(index, 60);
    spool = beacon_open(1 << 20);
    ok(spool->corrupt == 1
       && spool->segments[0].lanes[0].to.ordinal == BEACON_RECORDS,
       "a_damaged_index_is_not_believed");
    beacond_spool_close(spool);

    beacon_flip(path, 5000);
    spool = beacon_open(1 << 20);
    ok(beacon_read(spool, &ordered) == BEACON_RECORDS && ordered,
       "and_is_made_anew");
    ok(beacond_spool_drop(spool, false, beacon_needed,
                          &(uint64_t) { BEACON_RECORDS }) == 1
       && access(index, F_OK) != 0, "it_goes_with_its_segment");
    beacond_spool_close(spool);
}

/* Somebody makes room on the disk, with his own hands. */
static void
beacon_others(const char *path)
{
    int                     ordered;
    beacond_spool_t        *spool = beacon_open(1 << 20);
    beacond_frame_t         frame;
    beacond_spool_reader_t  reader;

    beacon_write(spool, 0, BEACON_RECORDS);
    ok(truncate(path, 10000) == 0
       && beacon_read(spool, &ordered) > 30 && ordered,
       "what_is_left_of_a_segment_that_was_cut_off_is_read");
    ok(truncate(path, 0) == 0 && beacon_read(spool, &ordered) == 0,
       "one_that_was_emptied_is_passed_over");

    beacond_spool_reader_init(&reader, spool);
    ok(unlink(path) == 0
       && beacond_spool_next(&reader, &frame) == BEACON_AGAIN
       && reader.corrupt == 1, "as_is_one_that_was_removed");
    beacond_spool_reader_dispose(&reader);

    ok(beacon_write(spool, BEACON_RECORDS, BEACON_RECORDS + 9) == BEACON_OK
       && spool->nsegments == 2 && beacon_read(spool, &ordered) == 9,
       "what_follows_is_written_to_a_new_one");
    beacond_spool_close(spool);
    beacon_clear();
}

int
main(void)
{
    int               n, worst, ordered;
    char              path[128], aside[160];
    uint64_t          done;
    struct stat       st;
    beacond_spool_t  *spool;

    snprintf(beacon_dir, sizeof(beacon_dir), "/tmp/beacon-spool.%d",
             (int) getpid());

    spool = beacon_open(1 << 20);
    ok(beacon_write(spool, 0, BEACON_RECORDS) == BEACON_OK
       && beacon_read(spool, &ordered) == BEACON_RECORDS && ordered,
       "what_is_written_is_read");
    beacond_spool_close(spool);

    spool = beacon_open(1 << 20);
    ok(beacon_read(spool, &ordered) == BEACON_RECORDS && ordered,
       "what_is_written_is_read_after_opening_again");
    beacond_spool_close(spool);

    n = beacon_damage(&worst);
    ok(n && worst <= 1,
       "one_bad_byte_costs_one_frame_at_most: %d", worst);

    beacon_segment(path);
    stat(path, &st);
    ok(truncate(path, st.st_size - 11) == 0, "a tail is torn");
    spool = beacon_open(1 << 20);
    ok(beacon_read(spool, &ordered) == BEACON_RECORDS - 1
       && spool->corrupt == 0, "a_torn_tail_is_no_corruption");
    ok(beacon_write(spool, BEACON_RECORDS - 1, BEACON_RECORDS + 9)
       == BEACON_OK && spool->nsegments == 2
       && beacon_read(spool, &ordered) == BEACON_RECORDS + 9 && ordered,
       "a_torn_tail_hides_nothing_that_follows");

    done = BEACON_RECORDS - 2;
    ok(beacond_spool_drop(spool, false, beacon_needed, &done) == 0,
       "a_segment_that_is_needed_stays");
    done = BEACON_RECORDS - 1;
    ok(beacond_spool_drop(spool, false, beacon_needed, &done) == 1
       && beacon_read(spool, &ordered) == 10, "one_that_is_not_goes");
    beacond_spool_close(spool);
    beacon_clear();

    spool = beacon_open(128 * 1024);
    for (n = 0; n < 2000 && beacon_write(spool, (uint64_t) n * 10,
                                         (uint64_t) n * 10 + 10)
                            == BEACON_OK; n++)
    {
        /* until it is full */
    }
    ok(n < 2000 && beacond_spool_used(spool) <= 128 * 1024
       && beacon_read(spool, &ordered) == n * 10 && ordered,
       "a_full_spool_refuses_and_keeps_what_it_has");
    done = (uint64_t) n * 5;
    beacond_spool_drop(spool, false, beacon_needed, &done);
    ok(beacon_write(spool, (uint64_t) n * 10, (uint64_t) n * 10 + 10)
       == BEACON_OK, "it_takes_more_once_a_segment_went");
    beacond_spool_close(spool);
    beacon_clear();

    beacon_indexed(path);
    beacon_clear();
    beacon_others(path);

    spool = beacon_open(1 << 20);
    beacon_write(spool, 0, 10);
    beacond_spool_close(spool);
    {
        beacond_segment_head_t  head;
        int                     fd = open(path, O_RDWR);

        n = (int) pread(fd, &head, sizeof(head), 0);
        head.version = 77;
        head.crc = 0;
        head.crc = beacon_crc32c(0, &head, sizeof(head));
        n += (int) pwrite(fd, &head, sizeof(head), 0);
        close(fd);
    }
    spool = beacon_open(1 << 20);
    snprintf(aside, sizeof(aside), "%s.aside", path);
    ok(n == 2 * (int) sizeof(beacond_segment_head_t) && spool->set_aside == 1
       && stat(aside, &st) == 0 && beacon_read(spool, &ordered) == 0,
       "a_segment_of_an_unknown_version_is_set_aside");
    beacond_spool_close(spool);
    beacon_clear();
    rmdir(beacon_dir);

    return done_testing();
}
