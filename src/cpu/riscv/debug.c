/*
 * A hart as a debugger sees it: registers, where addresses lead. GDB manual, "RISC-V Features"
 * (names of the features and of their registers).
 *
 * Numbers are those that GDB itself uses: x0..x31, pc, f0..f31, then CSRs by their number, then
 * the privilege mode. All is called while the machine stands still.
 */
#include "cpu/riscv/priv.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    REG_PC = 32,
    REG_F0 = 33,
    REG_CSR = 65,
    REG_PRIV = REG_CSR + 4096,
    CSR_FFLAGS = 1,
    CSR_FCSR = 3,
    XML_SIZE = 32 << 10,
};

static struct rv_hart *debug_hart(struct vr_vcpu *vcpu)
{
    struct rv_hart *hart = (struct rv_hart *)vcpu;
    if (!vcpu->det) { /* there, when it starts is part of the life that is looked at */
        rv_hart_settle(hart);
    }
    return hart;
}

/* ---- The description ---- */

struct debug_text {
    char *buf;
    size_t len;
};

static void debug_put(struct debug_text *t, const char *fmt, ...) VR_PRINTF(2, 3);
static void debug_put(struct debug_text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->buf + t->len, XML_SIZE - t->len, fmt, ap);
    va_end(ap);
    vr_assert(n >= 0 && (size_t)n < XML_SIZE - t->len);
    t->len += (size_t)n;
}

static void debug_feature(struct debug_text *t, const char *name)
{
    debug_put(t, "<feature name=\"org.gnu.gdb.riscv.%s\">", name);
}

static void debug_reg(struct debug_text *t, const char *name, unsigned bits, unsigned num,
                      const char *more)
{
    debug_put(t, "<reg name=\"%s\" bitsize=\"%u\" regnum=\"%u\"%s/>", name, bits, num, more);
}

