/*
 * A CURVE file: who we are, and whom we talk to.
 *
 *     public  Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID
 *     secret  D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs
 *     server  rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7
 *     peer    JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6
 *
 * A line holds a word, blanks and a key in Z85; empty lines and those that
 * begin with '#' are none.  public and secret are ours, and stand once each.
 * A socket that binds admits the keys behind "peer", of which there must be
 * one; a socket that connects wants "server", the key of who binds there.
 */

#ifndef BEACOND_CURVE_H
#define BEACOND_CURVE_H

#include "beacond_conf_check.h"

#define BEACOND_CURVE_KEY    40         /* characters */
#define BEACOND_CURVE_PEERS  1024

typedef char  beacond_key_t[BEACOND_CURVE_KEY + 1];

typedef struct {
    beacond_key_t  own;                 /* public */
    beacond_key_t  secret;
    beacond_key_t  server;              /* "": none */
    beacond_key_t *peers;
    size_t         npeers;
} beacond_curve_t;

/*
 * Reads and checks the file for a socket that binds, connects, or both.  Each
 * complaint has the file's line; none has a key in it.  NULL: at least one was
 * not a warning.
 */
beacond_curve_t *beacond_curve_create(beacond_conf_check_t *check,
    const char *file, bool binds, bool connects);
void beacond_curve_destroy(beacond_curve_t *curve);

#endif /* BEACOND_CURVE_H */
