/*
 * The interpreter: runs IR blocks on any host, with threaded dispatch.
 *
 * An op that may leave the block early (memory, helpers) first makes cpu->pc exact. Taking an
 * exception is the guest architecture's business: its hook moves cpu->pc, and the block is left by
 * `leave`.
 */
#include "base/bits.h"
#include "cpu/interp/op_terms.h"
#include "cpu/ir/block.h"
#include "cpu/ir/steps.h"
#include "cpu/ir/trace.h"
#include "cpu/jit/jit.h"
#include "cpu/jit/lockstep.h"

/* Guest memory at any alignment, in one access where the host can. */
typedef uint16_t mem16 __attribute__((may_alias, aligned(1)));
typedef uint32_t mem32 __attribute__((may_alias, aligned(1)));
typedef uint64_t mem64 __attribute__((may_alias, aligned(1)));
typedef uint8_t mem8;

#define PAGE_MASK (~(uint64_t)(VR_PAGE_SIZE - 1))

/* The ops before @ip in @b belong to this many guest instructions, its own not counted. */
static unsigned insns_before(const struct vr_block *b, const struct vr_ir *ip)
{
    unsigned n = 0;
    for (const struct vr_ir *i = b->ir; i < ip; i++) {
        n += i[1].at != i->at;
    }
    return n;
}

/* A block was left in the middle: its other instructions did not retire. */
static void VR_COLD uncount(struct vr_cpu *cpu, const struct vr_block *b, const struct vr_ir *ip)
{
    cpu->icount -= b->insn_count - insns_before(b, ip) - (cpu->trapped ? 0u : 1u);
    cpu->trapped = cpu->trapped && cpu->trace; /* the trace still wants to know */
}

