/* Hosts that keep their counters to themselves: Darwin's are behind a private interface (kpc),
 * which takes root or an entitlement of Apple's own. */
#include "base/err.h"
#include "vireo/host_counters.h"
#include "vireo/platform.h"

#include <errno.h>

int vireo_counters_open(struct vireo_counters **ret_counters, struct vr_error *err)
{
    (void)ret_counters;
    return vr_err(err, -EOPNOTSUPP,
                  "%s has no public interface for a thread's hardware counters: use its own tools",
                  vireo_os_name(vireo_host_os()));
}

void vireo_counters_close(struct vireo_counters *counters)
{
    vr_assert(!counters); /* none was ever opened */
}

void vireo_counters_read(const struct vireo_counters *counters, struct vireo_counts *ret_counts)
{
    (void)counters;
    *ret_counts = (struct vireo_counts){.count = {0}};
}
