/*
 * What an Apple processor's kernel says of it: hw.optional.arm.FEAT_* and older names, by
 * sysctl(3) ("Determining Instruction Set Characteristics", Apple's developer documentation). Names
 * are those that Linux gives them, so that a program asks for the same on both.
 */
#include "base/bits.h"
#include "platform/darwin/sysctl.h"
#include "platform/host.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *sysctl, *name;
} arm_features[] = {
    {"hw.optional.floatingpoint", "fp"},         {"hw.optional.AdvSIMD", "asimd"},
    {"hw.optional.arm.FEAT_AES", "aes"},         {"hw.optional.arm.FEAT_PMULL", "pmull"},
    {"hw.optional.arm.FEAT_SHA1", "sha1"},       {"hw.optional.arm.FEAT_SHA256", "sha2"},
    {"hw.optional.armv8_crc32", "crc32"},        {"hw.optional.arm.FEAT_LSE", "atomics"},
    {"hw.optional.arm.FEAT_FP16", "fphp"},       {"hw.optional.AdvSIMD_HPFPCvt", "asimdhp"},
    {"hw.optional.arm.FEAT_RDM", "asimdrdm"},    {"hw.optional.arm.FEAT_JSCVT", "jscvt"},
    {"hw.optional.arm.FEAT_FCMA", "fcma"},       {"hw.optional.arm.FEAT_LRCPC", "lrcpc"},
    {"hw.optional.arm.FEAT_DPB", "dcpop"},       {"hw.optional.arm.FEAT_SHA3", "sha3"},
    {"hw.optional.arm.FEAT_DotProd", "asimddp"}, {"hw.optional.arm.FEAT_SHA512", "sha512"},
    {"hw.optional.arm.FEAT_FHM", "asimdfhm"},    {"hw.optional.arm.FEAT_DIT", "dit"},
    {"hw.optional.arm.FEAT_LSE2", "uscat"},      {"hw.optional.arm.FEAT_LRCPC2", "ilrcpc"},
    {"hw.optional.arm.FEAT_FlagM", "flagm"},     {"hw.optional.arm.FEAT_SSBS", "ssbs"},
    {"hw.optional.arm.FEAT_SB", "sb"},           {"hw.optional.arm.FEAT_PAuth", "paca"},
    {"hw.optional.arm.FEAT_DPB2", "dcpodp"},     {"hw.optional.arm.FEAT_FlagM2", "flagm2"},
    {"hw.optional.arm.FEAT_FRINTTS", "frint"},   {"hw.optional.arm.FEAT_I8MM", "i8mm"},
    {"hw.optional.arm.FEAT_BF16", "bf16"},       {"hw.optional.arm.FEAT_BTI", "bti"},
    {"hw.optional.arm.FEAT_ECV", "ecv"},         {"hw.optional.arm.FEAT_AFP", "afp"},
    {"hw.optional.arm.FEAT_RPRES", "rpres"},     {"hw.optional.arm.FEAT_SME", "sme"},
    {"hw.optional.arm.FEAT_SME2", "sme2"},
};

void vr_cpu_identify(struct vr_cpu_id *ret_id)
{
    struct vr_cpu_id id = {.vendor = "Apple",
                           .virt_name = "EL2 with VHE",
                           .virt = VIREO_UNKNOWN,
                           .nested_paging = VIREO_UNKNOWN,
                           .protection_keys = VIREO_NO};
    for (unsigned i = 0; i < VR_COUNT(arm_features); i++) {
        if (vr_sysctl_u32(arm_features[i].sysctl)) {
            id.features[id.feature_count++] = arm_features[i].name;
        }
    }
    (void)vr_sysctl_text("machdep.cpu.brand_string", id.model, sizeof(id.model));
    /* hw.cpufamily is a hash of the core's name, without order or fields: not a MIDR. */
    *ret_id = id;
}
