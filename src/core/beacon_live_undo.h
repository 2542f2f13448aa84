/*
 * What a run of hits or a gap changes, saved before: for the store's writer.
 */

#ifndef BEACON_LIVE_UNDO_H
#define BEACON_LIVE_UNDO_H

#include "beacon_live_int.h"

#define BEACON_LIVE_UNDO_ROOM                                                 \
    (BEACON_LIVE_UNDO - sizeof(beacon_live_undo_t))

/* What a hit can change at most, and a run's commit beside its hits. */
#define BEACON_LIVE_UNDO_HIT                                                  \
    (sizeof(((beacon_live_site_t *) 0)->steps)                                \
     + 2 * sizeof(beacon_live_visitor_t)                                      \
     + BEACON_LIVE_KINDS * 2 * sizeof(beacon_live_key_t))
#define BEACON_LIVE_UNDO_END  (BEACON_LIVE_RUN * 64)

/* Nothing is saved, nothing is to be done. */
static inline void
beacon_live_undo_clear(beacon_live_writer_t *w)
{
    beacon_live_in_order();
    atomic_store_explicit(&w->undo->end, 0, memory_order_relaxed);
    beacon_live_in_order();
    atomic_store_explicit(&w->undo->sites, 0, memory_order_relaxed);
    beacon_live_in_order();
    w->saved = (uint8_t *) (w->undo + 1);
}

/* There is room for another hit, and the run's commit. */
static inline int
beacon_live_undo_room(const beacon_live_writer_t *w)
{
    return w->saved - (uint8_t *) w->undo
           <= (ptrdiff_t) (BEACON_LIVE_UNDO - BEACON_LIVE_UNDO_HIT
                           - BEACON_LIVE_UNDO_END);
}

/*
 * Before bytes of the file change for the run.  ptr: into the head's counters,
 * a site, a visitor, a key; len: within that one thing.  The thing's serial is
 * not restored but moved on, and need not be saved.
 *
 * The undo area is emptied at the run's commit; nobody else does it.
 */
static inline void beacon_live_undo_save(beacon_live_writer_t *w,
    const void *ptr, size_t len);

/* The same of several things, one after the other from w->saved on, before
   the first of them changes: each returns where the next one goes, and there
   they are saved. */
static inline uint8_t *
beacon_live_undo_add(uint8_t *at, const void *ptr, size_t len)
{
    beacon_live_undo_entry_t  *entry;

    entry = (void *) at;
    BEACON_LIVE_SET(entry->where, (uintptr_t) ptr);
    BEACON_LIVE_SET(entry->len, len);
    beacon_live_copy_text(entry + 1, ptr, len);

    return at + sizeof(*entry) + ((len + 7) & ~(size_t) 7);
}

static inline void
beacon_live_undo_saved(beacon_live_writer_t *w, uint8_t *at)
{
    w->saved = at;
    beacon_live_in_order();
    atomic_store_explicit(&w->undo->end, (uintptr_t) at, memory_order_relaxed);

    /* pairs with the acquire fence in beacon_live_undo_view(): who sees what
       changes from here on sees it saved, too */

    atomic_thread_fence(memory_order_release);
}

static inline void
beacon_live_undo_save(beacon_live_writer_t *w, const void *ptr, size_t len)
{
    beacon_live_undo_saved(w, beacon_live_undo_add(w->saved, ptr, len));
}

/* At open, before all else is looked at; 1: something was undone. */
int beacon_live_undo_restore(beacon_live_writer_t *w);

/*
 * For readers: a copy of a thing, as it was before the hit that is being
 * counted.  0: nothing of it is saved.  To be believed if the thing's serial is
 * odd, and the same before it was copied and afterwards; else only what can be
 * checked otherwise.
 */
int beacon_live_undo_view(const beacon_live_t *live, const void *thing,
    void *copy, size_t size);


/*
 * The end of a run or gap: w->undo has the outcome of so many sites, w->run
 * which these are, and where; of the head, so much more is to be counted there.
 * From here on all that was saved is to stay.
 */
void beacon_live_undo_commit(beacon_live_writer_t *w, uint32_t sites,
    uint64_t hits, uint64_t missing, uint64_t mark);


/* ---- beacon_live_write.c */

static inline void
beacon_live_set_mark(beacon_live_writer_t *w, uint64_t mark)
{
    if (mark) {
        BEACON_LIVE_SET(w->head->mark, mark);
    }
}

/* So many hits are missing behind a site's newest. */
void beacon_live_missed(beacon_live_writer_t *w, uint32_t site, uint64_t n,
    uint64_t mark);

#endif /* BEACON_LIVE_UNDO_H */
