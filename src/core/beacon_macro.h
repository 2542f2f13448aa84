/*
 * Macros that an ad server should have replaced: ${CACHEBUSTER}, [timestamp],
 * %%CACHEBUSTER%%, {{anything}}.  Looked for in arguments as they
 * are rendered, so however they were escaped; and, where decoding loses bytes,
 * in the query or form as it was sent: "%CA" being an escape, decoding makes
 * something else of %%CACHEBUSTER%%.
 *
 *     ${NAME}  %%NAME%%   NAME: [A-Za-z_][A-Za-z0-9_.:-]*
 *     [NAME]              [A-Za-z_][A-Za-z0-9_]{2,}, as a whole key or value or
 *                         between separators of a URL: not items[name], not
 *                         "see [note]"
 *     {{...}}             at least one byte, no brace and no quote
 */

#ifndef BEACON_MACRO_H
#define BEACON_MACRO_H

#include "beacon.h"

/* How far a text is searched: no creative's URL is as long, and what a client
   makes up to be expensive is. */
#define BEACON_MACRO_LEN  4096

/*
 * 1 if there is one in len bytes of JSON, or of a query, else 0.  The variants
 * with vectors may load 64 bytes beyond the end.
 */
typedef int (*beacon_macro_pt)(const uint8_t *text, size_t len);

int beacon_macro_portable(const uint8_t *text, size_t len);

#if defined(__x86_64__)
int beacon_macro_sse2(const uint8_t *text, size_t len);
int beacon_macro_avx2(const uint8_t *text, size_t len);
#endif

#endif /* BEACON_MACRO_H */
