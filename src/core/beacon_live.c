/* The store, for its readers: mapped, and its sites. */

#include "beacon_live_int.h"

beacon_rc_t
beacon_live_attach(beacon_live_t *live, const char *dir, beacon_err_t *err)
{
    beacon_rc_t         rc;
    beacon_live_file_t  file;

    memset(live, 0, sizeof(beacon_live_t));

    rc = beacon_live_file_find(dir, 0, &file, err);
    if (rc != BEACON_OK) {
        return rc;
    }

    beacon_live_file_view(&file, live);

    /* the mapping stays */

    file.head = NULL;
    beacon_live_file_close(&file);

    return BEACON_OK;
}

void
beacon_live_detach(beacon_live_t *live)
{
    beacon_live_file_t  file;

    if (live->head != NULL) {
        file.fd = -1;
        file.size = live->size;
        file.head = (beacon_live_head_t *) (uintptr_t) live->head;
        beacon_live_file_close(&file);
    }

    live->head = NULL;
}

static beacon_live_head_t *
beacon_live_head(const beacon_live_t *live)
{
    return (beacon_live_head_t *) (uintptr_t) live->head;
}

int
beacon_live_current(const beacon_live_t *live)
{
    return BEACON_LIVE_LOAD(beacon_live_head(live)->retired) == 0
           && !beacon_live_bus_struck(live->head);
}


/* Sites. */

/* Under the tenant's seqlock: whose slot it is. */
static int
beacon_live_info_name(beacon_live_site_t *s, beacon_live_info_t *site)
{
    unsigned  tries;

    for (tries = 0; tries < BEACON_LIVE_TRIES; tries++) {
        site->tenant = BEACON_LIVE_LOAD(s->tenant);
        site->name_len = BEACON_LIVE_GET(s->name_len);
        beacon_live_copy(site->name, s->name, sizeof(site->name));

        /* pairs with the release fence in beacon_live_tenant_open() */

        atomic_thread_fence(memory_order_acquire);

        if ((site->tenant & 1) == 0
            && atomic_load_explicit(&s->tenant, memory_order_relaxed)
               == site->tenant)
        {
            return site->name_len != 0 && site->name_len <= BEACON_SITE_MAX;
        }
    }

    return 0;
}

/* Hits are counted before readers are told of them, so these may be a run
   ahead. */
static void
beacon_live_info_counts(beacon_live_site_t *s, beacon_live_info_t *site)
{
    unsigned  tries;
    uint64_t  serial;

    for (tries = 0; tries < BEACON_LIVE_TRIES; tries++) {
        serial = beacon_live_serial(&s->serial);

        site->hits = BEACON_LIVE_GET(s->hits);
        site->last_ms = BEACON_LIVE_GET(s->last_ms);

        if (beacon_live_same(&s->serial, serial)) {
            break;
        }
    }

    site->start = BEACON_LIVE_LOAD(s->start);
    site->first = BEACON_LIVE_LOAD(s->first);
    site->last = BEACON_LIVE_LOAD(s->last);
    site->chunks = BEACON_LIVE_LOAD(s->chunks);
    site->share = BEACON_LIVE_LOAD(s->share);
}

/* OK: a site with a name of its own. */
static beacon_rc_t
beacon_live_info(const beacon_live_t *live, uint32_t index,
    beacon_live_info_t *site)
{
    uint32_t             hash;
    beacon_live_site_t  *s;

    s = beacon_live_site(live, index);

    if (s == NULL || !beacon_live_info_name(s, site)) {
        return BEACON_INVALID;
    }

    hash = (uint32_t) beacon_live_hash(live->is.seed, 0,
                                       (beacon_str_t) { site->name_len,
                                                        site->name });

    if (BEACON_LIVE_GET(s->hash) != hash) {
        return BEACON_INVALID;
    }

    site->index = index;
    beacon_live_info_counts(s, site);

    /* all of it is this tenant's */

    atomic_thread_fence(memory_order_acquire);

    return atomic_load_explicit(&s->tenant, memory_order_relaxed)
           == site->tenant ? BEACON_OK : BEACON_INVALID;
}

static int
beacon_live_is_named(const beacon_live_t *live, uint32_t index, uint32_t hash,
    beacon_str_t name, beacon_live_info_t *site)
{
    const beacon_live_site_t  *s;

    s = beacon_live_site(live, index);

    return s != NULL && BEACON_LIVE_GET(s->hash) == hash
           && beacon_live_info(live, index, site) == BEACON_OK
           && site->name_len == name.len
           && memcmp(site->name, name.data, name.len) == 0;
}

beacon_rc_t
beacon_live_find(const beacon_live_t *live, beacon_str_t name,
    beacon_live_info_t *site)
{
    uint32_t           hash, step, index;
    uint64_t           moves;
    unsigned           tries;
    _Atomic uint64_t  *serial;

    if (name.len == 0 || name.len > BEACON_SITE_MAX) {
        return BEACON_INVALID;
    }

    hash = (uint32_t) beacon_live_hash(live->is.seed, 0, name);
    serial = &beacon_live_head(live)->site_moves;

    for (tries = 0; tries < BEACON_LIVE_TRIES; tries++) {
        moves = beacon_live_serial(serial);

        for (step = 0; step < BEACON_LIVE_PROBES; step++) {
            index = beacon_live_probe(live, live->is.sites_at,
                                      live->is.site_slots, hash, step);
            if (index == 0) {
                break;
            }

            if (beacon_live_is_named(live, index, hash, name, site)) {
                return BEACON_OK;
            }
        }

        if (beacon_live_same(serial, moves)) {
            break;
        }
    }

    return BEACON_INVALID;
}

beacon_rc_t
beacon_live_next_site(const beacon_live_t *live, uint32_t *at,
    beacon_live_info_t *site)
{
    while (++*at < live->is.sites_max) {
        if (beacon_live_info(live, *at, site) == BEACON_OK
            && (*at != BEACON_LIVE_OVERFLOW || site->hits))
        {
            return BEACON_OK;
        }
    }

    /* whoever asks again gets no other answer */

    --*at;

    return BEACON_INVALID;
}

int
beacon_live_has_slot(const beacon_live_t *live, const beacon_live_info_t *site)
{
    beacon_live_site_t  *s;

    s = beacon_live_site(live, site->index);

    return s != NULL && BEACON_LIVE_LOAD(s->tenant) == site->tenant;
}

uint64_t
beacon_live_last(const beacon_live_t *live, const beacon_live_info_t *site)
{
    uint64_t             last;
    beacon_live_site_t  *s;

    s = beacon_live_site(live, site->index);
    last = s != NULL ? BEACON_LIVE_LOAD(s->last) : 0;

    return beacon_live_has_slot(live, site) ? last : 0;
}
