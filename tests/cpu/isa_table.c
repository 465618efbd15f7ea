/*
 * The instruction table: written from the RISC-V Unprivileged ISA manual (20240411), chapters 2-19,
 * 28 (C), 29 (B), and the Zacas, Zabha, Zfa, Zfh, Zicond, Zcb, Zimop, Zawrs, CMO chapters; in the
 * order of its instruction listings (chapter 37).
 */
#include "isa.h"

/* clang-format off */

#define OP(f3, op)          ((uint32_t)(f3) << 12 | (op))
#define OP7(f7, f3, op)     ((uint32_t)(f7) << 25 | OP(f3, op))
#define OP12(i12, f3, op)   ((uint32_t)(i12) << 20 | OP(f3, op))
#define M_OP                0x0000007fu
#define M_F3                0x0000707fu
#define M_F7                0xfe00707fu
#define M_F6                0xfc00707fu
#define M_I12               0xfff0707fu
#define M_ALL               0xffffffffu

#define R(n, f7, f3, op, e)       {n, OP7(f7, f3, op), M_F7, FMT_R, 0, 0, e}
#define R1(n, i12, f3, op, e)     {n, OP12(i12, f3, op), M_I12, FMT_R1, 0, 0, e}
#define I(n, f3, op, e)           {n, OP(f3, op), M_F3, FMT_I, 0, 0, e}
#define S6(n, f6, f3, op, e)      {n, OP((f3), op) | (uint32_t)(f6) << 26, M_F6, FMT_SH6, 0, 0, e}
#define S5(n, f7, f3, op, e)      {n, OP7(f7, f3, op), M_F7, FMT_SH5, 0, 0, e}
#define LD(n, f3, sz)             {n, OP(f3, 0x03), M_F3, FMT_LOAD, sz, IF_LOAD, ISA_I}
#define ST(n, f3, sz)             {n, OP(f3, 0x23), M_F3, FMT_STORE, sz, IF_STORE, ISA_I}
#define B(n, f3)                  {n, OP(f3, 0x63), M_F3, FMT_B, 0, 0, ISA_I}

/* Atomics: funct5 in 31:27, aq and rl free. */
#define M_AMO                     0xf800707fu
#define AMO_(n, f5, f3, sz, fmt, e) \
    {n, (uint32_t)(f5) << 27 | OP(f3, 0x2f), M_AMO, fmt, sz, IF_LOAD | IF_STORE, e}
#define AMO4(n, f5) \
    AMO_(n ".b", f5, 0, 1, FMT_AMO, ISA_A | ISA_ZABHA), \
    AMO_(n ".h", f5, 1, 2, FMT_AMO, ISA_A | ISA_ZABHA), \
    AMO_(n ".w", f5, 2, 4, FMT_AMO, ISA_A), \
    AMO_(n ".d", f5, 3, 8, FMT_AMO, ISA_A)

/* Floating point: fmt in 26:25 (S 0, D 1, H 2), one line gives all three. */
#define EF  ISA_F
#define ED  (ISA_F | ISA_D)
#define EH  (ISA_F | ISA_ZFH)
#define FP(f5, fmt)               ((uint32_t)(f5) << 27 | (uint32_t)(fmt) << 25 | 0x53u)
#define M_FP_RM                   0xfe00007fu /* rm free, rs2 free */
#define M_FP_3                    0xfe00707fu /* rm fixed */
#define M_FP_2                    0xfff0007fu /* rs2 fixed, rm free */
#define M_FP_1                    0xfff0707fu /* rs2 and rm fixed */
#define F3_(n, f5) \
    {n ".s", FP(f5, 0), M_FP_RM, FMT_F3, 0, 0, EF}, \
    {n ".d", FP(f5, 1), M_FP_RM, FMT_F3, 0, 0, ED}, \
    {n ".h", FP(f5, 2), M_FP_RM, FMT_F3, 0, 0, EH}
