/* Fault handlers on Windows: exceptions, chaining, abort, running out of stack; ending by the
 * console. What ends a process happens in a child: this program, with a word for an argument. */
#include "os.h"
#include "test.h"

#include "vireo/host_fault.h"
#include "vireo/host_memory.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { PAGE = 4096, CHILD_MS = 30000 };

static bool skip_instruction(void *opaque, struct vireo_fault *fault)
{
    struct vireo_fault *seen = opaque;
    *seen = *fault;
    fault->pc += 2; /* each below is that long */
    return true;
}

static void kinds_are_told_apart(void **state)
{
    struct vireo_fault seen = {.kind = VIREO_FAULT_ABORT};
    int id;
    (void)state;
    assert_int_equal(vireo_fault_add(skip_instruction, &seen, &id, NULL), 0);
    __asm__ volatile("ud2" ::: "memory");
    assert_int_equal(seen.kind, VIREO_FAULT_ILLEGAL);
    assert_int_equal(seen.host_number, (int)EXCEPTION_ILLEGAL_INSTRUCTION);
    assert_true(seen.can_set_pc && (uintptr_t)seen.hva == seen.pc);
    __asm__ volatile("xor %%edx, %%edx\n\txor %%eax, %%eax\n\txor %%ecx, %%ecx\n\tdivl %%ecx" ::
                         : "eax", "ecx", "edx", "memory", "cc");
    assert_int_equal(seen.kind, VIREO_FAULT_ARITHMETIC);
    __asm__ volatile("movl (%%rax), %%ecx" ::"a"((uintptr_t)0x10) : "ecx", "memory");
    assert_int_equal(seen.kind, VIREO_FAULT_ACCESS);
    assert_int_equal(seen.host_code, 0); /* read */
    assert_int_equal((uintptr_t)seen.hva, 0x10);
    __asm__ volatile("movl %%ecx, (%%rax)" ::"a"((uintptr_t)0x20), "c"(0) : "memory");
    assert_int_equal(seen.host_code, 1); /* written */
    vireo_fault_remove(id);
}

static bool refuse(void *opaque, struct vireo_fault *fault)
{
    (void)fault;
    ++*(unsigned *)opaque;
    return false;
}

static unsigned chained;

static LONG CALLBACK earlier(EXCEPTION_POINTERS *pointers)
{
    chained++;
    pointers->ContextRecord->Rip += 2;
    return EXCEPTION_CONTINUE_EXECUTION;
}

static void unclaimed_faults_go_to_who_was_before(void **state)
{
    unsigned asked = 0;
    int id;
    (void)state;
    void *before = AddVectoredExceptionHandler(1, earlier);
    assert_non_null(before);
    assert_int_equal(vireo_fault_add(refuse, &asked, &id, NULL), 0);
    __asm__ volatile("ud2" ::: "memory");
    assert_int_equal(asked, 1);
    assert_int_equal(chained, 1);
    vireo_fault_remove(id);
    __asm__ volatile("ud2" ::: "memory");
    assert_int_equal(asked, 1);
    assert_int_equal(chained, 2);
    assert_int_not_equal(RemoveVectoredExceptionHandler(before), 0);
}

static LONG CALLBACK go_on(EXCEPTION_POINTERS *pointers)
{
    (void)pointers;
    chained++;
    return EXCEPTION_CONTINUE_EXECUTION;
}

/* Exceptions of programs (here: a debugger's name for a thread) are no faults. */
static void others_exceptions_are_left_alone(void **state)
{
    unsigned asked = 0;
    int id;
    (void)state;
    void *before = AddVectoredExceptionHandler(1, go_on);
    assert_non_null(before);
    assert_int_equal(vireo_fault_add(refuse, &asked, &id, NULL), 0);
    chained = 0;
    RaiseException(0x406d1388, 0, 0, NULL);
    assert_int_equal(chained, 1);
    vireo_fault_remove(id);
    assert_int_equal(asked, 0);
    assert_int_not_equal(RemoveVectoredExceptionHandler(before), 0);
}

/* ---- In a child ---------------------------------------------------------------------------- */

static PROCESS_INFORMATION child_start(const char *what)
{
    wchar_t path[MAX_PATH], line[2 * MAX_PATH];
    STARTUPINFOW start = {.cb = sizeof(start)};
    PROCESS_INFORMATION child;
    assert_int_not_equal(GetModuleFileNameW(NULL, path, MAX_PATH), 0);
    swprintf(line, 2 * MAX_PATH, L"\"%ls\" %hs", path, what);
    assert_true(CreateProcessW(path, line, NULL, NULL, TRUE, CREATE_NEW_PROCESS_GROUP, NULL, NULL,
                               &start, &child));
    return child;
}

