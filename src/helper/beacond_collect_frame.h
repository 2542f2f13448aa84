/*
 * What a spy feed's message says (beacon_spy.h), to one who has it from a
 * socket: nothing is believed that does not agree with the rest.
 */

#ifndef BEACOND_COLLECT_FRAME_H
#define BEACOND_COLLECT_FRAME_H

#include "beacon_json.h"
#include "beacon_line.h"
#include "beacon_spy.h"

typedef struct {
    beacon_spy_head_t    head;
    /* of a hit */
    beacon_str_t         visitor;       /* as it is to be shown */
    beacon_str_t         line;
    uint64_t             time_ms;
    beacon_line_parts_t  parts;
} beacond_collect_frame_t;

/*
 * frames: so many as the message has, three of them at most.  INVALID: it is
 * not believed, *why says what of it.  SYS: no memory.  What is returned lies
 * in the frames.
 */
beacon_rc_t beacond_collect_read(beacond_collect_frame_t *frame,
    const beacon_str_t *frames, unsigned n, beacon_json_t *json,
    const char **why);

/* "2026-11-21T22:56:01.204Z"; 0: it is none. */
uint64_t beacond_collect_time(beacon_str_t text);

#endif /* BEACOND_COLLECT_FRAME_H */
