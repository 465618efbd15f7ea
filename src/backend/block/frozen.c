/* A disk as it was at a moment. */
#include "backend/block/frozen.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "core/iov.h"
#include "platform/file.h"
#include "vireo/host_barrier.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <string.h>

enum { FROZEN_IOV = 64 }; /* iovecs of a piece that are laid out on the stack */

int vr_frozen_create(const char *path, uint64_t size_bytes, uint32_t optimal_bytes,
                     struct vr_frozen **ret_frozen, struct vr_error *err)
{
    struct vr_frozen *f = vr_zalloc(sizeof(*f));
    char *copy = strdup(path);
    if (!f || !copy) {
        free(f);
        free(copy);
        return vr_err(err, -ENOMEM, "disk %s: no memory", path);
    }
    *f = (struct vr_frozen){.path = copy, .size_bytes = size_bytes, .optimal_bytes = optimal_bytes};
    *ret_frozen = f;
    return 0;
}

static void frozen_layer_close(struct vr_frozen_layer *l)
{
    vr_file_close(l->data);
    vr_file_close(l->map);
    vr_file_close(l->index);
    vr_file_close(l->kept);
}

void vr_frozen_destroy(struct vr_frozen *f)
{
    if (f) {
        vr_frozen_thaw(&f->thaw);
        while (f->layer_count) {
            frozen_layer_close(&f->layer[--f->layer_count]);
        }
        free(f->path);
        free(f);
    }
}

static int frozen_dup(int fd, int *ret_fd)
{
    return fd < 0 ? 0 : vr_file_dup(fd, ret_fd);
}

/* A layer with other descriptors of those in @l. */
static int frozen_add(struct vr_frozen *f, const struct vr_frozen_layer *l, struct vr_error *err)
{
    struct vr_frozen_layer own = *l;
    if (f->layer_count == VR_FROZEN_LAYERS) {
        return vr_err(err, -E2BIG, "it has %d layers already: forks of forks end here",
                      VR_FROZEN_LAYERS);
    }
    own.data = own.map = own.index = own.kept = -1;
    int r = frozen_dup(l->data, &own.data);
    r = r < 0 ? r : frozen_dup(l->map, &own.map);
    r = r < 0 ? r : frozen_dup(l->index, &own.index);
    r = r < 0 ? r : frozen_dup(l->kept, &own.kept);
    if (r < 0) {
        frozen_layer_close(&own);
        return vr_err(err, r, "another descriptor of its files: %s", strerror(-r));
    }
    f->layer[f->layer_count++] = own;
    return 0;
}

int vr_frozen_put(struct vr_frozen *f, int data, bool some, int map, struct vr_past *past,
                  struct vr_error *err)
{
    struct vr_frozen_layer l = {.data = data, .some = some, .map = map, .index = -1, .kept = -1};
    if (past) {
        vr_past_fds(past, &l.index, &l.kept);
    }
    int r = frozen_add(f, &l, err);
    if (r == 0 && past) {
        r = vr_past_mark(past, &f->layer[f->layer_count - 1].moment, err);
    }
    if (r == 0 && past) {
        f->thaw = (struct vr_thaw){vr_past_get(past), f->layer[f->layer_count - 1].moment};
    }
    return r;
}

int vr_frozen_put_all(struct vr_frozen *f, const struct vr_frozen *from, struct vr_error *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < from->layer_count; i++) {
        r = frozen_add(f, &from->layer[i], err);
    }
    return r;
}

void vr_frozen_take_thaw(struct vr_frozen *f, struct vr_thaw *ret_thaw)
{
    *ret_thaw = f->thaw;
    f->thaw = (struct vr_thaw){.past = NULL};
}

void vr_frozen_thaw(struct vr_thaw *thaw)
{
    if (thaw->past) {
        vr_past_drop(thaw->past, thaw->moment);
        vr_past_put(thaw->past);
        thaw->past = NULL;
    }
}

/* ---- Reading ---- */

struct frozen_view_layer {
    int data, kept;
    struct vireo_map map;
    const _Atomic uint32_t *has; /* NULL: everything */
    struct vr_past_view *past;   /* NULL: nobody writes it */
};

struct vr_frozen_view {
    uint64_t size_bytes;
    unsigned count;
    struct frozen_view_layer layer[VR_FROZEN_LAYERS];
};

static int frozen_map(const struct vr_frozen *f, int fd, struct vireo_map *ret_map,
                      struct vr_error *err)
{
    uint64_t len = 0, need = vr_frozen_map_len(f->size_bytes);
    int r = vr_file_len(fd, &len);
    if (r < 0 || len < need) {
        return vr_err(err, -EINVAL, "the map of an overlay is too short");
    }
    return vr_past_map(fd, need, ret_map, err);
}

