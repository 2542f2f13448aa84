#include "beacond_feeds.h"
#include "beacon_siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_FEEDS_MAGIC   0x3153444545464242ULL
#define BEACOND_FEEDS_LAYOUT  2
#define BEACOND_FEEDS_FIRST   4096      /* entries, at first */
#define BEACOND_FEEDS_LOOK    16        /* of how many the oldest goes */
#define BEACOND_FEEDS_SLOTS   (2 * BEACOND_FEEDS_MAX)

/* One site of one feed; or the feed itself, seq: since when it is known. */
typedef struct {
    uint64_t  key[2];                   /* 0, 0: none */
    uint64_t  seq;                      /* all up to it are told */
    uint64_t  hit;                      /* the last that was put; 0: none */
    uint64_t  next;                     /* what these two will be, once this */
    uint64_t  next_hit;                 /*   mark is in the store */
    uint64_t  mark;
    uint64_t  carry;                    /* missing, and not told yet */
    uint64_t  seen_ms;
} beacond_feed_t;

typedef struct {
    uint64_t        magic;
    uint32_t        layout;
    uint32_t        room;               /* entries that are allocated */
    uint32_t        used;
    uint32_t        reserved;
    uint64_t        evicted;
    uint8_t         keys[2][16];        /* of the hashes */
    beacond_feed_t  entries[];
} beacond_feeds_file_t;

struct beacond_feeds_s {
    int                    fd;
    size_t                 size;
    beacond_feeds_file_t  *file;
    uint32_t              *slots;       /* entry + 1; 0: free */
    uint32_t               hand;
    beacond_feed_t        *doing;
};

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
    if ((entry->next != entry->seq || entry->next_hit != entry->hit)
        && entry->mark <= mark)
    {
        entry->seq = entry->next;
        entry->hit = entry->next_hit;
        entry->carry = 0;
    }

    entry->next = entry->seq;
    entry->next_hit = entry->hit;
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
    feeds->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    rc = feeds->slots == NULL || feeds->fd < 0 ? BEACON_SYS
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

/* A new one, with nothing in it. */
static beacond_feed_t *
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

static beacond_feed_t *
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

static void
beacond_feeds_key(const beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    beacon_str_t what, uint64_t *key)
{
    beacon_str_t  strings[4] = { { sizeof(at->feed),
                                   (const uint8_t *) &at->feed },
                                 what, beacon_string(" "), at->edge };

    /* a feed has always as many bytes, and a space ends the site */

    key[0] = beacon_siphash(feeds->file->keys[0], strings, 4);
    key[1] = beacon_siphash(feeds->file->keys[1], strings, 4) | 1;
}

/* Is the feed known for so long that a site of it begins at 1? */
static int
beacond_feeds_known(beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    uint64_t now_ms)
{
    uint64_t         key[2];
    beacond_feed_t  *entry;

    beacond_feeds_key(feeds, at, at->sites, key);
    entry = beacond_feeds_find(feeds, key);

    if (entry == NULL) {
        entry = beacond_feeds_add(feeds, key);
        entry->seq = entry->next = now_ms;
    }

    entry->seen_ms = now_ms;

    return feeds->file->evicted == 0
           && now_ms >= entry->seq + BEACOND_FEEDS_NEW;
}

/* The entry; a new one stands at "first", or at 0. */
static beacond_feed_t *
beacond_feeds_at(beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    uint64_t now_ms, uint64_t first)
{
    int              known;
    uint64_t         key[2];
    beacond_feed_t  *entry;

    beacond_feeds_key(feeds, at, at->site, key);
    entry = beacond_feeds_find(feeds, key);

    if (entry == NULL) {
        known = beacond_feeds_known(feeds, at, now_ms);
        entry = beacond_feeds_add(feeds, key);
        entry->seq = entry->next = known ? 0 : first;
        entry->seen_ms = now_ms;
    }

    return entry;
}

/* Can a feed have come so far since it was seen? */
static int
beacond_feeds_likely(const beacond_feed_t *entry, uint64_t seq,
    uint64_t now_ms)
{
    uint64_t  s;

    if (seq <= entry->seq) {
        return 1;
    }

    s = now_ms > entry->seen_ms ? (now_ms - entry->seen_ms) / 1000 : 0;

    return (seq - entry->seq) / BEACOND_FEEDS_RATE < s + BEACOND_FEEDS_REST;
}

static void
beacond_feeds_doing(beacond_feeds_t *feeds, beacond_feed_t *entry,
    uint64_t seq, uint64_t hit, uint64_t now_ms, uint64_t mark)
{
    entry->mark = mark;
    atomic_signal_fence(memory_order_release);
    entry->next = seq;
    entry->next_hit = hit;
    entry->seen_ms = now_ms;
    feeds->doing = entry;
}

beacon_rc_t
beacond_feeds_hit(beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    uint64_t now_ms, uint64_t mark, uint64_t *missing, uint64_t *lacking)
{
    uint64_t         seq;
    beacond_feed_t  *entry;

    entry = beacond_feeds_at(feeds, at, now_ms, at->seq - 1);

    if (at->seq <= entry->hit) {
        return BEACON_INVALID;
    }

    /* a baseline that a heartbeat set is a stranger's, maybe */

    if (entry->hit == 0 && at->seq <= entry->seq) {
        entry->next = at->seq - 1;
        entry->seq = at->seq - 1;
    }

    if (!beacond_feeds_likely(entry, at->seq, now_ms)) {
        return BEACON_FULL;
    }

    /* and so is what one said later: hits come, whose gaps were told */

    seq = at->seq > entry->seq ? at->seq : entry->seq;
    *lacking = at->seq > entry->seq ? at->seq - 1 - entry->seq : 0;
    *missing = *lacking + entry->carry;
    beacond_feeds_doing(feeds, entry, seq, at->seq, now_ms, mark);

    return BEACON_OK;
}

beacon_rc_t
beacond_feeds_beat(beacond_feeds_t *feeds, const beacond_feeds_at_t *at,
    uint64_t now_ms, uint64_t mark, uint64_t *missing, uint64_t *lacking)
{
    beacond_feed_t  *entry;

    entry = beacond_feeds_at(feeds, at, now_ms, at->seq);
    *missing = *lacking = 0;

    if (at->seq <= entry->seq) {
        entry->seen_ms = now_ms;
        return BEACON_OK;
    }

    if (!beacond_feeds_likely(entry, at->seq, now_ms)) {
        return BEACON_FULL;
    }

    *lacking = at->seq - entry->seq;
    *missing = *lacking + entry->carry;
    beacond_feeds_doing(feeds, entry, at->seq, entry->hit, now_ms, mark);

    return BEACON_OK;
}

void
beacond_feeds_done(beacond_feeds_t *feeds)
{
    feeds->doing->carry = 0;
    feeds->doing->seq = feeds->doing->next;
    feeds->doing->hit = feeds->doing->next_hit;
}

void
beacond_feeds_untold(beacond_feeds_t *feeds, uint64_t missing)
{
    feeds->doing->carry = missing;
    feeds->doing->seq = feeds->doing->next;
}

void
beacond_feeds_stats(const beacond_feeds_t *feeds,
    beacond_feeds_stats_t *stats)
{
    stats->entries = feeds->file->used;
    stats->evicted = feeds->file->evicted;
}
