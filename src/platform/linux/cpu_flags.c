/*
 * What the kernel knows better than the processor tells: features that an x86 processor has and
 * that are not to be used, since the kernel found them broken (RDSEED of some AMD processors) or
 * was told so (clearcpuid=). CPUID still shows them; the "flags" of proc(5), /proc/cpuinfo, are the
 * only place where they are missing. And whether guests can run, where only KVM knows.
 */
#include "platform/host.h"
#include "platform/kvm.h"
#include "platform/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { FLAGS_TEXT = 8192 }; /* the first processor's entry is much shorter */

/* The beginning of the file, with a NUL; false: cannot be read. */
static bool flags_read(char text[FLAGS_TEXT])
{
    size_t len = 0;
    int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    while (len < FLAGS_TEXT - 1) {
        ssize_t n = read(fd, text + len, FLAGS_TEXT - 1 - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    close(fd);
    text[len] = 0;
    return true;
}

/* Is @name one of the words of @list? */
static bool flags_have(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += len) {
        if (at[-1] == ' ' && (at[len] == ' ' || at[len] == 0)) {
            return true;
        }
    }
    return false;
}

static void flags_hide(struct vr_cpu_id *id)
{
    char text[FLAGS_TEXT];
    /* Under a user-mode emulator the file is another processor's. */
    bool ours = vireo_host_arch() == VIREO_ARCH_X86_64;
    char *list = ours && flags_read(text) ? strstr(text, "\nflags") : NULL, *end;
    list = list ? strchr(list, ':') : NULL;
    end = list ? strchr(list, '\n') : NULL;
    if (!end) {
        return; /* no such list here: what the processor says counts */
    }
    *end = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < id->feature_count; i++) {
        if (flags_have(list + 1, id->features[i])) {
            id->features[kept++] = id->features[i];
        }
    }
    id->feature_count = kept;
}

void vr_host_correct_cpu(struct vr_cpu_id *id)
{
    char text[16];
    struct vr_sysfs fs;
    flags_hide(id);
    /* Where programs are not told: a kernel has a KVM only if it found EL2 or H, and both come with
     * a second stage of translation. */
    if (id->virt == VIREO_UNKNOWN && vr_kvm_answers()) {
        id->virt = VIREO_YES;
        id->nested_paging = VIREO_YES;
    }
    /* Intel's nested paging is in an MSR; KVM tells what it found there. */
    if (id->virt == VIREO_YES && id->nested_paging == VIREO_UNKNOWN &&
        vr_sysfs_open(NULL, &fs, NULL) == 0) {
        if (vr_sysfs_text(&fs, "sys/module/kvm_intel/parameters/ept", text, sizeof(text)) == 0) {
            id->nested_paging = text[0] == 'Y' || text[0] == '1' ? VIREO_YES : VIREO_NO;
        }
        vr_sysfs_close(&fs);
    }
}
