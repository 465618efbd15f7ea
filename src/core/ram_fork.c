/* Guest RAM shared copy on write. */
#include "core/ram_fork.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/file.h"
#include "platform/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    FORK_CHUNK_MIN = 16 << 10,
    FORK_CHUNK_MAX = 2 << 20,
    FORK_CHUNKS = 16384,  /* of most machines: each may be a mapping, of which there are 65530 */
    FORK_OWN_FACTOR = 64, /* how many times RAM the machine's own file may hold; it is sparse */
};
_Static_assert((int)FORK_CHUNK_MAX <= (int)VIREO_SHMEM_PIECE_BYTES,
               "what is discarded in a piece is whole chunks");

/* Chunks that the machine itself does not need any more. */
struct fork_old {
    uint32_t file, slot, first, last; /* moments that need it */
};

struct vr_ram_fork {
    struct vr_mutex lock;
    uint64_t chunk_bytes, off, count;
    int file[VR_RAM_FILES];
    unsigned file_count;
    bool base_is_ours;          /* file 0 */
    int own;                    /* index of the file that chunks are put into; -1: none yet */
    struct vr_ram_place *place; /* where each chunk of the machine is, but for its own pages */
    uint32_t *since;            /* the first moment that has it there */
    uint32_t moment, *live;
    unsigned live_count, live_cap;
    struct fork_old *old;
    size_t old_count, old_cap;
    uint32_t next_slot, *free_slot;
    size_t free_count, free_cap;
};

static uint64_t fork_chunk_len(const struct vr_ram *ram, const struct vr_ram_fork *f, uint64_t i)
{
    uint64_t left = ram->len - i * f->chunk_bytes;
    return left < f->chunk_bytes ? left : f->chunk_bytes;
}

static void fork_free(struct vr_ram_fork *f)
{
    while (f->file_count) {
        vr_file_close(f->file[--f->file_count]);
    }
    vr_mutex_fini(&f->lock);
    free(f->place);
    free(f->since);
    free(f->live);
    free(f->old);
    free(f->free_slot);
    free(f);
}

void vr_ram_fork_destroy(struct vr_ram *ram)
{
    if (ram->fork) {
        fork_free(ram->fork);
        ram->fork = NULL;
    }
}

static int fork_add_file(struct vr_ram_fork *f, int fd, struct vr_error *err)
{
    if (f->file_count == VR_RAM_FILES) {
        return vr_err(err, -E2BIG, "memory: it lies in %d files already: forks of forks end here",
                      VR_RAM_FILES);
    }
    int r = vr_file_dup(fd, &f->file[f->file_count]);
    if (r < 0) {
        return vr_err(err, r, "memory: another descriptor of its file: %s", strerror(-r));
    }
    f->file_count++;
    return 0;
}

/* All chunks in file 0. */
static int fork_create(struct vr_ram *ram, uint64_t chunk_bytes, struct vr_error *err)
{
    struct vr_ram_fork *f = vr_zalloc(sizeof(*f));
    if (!f) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    vr_mutex_init(&f->lock);
    f->own = -1;
    f->chunk_bytes = chunk_bytes;
    f->off = ram->mem.base_off;
    f->base_is_ours = ram->mem.fd >= 0;
    f->count = (ram->len + chunk_bytes - 1) / chunk_bytes;
    f->place = vr_zalloc_array(f->count, sizeof(*f->place));
    f->since = vr_zalloc_array(f->count, sizeof(*f->since));
    int r = f->place && f->since ? 0 : vr_err(err, -ENOMEM, "no memory");
    r = r < 0 ? r : fork_add_file(f, ram->mem.fd >= 0 ? ram->mem.fd : ram->mem.base_fd, err);
    if (r < 0) {
        fork_free(f);
        return r;
    }
    for (uint64_t i = 0; i < f->count; i++) {
        f->place[i] = (struct vr_ram_place){.file = 0, .slot = (uint32_t)i};
    }
    ram->fork = f;
    return 0;
}

