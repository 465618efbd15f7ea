/*
 * What changed since the last snapshot of a chain: an account of written pages (core/dirty.h), so
 * that the next one need not look at all memory. It is begun by the first snapshot that has a
 * parent, and holds for children of the one that was saved last; for others, hashes tell.
 */
#include "base/alloc.h"
#include "control/vm_priv.h"
#include "core/dirty.h"

#include <stdlib.h>
#include <string.h>

enum { SINCE_BITS = 64 };

static uint64_t since_pages(const struct vr_ram *ram)
{
    return ram->len >> VR_PAGE_SHIFT;
}

/* What was written since the last call leaves the account. NULL: no memory, so nothing is known. */
static uint64_t *since_fetch(struct vr_snapshot_since *s, const struct vr_ram *ram)
{
    uint64_t *bits =
        vr_zalloc_array((since_pages(ram) + SINCE_BITS - 1) / SINCE_BITS, sizeof(*bits));
    vr_dirty_fetch(s->dirty);
    if (bits) {
        vr_dirty_take_all(s->dirty, 0, bits);
    } else {
        vr_dirty_stop(s->dirty);
        s->dirty = NULL;
    }
    return bits;
}

uint64_t *vr_snapshot_since_take(struct vireo_vm *vm, const uint8_t *parent, uint64_t *ret_turn)
{
    struct vr_snapshot_since *s = &vm->since;
    const struct vr_ram *ram = vr_machine_ram(vm->machine, 0, NULL);
    uint64_t *bits = NULL;
    vr_mutex_lock(&s->lock);
    if (s->dirty) {
        bits = since_fetch(s, ram);
    } else if (vr_dirty_start(vm->machine, &s->dirty, NULL) < 0) {
        s->dirty = NULL; /* a deterministic machine, or no memory */
    }
    if (bits && (!s->known || memcmp(s->id, parent, VR_SNAPFILE_ID) != 0)) {
        free(bits);
        bits = NULL;
    }
    s->known = false; /* until the snapshot is there */
    *ret_turn = ++s->turn;
    vr_mutex_unlock(&s->lock);
    return bits;
}

void vr_snapshot_since_saved(struct vireo_vm *vm, const uint8_t *id, uint64_t turn)
{
    struct vr_snapshot_since *s = &vm->since;
    vr_mutex_lock(&s->lock);
    if (s->dirty && s->turn == turn) {
        memcpy(s->id, id, VR_SNAPFILE_ID);
        s->known = true;
    }
    vr_mutex_unlock(&s->lock);
}

uint64_t vr_snapshot_since_bytes(const struct vireo_vm *vm, const uint64_t *bits)
{
    const struct vr_ram *ram = vr_machine_ram(vm->machine, 0, NULL);
    uint64_t pages = 0;
    for (uint64_t w = 0; bits && w < (since_pages(ram) + SINCE_BITS - 1) / SINCE_BITS; w++) {
        pages += (unsigned)__builtin_popcountll(bits[w]);
    }
    return bits ? pages << VR_PAGE_SHIFT : ram->len;
}
