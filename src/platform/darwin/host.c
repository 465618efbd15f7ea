/* Which of Apple's systems this is: TargetConditionals.h says what it was built for, sysctl(3)
 * which version runs. */
#include "platform/host.h"
#include "platform/darwin/sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <TargetConditionals.h>

enum vireo_os vireo_host_os(void)
{
#if TARGET_OS_TV
    return VIREO_OS_TVOS;
#elif TARGET_OS_IPHONE
    return VIREO_OS_IOS;
#else
    return VIREO_OS_MACOS;
#endif
}

int vr_host_read_os(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    char build[32] = "";
    if (*root) {
        return vr_err(err, -ENOTSUP,
                      "host: a copy of another host's files is understood on Linux only");
    }
    host->os = vireo_host_os();
    (void)vr_sysctl_text("kern.osproductversion", host->os_version, sizeof(host->os_version));
    (void)vr_sysctl_text("kern.osversion", build, sizeof(build));
    (void)vr_sysctl_text("kern.osrelease", host->kernel_version, sizeof(host->kernel_version));
    snprintf(host->os_name, sizeof(host->os_name), "%s%s%s%s%s%s", vireo_os_name(host->os),
             host->os_version[0] ? " " : "", host->os_version, build[0] ? " (" : "", build,
             build[0] ? ")" : "");
    return 0;
}
