#include "beacon_schema.h"
#include "beacon_crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEACON_SCHEMA_TEXT   (16 * 1024)
#define BEACON_SCHEMA_SALTS  1000


/* Names. */

int
beacon_schema_name_valid(const uint8_t *data, size_t len)
{
    size_t   i;
    uint8_t  c;

    if (len == 0 || len > 64) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        c = data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '_'))
        {
            return 0;
        }
    }

    return 1;
}

/* Bytes of the UTF-8 character at data, or 0: not one (RFC 3629). */
static size_t
beacon_schema_utf8(const uint8_t *data, size_t len)
{
    size_t    i, n;
    uint32_t  c, least;

    c = data[0];

    if (c < 0x80) {
        return 1;

    } else if (c >= 0xc2 && c <= 0xdf) {
        n = 2;
        c &= 0x1f;
        least = 0x80;

    } else if (c >= 0xe0 && c <= 0xef) {
        n = 3;
        c &= 0x0f;
        least = 0x800;

    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4;
        c &= 0x07;
        least = 0x10000;

    } else {
        return 0;
    }

    if (n > len) {
        return 0;
    }

    for (i = 1; i < n; i++) {

        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }

        c = c << 6 | (data[i] & 0x3f);
    }

    return c >= least && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? n : 0;
}

int
beacon_schema_edge_valid(const uint8_t *data, size_t len)
{
    size_t  i, n;

    if (len == 0 || len > 255) {
        return 0;
    }

    for (i = 0; i < len; i += n) {

        n = beacon_schema_utf8(data + i, len - i);

        if (n == 0 || data[i] <= ' ' || data[i] == '"' || data[i] == '\\'
            || data[i] == 0x7f
            || (n == 2 && data[i] == 0xc2 && data[i + 1] < 0xa0))
        {
            return 0;
        }
    }

    return 1;
}


/* Text. */

typedef struct {
    char    *dst;
    size_t   cap;
    size_t   len;
} beacon_schema_out_t;

static void
beacon_schema_put(beacon_schema_out_t *out, const void *data, size_t len)
{
    if (len > out->cap - out->len) {
        len = out->cap - out->len;
    }

    memcpy(out->dst + out->len, data, len);
    out->len += len;
}

static void
beacon_schema_names(beacon_schema_out_t *out, const char *key,
    const beacon_str_t *names, uint32_t n)
{
    uint32_t  i;

    beacon_schema_put(out, key, strlen(key));

    for (i = 0; i < n; i++) {
        beacon_schema_put(out, i ? ",\"" : "\"", i ? 2 : 1);
        beacon_schema_put(out, names[i].data, names[i].len);
        beacon_schema_put(out, "\"", 1);
    }

    beacon_schema_put(out, "]", 1);
}

size_t
beacon_schema_text(const beacon_schema_t *schema, uint32_t salt, char *dst,
    size_t cap)
{
    int                  n;
    char                 head[64];
    beacon_schema_out_t  out;

    out.dst = dst;
    out.cap = cap;
    out.len = 0;

    n = snprintf(head, sizeof(head), "{\"v\":1,\"salt\":%lu,\"edge\":\"",
                 (unsigned long) salt);

    beacon_schema_put(&out, head, (size_t) n);
    beacon_schema_put(&out, schema->edge.data, schema->edge.len);
    beacon_schema_names(&out, "\",\"fields\":[", schema->fields,
                        schema->nfields);
    beacon_schema_names(&out, ",\"flags\":[", schema->flags, schema->nflags);
    beacon_schema_put(&out, "}", 1);

    return out.len;
}


/* Publish. */

static int
beacon_schema_valid(const beacon_schema_t *schema)
{
    uint32_t  i;

    if (!beacon_schema_edge_valid(schema->edge.data, schema->edge.len)
        || schema->nfields > BEACON_FIELDS_MAX
        || schema->nflags > BEACON_FLAGS_MAX)
    {
        return 0;
    }

    for (i = 0; i < schema->nfields; i++) {
        if (!beacon_schema_name_valid(schema->fields[i].data,
                                      schema->fields[i].len))
        {
            return 0;
        }
    }

    for (i = 0; i < schema->nflags; i++) {
        if (!beacon_schema_name_valid(schema->flags[i].data,
                                      schema->flags[i].len))
        {
            return 0;
        }
    }

    return 1;
}

/*
 * Compares a file with a text.  OK: the same; INVALID: another; AGAIN: there
 * is no such file; SYS: errno.
 */
