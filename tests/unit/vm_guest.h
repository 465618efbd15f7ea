/* For tests of whole machines through vireo/vm.h: bare-metal programs of a few instructions, and a
 * guest whose console can be waited for. */
#ifndef VR_TESTS_VM_GUEST_H
#define VR_TESTS_VM_GUEST_H

#include "test.h"

#include "base/bits.h"
#include "elf_head.h"
#include "platform/lock.h"
#include "vireo/vm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAM    UINT64_C(0x80000000)
#define LONG_S UINT64_C(60000000000) /* a test that waits so long has failed */

/* Sends back what it receives on the serial port; 'q' powers off. */
static const uint32_t __attribute__((unused)) echo[] = {
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
static const uint32_t __attribute__((unused))
idle[] = {0x100002b7, 0x02100313, 0x00628023, 0x10500073, 0xfe000ee3};
/* Reports failure 5. */
static const uint32_t __attribute__((unused))
fails[] = {0x001003b7, 0x00053337, 0x33330313, 0x0063a023, 0x0000006f};
/* Resets, again and again. */
static const uint32_t __attribute__((unused))
resets[] = {0x001003b7, 0x00007337, 0x77730313, 0x0063a023, 0x0000006f};

struct place {
    char dir[32], path[64];
};

static inline void place_write(struct place *p, const void *body, size_t len)
{
    snprintf(p->dir, sizeof(p->dir), "/tmp/vireo-vm.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->path, sizeof(p->path), "%s/program", p->dir);
    FILE *f = fopen(p->path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(body, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static inline void place_remove(struct place *p)
{
    unlink(p->path);
    rmdir(p->dir);
}

/* An ELF file of @count instructions. */
static inline void place_program(struct place *p, const uint32_t *code, size_t count)
{
    uint8_t elf[512];
    enum { CODE = 128 };
    assert_true(CODE + count * 4 <= sizeof(elf));
    memset(elf, 0, sizeof(elf));
    elf_head(elf, RAM, CODE, count * 4);
    for (size_t i = 0; i < count; i++) {
        vr_store_le32(elf + CODE + i * 4, code[i]);
    }
    place_write(p, elf, CODE + count * 4);
}

static inline struct vireo_config *config_for(const char *path)
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

static inline void guest_output(void *opaque, const void *buf, size_t len)
{
    struct guest *g = opaque;
    vr_mutex_lock(&g->lock);
    assert_true(len < sizeof(g->text) - g->len);
    memcpy(g->text + g->len, buf, len);
    g->len += len;
    vr_cond_broadcast(&g->grown);
    vr_mutex_unlock(&g->lock);
}

static inline void guest_expect(struct guest *g, const char *text)
{
    vr_mutex_lock(&g->lock);
    while (!strstr(g->text, text)) {
        vr_cond_wait(&g->grown, &g->lock);
    }
    vr_mutex_unlock(&g->lock);
}

static inline void guest_start(struct guest *g, const struct vireo_config *config)
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

static inline void guest_end(struct guest *g)
{
    vireo_vm_destroy(g->vm);
    vr_cond_fini(&g->grown);
    vr_mutex_fini(&g->lock);
}

static inline void guest_type(struct guest *g, const char *text)
{
    assert_int_equal(vireo_vm_feed(g->vm, 0, text, strlen(text)), strlen(text));
}

static inline void assert_ended(struct vireo_vm *vm, enum vireo_end expected_end,
                                unsigned expected_code)
{
    enum vireo_end end;
    unsigned code;
    assert_true(vireo_vm_wait(vm, LONG_S, &end, &code));
    assert_int_equal(end, expected_end);
    assert_int_equal(code, expected_code);
    assert_int_equal(vireo_vm_state(vm), VIREO_STOPPED);
}

#endif