void vr_interp_run(struct vr_vcpu *vcpu)
{
    static const void *const labels[] = {
#define VR_OP(name, uses, help) &&do_##name,
#include "cpu/ir/ops.h"
#undef VR_OP
    };
    struct vr_cpu *cpu = (struct vr_cpu *)vcpu;
    uint64_t *const r = cpu->r;
    struct vr_block *b = NULL, *from = NULL;
    const struct vr_ir *ip = NULL;
    const struct vr_tlb_entry *dtlb;
    uint64_t dctx, va, val, pc, epoch = 0;
    unsigned exit_index = 0;
    int64_t off;
    bool near = false;

    atomic_store(&vcpu->attention, true); /* what happened while nobody ran */

/* clang-format off */
#define DISPATCH goto *labels[ip->op]
#define NEXT     do { ip++; DISPATCH; } while (0)
#define EXACT_PC() (cpu->pc = cpu->block_pc + ip->at)
    /* clang-format on */

look_up: /* cpu->pc is exact */
    if (VR_UNLIKELY(atomic_load_explicit(&vcpu->attention, memory_order_relaxed))) {
    attention:
        if (VR_UNLIKELY(cpu->lockstep != NULL)) {
            if (vr_lockstep_again(cpu)) {
                atomic_store(&vcpu->attention, false); /* it is looked at behind the stretch */
                from = NULL;
                goto find;
            }
            vr_lockstep_leave_turn(cpu);
        }
        if (cpu->trace) {
            vr_trace_end(cpu);
        }
        cpu->trapped = false;
        atomic_store(&vcpu->attention, false);
        if (atomic_load(&vcpu->kicked)) {
            return;
        }
        vr_code_drain(cpu);
        if (VR_UNLIKELY(vcpu->run.turn) && !vr_cpu_debug_turn(cpu)) {
            return;
        }
        bool user = cpu->mode == VR_MMU_USER;
        pc = cpu->pc;
        cpu->isa->attention(cpu);
        if (user && cpu->mode != VR_MMU_USER) { /* an interrupt was taken */
            vr_jit_tick(cpu, pc);
        }
        if (cpu->single) {
            atomic_store(&vcpu->attention, true);
        }
        if (atomic_load(&vcpu->kicked)) {
            return;
        }
        if (VR_UNLIKELY(cpu->lockstep != NULL) && !vr_lockstep_take_turn(cpu)) {
            return;
        }
        cpu->trapped = false;
        from = NULL;
        if (VR_UNLIKELY(vcpu->run.step)) {
            b = vr_cpu_debug_step(cpu);
            if (!b) {
                cpu->trapped = false;
                goto look_up;
            }
            pc = cpu->pc;
            cpu->interp_once = true;
            goto enter;
        }
    }
find:
    pc = cpu->pc;
    if (from && (b = from->far[exit_index]) != NULL) {
        unsigned i = (unsigned)(pc >> VR_PAGE_SHIFT) & (VR_TLB_SIZE - 1);
        if (VR_LIKELY(cpu->itlb->entry[i].tag[VR_EXEC] == ((pc & PAGE_MASK) | cpu->ictx) &&
                      b->gpa == (cpu->itlb->gpa[i] | (pc & ~PAGE_MASK)))) {
            goto enter;
        }
    }
    if (VR_UNLIKELY(cpu->lockstep != NULL) && !vr_lockstep_goes_on(cpu)) {
        return;
    }
    epoch = vr_code_epoch(cpu);
    b = vr_code_find(cpu);
    if (VR_UNLIKELY(!b)) {
        cpu->trapped = false;
        from = NULL;
        goto look_up;
    }
    pc = cpu->pc;
    if (from && epoch == vr_code_epoch(cpu) && b->gpa2 == VR_NO_GPA) {
        if (near) {
            from->chain[exit_index] = b;
        } else {
            from->far[exit_index] = b;
        }
    }
enter: /* b starts at pc */
    if (cpu->jit && (cpu->mode == VR_NO_MODE || cpu->interp_once)) {
        if (VR_UNLIKELY(cpu->lockstep != NULL)) {
            b = vr_lockstep_block(cpu, b);
            if (!b) {
                cpu->pc = pc;
                return;
            }
        }
    } else if (cpu->jit) {
        if (VR_UNLIKELY(!b->native[cpu->mode] && ++b->heat >= cpu->jit_hot && !cpu->single)) {
            b->heat = 0;
            epoch = vr_code_epoch(cpu);
            cpu->pc = pc;
            vr_jit_compile(cpu, b);
            if (epoch != vr_code_epoch(cpu)) { /* memory was full: b is gone */
                from = NULL;
                goto look_up;
            }
        }
        if (b->native[cpu->mode] && (!cpu->steps || vr_steps_fits(cpu, b))) {
            cpu->pc = pc;
            from = NULL;
            if (VR_UNLIKELY(cpu->lockstep != NULL)) {
                vr_lockstep_run(cpu, b->native[cpu->mode]);
            } else {
                vr_jit_run(cpu, b->native[cpu->mode]);
            }
            goto look_up;
        }
    }
    cpu->interp_once = cpu->interp_all;
    cpu->block_pc = pc;
    if (VR_UNLIKELY(cpu->careful)) {
        if (cpu->steps && !(b = vr_steps_block(cpu, b))) {
            cpu->pc = pc;
            return;
        }
        if (cpu->trace) {
            vr_trace_begin(cpu, b);
        }
    }
    cpu->icount += b->insn_count;
    dtlb = cpu->dtlb->entry;
    dctx = cpu->dctx;
    ip = b->ir;
    DISPATCH;

go_near_or_far: /* leave b through exit_index to byte offset off from its start */
    pc = cpu->block_pc + (uint64_t)off;
    if (VR_LIKELY(b->chain[exit_index] != NULL)) {
        if (VR_UNLIKELY(atomic_load_explicit(&vcpu->attention, memory_order_relaxed))) {
            cpu->pc = pc;
            goto attention;
        }
        b = b->chain[exit_index];
        goto enter;
    }
    cpu->pc = pc;
    from = b;
    near = vr_block_near(b, off) && b->gpa2 == VR_NO_GPA;
    goto look_up;

leave: /* an exception was taken, or a helper ended the block, in the middle of it */
    uncount(cpu, b, ip);
    from = NULL;
    goto look_up;

/* Arithmetic */
do_nop:
    NEXT;
#define D r[ip->d]
#define OP(name, expr)      \
    do_##name : D = (expr); \
    NEXT;
#include "cpu/interp/op_list.h"

    /* Memory */
#define TLB_ENTRY(va) (&dtlb[(va) >> VR_PAGE_SHIFT & (VR_TLB_SIZE - 1)])
#define TLB_HIT(e, va, width, access) \
    VR_LIKELY((e)->tag[access] == ((((va) + ((width)-1)) & PAGE_MASK) | dctx))
#define LOAD(name, type, width, convert)                                              \
    do_##name:                                                                        \
    {                                                                                 \
        va = A + IMM;                                                                 \
        const struct vr_tlb_entry *e = TLB_ENTRY(va);                                 \
        if (TLB_HIT(e, va, width, VR_READ)) {                                         \
            val = VR_LE_##width(*(const volatile type *)((uintptr_t)va + e->addend)); \
        } else {                                                                      \
            EXACT_PC();                                                               \
            if (VR_UNLIKELY(!vr_mem_load(cpu, va, width, &val))) {                    \
                goto leave;                                                           \
            }                                                                         \
        }                                                                             \
        D = convert;                                                                  \
        NEXT;                                                                         \
    }
#define STORE(name, type, width)                                                          \
    do_##name:                                                                            \
    {                                                                                     \
        va = A + IMM;                                                                     \
        const struct vr_tlb_entry *e = TLB_ENTRY(va);                                     \
        if (TLB_HIT(e, va, width, VR_WRITE)) {                                            \
            *(volatile type *)((uintptr_t)va + e->addend) = (type)VR_LE_##width((type)B); \
        } else {                                                                          \
            EXACT_PC();                                                                   \
            if (VR_UNLIKELY(!vr_mem_store(cpu, va, width, B & vr_width_mask(width)))) {   \
                goto leave;                                                               \
            }                                                                             \
        }                                                                                 \
        NEXT;                                                                             \
    }
#define VR_LE_1(v) (v)
#define VR_LE_2(v) VR_LE_(16, v)
#define VR_LE_4(v) VR_LE_(32, v)
#define VR_LE_8(v) VR_LE_(64, v)
    LOAD(ld8, mem8, 1, (uint64_t)(int64_t)(int8_t)(uint8_t)val)
    LOAD(ld8u, mem8, 1, val)
    LOAD(ld16, mem16, 2, (uint64_t)(int64_t)(int16_t)(uint16_t)val)
    LOAD(ld16u, mem16, 2, val)
    LOAD(ld32, mem32, 4, op_sext32(val))
    LOAD(ld32u, mem32, 4, val)
    LOAD(ld64, mem64, 8, val)
    LOAD(ldbox16, mem16, 2, vr_f16_box((uint16_t)val))
    LOAD(ldbox32, mem32, 4, vr_f32_box((uint32_t)val))
    STORE(st8, mem8, 1)
    STORE(st16, mem16, 2)
    STORE(st32, mem32, 4)
    STORE(st64, mem64, 8)

    /* Atomics */
#define SLOW(name, call)        \
    do_##name : EXACT_PC();     \
    if (VR_UNLIKELY(!(call))) { \
        goto leave;             \
    }                           \
    NEXT;
    SLOW(lr32, vr_load_reserved(cpu, ip, 4))
    SLOW(lr64, vr_load_reserved(cpu, ip, 8))
    SLOW(sc32, vr_store_conditional(cpu, ip, 4))
    SLOW(sc64, vr_store_conditional(cpu, ip, 8))
    SLOW(amocas, vr_amo_slow(cpu, ip))
do_amo : {
    va = A;
    const struct vr_tlb_entry *e = TLB_ENTRY(va);
    unsigned log2_bytes = ip->c >> 4;
    if (VR_LIKELY(e->tag[VR_WRITE] == ((va & PAGE_MASK) | dctx) &&
                  !(va & ((1u << log2_bytes) - 1)))) {
        D = vr_amo_eval((void *)((uintptr_t)va + e->addend), ip->c & 15, log2_bytes, B);
    } else {
        EXACT_PC();
        if (VR_UNLIKELY(!vr_amo_slow(cpu, ip))) {
            goto leave;
        }
    }
    NEXT;
}
do_fence:
    atomic_thread_fence(memory_order_seq_cst);
    NEXT;

    /* Floating point */
do_rmcheck:
    if (VR_LIKELY(cpu->frm <= VR_RMM)) {
        NEXT;
    }
    EXACT_PC();
    cpu->isa->illegal(cpu, ip);
    goto leave;
    SLOW(fpcheck, cpu->isa->fp_check(cpu))

    /* Helpers and terminators */
do_helper:
    EXACT_PC();
    if (VR_UNLIKELY(!cpu->isa->helpers[ip->c](cpu, ip))) {
        goto leave;
    }
    NEXT;
do_helper_end:
    EXACT_PC();
    pc = cpu->block_pc + b->len;
    from = NULL;
    epoch = vr_code_epoch(cpu);
    if (cpu->isa->helpers[ip->c](cpu, ip)) {
        cpu->pc = pc;
        if (VR_LIKELY(epoch == vr_code_epoch(cpu))) { /* b is still there */
            from = b; /* what follows is compiled with it, where that needs no helper */
            exit_index = 0;
            near = vr_block_near(b, b->len) && b->gpa2 == VR_NO_GPA;
        }
    } else if (cpu->trapped) {
        cpu->icount--; /* the last of the block, and it did not retire */
        cpu->trapped = cpu->trace != NULL;
    }
    goto look_up;
do_jmp:
    off = ip->imm;
    exit_index = 0;
    goto go_near_or_far;
do_jal:
    D = cpu->block_pc + ip->at + ip->c;
    off = ip->imm;
    exit_index = 0;
    goto go_near_or_far;
do_jalr:
    pc = (A + IMM) & ~UINT64_C(1);
    D = cpu->block_pc + ip->at + ip->c;
    cpu->pc = pc;
    from = b;
    exit_index = 0;
    near = false;
    goto look_up;
#define BRANCH(name, cond) \
    do_##name : if (cond)  \
    {                      \
        off = ip->imm;     \
        exit_index = 0;    \
    }                      \
    else                   \
    {                      \
        off = b->len;      \
        exit_index = 1;    \
    }                      \
    goto go_near_or_far;
    BRANCH(beq, A == B)
    BRANCH(bne, A != B)
    BRANCH(blt, (int64_t)A < (int64_t)B)
    BRANCH(bge, (int64_t)A >= (int64_t)B)
    BRANCH(bltu, A < B)
    BRANCH(bgeu, A >= B)
    /* clang-format on */
}
