/* Hosts for which no code is made. */
#include "cpu/jit/jit_priv.h"

#include <errno.h>

const bool vr_jit_has_direct = false;

int vr_jit_available(struct vr_error *err)
{
    return vr_err(err, -ENOTSUP, "the JIT makes no code for this kind of processor yet");
}

void vr_jit_emit_shared(struct vr_jit *jit)
{
    (void)jit;
    vr_assert(!"no JIT here");
}

bool vr_jit_emit_blocks(struct vr_cpu *cpu, struct vr_block *const *blocks, unsigned count,
                        unsigned mode, struct vr_jit_page *page)
{
    (void)cpu;
    (void)blocks;
    (void)count;
    (void)mode;
    (void)page;
    return false;
}

void vr_jit_enter(struct vr_cpu *cpu, uint32_t code)
{
    (void)cpu;
    (void)code;
}

void vr_jit_fp_sync(struct vr_cpu *cpu)
{
    (void)cpu;
}
