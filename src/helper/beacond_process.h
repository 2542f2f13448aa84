/* What the helper needs of its process before it starts threads. */

#ifndef BEACOND_PROCESS_H
#define BEACOND_PROCESS_H

#include "beacon.h"

#include <stdbool.h>

/*
 * Blocks TERM, INT, QUIT, HUP and USR1, before anything takes time: until the
 * signalfd is there they wait.  A manager execs the helper with these blocked
 * already; a service manager is told when it may send one.  Before there are
 * threads, so that none of them takes these.
 */
void beacond_process_block(void);

/* Tells the service manager that signals are taken, if there is one that wants
   to know (NOTIFY_SOCKET): before, while the loader is at work, they end this
   process. */
void beacond_process_ready(void);

/*
 * umask, descriptors that are not ours, their limit, and *signals, a signalfd
 * through which the blocked signals come.
 * supervised: BEACOND_SUPERVISOR_FD stays open.
 */
beacon_rc_t beacond_process_init(bool supervised, int *signals,
    beacon_err_t *err);

/*
 * INVALID: dir belongs to another user than this process.  Started as root by
 * mistake, the helper would leave files that the worker user, who supervises,
 * cannot use.
 */
beacon_rc_t beacond_process_user(const char *dir, beacon_err_t *err);

/*
 * Takes dir/beacond.lock.  FULL: another helper has it.  It stays locked until
 * this process is gone, with all its threads and whatever they are still
 * writing: only then may another helper look at our files.
 */
beacon_rc_t beacond_process_lock(const char *dir, int *lock,
    beacon_err_t *err);

/* No core file from here on: there are secrets in memory. */
void beacond_process_secret(void);

/* Threads that do not end are not waited for; the log is, for a moment. */
_Noreturn void beacond_process_exit(int code);

#endif /* BEACOND_PROCESS_H */
