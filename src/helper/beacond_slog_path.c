/*
 * From a line to its file.
 *
 * A template is evaluated once for each (site, values) and period of time; the
 * answer is cached, in one of two places, so that a hit costs a hash and a
 * memcmp of its key.  A period ends where the time text can change: at the
 * next day, hour, ... of the hit's zone, or where the zone's offset changes.
 *
 * Overflow.  At most max_files different paths have a place in the table; a
 * path gives up its place when its time text is over or nothing came for it
 * for an hour.  A hit whose path finds no place goes to the path that its
 * template gives with "_overflow" for the site and for every other variable:
 * one file for each time text, which needs no place.  So does a hit whose path
 * is refused (something planted there that is no regular file, a symlink among
 * its directories, a name that somebody else owns, a file that another writer
 * has): that is an error, counted, but must not stop the others.
 */

#include "beacond_slog.h"
#include "beacon_template.h"

#include <stdlib.h>
#include <string.h>

#define BEACOND_SLOG_CACHE_BYTES  (512 * 1024)
#define BEACOND_SLOG_AGAIN_MS     1000

static const beacon_str_t  beacond_slog_overflow = {
    sizeof("_overflow") - 1, (const uint8_t *) "_overflow"
};

/* A line's time text and what it is made from. */
typedef struct {
    beacon_str_t  site;
    struct tm     tm;
    int64_t       seconds;
    int64_t       from;
    int64_t       until;
} beacond_slog_when_t;


static beacon_rc_t
beacond_slog_template(beacond_slog_t *slog, const char *text,
    beacon_template_t **tmpl, beacon_err_t *err)
{
    uint32_t      i, j, index;
    beacon_rc_t   rc;
    beacon_str_t  s = { strlen(text), (const uint8_t *) text };

    rc = beacon_template_create(s, tmpl, err);

    if (rc == BEACON_OK) {
        rc = beacond_sink_template(slog->sink, *tmpl);
    }

    if (rc != BEACON_OK) {
        return rc;
    }

    for (i = 0; i < beacon_template_nvars(*tmpl); i++) {
        index = beacon_template_index(*tmpl, i);

        for (j = 0; j < slog->nkeys && slog->keys[j] != index; j++) {
            /* is it in the key already? */
        }

        if (j == slog->nkeys) {
            if (slog->nkeys == BEACOND_SLOG_VALUES
                || index >= BEACOND_SLOG_VALUES)
            {
                beacon_err(err, "too many variables");
                return BEACON_INVALID;
            }

            slog->keys[slog->nkeys++] = index;
        }
    }

    return BEACON_OK;
}

static beacon_rc_t
beacond_slog_timezone(beacond_slog_t *slog, const char *text,
    beacon_err_t *err)
{
    beacon_rc_t  rc;

    rc = beacond_slog_template(slog, text, &slog->timezone, err);

    if (rc != BEACON_OK) {
        return rc;
    }

    if (beacon_template_uses(slog->timezone) == 0) {
        beacon_template_destroy(slog->timezone);
        slog->timezone = NULL;
        return beacon_tz_create(text, &slog->zone, err);
    }

    slog->zones = calloc(BEACOND_SLOG_ZONES, sizeof(beacond_slog_zone_t));

    if (slog->zones == NULL) {
        beacon_err(err, "no memory for time zones");
        return BEACON_SYS;
    }

    return beacon_tz_create("UTC", &slog->zone, err);
}

