/*
 * A guest that is out for harm, as operations on a whole virt machine whose harts stand still:
 * accesses of every width anywhere, queues and requests built in memory from what it likes, time
 * that goes by, host ends that answer. Used with random operations (hostile_machine_test.c) and by
 * a fuzzer (tests/fuzz/machine_fuzz.c).
 */
#ifndef VR_TEST_HOSTILE_H
#define VR_TEST_HOSTILE_H

#include "board/virt_riscv.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vr_ram;
struct vr_virt;
struct vr_view_cache;

/* One operation: what, and what with. */
enum { HOSTILE_OP = 16 };

struct hostile {
    struct vr_virt *v;
    struct vr_view_cache *cache;
    unsigned ops[16]; /* how many of each kind took place */
};

/* Build the machine: 2 harts, 16 MiB, a disk, a network card, consoles, a random source, flash,
 * interrupt controllers of @aia. Aborts when the host cannot. */
void hostile_init(struct hostile *h, enum vr_virt_aia aia);
void hostile_fini(struct hostile *h);
/* Every device and the memory that the operations use as they were at first. */
void hostile_reset(struct hostile *h);
void hostile_do(struct hostile *h, const uint8_t op[HOSTILE_OP]);
/* Aborts unless every virtio device lets itself be reset, and shows its magic. */
void hostile_check(struct hostile *h);
/* Aborts unless all that each hart's TLB has leads into RAM, ROM, or the flash in @flash (or NULL).
 * Harts stand still. */
void hostile_check_tlbs(struct vr_virt *v, const struct vr_ram *flash);
/* What code in flash runs from, as long as nobody gave the flash a command; NULL: there is none. */
const struct vr_ram *hostile_flash(struct vr_virt *v);
/* Memory of this process in use, bytes, without what is guest RAM; 0: the host does not tell. */
uint64_t hostile_rss(void);

#endif
