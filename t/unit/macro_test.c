#include "beacon_macro.h"
#include "beacon_render.h"
#include "tap.h"

#include <string.h>

static const struct {
    const char       *name;
    beacon_macro_pt   find;
} test_variants[] = {
    { "portable", beacon_macro_portable },
#if defined(__x86_64__)
    { "sse2", beacon_macro_sse2 },
    { "avx2", beacon_macro_avx2 },
#endif
};

static int  test_avx2;

/* What all variants say; -1: not the same.  The bytes behind the text are none
   that could help, or all of them could. */
static int
test_find(const char *text, size_t len)
{
    int       found, more;
    size_t    i;
    uint8_t  *copy;

    copy = malloc(len + 64);
    found = -1;

    for (i = 0; i < sizeof(test_variants) / sizeof(test_variants[0]); i++) {
        if (i == 2 && !test_avx2) {
            continue;
        }

        memcpy(copy, text, len);
        memset(copy + len, 'x', 64);
        more = test_variants[i].find(copy, len);
        memset(copy + len, "]}%{"[len & 3], 64);

        if (more != test_variants[i].find(copy, len)
            || (found >= 0 && found != more))
        {
            found = -1;
            break;
        }

        found = more;
    }

    free(copy);

    return found;
}

static void
test_lists(void)
{
    size_t  i;

    static const char *const  some[] = {
        "${CACHEBUSTER}", "${GDPR_CONSENT_755}", "${AUCTION_PRICE:AES}",
        "${a.b-c}", "x${x}", "$${x}", "%%CACHEBUSTER%%", "%%PATTERN:url%%",
        "%%%a%%", "100%%x%%", "[timestamp]", "[CACHEBUSTING]", "[ord]",
        "ord=[timestamp]", "https://x/[ord]/y", "a;[ord];b", "\"[ord]\":\"\"",
        "x\":\"[ERROR_CODE]\",\"y", "{{x}}", "{{ page.url | escape }}",
        "{{{x}}}", "{a{{x}}", "\"{{a-b}}\"", "[[[ord]=[ord]"
    };
    static const char *const  none[] = {
        "", "$", "%", "[", "{", "$x", "${}", "${1}", "${x", "${x y}", "$ {x}",
        "%%", "%%%%", "%%x%", "%%x", "%%1x%%", "%x%%", "% %x%%", "%%x y%%",
        "[]", "[x]", "[xy]", "[1ab]", "[a-b]", "[abc", "abc]", "[abc def]",
        "items[name]", "a[b][name]", "f(x)[name]", "see [note]", "[PDF] Report",
        "[abc]def", "[[abc]]", "[1,2]", "[\"abc\"]", "{\"a\":{\"b\":{}}}",
        "{{}}", "{{x}", "{x}}", "{ {x}}", "{{\"a\":1}}", "{\"a\":[{\"b\":1}]}",
        "\"[ord\",\"x]\"", "\"{{x\":\"y}}\"", "\"${x\":\"}\"", "[ord\\\"]"
    };

    for (i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        ok(test_find(some[i], strlen(some[i])) == 1, "%s is one", some[i]);
    }

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        ok(test_find(none[i], strlen(none[i])) == 0, "%s is none", none[i]);
    }
}

/* At every place of a block, whole and cut. */
static void
test_places(void)
{
    char    text[256];
    size_t  i, at, len, wrong;

    static const char *const  some[] = {
        "=[timestamp]", "${X}", "%%CB%%", "{{a}}"
    };

    for (wrong = 0, i = 0; i < 4; i++) {
        len = strlen(some[i]);

        for (at = 0; at < 150; at++) {
            memset(text, 'a', sizeof(text));
            memcpy(text + at, some[i], len);
            wrong += test_find(text, at + len) != 1;
            wrong += test_find(text, at + len - 1) != 0;
            wrong += test_find(text, at) != 0;
        }
    }

    ok(wrong == 0, "it is found wherever it stands, and only whole");
}

static void
test_random(void)
{
    char      text[300];
    size_t    i, n, len, wrong, found;
    uint64_t  state;

    static const char  bytes[] = "$%[{}]%{aB_9.:-\"=/;, x\\";

    state = 20261122;

    for (wrong = 0, found = 0, i = 0; i < 200000; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        len = state >> 33 & 0xff;

        for (n = 0; n < len; n++) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            text[n] = bytes[(state >> 33) % (sizeof(bytes) - 1)];
        }

        wrong += test_find(text, len) < 0;
        found += test_find(text, len) > 0;
    }

    ok(wrong == 0 && found > 2000,
       "of made-up texts all variants say the same (%zu have one)", found);
}

int
main(void)
{
    const char *const  *name;

    for (name = beacon_render_variants(); *name; name++) {
        test_avx2 |= strcmp(*name, "avx2") == 0;
    }

    test_lists();
    test_places();
    test_random();

    return done_testing();
}