int vr_frozen_open(const struct vr_frozen *f, struct vr_frozen_view **ret_view,
                   struct vr_error *err)
{
    struct vr_frozen_view *v = vr_zalloc(sizeof(*v));
    int r = v ? 0 : vr_err(err, -ENOMEM, "no memory");
    for (unsigned i = 0; r == 0 && i < f->layer_count; i++) {
        const struct vr_frozen_layer *l = &f->layer[i];
        struct frozen_view_layer *mine = &v->layer[v->count++];
        mine->data = l->data;
        mine->kept = l->kept;
        if (l->some) {
            r = frozen_map(f, l->map, &mine->map, err);
            mine->has = (const _Atomic uint32_t *)(const void *)mine->map.hva;
        }
        if (r == 0 && l->index >= 0) {
            r = vr_past_open(l->index, f->size_bytes, l->moment, &mine->past, err);
        }
    }
    if (r < 0) {
        vr_frozen_close(v);
        return vr_err_in(err, r, "disk %s", f->path);
    }
    v->size_bytes = f->size_bytes;
    *ret_view = v;
    return 0;
}

void vr_frozen_close(struct vr_frozen_view *v)
{
    for (unsigned i = 0; v && i < v->count; i++) {
        vr_past_close(v->layer[i].past);
        vireo_map_destroy(&v->layer[i].map);
    }
    free(v);
}

/* Where a unit's bytes are; fd -1: zeroes. */
struct frozen_place {
    int fd;
    uint64_t off; /* of the unit's first byte */
};

static int frozen_find(const struct vr_frozen_view *v, uint64_t unit_off,
                       struct frozen_place *ret_place)
{
    for (unsigned i = v->count; i-- > 0;) {
        const struct frozen_view_layer *l = &v->layer[i];
        uint64_t off = 0;
        int what = l->past ? vr_past_look(l->past, unit_off, &off) : VR_PAST_SAME;
        if (what < 0) {
            return what;
        }
        if (what == VR_PAST_KEPT) {
            *ret_place = (struct frozen_place){.fd = l->kept, .off = off};
            return 0;
        }
        if (what == VR_PAST_ZERO) {
            *ret_place = (struct frozen_place){.fd = -1};
            return 0;
        }
        if (what == VR_PAST_SAME && (!l->has || vr_frozen_bit(l->has, unit_off / VR_PAST_UNIT))) {
            *ret_place = (struct frozen_place){.fd = l->data, .off = unit_off};
            return 0;
        }
    }
    return -EIO; /* the lowest layer has everything, unless somebody lies */
}

static void frozen_zero(const struct iovec *iov, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        memset(iov[i].iov_base, 0, iov[i].iov_len);
    }
}

/* [off, off + len), all at @place, which is where off's unit begins; *ret_again: somebody wrote it
 * meanwhile, so that what was read may be too new. */
static int frozen_read_place(const struct vr_frozen_view *v, const struct iovec *iov,
                             unsigned count, uint64_t off, uint64_t len, struct frozen_place place,
                             bool *ret_again)
{
    int r = 0;
    if (place.fd < 0) {
        frozen_zero(iov, count);
    } else {
        r = vr_file_readv(place.fd, iov, count, place.off + off % VR_PAST_UNIT);
    }
    vireo_barrier_full(); /* what was read, before the index is looked at again */
    *ret_again = false;
    uint64_t first = vr_align_down(off, VR_PAST_UNIT);
    for (uint64_t unit = first; r == 0 && unit < off + len && !*ret_again; unit += VR_PAST_UNIT) {
        struct frozen_place now;
        r = frozen_find(v, unit, &now);
        *ret_again = r == 0 &&
                     (now.fd != place.fd || (now.fd >= 0 && now.off != place.off + (unit - first)));
    }
    return r;
}

/* How much from @off on lies together: at *ret_place. */
static int frozen_run(const struct vr_frozen_view *v, uint64_t off, uint64_t end,
                      struct frozen_place *ret_place, uint64_t *ret_len)
{
    uint64_t unit = vr_align_down(off, VR_PAST_UNIT), first = unit;
    struct frozen_place place, next;
    int r = frozen_find(v, unit, &place);
    for (unit += VR_PAST_UNIT; r == 0 && unit < end; unit += VR_PAST_UNIT) {
        r = frozen_find(v, unit, &next);
        if (r < 0 || next.fd != place.fd ||
            (next.fd >= 0 && next.off != place.off + (unit - first))) {
            r = r == -EIO ? 0 : r; /* of another piece */
            break;
        }
    }
    *ret_place = place;
    *ret_len = (unit < end ? unit : end) - off;
    return r;
}

int vr_frozen_read(const struct vr_frozen_view *v, const struct iovec *iov, unsigned count,
                   uint64_t off, uint64_t len)
{
    struct iovec few[FROZEN_IOV], *piece = few;
    uint64_t done = 0;
    int r = 0;
    vr_assert(vr_in_range(off, len, v->size_bytes));
    if (count > FROZEN_IOV) {
        piece = vr_zalloc_array(count, sizeof(*piece));
        if (!piece) {
            return -ENOMEM;
        }
    }
    while (r == 0 && done < len) {
        struct frozen_place place;
        uint64_t part;
        bool again;
        r = frozen_run(v, off + done, off + len, &place, &part);
        if (r == 0) {
            unsigned n = vr_iov_slice(iov, count, done, part, piece, NULL);
            r = frozen_read_place(v, piece, n, off + done, part, place, &again);
            done += r == 0 && !again ? part : 0;
        }
    }
    if (piece != few) {
        free(piece);
    }
    return r;
}
