/*
 * The x86-64 back end: code that all compiled code shares. See emit.h for the registers.
 *
 * Entering takes the System V ABI's arguments (rdi: struct vr_cpu, rsi: code). C functions are
 * called with everything in memory that they could look at; what they may change is loaded again.
 */
#include "cpu/jit/x86_64/emit.h"

enum { MXCSR_CLEAN = 0x1f80 };

static void shared_gprs(struct vr_asm *s, bool store, bool only_clobbered)
{
    for (unsigned slot = 1; slot < 32; slot++) {
        int h = emit_gpr(slot);
        bool clobbered = h == RSI || h == RDI || (h >= R8 && h <= R11);
        if (h != NO_REG && (clobbered || !only_clobbered)) {
            store ? asm_store(s, emit_slot(slot), h) : asm_load(s, h, emit_slot(slot));
        }
    }
}

static void shared_icount(struct vr_asm *s, bool store)
{
    store ? asm_store(s, EMIT_FIELD(icount), R15) : asm_load(s, R15, EMIT_FIELD(icount));
}

/* If FP state is live: f registers and MXCSR to or from memory. */
static void shared_fp(struct vr_asm *s, bool store, bool dies)
{
    asm_cmp8_mem_imm(s, EMIT_FIELD(fp_live), 0);
    size_t skip = asm_jcc(s, CC_E);
    for (unsigned slot = VR_SLOT_F0; slot < VR_SLOT_F0 + 32; slot++) {
        int x = emit_xmm(slot);
        if (x != NO_REG) {
            asm_vrm(s, MAP_0F, PP_F2, false, store ? 0x11 : 0x10, x, 0, emit_slot(slot));
        }
    }
    asm_vrm(s, MAP_0F, PP_NONE, false, 0xae, store ? 3 : 2, 0, EMIT_FIELD(host_fp));
    if (dies) { /* fp_live = false, fp_dirty stays for vr_jit_fp_sync */
        asm_rex(s, false, 0, NO_REG, RBP, false);
        asm_u8(s, 0xc6);
        asm_modrm_mem(s, 0, EMIT_FIELD(fp_live), 1);
        asm_u8(s, 0);
    }
    asm_patch(s, skip, s->at);
}

static void shared_call(struct vr_asm *s, const void *fn)
{
    asm_lea(s, true, RDI, asm_at(RBP, -EMIT_BIAS));
    asm_li(s, RAX, (uintptr_t)fn);
    asm_call_reg(s, RAX);
}

/* Behind a call from compiled code: @next is 0, and back there, or where to go on. */
static void shared_return(struct vr_asm *s, int next)
{
    asm_alu_imm(s, true, ALU_ADD, RSP, 8);
    asm_test(s, true, next, next);
    size_t leave = asm_jcc(s, CC_NE);
    asm_ret(s);
    asm_patch(s, leave, s->at);
    asm_alu_imm(s, true, ALU_ADD, RSP, 8);
    asm_jmp_reg(s, next);
}

/* rax: address, rdx: value of a store, ecx: info. */
void emit_shared_access(struct vr_asm *s, bool load)
{
    asm_alu_imm(s, true, ALU_SUB, RSP, 8);
    shared_gprs(s, true, true);
    shared_icount(s, true);
    shared_fp(s, true, false);
    asm_mov(s, RSI, RAX);
    if (load) {
        asm_mov32(s, RDX, RCX);
        shared_call(s, (const void *)(uintptr_t)vr_jit_load);
    } else {
        shared_call(s, (const void *)(uintptr_t)vr_jit_store);
    }
    shared_icount(s, false);
    shared_fp(s, false, false);
    shared_gprs(s, false, true);
    shared_return(s, load ? RDX : RAX);
}

/* rax: address, edx: a store? Comes back; the scratch registers are lost. */
void emit_shared_mirror(struct vr_asm *s)
{
    asm_alu_imm(s, true, ALU_SUB, RSP, 8);
    shared_gprs(s, true, true);
    shared_icount(s, true);
    shared_fp(s, true, false);
    asm_mov(s, RSI, RAX);
    shared_call(s, (const void *)(uintptr_t)vr_jit_mirror_fault);
    shared_fp(s, false, false);
    shared_gprs(s, false, true);
    asm_alu_imm(s, true, ALU_ADD, RSP, 8);
    asm_ret(s);
}