static uint64_t fork_chunk_for(uint64_t len)
{
    uint64_t chunk = FORK_CHUNK_MIN;
    while (chunk < FORK_CHUNK_MAX && len / chunk > FORK_CHUNKS) {
        chunk *= 2;
    }
    return chunk;
}

/* ---- Chunks that nobody needs ---- */

static bool fork_is_live(const struct vr_ram_fork *f, uint32_t first, uint32_t last)
{
    for (unsigned i = 0; i < f->live_count; i++) {
        if (f->live[i] >= first && f->live[i] <= last) {
            return true;
        }
    }
    return false;
}

static bool fork_grow(void **list, size_t *cap, size_t count, size_t each)
{
    if (count < *cap) {
        return true;
    }
    size_t more = *cap ? *cap * 2 : 64;
    void *grown = realloc(*list, more * each);
    if (grown) {
        *list = grown;
        *cap = more;
    }
    return grown != NULL;
}

/* Back to the host, and to us. What cannot be noted for want of memory is only not used again. */
static void fork_give_back(struct vr_ram_fork *f, uint32_t file, uint32_t slot)
{
    uint64_t off = (uint64_t)slot * f->chunk_bytes + (file == 0 ? f->off : 0);
    (void)!vr_file_discard(f->file[file], VR_FILE_REGULAR, off, f->chunk_bytes);
    if (f->own >= 0 && file == (uint32_t)f->own &&
        fork_grow((void **)&f->free_slot, &f->free_cap, f->free_count, sizeof(*f->free_slot))) {
        f->free_slot[f->free_count++] = slot;
    }
}

/* The machine does not need @place any more; moments from @first to @last do. */
static void fork_retire(struct vr_ram_fork *f, struct vr_ram_place place, uint32_t first,
                        uint32_t last)
{
    bool ours = place.file == 0 ? f->base_is_ours : f->own >= 0 && place.file == (uint32_t)f->own;
    if (!ours) {
        return;
    }
    if (!fork_is_live(f, first, last)) {
        fork_give_back(f, place.file, place.slot);
    } else if (fork_grow((void **)&f->old, &f->old_cap, f->old_count, sizeof(*f->old))) {
        f->old[f->old_count++] = (struct fork_old){place.file, place.slot, first, last};
    }
}

void vr_ram_thaw(struct vr_ram *ram, uint32_t moment)
{
    struct vr_ram_fork *f = ram->fork;
    if (!f || moment == 0) {
        return;
    }
    vr_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->live_count;) {
        if (f->live[i] == moment) {
            f->live[i] = f->live[--f->live_count];
        } else {
            i++;
        }
    }
    for (size_t i = 0; i < f->old_count;) {
        const struct fork_old old = f->old[i];
        if (fork_is_live(f, old.first, old.last)) {
            i++;
        } else {
            f->old[i] = f->old[--f->old_count];
            fork_give_back(f, old.file, old.slot);
        }
    }
    vr_mutex_unlock(&f->lock);
}

int vr_ram_fork_discard(struct vr_ram *ram, uint64_t off, uint64_t len, struct vr_error *err)
{
    uint64_t first, to = vr_align_down(off + len, VIREO_SHMEM_PIECE_BYTES);
    bool noted =
        ram->mem.base_fd >= 0 && vr_align_up_ok(off, VIREO_SHMEM_PIECE_BYTES, &first) && first < to;
    int r = noted && !ram->fork ? fork_create(ram, fork_chunk_for(ram->len), err) : 0;
    r = r < 0 ? r : vireo_shmem_discard(&ram->mem, off, len, err);
    struct vr_ram_fork *f = ram->fork;
    if (r < 0 || !noted) {
        return r;
    }
    vr_mutex_lock(&f->lock);
    for (uint64_t i = first / f->chunk_bytes; i < to / f->chunk_bytes; i++) {
        if (f->place[i].file != VR_RAM_ZERO) {
            fork_retire(f, f->place[i], f->since[i], f->moment);
            f->place[i] = (struct vr_ram_place){.file = VR_RAM_ZERO};
            f->since[i] = f->moment + 1;
        }
    }
    vr_mutex_unlock(&f->lock);
    return 0;
}

