/*
 * What an x86-64 processor says of itself. Intel SDM (325462-080) volume 2A, CPUID; AMD64 APM
 * volume 3 (24594, 3.36), appendix E. Names are the Linux kernel's (cpufeatures.h). Sets with
 * registers of their own count only when the host's kernel saves these (XCR0).
 */
#include "base/bits.h"
#include "platform/host.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

enum x86_reg { X86_EAX, X86_EBX, X86_ECX, X86_EDX };

enum {
    X86_YMM = 6,        /* XCR0: SSE and AVX state */
    X86_ZMM = 0xe6,     /* and AVX-512's three */
    X86_TILE = 0x60000, /* AMX */
};

static const struct x86_feature {
    uint32_t leaf, subleaf;
    uint8_t reg, bit;
    uint32_t xcr0;
    const char *name;
} x86_features[] = {
    {1, 0, X86_EDX, 0, 0, "fpu"},
    {1, 0, X86_EDX, 4, 0, "tsc"},
    {1, 0, X86_EDX, 8, 0, "cx8"},
    {1, 0, X86_EDX, 15, 0, "cmov"},
    {1, 0, X86_EDX, 23, 0, "mmx"},
    {1, 0, X86_EDX, 24, 0, "fxsr"},
    {1, 0, X86_EDX, 25, 0, "sse"},
    {1, 0, X86_EDX, 26, 0, "sse2"},
    {1, 0, X86_ECX, 0, 0, "pni"},
    {1, 0, X86_ECX, 1, 0, "pclmulqdq"},
    {1, 0, X86_ECX, 5, 0, "vmx"},
    {1, 0, X86_ECX, 9, 0, "ssse3"},
    {1, 0, X86_ECX, 12, X86_YMM, "fma"},
    {1, 0, X86_ECX, 13, 0, "cx16"},
    {1, 0, X86_ECX, 19, 0, "sse4_1"},
    {1, 0, X86_ECX, 20, 0, "sse4_2"},
    {1, 0, X86_ECX, 22, 0, "movbe"},
    {1, 0, X86_ECX, 23, 0, "popcnt"},
    {1, 0, X86_ECX, 25, 0, "aes"},
    {1, 0, X86_ECX, 26, 0, "xsave"},
    {1, 0, X86_ECX, 28, X86_YMM, "avx"},
    {1, 0, X86_ECX, 29, X86_YMM, "f16c"},
    {1, 0, X86_ECX, 30, 0, "rdrand"},
    {1, 0, X86_ECX, 31, 0, "hypervisor"},
    {7, 0, X86_EBX, 0, 0, "fsgsbase"},
    {7, 0, X86_EBX, 3, 0, "bmi1"},
    {7, 0, X86_EBX, 4, 0, "hle"},
    {7, 0, X86_EBX, 5, X86_YMM, "avx2"},
    {7, 0, X86_EBX, 8, 0, "bmi2"},
    {7, 0, X86_EBX, 9, 0, "erms"},
    {7, 0, X86_EBX, 11, 0, "rtm"},
    {7, 0, X86_EBX, 16, X86_ZMM, "avx512f"},
    {7, 0, X86_EBX, 17, X86_ZMM, "avx512dq"},
    {7, 0, X86_EBX, 18, 0, "rdseed"},
    {7, 0, X86_EBX, 19, 0, "adx"},
    {7, 0, X86_EBX, 21, X86_ZMM, "avx512ifma"},
    {7, 0, X86_EBX, 23, 0, "clflushopt"},
    {7, 0, X86_EBX, 24, 0, "clwb"},
    {7, 0, X86_EBX, 28, X86_ZMM, "avx512cd"},
    {7, 0, X86_EBX, 29, 0, "sha_ni"},
    {7, 0, X86_EBX, 30, X86_ZMM, "avx512bw"},
    {7, 0, X86_EBX, 31, X86_ZMM, "avx512vl"},
    {7, 0, X86_ECX, 1, X86_ZMM, "avx512vbmi"},
    {7, 0, X86_ECX, 3, 0, "pku"},
    {7, 0, X86_ECX, 4, 0, "ospke"},
    {7, 0, X86_ECX, 5, 0, "waitpkg"},
    {7, 0, X86_ECX, 6, X86_ZMM, "avx512_vbmi2"},
    {7, 0, X86_ECX, 8, 0, "gfni"},
    {7, 0, X86_ECX, 9, X86_YMM, "vaes"},
    {7, 0, X86_ECX, 10, X86_YMM, "vpclmulqdq"},
    {7, 0, X86_ECX, 11, X86_ZMM, "avx512_vnni"},
    {7, 0, X86_ECX, 12, X86_ZMM, "avx512_bitalg"},
    {7, 0, X86_ECX, 14, X86_ZMM, "avx512_vpopcntdq"},
    {7, 0, X86_ECX, 22, 0, "rdpid"},
    {7, 0, X86_ECX, 25, 0, "cldemote"},
    {7, 0, X86_ECX, 27, 0, "movdiri"},
    {7, 0, X86_ECX, 28, 0, "movdir64b"},
    {7, 0, X86_EDX, 4, 0, "fsrm"},
    {7, 0, X86_EDX, 8, X86_ZMM, "avx512_vp2intersect"},
    {7, 0, X86_EDX, 14, 0, "serialize"},
    {7, 0, X86_EDX, 16, 0, "tsxldtrk"},
    {7, 0, X86_EDX, 22, X86_TILE, "amx_bf16"},
    {7, 0, X86_EDX, 23, X86_ZMM, "avx512_fp16"},
    {7, 0, X86_EDX, 24, X86_TILE, "amx_tile"},
    {7, 0, X86_EDX, 25, X86_TILE, "amx_int8"},
    {7, 1, X86_EAX, 4, X86_YMM, "avx_vnni"},
    {7, 1, X86_EAX, 5, X86_ZMM, "avx512_bf16"},
    {0xd, 1, X86_EAX, 0, 0, "xsaveopt"},
    {0xd, 1, X86_EAX, 1, 0, "xsavec"},
    {0x80000001, 0, X86_EDX, 11, 0, "syscall"},
    {0x80000001, 0, X86_EDX, 20, 0, "nx"},
    {0x80000001, 0, X86_EDX, 26, 0, "pdpe1gb"},
    {0x80000001, 0, X86_EDX, 27, 0, "rdtscp"},
    {0x80000001, 0, X86_EDX, 29, 0, "lm"},
    {0x80000001, 0, X86_ECX, 0, 0, "lahf_lm"},
    {0x80000001, 0, X86_ECX, 2, 0, "svm"},
    {0x80000001, 0, X86_ECX, 5, 0, "abm"},
    {0x80000001, 0, X86_ECX, 6, 0, "sse4a"},
    {0x80000001, 0, X86_ECX, 8, 0, "3dnowprefetch"},
    {0x80000001, 0, X86_ECX, 11, X86_YMM, "xop"},
    {0x80000001, 0, X86_ECX, 16, X86_YMM, "fma4"},
    {0x80000001, 0, X86_ECX, 21, 0, "tbm"},
    {0x80000007, 0, X86_EDX, 8, 0, "nonstop_tsc"},
};

