/*
 * The intermediate representation: what every guest instruction means, written once.
 *
 * An op works on 64-bit slots: the guest's registers (for RISC-V x0..x31 are slots 0..31, f0..f31
 * slots 32..63) and temporaries that live inside one guest instruction. Slot 0 is a guest register
 * that reads as zero, so the decoder sends results for it to VR_SLOT_SINK. Ops are executed in
 * order by the interpreter (cpu/interp) and compiled by the JIT; `ops.h` gives each op its
 * operands, so that dumps, liveness and checks come from the same table.
 *
 * A block is a run of guest instructions that lies in one page of guest-physical memory (its last
 * instruction may reach into the next) and ends with exactly one terminator op.
 */
#ifndef VR_CPU_IR_IR_H
#define VR_CPU_IR_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VR_SLOT_ZERO = 0,
    VR_SLOT_F0 = 32,
    VR_SLOT_TEMP = 64, /* 64..94: temporaries */
    VR_SLOT_SINK = 95, /* written, never read */
    VR_SLOTS = 96,
};

enum vr_ir_opcode {
#define VR_OP(name, uses, help) VR_IR_##name,
#include "cpu/ir/ops.h"
#undef VR_OP
    VR_IR_COUNT
};

/* One op, 16 bytes. Fields an op does not use are 0. */
struct vr_ir {
    uint16_t op;
    uint16_t at;        /* byte offset of its guest instruction from the block's start */
    uint8_t d, a, b, c; /* slots, or a small number where the op says so */
    int64_t imm;
};

/* What an op's operands are, from ops.h: "D" writes slot d; "A" "B" "C" read slots a, b, c; "c"
 * uses c as a number; "I" uses imm; "M" may fault; "T" ends a block; "d" reads d as well as writes
 * it. */
const char *vr_ir_name(unsigned op);
const char *vr_ir_uses(unsigned op);
/* One op as text, e.g. "add x5, x6, x7"; returns what snprintf would. */
int vr_ir_print(const struct vr_ir *ir, char *buf, size_t len);

enum { VR_BLOCK_IR_MAX = 256, VR_BLOCK_INSN_MAX = 64 };

/* Kinds of AMO: `amo` op, c = kind | log2(size) << 4. */
enum vr_amo {
    VR_AMO_SWAP,
    VR_AMO_ADD,
    VR_AMO_XOR,
    VR_AMO_AND,
    VR_AMO_OR,
    VR_AMO_MIN,
    VR_AMO_MAX,
    VR_AMO_MINU,
    VR_AMO_MAXU,
};

/* Floating point formats and the less common FP ops, `fpx`: c = enum vr_fpx, imm = rounding mode
 * (0..4, or 7: the dynamic one). Operand slots hold NaN-boxed values. */
enum vr_fpx {
#define VR_FPX(name) VR_FPX_##name,
#include "cpu/ir/fpx.h"
#undef VR_FPX
    VR_FPX_COUNT
};

/* imm of fma_s and fma_d: rounding mode | sign changes. d = (+/- a * b) (+/-) c. */
enum { VR_FMA_NEG_PRODUCT = 8, VR_FMA_NEG_ADDEND = 16 };
enum { VR_RM_DYN = 7 };

/* A slot's name, x5, f3 or t0 (a temporary); returns what snprintf would. */
int vr_ir_print_slot(unsigned slot, char *buf, size_t len);

/* A block being built. `emit` never fails: the caller ends a block while VR_BLOCK_IR_MAX - 16 ops
 * are in it. */
struct vr_builder {
    struct vr_ir ir[VR_BLOCK_IR_MAX];
    unsigned count;      /* ops */
    unsigned insn_count; /* guest instructions */
    uint16_t at;         /* of the guest instruction being decoded */
    uint8_t insn_len;    /* its length in bytes */
    uint8_t temp;        /* next free temporary */
    bool ended;          /* the last op is a terminator */
    bool fp_checked;     /* this block holds the check that FP is on */
    bool rm_checked;     /* and the check of the dynamic rounding mode */
};

static inline struct vr_ir *vr_emit(struct vr_builder *b, enum vr_ir_opcode op, unsigned d,
                                    unsigned a, unsigned rb, unsigned c, int64_t imm)
{
    struct vr_ir *ir = &b->ir[b->count++];
    *ir = (struct vr_ir){.op = (uint16_t)op,
                         .at = b->at,
                         .d = (uint8_t)d,
                         .a = (uint8_t)a,
                         .b = (uint8_t)rb,
                         .c = (uint8_t)c,
                         .imm = imm};
    return ir;
}
/* A temporary for the instruction being decoded. */
static inline unsigned vr_temp(struct vr_builder *b)
{
    return b->temp++;
}

#endif
