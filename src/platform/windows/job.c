/* MSDN QueryInformationJobObject, JOBOBJECT_CPU_RATE_CONTROL_INFORMATION,
 * JOBOBJECT_EXTENDED_LIMIT_INFORMATION. Only the innermost job answers; its limits are never wider
 * than those of the jobs around it. */
#include "platform/windows/job.h"

#include <psapi.h>
#include <string.h>

#ifndef JOB_OBJECT_CPU_RATE_CONTROL_MIN_MAX_RATE /* mingw-w64 has not */
#define JOB_OBJECT_CPU_RATE_CONTROL_MIN_MAX_RATE 0x10
#endif

enum {
    JOB_RATE_ALL = 10000, /* a rate of all processors, all the time */
    JOB_PROCESSES = 256,  /* whose memory is summed up */
};

uint32_t vr_win_job_rate_milli(const JOBOBJECT_CPU_RATE_CONTROL_INFORMATION *rate, uint32_t cpus)
{
    uint64_t part = 0;
    if (!(rate->ControlFlags & JOB_OBJECT_CPU_RATE_CONTROL_ENABLE)) {
        return 0;
    }
    if (rate->ControlFlags & JOB_OBJECT_CPU_RATE_CONTROL_MIN_MAX_RATE) {
        part = rate->CpuRate >> 16; /* the union's MinRate and MaxRate, 16 bits each */
    } else if ((rate->ControlFlags & JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP) &&
               !(rate->ControlFlags & JOB_OBJECT_CPU_RATE_CONTROL_WEIGHT_BASED)) {
        part = rate->CpuRate; /* without the cap, it is a share under contention only */
    }
    if (part == 0 || part >= JOB_RATE_ALL) {
        return 0;
    }
    return (uint32_t)((part * cpus * 1000 + JOB_RATE_ALL - 1) / JOB_RATE_ALL);
}

uint64_t vr_win_job_memory_limit(const JOBOBJECT_EXTENDED_LIMIT_INFORMATION *limits,
                                 bool *ret_is_jobs)
{
    DWORD flags = limits->BasicLimitInformation.LimitFlags;
    uint64_t limit = UINT64_MAX;
    *ret_is_jobs = false;
    if (flags & JOB_OBJECT_LIMIT_PROCESS_MEMORY) {
        limit = limits->ProcessMemoryLimit;
    }
    if ((flags & JOB_OBJECT_LIMIT_JOB_MEMORY) && limits->JobMemoryLimit < limit) {
        limit = limits->JobMemoryLimit;
        *ret_is_jobs = true;
    }
    return limit;
}

static uint64_t job_committed(HANDLE process)
{
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof(counters)};
    return K32GetProcessMemoryInfo(process, &counters, sizeof(counters)) ? counters.PagefileUsage
                                                                         : 0;
}

/* Of the job's processes that this one may look at. */
static uint64_t job_committed_by_all(void)
{
    struct {
        JOBOBJECT_BASIC_PROCESS_ID_LIST list;
        ULONG_PTR more[JOB_PROCESSES - 1];
    } ids;
    uint64_t sum = 0;
    memset(&ids, 0, sizeof(ids));
    if (!QueryInformationJobObject(NULL, JobObjectBasicProcessIdList, &ids, sizeof(ids), NULL) &&
        GetLastError() != ERROR_MORE_DATA) {
        return job_committed(GetCurrentProcess());
    }
    const ULONG_PTR *id = ids.list.ProcessIdList;
    for (DWORD i = 0; i < ids.list.NumberOfProcessIdsInList && i < JOB_PROCESSES; i++) {
        HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)id[i]);
        if (process) {
            sum += job_committed(process);
            CloseHandle(process);
        }
    }
    return sum;
}

uint32_t vr_win_job_cpu_milli(uint32_t cpus)
{
    JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate = {.ControlFlags = 0};
    return QueryInformationJobObject(NULL, JobObjectCpuRateControlInformation, &rate, sizeof(rate),
                                     NULL)
               ? vr_win_job_rate_milli(&rate, cpus)
               : 0;
}

void vr_win_job_memory(uint64_t *ret_limit, uint64_t *ret_used)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {.ProcessMemoryLimit = 0};
    bool is_jobs;
    if (!QueryInformationJobObject(NULL, JobObjectExtendedLimitInformation, &limits, sizeof(limits),
                                   NULL)) {
        return; /* in no job */
    }
    uint64_t limit = vr_win_job_memory_limit(&limits, &is_jobs);
    if (limit != UINT64_MAX) {
        *ret_limit = limit;
        *ret_used = is_jobs ? job_committed_by_all() : job_committed(GetCurrentProcess());
    }
}
