/*
 * A spool is left for another one, or for none, only when it is empty: the ring
 * has given back what it holds.  Until then a configuration that names another
 * is used with the one there was, for new hits too.
 *
 * RING/beacond.spool says which the helpers of this ring have had last, as
 * beacon.json does ("spool"); absent: none.  So who starts, after a kill or
 * with what was configured meanwhile, does as a reload does.
 */

#ifndef BEACOND_SPOOL_LAST_H
#define BEACOND_SPOOL_LAST_H

#include "beacond_conf.h"

/* conf's spool, or none, is in use from now on.  Where that cannot be written
   down it is logged: a start goes by the configuration then. */
void beacond_spool_last_note(const beacond_conf_t *conf);

/*
 * A configuration with the spool of the last one instead of its own, to be
 * destroyed; of conf's size, or where conf has no spool the last one's.  NULL:
 * it is conf's own, there was none, or there is no memory.
 */
beacond_conf_t *beacond_spool_last_with(const beacond_conf_t *conf,
    const beacond_conf_t *last);

/* The same at start, with the spool that the last helper had, if it is there
   and holds hits.  NULL: nothing speaks against conf. */
beacond_conf_t *beacond_spool_last_conf(const beacond_conf_t *conf);

#endif /* BEACOND_SPOOL_LAST_H */
