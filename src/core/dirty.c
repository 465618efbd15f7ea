/* Accounts of written pages. See dirty.h. */
#include "core/dirty.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "core/machine_priv.h"
#include "vireo/host_barrier.h"

#include <errno.h>
#include <string.h>

enum { WORD_BITS = 64 };

struct dirty_ram {
    struct vr_ram *of; /* vr_machine_ram number i, in ram[i] */
    const char *name;
    uint64_t pages;
    uint64_t *bits; /* of pages in the account */
    uint64_t *late; /* of pages that were found since its owner's last fetch: by others' fetches */
};

struct vr_dirty {
    struct vr_machine *m;
    struct vr_dirty *next;
    unsigned count;
    struct dirty_ram ram[];
};

static void dirty_free(struct vr_dirty *d)
{
    for (unsigned i = 0; d && i < d->count; i++) {
        free(d->ram[i].bits);
        free(d->ram[i].late);
    }
    free(d);
}

static size_t dirty_words(const struct dirty_ram *ram)
{
    return (size_t)((ram->pages + WORD_BITS - 1) / WORD_BITS);
}

static int dirty_create(struct vr_machine *m, struct vr_dirty **ret_dirty, struct vr_error *err)
{
    unsigned count = 0;
    while (vr_machine_ram(m, count, NULL)) {
        count++;
    }
    struct vr_dirty *d = vr_zalloc(sizeof(*d) + count * sizeof(d->ram[0]));
    if (!d) {
        return vr_err(err, -ENOMEM, "no memory to count written pages");
    }
    d->m = m;
    d->count = count;
    for (unsigned i = 0; i < count; i++) {
        const char *name = NULL;
        struct dirty_ram *mine = &d->ram[i];
        mine->of = vr_machine_ram(m, i, &name);
        mine->name = name;
        mine->pages = mine->of->len >> VR_PAGE_SHIFT;
        mine->bits = vr_zalloc_array(dirty_words(mine), sizeof(uint64_t));
        mine->late = vr_zalloc_array(dirty_words(mine), sizeof(uint64_t));
        if (!mine->bits || !mine->late) {
            dirty_free(d);
            return vr_err(err, -ENOMEM, "no memory to count written pages of '%s'", name);
        }
    }
    *ret_dirty = d;
    return 0;
}

/* Every account hears of the page, and shows it from its owner's next fetch on: what is dropped
 * until then may be what the page held before. */
static void dirty_note_locked(struct vr_machine *m, const struct vr_ram *ram, uint64_t page)
{
    for (struct vr_dirty *d = m->dirty; d; d = d->next) {
        for (unsigned i = 0; i < d->count; i++) {
            if (d->ram[i].of == ram) {
                d->ram[i].late[page / WORD_BITS] |= UINT64_C(1) << page % WORD_BITS;
            }
        }
    }
}

/* Eight flags at a time: most pages are clean. */
static bool dirty_all_clean(const _Atomic uint8_t *flags)
{
    uint64_t eight;
    memcpy(&eight, (const void *)flags, sizeof(eight));
    return (eight & UINT64_C(0x0101010101010101) * VR_PAGE_CLEAN) ==
           UINT64_C(0x0101010101010101) * VR_PAGE_CLEAN;
}

/* What was written goes into the accounts, and all of it is clean then. A page whose flag is seen
 * set was not written, or is being written by somebody who will look at the flag afterwards. */
static void dirty_collect_ram_locked(struct vr_machine *m, struct vr_ram *ram)
{
    uint64_t pages = ram->len >> VR_PAGE_SHIFT;
    for (uint64_t page = 0; page < pages; page++) {
        _Atomic uint8_t *flags = &ram->page_flags[page];
        if (page % 8 == 0 && pages - page >= 8 && dirty_all_clean(flags)) {
            page += 7;
        } else if (!(atomic_fetch_or(flags, VR_PAGE_CLEAN) & VR_PAGE_CLEAN)) {
            dirty_note_locked(m, ram, page);
        }
    }
}

/* Of all the memory that @d covers. Then the lock is let go, and vCPUs are asked also if nothing
 * was found: what another account found a moment ago they may not have answered yet. */
static void dirty_collect_locked(struct vr_machine *m, const struct vr_dirty *d)
{
    for (unsigned i = 0; i < d->count; i++) {
        dirty_collect_ram_locked(m, d->ram[i].of);
    }
}

static void dirty_settle(struct vr_machine *m)
{
    vr_machine_protect(m);
    /* A writer writes, then loads the flag; we stored the flag, and the caller then reads. */
    vireo_barrier_full();
}

int vr_dirty_start(struct vr_machine *m, struct vr_dirty **ret_dirty, struct vr_error *err)
{
    if (m->env.det) {
        return vr_err(err, -ENOTSUP,
                      "machine '%s' is deterministic: its writes are not followed while it runs; "
                      "run it without --deterministic",
                      m->name);
    }
    struct vr_dirty *d = NULL;
    int r = vr_machine_due_all(m, err); /* whoever counts will read all of it */
    r = r < 0 ? r : dirty_create(m, &d, err);
    if (r < 0) {
        return r;
    }
    vr_mutex_lock(&m->dirty_lock);
    dirty_collect_locked(m, d); /* for those who count already; what they find later we find too */
    d->next = m->dirty;
    m->dirty = d;
    vr_mutex_unlock(&m->dirty_lock);
    dirty_settle(m);
    *ret_dirty = d;
    return 0;
}

