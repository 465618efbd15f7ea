/* The RISC-V instruction set as the engine's struct vr_isa, and the names of its extensions. */
#include "cpu/riscv/priv.h"

#include <string.h>

static void isa_access_fault(struct vr_cpu *cpu, uint64_t va, enum vr_access access)
{
    rv_page_fault(RV_HART(cpu), RV_WALK_ACCESS, va, access);
}

static void isa_misaligned(struct vr_cpu *cpu, uint64_t va, enum vr_access access)
{
    rv_trap(RV_HART(cpu), access == VR_WRITE ? RV_CAUSE_STORE_MISALIGNED : RV_CAUSE_LOAD_MISALIGNED,
            va);
}

static bool isa_fp_check(struct vr_cpu *cpu)
{
    struct rv_hart *hart = RV_HART(cpu);
    if (!(hart->mstatus & RV_MSTATUS_FS)) {
        return rv_illegal_bits(hart, NULL);
    }
    hart->mstatus |= RV_MSTATUS_FS; /* dirty */
    return true;
}

static void isa_illegal(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    rv_illegal_bits(RV_HART(cpu), ir);
}

static char isa_mode_char(const struct vr_cpu *cpu)
{
    return "US?M"[((const struct rv_hart *)cpu)->priv & 3];
}

const struct vr_isa rv_isa = {
    .name = "riscv64",
    .decode = rv_decode,
    .helpers = rv_helpers,
    .helper_names = rv_helper_names,
    .plain = rv_csr_plain,
    .helper_count = RV_H_COUNT,
    .translate = rv_translate,
    .access_fault = isa_access_fault,
    .misaligned = isa_misaligned,
    .probe = rv_probe,
    .low_va_bits = rv_low_va_bits,
    .fp_check = isa_fp_check,
    .break_helper = RV_H_BREAK,
    .illegal = isa_illegal,
    .attention = rv_attention,
    .mode_char = isa_mode_char,
    .fields = rv_hart_fields,
    .field_is_shared = rv_field_is_shared,
    .state_was_set = rv_state_was_set,
};

void rv_config_default(struct rv_config *config)
{
    *config = (struct rv_config){
        .ext = RV_BIT(RV_EXT_COUNT) - 1, .satp_max = 10, .timebase_hz = 10000000};
}

static const char *const isa_names[RV_EXT_COUNT] = {
#define RV_EXT_NAME(id, name) name,
    RV_EXTENSIONS(RV_EXT_NAME)
#undef RV_EXT_NAME
};

/* Append the names: each after @separator if it is longer than a letter, or without one,
 * zero-terminated. */
static size_t isa_join(const struct rv_config *config, char *buf, size_t len, const char *separator)
{
    for (unsigned i = 0; i < RV_EXT_COUNT; i++) {
        size_t n = strlen(isa_names[i]);
        if (!(config->ext >> i & 1)) {
            continue;
        }
        if (n > 1 && separator) {
            buf[len++] = *separator;
        }
        memcpy(buf + len, isa_names[i], n + 1);
        len += separator ? n : n + 1;
    }
    return len;
}

size_t rv_isa_string(const struct rv_config *config, char *buf)
{
    memcpy(buf, "rv64", 4);
    return isa_join(config, buf, 4, "_");
}

size_t rv_isa_extensions(const struct rv_config *config, char *buf)
{
    return isa_join(config, buf, 0, NULL);
}
