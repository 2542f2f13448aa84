#include "beacond_conf_check.h"
#include "beacon_counters.h"
#include "beacon_ring.h"
#include "beacon_schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char  *type;
    bool         durable;
    void       (*check)(beacond_conf_check_t *check, const json_t *sink,
                        const beacond_conf_t *conf);
} beacond_conf_type_t;

static const beacond_conf_type_t  beacond_conf_types[] = {
    { "log", true, beacond_conf_check_log },
    { "ids", true, beacond_conf_check_ids },
    { "kafka", true, beacond_conf_check_kafka },
    { "spy", false, beacond_conf_check_spy },
    { "live", false, beacond_conf_check_live },
    { "collect", false, beacond_conf_check_collect },
    { NULL, false, NULL }
};

/* A member object; complaints from here on are about its place. */
static const json_t *
beacond_conf_object(beacond_conf_check_t *check, const json_t *root,
    const char *key)
{
    const char    *at;
    const json_t  *object;

    check->at = "";
    object = json_object_get(root, key);

    if (object == NULL) {
        return NULL;
    }

    if (!json_is_object(object)) {
        beacond_conf_fail(check, "\"%s\" must be an object", key);
        return NULL;
    }

    at = json_string_value(json_object_get(object, "at"));
    check->at = at ? at : "";

    return object;
}

/* The parts of the file. */

static void
beacond_conf_ring(beacond_conf_check_t *check, beacond_conf_t *conf)
{
    char          *end;
    const char    *epoch;
    const json_t  *ring;

    ring = beacond_conf_object(check, conf->json, "ring");

    if (ring == NULL) {
        beacond_conf_fail(check, "there is no ring");
        return;
    }

    conf->dir = beacond_conf_string(check, ring, "dir", true);

    if (conf->dir != NULL && !beacond_conf_plain_path(conf->dir)) {
        beacond_conf_fail(check, "ring directory \"%s\" must be an absolute "
                          "path without \".\" and \"..\"", conf->dir);
    }

    /* what a socket's name in it may have */
    if (conf->dir != NULL && strlen(conf->dir) > 90) {
        beacond_conf_fail(check, "ring directory \"%s\" is longer than 90 "
                          "bytes", conf->dir);
    }

    beacond_conf_integer(check, ring, "lane_size", 0, BEACON_LANE_MIN,
                         BEACON_LANE_MAX);
    beacond_conf_integer(check, ring, "lanes", 0, 1, BEACON_LANES_MAX);

    epoch = beacond_conf_string(check, ring, "epoch", false);

    if (epoch == NULL) {
        return;
    }

    conf->epoch = strtoull(epoch, &end, 16);

    if (strlen(epoch) != BEACON_EPOCH_LEN || *end != '\0' || conf->epoch == 0
        || strspn(epoch, "0123456789abcdef") != BEACON_EPOCH_LEN)
    {
        beacond_conf_fail(check, "\"epoch\" must be 16 hex digits");
    }
}

static void
beacond_conf_helper(beacond_conf_check_t *check, beacond_conf_t *conf)
{
    const json_t  *helper;

    conf->threads = 1;
    helper = beacond_conf_object(check, conf->json, "helper");

    if (helper == NULL) {
        return;
    }

    conf->threads = (int) beacond_conf_integer(check, helper, "threads", 1, 1,
                                               BEACOND_THREADS_MAX);
    conf->external = beacond_conf_bool(check, helper, "external");
    conf->log_level = beacond_conf_string(check, helper, "log", false);
}

static void
beacond_conf_spool(beacond_conf_check_t *check, beacond_conf_t *conf)
{
    const json_t  *spool;

    spool = beacond_conf_object(check, conf->json, "spool");

    if (spool == NULL) {
        return;
    }

    conf->spool = beacond_conf_string(check, spool, "dir", true);
    conf->spool_size = (uint64_t) beacond_conf_integer(check, spool, "size",
                                      10LL << 30, 0, INT64_MAX);
    conf->spool_min_free = (unsigned) beacond_conf_integer(check, spool,
                                          "min_free", 5, 0, 99);

    if (conf->spool == NULL || conf->dir == NULL) {
        return;
    }

    if (!beacond_conf_plain_path(conf->spool)) {
        beacond_conf_fail(check, "spool directory \"%s\" must be an absolute "
                          "path without \".\" and \"..\"", conf->spool);
    }

    if (beacond_conf_inside(conf->spool, strlen(conf->spool), conf->dir)
        || beacond_conf_inside(conf->dir, strlen(conf->dir), conf->spool))
    {
        beacond_conf_fail(check, "spool \"%s\" and ring \"%s\" must not lie "
                          "in one another", conf->spool, conf->dir);
    }
}

