/* Templates: what is taken, what is refused, and what becomes of a hit. */

#include "beacon_template.h"
#include "tap.h"

#include <string.h>

static beacon_str_t
str(const char *s)
{
    return (beacon_str_t) { strlen(s), (const uint8_t *) s };
}

/* Evaluates a template at a time in UTC; NULL: it is refused. */
static const char *
eval(const char *text, const char *site, const char *value, time_t t)
{
    size_t              n;
    struct tm           tm;
    static char         out[4096];
    beacon_str_t        values[2] = { str(value), str("second") };
    beacon_template_t  *tmpl;

    if (beacon_template_create(str(text), &tmpl, NULL) != BEACON_OK) {
        return NULL;
    }

    gmtime_r(&t, &tm);
    n = beacon_template_eval(tmpl, str(site), values, &tm, t, out,
                             sizeof(out) - 1);
    out[n] = '\0';
    beacon_template_destroy(tmpl);

    return out;
}

static int
gives(const char *text, const char *site, const char *value,
    const char *expected)
{
    const char  *got = eval(text, site, value, 1795300561);

    if (got && strcmp(got, expected) == 0) {
        return 1;
    }

    printf("# got %s\n", got ? got : "a refusal");

    return 0;
}

/* 1: the template is a path; its fixed directory is "dir". */
static int
path(const char *text, const char *dir)
{
    int                 good;
    beacon_err_t        err;
    beacon_str_t        fixed;
    beacon_template_t  *tmpl;

    if (beacon_template_create(str(text), &tmpl, &err) != BEACON_OK) {
        return 0;
    }

    good = beacon_template_path(tmpl, &fixed, &err) == BEACON_OK;

    if (good && dir) {
        good = fixed.len == strlen(dir) && memcmp(fixed.data, dir, fixed.len)
                                           == 0;
    }

    beacon_template_destroy(tmpl);

    return good;
}

static void
values(void)
{
    char    longest[200], expected[200];
    size_t  i;

    ok(gives("/v/$beacon_site/%Y-%m-%d.jsonl", "shop", "",
             "/v/shop/2026-11-21.jsonl"), "site and date are put in");
    ok(gives("/v/${beacon_site}x$beacon_field_a.y", "shop", "GR",
             "/v/shopxGR.y"), "braces end a name");
    ok(gives("/v/$beacon_field_a", "s", "../../etc/passwd",
             "/v/_._.._etc_passwd"), "a value cannot name another directory");
    ok(gives("/v/$beacon_field_a", "s", "..", "/v/_.")
       && gives("/v/$beacon_field_a", "s", ".", "/v/_"),
       "a value is never a dot or two");
    ok(gives("/v/$beacon_field_a", "s", "", "/v/_"),
       "an empty value is an underscore");
    ok(gives("/v/$beacon_field_a", "s", "a b\n\"\xc3\xa9~", "/v/a_b_____"),
       "other bytes become underscores");
    ok(gives("/v/$beacon_site", "../x", "", "/v/_._x")
       && gives("/v/$beacon_site", ".", "", "/v/_")
       && gives("/v/$beacon_site", "a/b", "", "/v/a_b")
       && gives("/v/$beacon_site", "", "", "/v/_"),
       "a site that is none is treated like a value");
    ok(gives("/v/$beacon_site", "_overflow", "", "/v/_overflow"),
       "the overflow's name stands");

    memset(longest, 'a', sizeof(longest));
    longest[199] = '\0';
    strcpy(expected, "/v/");

    for (i = 3; i < 3 + BEACON_TEMPLATE_VALUE_MAX; i++) {
        expected[i] = 'a';
    }

    expected[i] = '\0';
    ok(gives("/v/$beacon_arg_x", "s", longest, expected)
       && gives("/v/$beacon_site", longest, "", expected),
       "values are cut at 64 bytes");
    ok(gives("/v/%%Y$beacon_id", "s", "", "/v/%Y_"), "%%%% is a per cent");
    ok(eval("/v/12345", "s", "", 0) && strlen(eval("/v/1", "s", "", 0)) == 4,
       "a constant template is itself");
}

/* Every conversion against libc, in the C locale. */
static void
conversions(void)
{
    int                       i, j, bad = 0;
    char                      text[8], expected[64];
    time_t                    t;
    struct tm                 tm;
    const char               *got;
    static const char *const  all = "YmdHMSjGVuyFs";

    srand(1);
    setenv("TZ", "UTC", 1);             /* for libc's %s */

    for (i = 0; i < 200000; i++) {
        t = ((time_t) rand() * 2 + rand() % 2) % 4102444800;
        gmtime_r(&t, &tm);
        j = i % 13;
        snprintf(text, sizeof(text), "%%%c", all[j]);
        strftime(expected, sizeof(expected), text, &tm);
        got = eval(text, "s", "", t);

        if (strcmp(got, expected) != 0 && bad++ == 0) {
            printf("# %s at %ld: %s, not %s\n", text, (long) t, got, expected);
        }
    }

    ok(bad == 0, "conversions are strftime's");
}

