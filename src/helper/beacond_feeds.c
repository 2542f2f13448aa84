#include "beacond_feeds_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_FEEDS_MAGIC   0x3153444545464242ULL
#define BEACOND_FEEDS_LAYOUT  3
#define BEACOND_FEEDS_FIRST   4096      /* entries, at first */
#define BEACOND_FEEDS_LOOK    16        /* of how many the oldest goes */
#define BEACOND_FEEDS_SLOTS   (2 * BEACOND_FEEDS_MAX)

static void
beacond_feeds_path(char *path, const char *dir)
{
    snprintf(path, PATH_MAX, "%s/live.feeds", dir);
}

static size_t
beacond_feeds_size(uint32_t room)
{
    return sizeof(beacond_feeds_file_t) + room * sizeof(beacond_feed_t);
}

/* Room for so many; all of it is allocated. */
static beacon_rc_t
beacond_feeds_map(beacond_feeds_t *feeds, uint32_t room)
{
    int     rc;
    void   *map;
    size_t  size = beacond_feeds_size(room);

    rc = posix_fallocate(feeds->fd, 0, (off_t) size);

    if (rc != 0) {
        errno = rc;
        return BEACON_SYS;
    }

    map = feeds->file == NULL
          ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, feeds->fd, 0)
          : mremap(feeds->file, feeds->size, size, MREMAP_MAYMOVE);

    if (map == MAP_FAILED) {
        return BEACON_SYS;
    }

    feeds->file = map;
    feeds->size = size;

    return BEACON_OK;
}

/* Is it one of ours, all of it? */
static bool
beacond_feeds_sane(int fd, uint32_t *room)
{
    struct stat           st;
    beacond_feeds_file_t  file;

    if (pread(fd, &file, sizeof(file), 0) != sizeof(file)
        || fstat(fd, &st) == -1 || file.magic != BEACOND_FEEDS_MAGIC
        || file.layout != BEACOND_FEEDS_LAYOUT
        || file.room < BEACOND_FEEDS_FIRST || file.room > BEACOND_FEEDS_MAX
        || file.used > file.room
        || (size_t) st.st_size < beacond_feeds_size(file.room))
    {
        return false;
    }

    *room = file.room;

    return true;
}

static beacon_rc_t
beacond_feeds_make(beacond_feeds_t *feeds)
{
    beacond_feeds_file_t  *file;

    if (ftruncate(feeds->fd, 0) == -1
        || beacond_feeds_map(feeds, BEACOND_FEEDS_FIRST) != BEACON_OK)
    {
        return BEACON_SYS;
    }

    file = feeds->file;

    if (getentropy(file->keys, sizeof(file->keys)) == -1) {
        return BEACON_SYS;
    }

    file->layout = BEACOND_FEEDS_LAYOUT;
    file->room = BEACOND_FEEDS_FIRST;
    file->magic = BEACOND_FEEDS_MAGIC;

    return BEACON_OK;
}

static uint32_t
beacond_feeds_slot(const uint64_t *key)
{
    return (uint32_t) (key[0] % BEACOND_FEEDS_SLOTS);
}

static void
beacond_feeds_insert(beacond_feeds_t *feeds, uint32_t i)
{
    uint32_t  slot;

    slot = beacond_feeds_slot(feeds->file->entries[i].key);

    while (feeds->slots[slot] != 0) {
        slot = (slot + 1) % BEACOND_FEEDS_SLOTS;
    }

    feeds->slots[slot] = i + 1;
}

/* What the last helper was about to do when it died: done, or not. */
static void
beacond_feeds_settle(beacond_feed_t *entry, uint64_t mark)
{
    if ((entry->next != entry->seq || entry->next_hit != entry->hit
         || entry->next_carry != entry->carry)
        && entry->mark <= mark)
    {
        entry->seq = entry->next;
        entry->hit = entry->next_hit;
        entry->carry = entry->next_carry;
    }

    entry->next = entry->seq;
    entry->next_hit = entry->hit;
    entry->next_carry = entry->carry;
}