/* rdx: op, ecx: info. */
void emit_shared_op(struct vr_asm *s, const void *fn)
{
    asm_alu_imm(s, true, ALU_SUB, RSP, 8);
    shared_gprs(s, true, false);
    shared_icount(s, true);
    shared_fp(s, true, false);
    asm_mov(s, RSI, RDX);
    asm_mov32(s, RDX, RCX);
    shared_call(s, fn);
    shared_icount(s, false);
    shared_fp(s, false, false);
    shared_gprs(s, false, false);
    shared_return(s, RAX);
}

void emit_shared_fp_on(struct vr_asm *s)
{
    asm_alu_imm(s, true, ALU_SUB, RSP, 8);
    shared_gprs(s, true, true);
    shared_icount(s, true);
    asm_mov32(s, RSI, RCX);
    shared_call(s, (const void *)(uintptr_t)vr_jit_fp_on);
    shared_icount(s, false);
    shared_fp(s, false, false); /* the call made it live, or goes elsewhere */
    shared_gprs(s, false, true);
    shared_return(s, RAX);
}

void emit_shared_helper_end(struct vr_asm *s)
{
    shared_gprs(s, true, false);
    shared_icount(s, true);
    shared_fp(s, true, true);
    asm_mov(s, RSI, RDX);
    asm_mov32(s, RDX, RCX);
    shared_call(s, (const void *)(uintptr_t)vr_jit_helper_end);
    shared_icount(s, false);
    shared_gprs(s, false, false);
    asm_jmp_reg(s, RAX);
}

static const int8_t shared_saved[] = {RBX, RBP, R12, R13, R14, R15};
/* Room for the groups' addends; an odd number of words, for the stack's alignment. */
enum { SAVED = sizeof(shared_saved), FRAME = 8 * (EMIT_GROUPS | 1) };

void emit_shared_exit(struct vr_asm *s)
{
    shared_gprs(s, true, false);
    shared_icount(s, true);
    shared_fp(s, true, true);
    asm_alu_imm(s, true, ALU_ADD, RSP, FRAME);
    for (unsigned i = SAVED; i-- > 0;) {
        asm_pop(s, shared_saved[i]);
    }
    asm_ret(s);
}

void emit_shared_enter(struct vr_asm *s, const uint8_t *rx)
{
    (void)rx;
    for (unsigned i = 0; i < SAVED; i++) {
        asm_push(s, shared_saved[i]);
    }
    asm_alu_imm(s, true, ALU_SUB, RSP, FRAME);
    asm_lea(s, true, RBP, asm_at(RDI, EMIT_BIAS));
    asm_mov(s, RAX, RSI);
    shared_icount(s, false);
    shared_gprs(s, false, false);
    asm_jmp_reg(s, RAX);
}

/* IE DE ZE OE UE PE to NV DZ OF UF NX; a denormal operand is nothing to RISC-V. */
static uint32_t shared_fflags(uint32_t host)
{
    return (host >> 5 & 1) | (host >> 3 & 2) | (host >> 1 & 4) | (host << 1 & 8) | (host << 4 & 16);
}

static void shared_constants(struct vr_asm *s)
{
    static const uint64_t words[][2] = {
        {UINT64_C(0x7ff8000000000000), 0},
        {UINT64_C(0xffffffff7fc00000), 0},
        {UINT64_C(1) << 63, 0},
        {UINT64_C(1) << 31, 0},
        {UINT64_C(0xffffffff00000000), 0},
        {MXCSR_CLEAN, 0},
    };
    while (s->at < EMIT_NAN64) {
        asm_u8(s, 0xcc);
    }
    asm_bytes(s, words, sizeof(words));
    for (uint32_t host = 0; host < 64; host++) {
        asm_u8(s, shared_fflags(host));
    }
}

void emit_shared_exits(struct vr_asm *s, struct vr_jit_shared *ret_x)
{
    ret_x->exit_pc = 0;
    asm_store(s, EMIT_FIELD(pc), RAX);
    size_t to_exit = asm_jmp(s);
    shared_constants(s);
    ret_x->exit_off = (uint32_t)s->at;
    asm_alu_mem(s, true, ALU_ADD, RAX, EMIT_FIELD(page_va));
    asm_store(s, EMIT_FIELD(pc), RAX);
    asm_patch(s, to_exit, s->at);
}

void vr_jit_fp_sync(struct vr_cpu *cpu)
{
    uint32_t host = cpu->host_fp & 0x3f;
    if (host) {
        cpu->fflags |= shared_fflags(host);
    }
    cpu->host_fp = MXCSR_CLEAN;
}
