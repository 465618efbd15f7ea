/* KVM by its device. Linux Documentation/virt/kvm/api.rst, sections 4.1 and 4.2. */
#include "platform/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

void vr_kvm_probe(struct vr_kvm_probe *ret_probe)
{
    struct vr_kvm_probe p = {0};
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        p.open_error = p.api = p.create_error = -errno;
        p.exists = errno != ENOENT;
        *ret_probe = p;
        return;
    }
    p.exists = true;
    p.api = ioctl(fd, KVM_GET_API_VERSION, 0);
    p.api = p.api < 0 ? -errno : p.api;
    int vm = ioctl(fd, KVM_CREATE_VM, 0);
    p.create_error = vm < 0 ? -errno : 0;
    if (vm >= 0) {
        close(vm);
    }
    close(fd);
    *ret_probe = p;
}

const char *vr_host_cpu(void)
{
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#elif defined(__i386__)
    return "i386";
#elif defined(__arm__)
    return "arm";
#elif defined(__powerpc64__)
    return "ppc64";
#elif defined(__s390x__)
    return "s390x";
#elif defined(__loongarch64)
    return "loongarch64";
#else
    return "another CPU";
#endif
}
