/* Not a hypervisor: answers as WinHvPlatform.dll would, by what the environment variable FAKE_WHP
 * says, and plays the trial guest's part. It checks what it is told, and fails when that is wrong.
 */
#include <stdint.h>
#include <string.h>
#include <windows.h>
#include <winhvplatform.h>

#define EXPORT __declspec(dllexport)

static uint8_t *memory;
static unsigned steps, alive;
static uint64_t pc;
static HANDLE canceled;

static int is(const char *what)
{
    char text[32] = "";
    GetEnvironmentVariableA("FAKE_WHP", text, sizeof(text));
    return strcmp(text, what) == 0;
}

EXPORT HRESULT WINAPI WHvGetCapability(WHV_CAPABILITY_CODE code, VOID *buf, UINT32 size,
                                       UINT32 *written)
{
    WHV_CAPABILITY *c = buf;
    if (code != WHvCapabilityCodeHypervisorPresent || size < sizeof(BOOL) || !written) {
        return E_INVALIDARG;
    }
    c->HypervisorPresent = !is("off");
    *written = sizeof(BOOL);
    return S_OK;
}

EXPORT HRESULT WINAPI WHvCreatePartition(WHV_PARTITION_HANDLE *partition)
{
    if (is("denied")) {
        return E_ACCESSDENIED;
    }
    canceled = CreateEventW(NULL, TRUE, FALSE, NULL);
    *partition = &alive;
    alive = 1;
    steps = 0;
    return S_OK;
}

EXPORT HRESULT WINAPI WHvSetPartitionProperty(WHV_PARTITION_HANDLE partition,
                                              WHV_PARTITION_PROPERTY_CODE code, const VOID *buf,
                                              UINT32 size)
{
    return partition == &alive && code == WHvPartitionPropertyCodeProcessorCount &&
                   size >= sizeof(UINT32) && *(const UINT32 *)buf == 1
               ? S_OK
               : E_INVALIDARG;
}

EXPORT HRESULT WINAPI WHvSetupPartition(WHV_PARTITION_HANDLE partition)
{
    alive = 2;
    return partition == &alive ? S_OK : E_INVALIDARG;
}

EXPORT HRESULT WINAPI WHvDeletePartition(WHV_PARTITION_HANDLE partition)
{
    alive = 0;
    CloseHandle(canceled);
    return partition == &alive ? S_OK : E_INVALIDARG;
}

EXPORT HRESULT WINAPI WHvMapGpaRange(WHV_PARTITION_HANDLE partition, VOID *hva,
                                     WHV_GUEST_PHYSICAL_ADDRESS gpa, UINT64 size,
                                     WHV_MAP_GPA_RANGE_FLAGS flags)
{
    memory = hva;
    return partition == &alive && alive == 2 && gpa == 0x1000 && size == 4096 && flags == 7
               ? S_OK
               : E_INVALIDARG;
}

EXPORT HRESULT WINAPI WHvCreateVirtualProcessor(WHV_PARTITION_HANDLE partition, UINT32 index,
                                                UINT32 flags)
{
    return partition == &alive && index == 0 && flags == 0 ? S_OK : E_INVALIDARG;
}

EXPORT HRESULT WINAPI WHvDeleteVirtualProcessor(WHV_PARTITION_HANDLE partition, UINT32 index)
{
    return partition == &alive && index == 0 ? S_OK : E_INVALIDARG;
}

EXPORT HRESULT WINAPI WHvSetVirtualProcessorRegisters(WHV_PARTITION_HANDLE partition, UINT32 index,
                                                      const WHV_REGISTER_NAME *names, UINT32 count,
                                                      const WHV_REGISTER_VALUE *values)
{
    for (UINT32 i = 0; i < count; i++) {
        pc = names[i] == WHvX64RegisterRip ? values[i].Reg64 : pc;
        if (names[i] == WHvX64RegisterCs && values[i].Segment.Base != 0) {
            return E_INVALIDARG;
        }
    }
    return partition == &alive && index == 0 ? S_OK : E_INVALIDARG;
}

EXPORT HRESULT WINAPI WHvRunVirtualProcessor(WHV_PARTITION_HANDLE partition, UINT32 index,
                                             VOID *buf, UINT32 size)
{
    WHV_RUN_VP_EXIT_CONTEXT *exit = buf;
    if (partition != &alive || index != 0 || size < sizeof(*exit) || memory[0] != 0x31) {
        return E_INVALIDARG;
    }
    memset(exit, 0, sizeof(*exit));
    if (is("stuck")) {
        WaitForSingleObject(canceled, 20000);
        exit->ExitReason = WHvRunVpExitReasonCanceled;
    } else if (is("odd")) {
        exit->ExitReason = WHvRunVpExitReasonUnrecoverableException;
    } else if (steps++ == 0) {
        if (pc != 0x1000) {
            return E_UNEXPECTED;
        }
        exit->ExitReason = WHvRunVpExitReasonX64IoPortAccess;
        exit->VpContext.Rip = 0x1014;
        exit->VpContext.InstructionLength = 2;
        exit->IoPortAccess.PortNumber = 0x10;
        exit->IoPortAccess.AccessInfo.IsWrite = 1;
        exit->IoPortAccess.Rax = is("wrong") ? 54 : 55;
        memory[0x800] = 55;
    } else {
        exit->ExitReason = WHvRunVpExitReasonX64Halt;
        return pc == 0x1016 ? S_OK : E_UNEXPECTED; /* behind the instruction */
    }
    return S_OK;
}

EXPORT HRESULT WINAPI WHvCancelRunVirtualProcessor(WHV_PARTITION_HANDLE partition, UINT32 index,
                                                   UINT32 flags)
{
    return partition == &alive && index == 0 && flags == 0 && SetEvent(canceled) ? S_OK
                                                                                 : E_INVALIDARG;
}
