/* A Kafka sink's own part: beacon.json's object and the property file. */

#include "beacond_conf_kafka.h"
#include "beacond_conf_check.h"
#include "beacond_file.h"
#include "beacond_kafka_check.h"
#include "beacon_kafka.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_PROPERTIES_MAX  (1024 * 1024)   /* bytes of a file */
#define BEACOND_SOCKET_TIMEOUT  30000           /* ms, where none is said */

static beacon_str_t
beacond_conf_str(const char *s)
{
    return (beacon_str_t) { strlen(s), (const uint8_t *) s };
}

/* A copy that lives as long as the table; NULL: no memory. */
static const char *
beacond_conf_kafka_keep(beacond_conf_kafka_t *kafka, const char *text,
    size_t len)
{
    json_t  *string;

    /* not checked for UTF-8: a password may be anything */
    string = json_stringn_nocheck(text, len);

    return json_array_append_new(kafka->own, string) == 0
           ? json_string_value(string) : NULL;
}

/* One that stands somewhere else already; NULL: none. */
static const beacond_conf_property_t *
beacond_conf_kafka_twice(const beacond_conf_kafka_t *kafka, const char *name)
{
    size_t  i;

    for (i = 0; i < kafka->nproperties; i++) {
        if (beacon_kafka_same(beacond_conf_str(kafka->properties[i].name),
                              beacond_conf_str(name)))
        {
            return &kafka->properties[i];
        }
    }

    return NULL;
}

static bool
beacond_conf_kafka_add(beacond_conf_check_t *check,
    beacond_conf_kafka_t *kafka, const char *name, const char *value,
    const char *at)
{
    beacond_conf_property_t        *properties;
    const beacond_conf_property_t  *other;

    if (name == NULL || value == NULL || at == NULL) {
        beacond_conf_fail(check, "out of memory");
        return false;
    }

    if (beacon_kafka_owned(beacond_conf_str(name))) {
        beacond_conf_fail(check, "property \"%s\" is Beacon's own", name);
        return true;
    }

    other = beacond_conf_kafka_twice(kafka, name);

    if (other != NULL) {
        beacond_conf_fail(check, "property \"%s\" stands in %s, too", name,
                          other->at);
        return true;
    }

    properties = realloc(kafka->properties, (kafka->nproperties + 1)
                         * sizeof(beacond_conf_property_t));
    if (properties == NULL) {
        beacond_conf_fail(check, "out of memory");
        return false;
    }

    kafka->properties = properties;
    properties += kafka->nproperties++;
    properties->name = name;
    properties->value = value;
    properties->at = at;

    return true;
}

static void
beacond_conf_kafka_properties(beacond_conf_check_t *check,
    beacond_conf_kafka_t *kafka)
{
    size_t         i;
    const char    *name, *at;
    const json_t  *properties, *property, *value;

    properties = json_object_get(kafka->json, "properties");

    if (properties != NULL && !json_is_array(properties)) {
        beacond_conf_fail(check, "\"properties\" must be an array");
        return;
    }

    for (i = 0; i < json_array_size(properties); i++) {
        property = json_array_get(properties, i);
        name = json_string_value(json_object_get(property, "name"));
        value = json_object_get(property, "value");
        at = json_string_value(json_object_get(property, "at"));
        check->at = at ? at : "";

        if (name == NULL || *name == '\0' || !json_is_string(value)) {
            beacond_conf_fail(check, "a property needs a name and a value");

        } else if (!beacond_conf_kafka_add(check, kafka, name,
                                           json_string_value(value),
                                           check->at))
        {
            break;
        }
    }

    check->at = kafka->at;
}

/* The file. */

static const char *
beacond_conf_trim(const char *p, const char *end, size_t *len)
{
    while (p < end && isspace((unsigned char) *p)) {
        p++;
    }

    while (end > p && isspace((unsigned char) end[-1])) {
        end--;
    }

    *len = (size_t) (end - p);

    return p;
}

