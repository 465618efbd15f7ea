/*
 * What a person reads about a difference: the code that ran, the registers before it, and the
 * registers and memory that differ after it, by whom. See lockstep.h.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "cpu/jit/lockstep_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { REPORT_BYTES = 64 << 10, REPORT_INSNS = 100, REPORT_WORDS = 32, REPORT_COLUMNS = 4 };

struct report {
    char *text;
    size_t len;
};

static void VR_PRINTF(2, 3) say(struct report *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(r->text + r->len, REPORT_BYTES - r->len, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < REPORT_BYTES - r->len) {
        r->len += (size_t)n;
    } else {
        r->text[r->len] = 0; /* no room for the whole of it */
    }
}

static void say_name(const struct vr_field *f, unsigned i, char *buf, size_t len)
{
    if (f->offset == offsetof(struct vr_cpu, r)) {
        vr_ir_print_slot(i, buf, len);
    } else if (f->count > 1) {
        snprintf(buf, len, "%s[%u]", f->name, i);
    } else {
        snprintf(buf, len, "%s", strncmp(f->name, "cpu.", 4) == 0 ? f->name + 4 : f->name);
    }
}

static uint64_t element(const uint8_t *p, const struct vr_field *f, unsigned i)
{
    return vr_load_le(p + (size_t)i * f->elem_size, f->elem_size);
}

/* --- Code: the interpreter's side again, an instruction at a time --- */

static void say_insn(struct report *r, struct vr_cpu *cpu)
{
    uint64_t pc = cpu->pc, traps = cpu->traps;
    const struct vr_block *b = vr_code_find(cpu);
    char line[96] = "";
    if (!b || cpu->traps != traps) {
        say(r, "  %016" PRIx64 "  (cannot be fetched)\n", pc);
        return;
    }
    unsigned i = 0;
    while (i < b->ir_count && b->ir[i].at == 0) {
        i++;
    }
    unsigned bytes = i < b->ir_count ? b->ir[i].at : b->len;
    const struct vr_tlb_entry *e = &cpu->itlb->entry[pc >> VR_PAGE_SHIFT & (VR_TLB_SIZE - 1)];
    bool here = e->tag[VR_EXEC] == ((pc & ~(uint64_t)(VR_PAGE_SIZE - 1)) | cpu->ictx) &&
                (pc & (VR_PAGE_SIZE - 1)) + bytes <= VR_PAGE_SIZE;
    uint64_t word = here ? vr_load_le((const uint8_t *)((uintptr_t)pc + e->addend), bytes) : 0;
    say(r, "  %016" PRIx64 "  %0*" PRIx64 "%*s", pc, (int)bytes * 2, word, 8 - (int)bytes * 2, "");
    for (unsigned k = 0; k < i; k++) {
        vr_ir_print(&b->ir[k], line, sizeof(line));
        say(r, "%s%s", k ? "; " : "  ", line);
    }
    say(r, "\n");
}

static void say_code(struct report *r, struct vr_cpu *cpu)
{
    struct vr_lockstep *ls = cpu->lockstep;
    uint64_t end = ls->target, at;
    say(r, "code, by operations:\n");
    lockstep_put(cpu, &ls->start);
    ls->phase = LOCKSTEP_AGAIN;
    ls->side = &ls->interp;
    ls->stopped = false;
    vr_tlb_flush(cpu);
    for (unsigned i = 0; (at = lockstep_progress(cpu)) < end && !ls->stopped; i++) {
        if (i < REPORT_INSNS) {
            struct lockstep_state here = ls->interp_state;
            lockstep_take(cpu, &here);
            say_insn(r, cpu);
            lockstep_put(cpu, &here);
        } else if (i == REPORT_INSNS) {
            say(r, "  and %" PRIu64 " more\n", end - at);
        }
        lockstep_interpret(cpu, &ls->interp, i < REPORT_INSNS ? at + 1 : end);
    }
    lockstep_take(cpu, &ls->interp_state);
}

/* --- Registers --- */

static void say_before(struct report *r, const struct vr_lockstep *ls)
{
    const uint8_t *p = ls->start.bytes;
    unsigned column = 0;
    say(r, "registers before, those that are not 0:");
    for (unsigned n = 0; n < ls->field_count; n++) {
        const struct vr_field *f = ls->field[n];
        size_t len = lockstep_field_bytes(f);
        for (unsigned i = 0; i < len / f->elem_size; i++) {
            char name[40];
            if (element(p, f, i)) {
                say_name(f, i, name, sizeof(name));
                say(r, "%s%14s %16" PRIx64, column++ % REPORT_COLUMNS ? "" : "\n", name,
                    element(p, f, i));
            }
        }
        p += len;
    }
    say(r, "\n");
}

