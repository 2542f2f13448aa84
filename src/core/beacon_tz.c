/*
 * A zone is RFC 8536's 64-bit block: transitions, each with a local time type,
 * and behind the last one a rule, the POSIX TZ string of the footer.  Files
 * come from the system, but TZDIR and packages can be wrong: everything is
 * checked against the file's length before it is used.
 */

#include "beacon_tz.h"
#include "beacon_tz_rule.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACON_TZ_DIR       "/usr/share/zoneinfo"
#define BEACON_TZ_FILE_MAX  (256 * 1024)
#define BEACON_TZ_HEAD      44
#define BEACON_TZ_NAME_MAX  128

struct beacon_tz_s {
    beacon_tz_type_t  *types;
    int64_t           *times;   /* ascending */
    uint8_t           *index;   /* a type for each time */
    uint32_t           ntypes;
    uint32_t           ntimes;
    beacon_tz_rule_t   rule;
};

static uint32_t
beacon_tz_u32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];
}

static int64_t
beacon_tz_i64(const uint8_t *p)
{
    return (int64_t) ((uint64_t) beacon_tz_u32(p) << 32
                      | beacon_tz_u32(p + 4));
}

/* Counts of a header. */
typedef struct {
    uint64_t  isut, isstd, leap, times, types, chars;
} beacon_tz_head_t;

/* Checks a header at p; returns its block's length, 0: it is none. */
static uint64_t
beacon_tz_head(const uint8_t *p, size_t avail, unsigned width,
    beacon_tz_head_t *head)
{
    if (avail < BEACON_TZ_HEAD || memcmp(p, "TZif", 4) != 0 || p[4] < '2') {
        return 0;
    }

    head->isut = beacon_tz_u32(p + 20);
    head->isstd = beacon_tz_u32(p + 24);
    head->leap = beacon_tz_u32(p + 28);
    head->times = beacon_tz_u32(p + 32);
    head->types = beacon_tz_u32(p + 36);
    head->chars = beacon_tz_u32(p + 40);

    return BEACON_TZ_HEAD + head->times * (width + 1) + head->types * 6
           + head->chars + head->leap * (width + 4) + head->isstd
           + head->isut;
}

static beacon_rc_t
beacon_tz_block(beacon_tz_t *tz, const uint8_t *p,
    const beacon_tz_head_t *head)
{
    uint32_t        i;
    const uint8_t  *index = p + head->times * 8;
    const uint8_t  *types = index + head->times;

    if (head->types == 0 || head->types > 256 || head->leap) {
        return BEACON_CORRUPT;          /* leap seconds: not UNIX time */
    }

    tz->ntimes = (uint32_t) head->times;
    tz->ntypes = (uint32_t) head->types;
    tz->times = calloc(tz->ntimes + 1, sizeof(int64_t));
    tz->index = calloc(tz->ntimes + 1, 1);
    tz->types = calloc(tz->ntypes, sizeof(beacon_tz_type_t));

    if (tz->times == NULL || tz->index == NULL || tz->types == NULL) {
        return BEACON_SYS;
    }

    for (i = 0; i < tz->ntypes; i++) {
        tz->types[i].offset = (int32_t) beacon_tz_u32(types + i * 6);
        tz->types[i].dst = types[i * 6 + 4] != 0;

        if (tz->types[i].offset < -167 * 3600
            || tz->types[i].offset > 167 * 3600)
        {
            return BEACON_CORRUPT;
        }
    }

    for (i = 0; i < tz->ntimes; i++) {
        tz->times[i] = beacon_tz_i64(p + i * 8);
        tz->index[i] = index[i];

        if (index[i] >= tz->ntypes
            || (i > 0 && tz->times[i] <= tz->times[i - 1]))
        {
            return BEACON_CORRUPT;
        }
    }

    return BEACON_OK;
}

/* A 32-bit block to skip, the 64-bit one, "\n", rule, "\n". */
static beacon_rc_t
beacon_tz_parse(beacon_tz_t *tz, const uint8_t *data, size_t len)
{
    uint64_t           n;
    beacon_rc_t        rc;
    const uint8_t     *end;
    beacon_tz_head_t   head;

    n = beacon_tz_head(data, len, 4, &head);

    if (n == 0 || n > len) {
        return BEACON_CORRUPT;
    }

    data += n;
    len -= n;
    n = beacon_tz_head(data, len, 8, &head);

    if (n == 0 || n > len) {
        return BEACON_CORRUPT;
    }

    rc = beacon_tz_block(tz, data + BEACON_TZ_HEAD, &head);

    if (rc != BEACON_OK) {
        return rc;
    }

    data += n;
    len -= n;

    if (len < 2 || data[0] != '\n') {
        return BEACON_CORRUPT;
    }

    end = memchr(data + 1, '\n', len - 1);

    if (end == NULL
        || !beacon_tz_footer(&tz->rule, (const char *) data + 1,
                             (size_t) (end - data - 1)))
    {
        return BEACON_CORRUPT;
    }

    return BEACON_OK;
}

