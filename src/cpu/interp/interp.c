/*
 * The interpreter: runs IR blocks on any host, with threaded dispatch.
 *
 * An op that may leave the block early (memory, helpers) first makes cpu->pc exact. Taking an
 * exception is the guest architecture's business: its hook moves cpu->pc, and the block is left by
 * `leave`.
 */
#include "base/bits.h"
#include "cpu/fp/fp_fast.h"
#include "cpu/interp/fpx.h"
#include "cpu/interp/ops.h"
#include "cpu/ir/block.h"
#include "cpu/ir/trace.h"

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

/* SC: d = 0 when stored. False: an exception was taken. */
static bool store_conditional(struct vr_cpu *cpu, const struct vr_ir *ip, unsigned width)
{
    uint64_t gpa, *r = cpu->r;
    void *p = vr_mem_ram(cpu, r[ip->a], width, VR_WRITE, &gpa);
    if (!p) {
        return false;
    }
    uint64_t va = r[ip->a]; /* the result may replace it */
    bool ok = cpu->res_valid && cpu->res_gpa == gpa && cpu->res_size == width;
    cpu->res_valid = false;
    if (ok && width == 4) {
        uint32_t want = (uint32_t)cpu->res_val;
        ok = __atomic_compare_exchange_n((uint32_t *)p, &want, (uint32_t)r[ip->b], false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    } else if (ok) {
        uint64_t want = cpu->res_val;
        ok = __atomic_compare_exchange_n((uint64_t *)p, &want, r[ip->b], false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST);
    }
    if (ok) {
        vr_mem_wrote(cpu, va, gpa, width);
    }
    r[ip->d] = !ok;
    return true;
}

static bool load_reserved(struct vr_cpu *cpu, const struct vr_ir *ip, unsigned width)
{
    uint64_t gpa;
    void *p = vr_mem_ram(cpu, cpu->r[ip->a], width, VR_READ, &gpa);
    if (!p) {
        return false;
    }
    uint64_t v = width == 4 ? op_sext32(__atomic_load_n((uint32_t *)p, __ATOMIC_SEQ_CST))
                            : __atomic_load_n((uint64_t *)p, __ATOMIC_SEQ_CST);
    cpu->res_valid = true;
    cpu->res_gpa = gpa;
    cpu->res_size = (uint8_t)width;
    cpu->res_val = v;
    cpu->r[ip->d] = v;
    return true;
}

static bool amo_slow(struct vr_cpu *cpu, const struct vr_ir *ip)
{
    uint64_t gpa;
    unsigned log2_bytes = ip->op == VR_IR_amo ? ip->c >> 4 : ip->c;
    uint64_t va = cpu->r[ip->a]; /* the result may replace it */
    void *p = vr_mem_ram(cpu, va, 1u << log2_bytes, VR_WRITE, &gpa);
    if (!p) {
        return false;
    }
    bool wrote = true;
    if (ip->op == VR_IR_amo) {
        cpu->r[ip->d] = vr_amo_eval(p, ip->c & 15, log2_bytes, cpu->r[ip->b]);
    } else {
        wrote = vr_amocas_eval(p, log2_bytes, cpu->r, ip);
    }
    if (wrote) {
        vr_mem_wrote(cpu, va, gpa, 1u << log2_bytes);
    }
    return true;
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
#define A        r[ip->a]
#define B        r[ip->b]
#define C        r[ip->c]
#define D        r[ip->d]
#define IMM      ((uint64_t)ip->imm)
#define DISPATCH goto *labels[ip->op]
#define NEXT     do { ip++; DISPATCH; } while (0)
#define OP(name, expr) do_##name: D = (expr); NEXT;
#define EXACT_PC() (cpu->pc = cpu->block_pc + ip->at)
#define FL       (&cpu->fflags)
#define RM(imm)  (VR_LIKELY(((imm) & 7) != VR_RM_DYN) ? (unsigned)(imm) & 7 : cpu->frm)
    /* clang-format on */

look_up: /* cpu->pc is exact */
    if (VR_UNLIKELY(atomic_load_explicit(&vcpu->attention, memory_order_relaxed))) {
    attention:
        if (cpu->trace) {
            vr_trace_end(cpu);
        }
        cpu->trapped = false;
        atomic_store(&vcpu->attention, false);
        if (atomic_load(&vcpu->kicked)) {
            return;
        }
        vr_code_drain(cpu);
        cpu->isa->attention(cpu);
        if (cpu->single) {
            atomic_store(&vcpu->attention, true);
        }
        if (atomic_load(&vcpu->kicked)) {
            return;
        }
        cpu->trapped = false;
        from = NULL;
    }
    pc = cpu->pc;
    if (from && (b = from->far[exit_index]) != NULL) {
        unsigned i = (unsigned)(pc >> VR_PAGE_SHIFT) & (VR_TLB_SIZE - 1);
        if (VR_LIKELY(cpu->itlb->entry[i].tag[VR_EXEC] == ((pc & PAGE_MASK) | cpu->ictx) &&
                      b->gpa == (cpu->itlb->gpa[i] | (pc & ~PAGE_MASK)))) {
            goto enter;
        }
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
    cpu->block_pc = pc;
    cpu->icount += b->insn_count;
    dtlb = cpu->dtlb->entry;
    dctx = cpu->dctx;
    ip = b->ir;
    if (VR_UNLIKELY(cpu->trace != NULL)) {
        vr_trace_begin(cpu, b);
    }
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

/* Constants and moves, integer */
do_nop:
    NEXT;
    OP(li, IMM)
    OP(pcrel, cpu->block_pc + IMM)
    OP(mov, A)
    OP(add, A + B)
    OP(addi, A + IMM)
    OP(sub, A - B)
    OP(and, A & B)
    OP(andi, A & IMM)
    OP(or, A | B)
    OP(ori, A | IMM)
    OP(xor, A ^ B)
    OP(xori, A ^ IMM)
    OP(sll, A << (B & 63))
    OP(slli, A << IMM)
    OP(srl, A >> (B & 63))
    OP(srli, A >> IMM)
    OP(sra, (uint64_t)((int64_t)A >> (B & 63)))
    OP(srai, (uint64_t)((int64_t)A >> IMM))
    OP(slt, (int64_t)A < (int64_t)B)
    OP(slti, (int64_t)A < ip->imm)
    OP(sltu, A < B)
    OP(sltiu, A < IMM)
    OP(addw, op_sext32(A + B))
    OP(addiw, op_sext32(A + IMM))
    OP(subw, op_sext32(A - B))
    OP(sllw, op_sext32(A << (B & 31)))
    OP(slliw, op_sext32(A << IMM))
    OP(srlw, op_sext32((uint32_t)A >> (B & 31)))
    OP(srliw, op_sext32((uint32_t)A >> IMM))
    OP(sraw, (uint64_t)(int64_t)((int32_t)(uint32_t)A >> (B & 31)))
    OP(sraiw, (uint64_t)(int64_t)((int32_t)(uint32_t)A >> IMM))
    OP(mul, A * B)
    OP(mulh, op_mulh(A, B))
    OP(mulhu, op_mulhu(A, B))
    OP(mulhsu, op_mulhsu(A, B))
    OP(mulw, op_sext32(A * B))
    OP(div, op_div(A, B))
    OP(divu, B == 0 ? UINT64_MAX : A / B)
    OP(rem, op_rem(A, B))
    OP(remu, B == 0 ? A : A % B)
    OP(divw, op_divw(A, B))
    OP(divuw, op_divuw(A, B))
    OP(remw, op_remw(A, B))
    OP(remuw, op_remuw(A, B))
    /* Bits */
    OP(sext8, (uint64_t)(int64_t)(int8_t)(uint8_t)A)
    OP(sext16, (uint64_t)(int64_t)(int16_t)(uint16_t)A)
    OP(sext32, op_sext32(A))
    OP(zext16, (uint16_t)A)
    OP(zext32, (uint32_t)A)
    OP(andn, A & ~B)
    OP(orn, A | ~B)
    OP(xnor, ~(A ^ B))
    OP(rol, op_ror(A, -B))
    OP(ror, op_ror(A, B))
    OP(rori, op_ror(A, IMM))
    OP(rolw, op_rorw(A, -B))
    OP(rorw, op_rorw(A, B))
    OP(roriw, op_rorw(A, IMM))
    OP(min, (int64_t)A < (int64_t)B ? A : B)
    OP(max, (int64_t)A > (int64_t)B ? A : B)
    OP(minu, A < B ? A : B)
    OP(maxu, A > B ? A : B)
    OP(clz, A ? (uint64_t)__builtin_clzll(A) : 64)
    OP(ctz, A ? (uint64_t)__builtin_ctzll(A) : 64)
    OP(cpop, (uint64_t)__builtin_popcountll(A))
    OP(clzw, (uint32_t)A ? (uint64_t)__builtin_clz((uint32_t)A) : 32)
    OP(ctzw, (uint32_t)A ? (uint64_t)__builtin_ctz((uint32_t)A) : 32)
    OP(cpopw, (uint64_t)__builtin_popcount((uint32_t)A))
    OP(rev8, __builtin_bswap64(A))
    OP(brev8, op_brev8(A))
    OP(orcb, op_orcb(A))
    OP(clmul, (uint64_t)op_clmul_wide(A, B))
    OP(clmulh, (uint64_t)(op_clmul_wide(A, B) >> 64))
    OP(clmulr, (uint64_t)(op_clmul_wide(A, B) >> 63))
    OP(shadd, (A << ip->c) + B)
    OP(shadduw, ((uint64_t)(uint32_t)A << ip->c) + B)
    OP(slliuw, (uint64_t)(uint32_t)A << IMM)
    OP(bclr, A & ~(UINT64_C(1) << (B & 63)))
    OP(bset, A | UINT64_C(1) << (B & 63))
    OP(binv, A ^ UINT64_C(1) << (B & 63))
    OP(bext, A >> (B & 63) & 1)
    OP(bexti, A >> IMM & 1)
    OP(czeqz, B == 0 ? 0 : A)
    OP(cznez, B != 0 ? 0 : A)

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
    SLOW(lr32, load_reserved(cpu, ip, 4))
    SLOW(lr64, load_reserved(cpu, ip, 8))
    SLOW(sc32, store_conditional(cpu, ip, 4))
    SLOW(sc64, store_conditional(cpu, ip, 8))
    SLOW(amocas, amo_slow(cpu, ip))
do_amo : {
    va = A;
    const struct vr_tlb_entry *e = TLB_ENTRY(va);
    unsigned log2_bytes = ip->c >> 4;
    if (VR_LIKELY(e->tag[VR_WRITE] == ((va & PAGE_MASK) | dctx) &&
                  !(va & ((1u << log2_bytes) - 1)))) {
        D = vr_amo_eval((void *)((uintptr_t)va + e->addend), ip->c & 15, log2_bytes, B);
    } else {
        EXACT_PC();
        if (VR_UNLIKELY(!amo_slow(cpu, ip))) {
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
#define BOX(v)     vr_f32_box(v)
#define UNBOX(v)   vr_f32_unbox(v)
#define SIGN32     UINT32_C(0x80000000)
#define SIGN64     (UINT64_C(1) << 63)
#define NEG32(bit) ((ip->imm & (bit)) ? SIGN32 : 0)
#define NEG64(bit) ((ip->imm & (bit)) ? SIGN64 : 0)
    OP(fadd_s, BOX(vr_fast_f32_add(UNBOX(A), UNBOX(B), RM(ip->imm), FL)))
    OP(fsub_s, BOX(vr_fast_f32_sub(UNBOX(A), UNBOX(B), RM(ip->imm), FL)))
    OP(fmul_s, BOX(vr_fast_f32_mul(UNBOX(A), UNBOX(B), RM(ip->imm), FL)))
    OP(fdiv_s, BOX(vr_fast_f32_div(UNBOX(A), UNBOX(B), RM(ip->imm), FL)))
    OP(fsqrt_s, BOX(vr_fast_f32_sqrt(UNBOX(A), RM(ip->imm), FL)))
    OP(fma_s, BOX(vr_fast_f32_fma(UNBOX(A) ^ NEG32(VR_FMA_NEG_PRODUCT), UNBOX(B),
                                  UNBOX(C) ^ NEG32(VR_FMA_NEG_ADDEND), RM(ip->imm), FL)))
    OP(fadd_d, vr_fast_f64_add(A, B, RM(ip->imm), FL))
    OP(fsub_d, vr_fast_f64_sub(A, B, RM(ip->imm), FL))
    OP(fmul_d, vr_fast_f64_mul(A, B, RM(ip->imm), FL))
    OP(fdiv_d, vr_fast_f64_div(A, B, RM(ip->imm), FL))
    OP(fsqrt_d, vr_fast_f64_sqrt(A, RM(ip->imm), FL))
    OP(fma_d, vr_fast_f64_fma(A ^ NEG64(VR_FMA_NEG_PRODUCT), B, C ^ NEG64(VR_FMA_NEG_ADDEND),
                              RM(ip->imm), FL))
    OP(fsgnj_s, BOX((UNBOX(A) & ~SIGN32) | (UNBOX(B) & SIGN32)))
    OP(fsgnjn_s, BOX((UNBOX(A) & ~SIGN32) | (~UNBOX(B) & SIGN32)))
    OP(fsgnjx_s, BOX(UNBOX(A) ^ (UNBOX(B) & SIGN32)))
    OP(fsgnj_d, (A & ~SIGN64) | (B & SIGN64))
    OP(fsgnjn_d, (A & ~SIGN64) | (~B & SIGN64))
    OP(fsgnjx_d, A ^ (B & SIGN64))
    OP(feq_s, vr_fast_f32_eq(UNBOX(A), UNBOX(B), FL))
    OP(flt_s, vr_fast_f32_lt(UNBOX(A), UNBOX(B), FL))
    OP(fle_s, vr_fast_f32_le(UNBOX(A), UNBOX(B), FL))
    OP(feq_d, vr_fast_f64_eq(A, B, FL))
    OP(flt_d, vr_fast_f64_lt(A, B, FL))
    OP(fle_d, vr_fast_f64_le(A, B, FL))
    OP(box32, vr_f32_box((uint32_t)A))
    OP(box16, vr_f16_box((uint16_t)A))
    OP(fpx, vr_fpx_eval(ip->c, RM(ip->imm), A, B, r[ip->imm >> 8 & 0xff], FL))

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
    if (cpu->isa->helpers[ip->c](cpu, ip)) {
        cpu->pc = pc;
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
