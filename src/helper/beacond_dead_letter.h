/*
 * beacond dead-letter list|retry -c FILE: what stands in the dead-letter files
 * of the Kafka sinks (beacond_kafka_dead.c) that FILE names.
 */

#ifndef BEACOND_DEAD_LETTER_H
#define BEACOND_DEAD_LETTER_H

/* argv[0] is "dead-letter".  Returns the exit code: 0 no letter waits any
   more, or list; 1 some do; 2 usage, configuration, system. */
int beacond_dead_letter(int argc, char *argv[]);

#endif /* BEACOND_DEAD_LETTER_H */
