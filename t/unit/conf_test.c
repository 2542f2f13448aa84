#include "beacond_conf.h"
#include "beacond_conf_kafka.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING   "\"ring\":{\"dir\":\"/run/b\",\"epoch\":\"00000000000000a1\"," \
               "\"lane_size\":65536,\"lanes\":2,\"at\":\"n.conf:3\"}"
#define LOG    "{\"type\":\"log\",\"name\":\"log\",\"path\":\"/l/%Y.log\","   \
               "\"at\":\"n.conf:5\"}"
#define HEAD   "{\"v\":2,\"generation\":7,\"edge\":\"web7\","
#define SINKS(s)  HEAD RING ",\"sinks\":[" s "]}"

/* All that was said, one line each: at|text. */
static char  said[16384];

static void
say(void *data, const char *at, const char *text)
{
    size_t  len;

    (void) data;

    len = strlen(said);
    snprintf(said + len, sizeof(said) - len, "%s|%s\n", at, text);
}

static beacond_conf_t *
parse(const char *text)
{
    said[0] = '\0';
    return beacond_conf_parse(text, strlen(text), say, NULL);
}

/* The text is unusable, and this is said. */
static int
refused(const char *text, const char *want)
{
    int              good;
    beacond_conf_t  *conf;

    conf = parse(text);
    good = (conf == NULL && strstr(said, want) != NULL);
    beacond_conf_destroy(conf);

    if (!good) {
        printf("# said: %s\n", said);
    }

    return good;
}

/* The text is usable but flawed, and this is said. */
static int
flawed(const char *text, const char *want)
{
    int              good;
    beacond_conf_t  *conf;

    conf = parse(text);
    good = (conf != NULL && conf->flawed && strstr(said, want) != NULL);
    beacond_conf_destroy(conf);

    if (!good) {
        printf("# said: %s\n", said);
    }

    return good;
}

static void
test_good(void)
{
    beacond_conf_t  *conf;

    conf = parse(HEAD RING ",\"build\":\"0.1.0\","
                 "\"helper\":{\"threads\":3,\"external\":true,"
                 "\"log\":\"warn\"},"
                 "\"spool\":{\"dir\":\"/var/spool/b\",\"size\":1000,"
                 "\"min_free\":7,\"at\":\"n.conf:4\"},\"more\":{},"
                 "\"sinks\":[" LOG "]}");

    ok(conf != NULL && said[0] == '\0' && !conf->flawed,
       "a whole configuration is taken without a word");
    ok(conf->generation == 7 && strcmp(conf->edge, "web7") == 0
       && strcmp(conf->dir, "/run/b") == 0 && conf->epoch == 0xa1
       && strcmp(conf->build, "0.1.0") == 0,
       "its general part is read");
    ok(conf->threads == 3 && conf->external
       && strcmp(conf->log_level, "warn") == 0, "its helper part is read");
    ok(strcmp(conf->spool, "/var/spool/b") == 0 && conf->spool_size == 1000
       && conf->spool_min_free == 7, "its spool is read");
    ok(conf->nsinks == 1 && strcmp(conf->sinks[0].type, "log") == 0
       && strcmp(conf->sinks[0].name, "log") == 0
       && strcmp(conf->sinks[0].at, "n.conf:5") == 0,
       "its sink is read, with its place");

    beacond_conf_destroy(conf);

    conf = parse("{\"v\":1,\"edge\":\"e\"," RING ",\"spool\":{\"dir\":\"/s\"},"
                 "\"sinks\":[" LOG "]}");
    ok(conf != NULL && conf->spool_min_free == 5
       && conf->spool_size == 10ULL << 30 && conf->threads == 1
       && !conf->external && conf->generation == 0,
       "version 1 is read, and what is absent has its default");
    beacond_conf_destroy(conf);

    conf = parse("{\"v\":2,\"edge\":\"e\",\"ring\":{\"dir\":\"/run/b\"},"
                 "\"sinks\":[" LOG "]}");
    ok(conf != NULL && conf->epoch == 0 && conf->spool == NULL,
       "without an epoch (nginx -t) and a spool it is a configuration, too");
    beacond_conf_destroy(conf);

    conf = parse(SINKS(""));
    ok(conf != NULL && !conf->flawed
       && strstr(said, "|warning: no sink is durable") != NULL,
       "no durable sink is a warning");
    beacond_conf_destroy(conf);
}

