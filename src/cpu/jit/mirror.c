/* Guest address spaces in the host's own. See mirror.h. */
#include "cpu/jit/mirror.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "core/machine.h"
#include "cpu/jit/jit_priv.h"
#include "vireo/host_memory.h"

#define MIRROR_BYTES (UINT64_C(1) << VR_MIRROR_BITS)

enum {
    MIRRORS = 32,
    CONTEXTS = 4096,
    SAMPLES = 2,        /* an address space found running this often gets a mirror */
    BUDGET = 200,       /* faults to deal with between two samples */
    RUN_CHEAP = 8,      /* so many pages by one fault cost no more than look-ups: free */
    CHURN = 16,         /* pages taken back between two samples, after which it rests */
    REST_MAX = 1 << 10, /* samples */
    PAGES_MAX = 40000,  /* mapped at a time, of all harts: the host limits mappings (65530) */
    RUN_MAX = 64,       /* pages to each side that are mapped along, where they are contiguous */
    FILTER_BITS = 16,
};

/* A mapped page; slots of a hash table with linear probing. */
struct mirror_page {
    uint32_t number; /* virtual page + 1; 0: free */
    bool write;
    uint64_t gpa;
};

struct mirror {
    uint8_t *base; /* where guest address 0 is; NULL: no reservation yet */
    struct vireo_map map;
    unsigned ctx;  /* 0: of none */
    uint64_t used; /* clock of the last selection */
    struct mirror_page *table;
    uint32_t table_len, count; /* table_len: 0, or a power of two */
    uint32_t lo, hi;           /* virtual pages that were mapped since it was empty */
    bool has_large;            /* part of a superpage is mapped */
    bool on;
    unsigned budget, churn, resting, rest_next;
};

struct vr_mirrors {
    struct mirror m[MIRRORS];
    uint8_t of_ctx[CONTEXTS];  /* index + 1 */
    uint8_t samples[CONTEXTS]; /* of contexts without a mirror */
    unsigned count, pages;     /* reservations; pages mapped */
    unsigned pages_max;        /* 0: not yet counted */
    uint64_t clock;
    uint64_t
        written[1 << (FILTER_BITS - 6)]; /* by hash: pages mapped for writing, and some that were */
    bool always;                         /* do not ask whether it pays */
    bool off;                            /* the host gave no more room */
};

void vr_mirrors_create(struct vr_cpu *cpu, bool always)
{
    cpu->mirrors = vr_zalloc(sizeof(*cpu->mirrors)); /* none: everything is looked up */
    if (cpu->mirrors) {
        cpu->mirrors->always = always;
    }
}

bool vr_mirrors_always(const struct vr_cpu *cpu)
{
    return cpu->mirrors && cpu->mirrors->always;
}

static void mirror_select_none(struct vr_cpu *cpu)
{
    cpu->mirror_limit = 0;
    cpu->mirror_addend = 0;
}

void vr_mirrors_destroy(struct vr_cpu *cpu)
{
    struct vr_mirrors *all = cpu->mirrors;
    if (!all) {
        return;
    }
    for (unsigned i = 0; i < all->count; i++) {
        free(all->m[i].table);
        vireo_map_destroy(&all->m[i].map);
    }
    free(all);
    cpu->mirrors = NULL;
    mirror_select_none(cpu);
}

/* --- Which pages are mapped --- */

