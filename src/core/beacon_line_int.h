/* The variants of what looks through lines. */

#ifndef BEACON_LINE_INT_H
#define BEACON_LINE_INT_H

#include "beacon_line.h"

/* As beacon_line_parts() and _view(). */
beacon_rc_t beacon_line_parts_any(beacon_str_t line,
    beacon_line_parts_t *parts);
void beacon_line_view_any(const beacon_line_parts_t *parts,
    beacon_line_view_t *view);

#if defined(__x86_64__)
beacon_rc_t beacon_line_parts_avx2(beacon_str_t line,
    beacon_line_parts_t *parts);
void beacon_line_view_avx2(const beacon_line_parts_t *parts,
    beacon_line_view_t *view);
#endif

#endif /* BEACON_LINE_INT_H */