static void
test_unusable(void)
{
    ok(refused("", "|"), "nothing is not a configuration");
    ok(refused("{\"v\":2,", "beacon.json:1|"),
       "broken JSON is refused with its line");
    ok(refused("[]", "version 0"), "an array is refused");
    ok(refused("{\"v\":3}", "version 3"), "a later version is refused");
    ok(refused("{\"v\":0}", "version 0"), "an earlier version is refused");
    ok(refused("{\"v\":2,\"v\":2}", "duplicate"),
       "a key that stands twice is refused");
    ok(refused(HEAD "\"sinks\":[]}", "there is no ring"),
       "a configuration without a ring is refused");
    ok(refused("{\"v\":2," RING "}", "|\"edge\" must be"),
       "one without an edge is refused");
    ok(refused("{\"v\":2,\"edge\":\"a b\"," RING "}", "edge \"a b\""),
       "an edge with a space is refused");
    ok(refused(HEAD "\"ring\":{\"dir\":\"run\",\"at\":\"n.conf:3\"}}",
               "n.conf:3|ring directory \"run\""),
       "a relative directory is refused by its place");
    ok(refused(HEAD "\"ring\":{\"dir\":\"/a/../b\"}}", "absolute"),
       "a directory with dots is refused");
    ok(refused(HEAD "\"ring\":{\"dir\":\"/run/b\",\"epoch\":\"A1\"}}",
               "16 hex digits"), "an epoch of another form is refused");
    ok(refused(HEAD "\"ring\":{\"dir\":\"/run/b\",\"lanes\":0}}",
               "\"lanes\" must be a number from 1"),
       "a ring without lanes is refused");
    ok(refused(HEAD RING ",\"helper\":{\"threads\":65}}", "\"threads\""),
       "too many threads are refused");
    ok(refused(HEAD RING ",\"helper\":{\"external\":1}}", "true or false"),
       "a number is not a truth value");
    ok(refused(HEAD RING ",\"spool\":{\"dir\":\"/run/b/s\"}}", "one another"),
       "a spool in the ring's directory is refused");
    ok(refused(HEAD RING ",\"spool\":{\"dir\":\"/run\"}}", "one another"),
       "a ring in the spool's directory is refused");
    ok(refused(HEAD RING ",\"spool\":{\"dir\":\"/s\",\"min_free\":100}}",
               "\"min_free\""), "a spool that must stay empty is refused");
    ok(refused(SINKS("{\"type\":\"log\"}"), "\"name\""),
       "a sink without a name is refused");
    ok(refused(SINKS("{\"type\":\"what\",\"name\":\"w\",\"at\":\"n.conf:9\"}"),
               "n.conf:9|unknown sink type \"what\""),
       "an unknown type is refused by its place");
    ok(refused(SINKS("{\"type\":\"log\",\"name\":\"a/b\",\"path\":\"/l/x\"}"),
               "sink name \"a/b\""), "a name that is a path is refused");
    ok(refused(SINKS("{\"type\":\"log\",\"name\":\".a\",\"path\":\"/l/x\"}"),
               "sink name"), "a name with a leading dot is refused");
    ok(refused(SINKS(LOG "," LOG), "two sinks of the name \"log\""),
       "two sinks of one name are refused");
    ok(refused(SINKS(LOG ",{\"type\":\"log\",\"name\":\"l2\","
                     "\"path\":\"/l/%Y.log\"}"), "write the same files"),
       "two sinks of one path are refused");
    ok(refused(SINKS("3"), "a sink must be an object"),
       "a sink that is a number is refused");
}

#define OWN(members)  SINKS("{\"type\":\"log\",\"name\":\"log\","             \
                            "\"at\":\"n.conf:5\"," members "}")

