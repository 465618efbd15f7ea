/* What this host offers to machines, found out by trying. */
#include "control/host.h"
#include "backend/net/net.h"
#include "board/catalog.h"
#include "control/query.h"
#include "core/space.h"
#include "platform/file.h"
#include "platform/kvm.h"
#include "platform/random.h"
#include "platform/stream.h"
#include "platform/tty.h"
#include "vireo/platform.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void vr_host_no_kvm(char *ret_text, size_t size)
{
    const char *guest = vr_catalog_machine(0)->arch, *host = vr_host_cpu();
    if (strcmp(guest, host) != 0) {
        snprintf(ret_text, size, "the guest is %s, this host %s", guest, host);
    } else {
        snprintf(ret_text, size, "this version has no KVM engine");
    }
}

uint64_t vr_host_memory_bytes(void)
{
    struct vireo_memory memory;
    return vireo_platform_memory(&memory, NULL) < 0 ? UINT64_MAX : memory.total_bytes;
}

enum host_status { HOST_OK, HOST_NOTE, HOST_MISSING };

/* @needed: without it no machine runs. */
static void host_add(json_t *checks, const char *name, enum host_status status, bool needed,
                     const char *fmt, ...) VR_PRINTF(5, 6);
static void host_add(json_t *checks, const char *name, enum host_status status, bool needed,
                     const char *fmt, ...)
{
    static const char *const names[] = {"ok", "note", "missing"};
    char text[320];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    json_array_append_new(checks, json_pack("{s:s, s:s, s:b, s:s}", "name", name, "status",
                                            names[status], "needed", needed, "detail", text));
}

static void host_kvm(json_t *checks)
{
    const struct vireo_ability *kvm = &vireo_platform_caps()->kvm;
    char why[120];
    vr_host_no_kvm(why, sizeof(why));
    host_add(checks, "KVM", HOST_NOTE, false,
             "%s. Not used: %s. This version has no KVM engine; machines run on Vireo's own CPU",
             kvm->detail, why);
}

static void host_processors(json_t *checks)
{
    const struct vireo_platform *host;
    struct vr_error err;
    if (vireo_platform_get(&host, &err) < 0) {
        host_add(checks, "processors", HOST_NOTE, true, "%s", err.msg);
        return;
    }
    host_add(checks, "processors", HOST_OK, true,
             "%u of %u for this process (%s); a hart is a thread; 'vireo platform' says more",
             host->cpu.usable_count, host->cpu.count, host->cpu.arch_name);
}

static void host_memory(json_t *checks)
{
    struct vr_error err;
    struct vr_ram *ram;
    struct vireo_memory memory;
    if (vireo_platform_memory(&memory, &err) < 0) {
        host_add(checks, "memory", HOST_NOTE, true, "%s", err.msg);
        return;
    }
    uint64_t room = memory.available_bytes, left = memory.limit_bytes - memory.limit_used_bytes;
    bool limited = memory.limit_bytes != UINT64_MAX && left < room;
    room = (limited ? left : room) >> 20;
    int r = vr_ram_create("doctor", UINT64_C(512) << 20, &ram, &err);
    if (r < 0) {
        host_add(checks, "memory", HOST_MISSING, true, "512 MiB of guest memory: %s", err.msg);
        return;
    }
    vr_ram_destroy(ram);
    host_add(checks, "memory", room < 512 ? HOST_NOTE : HOST_OK, true,
             "%" PRIu64 " of %" PRIu64 " MiB can be had%s; guest memory is shared memory that is "
             "taken as the guest touches it",
             room, memory.total_bytes >> 20, limited ? " (a limit of this process's cgroup)" : "");
}

