/*
 * beacon_status as JSON: members are README's, "The books".  Names that come
 * from shared memory are checked before they are printed.
 */

#include "ngx_http_beacon_status.h"


static u_char *ngx_http_beacon_print_capture(u_char *p, u_char *last,
    ngx_http_beacon_now_t *now, uint64_t accepted);
static u_char *ngx_http_beacon_print_stores(u_char *p, u_char *last,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_now_t *now);
static u_char *ngx_http_beacon_print_sinks(u_char *p, u_char *last,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_now_t *now,
    uint64_t accepted);
static u_char *ngx_http_beacon_print_sink(u_char *p, u_char *last,
    beacon_books_sink_t *sink, uint64_t since);
static u_char *ngx_http_beacon_print_helper(u_char *p, u_char *last,
    ngx_http_beacon_now_t *now);
static u_char *ngx_http_beacon_print_live(u_char *p, u_char *last,
    ngx_http_beacon_now_t *now);
static u_char *ngx_http_beacon_print_age(u_char *p, u_char *last, uint64_t ns);
static size_t ngx_http_beacon_more(const char *more, size_t size);


u_char *
ngx_http_beacon_status_json(u_char *p, u_char *last,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_now_t *now)
{
    uint32_t  i;
    uint64_t  accepted;

    accepted = now->books->accepted_base + now->since;

    for (i = 0; i < now->books->nlanes; i++) {
        accepted += now->books->lanes[i].ordinal;
    }

    p = ngx_slprintf(p, last, "{\"v\":1,\"edge\":\"%V\",\"version\":\"%s\",",
                     &bmcf->edge, BEACON_VERSION);

    p = ngx_http_beacon_print_capture(p, last, now, accepted);
    p = ngx_http_beacon_print_stores(p, last, bmcf, now);
    p = ngx_http_beacon_print_sinks(p, last, bmcf, now, accepted);
    p = ngx_http_beacon_print_helper(p, last, now);

    if (bmcf->live) {
        p = ngx_http_beacon_print_live(p, last, now);
    }

    return ngx_slprintf(p, last, "}\n");
}


static u_char *
ngx_http_beacon_print_capture(u_char *p, u_char *last,
    ngx_http_beacon_now_t *now, uint64_t accepted)
{
    size_t                len;
    ngx_uint_t            i, n;
    beacon_books_flag_t  *flag;

    p = ngx_slprintf(p, last, "\"capture\":{\"accepted\":%uL,\"refused\":%uL,"
                     "\"dropped\":%uL,\"rejected\":{",
                     accepted, now->refused, now->dropped);

    for (i = 0; i < BEACON_REJECTS; i++) {
        p = ngx_slprintf(p, last, "%s\"%V\":%uL", i ? "," : "",
                         &ngx_http_beacon_reasons[i], now->rejected[i]);
    }

    p = ngx_slprintf(p, last, "},\"flags\":{");

    for (i = 0, n = 0; i < now->books->nflags; i++) {
        flag = &now->books->flags[i];
        len = strnlen(flag->name, sizeof(flag->name));

        if (beacon_schema_name_valid((uint8_t *) flag->name, len)) {
            p = ngx_slprintf(p, last, "%s\"%*s\":%uL", n++ ? "," : "",
                             len, flag->name, flag->n);
        }
    }

    return ngx_slprintf(p, last, "}},");
}


static u_char *
ngx_http_beacon_print_stores(u_char *p, u_char *last,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_now_t *now)
{
    uint64_t  size;

    p = ngx_slprintf(p, last, "\"ring\":{\"lanes\":%ui,\"owned\":%ui,"
                     "\"used_bytes\":%uL,\"capacity_bytes\":%uL,"
                     "\"oldest_seconds\":",
                     now->lanes, now->owned, now->used, now->capacity);

    p = ngx_http_beacon_print_age(p, last, now->oldest_ns);

    size = now->published ? now->books->spool_size
                          : (uint64_t) bmcf->spool_size;

    p = ngx_slprintf(p, last, "},\"spool\":{\"used_bytes\":%uL,"
                     "\"size_bytes\":%uL,\"oldest_seconds\":",
                     now->books->spool_used, size);

    p = ngx_http_beacon_print_age(p, last, now->books->spool_oldest_ns);

    return ngx_slprintf(p, last, "},");
}


/* Before the helper's first snapshot: those configured, with all to do. */

