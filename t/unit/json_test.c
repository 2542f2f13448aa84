#include "beacon_json.h"
#include "tap.h"

#include <string.h>

static beacon_json_t  test_json;

static int
test_is(const char *text, size_t len)
{
    /* exactly as long as it is, so that a sanitizer sees a step too far */
    int       valid;
    uint8_t  *copy;

    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    valid = beacon_json_check(&test_json, (beacon_str_t) { len, copy })
            == BEACON_OK;
    free(copy);

    return valid;
}

static void
test_lists(void)
{
    size_t  i;

    static const char *const  valid[] = {
        "{}", "[]", "0", "-0", "1", "-12.5e+7", "1E5", "0.0", "true", "false",
        "null", "\"\"", " [ 1 , 2 ] ", "\t\r\n{\"a\" : 1}\n",
        "{\"a\":1,\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":1}]}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "\"\\ud83d\\ude00\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\x7f\"", "{\"\":1}",
        "{\"a\":1,\"A\":1}", "{\"a\":1,\"a\\u0000\":1}", "\"\\uFFFD\"",
        "[[],[[]],{}]"
    };
    static const char *const  invalid[] = {
        "", " ", "{", "[", "}", "]", "{]", "[}", "[1,]", "{\"a\":1,}", "[,1]",
        "{,}", "{\"a\"}", "{\"a\":}", "{a:1}", "{1:1}", "[1 2]", "1 2", "01",
        "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "- 1", "NaN", "Infinity",
        "tru", "True", "nulll", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"",
        "\"\\u12g4\"", "\"\n\"", "\"\x01\"", "\"\\ud83d\"", "\"\\ude00\"",
        "\"\\ud83d\\u0041\"", "\"\\ud83d\\ud83d\"", "\"\\ud83d\\ue000\"",
        "\"\\ud83dx\"", "\"\xff\"",
        "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
        "\"\xe2\x82\"", "\xef\xbb\xbf{}", "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}", "{\"\\u00e9\":1,\"\xc3\xa9\":2}",
        "{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
        "{\"\":1,\"\":2}", "{\"/\":1,\"\\/\":2}", "[{\"a\":1,\"b\":2,\"a\":3}]",
        "{\"a\":{\"b\":1},\"b\":2,\"a\":3}", "/**/1", "'a'", "[1]]", "{}{}"
    };

    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        ok(test_is(valid[i], strlen(valid[i])), "%zu is JSON", i);
    }

    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        ok(!test_is(invalid[i], strlen(invalid[i])), "%zu is not JSON", i);
    }

    ok(!test_is("1\0", 2), "a NUL is no space");
    ok(!test_is("\"\\\0\"", 4), "a NUL is no escape");
}

static int
test_repeat(const char *open, const char *middle, const char *close, size_t n)
{
    int      valid;
    char    *text, *p;
    size_t   i;

    text = malloc(n * (strlen(open) + strlen(close)) + strlen(middle) + 1);

    for (p = text, i = 0; i < n; i++) {
        p = stpcpy(p, open);
    }

    p = stpcpy(p, middle);

    for (i = 0; i < n; i++) {
        p = stpcpy(p, close);
    }

    valid = test_is(text, (size_t) (p - text));
    free(text);

    return valid;
}

static void
test_depth(void)
{
    ok(test_repeat("[", "", "]", 32), "32 levels are JSON");
    ok(!test_repeat("[", "", "]", 33), "33 levels are refused");
    ok(test_repeat("{\"a\":", "1", "}", 32), "32 objects are JSON");
    ok(!test_repeat("{\"a\":", "1", "}", 33), "33 objects are refused");
    ok(!test_repeat("[", "", "]", 1000000), "a million levels are refused");
    ok(!test_repeat("[", "", "", 1000000), "a million brackets are refused");
    ok(test_repeat("1", "", "", 1000000), "a million digits are a number");
    ok(test_repeat("1", ".5e", "7", 1000000), "so are they around a point");
}

/* n keys, the last one as key number last. */
static int
test_keys(int n, int last)
{
    int    i, valid;
    char  *text, *p;

    text = malloc((size_t) n * 20 + 2);
    p = stpcpy(text, "{");

    for (i = 0; i < n; i++) {
        p += sprintf(p, "\"k%d\":0,", i == n - 1 ? last : i);
    }

    p[-1] = '}';
    valid = test_is(text, (size_t) (p - text));
    free(text);

    return valid;
}

static void
test_many_keys(void)
{
    ok(test_keys(100000, 99999), "a hundred thousand keys are JSON");
    ok(!test_keys(100000, 0), "the last of them equal to the first is not");
    ok(!test_keys(100000, 99998), "nor to the one before");
    ok(test_keys(3, 2) && !test_keys(3, 0), "small texts find room as before");
}

int
main(void)
{
    beacon_json_init(&test_json, 0x9e3779b97f4a7c15ULL);
    test_lists();
    test_depth();
    test_many_keys();
    beacon_json_dispose(&test_json);

    beacon_json_init(&test_json, 0);
    ok(test_keys(1000, 999) && !test_keys(1000, 5), "any seed will do");
    beacon_json_dispose(&test_json);

    return done_testing();
}
