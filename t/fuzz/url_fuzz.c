/*
 * beacon_url_judge(): what it lets through holds no byte that moves a host,
 * fits its room, and is let through unchanged when judged again.
 */

#include "beacon_url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_require(int good)
{
    if (!good) {
        abort();
    }
}

/* The host as the simplest reader finds it: between "://" and / or ':'. */
static void
fuzz_host(const beacon_url_t *url)
{
    size_t          len;
    const uint8_t  *p, *end;

    end = url->url.data + url->url.len;
    p = memchr(url->url.data, ':', url->url.len);

    if (p == NULL || end - p <= 3 || memcmp(p, "://", 3) != 0) {
        abort();
    }

    p += 3;

    for (len = 0; p + len < end && p[len] != '/' && p[len] != ':'; len++) {
        fuzz_require(p[len] > 0x20 && p[len] < 0x7f
                     && strchr("@\\%[]?#*;,&", p[len]) == NULL);
    }

    fuzz_require(p == url->host.data && len == url->host.len);
    fuzz_require(beacon_host_valid(p, len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         i, room;
    uint8_t       *buf, *more;
    beacon_str_t   text;
    beacon_url_t   url, again;

    text.data = data;
    text.len = size;
    room = BEACON_URL_ROOM(size);
    buf = malloc(room);
    more = malloc(3 * room + 1);

    if (beacon_url_judge(text, buf, &url) == BEACON_OK) {
        fuzz_require(url.url.data == buf && url.url.len <= room);

        for (i = 0; i < url.url.len; i++) {
            fuzz_require(buf[i] > 0x20 && buf[i] < 0x7f && buf[i] != '\\');
        }

        fuzz_host(&url);

        fuzz_require(beacon_url_judge(url.url, more, &again) == BEACON_OK
                     && again.url.len == url.url.len
                     && memcmp(more, buf, url.url.len) == 0);
    }

    free(buf);
    free(more);

    return 0;
}
