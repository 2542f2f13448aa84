/* What Kafka takes as brokers and topics; whose a property is. */

#include "beacon_kafka.h"
#include "tap.h"

#include <string.h>

static beacon_str_t
str(const char *s)
{
    return (beacon_str_t) { strlen(s), (const uint8_t *) s };
}

static int
brokers(const char *text)
{
    beacon_err_t  err;

    return beacon_kafka_brokers(str(text), &err) == BEACON_OK;
}

/* "": taken; else why not. */
static const char *
topic(const char *text)
{
    beacon_rc_t          rc;
    static beacon_err_t  err;
    beacon_template_t   *tmpl;

    err.text[0] = '\0';

    if (beacon_template_create(str(text), &tmpl, &err) != BEACON_OK) {
        return "no template";
    }

    rc = beacon_kafka_topic(tmpl, &err);
    beacon_template_destroy(tmpl);

    return (rc == BEACON_OK) ? "" : err.text;
}

static void
test_brokers(void)
{
    size_t  i;

    static const char *const  good[] = {
        "a", "a:9092", "127.0.0.1:1", "[::1]:65535", "[2001:db8::1]",
        "k1.example.com:9092,k2.example.com:9093,k_3:1"
    };
    static const char *const  bad[] = {
        "", ",", "a,", ",a", "a:", "a:0", "a:65536", "a:x", "a:9092:1",
        "a b", "a, b", "PLAINTEXT://a:1", "[::1", "[]:1", "::1", "-a:1",
        "a:123456", "a/b", "h\xc3\xa9:1", "[a.example]:1:"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ok(brokers(good[i]), "brokers \"%s\" are taken", good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(!brokers(bad[i]), "brokers \"%s\" are refused", bad[i]);
    }
}

static void
test_topics(void)
{
    char  name[300];

    ok(!*topic("hits"), "a plain name is a topic");
    ok(!*topic("a.b_c-D9.$beacon_site.%Y%m%d"), "so is a template of one");
    ok(!*topic("..."), "so are three dots");
    ok(strstr(topic("."), "no topic"), "one is not");
    ok(strstr(topic(".."), "no topic"), "nor are two");
    ok(strstr(topic("a/b"), "is made of"), "a slash is refused");
    ok(strstr(topic("a b"), "is made of"), "so is a blank");
    ok(strstr(topic("a%%b"), "is made of"), "so is a percent sign");
    ok(strstr(topic("\xc3\xa9"), "is made of"), "so is what is not ASCII");

    memset(name, 'x', 250);
    name[249] = '\0';
    ok(!*topic(name), "249 bytes are a topic");
    name[249] = 'x';
    name[250] = '\0';
    ok(strstr(topic(name), "250 bytes"), "250 are not");
    strcpy(name + 186, "$beacon_site");
    ok(strstr(topic(name), "250 bytes"), "also where a site may fill them");
    strcpy(name + 185, "$beacon_site");
    ok(!*topic(name), "one less is taken");
}

static void
test_names(void)
{
    char          name[300];
    beacon_str_t  s = { 249, (const uint8_t *) name };

    memset(name, 'x', sizeof(name));
    ok(beacon_kafka_topic_name(str("a.b_c-D9")), "a name is one");
    ok(beacon_kafka_topic_name(str("...")), "so are three dots");
    ok(beacon_kafka_topic_name(str(".a")), "and a dot before others");
    ok(beacon_kafka_topic_name(s), "249 bytes are a topic's name");
    s.len = 250;
    ok(!beacon_kafka_topic_name(s), "250 are none");
    ok(!beacon_kafka_topic_name(str("")), "nor is nothing");
    ok(!beacon_kafka_topic_name(str(".")), "nor a dot");
    ok(!beacon_kafka_topic_name(str("..")), "nor two");
    ok(!beacon_kafka_topic_name(str("a/b")), "nor what has a slash");
}

static void
test_properties(void)
{
    ok(beacon_kafka_owned(str("acks")), "acks are Beacon's");
    ok(beacon_kafka_owned(str("request.required.acks")), "by any name");
    ok(beacon_kafka_owned(str("topic.acks")), "also with a prefix");
    ok(beacon_kafka_owned(str("test.mock.num.brokers")), "so is the cluster");
    ok(!beacon_kafka_owned(str("topic.")), "a prefix alone is nobody's");
    ok(!beacon_kafka_owned(str("acks.")), "other names are not");
    ok(!beacon_kafka_owned(str("linger.ms")), "linger.ms is not");
    ok(beacon_kafka_same(str("client.id"), str("client.id")), "the same name");
    ok(!beacon_kafka_same(str("client.id"), str("client.i")), "not another");
    ok(beacon_kafka_same(str("linger.ms"), str("queue.buffering.max.ms")),
       "two names of the same");
    ok(beacon_kafka_same(str("compression.type"),
                         str("topic.compression.codec")), "and a prefix");
    ok(!beacon_kafka_same(str("linger.ms"), str("retries")), "not any two");
    ok(beacon_kafka_secret(str("sasl.password")), "a password is a secret");
    ok(beacon_kafka_secret(str("ssl.key.pem")), "so is a key");
    ok(!beacon_kafka_secret(str("ssl.ca.location")), "a place is none");
}

int
main(void)
{
    test_brokers();
    test_topics();
    test_names();
    test_properties();

    return done_testing();
}
