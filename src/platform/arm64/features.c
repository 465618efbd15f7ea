/*
 * What an arm64 processor's kernel says of it: getauxval(3) AT_HWCAP and AT_HWCAP2, whose bits are
 * listed in Linux Documentation/arch/arm64/elf_hwcaps.rst; MIDR_EL1 (Arm ARM DDI 0487, D19.2) is
 * readable where the kernel says "cpuid" (Documentation/arch/arm64/cpu-feature-registers.rst).
 */
#include "base/bits.h"
#include "platform/host.h"

#include <stdio.h>
#include <sys/auxv.h>

static const char *const arm_hwcap[] = {
    "fp",      "asimd", "evtstrm", "aes",   "pmull",    "sha1",   "sha2", "crc32",
    "atomics", "fphp",  "asimdhp", "cpuid", "asimdrdm", "jscvt",  "fcma", "lrcpc",
    "dcpop",   "sha3",  "sm3",     "sm4",   "asimddp",  "sha512", "sve",  "asimdfhm",
    "dit",     "uscat", "ilrcpc",  "flagm", "ssbs",     "sb",     "paca", "pacg",
};
static const char *const arm_hwcap2[] = {
    "dcpodp", "sve2",    "sveaes",   "svepmull", "svebitperm", "svesha3", "svesm4", "flagm2",
    "frint",  "svei8mm", "svef32mm", "svef64mm", "svebf16",    "i8mm",    "bf16",   "dgh",
    "rng",    "bti",     "mte",      "ecv",      "afp",        "rpres",   "mte3",   "sme",
};

static const struct {
    uint32_t implementer;
    const char *name;
} arm_makers[] = {
    {0x41, "Arm"},       {0x42, "Broadcom"}, {0x43, "Cavium"},    {0x46, "Fujitsu"},
    {0x48, "HiSilicon"}, {0x4e, "NVIDIA"},   {0x50, "APM"},       {0x51, "Qualcomm"},
    {0x53, "Samsung"},   {0x61, "Apple"},    {0x6d, "Microsoft"}, {0xc0, "Ampere"},
};

static const struct {
    uint32_t part;
    const char *name;
} arm_parts[] = {
    {0xd03, "Cortex-A53"},  {0xd04, "Cortex-A35"},  {0xd05, "Cortex-A55"},  {0xd07, "Cortex-A57"},
    {0xd08, "Cortex-A72"},  {0xd09, "Cortex-A73"},  {0xd0a, "Cortex-A75"},  {0xd0b, "Cortex-A76"},
    {0xd0c, "Neoverse-N1"}, {0xd0d, "Cortex-A77"},  {0xd40, "Neoverse-V1"}, {0xd41, "Cortex-A78"},
    {0xd44, "Cortex-X1"},   {0xd46, "Cortex-A510"}, {0xd47, "Cortex-A710"}, {0xd48, "Cortex-X2"},
    {0xd49, "Neoverse-N2"}, {0xd4f, "Neoverse-V2"},
};

static void arm_names(struct vr_cpu_id *id)
{
    uint64_t midr;
    __asm__("mrs %0, midr_el1" : "=r"(midr));
    uint32_t maker = (uint32_t)vr_bits(midr, 24, 8);
    id->family = (uint32_t)vr_bits(midr, 16, 4);
    id->model_number = (uint32_t)vr_bits(midr, 4, 12);
    id->stepping = (uint32_t)vr_bits(midr, 0, 4);
    for (unsigned i = 0; i < VR_COUNT(arm_makers); i++) {
        if (arm_makers[i].implementer == maker) {
            snprintf(id->vendor, sizeof(id->vendor), "%s", arm_makers[i].name);
        }
    }
    for (unsigned i = 0; maker == 0x41 && i < VR_COUNT(arm_parts); i++) {
        if (arm_parts[i].part == id->model_number) {
            snprintf(id->model, sizeof(id->model), "%s", arm_parts[i].name);
        }
    }
}

static void arm_add(struct vr_cpu_id *id, uint64_t bits, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (bits >> i & 1) {
            id->features[id->feature_count++] = names[i];
        }
    }
}

void vr_cpu_identify(struct vr_cpu_id *ret_id)
{
    /* Whether there is an EL2 that the host's kernel may use, programs are not told; the KVM of
     * that kernel tells (linux/host.c). */
    struct vr_cpu_id id = {.virt_name = "EL2",
                           .virt = VIREO_UNKNOWN,
                           .nested_paging = VIREO_UNKNOWN,
                           .protection_keys = VIREO_NO};
    uint64_t hwcap = getauxval(AT_HWCAP);
    arm_add(&id, hwcap, arm_hwcap, VR_COUNT(arm_hwcap));
    arm_add(&id, getauxval(AT_HWCAP2), arm_hwcap2, VR_COUNT(arm_hwcap2));
    if (hwcap >> 11 & 1) {
        arm_names(&id);
    }
    /* FEAT_VHE is mandatory from Armv8.1 on, and so are these two ("atomics", "asimdrdm"), which
     * Armv8.0 has not both (Arm ARM DDI 0487, A2.2). */
    if ((hwcap >> 8 & 1) && (hwcap >> 12 & 1)) {
        id.virt_name = "EL2 with VHE";
    }
    *ret_id = id;
}
