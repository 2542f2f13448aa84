/*
 * Arguments: the keys of a hit, and later values of keys that repeat.
 *
 * Up to BEACON_TAGS keys are found by 16 bits of their hash (the variants
 * compare many at once); then a hash table takes over, so that no number of
 * arguments becomes quadratic.  The seed is the process's own: nobody outside
 * can choose keys that collide, and no byte of a line depends on it.
 */

#include "beacon_render_int.h"

#include <stdlib.h>

#define BEACON_KEPT_MIN  4096

int
beacon_args_reserve(beacon_render_t *r, size_t n)
{
    size_t           size;
    uint32_t        *table;
    beacon_arg_t    *args;
    beacon_again_t  *again;

    if (n > r->max_args) {
        args = malloc(n * sizeof(*args));
        again = malloc(n * sizeof(*again));

        if (args == NULL || again == NULL) {
            free(args);
            free(again);
            return 0;
        }

        free(r->args);
        free(r->again);
        r->args = args;
        r->again = again;
        r->max_args = n;
    }

    if (n <= BEACON_TAGS) {
        return 1;
    }

    for (size = 4 * BEACON_TAGS; size < 2 * n; size *= 2) { /* void */ }

    if (size > r->max_table) {
        table = malloc(size * sizeof(*table));
        if (table == NULL) {
            return 0;
        }

        free(r->table);
        r->table = table;
        r->max_table = size;
    }

    r->mask = size - 1;

    return 1;
}

static inline uint64_t
beacon_args_step(const beacon_render_t *r, uint64_t hash, const uint8_t *key)
{
    uint64_t  word, next;

    memcpy(&word, key, 8);
    memcpy(&next, key + 8, 8);

    return beacon_fold(hash ^ word, r->seed[1] ^ next);
}

/* Sixteen bytes at a time; the last ones, which may overlap those before, are
   whole: the length is in the hash. */
uint64_t
beacon_args_hash_long(const beacon_render_t *r, uint64_t hash,
    const uint8_t *key, size_t len)
{
    uint64_t        first, last;
    const uint8_t  *end;

    end = key + len;

    for ( /* void */ ; end - key > 32; key += 32) {
        hash = beacon_args_step(r, hash, key);
        hash = beacon_args_step(r, hash, key + 16);
    }

    if (end - key > 16) {
        hash = beacon_args_step(r, hash, key);
    }

    memcpy(&first, (len > 16) ? end - 16 : key, 8);
    memcpy(&last, end - 8, 8);

    return beacon_fold(hash ^ first, r->seed[1] ^ last);
}

static void
beacon_args_insert(beacon_render_t *r, uint32_t index)
{
    size_t  i;

    i = (size_t) (r->args[index].hash >> 16);

    while (r->table[i & r->mask]) {
        i++;
    }

    r->table[i & r->mask] = index + 1;
}

uint32_t
beacon_args_lookup(beacon_render_t *r)
{
    size_t               i;
    uint32_t             index;
    const beacon_arg_t  *arg;

    arg = &r->args[r->nargs];

    if (r->nargs == BEACON_TAGS && !r->hashed) {
        memset(r->table, 0, (r->mask + 1) * sizeof(*r->table));

        for (index = 0; index < r->nargs; index++) {
            beacon_args_insert(r, index);
        }

        r->hashed = 1;
    }

    for (i = (size_t) (arg->hash >> 16);
         (index = r->table[i & r->mask]) != 0;
         i++)
    {
        if (beacon_args_equal(&r->args[index - 1], arg)) {
            return index - 1;
        }
    }

    beacon_args_insert(r, r->nargs++);

    return BEACON_ARG_NONE;
}

/* Room for n more bytes of later values. */
static int
beacon_args_keep(beacon_render_t *r, size_t n)
{
    size_t    size;
    uint8_t  *kept;

    if (n <= r->max_kept - r->nkept) {
        return 1;
    }

    for (size = BEACON_KEPT_MIN; size < r->nkept + n; size *= 2) { /* void */ }

    kept = realloc(r->kept, size + BEACON_KEPT_SLACK);
    if (kept == NULL) {
        return 0;
    }

    r->kept = kept;
    r->max_kept = size;

    return 1;
}

void
beacon_args_again(beacon_render_t *r, uint32_t first)
{
    beacon_arg_t        *owner;
    beacon_again_t      *again;
    const beacon_arg_t  *arg;

    arg = &r->args[r->nargs];

    if (!beacon_args_keep(r, arg->value_len + (size_t) 1)) {
        r->failed = 1;
        return;
    }

    memcpy(r->kept + r->nkept, arg->value, arg->value_len);
    r->kept[r->nkept + arg->value_len] = '"';

    owner = &r->args[first];
    again = &r->again[r->nagain];
    again->value = r->nkept;
    again->len = arg->value_len;

    if (owner->again == BEACON_ARG_NONE) {
        again->next = r->nagain;

    } else {
        again->next = r->again[owner->again].next;
        r->again[owner->again].next = r->nagain;
    }

    owner->again = r->nagain++;
    r->nkept += arg->value_len + (size_t) 1;
}

static inline uint8_t *
beacon_args_put(uint8_t *dst, const uint8_t *data, size_t len)
{
    *dst++ = '"';
    memcpy(dst, data, len);
    dst += len;
    *dst++ = '"';

    return dst;
}

uint8_t *
beacon_args_repeated(const beacon_render_t *r, uint8_t *dst)
{
    uint32_t               i, next;
    const beacon_arg_t    *arg;
    const beacon_again_t  *again;

    memcpy(dst, ",\"repeated\":{", 13);
    dst += 13;

    for (i = 0; i < r->nargs; i++) {
        arg = &r->args[i];

        if (arg->again == BEACON_ARG_NONE) {
            continue;
        }

        dst = beacon_args_put(dst, arg->key, arg->key_len);
        *dst++ = ':';
        *dst++ = '[';
        dst = beacon_args_put(dst, arg->value, arg->value_len);
        next = arg->again;

        do {
            again = &r->again[r->again[next].next];
            *dst++ = ',';
            dst = beacon_args_put(dst, r->kept + again->value, again->len);
            next = r->again[next].next;
        } while (next != arg->again);

        *dst++ = ']';
        *dst++ = ',';
    }

    dst[-1] = '}';

    return dst;
}
