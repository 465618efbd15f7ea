/* Which x86-64 processors the back end writes code for: those of the psABI's level v3. */
#include "cpu/jit/jit.h"
#include "platform/host.h"

#include <errno.h>

const bool vr_jit_has_direct = true;

int vr_jit_available(struct vr_error *err)
{
    static const char *const needs[] = {"avx", "bmi1", "bmi2", "fma", "popcnt", "abm", "sse4_1"};
    const struct vr_cpu_id *id;
    int r = vr_host_cpu_id(&id, err);
    for (unsigned i = 0; r == 0 && i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (!vr_cpu_id_has(id, needs[i])) {
            r = vr_err(err, -ENOTSUP,
                       "the JIT needs a processor with %s (x86-64-v3), which this one has not",
                       needs[i]);
        }
    }
    return r;
}
