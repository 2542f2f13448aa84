/* How a hit looks in beacond tail. */

#ifndef BEACOND_TAIL_PRINT_H
#define BEACOND_TAIL_PRINT_H

#include "beacon_line.h"

#include <stdio.h>

/*
 * text stands in JSON and is valid UTF-8.  What a terminal could take for more
 * than text (DEL, U+0080 to U+009F) or what could turn a line around (marks
 * and overrides of direction, separators of lines) is written as \uXXXX, which
 * in JSON means the same.
 */
void beacond_print(FILE *file, const uint8_t *text, size_t len);

/* The same of JSON, in one line: blanks between its tokens, as a body has them,
   are spaces. */
void beacond_print_json(FILE *file, const uint8_t *text, size_t len);

/* Time, site, page, visitor, country and referrer; "-" for what is absent. */
void beacond_print_hit(FILE *file, const beacon_line_parts_t *parts,
    beacon_str_t visitor);

/* A line that says that nobody is at the endpoint, or that this user may not go
   there. */
void beacond_print_nobody(FILE *file, const char *endpoint);

#endif /* BEACOND_TAIL_PRINT_H */
