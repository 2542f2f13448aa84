/*
 * Judges targets of clicks: one a line, in hex, from standard input.  Prints
 * "URL HOST" or, where it is refused, "-".
 */

#include "beacon_url.h"

#include <stdio.h>
#include <stdlib.h>

static int
url_digit(int c)
{
    return (c >= '0' && c <= '9') ? c - '0'
           : (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}

static void
url_say(uint8_t *text, size_t len)
{
    uint8_t       *buf;
    beacon_url_t   url;

    buf = malloc(BEACON_URL_ROOM(len));

    if (buf == NULL) {
        exit(1);
    }

    if (beacon_url_judge((beacon_str_t) { len, text }, buf, &url) == BEACON_OK)
    {
        printf("%.*s %.*s\n", (int) url.url.len, url.url.data,
               (int) url.host.len, url.host.data);
    } else {
        printf("-\n");
    }

    free(buf);
}

int
main(void)
{
    int      c, high, low;
    size_t   len;
    uint8_t  text[4096];

    len = 0;
    high = -1;

    while ((c = getchar()) != EOF) {
        low = url_digit(c);

        if (c == '\n') {
            url_say(text, len);
            len = 0;
            high = -1;

        } else if (low < 0 || len == sizeof(text)) {
            fprintf(stderr, "url_cli: lines of at most 8,192 hex digits\n");
            return 1;

        } else if (high < 0) {
            high = low;

        } else {
            text[len++] = (uint8_t) (high << 4 | low);
            high = -1;
        }
    }

    return 0;
}
