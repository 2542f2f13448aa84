/* The store's hash tables: the writer's, and what readers see of them. */

#include "beacon_live_int.h"

#include <stdlib.h>

beacon_rc_t
beacon_live_table_create(beacon_live_table_t *table, uint32_t slots,
    uint32_t *published, _Atomic uint64_t *moves)
{
    table->mask = slots - 1;
    table->published = published;
    table->moves = moves;
    table->entries = calloc(slots, sizeof(beacon_live_entry_t));

    return table->entries != NULL ? BEACON_OK : BEACON_SYS;
}

void
beacon_live_table_destroy(beacon_live_table_t *table)
{
    free(table->entries);
    table->entries = NULL;
}

static void
beacon_live_table_set(beacon_live_table_t *table, uint32_t slot,
    beacon_live_entry_t entry)
{
    table->entries[slot] = entry;

    /* release: the thing was made before it can be found */

    __atomic_store_n(&table->published[slot], entry.index, __ATOMIC_RELEASE);
}

static uint32_t
beacon_live_table_free(const beacon_live_table_t *table, uint32_t hash)
{
    uint32_t  slot;

    for (slot = hash & table->mask; table->entries[slot].index;
         slot = (slot + 1) & table->mask)
    {
        /* void */
    }

    return slot;
}

void
beacon_live_table_place(beacon_live_table_t *table, uint32_t hash,
    uint32_t index)
{
    uint32_t  slot;

    slot = beacon_live_table_free(table, hash);
    table->entries[slot].index = index;
    table->entries[slot].hash = hash;
}

void
beacon_live_table_add(beacon_live_table_t *table, uint32_t hash,
    uint32_t index)
{
    beacon_live_table_set(table, beacon_live_table_free(table, hash),
                          (beacon_live_entry_t) { index, hash });
}

void
beacon_live_table_publish(beacon_live_table_t *table)
{
    uint32_t  slot;

    beacon_live_begin(table->moves);

    for (slot = 0; slot <= table->mask; slot++) {
        if (table->published[slot] != table->entries[slot].index) {
            beacon_live_table_set(table, slot, table->entries[slot]);
        }
    }

    beacon_live_end(table->moves);
}

/*
 * Moves back what would not be found any more behind the hole (Knuth 6.4,
 * algorithm R).
 */
void
beacon_live_table_remove(beacon_live_table_t *table, uint32_t hash,
    uint32_t index)
{
    uint32_t              hole, slot;
    beacon_live_entry_t  *entries;

    entries = table->entries;

    for (hole = hash & table->mask; entries[hole].index != index;
         hole = (hole + 1) & table->mask)
    {
        if (entries[hole].index == 0) {
            return;
        }
    }

    beacon_live_begin(table->moves);

    for (slot = (hole + 1) & table->mask; entries[slot].index;
         slot = (slot + 1) & table->mask)
    {
        /* its home is not between the hole and itself */

        if (((slot - entries[slot].hash) & table->mask)
            >= ((slot - hole) & table->mask))
        {
            beacon_live_table_set(table, hole, entries[slot]);
            hole = slot;
        }
    }

    beacon_live_table_set(table, hole, (beacon_live_entry_t) { 0, 0 });

    beacon_live_end(table->moves);
}
