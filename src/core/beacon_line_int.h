/* The variants of what looks through lines, and where a renderer says that a
   line's members stand. */

#ifndef BEACON_LINE_INT_H
#define BEACON_LINE_INT_H

#include "beacon_line.h"

/* As beacon_line_parts(), _view() and _shown(). */
beacon_rc_t beacon_line_parts_any(beacon_str_t line,
    beacon_line_parts_t *parts);
void beacon_line_view_any(const beacon_line_parts_t *parts,
    beacon_line_view_t *view);
void beacon_line_shown_any(const uint8_t *line, const beacon_line_t *known,
    beacon_line_shown_t *shown);

#if defined(__x86_64__)
beacon_rc_t beacon_line_parts_avx2(beacon_str_t line,
    beacon_line_parts_t *parts);
void beacon_line_view_avx2(const beacon_line_parts_t *parts,
    beacon_line_view_t *view);
void beacon_line_shown_avx2(const uint8_t *line, const beacon_line_t *known,
    beacon_line_shown_t *shown);
#endif


/* ---- by beacon_line_t; {0, 0}: there is none */

/* "name":" */
#define beacon_line_skip(name)  (sizeof("\"" name "\":\"") - 1)

/* A member between these places, if there is one: its value's first byte is
   "skip" bytes on, with nothing behind its last. */
static inline beacon_line_text_t
beacon_line_member(uint32_t from, uint32_t to, size_t skip)
{
    if (from == to) {
        return (beacon_line_text_t) { 0, 0 };
    }

    return (beacon_line_text_t) {
        from + (uint32_t) skip, to - from - (uint32_t) skip
    };
}

/* The same; a quote and a comma are behind its last. */
static inline beacon_line_text_t
beacon_line_between(uint32_t from, uint32_t to, size_t skip)
{
    if (from == to) {
        return (beacon_line_text_t) { 0, 0 };
    }

    return (beacon_line_text_t) {
        from + (uint32_t) skip, to - from - (uint32_t) skip - 2
    };
}

/* Where "time" begins. */
static inline uint32_t
beacon_line_time(const beacon_line_t *known)
{
    return (uint32_t) (BEACON_LINE_ID + known->id_len + 2
                       + beacon_line_skip("time"));
}

#define BEACON_LINE_TIME  (sizeof("2026-11-21T22:56:01.204Z") - 1)

static inline beacon_line_text_t
beacon_line_known_visitor(const beacon_line_t *known)
{
    return beacon_line_between(known->site_offset + known->site_len + 2U,
                               known->ip_offset, beacon_line_skip("visitor"));
}

static inline beacon_line_text_t
beacon_line_known_ip(const beacon_line_t *known)
{
    if (known->ip_len == 0) {
        return (beacon_line_text_t) { 0, 0 };
    }

    return (beacon_line_text_t) { known->ip_offset, known->ip_len - 1U };
}

static inline beacon_line_text_t
beacon_line_known_host(const beacon_line_t *known)
{
    return beacon_line_between(known->host_offset, known->path_offset,
                               beacon_line_skip("host"));
}

static inline beacon_line_text_t
beacon_line_known_referer(const beacon_line_t *known)
{
    return beacon_line_between(known->args_end + 1, known->referer_end,
                               beacon_line_skip("referer"));
}

static inline beacon_line_text_t
beacon_line_known_flags(const beacon_line_t *known)
{
    return beacon_line_member(known->fields_end, known->flags_end,
                              sizeof(",\"flags\":") - 1);
}

#endif /* BEACON_LINE_INT_H */
