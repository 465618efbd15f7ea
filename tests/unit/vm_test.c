/* The public interface: configurations, and machines that run bare-metal programs of a few
 * instructions. Only vireo/vm.h is used, but for locks. */
#include "test.h"

#include "base/bits.h"
#include "platform/lock.h"
#include "vireo/vm.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAM    UINT64_C(0x80000000)
#define LONG_S UINT64_C(60000000000) /* a test that waits so long has failed */

/* Sends back what it receives on the serial port; 'q' powers off. */
static const uint32_t echo[] = {
    0x100002b7, /* lui  t0, 0x10000    the 16550 */
    0x07100e13, /* li   t3, 'q' */
    0x0052c303, /* 0: lbu t1, 5(t0)    LSR */
    0x00137313, /* andi t1, t1, 1 */
    0xfe030ce3, /* beqz t1, 0b */
    0x0002c303, /* lbu  t1, 0(t0)      RBR */
    0x01c30663, /* beq  t1, t3, 1f */
    0x00628023, /* sb   t1, 0(t0)      THR */
    0xfe0004e3, /* j    0b */
    0x001003b7, /* 1: lui t2, 0x100    the finisher */
    0x00005337, /* lui  t1, 5 */
    0x55530313, /* addi t1, t1, 0x555 */
    0x0063a023, /* sw   t1, 0(t2) */
    0x0000006f, /* j    . */
};
/* Says '!' and waits for ever. */
static const uint32_t idle[] = {0x100002b7, 0x02100313, 0x00628023, 0x10500073, 0xfe000ee3};
/* Reports failure 5. */
static const uint32_t fails[] = {0x001003b7, 0x00053337, 0x33330313, 0x0063a023, 0x0000006f};
/* Resets, again and again. */
static const uint32_t resets[] = {0x001003b7, 0x00007337, 0x77730313, 0x0063a023, 0x0000006f};

struct place {
    char dir[32], path[64];
};