static bool
beacond_conf_kafka_line(beacond_conf_check_t *check,
    beacond_conf_kafka_t *kafka, const char *p, const char *end,
    unsigned line)
{
    char         at[4200];
    size_t       len, nvalue;
    const char  *equals, *value, *name, *kept;

    p = beacond_conf_trim(p, end, &len);

    if (len == 0 || *p == '#') {
        return true;
    }

    snprintf(at, sizeof(at), "%.4000s:%u", kafka->property_file, line);
    check->at = kept = beacond_conf_kafka_keep(kafka, at, strlen(at));

    if (kept == NULL) {
        check->at = "";
        beacond_conf_fail(check, "out of memory");
        return false;
    }

    end = p + len;
    equals = memchr(p, '=', len);

    if (equals == NULL || equals == p || memchr(p, '\0', len) != NULL) {
        beacond_conf_fail(check, "the line is no NAME=VALUE");
        return true;
    }

    value = beacond_conf_trim(equals + 1, end, &nvalue);
    p = beacond_conf_trim(p, equals, &len);
    name = beacond_conf_kafka_keep(kafka, p, len);
    value = beacond_conf_kafka_keep(kafka, value, nvalue);

    return beacond_conf_kafka_add(check, kafka, name, value, kept);
}

static bool
beacond_conf_kafka_text(beacond_conf_check_t *check,
    beacond_conf_kafka_t *kafka, const char *text, size_t len)
{
    unsigned     line = 0;
    const char  *p, *end, *stop;

    stop = text + len;

    for (p = text; p < stop; p = end + 1) {
        end = memchr(p, '\n', (size_t) (stop - p));

        if (end == NULL) {
            end = stop;
        }

        if (!beacond_conf_kafka_line(check, kafka, p, end, ++line)) {
            return false;
        }
    }

    return true;
}

bool
beacond_conf_kafka_secret(const beacond_conf_kafka_t *kafka)
{
    size_t  i;

    for (i = 0; i < kafka->nproperties; i++) {
        if (beacon_kafka_secret(beacond_conf_str(kafka->properties[i].name))) {
            return true;
        }
    }

    return false;
}

/* A secret that anybody can read: told, once for a file. */
static void
beacond_conf_kafka_exposed(beacond_conf_check_t *check,
    const beacond_conf_kafka_t *kafka, size_t first, const struct stat *st)
{
    size_t  i;

    if ((st->st_mode & S_IROTH) == 0) {
        return;
    }

    for (i = first; i < kafka->nproperties; i++) {
        if (beacon_kafka_secret(beacond_conf_str(kafka->properties[i].name))) {
            beacond_conf_warn(check, "\"%s\" holds \"%s\", and everybody may "
                              "read it: its mode should be 0640",
                              kafka->property_file,
                              kafka->properties[i].name);
            return;
        }
    }
}

static void
beacond_conf_kafka_file(beacond_conf_check_t *check,
    beacond_conf_kafka_t *kafka)
{
    char        *text;
    size_t       len, first;
    const char  *at;
    struct stat  st;

    if (kafka->property_file == NULL) {
        return;
    }

    at = json_string_value(json_object_get(kafka->json, "property_file_at"));
    check->at = at = at ? at : kafka->at;
    text = beacond_file_read(kafka->property_file, BEACOND_PROPERTIES_MAX, &st,
                             &len);

    if (text == NULL) {
        beacond_conf_fail(check, "cannot read \"%s\": %s",
                          kafka->property_file, strerror(errno));
        return;
    }

    first = kafka->nproperties;

    if (beacond_conf_kafka_text(check, kafka, text, len)) {
        check->at = at;
        beacond_conf_kafka_exposed(check, kafka, first, &st);
    }

    explicit_bzero(text, len);
    free(text);
}

/* What is no number, librdkafka tells. */
static void
beacond_conf_kafka_timeout(beacond_conf_kafka_t *kafka)
{
    long    ms;
    size_t  i;

    kafka->timeout_ms = BEACOND_SOCKET_TIMEOUT;

    for (i = 0; i < kafka->nproperties; i++) {
        if (strcmp(kafka->properties[i].name, "socket.timeout.ms") == 0) {
            ms = strtol(kafka->properties[i].value, NULL, 0);
            kafka->timeout_ms = ms > 0 && ms < INT_MAX ? (unsigned) ms : 0;
        }
    }
}

/* The object. */

