/*
 * Targets of clicks: what is let through, as what, and what is not.
 */

#include "beacon_url.h"
#include "tap.h"

#include <string.h>

typedef struct {
    const char  *text;
    const char  *url;       /* NULL: INVALID */
    const char  *host;
} url_case_t;

static const url_case_t  url_cases[] = {
    /* as they are */
    { "https://shop.example/", "https://shop.example/", "shop.example" },
    { "http://a/b?c=d#e", "http://a/b?c=d#e", "a" },
    { "https://a_b.c-d.example:8443/x//y/../z?u=https://evil.test/@\"<>'",
      "https://a_b.c-d.example:8443/x//y/../z?u=https://evil.test/@\"<>'",
      "a_b.c-d.example" },
    { "https://192.0.2.7/", "https://192.0.2.7/", "192.0.2.7" },
    { "https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/",
      "xn--bcher-kva.example" },
    { "https://1.a/", "https://1.a/", "1.a" },
    { "https://a.0xg/", "https://a.0xg/", "a.0xg" },
    { "https://a/%2e%2e/%zz%", "https://a/%2e%2e/%zz%", "a" },

    /* made plain */
    { "HTTPS://Shop.EXAMPLE/A", "https://shop.example/A", "shop.example" },
    { "https://shop.example", "https://shop.example/", "shop.example" },
    { "https://shop.example?x", "https://shop.example/?x", "shop.example" },
    { "https://shop.example#x", "https://shop.example/#x", "shop.example" },
    { "https://shop.example?@evil.test/", "https://shop.example/?@evil.test/",
      "shop.example" },
    { "https://shop.example:1#@x", "https://shop.example:1/#@x",
      "shop.example" },
    { "https://shop.example./x", "https://shop.example/x", "shop.example" },
    { "https://shop.example.:80/x", "https://shop.example:80/x",
      "shop.example" },
    { "https://a/b c?d e#f g", "https://a/b%20c?d%20e#f%20g", "a" },
    { "https://a/\xce\xba\xff?\xe2\x80\xae", "https://a/%CE%BA%FF?%E2%80%AE",
      "a" },

    /* no absolute URL of these schemes */
    { "", NULL, NULL },
    { "/", NULL, NULL },
    { "/x", NULL, NULL },
    { "x", NULL, NULL },
    { "?x", NULL, NULL },
    { "//evil.test/", NULL, NULL },
    { "///evil.test/", NULL, NULL },
    { "http", NULL, NULL },
    { "http:", NULL, NULL },
    { "http:/", NULL, NULL },
    { "https://", NULL, NULL },
    { "https:///", NULL, NULL },
    { "https:evil.test", NULL, NULL },
    { "https:/evil.test", NULL, NULL },
    { "https:///evil.test", NULL, NULL },
    { "https:/\\evil.test", NULL, NULL },
    { "https:\\\\evil.test", NULL, NULL },
    { "\\\\evil.test", NULL, NULL },
    { "/\\evil.test", NULL, NULL },
    { "httpss://a/", NULL, NULL },
    { "httpx://a/", NULL, NULL },
    { "htt://a/", NULL, NULL },
    { "ftp://a/", NULL, NULL },
    { "javascript:alert(1)", NULL, NULL },
    { "javascript://a/%0aalert(1)", NULL, NULL },
    { "data:text/html,x", NULL, NULL },
    { " https://a/", NULL, NULL },
    { "\thttps://a/", NULL, NULL },
    { "ht\ntps://a/", NULL, NULL },
    { "https:\t//a/", NULL, NULL },
    { "https:/\r/a/", NULL, NULL },
    { "https%3a//a/", NULL, NULL },
    { "https%253a%252f%252fa/", NULL, NULL },

    /* hosts that some find elsewhere */
    { "https://shop.example@evil.test/", NULL, NULL },
    { "https://shop.example:x@evil.test/", NULL, NULL },
    { "https://@shop.example/", NULL, NULL },
    { "https://shop.example%2eevil.test/", NULL, NULL },
    { "https://shop.example%00.evil.test/", NULL, NULL },
    { "https://shop.example%252eevil.test/", NULL, NULL },
    { "https://evil.test\\.shop.example/", NULL, NULL },
    { "https://evil.test\\@shop.example/", NULL, NULL },
    { "https://shop.example\t.evil.test/", NULL, NULL },
    { "https://shop.example .evil.test/", NULL, NULL },
    { "https://shop.example;.evil.test/", NULL, NULL },
    { "https://shop.example,evil.test/", NULL, NULL },
    { "https://shop.example&@evil.test/", NULL, NULL },
    { "https://shop.example\xe3\x80\x82" "evil.test/", NULL, NULL },
    { "https://sh\xce\xbfp.example/", NULL, NULL },
    { "https://shop\xef\xbc\x8e" "example/", NULL, NULL },
    { "https://\xe2\x80\x8bshop.example/", NULL, NULL },
    { "https://shop\xc2\xad.example/", NULL, NULL },
    { "https://xn--shop-.example/", NULL, NULL },
    { "https://xn--.example/", NULL, NULL },
    { "https://shop..example/", NULL, NULL },
    { "https://.shop.example/", NULL, NULL },
    { "https://shop.example../", NULL, NULL },
    { "https://./", NULL, NULL },
    { "https://*.example/", NULL, NULL },

    /* addresses */
    { "https://[::1]/", NULL, NULL },
    { "https://[::ffff:192.0.2.7]/", NULL, NULL },
    { "https://[v1.x]/", NULL, NULL },
    { "https://::1/", NULL, NULL },
    { "https://2130706433/", NULL, NULL },
    { "https://0x7f000001/", NULL, NULL },
    { "https://0x/", NULL, NULL },
    { "https://0X7F.1/", NULL, NULL },
    { "https://127.1/", NULL, NULL },
    { "https://0177.0.0.1/", NULL, NULL },
    { "https://127.0.0.1.1/", NULL, NULL },
    { "https://127.0.0.256/", NULL, NULL },
    { "https://a.b.1/", NULL, NULL },
    { "https://1.2.3.4./", "https://1.2.3.4/", "1.2.3.4" },

    /* ports */
    { "https://a:", NULL, NULL },
    { "https://a.:", NULL, NULL },
    { "https://a:/", NULL, NULL },
    { "https://a:0/", NULL, NULL },
    { "https://a:080/", NULL, NULL },
    { "https://a:65536/", NULL, NULL },
    { "https://a:99999999999/", NULL, NULL },
    { "https://a:+80/", NULL, NULL },
    { "https://a:80:80/", NULL, NULL },
    { "https://a:80 /", NULL, NULL },
    { "https://a:65535", "https://a:65535/", "a" },

    /* bytes behind the host */
    { "https://a/\\evil.test", NULL, NULL },
    { "https://a/?\\", NULL, NULL },
    { "https://a/\r\nSet-Cookie: x=y", NULL, NULL },
    { "https://a/\tb", NULL, NULL },
    { "https://a/\x7f", NULL, NULL },
    { "https://a/\x1b", NULL, NULL },
    { "https://a\r\n/", NULL, NULL }
};

