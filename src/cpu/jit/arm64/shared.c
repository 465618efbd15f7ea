/*
 * The arm64 back end: code that all compiled code shares. See emit.h for the registers.
 *
 * Entering takes the procedure call standard's arguments (AAPCS64; x0: struct vr_cpu, x1: code).
 * C functions are called with everything in memory that they could look at; what they may change is
 * loaded again. They run with the FPCR that vr_jit_enter was called with.
 */
#include "cpu/jit/arm64/emit.h"

/* The frame: x19..x30, d8..d15, the caller's FPCR, and compiled code's return address while C runs.
 */
enum { FRAME_D = 96, FRAME_FPCR = 160, FRAME_LINK = 168, FRAME = 176 };

static void shared_gprs(struct vr_asm *s, bool store, bool only_clobbered)
{
    for (unsigned slot = 1; slot < 32; slot++) {
        int h = emit_gpr(slot);
        if (h != NO_REG && (h < X19 || !only_clobbered)) {
            asm_mem(s, store ? A64_STR_X : A64_LDR_X, h, EMIT_FIELD(r) + slot * sizeof(uint64_t));
        }
    }
}

static void shared_icount(struct vr_asm *s, bool store)
{
    asm_mem(s, store ? A64_STR_X : A64_LDR_X, EMIT_ICOUNT, EMIT_FIELD(icount));
}

/* If FP state is live: f registers, FPSR and FPCR to or from memory. Uses x2, x3. */
static void shared_fp(struct vr_asm *s, bool store, bool dies)
{
    asm_mem(s, A64_LDRB, X2, EMIT_FIELD(fp_live));
    size_t skip = asm_cbz(s, false, false, X2);
    for (unsigned slot = VR_SLOT_F0; slot < VR_SLOT_F0 + 32; slot++) {
        if (emit_fpr(slot) != NO_REG) {
            asm_mem(s, store ? A64_STR_D : A64_LDR_D, emit_fpr(slot),
                    EMIT_FIELD(r) + slot * sizeof(uint64_t));
        }
    }
    if (store) {
        asm_mrs(s, X2, A64_FPSR);
        asm_mem(s, A64_STR_W, X2, EMIT_FIELD(host_fp));
        asm_mem(s, A64_LDR_X, X2, SP, FRAME_FPCR);
        asm_msr(s, A64_FPCR, X2);
    } else {
        asm_mem(s, A64_LDR_W, X2, EMIT_FIELD(host_fp));
        asm_msr(s, A64_FPSR, X2);
        asm_li(s, X2, EMIT_FPCR_DN);
        asm_msr(s, A64_FPCR, X2);
        asm_u32(s, 0x2f07e600u | EMIT_BOX); /* movi d, #0xffffffff00000000 */
    }
    if (dies) {
        asm_mem(s, A64_STRB, XZR, EMIT_FIELD(fp_live));
    }
    (void)asm_patch(s, skip, s->at);
}

static void shared_call(struct vr_asm *s, const void *fn)
{
    asm_mov(s, X0, EMIT_CPU);
    asm_li(s, X4, (uintptr_t)fn);
    asm_blr(s, X4);
}

/* Behind a call from compiled code: @next is 0, and back there, or where to go on. */
static void shared_return(struct vr_asm *s, int next)
{
    asm_mem(s, A64_LDR_X, X30, SP, FRAME_LINK);
    size_t leave = asm_cbz(s, true, true, next);
    asm_ret(s);
    (void)asm_patch(s, leave, s->at);
    asm_br(s, next);
}

/* x0: address, x1: value of a store, w2: info. */
void emit_shared_access(struct vr_asm *s, bool load)
{
    asm_mem(s, A64_STR_X, X30, SP, FRAME_LINK);
    shared_gprs(s, true, true);
    shared_icount(s, true);
    asm_mov(s, X4, X2);
    shared_fp(s, true, false);
    if (load) {
        asm_mov(s, X2, X4);
        asm_mov(s, X1, X0);
        shared_call(s, (const void *)(uintptr_t)vr_jit_load);
    } else {
        asm_mov(s, X3, X4);
        asm_mov(s, X2, X1);
        asm_mov(s, X1, X0);
        shared_call(s, (const void *)(uintptr_t)vr_jit_store);
    }
    shared_icount(s, false);
    shared_fp(s, false, false);
    shared_gprs(s, false, true);
    shared_return(s, load ? X1 : X0);
}

