/*
 * The host: what it is, and what it can do for a program.
 *
 *     const struct vireo_platform *host;
 *     struct vr_error err;
 *     if (vireo_platform_get(&host, &err) == 0) {
 *         printf("%s, %u of %u processors\n", host->os_name, host->cpu.usable_count,
 *                host->cpu.count);
 *     }
 *
 * Facts are looked up once in a process and kept; what was tried (hypervisors, io_uring, counters)
 * is tried once. Both results never change or go away after that, and may be read from any thread.
 * All functions here may be called from any thread at any time.
 *
 * Sources on Linux: CPUID, getauxval(3) and riscv_hwprobe(2) for instruction sets; sysfs for
 * topology, caches, huge pages and NUMA nodes; sched_getaffinity(2) and cgroup v2 for limits;
 * /proc/meminfo for sizes that are nowhere else. On macOS, iOS and tvOS: sysctl(3) and Mach's host
 * calls; processors are numbered by us there, since the host numbers none. On Windows:
 * GetLogicalProcessorInformationEx and its like. A fact that the host does not tell is 0, "" or
 * VIREO_UNKNOWN, as each member says.
 *
 * Binary compatibility: structs come from the library. Those that are returned by pointer may grow
 * at their end; enumerations may grow at their end.
 */
#ifndef VIREO_PLATFORM_H
#define VIREO_PLATFORM_H

#include "vireo/error.h"
#include "vireo/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vireo_os {
    VIREO_OS_UNKNOWN,
    VIREO_OS_LINUX,
    VIREO_OS_ANDROID,   /* Linux with Android's C library or its property files */
    VIREO_OS_HARMONYOS, /* Linux with OpenHarmony's parameter files */
    VIREO_OS_MACOS,
    VIREO_OS_IOS,
    VIREO_OS_TVOS,
    VIREO_OS_WINDOWS,
};

enum vireo_arch { VIREO_ARCH_UNKNOWN, VIREO_ARCH_X86_64, VIREO_ARCH_ARM64, VIREO_ARCH_RISCV64 };

enum vireo_answer { VIREO_UNKNOWN, VIREO_NO, VIREO_YES };

/* What a processor is among its kind. */
enum vireo_core_kind {
    VIREO_CORE_ALIKE,  /* all processors of the host are equally fast, or it does not tell */
    VIREO_CORE_LITTLE, /* slower than others of this host */
    VIREO_CORE_BIG,    /* of the fastest kind in a host that has slower ones */
};

enum vireo_cache_kind { VIREO_CACHE_UNIFIED, VIREO_CACHE_DATA, VIREO_CACHE_CODE };

/* One logical processor that is online: what a thread can run on. */
struct vireo_cpu {
    uint32_t id;       /* the host's number for it */
    uint32_t package;  /* index 0 .. packages - 1 */
    uint32_t core;     /* index 0 .. cores - 1 of the whole host; threads of a core share it */
    uint32_t node;     /* the host's number of its NUMA node; 0 where there are none */
    uint32_t capacity; /* relative speed, 1024 is the fastest; 0 unknown */
    enum vireo_core_kind kind;
    bool usable; /* this process may run on it */
};

/* Caches that are alike, counted. */
struct vireo_cache {
    uint32_t level; /* 1 .. */
    enum vireo_cache_kind kind;
    uint64_t size_bytes; /* of one */
    uint32_t line_bytes; /* 0 unknown */
    uint32_t ways;       /* 0 unknown or fully associative */
    uint32_t count;      /* how many such caches the online processors have */
    uint32_t shared_by;  /* logical processors that share one, at most */
};

/* The processors. */
struct vireo_cpus {
    enum vireo_arch arch;
    char arch_name[16];                      /* as the host's kernel calls it: "x86_64" */
    char vendor[32];                         /* "GenuineIntel", "Arm"; "" unknown */
    char model[64];                          /* as the maker calls it; "" unknown */
    uint32_t family, model_number, stepping; /* x86: as displayed; arm64: architecture, part and
                                                revision of MIDR; riscv64: 0 */
    uint32_t count;                          /* logical processors that are online */
    uint32_t usable_count; /* how many of them this process gets: affinity, and a cgroup's share
                              rounded up; at least 1 */
    uint32_t quota_milli;  /* a cgroup v2 limit in thousandths of a processor; 0: none */
    uint32_t packages, cores, threads_per_core; /* threads: at most */
    const struct vireo_cpu *list;               /* @count of them, by rising id */
    const struct vireo_cache *caches;           /* @cache_count of them, by level */
    uint32_t cache_count;
    uint32_t line_bytes;         /* of the first-level data cache; 0 unknown */
    const char *const *features; /* @feature_count names of instruction sets and the like that a
                                    program can use here, as the host's kernel spells them */
    uint32_t feature_count;
    const char *virt_name;           /* "VMX", "SVM", "EL2", "EL2 with VHE", "H": what this
                                    processor family has */
    enum vireo_answer virt;          /* can it run guests in hardware? */
    enum vireo_answer nested_paging; /* EPT, NPT, stage 2, G-stage */
    enum vireo_answer protection_keys;
};

enum { VIREO_HUGE_SIZES = 8 };

/* Pages of one size that the host has set aside. */
struct vireo_huge_pages {
    uint64_t page_bytes;
    uint64_t total, free; /* pages */
};

