/*
 * Time zones.  "tz_test --dump ZONE" answers each UNIX time on standard input
 * with its broken-down local time, for t/00-tz.t to compare.
 */

#include "beacon_tz.h"
#include "tap.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char  dir[] = "/tmp/beacon-test.XXXXXX";

static int
dump(const char *zone)
{
    int64_t       seconds, until;
    struct tm     tm;
    beacon_tz_t  *tz;
    beacon_err_t  err;

    if (beacon_tz_create(zone, &tz, &err) != BEACON_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }

    while (scanf("%" SCNd64, &seconds) == 1) {
        until = beacon_tz_local(tz, seconds, &tm);
        printf("%d %d %d %d %d %d %d %d %ld %d %" PRId64 "\n",
               tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
               tm.tm_min, tm.tm_sec, tm.tm_wday, tm.tm_yday, tm.tm_gmtoff,
               tm.tm_isdst, until);
    }

    beacon_tz_destroy(tz);

    return 0;
}

static void
put(const char *name, const uint8_t *data, size_t len)
{
    char   path[256];
    FILE  *file;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "w");
    fwrite(data, 1, len, file);
    fclose(file);
}

/* A zone with one type, no transition and this footer. */
static size_t
zone(uint8_t *dst, const char *footer)
{
    static const uint8_t  head[] = {
        'T', 'Z', 'i', 'f', '3',
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        0, 0, 0, 1
    };
    static const uint8_t  type[] = { 0, 0, 0, 0, 0, 0, 0 };
    size_t                len = 0;
    int                   i;

    for (i = 0; i < 2; i++) {
        memcpy(dst + len, head, sizeof(head));
        len += sizeof(head);
        memcpy(dst + len, type, sizeof(type));
        len += sizeof(type);
    }

    return len + (size_t) sprintf((char *) dst + len, "\n%s\n", footer);
}

/* Whether a footer is taken; its offset at a time. */
static int
footer(const char *text, int64_t seconds, long *offset)
{
    size_t        len;
    uint8_t       data[512];
    struct tm     tm;
    beacon_tz_t  *tz;

    len = zone(data, text);
    put("Footer", data, len);

    if (beacon_tz_create("Footer", &tz, NULL) != BEACON_OK) {
        return 0;
    }

    beacon_tz_local(tz, seconds, &tm);
    *offset = tm.tm_gmtoff;
    beacon_tz_destroy(tz);

    return 1;
}

#define JANUARY_2050  INT64_C(2524608000)
#define JULY_2050     INT64_C(2540246400)

static void
footers(void)
{
    long  o = 0;

    ok(footer("<+03>-3", JULY_2050, &o) && o == 10800,
       "a name in brackets is read");
    ok(footer("CET-1CEST,M3.5.0,M10.5.0/3", JULY_2050, &o) && o == 7200
       && footer("CET-1CEST,M3.5.0,M10.5.0/3", JANUARY_2050, &o) && o == 3600,
       "daylight time follows the rule");
    ok(footer("AEST-10AEDT,M10.1.0,M4.1.0/3", JANUARY_2050, &o)
       && o == 39600, "and does on the southern half");
    ok(footer("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", JULY_2050, &o) && o == -3600,
       "a time before midnight is read");
    ok(footer("IST-2IDT,M3.4.4/50,M10.5.0", JULY_2050, &o) && o == 10800,
       "a time beyond the day is read");
    ok(footer("EST5EDT,0/0,J365/25", JANUARY_2050 + 18000, &o) && o == -14400
       && footer("EST5EDT,0/0,J365/25", JANUARY_2050 - 1, &o) && o == -14400,
       "daylight time all the year never ends");
    ok(footer("X4Y,J60/0,J61/0", INT64_C(951868800) + 5 * 3600, &o)
       && o == -10800,
       "J60 is 1 March in a leap year too");
    ok(footer("", JULY_2050, &o) && o == 0, "no rule: the last type stands");
    ok(!footer("C", 0, &o) && !footer("CET", 0, &o)
       && !footer("CET-25", 0, &o) && !footer("CET-1CEST", 0, &o)
       && !footer("CET-1CEST,M13.1.0,M4.1.0", 0, &o)
       && !footer("CET-1CEST,M3.5.0", 0, &o)
       && !footer("CET-1CEST,M3.5.0,M10.5.0/3x", 0, &o)
       && !footer("CET-1CEST,M3.5.0/168,M10.5.0", 0, &o)
       && !footer("<+03-3", 0, &o) && !footer("CET-1CEST,J0,J5", 0, &o)
       && !footer("CET-99999999999999999999", 0, &o),
       "a rule that is none makes the file no zone");
}

static void
names(void)
{
    int                       refused;
    size_t                    i;
    beacon_tz_t              *tz;
    beacon_err_t              err;
    static const char *const  bad[] = {
        "", "/etc/localtime", "../localtime", "Europe/../Athens", "a//b",
        "Europe/", ".", "Europe/.hidden", "No/Such", "Eur ope", "Europe\n",
        "Europe", NULL
    };

    for (i = 0; bad[i]; i++) {
        err.text[0] = '\0';
        refused = beacon_tz_create(bad[i], &tz, &err) == BEACON_INVALID;
        ok(refused && tz == NULL && err.text[0],
           "bad name number %zu is refused, with a reason", i);
    }

    unsetenv("TZDIR");
    ok(beacon_tz_create("Europe/Athens", &tz, &err) == BEACON_OK,
       "Europe/Athens is known");
    beacon_tz_destroy(tz);
    setenv("TZDIR", dir, 1);
    ok(beacon_tz_create("UTC", &tz, &err) == BEACON_OK,
       "UTC needs no file");
    beacon_tz_destroy(tz);
}

/* A real file, cut at each length and with each byte changed: no crash. */
static void
damage(void)
{
    size_t        len, i, taken = 0;
    uint8_t       data[8192], byte;
    FILE         *file;
    struct tm     tm;
    beacon_tz_t  *tz;

    file = fopen("/usr/share/zoneinfo/America/New_York", "r");
    len = file ? fread(data, 1, sizeof(data), file) : 0;

    if (file) {
        fclose(file);
    }

    for (i = 0; i < len; i++) {
        put("Cut", data, i);
        taken += beacon_tz_create("Cut", &tz, NULL) == BEACON_OK;
        beacon_tz_destroy(tz);
    }

    ok(len > 0 && taken == 0, "a zone cut at any length is refused");

    for (i = 0; i < len; i++) {
        byte = data[i];
        data[i] = (uint8_t) ~byte;
        put("Flip", data, len);
        data[i] = byte;

        if (beacon_tz_create("Flip", &tz, NULL) == BEACON_OK) {
            beacon_tz_local(tz, JULY_2050, &tm);
            beacon_tz_local(tz, INT64_MAX, &tm);
            beacon_tz_local(tz, INT64_MIN, &tm);
            taken++;
        }

        beacon_tz_destroy(tz);
    }

    ok(taken < len, "a damaged zone crashes nobody");
}

int
main(int argc, char **argv)
{
    char  command[64];

    if (argc == 3 && strcmp(argv[1], "--dump") == 0) {
        return dump(argv[2]);
    }

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    setenv("TZDIR", dir, 1);
    names();
    footers();
    damage();
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ok(system(command) == 0, "the directory is removed");

    return done_testing();
}
