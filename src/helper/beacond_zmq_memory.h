/*
 * How much memory the threads that move messages have: an arena of jemalloc
 * that they alone allocate from, whoever frees it.
 */

#ifndef BEACOND_ZMQ_MEMORY_H
#define BEACOND_ZMQ_MEMORY_H

#include <stdint.h>

/* What this thread allocates from now on counts. */
void beacond_zmq_memory_join(void);

/* Bytes in use; 0: there is no jemalloc. */
uint64_t beacond_zmq_memory(void);

/* Gives back to the system what is not in use. */
void beacond_zmq_memory_purge(void);

#endif /* BEACOND_ZMQ_MEMORY_H */
