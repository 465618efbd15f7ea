#include "platform/os.h"
#include "test.h"

#include "vireo/host_fault.h"
#include <stdio.h>
#include <string.h>
#include <windows.h>

size_t os_page(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

static const char *os_perms(const MEMORY_BASIC_INFORMATION *part)
{
    switch (part->State == MEM_COMMIT ? part->Protect & 0xff : 0) {
    case PAGE_NOACCESS:
        return "---";
    case PAGE_READONLY:
        return "r--";
    case PAGE_READWRITE:
    case PAGE_WRITECOPY:
        return "rw-";
    case PAGE_EXECUTE:
        return "--x";
    case PAGE_EXECUTE_READ:
        return "r-x";
    case PAGE_EXECUTE_READWRITE:
    case PAGE_EXECUTE_WRITECOPY:
        return "rwx";
    default:
        return "";
    }
}

const char *os_perms_at(const void *hva, char perms[4])
{
    MEMORY_BASIC_INFORMATION part;
    assert_int_not_equal(VirtualQuery(hva, &part, sizeof(part)), 0);
    memcpy(perms, os_perms(&part), strlen(os_perms(&part)) + 1);
    return perms;
}

unsigned os_count_written_and_run(void)
{
    MEMORY_BASIC_INFORMATION part;
    unsigned count = 0, bad = 0;
    for (uint8_t *at = NULL; VirtualQuery(at, &part, sizeof(part));
         at = (uint8_t *)part.BaseAddress + part.RegionSize) {
        bad += strcmp(os_perms(&part), "rwx") == 0;
        count++;
    }
    assert_true(count > 5);
    return bad;
}

/* Where os_touch_faults goes on after a fault. */
static bool os_skip(void *opaque, struct vireo_fault *fault)
{
    uintptr_t *after = opaque;
    fault->pc = after[0];
    after[1]++;
    return true;
}

bool os_touch_faults(uint8_t *at, bool write)
{
    uintptr_t after[2] = {0, 0};
    int id;
    assert_int_equal(vireo_fault_add(os_skip, after, &id, NULL), 0);
    if (write) { /* what is there already */
        __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                         "movq %%rax, %0\n\t"
                         "orb $0, (%1)\n"
                         "1:"
                         : "=m"(after[0])
                         : "r"(at)
                         : "rax", "cc", "memory");
    } else {
        __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                         "movq %%rax, %0\n\t"
                         "cmpb $0, (%1)\n"
                         "1:"
                         : "=m"(after[0])
                         : "r"(at)
                         : "rax", "cc", "memory");
    }
    vireo_fault_remove(id);
    return ((volatile uintptr_t *)after)[1] != 0;
}

uint32_t os_current_cpu(void)
{
    PROCESSOR_NUMBER number;
    GetCurrentProcessorNumberEx(&number);
    return 64u * number.Group + number.Number;
}

int os_file_make(uint64_t len)
{
    wchar_t folder[MAX_PATH], path[MAX_PATH];
    LARGE_INTEGER size = {.QuadPart = (LONGLONG)len};
    assert_int_not_equal(GetTempPathW(MAX_PATH, folder), 0);
    assert_int_not_equal(GetTempFileNameW(folder, L"vir", 0, path), 0);
    HANDLE file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE | DELETE,
                              FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                              CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL);
    assert_ptr_not_equal(file, INVALID_HANDLE_VALUE);
    assert_true(SetFilePointerEx(file, size, NULL, FILE_BEGIN) && SetEndOfFile(file));
    return (int)(intptr_t)file;
}

void os_file_read(int fd, void *buf, size_t len, uint64_t off)
{
    DWORD got = 0;
    OVERLAPPED at = {.Offset = (DWORD)off};
    assert_true(ReadFile((HANDLE)(intptr_t)fd, buf, (DWORD)len, &got, &at));
    assert_int_equal(got, len);
}

void os_file_close(int fd)
{
    assert_true(CloseHandle((HANDLE)(intptr_t)fd));
}
