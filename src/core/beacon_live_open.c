/* The writer: made, with the store that is there or a new one, and gone. */

#include "beacon_live_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static beacon_rc_t
beacon_live_memory(beacon_live_writer_t *w)
{
    uint32_t                   i;
    const beacon_live_head_t  *is;

    is = &w->live.is;

    w->sum = beacon_live_sum_fastest();
    w->seen = beacon_live_site_at(&w->live, 0);
    w->site = calloc(is->sites_max, sizeof(beacon_live_own_site_t));
    w->listed = calloc(is->sites_max, sizeof(beacon_live_links_t));
    w->chunk = calloc(is->chunks, sizeof(beacon_live_own_chunk_t));
    w->heap = calloc(is->sites_max, sizeof(uint32_t));
    w->text = malloc(BEACON_LIVE_HIT_MAX);

    if (w->site == NULL || w->listed == NULL || w->chunk == NULL
        || w->heap == NULL
        || w->text == NULL
        || beacon_live_table_create(&w->sites, is->site_slots,
                                    (void *) beacon_live_bytes(&w->live,
                                                               is->sites_at),
                                    &w->head->site_moves)
           != BEACON_OK
        || beacon_live_table_create(&w->visitors, is->visitor_slots,
                                    (void *) beacon_live_bytes(&w->live,
                                                            is->visitors_at),
                                    &w->head->visitor_moves)
           != BEACON_OK)
    {
        return BEACON_SYS;
    }

    w->chunk[0].committed = BEACON_LIVE_CHUNK;  /* of who has none */

    for (i = 0; i < is->chunks; i++) {
        w->chunk[i].seen = beacon_live_chunk_at(&w->live, i);
    }

    for (i = 0; i < is->sites_max; i++) {
        w->site[i].slot = i;
        w->site[i].seen = &w->seen[i];
    }

    for (i = 0; i < BEACON_LIVE_NEAR; i++) {
        w->near[i] = w->site;           /* nobody, without a name */
    }

    return beacon_live_table_create(&w->keys, is->key_slots,
                                    (void *) beacon_live_bytes(&w->live,
                                                               is->keys_at),
                                    &w->head->key_moves);
}

static void
beacon_live_free(beacon_live_writer_t *w)
{
    if (w->counts != NULL) {
        beacon_live_counts_close(w);
        w->counts = NULL;
    }

    beacon_live_table_destroy(&w->sites);
    beacon_live_table_destroy(&w->visitors);
    beacon_live_table_destroy(&w->keys);

    free(w->site);
    free(w->listed);
    free(w->chunk);
    free(w->heap);
    free(w->text);
}

/* On the store that file is. */
static beacon_rc_t
beacon_live_start(beacon_live_writer_t *w, const beacon_live_file_t *file,
    uint32_t present, beacon_err_t *err)
{
    beacon_rc_t  rc;

    memset(w, 0, sizeof(beacon_live_writer_t));

    w->file = *file;
    w->head = file->head;
    beacon_live_file_view(file, &w->live);
    w->undo = (void *) beacon_live_bytes(&w->live, w->live.is.undo_at);

    rc = beacon_live_memory(w);

    if (rc == BEACON_OK) {
        rc = beacon_live_rebuild(w);
    }

    if (rc == BEACON_OK) {
        w->undo->base = (uint64_t) (uintptr_t) w->head;
        beacon_live_set_present(w, present);
        return BEACON_OK;
    }

    if (rc == BEACON_SYS) {
        beacon_err(err, "no memory for the writer of live.%016llx",
                   (unsigned long long) file->epoch);
    }

    beacon_live_free(w);

    return rc;
}

/* The store that is there, if it is this one, or if one of this size could not
   be even in its place; AGAIN: another has to be made. */
static beacon_rc_t
beacon_live_resume(beacon_live_writer_t *w, const char *dir, uint64_t size,
    uint32_t present, beacon_err_t *err)
{
    beacon_rc_t         rc;
    beacon_live_file_t  file;

    rc = beacon_live_file_find(dir, 1, &file, err);

    if (rc == BEACON_SYS) {
        return rc;
    }

    if (rc != BEACON_OK) {
        return BEACON_AGAIN;
    }

    if (file.size == size || !beacon_live_has_room(dir, size)) {
        rc = beacon_live_start(w, &file, present, err);

        if (rc == BEACON_OK) {
            return BEACON_OK;
        }
    }

    if (rc == BEACON_CORRUPT) {

        /* to be set aside; its readers leave it */

        BEACON_LIVE_PUBLISH(file.head->retired, 1);
        BEACON_LIVE_PUBLISH(file.head->magic, 0);
    }

    beacon_live_file_close(&file);

    return rc == BEACON_SYS ? rc : BEACON_AGAIN;
}

