/* Sections made of guest memory: the pages that hold anything. */
#include "base/bits.h"
#include "base/err.h"
#include "core/ram_fork.h"
#include "core/snap_priv.h"
#include "core/space.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const uint64_t snap_ram_end = UINT64_MAX;

static int snap_put_pages(struct vr_snap *s, const struct vr_ram *ram)
{
    int r = vr_snap_put_le(s, 8, ram->len);
    for (uint64_t off = 0; r == 0 && (off = vr_ram_next_page(ram, off)) < ram->len;
         off += VR_PAGE_SIZE) {
        r = vr_snap_put_le(s, 8, off >> VR_PAGE_SHIFT);
        r = r < 0 ? r : vr_snap_put(s, ram->hva + off, VR_PAGE_SIZE);
    }
    return r < 0 ? r : vr_snap_put_le(s, 8, snap_ram_end);
}

int vr_snap_save_ram(struct vr_snap *s, const char *section, const struct vr_ram *ram,
                     struct vr_error *err)
{
    size_t mark, start = s->len;
    int r = vr_snap_begin(s, section, VR_SNAP_RAM, 1, &mark);
    if (r == 0) {
        r = snap_put_pages(s, ram);
    }
    if (r < 0) {
        s->len = start;
        return vr_err(err, r, "saving memory '%s': no memory", section);
    }
    vr_snap_end(s, mark);
    return 0;
}

/* Check the pages of @in; with @to, copy them there (they were checked before). */
static int snap_get_pages(struct vr_snap in, const struct vr_ram *ram, uint8_t *to,
                          struct vr_error *err)
{
    uint64_t len, page, next = 0;
    if (vr_snap_get_le(&in, 8, &len) < 0) {
        return vr_err(err, -ENODATA, "no length");
    }
    if (len != ram->len) {
        return vr_err(err, -EPROTO, "it has %" PRIu64 " bytes, here are %" PRIu64, len, ram->len);
    }
    for (;; next = page + 1) {
        if (vr_snap_get_le(&in, 8, &page) < 0) {
            return vr_err(err, -ENODATA, "it ends without an end mark");
        }
        if (page == snap_ram_end) {
            break;
        }
        if (page < next || page >= ram->len >> VR_PAGE_SHIFT) {
            return vr_err(err, -ERANGE, "page %" PRIu64 " is out of order or range", page);
        }
        if (VR_PAGE_SIZE > in.len - in.pos) {
            return vr_err(err, -ENODATA, "it ends inside page %" PRIu64, page);
        }
        if (to) {
            memcpy(to + (page << VR_PAGE_SHIFT), in.buf + in.pos, VR_PAGE_SIZE);
        }
        in.pos += VR_PAGE_SIZE;
    }
    return in.pos == in.len ? 0 : vr_err(err, -EPROTO, "bytes follow the end mark");
}

int vr_snap_load_ram(struct vr_snap *s, const char *section, struct vr_space *space,
                     struct vr_ram *ram, struct vr_error *err)
{
    struct vr_snap body;
    uint16_t version;
    size_t skip;
    int r = vr_snap_enter(s, section, VR_SNAP_RAM, 1, &body, &version, &skip, err);
    if (r < 0) {
        return r;
    }
    r = snap_get_pages(body, ram, NULL, err);
    if (r == 0) {
        r = vr_ram_fork_discard(ram, 0, ram->len, err);
    }
    if (r < 0) {
        return vr_err_in(err, r, "restoring memory '%s'", section);
    }
    r = snap_get_pages(body, ram, ram->hva, err);
    vr_assert(r == 0);
    vr_ram_wrote(space, ram, 0, ram->len);
    s->pos += skip;
    return 0;
}