static void
beacond_conf_kafka_template(beacond_conf_check_t *check, const char *what,
    const char *text)
{
    beacon_err_t        err;
    beacon_template_t  *tmpl;

    if (text == NULL) {
        return;
    }

    if (beacon_template_create(beacond_conf_str(text), &tmpl, &err)
        != BEACON_OK)
    {
        beacond_conf_fail(check, "%s \"%s\": %s", what, text, err.text);
        return;
    }

    if (strcmp(what, "topic") == 0
        && beacon_kafka_topic(tmpl, &err) != BEACON_OK)
    {
        beacond_conf_fail(check, "topic \"%s\": %s", text, err.text);
    }

    beacon_template_destroy(tmpl);
}

static void
beacond_conf_kafka_object(beacond_conf_check_t *check,
    beacond_conf_kafka_t *kafka)
{
    beacon_err_t  err;

    kafka->name = beacond_conf_string(check, kafka->json, "name", true);
    kafka->brokers = beacond_conf_string(check, kafka->json, "brokers", true);
    kafka->topic = beacond_conf_string(check, kafka->json, "topic", true);
    kafka->key = beacond_conf_string(check, kafka->json, "key", false);
    kafka->property_file = beacond_conf_string(check, kafka->json,
                                               "property_file", false);

    kafka->window = (uint32_t) beacond_conf_integer(check, kafka->json,
                        "window", BEACON_KAFKA_WINDOW,
                        BEACON_KAFKA_WINDOW_MIN, BEACON_KAFKA_WINDOW_MAX);
    kafka->max_topics = (uint32_t) beacond_conf_integer(check, kafka->json,
                            "max_topics", BEACON_KAFKA_TOPICS, 1,
                            BEACON_KAFKA_TOPICS_MAX);

    if (kafka->brokers != NULL
        && beacon_kafka_brokers(beacond_conf_str(kafka->brokers), &err)
           != BEACON_OK)
    {
        beacond_conf_fail(check, "brokers \"%s\": %s", kafka->brokers,
                          err.text);
    }

    beacond_conf_kafka_template(check, "topic", kafka->topic);
    beacond_conf_kafka_template(check, "key", kafka->key);
}

beacond_conf_kafka_t *
beacond_conf_kafka_create(const json_t *sink, beacond_conf_say_pt say,
    void *data)
{
    const char            *at;
    beacond_conf_kafka_t  *kafka;
    beacond_conf_check_t   check = { say, data, "", false };

    at = json_string_value(json_object_get(sink, "at"));
    check.at = at ? at : "";

    kafka = calloc(1, sizeof(beacond_conf_kafka_t));

    if (kafka == NULL) {
        beacond_conf_fail(&check, "out of memory");
        return NULL;
    }

    kafka->at = check.at;
    kafka->own = json_array();
    kafka->json = json_deep_copy(sink);

    if (kafka->own == NULL || kafka->json == NULL) {
        beacond_conf_fail(&check, "out of memory");
        beacond_conf_kafka_destroy(kafka);
        return NULL;
    }

    at = json_string_value(json_object_get(kafka->json, "at"));
    check.at = kafka->at = at ? at : "";

    beacond_conf_kafka_object(&check, kafka);
    beacond_conf_kafka_properties(&check, kafka);
    beacond_conf_kafka_file(&check, kafka);
    beacond_conf_kafka_timeout(kafka);

    if (check.failed) {
        beacond_conf_kafka_destroy(kafka);
        return NULL;
    }

    return kafka;
}

void
beacond_conf_kafka_destroy(beacond_conf_kafka_t *kafka)
{
    if (kafka == NULL) {
        return;
    }

    json_decref(kafka->json);
    json_decref(kafka->own);
    free(kafka->properties);
    free(kafka);
}

void
beacond_conf_check_kafka(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf)
{
    beacond_conf_kafka_t  *kafka;

    kafka = beacond_conf_kafka_create(sink, check->say, check->data);
    check->failed |= kafka == NULL
                     || beacond_kafka_check(kafka, check->say, check->data)
                        != BEACON_OK;

    if (kafka != NULL) {
        beacond_conf_kafka_stamp(conf, sink, kafka);
    }

    beacond_conf_kafka_destroy(kafka);
}
