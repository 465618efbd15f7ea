/*
 * What a RISC-V hart's kernel says of it: riscv_hwprobe(2), Linux
 * Documentation/arch/riscv/hwprobe.rst; before Linux 6.4 the single letters of AT_HWCAP. Numbers
 * are written out here since C libraries of that age lack the header.
 */
#include "base/bits.h"
#include "platform/host.h"

#include <stdio.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    RV_SYS_HWPROBE = 258,
    RV_KEY_MVENDORID = 0,
    RV_KEY_MARCHID = 1,
    RV_KEY_MIMPID = 2,
    RV_KEY_BASE = 3,
    RV_KEY_IMA_EXT_0 = 4,
};

struct rv_pair {
    int64_t key; /* -1 in an answer: no such key */
    uint64_t value;
};

/* RISCV_HWPROBE_KEY_IMA_EXT_0 by bit. */
static const char *const rv_ext[] = {
    "fd",     "c",           "v",      "zba",     "zbb",    "zbs",    "zicboz",
    "zbc",    "zbkb",        "zbkc",   "zbkx",    "zknd",   "zkne",   "zknh",
    "zksed",  "zksh",        "zkt",    "zvbb",    "zvbc",   "zvkb",   "zvkg",
    "zvkned", "zvknha",      "zvknhb", "zvksed",  "zvksh",  "zvkt",   "zfh",
    "zfhmin", "zihintntl",   "zvfh",   "zvfhmin", "zfa",    "ztso",   "zacas",
    "zicond", "zihintpause", "zve32x", "zve32f",  "zve64x", "zve64f", "zve64d",
    "zimop",  "zca",         "zcb",    "zcd",     "zcf",    "zcmop",  "zawrs",
};

static const struct {
    uint64_t id; /* JEDEC, as mvendorid holds it */
    const char *name;
} rv_makers[] = {{0x489, "SiFive"}, {0x5b7, "T-Head"}, {0x31e, "Andes"}, {0x710, "SpacemiT"}};

static void rv_add(struct vr_cpu_id *id, const char *name)
{
    id->features[id->feature_count++] = name;
}

static void rv_hwcap(struct vr_cpu_id *id)
{
    static const char letters[][2] = {"i", "m", "a", "f", "d", "c", "b", "v", "h"};
    uint64_t hwcap = getauxval(AT_HWCAP);
    for (unsigned i = 0; i < VR_COUNT(letters); i++) {
        if (hwcap >> (letters[i][0] - 'a') & 1) {
            rv_add(id, letters[i]);
        }
    }
}

static void rv_maker(struct vr_cpu_id *id, const struct rv_pair *pairs)
{
    if (pairs[RV_KEY_MVENDORID].key < 0) {
        return;
    }
    for (unsigned i = 0; i < VR_COUNT(rv_makers); i++) {
        if (rv_makers[i].id == pairs[RV_KEY_MVENDORID].value) {
            snprintf(id->vendor, sizeof(id->vendor), "%s", rv_makers[i].name);
        }
    }
    snprintf(id->model, sizeof(id->model), "marchid 0x%llx, mimpid 0x%llx",
             (unsigned long long)pairs[RV_KEY_MARCHID].value,
             (unsigned long long)pairs[RV_KEY_MIMPID].value);
}

void vr_cpu_identify(struct vr_cpu_id *ret_id)
{
    /* Whether harts have H is for the kernel to know; its KVM tells (linux/host.c). */
    struct vr_cpu_id id = {.virt_name = "H",
                           .virt = VIREO_UNKNOWN,
                           .nested_paging = VIREO_UNKNOWN,
                           .protection_keys = VIREO_NO};
    struct rv_pair pairs[] = {{RV_KEY_MVENDORID, 0},
                              {RV_KEY_MARCHID, 0},
                              {RV_KEY_MIMPID, 0},
                              {RV_KEY_BASE, 0},
                              {RV_KEY_IMA_EXT_0, 0}};
    if (syscall(RV_SYS_HWPROBE, pairs, VR_COUNT(pairs), 0, NULL, 0) != 0) {
        rv_hwcap(&id);
        *ret_id = id;
        return;
    }
    if (pairs[RV_KEY_BASE].key >= 0 && (pairs[RV_KEY_BASE].value & 1)) {
        rv_add(&id, "i");
        rv_add(&id, "m");
        rv_add(&id, "a");
    }
    for (unsigned i = 0; pairs[RV_KEY_IMA_EXT_0].key >= 0 && i < VR_COUNT(rv_ext); i++) {
        if (pairs[RV_KEY_IMA_EXT_0].value >> i & 1) {
            if (i == 0) {
                rv_add(&id, "f");
                rv_add(&id, "d");
            } else {
                rv_add(&id, rv_ext[i]);
            }
        }
    }
    rv_maker(&id, pairs);
    *ret_id = id;
}
