/* State hashes: what a snapshot would hold, hashed. */
#include "base/bits.h"
#include "core/det_priv.h"
#include "core/hash.h"
#include "core/ram_fork.h"
#include "core/snap.h"

int det_hash_state(struct vr_machine *m, uint64_t *ret_hash, struct vr_error *err)
{
    struct vr_snap snap;
    vr_snap_init(&snap);
    int r = vr_machine_put_guest(m, &snap, err);
    if (r == 0) {
        *ret_hash = vr_hash64(snap.buf, snap.len, 0);
    }
    vr_snap_fini(&snap);
    return r;
}

/* Pages that hold anything, each with its number. */
static void hash_ram(struct vr_hash *h, const struct vr_ram *ram)
{
    for (uint64_t off = 0; (off = vr_ram_next_page(ram, off)) < ram->len; off += VR_PAGE_SIZE) {
        uint8_t at[8];
        vr_store_le64(at, off);
        vr_hash_add(h, at, sizeof(at));
        vr_hash_add(h, ram->hva + off, VR_PAGE_SIZE);
    }
}

void det_hash_all(struct vr_machine *m, uint64_t state, uint64_t *ret_hash)
{
    struct vr_hash h;
    vr_hash_init(&h, state);
    for (const struct vr_machine_ram *ram = m->rams; ram; ram = ram->next) {
        hash_ram(&h, ram->ram);
    }
    *ret_hash = vr_hash_end(&h);
}

struct hash_ask {
    struct vr_machine *m;
    uint64_t state, all;
    struct vr_error *err;
    int result;
};

static void hash_machine(void *arg)
{
    struct hash_ask *ask = arg;
    vr_machine_quiesce(ask->m);
    ask->result = det_hash_state(ask->m, &ask->state, ask->err);
    if (ask->result == 0) {
        det_hash_all(ask->m, ask->state, &ask->all);
    }
}

int vr_machine_hash(struct vr_machine *m, uint64_t *ret_hash, struct vr_error *err)
{
    struct hash_ask ask = {.m = m, .err = err};
    vr_machine_still(m, hash_machine, &ask);
    if (ask.result == 0) {
        *ret_hash = ask.all;
    }
    return ask.result;
}