/* In memory of just its size, so that sanitizers see what is beyond it. */
static beacon_rc_t
judge(const char *text, size_t len, uint8_t *buf, beacon_url_t *url)
{
    uint8_t      *copy;
    beacon_rc_t   rc;

    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    rc = beacon_url_judge((beacon_str_t) { len, copy }, buf, url);
    free(copy);

    return rc;
}

static int
same(beacon_str_t str, const char *text)
{
    return str.len == strlen(text) && memcmp(str.data, text, str.len) == 0;
}

static void
targets_are_judged(void)
{
    size_t             i, len;
    uint8_t           *buf;
    beacon_rc_t        rc;
    beacon_url_t       url;
    const url_case_t  *c;

    for (i = 0; i < sizeof(url_cases) / sizeof(url_cases[0]); i++) {
        c = &url_cases[i];
        len = strlen(c->text);
        buf = malloc(BEACON_URL_ROOM(len));
        rc = judge(c->text, len, buf, &url);

        if (c->url == NULL) {
            ok(rc == BEACON_INVALID, "case %zu is refused", i);

        } else {
            ok(rc == BEACON_OK && same(url.url, c->url)
               && same(url.host, c->host), "%s is let through", c->url);
        }

        free(buf);
    }
}

static void
every_control_byte_is_refused_everywhere(void)
{
    char          text[] = "https://shop.example:80/a?b#c";
    char          c;
    size_t        i;
    unsigned      byte, let;
    uint8_t       buf[BEACON_URL_ROOM(sizeof(text))];
    beacon_url_t  url;

    for (let = 0, byte = 0; byte < 0x21; byte++) {
        for (i = 0; i < sizeof(text) - 1; i++) {
            c = text[i];
            text[i] = (byte == 0x20) ? 0x7f : (char) byte;
            let += (judge(text, sizeof(text) - 1, buf, &url) == BEACON_OK);
            text[i] = c;
        }
    }

    ok(let == 0, "no control byte passes");
}

