/*
 * Faults by a vectored exception handler (MSDN "Vectored Exception Handling",
 * AddVectoredExceptionHandler, EXCEPTION_RECORD).
 *
 * It is asked before every handler of a frame (SEH), and before vectored handlers that were there
 * already; what nobody claims goes on to those, and to the system's default. Exceptions that are no
 * faults (C++'s, a debugger's messages) are not shown to anybody here. A thread that ran out of
 * stack has what vireo_fault_stack_set set aside: Windows runs handlers on the same stack.
 */
#include "platform/fault.h"
#include "base/bits.h"
#include "platform/windows/win.h"

#include <errno.h>
#include <signal.h>

/* What vr_fault_uninstall takes away, and what abort() did before; a process has one of each. */
static struct {
    void *handle;
    void (*abort)(int signum);
} fault_host;

/* False: no fault of an instruction. */
static bool fault_kind(DWORD code, enum vireo_fault_kind *ret_kind)
{
    static const struct {
        DWORD code;
        enum vireo_fault_kind kind;
    } kinds[] = {
        {EXCEPTION_ACCESS_VIOLATION, VIREO_FAULT_ACCESS},
        {EXCEPTION_GUARD_PAGE, VIREO_FAULT_ACCESS},
        {EXCEPTION_STACK_OVERFLOW, VIREO_FAULT_ACCESS},
        {EXCEPTION_IN_PAGE_ERROR, VIREO_FAULT_BUS},
        {EXCEPTION_DATATYPE_MISALIGNMENT, VIREO_FAULT_BUS},
        {EXCEPTION_ILLEGAL_INSTRUCTION, VIREO_FAULT_ILLEGAL},
        {EXCEPTION_PRIV_INSTRUCTION, VIREO_FAULT_ILLEGAL},
        {EXCEPTION_INT_DIVIDE_BY_ZERO, VIREO_FAULT_ARITHMETIC},
        {EXCEPTION_INT_OVERFLOW, VIREO_FAULT_ARITHMETIC},
        {EXCEPTION_FLT_DENORMAL_OPERAND, VIREO_FAULT_ARITHMETIC},
        {EXCEPTION_FLT_DIVIDE_BY_ZERO, VIREO_FAULT_ARITHMETIC},
        {EXCEPTION_FLT_INEXACT_RESULT, VIREO_FAULT_ARITHMETIC},
        {EXCEPTION_FLT_INVALID_OPERATION, VIREO_FAULT_ARITHMETIC},
        {EXCEPTION_FLT_OVERFLOW, VIREO_FAULT_ARITHMETIC},
        {EXCEPTION_FLT_UNDERFLOW, VIREO_FAULT_ARITHMETIC},
        {EXCEPTION_BREAKPOINT, VIREO_FAULT_TRAP},
        {EXCEPTION_SINGLE_STEP, VIREO_FAULT_TRAP},
    };
    for (unsigned i = 0; i < VR_COUNT(kinds); i++) {
        if (kinds[i].code == code) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static LONG CALLBACK fault_handler(EXCEPTION_POINTERS *pointers)
{
    const EXCEPTION_RECORD *record = pointers->ExceptionRecord;
    DWORD saved = GetLastError();
    uintptr_t *pc = NULL;
    struct vireo_fault fault = {.host_number = (int)record->ExceptionCode,
                                .host_code = (int)record->ExceptionFlags,
                                .hva = record->ExceptionAddress,
                                .host_context = pointers->ContextRecord};
    if (!fault_kind(record->ExceptionCode, &fault.kind)) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    /* Access violations and page errors: what was done (0 read, 1 written, 8 run), and where. */
    if ((record->ExceptionCode == EXCEPTION_ACCESS_VIOLATION ||
         record->ExceptionCode == EXCEPTION_IN_PAGE_ERROR ||
         record->ExceptionCode == EXCEPTION_GUARD_PAGE) &&
        record->NumberParameters >= 2) {
        fault.host_code = (int)record->ExceptionInformation[0];
        fault.hva = (void *)record->ExceptionInformation[1];
    }
    fault.can_set_pc = vr_fault_context(fault.host_context, &pc, &fault.sp);
    fault.pc = fault.can_set_pc ? *pc : (uintptr_t)record->ExceptionAddress;
    bool done = vr_fault_ask(&fault);
    if (done && fault.can_set_pc) {
        *pc = fault.pc;
    }
    SetLastError(saved);
    return done ? EXCEPTION_CONTINUE_EXECUTION : EXCEPTION_CONTINUE_SEARCH;
}

/* abort() raises no exception; the C library has a signal for it, and ends the process when this
 * returns. */
static void fault_abort(int signum)
{
    struct vireo_fault fault = {.kind = VIREO_FAULT_ABORT, .host_number = signum};
    (void)vr_fault_ask(&fault);
    if (fault_host.abort != SIG_DFL && fault_host.abort != SIG_IGN) {
        fault_host.abort(signum);
    }
}

int vr_fault_install(struct vr_error *err)
{
    fault_host.handle = AddVectoredExceptionHandler(1, fault_handler);
    if (!fault_host.handle) {
        return vr_win_err(err, GetLastError(), "fault handler");
    }
    fault_host.abort = signal(SIGABRT, fault_abort);
    fault_host.abort = fault_host.abort == SIG_ERR ? SIG_DFL : fault_host.abort;
    return 0;
}

void vr_fault_uninstall(void)
{
    RemoveVectoredExceptionHandler(fault_host.handle);
    fault_host.handle = NULL;
    void (*now)(int) = signal(SIGABRT, fault_host.abort);
    if (now != fault_abort && now != SIG_ERR) {
        signal(SIGABRT, now); /* somebody else's, who came later */
    }
}

/* There is no other stack: room at the end of this thread's own, which Windows never takes back. */
int vireo_fault_stack_set(uint64_t len, struct vireo_fault_stack *ret_stack, struct vr_error *err)
{
    uint64_t page = vr_win_page(), whole;
    ULONG had = 0;
    if (!vr_align_up_ok(len ? len : 1, page, &whole) || whole > UINT32_MAX / 2) {
        return vr_err(err, -ENOMEM, "fault stack: too large");
    }
    if (!SetThreadStackGuarantee(&had)) {
        return vr_win_err(err, GetLastError(), "fault stack");
    }
    ULONG want = (ULONG)whole;
    if (had < want && !SetThreadStackGuarantee(&want)) {
        return vr_err(err, -ENOMEM, "fault stack: this thread's stack has no %llu bytes to spare",
                      (unsigned long long)whole);
    }
    *ret_stack = (struct vireo_fault_stack){.hva = NULL, .len = whole};
    return 0;
}

void vireo_fault_stack_clear(struct vireo_fault_stack *stack)
{
    *stack = (struct vireo_fault_stack){.hva = NULL};
}
