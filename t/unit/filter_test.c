#include "beacon_filter.h"
#include "tap.h"

#include <string.h>

static beacon_filter_t  test_filter;
static beacon_str_t     test_drop[8], test_keep[8];

static uint32_t
test_names(beacon_str_t *names, const char *list)
{
    uint32_t     n;
    const char  *end;

    for (n = 0; *list; n++) {
        end = strchr(list, ' ');
        end = end ? end : list + strlen(list);
        names[n].data = (const uint8_t *) list;
        names[n].len = (size_t) (end - list);
        list = *end ? end + 1 : end;
    }

    return n;
}

static void
test_use(const char *drop, const char *keep)
{
    beacon_filter_init(&test_filter, test_drop, test_names(test_drop, drop),
                       test_keep, test_names(test_keep, keep));
}

typedef enum {
    TEST_QUERY,
    TEST_URL,
    TEST_PATH,
    TEST_JSON
} test_what_e;

/* In memory that is just as long as it must be, for sanitizers. */
static void
test_is(test_what_e what, const char *text, const char *expected)
{
    size_t         len;
    uint8_t       *src, *dst;
    beacon_rc_t    rc;
    beacon_str_t   out, in;
    beacon_json_t  json;

    len = strlen(text);
    src = malloc(len ? len : 1);
    dst = malloc(len ? len : 1);
    memcpy(src, text, len);
    in.data = src;
    in.len = len;
    rc = BEACON_OK;

    switch (what) {
    case TEST_QUERY:
        beacon_filter_query(&test_filter, in, dst, &out);
        break;
    case TEST_URL:
        beacon_filter_url(&test_filter, in, dst, &out);
        break;
    case TEST_PATH:
        beacon_filter_path(&test_filter, in, dst, &out);
        break;
    default:
        beacon_json_init(&json, 7);
        rc = beacon_filter_json(&test_filter, &json, in, dst, &out);
        beacon_json_dispose(&json);
        break;
    }

    if (expected == NULL) {
        ok(rc == BEACON_INVALID, "%s cannot be searched", text);

    } else if (!ok(rc == BEACON_OK && out.len == strlen(expected)
                   && memcmp(out.data, expected, out.len) == 0,
                   "%s becomes %s", text, expected)
               && rc == BEACON_OK)
    {
        printf("# %.*s\n", (int) out.len, (const char *) out.data);
    }

    if (expected && strcmp(text, expected) == 0) {
        ok(out.data == src, "and was not copied");
    }

    free(src);
    free(dst);
}

static void
test_places(void)
{
    test_use("email phone", "");
    test_is(TEST_QUERY, "", "");
    test_is(TEST_QUERY, "a=1", "a=1");
    test_is(TEST_QUERY, "email=x", "");
    test_is(TEST_QUERY, "email", "");
    test_is(TEST_QUERY, "email=x&a=1", "a=1");
    test_is(TEST_QUERY, "a=1&email=x", "a=1");
    test_is(TEST_QUERY, "a=1&email=x&b=2", "a=1&b=2");
    test_is(TEST_QUERY, "a=1&email=x&phone=2&b=2", "a=1&b=2");
    test_is(TEST_QUERY, "a=1&email=x&phone=2", "a=1");
    test_is(TEST_QUERY, "email=x&phone=2", "");
    test_is(TEST_QUERY, "email=x&a&email=y&b&email=z", "a&b");
    test_is(TEST_QUERY, "&email=x", "");
    test_is(TEST_QUERY, "email=x&", "");
    test_is(TEST_QUERY, "email=x&&a", "&a");
    test_is(TEST_QUERY, "a&&email=x&&b", "a&&&b");
    test_is(TEST_QUERY, "&&&", "&&&");
    test_is(TEST_QUERY,
            "the=first&of=many&arguments=which&are=longer&email=person%40x"
            "&than=sixteen&bytes=in&all=0123456789abcdef0123456789",
            "the=first&of=many&arguments=which&are=longer"
            "&than=sixteen&bytes=in&all=0123456789abcdef0123456789");
}

static void
test_spellings(void)
{
    test_use("email a+b x&y \xc3\xa9", "");
    test_is(TEST_QUERY, "%65mail=x", "");
    test_is(TEST_QUERY, "%65%6d%61%69%6C=x&a=1", "a=1");
    test_is(TEST_QUERY, "EMail=x&EMAIL", "");
    test_is(TEST_QUERY, "%45MAIL=x", "");
    test_is(TEST_QUERY, "email[]=x&email%5B0%5d[k]=y&Email%5b=z", "");
    test_is(TEST_QUERY, "emai=1&emails=2&xemail=3&email%20=4",
            "emai=1&emails=2&xemail=3&email%20=4");
    test_is(TEST_QUERY, "+email=1&%2565mail=2&%6mail=3&e-mail[email]=4",
            "+email=1&%2565mail=2&%6mail=3&e-mail[email]=4");
    test_is(TEST_QUERY, "email%00=1&%email=2&%", "email%00=1&%email=2&%");
    test_is(TEST_QUERY, "a=email&b=email=x", "a=email&b=email=x");
    test_is(TEST_QUERY, "a%2Bb=1&a+b=2&x%26y=3", "a+b=2");
    test_is(TEST_QUERY, "%C3%A9=1&\xc3\xa9=2&%C3=3", "%C3=3");
    test_is(TEST_QUERY, "email%3Dx=1", "email%3Dx=1");

    test_use("user[mail]", "");
    test_is(TEST_QUERY, "user[mail]=1&user[name]=2&user=3&USER%5Bmail]=4",
            "user[name]=2&user=3");
}

