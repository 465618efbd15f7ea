/* No program for a trial guest on this processor. */
#include "platform/kvm.h"

#include <errno.h>

int vr_kvm_trial_prepare(struct vr_kvm_trial *trial)
{
    (void)trial;
    return -ENOTSUP;
}

int vr_kvm_trial_exit(struct vr_kvm_trial *trial)
{
    (void)trial;
    return -EPROTO;
}
