#include "beacon_spy.h"
#include "beacon_schema.h"

#include <string.h>

static const char  beacon_spy_pairs[] =
    "00010203040506070809101112131415161718192021222324"
    "25262728293031323334353637383940414243444546474849"
    "50515253545556575859606162636465666768697071727374"
    "75767778798081828384858687888990919293949596979899";

static size_t
beacon_spy_put(uint8_t *dst, const void *data, size_t len)
{
    memcpy(dst, data, len);
    return len;
}

size_t
beacon_spy_topic(int stat, beacon_str_t site, uint8_t dst[BEACON_SPY_TOPIC])
{
    size_t  n;

    n = stat ? beacon_spy_put(dst, "stat/", 5) : beacon_spy_put(dst, "hit/", 4);
    n += beacon_spy_put(dst + n, site.data, site.len);
    dst[n++] = '/';

    return n;
}

size_t
beacon_spy_prefix(const beacon_spy_head_t *head, uint8_t dst[BEACON_SPY_HEAD])
{
    size_t    n;
    unsigned  i;

    n = beacon_spy_put(dst, head->edge.data, head->edge.len);
    dst[n++] = ' ';

    for (i = 0; i < BEACON_SPY_FEED; i++) {
        dst[n++] = (uint8_t) "0123456789abcdef"[head->feed >> (60 - 4 * i)
                                                & 15];
    }

    dst[n++] = ' ';

    return n;
}

size_t
beacon_spy_rest(const beacon_spy_head_t *head, uint8_t *dst)
{
    size_t    n;
    uint8_t   digits[20], *p = digits + sizeof(digits);
    uint64_t  seq = head->seq;

    /* two at a time, and as many at the end as there can be */

    for ( /* void */ ; seq >= 10; seq /= 100) {
        p -= 2;
        memcpy(p, &beacon_spy_pairs[2 * (seq % 100)], 2);
    }

    if (seq > 0 || p == digits + sizeof(digits)) {
        *--p = (uint8_t) ('0' + seq);
    }

    n = (size_t) (digits + sizeof(digits) - p);
    beacon_spy_put(dst, p, n);

    if (!head->stat) {
        dst[n++] = ' ';
    }

    return n;
}

size_t
beacon_spy_head(const beacon_spy_head_t *head, uint8_t dst[BEACON_SPY_HEAD])
{
    size_t  n;

    n = beacon_spy_prefix(head, dst);

    return n + beacon_spy_rest(head, dst + n);
}

static int
beacon_spy_site(beacon_str_t topic, beacon_spy_head_t *head)
{
    size_t  n;

    if (topic.len > 5 && memcmp(topic.data, "stat/", 5) == 0) {
        head->stat = 1;
        n = 5;

    } else if (topic.len > 4 && memcmp(topic.data, "hit/", 4) == 0) {
        head->stat = 0;
        n = 4;

    } else {
        return 0;
    }

    if (topic.data[topic.len - 1] != '/') {
        return 0;
    }

    head->site.data = topic.data + n;
    head->site.len = topic.len - n - 1;

    return topic.len > n && beacon_site_valid(head->site.data, head->site.len);
}

/* The next word of the text, which ends at a space or with the text. */
static beacon_str_t
beacon_spy_word(beacon_str_t *text)
{
    beacon_str_t    word = *text;
    const uint8_t  *space;

    space = text->len > 0 ? memchr(text->data, ' ', text->len) : NULL;

    if (space == NULL) {
        text->data = NULL;
        text->len = 0;
        return word;
    }

    word.len = (size_t) (space - text->data);
    text->data = space + 1;
    text->len -= word.len + 1;

    return word;
}

static int
beacon_spy_feed(beacon_str_t word, uint64_t *feed)
{
    size_t   i;
    uint8_t  c;

    *feed = 0;

    for (i = 0; i < word.len; i++) {
        c = word.data[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
            return 0;
        }

        *feed = *feed << 4 | (unsigned) (c <= '9' ? c - '0' : c - 'a' + 10);
    }

    return word.len == BEACON_SPY_FEED;
}

/* 18 digits: what is beyond would leave no room to count on. */
static int
beacon_spy_seq(beacon_str_t word, uint64_t *seq)
{
    size_t  i;

    *seq = 0;

    if (word.len == 0 || word.len > 18 || word.data[0] == '0') {
        return 0;
    }

    for (i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9') {
            return 0;
        }

        *seq = *seq * 10 + (word.data[i] - '0');
    }

    return 1;
}

/* What can stand between quotes. */
static int
beacon_spy_visitor(beacon_str_t visitor)
{
    size_t  i;

    for (i = 0; i < visitor.len; i++) {
        if (visitor.data[i] < ' ' || visitor.data[i] == '"') {
            return 0;
        }

        if (visitor.data[i] == '\\'
            && (++i == visitor.len || visitor.data[i] < ' '))
        {
            return 0;
        }
    }

    return 1;
}

beacon_rc_t
beacon_spy_parse(beacon_str_t topic, beacon_str_t text,
    beacon_spy_head_t *head)
{
    memset(head, 0, sizeof(beacon_spy_head_t));

    if (!beacon_spy_site(topic, head)) {
        return BEACON_INVALID;
    }

    head->edge = beacon_spy_word(&text);

    if ((head->edge.len > 0
         && !beacon_schema_edge_valid(head->edge.data, head->edge.len))
        || !beacon_spy_feed(beacon_spy_word(&text), &head->feed)
        || !beacon_spy_seq(beacon_spy_word(&text), &head->seq))
    {
        return BEACON_INVALID;
    }

    if (head->stat) {
        return text.data == NULL ? BEACON_OK : BEACON_INVALID;
    }

    head->visitor = text;

    return text.len > 0 && beacon_spy_visitor(text) ? BEACON_OK
                                                    : BEACON_INVALID;
}