beacon_rc_t
beacond_slog_paths_create(beacond_slog_t *slog, const json_t *conf,
    beacon_err_t *err)
{
    size_t        n;
    beacon_rc_t   rc;
    const char   *path, *zone;
    beacon_str_t  dir;

    path = json_string_value(json_object_get(conf, "path"));
    zone = json_string_value(json_object_get(conf, "timezone"));

    if (path == NULL) {
        beacon_err(err, "a log without a path");
        return BEACON_INVALID;
    }

    rc = beacond_slog_template(slog, path, &slog->path, err);

    if (rc == BEACON_OK) {
        rc = beacon_template_path(slog->path, &dir, err);
    }

    if (rc == BEACON_OK) {
        rc = beacond_slog_timezone(slog, zone ? zone : "UTC", err);
    }

    if (rc != BEACON_OK) {
        return rc;
    }

    memcpy(slog->dir, dir.data, dir.len);       /* checked: < PATH_MAX */
    slog->dir_len = dir.len;
    slog->uses = beacon_template_uses(slog->path);
    slog->period = beacon_template_period(slog->path);

    if (slog->period == 0) {
        slog->nkeys = beacon_template_nvars(slog->path);    /* no zone */
    }

    slog->key_max = (slog->nkeys + 1)
                    * (size_t) (BEACON_TEMPLATE_VALUE_MAX + 1);
    slog->cache_stride = (sizeof(beacond_slog_cached_t) + slog->key_max + 7)
                         & ~(size_t) 7;

    for (n = 64; n * 2 * slog->cache_stride <= BEACOND_SLOG_CACHE_BYTES;
         n *= 2)
    {
        /* the greatest power of two that fits */
    }

    slog->cache_mask = (uint32_t) n - 1;
    slog->cache = calloc(n, slog->cache_stride);

    if (slog->cache == NULL) {
        beacon_err(err, "no memory for a cache of paths");
        return BEACON_SYS;
    }

    return BEACON_OK;
}

void
beacond_slog_paths_destroy(beacond_slog_t *slog)
{
    uint32_t  i;

    for (i = 0; i < slog->nzones && i < BEACOND_SLOG_ZONES; i++) {
        beacon_tz_destroy(slog->zones[i].tz);
    }

    free(slog->zones);
    free(slog->cache);
    beacon_tz_destroy(slog->zone);
    beacon_template_destroy(slog->timezone);
    beacon_template_destroy(slog->path);
}

static void
beacond_slog_values(const beacond_slog_t *slog, const beacond_batch_t *batch,
    const beacond_line_t *line, beacon_str_t *values)
{
    uint32_t  i;

    for (i = 0; i < slog->nkeys; i++) {
        values[slog->keys[i]] = beacond_line_value(batch, line, slog->keys[i]);
    }
}

/* The zone of a name; those that are none are remembered too. */
static const beacon_tz_t *
beacond_slog_zone(beacond_slog_t *slog, const beacon_str_t *values,
    beacon_str_t site)
{
    char                  name[72];
    size_t                len;
    uint32_t              i, n;
    beacond_slog_zone_t  *zone;

    len = beacon_template_text(slog->timezone, site, values, name,
                               sizeof(name) - 1);
    name[len] = '\0';
    n = slog->nzones < BEACOND_SLOG_ZONES ? slog->nzones : BEACOND_SLOG_ZONES;

    for (i = 0; i < n && strcmp(slog->zones[i].name, name) != 0; i++) {
        /* look for it */
    }

    zone = &slog->zones[i < n ? i : slog->nzones % BEACOND_SLOG_ZONES];

    if (i == n) {
        beacon_tz_destroy(zone->tz);    /* of the oldest, in its turn */
        memcpy(zone->name, name, sizeof(name));
        slog->nzones++;

        if (slog->nzones == 2 * BEACOND_SLOG_ZONES) {
            slog->nzones = BEACOND_SLOG_ZONES;
        }

        if (beacon_tz_create(name, &zone->tz, NULL) != BEACON_OK) {
            zone->tz = NULL;
        }
    }

    if (zone->tz == NULL) {
        slog->zone_fallbacks++;
        return slog->zone;
    }

    return zone->tz;
}

