/* What is found out of a Windows host: versions, limits of jobs, folders, errors. */
#include "test.h"

#include "platform/windows/job.h"
#include "vireo/host_manager.h"
#include "vireo/host_mdev.h"
#include "vireo/host_sriov.h"
#include "vireo/platform.h"
#include <errno.h>
#include <string.h>
#include <windows.h>

static void the_version_is_windows_own(void **state)
{
    const struct vireo_platform *h;
    struct vireo_platform *other;
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_platform_get(&h, NULL), 0);
    assert_int_equal(h->os, VIREO_OS_WINDOWS);
    assert_non_null(strstr(h->os_name, "Windows"));
    assert_true(strchr(h->kernel_version, '.') && h->kernel_version[0] != '0');
    bool wine = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") != NULL;
    assert_int_equal(strstr(h->os_name, "Wine ") != NULL, wine);
    print_message("# %s, %s, %s; %s\n", h->os_name, h->os_version, h->kernel_version, h->cpu.model);
    assert_int_equal(vireo_platform_read("C:\\", &other, &err), -ENOTSUP);
    assert_non_null(strstr(err.msg, "Linux"));
}

static void processors_are_those_of_the_system(void **state)
{
    const struct vireo_platform *h;
    uint32_t count = 0;
    (void)state;
    assert_int_equal(vireo_platform_get(&h, NULL), 0);
    assert_int_equal(h->cpu.count, GetActiveProcessorCount(ALL_PROCESSOR_GROUPS));
    for (uint32_t i = 0; i < h->node_count; i++) {
        count += h->nodes[i].cpu_count;
    }
    assert_int_equal(count, h->cpu.count);
    assert_true(h->memory.total_bytes > 0 && h->memory.page_bytes == 4096);
}

static void shares_of_processors_are_counted(void **state)
{
    enum { ON = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE, CAP = JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP };
    static const struct {
        DWORD flags, rate;
        uint32_t cpus, milli;
    } cases[] = {
        {0, 5000, 8, 0},
        {ON | CAP, 5000, 8, 4000},
        {ON | CAP, 1, 1, 1},
        {ON | CAP, 10000, 8, 0}, /* all of it is no limit */
        {ON | CAP, 0, 8, 0},
        {ON, 5000, 8, 0}, /* without a cap: only when others want it */
        {ON | CAP | JOB_OBJECT_CPU_RATE_CONTROL_WEIGHT_BASED, 5, 8, 0},
        {ON | 0x10, 2500u << 16 | 100, 4, 1000}, /* least and most */
        {ON | CAP, 10000 - 1, 4096, 4095591},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate = {.ControlFlags = cases[i].flags};
        rate.CpuRate = cases[i].rate;
        assert_int_equal(vr_win_job_rate_milli(&rate, cases[i].cpus), cases[i].milli);
    }
}

static void the_tighter_limit_of_memory_counts(void **state)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION l = {.ProcessMemoryLimit = 100, .JobMemoryLimit = 50};
    bool jobs = true;
    (void)state;
    assert_true(vr_win_job_memory_limit(&l, &jobs) == UINT64_MAX && !jobs);
    l.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_PROCESS_MEMORY;
    assert_true(vr_win_job_memory_limit(&l, &jobs) == 100 && !jobs);
    l.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
    assert_true(vr_win_job_memory_limit(&l, &jobs) == 50 && jobs);
    l.JobMemoryLimit = 200;
    assert_true(vr_win_job_memory_limit(&l, &jobs) == 100 && !jobs);
}

/* Who asks gets the reason, and nothing else. */
static void devices_are_not_here_and_why(void **state)
{
    struct vireo_pci *pci = NULL;
    struct vireo_vfio_space *space = NULL;
    struct vireo_manager *manager = NULL;
    struct vireo_mdev parts[1];
    struct vireo_mdev_type types[1];
    size_t count = 77;
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_pci_scan(NULL, &pci, &err), -ENOTSUP);
    assert_non_null(strstr(err.msg, "sysfs"));
    assert_null(pci);
    vireo_pci_destroy(NULL);
    vireo_plan_destroy(NULL);
    assert_int_equal(vireo_mdev_types(NULL, types, 1, &count, &err), -ENOTSUP);
    assert_int_equal(vireo_mdev_list(NULL, parts, 1, &count, &err), -ENOTSUP);
    assert_int_equal(vireo_mdev_create(NULL, "p", "t", NULL, NULL, &err), -ENOTSUP);
    assert_int_equal(vireo_mdev_destroy(NULL, "00000000-0000-0000-0000-000000000000", &err),
                     -ENOTSUP);
    assert_int_equal(count, 77);
    assert_int_equal(vireo_vfio_space_create(NULL, &space, &err), -ENOTSUP);
    assert_int_equal(vireo_manager_create(NULL, &manager, &err), -ENOTSUP);
    assert_non_null(strstr(err.msg, "only Linux has"));
    assert_true(!space && !manager);
    assert_string_equal(vireo_iommu_kind_name(VIREO_IOMMU_INTEL), "Intel VT-d");
}

