/*
 * beacond tail: a person's live view of a spy feed, one line a hit.  Whatever
 * strangers have sent, no control byte of theirs comes to the terminal.
 */

#ifndef BEACOND_TAIL_H
#define BEACOND_TAIL_H

/* argv[0] is "tail".  Returns the exit code: 0 ended by a signal, or because
   nobody reads any more; 2 usage, keys, system. */
int beacond_tail(int argc, char *argv[]);

#endif /* BEACOND_TAIL_H */