static beacon_rc_t
beacon_live_make(const char *dir, uint64_t size, uint32_t present,
    beacon_live_file_t *file, beacon_err_t *err)
{
    beacon_rc_t  rc;

    rc = beacon_live_file_create(dir, size, present, file, err);

    if (rc == BEACON_SYS && errno == ENOSPC) {

        /* the old one's place; not before all its readers have left it */

        beacon_live_file_sweep(dir, 0);
        rc = beacon_live_file_create(dir, size, present, file, err);
    }

    if (rc == BEACON_SYS && errno == ENOSPC) {
        beacon_live_file_forget(dir);
        rc = beacon_live_file_create(dir, size, present, file, err);
    }

    return rc;
}

beacon_rc_t
beacon_live_open(beacon_live_writer_t **writer, const char *dir, uint64_t size,
    uint32_t present, beacon_err_t *err)
{
    beacon_rc_t            rc;
    beacon_live_file_t     file;
    beacon_live_writer_t  *w;

    *writer = NULL;
    size &= ~(uint64_t) (BEACON_LIVE_PAGE - 1);

    if (size < BEACON_LIVE_SIZE_MIN || size > BEACON_LIVE_SIZE_MAX) {
        beacon_err(err, "a live store of %llu bytes cannot be",
                   (unsigned long long) size);
        return BEACON_INVALID;
    }

    w = malloc(sizeof(beacon_live_writer_t));
    if (w == NULL) {
        beacon_err(err, "no memory for the live store's writer");
        return BEACON_SYS;
    }

    memset(&file, 0, sizeof(file));
    file.fd = -1;

    rc = beacon_live_resume(w, dir, size, present, err);

    if (rc == BEACON_AGAIN) {
        rc = beacon_live_make(dir, size, present, &file, err);

        if (rc == BEACON_OK) {
            rc = beacon_live_start(w, &file, present, err);
        }
    }

    if (rc != BEACON_OK) {
        beacon_live_file_close(&file);
        free(w);
        return rc;
    }

    beacon_live_file_sweep(dir, w->live.epoch);
    *writer = w;

    return BEACON_OK;
}

void
beacon_live_close(beacon_live_writer_t *w)
{
    beacon_live_put_end(w);
    beacon_live_free(w);
    beacon_live_file_close(&w->file);
    free(w);
}

int
beacon_live_gone(beacon_live_writer_t *w)
{
    uint64_t     retired;
    struct stat  st;

    if (fstat(w->file.fd, &st) == -1
        || (st.st_nlink > 0 && (uint64_t) st.st_size >= w->file.size
            && !beacon_live_bus_struck(w->head)))
    {
        return 0;
    }

    BEACON_LIVE_PUBLISH(w->head->retired, 1);

    /* in the file, too, where ours may be another head */

    if ((uint64_t) st.st_size >= sizeof(beacon_live_head_t)) {
        retired = 1;
        (void) !pwrite(w->file.fd, &retired, sizeof(retired),
                       offsetof(beacon_live_head_t, retired));
    }

    return 1;
}

void
beacon_live_empty(beacon_live_writer_t *w)
{
    (void) !ftruncate(w->file.fd, 0);
}

/* A store; one that is set aside, or that was being made. */
static int
beacon_live_goes(const char *name)
{
    return strncmp(name, "live.", 5) == 0
           && strspn(name + 5, "0123456789abcdef") == 16
           && (name[21] == '\0' || strcmp(name + 21, ".aside") == 0
               || strcmp(name + 21, ".tmp") == 0);
}

int
beacon_live_has_room(const char *dir, uint64_t size)
{
    DIR             *d;
    uint64_t         room;
    struct stat      st;
    struct dirent   *entry;
    struct statvfs   fs;

    if (statvfs(dir, &fs) == -1 || fs.f_blocks == 0) {
        return 1;                       /* a tmpfs without a limit */
    }

    room = (uint64_t) fs.f_bavail * fs.f_frsize;
    d = opendir(dir);

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (beacon_live_goes(entry->d_name)
            && fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        {
            room += (uint64_t) st.st_blocks * 512;
        }
    }

    if (d != NULL) {
        (void) closedir(d);
    }

    return room >= size;
}

void
beacon_live_remove(const char *dir)
{
    beacon_live_file_sweep(dir, 0);
}
