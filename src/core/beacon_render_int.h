/*
 * What the renderer's files share.
 */

#ifndef BEACON_RENDER_INT_H
#define BEACON_RENDER_INT_H

#include "beacon_json.h"
#include "beacon_fold.h"
#include "beacon_macro.h"
#include "beacon_render.h"
#include "beacon_utf8.h"

#include <string.h>

/* Distinct keys that are searched by tag; beyond them a hash table helps. */
#define BEACON_TAGS  256

#define BEACON_ARG_NONE  UINT32_MAX

/* What may be loaded behind the later values. */
#define BEACON_KEPT_SLACK  64

/* An argument in "args"; its pointers are into dst. */
typedef struct {
    const uint8_t  *key;        /* as rendered: equal text, equal key */
    const uint8_t  *value;
    uint64_t        hash;
    uint32_t        key_len;
    uint32_t        value_len;
    uint32_t        again;      /* the last of its later values, or NONE */
} beacon_arg_t;

/* A later value of an argument; they form a ring, the last one first. */
typedef struct {
    size_t    value;            /* in kept[] */
    uint32_t  len;
    uint32_t  next;
} beacon_again_t;

enum {
    BEACON_PLAIN_STRING,        /* quote, backslash, controls, >= 0x80 are
                                   events */
    BEACON_PLAIN_QUERY          /* and % & =; and '+' becomes a space */
};

/* Bytes taken singly from an event of a string on. */
#define BEACON_LOOP_BYTES  12

/* Bytes of a hit that are taken singly before that is done in bulk, and how
   many are taken then. */
#define BEACON_BULK_AFTER  64
#define BEACON_BULK_MOST   62

/* Vectors in r->wide. */
enum {
    BEACON_WIDE_SPACE,
    BEACON_WIDE_QUOTE,
    BEACON_WIDE_BACKSLASH,
    BEACON_WIDE_PLUS,
    BEACON_WIDE_BLEND,          /* '+' ^ ' ' */
    BEACON_WIDE_PERCENT,
    BEACON_WIDE_AMP,
    BEACON_WIDE_EQUAL,
    BEACON_WIDE_TAB,            /* 9: a letter's value is so much more */
    BEACON_WIDE_LOW,            /* 0x0f */
    BEACON_WIDE_BEFORE_0,
    BEACON_WIDE_9,
    BEACON_WIDE_BEFORE_A,
    BEACON_WIDE_F,
    BEACON_WIDE_90,             /* bytes of UTF-8 */
    BEACON_WIDE_A0,
    BEACON_WIDE_C0,
    BEACON_WIDE_C2,
    BEACON_WIDE_DF,
    BEACON_WIDE_E0,
    BEACON_WIDE_ED,
    BEACON_WIDE_EF,
    BEACON_WIDE_F0,
    BEACON_WIDE_F4,
    BEACON_WIDES
};

/* What is rare stays out of line, so that what is not keeps its state in
   registers: source and destination go there and come back in two. */
typedef struct {
    const uint8_t  *s;
    uint8_t        *d;
} beacon_place_t;

/* Part of a query, decoded in bulk: the "used" bytes at base. */
typedef struct {
    const uint8_t  *base;
    size_t          used;
    size_t          n;          /* bytes decoded */
    uint64_t        escapes;    /* a bit for each byte at base */
    uint64_t        stops[2];   /* of a value, of a key */
    size_t          last;       /* byte at base that was the last stop, */
    size_t          last_at;    /*   and where in bytes[] */
    uint8_t         bytes[128];
    uint8_t         plain[128]; /* before escapes are taken out */
} beacon_bulk_t;

typedef uint8_t *(*beacon_loop_pt)(beacon_render_t *r, uint8_t *dst,
    const beacon_str_t *str);

/* A variant of the inner loops. */
typedef struct {
    const char      *name;
    beacon_loop_pt   string;
    beacon_loop_pt   args;
    beacon_loop_pt   percent;   /* as beacon_render_percent() */
    beacon_macro_pt  macro;
} beacon_render_ops_t;

/* Arguments that a line tells the place of. */
typedef enum {
    BEACON_NAMED_URL,
    BEACON_NAMED_REF,
    BEACON_NAMED
} beacon_named_e;

/* What the ids of a lane begin with: "9f3c...a1-3-". */
#define BEACON_RENDER_LANES  16

typedef struct {
    uint64_t  epoch;
    uint32_t  lane;
    uint32_t  len;              /* 0: nothing here yet */
    uint8_t   text[BEACON_ID_MAX];
} beacon_render_lane_t;

struct beacon_render_s {
    const beacon_render_ops_t  *ops;