static void
lengths_of_hosts_are_bounded(void)
{
    char          text[400] = "https://";
    size_t        i, len;
    uint8_t       buf[BEACON_URL_ROOM(sizeof(text))];
    beacon_url_t  url;

    for (i = 0; i < 253; i++) {
        text[8 + i] = (i % 64 == 63) ? '.' : 'a';
    }

    len = 8 + 253;
    ok(judge(text, len, buf, &url) == BEACON_OK, "253 bytes are a host");
    text[len] = 'a';
    ok(judge(text, len + 1, buf, &url) == BEACON_INVALID, "254 are none");

    memset(text + 8, 'a', 64);
    ok(judge(text, 8 + 63, buf, &url) == BEACON_OK, "63 bytes are a label");
    ok(judge(text, 8 + 64, buf, &url) == BEACON_INVALID, "64 are none");
}

/* Sixteen bytes are looked at together: each length, each place. */
static void
what_stands_behind_the_host_is_copied(void)
{
    char          text[128], want[512];
    size_t        len, at, i, n;
    unsigned      wrong;
    uint8_t       buf[BEACON_URL_ROOM(sizeof(text))];
    beacon_url_t  url;

    for (wrong = 0, len = 0; len < 70; len++) {
        for (at = 0; at <= len; at++) {
            memcpy(text, "https://a/", 10);
            memcpy(want, "https://a/", 10);

            for (n = 10, i = 0; i < len; i++) {
                text[10 + i] = (i == at) ? (char) 0x80 : (char) ('!' + i);
                n += (size_t) snprintf(want + n, 4, (i == at) ? "%%80" : "%c",
                                       '!' + (int) i);
            }

            /* the only backslash there is would be refused */
            for (i = 10; i < n; i++) {
                want[i] = (want[i] == '\\') ? '~' : want[i];
            }

            for (i = 0; i < len; i++) {
                text[10 + i] = (text[10 + i] == '\\') ? '~' : text[10 + i];
            }

            if (judge(text, 10 + len, buf, &url) != BEACON_OK
                || url.url.len != n || memcmp(url.url.data, want, n) != 0)
            {
                wrong++;
            }

            if (at < len) {
                text[10 + at] = '\\';
                wrong += (judge(text, 10 + len, buf, &url) == BEACON_OK);
            }
        }
    }

    ok(wrong == 0, "70 lengths, each with a byte to escape or refuse anywhere");
}

static void
what_was_judged_is_judged_alike(void)
{
    size_t        i, n;
    uint8_t       buf[2][1024];
    beacon_url_t  url, again;

    for (i = 0, n = 0; i < sizeof(url_cases) / sizeof(url_cases[0]); i++) {
        if (url_cases[i].url == NULL) {
            continue;
        }

        if (judge(url_cases[i].text, strlen(url_cases[i].text), buf[0], &url)
            != BEACON_OK
            || beacon_url_judge(url.url, buf[1], &again) != BEACON_OK
            || again.url.len != url.url.len
            || memcmp(again.url.data, url.url.data, url.url.len) != 0)
        {
            n++;
        }
    }

    ok(n == 0, "judging the result changes nothing");
}

int
main(void)
{
    targets_are_judged();
    every_control_byte_is_refused_everywhere();
    lengths_of_hosts_are_bounded();
    what_stands_behind_the_host_is_copied();
    what_was_judged_is_judged_alike();

    return done_testing();
}
