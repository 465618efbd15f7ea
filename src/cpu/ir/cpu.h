/*
 * A CPU on Vireo's own engine, as far as it does not depend on the guest's instruction set: slots,
 * program counter, TLB, translated blocks. A guest ISA embeds struct vr_cpu first in its own CPU
 * struct and gives a struct vr_isa.
 *
 * Threads: everything belongs to the CPU's own thread while it runs, but what is marked "any
 * thread".
 */
#ifndef VR_CPU_IR_CPU_H
#define VR_CPU_IR_CPU_H

#include "core/space.h"
#include "core/vcpu.h"
#include "cpu/ir/ir.h"

struct vr_cpu;
struct vr_cache;
struct vr_block;
struct vr_jit;
struct vr_lockstep;
struct vr_field;

enum vr_access { VR_READ, VR_WRITE, VR_EXEC };

/* TLB: direct-mapped, one set of entries per MMU mode. A tag is the virtual page | the context (12
 * bits): a look-up compares it with (address of the access's last byte's page | current context),
 * so an access that crosses a page misses. Context 0 never occurs. */
enum { VR_TLB_BITS = 11, VR_TLB_SIZE = 1 << VR_TLB_BITS, VR_MMU_MODES = 4, VR_MMU_USER = 0 };
/* The second place of an entry is its index with this bit changed. It is not a neighbour: there an
 * access over a page border would find the next page, whose tag it asks for. */
enum { VR_TLB_SECOND = VR_TLB_SIZE / 2 };
struct vr_tlb_entry {
    uint64_t tag[3];  /* by enum vr_access; 0: no */
    uintptr_t addend; /* host address = virtual address + addend */
};
/* An entry that is displaced goes to its second place, where compiled code looks next: two
 * streams of colliding addresses, as of a copy, keep both. What that displaces joins a few entries
 * that are looked through one by one, which still is less than a page walk. */
enum { VR_TLB_VICTIMS = 8 };
struct vr_tlb {
    struct vr_tlb_entry entry[VR_TLB_SIZE];
    struct vr_tlb_entry victim[VR_TLB_VICTIMS];
    uint64_t gpa[VR_TLB_SIZE]; /* guest-physical page of each entry */
    uint64_t victim_gpa[VR_TLB_VICTIMS];
    /* With a JIT, of entries that allow fetching: the page's compiled code (cpu/jit/jit.h). */
    const uint32_t *code[VR_TLB_SIZE];
    const uint32_t *victim_code[VR_TLB_VICTIMS];
    unsigned victim_next; /* replaced round robin */
    uint64_t used;        /* which 64ths of `entry` were filled since the last flush */
    /* Deterministic mode: the rights that the walk of an entry found, whatever it may be used for
     * without looking (pages with code, or watched). So when pages are walked, which sets their
     * accessed bits, depends on the guest alone. */
    uint64_t walked[VR_TLB_SIZE]; /* tag; 0: none */
    uint8_t walked_prot[VR_TLB_SIZE];
};

/* The range of memory that was used last outside the TLB: nearly always the machine's RAM. */
struct vr_window_cache {
    uint64_t gen; /* of the map; 0: empty */
    uint64_t gpa, len;
    struct vr_ram *ram;
    uint64_t ram_off; /* of gpa */
    bool rom;
};

/* Result of a guest page walk. */
struct vr_xlate {
    uint64_t gpa;
    uint8_t prot;        /* 1 << enum vr_access: also allowed without another walk */
    bool cacheable;      /* the whole page has these rights: may enter the TLB */
    uint64_t page_bytes; /* of the leaf: 4096, 2 MiB, ... */
};

/* A helper that only reads or exchanges something: compiled code does that itself. */
struct vr_plain {
    bool fflags;      /* the accrued FP flags, while FP is on; else: 64 bits of the CPU */
    bool read, write; /* old value to d, a to it */
    uint32_t member;  /* offset in the CPU */
    int32_t writable; /* bits, sign-extended */
};

typedef bool (*vr_helper_fn)(struct vr_cpu *cpu, const struct vr_ir *ir);

/*
 * A guest instruction set. Hooks that take an exception do it completely: they set cpu->pc to the
 * handler, before them cpu->pc is the address of the faulting instruction, and say so by their
 * result.
 */