/* Breaks a hit's time down and finds how long its text stays the same. */
static void
beacond_slog_when(beacond_slog_t *slog, const beacond_batch_t *batch,
    const beacond_line_t *line, const beacon_str_t *values,
    beacond_slog_when_t *when)
{
    int64_t             into, next, early;
    struct tm           before;
    const beacon_tz_t  *zone = slog->zone;

    when->site = beacond_line_site(batch, line);
    when->seconds = (int64_t) (batch->hits[line->hit].time_ns / 1000000000);
    when->from = INT64_MIN;
    when->until = INT64_MAX;
    memset(&when->tm, 0, sizeof(struct tm));

    if (slog->period == 0) {
        return;
    }

    if (slog->timezone) {
        zone = beacond_slog_zone(slog, values, when->site);
    }

    next = beacon_tz_local(zone, when->seconds, &when->tm);
    into = (when->tm.tm_hour * 3600 + when->tm.tm_min * 60 + when->tm.tm_sec)
           % slog->period;
    when->from = when->seconds - into;
    when->until = when->from + slog->period;

    if (when->until > next) {
        when->until = next;
    }

    early = beacon_tz_local(zone, when->from, &before);

    if (early <= when->seconds) {
        when->from = early;             /* the offset changed since */
    }
}

static size_t
beacond_slog_eval(const beacond_slog_t *slog, const beacond_slog_when_t *when,
    const beacon_str_t *values, char *path)
{
    size_t  len;

    len = beacon_template_eval(slog->path, when->site, values, &when->tm,
                               when->seconds, path, PATH_MAX - 1);
    path[len] = '\0';

    return len;
}

static size_t
beacond_slog_eval_overflow(const beacond_slog_t *slog,
    const beacond_slog_when_t *when, char *path)
{
    uint32_t             i;
    beacon_str_t         values[BEACOND_SLOG_VALUES];
    beacond_slog_when_t  other = *when;

    for (i = 0; i < BEACOND_SLOG_VALUES; i++) {
        values[i] = beacond_slog_overflow;
    }

    other.site = beacond_slog_overflow;

    return beacond_slog_eval(slog, &other, values, path);
}

void
beacond_slog_path(beacond_slog_t *slog, const beacond_batch_t *batch,
    const beacond_line_t *line, char *path, char *overflow)
{
    beacon_str_t         values[BEACOND_SLOG_VALUES];
    beacond_slog_when_t  when;

    beacond_slog_values(slog, batch, line, values);
    beacond_slog_when(slog, batch, line, values, &when);
    beacond_slog_eval(slog, &when, values, path);
    beacond_slog_eval_overflow(slog, &when, overflow);
}

/* The file of a line that is not in the cache, and how long that holds. */
static beacond_slog_file_t *
beacond_slog_evaluate(beacond_slog_t *slog, const beacond_batch_t *batch,
    const beacond_line_t *line, beacond_slog_when_t *when)
{
    char                  path[PATH_MAX];
    size_t                len;
    beacon_rc_t           rc;
    beacon_str_t          values[BEACOND_SLOG_VALUES];
    beacond_slog_file_t  *file;

    beacond_slog_values(slog, batch, line, values);
    beacond_slog_when(slog, batch, line, values, when);
    len = beacond_slog_eval(slog, when, values, path);
    rc = beacond_slog_file(slog, path, len, when->until, when->seconds, false,
                           &file);

    if (rc == BEACON_FULL) {
        len = beacond_slog_eval_overflow(slog, when, path);
        rc = beacond_slog_file(slog, path, len, when->until, when->seconds,
                               true, &file);
    }

    return rc == BEACON_OK ? file : NULL;
}

static size_t
beacond_slog_key_add(uint8_t *buf, size_t len, beacon_str_t value)
{
    if (value.len > BEACON_TEMPLATE_VALUE_MAX) {
        value.len = BEACON_TEMPLATE_VALUE_MAX;
    }

    buf[len++] = (uint8_t) value.len;

    if (value.len) {
        memcpy(buf + len, value.data, value.len);
    }

    return len + value.len;
}

/* What a line's path depends on, but for time; points into the arena if that
   is the site alone. */
