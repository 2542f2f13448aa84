/*
 * The part of beacon.json that is alike in those who speak ZeroMQ: spy,
 * collect.
 *
 *     {"type":"spy","name":"spy","bind":["ipc:///run/beacon/spy.sock"],
 *      "connect":["tcp://master:5556"],"curve":"/etc/beacon/spy.curve",
 *      "curve_stamp":"…","insecure":false,"ip":false,"key":"/etc/beacon/key",
 *      "at":"…:14"}
 *
 * bind, connect: an endpoint or a list of them; there is one at least.  An
 * endpoint that is not local wants a curve file unless it may be insecure.
 * curve_stamp tells one content of that file from the next.  ip and key (of
 * visitor hashes; absent: the host's own) are spy's.
 */

#ifndef BEACOND_CONF_SPY_H
#define BEACOND_CONF_SPY_H

#include "beacond_conf_check.h"
#include "beacond_curve.h"

#define BEACOND_ENDPOINTS  16

typedef struct {
    const char       *bind[BEACOND_ENDPOINTS];      /* in the object */
    const char       *connect[BEACOND_ENDPOINTS];
    uint32_t          nbind;
    uint32_t          nconnect;
    beacond_curve_t  *curve;            /* NULL: none */
} beacond_endpoints_t;

/*
 * Reads and checks them, the curve file too.  INVALID: what is wrong has been
 * told.  Take endpoints->curve (set it NULL) or dispose of them.
 */
beacon_rc_t beacond_endpoints_read(beacond_conf_check_t *check,
    const json_t *object, beacond_endpoints_t *endpoints);
void beacond_endpoints_dispose(beacond_endpoints_t *endpoints);

/* Warns of where no socket can be made now; the ring's directory will be. */
void beacond_endpoints_places(beacond_conf_check_t *check,
    const beacond_endpoints_t *endpoints, const char *ring);

#endif /* BEACOND_CONF_SPY_H */
