/*
 * Takes arguments out by their names (beacon_drop_args, beacon_keep_args): of a
 * query or form, of a path's parameters, of a referer, of the members of a JSON
 * object or of a batch of them.  Runs in the worker, before anything is stored.
 *
 * Names are compared as they are once decoded (%65mail is email, "\u0065mail"
 * too), byte for byte, with one kindness each way that errs on the side of
 * storing less: what is dropped is dropped in upper or lower case (ASCII), and
 * with a subscript ("email" drops Email, email[] and email[0][x]); what is kept
 * has exactly the name that was given.
 *
 * What is not taken out stays as it was, byte for byte and in its order; one
 * separator goes with each that is.
 */

#ifndef BEACON_FILTER_H
#define BEACON_FILTER_H

#include "beacon.h"
#include "beacon_json.h"

#define BEACON_FILTER_NAME_MAX  255

/* Read-only once it is made.  The names are someone else's. */
typedef struct {
    const beacon_str_t  *drop;
    const beacon_str_t  *keep;
    uint32_t             ndrop;
    uint32_t             nkeep;         /* 0: all but those that drop names */
    uint32_t             longest;       /* of the names */
    int                  plain;         /* what is in a query unescaped can be
                                           compared as it stands */
    uint8_t              first[256];    /* 1: a sequence that begins with it
                                           has to be looked at */
} beacon_filter_t;

/*
 * Names are 1 to BEACON_FILTER_NAME_MAX bytes, those to drop in lower case
 * (ASCII).  This function can't fail.
 */
void beacon_filter_init(beacon_filter_t *filter, const beacon_str_t *drop,
    uint32_t ndrop, const beacon_str_t *keep, uint32_t nkeep);

/*
 * What is left of a query or form.  out->data is query.data where nothing had
 * to be taken out, else dst, which holds at least query.len bytes and does not
 * overlap.  This function can't fail.
 */
void beacon_filter_query(const beacon_filter_t *filter, beacon_str_t query,
    uint8_t *dst, beacon_str_t *out);

/*
 * Does a query or form begin like JSON?  Scripts send some as one, to need no
 * preflight; it would be one name, its values and all.  "[email]=" is a query.
 */
int beacon_filter_is_json(beacon_str_t text);

/*
 * The same for a request's path, whose parameters (";email=...") are filtered:
 * each goes to the next ';' or the path's end.  A fragment, which no browser
 * sends and no rule describes, is taken out.  This function can't fail.
 */
void beacon_filter_path(const beacon_filter_t *filter, beacon_str_t path,
    uint8_t *dst, beacon_str_t *out);

/*
 * The same for a URL: its path and its query, which goes as a whole where it
 * is JSON.  This function can't fail.
 */
void beacon_filter_url(const beacon_filter_t *filter, beacon_str_t url,
    uint8_t *dst, beacon_str_t *out);

/*
 * The same for a JSON object's own members, not those of what it holds, or for
 * those of each object in an array.  INVALID: neither an object nor an array of
 * objects alone, or not what beacon_json_check() takes for JSON (two equal
 * keys, for one): it cannot be searched.  SYS: no memory.
 */
beacon_rc_t beacon_filter_json(const beacon_filter_t *filter,
    beacon_json_t *json, beacon_str_t text, uint8_t *dst, beacon_str_t *out);

#endif /* BEACON_FILTER_H */