static void
test_flawed(void)
{
    ok(flawed(OWN("\"max_files\":1"), "n.conf:5|\"path\""),
       "a log without a path is told");
    ok(flawed(OWN("\"path\":\"/l/$nope\""), "n.conf:5|\"/l/$nope\""),
       "an unknown variable is told with its place");
    ok(flawed(OWN("\"path\":\"l/x\""), "n.conf:5|\"l/x\""),
       "a relative path is told");
    ok(flawed(OWN("\"path\":\"/l/../x\""), "\"/l/../x\""),
       "a path that leaves its directory is told");
    ok(flawed(OWN("\"path\":\"/run/b/x\""), "lies in the ring's directory"),
       "a log among the ring's files is told");
    ok(flawed(OWN("\"path\":\"/l/x\",\"timezone\":\"Nowhere/At\""),
              "n.conf:5|"), "an unknown time zone is told");
    ok(flawed(OWN("\"path\":\"/l/x\",\"timezone\":\"%Y\""), "timezone"),
       "a time zone that varies with the time is told");
    ok(flawed(OWN("\"path\":\"/l/x\",\"sync\":\"often\""), "sync \"often\""),
       "an unknown sync is told");
    ok(flawed(OWN("\"path\":\"/l/x\",\"max_files\":0"), "\"max_files\""),
       "a log without files is told");
    ok(flawed(OWN("\"path\":\"/l/$nope\",\"sync\":\"often\""), "sync"),
       "all complaints are told, not only the first");
    ok(flawed(SINKS("{\"type\":\"ids\",\"name\":\"i\",\"path\":\"x\"}"),
              "absolute"), "a relative file of ids is told");
}

static void
test_sync(void)
{
    int  ms;

    ok(beacond_conf_sync("always", &ms) == BEACON_OK && ms == 0,
       "sync always");
    ok(beacond_conf_sync("off", &ms) == BEACON_OK && ms == BEACOND_SYNC_OFF,
       "sync off");
    ok(beacond_conf_sync("1s", &ms) == BEACON_OK && ms == 1000, "sync 1s");
    ok(beacond_conf_sync("250ms", &ms) == BEACON_OK && ms == 250,
       "sync 250ms");
    ok(beacond_conf_sync("86400s", &ms) == BEACON_OK && ms == 86400000,
       "sync once a day");
    ok(beacond_conf_sync("86401s", &ms) == BEACON_INVALID
       && beacond_conf_sync("0s", &ms) == BEACON_INVALID
       && beacond_conf_sync("-1s", &ms) == BEACON_INVALID
       && beacond_conf_sync(" 1s", &ms) == BEACON_INVALID
       && beacond_conf_sync("1", &ms) == BEACON_INVALID
       && beacond_conf_sync("1d", &ms) == BEACON_INVALID
       && beacond_conf_sync("", &ms) == BEACON_INVALID
       && beacond_conf_sync("99999999999999999999s", &ms) == BEACON_INVALID,
       "other words are no sync");
}

static void
test_file(void)
{
    said[0] = '\0';
    ok(beacond_conf_read("/nonexistent/beacon.json", say, NULL) == NULL
       && strstr(said, "cannot read \"/nonexistent/beacon.json\"") != NULL,
       "a file that is not there is told");

    said[0] = '\0';
    ok(beacond_conf_read("/dev/zero", say, NULL) == NULL
       && strstr(said, "too large") != NULL, "an endless file is told");

    said[0] = '\0';
    ok(beacond_conf_read("/proc/self", say, NULL) == NULL && said[0] != '\0',
       "a directory is told");
}

#define KAFKA(more)  "{\"type\":\"kafka\",\"name\":\"kafka\","         \
    "\"brokers\":\"k1:9092,k2\",\"topic\":\"hits.$beacon_site\"," more         \
    "\"at\":\"n.conf:8\"}"
#define PROPERTY(name)  KAFKA("\"properties\":[{\"name\":\"" name "\","        \
    "\"value\":\"hunter2\",\"at\":\"n.conf:9\"}],")

/* One sink's object, with a property file of this text; "": none. */
static beacond_conf_kafka_t *
kafka(const char *object, const char *file, int mode)
{
    int                    fd;
    char                   name[] = "/tmp/beacon-conf-test.XXXXXX";
    json_t                *json;
    beacond_conf_kafka_t  *conf;

    said[0] = '\0';
    json = json_loads(object, 0, NULL);
    fd = mkstemp(name);

    if (*file != '\0' && fd >= 0) {
        dprintf(fd, "%s", file);
        fchmod(fd, (mode_t) mode);
        json_object_set_new(json, "property_file", json_string(name));
        json_object_set_new(json, "property_file_at", json_string("n:10"));
    }

    conf = beacond_conf_kafka_create(json, say, NULL);
    json_decref(json);
    unlink(name);
    close(fd);

    return conf;
}