static void
test_kept(void)
{
    test_use("", "a site");
    test_is(TEST_QUERY, "a=1&site=2", "a=1&site=2");
    test_is(TEST_QUERY, "b=1&a=1&c&%73ite=2&=3&A=4&a[]=5", "a=1&%73ite=2");
    test_is(TEST_QUERY, "b=1&&c", "");
    test_is(TEST_QUERY, "&&", "&&");

    test_use("b", "a c");
    test_is(TEST_QUERY, "a=1&b=2&c=3&d=4", "a=1&c=3");
}

static void
test_urls(void)
{
    test_use("email", "");
    test_is(TEST_URL, "", "");
    test_is(TEST_URL, "https://x/", "https://x/");
    test_is(TEST_URL, "https://x/?", "https://x/?");
    test_is(TEST_URL, "https://x/?a=1", "https://x/?a=1");
    test_is(TEST_URL, "https://x/?email=1", "https://x/");
    test_is(TEST_URL, "https://x/?a=1&email=1&b", "https://x/?a=1&b");
    test_is(TEST_URL, "https://x/?a=1&email=1#f", "https://x/?a=1");
    test_is(TEST_URL, "https://x/?a=1#email=1", "https://x/?a=1");
    test_is(TEST_URL, "https://x/#/r?email=1", "https://x/");
    test_is(TEST_URL, "https://x/?a=b?email=1&%65mail=2",
            "https://x/?a=b?email=1");
    test_is(TEST_URL, "?email=1&a", "?a");
    test_is(TEST_URL, "email=1", "email=1");
    test_is(TEST_URL, "https://x/i;email=1;a=2?email=3&b=4#c",
            "https://x/i;a=2?b=4");
    test_is(TEST_URL, "https://x/i;email=1?b=4", "https://x/i?b=4");
    test_is(TEST_URL, "https://x/i;email=1?", "https://x/i?");
    test_is(TEST_URL, "https://x/i;email=1?email=2", "https://x/i");
    test_is(TEST_URL, "https://x/?{\"email\":1}", "https://x/");
    test_is(TEST_URL, "https://x/;email=1?+%5B%7B%22email%22:1%7D&a=1",
            "https://x/");
}

static void
test_paths(void)
{
    test_use("email phone", "");
    test_is(TEST_PATH, "", "");
    test_is(TEST_PATH, "/", "/");
    test_is(TEST_PATH, "/a/email=1/b", "/a/email=1/b");
    test_is(TEST_PATH, "/a;b=1;c", "/a;b=1;c");
    test_is(TEST_PATH, "/a;email=1", "/a");
    test_is(TEST_PATH, "/a;email=1;b=2;PHONE=3;c", "/a;b=2;c");
    test_is(TEST_PATH, "/a;;email;;%65mail[x]=1;", "/a;;;");
    test_is(TEST_PATH, "/a;email=1/2;b/c", "/a;b/c");
    test_is(TEST_PATH, "/a;b=email;emails=1", "/a;b=email;emails=1");
    test_is(TEST_PATH, "/a#email=1", "/a");
    test_is(TEST_PATH, "/a;b#;email=1", "/a;b");
    test_is(TEST_PATH, ";email=1", "");

    test_use("", "a");
    test_is(TEST_PATH, "/x;a=1;b=2;;c", "/x;a=1;");
}

static void
test_is_json(void)
{
    static const char *const  json[] = {
        "{", "{\"a\":1}", " \t\r\n{", "[{", "%5B%7b", "+[+[{"
    };
    static const char *const  query[] = {
        "", "a={", "[a]=1", "[]", "%7", "]{", "\"{", "&{"
    };
    size_t  i;

    for (i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
        ok(beacon_filter_is_json((beacon_str_t) {
               strlen(json[i]), (const uint8_t *) json[i] }),
           "a text begins like JSON (%zu)", i);
    }

    for (i = 0; i < sizeof(query) / sizeof(query[0]); i++) {
        ok(!beacon_filter_is_json((beacon_str_t) {
               strlen(query[i]), (const uint8_t *) query[i] }),
           "\"%s\" does not", query[i]);
    }
}

