/*
 * Where a click may go: absolute http and https URLs, and only such whose host
 * every browser, and whatever else follows a redirect, finds in the same
 * place.  What the WHATWG URL standard repairs in silence (tabs and line
 * breaks, one slash or three, backslashes, user names, hosts with escapes or
 * in other alphabets, addresses in octal) is refused, not repaired: who has to
 * guess can be led astray.
 */

#ifndef BEACON_URL_H
#define BEACON_URL_H

#include "beacon.h"

#define BEACON_HOST_MAX  253

/* Bytes that beacon_url_judge() may write for a text of n. */
#define BEACON_URL_ROOM(n)  (3 * (n) + 1)

typedef struct {
    beacon_str_t  url;      /* in buf: what was judged, and may be sent */
    beacon_str_t  host;     /* in url: lower case, without port */
} beacon_url_t;

/*
 * Judges text and writes it to buf (BEACON_URL_ROOM(text.len) bytes) as it is
 * to be sent: scheme and host in lower case, no dot behind the host, a '/'
 * where the path would be empty, and spaces and bytes beyond 0x7e behind the
 * host percent-encoded.  INVALID: not to be sent, by the rules above.
 */
beacon_rc_t beacon_url_judge(beacon_str_t text, uint8_t *buf,
    beacon_url_t *url);

/*
 * A host as beacon_url_judge() leaves it: labels of a-z 0-9 - _, or an IPv4
 * address in its usual form.
 */
int beacon_host_valid(const uint8_t *host, size_t len);

#endif /* BEACON_URL_H */
