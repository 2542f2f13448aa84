/* Lines with SSE2, which every x86-64 has, or without vectors; and which of the
   variants is taken. */

#include "beacon_line_int.h"

#define BEACON_LINE_PARTS  beacon_line_parts_any
#define BEACON_LINE_VIEW   beacon_line_view_any

#include "beacon_line_loops.h"
#include "beacon_line_view_loops.h"

#if defined(__x86_64__) && !defined(BEACON_PORTABLE)
#define beacon_line_has_avx2()                                                \
    (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")          \
     && __builtin_cpu_supports("bmi2"))
#endif

beacon_rc_t
beacon_line_parts(beacon_str_t line, beacon_line_parts_t *parts)
{
#if defined(beacon_line_has_avx2)
    if (beacon_line_has_avx2()) {
        return beacon_line_parts_avx2(line, parts);
    }
#endif

    return beacon_line_parts_any(line, parts);
}

void
beacon_line_view(const beacon_line_parts_t *parts, beacon_line_view_t *view)
{
#if defined(beacon_line_has_avx2)
    if (beacon_line_has_avx2()) {
        beacon_line_view_avx2(parts, view);
        return;
    }
#endif

    beacon_line_view_any(parts, view);
}
