/*
 * What was compiled, for people: GNU assembler source with the guest's code as operations of the
 * intermediate representation in comments, and the host's code as bytes under a label a block.
 *
 *     as jit.s -o jit.o && objdump -d jit.o
 *
 * shows that as instructions. Slow paths stand behind the last block of what was compiled together.
 */
#include "base/alloc.h"
#include "cpu/jit/jit_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { DUMP_LINE = 16, DUMP_TEXT_PER_BYTE = 8, DUMP_TEXT_PER_OP = 128, DUMP_HEAD = 512 };

struct dump {
    char *text;
    size_t len, size;
};

static void VR_PRINTF(2, 3) dump_say(struct dump *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(d->text + d->len, d->size - d->len, fmt, ap);
    va_end(ap);
    vr_assert(n >= 0 && (size_t)n < d->size - d->len);
    d->len += (size_t)n;
}

static bool dump_wants(const struct vr_jit *jit, uint64_t first, unsigned len)
{
    return first < jit->dump_end && first + len > jit->dump_begin;
}

static void dump_block(struct vr_cpu *cpu, const struct vr_block *b, unsigned mode, uint64_t va,
                       uint32_t end)
{
    struct vr_jit *jit = cpu->jit;
    uint32_t at = b->native[mode], bytes = end - at;
    struct dump d = {.size = DUMP_HEAD + (size_t)bytes * DUMP_TEXT_PER_BYTE +
                             (size_t)b->ir_count * DUMP_TEXT_PER_OP};
    d.text = vr_zalloc(d.size);
    if (!d.text) {
        return; /* the file misses a block; the guest does not */
    }
    dump_say(&d,
             "# cpu %u, va %" PRIx64 ", gpa %" PRIx64 ", mode %u: %u instructions, %" PRIu32
             " bytes at %" PRIxPTR "\nguest_%" PRIx64 "_%u_%" PRIx32 "_cpu%u:\n",
             cpu->vcpu.index, va, b->gpa, mode, b->insn_count, bytes, (uintptr_t)jit->mem.rx + at,
             b->gpa, mode, jit->dump_count++, cpu->vcpu.index);
    for (unsigned i = 0; i < b->ir_count; i++) {
        char op[DUMP_TEXT_PER_OP - 32];
        vr_ir_print(&b->ir[i], op, sizeof(op));
        dump_say(&d, "#   %" PRIx64 "  %s\n", va + b->ir[i].at, op);
    }
    for (uint32_t i = 0; i < bytes; i++) {
        dump_say(&d, "%s0x%02x",
                 i % DUMP_LINE ? ","
                 : i           ? "\n  .byte "
                               : "  .byte ",
                 jit->mem.rw[at + i]);
    }
    dump_say(&d, "\n");
    (void)fwrite(d.text, 1, d.len, jit->dump); /* one call: blocks of several harts do not mix */
    free(d.text);
}

void vr_jit_dump(struct vr_cpu *cpu, struct vr_block *const *blocks, unsigned count, unsigned mode)
{
    struct vr_jit *jit = cpu->jit;
    for (unsigned i = 0; i < count; i++) {
        const struct vr_block *b = blocks[i];
        uint64_t va = (cpu->pc & ~(uint64_t)(VR_PAGE_SIZE - 1)) | (b->gpa & (VR_PAGE_SIZE - 1));
        if (dump_wants(jit, va, b->len) || dump_wants(jit, b->gpa, b->len)) {
            dump_block(cpu, b, mode, va,
                       i + 1 < count ? blocks[i + 1]->native[mode] : (uint32_t)jit->used);
        }
    }
}
