/*
 * Beacon core: words that every part shares.
 *
 * src/core is C11 and libc.  It never logs and never exits: it returns a
 * beacon_rc_t, and where a person will want to know more, fills in a
 * beacon_err_t that the caller prints once, with the name of the thing.
 */

#ifndef BEACON_H
#define BEACON_H

#include <stddef.h>
#include <stdint.h>

#define BEACON_VERSION  "0.1.0"

typedef enum {
    BEACON_OK = 0,
    BEACON_AGAIN,               /* nothing there now; ask again */
    BEACON_FULL,                /* no room; nothing was changed */
    BEACON_INVALID,             /* the caller's argument cannot be right */
    BEACON_CORRUPT,             /* stored bytes are not what was written */
    BEACON_SYS                  /* a system call failed; errno tells */
} beacon_rc_t;

/* Bytes with a length: not terminated, may hold NUL, owned by someone else. */
typedef struct {
    size_t          len;
    const uint8_t  *data;
} beacon_str_t;

#define beacon_string(s)                                                      \
    ((beacon_str_t) { sizeof(s) - 1, (const uint8_t *) (s) })

/* One sentence for a person, cut to fit, always terminated. */
typedef struct {
    char  text[256];
} beacon_err_t;

/* printf into err->text; err may be NULL.  This function can't fail. */
void beacon_err(beacon_err_t *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * A site: [A-Za-z0-9_.-]{1,64}, not starting with a dot or underscore (names
 * with an underscore in front, such as _overflow, are Beacon's own).
 * Returns 1 or 0.
 */
int beacon_site_valid(const uint8_t *data, size_t len);

#define BEACON_SITE_MAX  64

#endif /* BEACON_H */
