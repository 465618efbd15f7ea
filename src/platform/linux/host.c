/* Which system this is, and its version. */
#include "platform/host.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/hostfile.h"
#include "platform/kvm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static atomic_int host_kind; /* enum vireo_os; 0: not looked yet */

static bool host_exists(const char *root, const char *path)
{
    char full[VR_HOSTFILE_PATH];
    int n = snprintf(full, sizeof(full), "%s%s", root, path);
    return n > 0 && (size_t)n < sizeof(full) && access(full, F_OK) == 0;
}

/* Kinds of Linux by a file that each has: OpenHarmony's parameters (startup_init: "param"),
 * Android's build properties. */
static enum vireo_os host_os(const char *root)
{
#if defined(__OHOS__)
    enum vireo_os kind = VIREO_OS_HARMONYOS;
#elif defined(__ANDROID__)
    enum vireo_os kind = VIREO_OS_ANDROID;
#else
    enum vireo_os kind = VIREO_OS_LINUX;
#endif
    if (!*root && kind != VIREO_OS_LINUX) {
        return kind;
    }
    if (host_exists(root, "/system/etc/param/ohos.para") ||
        host_exists(root, "/etc/param/ohos.para")) {
        return VIREO_OS_HARMONYOS;
    }
    return host_exists(root, "/system/build.prop") ? VIREO_OS_ANDROID : VIREO_OS_LINUX;
}

enum vireo_os vireo_host_os(void)
{
    int kind = atomic_load_explicit(&host_kind, memory_order_relaxed);
    if (kind == 0) {
        kind = (int)host_os("");
        atomic_store_explicit(&host_kind, kind, memory_order_relaxed);
    }
    return (enum vireo_os)kind;
}

/* The value of "@key=" at the start of a line, without quotes: os-release(5), and Android's and
 * OpenHarmony's property files. */
static void host_value(const char *text, const char *key, char *ret_val, size_t size)
{
    size_t key_len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_len) == 0 && line[key_len] == '=') {
            const char *val = line + key_len + 1;
            size_t len = strcspn(val, "\n");
            if (len >= 2 && (val[0] == '"' || val[0] == '\'') && val[len - 1] == val[0]) {
                val++;
                len -= 2;
            }
            snprintf(ret_val, size, "%.*s", (int)len, val);
            return;
        }
    }
}

int vr_host_read_os(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    static const struct {
        const char *path, *name, *version;
    } files[] = {
        {"/etc/os-release", "PRETTY_NAME", "VERSION_ID"},
        {"/usr/lib/os-release", "PRETTY_NAME", "VERSION_ID"},
        {"/system/build.prop", "ro.product.model", "ro.build.version.release"},
        {"/system/etc/param/ohos.para", "const.ohos.fullname", "const.ohos.apiversion"},
        {"/etc/param/ohos.para", "const.ohos.fullname", "const.ohos.apiversion"},
    };
    char text[16384];
    struct utsname un;
    (void)err; /* what cannot be read stays unknown */
    host->os = *root ? host_os(root) : vireo_host_os();
    for (unsigned i = 0; i < VR_COUNT(files) && !host->os_name[0]; i++) {
        if (vr_hostfile_text(text, sizeof(text), root, "%s", files[i].path) >= 0) {
            host_value(text, files[i].name, host->os_name, sizeof(host->os_name));
            host_value(text, files[i].version, host->os_version, sizeof(host->os_version));
        }
    }
    if (!host->os_name[0]) {
        snprintf(host->os_name, sizeof(host->os_name), "%s", vireo_os_name(host->os));
    }
    if (vr_hostfile_text(text, sizeof(text), root, "/proc/sys/kernel/osrelease") >= 0) {
        snprintf(host->kernel_version, sizeof(host->kernel_version), "%.*s",
                 (int)strcspn(text, "\n"), text);
    } else if (!*root && uname(&un) == 0) {
        snprintf(host->kernel_version, sizeof(host->kernel_version), "%s", un.release);
    }
    return 0;
}