static uint32_t page_hash(uint32_t number, uint32_t len)
{
    return (uint32_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (len - 1);
}

static struct mirror_page *page_find(const struct mirror *m, uint32_t number)
{
    if (!m->table_len) {
        return NULL;
    }
    uint32_t i = page_hash(number, m->table_len);
    while (m->table[i].number && m->table[i].number != number) {
        i = (i + 1) & (m->table_len - 1);
    }
    return m->table[i].number ? &m->table[i] : NULL;
}

static void page_put(struct mirror_page *table, uint32_t len, const struct mirror_page *page)
{
    uint32_t i = page_hash(page->number, len);
    while (table[i].number) {
        i = (i + 1) & (len - 1);
    }
    table[i] = *page;
}

/* Room for @count more. */
static bool page_room(struct mirror *m, unsigned count)
{
    uint32_t len = m->table_len ? m->table_len : 64;
    while ((m->count + count) * 2 > len) {
        len *= 2;
    }
    if (len == m->table_len) {
        return true;
    }
    struct mirror_page *table = vr_zalloc_array(len, sizeof(*table));
    if (!table) {
        return false;
    }
    for (uint32_t i = 0; i < m->table_len; i++) {
        if (m->table[i].number) {
            page_put(table, len, &m->table[i]);
        }
    }
    free(m->table);
    m->table = table;
    m->table_len = len;
    return true;
}

/* Those behind it move up, so that no search ends early. */
static void page_remove(struct mirror *m, struct mirror_page *page)
{
    uint32_t mask = m->table_len - 1, hole = (uint32_t)(page - m->table);
    for (uint32_t i = (hole + 1) & mask; m->table[i].number; i = (i + 1) & mask) {
        uint32_t home = page_hash(m->table[i].number, m->table_len);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->table[hole] = m->table[i];
            hole = i;
        }
    }
    m->table[hole].number = 0;
    m->count--;
}

static uint64_t *filter_word(struct vr_mirrors *all, uint64_t gpa, uint64_t *ret_bit)
{
    uint64_t h = (gpa >> VR_PAGE_SHIFT) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - FILTER_BITS);
    *ret_bit = UINT64_C(1) << (h & 63);
    return &all->written[h >> 6];
}

/* --- Mapping --- */

/* The host refuses: then there are no mirrors any more, and whatever is mapped is of no use. */
static void mirror_give_up(struct vr_cpu *cpu)
{
    cpu->mirrors->off = true;
    mirror_select_none(cpu);
}

static bool mirror_map_nothing(struct vr_cpu *cpu, uint8_t *hva, size_t len)
{
    struct vireo_map_opts opts = {
        .hva = hva, .flags = VIREO_MAP_REPLACE | VIREO_MAP_NORESERVE, .node = VIREO_NODE_ANY};
    struct vireo_map map;
    if (vireo_map_create(len, &opts, &map, NULL) < 0) {
        mirror_give_up(cpu);
        return false;
    }
    return true;
}

static uint8_t *mirror_hva(const struct mirror *m, uint32_t number)
{
    return m->base + ((uint64_t)(number - 1) << VR_PAGE_SHIFT);
}

static void mirror_clear(struct vr_cpu *cpu, struct mirror *m)
{
    if (m->count) {
        if (!mirror_map_nothing(cpu, mirror_hva(m, m->lo),
                                (size_t)(m->hi - m->lo + 1) << VR_PAGE_SHIFT)) {
            return;
        }
        cpu->mirrors->pages -= m->count;
        m->count = 0;
        if (m->table_len > 1024) {
            free(m->table);
            m->table = NULL;
            m->table_len = 0;
        } else {
            memset(m->table, 0, m->table_len * sizeof(*m->table));
        }
    }
    m->has_large = false;
}

static void mirror_unmap(struct vr_cpu *cpu, struct mirror *m, struct mirror_page *page)
{
    if (mirror_map_nothing(cpu, mirror_hva(m, page->number), VR_PAGE_SIZE)) {
        page_remove(m, page);
        cpu->mirrors->pages--;
        m->churn++;
    }
}

static void mirror_show(struct vr_cpu *cpu, const struct mirror *m)
{
    cpu->mirror_limit = m->on ? MIRROR_BYTES : 0;
    cpu->mirror_addend = (uintptr_t)m->base;
}

static bool mirror_may(const struct vr_cpu *cpu)
{
    return !cpu->mirrors->off && !cpu->lockstep && cpu->isa->low_va_bits(cpu) == VR_MIRROR_BITS;
}

static struct mirror *mirror_current(struct vr_cpu *cpu)
{
    unsigned i = cpu->mirrors->of_ctx[cpu->mirror_ctx & (CONTEXTS - 1)];
    return i ? &cpu->mirrors->m[i - 1] : NULL;
}

