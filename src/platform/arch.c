/* Names of processors and systems, and which one the compiler was asked to make code for. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Vireo runs on little-endian hosts only: guest memory is shared with guests that are"
#endif

#include "base/bits.h"
#include "platform/kvm.h"
#include "vireo/platform.h"

const char *vr_host_cpu(void)
{
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#elif defined(__i386__)
    return "i386";
#elif defined(__arm__)
    return "arm";
#elif defined(__powerpc64__)
    return "ppc64le";
#elif defined(__loongarch64)
    return "loongarch64";
#else
    return "another CPU";
#endif
}

enum vireo_arch vireo_host_arch(void)
{
#if defined(__x86_64__)
    return VIREO_ARCH_X86_64;
#elif defined(__aarch64__)
    return VIREO_ARCH_ARM64;
#elif defined(__riscv) && __riscv_xlen == 64
    return VIREO_ARCH_RISCV64;
#else
    return VIREO_ARCH_UNKNOWN;
#endif
}

const char *vireo_os_name(enum vireo_os os)
{
    static const char *const names[] = {
        [VIREO_OS_UNKNOWN] = "unknown", [VIREO_OS_LINUX] = "Linux",
        [VIREO_OS_ANDROID] = "Android", [VIREO_OS_HARMONYOS] = "HarmonyOS",
        [VIREO_OS_MACOS] = "macOS",     [VIREO_OS_IOS] = "iOS",
        [VIREO_OS_TVOS] = "tvOS",       [VIREO_OS_WINDOWS] = "Windows",
    };
    return (unsigned)os < VR_COUNT(names) ? names[os] : names[VIREO_OS_UNKNOWN];
}

const char *vireo_arch_name(enum vireo_arch arch)
{
    static const char *const names[] = {
        [VIREO_ARCH_UNKNOWN] = "unknown",
        [VIREO_ARCH_X86_64] = "x86_64",
        [VIREO_ARCH_ARM64] = "arm64",
        [VIREO_ARCH_RISCV64] = "riscv64",
    };
    return (unsigned)arch < VR_COUNT(names) ? names[arch] : names[VIREO_ARCH_UNKNOWN];
}
