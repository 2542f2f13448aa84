/* Temporary files that a kill has left; beacond.lock is held. */

#ifndef BEACOND_SWEEP_H
#define BEACOND_SWEEP_H

/* Of ring, configuration and schemas; now and then. */
void beacond_sweep_ring(const char *dir);

/* Of checkpoints, cursors and schemas; before anybody writes there. */
void beacond_sweep_spool(const char *dir);

#endif /* BEACOND_SWEEP_H */