static void
refusals(void)
{
    size_t                    i;
    int                       refused;
    beacon_err_t              err;
    beacon_template_t        *tmpl;
    static const char *const  bad[] = {
        "", "/v/$", "/v/$x", "/v/$beacon_sites", "/v/${beacon_site",
        "/v/$beacon_field_", "/v/$beacon_arg_", "/v/%Q", "/v/%", "/v/% d",
        "/v/$host", "/v/${}", NULL
    };
    static const char *const  nopath[] = {
        "v/$beacon_site", "$beacon_site/x", "/$beacon_site/x", "/x.jsonl",
        "/v/../x", "/v/./x", "/v//x", "/v/x/", "//v/x", "/v/..", "/v/.",
        "/v/a\nb", "/..", "/", "/v/$beacon_site//x", "/v/$beacon_site/../x",
        "/%Y/x", "/v/$beacon_site$beacon_edge$beacon_id$beacon_visitor", NULL
    };

    for (i = 0; bad[i]; i++) {
        err.text[0] = '\0';
        refused = beacon_template_create(str(bad[i]), &tmpl, &err)
                  == BEACON_INVALID;
        ok(refused && tmpl == NULL && err.text[0],
           "template %zu of the bad ones is refused, with a reason", i);
    }

    for (i = 0; nopath[i]; i++) {
        ok(!path(nopath[i], NULL), "path %zu of the bad ones is refused", i);
    }
}

static void
paths(void)
{
    ok(path("/var/log/beacon/$beacon_site/%Y.jsonl", "/var/log/beacon"),
       "the fixed directory ends before the first variable");
    ok(path("/var/log/all-%Y.jsonl", "/var/log"),
       "or before the first conversion");
    ok(path("/var/log/all.jsonl", "/var/log"),
       "a constant path has its file's directory");
    ok(path("/var/100%%/x", "/var/100%"), "a per cent sign stands in it");
    ok(path("/v/..a/...", "/v/..a"), "names may begin with dots");
    ok(path("/v/$beacon_site$beacon_edge$beacon_id%F", "/v"),
       "a name that cannot become too long is taken");
}

static void
properties(void)
{
    uint32_t            i;
    char                small[8], large[16];
    struct tm           tm;
    beacon_str_t        var, bound[3] = { str("a"), str("b"), str("c") };
    beacon_template_t  *tmpl;
    static const struct {
        const char  *text;
        unsigned     uses;
        uint32_t     period;
    }                   all[] = {
        { "/v/x", 0, 0 },
        { "/v/$beacon_site", BEACON_TEMPLATE_SITE, 0 },
        { "/v/%Y-%m", BEACON_TEMPLATE_TIME, 86400 },
        { "/v/%H/%d", BEACON_TEMPLATE_TIME, 3600 },
        { "/v/%H%M", BEACON_TEMPLATE_TIME, 60 },
        { "/v/%F$beacon_edge%s", BEACON_TEMPLATE_TIME|BEACON_TEMPLATE_OTHER,
          1 }
    };

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        beacon_template_create(str(all[i].text), &tmpl, NULL);
        ok(beacon_template_uses(tmpl) == all[i].uses
           && beacon_template_period(tmpl) == all[i].period,
           "%s says what varies in it", all[i].text);
        beacon_template_destroy(tmpl);
    }

    beacon_template_create(str("$beacon_field_tz-$beacon_arg_x"
                               "-$beacon_field_tz-$beacon_site"), &tmpl, NULL);
    var = beacon_template_var(tmpl, 1);
    ok(beacon_template_nvars(tmpl) == 2 && var.len == 12
       && memcmp(var.data, "beacon_arg_x", 12) == 0,
       "variables are listed once each");
    beacon_template_bind(tmpl, 0, 2);
    beacon_template_bind(tmpl, 1, 0);
    memset(&tm, 0, sizeof(tm));
    ok(beacon_template_eval(tmpl, str("s"), bound, &tm, 0, small, 7) == 7
       && memcmp(small, "c-a-c-s", 7) == 0, "they are read where bound");
    ok(beacon_template_eval(tmpl, str("s"), bound, &tm, 0, small, 6) == 0,
       "what does not fit is refused");
    bound[2] = str("Europe/Rome");
    beacon_template_destroy(tmpl);
    beacon_template_create(str("$beacon_field_tz"), &tmpl, NULL);
    beacon_template_bind(tmpl, 0, 2);
    ok(beacon_template_text(tmpl, str("s"), bound, small, 8) == 0
       && beacon_template_text(tmpl, str("s"), bound, large, 16) == 11,
       "a zone's name keeps its slash");
    beacon_template_destroy(tmpl);
}

int
main(void)
{
    values();
    conversions();
    refusals();
    paths();
    properties();

    return done_testing();
}
