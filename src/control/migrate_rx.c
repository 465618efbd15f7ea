/* Frames of a migration that come in. See migrate_rx.h. */
#include "control/migrate_rx.h"

#include "base/bits.h"
#include "core/ram_fork.h"
#include "core/snap_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { RX_HEAD = 16, RX_STATE_MAX = 256 << 20 };

void vr_mig_rx_init(struct vr_mig_rx *rx, vr_mig_make_fn make, void *opaque)
{
    *rx = (struct vr_mig_rx){.make = make, .opaque = opaque};
    vr_snap_init(&rx->state);
}

void vr_mig_rx_fini(struct vr_mig_rx *rx)
{
    vr_snap_fini(&rx->state);
}

static int rx_hello(struct vr_mig_rx *rx, const struct vr_mig_frame *f, struct vr_error *err)
{
    uint64_t count = f->len >= 4 ? vr_load_le32(f->data) : 0;
    const char *name;
    if (rx->m || count == 0 || count > VR_MIG_RAMS || f->len < 4 + 8 * count) {
        return vr_err(err, -EPROTO, "its first message makes no sense");
    }
    size_t head = 4 + 8 * (size_t)count;
    int r = rx->make(rx->opaque, (const char *)f->data + head, f->len - head, &rx->m, err);
    if (r < 0) {
        return r;
    }
    while (rx->ram_count < VR_MIG_RAMS &&
           (rx->ram[rx->ram_count] = vr_machine_ram(rx->m, rx->ram_count, &name))) {
        rx->ram_count++;
    }
    for (unsigned i = 0; i < count; i++) {
        if (count != rx->ram_count || vr_load_le64(f->data + 4 + 8 * i) != rx->ram[i]->len) {
            return vr_err(err, -EPROTO, "its memory is not that of the same machine made here");
        }
    }
    return 0;
}

/* Where the pages go; NULL: nowhere. */
static uint8_t *rx_place(struct vr_mig_rx *rx, const struct vr_mig_frame *f, uint64_t count)
{
    uint32_t i = vr_load_le32(f->data);
    uint64_t page = vr_load_le64(f->data + 8);
    if (vr_load_le32(f->data + 4) != 0 || i >= rx->ram_count || count == 0 ||
        !vr_in_range(page, count, rx->ram[i]->len >> VR_PAGE_SHIFT)) {
        return NULL;
    }
    return rx->ram[i]->hva + (page << VR_PAGE_SHIFT);
}

static int rx_pages(struct vr_mig_rx *rx, const struct vr_mig_frame *f, struct vr_error *err)
{
    uint32_t len = f->len >= RX_HEAD ? f->len - RX_HEAD : 1;
    uint8_t *to = len % VR_PAGE_SIZE == 0 ? rx_place(rx, f, len / VR_PAGE_SIZE) : NULL;
    if (!to) {
        return vr_err(err, -EPROTO, "pages that the machine does not have");
    }
    memcpy(to, f->data + RX_HEAD, len);
    return 0;
}

static int rx_zeros(struct vr_mig_rx *rx, const struct vr_mig_frame *f, struct vr_error *err)
{
    uint64_t count = f->len == RX_HEAD + 8 ? vr_load_le64(f->data + RX_HEAD) : 0;
    uint8_t *to = count ? rx_place(rx, f, count) : NULL;
    if (!to) {
        return vr_err(err, -EPROTO, "pages that the machine does not have");
    }
    /* What nobody wrote is not even looked at: the host would find memory for it. */
    const struct vr_ram *ram = rx->ram[vr_load_le32(f->data)];
    uint64_t off = (uint64_t)(to - ram->hva), end = off + (count << VR_PAGE_SHIFT);
    for (; (off = vr_align_down(vr_ram_next_data(ram, off), VR_PAGE_SIZE)) < end;
         off += VR_PAGE_SIZE) {
        to = ram->hva + off;
        if (!vr_is_zero(to, VR_PAGE_SIZE)) {
            memset(to, 0, VR_PAGE_SIZE);
        }
    }
    return 0;
}

static int rx_state(struct vr_mig_rx *rx, const struct vr_mig_frame *f, struct vr_error *err)
{
    rx->state_began = true;
    if (f->len > RX_STATE_MAX - rx->state.len) {
        return vr_err(err, -EPROTO, "more than %d MiB of state", RX_STATE_MAX >> 20);
    }
    return vr_snap_put(&rx->state, f->data, f->len) < 0
               ? vr_err(err, -ENOMEM, "no memory for the machine's state")
               : 0;
}

static int rx_done(struct vr_mig_rx *rx, const struct vr_mig_frame *f, struct vr_error *err)
{
    if (!rx->state_began || f->len != 16 || vr_load_le64(f->data) != rx->state.len ||
        vr_load_le64(f->data + 8) > 1) {
        return vr_err(err, -EPROTO, "its state is not complete");
    }
    rx->runs = vr_load_le64(f->data + 8);
    rx->complete = true;
    return 0;
}

static int rx_abort(const struct vr_mig_frame *f, struct vr_error *err)
{
    return vr_err(err, -ECONNABORTED, "the source gave up: %.*s", f->len < 200 ? (int)f->len : 200,
                  (const char *)f->data);
}

int vr_mig_rx_frame(struct vr_mig_rx *rx, const struct vr_mig_frame *f,
                    enum vr_mig_type *ret_answer, uint64_t *ret_number, struct vr_error *err)
{
    *ret_answer = (enum vr_mig_type)0;
    if (f->type == VR_MIG_ABORT) {
        return rx_abort(f, err);
    }
    if (rx->complete || !rx->m != (f->type == VR_MIG_HELLO)) {
        return vr_err(err, -EPROTO, "message %d comes when it must not", f->type);
    }
    switch (f->type) {
    case VR_MIG_HELLO:
        *ret_answer = VR_MIG_READY;
        return rx_hello(rx, f, err);
    case VR_MIG_PAGES:
        return rx_pages(rx, f, err);
    case VR_MIG_ZEROS:
        return rx_zeros(rx, f, err);
    case VR_MIG_ROUND:
        if (f->len != 8) {
            break;
        }
        *ret_answer = VR_MIG_ROUND_OK;
        *ret_number = vr_load_le64(f->data);
        return 0;
    case VR_MIG_STATE:
        return rx_state(rx, f, err);
    case VR_MIG_DONE:
        return rx_done(rx, f, err);
    default:
        break;
    }
    return vr_err(err, -EPROTO, "message %d is not known here", f->type);
}

/* Memory was filled behind everybody's back. */
static int rx_filled(void *opaque, struct vr_error *err)
{
    struct vr_mig_rx *rx = opaque;
    (void)err;
    for (unsigned i = 0; i < rx->ram_count; i++) {
        vr_ram_wrote(vr_machine_mem(rx->m), rx->ram[i], 0, rx->ram[i]->len);
    }
    return 0;
}

int vr_mig_rx_load(struct vr_mig_rx *rx, struct vr_error *err)
{
    vr_assert(rx->complete);
    return vr_machine_load_state(rx->m, &rx->state, rx_filled, rx, err);
}
