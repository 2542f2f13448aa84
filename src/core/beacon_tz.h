/*
 * Time zones from the system's zoneinfo (RFC 8536 files, their POSIX footer
 * included), several at once and from any thread, which libc's TZ is not.
 */

#ifndef BEACON_TZ_H
#define BEACON_TZ_H

#include "beacon.h"

#include <time.h>

typedef struct beacon_tz_s  beacon_tz_t;

/*
 * name: "UTC", or a file below the zoneinfo directory ("Europe/Athens"), no
 * "..", not absolute.  INVALID: no such zone, err says so.
 */
beacon_rc_t beacon_tz_create(const char *name, beacon_tz_t **tz,
    beacon_err_t *err);
void beacon_tz_destroy(beacon_tz_t *tz);

/*
 * tm of a UNIX time; returns the first UNIX second from which on the offset
 * to UTC may be another (so that callers can cache).  Can't fail.
 */
int64_t beacon_tz_local(const beacon_tz_t *tz, int64_t unix_seconds,
    struct tm *tm);

#endif /* BEACON_TZ_H */
