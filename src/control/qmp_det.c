/* Commands of the control protocol about deterministic mode: state hashes, and how far it is. */
#include "control/qmp_commands.h"
#include "control/vm_priv.h"
#include "core/det.h"

#include <inttypes.h>
#include <stdio.h>

int vr_qmp_hash(struct vr_qmp_call *call, struct vr_error *err)
{
    uint64_t hash;
    char text[20];
    int r = vr_machine_hash(call->vm->machine, &hash, err);
    if (r == 0) {
        snprintf(text, sizeof(text), "%016" PRIx64, hash);
        r = vr_qmp_done(call, json_pack("{s:s}", "hash", text), err);
    }
    return r;
}

int vr_qmp_query_det(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vr_det_status s;
    if (!vr_machine_det(call->vm->machine)) {
        return vr_qmp_done(call, json_pack("{s:b}", "deterministic", false), err);
    }
    vr_det_status(call->vm->machine, &s);
    json_t *ret = json_pack("{s:b, s:o, s:o, s:o, s:b, s:b, s:o}", "deterministic", true, "step",
                            vr_qmp_number(s.steps), "beat", vr_qmp_number(s.beats), "guest-ns",
                            vr_qmp_number(s.time_ns), "recording", s.recording, "replaying",
                            s.replaying, "tape-bytes", vr_qmp_number(s.tape_bytes));
    if (ret && s.replaying) {
        (void)json_object_set_new(ret, "last-step", vr_qmp_number(s.end_steps));
        (void)json_object_set_new(ret, "hashes-compared", vr_qmp_number(s.hashes_ok));
    }
    return vr_qmp_done(call, ret, err);
}
