/*
 * Endpoints of the spy feed, as ZeroMQ writes them:
 *
 *     ipc:///run/beacon/spy.sock   an absolute path
 *     tcp://127.0.0.1:5556         HOST:PORT: a name, an address, an IPv6
 *     tcp://[2001:db8::1]:5556       address in brackets; to be bound, also
 *                                    "*" or a network interface
 */

#ifndef BEACON_ENDPOINT_H
#define BEACON_ENDPOINT_H

#include "beacon.h"

/* What a socket's name may have, less its NUL. */
#define BEACON_ENDPOINT_PATH  107
#define BEACON_ENDPOINT_MAX   280

typedef struct {
    int           ipc;          /* else tcp */
    int           local;        /* ipc; of tcp: 127.0.0.0/8, ::1, localhost */
    beacon_str_t  address;      /* the path; HOST:PORT */
} beacon_endpoint_t;

/* bind: to be bound, else connected to.  INVALID: err says why. */
beacon_rc_t beacon_endpoint_parse(beacon_str_t text, int bind,
    beacon_endpoint_t *endpoint, beacon_err_t *err);

#endif /* BEACON_ENDPOINT_H */
