/* Message-signalled interrupts: from the device that sends one to whoever owns its address. */
#include "core/msi.h"

#include "base/bits.h"

#include <inttypes.h>

enum { MSI_BYTES = 4 };

static const struct vr_flat *msi_find(struct vr_dev *from, uint64_t gpa)
{
    if (!from->env->mem || !vr_is_aligned(gpa, MSI_BYTES)) {
        return NULL;
    }
    const struct vr_flat *f = vr_view_find(vr_space_view(from->env->mem, &from->dma), gpa);
    return f && vr_in_range(gpa - f->gpa, MSI_BYTES, f->len) ? f : NULL;
}

bool vr_msi_send(struct vr_dev *from, const struct vr_msi *msi)
{
    const struct vr_flat *f = msi_find(from, msi->addr);
    if (f && f->region->kind == VR_REGION_DEV) {
        struct vr_dev *to = f->region->dev;
        if (to != from && to->cls->windows[f->region->window].msi) {
            vr_dev_write(to, f->region->window, f->off + (msi->addr - f->gpa), MSI_BYTES,
                         msi->data);
            return true;
        }
    } else if (f && f->region->kind == VR_REGION_RAM) {
        uint8_t bytes[MSI_BYTES];
        vr_store_le32(bytes, msi->data);
        return vr_dma_write(from->env->mem, &from->dma, msi->addr, bytes, sizeof(bytes)) == 0;
    }
    vr_guest_error(from, "message 0x%" PRIx32 " to 0x%" PRIx64 ", where nobody takes messages",
                   msi->data, msi->addr);
    return false;
}