/* Do locks work where temporary files go? Disks elsewhere may differ. */
static void host_locks(json_t *checks)
{
    const char *tmp = getenv("TMPDIR");
    char path[512];
    struct vr_file_info info;
    int fd, second;
    snprintf(path, sizeof(path), "%s/vireo-doctor.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    int made = mkstemp(path);
    if (made < 0) {
        host_add(checks, "disk locks", HOST_NOTE, false, "not tried: cannot write to %s: %s", path,
                 strerror(errno));
        return;
    }
    close(made);
    int r = vr_file_open(path, false, &fd, &info);
    if (r == 0) {
        r = vr_file_lock(fd, false);
        if (r == 0 && vr_file_open(path, false, &second, &info) == 0) {
            r = vr_file_lock(second, false) == -EBUSY ? 0 : -ENOLCK;
            vr_file_close(second);
        }
        vr_file_close(fd);
    }
    unlink(path);
    if (r < 0) {
        host_add(checks, "disk locks", HOST_NOTE, false,
                 "%.300s: no locks here (%s): nothing keeps two machines from one disk", path,
                 strerror(-r));
    } else {
        host_add(checks, "disk locks", HOST_OK, false,
                 "a second machine that wants the same disk is refused");
    }
}

static void host_terminal(json_t *checks)
{
    struct vr_stream in;
    uint16_t cols, rows;
    vr_stream_open_std(0, false, &in);
    bool tty = in.kind == VR_STREAM_TTY;
    if (tty && vr_tty_size(in.fd, &cols, &rows) == 0) {
        host_add(checks, "terminal", HOST_OK, false, "%u columns, %u rows; Ctrl-A is the escape",
                 cols, rows);
    } else if (tty) {
        host_add(checks, "terminal", HOST_OK, false, "of unknown size; Ctrl-A is the escape");
    } else {
        host_add(checks, "terminal", HOST_NOTE, false,
                 "standard input is none: a guest gets its bytes as they are, with no Ctrl-A keys");
    }
    vr_stream_close(&in);
}

static void host_network(json_t *checks)
{
    struct vr_loop *loop;
    struct vr_net *net = NULL;
    struct vr_error err;
    int r = vr_loop_create(&loop, &err);
    if (r == 0) {
        r = vr_net_open_user(NULL, loop, &net, &err);
        vr_net_close(net);
        vr_loop_destroy(loop);
    }
    if (r < 0) {
        host_add(checks, "user network", HOST_MISSING, false, "%s", err.msg);
    } else {
        host_add(checks, "user network", HOST_OK, false,
                 "guests reach what this host reaches, without privileges");
    }
}

static void host_random(json_t *checks)
{
    uint8_t bytes[16];
    struct vr_error err;
    int r = vr_random_bytes(bytes, sizeof(bytes), &err);
    host_add(checks, "random numbers", r < 0 ? HOST_MISSING : HOST_OK, true, "%s",
             r < 0 ? err.msg : "the host's generator answers");
}

/* Where tools/guest/fetch.sh keeps Debian's kernel for `make run`. */
static void host_guest_cache(json_t *checks)
{
    static const char below[] = "/guest/trixie/kernel/version";
    char path[512], version[64] = "";
    struct vr_error err;
    if (vireo_platform_path(VIREO_PATH_CACHE, path, sizeof(path) - sizeof(below), &err) < 0) {
        host_add(checks, "guest cache", HOST_NOTE, false, "%s", err.msg);
        return;
    }
    strcat(path, below);
    FILE *f = fopen(path, "re");
    if (f) {
        if (!fgets(version, sizeof(version), f)) {
            version[0] = 0;
        }
        version[strcspn(version, "\n")] = 0;
        (void)fclose(f);
    }
    path[strlen(path) - strlen("/version")] = 0;
    if (version[0]) {
        host_add(checks, "guest cache", HOST_OK, false, "Debian's kernel %s in %s", version, path);
    } else {
        host_add(checks, "guest cache", HOST_NOTE, false,
                 "no Debian kernel in %s yet; 'make run' in Vireo's source fetches it", path);
    }
}

json_t *vr_query_host(void)
{
    json_t *checks = json_array(), *check;
    size_t i;
    bool usable = true;
    struct vr_error no_jit = {0};
    bool jit = vr_catalog_jit(&no_jit) == 0;
    host_add(checks, "engine jit", jit ? HOST_OK : HOST_NOTE, false, "%s",
             jit ? "Vireo's own riscv64 CPU, compiling what runs often" : no_jit.msg);
    host_add(checks, "engine interp", HOST_OK, true,
             "Vireo's own riscv64 CPU; runs on every host, needs no privileges");
    host_kvm(checks);
    host_processors(checks);
    host_memory(checks);
    host_random(checks);
    host_locks(checks);
    host_terminal(checks);
    host_network(checks);
    host_guest_cache(checks);
    json_array_foreach(checks, i, check)
    {
        bool missing = strcmp(json_string_value(json_object_get(check, "status")), "missing") == 0;
        usable &= !(missing && json_is_true(json_object_get(check, "needed")));
    }
    return json_pack("{s:b, s:o}", "usable", usable, "checks", checks);
}
