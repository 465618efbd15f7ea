/*
 * Hypervisor.framework ("Hypervisor", Apple's developer documentation), through the dynamic loader:
 * a program starts where the framework is absent (iOS, tvOS). hv_vm_create() takes options of no
 * more than a register on both processors: flags on x86-64, a configuration object or NULL on
 * arm64; zero means the usual on either.
 */
#include "platform/darwin/hvf.h"
#include "platform/darwin/sysctl.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define HVF_PATH "/System/Library/Frameworks/Hypervisor.framework/Hypervisor"

/* hv_return_t: hv_error.h's numbers. */
static const struct {
    uint32_t code;
    const char *why;
} hvf_errors[] = {
    {0xfae94001, "an internal error of the framework"},
    {0xfae94002, "this process has a machine already, and may have only one: it is in use"},
    {0xfae94003, "the framework does not know the options; is it newer than Vireo?"},
    {0xfae94005, "the host has no resources left for another machine"},
    {0xfae94006, "no such device"},
    {0xfae94007, "this program is not allowed: sign it with the entitlement "
                 "com.apple.security.hypervisor (codesign --entitlements)"},
    {0xfae9400f, "this processor, or the virtual machine we run in, cannot run guests"},
};

typedef int32_t hvf_create_fn(uintptr_t options);
typedef int32_t hvf_destroy_fn(void);

static void hvf_refused(struct vireo_ability *hvf, uint32_t code)
{
    for (unsigned i = 0; i < sizeof(hvf_errors) / sizeof(hvf_errors[0]); i++) {
        if (hvf_errors[i].code == code) {
            snprintf(hvf->detail, sizeof(hvf->detail), "hv_vm_create: %s", hvf_errors[i].why);
            return;
        }
    }
    snprintf(hvf->detail, sizeof(hvf->detail), "hv_vm_create: error 0x%x", code);
}

void vr_hvf_try(struct vireo_ability *ret_hvf)
{
    struct vireo_ability hvf = {.present = false};
    uint64_t support = 0;
    hvf_create_fn *create = NULL;
    hvf_destroy_fn *destroy = NULL;
    void *lib = dlopen(HVF_PATH, RTLD_LAZY | RTLD_LOCAL);
    void *symbols[2] = {lib ? dlsym(lib, "hv_vm_create") : NULL,
                        lib ? dlsym(lib, "hv_vm_destroy") : NULL};
    memcpy(&create, &symbols[0], sizeof(create));
    memcpy(&destroy, &symbols[1], sizeof(destroy));
    if (!create || !destroy) {
        snprintf(hvf.detail, sizeof(hvf.detail),
                 "this system has no Hypervisor.framework for programs");
    } else if (!vr_sysctl_u64("kern.hv_support", &support) || support == 0) {
        snprintf(hvf.detail, sizeof(hvf.detail),
                 "the kernel says that this host cannot run guests (kern.hv_support is 0): an old "
                 "processor, or we are in a virtual machine ourselves");
    } else {
        hvf.present = true;
        int32_t r = create(0);
        if (r == 0) {
            hvf.works = true;
            (void)destroy();
            snprintf(hvf.detail, sizeof(hvf.detail), "a machine was made and destroyed");
        } else {
            hvf_refused(&hvf, (uint32_t)r);
        }
    }
    if (lib) {
        dlclose(lib);
    }
    *ret_hvf = hvf;
}
