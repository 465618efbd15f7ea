/* Things by number. */
#include "backend/fs/server.h"

#include <stdlib.h>
#include <string.h>

static uint64_t ids_number(const struct fs_ids *ids, uint32_t index)
{
    return (uint64_t)ids->slot[index].uses << 32 | (index + UINT64_C(1));
}

/* Make @count slots, the new ones free. */
static bool ids_grow(struct fs_ids *ids, uint32_t count)
{
    if (count > ids->room) {
        uint32_t room = count < 64 ? 64 : count + count / 2;
        struct fs_id *slot = realloc(ids->slot, room * sizeof(*slot));
        if (!slot) {
            return false;
        }
        memset(slot + ids->room, 0, (room - ids->room) * sizeof(*slot));
        ids->slot = slot;
        ids->room = room;
    }
    while (ids->count < count) {
        ids->slot[ids->count].next_free = ids->free;
        ids->free = ++ids->count;
    }
    return true;
}

uint64_t fs_ids_add(struct fs_ids *ids, void *thing)
{
    if (!ids->free && !ids_grow(ids, ids->count + 1)) {
        return 0;
    }
    uint32_t index = ids->free - 1;
    ids->free = ids->slot[index].next_free;
    ids->slot[index].thing = thing;
    return ids_number(ids, index);
}

bool fs_ids_put(struct fs_ids *ids, uint64_t id, void *thing, uint32_t max)
{
    uint64_t low = id & UINT32_MAX;
    if (low == 0 || low > max || !ids_grow(ids, low > ids->count ? (uint32_t)low : ids->count)) {
        return false;
    }
    struct fs_id *slot = &ids->slot[low - 1];
    if (slot->thing) {
        return false;
    }
    uint32_t *at = &ids->free;
    while (*at != (uint32_t)low) {
        at = &ids->slot[*at - 1].next_free;
    }
    *at = slot->next_free;
    slot->thing = thing;
    slot->uses = (uint32_t)(id >> 32);
    return true;
}

void *fs_ids_get(const struct fs_ids *ids, uint64_t id)
{
    uint64_t low = id & UINT32_MAX;
    return low > 0 && low <= ids->count && ids_number(ids, (uint32_t)low - 1) == id
               ? ids->slot[low - 1].thing
               : NULL;
}

void fs_ids_remove(struct fs_ids *ids, uint64_t id)
{
    struct fs_id *slot = &ids->slot[(id & UINT32_MAX) - 1];
    slot->thing = NULL;
    slot->uses++;
    slot->next_free = ids->free;
    ids->free = (uint32_t)(id & UINT32_MAX);
}

void fs_ids_fini(struct fs_ids *ids)
{
    free(ids->slot);
    *ids = (struct fs_ids){.slot = NULL};
}
