/*
 * The virt machine's flash: a bank of code that firmware starts, a bank of variables that outlive
 * the machine, and what firmware in flash wants from fw_cfg when a kernel is given as well.
 */
#include "board/flash_file.h"
#include "board/virt_riscv_priv.h"
#include "dev/misc/fw_cfg.h"
#include "dev/misc/pflash_cfi.h"

#include <string.h>

static void flash_free_ram(void *ram)
{
    vr_ram_destroy(ram);
}

/* A bank's contents live as long as the machine. */
static int flash_ram(struct vr_virt *v, const char *name, struct vr_ram **ret_ram,
                     struct vr_error *err)
{
    int r = vr_ram_create(name, VR_PFLASH_LEN, ret_ram, err);
    if (r == 0) {
        r = vr_machine_own(v->machine, flash_free_ram, *ret_ram, err);
        if (r < 0) {
            vr_ram_destroy(*ret_ram);
        }
    }
    return r;
}

/* @ram NULL: an empty socket, which reads as ones and cannot be programmed. */
static int flash_bank(struct vr_virt *v, const char *id, const char *opts, struct vr_ram *ram,
                      uint64_t gpa, struct vr_dev **ret_dev, struct vr_error *err)
{
    vr_assert(v->dev_count < VIRT_DEVS);
    int r = vr_dev_create(&vr_pflash_cfi_class, id, opts, vr_machine_env(v->machine), ret_dev, err);
    if (r < 0) {
        return r;
    }
    r = vr_machine_add_dev(v->machine, *ret_dev, err);
    if (r < 0) {
        vr_dev_destroy(*ret_dev);
        return r;
    }
    v->dev[v->dev_count++] =
        (struct virt_dev){.dev = *ret_dev, .at = {.gpa = {gpa}, .len = {VR_PFLASH_LEN}}};
    if (ram) {
        vr_pflash_attach(*ret_dev, ram, 0);
    }
    return vr_pflash_map(*ret_dev, vr_machine_mem(v->machine), gpa, err);
}

static int flash_add_code(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    struct vr_ram *ram = NULL;
    struct vr_dev *dev;
    int r = o->flash ? flash_ram(v, "flash0", &ram, err) : 0;
    if (r == 0 && ram) {
        r = vr_flash_file_read(o->flash, ram->hva, err);
    }
    return r < 0 ? r : flash_bank(v, "flash0", "exec,readonly", ram, VIRT_FLASH, &dev, err);
}

static int flash_add_vars(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    struct vr_ram *ram;
    struct vr_dev *dev;
    bool read_only = o->flash_vars_read_only;
    int r = flash_ram(v, "flash1", &ram, err);
    if (r == 0 && o->flash_vars) {
        r = vr_flash_file_open(o->flash_vars, read_only, o->log, ram->hva, &v->flash_vars, err);
    } else if (r == 0) {
        memset(ram->hva, 0xff, VR_PFLASH_LEN); /* lasts as long as the machine */
    }
    if (r == 0) {
        r = flash_bank(v, "flash1", read_only ? "readonly" : NULL, ram, VIRT_FLASH + VR_PFLASH_LEN,
                       &dev, err);
    }
    if (r == 0 && v->flash_vars && !read_only) {
        r = vr_flash_file_keep(v->flash_vars, dev, err);
        v->flash_kept = r == 0;
    }
    return r;
}

/* Both banks or none: U-Boot's driver counts on two. */
int virt_add_flash(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    struct virt_dev *bank = &v->dev[v->dev_count];
    if (!o->flash && !o->flash_vars) {
        return 0;
    }
    int r = flash_add_code(v, o, err);
    r = r < 0 ? r : flash_add_vars(v, o, err);
    if (r == 0) { /* one node describes them */
        bank[0].at.gpa[1] = bank[1].at.gpa[0];
        bank[0].at.len[1] = bank[1].at.len[0];
        bank[1].in_other = true;
    }
    return r;
}

int virt_flash_kernel(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    int r = 0;
    if (o->kernel) {
        r = vr_blob_read("kernel", o->kernel, (size_t)v->ram_bytes, &v->flash_kernel, err);
        r = r < 0 ? r : vr_blob_gunzip("kernel", &v->flash_kernel, err);
    }
    if (r == 0 && o->initrd) {
        r = vr_blob_read("initrd", o->initrd, (size_t)v->ram_bytes, &v->flash_initrd, err);
    }
    return r;
}

/* An item of its own for the size, as the protocol has it. */
static int flash_item(struct vr_dev *dev, unsigned size_key, unsigned key, const void *data,
                      size_t len, struct vr_error *err)
{
    int r = vr_fw_cfg_set_u32(dev, size_key, (uint32_t)len, err);
    return r < 0 || !len ? r : vr_fw_cfg_set_ref(dev, key, data, len, err);
}

int virt_flash_tell(struct vr_virt *v, struct vr_dev *fw_cfg, struct vr_error *err)
{
    const struct vr_blob *kernel = &v->flash_kernel, *initrd = &v->flash_initrd;
    int r = 0;
    if (kernel->len) {
        r = flash_item(fw_cfg, VR_FW_CFG_KERNEL_SIZE, VR_FW_CFG_KERNEL_DATA, kernel->data,
                       kernel->len, err);
    }
    if (r == 0 && initrd->len) {
        r = flash_item(fw_cfg, VR_FW_CFG_INITRD_SIZE, VR_FW_CFG_INITRD_DATA, initrd->data,
                       initrd->len, err);
    }
    if (r == 0 && kernel->len && v->append) {
        r = flash_item(fw_cfg, VR_FW_CFG_CMDLINE_SIZE, VR_FW_CFG_CMDLINE_DATA, v->append,
                       strlen(v->append) + 1, err);
    }
    return r;
}

void virt_flash_reset(struct vr_virt *v)
{
    if (v->flash_kept) {
        (void)vr_flash_file_flush(v->flash_vars);
    }
}

void virt_flash_close(struct vr_virt *v)
{
    if (v->machine) {
        /* -EINVAL: it is stopped, which will do: nobody changes the flash any more. */
        (void)vr_machine_pause(v->machine);
    }
    vr_flash_file_close(v->flash_vars);
    v->flash_vars = NULL;
    v->flash_kept = false;
}

void virt_flash_fini(struct vr_virt *v)
{
    vr_blob_fini(&v->flash_kernel);
    vr_blob_fini(&v->flash_initrd);
}