static const char *const debug_x[] = {"zero", "ra", "sp",  "gp",  "tp", "t0", "t1", "t2",
                                      "fp",   "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
                                      "a6",   "a7", "s2",  "s3",  "s4", "s5", "s6", "s7",
                                      "s8",   "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
static const char *const debug_f[] = {"ft0", "ft1", "ft2",  "ft3",  "ft4", "ft5", "ft6",  "ft7",
                                      "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
                                      "fa6", "fa7", "fs2",  "fs3",  "fs4", "fs5", "fs6",  "fs7",
                                      "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};

static bool debug_has_fp(const struct rv_hart *hart)
{
    return RV_HAS(&hart->config, d);
}

static bool debug_is_fp_csr(unsigned num)
{
    return num >= CSR_FFLAGS && num <= CSR_FCSR;
}

static int debug_describe(struct vr_vcpu *vcpu, char **ret_text, struct vr_error *err)
{
    struct rv_hart *hart = debug_hart(vcpu);
    struct debug_text t = {.buf = vr_zalloc(XML_SIZE)};
    unsigned num;
    char name[RV_CSR_NAME_MAX];
    if (!t.buf) {
        return vr_err(err, -ENOMEM, "no memory for the description of registers");
    }
    debug_put(&t, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
                  "<architecture>riscv:rv64</architecture>");
    debug_feature(&t, "cpu");
    for (unsigned i = 0; i < 32; i++) {
        const char *type = i == 1             ? " type=\"code_ptr\""
                           : i >= 2 && i <= 4 ? " type=\"data_ptr\""
                                              : " type=\"int\"";
        debug_reg(&t, debug_x[i], 64, i, type);
    }
    debug_reg(&t, "pc", 64, REG_PC, " type=\"code_ptr\"");
    debug_put(&t, "</feature>");
    if (debug_has_fp(hart)) {
        debug_feature(&t, "fpu");
        debug_put(&t, "<union id=\"riscv_double\"><field name=\"float\" type=\"ieee_single\"/>"
                      "<field name=\"double\" type=\"ieee_double\"/></union>");
        for (unsigned i = 0; i < 32; i++) {
            debug_reg(&t, debug_f[i], 64, REG_F0 + i, " type=\"riscv_double\"");
        }
        for (unsigned i = 0; (num = rv_csr_at(hart, i, name)) != RV_CSR_NONE; i++) {
            if (debug_is_fp_csr(num)) {
                debug_reg(&t, name, 32, REG_CSR + num, " type=\"int\"");
            }
        }
        debug_put(&t, "</feature>");
    }
    debug_feature(&t, "csr");
    for (unsigned i = 0; (num = rv_csr_at(hart, i, name)) != RV_CSR_NONE; i++) {
        if (!debug_is_fp_csr(num)) {
            debug_reg(&t, name, 64, REG_CSR + num, "");
        }
    }
    debug_put(&t, "</feature>");
    debug_feature(&t, "virtual");
    debug_reg(&t, "priv", 64, REG_PRIV, "");
    debug_put(&t, "</feature></target>");
    *ret_text = t.buf;
    return 0;
}

/* ---- Registers ---- */

static int debug_get(struct vr_vcpu *vcpu, unsigned reg, uint64_t *ret_val, unsigned *ret_bytes)
{
    struct rv_hart *hart = debug_hart(vcpu);
    *ret_bytes = 8;
    if (reg < REG_PC) {
        *ret_val = hart->cpu.r[reg];
    } else if (reg == REG_PC) {
        *ret_val = hart->cpu.pc;
    } else if (reg < REG_CSR && debug_has_fp(hart)) {
        *ret_val = hart->cpu.r[VR_SLOT_F0 + (reg - REG_F0)];
    } else if (reg == REG_PRIV) {
        *ret_val = hart->priv;
    } else if (reg < REG_CSR || reg > REG_PRIV || !rv_csr_peek(hart, reg - REG_CSR, ret_val)) {
        return -ENOENT;
    } else if (debug_is_fp_csr(reg - REG_CSR)) {
        *ret_bytes = 4;
    }
    return 0;
}

/* The way of a debugger into a mode: as far as the hart has it. */
static void debug_set_priv(struct rv_hart *hart, uint64_t val)
{
    if (val == RV_U || val == RV_S || val == RV_M) {
        rv_set_priv(hart, (enum rv_priv)val);
    }
}

static int debug_set(struct vr_vcpu *vcpu, unsigned reg, uint64_t val)
{
    struct rv_hart *hart = debug_hart(vcpu);
    if (reg == 0) {
        return 0;
    }
    if (reg < REG_PC) {
        hart->cpu.r[reg] = val;
    } else if (reg == REG_PC) {
        hart->cpu.pc = val & ~UINT64_C(1);
    } else if (reg < REG_CSR && debug_has_fp(hart)) {
        hart->cpu.r[VR_SLOT_F0 + (reg - REG_F0)] = val;
        hart->mstatus |= hart->mstatus & RV_MSTATUS_FS ? RV_MSTATUS_FS : 0;
    } else if (reg == REG_PRIV) {
        debug_set_priv(hart, val);
    } else if (reg < REG_CSR || reg > REG_PRIV || !rv_csr_poke(hart, reg - REG_CSR, val)) {
        return -ENOENT;
    }
    return 0;
}

/* ---- Memory, and words ---- */

static bool debug_translate(struct vr_vcpu *vcpu, uint64_t va, uint64_t *ret_gpa, uint64_t *ret_len)
{
    uint64_t page_bytes;
    if (!rv_lookup(debug_hart(vcpu), va, ret_gpa, &page_bytes)) {
        return false;
    }
    *ret_len = page_bytes - (va & (page_bytes - 1));
    return true;
}

static void debug_say(struct vr_vcpu *vcpu, char *ret_text, size_t size)
{
    static const char *const hsm[] = {
        [RV_HSM_STARTED] = "started",
        [RV_HSM_STOPPED] = "stopped",
        [RV_HSM_START_PENDING] = "starting",
        [RV_HSM_SUSPENDED] = "suspended",
    };
    struct rv_hart *hart = debug_hart(vcpu);
    snprintf(ret_text, size, "%c-mode, %s",
             hart->priv == RV_M   ? 'M'
             : hart->priv == RV_S ? 'S'
                                  : 'U',
             hsm[atomic_load(&hart->hsm)]);
}

const struct vr_cpu_debug rv_debug = {
    .general_count = REG_PC + 1,
    .pc = REG_PC,
    .describe = debug_describe,
    .get = debug_get,
    .set = debug_set,
    .translate = debug_translate,
    .say = debug_say,
};
