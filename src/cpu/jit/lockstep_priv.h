/* Between the parts of lockstep (lockstep.h): what runs, pages, states, the report. */
#ifndef VR_CPU_JIT_LOCKSTEP_PRIV_H
#define VR_CPU_JIT_LOCKSTEP_PRIV_H

#include "base/field.h"
#include "cpu/jit/lockstep.h"
#include "platform/lock.h"
#include "vireo/host_memory.h"
#include "vireo/host_time.h"

enum {
    /* A stretch ends soon after it has written so many pages... */
    LOCKSTEP_PAGES_SOFT = 512,
    /* ...within a page of code: 1024 stores at most, each to two pages, which two entries of page
     * tables lead to. */
    LOCKSTEP_PAGES = LOCKSTEP_PAGES_SOFT + 4 * 1024 + 64,
    LOCKSTEP_HASH = 256,
    LOCKSTEP_FIELDS = 96,
    LOCKSTEP_PREFIX_OPS = VR_BLOCK_IR_MAX + 1,
};

/* Contents of pages, in the order in which they came. */
struct lockstep_page {
    struct vr_ram *ram;
    uint64_t off;
    int32_t next; /* of its hash chain; -1: none */
};
struct lockstep_pages {
    struct lockstep_page page[LOCKSTEP_PAGES];
    int32_t slot[LOCKSTEP_HASH];
    unsigned count;
    struct vireo_map map; /* VR_PAGE_SIZE bytes a page; the host gives memory as it is used */
    uint8_t *data;        /* its address */
};

bool lockstep_pages_init(struct lockstep_pages *s);
void lockstep_pages_fini(struct lockstep_pages *s);
void lockstep_pages_clear(struct lockstep_pages *s);
/* NULL: not there. */
uint8_t *lockstep_pages_find(const struct lockstep_pages *s, const struct vr_ram *ram,
                             uint64_t off);
uint8_t *lockstep_pages_add(struct lockstep_pages *s, struct vr_ram *ram, uint64_t off,
                            const uint8_t *data);

/* What the guest's instructions change: the ISA's fields without those that others write. */
struct lockstep_state {
    uint64_t traps;
    uint8_t *bytes;
};

/* Who runs. FIRST: compiled code on the guest's memory. AGAIN: on copies, `side`. */
enum lockstep_phase { LOCKSTEP_LIVE, LOCKSTEP_FIRST, LOCKSTEP_AGAIN };

/* Whose turn it is: tickets. The one of a machine's first CPU is the machine's. */
struct lockstep_turn {
    struct vr_mutex lock;
    struct vr_cond changed;
    atomic_uint next, now;
    struct vr_vcpu *holder; /* NULL: on the way to the next */
};

struct vr_lockstep {
    enum lockstep_phase phase;
    bool stopped;  /* the run met what must happen once */
    bool one_next; /* the next block is to be cut to one instruction */
    bool differed;
    bool has_turn;
    bool frozen;     /* AGAIN: nothing is read but copies; `was` also holds what was only read */
    uint64_t target; /* progress at which the second run ends */
    struct lockstep_pages was;         /* what the first run wrote, as it was before */
    struct lockstep_pages jit, interp; /* copies of both sides */
    struct lockstep_pages *side;       /* AGAIN: one of these */
    struct lockstep_state start, jit_state, interp_state;
    uint8_t *end_bytes; /* what the first run came to */
    size_t state_bytes;
    const struct vr_field *field[LOCKSTEP_FIELDS];
    unsigned field_count;
    struct lockstep_turn turn; /* the machine's, if this is its first CPU */
    struct vireo_timers *timers;
    struct vireo_timer *timer; /* ends a stretch, and a turn */
    atomic_bool armed, running;
    unsigned idle; /* times the timer found nobody running; its thread's */
    void (*differ)(void *opaque, unsigned cpu, const char *report);
    void *differ_opaque;
    atomic_uint_fast64_t stretches, compared, unrepeated; /* any thread may read them */
    struct vr_block *prefix;                              /* room for the beginning of any block */
};

/* Instructions retired or trapped: where a run is. */
static inline uint64_t lockstep_progress(const struct vr_cpu *cpu)
{
    return cpu->icount + cpu->traps;
}
uint64_t lockstep_state_progress(const struct vr_lockstep *ls, const struct lockstep_state *s);

size_t lockstep_field_bytes(const struct vr_field *f);
void lockstep_take(struct vr_cpu *cpu, struct lockstep_state *s);
void lockstep_put(struct vr_cpu *cpu, const struct lockstep_state *s);
bool lockstep_same_state(const struct vr_lockstep *ls, const struct lockstep_state *a,
                         const struct lockstep_state *b);
/* Do both sides' copies agree? */
bool lockstep_same_pages(const struct vr_lockstep *ls);
/* The page at @off as the second run finds it. */
const uint8_t *lockstep_base(const struct vr_lockstep *ls, const struct vr_ram *ram, uint64_t off);

/* Interpret from the CPU's state, on @side's copies, until progress @target. */
void lockstep_interpret(struct vr_cpu *cpu, struct lockstep_pages *side, uint64_t target);
/* What a person reads. From ls->start, the sides came to jit_state and interp_state with the copies
 * that they have; @from holds what both had before. @alone: shorter stretches of it agree. Ends
 * with the interpreter's side run again. NULL: no memory. */
char *lockstep_report(struct vr_cpu *cpu, struct lockstep_pages *from, bool alone);

#endif
