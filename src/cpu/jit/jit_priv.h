/* Between the parts of the JIT: its state, and what every back end provides. */
#ifndef VR_CPU_JIT_JIT_PRIV_H
#define VR_CPU_JIT_JIT_PRIV_H

#include "cpu/jit/jit.h"
#include "vireo/host_code.h"

enum {
    JIT_TABLE_LEN = VR_PAGE_SIZE / 2,
    JIT_TABLES_MAX = 6144,  /* 48 MiB of them */
    JIT_REGION_BLOCKS = 64, /* compiled together */
    JIT_DIRECT_SAMPLES = 2, /* a page found running this often is compiled direct */
};

/* A jump in compiled code to a block of the same page that is not compiled. */
struct vr_jit_link {
    uint32_t site;   /* where its operand is */
    uint16_t target; /* offset in the page */
    struct vr_jit_link *next;
};

/* An instruction that uses a mirror: a fault of it is a jump. */
struct vr_jit_site {
    uint32_t at, slow; /* offsets in code memory */
};

enum { JIT_CHUNK_LINKS = 256 };
struct vr_jit_chunk { /* of links */
    struct vr_jit_chunk *next;
    struct vr_jit_link link[JIT_CHUNK_LINKS];
};

/* struct vr_jit_stats, as it is counted. */
struct vr_jit_counts {
    _Atomic uint64_t blocks, insns, bytes, flushes, drops, exits, direct, mirrored, mirror_faults;
};

/* Code that all compiled code shares, by offset; known once vr_jit_emit_shared has run. "pc" and
 * the registers in which they take it are each back end's. */
struct vr_jit_shared {
    uint32_t enter;
    uint32_t exit_pc;  /* leave; what an empty entry of a table leads to */
    uint32_t exit_off; /* leave; not pc is known but its offset from page_va */
    uint32_t load, store, op, helper, helper_end, fp_on;
    uint32_t mirror; /* where accesses through mirrors are compiled */
};

struct vr_jit {
    struct vireo_jitmem mem;
    size_t used;  /* bytes of code memory */
    size_t first; /* where blocks begin, behind the parts that all share */
    uint32_t *tables[JIT_TABLES_MAX];
    unsigned table_count, tables_used; /* there are; the first ones belong to pages */
    struct vr_jit_shared shared;
    struct emit_slow *slow; /* emit.c's: slow paths of the region that is compiled; NULL: not yet */
    uint32_t exit_off;      /* code that leaves with cpu->pc as it is */
    struct vr_jit_chunk *chunks;
    struct vr_jit_link *links_free;
    uint32_t empty[JIT_TABLE_LEN]; /* the table of pages without code */
    struct vr_jit_site *sites;     /* accesses that may fault, by offset */
    unsigned site_count, site_room;
    int fault_id; /* of vr_jit's fault handler; -1: none */
    FILE *perf;   /* NULL: off */
    FILE *dump;   /* NULL: off */
    uint64_t dump_begin, dump_end;
    uint32_t dump_count; /* of blocks, so that labels differ */
    struct vr_jit_counts counts;
};

/* For what only the CPU's own thread counts, and anybody may read. */
static inline void vr_jit_count(_Atomic uint64_t *count, uint64_t more)
{
    uint64_t was = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, was + more, memory_order_relaxed);
}

/* An instruction in compiled code, as its slow paths need it: offset in the page of the guest
 * instruction, how many of its block come after it, log2 of the access's width. */
#define JIT_INFO(off, left, log2_width) \
    ((uint32_t)(off) | (uint32_t)(left) << 12 | (uint32_t)(log2_width) << 20)

/* --- The back end (one folder a host) --- */
/* Can it compile accesses through mirrors? */
extern const bool vr_jit_has_direct;
/* Write the shared parts; sets jit->first, exit_off. */
void vr_jit_emit_shared(struct vr_jit *jit);
/* Compile @blocks, which lie in one page, for @mode at jit->used. Fills the table and links of
 * @page, moves jit->used. False: it does not fit, and nothing changed. */
bool vr_jit_emit_blocks(struct vr_cpu *cpu, struct vr_block *const *blocks, unsigned count,
                        unsigned mode, struct vr_jit_page *page);
/* Enter code; returns when it leaves. */
void vr_jit_enter(struct vr_cpu *cpu, uint32_t code);
/* Let the jump at @site lead to @code. */
void vr_jit_patch(struct vr_jit *jit, uint32_t site, uint32_t code);

/* Take the flags that the host's FPU gathered (cpu->host_fp), which then has none. */
void vr_jit_fp_sync(struct vr_cpu *cpu);

/* --- What code calls (runtime.c). Results are host addresses to go on at; NULL: behind the call.
 * --- */
struct jit_loaded {
    uint64_t val;
    const void *next;
};
struct jit_loaded vr_jit_load(struct vr_cpu *cpu, uint64_t va, uint32_t info);
const void *vr_jit_store(struct vr_cpu *cpu, uint64_t va, uint64_t val, uint32_t info);
/* An op that has no code of its own, or whose fast path does not apply. */
const void *vr_jit_op(struct vr_cpu *cpu, const struct vr_ir *ir, uint32_t info);
/* A helper that may end the block; one that does. @next_off: of the next instruction. */
const void *vr_jit_helper(struct vr_cpu *cpu, const struct vr_ir *ir, uint32_t info);
const void *vr_jit_helper_end(struct vr_cpu *cpu, const struct vr_ir *ir, uint32_t info);
/* The first FP instruction of a block, and the FP state is not in host registers. */
const void *vr_jit_fp_on(struct vr_cpu *cpu, uint32_t info);

/* Direct code faulted at @va. */
void vr_jit_mirror_fault(struct vr_cpu *cpu, uint64_t va, bool write);

/* Note a site; they come in the order of their addresses. false: no memory. */
bool vr_jit_add_site(struct vr_jit *jit, size_t at, size_t slow);

/* Tell the dump what was compiled, from cpu->pc's page. */
void vr_jit_dump(struct vr_cpu *cpu, struct vr_block *const *blocks, unsigned count, unsigned mode);

/* A link, and where links wait. NULL: no memory. */
struct vr_jit_link *vr_jit_link_new(struct vr_jit *jit);

#endif
