/*
 * The Windows Hypervisor Platform API (MSDN "Windows Hypervisor Platform API Definitions"), by the
 * dynamic loader: a binary starts where WinHvPlatform.dll is not.
 */
#include "platform/windows/whpx.h"
#include "base/bits.h"
#include "platform/lock.h"
#include "platform/windows/win.h"
#include "platform/x86/trial.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <stdio.h>
#include <string.h>
#include <winhvplatform.h>

enum { WHPX_LIMIT_MS = 250, WHPX_PAGE = 4096 };

/* The functions we need, each by its own name and type. */
struct whpx_api {
    __typeof__(WHvGetCapability) *get_capability;
    __typeof__(WHvCreatePartition) *create_partition;
    __typeof__(WHvSetPartitionProperty) *set_property;
    __typeof__(WHvSetupPartition) *setup_partition;
    __typeof__(WHvDeletePartition) *delete_partition;
    __typeof__(WHvMapGpaRange) *map_range;
    __typeof__(WHvCreateVirtualProcessor) *create_vcpu;
    __typeof__(WHvDeleteVirtualProcessor) *delete_vcpu;
    __typeof__(WHvSetVirtualProcessorRegisters) *set_registers;
    __typeof__(WHvRunVirtualProcessor) *run;
    __typeof__(WHvCancelRunVirtualProcessor) *cancel;
};

static bool whpx_load(HMODULE module, struct whpx_api *ret_api)
{
    static const struct {
        const char *name;
        size_t at;
    } functions[] = {
        {"WHvGetCapability", offsetof(struct whpx_api, get_capability)},
        {"WHvCreatePartition", offsetof(struct whpx_api, create_partition)},
        {"WHvSetPartitionProperty", offsetof(struct whpx_api, set_property)},
        {"WHvSetupPartition", offsetof(struct whpx_api, setup_partition)},
        {"WHvDeletePartition", offsetof(struct whpx_api, delete_partition)},
        {"WHvMapGpaRange", offsetof(struct whpx_api, map_range)},
        {"WHvCreateVirtualProcessor", offsetof(struct whpx_api, create_vcpu)},
        {"WHvDeleteVirtualProcessor", offsetof(struct whpx_api, delete_vcpu)},
        {"WHvSetVirtualProcessorRegisters", offsetof(struct whpx_api, set_registers)},
        {"WHvRunVirtualProcessor", offsetof(struct whpx_api, run)},
        {"WHvCancelRunVirtualProcessor", offsetof(struct whpx_api, cancel)},
    };
    for (unsigned i = 0; i < VR_COUNT(functions); i++) {
        FARPROC fn = GetProcAddress(module, functions[i].name);
        if (!fn) {
            return false;
        }
        memcpy((uint8_t *)ret_api + functions[i].at, &fn, sizeof(fn));
    }
    return true;
}

/* Ends a run that takes too long. */
struct whpx_watch {
    const struct whpx_api *api;
    WHV_PARTITION_HANDLE partition;
    struct vr_mutex lock;
    struct vr_cond cond;
    bool done, late;
};

static void whpx_watch(void *arg)
{
    struct whpx_watch *w = arg;
    uint64_t until = vireo_monotonic_ns() + WHPX_LIMIT_MS * UINT64_C(1000000);
    vr_mutex_lock(&w->lock);
    while (!w->done) {
        if (!vr_cond_wait_until(&w->cond, &w->lock, until)) {
            w->late = !w->done;
            until += UINT64_C(10000000); /* a cancel before the run has begun may be lost */
            if (w->late) {
                w->api->cancel(w->partition, 0, 0);
            }
        }
    }
    vr_mutex_unlock(&w->lock);
}

static HRESULT whpx_set_pc(const struct whpx_api *api, WHV_PARTITION_HANDLE partition, uint64_t pc)
{
    const WHV_REGISTER_NAME name = WHvX64RegisterRip;
    const WHV_REGISTER_VALUE value = {.Reg64 = pc};
    return api->set_registers(partition, 0, &name, 1, &value);
}

/* Run until it halts. NULL: it did all it should; or what went wrong. */
static const char *whpx_run(const struct whpx_api *api, WHV_PARTITION_HANDLE partition,
                            const uint8_t *page)
{
    bool told = false;
    for (unsigned i = 0; i < 16; i++) {
        WHV_RUN_VP_EXIT_CONTEXT exit;
        memset(&exit, 0, sizeof(exit));
        if (FAILED(api->run(partition, 0, &exit, sizeof(exit)))) {
            return "its processor does not run";
        }
        switch (exit.ExitReason) {
        case WHvRunVpExitReasonX64IoPortAccess:
            told = exit.IoPortAccess.PortNumber == VR_TRIAL_PORT &&
                   exit.IoPortAccess.AccessInfo.IsWrite &&
                   (exit.IoPortAccess.Rax & 0xff) == VR_TRIAL_SUM;
            if (!told ||
                FAILED(whpx_set_pc(api, partition,
                                   exit.VpContext.Rip + exit.VpContext.InstructionLength))) {
                return "a guest computed wrongly";
            }
            break;
        case WHvRunVpExitReasonX64Halt:
            return told && page[VR_TRIAL_CELL] == VR_TRIAL_SUM ? NULL : "a guest computed wrongly";
        case WHvRunVpExitReasonCanceled:
            return "a guest of a few instructions did not end within a quarter of a second";
        default:
            return "a guest left for an unexpected reason";
        }
    }
    return "a guest did not end";
}

