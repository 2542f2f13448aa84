#include "beacond_curve.h"
#include "beacond_file.h"
#include "beacond_zmq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_CURVE_FILE  (64 * 1024)         /* bytes */

typedef struct {
    beacond_curve_t       *curve;
    beacond_conf_check_t  *check;
    const char            *file;
    unsigned               line;
} beacond_curve_read_t;

static void
beacond_curve_fail(beacond_curve_read_t *read, const char *text)
{
    char         at[4200];
    const char  *kept = read->check->at;

    snprintf(at, sizeof(at), "%.4000s:%u", read->file, read->line);
    read->check->at = at;
    beacond_conf_fail(read->check, "%s", text);
    read->check->at = kept;
}

static void
beacond_curve_peer(beacond_curve_read_t *read, const char *key)
{
    beacond_curve_t  *curve = read->curve;

    if (curve->npeers == BEACOND_CURVE_PEERS) {
        beacond_curve_fail(read, "there are more than 1024 peers");
        return;
    }

    memcpy(curve->peers[curve->npeers++], key, sizeof(beacond_key_t));
}

static void
beacond_curve_once(beacond_curve_read_t *read, beacond_key_t to,
    const char *key)
{
    if (to[0] != '\0') {
        beacond_curve_fail(read, "that key stands there twice");
        return;
    }

    memcpy(to, key, sizeof(beacond_key_t));
}

/* word, blanks, key; a NUL behind them. */
static void
beacond_curve_line(beacond_curve_read_t *read, char *line)
{
    char             *word, *key, *more, *rest;
    beacond_curve_t  *curve = read->curve;

    word = strtok_r(line, " \t\r", &rest);

    if (word == NULL || word[0] == '#') {
        return;
    }

    key = strtok_r(NULL, " \t\r", &rest);
    more = strtok_r(NULL, " \t\r", &rest);

    if (key == NULL || more != NULL || strlen(key) != BEACOND_CURVE_KEY
        || !beacond_zmq_key(key))
    {
        beacond_curve_fail(read, "the line is no word and a key of 40 "
                           "characters in Z85");

    } else if (strcmp(word, "public") == 0) {
        beacond_curve_once(read, curve->own, key);

    } else if (strcmp(word, "secret") == 0) {
        beacond_curve_once(read, curve->secret, key);

    } else if (strcmp(word, "server") == 0) {
        beacond_curve_once(read, curve->server, key);

    } else if (strcmp(word, "peer") == 0) {
        beacond_curve_peer(read, key);

    } else {
        beacond_curve_fail(read, "the line's word must be public, secret, "
                           "server or peer");
    }
}

static void
beacond_curve_lines(beacond_curve_read_t *read, char *text)
{
    char  *line, *end;

    for (line = text; line != NULL; line = end) {
        end = strchr(line, '\n');

        if (end != NULL) {
            *end++ = '\0';
        }

        read->line++;
        beacond_curve_line(read, line);
    }
}

/* What is not there, and what does not fit. */
static void
beacond_curve_whole(beacond_conf_check_t *check, const char *file,
    const beacond_curve_t *curve, bool binds, bool connects)
{
    if (curve->own[0] == '\0' || curve->secret[0] == '\0') {
        beacond_conf_fail(check, "\"%s\" must have a line \"public\" and a "
                          "line \"secret\"", file);

    } else if (!beacond_zmq_pair(curve->own, curve->secret)) {
        beacond_conf_fail(check, "public and secret in \"%s\" are not of one "
                          "pair", file);
    }

    if (binds && curve->npeers == 0) {
        beacond_conf_fail(check, "\"%s\" has no line \"peer\": nobody would "
                          "be let in", file);
    }

    if (connects && curve->server[0] == '\0') {
        beacond_conf_fail(check, "\"%s\" has no line \"server\": the key of "
                          "who is connected to", file);
    }
}

static beacond_curve_t *
beacond_curve_new(void)
{
    beacond_curve_t  *curve;

    curve = calloc(1, sizeof(beacond_curve_t));

    if (curve == NULL) {
        return NULL;
    }

    curve->peers = calloc(BEACOND_CURVE_PEERS, sizeof(beacond_key_t));

    if (curve->peers == NULL) {
        free(curve);
        return NULL;
    }

    return curve;
}

beacond_curve_t *
beacond_curve_create(beacond_conf_check_t *check, const char *file,
    bool binds, bool connects)
{
    bool                   failed = check->failed;
    char                  *text;
    size_t                 len;
    struct stat            st;
    beacond_curve_read_t   read = { NULL, check, file, 0 };

    read.curve = beacond_curve_new();

    if (read.curve == NULL) {
        beacond_conf_fail(check, "out of memory");
        return NULL;
    }

    text = beacond_file_read(file, BEACOND_CURVE_FILE, &st, &len);

    if (text == NULL) {
        beacond_conf_fail(check, "cannot read \"%s\": %s", file,
                          strerror(errno));
        beacond_curve_destroy(read.curve);
        return NULL;
    }

    check->failed = false;
    beacond_curve_lines(&read, text);
    explicit_bzero(text, len);
    free(text);

    if (!check->failed) {
        beacond_curve_whole(check, file, read.curve, binds, connects);
    }

    if (check->failed) {
        beacond_curve_destroy(read.curve);
        return NULL;
    }

    check->failed = failed;

    if ((st.st_mode & S_IROTH) != 0) {
        beacond_conf_warn(check, "\"%s\" holds a secret key, and everybody "
                          "may read it: its mode should be 0640", file);
    }

    return read.curve;
}

void
beacond_curve_destroy(beacond_curve_t *curve)
{
    if (curve == NULL) {
        return;
    }

    explicit_bzero(curve->secret, sizeof(curve->secret));
    free(curve->peers);
    free(curve);
}
