/* Lines with SSE2, which every x86-64 has, or without vectors; and which of the
   variants is taken. */

#include "beacon_line_int.h"

#define BEACON_LINE_PARTS  beacon_line_parts_any
#define BEACON_LINE_VIEW   beacon_line_view_any
#define BEACON_LINE_SHOWN  beacon_line_shown_any

#include "beacon_line_loops.h"
#include "beacon_line_view_loops.h"

#define BEACON_LINE_EIGHT(c)  c, c, c, c, c, c, c, c
#define BEACON_LINE_ALL(c)                                                    \
    { BEACON_LINE_EIGHT(c), BEACON_LINE_EIGHT(c), BEACON_LINE_EIGHT(c),       \
      BEACON_LINE_EIGHT(c) }

_Alignas(32) const uint8_t  beacon_line_marks[BEACON_LINE_MARKS][32] = {
    BEACON_LINE_ALL('/'), BEACON_LINE_ALL('@'), BEACON_LINE_ALL('?'),
    BEACON_LINE_ALL('#')
};

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

beacon_line_shown_f
beacon_line_shown_fastest(void)
{
#if defined(beacon_line_has_avx2)
    if (beacon_line_has_avx2()) {
        return beacon_line_shown_avx2;
    }
#endif

    return beacon_line_shown_any;
}

void
beacon_line_shown(const uint8_t *line, const beacon_line_t *known,
    beacon_line_shown_t *shown)
{
    beacon_line_shown_fastest()(line, known, shown);
}

static inline beacon_line_text_t
beacon_line_where(const uint8_t *line, beacon_str_t part)
{
    if (part.len == 0) {
        return (beacon_line_text_t) { 0, 0 };
    }

    return (beacon_line_text_t) {
        (uint32_t) (part.data - line), (uint32_t) part.len
    };
}

void
beacon_line_shown_of(const uint8_t *line, const beacon_line_parts_t *parts,
    beacon_line_shown_t *shown)
{
    beacon_line_view_t   view;
    beacon_line_text_t  *texts;

    beacon_line_view(parts, &view);
    texts = shown->texts;

    shown->ip = beacon_line_where(line, parts->ip_member);
    texts[BEACON_SHORT_TIME] = beacon_line_where(line, parts->time);
    texts[BEACON_SHORT_VISITOR] = beacon_line_where(line, parts->visitor);
    texts[BEACON_SHORT_PAGE] = beacon_line_where(line, view.page);
    texts[BEACON_SHORT_REFERRER] = beacon_line_where(line, view.referrer);
    texts[BEACON_SHORT_COUNTRY] = beacon_line_where(line, view.country);
    texts[BEACON_SHORT_FLAGS] = beacon_line_where(line, parts->flags);
    shown->page_host = beacon_line_where(line, view.page_host);
    shown->referrer_host = beacon_line_where(line, view.referrer_host);
    shown->campaign = beacon_line_where(line, view.campaign);
}
