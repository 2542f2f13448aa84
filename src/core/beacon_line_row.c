/* The row form: the short one, and what else a row of a feed says. */

#include "beacon_line.h"
#include "beacon_line_scan.h"

/*
 * Browsers that people name, by the product in the agent.  One that has the
 * products of others, too, stands before them.
 */
typedef struct {
    const char  *product;
    const char  *name;
} beacon_line_browser_t;

static const beacon_line_browser_t  beacon_line_browsers[] = {
    { "Edg", "Edge" },
    { "EdgA", "Edge" },
    { "EdgiOS", "Edge" },
    { "Edge", "Edge" },
    { "OPR", "Opera" },
    { "SamsungBrowser", "Samsung Internet" },
    { "FxiOS", "Firefox" },
    { "Firefox", "Firefox" },
    { "CriOS", "Chrome" },
    { "Chrome", "Chrome" },
    { "HeadlessChrome", "Chrome" },
    { "Safari", "Safari" }
};

#define BEACON_LINE_BROWSERS                                                  \
    (sizeof(beacon_line_browsers) / sizeof(beacon_line_browsers[0]))

/* Its place in the list, or how many there are. */
static unsigned
beacon_line_product(const uint8_t *p, size_t len)
{
    unsigned     i;
    const char  *product;

    for (i = 0; i < BEACON_LINE_BROWSERS; i++) {
        product = beacon_line_browsers[i].product;

        if (strlen(product) == len && memcmp(p, product, len) == 0) {
            break;
        }
    }

    return i;
}

static beacon_str_t
beacon_line_browser(beacon_str_t agent)
{
    unsigned        found, least;
    const uint8_t  *p, *slash, *end;

    if (agent.len == 0) {
        return (beacon_str_t) { 0, NULL };
    }

    least = BEACON_LINE_BROWSERS;
    end = agent.data + agent.len;

    for (slash = agent.data; slash < end; slash++) {
        if (*slash != '/') {
            continue;
        }

        for (p = slash;
             p > agent.data && (p[-1] | 0x20) >= 'a' && (p[-1] | 0x20) <= 'z';
             p--)
        { /* void */ }

        found = beacon_line_product(p, (size_t) (slash - p));
        least = (found < least) ? found : least;
    }

    if (least == BEACON_LINE_BROWSERS) {
        return (beacon_str_t) { 0, NULL };
    }

    return (beacon_str_t) {
        strlen(beacon_line_browsers[least].name),
        (const uint8_t *) beacon_line_browsers[least].name
    };
}

/* Argument "e", as it stands in the line. */
static beacon_str_t
beacon_line_event(beacon_str_t args)
{
    int             named;
    const uint8_t  *p, *q, *end;

    end = args.data + args.len;

    for (p = args.data + 1; p < end && *p == '"'; p = q + 2) {
        q = beacon_line_string(p + 1, end, beacon_block_of('\"'));

        if (q == NULL || end - q < 3 || q[1] != ':' || q[2] != '"') {
            break;
        }

        named = (q - p == 2 && p[1] == 'e');
        p = q + 3;
        q = beacon_line_string(p, end, beacon_block_of('\"'));

        if (q == NULL) {
            break;
        }

        if (named) {
            return (beacon_str_t) { (size_t) (q - p), p };
        }
    }

    return (beacon_str_t) { 0, NULL };
}

static uint8_t *
beacon_line_member(uint8_t *p, const char *name, beacon_str_t value)
{
    size_t  len;

    if (value.len == 0) {
        return p;
    }

    len = strlen(name);
    memcpy(p, name, len);
    memcpy(p + len, value.data, value.len);
    p += len + value.len;
    *p++ = '"';

    return p;
}

size_t
beacon_line_row(beacon_str_t line, beacon_str_t brief, uint8_t *dst)
{
    uint8_t              *p;
    beacon_line_view_t    view;
    beacon_line_parts_t   parts;

    if (brief.len == 0) {
        return 0;
    }

    memcpy(dst, brief.data, brief.len);

    if (beacon_line_parts(line, &parts) != BEACON_OK) {
        return brief.len;
    }

    beacon_line_view(&parts, &view);

    p = dst + brief.len - 1;
    p = beacon_line_member(p, ",\"event\":\"", beacon_line_event(parts.args));
    p = beacon_line_member(p, ",\"campaign\":\"", view.campaign);
    p = beacon_line_member(p, ",\"browser\":\"",
                           beacon_line_browser(parts.user_agent));
    *p++ = '}';

    return (size_t) (p - dst);
}
