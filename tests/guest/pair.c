/*
 * Two Debian kernels side by side in one process, through the public interface alone. Prints TAP.
 *
 *     pair KERNEL INITRAMFS
 */
#include "guest.h"

#include <stdint.h>
#include <stdio.h>

static bool start(struct guest *g, char **argv, const char *cpus)
{
    const struct guest_setting settings[] = {
        {"kernel", argv[1]}, {"initrd", argv[2]}, {"append", "quiet"},
        {"memory", "192M"},  {"cpus", cpus},      {NULL, NULL},
    };
    return guest_start(g, settings);
}

/* Each step is a test; the next makes sense only after the last. */
static bool steps(struct guest *a, struct guest *b, char **argv)
{
    struct vr_error err;
    bool ok = start(a, argv, "1") && start(b, argv, "2");
    ok = ok && guest_expect(a, "~ # ", 1) && guest_expect(b, "~ # ", 1);
    if (!result(ok, "two kernels boot side by side in one process")) {
        return false;
    }
    ok = guest_type(a, "echo $(nproc) is-$((1000+1))\n") &&
         guest_type(b, "echo $(nproc) is-$((2000+2))\n") && guest_expect(a, "1 is-1001", 1) &&
         guest_expect(b, "2 is-2002", 1) && !guest_said(a, "is-2002") && !guest_said(b, "is-1001");
    if (!result(ok, "each hears and says its own")) {
        return false;
    }
    ok = vireo_vm_pause(a->vm, &err) == 0 && vireo_vm_state(a->vm) == VIREO_PAUSED;
    uint64_t at_ns = vireo_vm_time_ns(a->vm);
    ok = ok && guest_type(a, "echo after-$((30+3))\n") && guest_type(b, "echo while-$((40+4))\n") &&
         guest_expect(b, "while-44", 1) && !guest_said(a, "after-33") &&
         vireo_vm_time_ns(a->vm) == at_ns && vireo_vm_resume(a->vm, &err) == 0 &&
         guest_expect(a, "after-33", 1);
    if (!result(ok, "one stands still, the other goes on")) {
        return false;
    }
    vireo_vm_reset(b->vm);
    ok = guest_expect(b, "busybox shell", 2) && guest_type(a, "echo still-$((50+5))\n") &&
         guest_expect(a, "still-55", 1);
    if (!result(ok, "one starts over, the other does not notice")) {
        return false;
    }
    ok = guest_type(a, "poweroff -f\n") && guest_ended(a, VIREO_END_POWEROFF, 0) &&
         vireo_vm_state(b->vm) == VIREO_RUNNING;
    vireo_vm_stop(b->vm, 3);
    return result(ok && guest_ended(b, VIREO_END_STOP, 3), "one powers off, one is stopped");
}

int main(int argc, char **argv)
{
    static struct guest a = GUEST("anna"), b = GUEST("bert");
    if (argc != 3) {
        fprintf(stderr, "usage: pair KERNEL INITRAMFS\n");
        return 2;
    }
    bool ok = steps(&a, &b, argv);
    vireo_vm_destroy(a.vm);
    vireo_vm_destroy(b.vm);
    return results_end(ok);
}