static void
test_json(void)
{
    test_use("email phone \xc3\xa9", "");
    test_is(TEST_JSON, "{}", "{}");
    test_is(TEST_JSON, " { } ", " { } ");
    test_is(TEST_JSON, "{\"a\":1}", "{\"a\":1}");
    test_is(TEST_JSON, "{\"email\":1}", "{}");
    test_is(TEST_JSON, "{\"email\":1,\"a\":2}", "{\"a\":2}");
    test_is(TEST_JSON, "{\"a\":2,\"email\":1}", "{\"a\":2}");
    test_is(TEST_JSON, "{\"email\":1,\"a\":2,\"phone\":1}", "{\"a\":2}");
    test_is(TEST_JSON, "{\"a\":2,\"email\":1,\"Phone\":1,\"b\":3}",
            "{\"a\":2,\"b\":3}");
    test_is(TEST_JSON, "{ \"a\" : 2 ,\t \"email\" : 1 } ", "{ \"a\" : 2 } ");
    test_is(TEST_JSON, "{ \"email\" : [1,{\"x\":\"}\\\"]\"}] , \"a\":[] }",
            "{ \"a\":[] }");
    test_is(TEST_JSON, "{\"\\u0065mail\":1,\"e\\u006Dail[]\":2}", "{}");
    test_is(TEST_JSON, "{\"\\u00e9\":1,\"\\u00E9t\":2}", "{\"\\u00E9t\":2}");
    test_is(TEST_JSON, "{\"a\":{\"email\":1}}", "{\"a\":{\"email\":1}}");
    test_is(TEST_JSON, "{\"a\":\"\\\\\",\"email\":\"\\\"\"}",
            "{\"a\":\"\\\\\"}");
    test_is(TEST_JSON, "{\"a\":\"{\",\"email\":\"b,c\",\"d\":\"]\"}",
            "{\"a\":\"{\",\"d\":\"]\"}");
    test_is(TEST_JSON, "{\"email\\u0000\":1}", "{\"email\\u0000\":1}");
    test_is(TEST_JSON, "{\"a\":1,\"a\":2}", NULL);
    test_is(TEST_JSON, "{\"email\":1,\"\\u0065mail\":2}", NULL);
    test_is(TEST_JSON, "{\"email\":1", NULL);
    test_is(TEST_JSON, "[{\"email\":1}]", "[{}]");
    test_is(TEST_JSON, "[]", "[]");
    test_is(TEST_JSON, " [ ] ", " [ ] ");
    test_is(TEST_JSON, "[{}, {\"a\":1}]", "[{}, {\"a\":1}]");
    test_is(TEST_JSON, "[ {\"email\":1,\"a\":[{\"email\":1}]} , "
                       "{\"b\":2,\"Email\":{}} ]",
            "[ {\"a\":[{\"email\":1}]} , {\"b\":2} ]");
    test_is(TEST_JSON, "[{\"a\":1,\"email\":1},{\"email\":1,\"a\":1}]",
            "[{\"a\":1},{\"a\":1}]");
    test_is(TEST_JSON, "[{\"email\":1},{\"email\":1}]", "[{},{}]");
    test_is(TEST_JSON, "[{\"email\":1},2]", NULL);
    test_is(TEST_JSON, "[\"email\",{}]", NULL);
    test_is(TEST_JSON, "[[{\"email\":1}]]", NULL);
    test_is(TEST_JSON, "[null]", NULL);
    test_is(TEST_JSON, "[{\"email\":1}", NULL);
    test_is(TEST_JSON, "\"{email}\"", NULL);
    test_is(TEST_JSON, "17", NULL);
    test_is(TEST_JSON, "email=x", NULL);
    test_is(TEST_JSON, "", NULL);

    test_use("", "a");
    test_is(TEST_JSON, "{\"b\":1,\"a\":2,\"A\":3,\"\":4}", "{\"a\":2}");
    test_is(TEST_JSON, "{ }", "{ }");
}

/* The longest name, and names that are longer. */
static void
test_long(void)
{
    char          text[2 * BEACON_FILTER_NAME_MAX + 32];
    uint8_t       name[BEACON_FILTER_NAME_MAX], dst[sizeof(text)];
    beacon_str_t  in, out;

    memset(name, 'n', sizeof(name));
    test_drop[0].data = name;
    test_drop[0].len = sizeof(name);
    beacon_filter_init(&test_filter, test_drop, 1, NULL, 0);

    in.data = (const uint8_t *) text;
    in.len = (size_t) sprintf(text, "a&%.255s=1&b", (const char *) name);
    beacon_filter_query(&test_filter, in, dst, &out);
    ok(out.len == 3 && memcmp(out.data, "a&b", 3) == 0,
       "a name of 255 bytes is dropped");

    in.len = (size_t) sprintf(text, "%.255sn=1&b", (const char *) name);
    beacon_filter_query(&test_filter, in, dst, &out);
    ok(out.data == in.data && out.len == in.len, "one of 256 bytes is not it");

    in.len = (size_t) sprintf(text, "%.255s[n]=1&b", (const char *) name);
    beacon_filter_query(&test_filter, in, dst, &out);
    ok(out.len == 1, "with a subscript it is");
}

int
main(void)
{
    test_places();
    test_spellings();
    test_kept();
    test_urls();
    test_paths();
    test_is_json();
    test_json();
    test_long();

    return done_testing();
}