/* The four registers of a leaf; zeroes where the processor has no such leaf. */
static void x86_leaf(uint32_t leaf, uint32_t subleaf, uint32_t ret_regs[4])
{
    if (!__get_cpuid_count(leaf, subleaf, &ret_regs[X86_EAX], &ret_regs[X86_EBX],
                           &ret_regs[X86_ECX], &ret_regs[X86_EDX])) {
        memset(ret_regs, 0, 4 * sizeof(*ret_regs));
    }
}

static uint64_t x86_xcr0(void)
{
    uint32_t r[4], lo, hi;
    x86_leaf(1, 0, r);
    if (!(r[X86_ECX] >> 27 & 1)) { /* OSXSAVE */
        return 0;
    }
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static void x86_names(struct vr_cpu_id *id)
{
    uint32_t r[4];
    char brand[49] = "";
    x86_leaf(0, 0, r);
    memcpy(id->vendor, &r[X86_EBX], 4);
    memcpy(id->vendor + 4, &r[X86_EDX], 4);
    memcpy(id->vendor + 8, &r[X86_ECX], 4);
    for (unsigned i = 0; i < 3; i++) {
        x86_leaf(0x80000002 + i, 0, r);
        memcpy(brand + (size_t)16 * i, r, 16);
    }
    const char *text = brand + strspn(brand, " ");
    size_t len = strlen(text);
    while (len && text[len - 1] == ' ') {
        len--;
    }
    snprintf(id->model, sizeof(id->model), "%.*s", (int)len, text);
    x86_leaf(1, 0, r);
    uint32_t base = vr_bits(r[X86_EAX], 8, 4), model = vr_bits(r[X86_EAX], 4, 4);
    id->family = base == 15 ? base + (uint32_t)vr_bits(r[X86_EAX], 20, 8) : base;
    id->model_number =
        base == 6 || base == 15 ? model | (uint32_t)vr_bits(r[X86_EAX], 16, 4) << 4 : model;
    id->stepping = vr_bits(r[X86_EAX], 0, 4);
}

void vr_cpu_identify(struct vr_cpu_id *ret_id)
{
    struct vr_cpu_id id = {.virt_name = "VMX or SVM",
                           .virt = VIREO_NO,
                           .nested_paging = VIREO_NO,
                           .protection_keys = VIREO_NO};
    uint64_t xcr0 = x86_xcr0();
    uint32_t r[4] = {0}, leaf = UINT32_MAX, subleaf = 0;
    x86_names(&id);
    for (unsigned i = 0; i < VR_COUNT(x86_features); i++) {
        const struct x86_feature *f = &x86_features[i];
        if (f->leaf != leaf || f->subleaf != subleaf) {
            leaf = f->leaf;
            subleaf = f->subleaf;
            x86_leaf(leaf, subleaf, r);
        }
        if (!(r[f->reg] >> f->bit & 1) || (xcr0 & f->xcr0) != f->xcr0) {
            continue;
        }
        id.features[id.feature_count++] = f->name;
        if (strcmp(f->name, "vmx") == 0) {
            id.virt_name = "VMX";
            id.virt = VIREO_YES;
            id.nested_paging = VIREO_UNKNOWN; /* in an MSR, which only a kernel may read */
        } else if (strcmp(f->name, "svm") == 0) {
            uint32_t svm[4];
            x86_leaf(0x8000000a, 0, svm);
            id.virt_name = "SVM";
            id.virt = VIREO_YES;
            id.nested_paging = svm[X86_EDX] & 1 ? VIREO_YES : VIREO_NO;
        } else if (strcmp(f->name, "ospke") == 0) {
            id.protection_keys = VIREO_YES;
        }
    }
    *ret_id = id;
}