beacond_feeds_t *
beacond_feeds_open(const char *dir, uint64_t mark, beacon_err_t *err)
{
    char              path[PATH_MAX];
    uint32_t          i, room;
    beacon_rc_t       rc;
    beacond_feeds_t  *feeds;

    beacond_feeds_path(path, dir);
    feeds = calloc(1, sizeof(beacond_feeds_t));

    if (feeds == NULL) {
        beacon_err(err, "out of memory");
        return NULL;
    }

    feeds->slots = calloc(BEACOND_FEEDS_SLOTS, sizeof(uint32_t));
    feeds->recent = calloc(BEACOND_FEEDS_RECENT * BEACOND_FEEDS_WAYS,
                           sizeof(uint64_t));
    feeds->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    rc = feeds->slots == NULL || feeds->recent == NULL || feeds->fd < 0
         ? BEACON_SYS
         : beacond_feeds_sane(feeds->fd, &room)
           ? beacond_feeds_map(feeds, room) : beacond_feeds_make(feeds);

    if (rc != BEACON_OK) {
        beacon_err(err, "%.160s: %s", path, strerror(errno));
        beacond_feeds_close(feeds);
        return NULL;
    }

    for (i = 0; i < feeds->file->used; i++) {
        beacond_feeds_settle(&feeds->file->entries[i], mark);
        beacond_feeds_insert(feeds, i);
    }

    return feeds;
}

void
beacond_feeds_close(beacond_feeds_t *feeds)
{
    if (feeds->file != NULL) {
        munmap(feeds->file, feeds->size);
    }

    if (feeds->fd >= 0) {
        close(feeds->fd);
    }

    free(feeds->recent);
    free(feeds->slots);
    free(feeds);
}

void
beacond_feeds_remove(const char *dir)
{
    char  path[PATH_MAX];

    beacond_feeds_path(path, dir);
    unlink(path);
}

/* The table without the slot: what was behind it moves up. */
static void
beacond_feeds_delete(beacond_feeds_t *feeds, uint32_t i)
{
    uint32_t  slot, hole, home;

    slot = beacond_feeds_slot(feeds->file->entries[i].key);

    while (feeds->slots[slot] != i + 1) {
        slot = (slot + 1) % BEACOND_FEEDS_SLOTS;
    }

    for (hole = slot; /* void */ ; /* void */ ) {
        slot = (slot + 1) % BEACOND_FEEDS_SLOTS;

        if (feeds->slots[slot] == 0) {
            break;
        }

        home = beacond_feeds_slot(
                   feeds->file->entries[feeds->slots[slot] - 1].key);

        if ((slot - home) % BEACOND_FEEDS_SLOTS
            >= (slot - hole) % BEACOND_FEEDS_SLOTS)
        {
            feeds->slots[hole] = feeds->slots[slot];
            hole = slot;
        }
    }

    feeds->slots[hole] = 0;
}

/* The oldest of some. */
static uint32_t
beacond_feeds_evict(beacond_feeds_t *feeds)
{
    uint32_t         i, k, oldest = 0;
    beacond_feed_t  *entries = feeds->file->entries;

    for (k = 0; k < BEACOND_FEEDS_LOOK; k++) {
        i = feeds->hand;
        feeds->hand = (feeds->hand + 1) % feeds->file->used;

        if (k == 0 || entries[i].seen_ms < entries[oldest].seen_ms) {
            oldest = i;
        }
    }

    beacond_feeds_delete(feeds, oldest);
    feeds->file->evicted++;

    return oldest;
}

beacond_feed_t *
beacond_feeds_add(beacond_feeds_t *feeds, const uint64_t *key)
{
    uint32_t         i;
    beacond_feed_t  *entry;

    if (feeds->file->used == feeds->file->room
        && feeds->file->room < BEACOND_FEEDS_MAX
        && beacond_feeds_map(feeds, 2 * feeds->file->room) == BEACON_OK)
    {
        feeds->file->room *= 2;
    }

    if (feeds->file->used < feeds->file->room) {
        i = feeds->file->used;

    } else {
        i = beacond_feeds_evict(feeds);
    }

    entry = &feeds->file->entries[i];
    memset(entry, 0, sizeof(beacond_feed_t));
    entry->key[0] = key[0];
    entry->key[1] = key[1];
    feeds->file->used += i == feeds->file->used;
    beacond_feeds_insert(feeds, i);

    return entry;
}

beacond_feed_t *
beacond_feeds_find(beacond_feeds_t *feeds, const uint64_t *key)
{
    uint32_t         slot;
    beacond_feed_t  *entry;

    slot = beacond_feeds_slot(key);

    while (feeds->slots[slot] != 0) {
        entry = &feeds->file->entries[feeds->slots[slot] - 1];

        if (entry->key[0] == key[0] && entry->key[1] == key[1]) {
            return entry;
        }

        slot = (slot + 1) % BEACOND_FEEDS_SLOTS;
    }

    return NULL;
}

void
beacond_feeds_stats(const beacond_feeds_t *feeds,
    beacond_feeds_stats_t *stats)
{
    stats->entries = feeds->file->used;
    stats->evicted = feeds->file->evicted;
}
