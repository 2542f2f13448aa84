/*
 * A renderer's scratch: its tables, its seed, its variant.
 */

#include "beacon_render_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define BEACON_KEPT_FIRST  4096

/* Which bytes of four groups {first, second, third, none} to take: of group i
   three if bit i is set, two if bit i + 4 is, else one.  The last byte, which
   takes nothing that counts, is their number. */
static void
beacon_render_squeeze(uint8_t *order, unsigned bits)
{
    unsigned  i, n;

    memset(order, 0x80, 16);

    for (n = 0, i = 0; i < 4; i++) {
        order[n++] = (uint8_t) (4 * i);

        if (bits >> i & 0x11) {
            order[n++] = (uint8_t) (4 * i + 1);
        }

        if (bits >> i & 1) {
            order[n++] = (uint8_t) (4 * i + 2);
        }
    }

    order[15] = (uint8_t) n;
}

static void
beacon_render_tables(beacon_render_t *r)
{
    static const char  digits[] = "0123456789ABCDEF";
    static const char  wide[BEACON_WIDES] =
        " \"\\+\x0b%&=\t\x0f/9`f"
        "\x90\xa0\xc0\xc2\xdf\xe0\xed\xef\xf0\xf4";
    static const char  shorts[] = "\bb\ff\nn\rr\tt\"\"\\\\";

    unsigned     c, i;
    uint8_t     *e;
    const char  *s;

    for (c = 0; c < BEACON_WIDES; c++) {
        memset(r->wide[c], wide[c], sizeof(r->wide[c]));
    }

    for (i = 0; i <= 8; i++) {
        memset(&r->first[i], 0xff, i);
    }

    for (c = 0; c < 256; c++) {
        r->hex[c] = -1;
        beacon_render_squeeze(r->squeeze[c], c);

        for (e = r->pick[c], i = 0; i < 8; i++) {
            *e = (uint8_t) i;
            e += c >> i & 1;
        }

        r->digits[c][0] = (uint8_t) "0123456789abcdef"[c >> 4];
        r->digits[c][1] = (uint8_t) "0123456789abcdef"[c & 15];

        e = r->percent[c];
        e[0] = '%';
        e[1] = (uint8_t) digits[c >> 4];
        e[2] = (uint8_t) digits[c & 15];
        e[3] = 3;

        if (c >= 0x20 && c <= 0x7e) {
            e[0] = (c == '"' || c == '\\') ? '\\' : (uint8_t) c;
            e[1] = (uint8_t) c;
            e[3] = (c == '"' || c == '\\') ? 2 : 1;
        }
    }

    for (c = 0; c < 16; c++) {
        r->hex[(uint8_t) digits[c]] = (int8_t) c;
        r->hex[(uint8_t) digits[c] | 0x20] = (int8_t) c;
    }

    for (c = 0; c < 128; c++) {
        r->utf8[c] = beacon_utf8_lead((uint8_t) (c + 0x80));

        for (i = 0x80; i <= 0xbf; i += 16) {
            if (r->utf8[c].need && i - r->utf8[c].low <= r->utf8[c].span) {
                r->follow[c + 0x80] |= (uint16_t) (1 << (i >> 4));
            }
        }

        memcpy(r->escape[c + 0x80], r->utf8[c].need
                                    ? "\xef\xbf\xbd\0\0\0\0\0"
                                    : "\xef\xbf\xbd\0\0\0\1\3", 8);

        e = r->escape[c];

        if (c < 0x20) {
            snprintf((char *) e, 8, "\\u%04x", c);
            e[6] = 0;
            e[7] = 6;

        } else {
            e[0] = (uint8_t) c;
            e[7] = 1;
            r->plain[BEACON_PLAIN_STRING][c] = (uint8_t) c;
        }
    }

    for (s = shorts; *s; s += 2) {
        e = r->escape[(uint8_t) s[0]];
        memset(e, 0, 8);
        e[0] = '\\';
        e[1] = (uint8_t) s[1];
        e[7] = 2;
        r->plain[BEACON_PLAIN_STRING][(uint8_t) s[0]] = 0;
    }

    memcpy(r->plain[BEACON_PLAIN_QUERY], r->plain[BEACON_PLAIN_STRING], 256);

    for (s = "%&="; *s; s++) {
        r->plain[BEACON_PLAIN_QUERY][(uint8_t) *s] = 0;
    }

    r->plain[BEACON_PLAIN_QUERY]['+'] = ' ';

    memcpy(r->text, r->escape, sizeof(r->text));

    for (c = 0x80; c < 0xfe; c++) {
        memset(r->text[c], 0, 8);
        r->text[c][0] = (uint8_t) c;
        r->text[c][7] = 1;
    }

    r->text[0xfe][7] = 0;

    memcpy(r->key, r->escape, sizeof(r->key));
    r->key['+'][0] = ' ';
    r->key['%'][7] = 0;
    r->key['&'][7] = 0;
    memcpy(r->value, r->key, sizeof(r->value));
    r->key['='][7] = 0;
}

