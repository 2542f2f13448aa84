/* Lines with AVX2, where the processor has it. */

#include "beacon_line_int.h"

#if defined(__x86_64__) && !defined(BEACON_PORTABLE)

#define BEACON_LINE_AVX2
#define BEACON_LINE_PARTS  beacon_line_parts_avx2
#define BEACON_LINE_VIEW   beacon_line_view_avx2
#define BEACON_LINE_SHOWN  beacon_line_shown_avx2

#include "beacon_line_loops.h"
#include "beacon_line_view_loops.h"

#endif