    /* the hit at hand */
    uint32_t                    malformed;  /* set where bytes are lost */
    uint32_t                    left;       /* that may still come */
    uint32_t                    nargs;
    uint32_t                    nagain;
    size_t                      rare;       /* bytes taken singly */
    uint8_t                     hashed;     /* table[] is in use */
    uint8_t                     failed;     /* no memory for what is kept */
    size_t                      nkept;
    uint32_t                    named[BEACON_NAMED];    /* index + 1; 0: no */
    uint64_t                    seed[2];
    uint64_t                    first[9];   /* so many bytes of a word */

    /* grown as hits need it, never shrunk */
    beacon_arg_t               *args;
    beacon_again_t             *again;
    size_t                      max_args;   /* room in args[] and again[] */
    uint8_t                    *kept;       /* later values, each with the
                                               quote that ends it */
    size_t                      max_kept;
    uint32_t                   *table;      /* open addressing; index + 1 */
    size_t                      max_table;
    size_t                      mask;       /* of the part in use */

    beacon_json_t               json;
    beacon_bulk_t               bulk;

    /* the last second, written out, and lanes, by their number */
    uint64_t                    second;
    uint8_t                     time[24];
    beacon_render_lane_t        lanes[BEACON_RENDER_LANES];

    /* vectors of one byte, as operands in memory: constants would be built
       anew for each string */
    _Alignas(16) uint8_t        wide[BEACON_WIDES][32];

    /* what a byte becomes: see beacon_render_tables() */
    uint8_t                     plain[2][256];  /* itself; 0: an event */
    uint8_t                     escape[256][8]; /* JSON text; [7] its length,
                                                   0: a lead byte, as if it
                                                   were broken; [6] bytes are
                                                   lost */
    uint8_t                     key[256][8];    /* the same; '+' is a space, */
    uint8_t                     value[256][8];  /*   0 long: % & (key) = */
    uint8_t                     text[256][8];   /* JSON text of what is decoded;
                                                   0xff: U+FFFD, 0xfe: none */
    int8_t                      hex[256];       /* -1: no digit */
    uint8_t                     digits[256][2]; /* in hex */
    beacon_utf8_t               utf8[128];
    uint16_t                    follow[256];    /* bit i: 0xi0 .. 0xif may */
    uint8_t                     percent[256][4];    /* "query"; [3] length */

    _Alignas(16) uint8_t        squeeze[256][16];   /* AVX2 variant */
    uint8_t                     pick[256][16];  /* places of the bits set */

    uint16_t                    tags[BEACON_TAGS + 32];
};

/* Entries of tables are loaded whole; their last byte is a length. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define beacon_render_last(entry)  ((entry) >> (8 * sizeof(entry) - 8))
#else
#define beacon_render_last(entry)  ((entry) & 0xff)
#endif

/* beacon_render.c */

/*
 * "query" and "body" of what was malformed: each byte outside 0x20 .. 0x7E as
 * %XX, so that nothing is lost.
 */
uint8_t *beacon_render_percent(beacon_render_t *r, uint8_t *dst,
    const beacon_str_t *str);

/* beacon_render_args.c */

/* Room for n arguments, of which BEACON_TAGS are always there; 0: no memory. */
int beacon_args_reserve(beacon_render_t *r, size_t n);

/* As beacon_loop_lookup(), for more keys than tags. */
uint32_t beacon_args_lookup(beacon_render_t *r);

/* As beacon_args_hash(), for keys of more than eight bytes. */
uint64_t beacon_args_hash_long(const beacon_render_t *r, uint64_t hash,
    const uint8_t *key, size_t len);

/* Keeps the value of args[nargs] as a later one of args[first]. */
void beacon_args_again(beacon_render_t *r, uint32_t first);

/* Writes "repeated":{...}, of what was kept. */
uint8_t *beacon_args_repeated(const beacon_render_t *r, uint8_t *dst);

static inline int
beacon_args_equal(const beacon_arg_t *a, const beacon_arg_t *b)
{
    return a->hash == b->hash && a->key_len == b->key_len
           && memcmp(a->key, b->key, a->key_len) == 0;
}

/* Bytes behind the key are loaded and masked out. */
static inline uint64_t
beacon_args_hash(const beacon_render_t *r, const uint8_t *key, uint32_t len)
{
    uint64_t  hash, word;

    hash = r->seed[0] ^ len;

    if (len > 8) {
        return beacon_args_hash_long(r, hash, key, len);
    }

    memcpy(&word, key, 8);
    word &= r->first[len];

    return beacon_fold(hash ^ word, r->seed[1]);
}

extern const beacon_render_ops_t beacon_render_portable;

#if defined(__x86_64__)
extern const beacon_render_ops_t beacon_render_sse2;
extern const beacon_render_ops_t beacon_render_avx2;
#endif

#endif /* BEACON_RENDER_INT_H */