static u_char *
ngx_http_beacon_print_sinks(u_char *p, u_char *last,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_now_t *now,
    uint64_t accepted)
{
    size_t                   len;
    ngx_uint_t               i, n;
    beacon_books_sink_t     *sink;
    ngx_http_beacon_sink_t  *configured;

    p = ngx_slprintf(p, last, "\"sinks\":{");

    if (!now->published) {
        configured = bmcf->sinks.elts;

        for (i = 0; i < bmcf->sinks.nelts; i++) {
            p = ngx_slprintf(p, last, "%s\"%V\":{\"type\":\"%V\",\"done\":0,"
                             "\"lost\":0,\"pending\":%uL,\"errors\":0,"
                             "\"last_success\":null}", i ? "," : "",
                             &configured[i].name, &configured[i].type,
                             accepted);
        }

        return ngx_slprintf(p, last, "},");
    }

    for (i = 0, n = 0; i < now->books->nsinks; i++) {
        sink = &now->books->sinks[i];
        len = strnlen(sink->name, sizeof(sink->name));

        if (!beacon_site_valid((uint8_t *) sink->name, len)) {
            continue;
        }

        p = ngx_slprintf(p, last, "%s\"%*s\":", n++ ? "," : "", len,
                         sink->name);
        p = ngx_http_beacon_print_sink(p, last, sink, now->since);
    }

    return ngx_slprintf(p, last, "},");
}


static u_char *
ngx_http_beacon_print_sink(u_char *p, u_char *last, beacon_books_sink_t *sink,
    uint64_t since)
{
    size_t    len;
    ngx_tm_t  tm;

    len = strnlen(sink->type, sizeof(sink->type));

    if (!beacon_site_valid((uint8_t *) sink->type, len)) {
        len = 0;
    }

    p = ngx_slprintf(p, last, "{\"type\":\"%*s\",\"done\":%uL,\"lost\":%uL,"
                     "\"pending\":%uL,\"errors\":%uL,\"last_success\":",
                     len, sink->type, sink->done, sink->lost,
                     sink->pending + since, sink->errors);

    if (sink->last_success_ns) {
        ngx_gmtime((time_t) (sink->last_success_ns / 1000000000), &tm);

        p = ngx_slprintf(p, last, "\"%4d-%02d-%02dT%02d:%02d:%02d.%03uLZ\"",
                         tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                         tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                         sink->last_success_ns / 1000000 % 1000);
    } else {
        p = ngx_slprintf(p, last, "null");
    }

    return ngx_slprintf(p, last, "%*s}",
                        ngx_http_beacon_more(sink->more, sizeof(sink->more)),
                        sink->more);
}


/* Bytes of a sink's own members to print: all, or none if they are not. */

static size_t
ngx_http_beacon_more(const char *more, size_t size)
{
    size_t  i, len;

    len = strnlen(more, size);

    if (len < 2 || more[0] != ',' || more[1] != '"') {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if ((u_char) more[i] < 0x20) {
            return 0;
        }
    }

    return len;
}


static u_char *
ngx_http_beacon_print_helper(u_char *p, u_char *last,
    ngx_http_beacon_now_t *now)
{
    size_t           len;
    beacon_books_t  *books;

    books = now->books;
    len = strnlen(books->helper_version, sizeof(books->helper_version));

    if (!beacon_site_valid((uint8_t *) books->helper_version, len)) {
        len = 0;
    }

    return ngx_slprintf(p, last, "\"helper\":{\"pid\":%uD,\"up\":%s,"
                        "\"restarts\":%uL,\"rss_bytes\":%uL,"
                        "\"version\":\"%*s\"}",
                        books->helper_pid, now->up ? "true" : "false",
                        books->helper_starts ? books->helper_starts - 1
                                             : (uint64_t) 0,
                        books->helper_rss, len, books->helper_version);
}


/* What the live API did not answer; behind all that was there before it. */

static u_char *
ngx_http_beacon_print_live(u_char *p, u_char *last, ngx_http_beacon_now_t *now)
{
    uint64_t  *n;

    n = now->live;

    return ngx_slprintf(p, last, ",\"live\":{\"rejected\":{\"path\":%uL,"
                        "\"query\":%uL,\"method\":%uL},"
                        "\"refused\":{\"store\":%uL,\"wait\":%uL,"
                        "\"stream\":%uL}}",
                        n[BEACON_LIVE_REFUSE_PATH],
                        n[BEACON_LIVE_REFUSE_QUERY],
                        n[BEACON_LIVE_REFUSE_METHOD],
                        n[BEACON_LIVE_REFUSE_STORE],
                        n[BEACON_LIVE_REFUSE_WAIT],
                        n[BEACON_LIVE_REFUSE_STREAM]);
}


/* Seconds since a time, with milliseconds; 0: nothing there. */

static u_char *
ngx_http_beacon_print_age(u_char *p, u_char *last, uint64_t ns)
{
    uint64_t     now, ms;
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    now = (uint64_t) tp->sec * 1000 + tp->msec;
    ms = ns / 1000000;
    ms = (ns == 0 || ms > now) ? 0 : now - ms;

    return ngx_slprintf(p, last, "%uL.%03uL", ms / 1000, ms % 1000);
}