static bool mirror_reserve(struct mirror *m)
{
    struct vireo_map_opts opts = {.flags = VIREO_MAP_NORESERVE, .node = VIREO_NODE_ANY};
    if (vireo_map_create(MIRROR_BYTES + 2 * (size_t)VR_MIRROR_GUARD, &opts, &m->map, NULL) < 0) {
        return false;
    }
    m->base = m->map.hva + VR_MIRROR_GUARD;
    return m->map.page_bytes == VR_PAGE_SIZE;
}

static struct mirror *mirror_oldest(struct vr_mirrors *all)
{
    struct mirror *old = &all->m[0];
    for (unsigned i = 1; i < all->count; i++) {
        old = all->m[i].used < old->used ? &all->m[i] : old;
    }
    return old;
}

/* A mirror for the current context. */
static void mirror_new(struct vr_cpu *cpu)
{
    struct vr_mirrors *all = cpu->mirrors;
    struct mirror *m;
    if (!all->pages_max) {
        unsigned harts = 1;
        while (cpu->vcpu.machine && vr_machine_vcpu(cpu->vcpu.machine, harts)) {
            harts++;
        }
        all->pages_max = PAGES_MAX / harts;
    }
    if (all->count < MIRRORS) {
        m = &all->m[all->count];
        if (!mirror_reserve(m)) {
            vireo_map_destroy(&m->map);
            m->map = (struct vireo_map){0};
            mirror_give_up(cpu);
            return;
        }
        all->count++;
    } else {
        m = mirror_oldest(all);
        mirror_clear(cpu, m);
        if (all->off) {
            return;
        }
        all->of_ctx[m->ctx] = 0;
    }
    m->ctx = cpu->mirror_ctx;
    m->on = true;
    m->budget = BUDGET;
    m->churn = m->resting = 0;
    m->rest_next = 1;
    m->used = ++all->clock;
    all->of_ctx[m->ctx] = (uint8_t)(m - all->m + 1);
    mirror_show(cpu, m);
}

void vr_mirror_select(struct vr_cpu *cpu, unsigned ctx)
{
    struct vr_mirrors *all = cpu->mirrors;
    unsigned i = all && !all->off ? all->of_ctx[ctx & (CONTEXTS - 1)] : 0;
    cpu->mirror_ctx = (uint16_t)ctx;
    if (!i && all && all->always && mirror_may(cpu)) {
        mirror_new(cpu);
        return;
    }
    if (!i) {
        mirror_select_none(cpu);
        return;
    }
    all->m[i - 1].used = ++all->clock;
    mirror_show(cpu, &all->m[i - 1]);
}

void vr_mirror_sample(struct vr_cpu *cpu)
{
    struct vr_mirrors *all = cpu->mirrors;
    if (!all || !mirror_may(cpu)) {
        return;
    }
    struct mirror *m = mirror_current(cpu);
    if (!m) {
        if (++all->samples[cpu->mirror_ctx] >= SAMPLES) {
            all->samples[cpu->mirror_ctx] = 0;
            mirror_new(cpu);
        }
        return;
    }
    if (m->churn > CHURN && !all->always) {
        m->resting = m->rest_next;
        m->rest_next = m->rest_next < REST_MAX ? m->rest_next * 2 : REST_MAX;
    } else if (m->resting) {
        m->resting--;
    }
    m->churn = 0;
    m->budget = BUDGET;
    m->on = !m->resting;
    mirror_show(cpu, m);
}

/* --- Coming and going --- */

/* Nothing is mapped any more; if @lost, that counts against mapping it again. */
static void mirror_clear_all(struct vr_cpu *cpu, bool lost)
{
    struct vr_mirrors *all = cpu->mirrors;
    if (!all || !all->pages) {
        return;
    }
    for (unsigned i = 0; i < all->count; i++) {
        struct mirror *m = &all->m[i];
        m->churn += lost ? m->count : 0;
        mirror_clear(cpu, m);
    }
    memset(all->written, 0, sizeof(all->written));
}

void vr_mirror_flush(struct vr_cpu *cpu)
{
    mirror_clear_all(cpu, true);
}

/* More pages than can be mapped are in use: mapping some of them is worth nothing. */
static void mirror_too_many(struct vr_cpu *cpu, struct mirror *m)
{
    vr_mirror_flush(cpu);
    m->on = false;
    m->resting = REST_MAX;
    mirror_show(cpu, m);
}