void vr_dirty_stop(struct vr_dirty *d)
{
    if (!d) {
        return;
    }
    struct vr_machine *m = d->m;
    vr_mutex_lock(&m->dirty_lock);
    struct vr_dirty **link = &m->dirty;
    while (*link != d) {
        link = &(*link)->next;
    }
    *link = d->next;
    for (unsigned i = 0; !m->dirty && i < d->count; i++) {
        struct vr_ram *ram = d->ram[i].of;
        for (uint64_t page = 0; page < d->ram[i].pages; page++) {
            atomic_fetch_and(&ram->page_flags[page], (uint8_t)~VR_PAGE_CLEAN);
        }
    }
    vr_mutex_unlock(&m->dirty_lock);
    dirty_free(d);
}

unsigned vr_dirty_ram_count(const struct vr_dirty *d)
{
    return d->count;
}

struct vr_ram *vr_dirty_ram(const struct vr_dirty *d, unsigned i)
{
    vr_assert(i < d->count);
    return d->ram[i].of;
}

const char *vr_dirty_ram_name(const struct vr_dirty *d, unsigned i)
{
    vr_assert(i < d->count);
    return d->ram[i].name;
}

/* What was found goes into the account; how much of it is new there. */
static uint64_t dirty_merge(struct dirty_ram *ram)
{
    uint64_t found = 0;
    for (size_t w = 0; w < dirty_words(ram); w++) {
        found += (unsigned)__builtin_popcountll(ram->late[w] & ~ram->bits[w]);
        ram->bits[w] |= ram->late[w];
        ram->late[w] = 0;
    }
    return found;
}

uint64_t vr_dirty_fetch(struct vr_dirty *d)
{
    uint64_t found = 0;
    vr_mutex_lock(&d->m->dirty_lock);
    dirty_collect_locked(d->m, d);
    for (unsigned i = 0; i < d->count; i++) {
        found += dirty_merge(&d->ram[i]);
    }
    vr_mutex_unlock(&d->m->dirty_lock);
    dirty_settle(d->m);
    return found;
}

uint64_t vr_dirty_count(struct vr_dirty *d)
{
    uint64_t count = 0;
    vr_mutex_lock(&d->m->dirty_lock);
    for (unsigned i = 0; i < d->count; i++) {
        for (size_t w = 0; w < dirty_words(&d->ram[i]); w++) {
            count += (unsigned)__builtin_popcountll(d->ram[i].bits[w]);
        }
    }
    vr_mutex_unlock(&d->m->dirty_lock);
    return count;
}

/* The first page at or after @page whose bit is @is; ram->pages: none. */
static uint64_t dirty_next(const struct dirty_ram *ram, uint64_t page, bool is)
{
    while (page < ram->pages) {
        uint64_t word = ram->bits[page / WORD_BITS];
        word = (is ? word : ~word) >> page % WORD_BITS;
        if (word) {
            page += (unsigned)__builtin_ctzll(word);
            break;
        }
        page = (page / WORD_BITS + 1) * WORD_BITS;
    }
    return page < ram->pages ? page : ram->pages;
}

static void dirty_set(struct dirty_ram *ram, uint64_t page, uint64_t count, bool is)
{
    for (uint64_t end = page + count; page < end; page++) {
        uint64_t bit = UINT64_C(1) << page % WORD_BITS;
        uint64_t *word = &ram->bits[page / WORD_BITS];
        *word = is ? *word | bit : *word & ~bit;
    }
}

uint64_t vr_dirty_take(struct vr_dirty *d, unsigned i, uint64_t *page, uint64_t max)
{
    vr_assert(i < d->count);
    struct dirty_ram *ram = &d->ram[i];
    vr_mutex_lock(&d->m->dirty_lock);
    uint64_t first = dirty_next(ram, *page, true), end = dirty_next(ram, first, false);
    uint64_t n = end - first < max ? end - first : max;
    dirty_set(ram, first, n, false);
    vr_mutex_unlock(&d->m->dirty_lock);
    *page = first;
    return n;
}

void vr_dirty_take_all(struct vr_dirty *d, unsigned i, uint64_t *bits)
{
    vr_assert(i < d->count);
    size_t bytes = dirty_words(&d->ram[i]) * sizeof(*bits);
    vr_mutex_lock(&d->m->dirty_lock);
    memcpy(bits, d->ram[i].bits, bytes);
    memset(d->ram[i].bits, 0, bytes);
    vr_mutex_unlock(&d->m->dirty_lock);
}

void vr_dirty_add(struct vr_dirty *d, unsigned i, uint64_t page, uint64_t count)
{
    vr_assert(i < d->count && vr_in_range(page, count, d->ram[i].pages));
    vr_mutex_lock(&d->m->dirty_lock);
    dirty_set(&d->ram[i], page, count, true);
    vr_mutex_unlock(&d->m->dirty_lock);
}

uint64_t vr_dirty_drop(struct vr_dirty *d, const struct vr_ram *ram, uint64_t off, uint64_t len)
{
    vr_assert(vr_in_range(off, len, ram->len));
    uint64_t first = (off + VR_PAGE_SIZE - 1) >> VR_PAGE_SHIFT, end = (off + len) >> VR_PAGE_SHIFT;
    uint64_t dropped = 0;
    vr_mutex_lock(&d->m->dirty_lock);
    for (unsigned i = 0; i < d->count; i++) {
        for (uint64_t page = first; d->ram[i].of == ram && page < end; page++) {
            uint64_t *word = &d->ram[i].bits[page / WORD_BITS];
            uint64_t bit = UINT64_C(1) << page % WORD_BITS;
            dropped += (*word & bit) != 0;
            *word &= ~bit;
        }
    }
    vr_mutex_unlock(&d->m->dirty_lock);
    return dropped;
}
