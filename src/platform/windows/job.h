/* Limits of the job that this process is in: Windows' counterpart of cgroups. */
#ifndef VR_PLATFORM_WIN_JOB_H
#define VR_PLATFORM_WIN_JOB_H

#include "platform/windows/win.h"

/* Thousandths of a processor that the job may use of @cpus processors; 0: no limit. */
uint32_t vr_win_job_cpu_milli(uint32_t cpus);
/* Bytes that may be committed, UINT64_MAX: no limit, and how many are; 0 without a limit. */
void vr_win_job_memory(uint64_t *ret_limit, uint64_t *ret_used);

/* The same from what a job answers. */
uint32_t vr_win_job_rate_milli(const JOBOBJECT_CPU_RATE_CONTROL_INFORMATION *rate, uint32_t cpus);
uint64_t vr_win_job_memory_limit(const JOBOBJECT_EXTENDED_LIMIT_INFORMATION *limits,
                                 bool *ret_is_jobs);

#endif
