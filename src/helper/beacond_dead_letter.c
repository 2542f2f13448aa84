#include "beacond_dead_letter.h"
#include "beacond_conf.h"
#include "beacond_kafka_former.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BEACOND_LETTER_PATH  (PATH_MAX + NAME_MAX)
#define BEACOND_LETTER_WAIT  300        /* times 100 ms, for a sign of life */

static const char  beacond_letter_waits[] = "{\"sent\":0,";

static void
beacond_letter_say(void *data, const char *at, const char *text)
{
    (void) data;
    fprintf(stderr, "%s: %s\n", at[0] != '\0' ? at : "beacond", text);
}

static void
beacond_letter_path(const beacond_conf_t *conf, const char *name,
    const char *suffix, char *path)
{
    char  dir[PATH_MAX];

    beacond_former_dir(conf, name, dir);
    snprintf(path, BEACOND_LETTER_PATH, "%s/%s.dead%s", dir, name, suffix);
}

/* Letters that wait; printed, with their sink's name, if out is given. */
static long
beacond_letter_file(const char *path, const char *name, FILE *out)
{
    char    *line = NULL;
    long     n = 0;
    FILE    *file;
    size_t   size = 0, head = sizeof(beacond_letter_waits) - 1;
    ssize_t  len;

    file = fopen(path, "re");

    if (file == NULL) {
        if (errno != ENOENT) {
            fprintf(stderr, "beacond: %s: %s\n", path, strerror(errno));
        }

        return errno == ENOENT ? 0 : -1;
    }

    while ((len = getline(&line, &size, file)) > 0) {
        if (line[len - 1] != '\n'
            || strncmp(line, beacond_letter_waits, head) != 0)
        {
            continue;
        }

        n++;

        if (out != NULL) {
            fprintf(out, "{\"sink\":\"%s\",%s", name, line + head);
        }
    }

    free(line);
    fclose(file);

    return n;
}

static long
beacond_letter_read(const beacond_conf_t *conf, const char *name, FILE *out)
{
    char  path[BEACOND_LETTER_PATH];

    beacond_letter_path(conf, name, "", path);

    return beacond_letter_file(path, name, out);
}

/* Of a cluster that is there no more: told, and its letters listed. */
static void
beacond_letter_former(void *data, const char *path, const char *name,
    bool letters)
{
    (void) data;
    fprintf(stderr, "beacond: %s: %s of the Kafka sink \"%s\", which is "
            "configured no more\n", path, letters ? "dead letters"
                                                  : "parked hits", name);

    if (letters) {
        (void) beacond_letter_file(path, name, stdout);
    }
}

/* Waits until it is gone; meanwhile the helper replaces it as long as it gets
   on.  false: it does not, or there is none. */
static bool
beacond_letter_wait(const char *path)
{
    int              i;
    struct stat      st, was;
    struct timespec  tenth = { 0, 100000000 };

    memset(&was, 0, sizeof(was));

    for (i = 0; i < BEACOND_LETTER_WAIT; i++) {
        if (stat(path, &st) != 0) {
            return true;
        }

        if (st.st_mtim.tv_sec != was.st_mtim.tv_sec
            || st.st_mtim.tv_nsec != was.st_mtim.tv_nsec)
        {
            was = st;
            i = 0;
        }

        nanosleep(&tenth, NULL);
    }

    fprintf(stderr, "beacond: %s: %s\n", path, was.st_size > 0
            ? "the broker has not answered for 30 s; the helper goes on"
            : "no helper has answered yet; it will try when it comes to it");

    return false;
}

/* Asks the helper, and waits until it has tried.  false: no answer. */
static bool
beacond_letter_ask(const beacond_conf_t *conf, const char *name)
{
    int   fd;
    char  path[BEACOND_LETTER_PATH];

    beacond_letter_path(conf, name, ".retry", path);

    /* what a helper that is gone wrote there is no sign of life */

    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
              0640);

    if (fd < 0) {
        fprintf(stderr, "beacond: %s: %s\n", path, strerror(errno));
        return false;
    }

    close(fd);

    return beacond_letter_wait(path);
}

static int
beacond_letter_retry(const beacond_conf_t *conf, const char *name)
{
    long  before, after;

    before = beacond_letter_read(conf, name, NULL);

    if (before <= 0) {
        return before < 0 ? 2 : 0;
    }

    if (!beacond_letter_ask(conf, name)) {
        return 1;
    }

    after = beacond_letter_read(conf, name, NULL);

    if (after < 0) {
        return 2;
    }

    printf("%s: %ld delivered, %ld wait\n", name,
           before > after ? before - after : 0, after);

    return after > 0 ? 1 : 0;
}

int
beacond_dead_letter(int argc, char *argv[])
{
    int              c, code = 0, one;
    bool             retry, known;
    size_t           i;
    const char      *file = NULL, *what = argc > 1 ? argv[1] : "";
    beacond_conf_t  *conf;

    optind = 2;

    while ((c = getopt(argc, argv, "c:")) == 'c') {
        file = optarg;
    }

    retry = strcmp(what, "retry") == 0;
    known = retry || strcmp(what, "list") == 0;

    if (c != -1 || file == NULL || optind != argc || !known) {
        fprintf(stderr, "%sUsage: beacond dead-letter list|retry -c FILE\n",
                !known ? "dead-letter: list or retry must be said\n"
                : c != -1 ? "" : "dead-letter: -c FILE, and nothing else, "
                                 "must be given\n");
        return 2;
    }

    conf = beacond_conf_read(file, beacond_letter_say, NULL);

    if (conf == NULL) {
        return 2;
    }

    for (i = 0; i < conf->nsinks; i++) {
        if (strcmp(conf->sinks[i].type, "kafka") != 0) {
            continue;
        }

        one = retry ? beacond_letter_retry(conf, conf->sinks[i].name)
              : beacond_letter_read(conf, conf->sinks[i].name, stdout) < 0
                ? 2 : 0;
        code = one > code ? one : code;
    }

    if (!retry) {
        beacond_former_find(conf, beacond_letter_former, NULL);
    }

    beacond_conf_destroy(conf);

    return code;
}