/* ---- Mapping ---- */

/* Chunks [first, first + count), which lie in a row at @place. */
static int fork_map(struct vr_ram *ram, const struct vr_ram_fork *f, uint64_t first, uint64_t count,
                    struct vr_ram_place place, struct vr_error *err)
{
    bool zero = place.file == VR_RAM_ZERO;
    uint64_t at = first * f->chunk_bytes, len = count * f->chunk_bytes;
    struct vireo_map_opts opts = {.hva = ram->hva + at,
                                  .prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
                                  .flags = VIREO_MAP_REPLACE | VIREO_MAP_NORESERVE,
                                  .file = !zero,
                                  .node = VIREO_NODE_ANY};
    struct vireo_map map;
    if (!zero) {
        opts.fd = f->file[place.file];
        opts.file_off = (uint64_t)place.slot * f->chunk_bytes + (place.file == 0 ? f->off : 0);
    }
    len = len < ram->len - at ? len : ram->len - at;
    return vireo_map_create((size_t)len, &opts, &map, err);
}

/* Does chunk @i lie behind the @n before it? */
static bool fork_joins(const struct vr_ram_place *place, uint64_t i, uint64_t n)
{
    return place[i].file == place[i - n].file &&
           (place[i].file == VR_RAM_ZERO || place[i].slot == place[i - n].slot + n);
}

int vr_ram_adopt(struct vr_ram *ram, const struct vr_ram_frozen *z, struct vr_error *err)
{
    vr_assert(!ram->fork && ram->mem.base_fd >= 0 && ram->mem.base_off == z->off);
    int r = vr_ram_frozen_check(z, err);
    if (r == 0 && z->len != ram->len) {
        r = vr_err(err, -EPROTO, "memory: %" PRIu64 " bytes, not %" PRIu64, z->len, ram->len);
    }
    r = r < 0 ? r : fork_create(ram, z->chunk_bytes, err);
    struct vr_ram_fork *f = ram->fork;
    for (unsigned i = 1; r == 0 && i < z->file_count; i++) {
        r = fork_add_file(f, z->file[i], err);
    }
    if (r < 0) {
        return r;
    }
    memcpy(f->place, z->place, z->place_count * sizeof(*z->place));
    for (uint64_t i = 0, n; r == 0 && i < f->count; i += n) {
        for (n = 1; i + n < f->count && fork_joins(f->place, i + n, n); n++) {
        }
        if (f->place[i].file != 0 || f->place[i].slot != i) {
            r = fork_map(ram, f, i, n, f->place[i], err);
        }
    }
    return r;
}

/* ---- Freezing ---- */

static int fork_own_file(struct vr_ram *ram, struct vr_error *err)
{
    struct vr_ram_fork *f = ram->fork;
    int fd, r = 0;
    if (f->own < 0) {
        r = vireo_memfd_create("vireo-fork", f->count * f->chunk_bytes * FORK_OWN_FACTOR, 0, &fd,
                               err);
        if (r == 0) {
            r = fork_add_file(f, fd, err);
            vr_file_close(fd);
        }
        f->own = r < 0 ? -1 : (int)f->file_count - 1;
    }
    return r;
}

/* Copy chunk @i into our file; *ret_place is where. */
static int fork_copy(struct vr_ram *ram, uint64_t i, struct vr_ram_place *ret_place,
                     struct vr_error *err)
{
    struct vr_ram_fork *f = ram->fork;
    bool again = f->free_count != 0;
    uint32_t slot = again ? f->free_slot[f->free_count - 1] : f->next_slot;
    if (slot >= f->count * FORK_OWN_FACTOR || slot == UINT32_MAX) {
        return vr_err(err, -ENOSPC,
                      "memory: too many clones live that were forked at different "
                      "times; end some");
    }
    int r = vr_file_write(f->file[f->own], ram->hva + i * f->chunk_bytes,
                          (size_t)fork_chunk_len(ram, f, i), (uint64_t)slot * f->chunk_bytes);
    if (r < 0) {
        return vr_err(err, r, "memory: copying what was written since the last fork: %s",
                      strerror(-r));
    }
    f->free_count -= again;
    f->next_slot += !again;
    *ret_place = (struct vr_ram_place){.file = (uint32_t)f->own, .slot = slot};
    return 0;
}

