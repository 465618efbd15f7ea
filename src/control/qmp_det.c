/* Commands of the control protocol about deterministic mode: state hashes, and how far it is. */
#include "control/qmp_commands.h"
#include "control/vm_priv.h"
#include "core/det.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int vr_qmp_hash(struct vr_qmp_call *call, struct vr_error *err)
{
    uint64_t hash;
    char text[20];
    int r = vr_machine_hash(call->vm->machine, &hash, err);
    if (r == 0) {
        snprintf(text, sizeof(text), "%016" PRIx64, hash);
        call->ret = json_pack("{s:s}", "hash", text);
        r = call->ret ? 0 : vr_err(err, -ENOMEM, "no memory");
    }
    return r;
}

static json_t *det_number(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

int vr_qmp_query_det(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vr_det_status s;
    if (!vr_machine_det(call->vm->machine)) {
        call->ret = json_pack("{s:b}", "deterministic", false);
        return call->ret ? 0 : vr_err(err, -ENOMEM, "no memory");
    }
    vr_det_status(call->vm->machine, &s);
    call->ret = json_pack("{s:b, s:o, s:o, s:o, s:b, s:b, s:o}", "deterministic", true, "step",
                          det_number(s.steps), "beat", det_number(s.beats), "guest-ns",
                          det_number(s.time_ns), "recording", s.recording, "replaying", s.replaying,
                          "tape-bytes", det_number(s.tape_bytes));
    if (call->ret && s.replaying) {
        (void)json_object_set_new(call->ret, "last-step", det_number(s.end_steps));
        (void)json_object_set_new(call->ret, "hashes-compared", det_number(s.hashes_ok));
    }
    return call->ret ? 0 : vr_err(err, -ENOMEM, "no memory");
}
