/* A machine for targets that talk to one: the same for all inputs; it never runs. */
#ifndef FUZZ_VM_H
#define FUZZ_VM_H

#include "fuzz.h"

#include "base/bits.h"
#include "control/vm_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct vireo_vm *fuzz_vm(void)
{
    static struct vireo_vm *vm;
    struct vireo_config *config;
    char dir[] = "/tmp/vireo-fuzz.XXXXXX", path[64];
    /* A Linux Image's head; enough to be taken for one (Documentation/arch/riscv/boot-image-header
     * in the kernel). */
    uint8_t image[4096] = {0};
    if (vm) {
        return vm;
    }
    memcpy(image + 0x30, "RISCV\0\0\0RSC\x05", 12);
    vr_store_le64(image + 0x10, sizeof(image));
    KEEPS(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/image", dir);
    FILE *f = fopen(path, "wb");
    KEEPS(f && fwrite(image, 1, sizeof(image), f) == sizeof(image) && fclose(f) == 0);
    KEEPS(vireo_config_create(&config, NULL) == 0);
    KEEPS(vireo_config_set(config, "kernel", path, NULL) == 0);
    KEEPS(vireo_config_set(config, "memory", "16M", NULL) == 0);
    KEEPS(vireo_vm_create(config, &vm, NULL) == 0);
    vireo_config_destroy(config);
    unlink(path);
    rmdir(dir);
    return vm;
}

#endif