/* The machine goes on with chunks [first, first + n) at @to, instead of with pages of its own.
 * Should the host have no mapping left, it keeps those, and needs the old place. */
static void fork_go_on(struct vr_ram *ram, uint64_t first, uint64_t n,
                       const struct vr_ram_place *to, uint32_t moment)
{
    struct vr_ram_fork *f = ram->fork;
    bool good = fork_map(ram, f, first, n, to[first], NULL) == 0;
    for (uint64_t i = first; i < first + n; i++) {
        if (good) {
            if (f->place[i].file != VR_RAM_ZERO) {
                fork_retire(f, f->place[i], f->since[i], moment - 1);
            }
            f->place[i] = to[i];
            f->since[i] = moment;
        } else {
            fork_retire(f, to[i], moment, moment);
        }
    }
}

/* Where each chunk is now goes into @z; those that changed are copied. */
static int fork_places(struct vr_ram *ram, const bool *changed, struct vr_ram_frozen *z,
                       struct vr_error *err)
{
    struct vr_ram_fork *f = ram->fork;
    uint64_t i;
    int r = 0;
    memcpy(z->place, f->place, f->count * sizeof(*z->place));
    for (i = 0; r == 0 && i < f->count; i++) {
        if (changed[i]) {
            r = fork_own_file(ram, err);
            r = r < 0 ? r : fork_copy(ram, i, &z->place[i], err);
            z->copied_bytes += r < 0 ? 0 : fork_chunk_len(ram, f, i);
        }
    }
    for (unsigned k = 0; r == 0 && k < f->file_count; k++) {
        r = vr_file_reopen(f->file[k], &z->file[k]);
        r = r < 0 ? vr_err(err, r, "memory: another descriptor: %s", strerror(-r)) : 0;
        z->file_count += r == 0;
    }
    while (r < 0 && i-- > 0) {
        if (changed[i] &&
            (z->place[i].file != f->place[i].file || z->place[i].slot != f->place[i].slot)) {
            fork_give_back(f, z->place[i].file, z->place[i].slot);
        }
    }
    return r;
}

static int fork_freeze_locked(struct vr_ram *ram, struct vr_ram_frozen *z, struct vr_error *err)
{
    struct vr_ram_fork *f = ram->fork;
    size_t cap = f->live_cap;
    bool *changed = vr_zalloc_array(f->count, sizeof(*changed));
    if (!changed || !fork_grow((void **)&f->live, &cap, f->live_count, sizeof(*f->live))) {
        free(changed);
        return vr_err(err, -ENOMEM, "no memory");
    }
    f->live_cap = (unsigned)cap;
    int r = f->moment < UINT32_MAX - 1
                ? vireo_shmem_changed(&ram->mem, f->chunk_bytes, changed, err)
                : vr_err(err, -EOVERFLOW, "memory: forked too often");
    r = r < 0 ? r : fork_places(ram, changed, z, err);
    if (r == 0) {
        f->live[f->live_count++] = z->moment = ++f->moment;
    }
    for (uint64_t i = 0, n; r == 0 && i < f->count; i += n) {
        for (n = 1;
             changed[i] && i + n < f->count && changed[i + n] && fork_joins(z->place, i + n, n);
             n++) {
        }
        if (changed[i]) {
            fork_go_on(ram, i, n, z->place, z->moment);
        }
    }
    free(changed);
    return r;
}