/* A name is part of file names: <name>.checkpoint. */
static bool
beacond_conf_name_valid(const char *name)
{
    static const char  chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789_.-";

    return strlen(name) < 64 && name[0] != '.'
           && strspn(name, chars) == strlen(name);
}

static const beacond_conf_type_t *
beacond_conf_type(const char *name)
{
    const beacond_conf_type_t  *type;

    for (type = beacond_conf_types; type->type != NULL; type++) {
        if (strcmp(type->type, name) == 0) {
            return type;
        }
    }

    return NULL;
}

static void
beacond_conf_sink(beacond_conf_check_t *check, beacond_conf_t *conf,
    const json_t *json)
{
    size_t                i;
    const char           *at, *path, *other;
    beacond_conf_sink_t  *sink;

    at = json_string_value(json_object_get(json, "at"));
    check->at = at ? at : "";

    if (!json_is_object(json)) {
        beacond_conf_fail(check, "a sink must be an object");
        return;
    }

    sink = &conf->sinks[conf->nsinks];
    sink->json = json;
    sink->at = check->at;
    sink->type = beacond_conf_string(check, json, "type", true);
    sink->name = beacond_conf_string(check, json, "name", true);

    if (sink->type == NULL || sink->name == NULL) {
        return;
    }

    if (!beacond_conf_name_valid(sink->name)) {
        beacond_conf_fail(check, "sink name \"%s\" must be 1 to 63 letters, "
                          "digits, \"_\", \"-\" or \".\"", sink->name);
    }

    path = json_string_value(json_object_get(json, "path"));

    for (i = 0; i < conf->nsinks; i++) {
        if (strcmp(conf->sinks[i].name, sink->name) == 0) {
            beacond_conf_fail(check, "there are two sinks of the name \"%s\"",
                              sink->name);
        }

        other = json_string_value(json_object_get(conf->sinks[i].json,
                                                  "path"));

        if (path != NULL && other != NULL && strcmp(path, other) == 0) {
            beacond_conf_fail(check, "sinks \"%s\" and \"%s\" write the same "
                              "files", conf->sinks[i].name, sink->name);
        }
    }

    conf->nsinks++;

    if (beacond_conf_type(sink->type) == NULL) {
        beacond_conf_fail(check, "unknown sink type \"%s\"", sink->type);
    }
}

/* What only the sink itself would stumble over. */
static void
beacond_conf_sinks_own(beacond_conf_check_t *check, beacond_conf_t *conf)
{
    bool                        durable;
    size_t                      i;
    const beacond_conf_type_t  *type;

    durable = false;

    for (i = 0; i < conf->nsinks; i++) {
        type = beacond_conf_type(conf->sinks[i].type);

        if (type != NULL) {
            check->at = conf->sinks[i].at;
            type->check(check, conf->sinks[i].json, conf);
            durable |= type->durable;
        }
    }

    if (!durable) {
        check->at = "";
        beacond_conf_warn(check, "no sink is durable: hits are lost as they "
                          "come");
    }
}

static void
beacond_conf_sinks(beacond_conf_check_t *check, beacond_conf_t *conf)
{
    size_t         i, n;
    const json_t  *sinks;

    check->at = "";
    sinks = json_object_get(conf->json, "sinks");
    n = json_array_size(sinks);

    if (sinks != NULL && !json_is_array(sinks)) {
        beacond_conf_fail(check, "\"sinks\" must be an array");
        return;
    }

    if (n > BEACON_BOOKS_SINKS) {
        beacond_conf_fail(check, "there are %zu sinks, more than %d", n,
                          BEACON_BOOKS_SINKS);
        return;
    }

    conf->sinks = calloc(n + 1, sizeof(beacond_conf_sink_t));

    if (conf->sinks == NULL) {
        beacond_conf_fail(check, "out of memory");
        return;
    }

    for (i = 0; i < n; i++) {
        beacond_conf_sink(check, conf, json_array_get(sinks, i));
    }
}

/* The whole. */

static void
beacond_conf_general(beacond_conf_check_t *check, beacond_conf_t *conf)
{
    const char  *edge;

    conf->generation = (uint64_t) beacond_conf_integer(check, conf->json,
                                      "generation", 0, 0, INT64_MAX);
    conf->build = beacond_conf_string(check, conf->json, "build", false);
    conf->edge = edge = beacond_conf_string(check, conf->json, "edge", true);

    if (edge != NULL
        && !beacon_schema_edge_valid((const uint8_t *) edge, strlen(edge)))
    {
        beacond_conf_fail(check, "edge \"%s\" must be 1 to 255 characters "
                          "without space, control characters, quote or "
                          "backslash", edge);
    }
}

