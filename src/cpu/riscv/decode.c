/*
 * Finding the row of an instruction.
 *
 * Rows are indexed by major opcode and funct3 (OP-FP, where funct3 mostly is the rounding mode, by
 * funct5), which leaves a handful to compare. The index holds only what a hart's configuration has,
 * so an instruction of an absent extension is not found, and illegal like any other unknown word.
 */
#include "cpu/riscv/decode.h"

#include "base/alloc.h"
#include "base/bits.h"

enum { OP_FP_MAJOR = 0x53 >> 2 };

static unsigned decode_key(uint32_t insn)
{
    unsigned major = insn >> 2 & 31;
    return major == OP_FP_MAJOR ? 256 + (insn >> 27) : major << 3 | rv_funct3(insn);
}

/* May an instruction with this key match @row? */
static bool decode_fits(const struct rv_insn *row, unsigned key)
{
    uint32_t bits =
        key < 256 ? (key >> 3 & 31) << 2 | (key & 7) << 12 : (key - 256) << 27 | OP_FP_MAJOR << 2;
    uint32_t mask = key < 256 ? 0x707c : 0xf800007c;
    return ((row->match ^ bits) & row->mask & mask) == 0;
}

struct rv_decoder *rv_decoder_create(const struct rv_config *config)
{
    struct rv_decoder *d = vr_zalloc(sizeof(*d));
    unsigned count = 0;
    if (!d) {
        return NULL;
    }
    for (unsigned key = 0; key < RV_KEYS; key++) {
        d->first[key] = (uint16_t)count;
        if (key < 256 && key >> 3 == OP_FP_MAJOR) {
            continue;
        }
        for (unsigned i = 0; i < rv_insn_count; i++) {
            const struct rv_insn *row = &rv_insns[i];
            if (decode_fits(row, key) && config->ext >> row->ext & 1 &&
                config->ext >> row->ext2 & 1) {
                vr_assert(count < RV_KEY_ROWS);
                d->row[count++] = (uint16_t)i;
            }
        }
    }
    d->first[RV_KEYS] = (uint16_t)count;
    return d;
}

const struct rv_insn *rv_decoder_find(const struct rv_decoder *d, uint32_t insn)
{
    unsigned key = decode_key(insn);
    for (unsigned i = d->first[key]; i < d->first[key + 1]; i++) {
        const struct rv_insn *row = &rv_insns[d->row[i]];
        if ((insn & row->mask) == row->match) {
            return row;
        }
    }
    return NULL;
}

unsigned rv_decode(struct vr_cpu *cpu, struct vr_builder *b, const uint8_t *code, unsigned avail)
{
    const struct rv_hart *hart = RV_HART(cpu);
    uint32_t insn, bits;

    if (avail < 2) {
        return 0;
    }
    bits = vr_load_le16(code);
    if ((bits & 3) == 3) { /* longer than 32 bits is reserved; its first 32 say so */
        if (avail < 4) {
            return 0;
        }
        bits = vr_load_le32(code);
        b->insn_len = 4;
        insn = bits;
    } else {
        b->insn_len = 2;
        insn = rv_expand(&hart->config, (uint16_t)bits);
    }
    const struct rv_insn *row = (insn & 3) == 3 ? rv_decoder_find(hart->decoder, insn) : NULL;
    if (row) {
        row->emit(b, row, insn);
    } else {
        rv_emit_illegal(b, bits);
    }
    return b->insn_len;
}
