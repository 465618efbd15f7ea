/* What boards say to the JIT (jit.h), and what it tells. */
#ifndef VR_CPU_JIT_JIT_OPTS_H
#define VR_CPU_JIT_JIT_OPTS_H

#include <stdint.h>
#include <stdio.h>

enum {
    VR_JIT_HOT = 40,
    VR_JIT_HOT_MAX = 60000,
    VR_JIT_CODE_BYTES = 32 << 20, /* the host gives pages as they are used */
    VR_JIT_CODE_MIN = 64 << 10,   /* any block has room in it */
    VR_JIT_CODE_MAX = 256 << 20,
};

/* Whether the host's MMU translates addresses for user mode (mirror.h). */
enum vr_jit_mirror {
    VR_JIT_MIRROR_OFF,    /* every address is looked up in the TLB */
    VR_JIT_MIRROR_AUTO,   /* where that pays; the process gets a handler of faults for it */
    VR_JIT_MIRROR_ALWAYS, /* wherever it can, whatever it costs: for tests */
};

/* Zeros: its own choices. */
struct vr_jit_opts {
    uint32_t hot; /* blocks entered this often are compiled, 1..VR_JIT_HOT_MAX; 0: VR_JIT_HOT */
    uint32_t code_bytes; /* of code memory a hart, VR_JIT_CODE_MIN.._MAX; 0: VR_JIT_CODE_BYTES */
    enum vr_jit_mirror mirror;
    FILE *perf; /* borrowed: gets a line for each compiled block, in the form of perf's map
                   files (Linux, tools/perf/Documentation/jit-interface.txt); NULL: off */
    FILE *dump; /* borrowed: gets what is compiled of guest code at virtual or physical addresses
                   dump_begin to dump_end - 1 (dump.c); NULL: off */
    uint64_t dump_begin, dump_end;
    /* Lockstep: @cpu's engines differ, says @report (lines, for people), and it runs no more. On
     * its thread, with no locks held; may ask the machine to end. NULL: nobody hears. */
    void (*differ)(void *opaque, unsigned cpu, const char *report);
    void *differ_opaque;
};

struct vr_jit_stats {
    uint64_t blocks, insns, bytes;    /* compiled */
    uint64_t flushes, drops;          /* of everything, because memory was full; of a page's code */
    uint64_t exits;                   /* returns to the interpreter */
    uint64_t direct;                  /* pages of code that use mirrors */
    uint64_t mirrored, mirror_faults; /* pages put into mirrors; faults that asked for them */
    /* Lockstep: runs compared, instructions in them, and differences that did not come back. */
    uint64_t stretches, compared, unrepeated;
};

#endif
