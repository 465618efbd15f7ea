/*
 * Code memory: one piece of memory at two addresses, by vm_remap() of Mach (mach/vm_map.h).
 *
 * MAP_JIT with pthread_jit_write_protect_np(3) is Darwin's other way: one address that is writable
 * or executable by turns, for each thread. It is not used here: a program's engine writes code on
 * one thread while another runs it, at addresses it keeps for both, as on every other host.
 * Programs with the hardened runtime need com.apple.security.cs.allow-unsigned-executable-memory;
 * iOS and tvOS refuse without a debugger.
 */
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_code.h"

#include <errno.h>
#include <mach/mach.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The second address, where @rw is read and run. */
static int jitmem_second(uint8_t *rw, size_t len, uint8_t **ret_rx, struct vr_error *err)
{
    vm_address_t rx = 0;
    vm_prot_t now, most;
    const char *step = "mapping it twice";
    kern_return_t r = vm_remap(mach_task_self(), &rx, len, 0, VM_FLAGS_ANYWHERE, mach_task_self(),
                               (vm_address_t)rw, FALSE, &now, &most, VM_INHERIT_SHARE);
    if (r == KERN_SUCCESS) {
        step = "making it executable";
        r = vm_protect(mach_task_self(), rx, len, FALSE, VM_PROT_READ | VM_PROT_EXECUTE);
        if (r == KERN_SUCCESS) {
            *ret_rx = (uint8_t *)rx;
            return 0;
        }
        vm_deallocate(mach_task_self(), rx, len);
    }
    return vr_err(err, r == KERN_NO_SPACE || r == KERN_RESOURCE_SHORTAGE ? -ENOMEM : -EACCES,
                  "code memory: %s: %s; a hardened runtime needs the entitlement "
                  "com.apple.security.cs.allow-unsigned-executable-memory",
                  step, mach_error_string(r));
}

int vireo_jitmem_create(size_t len, struct vireo_jitmem *ret_mem, struct vr_error *err)
{
    uint64_t whole;
    uint8_t *rx = NULL;
    if (len == 0) {
        return vr_err(err, -EINVAL, "code memory: the size is 0");
    }
    if (!vr_align_up_ok(len, (uint64_t)sysconf(_SC_PAGESIZE), &whole) || whole > INT64_MAX) {
        return vr_err(err, -ENOMEM, "code memory: %zu bytes are more than any host has", len);
    }
    /* Shared: a child process sees both addresses as one memory, too. */
    void *rw = mmap(NULL, (size_t)whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rw == MAP_FAILED) {
        int r = -errno;
        return vr_err(err, r, "code memory: cannot map %zu bytes: %s", (size_t)whole, strerror(-r));
    }
    int r = jitmem_second(rw, (size_t)whole, &rx, err);
    if (r < 0) {
        munmap(rw, (size_t)whole);
        return r;
    }
    *ret_mem = (struct vireo_jitmem){.rw = rw, .rx = rx, .len = (size_t)whole};
    return 0;
}

void vireo_jitmem_destroy(struct vireo_jitmem *mem)
{
    if (mem->rw) {
        munmap(mem->rw, mem->len);
        vm_deallocate(mach_task_self(), (vm_address_t)mem->rx, mem->len);
    }
    *mem = (struct vireo_jitmem){.len = 0};
}