struct vr_isa {
    const char *name;
    /* Decode the instruction at *code (avail bytes, 2..4+; avail < needed length: returns 0). Emits
     * ops, sets b->ended after a terminator. Returns its length in bytes. */
    unsigned (*decode)(struct vr_cpu *cpu, struct vr_builder *b, const uint8_t *code,
                       unsigned avail);
    /* Helpers by index: true: go on with the next op; false: the block ended, cpu->pc is where to
     * go on. */
    const vr_helper_fn *helpers;
    const char *const *helper_names;
    /* Is helper_end @ir no more than this in MMU mode @mode? May be NULL: none is. */
    bool (*plain)(const struct vr_cpu *cpu, const struct vr_ir *ir, unsigned mode,
                  struct vr_plain *ret_plain);
    unsigned helper_count;
    /* Translate [va, va+len), inside one page, in the current mode for @access. false: exception
     * taken. */
    bool (*translate)(struct vr_cpu *cpu, uint64_t va, unsigned len, enum vr_access access,
                      struct vr_xlate *ret_x);
    /* The physical access failed (nothing there, device refused): takes the exception. */
    void (*access_fault)(struct vr_cpu *cpu, uint64_t va, enum vr_access access);
    /* An atomic was misaligned: takes the exception. */
    void (*misaligned)(struct vr_cpu *cpu, uint64_t va, enum vr_access access);
    /* What @va translates to for data in the current mode, changing nothing. false: an access would
     * fault, or change a page table. ret_x->prot: rights that need no change either. */
    bool (*probe)(struct vr_cpu *cpu, uint64_t va, struct vr_xlate *ret_x);
    /* Bits of the lower half of the virtual addresses in the current mode; 0: not translated. */
    unsigned (*low_va_bits)(const struct vr_cpu *cpu);
    /* FP is off, or the rounding mode is bad: takes the exception, and returns false; true: go on.
     */
    bool (*fp_check)(struct vr_cpu *cpu);
    /* Which helper calls vr_cpu_at_break, before the first instruction of a block. */
    unsigned break_helper;
    void (*illegal)(struct vr_cpu *cpu, const struct vr_ir *ir);
    /* vcpu.attention was seen (and cleared): take an interrupt if one is due. */
    void (*attention)(struct vr_cpu *cpu);
    /* Tracing: name the CPU's mode as one character. */
    char (*mode_char)(const struct vr_cpu *cpu);
    /* Lockstep: all state, from the start of struct vr_cpu on; which of it other threads change;
     * and what follows when it was put back to what it was some instructions ago. */
    const struct vr_field *(*fields)(void);
    bool (*field_is_shared)(const struct vr_field *field);
    void (*state_was_set)(struct vr_cpu *cpu);
};

struct vr_trace_out; /* cpu/ir/trace.h */

