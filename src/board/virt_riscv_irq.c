/*
 * The virt machine's harts and interrupt controllers, and who interrupts whom: the CLINT with a
 * PLIC, or with the controllers of the RISC-V Advanced Interrupt Architecture.
 */
#include "board/virt_riscv_priv.h"
#include "cpu/ir/trace.h"
#include "dev/irqchip/aplic.h"
#include "dev/irqchip/clint.h"
#include "dev/irqchip/imsic.h"
#include "dev/irqchip/plic.h"
#include <stdio.h>

static uint64_t virt_time(void *clint)
{
    return vr_clint_mtime(clint);
}

static void virt_time_was_set(void *virt)
{
    struct vr_virt *v = virt;
    for (unsigned i = 0; i < v->cpus && v->hart[i]; i++) {
        rv_hart_time_was_set(v->hart[i]);
    }
}

void virt_connect(struct vr_virt *v, struct vr_irq *wire, unsigned irq)
{
    vr_irq_connect(wire, v->aia ? vr_aplic_set : vr_plic_set, v->irqchip, irq);
}

/* The IMSICs of one level. */
static int irq_add_imsic(struct vr_virt *v, const char *id, uint64_t gpa, struct vr_dev **ret_dev,
                         struct vr_error *err)
{
    char opts[32];
    snprintf(opts, sizeof(opts), "harts=%u", v->cpus);
    return virt_add(v, &vr_imsic_class, id, opts, gpa, (uint64_t)v->cpus * VR_IMSIC_PAGE, NULL, 0,
                    ret_dev, err);
}

/* IMSICs come before who sends to them. */
static int irq_add_aia(struct vr_virt *v, struct vr_error *err)
{
    char opts[64];
    bool imsic = v->aia == VR_VIRT_AIA_APLIC_IMSIC;
    int r = imsic ? irq_add_imsic(v, "imsic-m", VIRT_IMSIC_M, &v->imsic_m, err) : 0;
    if (r == 0 && imsic) {
        r = irq_add_imsic(v, "imsic-s", VIRT_IMSIC_S, &v->imsic_s, err);
    }
    if (r == 0) {
        snprintf(opts, sizeof(opts), "harts=%u%s", v->cpus, imsic ? ",direct=off,msi" : "");
        r = virt_add(v, &vr_aplic_class, "aplic", opts, VIRT_APLIC_M, VR_APLIC_LEN, NULL, 0,
                     &v->irqchip, err);
    }
    return r < 0 ? r : virt_add_window(v, VR_APLIC_S, VIRT_APLIC_S, VR_APLIC_LEN, err);
}

static int irq_add_plic(struct vr_virt *v, struct vr_error *err)
{
    char opts[32];
    snprintf(opts, sizeof(opts), "contexts=%u", v->cpus * 2);
    return virt_add(v, &vr_plic_class, "plic", opts, VIRT_PLIC, vr_plic_len(v->cpus * 2), NULL, 0,
                    &v->irqchip, err);
}

/* The external interrupts of a hart's M and S mode. */
static void irq_to_hart(struct vr_virt *v, unsigned i)
{
    for (unsigned s = 0; s < 2; s++) {
        struct vr_irq *out;
        struct vr_irq_file file = {0};
        if (v->imsic_s) {
            struct vr_dev *imsic = s ? v->imsic_s : v->imsic_m;
            out = vr_imsic_out(imsic, i);
            file = vr_imsic_file(imsic, i);
        } else if (v->aia) {
            out = vr_aplic_out(v->irqchip, s ? VR_APLIC_S : VR_APLIC_M, i);
            file = vr_aplic_file(v->irqchip, s ? VR_APLIC_S : VR_APLIC_M, i);
        } else {
            out = vr_plic_out(v->irqchip, 2 * i + s);
        }
        vr_irq_connect(out, rv_hart_irq, v->hart[i], s ? RV_SEI : RV_MEI);
        rv_hart_set_irq_file(v->hart[i], s ? RV_S : RV_M, &file);
    }
}

static int irq_add_hart(struct vr_virt *v, const struct vr_virt_opts *o, unsigned i,
                        struct vr_error *err)
{
    int r = rv_hart_create(v->machine, i, &v->config, vr_machine_mem(v->machine),
                           vr_machine_clock(v->machine), virt_time, v->clint, &v->hart[i], err);
    if (r < 0) {
        return r;
    }
    r = vr_machine_add_vcpu(v->machine, &v->hart[i]->cpu.vcpu, err);
    if (r < 0) {
        v->hart[i]->cpu.vcpu.ops->destroy(&v->hart[i]->cpu.vcpu);
        return r;
    }
    vr_irq_connect(vr_clint_msip(v->clint, i), rv_hart_irq, v->hart[i], RV_MSI);
    vr_irq_connect(vr_clint_mtip(v->clint, i), rv_hart_irq, v->hart[i], RV_MTI);
    irq_to_hart(v, i);
    return o->trace_insn ? vr_trace_start(&v->hart[i]->cpu, o->trace_insn, err) : 0;
}

int virt_add_cpus(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    char opts[32];
    snprintf(opts, sizeof(opts), "harts=%u", v->cpus);
    int r =
        virt_add(v, &vr_clint_class, "clint", opts, VIRT_CLINT, 0x10000, NULL, 0, &v->clint, err);
    if (r < 0) {
        return r;
    }
    vr_clint_on_set(v->clint, virt_time_was_set, v);
    r = v->aia ? irq_add_aia(v, err) : irq_add_plic(v, err);
    for (unsigned i = 0; r == 0 && i < v->cpus; i++) {
        r = irq_add_hart(v, o, i, err);
    }
    return r;
}

void virt_irq_reset(struct vr_virt *v)
{
    if (v->aia && v->config.builtin_sbi) {
        vr_aplic_hand_down(v->irqchip, VIRT_IMSIC_M, VIRT_IMSIC_S);
    }
}