static const char *whpx_run_watched(const struct whpx_api *api, WHV_PARTITION_HANDLE partition,
                                    const uint8_t *page)
{
    struct whpx_watch w = {.api = api, .partition = partition};
    struct vireo_thread *thread;
    vr_mutex_init(&w.lock);
    vr_cond_init(&w.cond);
    if (vireo_thread_create("whpx trial", whpx_watch, &w, &thread, NULL) < 0) {
        vr_cond_fini(&w.cond);
        vr_mutex_fini(&w.lock);
        return "no thread to watch over a guest";
    }
    const char *problem = whpx_run(api, partition, page);
    vr_mutex_lock(&w.lock);
    w.done = true;
    vr_cond_signal(&w.cond);
    vr_mutex_unlock(&w.lock);
    vireo_thread_join(thread);
    vr_cond_fini(&w.cond);
    vr_mutex_fini(&w.lock);
    return problem;
}

static const char *whpx_guest(const struct whpx_api *api, WHV_PARTITION_HANDLE partition,
                              uint8_t *page)
{
    static const WHV_REGISTER_NAME names[] = {WHvX64RegisterCs, WHvX64RegisterRip,
                                              WHvX64RegisterRflags};
    WHV_REGISTER_VALUE values[VR_COUNT(names)];
    WHV_PARTITION_PROPERTY property;
    size_t len;
    const uint8_t *code = vr_x86_trial(&len);
    memset(&property, 0, sizeof(property));
    property.ProcessorCount = 1;
    if (FAILED(api->set_property(partition, WHvPartitionPropertyCodeProcessorCount, &property,
                                 sizeof(property))) ||
        FAILED(api->setup_partition(partition))) {
        return "a machine could not be set up";
    }
    memcpy(page, code, len);
    if (FAILED(api->map_range(partition, page, VR_TRIAL_AT, WHPX_PAGE,
                              WHvMapGpaRangeFlagRead | WHvMapGpaRangeFlagWrite |
                                  WHvMapGpaRangeFlagExecute))) {
        return "memory could not be given to a machine";
    }
    if (FAILED(api->create_vcpu(partition, 0, 0))) {
        return "a virtual processor could not be made";
    }
    /* After reset CS begins at the top of memory. A code segment of real mode: present, readable,
     * executable, accessed. */
    memset(values, 0, sizeof(values));
    values[0].Segment.Limit = 0xffff;
    values[0].Segment.Attributes = 0x9b;
    values[1].Reg64 = VR_TRIAL_AT;
    values[2].Reg64 = 2;
    const char *problem = FAILED(api->set_registers(partition, 0, names, VR_COUNT(names), values))
                              ? "registers could not be set"
                              : whpx_run_watched(api, partition, page);
    api->delete_vcpu(partition, 0);
    return problem;
}

static void whpx_say(struct vireo_ability *whpx, const char *text)
{
    snprintf(whpx->detail, sizeof(whpx->detail), "%s", text);
}

static void whpx_try_module(HMODULE module, struct vireo_ability *whpx)
{
    struct whpx_api api;
    WHV_CAPABILITY capability;
    WHV_PARTITION_HANDLE partition = NULL;
    UINT32 written = 0;
    memset(&capability, 0, sizeof(capability));
    if (!whpx_load(module, &api)) {
        whpx_say(whpx, "WinHvPlatform.dll lacks functions that Vireo needs: update Windows");
        return;
    }
    if (FAILED(api.get_capability(WHvCapabilityCodeHypervisorPresent, &capability,
                                  sizeof(capability), &written)) ||
        !capability.HypervisorPresent) {
        whpx_say(whpx, "the hypervisor does not run: switch virtualization on in the firmware, and "
                       "\"Windows Hypervisor Platform\" in Windows Features, and restart");
        return;
    }
    HRESULT r = api.create_partition(&partition);
    if (FAILED(r)) {
        snprintf(whpx->detail, sizeof(whpx->detail), "a machine could not be made: 0x%lx",
                 (unsigned long)r);
        return;
    }
    uint8_t *page = VirtualAlloc(NULL, WHPX_PAGE, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    const char *problem = page ? whpx_guest(&api, partition, page) : "no memory";
    api.delete_partition(partition);
    if (page) {
        VirtualFree(page, 0, MEM_RELEASE);
    }
    whpx->works = !problem;
    whpx_say(whpx, problem ? problem : "a guest of a few instructions ran to its end");
}

void vr_whpx_try(const wchar_t *dll, struct vireo_ability *ret_whpx)
{
    struct vireo_ability whpx = {.present = false};
    HMODULE module = dll ? LoadLibraryW(dll)
                         : LoadLibraryExW(L"WinHvPlatform.dll", NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
    if (module) {
        whpx.present = true;
        whpx_try_module(module, &whpx);
        FreeLibrary(module);
    } else {
        whpx_say(&whpx,
                 "WinHvPlatform.dll is not here: switch \"Windows Hypervisor Platform\" on in "
                 "Windows Features (Windows 10 1803 or later), and restart");
    }
    *ret_whpx = whpx;
}