struct vr_cpu {
    struct vr_vcpu vcpu; /* first */
    uint64_t r[VR_SLOTS];
    uint64_t pc;       /* exact between blocks, and inside hooks and helpers */
    uint64_t block_pc; /* virtual address of the running block */
    /* Current translation regime: sets of the TLB and contexts for data and fetch. Set by
     * vr_tlb_select. */
    struct vr_tlb *dtlb, *itlb;
    uint64_t dctx, ictx;
    uint64_t icount; /* instructions retired; inside a block: as if the whole block had retired */
    uint64_t traps;  /* exceptions taken */
    uint32_t fflags; /* accrued FP flags, bits as in vr fp.h */
    uint8_t frm;     /* dynamic rounding mode, 0..7 */
    bool trapped; /* an exception was taken since the block began: its instruction did not retire */
    bool res_valid; /* LR reservation */
    uint8_t res_size;
    uint64_t res_gpa, res_val;
    const struct vr_isa *isa;
    struct vr_space *mem;
    struct vr_view_cache view;
    struct vr_window_cache window;
    uint64_t space_gen;                  /* of the map that the TLB was filled from */
    uint16_t ctx_next;                   /* TLB contexts, see tlb.c */
    bool has_large;                      /* superpage entries exist; all lie where */
    uint64_t large_base, large_mask;     /* (va & large_mask) == large_base */
    struct vr_cache *cache;              /* translated blocks */
    struct vr_trace_out *trace;          /* --trace-insn; NULL: off */
    bool single;                         /* one instruction a block (tracing, stepping) */
    bool careful;                        /* trace or steps: something is done before each block */
    struct vr_lockstep *lockstep;        /* both engines, compared; NULL: one */
    struct vr_steps *steps;              /* deterministic mode (steps.h); NULL: not */
    uint64_t budget;                     /* there: what icount may become before it leaves */
    bool (*outside)(struct vr_cpu *cpu); /* vr_outside; NULL: nobody asks */
    struct vr_jit *jit;                  /* NULL: blocks are interpreted, all of them */
    uint16_t jit_hot;                    /* blocks entered this often are compiled */
    uint64_t page_va;                    /* compiled code: the page that pc is in */
    uint32_t host_fp;                    /* compiled code: the host's FP flags while C runs */
    struct vr_mirrors *mirrors;          /* cpu/jit/mirror.h; NULL: none */
    uint64_t mirror_limit;               /* addresses below may be used directly; 0: none */
    uintptr_t mirror_addend;             /* from them to the host's */
    uint16_t mirror_ctx;                 /* the TLB context of user mode that these two are of */
    uint8_t mode;                        /* MMU mode of data and fetch; VR_NO_MODE: they differ */
    bool fp_live;     /* compiled code: f registers are the host's, which rounds as the guest */
    bool interp_once; /* compiled code gave up: the next block is to be interpreted */
    bool interp_all;  /* what interp_once becomes behind a block */
    struct vr_tlb tlb[VR_MMU_MODES]; /* last: compiled code addresses all before it cheaply */
};
enum { VR_NO_MODE = 0xff };

int vr_cpu_init(struct vr_cpu *cpu, const struct vr_isa *isa, const struct vr_cpu_ops *ops,
                struct vr_machine *machine, unsigned index, struct vr_space *mem,
                struct vr_error *err) VR_MUST;
void vr_cpu_fini(struct vr_cpu *cpu);

/* The interpreter: vr_cpu_ops.run of the engine "interp". */
void vr_interp_run(struct vr_vcpu *vcpu);

/* --- TLB and regime (tlb.c) --- */
/* Select MMU modes (0..VR_MMU_MODES-1) and contexts (1..4095) for data and fetch. */
void vr_tlb_select(struct vr_cpu *cpu, unsigned dmode, unsigned dctx, unsigned imode,
                   unsigned ictx);
void vr_tlb_flush(struct vr_cpu *cpu); /* everything */
/* The same for who asks, but in deterministic mode the guest's walks are remembered. */
void vr_tlb_look_again(struct vr_cpu *cpu);
/* Deterministic mode: is there an entry whose walk allows @access at @va? Then what it found. */
bool vr_tlb_walked(const struct vr_cpu *cpu, uint64_t va, enum vr_access access,
                   struct vr_xlate *ret_x);
/* Does the TLB allow @access at @va without a walk? */
static inline bool vr_tlb_hits(const struct vr_cpu *cpu, uint64_t va, enum vr_access access)
{
    const struct vr_tlb_entry *e = &cpu->dtlb->entry[va >> VR_PAGE_SHIFT & (VR_TLB_SIZE - 1)];
    return e->tag[access] == ((va & ~(uint64_t)(VR_PAGE_SIZE - 1)) | cpu->dctx);
}
/* Bring a displaced entry back that allows @access at @va (VR_EXEC: in the fetch set); false: none.
 */
bool vr_tlb_recall(struct vr_cpu *cpu, uint64_t va, enum vr_access access);
/* No entry lets anyone write the page at @gpa without the slow path any more; nor any page. */
void vr_tlb_protect(struct vr_cpu *cpu, uint64_t gpa);
void vr_tlb_protect_all(struct vr_cpu *cpu);
/* Entries of the page at @gpa in @mode get @code; all entries do. */
void vr_tlb_set_code(struct vr_cpu *cpu, unsigned mode, uint64_t gpa, const uint32_t *code);
void vr_tlb_reset_code(struct vr_cpu *cpu, const uint32_t *code);
/* The walk @x of @va for @access succeeded: remember it, for data or for fetches. */
void vr_tlb_fill(struct vr_cpu *cpu, uint64_t va, enum vr_access access, const struct vr_xlate *x);
void vr_tlb_flush_page(struct vr_cpu *cpu,
                       uint64_t va); /* one address, every mode and context, superpages too */

