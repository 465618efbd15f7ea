/* The instruction trace: see cpu/ir/trace.h. */
#include "cpu/ir/trace.h"
#include "base/alloc.h"
#include "cpu/ir/block.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { STORES = 4 };

struct vr_trace_out {
    FILE *file;
    bool open; /* begin was called, end was not */
    char mode;
    uint64_t pc, before[VR_SLOT_TEMP];
    uint64_t results; /* registers that the instruction writes, by slot */
    uint32_t insn;
    unsigned insn_len;
    unsigned store_count;
    struct {
        uint64_t gpa, val;
        unsigned width;
    } store[STORES];
};

int vr_trace_start(struct vr_cpu *cpu, FILE *file, struct vr_error *err)
{
    cpu->trace = vr_zalloc(sizeof(*cpu->trace));
    if (!cpu->trace) {
        return vr_err(err, -ENOMEM, "no memory for the instruction trace");
    }
    cpu->trace->file = file;
    cpu->single = cpu->careful = true;
    vr_tlb_flush(cpu);
    vr_code_flush(cpu);
    return 0;
}

void vr_trace_stop(struct vr_cpu *cpu)
{
    free(cpu->trace);
    cpu->trace = NULL;
    cpu->single = false;
    cpu->careful = cpu->steps != NULL;
}

void vr_trace_begin(struct vr_cpu *cpu, const struct vr_block *b)
{
    struct vr_trace_out *t = cpu->trace;
    uint8_t code[4] = {0};
    uint64_t tail = b->gpa2 == VR_NO_GPA ? b->gpa + 2 : b->gpa2;
    t->open = vr_dma_read(cpu->mem, &cpu->view, b->gpa, code, 2) == 0;
    if (b->len > 2) {
        t->open = t->open && vr_dma_read(cpu->mem, &cpu->view, tail, code + 2, 2) == 0;
    }
    t->insn = code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;
    t->insn_len = b->len;
    t->mode = cpu->isa->mode_char(cpu);
    t->pc = cpu->block_pc;
    t->store_count = 0;
    t->results = vr_block_writes(b);
    memcpy(t->before, cpu->r, sizeof(t->before));
}

void vr_trace_store(struct vr_cpu *cpu, uint64_t gpa, unsigned width, uint64_t val)
{
    struct vr_trace_out *t = cpu->trace;
    if (t->store_count < STORES) {
        t->store[t->store_count].gpa = gpa;
        t->store[t->store_count].width = width;
        t->store[t->store_count++].val = val;
    }
}

void vr_trace_end(struct vr_cpu *cpu)
{
    struct vr_trace_out *t = cpu->trace;
    char line[1024];
    size_t n;
    if (!t->open || cpu->trapped) {
        t->open = false;
        return;
    }
    t->open = false;
    n = (size_t)snprintf(line, sizeof(line), "%u %c %" PRIx64 " %0*" PRIx32, cpu->vcpu.index,
                         t->mode, t->pc, (int)t->insn_len * 2, t->insn);
    for (unsigned i = 0; i < VR_SLOT_TEMP && n < sizeof(line); i++) {
        if (t->results >> i & 1 || cpu->r[i] != t->before[i]) {
            n += (size_t)snprintf(line + n, sizeof(line) - n, " %c%u=%" PRIx64,
                                  i < VR_SLOT_F0 ? 'x' : 'f', i % VR_SLOT_F0, cpu->r[i]);
        }
    }
    for (unsigned i = 0; i < t->store_count && n < sizeof(line); i++) {
        n += (size_t)snprintf(line + n, sizeof(line) - n, " st %" PRIx64 " %u=%" PRIx64,
                              t->store[i].gpa, t->store[i].width, t->store[i].val);
    }
    fprintf(t->file, "%s\n", line); /* one call: lines of several harts do not mix */
}