/* x1: op, w2: info. */
void emit_shared_op(struct vr_asm *s, const void *fn)
{
    asm_mem(s, A64_STR_X, X30, SP, FRAME_LINK);
    shared_gprs(s, true, false);
    shared_icount(s, true);
    asm_mov(s, X4, X2);
    shared_fp(s, true, false);
    asm_mov(s, X2, X4);
    shared_call(s, fn);
    shared_icount(s, false);
    shared_fp(s, false, false);
    shared_gprs(s, false, false);
    shared_return(s, X0);
}

void emit_shared_fp_on(struct vr_asm *s)
{
    asm_mem(s, A64_STR_X, X30, SP, FRAME_LINK);
    shared_gprs(s, true, true);
    shared_icount(s, true);
    asm_mov(s, X1, X2);
    shared_call(s, (const void *)(uintptr_t)vr_jit_fp_on);
    shared_icount(s, false);
    shared_fp(s, false, false); /* the call made it live, or goes elsewhere */
    shared_gprs(s, false, true);
    shared_return(s, X0);
}

void emit_shared_helper_end(struct vr_asm *s)
{
    shared_gprs(s, true, false);
    shared_icount(s, true);
    asm_mov(s, X4, X2);
    shared_fp(s, true, true);
    asm_mov(s, X2, X4);
    shared_call(s, (const void *)(uintptr_t)vr_jit_helper_end);
    shared_icount(s, false);
    shared_gprs(s, false, false);
    asm_br(s, X0);
}

/* Callee-saved registers to or from the frame. */
static void shared_frame(struct vr_asm *s, bool load)
{
    for (int i = 0; i < 6; i++) {
        asm_pair(s, load, false, X19 + 2 * i, X20 + 2 * i, SP, 16 * i);
    }
    for (int i = 0; i < 4; i++) {
        asm_pair(s, load, true, 8 + 2 * i, 9 + 2 * i, SP, FRAME_D + 16 * i);
    }
}

void emit_shared_exit(struct vr_asm *s)
{
    shared_gprs(s, true, false);
    shared_icount(s, true);
    shared_fp(s, true, true);
    shared_frame(s, true);
    asm_add_imm(s, SP, SP, FRAME, X0);
    asm_ret(s);
}

void emit_shared_enter(struct vr_asm *s, const uint8_t *rx)
{
    asm_add_imm(s, SP, SP, -FRAME, X2);
    shared_frame(s, false);
    asm_mrs(s, X2, A64_FPCR);
    asm_mem(s, A64_STR_X, X2, SP, FRAME_FPCR);
    asm_mov(s, EMIT_CPU, X0);
    asm_li(s, EMIT_BASE, (uintptr_t)rx);
    shared_icount(s, false);
    shared_gprs(s, false, false);
    asm_br(s, X1);
}

void emit_shared_exits(struct vr_asm *s, struct vr_jit_shared *ret_x)
{
    ret_x->exit_pc = 0;
    asm_mem(s, A64_STR_X, X0, EMIT_FIELD(pc));
    size_t to_exit = asm_b(s);
    ret_x->exit_off = (uint32_t)s->at;
    asm_mem(s, A64_LDR_X, X1, EMIT_FIELD(page_va));
    asm_rrr(s, true, A64_ADD, X0, X0, X1);
    asm_mem(s, A64_STR_X, X0, EMIT_FIELD(pc));
    (void)asm_patch(s, to_exit, s->at);
}

/* No access is compiled through a mirror here. */
void emit_shared_mirror(struct vr_asm *s)
{
    (void)s;
}

void vr_jit_fp_sync(struct vr_cpu *cpu)
{
    uint32_t host = cpu->host_fp & 0x1f; /* IOC DZC OFC UFC IXC */
    if (host) {
        cpu->fflags |=
            (host << 4 & 16) | (host << 2 & 8) | (host & 4) | (host >> 2 & 2) | (host >> 4 & 1);
    }
    cpu->host_fp = 0;
}