/* --- Memory as the guest sees it (mem.c): slow paths; false: an exception was taken. --- */
bool vr_mem_load(struct vr_cpu *cpu, uint64_t va, unsigned width, uint64_t *ret_val);
bool vr_mem_store(struct vr_cpu *cpu, uint64_t va, unsigned width, uint64_t val);
/* Host pointer to @len bytes of RAM at @va, naturally aligned (len a power of two): for atomics,
 * and for cbo.zero. NULL: an exception was taken (misaligned, no right, not RAM). */
void *vr_mem_ram(struct vr_cpu *cpu, uint64_t va, unsigned len, enum vr_access access,
                 uint64_t *ret_gpa);
/* A range obtained above, at @va, was written: tell those who keep translations of it. */
void vr_mem_wrote(struct vr_cpu *cpu, uint64_t va, uint64_t gpa, unsigned len);
/* Guest-physical memory was written: tell those who keep translations of it. */
void vr_mem_tell(struct vr_cpu *cpu, uint64_t gpa, uint64_t len);
/* The memory that holds all of [gpa, gpa+len), or NULL: a device, or nothing. Valid until the next
 * call. */
const struct vr_window_cache *vr_mem_window(struct vr_cpu *cpu, uint64_t gpa, uint64_t len);
/* Physical accesses for page walks: RAM only. NULL where there is none. */
void *vr_mem_phys(struct vr_cpu *cpu, uint64_t gpa, unsigned width, bool write);

/* --- Debuggers (debug.c); see core/debug.h --- */
/* vcpu.run.turn was seen. False: leave run(). */
bool vr_cpu_debug_turn(struct vr_cpu *cpu);
/* The one instruction of a step, at cpu->pc. NULL: an exception was taken, which was the step. */
struct vr_block *vr_cpu_debug_step(struct vr_cpu *cpu);
/* Is there a breakpoint at cpu->pc? Then the hart has stopped. */
bool vr_cpu_at_break(struct vr_cpu *cpu);
/* May not be made, because a debugger watches it? Then the hart has stopped, before the instruction
 * at cpu->pc. */
bool vr_cpu_at_watch(struct vr_cpu *cpu, uint64_t va, unsigned len, enum vr_access access);
static inline bool vr_cpu_watched(struct vr_cpu *cpu, uint64_t va, unsigned len,
                                  enum vr_access access)
{
    return __builtin_expect(cpu->vcpu.debug != NULL, 0) && vr_cpu_at_watch(cpu, va, len, access);
}
/* Rights, bits 1 << enum vr_access, that accesses to the page of @va may have without being looked
 * at. */
uint8_t vr_cpu_unwatched(const struct vr_cpu *cpu, uint64_t va);

/* --- Translated code (cache.c) --- */
struct vr_block *
vr_code_find(struct vr_cpu *cpu); /* the block at cpu->pc; NULL: an exception was taken */
/* The instruction at cpu->pc alone; it is not kept, and valid until the next call of either. NULL:
 * an exception was taken. */
struct vr_block *vr_code_one(struct vr_cpu *cpu);
/* Called when vcpu.attention was seen: drops what other writers changed. */
void vr_code_drain(struct vr_cpu *cpu);
int vr_code_init(struct vr_cpu *cpu, struct vr_error *err) VR_MUST;
void vr_code_fini(struct vr_cpu *cpu);
void vr_code_flush(
    struct vr_cpu *cpu); /* drop all blocks (own thread, between blocks or in a helper) */
void vr_code_fence(
    struct vr_cpu *cpu); /* fence.i: later fetches see all earlier stores, of others too */

/* The instruction is about to do what reaches beyond the CPU and its RAM: a device, time, entropy,
 * pending interrupts, built-in firmware, waiting. True: not now; the caller leaves as if it had
 * taken an exception, with cpu->pc at the instruction and nothing changed. */
static inline bool vr_outside(struct vr_cpu *cpu)
{
    return VR_UNLIKELY(cpu->outside != NULL) && cpu->outside(cpu);
}

/* Instructions retired before the one that runs now (for counters); only in a helper_end. */
static inline uint64_t vr_cpu_retired(const struct vr_cpu *cpu)
{
    return cpu->icount - 1;
}

#endif
