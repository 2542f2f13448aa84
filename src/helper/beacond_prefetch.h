/*
 * BEACOND_TO_WRITE before a function: what it brings into the cache with
 * __builtin_prefetch(p, 1) is to be written to.  Without it, x86 brings it to
 * be read, and asks the processor that read it last once more; one that does
 * not know of it does nothing.  gcc drops the calls of a function that brings
 * things into the cache and does nothing else.
 */

#ifndef BEACOND_PREFETCH_H
#define BEACOND_PREFETCH_H

#if defined(__x86_64__)
#define BEACOND_TO_WRITE  __attribute__((target("prfchw")))
#else
#define BEACOND_TO_WRITE
#endif

#endif /* BEACOND_PREFETCH_H */