static DWORD child_end(PROCESS_INFORMATION child)
{
    DWORD code = 0;
    assert_int_equal(WaitForSingleObject(child.hProcess, CHILD_MS), WAIT_OBJECT_0);
    assert_true(GetExitCodeProcess(child.hProcess, &code));
    CloseHandle(child.hProcess);
    CloseHandle(child.hThread);
    return code;
}

static bool leave(void *opaque, struct vireo_fault *fault)
{
    ExitProcess(fault->kind == *(enum vireo_fault_kind *)opaque ? 5 : 6);
}

static int die_by_fault(void)
{
    unsigned asked = 0;
    int id;
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    if (vireo_fault_add(refuse, &asked, &id, NULL) < 0) {
        return 1;
    }
    volatile uintptr_t nowhere = 16;
    *(volatile int *)nowhere = 1;
    return 2;
}

static int die_by_abort(void)
{
    static enum vireo_fault_kind want = VIREO_FAULT_ABORT;
    int id;
    if (vireo_fault_add(leave, &want, &id, NULL) < 0) {
        return 1;
    }
    abort();
}

static unsigned overflow(volatile uint8_t *above)
{
    volatile uint8_t page[PAGE];
    page[0] = above ? above[0] : 0;
    return page[0] + (above == NULL || above[0] < 200 ? overflow(page) : 0u) + page[PAGE - 1];
}

static int run_out_of_stack(void)
{
    static enum vireo_fault_kind want = VIREO_FAULT_ACCESS; /* not on this stack */
    struct vireo_fault_stack stack;
    int id;
    if (vireo_fault_add(leave, &want, &id, NULL) < 0 ||
        vireo_fault_stack_set(65536, &stack, NULL) < 0) {
        return 1;
    }
    return (int)overflow(NULL);
}

static void asked_to_end(void *opaque, int signum)
{
    *(volatile int *)opaque = signum;
}

static int wait_for_the_console(void)
{
    volatile int signum = 0;
    struct vireo_endsig *sig;
    if (vireo_endsig_start(asked_to_end, (void *)&signum, &sig, NULL) < 0 ||
        !GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, GetCurrentProcessId())) {
        return 77; /* no console here */
    }
    for (unsigned i = 0; i < CHILD_MS / 10 / 2 && signum == 0; i++) {
        Sleep(10);
    }
    if (signum != SIGBREAK) {
        return 78;
    }
    vireo_endsig_stop(sig);
    vireo_endsig_die(SIGBREAK);
}

static const struct {
    const char *name;
    int (*fn)(void);
} children[] = {
    {"fault", die_by_fault},
    {"abort", die_by_abort},
    {"stack", run_out_of_stack},
    {"console", wait_for_the_console},
};

static void nobody_claims_and_the_default_follows(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start("fault")), EXCEPTION_ACCESS_VIOLATION);
}

static void an_abort_is_seen(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start("abort")), 5);
}

static void running_out_of_stack_is_seen(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start("stack")), 5);
}

static void the_console_asks_to_end(void **state)
{
    (void)state;
    DWORD code = child_end(child_start("console"));
    if (code == 77) {
        skip_because("this process has no console to be interrupted by");
    }
    assert_int_equal(code, (DWORD)STATUS_CONTROL_C_EXIT);
}

static void stacks_have_limits(void **state)
{
    struct vireo_fault_stack stack = {.len = 7};
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_fault_stack_set(UINT64_MAX, &stack, &err), -ENOMEM);
    assert_int_equal(stack.len, 7);
    assert_int_equal(vireo_fault_stack_set(1, &stack, NULL), 0);
    assert_int_equal(stack.len, PAGE);
    vireo_fault_stack_clear(&stack);
    assert_int_equal(stack.len, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(unclaimed_faults_go_to_who_was_before),
        cmocka_unit_test(others_exceptions_are_left_alone),
        cmocka_unit_test(nobody_claims_and_the_default_follows),
        cmocka_unit_test(an_abort_is_seen),
        cmocka_unit_test(running_out_of_stack_is_seen),
        cmocka_unit_test(the_console_asks_to_end),
        cmocka_unit_test(stacks_have_limits),
    };
    for (unsigned i = 0; argc > 1 && i < sizeof(children) / sizeof(children[0]); i++) {
        if (strcmp(argv[1], children[i].name) == 0) {
            return children[i].fn();
        }
    }
    return cmocka_run_group_tests_name("win_fault", tests, NULL, NULL);
}