/* A real job, where the host keeps such limits. Last: a job cannot be left. */
static void this_process_sees_its_job(void **state)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION l = {.JobMemoryLimit = 512u << 20}, again = {0};
    struct vireo_memory m;
    (void)state;
    HANDLE job = CreateJobObjectW(NULL, NULL);
    assert_non_null(job);
    l.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_JOB_MEMORY;
    if (!SetInformationJobObject(job, JobObjectExtendedLimitInformation, &l, sizeof(l)) ||
        !AssignProcessToJobObject(job, GetCurrentProcess()) ||
        !QueryInformationJobObject(NULL, JobObjectExtendedLimitInformation, &again, sizeof(again),
                                   NULL) ||
        again.JobMemoryLimit != l.JobMemoryLimit) {
        CloseHandle(job);
        skip_because("this host's jobs keep no limit of memory (Wine's do not)");
    }
    assert_int_equal(vireo_platform_memory(&m, NULL), 0);
    assert_int_equal(m.limit_bytes, l.JobMemoryLimit);
    assert_true(m.limit_used_bytes > 0 && m.limit_used_bytes <= m.limit_bytes);
    CloseHandle(job);
}

static void folders_follow_the_environment(void **state)
{
    char path[512], small[8];
    struct vr_error err;
    (void)state;
    SetEnvironmentVariableW(L"APPDATA", L"C:\\Users\\\u00fc\\AppData\\Roaming");
    SetEnvironmentVariableW(L"LOCALAPPDATA", L"D:/local\\");
    assert_int_equal(vireo_platform_path(VIREO_PATH_CONFIG, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "C:\\Users\\\xc3\xbc\\AppData\\Roaming\\vireo");
    assert_int_equal(vireo_platform_path(VIREO_PATH_DATA, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "D:/local\\vireo\\data");
    assert_int_equal(vireo_platform_path(VIREO_PATH_CACHE, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "D:/local\\vireo\\cache");
    assert_int_equal(vireo_platform_path(VIREO_PATH_RUNTIME, small, sizeof(small), &err),
                     -ENAMETOOLONG);
    SetEnvironmentVariableW(L"LOCALAPPDATA", L"relative\\is\\ignored");
    SetEnvironmentVariableW(L"USERPROFILE", L"\\\\server\\share\\me");
    assert_int_equal(vireo_platform_path(VIREO_PATH_RUNTIME, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "\\\\server\\share\\me\\AppData\\Local\\vireo\\run");
    SetEnvironmentVariableW(L"USERPROFILE", NULL);
    assert_int_equal(vireo_platform_path(VIREO_PATH_DATA, path, sizeof(path), &err), -ENOENT);
    assert_non_null(strstr(err.msg, "LOCALAPPDATA"));
    assert_int_equal(vireo_platform_path((enum vireo_path)9, path, sizeof(path), &err), -EINVAL);
}

static void errors_have_numbers_and_words(void **state)
{
    struct vr_error err;
    (void)state;
    assert_int_equal(vr_win_err(&err, ERROR_ACCESS_DENIED, "disk %d", 3), -EACCES);
    assert_int_equal(err.code, -EACCES);
    assert_int_equal(strncmp(err.msg, "disk 3: ", 8), 0);
    assert_non_null(strstr(err.msg, "(Windows error 5)"));
    assert_int_equal(vr_win_err(&err, 0x0fffffff, "odd"), -EIO);
    assert_non_null(strstr(err.msg, "odd: "));
    assert_int_equal(vr_win_errno(ERROR_COMMITMENT_LIMIT), -ENOMEM);
    assert_int_equal(vr_win_errno(ERROR_PRIVILEGE_NOT_HELD), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_windows_own),
        cmocka_unit_test(processors_are_those_of_the_system),
        cmocka_unit_test(shares_of_processors_are_counted),
        cmocka_unit_test(the_tighter_limit_of_memory_counts),
        cmocka_unit_test(folders_follow_the_environment),
        cmocka_unit_test(errors_have_numbers_and_words),
        cmocka_unit_test(devices_are_not_here_and_why),
        cmocka_unit_test(this_process_sees_its_job),
    };
    return cmocka_run_group_tests_name("win_host", tests, NULL, NULL);
}
