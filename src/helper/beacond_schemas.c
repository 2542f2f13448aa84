#include "beacond_schemas.h"
#include "beacon_crc32c.h"
#include "beacond_clock.h"
#include "beacond_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_SCHEMAS_MAX   4096
#define BEACOND_SCHEMA_TEXT   (64 * 1024)
#define BEACOND_SCHEMA_AGAIN  1000000000ULL     /* ns */

typedef struct {
    uint32_t           hash;
    bool               copied;          /* stands in the spool */
    uint64_t           missed_ns;       /* not found then; CLOCK_MONOTONIC */
    json_t            *json;            /* owns the strings */
    beacond_schema_t  *schema;
} beacond_schemas_slot_t;

struct beacond_schemas_s {
    pthread_mutex_t          mutex;
    char                     dir[PATH_MAX];
    char                     spool[PATH_MAX];
    beacond_schemas_slot_t  *slots;     /* in order of first use */
    uint32_t                 n;
    uint32_t                 nflags;
    char                     flags[BEACOND_FLAGS_MAX][65];
};

/* Called with the mutex held.  The table only grows: what is below nflags
   never changes. */
static unsigned
beacond_schemas_flag_add(beacond_schemas_t *schemas, const char *name,
    size_t len)
{
    uint32_t  i;

    for (i = 0; i < schemas->nflags; i++) {
        if (strlen(schemas->flags[i]) == len
            && memcmp(schemas->flags[i], name, len) == 0)
        {
            return i;
        }
    }

    if (i == BEACOND_FLAGS_MAX || len > 64) {
        return 255;
    }

    memcpy(schemas->flags[i], name, len);
    __atomic_store_n(&schemas->nflags, i + 1, __ATOMIC_RELEASE);

    return i;
}

beacond_schemas_t *
beacond_schemas_create(const char *dir, const char *spool)
{
    beacond_schemas_t  *schemas;

    schemas = calloc(1, sizeof(beacond_schemas_t));
    if (schemas == NULL) {
        return NULL;
    }

    pthread_mutex_init(&schemas->mutex, NULL);
    snprintf(schemas->dir, PATH_MAX, "%s", dir);
    snprintf(schemas->spool, PATH_MAX, "%s", spool ? spool : "");
    beacond_schemas_flag_add(schemas, "malformed", 9);
    beacond_schemas_flag_add(schemas, "macro", 5);

    return schemas;
}

void
beacond_schemas_destroy(beacond_schemas_t *schemas)
{
    uint32_t  i;

    for (i = 0; i < schemas->n; i++) {
        json_decref(schemas->slots[i].json);
        free(schemas->slots[i].schema);
    }

    pthread_mutex_destroy(&schemas->mutex);
    free(schemas->slots);
    free(schemas);
}

void
beacond_schemas_spool(beacond_schemas_t *schemas, const char *spool)
{
    uint32_t  i;

    pthread_mutex_lock(&schemas->mutex);

    snprintf(schemas->spool, PATH_MAX, "%s", spool ? spool : "");

    for (i = 0; i < schemas->n; i++) {
        schemas->slots[i].copied = false;
    }

    pthread_mutex_unlock(&schemas->mutex);
}

/* Returns the text's length; 0: cannot be read, or is not what hash says. */
static size_t
beacond_schemas_read(const char *dir, uint32_t hash, char *text)
{
    int      fd;
    char     path[PATH_MAX + 32];
    ssize_t  n;

    snprintf(path, sizeof(path), "%s/schemas/%08x.json", dir, hash);

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return 0;
    }

    n = read(fd, text, BEACOND_SCHEMA_TEXT);
    close(fd);

    if (n <= 0 || n == BEACOND_SCHEMA_TEXT
        || beacon_crc32c(0, text, (size_t) n) != hash)
    {
        return 0;
    }

    return (size_t) n;
}

static size_t
beacond_schemas_find(beacond_schemas_t *schemas, uint32_t hash, char *text)
{
    size_t  n;

    n = beacond_schemas_read(schemas->dir, hash, text);

    if (n == 0 && schemas->spool[0] != '\0') {
        n = beacond_schemas_read(schemas->spool, hash, text);
    }

    return n;
}

static beacon_str_t
beacond_schemas_str(const json_t *json)
{
    beacon_str_t  s;

    s.data = (const uint8_t *) json_string_value(json);
    s.len = json_string_length(json);

    return s;
}

/* Names into array; -1: not an array of at most max names. */
static int
beacond_schemas_names(const json_t *json, beacon_str_t *array, size_t max)
{
    size_t        i, n;
    beacon_str_t  s;

    n = json_array_size(json);

    if (!json_is_array(json) || n > max) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        s = beacond_schemas_str(json_array_get(json, i));

        if (s.data == NULL || !beacon_schema_name_valid(s.data, s.len)) {
            return -1;
        }

        array[i] = s;
    }

    return (int) n;
}

