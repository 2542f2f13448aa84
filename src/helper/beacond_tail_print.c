#include "beacond_tail_print.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BEACOND_PRINT_PAGE  100         /* bytes, of what is longer */
#define BEACOND_PRINT_WORD  40

/* The character's length, and what it is; 1 and 0 for what is none. */
static size_t
beacond_print_char(const uint8_t *p, const uint8_t *end, uint32_t *c)
{
    size_t  i, n;

    *c = *p;
    n = *p < 0xc0 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

    if (n == 1) {
        *c = *p < 0x80 ? *p : 0;
        return 1;
    }

    if ((size_t) (end - p) < n) {
        *c = 0;
        return 1;
    }

    *c = *p & (0xff >> (n + 1));

    for (i = 1; i < n; i++) {
        *c = *c << 6 | (p[i] & 0x3f);
    }

    return n;
}

static int
beacond_print_plain(uint32_t c)
{
    return !(c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c
             || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e)
             || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff);
}

void
beacond_print(FILE *file, const uint8_t *text, size_t len)
{
    size_t          n;
    uint32_t        c;
    const uint8_t  *p, *end = text + len, *plain = text;

    for (p = text; p < end; p += n) {
        n = beacond_print_char(p, end, &c);

        if (beacond_print_plain(c)) {
            continue;
        }

        fwrite(plain, 1, (size_t) (p - plain), file);
        fprintf(file, "\\u%04x", c);
        plain = p + n;
    }

    fwrite(plain, 1, (size_t) (end - plain), file);
}

void
beacond_print_json(FILE *file, const uint8_t *text, size_t len)
{
    const uint8_t  *p, *end = text + len, *plain = text;

    for (p = text; p < end; p++) {
        if (*p < ' ') {
            beacond_print(file, plain, (size_t) (p - plain));
            putc(' ', file);
            plain = p + 1;
        }
    }

    beacond_print(file, plain, (size_t) (end - plain));
}

/* One word of the line: spaces in it would look like more of them. */
static void
beacond_print_word(FILE *file, beacon_str_t s, size_t max)
{
    size_t          n = beacon_line_cut(s, max);
    const uint8_t  *p, *end = s.data + n, *space;

    for (p = s.data; p < end; p = space + 1) {
        space = memchr(p, ' ', (size_t) (end - p));

        if (space == NULL) {
            beacond_print(file, p, (size_t) (end - p));
            break;
        }

        beacond_print(file, p, (size_t) (space - p));
        putc('_', file);
    }

    if (n < s.len) {
        fputs("…", file);
    }
}

static void
beacond_print_column(FILE *file, beacon_str_t s, size_t max)
{
    putc(' ', file);

    if (s.len == 0) {
        putc('-', file);
        return;
    }

    beacond_print_word(file, s, max);
}

void
beacond_print_hit(FILE *file, const beacon_line_parts_t *parts,
    beacon_str_t visitor)
{
    beacon_str_t        time = parts->time;
    beacon_line_view_t  view;

    /* 2026-11-21T22:56:01.204Z */

    if (time.len >= sizeof("2026-11-21T22:56:01") - 1) {
        time.data += sizeof("2026-11-21T") - 1;
        time.len = sizeof("22:56:01") - 1;
    }

    beacon_line_view(parts, &view);
    beacond_print_word(file, time, BEACOND_PRINT_WORD);
    beacond_print_column(file, parts->site, BEACON_SITE_MAX);
    beacond_print_column(file, view.page, BEACOND_PRINT_PAGE);
    beacond_print_column(file, visitor, BEACOND_PRINT_WORD);
    beacond_print_column(file, view.country, BEACOND_PRINT_WORD);
    beacond_print_column(file, view.referrer, BEACOND_PRINT_PAGE);
    putc('\n', file);
}

/* libzmq tries again without a word, whatever the reason. */
void
beacond_print_nobody(FILE *file, const char *endpoint)
{
    static const char  ipc[] = "ipc://";

    if (strncmp(endpoint, ipc, sizeof(ipc) - 1) == 0
        && access(endpoint + sizeof(ipc) - 1, W_OK) == -1
        && errno == EACCES)
    {
        fprintf(file, "-- %s: %s --\n", endpoint, strerror(EACCES));

    } else {
        fprintf(file, "-- nobody is at %s yet --\n", endpoint);
    }
}
