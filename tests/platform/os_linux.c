#include "os.h"

#include <sched.h>

uint32_t os_current_cpu(void)
{
    return (uint32_t)sched_getcpu();
}
