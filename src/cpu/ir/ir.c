/* Names, operands and dumps of IR ops, from the same list as everything else. */
#include "cpu/ir/block.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *uses;
} ops[] = {
#define VR_OP(name, uses, help) {#name, uses},
#include "cpu/ir/ops.h"
#undef VR_OP
};

const char *vr_ir_name(unsigned op)
{
    return op < VR_IR_COUNT ? ops[op].name : "?";
}

const char *vr_ir_uses(unsigned op)
{
    return op < VR_IR_COUNT ? ops[op].uses : "";
}

uint64_t vr_block_writes(const struct vr_block *b)
{
    uint64_t set = 0;
    for (unsigned i = 0; i < b->ir_count; i++) {
        const struct vr_ir *ir = &b->ir[i];
        bool writes = strpbrk(vr_ir_uses(ir->op), "Dd") != NULL;
        if (writes && ir->d != VR_SLOT_ZERO && ir->d < VR_SLOT_TEMP) {
            set |= UINT64_C(1) << ir->d;
        }
    }
    return set;
}

int vr_ir_print_slot(unsigned slot, char *buf, size_t len)
{
    static const struct {
        unsigned from;
        char letter;
    } kinds[] = {{VR_SLOT_TEMP, 't'}, {VR_SLOT_F0, 'f'}, {0, 'x'}};
    unsigned k = 0;
    while (slot < kinds[k].from) {
        k++;
    }
    return snprintf(buf, len, "%c%u", kinds[k].letter, slot - kinds[k].from);
}

int vr_ir_print(const struct vr_ir *ir, char *buf, size_t len)
{
    size_t n = (size_t)snprintf(buf, len, "%s", vr_ir_name(ir->op));
    const char *sep = " ";
    for (const char *u = vr_ir_uses(ir->op); *u && n < len; u++) {
        char item[32];
        switch (*u) {
        case 'D':
        case 'd':
            vr_ir_print_slot(ir->d, item, sizeof(item));
            break;
        case 'A':
            vr_ir_print_slot(ir->a, item, sizeof(item));
            break;
        case 'B':
            vr_ir_print_slot(ir->b, item, sizeof(item));
            break;
        case 'C':
            vr_ir_print_slot(ir->c, item, sizeof(item));
            break;
        case 'c':
            snprintf(item, sizeof(item), "#%u", ir->c);
            break;
        case 'I':
            snprintf(item, sizeof(item), "%s0x%" PRIx64, ir->imm < 0 ? "-" : "",
                     ir->imm < 0 ? 0 - (uint64_t)ir->imm : (uint64_t)ir->imm);
            break;
        default:
            continue;
        }
        n += (size_t)snprintf(buf + n, len - n, "%s%s", sep, item);
        sep = ", ";
    }
    return (int)n;
}