/* Letters, digits, "_+-." and single slashes between; no leading dots. */
static bool
beacon_tz_valid(const char *name)
{
    char         last = '/';
    size_t       n;
    const char  *p;

    for (p = name; *p; p++) {
        if (last == '/' && (*p == '/' || *p == '.' || *p == '-')) {
            return false;
        }

        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
              || (*p >= '0' && *p <= '9') || strchr("_+-./", *p)))
        {
            return false;
        }

        last = *p;
    }

    n = (size_t) (p - name);

    return n > 0 && n < BEACON_TZ_NAME_MAX && last != '/';
}

/* Reads a zone's file; NULL: there is none (errno). */
static uint8_t *
beacon_tz_read(const char *name, size_t *len)
{
    int          fd;
    char         path[PATH_MAX];
    ssize_t      n;
    uint8_t     *data = NULL;
    const char  *dir = getenv("TZDIR");
    struct stat  st;

    if (dir == NULL || dir[0] == '\0') {
        dir = BEACON_TZ_DIR;
    }

    if (snprintf(path, sizeof(path), "%s/%s", dir, name)
        >= (int) sizeof(path))
    {
        errno = ENAMETOOLONG;
        return NULL;
    }

    fd = open(path, O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_NOCTTY);

    if (fd == -1) {
        return NULL;
    }

    errno = ENOENT;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
        && st.st_size <= BEACON_TZ_FILE_MAX)
    {
        data = malloc((size_t) st.st_size + 1);
    }

    *len = 0;

    while (data && *len < (size_t) st.st_size) {
        n = read(fd, data + *len, (size_t) st.st_size - *len);

        if (n <= 0) {
            break;              /* shorter than it said: the parser tells */
        }

        *len += (size_t) n;
    }

    close(fd);

    return data;
}

beacon_rc_t
beacon_tz_create(const char *name, beacon_tz_t **tz, beacon_err_t *err)
{
    size_t       len;
    uint8_t     *data = NULL;
    beacon_rc_t  rc = BEACON_INVALID;

    *tz = calloc(1, sizeof(beacon_tz_t));

    if (*tz == NULL) {
        beacon_err(err, "no memory for a time zone");
        return BEACON_SYS;
    }

    if (strcmp(name, "UTC") == 0) {
        (*tz)->rule.present = true;     /* whatever is installed */
        return BEACON_OK;
    }

    if (beacon_tz_valid(name)) {
        data = beacon_tz_read(name, &len);
    }

    if (data == NULL) {
        beacon_err(err, "unknown time zone \"%.80s\"", name);

    } else {
        rc = beacon_tz_parse(*tz, data, len);

        if (rc != BEACON_OK) {
            beacon_err(err, rc == BEACON_SYS ? "no memory for time zone "
                       "\"%.80s\"" : "the file of time zone \"%.80s\" is "
                       "none, or has leap seconds", name);
            rc = rc == BEACON_SYS ? rc : BEACON_INVALID;
        }
    }

    free(data);

    if (rc != BEACON_OK) {
        beacon_tz_destroy(*tz);
        *tz = NULL;
    }

    return rc;
}

void
beacon_tz_destroy(beacon_tz_t *tz)
{
    if (tz == NULL) {
        return;
    }

    free(tz->types);
    free(tz->times);
    free(tz->index);
    free(tz);
}

int64_t
beacon_tz_local(const beacon_tz_t *tz, int64_t unix_seconds, struct tm *tm)
{
    int64_t            until;
    uint32_t           low = 0, high = tz->ntimes, mid;
    beacon_tz_type_t   type;

    /* years beyond an int's are nobody's */

    if (unix_seconds > INT64_C(1) << 55 || unix_seconds < -(INT64_C(1) << 55))
    {
        unix_seconds = 0;
    }

    /* low: how many transitions are not in the future */

    while (low < high) {
        mid = low + (high - low) / 2;

        if (tz->times[mid] <= unix_seconds) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    if (low == tz->ntimes && tz->rule.present) {
        until = beacon_tz_rule(&tz->rule, unix_seconds, &type);

    } else {
        type = tz->types[low ? tz->index[low - 1] : 0];
        until = low < tz->ntimes ? tz->times[low] : INT64_MAX;
    }

    beacon_tz_break(unix_seconds, &type, tm);

    return until;
}
