/* This host: its system, and all facts together, looked up once. */
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

/* A host is one, and does not change: so are the facts. Set once; see vireo_platform_get. */
static _Atomic(struct vireo_platform *) host_facts;
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

void vr_host_read_os(const char *root, struct vireo_platform *host)
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
}

/* The processor itself: only this host's can be asked. */
static int host_identify(struct vireo_platform *host, struct vr_error *err)
{
    struct vr_cpu_id id;
    char text[16];
    struct vireo_cpus *cpu = &host->cpu;
    vr_cpu_identify(&id);
    vr_host_hide_features(&id);
    const char **features = vr_zalloc_array(id.feature_count, sizeof(*features));
    if (!features) {
        return vr_err(err, -ENOMEM, "processors: no memory");
    }
    memcpy(features, id.features, id.feature_count * sizeof(*features));
    cpu->features = features;
    cpu->feature_count = id.feature_count;
    cpu->arch = vireo_host_arch();
    snprintf(cpu->arch_name, sizeof(cpu->arch_name), "%s", vr_host_cpu());
    memcpy(cpu->vendor, id.vendor, sizeof(cpu->vendor));
    memcpy(cpu->model, id.model, sizeof(cpu->model));
    cpu->family = id.family;
    cpu->model_number = id.model_number;
    cpu->stepping = id.stepping;
    cpu->virt_name = id.virt_name;
    cpu->virt = id.virt;
    cpu->nested_paging = id.nested_paging;
    cpu->protection_keys = id.protection_keys;
    if (id.virt == VIREO_YES && id.nested_paging == VIREO_UNKNOWN &&
        vr_hostfile_text(text, sizeof(text), "", "/sys/module/kvm_intel/parameters/ept") >= 0) {
        cpu->nested_paging = text[0] == 'Y' || text[0] == '1' ? VIREO_YES : VIREO_NO;
    }
    return 0;
}

int vireo_platform_read(const char *root, struct vireo_platform **ret_host, struct vr_error *err)
{
    struct vireo_platform *host = vr_zalloc(sizeof(*host));
    if (!host) {
        return vr_err(err, -ENOMEM, "host: no memory");
    }
    host->cpu.virt_name = "";
    vr_host_read_os(root, host);
    int r = vr_host_read_cpus(root, host, err);
    r = r < 0 ? r : vr_host_read_nodes(root, host, err);
    r = r < 0 ? r : vr_host_read_memory(root, &host->memory, err);
    r = r < 0 || *root ? r : host_identify(host, err);
    if (r < 0) {
        vireo_platform_free(host);
        return r;
    }
    *ret_host = host;
    return 0;
}

void vireo_platform_free(struct vireo_platform *host)
{
    if (host) {
        free((void *)(uintptr_t)host->cpu.list);
        free((void *)(uintptr_t)host->cpu.caches);
        free((void *)(uintptr_t)host->cpu.features);
        free((void *)(uintptr_t)host->nodes);
        free(host);
    }
}

int vireo_platform_get(const struct vireo_platform **ret_host, struct vr_error *err)
{
    struct vireo_platform *host = atomic_load_explicit(&host_facts, memory_order_acquire);
    if (!host) {
        struct vireo_platform *first = NULL;
        int r = vireo_platform_read("", &host, err);
        if (r < 0) {
            return r;
        }
        /* Two threads may look at a time; the first one's answer is everybody's. */
        if (!atomic_compare_exchange_strong(&host_facts, &first, host)) {
            vireo_platform_free(host);
            host = first;
        }
    }
    *ret_host = host;
    return 0;
}

int vireo_platform_memory(struct vireo_memory *ret_memory, struct vr_error *err)
{
    return vr_host_read_memory("", ret_memory, err);
}

bool vireo_platform_has(const struct vireo_platform *host, const char *feature)
{
    for (uint32_t i = 0; i < host->cpu.feature_count; i++) {
        if (strcmp(host->cpu.features[i], feature) == 0) {
            return true;
        }
    }
    return false;
}