static beacond_schema_t *
beacond_schemas_parse(beacond_schemas_t *schemas, const json_t *json,
    uint32_t hash)
{
    int                i, nfields, nflags;
    beacon_str_t       edge;
    beacond_schema_t  *s;

    s = calloc(1, sizeof(beacond_schema_t));
    if (s == NULL) {
        return NULL;
    }

    edge = beacond_schemas_str(json_object_get(json, "edge"));
    nfields = beacond_schemas_names(json_object_get(json, "fields"),
                                    s->schema.fields, BEACON_FIELDS_MAX);
    nflags = beacond_schemas_names(json_object_get(json, "flags"),
                                   s->schema.flags, BEACON_FLAGS_MAX);

    if (edge.data == NULL || !beacon_schema_edge_valid(edge.data, edge.len)
        || nfields < 0 || nflags < 0)
    {
        free(s);
        return NULL;
    }

    s->schema.edge = edge;
    s->schema.nfields = (uint32_t) nfields;
    s->schema.nflags = (uint32_t) nflags;
    s->schema.hash = hash;

    for (i = 0; i < nflags; i++) {
        s->flags[i] = (uint8_t) beacond_schemas_flag_add(schemas,
                                    (const char *) s->schema.flags[i].data,
                                    s->schema.flags[i].len);
    }

    return s;
}

static void
beacond_schemas_load(beacond_schemas_t *schemas, beacond_schemas_slot_t *slot)
{
    char    *text;
    size_t   n;
    json_t  *json;

    slot->missed_ns = beacond_clock_ns();

    text = malloc(BEACOND_SCHEMA_TEXT);
    if (text == NULL) {
        return;
    }

    n = beacond_schemas_find(schemas, slot->hash, text);
    json = n ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    free(text);

    if (json == NULL) {
        return;
    }

    slot->schema = beacond_schemas_parse(schemas, json, slot->hash);

    if (slot->schema == NULL) {
        json_decref(json);
        return;
    }

    slot->json = json;
}

/* Called with the mutex held.  NULL: no memory, or too many. */
static beacond_schemas_slot_t *
beacond_schemas_slot(beacond_schemas_t *schemas, uint32_t hash)
{
    uint32_t                 i;
    beacond_schemas_slot_t  *slots;

    for (i = 0; i < schemas->n; i++) {
        if (schemas->slots[i].hash == hash) {
            return &schemas->slots[i];
        }
    }

    if (schemas->n == BEACOND_SCHEMAS_MAX) {
        return NULL;
    }

    slots = realloc(schemas->slots, (schemas->n + 1) * sizeof(*slots));
    if (slots == NULL) {
        return NULL;
    }

    schemas->slots = slots;
    memset(&slots[schemas->n], 0, sizeof(*slots));
    slots[schemas->n].hash = hash;

    return &slots[schemas->n++];
}

const beacond_schema_t *
beacond_schemas_get(beacond_schemas_t *schemas, uint32_t hash)
{
    const beacond_schema_t  *schema = NULL;
    beacond_schemas_slot_t  *slot;

    pthread_mutex_lock(&schemas->mutex);

    slot = beacond_schemas_slot(schemas, hash);

    if (slot != NULL) {
        if (slot->schema == NULL
            && (slot->missed_ns == 0
                || beacond_clock_ns() - slot->missed_ns
                   > BEACOND_SCHEMA_AGAIN))
        {
            beacond_schemas_load(schemas, slot);
        }

        schema = slot->schema;
    }

    pthread_mutex_unlock(&schemas->mutex);

    return schema;
}

uint32_t
beacond_schemas_nflags(beacond_schemas_t *schemas)
{
    return __atomic_load_n(&schemas->nflags, __ATOMIC_ACQUIRE);
}

const char *
beacond_schemas_flag(beacond_schemas_t *schemas, uint32_t i)
{
    return schemas->flags[i];
}

unsigned
beacond_schemas_flag_index(beacond_schemas_t *schemas, const char *name,
    size_t len)
{
    unsigned  i;

    pthread_mutex_lock(&schemas->mutex);
    i = beacond_schemas_flag_add(schemas, name, len);
    pthread_mutex_unlock(&schemas->mutex);

    return i;
}

/* Writes path by way of a temporary file. */
static beacon_rc_t
beacond_schemas_write(const char *dir, uint32_t hash, const char *text,
    size_t len)
{
    char  path[PATH_MAX + 32];

    snprintf(path, sizeof(path), "%s/schemas", dir);

    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return BEACON_SYS;
    }

    snprintf(path, sizeof(path), "%s/schemas/%08x.json", dir, hash);

    return beacond_file_replace(path, NULL, text, len, true);
}

beacon_rc_t
beacond_schemas_copy(beacond_schemas_t *schemas, uint32_t hash)
{
    char                    *text;
    bool                     copied;
    size_t                   n;
    beacon_rc_t              rc = BEACON_OK;
    beacond_schemas_slot_t  *slot;

    pthread_mutex_lock(&schemas->mutex);
    slot = beacond_schemas_slot(schemas, hash);
    copied = slot == NULL || slot->copied || schemas->spool[0] == '\0';
    pthread_mutex_unlock(&schemas->mutex);

    if (copied) {
        return BEACON_OK;
    }

    text = malloc(BEACOND_SCHEMA_TEXT);
    if (text == NULL) {
        return BEACON_SYS;
    }

    /* one that cannot be read now is no reason to refuse its records; but the
       next ones ask again */

    n = beacond_schemas_read(schemas->spool, hash, text);

    if (n == 0) {
        n = beacond_schemas_read(schemas->dir, hash, text);

        if (n > 0) {
            rc = beacond_schemas_write(schemas->spool, hash, text, n);
        }
    }

    free(text);

    if (rc == BEACON_OK && n > 0) {
        pthread_mutex_lock(&schemas->mutex);
        slot = beacond_schemas_slot(schemas, hash);

        if (slot != NULL) {
            slot->copied = true;
        }

        pthread_mutex_unlock(&schemas->mutex);
    }

    return rc;
}
