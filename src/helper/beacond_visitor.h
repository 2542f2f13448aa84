/*
 * The key of visitor hashes (beacon_line_visitor()): the fleet's, from the
 * file of beacon_live's key=, so that a visitor is the same one at every edge;
 * else the host's own, random, kept in visitor.key in the ring's directory
 * until a reboot.
 *
 * Of the fleet's file all bytes count but line ends behind the last one; at
 * least 16 must be left, and should be random ones.  The key is SipHash of
 * them, with two fixed keys.
 */

#ifndef BEACOND_VISITOR_H
#define BEACOND_VISITOR_H

#include "beacon.h"

#define BEACOND_VISITOR_KEY  16
#define BEACOND_VISITOR_MIN  16         /* bytes of a file */
#define BEACOND_VISITOR_MAX  4096

/* file NULL: the host's, in dir.  INVALID: not a key's file; SYS: errno.  err
   tells. */
beacon_rc_t beacond_visitor_key(const char *dir, const char *file,
    uint8_t key[BEACOND_VISITOR_KEY], beacon_err_t *err);

#endif /* BEACOND_VISITOR_H */
