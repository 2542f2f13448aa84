/*
 * Keeps librdkafka from turning in circles.  With a request for a partition
 * out, the thread of its broker sends none other for it (2.0.2 takes messages
 * for requests there), but if messages have waited for as long as linger.ms it
 * looks whether it may without a pause: while a broker stands still, or answers
 * later than that, it takes a whole CPU.
 *
 * So these threads' poll() is ours: where it was called three times in turn
 * without a wait and nothing had happened, it waits for a millisecond.  What
 * comes from a broker, and what other threads have for it, ends that at once.
 *
 * The main thread waits for its timers in whole milliseconds, rounded down, and
 * turns in circles for the rest.  Its waits may last 2 ms longer.
 */

#ifndef BEACOND_KAFKA_CALM_H
#define BEACOND_KAFKA_CALM_H

struct rd_kafka_conf_s;

/* What is made with this configuration has such threads. */
void beacond_calm(struct rd_kafka_conf_s *conf);

/* The calling thread is a broker's, from now on. */
void beacond_calm_thread(void);

/* It is the main one: from now on its waits may last longer. */
void beacond_calm_timers(void);

#endif /* BEACOND_KAFKA_CALM_H */
