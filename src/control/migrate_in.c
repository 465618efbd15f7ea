/* The target of a live migration: a configuration comes, then memory, then the rest; then it runs.
 * See migrate.c for who has the machine when. */
#include "base/bits.h"
#include "control/migrate_rx.h"
#include "control/vm_priv.h"

#include <errno.h>
#include <string.h>

enum { IN_QUIET_MS = 60000, IN_ANSWER_MS = 10000 };

struct in_making {
    const struct vireo_config *changes;
    bool unix_socket;
    struct vireo_vm *vm;
};

/* What is about how it starts here, and not saved: the user of this end said it, nobody else. */
static int in_once(const struct vireo_config *changes, struct vireo_config *to,
                   struct vr_error *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < changes->said_count; i++) {
        const struct vr_config_said *said = &changes->said[i];
        r = said->opt->once && !said->why ? vr_config_apply(to, said->opt, said->value, err) : 0;
    }
    return r;
}

/* The settings that came, but of each option that @changes has those; names of files made absolute,
 * as those that came are. How a host runs the machine is this one's: memory it takes at once,
 * processors, what the engine writes and which signals it hears are not for the other side to say.
 */
static int in_config(const char *text, size_t len, const struct vireo_config *changes,
                     struct vireo_config **ret_config, struct vr_error *err)
{
    struct vireo_config *came = NULL, *base = NULL, *over = NULL;
    int r = vireo_config_load(text, len, &came, err);
    r = r < 0 ? r : vr_config_host_of(came, changes, &base, err);
    r = r < 0 ? r : vr_config_copy(changes, &over, err);
    r = r < 0 ? r : in_once(changes, over, err);
    r = r < 0 ? r : vr_config_override(base, over, ret_config, err);
    vireo_config_destroy(came);
    vireo_config_destroy(base);
    vireo_config_destroy(over);
    return r;
}

static int in_make(void *opaque, const char *config, size_t len, struct vr_machine **ret_machine,
                   struct vr_error *err)
{
    struct in_making *in = opaque;
    struct vireo_config *c = NULL;
    int r = in_config(config, len, in->changes, &c, err);
    r = r < 0 ? r : vr_mig_consent(c, in->changes, in->unix_socket, err);
    if (r == 0) {
        vireo_config_on_log(c, in->changes->log_level, in->changes->log_fn,
                            in->changes->log_opaque);
        r = vr_vm_create_incoming(c, !vr_config_given(in->changes, "name"), &in->vm, err);
    }
    vireo_config_destroy(c);
    if (r == 0) {
        *ret_machine = in->vm->machine;
    }
    return r;
}

static int in_frames(struct vr_mig_link *link, struct vr_mig_rx *rx, struct vr_error *err)
{
    int r = 0;
    while (r == 0 && !rx->complete) {
        struct vr_mig_frame f;
        enum vr_mig_type answer;
        uint64_t number = 0;
        uint8_t raw[8];
        r = vr_mig_recv(link, IN_QUIET_MS, &f, err);
        r = r < 0 ? r : vr_mig_rx_frame(rx, &f, &answer, &number, err);
        if (r == 0 && answer) {
            vr_store_le64(raw, number);
            r = vr_mig_send(link, answer, raw, answer == VR_MIG_ROUND_OK ? 8 : 0, NULL, 0,
                            IN_ANSWER_MS, err);
        }
    }
    return r;
}

/* From the moment that everything has arrived, the machine is ours: the source goes on only if we
 * say that we failed, or hang up without having said that we run. */
static int in_take(struct vr_mig_link *link, struct vr_mig_rx *rx, struct vireo_vm *vm,
                   struct vr_error *err)
{
    int r = vr_mig_rx_load(rx, err);
    r = r < 0 ? r : vr_virt_hold_disks(vm->virt, true, err);
    if (r < 0) {
        return r;
    }
    vm->incoming = false;
    vr_virt_announce(vm->virt, true);
    /* Should the source have died: so much the more. */
    (void)!vr_mig_send(link, VR_MIG_RUNNING, NULL, 0, NULL, 0, IN_ANSWER_MS, NULL);
    return 0;
}

int vireo_vm_receive(const struct vireo_config *changes, const char *uri,
                     void (*listening)(void *opaque), void *opaque, struct vireo_vm **ret_vm,
                     struct vr_error *err)
{
    struct in_making in = {.changes = changes, .unix_socket = vr_mig_is_unix(uri)};
    struct vr_mig_link link = {.stream.fd = -1};
    struct vr_mig_rx rx;
    struct vr_error why = {0};
    int fd, r = vr_mig_accept(uri, listening, opaque, &fd, err);
    r = r < 0 ? r : vr_mig_link_init(&link, fd, NULL, err);
    if (r < 0) {
        return r;
    }
    vr_mig_rx_init(&rx, in_make, &in);
    r = in_frames(&link, &rx, &why);
    r = r < 0 ? r : in_take(&link, &rx, in.vm, &why);
    if (r == 0) {
        r = rx.runs ? vr_machine_resume(in.vm->machine) : 0;
        vr_assert(r == 0);
    } else {
        vr_mig_plain(why.msg);
        (void)!vr_mig_send(&link, VR_MIG_FAILED, NULL, 0, why.msg, (uint32_t)strlen(why.msg), 1000,
                           NULL);
        vr_err(err, r, "no machine came to %s: %s", uri, why.msg);
    }
    vr_mig_rx_fini(&rx);
    if (r < 0) {
        vireo_vm_destroy(in.vm);
        vr_mig_link_fini(&link);
        return r;
    }
    vr_mig_link_fini(&link);
    *ret_vm = in.vm;
    return 0;
}