static beacon_rc_t
beacon_schema_same(int dirfd, const char *name, const char *text, size_t len)
{
    int      fd;
    char     buf[BEACON_SCHEMA_TEXT];
    ssize_t  n;

    fd = openat(dirfd, name, O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK);

    if (fd == -1) {
        return errno == ENOENT ? BEACON_AGAIN
               : errno == ELOOP ? BEACON_INVALID : BEACON_SYS;
    }

    do {
        n = read(fd, buf, sizeof(buf));
    } while (n == -1 && errno == EINTR);

    (void) close(fd);

    return n == (ssize_t) len && memcmp(buf, text, len) == 0 ? BEACON_OK
                                                             : BEACON_INVALID;
}

/*
 * Gives the text its name, whole or not at all.  AGAIN: the name is taken
 * meanwhile.
 */
static beacon_rc_t
beacon_schema_write(int dirfd, const char *name, const char *text, size_t len,
    uid_t uid, gid_t gid)
{
    int          fd, keep;
    char         tmp[64];
    beacon_rc_t  rc;

    static _Atomic unsigned  count;     /* threads must not share a name */

    (void) snprintf(tmp, sizeof(tmp), ".%s.%ld.%u", name, (long) getpid(),
                    atomic_fetch_add_explicit(&count, 1,
                                              memory_order_relaxed));
    (void) unlinkat(dirfd, tmp, 0);

    fd = openat(dirfd, tmp, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC,
                0600);
    if (fd == -1) {
        return BEACON_SYS;
    }

    rc = BEACON_OK;
    errno = ENOSPC;             /* of a short write */

    if (write(fd, text, len) != (ssize_t) len
        || fchmod(fd, 0600) == -1
        || (uid != (uid_t) -1 && fchown(fd, uid, gid) == -1)
        || fsync(fd) == -1
        || linkat(dirfd, tmp, dirfd, name, 0) == -1)
    {
        rc = errno == EEXIST ? BEACON_AGAIN : BEACON_SYS;
    }

    keep = errno;
    (void) unlinkat(dirfd, tmp, 0);
    (void) close(fd);
    errno = keep;

    return rc;
}

static beacon_rc_t
beacon_schema_store(int dirfd, beacon_schema_t *schema, uid_t uid, gid_t gid)
{
    char         name[32], text[BEACON_SCHEMA_TEXT];
    size_t       len;
    uint32_t     salt, hash;
    beacon_rc_t  rc;

    for (salt = 0; salt < BEACON_SCHEMA_SALTS; salt++) {

        len = beacon_schema_text(schema, salt, text, sizeof(text));
        hash = beacon_crc32c(0, text, len);

        if (hash == 0) {
            continue;
        }

        (void) snprintf(name, sizeof(name), "%08lx.json",
                        (unsigned long) hash);

        do {
            rc = beacon_schema_same(dirfd, name, text, len);

            if (rc == BEACON_AGAIN) {
                rc = beacon_schema_write(dirfd, name, text, len, uid, gid);
            }

        } while (rc == BEACON_AGAIN);

        if (rc == BEACON_OK) {
            schema->hash = hash;
        }

        if (rc != BEACON_INVALID) {
            return rc;
        }
    }

    errno = EEXIST;

    return BEACON_SYS;
}

beacon_rc_t
beacon_schema_publish(const char *dir, beacon_schema_t *schema, uid_t uid,
    gid_t gid, beacon_err_t *err)
{
    int          parent, dirfd, keep;
    beacon_rc_t  rc;
    struct stat  st;

    if (!beacon_schema_valid(schema)) {
        beacon_err(err, "the names of edge, fields and flags are not valid");
        return BEACON_INVALID;
    }

    rc = BEACON_SYS;
    dirfd = -1;

    parent = open(dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    if (parent == -1) {
        goto done;
    }

    if (mkdirat(parent, "schemas", 0700) == -1 && errno != EEXIST) {
        goto done;
    }

    dirfd = openat(parent, "schemas",
                   O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);
    if (dirfd == -1) {
        goto done;
    }

    /* also where its maker died before this, or had another user */

    if (uid != (uid_t) -1
        && (fstat(dirfd, &st) == -1
            || (st.st_uid != uid && fchown(dirfd, uid, gid) == -1)))
    {
        goto done;
    }

    rc = beacon_schema_store(dirfd, schema, uid, gid);

done:

    keep = errno;

    if (rc != BEACON_OK) {
        beacon_err(err, "could not write \"%s/schemas\": %s", dir,
                   strerror(keep));
    }

    if (dirfd != -1) {
        (void) close(dirfd);
    }

    if (parent != -1) {
        (void) close(parent);
    }

    errno = keep;

    return rc;
}
