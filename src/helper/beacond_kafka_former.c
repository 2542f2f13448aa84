#include "beacond_kafka_former.h"
#include "beacond_kafka_parked.h"
#include "beacond_log.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef void (*beacond_former_pt)(void *data, const char *path,
    const char *name, bool letters);

/* What is looked for, and where; a copy, as a configuration may go. */
typedef struct {
    json_t  *names;             /* of the Kafka sinks that there are */
    json_t  *dirs;
} beacond_former_t;

static void
beacond_former_dispose(beacond_former_t *former)
{
    json_decref(former->names);
    json_decref(former->dirs);
}

static bool
beacond_former_ends(const char *name, const char *with, size_t *len)
{
    size_t  n = strlen(with);

    *len = strlen(name);

    if (*len <= n || strcmp(name + *len - n, with) != 0) {
        return false;
    }

    *len -= n;

    return true;
}

/* Where the checkpoint of a sink without a name here has its files; "" if it
   does not say. */
static void
beacond_former_checkpoint(const char *dir, const char *name, char *where)
{
    char         path[PATH_MAX + NAME_MAX];
    json_t      *root;
    const char  *text;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    root = json_load_file(path, 0, NULL);
    text = json_string_value(json_object_get(root, "dir"));
    snprintf(where, PATH_MAX, "%s", text != NULL && text[0] == '/' ? text
                                                                  : "");
    json_decref(root);
}

static void
beacond_former_add(beacond_former_t *former, const char *dir)
{
    size_t   i;
    json_t  *one;

    json_array_foreach(former->dirs, i, one) {
        if (strcmp(json_string_value(one), dir) == 0) {
            return;
        }
    }

    (void) json_array_append_new(former->dirs, json_string(dir));
}

/* The directories that checkpoints in the ring's name. */
static void
beacond_former_named(beacond_former_t *former, const char *ring)
{
    DIR            *dir = opendir(ring);
    char            where[PATH_MAX];
    size_t          len;
    struct dirent  *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (beacond_former_ends(entry->d_name, ".checkpoint", &len)) {
            beacond_former_checkpoint(ring, entry->d_name, where);

            if (where[0] != '\0') {
                beacond_former_add(former, where);
            }
        }
    }

    if (dir != NULL) {
        closedir(dir);
    }
}

static void
beacond_former_init(beacond_former_t *former, const beacond_conf_t *conf)
{
    size_t  i;

    former->names = json_object();
    former->dirs = json_array();

    for (i = 0; i < conf->nsinks; i++) {
        if (strcmp(conf->sinks[i].type, "kafka") == 0) {
            (void) json_object_set_new(former->names, conf->sinks[i].name,
                                       json_true());
        }
    }

    beacond_former_add(former, conf->dir);

    if (conf->spool != NULL) {
        beacond_former_add(former, conf->spool);
    }
}

/* Does it hold anything: a file bytes, a directory topics' files? */
static bool
beacond_former_holds(const char *path, bool letters)
{
    DIR            *dir;
    bool            holds = false;
    struct stat     st;
    struct dirent  *entry;

    if (lstat(path, &st) != 0) {
        return false;
    }

    if (letters) {
        return S_ISREG(st.st_mode) && st.st_size > 0;
    }

    dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;

    while (dir != NULL && !holds && (entry = readdir(dir)) != NULL) {
        holds = beacond_parked_topic(entry->d_name);
    }

    if (dir != NULL) {
        closedir(dir);
    }

    return holds;
}

static void
beacond_former_look(const beacond_former_t *former, const char *where,
    beacond_former_pt found, void *data)
{
    DIR            *dir = opendir(where);
    bool            letters;
    char            path[PATH_MAX + NAME_MAX], name[NAME_MAX + 1];
    size_t          len;
    struct dirent  *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        letters = beacond_former_ends(entry->d_name, ".dead", &len);

        if (!letters && !beacond_former_ends(entry->d_name, ".parked", &len)) {
            continue;
        }

        snprintf(name, sizeof(name), "%.*s", (int) len, entry->d_name);
        snprintf(path, sizeof(path), "%s/%s", where, entry->d_name);

        if (json_object_get(former->names, name) == NULL
            && beacond_former_holds(path, letters))
        {
            found(data, path, name, letters);
        }
    }

    if (dir != NULL) {
        closedir(dir);
    }
}

static void
beacond_former_run(beacond_former_t *former, beacond_former_pt found,
    void *data)
{
    size_t   i;
    json_t  *dir;

    beacond_former_named(former, json_string_value(
                                     json_array_get(former->dirs, 0)));

    json_array_foreach(former->dirs, i, dir) {
        beacond_former_look(former, json_string_value(dir), found, data);
    }

    beacond_former_dispose(former);
}

void
beacond_former_find(const beacond_conf_t *conf, beacond_former_pt found,
    void *data)
{
    beacond_former_t  former;

    beacond_former_init(&former, conf);
    beacond_former_run(&former, found, data);
}

static void
beacond_former_said(void *data, const char *path, const char *name,
    bool letters)
{
    (void) data;
    beacond_log(BEACOND_WARN, "%s holds %s of the Kafka sink \"%s\", which is "
                "configured no more", path,
                letters ? "dead letters" : "parked hits", name);
}

static void *
beacond_former_thread(void *data)
{
    beacond_former_run(data, beacond_former_said, NULL);
    free(data);

    return NULL;
}

void
beacond_former_tell(const beacond_conf_t *conf)
{
    pthread_t          thread;
    beacond_former_t  *former = calloc(1, sizeof(beacond_former_t));

    if (former == NULL) {
        return;
    }

    beacond_former_init(former, conf);

    if (pthread_create(&thread, NULL, beacond_former_thread, former) == 0) {
        pthread_detach(thread);

    } else {
        beacond_former_dispose(former);
        free(former);
    }
}

void
beacond_former_dir(const beacond_conf_t *conf, const char *name, char *dir)
{
    char  file[NAME_MAX + 16];

    snprintf(file, sizeof(file), "%s.checkpoint", name);
    beacond_former_checkpoint(conf->dir, file, dir);

    if (dir[0] == '\0' || access(dir, F_OK) != 0) {
        snprintf(dir, PATH_MAX, "%s",
                 conf->spool != NULL ? conf->spool : conf->dir);
    }
}