void vr_mirror_flush_page(struct vr_cpu *cpu, uint64_t va)
{
    struct vr_mirrors *all = cpu->mirrors;
    if (!all || !all->pages || va >= MIRROR_BYTES) {
        return;
    }
    for (unsigned i = 0; i < all->count; i++) {
        struct mirror *m = &all->m[i];
        if (m->has_large) { /* it may be part of one, of which other pages are mapped too */
            m->churn += m->count;
            mirror_clear(cpu, m);
            continue;
        }
        struct mirror_page *page =
            m->count ? page_find(m, (uint32_t)(va >> VR_PAGE_SHIFT) + 1) : NULL;
        if (page) {
            mirror_unmap(cpu, m, page);
        }
    }
}

void vr_mirror_protect(struct vr_cpu *cpu, uint64_t gpa)
{
    struct vr_mirrors *all = cpu->mirrors;
    uint64_t bit, other_bit;
    if (!all || !all->pages) {
        return;
    }
    uint64_t *word = filter_word(all, gpa, &bit);
    if (!(*word & bit)) {
        return;
    }
    bool shared = false; /* the bit, with a page that stays mapped for writing */
    for (unsigned i = 0; i < all->count; i++) {
        struct mirror *m = &all->m[i];
        for (uint32_t k = 0; m->count && k < m->table_len;) {
            struct mirror_page *page = &m->table[k];
            bool written = page->number && page->write;
            if (written && page->gpa == gpa) {
                mirror_unmap(cpu, m, page); /* another may have moved here: look again */
                continue;
            }
            shared = shared || (written && filter_word(all, page->gpa, &other_bit) == word &&
                                other_bit == bit);
            k++;
        }
    }
    /* Else each page that becomes code again and again would be looked for among all the others. */
    *word &= shared ? UINT64_MAX : ~bit;
}

void vr_mirror_protect_all(struct vr_cpu *cpu)
{
    mirror_clear_all(cpu, false);
}

/* What a page of the guest would be in a mirror. */
struct mirror_view {
    struct vr_ram *ram;
    uint64_t gpa, off;
    bool write, large;
    uint8_t held; /* flags of a page that the guest may write, and must not unseen */
};

static bool mirror_look(struct vr_cpu *cpu, uint64_t va, struct mirror_view *ret_view)
{
    struct vr_xlate x;
    if (va >= MIRROR_BYTES || !cpu->isa->probe(cpu, va, &x) || !x.cacheable ||
        !(x.prot & 1 << VR_READ)) {
        return false;
    }
    uint64_t gpa = vr_align_down(x.gpa, VR_PAGE_SIZE);
    const struct vr_window_cache *w = vr_mem_window(cpu, gpa, VR_PAGE_SIZE);
    if (!w || w->ram->mem.fd < 0 || w->ram->mem.map.page_bytes != VR_PAGE_SIZE) {
        return false;
    }
    uint8_t free = vr_cpu_unwatched(cpu, va);
    if (!(free & 1 << VR_READ)) {
        return false;
    }
    uint64_t off = w->ram_off + (gpa - w->gpa);
    uint8_t flags = atomic_load(&w->ram->page_flags[off >> VR_PAGE_SHIFT]);
    bool may_write = x.prot & free & 1 << VR_WRITE && !w->rom && !cpu->trace;
    *ret_view = (struct mirror_view){
        .ram = w->ram,
        .gpa = gpa,
        .off = off,
        .write = may_write && !flags,
        .large = x.page_bytes > VR_PAGE_SIZE,
        .held = may_write ? flags : 0,
    };
    return true;
}

/* Does @v, of page @number, go on with @first, @pages away, in one mapping? */
static bool mirror_joins(const struct mirror *m, uint32_t number, const struct mirror_view *v,
                         const struct mirror_view *first, int64_t pages)
{
    return v->ram == first->ram && v->write == first->write &&
           v->off == first->off + (uint64_t)(pages * VR_PAGE_SIZE) && !page_find(m, number);
}