#define F3N_(n, f5, rm, kind, e) \
    {n ".s", FP(f5, 0) | OP(rm, 0), M_FP_3, kind, 0, 0, EF | (e)}, \
    {n ".d", FP(f5, 1) | OP(rm, 0), M_FP_3, kind, 0, 0, ED | (e)}, \
    {n ".h", FP(f5, 2) | OP(rm, 0), M_FP_3, kind, 0, 0, EH | (e)}
#define F4_(n, op) \
    {n ".s", 0u << 25 | (op), 0x0600007f, FMT_F4, 0, 0, EF}, \
    {n ".d", 1u << 25 | (op), 0x0600007f, FMT_F4, 0, 0, ED}, \
    {n ".h", 2u << 25 | (op), 0x0600007f, FMT_F4, 0, 0, EH}
#define F2_(n, f5, rs2, kind, e) \
    {n ".s", FP(f5, 0) | (uint32_t)(rs2) << 20, M_FP_2, kind, 0, 0, EF | (e)}, \
    {n ".d", FP(f5, 1) | (uint32_t)(rs2) << 20, M_FP_2, kind, 0, 0, ED | (e)}, \
    {n ".h", FP(f5, 2) | (uint32_t)(rs2) << 20, M_FP_2, kind, 0, 0, EH | (e)}
#define CVT_(n, f5, fmt, rs2, kind, e) \
    {n, FP(f5, fmt) | (uint32_t)(rs2) << 20, M_FP_2, kind, 0, 0, e}
#define ONE_(n, f5, fmt, rs2, rm, kind, e) \
    {n, FP(f5, fmt) | (uint32_t)(rs2) << 20 | OP(rm, 0), M_FP_1, kind, 0, 0, e}

#define C(n, m, mask, fmt, sz, fl, e)  {n, m, mask, fmt, sz, fl, ISA_C | (e)}

