#include "beacond_spool_last.h"
#include "beacond_file.h"
#include "beacond_log.h"
#include "beacond_spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACOND_SPOOL_LAST_MAX  (PATH_MAX * 8)      /* of the note */

static void
beacond_spool_last_path(const char *ring, char *path)
{
    snprintf(path, PATH_MAX, "%s/beacond.spool", ring);
}

void
beacond_spool_last_note(const beacond_conf_t *conf)
{
    bool         failed;
    char         path[PATH_MAX], *text = NULL, *old;
    size_t       len;
    json_t      *json;
    struct stat  st;

    beacond_spool_last_path(conf->dir, path);

    if (conf->spool == NULL) {
        (void) unlink(path);
        return;
    }

    json = json_pack("{s:s,s:I,s:i}", "dir", conf->spool,
                     "size", (json_int_t) conf->spool_size,
                     "min_free", (int) conf->spool_min_free);
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);

    old = beacond_file_read(path, BEACOND_SPOOL_LAST_MAX, &st, &len);
    errno = ENOMEM;
    failed = text == NULL
             || ((old == NULL || strcmp(text, old) != 0)
                 && beacond_file_replace(path, NULL, text, strlen(text), false)
                    != BEACON_OK);

    if (failed) {
        beacond_log(BEACOND_ERROR, "cannot note in %s which spool is in use: "
                    "%s", path, strerror(errno));
    }

    free(text);
    free(old);
}

/* Has it a segment with more than a head? */
static bool
beacond_spool_last_holds(const char *path)
{
    DIR            *dir = opendir(path);
    bool            holds = false;
    struct stat     st;
    struct dirent  *entry;

    while (dir != NULL && !holds && (entry = readdir(dir)) != NULL) {
        holds = strncmp(entry->d_name, "journal.", 8) == 0
                && strlen(entry->d_name) == 24
                && fstatat(dirfd(dir), entry->d_name, &st,
                           AT_SYMLINK_NOFOLLOW) == 0
                && S_ISREG(st.st_mode)
                && st.st_size > (off_t) sizeof(beacond_segment_head_t);
    }

    if (dir != NULL) {
        closedir(dir);
    }

    return holds;
}

static void
beacond_spool_last_say(void *data, const char *at, const char *text)
{
    /* the file was judged as it is */

    (void) data;
    (void) at;
    (void) text;
}

/* spool: of the last one, as it is noted. */
static beacond_conf_t *
beacond_spool_last_put(const beacond_conf_t *conf, const json_t *spool)
{
    char            *text = NULL;
    json_t          *json = json_deep_copy(conf->json);
    json_t          *with = json_deep_copy(spool);
    beacond_conf_t  *result;

    if (conf->spool != NULL) {
        json_object_set_new(with, "size",
                            json_integer((json_int_t) conf->spool_size));
        json_object_set_new(with, "min_free",
                            json_integer((json_int_t) conf->spool_min_free));
    }

    if (json_object_set_new(json, "spool", with) == 0) {
        text = json_dumps(json, JSON_COMPACT);
    }

    json_decref(json);

    if (text == NULL) {
        return NULL;
    }

    result = beacond_conf_parse(text, strlen(text), beacond_spool_last_say,
                                NULL);
    free(text);

    if (result != NULL) {
        beacond_log(BEACOND_WARN, "the spool %s holds hits: it is used until "
                    "it is empty, instead of %s", result->spool,
                    conf->spool != NULL ? conf->spool : "none");
    }

    return result;
}

static bool
beacond_spool_last_other(const beacond_conf_t *conf, const char *dir)
{
    return dir != NULL
           && (conf->spool == NULL || strcmp(conf->spool, dir) != 0);
}

beacond_conf_t *
beacond_spool_last_with(const beacond_conf_t *conf, const beacond_conf_t *last)
{
    return beacond_spool_last_other(conf, last->spool)
           ? beacond_spool_last_put(conf, json_object_get(last->json, "spool"))
           : NULL;
}

beacond_conf_t *
beacond_spool_last_conf(const beacond_conf_t *conf)
{
    char             path[PATH_MAX];
    json_t          *last;
    const char      *dir;
    beacond_conf_t  *with = NULL;

    beacond_spool_last_path(conf->dir, path);
    last = json_load_file(path, 0, NULL);
    dir = json_string_value(json_object_get(last, "dir"));

    if (beacond_spool_last_other(conf, dir) && beacond_spool_last_holds(dir)) {
        with = beacond_spool_last_put(conf, last);
    }

    json_decref(last);

    return with;
}