/* Random bytes; where the kernel has none to give, what differs by process:
   the seed is a defence in depth, and decides no byte of any line. */
static void
beacon_render_seed(beacon_render_t *r)
{
    struct timespec  now;

    if (getrandom(r->seed, sizeof(r->seed), GRND_NONBLOCK)
        != (ssize_t) sizeof(r->seed))
    {
        clock_gettime(CLOCK_MONOTONIC, &now);
        r->seed[0] = (uint64_t) now.tv_nsec << 32 ^ (uint64_t) (uintptr_t) r;
        r->seed[1] = (uint64_t) now.tv_sec << 32 ^ (uint64_t) getpid();
    }

    r->seed[1] |= 1ULL << 63 | 1;       /* a factor: long and odd */
}

beacon_render_t *
beacon_render_create(void)
{
    beacon_render_t  *r;

    r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return NULL;
    }

    r->second = UINT64_MAX;
    beacon_render_tables(r);
    beacon_render_seed(r);
    beacon_json_init(&r->json, r->seed[1]);
    (void) beacon_render_select(r, "auto");

    r->kept = malloc(BEACON_KEPT_FIRST + BEACON_KEPT_SLACK);
    r->max_kept = BEACON_KEPT_FIRST;

    if (r->kept == NULL || !beacon_args_reserve(r, BEACON_TAGS)) {
        beacon_render_destroy(r);
        return NULL;
    }

    return r;
}

void
beacon_render_destroy(beacon_render_t *r)
{
    if (r == NULL) {
        return;
    }

    beacon_json_dispose(&r->json);
    free(r->args);
    free(r->again);
    free(r->kept);
    free(r->table);
    free(r);
}

const char *const *
beacon_render_variants(void)
{
    static const char *const  names[] = {
#if defined(__x86_64__)
        "avx2", "sse2",
#endif
        "portable", NULL
    };

#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi")
        || !__builtin_cpu_supports("bmi2")
        || !__builtin_cpu_supports("popcnt"))
    {
        return names + 1;
    }
#endif

    return names;
}

beacon_rc_t
beacon_render_select(beacon_render_t *r, const char *name)
{
    static const beacon_render_ops_t *const  all[] = {
#if defined(__x86_64__)
        &beacon_render_avx2, &beacon_render_sse2,
#endif
        &beacon_render_portable
    };

    size_t              i;
    const char *const  *variant;

    variant = beacon_render_variants();

    if (strcmp(name, "auto") == 0) {
        name = variant[0];
    }

    for ( /* void */ ; *variant && strcmp(*variant, name) != 0; variant++) {
        /* void */
    }

    for (i = 0; *variant && i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(all[i]->name, name) == 0) {
            r->ops = all[i];
            return BEACON_OK;
        }
    }

    return BEACON_INVALID;
}
