/*
 * KVM by its device (Linux Documentation/virt/kvm/api.rst). That /dev/kvm opens says little: nested
 * without hardware help, in a sandbox, or with a broken module it makes machines that do not run.
 *
 * The time limit: the trial has a thread of its own, in which all signals are blocked but for one,
 * and that one only inside KVM_RUN (KVM_SET_SIGNAL_MASK). A timer sends it to this thread; no
 * handler is installed, since it stays pending and dies with the thread.
 */
#include "platform/kvm.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { KVM_TRIAL_MS = 250, KVM_TRIAL_RUNS = 1000, KVM_MEMORY = 65536 };

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct kvm_trial {
    int kvm;
    int result;       /* 0: it ran; negative errno */
    const char *step; /* what failed */
};

/* Send SIGURG, which ends KVM_RUN, to the calling thread when time is up. */
static int kvm_limit(int vcpu, timer_t *ret_timer)
{
    union {
        struct kvm_signal_mask mask;
        uint8_t bytes[sizeof(struct kvm_signal_mask) + 8];
    } u = {.mask = {.len = 8}};
    uint64_t blocked = ~(UINT64_C(1) << (SIGURG - 1));
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG};
    struct itimerspec when = {.it_value.tv_nsec = KVM_TRIAL_MS * 1000000L,
                              .it_interval.tv_nsec = KVM_TRIAL_MS * 1000000L};
    memcpy(u.bytes + offsetof(struct kvm_signal_mask, sigset), &blocked, sizeof(blocked));
    if (ioctl(vcpu, KVM_SET_SIGNAL_MASK, &u) < 0) {
        return -errno;
    }
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, ret_timer) < 0) {
        return -errno;
    }
    if (timer_settime(*ret_timer, 0, &when, NULL) < 0) {
        int r = -errno;
        timer_delete(*ret_timer);
        return r;
    }
    return 0;
}

static int kvm_run(struct kvm_trial *t, struct vr_kvm_trial *guest)
{
    timer_t timer;
    t->step = "setting a time limit";
    int r = kvm_limit(guest->vcpu, &timer);
    if (r < 0) {
        return r;
    }
    t->step = "KVM_RUN";
    r = 0;
    for (unsigned i = 0; i < KVM_TRIAL_RUNS && r == 0; i++) {
        if (ioctl(guest->vcpu, KVM_RUN, 0) < 0) {
            r = errno == EINTR ? -ETIMEDOUT : -errno;
        } else {
            r = vr_kvm_trial_exit(guest);
        }
    }
    timer_delete(timer);
    return r > 0 ? 0 : r == 0 ? -ETIMEDOUT : r;
}

static int kvm_vcpu(struct kvm_trial *t, struct vr_kvm_trial *guest)
{
    t->step = "KVM_GET_VCPU_MMAP_SIZE";
    int len = ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (len < (int)sizeof(struct kvm_run)) {
        return len < 0 ? -errno : -EPROTO;
    }
    t->step = "mapping the vCPU";
    guest->run = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
    if (guest->run == MAP_FAILED) {
        return -errno;
    }
    t->step = "setting the vCPU's registers";
    int r = vr_kvm_trial_prepare(guest);
    r = r < 0 ? r : kvm_run(t, guest);
    munmap(guest->run, (size_t)len);
    return r;
}

static int kvm_machine(struct kvm_trial *t)
{
    struct vr_kvm_trial guest = {.vcpu = -1};
    t->step = "KVM_CREATE_VM";
    guest.vm = ioctl(t->kvm, KVM_CREATE_VM, 0);
    if (guest.vm < 0) {
        return -errno;
    }
    t->step = "giving it memory";
    int r = -ENOMEM;
    void *memory =
        mmap(NULL, KVM_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
        struct kvm_userspace_memory_region region = {.memory_size = KVM_MEMORY,
                                                     .userspace_addr = (uint64_t)(uintptr_t)memory};
        guest.memory = memory;
        r = ioctl(guest.vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
        if (r == 0) {
            t->step = "KVM_CREATE_VCPU";
            guest.vcpu = ioctl(guest.vm, KVM_CREATE_VCPU, 0);
            r = guest.vcpu < 0 ? -errno : kvm_vcpu(t, &guest);
        }
    }
    if (guest.vcpu >= 0) {
        close(guest.vcpu);
    }
    close(guest.vm);
    if (memory != MAP_FAILED) {
        munmap(memory, KVM_MEMORY);
    }
    return r;
}

static void kvm_main(void *arg)
{
    struct kvm_trial *t = arg;
    t->result = kvm_machine(t);
}

/* @fd is the opened device. */
static void kvm_try_fd(int fd, struct vireo_ability *kvm)
{
    struct kvm_trial t = {.kvm = fd};
    struct vireo_thread *thread;
    struct vr_error err;
    int api = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (api < 0) {
        snprintf(kvm->detail, sizeof(kvm->detail),
                 "/dev/kvm opens, but does not say its version: %s", strerror(errno));
        return;
    }
    if (api != KVM_API_VERSION) {
        snprintf(kvm->detail, sizeof(kvm->detail),
                 "/dev/kvm opens, but speaks version %d of its protocol, not %d", api,
                 KVM_API_VERSION);
        return;
    }
    if (vireo_thread_create("vr-kvm-trial", kvm_main, &t, &thread, &err) < 0) {
        snprintf(kvm->detail, sizeof(kvm->detail), "/dev/kvm opens; not tried: %.100s", err.msg);
        return;
    }
    vireo_thread_join(thread);
    kvm->works = t.result == 0;
    if (t.result == 0) {
        snprintf(kvm->detail, sizeof(kvm->detail), "a guest of a few instructions ran to its end");
    } else if (t.result == -ENOTSUP && strcmp(t.step, "setting the vCPU's registers") == 0) {
        snprintf(kvm->detail, sizeof(kvm->detail),
                 "a machine and a vCPU can be made; whether guests run was not tried: there is no "
                 "test program for %s",
                 vr_host_cpu());
    } else if (t.result == -ETIMEDOUT) {
        snprintf(kvm->detail, sizeof(kvm->detail),
                 "a guest of a few instructions did not end in %d ms: this KVM is broken",
                 KVM_TRIAL_MS);
    } else {
        snprintf(kvm->detail, sizeof(kvm->detail), "/dev/kvm opens, but runs no guest: %s: %s",
                 t.step,
                 t.result == -EPROTO ? "the guest went astray: this KVM is broken"
                                     : strerror(-t.result));
    }
}

bool vr_kvm_answers(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    bool yes = fd >= 0 && ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION;
    if (fd >= 0) {
        close(fd);
    }
    return yes;
}

void vr_kvm_try(struct vireo_ability *ret_kvm)
{
    struct vireo_ability kvm = {.present = true};
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int r = fd < 0 ? -errno : 0;
    if (r == 0) {
        kvm_try_fd(fd, &kvm);
        close(fd);
    } else if (r == -ENOENT || r == -ENOTDIR) {
        kvm.present = false;
        snprintf(kvm.detail, sizeof(kvm.detail),
                 "this host has no /dev/kvm: no hardware virtualization here, or its module (kvm) "
                 "is not loaded");
    } else if (r == -EACCES || r == -EPERM) {
        snprintf(kvm.detail, sizeof(kvm.detail),
                 "/dev/kvm does not open: %s; join the group kvm: usermod -aG kvm USER",
                 strerror(-r));
    } else {
        snprintf(kvm.detail, sizeof(kvm.detail), "/dev/kvm does not open: %s", strerror(-r));
    }
    *ret_kvm = kvm;
}