static beacon_str_t
beacond_slog_key(const beacond_slog_t *slog, const beacond_batch_t *batch,
    const beacond_line_t *line, uint8_t *buf)
{
    size_t        len;
    uint32_t      i;
    beacon_str_t  key, value;

    key = beacond_line_site(batch, line);

    if (key.len > BEACON_TEMPLATE_VALUE_MAX) {
        key.len = BEACON_TEMPLATE_VALUE_MAX;
    }

    if (!(slog->uses & BEACON_TEMPLATE_SITE) && slog->timezone == NULL) {
        key.len = 0;
    }

    if (slog->nkeys == 0) {
        return key;
    }

    len = beacond_slog_key_add(buf, 0, key);

    for (i = 0; i < slog->nkeys; i++) {
        value = beacond_line_value(batch, line, slog->keys[i]);
        len = beacond_slog_key_add(buf, len, value);
    }

    return (beacon_str_t) { len, buf };
}

static uint64_t
beacond_slog_hash(uint64_t h, beacon_str_t key)
{
    size_t    n = key.len;
    uint64_t  word;

    for ( ; n >= 8; n -= 8, key.data += 8) {
        memcpy(&word, key.data, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 32;
    }

    for (word = n; n > 0; n--) {
        word = word << 8 | key.data[n - 1];
    }

    h = (h ^ word ^ key.len << 56) * 0x9e3779b97f4a7c15ULL;

    return h ^ h >> 29;
}

static beacond_slog_cached_t *
beacond_slog_cached(const beacond_slog_t *slog, uint64_t i)
{
    return (beacond_slog_cached_t *) (void *)
           (slog->cache + (i & slog->cache_mask) * slog->cache_stride);
}

static bool
beacond_slog_cached_is(const beacond_slog_t *slog,
    const beacond_slog_cached_t *c, uint64_t hash, beacon_str_t key,
    int64_t seconds)
{
    return c->hash == hash && c->generation == slog->generation
           && seconds >= c->from && seconds < c->until
           && c->key_len == key.len
           && (key.len == 0 || memcmp(c->key, key.data, key.len) == 0)
           && slog->now < c->again_ms && c->file->handle;
}

/* From the cache: once a batch, it is pinned like one that is looked up. */
static beacond_slog_file_t *
beacond_slog_again(beacond_slog_t *slog, const beacond_slog_cached_t *c)
{
    if (c->file->pin != slog->seq + 1) {
        beacond_slog_use(slog, c->file);
    }

    return c->file;
}

beacond_slog_file_t *
beacond_slog_resolve(beacond_slog_t *slog, const beacond_batch_t *batch,
    const beacond_line_t *line)
{
    int64_t                 seconds;
    uint64_t                hash;
    uint8_t                 buf[(BEACOND_SLOG_VALUES + 1)
                                * (BEACON_TEMPLATE_VALUE_MAX + 1)];
    beacon_str_t            key;
    beacond_slog_when_t     when;
    beacond_slog_file_t    *file;
    beacond_slog_cached_t  *c, *other;

    key = beacond_slog_key(slog, batch, line, buf);
    hash = beacond_slog_hash(slog->seed, key);
    seconds = (int64_t) (batch->hits[line->hit].time_ns / 1000000000);
    c = beacond_slog_cached(slog, hash);

    if (beacond_slog_cached_is(slog, c, hash, key, seconds)) {
        return beacond_slog_again(slog, c);
    }

    other = beacond_slog_cached(slog, hash ^ 1);

    if (beacond_slog_cached_is(slog, other, hash, key, seconds)) {
        return beacond_slog_again(slog, other);
    }

    file = beacond_slog_evaluate(slog, batch, line, &when);

    if (file == NULL) {
        return NULL;
    }

    /* the place of an older answer to this, a stale one, or its own */

    if (c->hash != hash && c->generation == slog->generation
        && (other->hash == hash || other->generation != slog->generation))
    {
        c = other;
    }

    c->hash = hash;
    c->generation = slog->generation;
    c->file = file;
    c->from = when.from;
    c->until = when.until;
    c->again_ms = file->overflow ? slog->now + BEACOND_SLOG_AGAIN_MS
                                 : INT64_MAX;
    c->key_len = (uint32_t) key.len;

    if (key.len) {
        memcpy(c->key, key.data, key.len);
    }

    return file;
}
