/*
 * CRC-32C (Castagnoli, reflected 0x82f63b78), as in SSE 4.2, iSCSI and ext4.
 * The fastest variant that this CPU can run is chosen at the first call; any
 * thread may make it.
 */

#ifndef BEACON_CRC32C_H
#define BEACON_CRC32C_H

#include "beacon.h"

/* crc: 0, or the result for the bytes before data.  Can't fail. */
uint32_t beacon_crc32c(uint32_t crc, const void *data, size_t len);

/*
 * Of a record that starts with a beacon_record_header_t, taking its crc for
 * zero: len is BEACON_RECORD_HEADER and its payload_len.  Can't fail.
 */
uint32_t beacon_crc32c_record(const uint8_t *record, size_t len);

/*
 * For tests and benchmarks: the variants this CPU can run, best first and
 * NULL-ended; the last is "portable".  Select: INVALID if not among them.
 */
const char *const *beacon_crc32c_variants(void);
beacon_rc_t beacon_crc32c_select(const char *name);

#endif /* BEACON_CRC32C_H */