/* Memory, at one moment. */
struct vireo_memory {
    uint64_t page_bytes;       /* 0 in a copy of another host */
    uint64_t total_bytes;      /* of the host; 0 unknown */
    uint64_t free_bytes;       /* unused */
    uint64_t available_bytes;  /* can be had without swapping */
    uint64_t limit_bytes;      /* a cgroup v2 limit for this process; UINT64_MAX: none */
    uint64_t limit_used_bytes; /* used of the limit by all under it; 0 without a limit */
    bool transparent_huge;     /* the host may back memory by huge pages on its own */
    uint32_t huge_count;       /* entries in @huge, by rising size */
    struct vireo_huge_pages huge[VIREO_HUGE_SIZES];
};

/* A NUMA node. */
struct vireo_node {
    uint32_t id;                      /* the host's number for it */
    uint64_t total_bytes, free_bytes; /* free: at the moment of detection */
    uint32_t cpu_count;               /* of its processors that are online */
};

/* What the host is. */
struct vireo_platform {
    enum vireo_os os;
    char os_name[96];        /* for people: "Debian GNU/Linux 12 (bookworm)" */
    char os_version[64];     /* of the distribution or product: "12"; "" unknown */
    char kernel_version[96]; /* "6.1.0-18-amd64" */
    struct vireo_cpus cpu;
    struct vireo_memory memory;     /* at the moment of detection; see vireo_platform_memory */
    const struct vireo_node *nodes; /* @node_count of them, by rising id; memory-only ones too */
    uint32_t node_count;            /* 0: the host has no notion of nodes */
    bool numa;                      /* there is more than one node */
};

/* Something that was tried. */
struct vireo_ability {
    bool present;     /* there is such a thing in this host */
    bool works;       /* it did what was asked of it */
    char detail[160]; /* what was seen, or why it does not work and what to do */
};

/* What the host can do, found out by doing it. */
struct vireo_caps {
    struct vireo_ability kvm;             /* a guest of a few instructions ran to its end */
    struct vireo_ability hvf;             /* macOS */
    struct vireo_ability whpx;            /* Windows */
    struct vireo_ability io_uring;        /* a ring was set up */
    struct vireo_ability counters;        /* this thread's instructions were counted */
    struct vireo_ability protection_keys; /* a key was given to us */
    struct vireo_ability jit;             /* code was written at one address and run at another */
    bool has_kvm, has_hvf, has_whpx;      /* the same as @works of each */
    bool accelerated;                     /* one of them works */
};

/* Which operating system and processor this library runs on. Nothing is opened or tried but for
 * telling kinds of Linux apart, once: a file's presence. Never fails. */
VIREO_API enum vireo_os vireo_host_os(void);
VIREO_API enum vireo_arch vireo_host_arch(void);
/* "Linux", "x86_64", ... Static. */
VIREO_API const char *vireo_os_name(enum vireo_os os);
VIREO_API const char *vireo_arch_name(enum vireo_arch arch);

/* The host's facts; the library's, until the process ends. The first call reads some dozen files a
 * processor (about 10 us each), later ones are a load. -ENOMEM; -ENOENT, -EACCES, ...: the host
 * hides where the facts are (no sysfs). A failure is not kept: call again. */
VIREO_API int vireo_platform_get(const struct vireo_platform **ret_host, struct vr_error *err);

/* The same facts from a copy of another host's /sys, /proc and /etc below @root. What is not in
 * files (instruction sets; limits of this process) stays unknown; every processor is usable. Each
 * call reads anew; the caller frees the result with vireo_platform_free. Damaged files count as
 * missing. Errors: as above. */
VIREO_API int vireo_platform_read(const char *root, struct vireo_platform **ret_host,
                                  struct vr_error *err);
VIREO_API void vireo_platform_free(struct vireo_platform *host); /* NULL is fine */

/* Is @feature ("avx2") one of the host's? */
VIREO_API bool vireo_platform_has(const struct vireo_platform *host, const char *feature);

/* Memory now, not as it was at detection. -ENOENT, ...: as for vireo_platform_get. */
VIREO_API int vireo_platform_memory(struct vireo_memory *ret_memory, struct vr_error *err);

/* What works. The first call tries, for some milliseconds and never longer than a second; later
 * ones are a load. The result is the library's, until the process ends. Never NULL. */
VIREO_API const struct vireo_caps *vireo_platform_caps(void);

enum vireo_path {
    VIREO_PATH_CONFIG,  /* what the user set */
    VIREO_PATH_DATA,    /* what must not be lost */
    VIREO_PATH_CACHE,   /* what can be fetched or made again */
    VIREO_PATH_RUNTIME, /* sockets, until the user logs out */
};

/*
 * Where this user's files of @path belong, with its NUL, into @ret_path of @size bytes; nothing is
 * created. On Linux by the XDG Base Directory Specification 0.8: $XDG_CONFIG_HOME/vireo or
 * $HOME/.config/vireo, and so on; values that are not absolute are ignored, as it demands. Without
 * XDG_RUNTIME_DIR: "run" in the cache directory. On Apple's systems: Preferences, Application
 * Support and Caches of $HOME/Library, and the user's own temporary directory. On Windows
 * below %APPDATA% and %LOCALAPPDATA%. -ENOENT: no home directory; -ENAMETOOLONG: @size. Reads the
 * environment: not while another thread changes it.
 */
VIREO_API int vireo_platform_path(enum vireo_path path, char *ret_path, size_t size,
                                  struct vr_error *err);

#ifdef __cplusplus
}
#endif

#endif