const struct isa_insn isa_table[] = {
    /* RV32I and RV64I */
    {"lui", 0x37, M_OP, FMT_U, 0, 0, ISA_I},
    {"auipc", 0x17, M_OP, FMT_U, 0, 0, ISA_I},
    {"jal", 0x6f, M_OP, FMT_J, 0, 0, ISA_I},
    {"jalr", 0x67, M_F3, FMT_JALR, 0, 0, ISA_I},
    B("beq", 0), B("bne", 1), B("blt", 4), B("bge", 5), B("bltu", 6), B("bgeu", 7),
    LD("lb", 0, 1), LD("lh", 1, 2), LD("lw", 2, 4), LD("ld", 3, 8),
    LD("lbu", 4, 1), LD("lhu", 5, 2), LD("lwu", 6, 4),
    ST("sb", 0, 1), ST("sh", 1, 2), ST("sw", 2, 4), ST("sd", 3, 8),
    I("addi", 0, 0x13, ISA_I), I("slti", 2, 0x13, ISA_I), I("sltiu", 3, 0x13, ISA_I),
    I("xori", 4, 0x13, ISA_I), I("ori", 6, 0x13, ISA_I), I("andi", 7, 0x13, ISA_I),
    S6("slli", 0x00, 1, 0x13, ISA_I), S6("srli", 0x00, 5, 0x13, ISA_I),
    S6("srai", 0x10, 5, 0x13, ISA_I),
    R("add", 0x00, 0, 0x33, ISA_I), R("sub", 0x20, 0, 0x33, ISA_I),
    R("sll", 0x00, 1, 0x33, ISA_I), R("slt", 0x00, 2, 0x33, ISA_I),
    R("sltu", 0x00, 3, 0x33, ISA_I), R("xor", 0x00, 4, 0x33, ISA_I),
    R("srl", 0x00, 5, 0x33, ISA_I), R("sra", 0x20, 5, 0x33, ISA_I),
    R("or", 0x00, 6, 0x33, ISA_I), R("and", 0x00, 7, 0x33, ISA_I),
    {"fence", OP(0, 0x0f), M_F3, FMT_FENCE, 0, 0, ISA_I},
    {"ecall", 0x00000073, M_ALL, FMT_NONE, 0, IF_SYS, ISA_I},
    {"ebreak", 0x00100073, M_ALL, FMT_NONE, 0, IF_SYS, ISA_I},
    I("addiw", 0, 0x1b, ISA_I),
    S5("slliw", 0x00, 1, 0x1b, ISA_I), S5("srliw", 0x00, 5, 0x1b, ISA_I),
    S5("sraiw", 0x20, 5, 0x1b, ISA_I),
    R("addw", 0x00, 0, 0x3b, ISA_I), R("subw", 0x20, 0, 0x3b, ISA_I),
    R("sllw", 0x00, 1, 0x3b, ISA_I), R("srlw", 0x00, 5, 0x3b, ISA_I),
    R("sraw", 0x20, 5, 0x3b, ISA_I),
    /* Zifencei, Zicsr */
    {"fence.i", OP(1, 0x0f), M_F3, FMT_NONE, 0, 0, ISA_ZIFENCEI},
    {"csrrw", OP(1, 0x73), M_F3, FMT_CSR, 0, 0, ISA_ZICSR},
    {"csrrs", OP(2, 0x73), M_F3, FMT_CSR, 0, 0, ISA_ZICSR},
    {"csrrc", OP(3, 0x73), M_F3, FMT_CSR, 0, 0, ISA_ZICSR},
    {"csrrwi", OP(5, 0x73), M_F3, FMT_CSRI, 0, 0, ISA_ZICSR},
    {"csrrsi", OP(6, 0x73), M_F3, FMT_CSRI, 0, 0, ISA_ZICSR},
    {"csrrci", OP(7, 0x73), M_F3, FMT_CSRI, 0, 0, ISA_ZICSR},
    /* M */
    R("mul", 1, 0, 0x33, ISA_M), R("mulh", 1, 1, 0x33, ISA_M), R("mulhsu", 1, 2, 0x33, ISA_M),
    R("mulhu", 1, 3, 0x33, ISA_M), R("div", 1, 4, 0x33, ISA_M), R("divu", 1, 5, 0x33, ISA_M),
    R("rem", 1, 6, 0x33, ISA_M), R("remu", 1, 7, 0x33, ISA_M), R("mulw", 1, 0, 0x3b, ISA_M),
    R("divw", 1, 4, 0x3b, ISA_M), R("divuw", 1, 5, 0x3b, ISA_M), R("remw", 1, 6, 0x3b, ISA_M),
    R("remuw", 1, 7, 0x3b, ISA_M),
    /* A, Zabha, Zacas */
    {"lr.w", 0x1000202f, 0xf9f0707f, FMT_LR, 4, IF_LOAD, ISA_A},
    {"lr.d", 0x1000302f, 0xf9f0707f, FMT_LR, 8, IF_LOAD, ISA_A},
    AMO_("sc.w", 0x03, 2, 4, FMT_SC, ISA_A), AMO_("sc.d", 0x03, 3, 8, FMT_SC, ISA_A),
    AMO4("amoswap", 0x01), AMO4("amoadd", 0x00), AMO4("amoxor", 0x04), AMO4("amoand", 0x0c),
    AMO4("amoor", 0x08), AMO4("amomin", 0x10), AMO4("amomax", 0x14), AMO4("amominu", 0x18),
    AMO4("amomaxu", 0x1c),
    AMO_("amocas.b", 0x05, 0, 1, FMT_CAS, ISA_A | ISA_ZABHA | ISA_ZACAS),
    AMO_("amocas.h", 0x05, 1, 2, FMT_CAS, ISA_A | ISA_ZABHA | ISA_ZACAS),
    AMO_("amocas.w", 0x05, 2, 4, FMT_CAS, ISA_A | ISA_ZACAS),
    AMO_("amocas.d", 0x05, 3, 8, FMT_CAS, ISA_A | ISA_ZACAS),
    AMO_("amocas.q", 0x05, 4, 16, FMT_CAS, ISA_A | ISA_ZACAS),
    /* F, D, Zfh */
    {"flh", OP(1, 0x07), M_F3, FMT_FLOAD, 2, IF_LOAD, EH},
    {"flw", OP(2, 0x07), M_F3, FMT_FLOAD, 4, IF_LOAD, EF},
    {"fld", OP(3, 0x07), M_F3, FMT_FLOAD, 8, IF_LOAD, ED},
    {"fsh", OP(1, 0x27), M_F3, FMT_FSTORE, 2, IF_STORE, EH},
    {"fsw", OP(2, 0x27), M_F3, FMT_FSTORE, 4, IF_STORE, EF},
    {"fsd", OP(3, 0x27), M_F3, FMT_FSTORE, 8, IF_STORE, ED},
    F4_("fmadd", 0x43), F4_("fmsub", 0x47), F4_("fnmsub", 0x4b), F4_("fnmadd", 0x4f),
    F3_("fadd", 0x00), F3_("fsub", 0x01), F3_("fmul", 0x02), F3_("fdiv", 0x03),
    F2_("fsqrt", 0x0b, 0, FMT_F2, 0),
    F3N_("fsgnj", 0x04, 0, FMT_F3N, 0), F3N_("fsgnjn", 0x04, 1, FMT_F3N, 0),
    F3N_("fsgnjx", 0x04, 2, FMT_F3N, 0),
    F3N_("fmin", 0x05, 0, FMT_F3N, 0), F3N_("fmax", 0x05, 1, FMT_F3N, 0),
    F3N_("feq", 0x14, 2, FMT_XFF, 0), F3N_("flt", 0x14, 1, FMT_XFF, 0),
    F3N_("fle", 0x14, 0, FMT_XFF, 0),
    F2_("fcvt.w", 0x18, 0, FMT_XF, 0), F2_("fcvt.wu", 0x18, 1, FMT_XF, 0),
    F2_("fcvt.l", 0x18, 2, FMT_XF, 0), F2_("fcvt.lu", 0x18, 3, FMT_XF, 0),
    CVT_("fcvt.s.w", 0x1a, 0, 0, FMT_FX, EF), CVT_("fcvt.s.wu", 0x1a, 0, 1, FMT_FX, EF),
    CVT_("fcvt.s.l", 0x1a, 0, 2, FMT_FX, EF), CVT_("fcvt.s.lu", 0x1a, 0, 3, FMT_FX, EF),
    CVT_("fcvt.d.w", 0x1a, 1, 0, FMT_FX, ED), CVT_("fcvt.d.wu", 0x1a, 1, 1, FMT_FX, ED),
    CVT_("fcvt.d.l", 0x1a, 1, 2, FMT_FX, ED), CVT_("fcvt.d.lu", 0x1a, 1, 3, FMT_FX, ED),
    CVT_("fcvt.h.w", 0x1a, 2, 0, FMT_FX, EH), CVT_("fcvt.h.wu", 0x1a, 2, 1, FMT_FX, EH),
    CVT_("fcvt.h.l", 0x1a, 2, 2, FMT_FX, EH), CVT_("fcvt.h.lu", 0x1a, 2, 3, FMT_FX, EH),
    CVT_("fcvt.s.d", 0x08, 0, 1, FMT_F2, ED), CVT_("fcvt.d.s", 0x08, 1, 0, FMT_F2, ED),
    CVT_("fcvt.s.h", 0x08, 0, 2, FMT_F2, EH), CVT_("fcvt.h.s", 0x08, 2, 0, FMT_F2, EH),
    CVT_("fcvt.d.h", 0x08, 1, 2, FMT_F2, EH | ED), CVT_("fcvt.h.d", 0x08, 2, 1, FMT_F2, EH | ED),
    ONE_("fmv.x.w", 0x1c, 0, 0, 0, FMT_XFN, EF), ONE_("fmv.x.d", 0x1c, 1, 0, 0, FMT_XFN, ED),
    ONE_("fmv.x.h", 0x1c, 2, 0, 0, FMT_XFN, EH), ONE_("fclass.s", 0x1c, 0, 0, 1, FMT_XFN, EF),
    ONE_("fclass.d", 0x1c, 1, 0, 1, FMT_XFN, ED), ONE_("fclass.h", 0x1c, 2, 0, 1, FMT_XFN, EH),
    ONE_("fmv.w.x", 0x1e, 0, 0, 0, FMT_FXN, EF), ONE_("fmv.d.x", 0x1e, 1, 0, 0, FMT_FXN, ED),
    ONE_("fmv.h.x", 0x1e, 2, 0, 0, FMT_FXN, EH),
    /* Zfa */
    ONE_("fli.s", 0x1e, 0, 1, 0, FMT_FLI, EF | ISA_ZFA),
    ONE_("fli.d", 0x1e, 1, 1, 0, FMT_FLI, ED | ISA_ZFA),
    ONE_("fli.h", 0x1e, 2, 1, 0, FMT_FLI, EH | ISA_ZFA),
    F3N_("fminm", 0x05, 2, FMT_F3N, ISA_ZFA), F3N_("fmaxm", 0x05, 3, FMT_F3N, ISA_ZFA),
    F2_("fround", 0x08, 4, FMT_F2, ISA_ZFA), F2_("froundnx", 0x08, 5, FMT_F2, ISA_ZFA),
    ONE_("fcvtmod.w.d", 0x18, 1, 8, 1, FMT_XFN, ED | ISA_ZFA),
    F3N_("fleq", 0x14, 4, FMT_XFF, ISA_ZFA), F3N_("fltq", 0x14, 5, FMT_XFF, ISA_ZFA),
    /* Zba */
    R("add.uw", 0x04, 0, 0x3b, ISA_ZBA), R("sh1add", 0x10, 2, 0x33, ISA_ZBA),
    R("sh2add", 0x10, 4, 0x33, ISA_ZBA), R("sh3add", 0x10, 6, 0x33, ISA_ZBA),
    R("sh1add.uw", 0x10, 2, 0x3b, ISA_ZBA), R("sh2add.uw", 0x10, 4, 0x3b, ISA_ZBA),
    R("sh3add.uw", 0x10, 6, 0x3b, ISA_ZBA), S6("slli.uw", 0x02, 1, 0x1b, ISA_ZBA),
    /* Zbb */
    R("andn", 0x20, 7, 0x33, ISA_ZBB), R("orn", 0x20, 6, 0x33, ISA_ZBB),
    R("xnor", 0x20, 4, 0x33, ISA_ZBB),
    R1("clz", 0x600, 1, 0x13, ISA_ZBB), R1("ctz", 0x601, 1, 0x13, ISA_ZBB),
    R1("cpop", 0x602, 1, 0x13, ISA_ZBB), R1("sext.b", 0x604, 1, 0x13, ISA_ZBB),
    R1("sext.h", 0x605, 1, 0x13, ISA_ZBB), R1("clzw", 0x600, 1, 0x1b, ISA_ZBB),
    R1("ctzw", 0x601, 1, 0x1b, ISA_ZBB), R1("cpopw", 0x602, 1, 0x1b, ISA_ZBB),
    R1("orc.b", 0x287, 5, 0x13, ISA_ZBB), R1("rev8", 0x6b8, 5, 0x13, ISA_ZBB),
    R1("zext.h", 0x080, 4, 0x3b, ISA_ZBB),
    R("max", 0x05, 6, 0x33, ISA_ZBB), R("maxu", 0x05, 7, 0x33, ISA_ZBB),
    R("min", 0x05, 4, 0x33, ISA_ZBB), R("minu", 0x05, 5, 0x33, ISA_ZBB),
    R("rol", 0x30, 1, 0x33, ISA_ZBB), R("ror", 0x30, 5, 0x33, ISA_ZBB),
    R("rolw", 0x30, 1, 0x3b, ISA_ZBB), R("rorw", 0x30, 5, 0x3b, ISA_ZBB),
    S6("rori", 0x18, 5, 0x13, ISA_ZBB), S5("roriw", 0x30, 5, 0x1b, ISA_ZBB),
    /* Zbc */
    R("clmul", 0x05, 1, 0x33, ISA_ZBC), R("clmulr", 0x05, 2, 0x33, ISA_ZBC),
    R("clmulh", 0x05, 3, 0x33, ISA_ZBC),
    /* Zbs */
    R("bclr", 0x24, 1, 0x33, ISA_ZBS), R("bext", 0x24, 5, 0x33, ISA_ZBS),
    R("binv", 0x34, 1, 0x33, ISA_ZBS), R("bset", 0x14, 1, 0x33, ISA_ZBS),
    S6("bclri", 0x12, 1, 0x13, ISA_ZBS), S6("bexti", 0x12, 5, 0x13, ISA_ZBS),
    S6("binvi", 0x1a, 1, 0x13, ISA_ZBS), S6("bseti", 0x0a, 1, 0x13, ISA_ZBS),
    /* Zbkb, Zbkx: not part of the default feature set */
    R("pack", 0x04, 4, 0x33, ISA_ZBKB), R("packh", 0x04, 7, 0x33, ISA_ZBKB),
    R("packw", 0x04, 4, 0x3b, ISA_ZBKB), R1("brev8", 0x687, 5, 0x13, ISA_ZBKB),
    R("xperm8", 0x14, 4, 0x33, ISA_ZBKX), R("xperm4", 0x14, 2, 0x33, ISA_ZBKX),
    /* Zicond */
    R("czero.eqz", 0x07, 5, 0x33, ISA_ZICOND), R("czero.nez", 0x07, 7, 0x33, ISA_ZICOND),
    /* Zimop */
    {"mop.r", 0x81c04073, 0xb3c0707f, FMT_MOPR, 0, 0, ISA_ZIMOP},
    {"mop.rr", 0x82004073, 0xb200707f, FMT_MOPRR, 0, 0, ISA_ZIMOP},
    /* Zawrs */
    {"wrs.nto", 0x00d00073, M_ALL, FMT_NONE, 0, 0, ISA_ZAWRS},
    {"wrs.sto", 0x01d00073, M_ALL, FMT_NONE, 0, 0, ISA_ZAWRS},
    /* Zicbom, Zicboz */
    {"cbo.inval", 0x0000200f, 0xfff07fff, FMT_CBO, 1, IF_LOAD | IF_STORE, ISA_ZICBOM},
    {"cbo.clean", 0x0010200f, 0xfff07fff, FMT_CBO, 1, IF_LOAD | IF_STORE, ISA_ZICBOM},
    {"cbo.flush", 0x0020200f, 0xfff07fff, FMT_CBO, 1, IF_LOAD | IF_STORE, ISA_ZICBOM},
    {"cbo.zero", 0x0040200f, 0xfff07fff, FMT_CBO, 1, IF_STORE, ISA_ZICBOZ},
    /* C (RV64, with F and D) */
    C("c.addi4spn", 0x0000, 0xe003, FMT_CADDI4SPN, 0, 0, 0),
    C("c.fld", 0x2000, 0xe003, FMT_CLSF, 8, IF_LOAD, ED),
    C("c.lw", 0x4000, 0xe003, FMT_CLS, 4, IF_LOAD, 0),
    C("c.ld", 0x6000, 0xe003, FMT_CLS, 8, IF_LOAD, 0),
    C("c.fsd", 0xa000, 0xe003, FMT_CLSF, 8, IF_STORE, ED),
    C("c.sw", 0xc000, 0xe003, FMT_CLS, 4, IF_STORE, 0),
    C("c.sd", 0xe000, 0xe003, FMT_CLS, 8, IF_STORE, 0),
    C("c.addi", 0x0001, 0xe003, FMT_CI, 0, 0, 0),
    C("c.addiw", 0x2001, 0xe003, FMT_CI, 0, 0, 0),
    C("c.li", 0x4001, 0xe003, FMT_CI, 0, 0, 0),
    C("c.addi16sp", 0x6101, 0xef83, FMT_CADDI16SP, 0, 0, 0),
    C("c.mop", 0x6081, 0xf8ff, FMT_CMOP, 0, 0, ISA_ZCMOP),
    C("c.lui", 0x6001, 0xe003, FMT_CLUI, 0, 0, 0),
    C("c.srli", 0x8001, 0xec03, FMT_CSHP, 0, 0, 0),
    C("c.srai", 0x8401, 0xec03, FMT_CSHP, 0, 0, 0),
    C("c.andi", 0x8801, 0xec03, FMT_CANDI, 0, 0, 0),
    C("c.sub", 0x8c01, 0xfc63, FMT_CA, 0, 0, 0), C("c.xor", 0x8c21, 0xfc63, FMT_CA, 0, 0, 0),
    C("c.or", 0x8c41, 0xfc63, FMT_CA, 0, 0, 0), C("c.and", 0x8c61, 0xfc63, FMT_CA, 0, 0, 0),
    C("c.subw", 0x9c01, 0xfc63, FMT_CA, 0, 0, 0), C("c.addw", 0x9c21, 0xfc63, FMT_CA, 0, 0, 0),
    C("c.j", 0xa001, 0xe003, FMT_CJ, 0, 0, 0),
    C("c.beqz", 0xc001, 0xe003, FMT_CB, 0, 0, 0), C("c.bnez", 0xe001, 0xe003, FMT_CB, 0, 0, 0),
    C("c.slli", 0x0002, 0xe003, FMT_CSH, 0, 0, 0),
    C("c.fldsp", 0x2002, 0xe003, FMT_CLSPF, 8, IF_LOAD, ED),
    C("c.lwsp", 0x4002, 0xe003, FMT_CLSP, 4, IF_LOAD, 0),
    C("c.ldsp", 0x6002, 0xe003, FMT_CLSP, 8, IF_LOAD, 0),
    C("c.jr", 0x8002, 0xf07f, FMT_CJR, 0, 0, 0), C("c.mv", 0x8002, 0xf003, FMT_CMV, 0, 0, 0),
    C("c.ebreak", 0x9002, 0xffff, FMT_CNONE, 0, IF_SYS, 0),
    C("c.jalr", 0x9002, 0xf07f, FMT_CJR, 0, 0, 0), C("c.add", 0x9002, 0xf003, FMT_CMV, 0, 0, 0),
    C("c.fsdsp", 0xa002, 0xe003, FMT_CSSPF, 8, IF_STORE, ED),
    C("c.swsp", 0xc002, 0xe003, FMT_CSSP, 4, IF_STORE, 0),
    C("c.sdsp", 0xe002, 0xe003, FMT_CSSP, 8, IF_STORE, 0),
    /* Zcb */
    C("c.lbu", 0x8000, 0xfc03, FMT_CLB, 1, IF_LOAD, ISA_ZCB),
    C("c.lhu", 0x8400, 0xfc43, FMT_CLH, 2, IF_LOAD, ISA_ZCB),
    C("c.lh", 0x8440, 0xfc43, FMT_CLH, 2, IF_LOAD, ISA_ZCB),
    C("c.sb", 0x8800, 0xfc03, FMT_CLB, 1, IF_STORE, ISA_ZCB),
    C("c.sh", 0x8c00, 0xfc43, FMT_CLH, 2, IF_STORE, ISA_ZCB),
    C("c.zext.b", 0x9c61, 0xfc7f, FMT_CU, 0, 0, ISA_ZCB),
    C("c.sext.b", 0x9c65, 0xfc7f, FMT_CU, 0, 0, ISA_ZCB | ISA_ZBB),
    C("c.zext.h", 0x9c69, 0xfc7f, FMT_CU, 0, 0, ISA_ZCB | ISA_ZBB),
    C("c.sext.h", 0x9c6d, 0xfc7f, FMT_CU, 0, 0, ISA_ZCB | ISA_ZBB),
    C("c.zext.w", 0x9c71, 0xfc7f, FMT_CU, 0, 0, ISA_ZCB | ISA_ZBA),
    C("c.not", 0x9c75, 0xfc7f, FMT_CU, 0, 0, ISA_ZCB),
    C("c.mul", 0x9c41, 0xfc63, FMT_CA, 0, 0, ISA_ZCB | ISA_M),
};
/* clang-format on */

const size_t isa_count = sizeof(isa_table) / sizeof(isa_table[0]);