static void say_changes(struct report *r, const struct vr_lockstep *ls)
{
    size_t at = 0;
    unsigned count = 0;
    say(r, "registers after:    before           compiled         interpreted\n");
    for (unsigned n = 0; n < ls->field_count; n++) {
        const struct vr_field *f = ls->field[n];
        size_t len = lockstep_field_bytes(f);
        for (unsigned i = 0; i < len / f->elem_size; i++) {
            uint64_t was = element(ls->start.bytes + at, f, i);
            uint64_t jit = element(ls->jit_state.bytes + at, f, i);
            uint64_t interp = element(ls->interp_state.bytes + at, f, i);
            char name[40];
            if (was != jit || was != interp) {
                say_name(f, i, name, sizeof(name));
                say(r, "%s %16s  %-16" PRIx64 " %-16" PRIx64 " %" PRIx64 "\n",
                    jit != interp ? " !" : "  ", name, was, jit, interp);
            }
            count += jit != interp;
        }
        at += len;
    }
    if (ls->jit_state.traps != ls->interp_state.traps) {
        say(r, " ! exceptions taken: compiled %" PRIu64 ", interpreted %" PRIu64 "\n",
            ls->jit_state.traps - ls->start.traps, ls->interp_state.traps - ls->start.traps);
    } else if (count == 0) {
        say(r, "  all agree\n");
    }
}

/* --- Memory --- */

static void say_page(struct report *r, const struct vr_lockstep *ls,
                     const struct lockstep_pages *from, const struct lockstep_page *page,
                     unsigned *words)
{
    const uint8_t *copy[] = {lockstep_pages_find(from, page->ram, page->off),
                             lockstep_pages_find(&ls->jit, page->ram, page->off),
                             lockstep_pages_find(&ls->interp, page->ram, page->off)};
    for (unsigned i = 0; i < VR_COUNT(copy); i++) {
        copy[i] = copy[i] ? copy[i] : lockstep_base(ls, page->ram, page->off);
    }
    for (unsigned at = 0; at < VR_PAGE_SIZE; at += 8) {
        uint64_t was = vr_load_le64(copy[0] + at), jit = vr_load_le64(copy[1] + at),
                 interp = vr_load_le64(copy[2] + at);
        if (was == jit && was == interp) {
            continue;
        }
        if (++*words <= REPORT_WORDS) {
            say(r, "%s %16" PRIx64 "  %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n",
                jit != interp ? " !" : "  ", page->off + at, was, jit, interp);
        }
    }
}

static void say_memory(struct report *r, const struct vr_lockstep *ls,
                       const struct lockstep_pages *from)
{
    unsigned words = 0;
    say(r, "memory, by offset:  before           compiled         interpreted\n");
    for (unsigned i = 0; i < ls->interp.count; i++) {
        say_page(r, ls, from, &ls->interp.page[i], &words);
    }
    for (unsigned i = 0; i < ls->jit.count; i++) {
        if (!lockstep_pages_find(&ls->interp, ls->jit.page[i].ram, ls->jit.page[i].off)) {
            say_page(r, ls, from, &ls->jit.page[i], &words);
        }
    }
    if (words > REPORT_WORDS) {
        say(r, "  and %u more words\n", words - REPORT_WORDS);
    } else if (words == 0) {
        say(r, "  nothing was written\n");
    }
}

char *lockstep_report(struct vr_cpu *cpu, struct lockstep_pages *from, bool alone)
{
    struct vr_lockstep *ls = cpu->lockstep;
    struct report r = {.text = vr_zalloc(REPORT_BYTES)};
    if (!r.text) {
        return NULL;
    }
    uint64_t begin = lockstep_state_progress(ls, &ls->start);
    lockstep_put(cpu, &ls->start);
    say(&r,
        "cpu %u: compiled and interpreted code differ, within %" PRIu64
        " instructions from pc %016" PRIx64 " on, mode %c\n",
        cpu->vcpu.index, lockstep_state_progress(ls, &ls->jit_state) - begin, cpu->pc,
        cpu->isa->mode_char(cpu));
    if (alone) {
        say(&r, "shorter runs of the same code agree\n");
    }
    lockstep_pages_clear(&ls->interp);
    for (unsigned i = 0; i < from->count; i++) {
        lockstep_pages_add(&ls->interp, from->page[i].ram, from->page[i].off,
                           from->data + (size_t)i * VR_PAGE_SIZE);
    }
    say_code(&r, cpu);
    say_before(&r, ls);
    say_changes(&r, ls);
    say_memory(&r, ls, from);
    return r.text;
}
