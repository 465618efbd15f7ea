/* Files to start from, and machines, for tests of the virt board. See virt_rig.h. */
#include "virt_rig.h"

#include "base/bits.h"
#include "elf_head.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char virt_dir[] = "/tmp/vireo-virt-XXXXXX";
char virt_kernel_path[64], virt_initrd_path[64], virt_firmware_path[64], virt_disk_path[64],
    virt_blob_path[64];

/* --- Files --- */

void virt_write_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

uint8_t *virt_pattern(size_t len, unsigned salt)
{
    uint8_t *d = malloc(len);
    assert_non_null(d);
    for (size_t i = 0; i < len; i++) {
        d[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16) + salt);
    }
    return d;
}

void virt_make_image(size_t len, uint64_t size)
{
    uint8_t *d = virt_pattern(len, 1);
    memset(d, 0, 64);
    vr_store_le32(d, 0x6f); /* j . */
    vr_store_le64(d + 8, 2 * MIB);
    vr_store_le64(d + 16, size);
    memcpy(d + 56, "RSC\x05", 4);
    virt_write_file(virt_kernel_path, d, len);
    free(d);
}

void virt_make_initrd(size_t len)
{
    uint8_t *d = virt_pattern(len, 2);
    virt_write_file(virt_initrd_path, d, len);
    free(d);
}

void virt_make_elf(const char *path, uint64_t gpa, size_t len)
{
    uint8_t *d = virt_pattern(0x1000 + len, 3);
    memset(d, 0, 0x1000);
    elf_head(d, gpa, 0x1000, len);
    virt_write_file(path, d, 0x1000 + len);
    free(d);
}

int virt_make_files(void **state)
{
    (void)state;
    if (!mkdtemp(virt_dir)) {
        return -1;
    }
    (void)snprintf(virt_kernel_path, sizeof(virt_kernel_path), "%s/kernel", virt_dir);
    (void)snprintf(virt_initrd_path, sizeof(virt_initrd_path), "%s/initrd", virt_dir);
    (void)snprintf(virt_firmware_path, sizeof(virt_firmware_path), "%s/firmware", virt_dir);
    (void)snprintf(virt_disk_path, sizeof(virt_disk_path), "%s/disk", virt_dir);
    (void)snprintf(virt_blob_path, sizeof(virt_blob_path), "%s/blob", virt_dir);
    FILE *f = fopen(virt_disk_path, "wb");
    return !f || fclose(f) != 0 || truncate(virt_disk_path, 1 << 20) != 0;
}

int virt_remove_files(void **state)
{
    (void)state;
    (void)unlink(virt_kernel_path);
    (void)unlink(virt_initrd_path);
    (void)unlink(virt_firmware_path);
    (void)unlink(virt_disk_path);
    (void)unlink(virt_blob_path);
    return rmdir(virt_dir);
}

/* --- Machines --- */

struct vr_virt_opts virt_opts_of(unsigned cpus, uint64_t ram_bytes)
{
    return (struct vr_virt_opts){.cpus = cpus, .ram_bytes = ram_bytes, .kernel = virt_kernel_path};
}

struct vr_virt *virt_build_of(const struct vr_virt_opts *o)
{
    struct vr_virt *v = NULL;
    struct vr_error err = {0};
    if (vr_virt_create(o, &v, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return v;
}

void virt_refused(const struct vr_virt_opts *o, int code, const char *words)
{
    struct vr_virt *v = NULL;
    struct vr_error err = {0};
    int r = vr_virt_create(o, &v, &err);
    assert_null(v);
    assert_true(code ? r == code : r < 0);
    assert_int_equal(err.code, r);
    assert_null(strchr(err.msg, '\n'));
    if (!strstr(err.msg, words)) {
        fail_msg("'%s' says nothing of '%s'", err.msg, words);
    }
}