static void place_write(struct place *p, const void *body, size_t len)
{
    snprintf(p->dir, sizeof(p->dir), "/tmp/vireo-vm.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->path, sizeof(p->path), "%s/program", p->dir);
    FILE *f = fopen(p->path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(body, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void place_remove(struct place *p)
{
    unlink(p->path);
    rmdir(p->dir);
}

/* An ELF file of @count instructions. */
static void place_program(struct place *p, const uint32_t *code, size_t count)
{
    uint8_t elf[512] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    enum { CODE = 128 };
    vr_store_le16(elf + 16, 2);   /* executable */
    vr_store_le16(elf + 18, 243); /* RISC-V */
    vr_store_le32(elf + 20, 1);
    vr_store_le64(elf + 24, RAM); /* entry */
    vr_store_le64(elf + 32, 64);  /* program headers */
    vr_store_le16(elf + 52, 64);
    vr_store_le16(elf + 54, 56);
    vr_store_le16(elf + 56, 1);
    vr_store_le32(elf + 64, 1); /* load */
    vr_store_le32(elf + 68, 7);
    vr_store_le64(elf + 72, CODE);
    vr_store_le64(elf + 80, RAM);
    vr_store_le64(elf + 88, RAM);
    vr_store_le64(elf + 96, count * 4);
    vr_store_le64(elf + 104, count * 4);
    for (size_t i = 0; i < count; i++) {
        vr_store_le32(elf + CODE + i * 4, code[i]);
    }
    place_write(p, elf, CODE + count * 4);
}

static struct vireo_config *config_for(const char *path)
{
    struct vireo_config *config;
    struct vr_error err;
    assert_int_equal(vireo_config_create(&config, &err), 0);
    assert_int_equal(vireo_config_set(config, "kernel", path, &err), 0);
    assert_int_equal(vireo_config_set(config, "firmware", "none", &err), 0);
    assert_int_equal(vireo_config_set(config, "memory", "16M", &err), 0);
    return config;
}

/* A machine, what it said so far, and a way to wait for more. */
struct guest {
    struct vireo_vm *vm;
    struct vr_mutex lock;
    struct vr_cond grown;
    char text[4096];
    size_t len;
};

static void guest_output(void *opaque, const void *buf, size_t len)
{
    struct guest *g = opaque;
    vr_mutex_lock(&g->lock);
    assert_true(len < sizeof(g->text) - g->len);
    memcpy(g->text + g->len, buf, len);
    g->len += len;
    vr_cond_broadcast(&g->grown);
    vr_mutex_unlock(&g->lock);
}

static void guest_expect(struct guest *g, const char *text)
{
    vr_mutex_lock(&g->lock);
    while (!strstr(g->text, text)) {
        vr_cond_wait(&g->grown, &g->lock);
    }
    vr_mutex_unlock(&g->lock);
}

static void guest_start(struct guest *g, const struct vireo_config *config)
{
    struct vr_error err;
    *g = (struct guest){.len = 0};
    vr_mutex_init(&g->lock);
    vr_cond_init(&g->grown);
    assert_int_equal(vireo_vm_create(config, &g->vm, &err), 0);
    assert_int_equal(vireo_vm_state(g->vm), VIREO_STOPPED);
    assert_int_equal(vireo_vm_on_output(g->vm, 0, guest_output, g, &err), 0);
    assert_int_equal(vireo_vm_start(g->vm, &err), 0);
}

static void guest_end(struct guest *g)
{
    vireo_vm_destroy(g->vm);
    vr_cond_fini(&g->grown);
    vr_mutex_fini(&g->lock);
}

static void guest_type(struct guest *g, const char *text)
{
    assert_int_equal(vireo_vm_feed(g->vm, 0, text, strlen(text)), strlen(text));
}

static void assert_ended(struct vireo_vm *vm, enum vireo_end expected_end, unsigned expected_code)
{
    enum vireo_end end;
    unsigned code;
    assert_true(vireo_vm_wait(vm, LONG_S, &end, &code));
    assert_int_equal(end, expected_end);
    assert_int_equal(code, expected_code);
    assert_int_equal(vireo_vm_state(vm), VIREO_STOPPED);
}

static void test_settings(void **state)
{
    struct vireo_config *config;
    struct vr_error err;
    (void)state;
    static const struct {
        const char *key, *value;
        int code;
        const char *says; /* NULL: it is fine */
    } rows[] = {
        {"memory", "64M", 0, NULL},
        {"cpus", "4", 0, NULL},
        {"no-rng", "on", 0, NULL},
        {"no-rng", "off", 0, NULL},
        {"console", "null", 0, NULL},
        {"console", "mem", 0, NULL},
        {"disk", "a=b.img,ro,serial=S1", 0, NULL},
        {"disk", "with,,comma.img", 0, NULL},
        {"memroy", "64M", -EINVAL, "did you mean 'memory'?"},
        {"quiet", "on", -EINVAL, "no setting 'quiet'"},
        {"memory", "64Q", -EINVAL, "memory=64Q: expected a size"},
        {"memory", "1M", -ERANGE, "at least 16M"},
        {"cpus", "0", -ERANGE, "expected 1 to 64"},
        {"cpus", "", -EINVAL, "expected a number"},
        {"no-rng", "perhaps", -EINVAL, "on or off"},
        {"kernel", "", -EINVAL, "expected a path"},
        {"disk", "", -EINVAL, "expected PATH"},
        {"disk", ",ro", -EINVAL, "expected PATH"},
        {"disk", "x,serail=1", -EINVAL, "did you mean 'serial'?"},
        {"disk", "x,format=qcow2", -EINVAL, "this version knows raw"},
        {"console", "teletype", -EINVAL, "expected stdio"},
        {"kernel", NULL, -EINVAL, "no value"},
    };
    assert_int_equal(vireo_config_create(&config, &err), 0);
    for (size_t i = 0; i < VR_COUNT(rows); i++) {
        err.msg[0] = 0;
        assert_int_equal(vireo_config_set(config, rows[i].key, rows[i].value, &err), rows[i].code);
        if (rows[i].says && !strstr(err.msg, rows[i].says)) {
            fail_msg("%s=%s: no '%s' in '%s'", rows[i].key, rows[i].value, rows[i].says, err.msg);
        }
    }
    /* Nobody has to want the message. */
    assert_int_equal(vireo_config_set(config, "memroy", "1", NULL), -EINVAL);
    vireo_config_destroy(config);
    vireo_config_destroy(NULL);
}

static void test_echo(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    (void)state;
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    vireo_config_destroy(config); /* the machine has all it needs */
    assert_int_equal(vireo_vm_state(g.vm), VIREO_RUNNING);
    assert_int_equal(vireo_vm_start(g.vm, &err), -EBUSY);
    guest_type(&g, "hello ");
    guest_expect(&g, "hello ");
    guest_type(&g, "world");
    guest_expect(&g, "hello world");
    assert_false(vireo_vm_wait(g.vm, 0, NULL, NULL));
    guest_type(&g, "q");
    assert_ended(g.vm, VIREO_END_POWEROFF, 0);
    /* The power button again. */
    assert_int_equal(vireo_vm_start(g.vm, &err), 0);
    guest_type(&g, "again");
    guest_expect(&g, "again");
    vireo_vm_stop(g.vm, 42);
    assert_ended(g.vm, VIREO_END_STOP, 42);
    vireo_vm_stop(g.vm, 43); /* too late */
    assert_ended(g.vm, VIREO_END_STOP, 42);
    guest_end(&g);
    place_remove(&p);
}

static void test_pause(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    (void)state;
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    assert_int_equal(vireo_vm_pause(g.vm, &err), 0);
    assert_int_equal(vireo_vm_pause(g.vm, &err), 0);
    assert_int_equal(vireo_vm_state(g.vm), VIREO_PAUSED);
    uint64_t at_ns = vireo_vm_time_ns(g.vm);
    guest_type(&g, "later");
    assert_int_equal(vireo_vm_time_ns(g.vm), at_ns);
    assert_int_equal(g.len, 0);
    assert_int_equal(vireo_vm_resume(g.vm, &err), 0);
    assert_int_equal(vireo_vm_resume(g.vm, &err), 0);
    guest_expect(&g, "later");
    assert_true(vireo_vm_time_ns(g.vm) > at_ns);
    vireo_vm_stop(g.vm, 0);
    assert_ended(g.vm, VIREO_END_STOP, 0);
    assert_int_equal(vireo_vm_pause(g.vm, &err), -EINVAL);
    assert_int_equal(vireo_vm_resume(g.vm, &err), -EINVAL);
    vireo_vm_reset(g.vm); /* nothing to reset */
    assert_int_equal(vireo_vm_state(g.vm), VIREO_STOPPED);
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
}

static void test_reset(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    guest_expect(&g, "!");
    vireo_vm_reset(g.vm);
    guest_expect(&g, "!!");
    vireo_vm_destroy(g.vm); /* while it runs */
    g.vm = NULL;
    guest_end(&g);
    assert_int_equal(vireo_config_set(config, "no-reboot", "on", &err), 0);
    guest_start(&g, config);
    guest_expect(&g, "!");
    vireo_vm_reset(g.vm);
    assert_ended(g.vm, VIREO_END_RESET, 0);
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
}

static void test_verdicts(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    (void)state;
    place_program(&p, fails, VR_COUNT(fails));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    assert_ended(g.vm, VIREO_END_FAIL, 5);
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
    /* One that only resets goes on until it is stopped. */
    place_program(&p, resets, VR_COUNT(resets));
    config = config_for(p.path);
    guest_start(&g, config);
    assert_false(vireo_vm_wait(g.vm, 20000000, NULL, NULL));
    vireo_vm_stop(g.vm, 1);
    assert_ended(g.vm, VIREO_END_STOP, 1);
    guest_end(&g);
    assert_int_equal(vireo_config_set(config, "no-reboot", "on", &err), 0);
    guest_start(&g, config);
    assert_ended(g.vm, VIREO_END_RESET, 0);
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
}

static void test_consoles(void **state)
{
    struct place p;
    struct vireo_vm *vm;
    struct vr_error err;
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    struct vireo_config *config = config_for(p.path);
    assert_int_equal(vireo_config_set(config, "console", "null", &err), 0);
    assert_int_equal(vireo_config_set(config, "virtio-console", "mem", &err), 0);
    assert_int_equal(vireo_vm_create(config, &vm, &err), 0);
    /* Console 0 is not in memory, 1 is, 2 is not there. */
    assert_int_equal(vireo_vm_feed(vm, 0, "x", 1), 0);
    assert_int_equal(vireo_vm_feed(vm, 1, "x", 1), 1);
    assert_int_equal(vireo_vm_feed(vm, 2, "x", 1), 0);
    assert_int_equal(vireo_vm_feed(vm, 99, "x", 1), 0);
    assert_int_equal(vireo_vm_on_output(vm, 0, guest_output, NULL, &err), -EINVAL);
    assert_int_equal(vireo_vm_on_output(vm, 1, guest_output, NULL, &err), 0);
    assert_int_equal(vireo_vm_on_output(vm, 1, NULL, NULL, &err), 0);
    assert_int_equal(vireo_vm_on_output(vm, 2, guest_output, NULL, &err), -EINVAL);
    assert_string_equal(vireo_vm_console_path(vm, 0), "");
    assert_string_equal(vireo_vm_console_path(vm, 1), "");
    assert_null(vireo_vm_console_path(vm, 2));
    assert_null(vireo_vm_console_path(vm, 99));
    /* The queue is bounded. */
    static char flood[1 << 20];
    size_t took = 0, n;
    while ((n = vireo_vm_feed(vm, 1, flood, sizeof(flood))) > 0) {
        took += n;
    }
    assert_in_range(took, 1024, 65536);
    vireo_vm_destroy(vm);
    vireo_config_destroy(config);
    place_remove(&p);
}

static void test_refused(void **state)
{
    struct place p;
    struct vireo_vm *vm = NULL;
    struct vr_error err;
    struct vireo_config *config;
    (void)state;
    assert_int_equal(vireo_config_create(&config, &err), 0);
    assert_int_equal(vireo_vm_create(config, &vm, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "nothing to start"));
    vireo_config_destroy(config);
    place_write(&p, "not a kernel", 12);
    config = config_for(p.path);
    assert_true(vireo_vm_create(config, &vm, &err) < 0);
    assert_non_null(strstr(err.msg, p.path));
    assert_int_equal(vireo_config_set(config, "kernel", "/nowhere/at/all", &err), 0);
    assert_int_equal(vireo_vm_create(config, &vm, &err), -ENOENT);
    vireo_config_destroy(config);
    assert_null(vm);
    vireo_vm_destroy(NULL);
    place_remove(&p);
}

/* Machines of one process do not know of each other. */
static void test_many(void **state)
{
    enum { MANY = 12 };
    static struct guest g[MANY];
    struct place p;
    (void)state;
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    for (unsigned i = 0; i < MANY; i++) {
        guest_start(&g[i], config);
    }
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "<%u>", i);
        guest_type(&g[i], name);
    }
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "<%u>", i);
        guest_expect(&g[i], name);
        assert_string_equal(g[i].text, name);
        guest_type(&g[i], "q");
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_ended(g[i].vm, VIREO_END_POWEROFF, 0);
        guest_end(&g[i]);
    }
    vireo_config_destroy(config);
    place_remove(&p);
}

/* What belongs to the process stays as it is. */
static void test_signals(void **state)
{
    struct place p;
    struct guest g;
    struct sigaction before[32], after;
    sigset_t mask_before, mask_after;
    (void)state;
    for (int s = 1; s < 32; s++) {
        sigaction(s, NULL, &before[s]);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    guest_type(&g, "x");
    guest_expect(&g, "x");
    for (int s = 1; s < 32; s++) {
        sigaction(s, NULL, &after);
        assert_ptr_equal((void *)(uintptr_t)after.sa_handler,
                         (void *)(uintptr_t)before[s].sa_handler);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (int s = 1; s < 32; s++) {
        assert_int_equal(sigismember(&mask_after, s), sigismember(&mask_before, s));
    }
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings), cmocka_unit_test(test_echo),
        cmocka_unit_test(test_pause),    cmocka_unit_test(test_reset),
        cmocka_unit_test(test_verdicts), cmocka_unit_test(test_consoles),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_many),
        cmocka_unit_test(test_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