static int
kafka_refused(const char *object, const char *file, const char *want)
{
    int                    good;
    beacond_conf_kafka_t  *conf;

    conf = kafka(object, file, 0600);
    good = (conf == NULL && strstr(said, want) != NULL
            && strstr(said, "hunter2") == NULL);
    beacond_conf_kafka_destroy(conf);

    if (!good) {
        printf("# said: %s\n", said);
    }

    return good;
}

static void
test_kafka(void)
{
    beacond_conf_kafka_t  *conf;

    ok(flawed(SINKS("{\"type\":\"kafka\",\"name\":\"k\",\"topic\":\"t\","
                    "\"at\":\"n.conf:8\"}"),
              "n.conf:8|\"brokers\" must be"),
       "a kafka sink without brokers is told by its place");

    conf = kafka(KAFKA(""), "", 0);
    ok(conf != NULL && conf->window == 10000 && conf->max_topics == 512
       && conf->key == NULL && conf->nproperties == 0,
       "a kafka sink has defaults");
    ok(conf && conf->timeout_ms == 30000, "a request may take 30 s");
    beacond_conf_kafka_destroy(conf);

    conf = kafka(KAFKA(""), "socket.timeout.ms=120000", 0640);
    ok(conf && conf->timeout_ms == 120000, "or as long as the file says");
    beacond_conf_kafka_destroy(conf);

    conf = kafka(PROPERTY("linger.ms"),
                 "# ssl\r\n\n sasl.password = a=b #c \nclient.id=", 0640);
    ok(conf != NULL && conf->nproperties == 3
       && strcmp(conf->properties[0].at, "n.conf:9") == 0
       && strcmp(conf->properties[1].name, "sasl.password") == 0
       && strcmp(conf->properties[1].value, "a=b #c") == 0
       && strstr(conf->properties[1].at, ":3") != NULL
       && *conf->properties[2].value == '\0' && *said == '\0',
       "properties come from the configuration, then from the file");
    beacond_conf_kafka_destroy(conf);

    conf = kafka(KAFKA(""), "sasl.password=hunter2", 0644);
    ok(conf != NULL && strstr(said, "n:10|warning: ") != NULL
       && strstr(said, "sasl.password") && !strstr(said, "hunter2"),
       "a secret that everybody may read is warned of, and not told");
    beacond_conf_kafka_destroy(conf);

    ok(kafka_refused(PROPERTY("acks"), "", "n.conf:9|property \"acks\" is "),
       "a property that is Beacon's own is refused in its place");
    ok(kafka_refused(KAFKA(""), "\nrequest.required.acks=hunter2",
                     ":2|property \"request.required.acks\" is "),
       "in the file too, by its aliases");
    ok(kafka_refused(KAFKA(""), "hunter2", ":1|the line is no NAME=VALUE"),
       "a line that is none is told by its number alone");
    ok(kafka_refused(KAFKA("\"property_file\":\"/nowhere/x\","), "",
                     "n.conf:8|cannot read \"/nowhere/x\": No such file"),
       "so is a file that is not there");
    ok(kafka_refused(KAFKA("\"window\":0,"), "", "\"window\" must be"),
       "a window holds a message at least");
    ok(kafka_refused(KAFKA("\"key\":\"$nope\","), "", "key \"$nope\": "),
       "a key is a template");
}

static void
test_places(void)
{
    json_t  *json, *bare;

    json = json_loads(PROPERTY("a"), 0, NULL);
    bare = beacond_conf_placeless(json);
    ok(bare != NULL && json_object_get(bare, "at") == NULL
       && json_object_get(json_array_get(json_object_get(bare, "properties"),
                                         0), "at") == NULL
       && json_object_get(json_array_get(json_object_get(bare, "properties"),
                                         0), "value") != NULL,
       "what a sink is does not depend on where it stands");
    json_decref(json);
    json_decref(bare);
}

int
main(void)
{
    test_good();
    test_unusable();
    test_flawed();
    test_sync();
    test_file();
    test_kafka();
    test_places();

    return done_testing();
}