static beacond_conf_t *
beacond_conf_load(json_t *json, beacond_conf_check_t *check)
{
    bool             unusable;
    json_int_t       version;
    beacond_conf_t  *conf;

    conf = calloc(1, sizeof(beacond_conf_t));

    if (conf == NULL) {
        json_decref(json);
        beacond_conf_fail(check, "out of memory");
        return NULL;
    }

    conf->json = json;
    version = json_integer_value(json_object_get(json, "v"));

    if (!json_is_object(json) || version > BEACOND_CONF_VERSION
        || version < BEACOND_CONF_VERSION - 1)
    {
        beacond_conf_fail(check, "configuration version %lld is not one this "
                          "build reads (%d and %d)", (long long) version,
                          BEACOND_CONF_VERSION - 1, BEACOND_CONF_VERSION);
        beacond_conf_destroy(conf);
        return NULL;
    }

    beacond_conf_general(check, conf);
    beacond_conf_ring(check, conf);
    beacond_conf_helper(check, conf);
    beacond_conf_spool(check, conf);
    beacond_conf_sinks(check, conf);

    unusable = check->failed;
    check->failed = false;

    beacond_conf_sinks_own(check, conf);
    conf->flawed = check->failed;

    if (unusable) {
        beacond_conf_destroy(conf);
        return NULL;
    }

    return conf;
}

static beacond_conf_t *
beacond_conf_loaded(json_t *json, const char *file, const json_error_t *error,
    beacond_conf_say_pt say, void *data)
{
    char                  at[4200];
    beacond_conf_check_t  check = { say, data, "", false };

    if (json == NULL) {
        snprintf(at, sizeof(at), "%s:%d", file, error->line);
        say(data, error->line > 0 ? at : "", error->text);
        return NULL;
    }

    return beacond_conf_load(json, &check);
}

beacond_conf_t *
beacond_conf_parse(const char *text, size_t len, beacond_conf_say_pt say,
    void *data)
{
    json_t        *json;
    json_error_t   error;

    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

    return beacond_conf_loaded(json, "beacon.json", &error, say, data);
}

/* The file's text, to be freed; NULL and why not. */
static char *
beacond_conf_slurp(FILE *f, size_t *len, const char **why)
{
    char  *text;

    text = malloc(BEACOND_CONF_MAX);

    if (text == NULL) {
        *why = "out of memory";
        return NULL;
    }

    *len = fread(text, 1, BEACOND_CONF_MAX, f);

    if (!ferror(f) && *len < BEACOND_CONF_MAX) {
        return text;
    }

    *why = ferror(f) ? strerror(errno) : "it is too large";
    free(text);
    return NULL;
}

beacond_conf_t *
beacond_conf_read(const char *file, beacond_conf_say_pt say, void *data)
{
    bool           in;
    FILE          *f;
    char          *text;
    char           told[4400];
    size_t         len;
    json_t        *json;
    const char    *why;
    json_error_t   error;

    in = (strcmp(file, "-") == 0);
    f = in ? stdin : fopen(file, "re");
    why = strerror(errno);
    text = f ? beacond_conf_slurp(f, &len, &why) : NULL;

    if (f != NULL && !in) {
        fclose(f);
    }

    if (text == NULL) {
        snprintf(told, sizeof(told), "cannot read \"%.4000s\": %s", file, why);
        say(data, "", told);
        return NULL;
    }

    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    free(text);

    return beacond_conf_loaded(json, in ? "standard input" : file, &error,
                               say, data);
}

static void
beacond_conf_say_nothing(void *data, const char *at, const char *text)
{
    (void) data;
    (void) at;
    (void) text;
}

uint64_t
beacond_conf_generation(const char *file)
{
    uint64_t         generation;
    beacond_conf_t  *conf;

    conf = beacond_conf_read(file, beacond_conf_say_nothing, NULL);
    generation = (conf != NULL) ? conf->generation : 0;
    beacond_conf_destroy(conf);

    return generation;
}

static void
beacond_conf_displace(json_t *json)
{
    void        *next;
    size_t       i;
    json_t      *value;
    const char  *key;

    json_object_del(json, "at");
    json_object_del(json, "property_file_at");

    json_object_foreach_safe(json, next, key, value) {
        beacond_conf_displace(value);
    }

    json_array_foreach(json, i, value) {
        beacond_conf_displace(value);
    }
}

json_t *
beacond_conf_placeless(const json_t *json)
{
    json_t  *copy;

    copy = json_deep_copy(json);

    if (copy != NULL) {
        beacond_conf_displace(copy);
    }

    return copy;
}

void
beacond_conf_destroy(beacond_conf_t *conf)
{
    if (conf == NULL) {
        return;
    }

    json_decref(conf->json);
    free(conf->sinks);
    free(conf);
}
