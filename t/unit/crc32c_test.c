#include "beacon_crc32c.h"
#include "beacon_format.h"
#include "tap.h"

#include <string.h>

static uint8_t  data[16384 + 64];

/* A bit at a time, straight from the definition. */
static uint32_t
slow(uint32_t crc, const uint8_t *p, size_t len)
{
    int  i;

    crc = ~crc;

    for (/* void */; len; p++, len--) {
        crc ^= *p;

        for (i = 0; i < 8; i++) {
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }

    return ~crc;
}

static void
variant(const char *name)
{
    size_t   i, len, from, cut;
    uint8_t  zeros[32], record[2048], copy[2048];
    int      bad;

    ok(beacon_crc32c_select(name) == BEACON_OK, "%s can be selected", name);

    memset(zeros, 0, sizeof(zeros));

    ok(beacon_crc32c(0, "123456789", 9) == 0xe3069283
       && beacon_crc32c(0, zeros, 32) == 0x8a9136aa
       && beacon_crc32c(0, "", 0) == 0,
       "%s gives the published values", name);

    bad = 0;

    for (len = 0; len < 2500; len++) {
        from = len % 17;
        bad += beacon_crc32c((uint32_t) len, data + from, len)
               != slow((uint32_t) len, data + from, len);
    }

    ok(bad == 0, "%s agrees with the definition for every length up to 2500, "
       "unaligned too", name);

    bad = 0;

    for (i = 0; i < 200; i++) {
        len = (size_t) rand() % 16384;
        cut = (size_t) rand() % (len + 1);
        bad += beacon_crc32c(beacon_crc32c(0, data, cut), data + cut,
                             len - cut)
               != slow(0, data, len);
    }

    ok(bad == 0, "%s can go on where it stopped", name);

    bad = 0;

    for (len = BEACON_RECORD_HEADER; len < sizeof(record); len++) {
        memcpy(record, data + len, len);
        memcpy(copy, record, len);
        memset(copy + offsetof(beacon_record_header_t, crc), 0, 4);
        bad += beacon_crc32c_record(record, len) != slow(0, copy, len);
    }

    ok(bad == 0, "%s takes a record's own crc for zero, at every length",
       name);
}

int
main(void)
{
    size_t              i;
    const char *const  *names;

    srand(7);

    for (i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t) rand();
    }

    for (names = beacon_crc32c_variants(); *names != NULL; names++) {
        variant(*names);
    }

    ok(names != beacon_crc32c_variants()
       && strcmp(names[-1], "portable") == 0,
       "the portable variant is always there, last");
    ok(beacon_crc32c_select("nothing") == BEACON_INVALID,
       "an unknown variant is refused");

    return done_testing();
}
