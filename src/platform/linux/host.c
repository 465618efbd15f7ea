/* Which system this is, and its version. */
#include "platform/host.h"
#include "base/bits.h"
#include "platform/sysfs.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static atomic_int host_kind; /* enum vireo_os; 0: not looked yet */

/* Kinds of Linux by a file that each has: OpenHarmony's parameters (startup_init: "param"),
 * Android's build properties. */
static enum vireo_os host_os(const struct vr_sysfs *fs)
{
    if (vr_sysfs_exists(fs, "system/etc/param/ohos.para") ||
        vr_sysfs_exists(fs, "etc/param/ohos.para")) {
        return VIREO_OS_HARMONYOS;
    }
    return vr_sysfs_exists(fs, "system/build.prop") ? VIREO_OS_ANDROID : VIREO_OS_LINUX;
}

/* What we are compiled for says it, unless it is plain Linux: such programs run on the others, too.
 * There one look is enough: only the others have /system. */
static enum vireo_os host_os_here(void)
{
#if defined(__OHOS__)
    return VIREO_OS_HARMONYOS;
#elif defined(__ANDROID__)
    return VIREO_OS_ANDROID;
#else
    struct vr_sysfs fs;
    enum vireo_os kind = VIREO_OS_LINUX;
    if (access("/system", F_OK) == 0 && vr_sysfs_open(NULL, &fs, NULL) == 0) {
        kind = host_os(&fs);
        vr_sysfs_close(&fs);
    }
    return kind;
#endif
}

enum vireo_os vireo_host_os(void)
{
    int kind = atomic_load_explicit(&host_kind, memory_order_relaxed);
    if (kind == 0) {
        kind = (int)host_os_here();
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

static void os_read(const struct vr_sysfs *fs, struct vireo_platform *host)
{
    static const struct {
        const char *path, *name, *version;
    } files[] = {
        {"etc/os-release", "PRETTY_NAME", "VERSION_ID"},
        {"usr/lib/os-release", "PRETTY_NAME", "VERSION_ID"},
        {"system/build.prop", "ro.product.model", "ro.build.version.release"},
        {"system/etc/param/ohos.para", "const.ohos.fullname", "const.ohos.apiversion"},
        {"etc/param/ohos.para", "const.ohos.fullname", "const.ohos.apiversion"},
    };
    char text[VR_SYSFS_TEXT];
    struct utsname un;
    host->os = fs->replaced ? host_os(fs) : vireo_host_os();
    for (unsigned i = 0; i < VR_COUNT(files) && !host->os_name[0]; i++) {
        if (vr_sysfs_text(fs, files[i].path, text, sizeof(text)) >= 0) {
            host_value(text, files[i].name, host->os_name, sizeof(host->os_name));
            host_value(text, files[i].version, host->os_version, sizeof(host->os_version));
        }
    }
    if (!host->os_name[0]) {
        snprintf(host->os_name, sizeof(host->os_name), "%s", vireo_os_name(host->os));
    }
    if (vr_sysfs_text(fs, "proc/sys/kernel/osrelease", text, sizeof(text)) >= 0) {
        snprintf(host->kernel_version, sizeof(host->kernel_version), "%.*s",
                 (int)strcspn(text, "\n"), text);
    } else if (!fs->replaced && uname(&un) == 0) {
        snprintf(host->kernel_version, sizeof(host->kernel_version), "%s", un.release);
    }
}

int vr_host_read_os(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    struct vr_sysfs fs;
    int r = vr_sysfs_open(root, &fs, err);
    if (r == 0) {
        os_read(&fs, host);
        vr_sysfs_close(&fs);
    }
    return r;
}