int vr_ram_freeze(struct vr_ram *ram, struct vr_ram_frozen **ret_frozen, struct vr_error *err)
{
    int r = 0;
    if (ram->mem.map.page_bytes > FORK_CHUNK_MIN) {
        return vr_err(err, -ENOTSUP,
                      "memory in huge pages cannot be shared copy on write: run the machine "
                      "without --huge-pages to fork it");
    }
    if (!ram->fork) {
        r = fork_create(ram, fork_chunk_for(ram->len), err);
    }
    if (r == 0 && ram->mem.fd >= 0) {
        r = vireo_shmem_make_view(&ram->mem, err);
    }
    if (r < 0) {
        return r;
    }
    struct vr_ram_fork *f = ram->fork;
    struct vr_ram_frozen *z = vr_zalloc(sizeof(*z));
    if (!z || !(z->place = vr_zalloc_array(f->count, sizeof(*z->place)))) {
        free(z);
        return vr_err(err, -ENOMEM, "no memory");
    }
    z->len = ram->len;
    z->chunk_bytes = f->chunk_bytes;
    z->off = f->off;
    z->place_count = f->count;
    vr_mutex_lock(&f->lock);
    r = fork_freeze_locked(ram, z, err);
    vr_mutex_unlock(&f->lock);
    if (r < 0) {
        vr_ram_frozen_destroy(z);
        return r;
    }
    *ret_frozen = z;
    return 0;
}

void vr_ram_frozen_destroy(struct vr_ram_frozen *z)
{
    if (z) {
        while (z->file_count) {
            vr_file_close(z->file[--z->file_count]);
        }
        free(z->place);
        free(z);
    }
}

int vr_ram_frozen_check(const struct vr_ram_frozen *z, struct vr_error *err)
{
    uint64_t room[VR_RAM_FILES], need;
    bool good = z->len && z->file_count && z->file_count <= VR_RAM_FILES &&
                vr_is_pow2(z->chunk_bytes) && z->chunk_bytes >= FORK_CHUNK_MIN &&
                z->chunk_bytes <= FORK_CHUNK_MAX && vr_is_aligned(z->off | z->len, VR_PAGE_SIZE) &&
                vr_add_ok(z->len, z->chunk_bytes - 1, &need) &&
                z->place_count == need / z->chunk_bytes && vr_add_ok(z->off, z->len, &need);
    for (unsigned i = 0; good && i < z->file_count; i++) {
        uint64_t len;
        good = vr_file_len(z->file[i], &len) == 0 && (i > 0 || len >= need);
        room[i] = len / z->chunk_bytes;
    }
    /* The base's chunks are where they are in RAM; so its last one may be a part. */
    for (uint64_t i = 0; good && i < z->place_count; i++) {
        const struct vr_ram_place p = z->place[i];
        good = p.file == VR_RAM_ZERO || (p.file == 0 && p.slot == i) ||
               (p.file > 0 && p.file < z->file_count && p.slot < room[p.file]);
    }
    return good ? 0 : vr_err(err, -EPROTO, "memory: where it lies makes no sense");
}

uint64_t vr_ram_next_data(const struct vr_ram *ram, uint64_t off)
{
    struct vr_ram_fork *f = ram->fork;
    uint64_t next = vireo_shmem_next_data(&ram->mem, off);
    if (!f) {
        return next;
    }
    vr_mutex_lock(&f->lock);
    /* All of a chunk that is not in file 0, zeroes too: there may be pages of our own. */
    for (uint64_t i = off / f->chunk_bytes; i * f->chunk_bytes < next; i++) {
        if (f->place[i].file != 0) {
            next = i * f->chunk_bytes > off ? i * f->chunk_bytes : off;
        }
    }
    vr_mutex_unlock(&f->lock);
    return next;
}

uint64_t vr_ram_next_page(const struct vr_ram *ram, uint64_t off)
{
    for (; off < ram->len; off += VR_PAGE_SIZE) {
        /* Only at 2 MiB steps, because asking the host costs more than looking at a page. */
        if (vr_is_aligned(off, UINT64_C(2) << 20)) {
            off = vr_align_down(vr_ram_next_data(ram, off), VR_PAGE_SIZE);
        }
        if (off < ram->len && !vr_is_zero(ram->hva + off, VR_PAGE_SIZE)) {
            return off;
        }
    }
    return ram->len;
}