/* How many pages on from @va in steps of @step are mapped with it. */
static unsigned mirror_run(struct vr_cpu *cpu, const struct mirror *m, uint64_t va,
                           const struct mirror_view *first, int64_t step)
{
    unsigned n = 0;
    struct mirror_view v;
    while (n < RUN_MAX) {
        int64_t pages = step * (int64_t)(n + 1);
        uint64_t at = va + (uint64_t)(pages * VR_PAGE_SIZE);
        if (!mirror_look(cpu, at, &v) ||
            !mirror_joins(m, (uint32_t)(at >> VR_PAGE_SHIFT) + 1, &v, first, pages)) {
            break;
        }
        n++;
    }
    return n;
}

static bool mirror_map(struct mirror *m, uint32_t number, unsigned count,
                       const struct mirror_view *v)
{
    struct vireo_map_opts opts = {
        .hva = mirror_hva(m, number),
        .prot = VIREO_PROT_READ | (v->write ? VIREO_PROT_WRITE : 0),
        .flags = VIREO_MAP_SHARED | VIREO_MAP_REPLACE | VIREO_MAP_POPULATE,
        .file = true,
        .fd = v->ram->mem.fd,
        .file_off = v->off,
        .node = VIREO_NODE_ANY,
    };
    struct vireo_map map;
    return vireo_map_create((size_t)count << VR_PAGE_SHIFT, &opts, &map, NULL) == 0;
}

static void mirror_note(struct vr_mirrors *all, struct mirror *m, uint32_t number,
                        const struct mirror_view *v)
{
    uint64_t bit, *word = filter_word(all, v->gpa, &bit);
    struct mirror_page *page = page_find(m, number);
    if (page) {
        page->write = v->write;
        page->gpa = v->gpa;
    } else {
        page_put(m->table, m->table_len,
                 &(struct mirror_page){.number = number, .write = v->write, .gpa = v->gpa});
        m->lo = m->count == 0 || number < m->lo ? number : m->lo;
        m->hi = m->count == 0 || number > m->hi ? number : m->hi;
        m->count++;
        all->pages++;
    }
    m->has_large = m->has_large || v->large;
    *word |= v->write ? bit : 0;
}

static void mirror_pay(struct mirror *m)
{
    m->budget -= m->budget != 0;
}

void vr_mirror_fault(struct vr_cpu *cpu, uint64_t va, bool write)
{
    struct vr_mirrors *all = cpu->mirrors;
    struct mirror *m = all && !all->off ? mirror_current(cpu) : NULL;
    struct mirror_view v;
    if (!m || !m->on) {
        return;
    }
    vr_jit_count(&cpu->jit->counts.mirror_faults, 1);
    if (m->budget == 0 && !all->always) {
        m->on = false;
        mirror_show(cpu, m);
        return;
    }
    va = vr_align_down(va, VR_PAGE_SIZE);
    if (!mirror_look(cpu, va, &v)) {
        mirror_pay(m);
        return;
    }
    if (write && v.held == VR_PAGE_CLEAN) {
        vr_ram_will_write(v.ram, v.off);
        v.write = true;
    }
    if (write && !v.write) {
        m->churn += v.held != 0; /* code that is being written: each write faults */
        mirror_pay(m);
        return;
    }
    uint32_t number = (uint32_t)(va >> VR_PAGE_SHIFT) + 1;
    unsigned before = mirror_run(cpu, m, va, &v, -1),
             count = before + 1 + mirror_run(cpu, m, va, &v, 1);
    if (count < RUN_CHEAP) {
        mirror_pay(m);
    }
    number -= before;
    v.off -= (uint64_t)before * VR_PAGE_SIZE;
    v.gpa -= (uint64_t)before * VR_PAGE_SIZE;
    if (!page_room(m, count)) {
        return;
    }
    if (!mirror_map(m, number, count, &v)) {
        all->pages_max = all->pages; /* what the host lets us have */
        mirror_too_many(cpu, m);
        return;
    }
    for (unsigned i = 0; i < count; i++, v.gpa += VR_PAGE_SIZE) {
        mirror_note(all, m, number + i, &v);
    }
    vr_jit_count(&cpu->jit->counts.mirrored, count);
    if (all->pages >= all->pages_max) {
        mirror_too_many(cpu, m);
    }
}
