/*
 * The platform layer in one program: what this host is, memory in the largest pages that it has set
 * aside, and a thread on its own processor that runs code which was made here.
 *
 *     cc host.c -lvireo-platform (or -lvireo)
 */
#include <vireo/host_code.h>
#include <vireo/host_memory.h>
#include <vireo/host_thread.h>
#include <vireo/platform.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void tell(const struct vireo_platform *host)
{
    const struct vireo_caps *caps = vireo_platform_caps();
    printf("%s on %s, %u processors (%u for us), %llu MiB\n", host->os_name, host->cpu.arch_name,
           host->cpu.count, host->cpu.usable_count,
           (unsigned long long)(host->memory.total_bytes >> 20));
    printf("hypervisor: %s\n", caps->has_kvm    ? "KVM"
                               : caps->has_hvf  ? "HVF"
                               : caps->has_whpx ? "WHPX"
                                                : "none that works");
}

/* Large pages where the host has them, plain ones where not; what was had is said. */
static int memory(const struct vireo_platform *host)
{
    struct vr_error err;
    struct vireo_map map;
    struct vireo_map_opts opts = {.prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
                                  .node = VIREO_NODE_ANY};
    for (uint32_t i = 0; i < host->memory.huge_count; i++) {
        if (host->memory.huge[i].free) {
            opts.huge_bytes = host->memory.huge[i].page_bytes;
        }
    }
    int r = vireo_map_create(1 << 20, &opts, &map, &err);
    if (r < 0 && opts.huge_bytes) {
        printf("memory: %s\n", err.msg);
        opts.huge_bytes = 0;
        r = vireo_map_create(1 << 20, &opts, &map, &err);
    }
    if (r < 0) {
        fprintf(stderr, "memory: %s\n", err.msg);
        return r;
    }
    memset(map.hva, 1, map.len);
    printf("memory: %zu KiB in pages of %llu KiB\n", map.len >> 10,
           (unsigned long long)(map.page_bytes >> 10));
    vireo_map_destroy(&map);
    return 0;
}

/* What the thread is given, and what it found. */
struct task {
    struct vireo_cpuset cpus;
    const uint8_t *code;
    int answer, placed;
    struct vr_error err;
};

static void run(void *arg)
{
    struct task *t = arg;
    int (*fn)(void);
    t->placed = vireo_place_self(&t->cpus, &t->err);
    memcpy(&fn, &t->code, sizeof(fn));
    t->answer = fn();
}

/* A function that returns 42, for this host's processor. */
static const void *made_code(size_t *ret_len)
{
    static const uint8_t x86[] = {0xb8, 42, 0, 0, 0, 0xc3};                    /* mov; ret */
    static const uint8_t arm64[] = {0x40, 5, 0x80, 0x52, 0xc0, 3, 0x5f, 0xd6}; /* mov; ret */
    static const uint8_t riscv[] = {0x13, 5, 0xa0, 2, 0x67, 0x80, 0, 0};       /* li; ret */
    switch (vireo_host_arch()) {
    case VIREO_ARCH_X86_64:
        *ret_len = sizeof(x86);
        return x86;
    case VIREO_ARCH_ARM64:
        *ret_len = sizeof(arm64);
        return arm64;
    case VIREO_ARCH_RISCV64:
        *ret_len = sizeof(riscv);
        return riscv;
    default:
        return NULL;
    }
}

static int code(const struct vireo_platform *host)
{
    struct vireo_jitmem mem = {.len = 0};
    struct vireo_thread *thread;
    struct task task = {.answer = 0};
    size_t len;
    const void *bytes = made_code(&len);
    if (!bytes) {
        printf("code: not for this processor\n");
        return 0;
    }
    int r = vireo_jitmem_create(len, &mem, &task.err);
    r = r < 0 ? r : vireo_jitmem_publish(&mem, 0, bytes, len, &task.err);
    r = r < 0 ? r : vireo_place_plan(host, VIREO_PLACE_SPREAD, 0, 1, &task.cpus, &task.err);
    if (r == 0) {
        task.code = mem.rx;
        r = vireo_thread_create("made-code", run, &task, &thread, &task.err);
    }
    if (r == 0) {
        vireo_thread_join(thread);
        printf("code: made at one address, run at another: %d\n", task.answer);
        if (task.placed < 0) {
            printf("thread: %s\n", task.err.msg);
        } else {
            char list[64];
            vireo_cpuset_format(&task.cpus, list, sizeof(list));
            printf("thread: ran on processor %s\n", list);
        }
        r = task.answer == 42 ? 0 : -EIO;
    } else {
        fprintf(stderr, "code: %s\n", task.err.msg);
    }
    vireo_cpuset_fini(&task.cpus);
    vireo_jitmem_destroy(&mem);
    return r;
}

int main(void)
{
    const struct vireo_platform *host;
    struct vr_error err;
    if (vireo_platform_get(&host, &err) < 0) {
        fprintf(stderr, "host: %s\n", err.msg);
        return 1;
    }
    tell(host);
    return memory(host) < 0 || code(host) < 0;
}
