/* What the built-in SBI (boot/sbi.h) needs of the virt machine. */
#include "base/bits.h"
#include "board/virt_riscv_priv.h"
#include "dev/irqchip/clint.h"

enum { ECALL_LEN = 4, RV_CSR_SSTATUS = 0x100, RV_CSR_SATP = 0x180 };

static void host_set_timer(void *opaque, unsigned hart, uint64_t ticks)
{
    struct vr_virt *v = opaque;
    v->hart[hart]->stimecmp = ticks;
    rv_timer_update(v->hart[hart]);
}

static void host_ipi(void *opaque, unsigned hart)
{
    struct vr_virt *v = opaque;
    rv_hart_remote(v->hart[hart], RV_REMOTE_IPI);
}

static void host_fence(void *opaque, unsigned self, uint64_t mask, enum vr_sbi_fence kind)
{
    struct vr_virt *v = opaque;
    rv_hart_fence(v->hart[self], mask,
                  kind == VR_SBI_FENCE_I ? RV_REMOTE_FENCE_I : RV_REMOTE_SFENCE);
}

static enum vr_sbi_hart_state host_state(void *opaque, unsigned hart)
{
    static const enum vr_sbi_hart_state states[] = {
        [RV_HSM_STARTED] = VR_SBI_STARTED,
        [RV_HSM_STOPPED] = VR_SBI_STOPPED,
        [RV_HSM_START_PENDING] = VR_SBI_START_PENDING,
        [RV_HSM_SUSPENDED] = VR_SBI_SUSPENDED,
    };
    struct vr_virt *v = opaque;
    return states[atomic_load(&v->hart[hart]->hsm)];
}

static bool host_start(void *opaque, unsigned hart, uint64_t pc, uint64_t arg)
{
    struct vr_virt *v = opaque;
    uint8_t stopped = RV_HSM_STOPPED;
    if (!atomic_compare_exchange_strong(&v->hart[hart]->hsm, &stopped, RV_HSM_START_PENDING)) {
        return false;
    }
    rv_hart_start(v->hart[hart], RV_S, pc, hart, arg);
    return true;
}

static void host_stop(void *opaque, unsigned hart)
{
    struct vr_virt *v = opaque;
    atomic_store(&v->hart[hart]->hsm, RV_HSM_STOPPED);
}

static void host_suspend(void *opaque, unsigned hart)
{
    struct vr_virt *v = opaque;
    struct vr_cpu *cpu = &v->hart[hart]->cpu;
    cpu->r[10] = cpu->r[11] = 0;
    cpu->pc += ECALL_LEN;
    atomic_store(&v->hart[hart]->hsm, RV_HSM_SUSPENDED);
}

/* As after a start: no translation, interrupts off, but those that wake are still enabled in mie.
 */
static void host_suspend_to(void *opaque, unsigned hart, uint64_t pc, uint64_t arg)
{
    struct vr_virt *v = opaque;
    struct rv_hart *h = v->hart[hart];
    (void)rv_csr_write(h, RV_CSR_SATP, 0);
    uint64_t sstatus;
    if (rv_csr_read(h, RV_CSR_SSTATUS, &sstatus)) {
        (void)rv_csr_write(h, RV_CSR_SSTATUS, sstatus & ~UINT64_C(2));
    }
    h->cpu.r[10] = hart;
    h->cpu.r[11] = arg;
    h->cpu.pc = pc;
    atomic_store(&h->hsm, RV_HSM_SUSPENDED);
}

static bool host_is_ram(void *opaque, uint64_t gpa, uint64_t len)
{
    struct vr_virt *v = opaque;
    return gpa >= VIRT_RAM && vr_in_range(gpa - VIRT_RAM, len, v->ram_bytes);
}

static int host_read(void *opaque, uint64_t gpa, void *buf, size_t len)
{
    struct vr_virt *v = opaque;
    if (!host_is_ram(v, gpa, len) || !vr_ram_ready(v->ram, gpa - VIRT_RAM, len)) {
        return -1;
    }
    memcpy(buf, v->ram->hva + (gpa - VIRT_RAM), len);
    return 0;
}

static int host_write(void *opaque, uint64_t gpa, const void *buf, size_t len)
{
    struct vr_virt *v = opaque;
    if (!host_is_ram(v, gpa, len)) {
        return -1;
    }
    memcpy(v->ram->hva + (gpa - VIRT_RAM), buf, len);
    vr_ram_wrote(vr_machine_mem(v->machine), v->ram, gpa - VIRT_RAM, len);
    return 0;
}

static size_t host_console_write(void *opaque, const uint8_t *buf, size_t len)
{
    struct vr_virt *v = opaque;
    return vr_chr_write(v->serial, buf, len);
}

/* The 16550 has the console's input; nothing is left for the SBI. */
static size_t host_console_read(void *opaque, uint8_t *buf, size_t len)
{
    (void)opaque;
    (void)buf;
    (void)len;
    return 0;
}

static void host_reset(void *opaque, bool power_off, bool failure)
{
    struct vr_virt *v = opaque;
    vr_machine_request(v->machine,
                       failure     ? VR_REQ_FAIL
                       : power_off ? VR_REQ_POWEROFF
                                   : VR_REQ_RESET,
                       failure ? 1 : 0);
}

/* An ecall of the kernel on @hart. */
static bool virt_sbi(void *opaque, struct rv_hart *hart)
{
    struct vr_virt *v = opaque;
    return vr_sbi_call(&v->sbi, hart->cpu.vcpu.index, &hart->cpu.r[10]);
}

void virt_sbi_init(struct vr_virt *v)
{
    v->sbi = (struct vr_sbi_host){
        .hart_count = v->cpus,
        .opaque = v,
        .set_timer = host_set_timer,
        .ipi = host_ipi,
        .fence = host_fence,
        .state = host_state,
        .start = host_start,
        .stop = host_stop,
        .suspend = host_suspend,
        .suspend_to = host_suspend_to,
        .is_ram = host_is_ram,
        .read = host_read,
        .write = host_write,
        .console_write = host_console_write,
        .console_read = host_console_read,
        .reset = host_reset,
    };
    for (unsigned i = 0; i < v->cpus; i++) {
        rv_hart_set_sbi(v->hart[i], virt_sbi, v);
    }
}
